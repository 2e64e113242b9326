//! The open batch of one file: redacts a chunk, parses its records, and knows when it is full.

use super::fingerprint::{Digest, FRONTIER_BYTES_MAX};
use super::stream::Origin;
use crate::model::{Coverage, FileId, LogBatch, Position, Resource};
use crate::parse::{self, ParseContext};
use crate::telemetry;
use redaction::{Redactor, Text};
use std::sync::Arc;
use std::time::Instant;

/// When a batch is sealed.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// Redacted bytes; a batch is at most this and one record long.
    pub bytes_max: usize,
    /// Records.
    pub records_max: usize,
    /// Age of the oldest record in it.
    pub age_max: std::time::Duration,
    /// Bytes of the open batches of all files together: over it, the batch that grew is sealed.
    pub open_bytes_max: usize,
}

/// Takes sealed batches over.
pub type Emit<'a> = dyn FnMut(LogBatch, Position) -> Result<(), Abandoned> + 'a;

/// What the whole tail thread shares while it works through its files.
pub struct Pass<'p> {
    /// Zone and scratch space.
    pub context: &'p mut ParseContext,
    /// When batches are sealed.
    pub limits: BatchLimits,
    /// Longest record.
    pub record_bytes_max: usize,
    /// Where sealed batches go.
    pub emit: &'p mut Emit<'p>,
    /// Whether the lanes can take what one look reads; else it stays in the file for now.
    pub has_room: &'p dyn Fn() -> bool,
    /// The time of this turn.
    pub now: Instant,
    /// What was read last; one buffer for all files, as thousands of them may be open.
    pub read: Vec<u8>,
}

/// The lanes are gone: the agent is past its deadline, and what was not delivered stays in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abandoned;

/// A run of whole records, as raw bytes.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// Where each record begins, relative to `bytes`; the first is 0.
    pub starts: &'a [u32],
    /// Where the bytes stand in the file.
    pub origin: &'a Origin,
    /// For lines that were unpacked from frames: offset from which what waits elsewhere can be read
    /// again.
    pub framed: Option<u64>,
    /// True when nothing waits in the stream behind `bytes`.
    pub is_all: bool,
    /// Where the record limit cut a record in two, relative to `bytes`, ascending; 0 and the length
    /// of `bytes` included.
    pub cuts: &'a [u32],
    /// Read time.
    pub observed_unix_ns: u64,
    /// Read time, for the age of the batch.
    pub now: Instant,
}

impl Chunk<'_> {
    /// Offset in the file up to which everything is in batches once the records before `end` are.
    /// A line in a frame is settled as a whole: what is left of it could not be found again.
    fn settled_end(&self, end: usize) -> u64 {
        match self.framed {
            Some(floor) if self.is_all && end == self.bytes.len() => floor,
            Some(floor) => self.origin.floor(end).min(floor),
            None => self.origin.floor(end),
        }
    }

    /// True when record `index` begins or ends at a cut.
    fn is_cut(&self, index: usize) -> bool {
        let end = self.starts.get(index + 1).map_or(self.bytes.len() as u32, |start| *start);
        let is_at = |at: &u32| self.cuts.binary_search(at).is_ok();
        !self.cuts.is_empty() && (is_at(&self.starts[index]) || is_at(&end))
    }
}

/// An offset in the file, and the last raw bytes before it.
#[derive(Debug)]
pub(super) struct Mark(u64, Vec<u8>);

/// Records that wait to travel together.
#[derive(Debug)]
pub struct OpenBatch {
    resource: Arc<Resource>,
    redactor: Arc<Redactor>,
    text: Text,
    records: Vec<crate::model::LogRecord>,
    opened: Option<Instant>,
    /// Offset from which on no sealed batch with records accounts for the file.
    begin: u64,
    /// Records since then that the policy has dropped.
    n_dropped: u64,
    /// Offset after the last record.
    end: u64,
    /// The last raw bytes before `end`.
    frontier: Vec<u8>,
    starts: Vec<u32>,
    /// Which records of the last chunk must not leave; empty when all may.
    is_dropped: Vec<bool>,
}

