//! What the last read brings.

use crate::checkpoint::Event;
use crate::parse::ParseContext;
use crate::tail::Tail;
use crate::tail::batch::Abandoned;
use crate::tail::files::model_tests::start::start_tail;
use crate::tail::watch::Stop;
use std::cell::Cell;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Receiver;

/// A tail over a folder, and the first lines of what came out of it.
pub(in crate::tail::files) struct Bed {
    pub(in crate::tail::files) folder: tempfile::TempDir,
    pub(in crate::tail::files) tail: Tail,
    _events: Receiver<Event>,
    now: Instant,
    pub(in crate::tail::files) came: Vec<String>,
    /// How often the lanes say that they have no room.
    pub(in crate::tail::files) refusals: Cell<usize>,
}

impl Bed {
    pub(in crate::tail::files) fn new() -> Self {
        Self::of("*")
    }

    /// One that reads what the glob matches.
    pub(in crate::tail::files) fn of(glob: &str) -> Self {
        let (folder, now) = (tempfile::tempdir().unwrap(), Instant::now());
        let (tail, events) = start_tail(&folder.path().join(glob), Duration::ZERO, Vec::new(), now);
        Self { folder, tail, _events: events, now, came: Vec::new(), refusals: Cell::new(0) }
    }

    pub(in crate::tail::files) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(in crate::tail::files) fn write(&self, name: &str, text: &str) {
        let file = File::options().create(true).append(true).open(self.path(name));
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    pub(in crate::tail::files) fn gzip(&self, name: &str, text: &str) {
        let file = File::create(self.path(name)).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        gzip.finish().unwrap();
    }

    pub(in crate::tail::files) fn turn(&mut self, time: Duration) {
        self.now += time;
        self.work(|tail, pass| while tail.turn(pass).unwrap().has_more {});
    }

    pub(in crate::tail::files) fn finish(&mut self) {
        let stop = Stop::new().unwrap();
        stop.drain();
        self.work(|tail, pass| tail.finish(&stop, pass).unwrap());
    }

    fn work(&mut self, work: impl FnOnce(&mut Tail, &mut crate::tail::batch::Pass<'_>)) {
        let came = &mut self.came;
        let mut emit = |logs: crate::model::LogBatch, _| {
            came.extend(logs.records.iter().map(|record| {
                let body = String::from_utf8_lossy(logs.text.get(&record.body)).into_owned();
                body.lines().next().unwrap_or_default().to_owned()
            }));
            Ok::<(), Abandoned>(())
        };
        let refusals = &self.refusals;
        let has_room = || refusals.replace(refusals.get().saturating_sub(1)) == 0;
        let mut context = ParseContext::new(jiff::tz::TimeZone::UTC);
        let mut pass = self.tail.pass(&mut context, &mut emit, &has_room, self.now);
        work(&mut self.tail, &mut pass);
    }

    #[track_caller]
    pub(in crate::tail::files) fn expect(&mut self, numbers: std::ops::Range<usize>) {
        let want: Vec<String> = numbers.map(|number| format!("number {number}")).collect();
        assert_eq!(self.came, want);
    }
}

pub(in crate::tail::files) fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|number| format!("25/11/22 06:26:22 INFO Writer: number {number}\n")).collect()
}

pub(in crate::tail::files) fn make_pipe(path: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

#[test]
fn newer_files_are_read_although_the_last_record_of_an_older_one_is_open() {
    let mut bed = Bed::new();
    bed.write("app.log", &lines(0..10));
    bed.turn(Duration::ZERO);
    fs::rename(bed.path("app.log"), bed.path("app.log.1")).unwrap();
    bed.write("app.log.1", &lines(10..20));
    bed.write("app.log", &lines(20..30));
    fs::rename(bed.path("app.log.1"), bed.path("app.log.2")).unwrap();
    fs::rename(bed.path("app.log"), bed.path("app.log.1")).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    bed.write("app.log", &lines(30..40));
    bed.finish();
    bed.expect(0..40);
}

#[test]
fn what_the_lanes_had_no_room_for_is_read() {
    let mut bed = Bed::new();
    bed.write("a.log", &lines(0..20_000));
    bed.write("b.log", &lines(20_000..20_010));
    bed.refusals.set(1);
    bed.finish();
    bed.came.sort_by_key(|body| body["number ".len()..].parse::<usize>().unwrap());
    bed.expect(0..20_010);
}

#[test]
fn archives_are_read_to_their_end_also_new_ones() {
    let mut bed = Bed::new();
    bed.gzip("a.log.1.gz", &lines(0..60_000));
    bed.finish();
    bed.expect(0..60_000);
}

#[test]
fn more_files_than_may_be_open_are_read() {
    let mut bed = Bed::new();
    bed.tail.open_files_max = 2;
    for number in 0..7 {
        bed.write(&format!("{number}.log"), lines(number..number + 1).trim_end());
    }
    bed.finish();
    bed.expect(0..7);
}

#[test]
fn a_short_line_that_may_begin_a_container_log_is_read() {
    let mut bed = Bed::new();
    bed.write("a.log", "2 lines");
    bed.finish();
    assert_eq!(bed.came, ["2 lines"]);
}

#[test]
fn what_is_in_a_pipe_is_read_also_half_a_line() {
    let mut bed = Bed::new();
    make_pipe(&bed.path("pipe"));
    bed.turn(Duration::ZERO);
    let mut pipe = File::options().write(true).open(bed.path("pipe")).unwrap();
    pipe.write_all(lines(0..1_000).trim_end().as_bytes()).unwrap();
    bed.refusals.set(1);
    bed.finish();
    bed.expect(0..1_000);
}
