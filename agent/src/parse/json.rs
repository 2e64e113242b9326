//! Structured records: Spark 4, PySpark 4 and ECS (Flink, log4j's `JsonTemplateLayout`).
//!
//! A hand-written scanner finds the fields as ranges, so that a string without escapes costs no
//! copy. It is lenient: what it skips is not validated, only balanced.

use memchr::{memchr_iter, memchr2};
use std::ops::Range;

/// Keys that hold the time of a record, in the layouts this module knows.
const TIME_KEYS: [&[u8]; 4] = [b"ts", b"@timestamp", b"timestamp", b"time"];
/// How far into a line the time of a structured record is looked for.
const START_BYTES_MAX: usize = 512;
/// Frames of one exception that are written out; no JVM prints more than this by default.
const FRAMES_MAX: usize = 1024;

/// Contents of a JSON string, between its quotes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JsonString {
    /// Offsets into the record.
    pub range: Range<usize>,
    /// True when it holds a backslash, so that it must be decoded.
    pub is_escaped: bool,
}

/// A value as far as the scanner looks into it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    String(JsonString),
    Object(Range<usize>),
    Array(Range<usize>),
    /// Number, `true`, `false`, `null`.
    Scalar(Range<usize>),
}

/// What a structured record says. An empty string means absent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// When, as text.
    pub time: JsonString,
    /// Level, as text.
    pub level: JsonString,
    /// Message.
    pub message: JsonString,
    /// Logger.
    pub logger: JsonString,
    /// Thread.
    pub thread: JsonString,
    /// Spark's `task 1.0 in stage 2.3 (TID 17)`.
    pub task_name: JsonString,
    /// Trace id; may be no valid one.
    pub trace_id: JsonString,
    /// Span id; may be no valid one.
    pub span_id: JsonString,
    /// Id of Flink's job (`%X{flink-job-id}`); may be no valid one.
    pub flink_job_id: JsonString,
    /// Class of the exception.
    pub error_type: JsonString,
    /// Message of the exception.
    pub error_message: JsonString,
    /// The whole trace as the JVM prints it (ECS).
    pub stack_trace: JsonString,
    /// The frames as an array of objects (Spark).
    pub frames: Range<usize>,
    /// First byte after the object.
    pub end: usize,
}

/// Which object a key belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parent {
    Top,
    Log,
    Process,
    Thread,
    Error,
    Exception,
    Context,
    Trace,
    Span,
}

/// True when `line` starts with an object that has a time near its beginning.
#[must_use]
pub fn starts_record(line: &[u8]) -> bool {
    if !line.starts_with(b"{\"") {
        return false;
    }
    if line.starts_with(b"{\"ts\":") || line.starts_with(b"{\"@timestamp\":") {
        return true;
    }
    let line = &line[..line.len().min(START_BYTES_MAX)];
    let mut has_time = false;
    object(line, 0, |key, value| {
        has_time |= TIME_KEYS.contains(&key) && matches!(value, Value::String(_));
    });
    has_time
}

/// Reads the object that `record` starts with; none when it is not one, or says nothing of a log.
#[must_use]
pub fn parse(record: &[u8]) -> Option<Fields> {
    let mut fields = Fields::default();
    fields.end = collect(record, 0, Parent::Top, &mut fields)?;
    let says_something = [&fields.time, &fields.level, &fields.message];
    says_something.iter().any(|field| !field.range.is_empty()).then_some(fields)
}

fn collect(record: &[u8], at: usize, parent: Parent, fields: &mut Fields) -> Option<usize> {
    object(record, at, |key, value| match value {
        Value::String(string) => {
            if let Some(field) = field(parent, key, fields) {
                *field = string;
            }
        }
        Value::Object(range) => {
            if let Some(child) = child(parent, key) {
                collect(record, range.start, child, fields);
            }
        }
        Value::Array(range) if parent == Parent::Exception && key == b"stacktrace" => {
            fields.frames = range;
        }
        Value::Array(_) | Value::Scalar(_) => {}
    })
}

