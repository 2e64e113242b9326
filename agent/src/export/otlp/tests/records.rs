//! Log records and spans.

use crate::encode::JsonEncoder;
use crate::export::otlp::logs::{LogEncoder, new_message};
use crate::export::otlp::resource::Given;
use crate::export::otlp::spans;
use crate::model::{
    AttributeValue, Engine, LogBatch, LogRecord, Resource, Severity, Span, SpanBatch, SpanStatus,
};
use crate::trace;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::logs::v1::{LogRecord as OtlpRecord, ResourceLogs};
use proptest::prelude::{Strategy, any, prop, prop_assert_eq, proptest};
use prost::Message;
use redaction::{Redactor, Text};
use serde_json::{Map, Value, json};
use std::ops::Range;
use std::sync::Arc;

/// Where a fact of the JSON stands.
const FACTS: [(&str, &str); 20] = [
    ("logger", "log.logger"),
    ("thread", "thread.name"),
    ("exception_type", "exception.type"),
    ("stage_id", "spark.stage.id"),
    ("task_id", "spark.task.id"),
    ("offset", "sidelight.offset"),
    ("truncated", "sidelight.truncated"),
    ("trace_id_origin", "sidelight.trace_id_origin"),
    ("job_id", "sidelight.job_id"),
    ("job_name", "sidelight.job_name"),
    ("run_id", "sidelight.run_id"),
    ("user_id", "sidelight.user_id"),
    ("run_context", "sidelight.run_context"),
    ("source_data_path", "sidelight.source_data_path"),
    ("engine", "sidelight.engine"),
    ("component", "sidelight.component"),
    ("executor_id", "spark.executor.id"),
    ("file", "log.file.path"),
    ("file_id", "sidelight.file_id"),
    ("host", "host.name"),
];

fn attribute(all: &[KeyValue], key: &str) -> Option<Value> {
    match all.iter().find(|it| it.key == key)?.value.clone()?.value? {
        AnyKind::StringValue(text) => Some(json!(text)),
        AnyKind::IntValue(number) => Some(json!(number)),
        AnyKind::BoolValue(is_set) => Some(json!(is_set)),
        other => panic!("{other:?}"),
    }
}

/// A decoded record as the JSON has it.
fn as_json(logs: &ResourceLogs, record: &OtlpRecord) -> Map<String, Value> {
    let mut json = Map::new();
    let mut put = |key: &str, value: Value| json.insert(key.to_owned(), value);
    let time = |ns: u64| {
        let time = jiff::Timestamp::from_nanosecond(i128::from(ns)).unwrap();
        json!(format!("{time:.9}"))
    };
    if record.time_unix_nano > 0 {
        put("timestamp", time(record.time_unix_nano));
    }
    put("observed_timestamp", time(record.observed_time_unix_nano));
    if !record.severity_text.is_empty() {
        put("severity", json!(record.severity_text));
    }
    if let Some(AnyKind::StringValue(body)) = record.body.clone().and_then(|body| body.value) {
        put("body", json!(body));
    }
    for (key, id) in [("trace_id", &record.trace_id), ("span_id", &record.span_id)] {
        if !id.is_empty() {
            put(key, json!(trace::hex(id)));
        }
    }
    let resource = logs.resource.as_ref().unwrap();
    for (fact, key) in FACTS {
        let value = attribute(&record.attributes, key);
        if let Some(value) = value.or_else(|| attribute(&resource.attributes, key)) {
            put(fact, value);
        }
    }
    json
}

fn decode(batch: &LogBatch, ranges: &[Range<usize>]) -> ExportLogsServiceRequest {
    let mut encoder = LogEncoder::new(Given::default());
    let mut message = new_message();
    let start = message.len();
    for range in ranges {
        encoder.encode(batch, range.clone(), &mut message);
    }
    ExportLogsServiceRequest::decode(&message[start..]).unwrap()
}

