//! Finds where records start in raw bytes. Knows nothing of files, zones or redaction.
//!
//! A record is a line with a header (a timestamp, or a structured JSON object) and the lines that
//! continue it, or one line of unknown text with its trace. What continues a record follows from
//! the record's own bytes alone, so reading may resume at the start of any record.

use super::exception::{TRACEBACK, class_len, ends_with_traceback};
use super::{json, log4j, time};
use crate::model::Severity;
use memchr::{memchr, memchr_iter, memmem, memrchr};

/// Longest PEM block; an RSA key of 16,384 bits has 200 lines.
const PEM_LINES_MAX: u32 = 200;
const PEM_BEGIN: &[u8] = b"-----BEGIN ";
const PEM_PRIVATE_KEY: &[u8] = b"PRIVATE KEY-----";
const PEM_END: &[u8] = b"-----END ";

/// Finds the starts of records in a buffer that grows at its end and is consumed at its start.
#[derive(Debug, Default)]
pub struct Splitter {
    /// Start of the first line that is not classified yet.
    line: usize,
    /// End of the bytes that were searched for newlines.
    scanned: usize,
    /// True when the bytes at `line` are the rest of a line whose beginning was cut off.
    is_line_cut: bool,
    open: Option<Open>,
}

/// The last record, which more lines may join.
#[derive(Debug)]
struct Open {
    start: usize,
    kind: Kind,
    /// Lines that the private key in it may still have.
    pem_lines: u32,
    /// True when the beginning of the record was cut off.
    is_cut: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Its first line is not complete yet.
    Unread,
    /// Starts with a timestamp: every line without a header of its own continues it.
    Header,
    /// Text or JSON: only a trace continues it.
    Text(Trace),
}

/// Where a trace in text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trace {
    /// No trace was seen.
    None,
    /// Java frames.
    Java,
    /// Python frames, until the line that names the exception.
    PythonFrames,
    /// After that line.
    PythonEnd,
    /// After `During handling of the above exception, ...`: another traceback follows.
    PythonChain,
}

impl Splitter {
    /// Appends to `starts` the offset of every record start in `buffer` that earlier calls did not
    /// report; the first is 0, once, at the beginning of the input or after [`Splitter::reset`].
    ///
    /// `buffer` starts where the bytes left over by [`Splitter::consumed`] start, and holds at least
    /// the bytes of the last call. Only lines with their newline are looked at. The last start ever
    /// reported is the open record; all before it are complete.
    pub fn advance(&mut self, buffer: &[u8], starts: &mut Vec<u32>) {
        assert!(u32::try_from(buffer.len()).is_ok(), "a read buffer is far smaller than 4 GiB");
        assert!(self.scanned <= buffer.len(), "the buffer holds the bytes of the last call");
        if self.open.is_none() && !buffer.is_empty() {
            self.open_at(0, starts);
        }
        let new = self.scanned;
        self.scanned = buffer.len();
        let Some(last_newline) = memrchr(b'\n', &buffer[new..]) else { return };
        let end = new + last_newline + 1;
        // One search for the whole region is nearly free; one per line is not.
        let mut pem = Pem::new(&buffer[..end], self.line);
        for newline in memchr_iter(b'\n', &buffer[new..end]) {
            let line_end = new + newline + 1;
            self.classify(&buffer[..line_end], &mut pem, starts);
            self.line = line_end;
        }
    }

    /// Classifies the bytes after the last newline as if they were a complete line: to be called
    /// when no more is expected, before all of `buffer` is taken.
    pub fn finish(&mut self, buffer: &[u8], starts: &mut Vec<u32>) {
        self.advance(buffer, starts);
        if self.line < buffer.len() {
            let mut pem = Pem::new(buffer, self.line);
            self.classify(buffer, &mut pem, starts);
            self.line = buffer.len();
        }
    }

    /// Says that records were taken out: the first `bytes` bytes of the buffer. When the open record
    /// was among them, or a part of it, what is left starts a record of its own, reported anew.
    pub fn consumed(&mut self, bytes: usize) {
        assert!(bytes <= self.scanned, "only bytes that were looked at are consumed");
        match &mut self.open {
            Some(open) if bytes <= open.start => {
                open.start -= bytes;
                self.line -= bytes;
                self.scanned -= bytes;
            }
            _ => self.reset(),
        }
    }

    /// Says that the first `bytes` bytes of the open record were taken out because it is too long.
    /// It must start at 0 of the buffer. The rest of it still is the open record, not reported again;
    /// after a restart it would be read as text, because its header is gone.
    pub fn cut(&mut self, bytes: usize) {
        assert!(bytes <= self.scanned, "only bytes that were looked at are cut off");
        let Some(open) = &mut self.open else { return };
        assert!(open.start == 0, "finished records are consumed before the open one is cut");
        open.is_cut = true;
        if bytes > self.line {
            self.is_line_cut = true;
            if open.kind == Kind::Unread {
                open.kind = Kind::Text(Trace::None);
            }
        }
        self.line = self.line.saturating_sub(bytes);
        self.scanned -= bytes;
    }

