//! Headers of plain log lines: log4j, logback, Flink, Python `logging`. Hand-written, positional.
//!
//! A header is a timestamp, then level, `[thread]` and logger in the orders that real patterns use.
//! What is not understood stays in the message, so nothing is lost.

use super::time::{self, Stamp};
use crate::model::Severity;
use memchr::{memchr, memchr_iter};
use std::ops::Range;

/// Longest thread, logger or MDC; a longer one is part of the message.
const FIELD_BYTES_MAX: usize = 256;
/// Level, thread, NDC and one to spare may come before the logger.
const FIELDS_MAX: usize = 4;
/// How far into a message a task is looked for.
const TASK_SEARCH_BYTES_MAX: usize = 1024;

/// Parts of a first line, as offsets into it. An empty range means absent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Timestamp, when the line starts with one.
    pub stamp: Option<Stamp>,
    /// Level.
    pub severity: Severity,
    /// Logger.
    pub logger: Range<usize>,
    /// Thread.
    pub thread: Range<usize>,
    /// What stands in brackets after the logger: Spark's `%X{task_name}`, Flink's `%x`.
    pub mdc: Range<usize>,
    /// Where the message starts.
    pub message: usize,
}

/// Reads the header of `line`, the first line of a record without its newline.
#[must_use]
pub fn header(line: &[u8]) -> Header {
    let stamp = time::stamp(line);
    let mut reader = Reader { line, at: 0, header: Header { stamp, ..Header::default() } };
    match &reader.header.stamp {
        Some(stamp) => {
            reader.at = separator(line, stamp.end).0;
            reader.fields();
        }
        None => reader.level_only(),
    }
    reader.header.message = reader.at;
    reader.header
}

/// Reads from left to right; `at` is the first byte that is not understood yet.
struct Reader<'a> {
    line: &'a [u8],
    at: usize,
    header: Header,
}

