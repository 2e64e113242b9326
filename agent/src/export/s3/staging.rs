//! The staging area: segments on disk that grow until each becomes one object of the archive.
//!
//! A record counts as delivered once it is synced here. A segment holds batches of one partition, as
//! frames of the spool; it is sealed when it is large or old enough, and removed when the object that
//! was made of it and the manifest that names it are in the bucket.

use super::aside;
use super::book::{Book, Bytes};
use super::frames::Frames;
use super::growing::Growing;
use super::object::Made;
use super::partition::{Partition, Piece};
use super::repeats::unstaged;
use crate::export::spool::{codec, segment};
use crate::model::{Coverage, FileId, LogBatch, LogRecord};
use crate::policy::Redactors;
use crate::{telemetry, trace};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tokio::time::Instant;

/// Folder in the state folder.
const FOLDER: &str = "s3";
/// What becomes of a byte of a segment, until the first object tells: about what real logs give.
const RATIO: f64 = 0.1;
/// Weight of the newest object in that.
const RATIO_WEIGHT: f64 = 0.3;
/// Segments over the limit that are open while a batch is written, so that all of it can go back when
/// its end finds no room. A batch of very many hours has more, and may leave a part behind then.
const OPEN_MORE: usize = 64;
/// How often, and how far apart, the lock is asked for.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(20);
/// A segment is not larger, however well it compresses.
const SEGMENT_BYTES_MAX: u64 = 512 << 20;

/// When segments are sealed, and how much there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Of all segments.
    pub(super) bytes_max: u64,
    /// Of an object, as far as that is known before.
    pub(super) object_bytes: u64,
    /// Of the oldest record in a segment.
    pub(super) object_age: std::time::Duration,
    /// Segments that are open at a time.
    pub(super) partitions_max: usize,
    /// Segments at all: each is a file, and one object or none.
    pub(super) segments_max: usize,
}

/// Why a batch was not staged.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    /// There is no room.
    #[error(
        "the staging area is full: staging_bytes_max is reached, or it has too many files, and S3 takes \
         too little"
    )]
    Full,
    /// The disk did not take it.
    #[error("the staging area cannot be written: {0}")]
    Failed(#[from] io::Error),
}

/// A segment that does not change any more.
#[derive(Debug)]
struct Sealed {
    number: u64,
    bytes: u64,
    n_records: u64,
    /// None for one that an earlier life left.
    partition: Option<Partition>,
    /// Its object was not taken while others may be.
    is_put_back: bool,
}

/// A segment that is to become an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Next {
    /// Its number.
    pub(super) number: u64,
    /// Its file.
    pub(super) path: PathBuf,
    /// How long it is.
    pub(super) bytes: u64,
    /// Name of the object, without folder and ending.
    pub(super) name: String,
    /// True when an earlier life left it, and maybe a part of the object.
    pub(super) is_left_over: bool,
}

/// See the head of the file. Every call may wait for the disk.
#[derive(Debug)]
pub(super) struct Staging {
    folder: PathBuf,
    limits: Limits,
    /// Rules that what is staged was redacted with, when they are known.
    rules: Option<u64>,
    book: Book,
    open: Vec<Growing>,
    sealed: VecDeque<Sealed>,
    ratio: f64,
    frame: Vec<u8>,
    /// Held as long as this is.
    _lock: File,
}

impl Staging {
    /// Opens the one in the state folder, for an archive at `place`. What an earlier life left is
    /// sealed.
    ///
    /// # Errors
    /// When it cannot be read, or another one is open.
    pub(super) fn open(
        state_dir: &Path,
        place: &str,
        limits: Limits,
        rules: Option<u64>,
        redactors: &Redactors,
    ) -> io::Result<Self> {
        let folder = state_dir.join(FOLDER);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        File::open(state_dir)?.sync_all()?;
        let mut options = File::options();
        let lock = options.create(true).truncate(false).write(true).mode(0o600);
        let lock = lock.open(folder.join("lock"))?;
        // The exporter of the config before lets go of it in a moment.
        let mut n_tries = 0;
        while let Err(error) = lock.try_lock() {
            if n_tries == LOCK_TRIES {
                return Err(error.into());
            }
            n_tries += 1;
            std::thread::sleep(LOCK_PAUSE);
        }
        let mut staging = Self {
            book: Book::open(&folder, place, redactors)?,
            folder,
            limits,
            rules,
            open: Vec::new(),
            sealed: VecDeque::new(),
            ratio: RATIO,
            frame: Vec::new(),
            _lock: lock,
        };
        staging.look()?;
        staging.book.write()?;
        staging.report();
        Ok(staging)
    }

