//! What a spool keeps, and what it survives.

use super::{Spool, Stop, codec, orphans, segment};
use crate::encode::JsonEncoder;
use crate::model::{Coverage, Engine, LogBatch, LogRecord, Resource, Severity};
use crate::policy::Redactors;
use proptest::prelude::*;
use redaction::{Redactor, Text, Value};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const CAP: u64 = 1 << 20;

/// A batch of one file with a record for each body, at offsets from `first` on.
fn batch(first: u64, bodies: &[&str]) -> LogBatch {
    let redactor = Redactor::new();
    let mut text = Text::default();
    let records = bodies.iter().zip(first..).map(|(body, offset)| LogRecord {
        time_unix_ns: offset.is_multiple_of(2).then_some(1_700_000_000_000_000_000 + offset),
        observed_unix_ns: 1_700_000_000_000_000_000,
        severity: Severity::Warn,
        body: redactor.redact_chunk(body.as_bytes(), &mut text),
        logger: redactor.redact_chunk(b"com.acme.Job", &mut text),
        thread: redactor.redact_chunk(b"main", &mut text),
        stage_id: Some(7),
        stage_attempt: 1,
        task_id: Some(u64::MAX),
        offset,
        is_truncated: offset == 3,
        ..LogRecord::default()
    });
    let value = |raw: &str| Some(redactor.value(raw));
    let resource = Resource {
        job_id: value("application_1700000000000_0001"),
        job_name: value("nightly"),
        engine: Some(Engine::Spark),
        component: value("executor"),
        executor_id: value("3"),
        trace_id: Some(Value::hex(&[7; 16])),
        file: value("/var/log/spark/a.log"),
        file_id: Some(Value::hex(&[1; 8])),
        host: value("h"),
        ..Resource::default()
    };
    let records = records.collect();
    let covers = Some(Coverage { from: first, to: first + bodies.len() as u64, n_dropped: 2 });
    LogBatch { resource: Arc::new(resource), text, records, covers }
}

fn json(logs: &LogBatch) -> String {
    let (mut encoder, mut out) = (JsonEncoder::default(), Vec::new());
    logs.records.iter().for_each(|record| encoder.encode(logs, record, &mut out));
    String::from_utf8(out).unwrap()
}

fn open(folder: &Path) -> Spool {
    Spool::open(folder, "file", CAP).unwrap()
}

fn store(spool: &mut Spool, batches: &[LogBatch]) {
    let (n_safe, stop) = spool.append(&batches.iter().collect::<Vec<_>>());
    assert_eq!(n_safe, batches.len(), "{stop:?}");
}

/// Everything that is left, as its consumer gets it.
fn drain(spool: &mut Spool) -> Vec<String> {
    let redactors = Redactors::default();
    let mut drained = Vec::new();
    while let Some(logs) = spool.front(&redactors).unwrap() {
        assert!(spool.level().batches() > 0, "a lane would go on to newer ones");
        drained.push(json(&logs));
        spool.advance();
    }
    assert_eq!(spool.level().batches(), 0);
    drained
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder.join("spool/file")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    files.sort();
    files
}

fn three() -> Vec<LogBatch> {
    vec![batch(0, &["one", "two"]), batch(2, &["three"]), batch(3, &["four", "five", "six"])]
}

#[test]
fn what_is_stored_comes_back_in_order_over_any_number_of_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let (mut want, mut got) = (Vec::new(), Vec::new());
    for life in 0..6_u64 {
        let mut spool = open(folder.path());
        let batches: Vec<_> = (0..5).map(|n| batch(life * 10 + n, &["x"])).collect();
        want.extend(batches.iter().map(json));
        store(&mut spool, &batches);
        assert_eq!(spool.level().batches(), want.len() as u64 - got.len() as u64);
        for _ in 0..3 {
            got.push(json(&spool.front(&Redactors::default()).unwrap().unwrap()));
            spool.advance();
        }
    }
    got.extend(drain(&mut open(folder.path())));
    assert_eq!(got, want);
    assert!(files(folder.path(), ".segment").is_empty(), "what is delivered is removed");
    assert_eq!(open(folder.path()).level().batches(), 0);
}

