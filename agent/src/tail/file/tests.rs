//! Where records are cut, and when a quiet file gives its last one up.

use super::LogFile;
use crate::model::{FileId, LogBatch, Position};
use crate::parse::ParseContext;
use crate::tail::batch::{BatchLimits, Emit, Pass};
use crate::tail::stream::cut_point;
use std::io::Write;
use std::time::{Duration, Instant};

fn pass<'p>(context: &'p mut ParseContext, emit: &'p mut Emit<'p>, now: Instant) -> Pass<'p> {
    Pass {
        context,
        limits: BatchLimits {
            bytes_max: 4096,
            records_max: 9,
            age_max: Duration::ZERO,
            open_bytes_max: 4096,
        },
        record_bytes_max: 4096,
        emit,
        now,
        has_room: &|| true,
        read: Vec::new(),
    }
}

/// What leaves a file whose writer writes `pieces`, looked at and sealed after each and quiet for
/// `quiet` then.
fn delivered(pieces: &[&str], quiet: Duration) -> Vec<String> {
    let text = |batch: &LogBatch| String::from_utf8_lossy(batch.text.as_bytes()).into_owned();
    batches(pieces, quiet).iter().map(text).collect()
}

fn batches(pieces: &[&str], quiet: Duration) -> Vec<LogBatch> {
    let mut log = tempfile::NamedTempFile::new().unwrap();
    let path = log.path().to_owned();
    let file = std::fs::File::open(&path).unwrap();
    let mut now = Instant::now();
    let (resource, redactor) = Default::default();
    let mut file = LogFile::open(FileId(0), path, file, 0, resource, redactor, now).unwrap();
    let mut batches = Vec::new();
    let mut context = ParseContext::new(jiff::tz::TimeZone::UTC);
    let mut emit = |logs, _| {
        batches.push(logs);
        Ok(())
    };
    let mut pass = pass(&mut context, &mut emit, now);
    for piece in pieces {
        log.write_all(piece.as_bytes()).unwrap();
        file.look(&mut pass).unwrap().unwrap();
        now += quiet;
        pass.now = now;
        file.flush_when_idle(&mut pass).unwrap();
        file.seal(&mut pass).unwrap();
    }
    batches
}

#[test]
fn a_secret_whose_writer_pauses_within_it_is_redacted_whole() {
    let pieces = ["mail to alice@exam", "ple.com\n"];
    assert_eq!(delivered(&pieces, Duration::from_secs(30)).concat(), "mail to [EMAIL]\n");
}

#[test]
fn a_key_that_is_logged_line_by_line_is_redacted_whole_however_it_is_read() {
    let body = "MIIEpAIBAAKCAQEA7kQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6g7H8i9J0k1L2m3N";
    let head = |message: &str| format!("26/03/14 09:26:53 INFO Main: {message}\n");
    let lines = [
        head("start"),
        head("-----BEGIN PRIVATE KEY-----"),
        head(body),
        head(body),
        head("-----END PRIVATE KEY-----"),
        head("done"),
    ];
    let pieces: Vec<&str> = lines.iter().map(String::as_str).collect();
    let texts = delivered(&pieces, Duration::ZERO);
    let text = texts.concat();
    assert!(text.contains("[PRIVATE_KEY]") && !text.contains("MIIEp"), "{text}");
    assert!(texts.len() > 1 && !texts[0].contains("BEGIN"), "the rest need not wait: {texts:?}");
}

#[test]
fn cuts_fall_after_lines_then_words_then_characters() {
    let mut text = b"a line\nsome words ".to_vec();
    text.resize(64, b'x');
    assert_eq!(cut_point(&text, 40), 7);
    let words = [b"some words ".to_vec(), vec![b'x'; 64]].concat();
    assert_eq!(cut_point(&words, 40), 11);
    let euros = "€".repeat(20).into_bytes();
    assert_eq!(cut_point(&euros, 40), 39);
    assert_eq!(cut_point(&[0x80; 64], 40), 37, "no text at all is cut all the same");
}