    /// Finds the segments of an earlier life.
    fn look(&mut self) -> io::Result<()> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            numbers.extend(number.filter(|number| path == self.path(*number)));
        }
        numbers.sort_unstable();
        let mut staged: Vec<(FileId, Bytes)> = Vec::new();
        for number in numbers {
            self.book.note_number(number);
            let path = self.path(number);
            let Some(mut frames) = Frames::open(&path)? else {
                // One without a whole header was never synced, or is damaged.
                let bytes = fs::metadata(&path)?.len();
                if bytes <= segment::HEADER_BYTES as u64 {
                    fs::remove_file(&path)?;
                } else {
                    aside::keep(&path, bytes, self.limits.bytes_max)?;
                }
                continue;
            };
            let mut n_records = 0;
            while let Some(payload) = frames.next()? {
                let Some(head) = codec::head(payload) else { continue };
                n_records += head.n_records;
                staged.extend(head.file.zip(bytes_of(head.covers)));
            }
            let bytes = frames.written_end()?;
            if bytes <= segment::HEADER_BYTES as u64 {
                fs::remove_file(&path)?;
                continue;
            }
            // Half a frame at the end was not synced, so nobody counts on it.
            File::options().write(true).open(&path)?.set_len(bytes)?;
            self.sealed.push_back(Sealed {
                number,
                bytes,
                n_records,
                partition: None,
                is_put_back: false,
            });
        }
        // Those of a file are in several segments, and join when they come in order.
        staged.sort_unstable();
        staged.into_iter().for_each(|(file, bytes)| self.book.cover(file, bytes));
        Ok(())
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:012}.segment"))
    }

    /// Stages batches until one finds no room, and syncs. Returns how many of them are safe now.
    pub(super) fn append(&mut self, batches: Vec<LogBatch>, now: Instant) -> (usize, Option<Stop>) {
        let (mut n_written, mut stop) = (0, None);
        for logs in batches {
            self.open.iter_mut().for_each(Growing::begin_batch);
            if let Err(reason) = self.stage(logs, now) {
                self.open.iter_mut().for_each(Growing::forget_batch);
                stop = Some(reason);
                break;
            }
            n_written += 1;
        }
        let book = &mut self.book;
        let mut unsynced = self.open.iter_mut().filter(|open| open.is_unsynced());
        if let Err(error) = unsynced.try_for_each(|open| open.sync(book)) {
            // The system says that once, and calls the next sync of the file good all the same. What
            // other segments have of these batches is safe, and left out when they come again.
            self.open.iter_mut().for_each(Growing::forget_unsynced);
            self.seal_all();
            (n_written, stop) = (0, Some(Stop::Failed(error)));
        }
        match stop {
            Some(Stop::Full) => {
                telemetry::S3_STAGING_FULL.add(1);
                self.make_room();
            }
            Some(Stop::Failed(_)) => telemetry::S3_STAGING_ERRORS.add(1),
            None => {}
        }
        self.seal_large();
        self.report();
        (n_written, stop)
    }

    /// Writes what is not staged yet of one batch.
    fn stage(&mut self, mut logs: LogBatch, now: Instant) -> Result<(), Stop> {
        let last = logs.records.last().cloned().unwrap_or_default();
        let file = logs.resource.file_id.as_deref();
        let file = file.and_then(|id| trace::parse_id::<8>(id.as_bytes()));
        let file = file.map(|id| FileId(u64::from_be_bytes(id)));
        let staged = file.map_or(&[][..], |file| self.book.covered(file));
        for piece in unstaged(&mut logs, staged) {
            let record = logs.records.get(piece.records.start).unwrap_or(&last);
            let partition = Partition::of(&logs.resource, record);
            self.write(&logs, file, &piece, partition, now)?;
        }
        Ok(())
    }

    fn write(
        &mut self,
        logs: &LogBatch,
        file: Option<FileId>,
        piece: &Piece,
        partition: Partition,
        now: Instant,
    ) -> Result<(), Stop> {
        let known = self.open.iter().position(|open| open.partition == partition);
        let index = match known {
            Some(index) => index,
            None => self.open_segment(partition, now)?,
        };
        let records: &[LogRecord] = &logs.records[piece.records.clone()];
        let (covers, rules) = (piece.covers, self.rules);
        let used = self.bytes();
        let open = &mut self.open[index];
        let encode = |out: &mut Vec<u8>| codec::encode_part(logs, records, covers, rules, out);
        open.frame(&mut self.frame, records.len(), encode)?;
        // One batch always fits: else it would wait for ever.
        let is_empty = used <= segment::HEADER_BYTES as u64;
        if !is_empty && used + self.frame.len() as u64 > self.limits.bytes_max {
            return Err(Stop::Full);
        }
        open.write(&self.frame, records.len(), file.zip(bytes_of(covers)))?;
        Ok(())
    }

    fn open_segment(&mut self, partition: Partition, now: Instant) -> Result<usize, Stop> {
        if self.open.len() >= self.limits.partitions_max + OPEN_MORE {
            self.seal_oldest()?;
        }
        // They are small then, as they were sealed by age, and many while S3 takes nothing for days.
        if self.open.len() + self.sealed.len() >= self.limits.segments_max {
            return Err(Stop::Full);
        }
        let number = self.book.take_number();
        self.open.push(Growing::begin(&self.path(number), partition, number, now)?);
        // The file itself is durable only once its folder is.
        File::open(&self.folder)?.sync_all()?;
        Ok(self.open.len() - 1)
    }

    /// Seals the one that is open for longest, whatever is in it.
    fn seal_oldest(&mut self) -> io::Result<()> {
        self.sort_open();
        if let Some(oldest) = self.open.last_mut() {
            oldest.sync(&mut self.book)?;
            self.seal(self.open.len() - 1);
            telemetry::S3_CUT_EARLY.add("partitions", 1);
        }
        Ok(())
    }

    /// Seals those that are large enough, and those that are too many.
    fn seal_large(&mut self) {
        while self.open.len() > self.limits.partitions_max && self.seal_oldest().is_ok() {}
        let segment_bytes_max = SEGMENT_BYTES_MAX.min(self.limits.bytes_max / 4);
        for index in (0..self.open.len()).rev() {
            let bytes = self.open[index].bytes;
            let object_bytes = bytes as f64 * self.ratio;
            if object_bytes >= self.limits.object_bytes as f64 || bytes >= segment_bytes_max {
                self.seal(index);
            }
        }
    }

    /// Seals those whose first record is old enough.
    pub(super) fn seal_old(&mut self, now: Instant) {
        self.sort_open();
        for index in (0..self.open.len()).rev() {
            if now >= self.open[index].opened + self.limits.object_age {
                self.seal(index);
            }
        }
    }

    /// Seals all.
    pub(super) fn seal_all(&mut self) {
        self.sort_open();
        (0..self.open.len()).rev().for_each(|index| self.seal(index));
    }

    /// The oldest comes last, as sealing goes backwards: it becomes an object first.
    fn sort_open(&mut self) {
        self.open.sort_unstable_by_key(|open| std::cmp::Reverse(open.number));
    }

    /// When the next one is old enough.
    #[must_use]
    pub(super) fn next_age(&self) -> Option<Instant> {
        self.open.iter().map(|open| open.opened + self.limits.object_age).min()
    }

    /// When all is full, something must become an object.
    fn make_room(&mut self) {
        if self.sealed.is_empty() {
            let largest = self.open.iter().enumerate().max_by_key(|(_, open)| open.bytes);
            if let Some(index) = largest.map(|(index, _)| index) {
                telemetry::S3_CUT_EARLY.add("staging_full", 1);
                self.seal(index);
            }
        }
    }

    fn seal(&mut self, index: usize) {
        let Growing { partition, number, n_records, bytes, .. } = self.open.swap_remove(index);
        if bytes <= segment::HEADER_BYTES as u64 {
            // Nothing got into it. If it stays, the next start removes it.
            let _ = fs::remove_file(self.path(number));
            return;
        }
        let partition = Some(partition);
        self.sealed.push_back(Sealed { number, bytes, n_records, partition, is_put_back: false });
    }

    /// The oldest segment that is sealed.
    #[must_use]
    pub(super) fn front(&self) -> Option<Next> {
        self.sealed.front().map(|sealed| Next {
            number: sealed.number,
            path: self.path(sealed.number),
            bytes: sealed.bytes,
            name: format!("{}-{:012}", self.book.instance(), sealed.number),
            is_left_over: sealed.partition.is_none(),
        })
    }

    /// Notes that the object of the oldest sealed segment is in the bucket; manifests that are to be
    /// sent before the segment may go.
    ///
    /// # Errors
    /// When the disk does not take that.
    pub(super) fn note_object(&mut self, made: Made) -> io::Result<Vec<(String, Vec<u8>)>> {
        let Some(partition) = made.partition else { return Ok(self.book.unsent()) };
        let number = made.object.number;
        let sealed = self.sealed.iter().find(|it| it.number == number);
        if let Some(sealed) = sealed.filter(|_| made.object.compressed_bytes > 0) {
            let ratio = made.object.compressed_bytes as f64 / sealed.bytes as f64;
            self.ratio += (ratio - self.ratio) * RATIO_WEIGHT;
        }
        let (open, sealed) = (&self.open, &self.sealed);
        let is_staged = |job_name: &str, run_id: &str| {
            let is_same = |it: &Partition| (&*it.job_name, &*it.run_id) == (job_name, run_id);
            open.iter().any(|it| is_same(&it.partition))
                || sealed.iter().any(|it| it.partition.as_ref().is_none_or(is_same))
        };
        self.book.add(&partition, made.object, is_staged);
        self.book.write()?;
        Ok(self.book.unsent())
    }

    /// Says that the object of a segment is not taken: it waits behind the others.
    pub(super) fn put_back(&mut self, number: u64) {
        if let Some(index) = self.sealed.iter().position(|sealed| sealed.number == number) {
            let sealed = self.sealed.remove(index);
            self.sealed.extend(sealed.map(|sealed| Sealed { is_put_back: true, ..sealed }));
        }
    }

    /// True when something waits that was not taken.
    #[must_use]
    pub(super) fn is_any_put_back(&self) -> bool {
        self.sealed.iter().any(|sealed| sealed.is_put_back)
    }

    /// True when the bucket has all that there is to be told of the object of a segment.
    #[must_use]
    pub(super) fn is_told(&self, number: u64) -> bool {
        self.book.is_told(number)
    }

    /// Removes the segment with this number: its object and its manifest are in the bucket. One of
    /// which some bytes could not be read is kept aside.
    ///
    /// # Errors
    /// When the disk does not take that.
    pub(super) fn remove(&mut self, number: u64, n_damaged_bytes: u64) -> io::Result<()> {
        let path = self.path(number);
        if n_damaged_bytes > 0 {
            aside::keep(&path, n_damaged_bytes, self.limits.bytes_max)?;
        } else {
            fs::remove_file(path)?;
        }
        self.sealed.retain(|sealed| sealed.number != number);
        self.report();
        Ok(())
    }

    /// Manifests that the bucket does not have as they are.
    #[must_use]
    pub(super) fn unsent(&self) -> Vec<(String, Vec<u8>)> {
        self.book.unsent()
    }

    /// Says that the bucket has these manifests.
    pub(super) fn note_sent(&mut self, keys: &[String]) {
        self.book.note_sent(keys);
    }

    /// Says that nothing is left to archive of what was read, unless something is kept aside: nobody
    /// knows of which run that is.
    ///
    /// # Errors
    /// When the disk does not take that.
    pub(super) fn complete(&mut self) -> io::Result<()> {
        if aside::is_empty(&self.folder)? {
            self.book.complete();
        }
        self.book.write()
    }

    /// Records on the disk.
    #[must_use]
    pub(super) fn records(&self) -> u64 {
        let open: u64 = self.open.iter().map(|open| open.n_records).sum();
        open + self.sealed.iter().map(|sealed| sealed.n_records).sum::<u64>()
    }

    fn bytes(&self) -> u64 {
        let open: u64 = self.open.iter().map(|open| open.bytes).sum();
        open + self.sealed.iter().map(|sealed| sealed.bytes).sum::<u64>()
    }

    fn report(&self) {
        telemetry::S3_STAGED_BYTES.set(self.bytes() as f64);
    }
}

/// From and to, when there is something in between.
fn bytes_of(covers: Option<Coverage>) -> Option<Bytes> {
    covers.filter(|it| it.from < it.to).map(|it| (it.from, it.to))
}
