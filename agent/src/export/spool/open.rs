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
        let folder = state_dir.join(FOLDER).join(exporter);
        let mut spool = Self {
            exporter,
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
            folder,
        };
        spool.look().map_err(|source| OpenError::new(&spool.folder, source))?;
        spool.report();
        Ok(spool)
    }

    fn look(&mut self) -> io::Result<()> {
        let (mut segments, quarantined) = numbers(&self.folder)?;
        self.delivered_to = read_cursor(&self.folder.join(CURSOR));
        self.next_sequence = self.delivered_to.max(1);
        let last_number = segments.iter().chain(&quarantined).max();
        self.next_number = last_number.map_or(1, |last| last + 1);
        for number in quarantined {
            let bytes = fs::metadata(quarantine_path(&self.folder, number))?.len();
            self.quarantined.push_back(Quarantined { number, bytes });
        }
        if let Some(last) = segments.last()
            && self.cut_torn_tail(*last)?
        {
            segments.pop();
        }
        for number in segments {
            let path = segment_path(&self.folder, number);
            let (segment, next_sequence) = self.walk(number, &File::open(&path)?)?;
            self.next_sequence = self.next_sequence.max(next_sequence);
            self.segments.push_back(segment);
        }
        Ok(())
    }

    /// What the heads of the frames say of a segment, and the sequence after its last one.
    fn walk(&self, number: u64, file: &File) -> io::Result<(Segment, u64)> {
        let bytes = file.metadata()?.len();
        let mut segment = Segment { number, bytes, batches: 0, records: 0 };
        let (mut at, mut next_sequence) = (segment::HEADER_BYTES as u64, 0);
        let mut head = [0; segment::HEAD_BYTES];
        while at + segment::HEAD_BYTES as u64 <= bytes {
            file.read_exact_at(&mut head, at)?;
            let Some(head) = segment::Head::parse(&head) else { break };
            at += segment::HEAD_BYTES as u64 + u64::from(head.payload_bytes);
            if at > bytes {
                break;
            }
            if head.sequence >= self.delivered_to {
                segment.batches += 1;
                segment.records += u64::from(head.n_records);
            }
            next_sequence = next_sequence.max(head.sequence.saturating_add(1));
        }
        // Damage may name any number.
        let next_sequence = if next_sequence < segment::SEQUENCE_MAX { next_sequence } else { 0 };
        if segment.batches == 0 {
            // Delivered, or nothing of it can be counted: it is looked at when its turn comes.
            segment.batches = 1;
        }
        Ok((segment, next_sequence))
    }

    /// Cuts off the end of the newest segment, as far as no whole frame stands in it: a crash came
    /// before it was synced, so nobody counts on it. True when nothing is left.
    fn cut_torn_tail(&self, number: u64) -> io::Result<bool> {
        let path = segment_path(&self.folder, number);
        let bytes = fs::read(&path)?;
        let mut end = 0;
        if let Some(salt) = segment::salt(&bytes) {
            end = segment::HEADER_BYTES;
            loop {
                let frame = segment::frame_at(&bytes, end, salt)
                    .or_else(|| segment::find_frame(&bytes, end + 1, salt));
                let Some(frame) = frame else { break };
                end = frame.end;
            }
        } else if bytes.iter().skip(segment::HEADER_BYTES).any(|byte| *byte != 0) {
            // There is more than a header that was never written: it is put aside when it is read.
            end = bytes.len();
        }
        if end < bytes.len() {
            telemetry::SPOOL_DAMAGED.add(self.exporter, "torn", 1);
            let (exporter, n_bytes) = (self.exporter, bytes.len() - end);
            tracing::warn!(
                exporter,
                n_bytes,
                "cut off what a crash left half written in the spool"
            );
            File::options().write(true).open(&path)?.set_len(end as u64)?;
        }
        if end <= segment::HEADER_BYTES {
            fs::remove_file(&path)?;
        }
        Ok(end <= segment::HEADER_BYTES)
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

/// The sequence up to which everything is delivered; 0 when that is not known.
fn read_cursor(path: &Path) -> u64 {
    let bytes = fs::read(path).unwrap_or_default();
    let (Some(number), Some(checksum)) = (bytes.first_chunk::<8>(), bytes.get(8..12)) else {
        return 0;
    };
    let is_whole = crc32fast::hash(number).to_le_bytes() == checksum;
    if is_whole { u64::from_le_bytes(*number) } else { 0 }
}

/// Exporters that have something in their spools and are not among `known`, with the bytes of it.
#[must_use]
pub fn orphans(state_dir: &Path, known: &[&str]) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(state_dir.join(FOLDER)).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let (segments, _) = numbers(&entry.path()).unwrap_or_default();
        let bytes_of = |number| fs::metadata(segment_path(&entry.path(), number));
        let bytes = segments.into_iter().flat_map(bytes_of).map(|it| it.len()).sum();
        if bytes > 0 && !known.contains(&name.as_str()) {
            found.push((name, bytes));
        }
    }
    found.sort();
    found
}
