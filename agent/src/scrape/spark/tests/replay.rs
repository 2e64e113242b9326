//! Recorded runs and made-up histories end at the numbers that REST itself reports.

use super::recording::{Recording, phases};
use super::{Harness, number, run_batch};
use crate::model::MetricBatch;
use crate::scrape::Scraped;
use crate::scrape::fake_ui::FakeUi;
use crate::scrape::meter::{Cut, Outcome};
use serde_json::json;

/// Counter, its fixed label, the field of `/stages` that it sums, and how many raw units make one.
type Sum = (&'static str, &'static [(&'static str, &'static str)], &'static str, f64);

const SUMS: [Sum; 22] = [
    ("spark_app_tasks_total", &[("outcome", "succeeded")], "numCompleteTasks", 1.0),
    ("spark_app_tasks_total", &[("outcome", "failed")], "numFailedTasks", 1.0),
    ("spark_app_tasks_total", &[("outcome", "killed")], "numKilledTasks", 1.0),
    ("job_task_failures_total", &[], "numFailedTasks", 1.0),
    ("job_records_read_total", &[], "inputRecords", 1.0),
    ("job_records_written_total", &[], "outputRecords", 1.0),
    ("job_read_bytes_total", &[], "inputBytes", 1.0),
    ("job_written_bytes_total", &[], "outputBytes", 1.0),
    ("job_cpu_seconds_total", &[], "executorCpuTime", 1e9),
    ("job_gc_seconds_total", &[], "jvmGcTime", 1e3),
    ("job_task_seconds_total", &[], "executorRunTime", 1e3),
    ("spark_stage_shuffle_read_bytes_total", &[("source", "local")], "shuffleLocalBytesRead", 1.0),
    (
        "spark_stage_shuffle_read_bytes_total",
        &[("source", "remote")],
        "shuffleRemoteBytesRead",
        1.0,
    ),
    ("spark_stage_shuffle_read_records_total", &[], "shuffleReadRecords", 1.0),
    ("spark_stage_shuffle_fetch_wait_seconds_total", &[], "shuffleFetchWaitTime", 1e3),
    ("spark_stage_shuffle_write_bytes_total", &[], "shuffleWriteBytes", 1.0),
    ("spark_stage_shuffle_write_records_total", &[], "shuffleWriteRecords", 1.0),
    ("spark_stage_shuffle_write_seconds_total", &[], "shuffleWriteTime", 1e9),
    ("spark_stage_spilled_bytes_total", &[("medium", "memory")], "memoryBytesSpilled", 1.0),
    ("spark_stage_spilled_bytes_total", &[("medium", "disk")], "diskBytesSpilled", 1.0),
    ("spark_stage_executor_deserialize_seconds_total", &[], "executorDeserializeTime", 1e3),
    ("spark_stage_result_bytes_total", &[], "resultSize", 1.0),
];

#[track_caller]
fn assert_equals_rest(batch: &MetricBatch, rest: &Recording) {
    for (name, labels, field, divisor) in SUMS {
        let expected = rest.stage_sum(field) / divisor;
        assert_eq!(number(batch, name, labels), Some(expected), "{name} {labels:?}");
    }
    for (outcome, status) in
        [("succeeded", "COMPLETE"), ("failed", "FAILED"), ("skipped", "SKIPPED")]
    {
        let counted = number(batch, "spark_app_stages_total", &[("outcome", outcome)]);
        assert_eq!(counted, Some(rest.stages_with(status)), "{outcome}");
    }
    let job_sum = |field: &str| rest.jobs.values().map(|j| j[field].as_f64().unwrap()).sum();
    let tasks = |outcome| number(batch, "spark_app_tasks_total", &[("outcome", outcome)]);
    assert_eq!(tasks("skipped"), Some(job_sum("numSkippedTasks")));
    assert_eq!(tasks("failed"), Some(job_sum("numFailedTasks")), "both sources agree");
    for (outcome, status) in [("succeeded", "SUCCEEDED"), ("failed", "FAILED")] {
        let expected = rest.jobs.values().filter(|job| job["status"] == status).count() as f64;
        let counted = number(batch, "spark_app_jobs_total", &[("outcome", outcome)]);
        assert_eq!(counted, Some(expected), "{outcome}");
    }
}

async fn play(file: &str) -> (Scraped, Vec<Recording>, Harness, FakeUi) {
    let phases = phases(file);
    let first = phases[0].clone();
    let ui = FakeUi::start(move |path| first.answer(path)).await;
    let mut harness = Harness::new(&[&ui]);
    let mut out = Scraped::default();
    for phase in phases.clone() {
        ui.say(move |path| phase.answer(path));
        // The second round finds what the first had no budget for, and must not count twice.
        harness.scrape().await;
        out = harness.scrape().await;
    }
    (out, phases, harness, ui)
}

#[tokio::test]
async fn a_recorded_local_run_of_spark_3_5_ends_at_the_numbers_of_rest() {
    let (out, phases, harness, _ui) = play("spark35-local.json").await;
    assert_equals_rest(run_batch(&out), phases.last().unwrap());
    // Written down from the recorded answers by eye.
    let batch = run_batch(&out);
    assert_eq!(number(batch, "job_task_failures_total", &[]), Some(17.0));
    assert_eq!(number(batch, "job_records_read_total", &[]), Some(1_205_118.0));
    assert_eq!(number(batch, "spark_app_stages_total", &[("outcome", "skipped")]), Some(13.0));
    assert_eq!(number(batch, "spark_app_job_duration_seconds", &[]), Some(29.0));
    assert_eq!(harness.scraper.meter.stats().cut, [0; Cut::ALL.len()]);
}

#[tokio::test]
async fn a_recorded_cluster_run_of_spark_4_ends_at_the_numbers_of_rest() {
    let (out, phases, _harness, _ui) = play("spark4-cluster.json").await;
    let batch = run_batch(&out);
    assert_equals_rest(batch, phases.last().unwrap());
    assert_eq!(number(batch, "job_run_state", &[("state", "succeeded")]), Some(1.0));
    assert_eq!(number(batch, "job_run_state", &[("state", "running")]), Some(0.0));
    assert_eq!(number(batch, "job_final_snapshot", &[("source", "rest")]), Some(1.0));
    let removed = number(batch, "spark_app_executors_removed_total", &[("reason", "lost")]);
    assert_eq!(removed, Some(1.0), "the executor that was killed");
    let history = out.metrics.last().unwrap();
    assert_eq!(number(history, "job_runs_total", &[("outcome", "succeeded")]), Some(1.0));
    let end = number(history, "job_last_success_timestamp_seconds", &[]);
    assert_eq!(end, Some(1_795_330_785.083), "endTimeEpoch of the history server");
}

#[tokio::test]
async fn nothing_that_a_user_wrote_into_reasons_or_other_properties_shows_up() {
    let (out, _, harness, _ui) = play("spark35-local.json").await;
    let shown = format!("{out:?} {harness:?}", harness = harness.scraper);
    assert!(shown.contains("nightly-orders-etl"));
    for secret in ["jane.doe", "hunter2", "Stage cancelled"] {
        assert!(!shown.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn an_idle_round_asks_for_little_and_never_again_for_what_is_final() {
    let (_, _, mut harness, ui) = play("spark35-local.json").await;
    ui.take_requests();
    harness.scrape().await;
    let base = "/api/v1/applications/local-1795329177046";
    let expected = [
        "/api/v1/applications".to_owned(),
        format!("{base}/jobs"),
        format!("{base}/stages?status=active&withSummaries=true&quantiles=0.5,0.95,1.0"),
        format!("{base}/allexecutors"),
    ];
    assert_eq!(ui.take_requests(), expected);
}

#[tokio::test]
async fn the_skewed_stage_of_the_recorded_run_is_the_worst() {
    let (mut out, mut batch);
    let phases = phases("spark35-local.json");
    let running = phases[0].clone();
    let ui = FakeUi::start(move |path| running.answer(path)).await;
    let mut harness = Harness::new(&[&ui]);
    out = harness.scrape().await;
    batch = run_batch(&out);
    let progress = number(batch, "job_progress_ratio", &[]);
    assert_eq!(progress, Some(9.0 / 20.0));
    assert_eq!(number(batch, "spark_app_stages", &[("state", "active")]), Some(1.0));
    assert_eq!(number(batch, "spark_app_stages", &[("state", "pending")]), Some(1.0));
    // A minute after the last skewed stage there is no present skew to report.
    let over = phases[2].clone();
    ui.say(move |path| over.answer(path));
    for _ in 0..8 {
        out = harness.scrape().await;
    }
    batch = run_batch(&out);
    assert_eq!(number(batch, "spark_stage_skew_ratio", &[("dimension", "duration")]), None);
}

fn stage(id: u64, attempt: u64, status: &str, records: u64) -> serde_json::Value {
    json!({"status": status, "stageId": id, "attemptId": attempt, "numActiveTasks": 0,
        "numTasks": 4, "inputRecords": records, "numFailedTasks": u64::from(status == "FAILED")})
}

fn job(id: u64, stages: &[u64], n_failed_stages: u64) -> serde_json::Value {
    json!({"jobId": id, "status": "SUCCEEDED", "stageIds": stages,
        "numCompletedStages": stages.len(), "numFailedStages": n_failed_stages,
        "numSkippedStages": 0, "numSkippedTasks": 0})
}

#[tokio::test]
async fn many_finished_stages_are_read_with_one_request() {
    let mut rest = Recording::idle("app-1", "orders");
    let ids: Vec<u64> = (0..500).collect();
    for id in &ids {
        rest.add_stage(stage(*id, 0, "COMPLETE", *id));
    }
    rest.jobs.insert(0, job(0, &ids, 0));
    let ui = FakeUi::start(move |path| rest.answer(path)).await;
    let mut harness = Harness::new(&[&ui]);
    let out = harness.scrape().await;
    let records = number(run_batch(&out), "job_records_read_total", &[]);
    assert_eq!(records, Some((0..500).sum::<u64>() as f64));
    assert_eq!(harness.scraper.meter.stats().requests_with(Outcome::Ok), 7);
}

#[tokio::test]
async fn an_attempt_that_began_and_ended_between_two_rounds_is_counted() {
    let mut rest = Recording::idle("app-1", "orders");
    rest.add_stage(stage(0, 0, "COMPLETE", 100));
    rest.add_stage(stage(1, 0, "ACTIVE", 10));
    rest.jobs.insert(
        0,
        json!({"jobId": 0, "status": "RUNNING", "stageIds": [0, 1],
        "numCompletedStages": 1}),
    );
    let begun = rest.clone();
    let ui = FakeUi::start(move |path| begun.answer(path)).await;
    let mut harness = Harness::new(&[&ui]);
    let out = harness.scrape().await;
    assert_eq!(number(run_batch(&out), "job_records_read_total", &[]), Some(110.0));
    // Stage 1 lost its input, so stage 0 was made again, and then stage 1: four attempts in all.
    rest.add_stage(stage(1, 0, "FAILED", 15));
    rest.add_stage(stage(0, 1, "COMPLETE", 20));
    rest.add_stage(stage(1, 1, "COMPLETE", 30));
    rest.jobs.insert(0, job(0, &[0, 1], 1));
    let ended = rest.clone();
    ui.say(move |path| ended.answer(path));
    let out = harness.scrape().await;
    let batch = run_batch(&out);
    assert_eq!(number(batch, "job_records_read_total", &[]), Some(rest.stage_sum("inputRecords")));
    assert_eq!(number(batch, "spark_app_stage_retries_total", &[]), Some(2.0));
}

#[tokio::test]
async fn counters_stay_when_the_ui_evicts_stages_and_jobs() {
    let mut rest = Recording::idle("app-1", "orders");
    rest.add_stage(stage(0, 0, "COMPLETE", 100));
    rest.add_stage(stage(1, 0, "ACTIVE", 7));
    rest.jobs.insert(0, job(0, &[0], 0));
    let before = rest.clone();
    let ui = FakeUi::start(move |path| before.answer(path)).await;
    let mut harness = Harness::new(&[&ui]);
    harness.scrape().await;
    // Stage 1 ended and was evicted before its last values were read: what was seen stays.
    (rest.stages, rest.jobs) = Default::default();
    ui.say(move |path| rest.answer(path));
    let out = harness.scrape().await;
    let batch = run_batch(&out);
    assert_eq!(number(batch, "job_records_read_total", &[]), Some(107.0));
    assert_eq!(number(batch, "spark_app_jobs_total", &[("outcome", "succeeded")]), Some(1.0));
    assert_eq!(harness.scraper.meter.stats().cut_of(Cut::Stage), 1);
}
