//! Event logs as a source of the scraper, alone and beside a UI.

use super::recording::Recording;
use super::{Harness, find, label, number, run_batch, run_batches, shared};
use crate::scrape::fake_ui::{FakeUi, Reply};
use crate::scrape::http::Limits;
use crate::scrape::meter::Cut;
use crate::scrape::spark::Config;
use crate::scrape::{Given, Scraped};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A run of Spark 4.3 with three jobs, of which one failed.
const LOG: &str = include_str!("../../../../../tests/fixtures/spark/eventlog.jsonl");

/// A folder for event logs, which ends with this value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sidelight-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A scraper of the UIs `uis` and the folder `folder`.
fn harness(uis: &[&FakeUi], folder: &Path) -> Harness {
    let mut urls: Vec<String> = uis.iter().map(|ui| ui.url()).collect();
    if urls.is_empty() {
        // Nobody listens there.
        urls.push("http://127.0.0.1:1".to_owned());
    }
    let config = Config { urls, event_log_dir: folder.to_owned(), ..Config::default() };
    Harness::with_shared(&config, &shared(Given::default(), &[]), Limits::default())
}

async fn round(harness: &mut Harness) -> Scraped {
    harness.round().await.0
}

/// What an independent script adds up of the log: `name` over all stages.
fn script_sum(log: &Path, name: &str) -> f64 {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/spark/event_log_sums.py");
    let output = Command::new("python3").arg(script).arg(log).output().unwrap();
    let stages: Value = serde_json::from_slice(&output.stdout).unwrap();
    stages.as_object().unwrap().values().map(|sums| sums[name].as_f64().unwrap()).sum()
}

#[tokio::test]
async fn a_run_whose_ui_nobody_saw_ends_with_the_numbers_of_its_log() {
    let folder = Folder::new("unseen");
    let path = folder.join("app-1");
    fs::write(&path, LOG).unwrap();
    let mut harness = harness(&[], &folder.0);
    let out = round(&mut harness).await;
    let batch = run_batch(&out);
    for (name, labels, field, divisor) in [
        ("spark_app_tasks_total", &[("outcome", "succeeded")][..], "n_tasks_succeeded", 1.0),
        ("spark_app_tasks_total", &[("outcome", "failed")], "n_tasks_failed", 1.0),
        ("job_task_seconds_total", &[], "run_ms", 1e3),
        ("job_cpu_seconds_total", &[], "cpu_ns", 1e9),
        ("spark_stage_shuffle_write_bytes_total", &[], "shuffle_write_bytes", 1.0),
        ("spark_stage_result_bytes_total", &[], "result_bytes", 1.0),
    ] {
        let want = script_sum(&path, field) / divisor;
        assert_eq!(number(batch, name, labels), Some(want), "{name}");
    }
    assert_eq!(number(batch, "job_final_snapshot", &[("source", "eventlog")]), Some(1.0));
    assert_eq!(number(batch, "job_run_state", &[("state", "running")]), Some(0.0));
    let info = find(batch, "job_run_info", &[]).unwrap();
    assert!(label(&info.labels, "app_id").is_some_and(|id| LOG.contains(id)));
    let names: Vec<&str> =
        out.spans.iter().flat_map(|batch| &batch.spans).map(|span| span.name.as_str()).collect();
    for name in ["spark.application", "spark.job", "spark.stage"] {
        assert!(names.contains(&name), "{name} is in {names:?}");
    }
    // They stay for the linger time, and nothing is read or counted twice.
    let again = round(&mut harness).await;
    assert_eq!(run_batch(&again).samples, batch.samples);
    assert!(again.spans.is_empty());
    let text = format!("{out:?}");
    assert!(!text.contains("joe.doe"), "what the log quotes is redacted");
}

#[tokio::test]
async fn a_log_is_read_as_it_grows_and_through_its_renaming() {
    let folder = Folder::new("grows");
    let path = folder.join("app-1.inprogress");
    let mut file = File::create(&path).unwrap();
    let mut harness = harness(&[], &folder.0);
    let lines: Vec<&str> = LOG.split_inclusive('\n').collect();
    let mut before = 0.0;
    let mut states = Vec::new();
    for part in lines.chunks(lines.len().div_ceil(6)) {
        // In the middle of a line, too.
        let text = part.concat();
        let (head, tail) = text.split_at(text.floor_char_boundary(text.len() / 2));
        for piece in [head, tail] {
            file.write_all(piece.as_bytes()).unwrap();
            let out = round(&mut harness).await;
            let Some(batch) = run_batches(&out).first().copied() else { continue };
            let tasks = number(batch, "spark_app_tasks_total", &[("outcome", "succeeded")]);
            assert!(tasks.unwrap_or(0.0) >= before);
            before = tasks.unwrap_or(0.0);
            states.push(number(batch, "job_run_state", &[("state", "running")]).unwrap());
        }
    }
    assert!(states.iter().filter(|running| **running == 1.0).count() > 3, "{states:?}");
    fs::rename(&path, folder.join("app-1")).unwrap();
    let out = round(&mut harness).await;
    let want = script_sum(&folder.join("app-1"), "n_tasks_succeeded");
    let batch = run_batch(&out);
    assert_eq!(number(batch, "spark_app_tasks_total", &[("outcome", "succeeded")]), Some(want));
    assert_eq!(number(batch, "job_final_snapshot", &[("source", "eventlog")]), Some(1.0));
    let history = out.metrics.iter().find(|batch| label(&batch.labels, "slot").is_none()).unwrap();
    let runs = history.samples.iter().filter(|it| it.descriptor.name == "job_runs_total").count();
    assert_eq!(runs, 1, "one end, with one outcome");
}