fn resource() -> impl Strategy<Value = Resource> {
    let text = || prop::option::of("[a-z\"/é]{0,8}");
    let trace_id = prop::option::of(any::<[u8; 16]>().prop_filter("zero", |id| *id != [0; 16]));
    let words = prop::collection::vec(text(), 8);
    (words, trace_id, any::<bool>()).prop_map(|(words, trace_id, is_known)| {
        let redactor = Redactor::new();
        let value = |index: usize| words[index].as_deref().map(|text| redactor.value(text));
        Resource {
            job_id: value(0),
            job_name: value(1),
            run_id: value(2),
            user_id: value(3),
            component: value(4),
            executor_id: value(5),
            file: value(6),
            host: value(7),
            engine: Some(Engine::Spark),
            trace_id: trace_id.as_ref().map(|id| redaction::Value::hex(id)),
            trace_id_origin: trace_id.is_some().then(|| redaction::Value::literal("derived")),
            file_id: is_known.then(|| redaction::Value::literal("00ab")),
            ..Resource::default()
        }
    })
}

/// Fields of one record, before they are in a text.
type Raw = (Vec<u8>, [String; 3], Option<[u8; 16]>, Option<[u8; 8]>, [Option<u32>; 2], bool);

fn raw_record() -> impl Strategy<Value = Raw> {
    let body = prop::collection::vec(any::<u8>(), 0..40);
    let name = || "[a-zA-Z.ü-]{0,6}";
    (
        body,
        [name(), name(), name()],
        prop::option::of(any::<[u8; 16]>().prop_filter("zero", |id| *id != [0; 16])),
        prop::option::of(any::<[u8; 8]>().prop_filter("zero", |id| *id != [0; 8])),
        [prop::option::of(0..9_u32), prop::option::of(0..u32::MAX)],
        any::<bool>(),
    )
}

fn batch(resource: Resource, raw: &[Raw]) -> LogBatch {
    const SEVERITIES: [Severity; 4] =
        [Severity::Unspecified, Severity::Info, Severity::Fatal, Severity::Trace];
    let redactor = Redactor::new();
    let mut text = Text::default();
    let mut put = |bytes: &[u8]| redactor.redact_chunk(bytes, &mut text);
    let mut records = Vec::new();
    for (index, (body, names, trace_id, span_id, [stage_id, number], is_set)) in
        raw.iter().enumerate()
    {
        let id = |id: Option<&[u8]>| id.map(trace::hex).unwrap_or_default();
        // A span of its own is that of a trace of its own, or of the resource.
        records.push(LogRecord {
            time_unix_ns: number.map(|it| u64::from(it) + 1),
            observed_unix_ns: 1_700_000_000_000_000_000 + index as u64,
            severity: SEVERITIES[index % SEVERITIES.len()],
            body: put(body),
            logger: put(names[0].as_bytes()),
            thread: put(names[1].as_bytes()),
            exception_type: put(names[2].as_bytes()),
            trace_id: put(id(trace_id.as_ref().map(|it| &it[..])).as_bytes()),
            span_id: put(id(span_id.as_ref().map(|it| &it[..])).as_bytes()),
            job_id: 0..0,
            stage_id: *stage_id,
            stage_attempt: 1,
            task_id: number.map(u64::from),
            offset: index as u64 * 100,
            is_truncated: *is_set,
        });
    }
    LogBatch { resource: Arc::new(resource), text, records, covers: None }
}

proptest! {
    #[test]
    fn every_record_says_what_its_json_says_also_in_parts(
        resource in resource(),
        raw in prop::collection::vec(raw_record(), 1..20),
        cut in any::<prop::sample::Index>(),
    ) {
        let batch = batch(resource, &raw);
        let n_records = batch.records.len();
        let cut = cut.index(n_records + 1);
        let request = decode(&batch, &[0..cut, cut..n_records]);
        prop_assert_eq!(request.resource_logs.len(), 2);
        let mut came = Vec::new();
        for logs in &request.resource_logs {
            for record in &logs.scope_logs[0].log_records {
                came.push(as_json(logs, record));
            }
        }
        let mut encoder = JsonEncoder::default();
        let mut want = Vec::new();
        for record in &batch.records {
            let mut line = Vec::new();
            encoder.encode(&batch, record, &mut line);
            want.push(serde_json::from_slice::<Map<String, Value>>(&line).unwrap());
        }
        prop_assert_eq!(came, want);
    }
}

