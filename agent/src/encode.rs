//! Encodes log records as flat JSON objects, one a line. Absent fields have no key.

use crate::model::{LogBatch, LogRecord, Resource};
use crate::parse::time::write_rfc3339_nanos;
use crate::trace::{self, SpanId, TraceId};
use redaction::Value;
use std::ops::Range;
use std::sync::Arc;

/// Encodes records; keeps what is the same for all records of one resource.
#[derive(Debug, Default)]
pub struct JsonEncoder {
    constant: Option<Constant>,
}

/// Encoded members of a resource, each with its comma in front.
#[derive(Debug)]
struct Constant {
    /// Held so that its address is not given to another resource.
    resource: Arc<Resource>,
    /// `job_id` to `executor_id`.
    job: Vec<u8>,
    trace_id: Vec<u8>,
    trace_id_origin: Vec<u8>,
    file: Vec<u8>,
    host: Vec<u8>,
    /// The trace id as bytes, to derive span ids from.
    trace: Option<TraceId>,
    /// Stage and attempt of the last record that had one, and their span.
    last_stage: Option<(u32, u32, SpanId)>,
}

impl JsonEncoder {
    /// Appends `record` of `batch` to `out` as one line.
    ///
    /// `timestamp` is there only when the record states one, so the first key is `timestamp` or
    /// `observed_timestamp`. Invalid UTF-8 becomes U+FFFD.
    pub fn encode(&mut self, batch: &LogBatch, record: &LogRecord, out: &mut Vec<u8>) {
        let constant = match &mut self.constant {
            Some(constant) if Arc::ptr_eq(&constant.resource, &batch.resource) => constant,
            slot => slot.insert(Constant::new(&batch.resource)),
        };
        let field = |key: &str, range: &Range<u32>, out: &mut Vec<u8>| {
            if !range.is_empty() {
                write_member(key, batch.text.get(range), out);
            }
        };
        if let Some(unix_ns) = record.time_unix_ns {
            out.extend_from_slice(b"{\"timestamp\":\"");
            write_rfc3339_nanos(unix_ns, out);
            out.extend_from_slice(b"\",\"observed_timestamp\":\"");
        } else {
            out.extend_from_slice(b"{\"observed_timestamp\":\"");
        }
        write_rfc3339_nanos(record.observed_unix_ns, out);
        out.push(b'"');
        let severity = record.severity.as_str();
        if !severity.is_empty() {
            out.extend_from_slice(b",\"severity\":\"");
            out.extend_from_slice(severity.as_bytes());
            out.push(b'"');
        }
        field("body", &record.body, out);
        field("logger", &record.logger, out);
        field("thread", &record.thread, out);
        field("exception_type", &record.exception_type, out);
        out.extend_from_slice(&constant.job);
        if let Some(stage_id) = record.stage_id {
            write_number("stage_id", u64::from(stage_id), out);
        }
        if let Some(task_id) = record.task_id {
            write_number("task_id", task_id, out);
        }
        if record.trace_id.is_empty() {
            out.extend_from_slice(&constant.trace_id);
            constant.write_span(batch, record, out);
            out.extend_from_slice(&constant.trace_id_origin);
        } else {
            field("trace_id", &record.trace_id, out);
            field("span_id", &record.span_id, out);
            out.extend_from_slice(b",\"trace_id_origin\":\"record\"");
        }
        out.extend_from_slice(&constant.file);
        write_number("offset", record.offset, out);
        out.extend_from_slice(&constant.host);
        if record.is_truncated {
            out.extend_from_slice(b",\"truncated\":true");
        }
        out.extend_from_slice(b"}\n");
    }
}