fn field<'a>(parent: Parent, key: &[u8], fields: &'a mut Fields) -> Option<&'a mut JsonString> {
    use Parent::{Context, Error, Exception, Log, Span, Thread, Top, Trace};
    Some(match (parent, key) {
        (Top, b"ts" | b"@timestamp" | b"timestamp" | b"time") => &mut fields.time,
        (Top, b"level" | b"log.level" | b"severity" | b"levelname") => &mut fields.level,
        (Log, b"level") => &mut fields.level,
        (Top, b"msg" | b"message") => &mut fields.message,
        (Top, b"logger" | b"log.logger" | b"logger_name" | b"loggerName") => &mut fields.logger,
        (Log, b"logger") => &mut fields.logger,
        (Top, b"thread" | b"process.thread.name" | b"thread_name") => &mut fields.thread,
        (Thread, b"name") => &mut fields.thread,
        (Top | Context, b"task_name") => &mut fields.task_name,
        (Top | Context, b"flink-job-id") => &mut fields.flink_job_id,
        (Top, b"trace.id") | (Trace, b"id") => &mut fields.trace_id,
        (Top | Context, b"trace_id" | b"traceId") => &mut fields.trace_id,
        (Top, b"span.id") | (Span, b"id") => &mut fields.span_id,
        (Top | Context, b"span_id" | b"spanId") => &mut fields.span_id,
        (Top, b"error.type") | (Error, b"type") | (Exception, b"class") => &mut fields.error_type,
        (Top, b"error.message") | (Error, b"message") | (Exception, b"msg") => {
            &mut fields.error_message
        }
        (Top, b"error.stack_trace" | b"stack_trace") | (Error, b"stack_trace") => {
            &mut fields.stack_trace
        }
        _ => return None,
    })
}

fn child(parent: Parent, key: &[u8]) -> Option<Parent> {
    Some(match (parent, key) {
        (Parent::Top, b"log") => Parent::Log,
        (Parent::Top, b"process") => Parent::Process,
        (Parent::Process, b"thread") => Parent::Thread,
        (Parent::Top, b"error") => Parent::Error,
        (Parent::Top, b"exception") => Parent::Exception,
        (Parent::Top, b"context" | b"mdc" | b"contextMap") => Parent::Context,
        (Parent::Top, b"trace") => Parent::Trace,
        (Parent::Top, b"span") => Parent::Span,
        _ => return None,
    })
}

/// Appends the trace that the JVM would have printed: `class: message` and one line a frame.
pub fn write_exception(record: &[u8], fields: &Fields, out: &mut Vec<u8>) {
    decode(&record[fields.error_type.range.clone()], out);
    if !fields.error_message.range.is_empty() {
        out.extend_from_slice(b": ");
        decode(&record[fields.error_message.range.clone()], out);
    }
    let mut at = fields.frames.start + 1;
    for _ in 0..FRAMES_MAX {
        at = skip_space(record, at);
        if at >= fields.frames.end || record[at] != b'{' {
            break;
        }
        let Some(end) = write_frame(record, at, out) else { break };
        at = skip_space(record, end);
        at += usize::from(record.get(at) == Some(&b','));
    }
}

/// Appends `\n\tat class.method(file:line)`; PySpark frames have no class.
fn write_frame(record: &[u8], at: usize, out: &mut Vec<u8>) -> Option<usize> {
    let empty = || 0..0;
    let (mut class, mut method, mut file, mut line) = (empty(), empty(), empty(), empty());
    let end = object(record, at, |key, value| {
        let part = match key {
            b"class" => &mut class,
            b"method" => &mut method,
            b"file" => &mut file,
            b"line" => &mut line,
            _ => return,
        };
        match value {
            Value::String(string) => *part = string.range,
            Value::Scalar(range) if record[range.clone()] != *b"null" => *part = range,
            _ => {}
        }
    })?;
    out.extend_from_slice(b"\n\tat ");
    decode(&record[class.clone()], out);
    if !class.is_empty() {
        out.push(b'.');
    }
    decode(&record[method], out);
    out.push(b'(');
    decode(&record[file], out);
    if !line.is_empty() {
        out.push(b':');
        decode(&record[line], out);
    }
    out.push(b')');
    Some(end)
}

