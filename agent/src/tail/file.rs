//! One log file: reads it, cuts it at record starts, and notices when it is truncated or goes away.

use super::batch::{Abandoned, BatchLimits, Chunk, Emit, OpenBatch};
use super::fingerprint::Inode;
use super::source::{Source, State};
use crate::checkpoint::Entry;
use crate::model::{FileId, Resource};
use crate::parse::ParseContext;
use crate::parse::split::Splitter;
use crate::telemetry;
use redaction::Redactor;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Bytes read at a time: large enough that redaction works on long runs, small enough that one
/// busy file does not keep the others waiting.
pub(super) const READ_BYTES: usize = 256 << 10;

/// A single line waits this long for its continuation when no further line comes.
const LINE_IDLE: Duration = Duration::from_secs(1);

/// A stack trace waits this long.
const TRACE_IDLE: Duration = Duration::from_secs(5);

/// A line without its newline waits this long. Writers with a buffer stop anywhere in a line, and
/// half a secret slips through the redactor.
const HALF_LINE_IDLE: Duration = Duration::from_secs(60);

/// After so long a silence the head of a file is compared before it is read on.
const THOROUGH_IDLE: Duration = Duration::from_secs(10);

/// How far before the limit a cut looks for a place between two words.
const CUT_WINDOW: usize = 16 << 10;

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

/// A file that is being read.
#[derive(Debug)]
pub struct LogFile {
    id: FileId,
    path: PathBuf,
    source: Source,
    /// Raw bytes from the start of the open record on. While the file is looked at it holds what
    /// was read too.
    buffer: Vec<u8>,
    /// Offset of `buffer[0]` in the file.
    offset: u64,
    splitter: Splitter,
    /// Record starts in `buffer`; the last one is the open record.
    starts: Vec<u32>,
    /// Where in `buffer` the record limit cut a record in two.
    cuts: Vec<u32>,
    batch: OpenBatch,
    grew: Instant,
}

/// How a look at an open file went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// New bytes were read; there may be more.
    Read(usize),
    /// At the end of the file.
    Quiet,
    /// What was read of it is not in it any more: it was truncated (true), or written anew.
    Lost {
        /// True when it is shorter than what was read.
        is_truncated: bool,
    },
}