#[test]
fn a_batch_that_was_not_said_to_be_delivered_comes_again_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let batches = three();
    let mut spool = open(folder.path());
    store(&mut spool, &batches);
    let redactors = Redactors::default();
    spool.front(&redactors).unwrap();
    spool.advance();
    spool.front(&redactors).unwrap();
    drop(spool);
    let want: Vec<_> = batches[1..].iter().map(json).collect();
    assert_eq!(drain(&mut open(folder.path())), want);
}

#[test]
fn folders_and_files_are_for_the_agent_alone_and_hold_no_raw_secret() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mut spool = open(&state);
    store(&mut spool, &[batch(0, &["mail jane.doe@example.com now"])]);
    spool.front(&Redactors::default()).unwrap();
    spool.advance();
    store(&mut spool, &[batch(1, &["mail jane.doe@example.com now"])]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for path in [&state, &state.join("spool"), &state.join("spool/file")] {
        assert_eq!(mode(path), 0o700, "{}", path.display());
    }
    let files = files(&state, "");
    assert_eq!(files.len(), 2, "a segment and the cursor");
    for path in files {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        let bytes = fs::read(path).unwrap();
        assert!(memchr::memmem::find(&bytes, b"jane.doe").is_none());
    }
}

#[test]
fn a_crash_at_any_byte_of_a_write_loses_only_what_was_not_whole() {
    let folder = tempfile::tempdir().unwrap();
    let batches = three();
    let mut spool = open(folder.path());
    store(&mut spool, &batches);
    drop(spool);
    let path = files(folder.path(), ".segment").remove(0);
    let whole = fs::read(&path).unwrap();
    let mut ends = vec![segment::HEADER_BYTES];
    let salt = segment::salt(&whole).unwrap();
    while let Some(frame) = segment::frame_at(&whole, *ends.last().unwrap(), salt) {
        ends.push(frame.end);
    }
    assert_eq!(ends.last(), Some(&whole.len()));
    for length in 0..=whole.len() {
        // The file may also have its length and no bytes.
        for is_zeroed in [false, true] {
            let mut torn = whole[..length].to_vec();
            if is_zeroed {
                torn.resize(whole.len(), 0);
            }
            // The last bytes of a frame may be zeros themselves.
            let is_whole = |end: &&usize| torn.get(..**end) == Some(&whole[..**end]);
            let n_whole = ends[1..].iter().filter(is_whole).count();
            fs::write(&path, &torn).unwrap();
            let mut spool = open(folder.path());
            let want: Vec<_> = batches[..n_whole].iter().map(json).collect();
            assert_eq!(spool.level().batches(), want.len() as u64, "length {length}");
            // That costs three syncs.
            let is_more = length % 16 == 0;
            if is_more {
                store(&mut spool, &[batch(9, &["newer"])]);
            }
            let mut got = drain(&mut spool);
            assert!(!is_more || got.pop().unwrap().contains("newer"));
            assert_eq!(got, want, "length {length}, zeroed {is_zeroed}");
            assert!(
                files(folder.path(), ".corrupt").is_empty(),
                "length {length}: torn, not corrupt"
            );
            let _ = fs::remove_file(folder.path().join("spool/file/cursor"));
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_costs_one_batch_and_never_gives_a_wrong_one() {
    let folder = tempfile::tempdir().unwrap();
    let batches = three();
    let mut spool = open(folder.path());
    store(&mut spool, &batches);
    drop(spool);
    let path = files(folder.path(), ".segment").remove(0);
    let whole = fs::read(&path).unwrap();
    let want: Vec<_> = batches.iter().map(json).collect();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&path, flipped).unwrap();
        // A newer segment: this one is in the middle, where nothing may be cut off.
        fs::write(folder.path().join("spool/file/000000000999.segment"), b"").unwrap();
        let got = drain(&mut open(folder.path()));
        let is_header = at < segment::HEADER_BYTES;
        assert!(got.len() == if is_header { 0 } else { 2 }, "byte {at}: {} came", got.len());
        let mut rest = want.iter();
        assert!(got.iter().all(|batch| rest.any(|it| it == batch)), "byte {at}: order or content");
        let aside = files(folder.path(), ".corrupt");
        assert_eq!(aside.len(), 1, "byte {at}: the damage is put aside");
        fs::remove_file(&aside[0]).unwrap();
        let _ = fs::remove_file(folder.path().join("spool/file/cursor"));
    }
}

#[test]
fn what_is_stored_after_a_restart_over_damage_comes_behind_everything_that_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let batches = three();
    let mut spool = open(folder.path());
    store(&mut spool, &batches);
    drop(spool);
    let path = files(folder.path(), ".segment").remove(0);
    let whole = fs::read(&path).unwrap();
    let first = segment::frame_at(&whole, segment::HEADER_BYTES, segment::salt(&whole).unwrap());
    let second = first.unwrap().end;
    let newer = [batch(9, &["newer"]), batch(10, &["newest"])];
    // The second frame has a page of zeros or text over its head, or one bit is another one.
    let mut damages = vec![vec![0; segment::HEAD_BYTES], b"some text of elsewhere".to_vec()];
    for byte in 0..segment::HEAD_BYTES {
        let mut head = whole[second..second + segment::HEAD_BYTES].to_vec();
        head[byte] ^= 1 << (byte % 8);
        damages.push(head);
    }
    for (number, damage) in damages.iter().enumerate() {
        for is_drained_first in [false, true] {
            let mut damaged = whole.clone();
            damaged[second..second + damage.len()].copy_from_slice(damage);
            fs::write(&path, damaged).unwrap();
            let mut spool = open(folder.path());
            let mut got = if is_drained_first { drain(&mut spool) } else { Vec::new() };
            store(&mut spool, &newer);
            drop(spool);
            got.extend(drain(&mut open(folder.path())));
            let want = [&batches[0], &batches[2], &newer[0], &newer[1]].map(json);
            assert_eq!(got, want, "damage {number}, drained first: {is_drained_first}");
            fs::remove_dir_all(folder.path().join("spool/file")).unwrap();
            fs::create_dir(folder.path().join("spool/file")).unwrap();
        }
    }
}

