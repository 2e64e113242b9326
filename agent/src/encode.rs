//! Encodes log records as flat JSON objects, one a line. Absent fields have no key.

mod escape;
mod omitted;

pub use escape::{write_escaped, write_escaped_twice};
pub use omitted::{OMITTABLE, Omitted};

use crate::model::{Engine, LogBatch, LogRecord, Resource};
use crate::parse::time::Rfc3339;
use crate::trace::{self, SpanId};
use std::ops::Range;
use std::sync::Arc;

/// Encodes records; keeps what is the same for all records of one resource.
#[derive(Debug, Default)]
pub struct JsonEncoder {
    omitted: PerRecord,
    constant: Option<Constant>,
    timestamp: Rfc3339,
    observed_timestamp: Rfc3339,
}

/// What is left out, ready for every record.
#[derive(Debug, Default)]
struct PerRecord {
    all: Omitted,
    logger: bool,
    thread: bool,
    exception_type: bool,
    stage_id: bool,
    task_id: bool,
    trace_id: bool,
    span_id: bool,
    trace_id_origin: bool,
    offset: bool,
}

impl PerRecord {
    fn new(all: Omitted) -> Self {
        Self {
            all,
            logger: all.has("logger"),
            thread: all.has("thread"),
            exception_type: all.has("exception_type"),
            stage_id: all.has("stage_id"),
            task_id: all.has("task_id"),
            trace_id: all.has("trace_id"),
            span_id: all.has("span_id"),
            trace_id_origin: all.has("trace_id_origin"),
            offset: all.has("offset"),
        }
    }
}

/// Encoded members of a resource, each with its comma in front.
#[derive(Debug)]
struct Constant {
    /// Held so that its address is not given to another resource.
    resource: Arc<Resource>,
    /// `job_id` to `executor_id`.
    job: Both<Vec<u8>>,
    trace_id: Both<Vec<u8>>,
    trace_id_origin: Both<Vec<u8>>,
    file: Both<Vec<u8>>,
    host: Both<Vec<u8>>,
    /// To derive span ids from.
    run: Option<trace::Run>,
    /// Stage and attempt of the last record that had one, and their span.
    last_stage: Option<(u32, u32, SpanId)>,
}

impl JsonEncoder {
    /// An encoder that leaves members out.
    #[must_use]
    pub fn without(omitted: Omitted) -> Self {
        Self { omitted: PerRecord::new(omitted), ..Self::default() }
    }

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
        let mut form = Plain { out };
        severity(record, &mut form);
        field(&BODY, batch, &record.body, &mut form);
        self.rest(batch, record, &mut form);
        out.extend_from_slice(b"}\n");
    }

    /// Appends `record` for a destination that keeps the time of a record beside it, and takes the
    /// object as the contents of a JSON string: without times, without a newline, and `body` comes
    /// first, also when it is empty. Returns the length of the object, before it became a string.
    pub fn encode_nested(
        &mut self,
        batch: &LogBatch,
        record: &LogRecord,
        out: &mut Vec<u8>,
    ) -> usize {
        let start = out.len();
        let mut form = Nested { out, n_added: 0 };
        member(&FIRST_BODY, batch.text.get(&record.body), &mut form);
        severity(record, &mut form);
        self.rest(batch, record, &mut form);
        let n_added = form.n_added;
        out.push(b'}');
        out.len() - start - n_added
    }

    /// Appends what follows times, severity and body.
    fn rest(&mut self, batch: &LogBatch, record: &LogRecord, form: &mut impl Form) {
        let omitted = &self.omitted;
        let constant = match &mut self.constant {
            Some(constant) if Arc::ptr_eq(&constant.resource, &batch.resource) => constant,
            slot => slot.insert(Constant::new(&batch.resource, omitted.all)),
        };
        if !omitted.logger {
            field(&LOGGER, batch, &record.logger, form);
        }
        if !omitted.thread {
            field(&THREAD, batch, &record.thread, form);
        }
        if !omitted.exception_type {
            field(&EXCEPTION_TYPE, batch, &record.exception_type, form);
        }
        form.both(&constant.job);
        if let Some(stage_id) = record.stage_id.filter(|_| !omitted.stage_id) {
            form.both(&STAGE_ID);
            write_number(u64::from(stage_id), form.out());
        }
        if let Some(task_id) = record.task_id.filter(|_| !omitted.task_id) {
            form.both(&TASK_ID);
            write_number(task_id, form.out());
        }
        constant.write_trace(batch, record, omitted, form);
        form.both(&constant.file);
        if !omitted.offset {
            form.both(&OFFSET);
            write_number(record.offset, form.out());
        }
        form.both(&constant.host);
        if record.is_truncated {
            form.both(&TRUNCATED);
        }
    }
}

