//! Encodes log records as flat JSON objects, one a line. Absent fields have no key.

mod escape;
mod omitted;
#[cfg(test)]
mod tests;

pub use escape::{write_escaped, write_escaped_twice};
use omitted::bit;
pub use omitted::{OMITTABLE, Omitted};

use crate::model::{Engine, LogBatch, LogRecord, Resource};
use crate::parse::time::Rfc3339;
use crate::trace::{self, SpanId};
use std::ops::Range;
use std::sync::Arc;

/// Encodes records; keeps what is the same for all records of one resource.
#[derive(Debug, Default)]
pub struct JsonEncoder {
    omitted: Omitted,
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
        Self { omitted, ..Self::default() }
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
        let omitted = self.omitted;
        let constant = match &mut self.constant {
            Some(constant) if Arc::ptr_eq(&constant.resource, &batch.resource) => constant,
            slot => slot.insert(Constant::new(&batch.resource, omitted)),
        };
        if !omitted.has(const { bit("logger") }) {
            field(&LOGGER, batch, &record.logger, form);
        }
        if !omitted.has(const { bit("thread") }) {
            field(&THREAD, batch, &record.thread, form);
        }
        if !omitted.has(const { bit("exception_type") }) {
            field(&EXCEPTION_TYPE, batch, &record.exception_type, form);
        }
        form.both(&constant.job);
        if let Some(stage_id) = record.stage_id.filter(|_| !omitted.has(const { bit("stage_id") }))
        {
            form.both(&STAGE_ID);
            write_number(u64::from(stage_id), form.out());
        }
        if let Some(task_id) = record.task_id.filter(|_| !omitted.has(const { bit("task_id") })) {
            form.both(&TASK_ID);
            write_number(task_id, form.out());
        }
        constant.write_trace(batch, record, omitted, form);
        form.both(&constant.file);
        if !omitted.has(const { bit("offset") }) {
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
            let is_told = |value: &&str| !value.is_empty() && !omitted.has(bit(name));
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
                ("file_id", resource.file_id.as_deref().filter(|_| !omitted.has(bit("file")))),
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
        omitted: Omitted,
        form: &mut impl Form,
    ) {
        let is_own = !record.trace_id.is_empty();
        match is_own {
            true if !omitted.has(const { bit("trace_id") }) => {
                field(&TRACE_ID, batch, &record.trace_id, form)
            }
            true => {}
            false => form.both(&self.trace_id),
        }
        match is_own {
            _ if omitted.has(const { bit("span_id") }) => {}
            true => field(&SPAN_ID, batch, &record.span_id, form),
            false => self.write_span(batch, record, form),
        }
        match is_own {
            true if !omitted.has(const { bit("trace_id_origin") }) => form.both(&FROM_RECORD),
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