#[test]
fn a_full_spool_takes_what_fits_and_has_room_again_when_something_is_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let body = "x".repeat(4_000);
    let batches: Vec<_> = (0..40).map(|n| batch(n, &[&body])).collect();
    let mut spool = Spool::open(folder.path(), "file", 100_000).unwrap();
    let all: Vec<&LogBatch> = batches.iter().collect();
    let (n_safe, stop) = spool.append(&all);
    assert!(matches!(stop, Some(Stop::Full)) && (20..25).contains(&n_safe), "{n_safe} {stop:?}");
    assert!(matches!(spool.append(&all[n_safe..]), (0, Some(Stop::Full))));
    let on_disk: u64 =
        files(folder.path(), "").iter().map(|it| fs::metadata(it).unwrap().len()).sum();
    assert!(on_disk <= 100_000 && spool.level().bytes() == on_disk, "{on_disk}");
    let mut got = Vec::new();
    let mut next = n_safe;
    while let Some(logs) = spool.front(&Redactors::default()).unwrap() {
        got.push(json(&logs));
        spool.advance();
        next += spool.append(&all[next..]).0;
    }
    assert_eq!(got, batches.iter().map(json).collect::<Vec<_>>());
}

#[test]
fn what_was_put_aside_makes_room_for_what_is_to_be_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let body = "x".repeat(4_000);
    let mut spool = Spool::open(folder.path(), "file", 40_000).unwrap();
    store(&mut spool, &[batch(0, &[&body]), batch(1, &[&body])]);
    let segments = files(folder.path(), ".segment");
    let mut damaged = fs::read(&segments[0]).unwrap();
    damaged[100] ^= 1;
    fs::write(&segments[0], damaged).unwrap();
    assert_eq!(drain(&mut spool).len(), 1);
    assert_eq!(files(folder.path(), ".corrupt").len(), 1);
    let batches: Vec<_> = (0..9).map(|n| batch(n, &[&body])).collect();
    store(&mut spool, &batches);
    assert!(files(folder.path(), ".corrupt").is_empty());
}