impl LogFile {
    /// Starts to read `file` at `offset`, which is the start of a record, and to redact it with
    /// `redactor`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open(
        id: FileId,
        path: PathBuf,
        file: File,
        offset: u64,
        resource: Arc<Resource>,
        redactor: Arc<Redactor>,
        now: Instant,
    ) -> io::Result<Self> {
        let source = Source::new(&path, file, offset)?;
        let batch = OpenBatch::new(resource, redactor, offset, source.guard().to_vec());
        Ok(Self {
            id,
            source,
            path,
            buffer: Vec::new(),
            offset,
            splitter: Splitter::default(),
            starts: Vec::new(),
            cuts: Vec::new(),
            batch,
            grew: now,
        })
    }

    /// Number of the file.
    #[must_use]
    pub fn id(&self) -> FileId {
        self.id
    }

    /// Where it is now, as far as is known.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Says that the file was renamed.
    pub fn set_path(&mut self, path: PathBuf) {
        self.path = path;
    }

    /// Device and inode.
    #[must_use]
    pub fn inode(&self) -> Inode {
        self.source.inode()
    }

    /// Where its bytes come from.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What a checkpoint says of it once all batches are delivered. `path` is redacted.
    #[must_use]
    pub fn entry(&self, path: PathBuf) -> Entry {
        let text = |value: &Option<redaction::Value>| value.as_deref().map(str::to_owned);
        Entry {
            path,
            inode: self.source.inode(),
            head: self.source.head(),
            offset: self.batch.end(),
            frontier: self.batch.frontier(),
            job_id: text(&self.resource().job_id),
            job_name: text(&self.resource().job_name),
            seen_unix_s: crate::checkpoint::unix_seconds(),
            archive: self.source.archive(),
            is_ended: false,
        }
    }

    /// Offset after the last record that went into a batch.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.batch.end()
    }

    /// Memory of its open batch.
    #[must_use]
    pub fn open_bytes(&self) -> usize {
        self.batch.bytes()
    }

    /// Time since bytes last came.
    #[must_use]
    pub fn idle(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.grew)
    }

    /// True when the last line that was read has no newline yet.
    #[must_use]
    pub fn has_half_line(&self) -> bool {
        self.buffer.last().is_some_and(|byte| *byte != b'\n')
    }

    /// Offset after the last byte that was read.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.offset + self.buffer.len() as u64
    }

    /// True when nothing of it is held in memory: neither an open record nor an open batch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.batch.is_empty()
    }

    /// True when the file was truncated, false when it was written anew, none when it holds what
    /// was read of it.
    #[must_use]
    pub fn is_overwritten(&self) -> Option<bool> {
        match self.source.state(self.position(), false) {
            Ok(State::Truncated) => Some(true),
            Ok(State::Rewritten) => Some(false),
            _ => None,
        }
    }

    /// Bytes in the file, at the last look, that are not yet in a batch.
    #[must_use]
    pub fn lag_bytes(&self) -> u64 {
        self.source.unread_bytes(self.batch.end())
    }

    /// True when all that was in the file at the last look is read.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.source.is_read(self.position())
    }

    /// Bytes in the file, at the last look, that are not read.
    #[must_use]
    pub fn unread_bytes(&self) -> u64 {
        self.source.unread_bytes(self.position())
    }

    /// Says who writes the records from here on.
    ///
    /// # Errors
    /// When records of the former resource could not be handed over.
    pub fn set_resource(
        &mut self,
        resource: Arc<Resource>,
        emit: &mut Emit<'_>,
    ) -> Result<(), Abandoned> {
        self.batch.set_resource(resource, self.id, emit)
    }

    /// Who writes the records.
    #[must_use]
    pub fn resource(&self) -> &Arc<Resource> {
        self.batch.resource()
    }

    /// Reads once and puts the records that are whole into the batch.
    ///
    /// # Errors
    /// The outer error says that the lanes are gone, the inner one that the file cannot be read.
    pub fn look(&mut self, pass: &mut Pass<'_>) -> Result<io::Result<Look>, Abandoned> {
        // The open record moves into the common buffer, and what is left of it back.
        let mut own = std::mem::replace(&mut self.buffer, std::mem::take(&mut pass.read));
        self.buffer.append(&mut own);
        let looked = self.look_with_room(pass);
        own.extend_from_slice(&self.buffer);
        own.shrink_to(4 * own.len());
        pass.read = std::mem::replace(&mut self.buffer, own);
        pass.read.clear();
        looked
    }

    /// [`look`](Self::look) while `buffer` is the common one.
    fn look_with_room(&mut self, pass: &mut Pass<'_>) -> Result<io::Result<Look>, Abandoned> {
        let is_thorough = self.idle(pass.now) >= THOROUGH_IDLE;
        match self.source.check(self.position(), is_thorough) {
            Ok(State::Grown) => {}
            Ok(State::Quiet) => return Ok(Ok(Look::Quiet)),
            Ok(State::Truncated) => return Ok(Ok(Look::Lost { is_truncated: true })),
            Ok(State::Rewritten) => return Ok(Ok(Look::Lost { is_truncated: false })),
            Err(error) => return Ok(Err(error)),
        }
        let bytes = match self.fill() {
            Ok(0) => return Ok(Ok(Look::Quiet)),
            Ok(bytes) => bytes,
            Err(error) => return Ok(Err(error)),
        };
        self.grew = pass.now;
        telemetry::READ_BYTES.add(bytes as u64);
        self.splitter.advance(&self.buffer, &mut self.starts);
        if self.open_record_bytes() > pass.record_bytes_max {
            self.splitter.open_half_line(&self.buffer, &mut self.starts);
        }
        self.take(self.before_open_key(self.open_start()), pass)?;
        while self.buffer.len() > pass.record_bytes_max {
            let end = cut_point(&self.buffer, pass.record_bytes_max);
            self.take(end, pass)?;
        }
        Ok(Ok(Look::Read(bytes)))
    }

    /// Where the open record begins in the buffer.
    fn open_start(&self) -> usize {
        self.starts.last().map_or(0, |start| *start as usize)
    }

    /// Where the records before `end` may be cut without halving a key whose lines are records of their
    /// own. What is held back comes with the end of the key, with eight other lines, or when the file
    /// is quiet.
    fn before_open_key(&self, end: usize) -> usize {
        match redaction::open_key_block(&self.buffer[..end]) {
            Some(key) if end - key <= CUT_WINDOW => {
                let n_before = self.starts.partition_point(|start| *start as usize <= key);
                n_before.checked_sub(1).map_or(0, |last| self.starts[last] as usize)
            }
            _ => end,
        }
    }

    fn open_record_bytes(&self) -> usize {
        self.buffer.len() - self.open_start()
    }

    fn fill(&mut self) -> io::Result<usize> {
        let is_between_records = self.buffer.is_empty();
        let bytes = self.source.read(self.position(), READ_BYTES, &mut self.buffer)?;
        if is_between_records && self.buffer.first() == Some(&0) {
            self.skip_hole();
        }
        Ok(bytes)
    }

    /// A writer that does not append goes on where it was after a truncation: the file then begins
    /// with a hole, which reads as zeros.
    fn skip_hole(&mut self) {
        let zeros = self.buffer.iter().position(|byte| *byte != 0).unwrap_or(self.buffer.len());
        let mut end = self.offset + zeros as u64;
        if zeros == self.buffer.len() {
            end = self.source.next_data(end).max(end);
        }
        telemetry::HOLE_BYTES.add(end - self.offset);
        self.buffer.drain(..zeros);
        self.offset = end;
        self.batch.skip_to(end);
        if self.buffer.is_empty() {
            self.source.skip_hole();
        }
    }

    /// Moves `buffer[..end]` into the batch. Records that are too long are cut; so is the open one
    /// when `end` lies within it.
    fn take(&mut self, end: usize, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        if end == 0 {
            return Ok(());
        }
        if self.starts.first() != Some(&0) {
            // The rest of a record whose beginning was taken before.
            self.starts.insert(0, 0);
        }
        let is_open_cut = self.open_start() == 0 && end < self.buffer.len();
        if is_open_cut {
            self.cuts.push(end as u32);
        }
        self.cut_long_records(end, pass.record_bytes_max);
        telemetry::TRUNCATED_RECORDS.add(self.cuts.iter().filter(|cut| **cut > 0).count() as u64);
        let count = self.starts.partition_point(|start| (*start as usize) < end);
        let chunk = Chunk {
            bytes: &self.buffer[..end],
            starts: &self.starts[..count],
            cuts: &self.cuts,
            offset: self.offset,
            observed_unix_ns: unix_ns(),
            now: pass.now,
        };
        self.batch.add(chunk, self.id, pass.context, pass.limits, pass.emit)?;
        self.buffer.drain(..end);
        self.starts.drain(..count);
        for start in &mut self.starts {
            *start -= end as u32;
        }
        self.cuts.clear();
        if is_open_cut {
            self.splitter.cut(end);
            self.cuts.push(0);
        } else {
            self.splitter.consumed(end);
        }
        self.offset += end as u64;
        Ok(())
    }

    /// Adds a start wherever a record of `buffer[..end]` is longer than it may be.
    fn cut_long_records(&mut self, end: usize, record_bytes_max: usize) {
        let mut index = 0;
        while index < self.starts.len() && (self.starts[index] as usize) < end {
            let start = self.starts[index] as usize;
            let next = self.starts.get(index + 1).map_or(end, |next| (*next as usize).min(end));
            if next - start > record_bytes_max {
                let cut = start + cut_point(&self.buffer[start..next], record_bytes_max);
                self.starts.insert(index + 1, cut as u32);
                let place = self.cuts.partition_point(|known| (*known as usize) < cut);
                self.cuts.insert(place, cut as u32);
            }
            index += 1;
        }
    }

    /// Puts the open record into the batch when nothing came for so long that it must be whole.
    ///
    /// # Errors
    /// When a batch could not be handed over.
    pub fn flush_when_idle(&mut self, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let is_one_line = memchr::memchr(b'\n', &self.buffer) == Some(self.buffer.len() - 1);
        let wait = match self.has_half_line() {
            true => HALF_LINE_IDLE,
            false if is_one_line => LINE_IDLE,
            false => TRACE_IDLE,
        };
        if self.idle(pass.now) >= wait { self.flush(pass, false) } else { Ok(()) }
    }

    /// Puts everything that was read into the batch: at the end of the file's or the agent's life.
    /// With `only_lines` a half line stays unread, as its writer is still at it.
    ///
    /// # Errors
    /// When a batch could not be handed over.
    pub fn flush(&mut self, pass: &mut Pass<'_>, only_lines: bool) -> Result<(), Abandoned> {
        if !only_lines {
            self.splitter.finish(&self.buffer, &mut self.starts);
        }
        let end = match memchr::memrchr(b'\n', &self.buffer) {
            Some(newline) if only_lines => newline + 1,
            None if only_lines => 0,
            _ => self.buffer.len(),
        };
        self.take(end, pass)
    }

    /// Hands the open batch over.
    ///
    /// # Errors
    /// When it could not be handed over.
    pub fn seal(&mut self, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        self.batch.seal(self.id, pass.emit)
    }

    /// Hands the open batch over when it is old enough.
    ///
    /// # Errors
    /// When it could not be handed over.
    pub fn seal_when_old(&mut self, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        self.batch.seal_when_old(self.id, pass.limits, pass.now, pass.emit)
    }
}

/// Where to cut `buffer` so that at most `max` bytes stay in front: after a line if possible, else
/// between two words, so that no secret is halved and slips through the redactor; never inside a
/// UTF-8 character.
fn cut_point(buffer: &[u8], max: usize) -> usize {
    let from = max.saturating_sub(CUT_WINDOW);
    let window = &buffer[from..max];
    if let Some(key) = unended_key(window)
        && from + key > 0
    {
        return from + key;
    }
    if let Some(newline) = memchr::memrchr(b'\n', window) {
        return from + newline + 1;
    }
    if let Some(space) = window.iter().rposition(|byte| matches!(byte, b' ' | b'\t' | b',' | b';'))
    {
        return from + space + 1;
    }
    // A character has at most three continuation bytes.
    let mut end = max;
    while end > max - 3 && buffer.get(end).is_some_and(|byte| byte & 0xC0 == 0x80) {
        end -= 1;
    }
    end
}

/// Start of a private key block that does not end in `window`.
fn unended_key(window: &[u8]) -> Option<usize> {
    let begin = memchr::memmem::rfind(window, b"-----BEGIN")?;
    memchr::memmem::find(&window[begin..], b"-----END").is_none().then_some(begin)
}

fn unix_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