impl Reader<'_> {
    /// Level, thread and logger after a timestamp.
    fn fields(&mut self) {
        let mut unproven_thread = None;
        for _ in 0..FIELDS_MAX {
            let has_level = self.header.severity != Severity::Unspecified;
            let before = self.at;
            let is_message_next = match self.line.get(self.at) {
                Some(b'[') => self.bracket(has_level),
                Some(_) if !has_level => self.level().or_else(|| self.name_then_level()),
                Some(_) => self.logger().then_some(true),
                None => None,
            };
            match is_message_next {
                Some(true) => return,
                Some(false) if has_level => _ = unproven_thread.get_or_insert(before),
                Some(false) => {}
                None => break,
            }
        }
        // Brackets after the level are a thread only when a logger follows: `WARN [E42] lost`.
        if let Some(before) = unproven_thread {
            self.header.thread = 0..0;
            self.at = before;
        }
    }

    /// A line without timestamp, such as Flink's start scripts and Python's defaults write.
    fn level_only(&mut self) {
        // Prose may start with a level in lower case: "error in line 3" states none.
        if !self.line.first().is_some_and(u8::is_ascii_uppercase) || self.level() != Some(false) {
            return;
        }
        let message = self.at;
        if self.line[message..].starts_with(b"[]") {
            let (at, is_message_next) = separator(self.line, message + 2);
            self.at = if is_message_next { at } else { message };
        } else if self.logger() && !self.line[self.header.logger.clone()].contains(&b'.') {
            // Without timestamp only a qualified name is surely a logger: `ERROR Usage: java ...`.
            (self.header.logger, self.header.mdc) = (0..0, 0..0);
            self.at = message;
        }
    }

    /// Reads `[level]`, `[thread]` or an empty `[]`. True when the message follows.
    fn bracket(&mut self, has_level: bool) -> Option<bool> {
        let close = closing_bracket(self.line, self.at)?;
        let inner = self.at + 1..close;
        match Severity::parse(&self.line[inner.clone()]) {
            Some(severity) if !has_level => self.header.severity = severity,
            _ if inner.is_empty() => {}
            _ if self.header.thread.is_empty() => self.header.thread = inner,
            _ => return None,
        }
        Some(self.pass_separator(close + 1))
    }

    /// Reads `LEVEL`, `LEVEL: message` and `LEVEL:logger:message`, the default of Python's
    /// `basicConfig`. True when the message follows.
    fn level(&mut self) -> Option<bool> {
        let token = token(self.line, self.at);
        let word = &self.line[token.clone()];
        if let Some(severity) = Severity::parse(word) {
            self.header.severity = severity;
            return Some(self.pass_separator(token.end));
        }
        let level_len = memchr(b':', word)?;
        self.header.severity = Severity::parse(&word[..level_len])?;
        self.at = token.start + level_len + 1;
        if let Some(len) = memchr(b':', &word[level_len + 1..])
            && is_name(&word[level_len + 1..][..len])
        {
            self.header.logger = self.at..self.at + len;
            self.at += len + 1;
        }
        self.at += usize::from(self.line.get(self.at) == Some(&b' '));
        Some(true)
    }

    /// Reads `thread LEVEL` and Python's `logger - LEVEL - message`. True when the message follows.
    fn name_then_level(&mut self) -> Option<bool> {
        let name = token(self.line, self.at);
        let (at, is_logger) = separator(self.line, name.end);
        let level = token(self.line, at);
        let severity = Severity::parse(&self.line[level.clone()])?;
        if !is_name(&self.line[name.clone()]) {
            return None;
        }
        self.header.severity = severity;
        if is_logger {
            self.header.logger = name;
        } else {
            self.header.thread = name;
        }
        Some(self.pass_separator(level.end) || is_logger)
    }

    /// Reads `logger: `, `logger [mdc]: `, `logger - `, `logger [ndc] - `. False changes nothing.
    fn logger(&mut self) -> bool {
        let mut name = token(self.line, self.at);
        let class_end = name.end;
        let mut mdc = 0..0;
        let mut colon = name.end.saturating_sub(1).max(name.start);
        if self.line.get(colon) != Some(&b':') {
            colon = skip_blanks(self.line, name.end);
            if let Some(end) = instance_end(self.line, colon) {
                name.end = end;
                colon = skip_blanks(self.line, end);
            }
            if self.line.get(colon) == Some(&b'[') {
                let Some(close) = closing_bracket(self.line, colon) else { return false };
                mdc = colon + 1..close;
                colon = close + 1;
            }
        }
        let (dash_end, has_dash) = separator(self.line, colon);
        let message = if self.line.get(colon) == Some(&b':') {
            name.end = name.end.min(colon);
            colon + 1 + usize::from(self.line.get(colon + 1) == Some(&b' '))
        } else if has_dash {
            name.end = without_line_number(self.line, &name);
            dash_end
        } else {
            return false;
        };
        if !is_name(&self.line[self.at..class_end.min(name.end)]) {
            return false;
        }
        self.header.logger = name;
        self.header.mdc = mdc;
        self.at = message;
        true
    }

    /// Moves behind a separator; true when it was a dash.
    fn pass_separator(&mut self, at: usize) -> bool {
        let (at, has_dash) = separator(self.line, at);
        self.at = at;
        has_dash
    }
}

/// The bytes up to the next blank.
fn token(line: &[u8], at: usize) -> Range<usize> {
    at..line[at..].iter().position(|byte| *byte == b' ').map_or(line.len(), |len| at + len)
}

fn skip_blanks(line: &[u8], at: usize) -> usize {
    // Flink pads loggers to 60 columns, so long runs are usual.
    let (words, _) = line[at..].as_chunks::<8>();
    let at = at + 8 * words.iter().take_while(|word| *word == b"        ").count();
    at + line[at..].iter().take_while(|byte| **byte == b' ').count()
}

