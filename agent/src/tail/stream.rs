//! One stream of lines, joined to records: where they begin, where they are cut, and what of them
//! is open. Knows nothing of files.

use super::batch::{Abandoned, Chunk, OpenBatch, Pass};
use crate::model::FileId;
use crate::parse::split::Splitter;
use crate::telemetry;
use std::time::{Duration, Instant};

/// How far before the limit a cut looks for a place between two words.
const CUT_WINDOW: usize = 16 << 10;

/// Where the lines of a stream stand in their file.
#[derive(Debug, Default)]
pub struct Origin {
    /// Offset of the first byte of the stream's buffer, when all of it stands there as it is.
    offset: u64,
    /// Start in the buffer of each piece of a line that was unpacked from a frame, and its place.
    pieces: Vec<(usize, Place)>,
}

/// Where a piece of a line that was unpacked from frames stands in the file.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Offset of its first byte; of its frame, for the first piece in it.
    pub offset: u64,
    /// From here on its line can be read again, and all of what stands in the file behind it: no
    /// line of either stream begins before and goes on behind.
    pub floor: u64,
    /// Time of the first frame of its line.
    pub time_unix_ns: Option<u64>,
}

impl Origin {
    /// A buffer whose first byte stands at `offset`.
    #[must_use]
    pub fn at(offset: u64) -> Self {
        Self { offset, pieces: Vec::new() }
    }

    /// Offset in the file of the byte at `place`, and the time of its frame. No two bytes of a
    /// stream have the same offset, as records are told from one another by it.
    #[must_use]
    pub fn of(&self, place: usize) -> (u64, Option<u64>) {
        self.piece(place).map_or((self.offset + place as u64, None), |(start, piece)| {
            (piece.offset + (place - start) as u64, piece.time_unix_ns)
        })
    }

    /// Offset from which the byte at `place` can be read again.
    #[must_use]
    pub fn floor(&self, place: usize) -> u64 {
        self.piece(place).map_or(self.offset + place as u64, |(_, piece)| piece.floor)
    }

    /// The piece that the byte at `place` is in, and its start; none when nothing was unpacked.
    fn piece(&self, place: usize) -> Option<(usize, Place)> {
        let index = self.pieces.partition_point(|(start, _)| *start <= place);
        self.pieces.get(index.saturating_sub(1)).copied()
    }

    fn consumed(&mut self, bytes: usize) {
        self.offset += bytes as u64;
        // The piece that the end lies in stays.
        let index = self.pieces.partition_point(|(start, _)| *start <= bytes).saturating_sub(1);
        self.pieces.drain(..index);
        for (start, piece) in &mut self.pieces {
            let taken = bytes.saturating_sub(*start);
            piece.offset += taken as u64;
            *start = (*start + taken) - bytes;
        }
    }
}

/// Raw bytes that wait to become records.
#[derive(Debug)]
pub struct Stream {
    /// Raw bytes from the start of the open record on.
    pub(super) buffer: Vec<u8>,
    pub(super) origin: Origin,
    splitter: Splitter,
    /// Record starts in `buffer`; the last one is the open record.
    starts: Vec<u32>,
    /// Where in `buffer` the record limit cut a record in two.
    cuts: Vec<u32>,
    /// When bytes last came.
    grew: Instant,
}

/// Where records go, and what else is open in their file.
pub(super) struct Sink<'s, 'p> {
    pub(super) batch: &'s mut OpenBatch,
    pub(super) id: FileId,
    pub(super) pass: &'s mut Pass<'p>,
    /// For unpacked lines: offset from which what waits elsewhere can be read again.
    pub(super) framed: Option<u64>,
}

/// What stays in the stream, to be read on with its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// Nothing.
    Nothing,
    /// The line at the end that has no newline yet.
    HalfLine,
    /// That line, and the record in which a private key begins that does not end.
    OpenKey,
}

/// What ends where bytes are taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// A record.
    Record,
    /// What a record may be long; the rest of it is a part of its own.
    Limit,
}

impl Stream {
    /// Begins at `offset`.
    #[must_use]
    pub fn new(offset: u64, now: Instant) -> Self {
        Self {
            buffer: Vec::new(),
            origin: Origin::at(offset),
            splitter: Splitter::default(),
            starts: Vec::new(),
            cuts: Vec::new(),
            grew: now,
        }
    }