#[tokio::test]
async fn rolled_files_are_read_one_after_the_other() {
    let folder = Folder::new("rolled");
    let rolled = folder.join("eventlog_v2_app-1");
    fs::create_dir(&rolled).unwrap();
    fs::write(rolled.join("appstatus_app-1.inprogress"), "").unwrap();
    let mut harness = harness(&[], &folder.0);
    let lines: Vec<&str> = LOG.split_inclusive('\n').collect();
    for (index, part) in lines.chunks(lines.len().div_ceil(11)).enumerate() {
        fs::write(rolled.join(format!("events_{}_app-1", index + 1)), part.concat()).unwrap();
        round(&mut harness).await;
    }
    let status = rolled.join("appstatus_app-1");
    fs::rename(rolled.join("appstatus_app-1.inprogress"), status).unwrap();
    let whole = folder.join("whole");
    fs::write(&whole, LOG).unwrap();
    let want = script_sum(&whole, "run_ms") / 1e3;
    fs::remove_file(whole).unwrap();
    let out = round(&mut harness).await;
    assert_eq!(number(run_batch(&out), "job_task_seconds_total", &[]), Some(want));
}

/// A log of one stage with `n_tasks` tasks of one second each, as its lines.
fn made_log(app_id: &str, n_tasks: usize) -> Vec<String> {
    let stage = |time: &str| {
        json!({"Stage ID": 0, "Stage Attempt ID": 0, "Stage Name": "count", "Number of Tasks": n_tasks,
            "Submission Time": 1_000, time: 9_000})
    };
    let task = |id: usize| {
        json!({"Event": "SparkListenerTaskEnd", "Stage ID": 0, "Stage Attempt ID": 0,
            "Task End Reason": {"Reason": "Success"},
            "Task Info": {"Task ID": id, "Launch Time": 1_000, "Finish Time": 2_000},
            "Task Metrics": {"Executor Run Time": 1_000, "Input Metrics": {"Records Read": 10}}})
    };
    let mut events = vec![
        json!({"Event": "SparkListenerLogStart", "Spark Version": "4.3.0"}),
        json!({"Event": "SparkListenerApplicationStart", "App Name": "orders", "App ID": app_id,
            "Timestamp": 500, "User": "etl"}),
        json!({"Event": "SparkListenerJobStart", "Job ID": 0, "Submission Time": 900,
            "Stage Infos": [stage("Nothing")]}),
        json!({"Event": "SparkListenerStageSubmitted", "Stage Info": stage("Nothing")}),
    ];
    events.extend((0..n_tasks).map(task));
    events.extend([
        json!({"Event": "SparkListenerStageCompleted", "Stage Info": stage("Completion Time")}),
        json!({"Event": "SparkListenerJobEnd", "Job ID": 0, "Completion Time": 9_000,
            "Job Result": {"Result": "JobSucceeded"}}),
        json!({"Event": "SparkListenerApplicationEnd", "Timestamp": 9_500, "ExitCode": 0}),
    ]);
    events.iter().map(|event| format!("{event}\n")).collect()
}

/// A UI of `app_id` that names `folder`, and knows of `n_done` tasks of a stage that has ended.
fn behind(app_id: &str, folder: &Path, n_done: u64) -> Recording {
    let mut rest = Recording::idle(app_id, "orders");
    let dir = format!("file://{}", folder.display());
    rest.environment = json!({"sparkProperties":
        [["spark.eventLog.enabled", "true"], ["spark.eventLog.dir", dir]]});
    let job = json!({"jobId": 0, "status": "SUCCEEDED", "stageIds": [0], "numTasks": 4,
        "submissionTime": "1970-01-01T00:00:00.900GMT",
        "completionTime": "1970-01-01T00:00:09.000GMT"});
    rest.jobs.insert(0, job);
    rest.add_stage(json!({"status": "COMPLETE", "stageId": 0, "attemptId": 0, "numTasks": 4,
        "numActiveTasks": 0, "numCompleteTasks": n_done, "inputRecords": n_done * 10,
        "submissionTime": "1970-01-01T00:00:01.000GMT",
        "completionTime": "1970-01-01T00:00:09.000GMT"}));
    rest
}

