//! Records that the policy keeps back, and the positions that go on without them.

use super::{BatchLimits, Chunk, OpenBatch};
use crate::model::{FileId, LogBatch, Position, Resource};
use crate::parse::ParseContext;
use redaction::{Policy, Redactor, Strategy};
use std::sync::Arc;
use std::time::Duration;

/// Bodies and offsets of each batch, and how far it settles. What those with records cover is checked.
fn add(
    strategies: &[(&str, Strategy)],
    records: &[&str],
    records_max: usize,
) -> Vec<(Vec<(String, u64)>, u64)> {
    let strategies = strategies.iter().map(|(name, strategy)| ((*name).to_owned(), *strategy));
    let policy = Policy { strategies: strategies.collect(), ..Policy::default() };
    let redactor = Arc::new(Redactor::with_policy(&policy).unwrap());
    let limits = BatchLimits {
        bytes_max: 1 << 20,
        records_max,
        age_max: Duration::ZERO,
        open_bytes_max: 1 << 20,
    };
    let bytes = records.concat().into_bytes();
    let mut starts = vec![0];
    for record in records {
        starts.push(starts.last().unwrap() + record.len() as u32);
    }
    let chunk = Chunk {
        bytes: &bytes,
        starts: &starts[..records.len()],
        origin: &crate::tail::stream::Origin::at(100),
        framed: None,
        is_all: true,
        cuts: &[],
        observed_unix_ns: 1,
        now: std::time::Instant::now(),
    };
    let mut batches = Vec::new();
    let mut covered = 100;
    let mut emit = |logs: LogBatch, position: Position| {
        let body = |record: &crate::model::LogRecord| {
            let body = String::from_utf8_lossy(logs.text.get(&record.body)).into_owned();
            (body, record.offset)
        };
        let covers = logs.covers.unwrap();
        assert_eq!((covers.from, covers.to), (covered, position.offset));
        if !logs.records.is_empty() {
            covered = covers.to;
        }
        batches.push((logs.records.iter().map(body).collect(), position.offset));
        Ok(())
    };
    let mut batch = OpenBatch::new(Arc::new(Resource::default()), redactor, 100, Vec::new());
    let mut context = ParseContext::new(jiff::tz::TimeZone::UTC);
    batch.add(chunk, FileId(1), &mut context, limits, &mut emit).unwrap();
    batch.seal(FileId(1), &mut emit).unwrap();
    batch.seal(FileId(1), &mut emit).unwrap();
    batches
}

const DROP_EMAIL: &[(&str, Strategy)] = &[("EMAIL", Strategy::DropRecord)];

#[test]
fn a_dropped_record_is_left_out_whole_and_its_neighbours_keep_their_offsets() {
    let records = ["one 10.0.0.1\n", "two\n\tat a@example.com\n\tat x\n", "three\n"];
    let batches = add(DROP_EMAIL, &records, 10);
    let want = vec![("one [IP_ADDRESS]".to_owned(), 100), ("three".to_owned(), 141)];
    assert_eq!(batches, [(want, 147)]);
}

#[test]
fn a_batch_of_dropped_records_alone_still_settles_what_was_read() {
    let batches = add(DROP_EMAIL, &["a@example.com\n", "b@example.com\n"], 10);
    assert_eq!(batches, [(vec![], 128)]);
    assert_eq!(add(DROP_EMAIL, &[], 10), [], "nothing was read");
}

#[test]
fn what_is_dropped_is_covered_by_the_next_batch_that_leaves() {
    let records = ["a@example.com\n", "one\n", "b@example.com\n", "c@example.com\n", "two\n"];
    let batches = add(DROP_EMAIL, &records, 1);
    let bodies = batches.iter().flat_map(|(records, _)| records).map(|(body, _)| body.as_str());
    assert_eq!(bodies.collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(batches.last().map(|(_, offset)| *offset), Some(150));
}

#[test]
fn a_record_that_begins_within_what_is_dropped_goes_too() {
    let block = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\n";
    let records = ["one\n", block, "AQEFAASCBKcwggSj\n-----END PRIVATE KEY-----\n", "four\n"];
    let batches = add(&[("PRIVATE_KEY", Strategy::DropRecord)], &records, 10);
    let bodies: Vec<&str> = batches[0].0.iter().map(|(body, _)| body.as_str()).collect();
    assert_eq!(bodies, ["one", "four"]);
}

#[test]
fn what_only_decoding_shows_is_dropped_too() {
    let json = |message: &str, more: &str| {
        format!(
            "{{\"ts\":\"2026-11-22T06:45:27Z\",\"level\":\"INFO\",\"msg\":\"{message}\"{more},\"logger\":\"L\"}}\n"
        )
    };
    // Key and value stand side by side once class and message of the exception do.
    let exception = ",\"exception\":{\"class\":\"password\",\"msg\":\"hunter2xyz\"}";
    let escaped = json("s\\u0073n 536-22-8145 \\t", "");
    let records = [json("kept \\t", ""), json("x", exception), escaped, json("kept too", "")];
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let strategies = [("KEY_VALUE_SECRET", Strategy::DropRecord), ("US_SSN", Strategy::DropRecord)];
    let batches = add(&strategies, &records, 10);
    let bodies: Vec<&str> = batches[0].0.iter().map(|(body, _)| body.as_str()).collect();
    assert_eq!(bodies, ["kept \t", "kept too"]);
}