#[test]
fn an_exception_has_its_message_and_a_record_its_name() {
    let mut text = Text::default();
    let raw =
        b"job failed\njava.lang.IllegalStateException: no table orders\r\n\tat a.B(C.java:1)\n";
    let body = Redactor::new().redact_chunk(raw, &mut text);
    let at = |part: &[u8]| memchr::memmem::find(raw, part).unwrap() as u32;
    let start = at(b"java.lang");
    let record = LogRecord {
        exception_type: start..start + 31,
        body: body.clone(),
        severity: Severity::Error,
        offset: 42,
        ..LogRecord::default()
    };
    let resource =
        Resource { file_id: Some(redaction::Value::literal("00ab")), ..Resource::default() };
    let mut batch = LogBatch {
        resource: Arc::new(resource),
        text,
        records: vec![record.clone()],
        covers: None,
    };
    let first = |batch: &LogBatch| {
        decode(batch, std::slice::from_ref(&(0..1))).resource_logs[0].scope_logs[0].log_records[0]
            .clone()
    };
    let came = first(&batch);
    assert_eq!(attribute(&came.attributes, "exception.message"), Some(json!("no table orders")));
    let trace = "java.lang.IllegalStateException: no table orders\r\n\tat a.B(C.java:1)";
    assert_eq!(attribute(&came.attributes, "exception.stacktrace"), Some(json!(trace)));
    assert_eq!(attribute(&came.attributes, "log.record.uid"), Some(json!("00ab:42")));
    assert_eq!((came.severity_number, came.time_unix_nano), (17, 0));
    // A class that stands elsewhere, as in structured logs, has no message behind it.
    batch.records[0].body = 0..5;
    assert_eq!(attribute(&first(&batch).attributes, "exception.message"), None);
    assert_eq!(attribute(&first(&batch).attributes, "exception.stacktrace"), None);
}

#[test]
fn a_span_keeps_its_ids_times_status_and_attributes() {
    let value = |text: &str| Redactor::new().value(text);
    let span = Span {
        trace_id: [1; 16],
        span_id: [2; 8],
        parent_span_id: Some([3; 8]),
        name: value("spark.stage"),
        start_unix_ns: 5,
        end_unix_ns: 9,
        status: SpanStatus::Error(value("no table orders")),
        attributes: vec![
            ("spark.stage.id", AttributeValue::Integer(7)),
            ("spark.stage.name", AttributeValue::Text(value("count"))),
        ],
    };
    let root = Span { parent_span_id: None, status: SpanStatus::Unset, ..span.clone() };
    let resource = Resource { job_name: Some(value("orders")), ..Resource::default() };
    let batch = SpanBatch { resource: Arc::new(resource), spans: vec![span, root] };
    let mut message = Vec::new();
    spans::encode(&batch, &batch.spans, &Given::default(), &mut message);
    let request = ExportTraceServiceRequest::decode(&*message).unwrap();
    let spans = &request.resource_spans[0];
    let name = attribute(&spans.resource.as_ref().unwrap().attributes, "service.name");
    assert_eq!(name, Some(json!("orders")));
    let [one, two] = &spans.scope_spans[0].spans[..] else { panic!("two spans") };
    assert_eq!((&one.trace_id[..], &one.span_id[..]), (&[1; 16][..], &[2; 8][..]));
    assert_eq!((&one.parent_span_id[..], two.parent_span_id.len()), (&[3; 8][..], 0));
    assert_eq!((one.start_time_unix_nano, one.end_time_unix_nano), (5, 9));
    let status = one.status.clone().unwrap();
    assert_eq!((status.code, status.message.as_str()), (2, "no table orders"));
    assert_eq!(two.status, None);
    assert_eq!(attribute(&one.attributes, "spark.stage.id"), Some(json!(7)));
}
