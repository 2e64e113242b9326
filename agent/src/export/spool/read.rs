//! Reads segments from the oldest on, and puts aside what is damaged.

use super::{Quarantined, Spool, quarantine_path, segment, segment_path};
use crate::telemetry;
use std::fs;
use std::io;

/// The oldest segment, as a whole.
#[derive(Debug)]
pub(super) struct Reading {
    bytes: Vec<u8>,
    salt: Option<u64>,
    /// Where the next frame is.
    at: usize,
    front: Option<Front>,
    pub(super) is_damaged: bool,
}

/// The frame at the front.
#[derive(Debug, Clone, Copy)]
pub(super) struct Front {
    pub(super) sequence: u64,
    pub(super) n_records: u32,
    start: usize,
    end: usize,
}

impl Reading {
    fn new(bytes: Vec<u8>) -> Self {
        let salt = segment::salt(&bytes);
        let is_damaged = salt.is_none();
        Self { at: segment::HEADER_BYTES.min(bytes.len()), bytes, salt, front: None, is_damaged }
    }

    /// Moves to the next frame with a sequence of `from` or later; false at the end.
    fn find_front(&mut self, from: u64) -> bool {
        let Some(salt) = self.salt else { return false };
        while self.front.is_none() && self.at < self.bytes.len() {
            let found = segment::frame_at(&self.bytes, self.at, salt).or_else(|| {
                self.is_damaged = true;
                segment::find_frame(&self.bytes, self.at + 1, salt)
            });
            let Some(frame) = found else {
                self.at = self.bytes.len();
                break;
            };
            let start = frame.end - frame.payload.len();
            let (sequence, n_records, end) = (frame.sequence, frame.n_records, frame.end);
            if sequence >= from {
                self.front = Some(Front { sequence, n_records, start, end });
            }
            self.at = end;
        }
        self.front.is_some()
    }

    fn payload(&self) -> Option<&[u8]> {
        self.front.map(|front| &self.bytes[front.start..front.end])
    }

    pub(super) fn pass_front(&mut self) -> Option<Front> {
        self.front.take()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.front.is_none() && self.at >= self.bytes.len()
    }
}

impl Spool {
    /// The bytes of the oldest batch that is not delivered.
    pub(super) fn front_payload(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            let Some(oldest) = self.segments.front() else { return Ok(None) };
            if self.reading.is_none() {
                if self.segments.len() == 1 {
                    // It is read as a whole, so nothing may be appended to it any more.
                    self.writing = None;
                }
                match fs::read(segment_path(&self.folder, oldest.number)) {
                    Ok(bytes) => self.reading = Some(Reading::new(bytes)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        self.reading = Some(Reading::new(Vec::new()));
                    }
                    Err(error) => return Err(error),
                }
            }
            let from = self.delivered_to;
            if self.reading.as_mut().is_some_and(|reading| reading.find_front(from)) {
                break;
            }
            self.finish_segment();
        }
        Ok(self.reading.as_ref().and_then(Reading::payload))
    }

    /// Says that something of the segment that is read is of no use.
    pub(super) fn note_damage(&mut self) {
        if let Some(reading) = &mut self.reading {
            reading.is_damaged = true;
        }
    }

    /// Removes the oldest segment, or puts it aside when something in it could not be delivered.
    pub(super) fn finish_segment(&mut self) {
        let Some(oldest) = self.segments.pop_front() else { return };
        let is_damaged = self.reading.take().is_some_and(|reading| reading.is_damaged);
        let path = segment_path(&self.folder, oldest.number);
        if let Some(cursor) = &self.cursor {
            let _ = cursor.sync_data();
        }
        if !is_damaged {
            // If it stays, the cursor says that it is delivered.
            let _ = fs::remove_file(path);
            return;
        }
        telemetry::SPOOL_DAMAGED.add(self.exporter, "corrupt", 1);
        let exporter = self.exporter;
        tracing::error!(
            exporter,
            segment = oldest.number,
            "a segment of the spool is damaged; what could be read of it was delivered, and it is kept as .corrupt"
        );
        if fs::rename(&path, quarantine_path(&self.folder, oldest.number)).is_ok() {
            self.quarantined.push_back(Quarantined { number: oldest.number, bytes: oldest.bytes });
        }
    }
}
