//! Encodes log records as flat JSON objects, one a line. Absent fields have no key.

use crate::model::{LogBatch, LogRecord, Resource};
use crate::parse::time::Rfc3339;
use crate::trace::{self, SpanId, TraceId};
use redaction::Value;
use std::ops::Range;
use std::sync::Arc;

/// Encodes records; keeps what is the same for all records of one resource.
#[derive(Debug, Default)]
pub struct JsonEncoder {
    constant: Option<Constant>,
    timestamp: Rfc3339,
    observed_timestamp: Rfc3339,
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
        if let Some(unix_ns) = record.time_unix_ns {
            out.extend_from_slice(b"{\"timestamp\":\"");
            self.timestamp.write(unix_ns, out);
            out.extend_from_slice(b"\",\"observed_timestamp\":\"");
        } else {
            out.extend_from_slice(b"{\"observed_timestamp\":\"");
        }
        self.observed_timestamp.write(record.observed_unix_ns, out);
        out.push(b'"');
        write_severity(record, out);
        write_field(br#","body":""#, batch, &record.body, out);
        self.encode_rest(batch, record, out);
        out.extend_from_slice(b"}\n");
    }

    /// Appends `record` for a destination that keeps the time of a record beside it: without times,
    /// without a newline, and `body` comes first, also when it is empty.
    pub fn encode_untimed(&mut self, batch: &LogBatch, record: &LogRecord, out: &mut Vec<u8>) {
        write_member(br#"{"body":""#, batch.text.get(&record.body), out);
        write_severity(record, out);
        self.encode_rest(batch, record, out);
        out.push(b'}');
    }

    /// Appends what follows times, severity and body.
    fn encode_rest(&mut self, batch: &LogBatch, record: &LogRecord, out: &mut Vec<u8>) {
        let constant = match &mut self.constant {
            Some(constant) if Arc::ptr_eq(&constant.resource, &batch.resource) => constant,
            slot => slot.insert(Constant::new(&batch.resource)),
        };
        write_field(br#","logger":""#, batch, &record.logger, out);
        write_field(br#","thread":""#, batch, &record.thread, out);
        write_field(br#","exception_type":""#, batch, &record.exception_type, out);
        out.extend_from_slice(&constant.job);
        if let Some(stage_id) = record.stage_id {
            write_number(br#","stage_id":"#, u64::from(stage_id), out);
        }
        if let Some(task_id) = record.task_id {
            write_number(br#","task_id":"#, task_id, out);
        }
        if record.trace_id.is_empty() {
            out.extend_from_slice(&constant.trace_id);
            constant.write_span(batch, record, out);
            out.extend_from_slice(&constant.trace_id_origin);
        } else {
            write_field(br#","trace_id":""#, batch, &record.trace_id, out);
            write_field(br#","span_id":""#, batch, &record.span_id, out);
            out.extend_from_slice(br#","trace_id_origin":"record""#);
        }
        out.extend_from_slice(&constant.file);
        write_number(br#","offset":"#, record.offset, out);
        out.extend_from_slice(&constant.host);
        if record.is_truncated {
            out.extend_from_slice(br#","truncated":true"#);
        }
    }
}

fn write_severity(record: &LogRecord, out: &mut Vec<u8>) {
    let severity = record.severity.as_str();
    if !severity.is_empty() {
        out.extend_from_slice(br#","severity":""#);
        out.extend_from_slice(severity.as_bytes());
        out.push(b'"');
    }
}

fn write_field(key: &[u8], batch: &LogBatch, range: &Range<u32>, out: &mut Vec<u8>) {
    if !range.is_empty() {
        write_member(key, batch.text.get(range), out);
    }
}

impl Constant {
    fn new(resource: &Arc<Resource>) -> Self {
        let member = |key: &[u8], value: &Option<Value>, out: &mut Vec<u8>| {
            if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                write_member(key, value.as_bytes(), out);
            }
        };
        let encoded = |key: &[u8], value: &Option<Value>| {
            let mut out = Vec::new();
            member(key, value, &mut out);
            out
        };
        let mut job = Vec::new();
        member(br#","job_id":""#, &resource.job_id, &mut job);
        member(br#","job_name":""#, &resource.job_name, &mut job);
        member(br#","run_id":""#, &resource.run_id, &mut job);
        member(br#","user_id":""#, &resource.user_id, &mut job);
        member(br#","run_context":""#, &resource.run_context, &mut job);
        member(br#","source_data_path":""#, &resource.source_data_path, &mut job);
        if let Some(engine) = resource.engine {
            write_member(br#","engine":""#, engine.as_str().as_bytes(), &mut job);
        }
        member(br#","component":""#, &resource.component, &mut job);
        member(br#","executor_id":""#, &resource.executor_id, &mut job);
        Self {
            resource: Arc::clone(resource),
            job,
            trace_id: encoded(br#","trace_id":""#, &resource.trace_id),
            trace_id_origin: encoded(br#","trace_id_origin":""#, &resource.trace_id_origin),
            file: [
                encoded(br#","file":""#, &resource.file),
                encoded(br#","file_id":""#, &resource.file_id),
            ]
            .concat(),
            host: encoded(br#","host":""#, &resource.host),
            trace: resource.trace_id.as_ref().and_then(|id| trace::parse_id(id.as_bytes())),
            last_stage: None,
        }
    }

    /// The record's own span, else the span of its stage in the resource's trace, else none.
    fn write_span(&mut self, batch: &LogBatch, record: &LogRecord, out: &mut Vec<u8>) {
        if !record.span_id.is_empty() {
            return write_member(br#","span_id":""#, batch.text.get(&record.span_id), out);
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
        out.extend_from_slice(br#","span_id":""#);
        trace::write_hex(&span_id, out);
        out.push(b'"');
    }
}

/// Appends a member; `key` is all that stands before the value, as in `,"body":"`.
fn write_member(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(key);
    write_escaped(value, out);
    out.push(b'"');
}

fn write_number(key: &[u8], mut number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(key);
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

#[cfg(test)]
mod tests {
    use super::{JsonEncoder, write_escaped};
    use crate::model::{Engine, LogBatch, LogRecord, Resource, Severity};
    use crate::trace;
    use proptest::prelude::{ProptestConfig, any, proptest};
    use redaction::{Redactor, Text};
    use std::sync::Arc;

    fn encode(resource: Resource, raw: &[u8], fill: impl FnOnce(&mut LogRecord)) -> String {
        let mut text = Text::default();
        let body = Redactor::new().redact_chunk(raw, &mut text);
        let mut record = LogRecord { body, ..LogRecord::default() };
        fill(&mut record);
        let records = vec![record.clone()];
        let batch = LogBatch { resource: Arc::new(resource), text, records };
        let mut out = Vec::new();
        let mut encoder = JsonEncoder::default();
        encoder.encode(&batch, &record, &mut out);
        let once = out.clone();
        encoder.encode(&batch, &record, &mut out);
        assert_eq!(out, [once.as_slice(), &once].concat(), "what is remembered changes nothing");
        String::from_utf8(once).unwrap()
    }

    fn full_resource() -> Resource {
        let value = |raw: &str| Some(Redactor::new().value(raw));
        Resource {
            job_id: value("app-1"),
            job_name: value("a \"b\""),
            run_id: value("app-1/1"),
            user_id: value("etl"),
            run_context: value("prod"),
            source_data_path: value("s3://a"),
            engine: Some(Engine::Spark),
            component: value("executor"),
            executor_id: value("3"),
            trace_id: value("4bf92f3577b34da6a3ce929d0e0e4736"),
            trace_id_origin: value("derived"),
            file: value("/a.log"),
            file_id: None,
            host: value("h"),
        }
    }

    #[test]
    fn all_members_stand_in_the_documented_order() {
        let span = trace::stage_span_id(
            &trace::parse_id(b"4bf92f3577b34da6a3ce929d0e0e4736").unwrap(),
            7,
            1,
        );
        let line = encode(full_resource(), b"bodyloggerthreada.B", |record| {
            record.time_unix_ns = Some(1);
            record.observed_unix_ns = 1_700_000_000_000_000_001;
            record.severity = Severity::Warn;
            record.body = 0..4;
            record.logger = 4..10;
            record.thread = 10..16;
            record.exception_type = 16..19;
            (record.stage_id, record.stage_attempt, record.task_id) = (Some(7), 1, Some(u64::MAX));
            record.offset = 42;
            record.is_truncated = true;
        });
        let want = format!(
            "{{\"timestamp\":\"1970-01-01T00:00:00.000000001Z\",\
             \"observed_timestamp\":\"2023-11-14T22:13:20.000000001Z\",\"severity\":\"WARN\",\
             \"body\":\"body\",\"logger\":\"logger\",\"thread\":\"thread\",\"exception_type\":\"a.B\",\
             \"job_id\":\"app-1\",\"job_name\":\"a \\\"b\\\"\",\"run_id\":\"app-1/1\",\"user_id\":\"etl\",\
             \"run_context\":\"prod\",\"source_data_path\":\"s3://a\",\"engine\":\"spark\",\
             \"component\":\"executor\",\"executor_id\":\"3\",\"stage_id\":7,\
             \"task_id\":18446744073709551615,\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\
             \"span_id\":\"{}\",\"trace_id_origin\":\"derived\",\"file\":\"/a.log\",\"offset\":42,\
             \"host\":\"h\",\"truncated\":true}}\n",
            trace::hex(&span)
        );
        assert_eq!(line, want);
    }

    #[test]
    fn absent_fields_have_no_key() {
        let line = encode(Resource::default(), b"", |_| {});
        assert_eq!(
            line,
            "{\"observed_timestamp\":\"1970-01-01T00:00:00.000000000Z\",\"offset\":0}\n"
        );
        let empty = Resource { host: Some(Redactor::new().value("")), ..Resource::default() };
        assert!(!encode(empty, b"", |_| {}).contains("host"));
    }

    #[test]
    fn ids_in_the_record_win_and_a_stage_span_needs_our_trace() {
        let line = encode(full_resource(), b"0af7651916cd43dd8448eb211c80319c", |record| {
            record.trace_id = 0..32;
            record.body = 0..0;
            record.stage_id = Some(1);
        });
        assert!(line.contains(
            "\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\",\"trace_id_origin\":\"record\""
        ));
        assert!(!line.contains("span_id"));
        let line = encode(full_resource(), b"b7ad6b7169203331", |record| record.span_id = 0..16);
        assert!(line.contains("\"span_id\":\"b7ad6b7169203331\",\"trace_id_origin\":\"derived\""));
    }

    #[test]
    fn every_byte_is_escaped_as_serde_json_reads_it() {
        for byte in 0..=u8::MAX {
            for before in 0..9 {
                let raw = [vec![b'a'; before], vec![byte], vec![b'b'; 9]].concat();
                let mut json = b"\"".to_vec();
                write_escaped(&raw, &mut json);
                json.push(b'"');
                let read: String = serde_json::from_slice(&json).unwrap();
                assert_eq!(read, String::from_utf8_lossy(&raw));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn every_line_is_json_and_holds_the_body(raw in any::<Vec<u8>>(), text in ".{0,40}") {
            for raw in [raw.as_slice(), text.as_bytes()] {
                let line = encode(full_resource(), raw, |_| {});
                assert_eq!(line.matches('\n').count(), 1);
                let json: serde_json::Value = serde_json::from_str(&line).unwrap();
                let body = json.get("body").map_or("", |body| body.as_str().unwrap());
                let mut text = Text::default();
                Redactor::new().redact_chunk(raw, &mut text);
                assert_eq!(body, String::from_utf8_lossy(text.as_bytes()));
            }
        }
    }
}
