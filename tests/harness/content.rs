//! Judges what the records say, against the bytes of the files: text, fields, whole traces.

use super::oracle::Record;
use jiff::Timestamp;
use serde_json::Value;

/// One log file and the records that were delivered of it.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    /// Its bytes.
    pub(crate) bytes: &'a [u8],
    /// Its records in order, which cover all of it.
    pub(crate) records: &'a [Record],
    /// Parts of planted values: a text without one of them must arrive unchanged.
    pub(crate) secrets: &'a [String],
}

/// A log4j header: level, task of the MDC, and where the message starts.
struct Header<'a> {
    time: &'a str,
    level: &'a str,
    task: Option<[&'a str; 2]>,
    message_start: usize,
}

impl Source<'_> {
    /// Checks every record; returns a problem for each that says something else than the file.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (i, record) in self.records.iter().enumerate() {
            let raw = self.raw(i);
            let raw = raw.trim_end_matches(['\r', '\n']);
            let mut problem = |what: &str| {
                let start: String = raw.chars().take(160).collect();
                problems.push(format!("{} at {}: {what}: {start:?}", record.file, record.offset));
            };
            if let Ok(Value::Object(json)) = serde_json::from_str::<Value>(raw)
                && json.contains_key("msg")
            {
                self.check_json(record, &Value::Object(json), &mut problem);
            } else {
                self.check_plain(record, raw, &mut problem);
            }
        }
        problems
    }

    /// Bytes from record `i` to the next.
    fn raw(&self, i: usize) -> std::borrow::Cow<'_, str> {
        let offset = |record: &Record| usize::try_from(record.offset).unwrap();
        let end = self.records.get(i + 1).map_or(self.bytes.len(), offset);
        String::from_utf8_lossy(&self.bytes[offset(&self.records[i])..end])
    }

    fn check_plain(&self, record: &Record, raw: &str, problem: &mut dyn FnMut(&str)) {
        let first = raw.lines().next().unwrap_or("");
        if is_continuation(first) && record.offset > 0 {
            problem("a trace was torn: the record starts with a line that continues one");
        }
        if raw.lines().skip(1).any(|line| header(line).is_some() || line.starts_with("{\"ts\"")) {
            problem("two records became one");
        }
        let Some(header) = header(first) else {
            // The JVM's `WARNING: text` says its severity, which is a field of its own then.
            let level = first.split(": ").next().unwrap_or("");
            let is_level = level == "WARNING" && record.text("severity") == "WARN";
            let raw = if is_level { &raw[level.len() + 2..] } else { raw };
            if !self.is_same(raw, record.text("body")) {
                problem(&format!("the body differs: {:?}", record.text("body")));
            }
            return;
        };
        if !self.is_same(&raw[header.message_start..], record.text("body")) {
            problem(&format!("the body differs: {:?}", record.text("body")));
        }
        if record.text("severity") != header.level {
            problem(&format!("severity is {:?}", record.text("severity")));
        }
        if local_time(record, header.time.len()) != header.time {
            problem(&format!("timestamp is {:?}", record.text("timestamp")));
        }
        if let Some([stage, task]) = header.task {
            self.check_task(record, stage, task, problem);
        }
    }

    fn check_json(&self, record: &Record, json: &Value, problem: &mut dyn FnMut(&str)) {
        let body = record.text("body");
        let message = json["msg"].as_str().unwrap_or("");
        let exception = &json["exception"];
        if exception.is_null() {
            if !self.is_same(message, body) {
                problem(&format!("the body differs: {body:?}"));
            }
        } else {
            if !self.has_secret(message) && !body.starts_with(message) {
                problem(&format!("the body does not start with the message: {body:?}"));
            }
            let class = exception["class"].as_str().unwrap_or("");
            if record.text("exception_type") != class {
                problem(&format!("exception_type is {:?}", record.text("exception_type")));
            }
            for frame in exception["stacktrace"].as_array().into_iter().flatten() {
                let method = frame["method"].as_str().unwrap_or("");
                if !body.contains(method) {
                    problem(&format!("the frame of {method} is missing"));
                }
            }
        }
        if Some(record.text("severity")) != json["level"].as_str() {
            problem(&format!("severity is {:?}", record.text("severity")));
        }
        // PySpark's own JSON writes the time of its zone, without naming it.
        let local = |text: &str| {
            let time: jiff::civil::DateTime = text.parse().ok()?;
            Some(time.to_zoned(jiff::tz::TimeZone::system()).ok()?.timestamp())
        };
        let time = |text: &str| text.parse::<Timestamp>().ok().or_else(|| local(text));
        if time(record.text("timestamp")) != time(json["ts"].as_str().unwrap_or("")) {
            problem(&format!("timestamp is {:?}", record.text("timestamp")));
        }
        if let Some([stage, task]) = json["context"]["task_name"].as_str().and_then(task_of) {
            self.check_task(record, stage, task, problem);
        }
    }

    #[allow(clippy::unused_self, reason = "reads as the other checks")]
    fn check_task(&self, record: &Record, stage: &str, task: &str, problem: &mut dyn FnMut(&str)) {
        for (field, want) in [("stage_id", stage), ("task_id", task)] {
            let got = record.printed(field);
            if got.as_deref() != Some(want) {
                problem(&format!("{field} is {got:?}, not {want}"));
            }
        }
    }

    /// True when `got` is `raw` with secrets replaced by placeholders, and `raw` itself when it
    /// holds none.
    fn is_same(&self, raw: &str, got: &str) -> bool {
        let raw = raw.trim_end_matches(['\r', '\n']);
        let got = got.trim_end_matches(['\r', '\n']);
        if self.has_secret(raw) { is_redacted(raw, got) } else { raw == got }
    }

    fn has_secret(&self, raw: &str) -> bool {
        holds_ipv4(raw) || self.secrets.iter().any(|secret| raw.contains(secret.as_str()))
    }
}

