//! Turns bytes into log records: where they start, and what their header says.
//!
//! [`split`] works on raw bytes and decides nothing but where records start. [`record`] sees only
//! redacted bytes, and what it appends to the text went through the redactor again.

pub mod exception;
pub mod json;
pub mod log4j;
pub mod split;
pub mod time;

use crate::model::{LogRecord, Severity};
use crate::trace;
use json::{Fields, JsonString};
use log4j::Task;
use memchr::memchr;
use redaction::{Redactor, Text};
use std::ops::Range;
use time::Clock;

/// What parsing needs besides the record: the redactor, the zone, and buffers it uses again.
#[derive(Debug)]
pub struct ParseContext<'a> {
    pub(crate) redactor: &'a Redactor,
    clock: Clock,
    scratch: Vec<u8>,
}

impl<'a> ParseContext<'a> {
    /// `zone` is the zone of timestamps that state none.
    #[must_use]
    pub fn new(redactor: &'a Redactor, zone: jiff::tz::TimeZone) -> Self {
        Self { redactor, clock: Clock::new(zone), scratch: Vec::new() }
    }
}

/// Parses the record at `range` of `text`, whose first byte stands at `raw_offset` of its file.
///
/// Never fails: text without a header is a record of which only the body is known. A structured
/// record may append its decoded strings to `text`, which forgets `text.edits()`: use those before.
pub fn record(
    text: &mut Text,
    range: Range<u32>,
    raw_offset: u64,
    observed_unix_ns: u64,
    context: &mut ParseContext<'_>,
) -> LogRecord {
    let mut record = LogRecord { observed_unix_ns, offset: raw_offset, ..LogRecord::default() };
    let bytes = text.get(&range);
    let end = bytes.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |at| at + 1);
    let bytes = &bytes[..end];
    let first_end = memchr(b'\n', bytes).unwrap_or(end);
    if bytes.starts_with(b"{\"")
        && let Some(fields) = json::parse(&bytes[..first_end])
        && bytes[fields.end..first_end].trim_ascii().is_empty()
    {
        let range = range.start..range.start + end as u32;
        structured(text, &range, &fields, first_end, context, &mut record);
    } else {
        plain(bytes, range.start, first_end, &mut context.clock, &mut record);
    }
    record
}

/// Moves a range of a record to where the record stands in the text.
fn moved(range: &Range<usize>, base: u32) -> Range<u32> {
    base + range.start as u32..base + range.end as u32
}

fn plain(bytes: &[u8], base: u32, first_end: usize, clock: &mut Clock, record: &mut LogRecord) {
    let line = &bytes[..first_end];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let header = log4j::header(line);
    record.time_unix_ns = header.stamp.as_ref().and_then(|stamp| clock.unix_ns(line, stamp));
    record.severity = header.severity;
    record.logger = moved(&header.logger, base);
    record.thread = moved(&header.thread, base);
    // A header with an empty message, as Flink's start scripts log: the text is on the next lines.
    let message =
        if header.message < line.len() { header.message } else { bytes.len().min(first_end + 1) };
    record.body = moved(&(message..bytes.len()), base);
    let task = log4j::task(&line[header.mdc])
        .or_else(|| log4j::task(&line[header.thread]))
        .or_else(|| log4j::task(&line[header.message..]));
    set_task(task, record);
    // One INFO line in a row is the common case and has no exception.
    let may_hold_exception =
        first_end < bytes.len() || record.severity >= Severity::Warn || header.stamp.is_none();
    if may_hold_exception && let Some(class) = exception::exception_type(&bytes[message..]) {
        record.exception_type = moved(&class, base + message as u32);
    }
}

fn set_task(task: Option<Task>, record: &mut LogRecord) {
    if let Some(task) = task {
        record.stage_id = Some(task.stage_id);
        record.stage_attempt = task.stage_attempt;
        record.task_id = Some(task.task_id);
    }
}

/// Fills `record` from the fields of the JSON object in its first line.
fn structured(
    text: &mut Text,
    range: &Range<u32>,
    fields: &Fields,
    first_end: usize,
    context: &mut ParseContext<'_>,
    record: &mut LogRecord,
) {
    let bytes = text.get(range);
    let string = |field: &JsonString| &bytes[field.range.clone()];
    record.time_unix_ns = time::stamp(string(&fields.time))
        .and_then(|stamp| context.clock.unix_ns(string(&fields.time), &stamp));
    record.severity = Severity::parse(string(&fields.level)).unwrap_or_default();
    set_task(
        log4j::task(string(&fields.task_name))
            .or_else(|| log4j::task(string(&fields.thread)))
            .or_else(|| log4j::task(string(&fields.message))),
        record,
    );
    if trace::parse_id::<16>(string(&fields.trace_id)).is_some() {
        record.trace_id = moved(&fields.trace_id.range, range.start);
    }
    if trace::parse_id::<8>(string(&fields.span_id)).is_some() {
        record.span_id = moved(&fields.span_id.range, range.start);
    }
    record.logger = decoded(text, range, &fields.logger, context);
    record.thread = decoded(text, range, &fields.thread, context);
    record.exception_type = decoded(text, range, &fields.error_type, context);
    record.body = structured_body(text, range, fields, first_end, context);
    if record.exception_type.is_empty() {
        let body = text.get(&record.body);
        if let Some(class) =
            exception::exception_type(body).filter(|_| memchr(b'\n', body).is_some())
        {
            record.exception_type = moved(&class, record.body.start);
        }
    }
}

/// Where the decoded string stands in `text`. Only a string with escapes is appended, redacted
/// again, for an escape may have hidden what the first pass looked for.
fn decoded(
    text: &mut Text,
    range: &Range<u32>,
    field: &JsonString,
    context: &mut ParseContext<'_>,
) -> Range<u32> {
    if !field.is_escaped {
        return moved(&field.range, range.start);
    }
    context.scratch.clear();
    json::decode(&text.get(range)[field.range.clone()], &mut context.scratch);
    context.redactor.redact_chunk(&context.scratch, text)
}

/// Message, then the exception as the JVM prints it, then lines that followed the object.
fn structured_body(
    text: &mut Text,
    range: &Range<u32>,
    fields: &Fields,
    first_end: usize,
    context: &mut ParseContext<'_>,
) -> Range<u32> {
    let bytes = text.get(range);
    let rest = &bytes[first_end..];
    let has_exception = !fields.error_type.range.is_empty();
    let has_trace = !fields.stack_trace.range.is_empty();
    if !has_exception && !has_trace && rest.is_empty() {
        if fields.message.range.is_empty() {
            return range.clone();
        }
        return decoded(text, range, &fields.message, context);
    }
    let scratch = &mut context.scratch;
    scratch.clear();
    json::decode(&bytes[fields.message.range.clone()], scratch);
    if has_exception || has_trace {
        if !scratch.is_empty() {
            scratch.push(b'\n');
        }
        if has_trace {
            json::decode(&bytes[fields.stack_trace.range.clone()], scratch);
        } else {
            json::write_exception(bytes, fields, scratch);
        }
    }
    scratch.truncate(scratch.trim_ascii_end().len());
    scratch.extend_from_slice(rest);
    context.redactor.redact_chunk(scratch, text)
}
