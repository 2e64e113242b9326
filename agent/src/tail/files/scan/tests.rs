//! Files that fail, that were there before, and that go away.

use crate::tail::ReadFrom;
use crate::tail::files::finish::tests::{Bed, lines, make_pipe};
use std::fs::{self, File};
use std::io::{self, Write};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_file_that_could_not_be_opened_is_tried_again_though_nothing_has_changed() {
    let mut bed = Bed::new();
    bed.write("a.log", &lines(0..1));
    bed.turn(SECOND);
    bed.turn(SECOND);
    // Root may open everything, so this does not fail by itself.
    bed.tail.files.clear();
    bed.turn(SECOND);
    assert!(bed.tail.files.is_empty(), "this test proves nothing");
    let path = bed.path("a.log");
    bed.tail.complain_of(&path, &io::ErrorKind::PermissionDenied.into());
    bed.turn(6 * SECOND);
    assert_eq!(bed.tail.files.len(), 1);
}

#[test]
fn of_what_was_there_before_only_the_end_is_read_also_of_archives_and_what_had_to_wait() {
    let mut bed = Bed::new();
    bed.tail.config.read_from = ReadFrom::End;
    bed.tail.open_files_max = 2;
    bed.gzip("app.log.1.gz", &lines(100..200));
    for number in 0..5 {
        bed.write(&format!("{number}.log"), &lines(200..300));
    }
    for _ in 0..100 {
        bed.turn(SECOND / 10);
    }
    assert!(bed.came.is_empty(), "{:?}", bed.came);
    assert_eq!(bed.tail.asleep.len(), 6);
    for number in 0..5 {
        bed.write(&format!("{number}.log"), &lines(number..number + 1));
    }
    // Under its next name it is the same still.
    fs::rename(bed.path("app.log.1.gz"), bed.path("app.log.2.gz")).unwrap();
    bed.gzip("app.log.1.gz", &lines(5..9));
    for _ in 0..200 {
        bed.turn(SECOND / 10);
    }
    bed.came.sort();
    bed.expect(0..9);
}

#[test]
fn a_pipe_without_a_name_is_read_to_its_end_when_there_is_room_again() {
    let mut bed = Bed::new();
    make_pipe(&bed.path("pipe"));
    bed.turn(SECOND);
    let mut pipe = File::options().write(true).open(bed.path("pipe")).unwrap();
    fs::remove_file(bed.path("pipe")).unwrap();
    pipe.write_all(lines(0..10).as_bytes()).unwrap();
    bed.refusals.set(usize::MAX);
    bed.turn(20 * SECOND);
    bed.refusals.set(0);
    bed.turn(20 * SECOND);
    bed.turn(20 * SECOND);
    bed.expect(0..10);
    assert!(bed.tail.files.is_empty());
}

#[test]
fn a_log_that_is_rotated_before_it_was_ever_seen_is_read() {
    let mut bed = Bed::of("app.log");
    bed.turn(SECOND);
    std::thread::sleep(SECOND / 20);
    bed.write("app.log", &lines(0..10));
    fs::rename(bed.path("app.log"), bed.path("app-09-59-59.log")).unwrap();
    std::thread::sleep(SECOND / 20);
    bed.write("app.log", &lines(10..20));
    for _ in 0..20 {
        bed.turn(SECOND);
    }
    bed.expect(0..20);
}
