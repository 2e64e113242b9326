//! The spool of one lane: batches on disk, in order, while the destination does not take them.
//!
//! Segments are appended to and synced before a batch counts as stored; they are read from the
//! oldest on and removed when they are delivered. How far that is stands in `cursor`. Whatever is
//! damaged is left out, counted, and the rest is delivered.

pub(super) mod codec;
mod open;
mod read;
pub(super) mod segment;
#[cfg(test)]
mod tests;

pub(super) use open::parked_targets;
pub use open::{OpenError, orphans};

pub(super) use codec::redacted;

use crate::model::LogBatch;
use crate::policy::Redactors;
use crate::telemetry;
use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A segment is closed at this size: what is read back is in memory as a whole.
const SEGMENT_BYTES: u64 = 2 << 20;
/// A spool has at least so many segments, so that a small one is not full until all is delivered.
const SEGMENTS_MIN: u64 = 8;
/// Folder of all spools in the state folder.
const FOLDER: &str = "spool";
const CURSOR: &str = "cursor";

/// What stands in a spool, readable while it is written.
#[derive(Debug, Default)]
pub struct Level {
    batches: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
}

impl Level {
    /// Batches that are not delivered yet.
    #[must_use]
    pub fn batches(&self) -> u64 {
        self.batches.load(Ordering::Relaxed)
    }

    /// Records in them.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// Bytes on disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Why not every batch was stored.
#[derive(Debug)]
pub(super) enum Stop {
    /// The next one would go over the cap.
    Full,
    /// The disk did not take it.
    Failed(io::Error),
}

/// One file of frames.
#[derive(Debug)]
struct Segment {
    number: u64,
    bytes: u64,
    /// Batches and records in it that are not delivered yet, as far as their heads can be read.
    batches: u64,
    records: u64,
}

/// A damaged segment that was put aside.
#[derive(Debug)]
struct Quarantined {
    number: u64,
    bytes: u64,
}

/// The segment that is appended to; the last one.
#[derive(Debug)]
struct Writing {
    file: File,
    salt: u64,
    /// A sync failed. The system says that once, and calls the next one good all the same.
    has_failed: bool,
}

/// The spool of one exporter. Every call may wait for the disk.
#[derive(Debug)]
pub struct Spool {
    exporter: &'static str,
    /// True for one target of several: what is in it is counted elsewhere.
    is_parked: bool,
    folder: PathBuf,
    bytes_max: u64,
    segments: VecDeque<Segment>,
    quarantined: VecDeque<Quarantined>,
    writing: Option<Writing>,
    reading: Option<read::Reading>,
    next_number: u64,
    next_sequence: u64,
    /// Sequence of the first batch that is not delivered.
    delivered_to: u64,
    cursor: Option<File>,
    level: Arc<Level>,
    frame: Vec<u8>,
    /// Fingerprint of the rules that what is appended was redacted with.
    rules: Option<u64>,
}

impl Spool {
    /// What is in it, for others to look at.
    #[must_use]
    pub fn level(&self) -> Arc<Level> {
        self.level.clone()
    }

    /// Says which rules all that is appended from here on was redacted with; none when that is not
    /// known, and it has to be redacted again when it is read.
    pub(super) fn set_rules(&mut self, fingerprint: Option<u64>) {
        self.rules = fingerprint;
    }

    /// Appends batches until one does not fit, and syncs. Returns how many of them are safe now.
    pub(super) fn append(&mut self, batches: &[&LogBatch]) -> (usize, Option<Stop>) {
        let (mut n_written, mut n_safe, mut stop) = (0, 0, None);
        for logs in batches {
            let ready = self.close_full_segment().and_then(|is_closed| {
                if is_closed {
                    n_safe = n_written;
                }
                if self.writing.is_none() { self.open_segment() } else { Ok(()) }
            });
            if let Err(reason) = ready.map_err(Stop::Failed).and_then(|()| self.write(logs)) {
                stop = Some(reason);
                break;
            }
            n_written += 1;
        }
        match self.sync() {
            Ok(()) => n_safe = n_written,
            // What came first says more.
            Err(_) if matches!(stop, Some(Stop::Failed(_))) => {}
            Err(error) => stop = Some(Stop::Failed(error)),
        }
        if matches!(stop, Some(Stop::Failed(_))) {
            telemetry::SPOOL_ERRORS.add(self.exporter, 1);
            self.roll_back(&batches[n_safe..n_written]);
        }
        self.remove_empty();
        let records: usize = batches[..n_safe].iter().map(|logs| logs.records.len()).sum();
        telemetry::SPOOLED_BATCHES.add(self.exporter, n_safe as u64);
        telemetry::SPOOLED_RECORDS.add(self.exporter, records as u64);
        self.report();
        (n_safe, stop)
    }

