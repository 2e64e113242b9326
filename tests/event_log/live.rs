//! The running agent beside real applications that write event logs.

use super::{differences, read};
use crate::harness::process::Process;
use crate::harness::report::{Report, say};
use crate::harness::scratch::{Scratch, fixture};
use crate::harness::{agent, http, metrics, peers, spark, wait};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(240);
/// A few rounds of the scraper.
const CATCH_UP: Duration = Duration::from_secs(30);

/// An agent that reads the event logs of a folder, and one application.
struct Bed {
    scratch: Scratch,
    logs: PathBuf,
    port: u16,
    ui_port: u16,
    agent: Process,
}

impl Bed {
    fn new() -> Self {
        let scratch = Scratch::new();
        let logs = scratch.join("events");
        fs::create_dir_all(&logs).unwrap();
        let (port, ui_port) = (http::free_port(), http::free_port());
        let config = format!(
            "state_dir = \"{}\"\n[tail]\ninclude = [\"{}\"]\n[admin]\nlisten = \"127.0.0.1:{port}\"\n\
             [scrapers.spark]\nurls = [\"http://127.0.0.1:{ui_port}\"]\nevent_log_dir = \"{}\"\n\
             interval = \"1s\"\n[exporters.prometheus]\n[exporters.file]\npath = \"{}\"\n",
            scratch.join("state").display(),
            scratch.join("none/*.log").display(),
            logs.display(),
            scratch.join("records.jsonl").display(),
        );
        fs::write(scratch.join("sidelight.toml"), config).unwrap();
        let mut command = Command::new(agent::binary());
        command.args(["run", "-c"]).arg(scratch.join("sidelight.toml"));
        let (out, err) = (scratch.join("agent.out"), scratch.join("agent.err"));
        let agent = Process::start("sidelight", &command, &out, &err);
        wait::until("the agent answers", Duration::from_secs(20), || {
            http::get(port, "/livez").ok().filter(|answer| answer.status == 200)
        });
        Self { scratch, logs, port, ui_port, agent }
    }

    /// Starts an application in `mode`.
    fn submit(&self, environment: &str, mode: &str, more: &[&str]) -> Process {
        let mut command = spark::submit_local(environment, "local[2]", &self.scratch);
        for property in [
            "spark.eventLog.enabled=true",
            "spark.sql.shuffle.partitions=2",
            &format!("spark.ui.port={}", self.ui_port),
            &format!("spark.eventLog.dir=file://{}", self.logs.display()),
        ]
        .iter()
        .chain(more)
        {
            command.args(["--conf", property]);
        }
        command.arg(fixture("spark/live_app.py")).arg(mode);
        let (out, err) = (self.scratch.join("app.out"), self.scratch.join("app.err"));
        Process::start("spark-submit", &command, &out, &err)
    }

    fn ended_well(&self, driver: &mut Process) {
        let status = driver.wait(LIMIT);
        let said = || fs::read_to_string(self.scratch.join("app.err")).unwrap_or_default();
        assert!(status.success(), "{}", said());
    }

    fn series(&self) -> Vec<metrics::Series> {
        let answer = http::get(self.port, "/metrics");
        metrics::parse(&answer.map(|answer| answer.body).unwrap_or_default())
    }

    fn sum(&self, name: &str, label: &str) -> Option<f64> {
        metrics::sum(&self.series(), name, label)
    }

    /// Waits for a value.
    fn wait_for(&self, name: &str, label: &str, holds: impl Fn(f64) -> bool) -> Option<f64> {
        wait::within(CATCH_UP, || self.sum(name, label).filter(|value| holds(*value)))
    }

    /// The records of `logger` so far.
    fn records(&self, logger: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.scratch.join("records.jsonl")).unwrap_or_default();
        let records = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        records.filter(|record: &Value| record["logger"] == logger).collect()
    }

    /// The one log that was written, and its files.
    fn log(&self) -> (PathBuf, Vec<PathBuf>) {
        let path = fs::read_dir(&self.logs).unwrap().next().unwrap().unwrap().path();
        let is_part = |path: &PathBuf| path.display().to_string().contains("/events_");
        let files = match path.is_dir() {
            true => {
                let entries = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
                entries.filter(is_part).collect()
            }
            false => vec![path.clone()],
        };
        (path, files)
    }

    /// Ends the agent.
    fn end(mut self) -> Scratch {
        let (status, _) = self.agent.terminate(Duration::from_secs(20));
        assert!(status.success());
        self.scratch
    }
}

fn is_skipped(what: &str) -> bool {
    if !peers::are_wanted() {
        say(&format!("{what}: skipped; tests/run starts real peers"));
        return true;
    }
    false
}

/// Final numbers on `/metrics` are those of the log.
fn check_final_numbers(report: &mut Report, bed: &Bed, log: &Path) {
    let reading = read(log);
    let totals = &reading.run().totals;
    for (name, label, want) in [
        ("spark_app_tasks_total", "outcome=\"succeeded\"", totals.n_tasks_succeeded as f64),
        ("job_task_seconds_total", "", totals.run_ms as f64 / 1e3),
        ("job_cpu_seconds_total", "", totals.cpu_ns as f64 / 1e9),
        ("spark_stage_shuffle_write_bytes_total", "", totals.shuffle_write_bytes as f64),
        ("spark_stage_shuffle_read_records_total", "", totals.shuffle_read_records as f64),
        ("spark_app_jobs_total", "outcome=\"succeeded\"", reading.run().jobs.n_succeeded as f64),
        (
            "spark_app_stages_total",
            "outcome=\"succeeded\"",
            reading.run().stages.n_succeeded as f64,
        ),
    ] {
        let got = bed.wait_for(name, label, |got| (got - want).abs() < 1e-6);
        let shown = format!("{:?}, not {want}", bed.sum(name, label));
        report.check_that(&format!("{name} is that of the log"), got.is_some(), &shown);
    }
}