/// Skips blanks, or ` - ` with one blank behind the dash; true when there was a dash.
fn separator(line: &[u8], at: usize) -> (usize, bool) {
    let at = skip_blanks(line, at);
    match line[at..] {
        [b'-', b' ', ..] => (at + 2, true),
        [b'-'] => (at + 1, true),
        _ => (at, false),
    }
}

/// True for what can be the name of a logger or a bare thread.
fn is_name(name: &[u8]) -> bool {
    name.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
        && name.len() <= FIELD_BYTES_MAX
        && name.iter().all(|byte| IS_NAME_PART[usize::from(*byte)])
}

/// Bytes that names are made of.
const IS_NAME_PART: [bool; 256] = {
    let mut is_part = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        is_part[byte] = (byte as u8).is_ascii_alphanumeric()
            || matches!(byte as u8, b'_' | b'.' | b'$' | b'-' | b'/' | b':' | b'#' | b'@' | b'+');
        byte += 1;
    }
    is_part
};

/// End of `StateStoreProviderId[ ... ]` at `at`: Spark 4 names some loggers by class and instance.
fn instance_end(line: &[u8], at: usize) -> Option<usize> {
    let rest = &line[at..line.len().min(at + FIELD_BYTES_MAX)];
    if !rest.first()?.is_ascii_uppercase() {
        return None;
    }
    let open = memchr(b'[', rest)?;
    let close = is_name(&rest[..open]).then(|| closing_bracket(line, at + open))??;
    Some(close + 1)
}

/// End of the name in `Logger:123`, which log4j's `%c:%L` writes.
fn without_line_number(line: &[u8], name: &Range<usize>) -> usize {
    let digits = line[name.clone()].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let colon = name.end - digits;
    if digits > 0 && line[name.start..colon].ends_with(b":") { colon - 1 } else { name.end }
}

/// Position of the bracket that closes the one at `open`; thread names may hold brackets too.
fn closing_bracket(line: &[u8], open: usize) -> Option<usize> {
    let field = &line[open..line.len().min(open + FIELD_BYTES_MAX)];
    let first = memchr(b']', field)?;
    if memchr(b'[', &field[1..first]).is_none() {
        return Some(open + first);
    }
    let mut depth = 0_usize;
    for (at, byte) in field.iter().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' if depth == 1 => return Some(open + at),
            b']' => depth -= 1,
            _ => {}
        }
    }
    Some(open + first)
}

/// A Spark task, as `task 1.0 in stage 2.3 (TID 17)` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    /// Stage id.
    pub stage_id: u32,
    /// Attempt of the stage; 0 when it is not written.
    pub stage_attempt: u32,
    /// Task id (`TID`).
    pub task_id: u64,
}

/// Finds the first task that `text` names, in its first KiB.
#[must_use]
pub fn task(text: &[u8]) -> Option<Task> {
    let text = &text[..text.len().min(TASK_SEARCH_BYTES_MAX)];
    memchr_iter(b'(', text).find_map(|open| {
        let number = text[open..].strip_prefix(b"(TID ")?;
        let (task_id, len) = decimal(number)?;
        if !matches!(number.get(len), Some(b')' | b',')) {
            return None;
        }
        let before = text[..open].strip_suffix(b" ")?;
        let stage_at = before.iter().rposition(|byte| *byte == b' ')? + 1;
        if !before[..stage_at].ends_with(b"in stage ") {
            return None;
        }
        let (stage_id, len) = decimal(&before[stage_at..])?;
        let attempt = match &before[stage_at + len..] {
            [] => 0,
            [b'.', attempt @ ..] => decimal(attempt)?.0,
            _ => return None,
        };
        let (stage_id, stage_attempt) =
            (u32::try_from(stage_id).ok()?, u32::try_from(attempt).ok()?);
        Some(Task { stage_id, stage_attempt, task_id })
    })
}

/// The number that `text` starts with, and how many digits it has.
fn decimal(text: &[u8]) -> Option<(u64, usize)> {
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let add = |sum: u64, digit: &u8| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    let number = text[..len].iter().try_fold(0, add)?;
    (len > 0).then_some((number, len))
}