    /// True when the segment was full, and is synced and closed now.
    fn close_full_segment(&mut self) -> io::Result<bool> {
        let segment_bytes = SEGMENT_BYTES.min(self.bytes_max / SEGMENTS_MIN);
        let is_full = self.segments.back().is_some_and(|last| last.bytes >= segment_bytes);
        if self.writing.is_none() || !is_full {
            return Ok(false);
        }
        self.sync()?;
        self.writing = None;
        Ok(true)
    }

    fn open_segment(&mut self) -> io::Result<()> {
        make_folder(&self.folder)?;
        let number = self.next_number;
        self.next_number += 1;
        // One that stands there is somebody else's.
        let mut file = File::options()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(segment_path(&self.folder, number))?;
        self.segments.push_back(Segment { number, bytes: 0, batches: 0, records: 0 });
        let salt = crate::model::FileId::random().0;
        file.write_all(&segment::header(salt))?;
        // The file itself is durable only once its folder is.
        File::open(&self.folder)?.sync_all()?;
        self.grow(segment::HEADER_BYTES as u64, 0);
        self.writing = Some(Writing { file, salt, has_failed: false });
        Ok(())
    }

    fn write(&mut self, logs: &LogBatch) -> Result<(), Stop> {
        let Some(writing) = &mut self.writing else { return Ok(()) };
        let (sequence, n_records) = (self.next_sequence, logs.records.len());
        let rules = self.rules;
        let encode = |out: &mut Vec<u8>| codec::encode(logs, rules, out);
        segment::write_frame(&mut self.frame, writing.salt, sequence, n_records, encode)
            .map_err(Stop::Failed)?;
        let n_bytes = self.frame.len() as u64;
        if !make_room(&self.folder, n_bytes, self.bytes_max, &self.segments, &mut self.quarantined)
        {
            return Err(Stop::Full);
        }
        writing.file.write_all(&self.frame).map_err(Stop::Failed)?;
        self.next_sequence += 1;
        self.grow(n_bytes, n_records as u64);
        Ok(())
    }

