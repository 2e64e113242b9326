//! The documented order, what is left out, and that every line is JSON.

use super::{JsonEncoder, OMITTABLE, Omitted, write_escaped};
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
    let batch = LogBatch { resource: Arc::new(resource), text, records, covers: None };
    let mut out = Vec::new();
    let mut encoder = JsonEncoder::default();
    encoder.encode(&batch, &record, &mut out);
    let once = out.clone();
    encoder.encode(&batch, &record, &mut out);
    assert_eq!(out, [once.as_slice(), &once].concat(), "what is remembered changes nothing");
    check_nested(&mut encoder, &batch, &record, &once);
    String::from_utf8(once).unwrap()
}

/// As the contents of a string, it is the same but for the times.
fn check_nested(encoder: &mut JsonEncoder, batch: &LogBatch, record: &LogRecord, line: &[u8]) {
    let mut nested = b"\"".to_vec();
    let bytes = encoder.encode_nested(batch, record, &mut nested);
    nested.push(b'"');
    let inner: String = serde_json::from_slice(&nested).unwrap();
    assert_eq!(inner.len(), bytes);
    assert!(inner.starts_with("{\"body\":\""), "{inner}");
    let mut want: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(line).unwrap();
    want.remove("timestamp");
    want.remove("observed_timestamp");
    want.entry("body").or_insert("".into());
    assert_eq!(serde_json::from_str::<serde_json::Map<_, _>>(&inner).unwrap(), want);
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
    let span = trace::Run::of(&full_resource()).unwrap().stage_span_id(7, 1);
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
    assert_eq!(line, "{\"observed_timestamp\":\"1970-01-01T00:00:00.000000000Z\",\"offset\":0}\n");
    let empty = Resource { host: Some(Redactor::new().value("")), ..Resource::default() };
    assert!(!encode(empty, b"", |_| {}).contains("host"));
}

#[test]
fn what_is_left_out_is_missing_and_nothing_else_is() {
    let fill = |record: &mut LogRecord| {
        record.body = 0..4;
        (record.logger, record.thread, record.exception_type) = (4..10, 10..16, 16..19);
        (record.stage_id, record.task_id) = (Some(7), Some(8));
    };
    for own_trace in [0..0, 0..4] {
        let line = |omitted: &[String]| -> serde_json::Map<String, serde_json::Value> {
            let mut text = Text::default();
            Redactor::new().redact_chunk(b"bodyloggerthreada.B", &mut text);
            let mut record = LogRecord { trace_id: own_trace.clone(), ..LogRecord::default() };
            fill(&mut record);
            let resource = Arc::new(full_resource());
            let batch = LogBatch { resource, text, records: Vec::new(), covers: None };
            let mut out = Vec::new();
            JsonEncoder::without(Omitted::new(omitted).unwrap()).encode(&batch, &record, &mut out);
            serde_json::from_slice(&out).unwrap()
        };
        let all = line(&[]);
        for name in OMITTABLE {
            let mut want = all.clone();
            // Ids of the record's own trace come without a span here.
            assert!(want.remove(name).is_some() || name == "span_id", "{name}");
            assert_eq!(line(&[name.to_owned()]), want, "{name}");
        }
        let kept = line(&OMITTABLE.map(str::to_owned));
        assert_eq!(kept.keys().collect::<Vec<_>>(), ["body", "observed_timestamp"]);
    }
    assert_eq!(Omitted::new(&["offset".to_owned(), "body".to_owned()]), Err("body"));
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
