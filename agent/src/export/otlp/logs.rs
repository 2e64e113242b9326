//! Log records as OTLP messages. They hold the same facts as the JSON of `encode.rs`.

use super::exchange::FRAME;
use super::resource::{Given, SCHEMA_URL, attribute, number, scope, text};
use crate::model::{LogBatch, LogRecord, Resource, Severity};
use crate::trace::{self, SpanId, TraceId};
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{
    LogRecord as OtlpRecord, ResourceLogs, ScopeLogs, SeverityNumber,
};
use prost::Message;
use prost::encoding::{self, WireType};
use std::ops::Range;
use std::sync::Arc;

/// Attributes that a record usually has.
const ATTRIBUTES_USUAL: usize = 8;

/// Tags of fields that hold messages.
const RESOURCE_LOGS: u32 = 1;
const SCOPE_LOGS: u32 = 2;
const LOG_RECORDS: u32 = 2;

/// Encodes records; keeps what is the same for all records of one resource.
#[derive(Debug)]
pub(super) struct LogEncoder {
    given: Given,
    constant: Option<Constant>,
    /// Encoded records, before it is known how long they are together. Kept for its memory.
    records: Vec<u8>,
}

/// What follows from a resource.
#[derive(Debug)]
struct Constant {
    /// Held so that its address is not given to another resource.
    resource: Arc<Resource>,
    /// A `ResourceLogs` without scopes.
    resource_logs: Vec<u8>,
    /// A `ScopeLogs` without records.
    scope_logs: Vec<u8>,
    trace: Option<TraceId>,
    /// To derive span ids from.
    run: Option<trace::Run>,
    /// Stage and attempt of the last record that had one, and their span.
    last_stage: Option<(u32, u32, SpanId)>,
}

impl LogEncoder {
    pub(super) fn new(given: Given) -> Self {
        Self { given, constant: None, records: Vec::new() }
    }

    /// Appends some records of a batch to a message. Messages one behind the other are one message
    /// with the records of both (protocol buffers: lists are joined).
    ///
    /// One record at a time is in memory as a message; what is around them is put together here, as
    /// the types of the library want all records of a batch at once.
    pub(super) fn encode(&mut self, logs: &LogBatch, range: Range<usize>, out: &mut Vec<u8>) {
        let constant = match &mut self.constant {
            Some(constant) if Arc::ptr_eq(&constant.resource, &logs.resource) => constant,
            slot => slot.insert(Constant::new(&logs.resource, &self.given)),
        };
        self.records.clear();
        for record in &logs.records[range] {
            encoding::message::encode(
                LOG_RECORDS,
                &constant.record(logs, record),
                &mut self.records,
            );
        }
        let scope_bytes = constant.scope_logs.len() + self.records.len();
        let scope_field = encoding::key_len(SCOPE_LOGS)
            + encoding::encoded_len_varint(scope_bytes as u64)
            + scope_bytes;
        let resource_bytes = constant.resource_logs.len() + scope_field;
        out.reserve(resource_bytes + 2 * MESSAGE_HEAD_MAX);
        encoding::encode_key(RESOURCE_LOGS, WireType::LengthDelimited, out);
        encoding::encode_varint(resource_bytes as u64, out);
        out.extend_from_slice(&constant.resource_logs);
        encoding::encode_key(SCOPE_LOGS, WireType::LengthDelimited, out);
        encoding::encode_varint(scope_bytes as u64, out);
        out.extend_from_slice(&constant.scope_logs);
        out.extend_from_slice(&self.records);
    }
}

/// Tag and length of a field, at most.
const MESSAGE_HEAD_MAX: usize = 16;

/// The beginning of a message: room for what stands before it.
pub(super) fn new_message() -> Vec<u8> {
    vec![0; FRAME]
}

impl Constant {
    fn new(resource: &Arc<Resource>, given: &Given) -> Self {
        let schema_url = SCHEMA_URL.to_owned();
        let resource_logs = ResourceLogs {
            resource: Some(given.of_logs(resource)),
            schema_url: schema_url.clone(),
            ..ResourceLogs::default()
        };
        let scope_logs = ScopeLogs { scope: Some(scope()), schema_url, ..ScopeLogs::default() };
        Self {
            resource: resource.clone(),
            resource_logs: resource_logs.encode_to_vec(),
            scope_logs: scope_logs.encode_to_vec(),
            trace: resource.trace_id.as_deref().and_then(|it| trace::parse_id(it.as_bytes())),
            run: trace::Run::of(resource),
            last_stage: None,
        }
    }

