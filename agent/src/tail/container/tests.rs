//! Frames come off, parts are joined, and nothing is lost or moved by how the bytes arrive.

use super::{Container, is_container_log};
use crate::model::{FileId, LogBatch, Position};
use crate::parse::ParseContext;
use crate::tail::batch::{BatchLimits, Emit, Pass};
use crate::tail::file::{LogFile, Look};
use crate::tail::stream::Stream;
use proptest::prelude::*;
use std::collections::{BTreeSet, VecDeque};
use std::io::Write;
use std::time::{Duration, Instant};

/// Bodies, offsets and times of the records of a file whose bytes arrive in pieces, and the
/// positions that the batches settle, each with how many records came before it.
struct Read {
    records: Vec<(String, u64, Option<u64>)>,
    positions: Vec<(u64, usize)>,
}

fn read(log: &[u8], sizes: &[usize]) -> Read {
    read_from(0, log, sizes, 1 << 20)
}

fn read_from(offset: u64, log: &[u8], sizes: &[usize], record_bytes_max: usize) -> Read {
    let mut writer = tempfile::NamedTempFile::new().unwrap();
    let path = writer.path().to_owned();
    let file = std::fs::File::open(&path).unwrap();
    let mut now = Instant::now();
    let (resource, redactor) = Default::default();
    let mut begin = offset as usize;
    writer.write_all(&log[..begin]).unwrap();
    let mut file = LogFile::open(FileId(0), path, file, offset, resource, redactor, now).unwrap();
    let mut read = Read { records: Vec::new(), positions: Vec::new() };
    let mut emit = |logs: LogBatch, position: Position| {
        for record in &logs.records {
            let body = String::from_utf8_lossy(logs.text.get(&record.body)).into_owned();
            read.records.push((body, record.offset, record.time_unix_ns));
        }
        read.positions.push((position.offset, read.records.len()));
        Ok(())
    };
    let mut context = ParseContext::new(jiff::tz::TimeZone::UTC);
    let mut pass = pass(&mut context, &mut emit, record_bytes_max);
    for size in sizes.iter().copied().chain([usize::MAX]) {
        let end = log.len().min(begin.max(64).saturating_add(size));
        writer.write_all(&log[begin..end]).unwrap();
        begin = end;
        now += Duration::from_millis(10);
        pass.now = now;
        while file.look(&mut pass).unwrap().unwrap() != Look::Quiet {}
    }
    pass.now += Duration::from_secs(5);
    file.flush(&mut pass, false).unwrap();
    file.seal(&mut pass).unwrap();
    read
}

fn pass<'p>(
    context: &'p mut ParseContext,
    emit: &'p mut Emit<'p>,
    record_bytes_max: usize,
) -> Pass<'p> {
    Pass {
        context,
        limits: BatchLimits {
            bytes_max: 256,
            records_max: 3,
            age_max: Duration::ZERO,
            open_bytes_max: 1 << 20,
        },
        record_bytes_max,
        emit,
        has_room: &|| true,
        now: Instant::now(),
        read: Vec::new(),
    }
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

#[test]
fn a_stream_that_is_quiet_does_not_wait_for_the_other() {
    let mut writer = tempfile::NamedTempFile::new().unwrap();
    let file = std::fs::File::open(writer.path()).unwrap();
    let (begin, (resource, redactor)) = (Instant::now(), Default::default());
    let path = writer.path().to_owned();
    writer
        .write_all(frame(0, "stderr", "F", "26/11/26 06:26:22 ERROR Job: failed").as_bytes())
        .unwrap();
    writer.write_all(frame(0, "stderr", "P", "half").as_bytes()).unwrap();
    let mut file = LogFile::open(FileId(0), path, file, 0, resource, redactor, begin).unwrap();
    let mut came: Vec<(u64, String)> = Vec::new();
    for half_second in 0..140 {
        let now = begin + Duration::from_millis(500 * half_second);
        writer.write_all(frame(0, "stdout", "F", "still here").as_bytes()).unwrap();
        let mut emit = |logs: LogBatch, _| {
            came.push((
                half_second / 2,
                String::from_utf8_lossy(logs.text.as_bytes()).into_owned(),
            ));
            Ok(())
        };
        let mut context = ParseContext::new(jiff::tz::TimeZone::UTC);
        let mut pass = pass(&mut context, &mut emit, 1 << 20);
        pass.now = now;
        file.look(&mut pass).unwrap().unwrap();
        file.flush_when_idle(&mut pass).unwrap();
        file.seal(&mut pass).unwrap();
    }
    let second = |word: &str| came.iter().find(|(_, text)| text.contains(word)).map(|it| it.0);
    assert_eq!(second("failed"), Some(1), "{came:?}");
    assert_eq!(second("half"), Some(60), "{came:?}");
}

