//! Real runs that write their event logs compressed and rolled, as Spark 4 does by itself.

use super::{differences, read};
use crate::harness::process::Process;
use crate::harness::report::{Report, say};
use crate::harness::scratch::{Scratch, fixture};
use crate::harness::{agent, peers, spark, wait};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(300);
/// The application's spills and files are small, its slow task takes six seconds.
const THRESHOLDS: &str = "[findings]\nspill_bytes_min = 1\nspill_ratio = 0.0\n";

#[test]
fn analyze_names_what_is_wrong_with_a_run_of_spark_35() {
    observe("spark35");
}

#[test]
fn analyze_names_what_is_wrong_with_a_run_of_spark_4() {
    observe("spark4");
}

fn observe(environment: &str) {
    if !peers::are_wanted() {
        say(&format!("event log of {environment}: skipped; tests/run starts real peers"));
        return;
    }
    let _turn = spark::take_turn();
    let scratch = Scratch::new();
    let mut report = Report::new(&format!("event log of {environment}"));
    let logs = scratch.join("logs");
    fs::create_dir_all(&logs).unwrap();
    let mut driver = submit(environment, &scratch, &logs);
    let live = wait::within(LIMIT, || {
        let answer = analyze(&scratch, &logs, &[])?;
        let n_tasks = answer["tasks_succeeded"].as_u64().unwrap_or(0);
        (answer["outcome"] == "running" && n_tasks > 0).then_some(answer)
    });
    report.check_that("a log is read while Spark writes it", live.is_some(), "never running");
    let status = driver.wait(LIMIT);
    assert!(status.success(), "{}", fs::read_to_string(scratch.join("stderr")).unwrap());
    let said = fs::read_to_string(scratch.join("stdout")).unwrap();
    let said: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();

    let folder = fs::read_dir(&logs).unwrap().next().unwrap().unwrap().path();
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".zstd"))
        .collect();
    files.sort();
    say(&format!("        {} files of the log", files.len()));
    report.check("sums are those of the script", &differences(&read(&folder), &files));
    let answer = analyze(&scratch, &logs, &["-c"]).unwrap();
    judge(&mut report, environment, &answer, &said);
    report.finish();
}

fn judge(report: &mut Report, environment: &str, answer: &Value, said: &Value) {
    let mut same = |what: &str, got: &Value, want: Value| {
        report.check_that(what, *got == want, &format!("{got}, not {want}"));
    };
    same("application id", &answer["job_id"], said["app_id"].clone());
    same("stable name", &answer["job_name"], "event-log-probe".into());
    // Before Spark 4.0 the log has no exit code; the last job failed.
    let outcome = if environment == "spark35" { "failed" } else { "succeeded" };
    same("outcome", &answer["outcome"], outcome.into());
    same("failed jobs", &answer["jobs_failed"], 1.into());
    same("files written", &answer["files_written"], 120.into());
    same("files read", &answer["files_read"], 120.into());
    same("broken lines", &answer["source"]["n_broken_lines"], 0.into());
    same("class", &answer["exceptions"][0]["class"], "ValueError".into());
    let message = "cannot parse [EMAIL]".into();
    same("message", &answer["exceptions"][0]["message"], message);
    let findings = answer["findings"].as_array().unwrap();
    for id in ["skew", "spill", "failed_tasks", "small_files_read", "small_files_written"] {
        let is_found = findings.iter().any(|finding| finding["id"] == id);
        report.check_that(&format!("finding {id}"), is_found, &answer["findings"].to_string());
    }
    let skew = findings.iter().find(|finding| finding["id"] == "skew");
    let max_ms = skew.and_then(|skew| skew["evidence"]["max"].as_f64()).unwrap_or(0.0);
    report.check_that("the slow task", max_ms >= 6_000.0, &format!("{max_ms} ms"));
    let is_clean = !answer.to_string().contains("joe.doe");
    report.check_that("nothing planted leaves", is_clean, "an address does");
}

fn submit(environment: &str, scratch: &Scratch, logs: &Path) -> Process {
    let mut command = spark::submit_local(environment, "local[2,4]", scratch);
    for property in [
        "spark.ui.enabled=false",
        "spark.eventLog.enabled=true",
        "spark.eventLog.compress=true",
        "spark.eventLog.compression.codec=zstd",
        "spark.eventLog.rolling.enabled=true",
        // The least that Spark takes.
        "spark.eventLog.rolling.maxFileSize=10m",
        "spark.shuffle.spill.numElementsForceSpillThreshold=5000",
        "spark.sql.shuffle.partitions=4",
        &format!("spark.eventLog.dir={}", logs.display()),
    ] {
        command.args(["--conf", property]);
    }
    command.arg(fixture("spark/event_log_app.py")).arg(scratch.join("work")).arg("6");
    Process::start("spark-submit", &command, &scratch.join("stdout"), &scratch.join("stderr"))
}

/// What the command says of the one run in `folder`, if there is one yet.
fn analyze(scratch: &Scratch, folder: &Path, config: &[&str]) -> Option<Value> {
    let mut command = Command::new(agent::binary());
    command.arg("analyze").args(["--format", "json"]);
    for option in config {
        let path = scratch.join("thresholds.toml");
        fs::write(&path, THRESHOLDS).unwrap();
        command.arg(option).arg(path);
    }
    let output = command.arg(folder).output().unwrap();
    serde_json::from_slice(&output.stdout).ok()
}