/// Calls `visit` for every member of the object at `at`; gives the offset after its brace.
fn object(json: &[u8], at: usize, mut visit: impl FnMut(&[u8], Value)) -> Option<usize> {
    if json.get(at) != Some(&b'{') {
        return None;
    }
    let mut at = skip_space(json, at + 1);
    if json.get(at) == Some(&b'}') {
        return Some(at + 1);
    }
    loop {
        let (key, after_key) = string(json, at)?;
        let colon = skip_space(json, after_key);
        if json.get(colon) != Some(&b':') {
            return None;
        }
        let (value, after_value) = value(json, skip_space(json, colon + 1))?;
        visit(&json[key.range], value);
        at = skip_space(json, after_value);
        match json.get(at) {
            Some(b',') => at = skip_space(json, at + 1),
            Some(b'}') => return Some(at + 1),
            _ => return None,
        }
    }
}

fn value(json: &[u8], at: usize) -> Option<(Value, usize)> {
    Some(match json.get(at)? {
        b'"' => {
            let (string, end) = string(json, at)?;
            (Value::String(string), end)
        }
        b'{' => {
            let end = skip_nested(json, at)?;
            (Value::Object(at..end), end)
        }
        b'[' => {
            let end = skip_nested(json, at)?;
            (Value::Array(at..end), end)
        }
        byte if byte.is_ascii_alphanumeric() || *byte == b'-' => {
            let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
            let end = at + json[at..].iter().take_while(is_part).count();
            (Value::Scalar(at..end), end)
        }
        _ => return None,
    })
}

/// Reads the string whose quote is at `at`; gives the offset after its other quote.
fn string(json: &[u8], at: usize) -> Option<(JsonString, usize)> {
    if json.get(at) != Some(&b'"') {
        return None;
    }
    let start = at + 1;
    let mut end = start;
    let mut is_escaped = false;
    loop {
        end += memchr2(b'"', b'\\', json.get(end..)?)?;
        if json[end] == b'"' {
            return Some((JsonString { range: start..end, is_escaped }, end + 1));
        }
        is_escaped = true;
        end += 2;
    }
}

/// Skips an object or array by counting brackets outside strings; no recursion, so no depth limit.
fn skip_nested(json: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match json.get(at)? {
            b'"' => {
                at = string(json, at)?.1;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 1 => return Some(at + 1),
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
}

fn skip_space(json: &[u8], at: usize) -> usize {
    let is_space = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r');
    at + json.get(at..).map_or(0, |rest| rest.iter().take_while(is_space).count())
}

/// Appends the contents of a JSON string with its escapes resolved.
///
/// A lone surrogate becomes U+FFFD; an escape that JSON does not know stays as it is.
pub fn decode(escaped: &[u8], out: &mut Vec<u8>) {
    let mut copied = 0;
    let mut resume = 0;
    for slash in memchr_iter(b'\\', escaped) {
        if slash < resume {
            continue;
        }
        out.extend_from_slice(&escaped[copied..slash]);
        resume = slash + 2;
        let plain = match escaped.get(slash + 1) {
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'r') => b'\r',
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(byte @ (b'"' | b'\\' | b'/')) => *byte,
            Some(b'u') => {
                let (character, len) = unicode_escape(&escaped[slash..]);
                resume = slash + len;
                copied = resume.min(escaped.len());
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            _ => {
                copied = slash;
                continue;
            }
        };
        out.push(plain);
        copied = resume;
    }
    out.extend_from_slice(&escaped[copied..]);
}

/// Reads `\uXXXX` or a pair of them; second is how many bytes were read.
fn unicode_escape(escaped: &[u8]) -> (char, usize) {
    const LEN: usize = 6;
    let unit = |at: usize| {
        let digits = escaped.get(at..at + LEN)?.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0, |sum, digit| Some(sum * 16 + char::from(*digit).to_digit(16)?))
    };
    let Some(first) = unit(0) else { return (char::REPLACEMENT_CHARACTER, 2) };
    if let (0xd800..0xdc00, Some(second @ 0xdc00..0xe000)) = (first, unit(LEN)) {
        let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 2 * LEN);
    }
    (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), LEN)
}