    /// Forgets everything: the next byte is the first of a record.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    fn open_at(&mut self, start: usize, starts: &mut Vec<u32>) {
        starts.push(start as u32);
        self.open = Some(Open { start, kind: Kind::Unread, pem_lines: 0, is_cut: false });
    }

    /// Decides about the line that starts at `self.line` and ends with `buffer`.
    fn classify(&mut self, buffer: &[u8], pem: &mut Pem<'_>, starts: &mut Vec<u32>) {
        let line = &buffer[self.line..];
        let has_pem = pem.is_in(self.line, buffer.len());
        let is_rest = std::mem::take(&mut self.is_line_cut);
        if !is_rest && self.open.as_mut().is_none_or(|open| !open.takes(line, buffer)) {
            self.open_at(self.line, starts);
        }
        let Some(open) = &mut self.open else { return };
        if open.kind == Kind::Unread {
            open.kind = kind(line);
        }
        if has_pem && opens_private_key(line) {
            open.pem_lines = PEM_LINES_MAX;
        }
    }
}

impl Open {
    /// True when `line`, at the end of `buffer`, belongs to this record.
    fn takes(&mut self, line: &[u8], buffer: &[u8]) -> bool {
        if self.kind == Kind::Unread {
            return true;
        }
        if time::starts_with_timestamp(line) {
            return false;
        }
        if self.pem_lines > 0 && !json::starts_record(line) {
            let is_last = memmem::find(line, PEM_END).is_some();
            self.pem_lines = if is_last { 0 } else { self.pem_lines - 1 };
            return true;
        }
        match &mut self.kind {
            Kind::Header => match line[0] {
                b'{' => !json::starts_record(line),
                b'T' | b'E' => self.is_cut || !is_crash(line) || self.is_warning(buffer),
                _ => true,
            },
            Kind::Text(trace) => match next_trace(*trace, line) {
                Some(next) => {
                    *trace = next;
                    true
                }
                None => false,
            },
            Kind::Unread => true,
        }
    }

    /// True when the header says WARN or worse, so that a crash printed below it is in good hands.
    fn is_warning(&self, buffer: &[u8]) -> bool {
        let record = &buffer[self.start..];
        let line = &record[..memchr(b'\n', record).unwrap_or(record.len())];
        log4j::header(line).severity >= Severity::Warn
    }
}

fn kind(first_line: &[u8]) -> Kind {
    if time::starts_with_timestamp(first_line) {
        return Kind::Header;
    }
    Kind::Text(if ends_with_traceback(first_line) {
        Trace::PythonFrames
    } else if first_line.starts_with(b"Exception in thread \"") {
        Trace::Java
    } else {
        Trace::None
    })
}

/// A crash that the interpreter or the JVM prints to stderr by itself.
fn is_crash(line: &[u8]) -> bool {
    line.starts_with(TRACEBACK) || line.starts_with(b"Exception in thread \"")
}

/// State of the trace after `line`; none when `line` does not continue a text record.
fn next_trace(trace: Trace, line: &[u8]) -> Option<Trace> {
    let after_message =
        |next: Trace| if ends_with_traceback(line) { Trace::PythonFrames } else { next };
    let trimmed = line.trim_ascii_start();
    if trimmed.is_empty() {
        return Some(trace);
    }
    if starts_with_any(trimmed, &[b"Caused by: ", b"Suppressed: ", b"[CIRCULAR REFERENCE"]) {
        return Some(after_message(Trace::Java));
    }
    if trimmed.len() < line.len() {
        let is_frame = starts_with_any(trimmed, &[b"at ", b"... "]);
        return match trace {
            Trace::None => is_frame.then_some(Trace::Java),
            Trace::PythonEnd if is_frame => Some(Trace::Java),
            _ => Some(trace),
        };
    }
    match trace {
        Trace::PythonFrames if class_len(line.trim_ascii_end()).is_some() => {
            Some(after_message(Trace::PythonEnd))
        }
        Trace::PythonEnd if line.starts_with(b": ") => Some(after_message(Trace::Java)),
        Trace::PythonEnd
            if starts_with_any(
                line,
                &[b"During handling of the above", b"The above exception was the direct cause"],
            ) =>
        {
            Some(Trace::PythonChain)
        }
        Trace::PythonChain if line.starts_with(TRACEBACK) => Some(Trace::PythonFrames),
        Trace::Java | Trace::PythonEnd if line.starts_with(b"Driver stacktrace:") => {
            Some(Trace::Java)
        }
        _ => None,
    }
}

fn starts_with_any(line: &[u8], prefixes: &[&[u8]]) -> bool {
    prefixes.iter().any(|prefix| line.starts_with(prefix))
}

/// True when a private key begins in `line` and does not end in it.
fn opens_private_key(line: &[u8]) -> bool {
    memmem::rfind(line, PEM_BEGIN).is_some_and(|at| {
        let block = &line[at..];
        memmem::find(block, PEM_PRIVATE_KEY).is_some() && memmem::find(block, PEM_END).is_none()
    })
}

/// Positions of PEM blocks in a region, found one after another as the lines come by.
struct Pem<'a> {
    region: &'a [u8],
    next: Option<usize>,
}

impl<'a> Pem<'a> {
    fn new(region: &'a [u8], from: usize) -> Self {
        let mut pem = Self { region, next: None };
        pem.find(from);
        pem
    }

    fn find(&mut self, from: usize) {
        self.next = memmem::find(&self.region[from..], PEM_BEGIN).map(|at| from + at);
    }

    /// True when a block begins in the line from `start` to `end`. Lines are asked for in order.
    fn is_in(&mut self, start: usize, end: usize) -> bool {
        let is_in = self.next.is_some_and(|at| start <= at && at < end);
        if is_in {
            self.find(end);
        }
        is_in
    }
}