    /// Notes what was appended to the last segment: a frame, or the header when it has no records.
    fn grow(&mut self, n_bytes: u64, n_records: u64) {
        if let Some(last) = self.segments.back_mut() {
            last.bytes += n_bytes;
            last.records += n_records;
            last.batches += u64::from(n_records > 0);
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let Some(writing) = &mut self.writing else { return Ok(()) };
        if writing.has_failed {
            return Err(io::Error::other("the disk has not kept what was written before"));
        }
        writing.file.sync_data().inspect_err(|_| writing.has_failed = true)
    }

    /// Takes frames off the end that are not known to be on the disk; they are written again.
    fn roll_back(&mut self, batches: &[&LogBatch]) {
        let writing = self.writing.take();
        let Some(last) = self.segments.back_mut() else { return };
        last.batches = last.batches.saturating_sub(batches.len() as u64);
        for logs in batches {
            last.records = last.records.saturating_sub(logs.records.len() as u64);
            segment_frame_bytes(logs, self.rules, &mut self.frame);
            last.bytes = last.bytes.saturating_sub(self.frame.len() as u64);
        }
        if let Some(writing) = writing {
            // A half frame that stays behind is found to be damage when it is read, and costs nothing.
            let _ = writing.file.set_len(last.bytes);
        }
    }

    /// Removes the last segment when nothing got into it.
    fn remove_empty(&mut self) {
        let header = segment::HEADER_BYTES as u64;
        if let Some(last) = self.segments.pop_back_if(|last| last.bytes <= header) {
            self.writing = None;
            let _ = fs::remove_file(segment_path(&self.folder, last.number));
        }
    }

    /// The oldest batch that is not delivered, redacted again when the rules are other ones; none when
    /// there is none.
    ///
    /// # Errors
    /// When the disk does not give it. What is damaged is no error: it is put aside.
    pub(super) fn front(&mut self, redactors: &Redactors) -> io::Result<Option<LogBatch>> {
        loop {
            let Some(payload) = self.front_payload()? else {
                self.report();
                return Ok(None);
            };
            if let Some(logs) = codec::decode(payload, redactors) {
                return Ok(Some(logs));
            }
            // Written by a version that this one does not understand.
            self.note_damage();
            self.advance();
        }
    }

    /// Says that the batch at the front is delivered.
    pub(super) fn advance(&mut self) {
        let Some(front) = self.reading.as_mut().and_then(|reading| reading.pass_front()) else {
            return;
        };
        self.delivered_to = front.sequence + 1;
        // What is stored from here on must not be taken for delivered, whatever was counted.
        self.next_sequence = self.next_sequence.max(self.delivered_to);
        if let Some(segment) = self.segments.front_mut() {
            segment.batches = segment.batches.saturating_sub(1);
            segment.records = segment.records.saturating_sub(u64::from(front.n_records));
        }
        self.write_cursor();
        if self.reading.as_ref().is_some_and(read::Reading::is_at_end) {
            self.finish_segment();
        }
        telemetry::SPOOL_DRAINED_BATCHES.add(self.exporter, 1);
        self.report();
    }

    /// Synced with each segment that is done, so that a loss of power repeats no more than one.
    fn write_cursor(&mut self) {
        static FAILED: telemetry::RateLimit = telemetry::RateLimit::new();
        let mut bytes = self.delivered_to.to_le_bytes().to_vec();
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        let path = self.folder.join(CURSOR);
        let written = match &self.cursor {
            Some(file) => file.write_all_at(&bytes, 0),
            None => private_file(&path).and_then(|file| {
                file.write_all_at(&bytes, 0)?;
                File::open(&self.folder)?.sync_all()?;
                self.cursor = Some(file);
                Ok(())
            }),
        };
        if let Err(error) = written {
            telemetry::SPOOL_ERRORS.add(self.exporter, 1);
            if FAILED.admit().is_some() {
                let exporter = self.exporter;
                tracing::warn!(exporter, %error, "cursor of the spool not written; a crash repeats more");
            }
        }
    }

    fn report(&self) {
        let sum = |of: fn(&Segment) -> u64| self.segments.iter().map(of).sum::<u64>();
        let quarantined: u64 = self.quarantined.iter().map(|it| it.bytes).sum();
        // One that is being read may have more in it than was counted; newer ones come behind that.
        let is_read_on = self.reading.as_ref().is_some_and(|reading| !reading.is_at_end());
        let batches = sum(|it| it.batches).max(u64::from(is_read_on));
        let bytes = sum(|it| it.bytes) + quarantined;
        self.level.batches.store(batches, Ordering::Relaxed);
        self.level.records.store(sum(|it| it.records), Ordering::Relaxed);
        self.level.bytes.store(bytes, Ordering::Relaxed);
        if !self.is_parked {
            telemetry::SPOOL_BATCHES.set(self.exporter, batches as f64);
            telemetry::SPOOL_BYTES.set(self.exporter, bytes as f64);
        }
    }
}

/// Length of a frame, by writing it: only after a failed write.
fn segment_frame_bytes(logs: &LogBatch, rules: Option<u64>, frame: &mut Vec<u8>) {
    let _ = segment::write_frame(frame, 0, 0, 0, |out| codec::encode(logs, rules, out));
}

/// Drops the oldest of what was put aside until there is room; false when that is not enough.
fn make_room(
    folder: &Path,
    n_bytes: u64,
    bytes_max: u64,
    segments: &VecDeque<Segment>,
    quarantined: &mut VecDeque<Quarantined>,
) -> bool {
    let used: u64 = segments.iter().map(|it| it.bytes).sum();
    loop {
        let aside: u64 = quarantined.iter().map(|it| it.bytes).sum();
        if used + aside + n_bytes <= bytes_max {
            return true;
        }
        let Some(oldest) = quarantined.pop_front() else { return false };
        let _ = fs::remove_file(quarantine_path(folder, oldest.number));
    }
}

fn segment_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:012}.segment"))
}

fn quarantine_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:012}.corrupt"))
}

/// Makes the folder and its parents for this user alone, and makes them durable.
///
/// # Errors
/// When the disk does not take it.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // Levels that are ours: that of all exporters, that of this one, and two for what is parked.
    for parent in folder.ancestors().skip(1).take(4) {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

/// A file for this user alone, made if need be.
pub(super) fn private_file(path: &Path) -> io::Result<File> {
    File::options().create(true).write(true).truncate(false).mode(0o600).open(path)
}
