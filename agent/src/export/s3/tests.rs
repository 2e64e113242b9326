//! Whatever comes in between, the objects together hold every record once.

use super::config::Config;
use super::manifest::Manifest;
use super::object::{Compression, Form, Made, Piece, make};
use super::staging::{Limits, Next, Staging, Stop};
use crate::archive::{Source, verify};
use crate::model::{Coverage, Engine, LogBatch, LogRecord, Resource};
use crate::policy::Redactors;
use proptest::prelude::*;
use redaction::{Redactor, Text, Value};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

const RECORD_BYTES: u64 = 10;
const HOUR_NS: u64 = 3_600_000_000_000;

fn limits() -> Limits {
    Limits {
        bytes_max: 60_000,
        object_bytes: 2_000,
        object_age: Duration::from_secs(60),
        partitions_max: 3,
        segments_max: 200,
    }
}

/// Records `from` to `to` of a file, each of ten bytes and in one of four hours.
fn batch(file: u8, from: u64, to: u64) -> LogBatch {
    let redactor = Redactor::new();
    let mut text = Text::default();
    let records = (from..to).map(|number| LogRecord {
        time_unix_ns: Some((number / 7 + u64::from(file)) % 4 * HOUR_NS),
        body: redactor.redact_chunk(format!("record {number}").as_bytes(), &mut text),
        offset: number * RECORD_BYTES,
        ..LogRecord::default()
    });
    let records = records.collect();
    let resource = Resource {
        engine: Some(Engine::Spark),
        job_name: Some(redactor.value("nightly")),
        run_id: Some(redactor.value("run")),
        file: Some(redactor.value("/a.log")),
        // Zeros are no id.
        file_id: Some(Value::hex(&[file + 1; 8])),
        ..Resource::default()
    };
    let (from, to) = (from * RECORD_BYTES, to * RECORD_BYTES);
    let covers = Some(Coverage { from, to, n_dropped: 0 });
    LogBatch { resource: Arc::new(resource), text, records, covers }
}

/// One archive over several lives: its staging area, and a folder in place of the bucket.
struct World {
    state: TempDir,
    bucket: TempDir,
    redactors: Redactors,
    staging: Option<Staging>,
    now: Instant,
}

impl World {
    fn new() -> Self {
        let (state, bucket) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut world = Self {
            state,
            bucket,
            redactors: Redactors::default(),
            staging: None,
            now: Instant::now(),
        };
        world.restart();
        world
    }

    fn restart(&mut self) {
        self.staging = None;
        let rules = Some(self.redactors.fingerprint());
        let staging = Staging::open(self.state.path(), "b", limits(), rules, &self.redactors);
        self.staging = Some(staging.unwrap());
    }

    fn staging(&mut self) -> &mut Staging {
        self.staging.as_mut().unwrap()
    }

