//! The files, their writers, the tail, and what comes out of it.

use super::Op;
use super::start::{start, start_tail};
use super::writer::{GENERATIONS, Line, Writer, inode_at};
use crate::checkpoint::{Checkpoint, Entry, Event, unix_seconds};
use crate::model::{FileId, LogBatch, Position};
use crate::parse::ParseContext;
use crate::tail::Tail;
use crate::tail::batch::{Abandoned, Pass};
use crate::tail::watch::Stop;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fs::{self, File};
use std::io::{Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Batches that the lanes take before they are full.
const QUEUE_BATCHES: usize = 6;

/// Bytes that a slow copy gets at a time.
const COPY_PIECE_BYTES: usize = 50;

/// Lines of one sealed batch with their offsets.
type Sealed = (Vec<(Line, u64)>, Position);

pub(super) struct World {
    folder: tempfile::TempDir,
    glob: PathBuf,
    identity_wait: Duration,
    /// A writer, and the copy that is being made of its file.
    copying: Option<(usize, File)>,
    writers: Vec<Writer>,
    tail: Tail,
    pending: RefCell<VecDeque<Sealed>>,
    events: mpsc::Receiver<Event>,
    checkpoint: Checkpoint,
    saved: Vec<(FileId, Entry)>,
    now: Instant,
    /// In order, with file and offset.
    delivered: Vec<(Line, FileId, u64)>,
    /// How many of them were delivered when the checkpoint was saved.
    n_saved: usize,
    /// How many of them the order was checked of.
    n_checked: usize,
    /// Lines that nobody could have saved.
    excused: BTreeSet<Line>,
    /// Lines that a kill may have repeated.
    may_repeat: BTreeSet<Line>,
    /// Files that no checkpoint tells of and no glob matches.
    unheard: BTreeSet<u64>,
    /// Lines in files that no name leads to any more: only a tail that holds them open has them.
    deleted: BTreeSet<Line>,
    wrong: Vec<String>,
}

impl World {
    pub(super) fn new(glob: &str, is_appending: bool, identity_wait: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let logs = folder.path().join("logs");
        fs::create_dir_all(&logs).unwrap();
        fs::create_dir_all(folder.path().join("targets")).unwrap();
        let writers = (0..2).map(|number| Writer::new(&logs, number, is_appending)).collect();
        let (now, glob) = (Instant::now(), logs.join(glob));
        let (tail, events) = start_tail(&glob, identity_wait, Vec::new(), now);
        let mut world = Self {
            folder,
            glob,
            identity_wait,
            copying: None,
            writers,
            tail,
            pending: RefCell::default(),
            events,
            checkpoint: Checkpoint::default(),
            saved: Vec::new(),
            now,
            delivered: Vec::new(),
            n_saved: 0,
            n_checked: 0,
            excused: BTreeSet::new(),
            may_repeat: BTreeSet::new(),
            unheard: BTreeSet::new(),
            deleted: BTreeSet::new(),
            wrong: Vec::new(),
        };
        // What comes and goes before the first look under a name that no glob matches, nobody sees.
        world.apply(Op::Turn(0));
        world.apply(Op::Save);
        world
    }

    pub(super) fn apply(&mut self, op: Op) {
        match op {
            Op::Turn(_) => self.grow_copy(),
            Op::Write(..) | Op::Deliver(_) | Op::Save => {}
            _ => self.end_copy(),
        }
        match op {
            Op::CopySlowly(writer, parts) => self.copy_slowly(writer, parts),
            Op::Write(writer, lines) => {
                self.writers[writer].write(lines);
                self.note_deleted(writer);
            }
            Op::WriteHalf(writer) => {
                self.writers[writer].write_half();
                self.note_deleted(writer);
            }
            Op::Rename(writer) => {
                self.rename(writer);
                self.writers[writer].reopen();
            }
            Op::RenameOnly(writer) => self.rename(writer),
            Op::Reopen(writer) => self.writers[writer].reopen(),
            Op::CopyTruncate(writer) => self.copy_truncate(writer),
            Op::Truncate(writer) => self.truncate(writer),
            Op::Restart(writer) => {
                self.truncate(writer);
                self.writers[writer].file.rewind().unwrap();
                self.writers[writer].write(1);
            }
            Op::Recreate(writer) => {
                self.delete(writer);
                self.writers[writer].reopen();
            }
            Op::SwapLink(writer) => self.swap_link(writer),
            Op::Compress(writer) => self.compress(writer),
            Op::Turn(ms) => self.turn(Duration::from_millis(ms.into())),
            Op::Deliver(batches) => self.deliver(batches.into()),
            Op::Save => self.save(),
            Op::Kill => self.kill(),
            Op::Stop => self.stop(),
            Op::Reload => self.reload(),
        }
        self.excuse_written_to_unheard();
    }

    fn rename(&mut self, writer: usize) {
        self.writers[writer].settle();
        let deleted = self.writers[writer].shift();
        for inode in deleted {
            self.lose_name(inode);
        }
        let it = &self.writers[writer];
        let _ = fs::rename(&it.path, it.generation(1, ""));
        let inode = it.inode();
        if !self.is_held(inode) {
            self.excuse_unheard(writer, [inode].into());
        }
    }

    fn copy_slowly(&mut self, writer: usize, parts: u8) {
        self.writers[writer].settle();
        let inode = self.writers[writer].inode();
        // Nobody can tell the copy of a file that waits itself.
        let is_intact = self.tail.files.iter_mut().any(|it| {
            it.file.inode().inode == inode
                && it.file.position() > 0
                && it.file.is_overwritten().is_none()
        });
        if inode_at(&self.writers[writer].path) != Some(inode) || !is_intact {
            return;
        }
        for inode in self.writers[writer].shift() {
            self.lose_name(inode);
        }
        let copy = File::create(self.writers[writer].generation(1, "")).unwrap();
        self.copying = Some((writer, copy));
        (0..parts).for_each(|_| self.grow_copy());
    }

    fn grow_copy(&mut self) {
        let Some((writer, copy)) = &mut self.copying else { return };
        let text = fs::read(&self.writers[*writer].path).unwrap();
        let from = copy.metadata().unwrap().len() as usize;
        copy.write_all(&text[from..text.len().min(from + COPY_PIECE_BYTES)]).unwrap();
        if from == text.len() {
            self.end_copy();
        }
    }

    fn end_copy(&mut self) {
        let Some((writer, mut copy)) = self.copying.take() else { return };
        self.writers[writer].settle();
        let text = fs::read(&self.writers[writer].path).unwrap();
        let from = copy.metadata().unwrap().len() as usize;
        copy.write_all(&text[from..]).unwrap();
        let lines = self.writers[writer].truncate();
        self.writers[writer].written.insert(copy.metadata().unwrap().ino(), lines);
    }

    fn copy_truncate(&mut self, writer: usize) {
        self.writers[writer].settle();
        if inode_at(&self.writers[writer].path) != Some(self.writers[writer].inode()) {
            return;
        }
        let deleted = self.writers[writer].shift();
        for inode in deleted {
            self.lose_name(inode);
        }
        // Nobody sees what comes and goes between two looks at an empty file, if it goes to a name
        // that no glob matches.
        let inode = self.writers[writer].inode();
        let is_begun = self
            .tail
            .files
            .iter()
            .any(|it| it.file.inode().inode == inode && it.file.position() > 0);
        if !is_begun && !self.glob.ends_with("w*.log*") {
            self.excuse(self.lines_of(inode));
        }
        let it = &mut self.writers[writer];
        let copy = it.generation(1, "");
        fs::copy(&it.path, &copy).unwrap();
        let lines = it.truncate();
        it.written.insert(inode_at(&copy).unwrap(), lines);
    }

    fn truncate(&mut self, writer: usize) {
        self.writers[writer].settle();
        let lines = self.writers[writer].truncate();
        self.excuse(lines);
    }

    fn delete(&mut self, writer: usize) {
        self.writers[writer].settle();
        let path = self.writers[writer].path.clone();
        if let Some(inode) = inode_at(&path) {
            fs::remove_file(&path).unwrap();
            self.lose_name(inode);
        }
    }

    fn swap_link(&mut self, writer: usize) {
        self.delete(writer);
        let it = &mut self.writers[writer];
        it.n_links += 1;
        let target = self.folder.path().join(format!("targets/{writer}-{}", it.n_links));
        File::create(&target).unwrap();
        std::os::unix::fs::symlink(target, &it.path).unwrap();
        it.reopen();
    }

    fn compress(&mut self, writer: usize) {
        let it = &mut self.writers[writer];
        let inode = it.inode();
        // A file that is still written is not compressed, or what is written to it is lost.
        let is_ready = |plain: &PathBuf| inode_at(plain).is_some_and(|at| at != inode);
        let plain = (1..=GENERATIONS).map(|index| it.generation(index, "")).find(is_ready);
        let Some(plain) = plain else { return };
        let text = fs::read(&plain).unwrap();
        let metadata = fs::metadata(&plain).unwrap();
        let archive = PathBuf::from(format!("{}.gz", plain.display()));
        let file = File::create(&archive).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        gzip.write_all(&text).unwrap();
        // As gzip does.
        gzip.finish().unwrap().set_modified(metadata.modified().unwrap()).unwrap();
        fs::remove_file(&plain).unwrap();
        let lines = it.written.remove(&metadata.ino()).unwrap_or_default();
        it.written.insert(inode_at(&archive).unwrap(), lines);
    }

    fn lines_of(&self, inode: u64) -> BTreeSet<Line> {
        self.writers.iter().filter_map(|it| it.written.get(&inode)).flatten().copied().collect()
    }

    fn excuse(&mut self, mut lines: BTreeSet<Line>) {
        for (line, ..) in &self.delivered {
            lines.remove(line);
        }
        self.excused.extend(lines);
    }

    /// While files of a log wait for their job, no checkpoint tells of that log: nobody looks for
    /// them under names that no glob matches, if no tail has them open.
    fn excuse_unheard(&mut self, writer: usize, inodes: BTreeSet<u64>) {
        let path = &self.writers[writer].path;
        let is_heard = self.saved.iter().any(|(_, entry)| entry.path == *path);
        if !self.identity_wait.is_zero() && !is_heard && !self.glob.ends_with("w*.log*") {
            self.unheard.extend(inodes);
            self.excuse_written_to_unheard();
        }
    }

    fn excuse_written_to_unheard(&mut self) {
        for inode in self.writers.iter().filter_map(|it| inode_at(&it.path)) {
            self.unheard.remove(&inode);
        }
        let lines = self.unheard.iter().flat_map(|inode| self.lines_of(*inode)).collect();
        self.excuse(lines);
    }

    /// What was written to a file without a name may be lost as well.
    fn note_deleted(&mut self, writer: usize) {
        if self.writers[writer].file.metadata().unwrap().nlink() == 0 {
            self.lose_name(self.writers[writer].inode());
        }
    }

    /// The last name of a file is gone: what the tail has open, it still reads. The number may soon
    /// be another file's.
    fn lose_name(&mut self, inode: u64) {
        let lines = self.lines_of(inode);
        self.writers.iter_mut().for_each(|it| _ = it.written.remove(&inode));
        self.deleted.extend(&lines);
        if !self.is_held(inode) {
            self.excuse(lines);
        }
    }

    fn is_held(&self, inode: u64) -> bool {
        self.tail.files.iter().any(|it| it.file.inode().inode == inode)
            || self.tail.waiting.iter().any(|it| it.inode.inode == inode)
    }

    fn turn(&mut self, time: Duration) {
        if time > Duration::from_secs(5) {
            // A half line that is left alone for long is given up as it is.
            self.writers.iter_mut().for_each(Writer::settle);
        }
        self.now += time;
        self.work(QUEUE_BATCHES, |tail, pass| while tail.turn(pass).unwrap().has_more {});
    }

    /// Lets the tail do something; the lanes take so many batches.
    fn work(&mut self, batches_max: usize, act: impl FnOnce(&mut Tail, &mut Pass<'_>)) {
        let pending = &self.pending;
        let mut emit = |logs, position| {
            pending.borrow_mut().push_back(sealed(&logs, position));
            Ok::<(), Abandoned>(())
        };
        let has_room = || pending.borrow().len() < batches_max;
        let mut context = ParseContext::new(jiff::tz::TimeZone::UTC);
        let mut pass = self.tail.pass(&mut context, &mut emit, &has_room, self.now);
        act(&mut self.tail, &mut pass);
        self.hear();
    }

    fn hear(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            self.checkpoint.apply(event, unix_seconds());
        }
    }

    fn deliver(&mut self, batches: usize) {
        for _ in 0..batches {
            let Some((lines, position)) = self.pending.borrow_mut().pop_front() else { break };
            for (line, offset) in lines {
                self.delivered.push((line, position.file, offset));
            }
            self.checkpoint.apply(Event::Settled(position), unix_seconds());
        }
    }

    fn save(&mut self) {
        self.saved = self.checkpoint.entries().map(|(id, entry)| (id, entry.clone())).collect();
        self.n_saved = self.delivered.len();
    }

    fn kill(&mut self) {
        let repeated = self.delivered[self.n_saved..].iter().map(|(line, ..)| *line);
        self.may_repeat.extend(repeated);
        self.start_again();
    }

    fn stop(&mut self) {
        let stop = Stop::new().unwrap();
        stop.drain();
        self.writers.iter_mut().for_each(Writer::settle);
        self.turn(Duration::ZERO);
        self.deliver(usize::MAX);
        self.work(usize::MAX, |tail, pass| tail.finish(&stop, pass).unwrap());
        self.deliver(usize::MAX);
        self.save();
        self.start_again();
    }

    fn reload(&mut self) {
        let (wait, events) = (self.identity_wait, self.tail.events.clone());
        let start = start(&self.glob, wait, Vec::new(), events);
        let (placeholder, _) = start_tail(&self.glob, wait, Vec::new(), self.now);
        let tail = std::mem::replace(&mut self.tail, placeholder);
        self.tail = *Box::new(tail).renew(start, self.now);
        self.work(usize::MAX, |tail, pass| tail.take_up_config(pass).unwrap());
    }

    fn start_again(&mut self) {
        self.pending.borrow_mut().clear();
        self.excuse(self.deleted.clone());
        for writer in 0..self.writers.len() {
            let it = &self.writers[writer];
            let inodes = it.written.keys().copied().chain([it.inode()]).collect();
            self.excuse_unheard(writer, inodes);
        }
        self.check_order();
        let entries = self.saved.clone();
        let (tail, events) = start_tail(&self.glob, self.identity_wait, entries, self.now);
        (self.tail, self.events) = (tail, events);
        self.checkpoint = Checkpoint::new(self.saved.clone());
        self.n_saved = self.delivered.len();
    }

    /// Lets everything come to rest.
    pub(super) fn end(&mut self) {
        self.end_copy();
        self.writers.iter_mut().for_each(Writer::settle);
        for _ in 0..100 {
            self.turn(Duration::from_secs(2));
            self.deliver(usize::MAX);
        }
        self.check_order();
    }

    /// Within one life, offsets of one file ascend.
    fn check_order(&mut self) {
        let mut last: HashMap<FileId, u64> = HashMap::new();
        for (line, file, offset) in &self.delivered[self.n_checked..] {
            if last.insert(*file, *offset).is_some_and(|last| last >= *offset) {
                self.wrong.push(format!("{line:?} is out of order"));
            }
        }
        self.n_checked = self.delivered.len();
    }

    pub(super) fn wrong(mut self) -> Vec<String> {
        let mut times: BTreeMap<Line, usize> = BTreeMap::new();
        for (line, ..) in &self.delivered {
            *times.entry(*line).or_default() += 1;
        }
        for writer in &self.writers {
            for number in 0..writer.n_lines {
                let line = (writer.number, number);
                let n = times.get(&line).copied().unwrap_or(0);
                if n == 0 && !self.excused.contains(&line) {
                    self.wrong.push(format!("{line:?} is lost"));
                }
                if n > 1 && !self.may_repeat.contains(&line) {
                    self.wrong.push(format!("{line:?} came {n} times"));
                }
            }
        }
        self.wrong
    }
}

/// The lines of a batch. Anything else in it is wrong, and shows as a line of nobody.
fn sealed(logs: &LogBatch, position: Position) -> Sealed {
    let line = |record: &crate::model::LogRecord| {
        let body = String::from_utf8_lossy(logs.text.get(&record.body)).into_owned();
        let mut words = body.split(' ').skip(1);
        let mut number = || words.next().and_then(|word| word.parse().ok());
        let line = (number().unwrap_or(u64::MAX) as usize, number().unwrap_or(u64::MAX));
        assert_ne!(line.1, u64::MAX, "no whole line: {body:?}");
        (line, record.offset)
    };
    (logs.records.iter().map(line).collect(), position)
}