/// `SEQ name n` of every such line of `text`, in order.
pub(crate) fn sequence(text: &str) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for line in text.lines() {
        let rest = line.split_once("SEQ ").map_or("", |(_, rest)| rest);
        let Some((name, rest)) = rest.split_once(' ') else { continue };
        // In structured logs the number ends at the quotation mark of the message.
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or("");
        if let Ok(n) = digits.parse() {
            found.push((name.to_owned(), n));
        }
    }
    found
}

/// Reads `yy/MM/dd HH:mm:ss[.SSS] LEVEL [thread] Logger [task]: message`; thread and task may
/// be missing, as they are in the default pattern.
fn header(line: &str) -> Option<Header<'_>> {
    let is_time = |(at, byte): (usize, u8)| match at {
        2 | 5 => byte == b'/',
        8 => byte == b' ',
        11 | 14 => byte == b':',
        _ => byte.is_ascii_digit(),
    };
    if line.len() < 20 || !line.bytes().take(17).enumerate().all(is_time) {
        return None;
    }
    let (time, rest) = line.split_at(17 + line[17..].find(' ')?);
    let level = rest[1..].split(' ').next()?;
    // A thread is named right after the level only when the pattern has a task at the end.
    let after_level = time.len() + 1 + level.len() + 1;
    let mark = if line[after_level..].starts_with('[') { "]: " } else { ": " };
    // An empty message leaves the mark without its space at the end of the line.
    let header_end = after_level + line[after_level..].find(mark)?;
    let task = task_of(&line[after_level..header_end]);
    Some(Header { time, level, task, message_start: header_end + mark.len() })
}

/// Stage and task id in `task 2.0 in stage 45.0 (TID 118)`. The Python runner of Spark 4 leaves
/// out the attempt of the stage: `task 2.0 in stage 45 (TID 118)`.
fn task_of(text: &str) -> Option<[&str; 2]> {
    let stage = text.rsplit_once(" in stage ")?.1.split(['.', ' ']).next()?;
    let task = text.rsplit_once("(TID ")?.1.split(')').next()?;
    Some([stage, task])
}

/// True for a line that cannot begin a record.
fn is_continuation(line: &str) -> bool {
    let starts = ["\tat ", "\t... ", "\tSuppressed: ", "\t\t", "Caused by: ", "  File \""];
    starts.iter().any(|start| line.starts_with(start))
}