    /// Says that bytes came, be they only the beginning of a line.
    pub fn see(&mut self, now: Instant) {
        self.grew = now;
    }

    /// Time since bytes last came.
    #[must_use]
    pub fn idle(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.grew)
    }

    /// Appends the text of a line that was unpacked from frames, where in it each piece starts.
    pub fn push(&mut self, text: &[u8], pieces: &[(usize, Place)]) {
        if self.buffer.is_empty() {
            self.origin.pieces.clear();
        }
        let begin = self.buffer.len();
        self.origin.pieces.extend(pieces.iter().map(|(start, place)| (begin + start, *place)));
        self.buffer.extend_from_slice(text);
    }

    /// Offset from which what waits can be read again; none when nothing does.
    #[must_use]
    pub fn floor(&self) -> Option<u64> {
        (!self.buffer.is_empty()).then(|| self.origin.floor(0))
    }

    /// Hands over the records that are whole.
    pub(super) fn advance(&mut self, sink: &mut Sink<'_, '_>) -> Result<(), Abandoned> {
        self.splitter.advance(&self.buffer, &mut self.starts);
        // A few bytes of a line do not count yet: it may begin another record.
        let mut end = self.buffer.len();
        if self.open_record_bytes() > sink.pass.record_bytes_max {
            end = self.splitter.open_half_line(&self.buffer, &mut self.starts);
        }
        let n_later = self.buffer.len() - end;
        self.take(self.before_open_key(self.open_start()), End::Record, sink)?;
        while self.buffer.len() - n_later > sink.pass.record_bytes_max {
            let decided = &self.buffer[..self.buffer.len() - n_later];
            let end = cut_point(decided, sink.pass.record_bytes_max);
            self.take(end, End::Limit, sink)?;
        }
        Ok(())
    }

    /// Hands over everything but what it is told to keep.
    pub(super) fn flush(&mut self, sink: &mut Sink<'_, '_>, keep: Keep) -> Result<(), Abandoned> {
        let lines = memchr::memrchr(b'\n', &self.buffer).map_or(0, |newline| newline + 1);
        let end = match keep {
            Keep::Nothing => {
                self.splitter.finish(&self.buffer, &mut self.starts);
                self.buffer.len()
            }
            Keep::HalfLine => lines,
            Keep::OpenKey => self.before_open_key(lines),
        };
        // A half line is a record of its own then: nothing is cut.
        self.take(end, End::Record, sink)
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

    /// Moves `buffer[..end]` into the batch. Records that are too long are cut; so is the open one
    /// when `end` lies within it.
    fn take(&mut self, end: usize, of: End, sink: &mut Sink<'_, '_>) -> Result<(), Abandoned> {
        if end == 0 {
            return Ok(());
        }
        if self.starts.first() != Some(&0) {
            // The rest of a record whose beginning was taken before.
            self.starts.insert(0, 0);
        }
        let is_open_cut = of == End::Limit && self.open_start() == 0 && end < self.buffer.len();
        if is_open_cut {
            self.cuts.push(end as u32);
        }
        self.cut_long_records(end, sink.pass.record_bytes_max);
        telemetry::TRUNCATED_RECORDS.add(self.cuts.iter().filter(|cut| **cut > 0).count() as u64);
        let count = self.starts.partition_point(|start| (*start as usize) < end);
        let chunk = Chunk {
            bytes: &self.buffer[..end],
            starts: &self.starts[..count],
            cuts: &self.cuts,
            origin: &self.origin,
            framed: sink.framed,
            is_all: end == self.buffer.len(),
            observed_unix_ns: crate::clock::unix_ns(),
            now: sink.pass.now,
        };
        let pass = &mut *sink.pass;
        sink.batch.add(chunk, sink.id, pass.context, pass.limits, pass.emit)?;
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
        self.origin.consumed(end);
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
}

/// Where to cut `buffer` so that at most `max` bytes stay in front: after a line if possible, else
/// between two words, so that no secret is halved and slips through the redactor; never inside a
/// UTF-8 character.
pub(super) fn cut_point(buffer: &[u8], max: usize) -> usize {
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