#[test]
fn what_never_ends_its_line_does_not_fill_the_memory() {
    let zeros = vec![0; 3 << 20];
    let words = "word ".repeat(200_000);
    let (first, last) = (frame(0, "stdout", "F", "first"), frame(1, "stderr", "F", "last"));
    let log = [first.as_bytes(), &zeros, words.as_bytes(), b"\n", last.as_bytes()];
    let log = log.concat();
    let read = read_from(0, &log, &[], 4096);
    let texts: Vec<&str> = read.records.iter().map(|(body, ..)| body.as_str()).collect();
    assert_eq!((texts[0], texts[texts.len() - 1]), ("first", "last"));
    assert_eq!(texts[1..texts.len() - 1].join(" ").split_whitespace().count(), 200_000);
    assert_eq!(
        texts.iter().map(|text| text.len()).max(),
        Some(4095),
        "the limit cuts after a word"
    );
    let (mut container, mut streams) =
        (Container::new(0), [(); 2].map(|()| Stream::new(0, Instant::now())));
    let (mut context, mut emit) = (ParseContext::new(jiff::tz::TimeZone::UTC), |_, _| Ok(()));
    container.take(words.as_bytes(), &mut streams, &mut pass(&mut context, &mut emit, 4096));
    assert!(container.rest.len() < 8192, "{}", container.rest.len());
    assert!(!streams[0].buffer.is_empty(), "the stream has it, and cuts it");
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

    #[test]
    fn a_line_that_is_cut_is_settled_whole_or_not_at_all(
        lines in prop::collection::vec((any::<bool>(), 0..40usize, 1..120usize), 1..12),
        order in prop::collection::vec(any::<bool>(), 0..60),
        sizes in prop::collection::vec(1..300usize, 0..20),
    ) {
        let log = interleaved(&lines, &order);
        let words = |records: &[(String, u64, Option<u64>)]| -> BTreeSet<String> {
            let words = records.iter().flat_map(|(body, ..)| body.split_whitespace());
            words.map(str::to_owned).collect()
        };
        let read = read_from(0, &log, &sizes, 64);
        let all = words(&read.records);
        let n_words: usize = lines.iter().map(|(_, n_words, _)| n_words).sum();
        prop_assert_eq!(all.len(), n_words, "no word is halved or lost");
        let mut offsets: Vec<u64> = read.records.iter().map(|(_, offset, _)| *offset).collect();
        offsets.sort_unstable();
        prop_assert!(offsets.is_sorted_by(|a, b| a < b), "each record has an offset of its own");
        let mut last = 0;
        for (position, n_delivered) in &read.positions {
            prop_assert!(*position >= last, "{position} after {last}");
            last = *position;
            let delivered = words(&read.records[..*n_delivered]);
            let again = words(&read_from(*position, &log, &[], 64).records);
            prop_assert_eq!(&(&delivered | &again), &all, "read on from {}", position);
        }
        prop_assert_eq!(last, log.len() as u64);
    }
}

/// Frames of lines of so many words each, in parts of so many bytes; of which stream the next frame
/// is says `order`.
fn interleaved(lines: &[(bool, usize, usize)], order: &[bool]) -> Vec<u8> {
    let mut frames = [VecDeque::new(), VecDeque::new()];
    for (index, (is_stderr, n_words, part_bytes)) in lines.iter().enumerate() {
        let text: String = (0..*n_words).map(|word| format!("w{index}.{word} ")).collect();
        let n_parts = text.len().div_ceil(*part_bytes).max(1);
        for part in 0..n_parts {
            let tag = if part + 1 == n_parts { "F" } else { "P" };
            let text = &text[part * part_bytes..text.len().min((part + 1) * part_bytes)];
            let stream = if *is_stderr { "stderr" } else { "stdout" };
            frames[usize::from(*is_stderr)].push_back(frame(index, stream, tag, text));
        }
    }
    let mut log = String::new();
    for is_stderr in order {
        log.extend(frames[usize::from(*is_stderr)].pop_front());
    }
    let [stdout, stderr] = frames;
    log.extend(stdout.into_iter().chain(stderr));
    log.into_bytes()
}
