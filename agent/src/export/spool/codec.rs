//! A batch of log records as bytes, and back.
//!
//! Only what the records point to is kept, field by field, and which rules it was redacted with. When
//! those are the ones of today it is taken as it is: a rule may find something in a field that it did
//! not find in the line. Else each field goes through the redactor of its file again.

use crate::model::{Coverage, Engine, FileId, LogBatch, LogRecord, Resource, Severity};
use crate::policy::Redactors;
use crate::{telemetry, trace};
use redaction::{Redactor, Text, Value};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Says that a field is absent, where its length would stand.
const ABSENT: u32 = u32::MAX;

/// Says that a number of rules follows, where the length of the first field would stand.
const REDACTED_BY: u32 = u32::MAX - 1;

/// Says that what it covers of its file follows, where the length of the first field would stand.
/// Batches of older versions do not say it.
const COVERS: u32 = u32::MAX - 2;

const HAS_TIME: u8 = 1;
const HAS_STAGE: u8 = 2;
const HAS_TASK: u8 = 4;
const IS_TRUNCATED: u8 = 8;

/// In the order of their numbers on disk; new ones go to the end.
const SEVERITIES: [Severity; 7] = [
    Severity::Unspecified,
    Severity::Trace,
    Severity::Debug,
    Severity::Info,
    Severity::Warn,
    Severity::Error,
    Severity::Fatal,
];

/// Appends `logs` to `out`. `rules` are those that it was redacted with, when they are known.
pub(super) fn encode(logs: &LogBatch, rules: Option<u64>, out: &mut Vec<u8>) {
    encode_part(logs, &logs.records, logs.covers, rules, out);
}

/// Appends a batch of some records of `logs`.
pub(in crate::export) fn encode_part(
    logs: &LogBatch,
    records: &[LogRecord],
    covers: Option<Coverage>,
    rules: Option<u64>,
    out: &mut Vec<u8>,
) {
    if let Some(rules) = rules {
        out.extend_from_slice(&REDACTED_BY.to_le_bytes());
        out.extend_from_slice(&rules.to_le_bytes());
    }
    if let Some(Coverage { from, to, n_dropped }) = covers {
        out.extend_from_slice(&COVERS.to_le_bytes());
        [from, to, n_dropped].iter().for_each(|it| out.extend_from_slice(&it.to_le_bytes()));
    }
    let resource = &*logs.resource;
    let engine = resource.engine.map(Engine::as_str);
    let text = |value: &Option<Value>| value.as_ref().map(|value| value.as_bytes().to_vec());
    for field in [
        text(&resource.job_id),
        text(&resource.job_name),
        text(&resource.run_id),
        text(&resource.user_id),
        text(&resource.run_context),
        text(&resource.source_data_path),
        engine.map(|name| name.as_bytes().to_vec()),
        text(&resource.component),
        text(&resource.executor_id),
        text(&resource.trace_id),
        text(&resource.trace_id_origin),
        text(&resource.file),
        text(&resource.file_id),
        text(&resource.host),
    ] {
        match field {
            Some(bytes) => write_bytes(&bytes, out),
            None => out.extend_from_slice(&ABSENT.to_le_bytes()),
        }
    }
    out.extend_from_slice(&(records.len() as u32).to_le_bytes());
    for record in records {
        encode_record(&logs.text, record, out);
    }
}

fn encode_record(text: &Text, record: &LogRecord, out: &mut Vec<u8>) {
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    out.push(
        flag(record.time_unix_ns.is_some(), HAS_TIME)
            | flag(record.stage_id.is_some(), HAS_STAGE)
            | flag(record.task_id.is_some(), HAS_TASK)
            | flag(record.is_truncated, IS_TRUNCATED),
    );
    let severity = SEVERITIES.iter().position(|it| *it == record.severity);
    out.push(severity.unwrap_or_default() as u8);
    let numbers = [
        record.time_unix_ns.unwrap_or_default(),
        record.observed_unix_ns,
        record.offset,
        record.task_id.unwrap_or_default(),
    ];
    numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
    let stage = [record.stage_id.unwrap_or_default(), record.stage_attempt];
    stage.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
    for range in fields(record) {
        write_bytes(text.get(range), out);
    }
}