#[test]
fn a_spool_that_cannot_be_written_keeps_nothing_half_and_works_when_it_can() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("spool"), "a file in its place").unwrap();
    let mut spool = open(folder.path());
    let batches = three();
    let all: Vec<&LogBatch> = batches.iter().collect();
    assert!(matches!(spool.append(&all), (0, Some(Stop::Failed(_)))));
    assert_eq!(spool.level().batches(), 0);
    fs::remove_file(folder.path().join("spool")).unwrap();
    store(&mut spool, &batches);
    assert_eq!(drain(&mut spool).len(), 3);
}

#[test]
fn a_sync_that_works_after_one_that_failed_proves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let batches = three();
    let mut spool = open(folder.path());
    store(&mut spool, &batches[..1]);
    // A pipe cannot be synced.
    let (_reader, pipe) = std::io::pipe().unwrap();
    let pipe = fs::File::from(std::os::fd::OwnedFd::from(pipe));
    let file = std::mem::replace(&mut spool.writing.as_mut().unwrap().file, pipe);
    assert!(spool.sync().is_err());
    spool.writing.as_mut().unwrap().file = file;
    assert!(matches!(spool.append(&[&batches[1]]), (0, Some(Stop::Failed(_)))));
    store(&mut spool, &batches[1..]);
    assert_eq!(drain(&mut spool), batches.iter().map(json).collect::<Vec<_>>());
}

#[test]
fn what_is_read_back_goes_through_the_policy_of_today() {
    let config = |text: &str| {
        crate::config::Config::parse("c.toml", text, &Default::default()).unwrap().redaction
    };
    let stricter = config(
        "[[redaction.rules]]\nname = \"PROJECT\"\nterms = [\"bluebird\"]\n\
         [redaction.types]\nUS_SSN = \"drop_record\"\n\
         [[redaction.rules]]\nname = \"SECRET_PROJECT\"\nterms = [\"nightowl\"]\nstrategy = \"drop_record\"\n",
    );
    let mut bytes = Vec::new();
    let stored = batch(0, &["about bluebird", "about nightowl", "ssn 536-90-4399"]);
    for rules in [None, Some(Redactors::default().fingerprint())] {
        bytes.clear();
        codec::encode(&stored, rules, &mut bytes);
        let logs = codec::decode(&bytes, &stricter).unwrap();
        let shown = json(&logs);
        assert!(shown.contains("about [PROJECT]") && !shown.contains("nightowl"), "{shown}");
        // That was hidden when it came, so there is nothing left to drop.
        assert!(shown.contains("[US_SSN]") && logs.records.len() == 2, "{shown}");
    }
}

#[test]
fn what_was_redacted_with_the_rules_of_today_comes_back_as_it_is() {
    let config = |text: &str| {
        crate::config::Config::parse("c.toml", text, &Default::default()).unwrap().redaction
    };
    // A rule about whole lines: what the record keeps of one may look like another.
    let rule = "[[redaction.rules]]\nname = \"BEAT\"\nregex = \"^Heartbeat \\\\d+\"\nstrategy = \"drop_record\"\n";
    let source = "[[redaction.sources]]\nfiles = [\"/var/**\"]\nprofile = \"secrets\"\n";
    let (redactors, other) = (config(rule), config(&format!("{rule}{source}")));
    assert_ne!(redactors.fingerprint(), other.fingerprint());
    assert_eq!(redactors.fingerprint(), config(rule).fingerprint());
    let stored = batch(0, &["Heartbeat 7", "two"]);
    let n_back = |rules| {
        let mut bytes = Vec::new();
        codec::encode(&stored, rules, &mut bytes);
        codec::decode(&bytes, &redactors).unwrap().records.len()
    };
    assert_eq!(n_back(Some(redactors.fingerprint())), 2);
    assert_eq!([n_back(None), n_back(Some(other.fingerprint()))], [1, 1], "as it always was");
    // The spool keeps what it was told.
    let folder = tempfile::tempdir().unwrap();
    for (rules, want) in [(Some(redactors.fingerprint()), 2), (None, 1)] {
        let mut spool = open(folder.path());
        spool.set_rules(rules);
        store(&mut spool, std::slice::from_ref(&stored));
        assert_eq!(spool.front(&redactors).unwrap().unwrap().records.len(), want);
        spool.advance();
    }
}