#[tokio::test]
async fn the_log_that_the_ui_names_sets_right_what_the_ui_missed_and_nothing_counts_twice() {
    let folder = Folder::new("both");
    let rest = behind("app-1", &folder.0, 3);
    let ui = FakeUi::start(move |path| rest.answer(path)).await;
    let mut harness = harness(&[&ui], Path::new(""));
    let records = |out: &Scraped| number(run_batch(out), "job_records_read_total", &[]);
    assert_eq!(records(&round(&mut harness).await), Some(30.0));
    let lines = made_log("app-1", 4);
    let growing = folder.join("app-1.inprogress");
    // Of another application, which nobody asked for.
    fs::write(folder.join("app-2"), made_log("app-2", 4).concat()).unwrap();
    // It is behind at first.
    fs::write(&growing, lines[..6].concat()).unwrap();
    assert_eq!(records(&round(&mut harness).await), Some(30.0));
    fs::write(&growing, lines[..lines.len() - 1].concat()).unwrap();
    let out = round(&mut harness).await;
    assert_eq!(records(&out), Some(40.0));
    assert_eq!(out.jobs.len(), 1, "a run that no UI named is not reported");
    let batch = run_batch(&out);
    assert_eq!(number(batch, "spark_app_stages_total", &[("outcome", "succeeded")]), Some(1.0));
    assert_eq!(number(batch, "spark_app_jobs_total", &[("outcome", "succeeded")]), Some(1.0));
    assert_eq!(number(batch, "spark_stage_duration_seconds", &[]), Some(1.0));
    // The UI goes before the log has its end.
    ui.stop().await;
    for _ in 0..2 {
        let out = round(&mut harness).await;
        assert_eq!(number(run_batch(&out), "job_run_state", &[("state", "running")]), Some(1.0));
    }
    fs::write(&growing, lines.concat()).unwrap();
    let out = round(&mut harness).await;
    let batch = run_batch(&out);
    assert_eq!(number(batch, "job_run_state", &[("state", "succeeded")]), Some(1.0));
    assert_eq!(out.jobs[0].end_unix_ms, Some(9_500), "the time that the log states");
    assert_eq!(records(&out), Some(40.0));
}

#[tokio::test]
async fn a_driver_that_was_killed_ends_as_unknown_though_its_log_stays_open() {
    let folder = Folder::new("killed");
    let rest = behind("app-1", &folder.0, 4);
    let ui = FakeUi::start(move |path| rest.answer(path)).await;
    let mut harness = harness(&[&ui], &folder.0);
    let lines = made_log("app-1", 4);
    fs::write(folder.join("app-1.inprogress"), lines[..5].concat()).unwrap();
    round(&mut harness).await;
    ui.stop().await;
    let mut running = Vec::new();
    for _ in 0..6 {
        let out = round(&mut harness).await;
        running.push(number(run_batch(&out), "job_run_state", &[("state", "running")]).unwrap());
    }
    // Two rounds for the UI, and half a minute for the log.
    assert_eq!(running, [1.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
}

#[tokio::test]
async fn what_a_ui_has_forgotten_before_it_was_read_comes_from_the_log() {
    let folder = Folder::new("evicted");
    let mut rest = behind("app-1", &folder.0, 4);
    rest.stages.clear();
    let ui = FakeUi::start(move |path| match path {
        _ if path.contains("/stages/") => Reply::Other(404, "text/plain", "no such stage"),
        _ => rest.answer(path),
    })
    .await;
    let mut harness = harness(&[&ui], &folder.0);
    round(&mut harness).await;
    assert_eq!(harness.scraper.meter.stats().cut_of(Cut::Stage), 1, "the UI has forgotten it");
    let lines = made_log("app-1", 4);
    fs::write(folder.join("app-1.inprogress"), lines[..lines.len() - 1].concat()).unwrap();
    let out = round(&mut harness).await;
    assert_eq!(number(run_batch(&out), "job_records_read_total", &[]), Some(40.0));
    let spans = out.spans.iter().flat_map(|batch| &batch.spans);
    assert_eq!(spans.filter(|span| span.name.as_str() == "spark.stage").count(), 1);
}

#[tokio::test]
async fn what_is_no_log_or_damaged_holds_nothing_up() {
    let folder = Folder::new("damaged");
    fs::write(folder.join("notes.txt"), "not an event\n").unwrap();
    fs::write(folder.join("zeros"), [0; 4_096]).unwrap();
    fs::write(folder.join("empty.inprogress"), "").unwrap();
    fs::create_dir(folder.join("eventlog_v2_empty")).unwrap();
    let mut packed = zstd::stream::encode_all(made_log("app-2", 4).concat().as_bytes(), 1).unwrap();
    let half = packed.len() / 2;
    packed[half..].fill(0xff);
    fs::write(folder.join("app-2.zstd"), packed).unwrap();
    fs::write(folder.join("app-3"), made_log("app-3", 4).concat()).unwrap();
    let mut harness = harness(&[], &folder.0);
    let out = round(&mut harness).await;
    assert!(out.jobs.iter().any(|job| job.job_id.as_str() == "app-3"));
    let out = round(&mut harness).await;
    assert!(out.jobs.iter().any(|job| job.job_id.as_str() == "app-3"));
}
