//! Turns bytes into log records: where they start, and what their header says.
//!
//! [`split`] works on raw bytes and decides nothing but where records start. [`record`] sees only
//! redacted bytes, and what it appends to the text went through the redactor again.

pub mod exception;
#[cfg(test)]
mod golden;
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

/// What parsing needs besides the record and its redactor: the zone, and buffers it uses again.
#[derive(Debug)]
pub struct ParseContext {
    clock: Clock,
    scratch: Vec<u8>,
}

impl ParseContext {
    /// `zone` is the zone of timestamps that state none.
    #[must_use]
    pub fn new(zone: jiff::tz::TimeZone) -> Self {
        Self { clock: Clock::new(zone), scratch: Vec::new() }
    }

    /// Nanoseconds since the epoch of the timestamp that `text` begins with.
    pub fn unix_ns(&mut self, text: &[u8]) -> Option<u64> {
        let stamp = time::stamp(text)?;
        self.clock.unix_ns(text, &stamp)
    }
}

/// Parses the record at `range` of `text`, whose first byte stands at `raw_offset` of its file.
///
/// Never fails: text without a header is a record of which only the body is known. A structured
/// record may append its decoded strings to `text`, which forgets `text.edits()` and `text.drops()`:
/// use those before. None for a record that must not leave because of what its escapes hid.
pub fn record(
    text: &mut Text,
    range: Range<u32>,
    raw_offset: u64,
    observed_unix_ns: u64,
    redactor: &Redactor,
    context: &mut ParseContext,
) -> Option<LogRecord> {
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
        structured(text, &range, &fields, first_end, redactor, context, &mut record)?;
    } else {
        plain(bytes, range.start, first_end, &mut context.clock, &mut record);
    }
    Some(record)
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
    if header.stamp.is_none() && split::is_crash(line) {
        // What ended the program states no level.
        record.severity = Severity::Error;
    }
    record.logger = moved(&header.logger, base);
    record.thread = moved(&header.thread, base);
    // A header with an empty message, as Flink's start scripts log: the text is on the next lines.
    let message =
        if header.message < line.len() { header.message } else { bytes.len().min(first_end + 1) };
    record.body = moved(&(message..bytes.len()), base);
    let task = log4j::task(&line[header.mdc.clone()])
        .or_else(|| log4j::task(&line[header.thread]))
        .or_else(|| log4j::task(&line[header.message..]));
    set_task(task, record);
    // As our pattern for Flink has it; its job ids are trace ids by their form.
    if header.mdc.len() == 32 && trace::parse_id::<16>(&line[header.mdc.clone()]).is_some() {
        record.job_id = moved(&header.mdc, base);
    }
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

/// Fills `record` from the fields of the JSON object in its first line. None: see [`record`].
fn structured(
    text: &mut Text,
    range: &Range<u32>,
    fields: &Fields,
    first_end: usize,
    redactor: &Redactor,
    context: &mut ParseContext,
    record: &mut LogRecord,
) -> Option<()> {
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
    if trace::parse_id::<16>(string(&fields.flink_job_id)).is_some() {
        record.job_id = moved(&fields.flink_job_id.range, range.start);
    }
    if trace::parse_id::<8>(string(&fields.span_id)).is_some() {
        record.span_id = moved(&fields.span_id.range, range.start);
    }
    record.logger = decoded(text, range, &fields.logger, redactor, context)?;
    record.thread = decoded(text, range, &fields.thread, redactor, context)?;
    record.exception_type = decoded(text, range, &fields.error_type, redactor, context)?;
    record.body = structured_body(text, range, fields, first_end, redactor, context)?;
    if record.exception_type.is_empty() {
        let body = text.get(&record.body);
        if let Some(class) =
            exception::exception_type(body).filter(|_| memchr(b'\n', body).is_some())
        {
            record.exception_type = moved(&class, record.body.start);
        }
    }
    Some(())
}

/// Where the decoded string stands in `text`. Only a string with escapes is appended, redacted
/// again, for an escape may have hidden what the first pass looked for. None: see [`record`].
fn decoded(
    text: &mut Text,
    range: &Range<u32>,
    field: &JsonString,
    redactor: &Redactor,
    context: &mut ParseContext,
) -> Option<Range<u32>> {
    if !field.is_escaped {
        return Some(moved(&field.range, range.start));
    }
    context.scratch.clear();
    json::decode(&text.get(range)[field.range.clone()], &mut context.scratch);
    redact_again(&context.scratch, text, redactor)
}

/// Appends decoded text. None when the policy wants the record to stay.
fn redact_again(decoded: &[u8], text: &mut Text, redactor: &Redactor) -> Option<Range<u32>> {
    let appended = redactor.redact_chunk(decoded, text);
    text.drops().is_empty().then_some(appended)
}