    fn record(&mut self, logs: &LogBatch, record: &LogRecord) -> OtlpRecord {
        let own_trace: Option<TraceId> = trace::parse_id(logs.text.get(&record.trace_id));
        let (trace_id, span_id) = self.ids(logs, record, own_trace);
        OtlpRecord {
            time_unix_nano: record.time_unix_ns.unwrap_or_default(),
            observed_time_unix_nano: record.observed_unix_ns,
            severity_number: severity(record.severity).into(),
            severity_text: record.severity.as_str().to_owned(),
            body: string(logs, &record.body)
                .map(|body| AnyValue { value: Some(AnyKind::StringValue(body)) }),
            attributes: self.attributes(logs, record, own_trace.is_some()),
            trace_id: trace_id.map(|id| id.to_vec()).unwrap_or_default(),
            span_id: span_id.map(|id| id.to_vec()).unwrap_or_default(),
            ..OtlpRecord::default()
        }
    }

    /// The record's own trace and span, else those of its run and stage.
    fn ids(
        &mut self,
        logs: &LogBatch,
        record: &LogRecord,
        own_trace: Option<TraceId>,
    ) -> (Option<TraceId>, Option<SpanId>) {
        let own_span = trace::parse_id(logs.text.get(&record.span_id));
        if own_trace.is_some() || own_span.is_some() {
            return (own_trace.or(self.trace), own_span);
        }
        let (Some(run), Some(stage_id)) = (&self.run, record.stage_id) else {
            return (self.trace, None);
        };
        let attempt = record.stage_attempt;
        let span_id = match self.last_stage {
            Some((stage, last, span)) if (stage, last) == (stage_id, attempt) => span,
            _ => run.stage_span_id(stage_id, attempt),
        };
        self.last_stage = Some((stage_id, attempt, span_id));
        (self.trace, Some(span_id))
    }

    fn attributes(
        &self,
        logs: &LogBatch,
        record: &LogRecord,
        has_own_trace: bool,
    ) -> Vec<KeyValue> {
        let mut all = Vec::with_capacity(ATTRIBUTES_USUAL);
        // Those that are absent are empty.
        let message = exception_message(logs, record).unwrap_or_default();
        let stack_trace = stack_trace(logs, record).unwrap_or_default();
        let mut add = |key, range| all.extend(string(logs, range).map(|value| text(key, value)));
        add("log.logger", &record.logger);
        add("thread.name", &record.thread);
        add("exception.type", &record.exception_type);
        add("exception.message", &message);
        add("exception.stacktrace", &stack_trace);
        if let Some(stage_id) = record.stage_id {
            all.push(number("spark.stage.id", u64::from(stage_id)));
            all.push(number("spark.stage.attempt", u64::from(record.stage_attempt)));
        }
        if let Some(task_id) = record.task_id {
            all.push(number("spark.task.id", task_id));
        }
        all.push(number("sidelight.offset", record.offset));
        if let Some(file_id) = &self.resource.file_id {
            // File and offset name a record for good: a receiver can drop what a crash repeated.
            all.push(text("log.record.uid", format!("{file_id}:{}", record.offset)));
        }
        if has_own_trace {
            all.push(text("sidelight.trace_id_origin", "record".to_owned()));
        }
        if record.is_truncated {
            all.push(attribute("sidelight.truncated", AnyKind::BoolValue(true)));
        }
        all
    }
}

/// The body from the class of the exception on; none where the class is not a part of it, as in
/// structured logs.
fn exception(record: &LogRecord) -> Option<Range<u32>> {
    let (class, body) = (&record.exception_type, &record.body);
    let is_in_body = !class.is_empty() && class.start >= body.start && class.end <= body.end;
    is_in_body.then_some(class.start..body.end)
}

/// The exception as Java prints it; none when nothing follows its first line.
fn stack_trace(logs: &LogBatch, record: &LogRecord) -> Option<Range<u32>> {
    let whole = exception(record)?;
    let text = logs.text.get(&whole).trim_ascii_end();
    // It is a part of a range of this type.
    memchr::memchr(b'\n', text).map(|_| whole.start..whole.start + text.len() as u32)
}

/// What stands behind `class: ` in the first line of the exception.
fn exception_message(logs: &LogBatch, record: &LogRecord) -> Option<Range<u32>> {
    let class = &record.exception_type;
    let rest = logs.text.get(&(class.end..exception(record)?.end));
    let message = rest.strip_prefix(b": ")?;
    let length = memchr::memchr(b'\n', message).unwrap_or(message.len());
    let length = length - usize::from(message[..length].ends_with(b"\r"));
    let start = class.end + 2;
    // It is a part of a range of this type.
    Some(start..start + length as u32)
}

/// A text of the batch; none when it is empty. Invalid UTF-8 becomes U+FFFD.
fn string(logs: &LogBatch, range: &Range<u32>) -> Option<String> {
    let bytes = logs.text.get(range);
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned())
}

fn severity(severity: Severity) -> SeverityNumber {
    match severity {
        Severity::Unspecified => SeverityNumber::Unspecified,
        Severity::Trace => SeverityNumber::Trace,
        Severity::Debug => SeverityNumber::Debug,
        Severity::Info => SeverityNumber::Info,
        Severity::Warn => SeverityNumber::Warn,
        Severity::Error => SeverityNumber::Error,
        Severity::Fatal => SeverityNumber::Fatal,
    }
}
