//! Frames come off, parts are joined, and nothing is lost or moved by how the bytes arrive.

use super::{Container, is_container_log};
use crate::model::FileId;
use crate::parse::ParseContext;
use crate::tail::batch::BatchLimits;
use crate::tail::batch::Pass;
use crate::tail::file::LogFile;
use proptest::prelude::*;
use std::io::Write;
use std::time::{Duration, Instant};

/// Bodies, offsets and times of the records of a file whose bytes arrive in pieces, and the
/// positions that the batches settle, each with how many records came before it.
struct Read {
    records: Vec<(String, u64, Option<u64>)>,
    positions: Vec<(u64, usize)>,
}

fn read(log: &[u8], sizes: &[usize]) -> Read {
    let mut writer = tempfile::NamedTempFile::new().unwrap();
    let path = writer.path().to_owned();
    let file = std::fs::File::open(&path).unwrap();
    let mut now = Instant::now();
    let (resource, redactor) = Default::default();
    let mut file = LogFile::open(FileId(0), path, file, 0, resource, redactor, now).unwrap();
    let mut read = Read { records: Vec::new(), positions: Vec::new() };
    let mut pass = Pass {
        context: &mut ParseContext::new(jiff::tz::TimeZone::UTC),
        limits: BatchLimits {
            bytes_max: 256,
            records_max: 3,
            age_max: Duration::ZERO,
            open_bytes_max: 1 << 20,
        },
        record_bytes_max: 1 << 20,
        emit: &mut |logs, position| {
            for record in &logs.records {
                let body = String::from_utf8_lossy(logs.text.get(&record.body)).into_owned();
                read.records.push((body, record.offset, record.time_unix_ns));
            }
            read.positions.push((position.offset, read.records.len()));
            Ok(())
        },
        has_room: &|| true,
        now,
        read: Vec::new(),
    };
    let mut begin = 0usize;
    for size in sizes.iter().copied().chain([usize::MAX]) {
        let end = log.len().min(begin.max(64).saturating_add(size));
        writer.write_all(&log[begin..end]).unwrap();
        begin = end;
        now += Duration::from_millis(10);
        pass.now = now;
        file.look(&mut pass).unwrap().unwrap();
    }
    file.flush(&mut pass, false).unwrap();
    file.seal(&mut pass).unwrap();
    read
}

fn frame(second: usize, stream: &str, tag: &str, text: &str) -> String {
    format!("2026-11-26T06:26:{:02}.123456789Z {stream} {tag} {text}\n", second % 60)
}

#[test]
fn the_first_line_tells_the_format() {
    let line = frame(1, "stderr", "F", "26/11/26 06:26:22 INFO Job: text");
    assert_eq!(is_container_log(line.as_bytes()), Some(true));
    assert_eq!(is_container_log(&line.as_bytes()[..20]), None, "too few bytes");
    assert_eq!(is_container_log(b""), None);
    for plain in ["26/11/26 06:26:22 INFO Job: stdout F text of a log4j line\n", "word", "x\n"] {
        assert_eq!(is_container_log(plain.as_bytes()), Some(false), "{plain}");
    }
    let structured = "{\"ts\":\"2026-11-26T06:26:22.123Z\",\"level\":\"INFO\",\"msg\":\"x\"}\n";
    assert_eq!(is_container_log(structured.as_bytes()), Some(false));
}

#[test]
fn parts_are_joined_for_each_stream_and_a_secret_in_two_parts_is_redacted() {
    let log = [
        frame(1, "stderr", "F", "26/11/26 06:26:22 ERROR Job: failed"),
        frame(2, "stdout", "P", "mail to alice@exam"),
        frame(3, "stderr", "F", "java.lang.RuntimeException: no"),
        frame(4, "stderr", "F", "\tat org.example.Job.run(Job.java:1)"),
        frame(5, "stdout", "F", "ple.com"),
        frame(6, "stdout", "F", "plain"),
    ]
    .concat();
    let read = read(log.as_bytes(), &[]);
    let bodies: Vec<&str> = read.records.iter().map(|(body, ..)| body.as_str()).collect();
    let trace = "failed\njava.lang.RuntimeException: no\n\tat org.example.Job.run(Job.java:1)";
    let mut sorted = bodies.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [trace, "mail to [EMAIL]", "plain"]);
    let mail = read.records.iter().find(|(body, ..)| body.starts_with("mail")).unwrap();
    assert_eq!(mail.1, frame(1, "stderr", "F", "26/11/26 06:26:22 ERROR Job: failed").len() as u64);
    assert_eq!(mail.2.unwrap() % 60_000_000_000, 2_123_456_789, "the time of its first frame");
    assert_eq!(read.positions.last().unwrap().0, log.len() as u64);
}

#[test]
fn what_the_runtime_says_itself_is_a_record_too() {
    let log = format!("{}no frame at all\n", frame(1, "stdout", "F", "one"));
    let bodies: Vec<String> =
        read(log.as_bytes(), &[]).records.into_iter().map(|it| it.0).collect();
    assert_eq!(bodies, ["one", "no frame at all"]);
    assert!(Container::new(7).is_empty());
}

fn lines() -> impl Strategy<Value = Vec<(bool, bool, u8)>> {
    prop::collection::vec((any::<bool>(), prop::bool::weighted(0.7), 0..30u8), 1..25)
}

proptest! {
    #[test]
    fn no_chunking_changes_what_is_read(lines in lines(), sizes in prop::collection::vec(1..90usize, 0..30)) {
        let frames = lines.iter().enumerate().map(|(index, (is_stderr, is_whole, length))| {
            let stream = if *is_stderr { "stderr" } else { "stdout" };
            let text = format!("{index}:{}", "x".repeat((*length).into()));
            frame(index, stream, if *is_whole { "F" } else { "P" }, &text)
        });
        let log: String = frames.collect();
        let (whole, pieces) = (read(log.as_bytes(), &[]), read(log.as_bytes(), &sizes));
        let sorted = |read: &Read| {
            let mut records = read.records.clone();
            records.sort();
            records
        };
        prop_assert_eq!(sorted(&whole), sorted(&pieces));
        // A restart at any settled position reads everything that was not delivered before it.
        let mut last = 0;
        for (position, n_delivered) in &pieces.positions {
            prop_assert!(*position >= last, "positions ascend");
            last = *position;
            let is_missing = |(_, offset, _): &&(String, u64, Option<u64>)| offset < position;
            let missing = pieces.records[*n_delivered..].iter().find(is_missing);
            prop_assert!(missing.is_none(), "{missing:?} would be lost at {position}");
        }
        prop_assert_eq!(last, log.len() as u64);
    }
}