#[test]
fn a_run_of_two_seconds_without_a_ui_is_whole_on_spark_35() {
    short("spark35");
}

#[test]
fn a_run_of_two_seconds_without_a_ui_is_whole_on_spark_4() {
    short("spark4");
}

fn short(environment: &str) {
    if is_skipped(&format!("short run of {environment}")) {
        return;
    }
    let _turn = spark::take_turn();
    let mut report = Report::new(&format!("short run of {environment}"));
    let bed = Bed::new();
    let mut driver = bed.submit(environment, "short", &["spark.ui.enabled=false"]);
    bed.ended_well(&mut driver);
    let is_final = bed.wait_for("job_final_snapshot", "source=\"eventlog\"", |it| it == 1.0);
    report.check_that("the log has the last word", is_final.is_some(), "no final snapshot");
    let (log, files) = bed.log();
    check_final_numbers(&mut report, &bed, &log);
    report.check("the log is read as the script reads it", &differences(&read(&log), &files));
    let state = if environment == "spark4" { "succeeded" } else { "unknown" };
    let state = bed.sum("job_run_state", &format!("state=\"{state}\""));
    report.check_that("its outcome", state == Some(1.0), &format!("{state:?}"));
    let summary = wait::within(CATCH_UP, || bed.records("sidelight.run_summary").pop());
    let body = summary.as_ref().and_then(|it| it["body"].as_str()).unwrap_or("{}");
    let body: Value = serde_json::from_str(body).unwrap();
    let n_tasks = read(&log).run().totals.n_tasks_succeeded;
    let shown = body.to_string();
    report.check_that("one summary", body["tasks_succeeded"] == n_tasks, &shown);
    let summary = summary.unwrap_or_default();
    let is_of_job = summary["job_id"] == body["job_id"] && summary["job_name"] == "live-short";
    report.check_that("with the job", is_of_job, &summary.to_string());
    drop(bed.end());
    report.finish();
}

#[test]
fn a_skewed_stage_is_told_while_it_runs_on_spark_35() {
    skew("spark35");
}

#[test]
fn a_skewed_stage_is_told_while_it_runs_on_spark_4() {
    skew("spark4");
}

fn skew(environment: &str) {
    if is_skipped(&format!("live skew of {environment}")) {
        return;
    }
    let _turn = spark::take_turn();
    let mut report = Report::new(&format!("live skew of {environment}"));
    let bed = Bed::new();
    let mut driver = bed.submit(environment, "skew", &[]);
    let found = wait::within(LIMIT, || {
        let series = bed.series();
        let is_found = metrics::sum(&series, "job_findings", "finding=\"skew\"")?;
        let is_running = metrics::sum(&series, "job_run_state", "state=\"running\"")?;
        let age = metrics::sum(&series, "spark_stage_straggler_age_seconds", "")?;
        (is_found >= 1.0).then_some((is_running, age))
    });
    let is_live = driver.exit_status().is_none();
    report.check_that("skew is found while the stage runs", is_live, "the driver is done");
    let is_early = found.is_some_and(|(running, age)| running == 1.0 && age < 30.0);
    report.check_that("before its slow task has ended", is_early, &format!("{found:?}"));
    let record = wait::within(CATCH_UP, || bed.records("sidelight.finding").pop());
    let is_told = driver.exit_status().is_none() && record.is_some();
    report.check_that("and its record is out by then", is_told, &format!("{record:?}"));
    bed.ended_well(&mut driver);
    bed.wait_for("job_final_snapshot", "source=\"eventlog\"", |it| it == 1.0);
    check_final_numbers(&mut report, &bed, &bed.log().0);
    let wait = wait::within(CATCH_UP, || bed.records("sidelight.run_summary").pop());
    report.check_that("the summary", wait.is_some(), "none");
    let n_skew = |bed: &Bed| {
        let records = bed.records("sidelight.finding");
        let bodies = records.iter().filter_map(|it| it["body"].as_str());
        bodies.filter(|body| body.contains("\"id\":\"skew\"")).count()
    };
    let n_told = n_skew(&bed);
    report.check_that("each degree is told once", (1..=2).contains(&n_told), &n_told.to_string());
    drop(bed.end());
    report.finish();
}

#[test]
fn a_ui_that_keeps_five_stages_loses_none_of_eighty() {
    if is_skipped("retainedStages=5") {
        return;
    }
    let _turn = spark::take_turn();
    let mut report = Report::new("retainedStages=5");
    let bed = Bed::new();
    let more = ["spark.ui.retainedStages=5", "spark.ui.retainedJobs=5"];
    let mut driver = bed.submit("spark35", "many", &more);
    let mut before = 0.0;
    let mut falls = Vec::new();
    while driver.exit_status().is_none() {
        if let Some(tasks) = bed.sum("spark_app_tasks_total", "outcome=\"succeeded\"") {
            if tasks < before {
                falls.push(format!("{tasks} after {before}"));
            }
            before = tasks;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    report.check("the counter never falls", &falls);
    bed.ended_well(&mut driver);
    bed.wait_for("job_final_snapshot", "source=\"eventlog\"", |it| it == 1.0);
    let stages = bed.sum("spark_app_stages_total", "outcome=\"succeeded\"");
    report.check_that("eighty stages", stages == Some(80.0), &format!("{stages:?}"));
    check_final_numbers(&mut report, &bed, &bed.log().0);
    drop(bed.end());
    report.finish();
}