#[test]
fn a_private_key_is_not_halved() {
    let key = [b"word\n-----BEGIN RSA PRIVATE KEY-----\n".to_vec(), vec![b'A'; 64]].concat();
    assert_eq!(cut_point(&key, 60), 5);
}

#[test]
fn a_whole_line_does_not_wait_for_the_half_line_behind_it_and_neither_is_cut() {
    let pieces = ["26/03/14 09:26:53 INFO M: one\n26/03/14 09:26:54 INFO M: tw", "o\n"];
    let text = delivered(&pieces, Duration::from_secs(6));
    let want = ["26/03/14 09:26:53 INFO M: one\n", "26/03/14 09:26:54 INFO M: two\n"];
    assert_eq!(text, want);
}

#[test]
fn a_record_behind_one_that_is_too_long_is_one_of_its_own_however_it_is_read() {
    let long = format!("26/03/14 09:26:53 INFO M: plan\n{}", "  a line of the plan\n".repeat(300));
    let error = "26/03/14 09:26:54 ERROR M: failed\n";
    for cut in [2, 10, 30] {
        let first = format!("{long}{}", &error[..cut]);
        let batches = batches(&[&first, &error[cut..]], Duration::from_secs(2));
        let bodies = batches.iter().flat_map(|batch| {
            batch.records.iter().map(|it| String::from_utf8_lossy(batch.text.get(&it.body)))
        });
        assert_eq!(bodies.last().unwrap(), "failed", "cut after {cut} bytes");
        assert!(!batches.last().unwrap().records.last().unwrap().is_truncated);
    }
}

/// What is delivered of a file with `content`, and the offset that it counts as read to: the file is
/// flushed after so many seconds of silence, and may have lost its name before.
fn flushed(content: &str, seconds: u64, is_deleted: bool, only_lines: bool) -> (String, u64) {
    let mut log = tempfile::NamedTempFile::new().unwrap();
    let (path, now) = (log.path().to_owned(), Instant::now());
    let file = std::fs::File::open(&path).unwrap();
    let (resource, redactor) = Default::default();
    let mut file = LogFile::open(FileId(0), path, file, 0, resource, redactor, now).unwrap();
    log.write_all(content.as_bytes()).unwrap();
    let (mut text, mut end) = (String::new(), 0);
    let mut context = ParseContext::new(jiff::tz::TimeZone::UTC);
    let mut emit = |logs: LogBatch, position: Position| {
        text.push_str(&String::from_utf8_lossy(logs.text.as_bytes()));
        end = position.offset;
        Ok(())
    };
    let mut pass = pass(&mut context, &mut emit, now);
    file.look(&mut pass).unwrap().unwrap();
    if is_deleted {
        std::fs::remove_file(log.path()).unwrap();
    }
    pass.now += Duration::from_secs(seconds);
    file.flush(&mut pass, only_lines).unwrap();
    file.seal(&mut pass).unwrap();
    (text, end)
}

#[test]
fn a_half_line_is_read_again_by_the_next_start_while_it_may_go_on() {
    let text = "one\npassword=hun";
    let (left, all) = (("one\n".to_owned(), 4), 16);
    let again = ("one\npassword=[KEY_VALUE_SECRET]".to_owned(), 4);
    assert_eq!(flushed(text, 1, false, false), again, "it was written just now");
    assert_eq!(flushed(text, 9, false, true), left);
    assert_eq!(flushed(text, 9, false, false).1, all, "nobody writes it any more");
    assert_eq!(flushed(text, 1, true, false).1, all, "no start finds it");
    assert_eq!(flushed(text, 1, true, true).1, all);
}

#[test]
fn a_private_key_that_is_being_written_is_read_again_by_the_next_start() {
    let text = "one\nkey:\n-----BEGIN PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7kQ2mX7vB9nL4pR8wT1y\n";
    let (sent, end) = flushed(text, 1, false, false);
    assert!(sent.starts_with("one\nkey:\n") && !sent.contains("MIIE"), "{sent}");
    assert_eq!(end, 9);
    assert_eq!(flushed(text, 9, false, false).1, text.len() as u64);
}