impl OpenBatch {
    /// An empty batch of a file that is delivered up to `offset`, where `frontier` ends.
    #[must_use]
    pub fn new(
        resource: Arc<Resource>,
        redactor: Arc<Redactor>,
        offset: u64,
        frontier: Vec<u8>,
    ) -> Self {
        Self {
            resource,
            redactor,
            text: Text::default(),
            records: Vec::new(),
            opened: None,
            begin: offset,
            n_dropped: 0,
            end: offset,
            frontier,
            starts: Vec::new(),
            is_dropped: Vec::new(),
        }
    }

    /// Who writes the records of this file, as far as is known.
    #[must_use]
    pub fn resource(&self) -> &Arc<Resource> {
        &self.resource
    }

    /// Offset after the last record that was added.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Hash of the last raw bytes before [`end`](Self::end).
    #[must_use]
    pub fn frontier(&self) -> Digest {
        Digest::of(&self.frontier)
    }

    /// Since when the oldest record waits.
    #[must_use]
    pub fn opened(&self) -> Option<Instant> {
        self.opened
    }

    /// True when no records wait.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.opened.is_none()
    }

    /// Where the file is delivered to once the batch is.
    pub(super) fn mark(&self) -> Mark {
        Mark(self.end, self.frontier.clone())
    }

    /// Says that what came since `mark` is to be read again.
    pub(super) fn go_back(&mut self, mark: Mark) {
        Mark(self.end, self.frontier) = mark;
    }

    /// Says that the bytes up to `offset` hold no records.
    pub fn skip_to(&mut self, offset: u64) {
        self.end = offset;
        self.frontier.clear();
    }

    /// Memory of the records that wait.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len() + size_of_val(self.records.as_slice())
    }

    /// Adds `chunk`, sealing as often as the limits ask for.
    ///
    /// # Errors
    /// When a sealed batch could not be handed over.
    pub fn add(
        &mut self,
        chunk: Chunk<'_>,
        file: FileId,
        context: &mut ParseContext,
        limits: BatchLimits,
        emit: &mut Emit<'_>,
    ) -> Result<(), Abandoned> {
        let mut first = 0;
        while first < chunk.starts.len() {
            let is_full =
                self.text.len() >= limits.bytes_max || self.records.len() >= limits.records_max;
            if is_full {
                self.seal(file, emit)?;
            }
            let next = self.fitting(&chunk, first, limits);
            self.add_records(&chunk, first..next, context);
            first = next;
        }
        Ok(())
    }

    /// Index after the last record from `first` on that still fits; one always does.
    fn fitting(&self, chunk: &Chunk<'_>, first: usize, limits: BatchLimits) -> usize {
        let by_count = limits.records_max - self.records.len();
        let last = (first + by_count).min(chunk.starts.len());
        let begin = chunk.starts[first] as usize;
        let room = limits.bytes_max.saturating_sub(self.text.len());
        let by_bytes =
            chunk.starts[first..last].partition_point(|start| *start as usize - begin < room);
        first + by_bytes.max(1)
    }

    fn add_records(
        &mut self,
        chunk: &Chunk<'_>,
        records: std::ops::Range<usize>,
        context: &mut ParseContext,
    ) {
        let begin = chunk.starts[records.start] as usize;
        let end = chunk.starts.get(records.end).map_or(chunk.bytes.len(), |start| *start as usize);
        let raw = &chunk.bytes[begin..end];
        let redacted = self.redactor.redact_chunk(raw, &mut self.text);
        self.starts.clear();
        self.starts.extend(chunk.starts[records.clone()].iter().map(|start| start - begin as u32));
        self.note_drops(raw.len());
        self.text.map_offsets(&redacted, &mut self.starts);
        let n_before = self.records.len();
        for (index, start) in self.starts.iter().enumerate() {
            if self.is_dropped.get(index) == Some(&true) {
                continue;
            }
            let stop = self.starts.get(index + 1).map_or(redacted.end, |next| *next);
            let place = chunk.starts[records.start + index] as usize;
            let (offset, frame_time_unix_ns) = chunk.origin.of(place);
            let record = parse::record(
                &mut self.text,
                *start..stop,
                offset,
                chunk.observed_unix_ns,
                &self.redactor,
                context,
            );
            let Some(mut record) = record else { continue };
            record.is_truncated = chunk.is_cut(records.start + index);
            record.time_unix_ns = record.time_unix_ns.or(frame_time_unix_ns);
            self.records.push(record);
        }
        let n_kept = self.records.len() - n_before;
        let n_dropped = (records.len() - n_kept) as u64;
        telemetry::RECORDS.add(n_kept as u64);
        telemetry::RECORDS_DROPPED.add("redaction_policy", n_dropped);
        self.n_dropped += n_dropped;
        self.opened.get_or_insert(chunk.now);
        self.end = chunk.settled_end(end);
        match chunk.framed {
            None => self.remember_frontier(raw),
            // The bytes of the file before its end are not known here.
            Some(_) => self.frontier.clear(),
        }
    }

    /// Looks up which records the policy drops. `starts` are those of the raw chunk, which has
    /// `n_bytes`.
    fn note_drops(&mut self, n_bytes: usize) {
        self.is_dropped.clear();
        let (edits, drops) = (self.text.edits(), self.text.drops());
        if drops.is_empty() {
            return;
        }
        self.is_dropped.resize(self.starts.len(), false);
        for drop in drops {
            // What is dropped may be several lines, and those the beginning of more records.
            let edit = edits.binary_search_by_key(drop, |edit| edit.raw.start);
            let end = edit.map_or(n_bytes as u32, |edit| edits[edit].raw.end);
            let first = self.starts.partition_point(|start| start <= drop).saturating_sub(1);
            let last = self.starts.partition_point(|start| *start < end);
            self.is_dropped[first..last.max(first + 1)].fill(true);
        }
    }

    fn remember_frontier(&mut self, raw: &[u8]) {
        let keep = FRONTIER_BYTES_MAX.saturating_sub(raw.len()).min(self.frontier.len());
        self.frontier.drain(..self.frontier.len() - keep);
        self.frontier.extend_from_slice(&raw[raw.len().saturating_sub(FRONTIER_BYTES_MAX)..]);
    }

    /// Hands the batch over when it is old enough.
    ///
    /// # Errors
    /// When it could not be handed over.
    pub fn seal_when_old(
        &mut self,
        file: FileId,
        limits: BatchLimits,
        now: Instant,
        emit: &mut Emit<'_>,
    ) -> Result<(), Abandoned> {
        match self.opened {
            Some(opened) if now.duration_since(opened) >= limits.age_max => self.seal(file, emit),
            _ => Ok(()),
        }
    }

    /// Hands the batch over if anything was added, be it only records that were dropped: then it is
    /// empty, and takes the position along behind the batches before it.
    ///
    /// # Errors
    /// When it could not be handed over.
    pub fn seal(&mut self, file: FileId, emit: &mut Emit<'_>) -> Result<(), Abandoned> {
        if self.opened.take().is_none() {
            return Ok(());
        }
        let (from, to, n_dropped) = (self.begin, self.end.max(self.begin), self.n_dropped);
        let logs = LogBatch {
            resource: self.resource.clone(),
            text: std::mem::take(&mut self.text),
            records: std::mem::take(&mut self.records),
            covers: Some(Coverage { from, to, n_dropped }),
        };
        if !logs.records.is_empty() {
            // What a batch without records covers, no exporter hears of: the next one covers it, too.
            (self.begin, self.n_dropped) = (to, 0);
        }
        telemetry::RECORD_BYTES.add(logs.text.len() as u64);
        emit(logs, Position { file, offset: self.end, frontier: self.frontier() })
    }

    /// Says who writes the records from here on. Records of another resource are sealed first, as
    /// one batch has one resource.
    ///
    /// # Errors
    /// When they could not be handed over.
    pub fn set_resource(
        &mut self,
        resource: Arc<Resource>,
        file: FileId,
        emit: &mut Emit<'_>,
    ) -> Result<(), Abandoned> {
        if *self.resource != *resource {
            self.seal(file, emit)?;
            self.resource = resource;
        }
        Ok(())
    }

    /// Says how records are redacted from here on; the batch is empty.
    pub fn set_redactor(&mut self, redactor: Arc<Redactor>) {
        debug_assert!(self.is_empty(), "one redactor has redacted all of a batch");
        self.redactor = redactor;
    }
}

#[cfg(test)]
mod tests;
