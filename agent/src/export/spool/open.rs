//! Finds what an earlier life left in a spool.

use super::{
    CURSOR, FOLDER, Level, Quarantined, Segment, Spool, quarantine_path, segment, segment_path,
};
use crate::telemetry;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What an earlier life left on the disk cannot be looked at.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read: {source}; give this user access to it, or move it away", path.display())]
pub struct OpenError {
    path: PathBuf,
    source: io::Error,
}

impl OpenError {
    pub(in crate::export) fn new(path: &Path, source: io::Error) -> Self {
        Self { path: path.to_owned(), source }
    }
}

/// Folder of what is parked for targets of an exporter, a folder for each.
fn parked_folder(state_dir: &Path, exporter: &str) -> PathBuf {
    state_dir.join(FOLDER).join(exporter).join("parked")
}

/// Targets of an exporter for which something was parked.
///
/// # Errors
/// When the folder cannot be read.
pub(in crate::export) fn parked_targets(
    state_dir: &Path,
    exporter: &str,
) -> Result<Vec<String>, OpenError> {
    let folder = parked_folder(state_dir, exporter);
    let failed = |source| OpenError::new(&folder, source);
    let entries = match fs::read_dir(&folder) {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(Vec::new());
        }
        entries => entries.map_err(failed)?,
    };
    let names = entries.map(|entry| entry.map(|it| it.file_name().to_string_lossy().into_owned()));
    names.collect::<io::Result<_>>().map_err(failed)
}

impl Spool {
    /// Opens the spool of an exporter in the state folder. Writes nothing but that it cuts off what
    /// a crash left half written.
    ///
    /// # Errors
    /// When there is a spool that cannot be read.
    pub fn open(
        state_dir: &Path,
        exporter: &'static str,
        bytes_max: u64,
    ) -> Result<Self, OpenError> {
        Self::open_folder(state_dir.join(FOLDER).join(exporter), exporter, bytes_max, false)
    }

    /// Opens what is parked for one target of an exporter.
    ///
    /// # Errors
    /// When there is something that cannot be read.
    pub(in crate::export) fn open_parked(
        state_dir: &Path,
        exporter: &'static str,
        target: &str,
        bytes_max: u64,
    ) -> Result<Self, OpenError> {
        let folder = parked_folder(state_dir, exporter).join(target);
        Self::open_folder(folder, exporter, bytes_max, true)
    }

    fn open_folder(
        folder: PathBuf,
        exporter: &'static str,
        bytes_max: u64,
        is_parked: bool,
    ) -> Result<Self, OpenError> {
        let mut spool = Self {
            exporter,
            is_parked,
            bytes_max,
            segments: VecDeque::new(),
            quarantined: VecDeque::new(),
            writing: None,
            reading: None,
            next_number: 1,
            next_sequence: 1,
            delivered_to: 0,
            cursor: None,
            level: Arc::new(Level::default()),
            frame: Vec::new(),
            rules: None,
            folder,
        };
        spool.look().map_err(|source| OpenError::new(&spool.folder, source))?;
        spool.report();
        Ok(spool)
    }

    /// Removes the folder once all in it is delivered. One with something else in it stays.
    pub(in crate::export) fn remove_folder(&mut self) {
        self.writing = None;
        let is_empty = numbers(&self.folder)
            .is_ok_and(|(segments, quarantined)| segments.is_empty() && quarantined.is_empty());
        if is_empty {
            // How far segments are delivered is of no use without any. Those of a later spool are
            // durable only together with this: both are in the folder, which is synced then.
            self.cursor = None;
            let _ = fs::remove_file(self.folder.join(CURSOR));
            let _ = fs::remove_dir(&self.folder);
        }
    }

    fn look(&mut self) -> io::Result<()> {
        let (mut segments, quarantined) = numbers(&self.folder)?;
        self.delivered_to = read_cursor(&self.folder.join(CURSOR))?;
        self.next_sequence = self.delivered_to.max(1);
        let last_number = segments.iter().chain(&quarantined).max();
        self.next_number = last_number.map_or(1, |last| last + 1);
        for number in quarantined {
            let bytes = fs::metadata(quarantine_path(&self.folder, number))?.len();
            self.quarantined.push_back(Quarantined { number, bytes });
        }
        let last = segments.pop().map(|last| self.cut_torn_tail(last)).transpose()?.flatten();
        for number in segments {
            let path = segment_path(&self.folder, number);
            let found = match self.walk(number, &File::open(&path)?)? {
                Some(found) => found,
                None => self.count(number, &fs::read(&path)?),
            };
            self.add(found);
        }
        last.into_iter().for_each(|found| self.add(found));
        Ok(())
    }

    fn add(&mut self, mut found: Found) {
        self.next_sequence = self.next_sequence.max(found.next_sequence);
        // Delivered, or nothing of it can be counted: it is looked at when its turn comes.
        found.segment.batches = found.segment.batches.max(1);
        self.segments.push_back(found.segment);
    }