/// Text of JSON as it is, and as the contents of a JSON string.
#[derive(Debug, Default)]
struct Both<T>(T, T);

type Literal = Both<&'static [u8]>;

const FIRST_BODY: Literal = Both(br#"{"body":""#, br#"{\"body\":\""#);
const BODY: Literal = Both(br#","body":""#, br#",\"body\":\""#);
const SEVERITY: Literal = Both(br#","severity":""#, br#",\"severity\":\""#);
const LOGGER: Literal = Both(br#","logger":""#, br#",\"logger\":\""#);
const THREAD: Literal = Both(br#","thread":""#, br#",\"thread\":\""#);
const EXCEPTION_TYPE: Literal = Both(br#","exception_type":""#, br#",\"exception_type\":\""#);
const STAGE_ID: Literal = Both(br#","stage_id":"#, br#",\"stage_id\":"#);
const TASK_ID: Literal = Both(br#","task_id":"#, br#",\"task_id\":"#);
const TRACE_ID: Literal = Both(br#","trace_id":""#, br#",\"trace_id\":\""#);
const SPAN_ID: Literal = Both(br#","span_id":""#, br#",\"span_id\":\""#);
const FROM_RECORD: Literal =
    Both(br#","trace_id_origin":"record""#, br#",\"trace_id_origin\":\"record\""#);
const OFFSET: Literal = Both(br#","offset":"#, br#",\"offset\":"#);
const TRUNCATED: Literal = Both(br#","truncated":true"#, br#",\"truncated\":true"#);
const QUOTE: Literal = Both(br#"""#, br#"\""#);

/// Which of the two is written.
trait Form {
    fn out(&mut self) -> &mut Vec<u8>;
    fn both<T: AsRef<[u8]>>(&mut self, both: &Both<T>);
    /// The contents of a JSON string.
    fn text(&mut self, bytes: &[u8]);
}

struct Plain<'o> {
    out: &'o mut Vec<u8>,
}

impl Form for Plain<'_> {
    fn out(&mut self) -> &mut Vec<u8> {
        self.out
    }

    #[inline]
    fn both<T: AsRef<[u8]>>(&mut self, both: &Both<T>) {
        self.out.extend_from_slice(both.0.as_ref());
    }

    fn text(&mut self, bytes: &[u8]) {
        write_escaped(bytes, self.out);
    }
}

struct Nested<'o> {
    out: &'o mut Vec<u8>,
    /// Bytes that stand there only because it is the contents of a string.
    n_added: usize,
}

impl Form for Nested<'_> {
    fn out(&mut self) -> &mut Vec<u8> {
        self.out
    }

    #[inline]
    fn both<T: AsRef<[u8]>>(&mut self, both: &Both<T>) {
        let nested = both.1.as_ref();
        self.n_added += nested.len() - both.0.as_ref().len();
        self.out.extend_from_slice(nested);
    }

    fn text(&mut self, bytes: &[u8]) {
        self.n_added += write_escaped_twice(bytes, self.out);
    }
}

fn severity(record: &LogRecord, form: &mut impl Form) {
    let severity = record.severity.as_str();
    if !severity.is_empty() {
        form.both(&SEVERITY);
        form.out().extend_from_slice(severity.as_bytes());
        form.both(&QUOTE);
    }
}

fn field(key: &Literal, batch: &LogBatch, range: &Range<u32>, form: &mut impl Form) {
    if !range.is_empty() {
        member(key, batch.text.get(range), form);
    }
}

/// Appends a member; `key` is all that stands before the value, as in `,"body":"`.
fn member(key: &Literal, value: &[u8], form: &mut impl Form) {
    form.both(key);
    form.text(value);
    form.both(&QUOTE);
}

impl Constant {
    fn new(resource: &Arc<Resource>, omitted: Omitted) -> Self {
        let member = |name: &str, value: Option<&str>, out: &mut Vec<u8>| {
            let is_told = |value: &&str| !value.is_empty() && !omitted.has(name);
            if let Some(value) = value.filter(is_told) {
                out.extend_from_slice(format!(",\"{name}\":\"").as_bytes());
                write_escaped(value.as_bytes(), out);
                out.push(b'"');
            }
        };
        let encoded = |members: &[(&str, Option<&str>)]| {
            let (mut plain, mut nested) = (Vec::new(), Vec::new());
            members.iter().for_each(|(name, value)| member(name, *value, &mut plain));
            write_escaped(&plain, &mut nested);
            Both(plain, nested)
        };
        let trace_id = resource.trace_id.as_deref();
        Self {
            resource: Arc::clone(resource),
            job: encoded(&[
                ("job_id", resource.job_id.as_deref()),
                ("job_name", resource.job_name.as_deref()),
                ("run_id", resource.run_id.as_deref()),
                ("user_id", resource.user_id.as_deref()),
                ("run_context", resource.run_context.as_deref()),
                ("source_data_path", resource.source_data_path.as_deref()),
                ("engine", resource.engine.map(Engine::as_str)),
                ("component", resource.component.as_deref()),
                ("executor_id", resource.executor_id.as_deref()),
            ]),
            trace_id: encoded(&[("trace_id", trace_id)]),
            trace_id_origin: encoded(&[("trace_id_origin", resource.trace_id_origin.as_deref())]),
            file: encoded(&[
                ("file", resource.file.as_deref()),
                ("file_id", resource.file_id.as_deref().filter(|_| !omitted.has("file"))),
            ]),
            host: encoded(&[("host", resource.host.as_deref())]),
            run: trace::Run::of(resource),
            last_stage: None,
        }
    }

    /// The record's own trace, else that of the resource's run.
    fn write_trace(
        &mut self,
        batch: &LogBatch,
        record: &LogRecord,
        omitted: &PerRecord,
        form: &mut impl Form,
    ) {
        let is_own = !record.trace_id.is_empty();
        match is_own {
            true if !omitted.trace_id => field(&TRACE_ID, batch, &record.trace_id, form),
            true => {}
            false => form.both(&self.trace_id),
        }
        match is_own {
            _ if omitted.span_id => {}
            true => field(&SPAN_ID, batch, &record.span_id, form),
            false => self.write_span(batch, record, form),
        }
        match is_own {
            true if !omitted.trace_id_origin => form.both(&FROM_RECORD),
            true => {}
            false => form.both(&self.trace_id_origin),
        }
    }

    /// The record's own span, else the span of its stage in the resource's run, else none.
    fn write_span(&mut self, batch: &LogBatch, record: &LogRecord, form: &mut impl Form) {
        if !record.span_id.is_empty() {
            return member(&SPAN_ID, batch.text.get(&record.span_id), form);
        }
        let (Some(run), Some(stage_id)) = (&self.run, record.stage_id) else { return };
        let attempt = record.stage_attempt;
        let span_id = match self.last_stage {
            Some((stage, last_attempt, span)) if (stage, last_attempt) == (stage_id, attempt) => {
                span
            }
            _ => run.stage_span_id(stage_id, attempt),
        };
        self.last_stage = Some((stage_id, attempt, span_id));
        form.both(&SPAN_ID);
        trace::write_hex(&span_id, form.out());
        form.both(&QUOTE);
    }
}

fn write_number(mut number: u64, out: &mut Vec<u8>) {
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

#[cfg(test)]
mod tests {
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
        assert_eq!(
            line,
            "{\"observed_timestamp\":\"1970-01-01T00:00:00.000000000Z\",\"offset\":0}\n"
        );
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
                JsonEncoder::without(Omitted::new(omitted).unwrap())
                    .encode(&batch, &record, &mut out);
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
}