    fn segments(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.state.path().join("s3")).unwrap();
        let mut found: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        found.retain(|path| path.extension().is_some_and(|it| it == "segment"));
        found.sort();
        found
    }

    /// A write that was under way when everything stopped.
    fn tear(&self, n_bytes: usize) {
        if let Some(last) = self.segments().last() {
            let mut file = fs::File::options().append(true).open(last).unwrap();
            file.write_all(&vec![3; n_bytes]).unwrap();
        }
    }

    fn append(&mut self, batches: Vec<LogBatch>) -> (usize, Option<Stop>) {
        let now = self.now;
        self.staging().append(batches, now)
    }

    fn put(&self, key: &str, bytes: &[u8]) {
        let path = self.bucket.path().join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Sends the oldest sealed segment up to a step; the last is its end.
    fn ship(&mut self, n_steps: u8) {
        let Some(next) = self.staging().front() else { return };
        let (made, parts) = self.make(&next);
        assert_eq!(self.make(&next), (made.clone(), parts.clone()), "is the same");
        if let Some(key) = &made.object.key {
            self.put(key, &parts);
        }
        if n_steps == 0 {
            return;
        }
        let n_damaged_bytes = made.object.damaged_bytes;
        let manifests = self.staging().note_object(made).unwrap();
        if n_steps == 1 {
            return;
        }
        for (key, json) in &manifests {
            self.put(key, json);
        }
        let keys: Vec<_> = manifests.into_iter().map(|(key, _)| key).collect();
        self.staging().note_sent(&keys);
        if n_steps > 2 {
            self.staging().remove(next.number, n_damaged_bytes).unwrap();
        }
    }

    fn make(&self, segment: &Next) -> (Made, Vec<u8>) {
        let (send, mut pieces) = tokio::sync::mpsc::channel(1_000);
        let (compression, folder_template) = (Compression::Zstd, Config::default().folder);
        let form = Form { compression, folder_template };
        let made = make(segment, &form, &self.redactors, send).unwrap();
        let (mut key, mut bytes, mut is_whole) = (None, Vec::new(), false);
        while let Some(piece) = pieces.blocking_recv() {
            match piece {
                Piece::Key(its) => key = Some(its),
                Piece::Part(part) => bytes.extend(part),
                Piece::End => is_whole = true,
            }
        }
        assert_eq!(key, made.object.key);
        assert_eq!(is_whole, key.is_some(), "what is not told to be whole is not put");
        (made, bytes)
    }

    fn finish(&mut self) {
        self.staging().seal_all();
        while self.staging().front().is_some() {
            self.ship(3);
        }
        self.staging().complete().unwrap();
        for (key, json) in self.staging().unsent() {
            self.put(&key, &json);
        }
        assert_eq!(self.staging().records(), 0);
    }

    /// How often each record is there: by file, then by number. Those of a file are in order in each
    /// object.
    fn records(&self) -> BTreeMap<String, BTreeMap<u64, u32>> {
        let mut found: BTreeMap<String, BTreeMap<u64, u32>> = BTreeMap::new();
        for path in objects(self.bucket.path()) {
            let bytes = zstd::decode_all(fs::File::open(path).unwrap()).unwrap();
            let mut last: BTreeMap<String, u64> = BTreeMap::new();
            for line in String::from_utf8(bytes).unwrap().lines() {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                let file = line["file_id"].as_str().unwrap().to_owned();
                let number = line["offset"].as_u64().unwrap() / RECORD_BYTES;
                assert_eq!(line["body"].as_str().unwrap(), format!("record {number}"));
                let before = last.insert(file.clone(), number);
                assert!(before.is_none_or(|before| before < number), "{before:?} before {number}");
                *found.entry(file).or_default().entry(number).or_default() += 1;
            }
        }
        found
    }

    #[track_caller]
    fn check(&self, n_records: &[u64; 2]) {
        for (id, records) in self.records() {
            let n_records = n_records[usize::from(id.starts_with("02"))];
            let want: BTreeMap<_, _> = (0..n_records).map(|number| (number, 1)).collect();
            assert_eq!(records, want, "file {id}");
        }
        let report = verify(&Source::Folder(self.bucket.path().to_owned())).unwrap();
        assert!(report.is_complete(), "{report}");
    }
}