    /// What the heads of the frames say of a segment; none when they contradict each other.
    fn walk(&self, number: u64, file: &File) -> io::Result<Option<Found>> {
        let bytes = file.metadata()?.len();
        let mut found = Found::new(number, bytes);
        let mut at = segment::HEADER_BYTES as u64;
        let mut head = [0; segment::HEAD_BYTES];
        while at + segment::HEAD_BYTES as u64 <= bytes {
            file.read_exact_at(&mut head, at)?;
            let Some(head) = segment::Head::parse(&head) else { break };
            if !(found.next_sequence..segment::SEQUENCE_MAX).contains(&head.sequence) {
                return Ok(None);
            }
            found.note(self.delivered_to, head.sequence, head.n_records);
            at += segment::HEAD_BYTES as u64 + u64::from(head.payload_bytes);
        }
        Ok((at == bytes).then_some(found))
    }

    /// What of a segment is whole. The same frames will be found when it is read.
    fn count(&self, number: u64, bytes: &[u8]) -> Found {
        let mut found = Found::new(number, bytes.len() as u64);
        let Some(salt) = segment::salt(bytes) else { return found };
        found.end = segment::HEADER_BYTES;
        for frame in segment::frames(bytes, salt) {
            found.note(self.delivered_to, frame.sequence, frame.n_records);
            found.end = frame.end;
        }
        found
    }

    /// Cuts off the end of the newest segment, as far as no whole frame stands in it: a crash came
    /// before it was synced, so nobody counts on it. None when nothing is left.
    fn cut_torn_tail(&self, number: u64) -> io::Result<Option<Found>> {
        let path = segment_path(&self.folder, number);
        let bytes = fs::read(&path)?;
        let mut found = self.count(number, &bytes);
        let is_headed = found.end > 0;
        if !is_headed && bytes.iter().skip(segment::HEADER_BYTES).any(|byte| *byte != 0) {
            // There is more than a header that was never written: it is put aside when it is read.
            found.end = bytes.len();
        }
        if found.end < bytes.len() {
            telemetry::SPOOL_DAMAGED.add(self.exporter, "torn", 1);
            let (exporter, n_bytes) = (self.exporter, bytes.len() - found.end);
            tracing::warn!(
                exporter,
                n_bytes,
                "cut off what a crash left half written in the spool"
            );
            File::options().write(true).open(&path)?.set_len(found.end as u64)?;
            found.segment.bytes = found.end as u64;
        }
        if found.end <= segment::HEADER_BYTES {
            fs::remove_file(&path)?;
            return Ok(None);
        }
        Ok(Some(found))
    }
}

/// What was found in a segment.
struct Found {
    segment: Segment,
    /// Behind its last frame.
    next_sequence: u64,
    /// Where its last whole frame ends; 0 when it has no header.
    end: usize,
}

impl Found {
    fn new(number: u64, bytes: u64) -> Self {
        let segment = Segment { number, bytes, batches: 0, records: 0 };
        Self { segment, next_sequence: 0, end: 0 }
    }

    fn note(&mut self, delivered_to: u64, sequence: u64, n_records: u32) {
        if sequence >= delivered_to {
            self.segment.batches += 1;
            self.segment.records += u64::from(n_records);
        }
        self.next_sequence = self.next_sequence.max(sequence.saturating_add(1));
    }
}

/// Numbers of the segments and of those that were put aside, ascending.
fn numbers(folder: &Path) -> io::Result<(Vec<u64>, Vec<u64>)> {
    let (mut segments, mut quarantined) = (Vec::new(), Vec::new());
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // A file in its place is told when something must be written.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok((segments, quarantined));
        }
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        // A name that is not just as the spool writes it is not one of its files.
        match number {
            Some(number) if path == segment_path(folder, number) => segments.push(number),
            Some(number) if path == quarantine_path(folder, number) => quarantined.push(number),
            _ => {}
        }
    }
    segments.sort_unstable();
    quarantined.sort_unstable();
    Ok((segments, quarantined))
}

/// The sequence up to which everything is delivered; 0 when there is none, or it is damaged.
fn read_cursor(path: &Path) -> io::Result<u64> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(0);
        }
        // Were it taken for 0, what is stored from here on would have numbers that it calls delivered.
        Err(error) => return Err(error),
    };
    let (Some(number), Some(checksum)) = (bytes.first_chunk::<8>(), bytes.get(8..12)) else {
        return Ok(0);
    };
    let is_whole = crc32fast::hash(number).to_le_bytes() == checksum;
    Ok(if is_whole { u64::from_le_bytes(*number) } else { 0 })
}

/// Exporters that have something in their spools, or put aside for a target, and are not among
/// `known`, with the bytes of it.
#[must_use]
pub fn orphans(state_dir: &Path, known: &[&str]) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(state_dir.join(FOLDER)).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let targets = fs::read_dir(parked_folder(state_dir, &name)).into_iter().flatten().flatten();
        let parked: u64 = targets.map(|target| bytes_in(&target.path())).sum();
        let bytes = bytes_in(&entry.path()) + parked;
        if bytes > 0 && !known.contains(&name.as_str()) {
            found.push((name, bytes));
        }
    }
    found.sort();
    found
}

/// Bytes of all segments in one folder.
fn bytes_in(folder: &Path) -> u64 {
    let (segments, _) = numbers(folder).unwrap_or_default();
    let bytes_of = |number| fs::metadata(segment_path(folder, number));
    segments.into_iter().flat_map(bytes_of).map(|it| it.len()).sum()
}
