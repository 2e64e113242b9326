//! One dead letter as a line, and the record that it holds.

use crate::encode::{JsonEncoder, write_escaped};
use crate::export::spool;
use crate::model::{Engine, LogBatch, LogRecord, Resource, Severity};
use crate::parse::time::write_rfc3339_nanos;
use crate::policy::Redactors;
use redaction::{Text, Value};
use serde::Deserialize;
use std::path::Path;
use std::sync::Arc;

/// Letters for `records` of `logs`, a line each, as of now.
pub(crate) fn lines<'r>(
    exporter: &str,
    logs: &LogBatch,
    records: impl IntoIterator<Item = &'r LogRecord>,
    reason: &Value,
) -> Vec<u8> {
    lines_of(exporter, logs, records, reason, crate::clock::unix_ns())
}

fn lines_of<'r>(
    exporter: &str,
    logs: &LogBatch,
    records: impl IntoIterator<Item = &'r LogRecord>,
    reason: &Value,
    time_unix_ns: u64,
) -> Vec<u8> {
    let (mut encoder, mut out) = (JsonEncoder::default(), Vec::new());
    for record in records {
        out.extend_from_slice(br#"{"time":""#);
        write_rfc3339_nanos(time_unix_ns, &mut out);
        out.extend_from_slice(br#"","exporter":""#);
        write_escaped(exporter.as_bytes(), &mut out);
        out.extend_from_slice(br#"","reason":""#);
        write_escaped(reason.as_bytes(), &mut out);
        out.extend_from_slice(br#"","file_id":""#);
        let file_id = logs.resource.file_id.as_deref().unwrap_or("");
        write_escaped(file_id.as_bytes(), &mut out);
        out.extend_from_slice(format!(r#"","offset":{},"record":"#, record.offset).as_bytes());
        encoder.encode(logs, record, &mut out);
        // The encoder ends its line.
        out.pop();
        out.extend_from_slice(b"}\n");
    }
    out
}

/// A line of a file of dead letters, as it was read: nothing of it may leave before it is redacted.
#[derive(Debug, Deserialize)]
pub struct Letter {
    time: String,
    reason: String,
    record: Fields,
}

/// The record of a letter, redacted again.
#[derive(Debug)]
pub struct Restored {
    /// Who wrote it.
    pub resource: Resource,
    /// Points into the text that it was put into.
    pub record: LogRecord,
}

/// Keys of a record.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Fields {
    timestamp: Option<String>,
    observed_timestamp: String,
    severity: String,
    body: String,
    logger: String,
    thread: String,
    exception_type: String,
    job_id: Option<String>,
    job_name: Option<String>,
    run_id: Option<String>,
    user_id: Option<String>,
    run_context: Option<String>,
    source_data_path: Option<String>,
    engine: Option<String>,
    component: Option<String>,
    executor_id: Option<String>,
    stage_id: Option<u32>,
    task_id: Option<u64>,
    trace_id: Option<String>,
    span_id: String,
    trace_id_origin: Option<String>,
    file: Option<String>,
    file_id: Option<String>,
    offset: u64,
    host: Option<String>,
    truncated: bool,
}

impl Letter {
    /// Reads a line; none when it is no letter, as the last one after a crash may be.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }

    /// When it became one, nanoseconds since the epoch.
    #[must_use]
    pub fn time_unix_ns(&self) -> u64 {
        unix_ns(&self.time).unwrap_or_default()
    }

    /// Why it became one; redacted.
    #[must_use]
    pub fn reason(&self, redactors: &Redactors) -> Value {
        redactors.base().value(&self.reason)
    }

    /// The record, whose bytes are appended to `text`; none when the policy of today drops it.
    #[must_use]
    pub fn restore(&self, redactors: &Redactors, text: &mut Text) -> Option<Restored> {
        let fields = &self.record;
        let value = |raw: &Option<String>| {
            raw.as_ref().map(|raw| spool::redacted(raw.as_bytes(), redactors.base()))
        };
        let is_own_trace = fields.trace_id_origin.as_deref() == Some("record");
        let resource = Resource {
            job_id: value(&fields.job_id),
            job_name: value(&fields.job_name),
            run_id: value(&fields.run_id),
            user_id: value(&fields.user_id),
            run_context: value(&fields.run_context),
            source_data_path: value(&fields.source_data_path),
            engine: [Engine::Spark, Engine::Flink]
                .into_iter()
                .find(|it| fields.engine.as_deref() == Some(it.as_str())),
            component: value(&fields.component),
            executor_id: value(&fields.executor_id),
            trace_id: value(&fields.trace_id).filter(|_| !is_own_trace),
            trace_id_origin: value(&fields.trace_id_origin).filter(|_| !is_own_trace),
            file: value(&fields.file),
            file_id: value(&fields.file_id),
            host: value(&fields.host),
        };
        let redactor = redactors.of_file(Path::new(fields.file.as_deref().unwrap_or("")));
        let mut is_dropped = false;
        let mut range = |raw: &str| {
            let range = redactor.redact_chunk(raw.as_bytes(), text);
            is_dropped |= !text.drops().is_empty();
            range
        };
        let trace_id = fields.trace_id.as_deref().filter(|_| is_own_trace);
        let record = LogRecord {
            time_unix_ns: fields.timestamp.as_deref().and_then(unix_ns),
            observed_unix_ns: unix_ns(&fields.observed_timestamp).unwrap_or_default(),
            severity: Severity::parse(fields.severity.as_bytes()).unwrap_or_default(),
            body: range(&fields.body),
            logger: range(&fields.logger),
            thread: range(&fields.thread),
            exception_type: range(&fields.exception_type),
            trace_id: range(trace_id.unwrap_or("")),
            span_id: range(&fields.span_id),
            job_id: 0..0,
            stage_id: fields.stage_id,
            stage_attempt: 0,
            task_id: fields.task_id,
            offset: fields.offset,
            is_truncated: fields.truncated,
        };
        (!is_dropped).then_some(Restored { resource, record })
    }

    /// The line again, redacted again; none when the policy of today drops its record.
    #[must_use]
    pub fn show(&self, exporter: &str, redactors: &Redactors) -> Option<Vec<u8>> {
        let mut text = Text::default();
        let Restored { resource, record } = self.restore(redactors, &mut text)?;
        let logs =
            LogBatch { resource: Arc::new(resource), text, records: vec![record], covers: None };
        Some(lines_of(exporter, &logs, &logs.records, &self.reason(redactors), self.time_unix_ns()))
    }
}

fn unix_ns(rfc3339: &str) -> Option<u64> {
    let time: jiff::Timestamp = rfc3339.parse().ok()?;
    u64::try_from(time.as_nanosecond()).ok()
}
