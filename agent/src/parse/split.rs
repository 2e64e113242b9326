//! Finds where records start in raw bytes. Knows nothing of files, zones or redaction.
//!
//! A record is a line with a header (a timestamp, or a structured JSON object) and the lines that
//! continue it, or one line of unknown text with its trace. What continues a record follows from
//! the record's own bytes alone, so reading may resume at the start of any record.

use super::exception::{TRACEBACK, class_len, ends_with_traceback};
use super::{json, log4j, time};
use crate::model::Severity;
use memchr::{memchr, memchr_iter, memmem, memrchr};

/// So many bytes of a line tell whether it starts a record.
const BEGINNING_BYTES: usize = 512;
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

    /// Decides about the half line at the end by its beginning, if that is there. What is read of it
    /// later is its rest, whatever it looks like. Returns the end of what is decided about.
    pub fn open_half_line(&mut self, buffer: &[u8], starts: &mut Vec<u32>) -> usize {
        self.advance(buffer, starts);
        let is_later = self.open.as_ref().is_some_and(|open| open.kind != Kind::Unread);
        if is_later && !self.is_line_cut && buffer.len() - self.line <= BEGINNING_BYTES {
            return self.line;
        }
        if self.line < buffer.len() {
            let mut pem = Pem::new(buffer, self.line);
            self.classify(buffer, &mut pem, starts);
            self.is_line_cut = true;
        }
        buffer.len()
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
pub(super) fn is_crash(line: &[u8]) -> bool {
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
            // PySpark's message of several lines ends with the traceback of the worker.
            Trace::PythonEnd => Some(Trace::PythonChain),
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

/// Positions of private keys in a region, found one after another as the lines come by.
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
        self.next = memmem::find(&self.region[from..], PEM_PRIVATE_KEY).map(|at| from + at);
    }

    /// True when a key begins or ends in the line from `start` to `end`. Lines are asked for in order.
    fn is_in(&mut self, start: usize, end: usize) -> bool {
        let is_in = self.next.is_some_and(|at| start <= at && at < end);
        if is_in {
            self.find(end);
        }
        is_in
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::Splitter;
    use proptest::prelude::{Just, ProptestConfig, Strategy, prop_oneof, proptest};

    /// Splits `log`, which arrives in chunks of `sizes`; finished records are consumed at once.
    fn split(log: &[u8], sizes: &[usize]) -> Vec<usize> {
        let (mut splitter, mut starts, mut found) = (Splitter::default(), Vec::new(), Vec::new());
        let (mut begin, mut end) = (0, 0);
        for size in sizes.iter().copied().chain([log.len()]) {
            end = log.len().min(end + size);
            splitter.advance(&log[begin..end], &mut starts);
            found.extend(starts.drain(..).map(|start| begin + start as usize));
            if let Some(open) = found.last() {
                splitter.consumed(open - begin);
                begin = *open;
            }
        }
        splitter.finish(&log[begin..], &mut starts);
        found.extend(starts.drain(..).map(|start| begin + start as usize));
        found
    }

    /// Records of `log`, each written with its newlines; `|` in `want` stands between them.
    #[track_caller]
    fn check(want: &[&str]) {
        let log = want.concat();
        let mut starts = split(log.as_bytes(), &[]);
        starts.push(log.len());
        let got: Vec<&str> = starts.windows(2).map(|pair| &log[pair[0]..pair[1]]).collect();
        assert_eq!(got, want);
    }

    const INFO: &str = "26/11/22 06:39:27 INFO Job: a\n";
    const WARN: &str = "2026-11-22 06:39:27,001 WARN Job: a\n";
    const JSON: &str = "{\"ts\":\"2026-11-22T06:39:27Z\",\"msg\":\"a\"}\n";
    const TRACEBACK: &str =
        "Traceback (most recent call last):\n  File \"a.py\", line 1\n    a()\n";

    #[test]
    fn everything_without_a_header_continues_a_header() {
        let plan =
            format!("{INFO}org.a.B: c\n\tat d\n\nCaused by: e\n== Plan ==\n{{\n  \"id\": 1\n}}\n");
        check(&[&plan, WARN, JSON, INFO]);
        check(&[&format!("{INFO}{{\"id\":{{\"ts\":\"2026\"}}}}\n"), INFO]);
        check(&[INFO, "{\"level\":\"INFO\",\"time\":\"2026-11-22T06:39:27Z\"}\n"]);
    }

    #[test]
    fn unknown_text_is_one_record_a_line() {
        check(&["Spark Command: java\n", "=====\n\n", "a\n", "  b\n", "c\n"]);
        check(&["no newline"]);
    }

    #[test]
    fn a_crash_does_not_hide_below_an_info_header() {
        let crash = format!("{TRACEBACK}ValueError: b\n");
        check(&[INFO, &crash, "c\n", INFO]);
        check(&[&format!("{WARN}{crash}"), INFO]);
        let java = "Exception in thread \"main\" java.lang.Error: b\n\tat c\n";
        check(&[INFO, java, INFO]);
        check(&[&format!("{WARN}{java}"), INFO]);
        check(&[&format!("{INFO}Total: 3\nEnd\n")]);
    }

    #[test]
    fn traces_in_text_and_after_json_stay_whole() {
        check(&[&format!("{JSON}\tat a\n\t... 3 more\nCaused by: b\n\tat c\n"), "d\n"]);
        check(&["java.lang.Error: a\n\tSuppressed: b\n\t\tat c\n[CIRCULAR REFERENCE:d]\n", "e\n"]);
        let chained = format!(
            "{TRACEBACK}KeyError: 'b'\n\nDuring handling of the above exception, another exception \
             occurred:\n\n{TRACEBACK}c.D: e\n"
        );
        check(&[&chained, "f\n", TRACEBACK]);
        let py4j = format!(
            "{TRACEBACK}py4j.protocol.Py4JJavaError: b.\n: org.c.D: e: org.f.G: Traceback (most recent \
             call last):\n  File h\nZeroDivisionError: i\n\n\tat j\nDriver stacktrace:\n\tat k\n\
             Caused by: org.f.G: Traceback (most recent call last):\n  File h\nZeroDivisionError: i\n\n\
             \tat j\n\t... 1 more\n"
        );
        check(&[&py4j, "l\n"]);
    }

    #[test]
    fn a_private_key_is_never_split_and_never_endless() {
        let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n\nabc=\n-----END RSA PRIVATE KEY-----\n";
        check(&[key, "a\n"]);
        check(&[JSON, &format!("key: {key}"), "a\n", INFO]);
        check(&["key -----BEGIN PRIVATE KEY-----\\nMIIE\\n-----END PRIVATE KEY-----\n", "a\n"]);
        check(&["-----BEGIN CERTIFICATE-----\n", "MIIE\n"]);
        let endless = format!("-----BEGIN PRIVATE KEY-----\n{}", "MIIE\n".repeat(200));
        check(&[&endless, "MIIE\n", INFO]);
        check(&["no -----BEGIN PRIVATE KEY----- found\n", INFO]);
    }

    #[test]
    fn an_open_record_that_was_taken_or_cut_does_not_confuse_the_rest() {
        let (mut splitter, mut starts) = (Splitter::default(), Vec::new());
        splitter.advance(INFO.as_bytes(), &mut starts);
        splitter.consumed(INFO.len());
        splitter.advance(b"\tat a\n", &mut starts);
        assert_eq!(starts, [0, 0], "what follows a record that was taken starts anew");
        let (mut splitter, mut starts) = (Splitter::default(), Vec::new());
        splitter.advance(INFO.as_bytes(), &mut starts);
        splitter.cut(INFO.len() - 3);
        splitter.advance(format!(" a\nb\nc\n{INFO}").as_bytes(), &mut starts);
        assert_eq!(starts, [0, 7], "what follows a part still belongs to the record");
        let (mut splitter, mut starts) = (Splitter::default(), Vec::new());
        splitter.advance(b"26/11/22 06:39:27 INFO Job: at ", &mut starts);
        splitter.cut(31);
        splitter.advance(INFO.as_bytes(), &mut starts);
        assert_eq!(starts, [0], "the rest of a line is not a line");
    }

    /// Lines that the splitter decides about, whole and broken.
    pub(in crate::parse) fn piece() -> impl Strategy<Value = Vec<u8>> {
        let lines = [
            INFO,
            WARN,
            JSON,
            TRACEBACK,
            "26/11/22 06:39:27.1",
            "\n",
            "\r\n",
            "\tat a.B\n",
            "a\n",
            "Caused by: a.B: c\n",
            "ValueError: a\n",
            ": a.B: c\n",
            " - ",
            "[",
            "] ",
            "(TID 7) ",
            "\\",
            "During handling of the above exception, another\n",
            "Exception in thread \"main\" a.B\n",
            "-----BEGIN PRIVATE KEY-----\n",
            "MIIE\n",
            "-----END PRIVATE KEY-----\n",
            "{\"",
            "ERROR: ",
            "{\"@timestamp\":\"2026-11-22T06:39:27Z\",\"error\":{\"type\":\"a\\u0040\",\"stack_trace\":\"b\\n\"}}\n",
            "[2026-11-22 06:39:27] ",
            "[main] ",
            "INFO ",
            "a.b.C: ",
            "a.b.C - ",
            "in stage 3.1 ",
        ];
        prop_oneof![
            8 => proptest::sample::select(lines.to_vec()).prop_map(|line| line.as_bytes().to_vec()),
            1 => proptest::collection::vec(proptest::num::u8::ANY, 0..20),
            1 => Just(b"\"\xff\x00\n".to_vec()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn chunks_do_not_change_records(
            pieces in proptest::collection::vec(piece(), 0..40),
            sizes in proptest::collection::vec(0_usize..90, 0..60),
        ) {
            let log = pieces.concat();
            let whole = split(&log, &[]);
            assert_eq!(split(&log, &sizes), whole);
            assert!(whole.is_sorted_by(|a, b| a < b), "starts grow");
            assert_eq!(whole.first().copied(), (!log.is_empty()).then_some(0), "nothing is left out");
        }

        #[test]
        fn reading_may_resume_at_any_record(pieces in proptest::collection::vec(piece(), 0..40)) {
            let log = pieces.concat();
            let whole = split(&log, &[]);
            for (at, start) in whole.iter().enumerate() {
                let resumed: Vec<usize> =
                    split(&log[*start..], &[]).iter().map(|found| found + start).collect();
                assert_eq!(resumed, whole[at..]);
            }
        }
    }
}