impl Constant {
    fn new(resource: &Arc<Resource>) -> Self {
        let member = |key: &str, value: &Option<Value>, out: &mut Vec<u8>| {
            if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                write_member(key, value.as_bytes(), out);
            }
        };
        let encoded = |key: &str, value: &Option<Value>| {
            let mut out = Vec::new();
            member(key, value, &mut out);
            out
        };
        let mut job = Vec::new();
        member("job_id", &resource.job_id, &mut job);
        member("job_name", &resource.job_name, &mut job);
        member("run_id", &resource.run_id, &mut job);
        member("user_id", &resource.user_id, &mut job);
        member("run_context", &resource.run_context, &mut job);
        member("source_data_path", &resource.source_data_path, &mut job);
        if let Some(engine) = resource.engine {
            write_member("engine", engine.as_str().as_bytes(), &mut job);
        }
        member("component", &resource.component, &mut job);
        member("executor_id", &resource.executor_id, &mut job);
        Self {
            resource: Arc::clone(resource),
            job,
            trace_id: encoded("trace_id", &resource.trace_id),
            trace_id_origin: encoded("trace_id_origin", &resource.trace_id_origin),
            file: encoded("file", &resource.file),
            host: encoded("host", &resource.host),
            trace: resource.trace_id.as_ref().and_then(|id| trace::parse_id(id.as_bytes())),
            last_stage: None,
        }
    }

    /// The record's own span, else the span of its stage in the resource's trace, else none.
    fn write_span(&mut self, batch: &LogBatch, record: &LogRecord, out: &mut Vec<u8>) {
        if !record.span_id.is_empty() {
            return write_member("span_id", batch.text.get(&record.span_id), out);
        }
        let (Some(trace_id), Some(stage_id)) = (&self.trace, record.stage_id) else { return };
        let attempt = record.stage_attempt;
        let span_id = match self.last_stage {
            Some((stage, last_attempt, span)) if (stage, last_attempt) == (stage_id, attempt) => {
                span
            }
            _ => trace::stage_span_id(trace_id, stage_id, attempt),
        };
        self.last_stage = Some((stage_id, attempt, span_id));
        out.extend_from_slice(b",\"span_id\":\"");
        trace::write_hex(&span_id, out);
        out.push(b'"');
    }
}

/// Appends `,"key":"value"`; `key` needs no escapes.
fn write_member(key: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":\"");
    write_escaped(value, out);
    out.push(b'"');
}

fn write_number(key: &str, mut number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends `bytes` as the contents of a JSON string: control characters, quotes and backslashes
/// escaped, invalid UTF-8 as U+FFFD in the places where `String::from_utf8_lossy` puts it.
pub fn write_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    if std::str::from_utf8(bytes).is_ok() {
        return write_escaped_ascii(bytes, out);
    }
    for chunk in bytes.utf8_chunks() {
        write_escaped_ascii(chunk.valid().as_bytes(), out);
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// Escapes the ASCII characters that JSON forbids in strings and copies the runs between them.
fn write_escaped_ascii(bytes: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut copied = 0;
    while let Some(at) = next_special(bytes, copied) {
        out.extend_from_slice(&bytes[copied..at]);
        let byte = bytes[at];
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\t' => b"\\t",
            b'\r' => b"\\r",
            _ => {
                &[b'\\', b'u', b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]
            }
        };
        out.extend_from_slice(escape);
        copied = at + 1;
    }
    out.extend_from_slice(&bytes[copied..]);
}

/// Position of the next byte that needs an escape, eight bytes at a step.
fn next_special(bytes: &[u8], from: usize) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let is_special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    let mut at = from;
    let (words, _) = bytes[from..].as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        // Classic "has a byte less than n" and "has a zero byte"; the lowest hit is exact.
        let below_space = word.wrapping_sub(ONES * 0x20) & !word;
        let quote = word ^ (ONES * u64::from(b'"'));
        let quote = quote.wrapping_sub(ONES) & !quote;
        let backslash = word ^ (ONES * u64::from(b'\\'));
        let backslash = backslash.wrapping_sub(ONES) & !backslash;
        let hits = (below_space | quote | backslash) & HIGH;
        if hits != 0 {
            return Some(at + hits.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    bytes[at..].iter().position(is_special).map(|rest| at + rest)
}