#[test]
fn pseudonyms_and_forms_of_findings_come_back_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    fs::write(&key, "0123456789abcdef").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let text = format!(
        "[redaction]\npseudonym_key_file = {key:?}\n[redaction.types]\nEMAIL = \"pseudonym\"\n\
         IP_ADDRESS = \"format_preserving\"\nCREDIT_CARD = \"partial\"\n"
    );
    let config = crate::config::Config::parse("c.toml", &text, &Default::default()).unwrap();
    let redactors = config.redaction;
    let mut logs = batch(0, &[]);
    let raw = b"jane.doe@example.com paid 4111 1111 1111 1111 from 203.0.113.77";
    let body = redactors.base().redact_chunk(raw, &mut logs.text);
    logs.records.push(LogRecord { body, ..LogRecord::default() });
    let before = json(&logs);
    assert!(before.contains("[EMAIL:k1:") && before.contains(":**1111]"), "{before}");
    let mut bytes = Vec::new();
    codec::encode(&logs, None, &mut bytes);
    assert_eq!(json(&codec::decode(&bytes, &redactors).unwrap()), before);
}

#[test]
fn spools_that_no_exporter_of_the_config_empties_are_told() {
    let folder = tempfile::tempdir().unwrap();
    store(&mut open(folder.path()), &three());
    assert_eq!(super::orphans(folder.path(), &["file"]), []);
    let orphans = super::orphans(folder.path(), &["loki"]);
    assert!(matches!(orphans.as_slice(), [(name, 1..)] if name == "file"), "{orphans:?}");
}

#[test]
fn what_is_parked_for_an_exporter_that_is_gone_is_told_and_its_folder_goes_with_the_last_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("spool/file/parked/0123");
    let mut spool = Spool::open_parked(folder.path(), "file", "0123", CAP).unwrap();
    store(&mut spool, &three());
    spool.remove_folder();
    let found = orphans(folder.path(), &[]);
    assert!(matches!(&found[..], [(name, 100..)] if name == "file"), "{found:?}");
    assert!(orphans(folder.path(), &["file"]).is_empty());
    drain(&mut spool);
    assert!(target.join("cursor").exists());
    spool.remove_folder();
    assert!(orphans(folder.path(), &[]).is_empty() && !target.exists());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_record_comes_back_as_it_was(bodies in prop::collection::vec(".{0,60}", 0..6), raw in any::<Vec<u8>>()) {
        let mut logs = batch(5, &bodies.iter().map(String::as_str).collect::<Vec<_>>());
        let body = Redactor::new().redact_chunk(&raw, &mut logs.text);
        logs.records.push(LogRecord { body, offset: u64::MAX, ..LogRecord::default() });
        let mut bytes = Vec::new();
        codec::encode(&logs, None, &mut bytes);
        let back = codec::decode(&bytes, &Redactors::default()).unwrap();
        assert_eq!(back.covers, logs.covers);
        prop_assert_eq!(json(&back), json(&logs));
        prop_assert_eq!(&*back.resource, &*logs.resource);
    }

    #[test]
    fn no_bytes_are_taken_for_a_batch_by_panicking(bytes in any::<Vec<u8>>(), cut in 0..500_usize) {
        let _ = codec::decode(&bytes, &Redactors::default());
        let mut whole = Vec::new();
        codec::encode(&batch(0, &["a", "b"]), Some(7), &mut whole);
        whole.truncate(cut);
        if cut < whole.len() {
            prop_assert!(codec::decode(&whole, &Redactors::default()).is_none());
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_spool_of_any_bytes_opens_and_drains(bytes in any::<Vec<u8>>(), salt in any::<u64>()) {
        let folder = tempfile::tempdir().unwrap();
        let spool_folder = folder.path().join("spool/file");
        fs::create_dir_all(&spool_folder).unwrap();
        for (name, is_headed) in [("000000000001.segment", true), ("000000000002.segment", false), ("3.segment", true)] {
            let header = if is_headed { segment::header(salt).to_vec() } else { Vec::new() };
            fs::write(spool_folder.join(name), [header, bytes.clone()].concat()).unwrap();
        }
        fs::write(spool_folder.join("cursor"), &bytes).unwrap();
        let mut spool = open(folder.path());
        prop_assert_eq!(drain(&mut spool).len(), 0);
        store(&mut spool, &three());
        prop_assert_eq!(drain(&mut spool).len(), 3);
    }
}
