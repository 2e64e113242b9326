//! The command `sidelight analyze`: its answers and its exit codes.

use crate::harness::agent;
use crate::harness::scratch::{Scratch, fixture};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn analyze(arguments: &[&str], paths: &[&Path]) -> Output {
    Command::new(agent::binary()).arg("analyze").args(arguments).args(paths).output().unwrap()
}

#[track_caller]
fn check(output: &Output, code: i32, stderr: &str) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(stderr), "{said}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_folder_gives_a_report_of_each_log_in_it() {
    let scratch = Scratch::new();
    let folder = scratch.join("logs");
    let rolled = folder.join("eventlog_v2_app-1");
    fs::create_dir_all(&rolled).unwrap();
    let log = fs::read(fixture("spark/eventlog.jsonl")).unwrap();
    fs::write(folder.join("app-2"), &log).unwrap();
    fs::write(folder.join("driver.log"), "26/11/22 06:00:00 INFO Driver: no event\n").unwrap();
    // Ten files and more: the order is that of the numbers, not that of the names.
    let lines: Vec<&[u8]> = log.split_inclusive(|byte| *byte == b'\n').collect();
    for (index, part) in lines.chunks(lines.len().div_ceil(11)).enumerate() {
        let name = format!("events_{}_app-1", index + 1);
        fs::write(rolled.join(name), part.concat()).unwrap();
    }
    let answer = check(&analyze(&["--format", "json"], &[&folder]), 0, "");
    let reports: Vec<Value> = answer.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert_eq!(reports.len(), 2);
    for key in ["job_id", "duration_seconds", "run_seconds", "findings", "core_seconds"] {
        assert!(!reports[0][key].is_null(), "{key}");
        assert_eq!(reports[0][key], reports[1][key], "{key}");
    }
    let text = check(&analyze(&[], &[&folder]), 0, "");
    assert!(text.contains("failed_tasks: 4 of "), "{text}");
    assert!(!text.contains("joe.doe"), "{text}");
}

#[test]
fn what_cannot_be_read_is_told_and_all_else_is_reported() {
    let scratch = Scratch::new();
    let good = fixture("spark/eventlog.jsonl");
    let missing = scratch.join("missing");
    let answer = check(&analyze(&[], &[&missing, &good]), 66, "missing: No such file");
    assert!(answer.contains("event-log-probe"), "{answer}");
    let other = scratch.join("driver.log");
    fs::write(&other, "no event\n").unwrap();
    check(&analyze(&[], &[&other]), 66, "is not a Spark event log");
    let folder = scratch.join("empty");
    fs::create_dir(&folder).unwrap();
    check(&analyze(&[], &[&folder]), 66, "has no Spark event log in it");
    fs::write(&other, b"ZV\x01\x00\x00").unwrap();
    check(&analyze(&[], &[&other]), 66, "LZF compression is not read");
    check(&analyze(&["--format", "xml"], &[&good]), 64, "write text or json");
    check(&analyze(&[], &[]), 64, "required");
}

#[test]
fn a_damaged_log_is_reported_as_far_as_it_goes() {
    let scratch = Scratch::new();
    let mut packed = fs::read(fixture("spark/eventlog.zstd")).unwrap();
    packed.truncate(packed.len() * 3 / 4);
    let cut = scratch.join("app-1.zstd");
    fs::write(&cut, &packed).unwrap();
    let text = check(&analyze(&[], &[&cut]), 65, "");
    assert!(text.contains("damaged") && text.contains("ends within a compressed block"), "{text}");
    // The same bytes are all right while the log is being written.
    let live = scratch.join("app-1.zstd.inprogress");
    fs::write(&live, &packed).unwrap();
    let text = check(&analyze(&[], &[&live]), 0, "");
    assert!(text.contains("is running"), "{text}");
    let mut broken = fs::read(fixture("spark/eventlog.jsonl")).unwrap();
    broken.extend_from_slice(b"{\"Event\":\"SparkListenerJobEnd\",\"Job ID\":\"x\"}\n");
    let path = scratch.join("app-2");
    fs::write(&path, &broken).unwrap();
    assert!(check(&analyze(&[], &[&path]), 65, "").contains("1 broken lines"));
}

#[test]
fn thresholds_of_the_config_count() {
    let scratch = Scratch::new();
    let config = scratch.join("sidelight.toml");
    fs::write(&config, "[findings]\nskew_ratio = 1000.0\n").unwrap();
    let (log, config) = (fixture("spark/eventlog.jsonl"), config.display().to_string());
    let text = check(&analyze(&[], &[&log]), 0, "");
    assert!(text.contains("skew: In stage"), "{text}");
    let text = check(&analyze(&["-c", &config], &[&log]), 0, "");
    assert!(!text.contains("skew: In stage"), "{text}");
    fs::write(&config, "[findings]\nskew_ratio = 0.5\ngc_ratio = 2.0\n").unwrap();
    let problems = analyze(&["-c", &config], &[&log]);
    check(&problems, 78, "findings.skew_ratio");
    check(&problems, 78, "must be from 0 to 1");
}