/// Message, then the exception as the JVM prints it, then lines that followed the object. None: see
/// [`record`].
fn structured_body(
    text: &mut Text,
    range: &Range<u32>,
    fields: &Fields,
    first_end: usize,
    redactor: &Redactor,
    context: &mut ParseContext,
) -> Option<Range<u32>> {
    let bytes = text.get(range);
    let rest = &bytes[first_end..];
    let has_exception = !fields.error_type.range.is_empty();
    let has_trace = !fields.stack_trace.range.is_empty();
    if !has_exception && !has_trace && rest.is_empty() {
        if fields.message.range.is_empty() {
            return Some(range.clone());
        }
        return decoded(text, range, &fields.message, redactor, context);
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
    redact_again(scratch, text, redactor)
}

#[cfg(test)]
mod tests {
    use super::golden;
    use crate::model::Severity;
    use proptest::prelude::{ProptestConfig, any, proptest};

    /// Severity, logger, thread, exception, body of the only record in `log`; empty is absent.
    #[track_caller]
    fn check(log: &str, want: (Severity, &str, &str, &str, &str)) {
        let (text, records) = golden::parse(log.as_bytes());
        assert_eq!(records.len(), 1, "{log}");
        let field = |range| std::str::from_utf8(text.get(range)).unwrap();
        let record = &records[0];
        let (logger, thread) = (field(&record.logger), field(&record.thread));
        let (exception, body) = (field(&record.exception_type), field(&record.body));
        assert_eq!((record.severity, logger, thread, exception, body), want, "{log}");
    }

    #[test]
    fn every_order_of_level_thread_and_logger_is_read() {
        use Severity::{Error, Info, Unspecified, Warn};
        let time = "2026-11-22 07:02:58,498";
        for (rest, want) in [
            (" INFO a.b.Job: did it", (Info, "a.b.Job", "", "", "did it")),
            (" INFO [main] a.b.Job: did it", (Info, "a.b.Job", "main", "", "did it")),
            (" [main] INFO  a.b.Job - did it", (Info, "a.b.Job", "main", "", "did it")),
            (" [pool-[1] x:y(z)] WARN Job [task 1]: a", (Warn, "Job", "pool-[1] x:y(z)", "", "a")),
            (" INFO  a.b.Job        [] -   did it", (Info, "a.b.Job", "", "", "  did it")),
            (" - app.etl - ERROR - did it", (Error, "app.etl", "", "", "did it")),
            (" - ERROR - did it", (Error, "", "", "", "did it")),
            (" [INFO] app.etl: did it", (Info, "app.etl", "", "", "did it")),
            (" INFO app.etl:42 - did it", (Info, "app.etl", "", "", "did it")),
            (" main WARN did it", (Warn, "", "main", "", "did it")),
            (" INFO  [] - did it", (Info, "", "", "", "did it")),
            (" WARN [E42] lost it", (Warn, "", "", "", "[E42] lost it")),
            (" INFO [main] did it", (Info, "", "", "", "[main] did it")),
            (" INFO did it: well", (Info, "", "", "", "did it: well")),
            (
                " INFO [main] A B[ c=D[ e ], f=g ] [task 1]: h",
                (Info, "A B[ c=D[ e ], f=g ]", "main", "", "h"),
            ),
            (" did it", (Unspecified, "", "", "", "did it")),
            (" WARN Job:", (Warn, "Job", "", "", "")),
            ("", (Unspecified, "", "", "", "")),
        ] {
            check(&format!("{time}{rest}\r\n"), want);
        }
    }

    #[test]
    fn lines_without_time_state_at_most_a_level_and_a_qualified_logger() {
        use Severity::{Error, Info, Unspecified, Warn};
        check("INFO  [] - Loading x, 1\n", (Info, "", "", "", "Loading x, 1"));
        check("WARNING:root:disk full\n", (Warn, "root", "", "", "disk full"));
        check("WARNING: Using incubator\n", (Warn, "", "", "", "Using incubator"));
        check("ERROR Usage: java x\n", (Error, "", "", "", "Usage: java x"));
        check("ERROR a.b.Job: x\n", (Error, "a.b.Job", "", "", "x"));
        check("error in line 3\n", (Unspecified, "", "", "", "error in line 3"));
        check("{\"a\": 1}\n", (Unspecified, "", "", "", "{\"a\": 1}"));
        let garbled = "{\"ts\":\"2026-11-22T06:45:27Z\",\"msg\":\"a\"} b";
        check(garbled, (Unspecified, "", "", "", garbled));
        check("{\"ts\":\"broken\n", (Unspecified, "", "", "", "{\"ts\":\"broken"));
    }

    #[test]
    fn the_outermost_exception_is_named() {
        use Severity::{Error, Info, Warn};
        let java = "x\njava.lang.IllegalStateException: a\n\tat b.C.d(C.java:1)\nCaused by: java.io.IOException: e";
        let log = format!("26/11/22 06:39:27 INFO Job: {java}\n");
        check(&log, (Info, "Job", "", "java.lang.IllegalStateException", java));
        let line = "gone: java.io.IOException: reset";
        check(
            &format!("26/11/22 06:39:27 WARN Job: {line}"),
            (Warn, "Job", "", "java.io.IOException", line),
        );
        let line = "Lost task 0.1 in stage 3.0 (TID 4): a.b.PythonException (Traceback (most recent call last):\n  File c\nKeyError: 'd'\n) [duplicate 1]";
        check(
            &format!("26/11/22 06:39:27 INFO Job: {line}"),
            (Info, "Job", "", "a.b.PythonException", line),
        );
        let python = "Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\nKeyError: 'a'\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"a.py\", line 3, in <module>\nmy.jobs.Failed: b";
        check(python, (Error, "", "", "my.jobs.Failed", python));
        let spark = "Traceback (most recent call last):\n  File \"job.py\", line 1, in <module>\npyspark.errors.PythonException: \n  An exception was thrown from the Python worker.\nTraceback (most recent call last):\n  File \"job.py\", line 9, in f\nValueError: bad row";
        check(spark, (Error, "", "", "ValueError", spark));
        let main = "Exception in thread \"main\" scala.MatchError: 3\n\tat b.C.d(C.java:1)";
        check(main, (Error, "", "", "scala.MatchError", main));
    }

    #[test]
    fn strings_with_escapes_are_decoded_and_frames_are_written_as_the_jvm_does() {
        let log = r#"{"ts":"2026-11-22T06:45:27.261Z","level":"ERROR","msg":"a\u0040b \ud83d\ude00 \ud800\n\/","exception":{"class":"a.B","msg":"c \"d\"","stacktrace":[{"class":"e.F","method":"g","file":"F.java","line":7},{"class":null,"method":"h","file":"h.py","line":"9"}]},"logger":"L"}"#;
        let body = "a@b \u{1f600} \u{fffd}\n/\na.B: c \"d\"\n\tat e.F.g(F.java:7)\n\tat h(h.py:9)";
        check(log, (Severity::Error, "L", "", "a.B", body));
        let followed = format!("{log}\n\tat i.J.k(J.java:1)\n");
        check(
            &followed,
            (Severity::Error, "L", "", "a.B", &format!("{body}\n\tat i.J.k(J.java:1)")),
        );
    }

    #[test]
    fn nested_ecs_and_trace_ids_are_read_and_invalid_ids_are_not() {
        let ids = |trace: &str, span: &str| {
            let log = format!(
                r#"{{"@timestamp":"2026-11-22T06:45:27Z","log":{{"level":"WARN","logger":"L"}},"process":{{"thread":{{"name":"T"}}}},"message":"m","context":{{"trace_id":"{trace}"}},"span":{{"id":"{span}"}}}}"#
            );
            check(&log, (Severity::Warn, "L", "T", "", "m"));
            let (text, records) = golden::parse(log.as_bytes());
            let field = |range| String::from_utf8(text.get(range).to_vec()).unwrap();
            (field(&records[0].trace_id), field(&records[0].span_id))
        };
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        assert_eq!(ids(trace, span), (trace.to_owned(), span.to_owned()));
        assert_eq!(ids(&"0".repeat(32), "00F067AA0BA902B7"), (String::new(), String::new()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn arbitrary_bytes_never_panic_and_keep_all_their_text(
            log in proptest::collection::vec(crate::parse::split::tests::piece(), 0..40),
            noise in any::<Vec<u8>>(),
        ) {
            let log = [log.concat(), noise].concat();
            let (text, records) = golden::parse(&log);
            let (redacted, starts) = golden::redact(&redaction::Redactor::new(), &log);
            assert_eq!(records.len() + 1, starts.len());
            for (record, pair) in records.iter().zip(starts.windows(2)) {
                let whole = redacted.get(&(pair[0]..pair[1]));
                let body = text.get(&record.body);
                if !whole.starts_with(b"{") {
                    let trimmed = whole.trim_ascii_end();
                    assert!(trimmed.ends_with(body.trim_ascii_end()), "a plain body is the end of its record");
                }
                for range in [&record.logger, &record.thread, &record.exception_type] {
                    assert!(range.end as usize <= text.len());
                }
            }
        }
    }
}