fn objects(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension().and_then(|it| it.to_str()) {
                _ if path.is_dir() => folders.push(path),
                Some("zst") => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_chunking_and_any_crash_archives_every_record_once(
        steps in prop::collection::vec((0..9_u8, 0..2_u8, 1..60_u64), 1..40),
    ) {
        let mut world = World::new();
        let mut delivered = [0; 2];
        for (step, file, n) in steps {
            let at = usize::from(file);
            match step {
                // One or several batches.
                0..=3 => {
                    let middle = delivered[at] + n / 2;
                    let end = delivered[at] + n;
                    let batches = vec![batch(file, delivered[at], middle), batch(file, middle, end)];
                    let (n_safe, stop) = world.append(batches);
                    prop_assert!(matches!(stop, None | Some(Stop::Full)));
                    delivered[at] = [delivered[at], middle, end][n_safe];
                }
                4 => world.staging().seal_all(),
                5 => world.ship(3),
                6 | 7 => {
                    world.ship(n as u8 % 3);
                    world.restart();
                }
                _ => {
                    world.tear(n as usize);
                    world.restart();
                    // The checkpoint is behind.
                    delivered = delivered.map(|end| end.saturating_sub(n));
                }
            }
        }
        for file in 0..2 {
            let end = delivered[usize::from(file)].max(40) + 1;
            while world.append(vec![batch(file, delivered[usize::from(file)], end)]).0 == 0 {
                world.ship(3);
            }
            delivered[usize::from(file)] = end;
        }
        world.finish();
        // What is behind the last delivery was there before a crash, and came again.
        let highest = world.records();
        let highest = |file: &str| highest[file].keys().last().map_or(0, |last| last + 1);
        let all = [highest(&"01".repeat(8)), highest(&"02".repeat(8))];
        prop_assert!(all[0] >= delivered[0] && all[1] >= delivered[1]);
        world.check(&all);
    }
}

#[test]
fn issue_6_what_a_power_loss_took_of_one_segment_is_not_left_out_as_repeated() {
    // A batch of four hours is in four segments, and the disk had three of them when it went dark.
    for lost in 0..4 {
        let mut world = World::new();
        world.append(vec![batch(0, 0, 28)]);
        let path = world.segments().remove(lost);
        fs::File::options().write(true).open(path).unwrap().set_len(30).unwrap();
        world.restart();
        world.append(vec![batch(0, 0, 28)]);
        world.finish();
        world.check(&[28, 0]);
    }
}

#[test]
fn a_full_staging_area_takes_nothing_and_is_emptied() {
    let mut world = World::new();
    let (mut next, mut stop) = (0, None);
    while stop.is_none() {
        (_, stop) = world.append(vec![batch(0, next, next + 50)]);
        next += if stop.is_none() { 50 } else { 0 };
    }
    assert!(matches!(stop, Some(Stop::Full)), "{stop:?}");
    let used: u64 = world.segments().iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(used <= limits().bytes_max, "{used}");
    assert!(world.staging().front().is_some(), "something goes");
    world.ship(3);
    let (n_safe, _) = world.append(vec![batch(0, next, next + 50)]);
    assert_eq!(n_safe, 1, "there is room again");
    world.finish();
    world.check(&[next + 50, 0]);
}

#[test]
fn segments_have_a_limit_and_one_that_is_not_taken_waits_behind_the_others() {
    let mut world = World::new();
    let (mut next, mut stop) = (0, None);
    while stop.is_none() {
        (_, stop) = world.append(vec![batch(0, next, next + 1)]);
        world.staging().seal_all();
        next += u64::from(stop.is_none());
    }
    assert!(matches!(stop, Some(Stop::Full)), "{stop:?}");
    assert_eq!(world.segments().len(), limits().segments_max);
    let first = world.staging().front().unwrap().number;
    world.staging().put_back(first);
    assert_eq!(world.staging().front().unwrap().number, first + 1);
    world.ship(3);
    assert_eq!(world.append(vec![batch(0, next, next + 1)]).0, 1, "there is room again");
    world.finish();
    world.check(&[next + 1, 0]);
}

#[test]
fn segments_are_sealed_by_age_and_by_the_number_of_partitions() {
    let mut world = World::new();
    world.append(vec![batch(0, 0, 1)]);
    let (now, age) = (world.now, limits().object_age);
    assert_eq!(world.staging().next_age(), Some(now + age));
    world.staging().seal_old(now + age - Duration::from_secs(1));
    assert!(world.staging().front().is_none());
    world.staging().seal_old(now + age);
    assert!(world.staging().front().is_some());
    // Four hours, of which three may be open.
    world.append(vec![batch(0, 1, 28)]);
    assert_eq!(world.segments().len(), 5);
    world.finish();
    world.check(&[28, 0]);
}

/// Turns a bit of a segment.
fn damage(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_is_damaged_on_the_disk_is_kept_aside_and_nothing_is_called_complete() {
    let mut world = World::new();
    for number in 0..3 {
        world.append(vec![batch(0, number, number + 1)]);
    }
    let segment = world.segments().remove(0);
    let n_bytes = fs::metadata(&segment).unwrap().len();
    // In the middle of the second frame.
    damage(&segment, n_bytes as usize / 2);
    world.restart();
    world.finish();
    let report = verify(&Source::Folder(world.bucket.path().to_owned())).unwrap();
    let id = "01".repeat(8);
    let problems = report.problems();
    assert!(problems[0].starts_with("not ended: run run of nightly"), "{report}");
    assert!(problems[1].starts_with("damaged: "), "{report}");
    let gap = format!("gap: bytes 10 to 20 of /a.log ({id}) are in no object");
    assert_eq!(problems[2..], [gap]);
    assert_eq!(world.records()[&id].len(), 2);
    let aside = fs::metadata(segment.with_extension("damaged")).unwrap();
    assert_eq!(aside.len(), n_bytes, "it is there for whoever can read it");
}

#[test]
fn a_segment_of_which_nothing_can_be_read_makes_no_run_complete_until_somebody_has_looked() {
    let mut world = World::new();
    world.append(vec![batch(0, 0, 7)]);
    world.staging().seal_all();
    world.ship(3);
    world.append(vec![batch(0, 7, 14)]);
    world.staging().seal_all();
    let segment = world.segments().remove(0);
    damage(&segment, 100);
    world.finish();
    let verified = |world: &World| verify(&Source::Folder(world.bucket.path().to_owned())).unwrap();
    let report = verified(&world);
    assert!(report.problems()[0].starts_with("not ended: run run of nightly"), "{report}");
    fs::remove_file(segment.with_extension("damaged")).unwrap();
    world.finish();
    assert!(verified(&world).is_complete());
}

#[test]
fn stricter_rules_hide_what_is_staged_and_drop_what_they_drop() {
    let mut world = World::new();
    let mut logs = batch(0, 0, 2);
    let mail = logs.text.restore(b"mail jane.doe@example.com");
    logs.records[1].body = mail;
    // As if with rules that do not know it.
    world.staging = None;
    let staging = Staging::open(world.state.path(), "b", limits(), Some(1), &world.redactors);
    world.staging = Some(staging.unwrap());
    world.append(vec![logs]);
    world.finish();
    let object = fs::read(&objects(world.bucket.path())[0]).unwrap();
    let text = String::from_utf8(zstd::decode_all(object.as_slice()).unwrap()).unwrap();
    assert!(text.contains("mail [EMAIL]") && !text.contains("jane"), "{text}");
}

#[test]
fn files_are_for_this_user_alone_and_one_owner() {
    let mut world = World::new();
    world.append(vec![batch(0, 0, 1)]);
    world.staging().complete().unwrap();
    let folder = world.state.path().join("s3");
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    for entry in fs::read_dir(&folder).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.path());
    }
    let second = Staging::open(world.state.path(), "b", limits(), None, &world.redactors);
    assert!(second.is_err(), "another agent stages there");
}

#[test]
fn a_manifest_of_a_run_has_its_objects_and_is_complete_at_the_end() {
    let mut world = World::new();
    world.append(vec![batch(0, 0, 10)]);
    world.finish();
    let folder = world.bucket.path().join("_manifests/job_name=nightly");
    let path = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let manifest: Manifest = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!((manifest.run_id.as_str(), manifest.complete), ("run", true));
    assert_eq!(manifest.objects.iter().map(|it| it.records).sum::<u64>(), 10);
    let ranges = manifest.objects.iter().flat_map(|it| &it.files).map(|it| it.ranges.clone());
    assert_eq!(ranges.collect::<Vec<_>>(), [vec![(0, 70)], vec![(70, 100)]]);
}