/// The record's timestamp as the pattern of the header writes it, `length` bytes long.
fn local_time(record: &Record, length: usize) -> String {
    let Ok(time) = record.text("timestamp").parse::<Timestamp>() else { return String::new() };
    let zoned = time.to_zoned(jiff::tz::TimeZone::system());
    let text = zoned.strftime("%y/%m/%d %H:%M:%S%.3f").to_string();
    text.get(..length).unwrap_or(&text).to_owned()
}

/// Four numbers up to 255 with dots between, and neither digit nor dot around them.
fn holds_ipv4(raw: &str) -> bool {
    raw.split(|c: char| !c.is_ascii_digit() && c != '.').any(|word| {
        let parts: Vec<_> = word.trim_matches('.').split('.').collect();
        parts.len() == 4 && parts.iter().all(|part| part.parse::<u8>().is_ok())
    })
}

/// True when `got` is `raw` with some parts replaced by placeholders such as `[EMAIL]`.
fn is_redacted(raw: &str, got: &str) -> bool {
    let mut pieces = vec![String::new()];
    let mut rest = got;
    while let Some(open) = rest.find('[') {
        let (before, tail) = rest.split_at(open);
        let length = tail[1..]
            .find(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_')
            .unwrap_or(0);
        let is_placeholder = length > 0 && tail[1 + length..].starts_with(']');
        let last = pieces.last_mut().unwrap();
        last.push_str(before);
        if is_placeholder {
            pieces.push(String::new());
            rest = &tail[length + 2..];
        } else {
            last.push('[');
            rest = &tail[1..];
        }
    }
    pieces.last_mut().unwrap().push_str(rest);
    let (last, pieces) = pieces.split_last().unwrap();
    let Some((first, middle)) = pieces.split_first() else { return raw == last };
    let Some(mut left) = raw.strip_prefix(first.as_str()) else { return false };
    for piece in middle {
        match left.find(piece.as_str()) {
            Some(at) => left = &left[at + piece.len()..],
            None => return false,
        }
    }
    left.ends_with(last.as_str())
}

#[cfg(test)]
mod tests {
    use super::{header, holds_ipv4, is_redacted, sequence, task_of};

    #[test]
    fn headers_of_both_patterns_are_read() {
        let check = |line: &str, want: Option<(&str, &str)>| {
            let got = header(line).map(|h| (h.level, &line[h.message_start..]));
            assert_eq!(got, want, "{line}");
        };
        check("25/11/22 06:26:22 WARN BlockManager: a: b", Some(("WARN", "a: b")));
        check("25/11/22 06:26:22.123 INFO [main] Utils []: a", Some(("INFO", "a")));
        check("\tat org.example.Job", None);
        let task = "25/11/22 06:26:22.123 INFO [x (TID 7)] E [task 1.0 in stage 3.0 (TID 7)]: a";
        assert_eq!(header(task).unwrap().task, Some(["3", "7"]));
        assert_eq!(task_of("task 1.0 in stage 3 (TID 7)"), Some(["3", "7"]));
    }

    #[test]
    fn a_placeholder_stands_for_any_text_and_nothing_else_may_change() {
        assert!(is_redacted("to jane@x.com now", "to [EMAIL] now"));
        assert!(is_redacted("[main] a 1.2.3.4", "[main] a [IPV4]"));
        assert!(!is_redacted("to jane@x.com now", "to [EMAIL] later"));
        assert!(!is_redacted("to jane@x.com now", "to jane@x.com nov"));
        assert!(!is_redacted("one two three", "one [X] four [Y] three"));
    }

    #[test]
    fn addresses_and_sequence_lines_are_found() {
        assert!(holds_ipv4("from 127.0.0.1:80") && holds_ipv4("(10.0.0.7)."));
        assert!(!holds_ipv4("stage 1.0 version 3.5.9") && !holds_ipv4("1.2.3.400"));
        let found = sequence("{\"msg\":\"SEQ driver 1\",\"\nSEQ skew-0 2\nSEQ x\n");
        assert_eq!(found, [("driver".to_owned(), 1), ("skew-0".to_owned(), 2)]);
    }
}