fn fields(record: &LogRecord) -> [&Range<u32>; 6] {
    let LogRecord { body, logger, thread, exception_type, trace_id, span_id, .. } = record;
    [body, logger, thread, exception_type, trace_id, span_id]
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Reads what [`encode`] wrote; none when it is something else.
pub(in crate::export) fn decode(payload: &[u8], redactors: &Redactors) -> Option<LogBatch> {
    let mut reader = Reader(payload);
    let are_rules_same = reader.rules()? == Some(redactors.fingerprint());
    let covers = reader.covers()?;
    let base = redactors.base();
    let value_of = |raw| if are_rules_same { Value::restore(raw) } else { redacted(raw, base) };
    let mut value = || Some(reader.optional()?.map(value_of));
    let mut resource = Resource {
        job_id: value()?,
        job_name: value()?,
        run_id: value()?,
        user_id: value()?,
        run_context: value()?,
        source_data_path: value()?,
        ..Resource::default()
    };
    let engine = value()?;
    resource.engine = [Engine::Spark, Engine::Flink]
        .into_iter()
        .find(|it| engine.as_deref() == Some(it.as_str()));
    resource.component = value()?;
    resource.executor_id = value()?;
    resource.trace_id = value()?;
    resource.trace_id_origin = value()?;
    resource.file = value()?;
    resource.file_id = value()?;
    resource.host = value()?;
    let file = Path::new(resource.file.as_deref().unwrap_or(""));
    let redactor = (!are_rules_same).then(|| redactors.of_file(file).as_ref());
    let n_records = reader.u32()?;
    let mut logs = LogBatch {
        resource: Arc::new(resource),
        text: Text::default(),
        records: Vec::new(),
        covers,
    };
    for _ in 0..n_records {
        let record = decode_record(&mut reader, redactor, &mut logs.text)?;
        logs.records.extend(record);
    }
    let n_dropped = u64::from(n_records) - logs.records.len() as u64;
    telemetry::RECORDS_DROPPED.add("redaction_policy", n_dropped);
    if let Some(covers) = &mut logs.covers {
        covers.n_dropped += n_dropped;
    }
    reader.0.is_empty().then_some(logs)
}

/// What a batch says of itself, without its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::export) struct Head {
    pub(in crate::export) file: Option<FileId>,
    pub(in crate::export) covers: Option<Coverage>,
    pub(in crate::export) n_records: u64,
}

/// Reads the beginning of what [`encode`] wrote. Nothing of it is text.
pub(in crate::export) fn head(payload: &[u8]) -> Option<Head> {
    let mut reader = Reader(payload);
    reader.rules()?;
    let covers = reader.covers()?;
    (0..12).try_for_each(|_| reader.optional().map(drop))?;
    let file = reader.optional()?.and_then(trace::parse_id::<8>);
    reader.optional()?;
    let n_records = u64::from(reader.u32()?);
    Some(Head { file: file.map(|id| FileId(u64::from_be_bytes(id))), covers, n_records })
}

/// A record, or that the policy of today drops it. Without a redactor it is taken as it is.
fn decode_record(
    reader: &mut Reader<'_>,
    redactor: Option<&Redactor>,
    text: &mut Text,
) -> Option<Option<LogRecord>> {
    let flags = reader.u8()?;
    let severity = *SEVERITIES.get(usize::from(reader.u8()?))?;
    let [time, observed_unix_ns, offset, task_id] =
        [reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?];
    let [stage_id, stage_attempt] = [reader.u32()?, reader.u32()?];
    let mut is_dropped = false;
    let mut field = || {
        let bytes = reader.bytes()?;
        let range = match redactor {
            Some(redactor) => redactor.redact_chunk(bytes, text),
            None => text.restore(bytes),
        };
        is_dropped |= !text.drops().is_empty();
        Some(range)
    };
    let record = LogRecord {
        time_unix_ns: (flags & HAS_TIME != 0).then_some(time),
        observed_unix_ns,
        severity,
        body: field()?,
        logger: field()?,
        thread: field()?,
        exception_type: field()?,
        trace_id: field()?,
        span_id: field()?,
        // The batch has it.
        job_id: 0..0,
        stage_id: (flags & HAS_STAGE != 0).then_some(stage_id),
        stage_attempt,
        task_id: (flags & HAS_TASK != 0).then_some(task_id),
        offset,
        is_truncated: flags & IS_TRUNCATED != 0,
    };
    Some((!is_dropped).then_some(record))
}

/// A value of a resource. Ids are made of hex digits only, and may look like a number of something
/// when they happen to have no letter.
pub(crate) fn redacted(raw: &[u8], redactor: &Redactor) -> Value {
    if let Some(id) = trace::parse_id::<16>(raw) {
        return Value::hex(&id);
    }
    match trace::parse_id::<8>(raw) {
        Some(id) => Value::hex(&id),
        None => redactor.value(&String::from_utf8_lossy(raw)),
    }
}

/// Takes bytes from the front; none when there are too few.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n_bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n_bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    /// The rules that it was redacted with; none when that is not said.
    fn rules(&mut self) -> Option<Option<u64>> {
        if !self.0.starts_with(&REDACTED_BY.to_le_bytes()) {
            return Some(None);
        }
        self.u32()?;
        self.u64().map(Some)
    }

    /// What it covers of its file; none when that is not said.
    fn covers(&mut self) -> Option<Option<Coverage>> {
        if !self.0.starts_with(&COVERS.to_le_bytes()) {
            return Some(None);
        }
        self.u32()?;
        Some(Some(Coverage { from: self.u64()?, to: self.u64()?, n_dropped: self.u64()? }))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let n_bytes = self.u32()?;
        self.take(n_bytes as usize)
    }

    fn optional(&mut self) -> Option<Option<&'a [u8]>> {
        match self.u32()? {
            ABSENT => Some(None),
            n_bytes => Some(Some(self.take(n_bytes as usize)?)),
        }
    }
}
