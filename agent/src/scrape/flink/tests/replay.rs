//! What two real clusters answered comes out as the numbers that their own reporter had.

use super::recording::{Recording, phases};
use super::{Harness, cluster, find, job, manager_of, number};
use crate::model::{Kind, SampleValue};
use crate::scrape::Scraped;
use crate::scrape::fake_ui::FakeUi;
use std::collections::{BTreeMap, BTreeSet};

const SOURCE: &str = "Source: orders-source -> enrich -> blackhole: Writer";
const WINDOW: &str = "count-per-key -> Sink: print";

async fn play(version: &str) -> (Vec<Scraped>, FakeUi) {
    let phases = phases(version);
    let manager = manager_of(Recording::empty()).await;
    let mut harness = Harness::new(&[&manager]);
    // The agent was there before the jobs.
    harness.scrape().await;
    let mut all = Vec::new();
    for phase in phases {
        // The clock of the recording, shortly after its last answer.
        let details = phase.answers.values().filter_map(|answer| answer["now"].as_u64());
        let now = details.max().unwrap();
        harness.now_s = (now - Harness::EPOCH_MS) / 1_000;
        manager.say(move |path| phase.answer(path));
        all.push(harness.scrape().await);
    }
    (all, manager)
}

fn close(value: Option<f64>, wanted: f64) -> bool {
    value.is_some_and(|value| (value - wanted).abs() < 1e-6 * wanted.abs().max(1.0))
}

#[tokio::test]
async fn numbers_of_flink_1_are_those_of_its_answers() {
    let (all, _manager) = play("1.20.5").await;
    let running = &all[0];
    assert_eq!(number(cluster(running), "flink_slots", &[("state", "free")]), Some(2.0));
    assert_eq!(number(cluster(running), "flink_slots", &[("state", "used")]), Some(6.0));
    assert_eq!(number(cluster(running), "flink_jobs", &[("state", "running")]), Some(3.0));
    assert_eq!(number(cluster(running), "flink_jm_heap_bytes", &[("kind", "used")]), None);
    let window = job(running, "orders-window", "0");
    for (name, labels, value) in [
        ("flink_job_state", vec![("state", "running")], 1.0),
        ("job_run_state", vec![("state", "running")], 1.0),
        ("flink_job_uptime_seconds", vec![], 56.618),
        ("flink_job_restarts_total", vec![], 0.0),
        ("flink_job_parallelism", vec![], 2.0),
        ("flink_job_max_parallelism_headroom_ratio", vec![], 1.0 - 2.0 / 128.0),
        ("flink_job_tasks", vec![("status", "running")], 4.0),
        ("flink_vertex_records_total", vec![("vertex", WINDOW), ("direction", "in")], 21_543.0),
        ("flink_vertex_bytes_total", vec![("vertex", SOURCE), ("direction", "out")], 1_285_348.0),
        ("flink_vertex_time_seconds_total", vec![("vertex", WINDOW), ("state", "busy")], 8.704),
        ("flink_vertex_busy_ratio", vec![("vertex", WINDOW), ("stat", "max")], 0.112),
        ("flink_vertex_idle_ratio", vec![("vertex", WINDOW), ("stat", "min")], 0.888),
        (
            "flink_vertex_skew_ratio",
            vec![("vertex", WINDOW), ("dimension", "records")],
            19_411.0 / 10_771.5,
        ),
        ("flink_checkpoints_in_progress", vec![], 0.0),
        ("flink_checkpoint_subtasks_unacked", vec![], 0.0),
    ] {
        let found = number(window, name, &labels);
        assert!(close(found, value), "{name} {labels:?}: {found:?}, not {value}");
    }
    let lag = [("vertex", WINDOW), ("stat", "max")];
    assert!(close(number(window, "flink_vertex_watermark_lag_seconds", &lag), 2.104));
}

#[tokio::test]
async fn numbers_of_flink_2_are_those_of_its_answers() {
    let (all, _manager) = play("2.3.0").await;
    let running = &all[0];
    let window = job(running, "orders-window", "0");
    for (name, labels, value) in [
        ("flink_job_rescales_total", vec![], 0.0),
        ("flink_vertex_records_total", vec![("vertex", WINDOW), ("direction", "in")], 26_026.0),
        ("flink_checkpoints_total", vec![("outcome", "completed")], 22.0),
        ("flink_checkpoints_total", vec![("outcome", "failed")], 1.0),
        ("flink_checkpoint_size_bytes", vec![("kind", "state")], 87_380.0),
        ("flink_checkpoint_interval_utilization_ratio", vec![], 0.124 / 3.0),
        ("flink_checkpoint_age_seconds", vec![], 1.189),
        ("flink_checkpoint_consecutive_failures", vec![], 0.0),
        ("flink_checkpoint_duration_seconds", vec![], 10.0),
        ("flink_checkpoint_duration_window_seconds", vec![("quantile", "0.5")], 0.2115),
    ] {
        let found = number(window, name, &labels);
        assert!(close(found, value), "{name} {labels:?}: {found:?}, not {value}");
    }
    let info = [("mode", "exactly_once"), ("backend", "EmbeddedRocksDBStateBackend")];
    let info = find(window, "flink_checkpoint_info", &info).unwrap();
    assert!(!format!("{info:?}").contains("chk-22"), "no path on a series");
    assert!(find(window, "flink_job_info", &[("scheduler", "Default")]).is_some());
    // A job that failed between two rounds is known all the same.
    let doomed = job(running, "orders-doomed", "0");
    assert_eq!(number(doomed, "job_run_state", &[("state", "failed")]), Some(1.0));
    let exception = [("exception", "java.lang.IllegalArgumentException")];
    assert!(number(doomed, "flink_job_exceptions_total", &exception).unwrap() >= 1.0);
    let restart = job(running, "orders-restart", "0");
    assert_eq!(number(restart, "flink_job_restarts_total", &[]), Some(1.0));
    let gc = number(cluster(running), "flink_jm_metaspace_ratio", &[]).unwrap();
    assert!(gc > 0.0 && gc < 1.0);
}

#[tokio::test]
async fn a_cancelled_job_ends_and_a_killed_taskmanager_is_an_exception() {
    for version in ["1.20.5", "2.3.0"] {
        let (all, _manager) = play(version).await;
        let slow = job(&all[1], "orders-slow", "0");
        assert_eq!(number(slow, "job_run_state", &[("state", "killed")]), Some(1.0));
        assert_eq!(number(slow, "flink_job_state", &[("state", "canceled")]), Some(1.0));
        assert_eq!(number(slow, "flink_job_uptime_seconds", &[]), None);
        let window = job(&all[2], "orders-window", "0");
        let lost = [("exception", "org.apache.flink.runtime.jobmaster.JobMasterException")];
        assert_eq!(number(window, "flink_job_exceptions_total", &lost), Some(1.0));
        let failed = number(window, "flink_checkpoint_failures_total", &[("reason", "other")]);
        assert!(failed.unwrap() >= 1.0, "{version}");
    }
}

#[tokio::test]
async fn counters_never_fall_over_a_killed_taskmanager_and_no_series_stands_twice() {
    for version in ["1.20.5", "2.3.0"] {
        let (all, _manager) = play(version).await;
        let mut before: BTreeMap<String, f64> = BTreeMap::new();
        for out in &all {
            let mut seen = BTreeSet::new();
            for batch in &out.metrics {
                for sample in &batch.samples {
                    let labels = (&batch.labels, &sample.labels);
                    let series = format!("{} {labels:?}", sample.descriptor.name);
                    assert!(seen.insert(series.clone()), "{series} stands twice");
                    let SampleValue::Number(value) = sample.value else { continue };
                    assert!(value.is_finite(), "{series}");
                    if sample.descriptor.kind == Kind::Counter {
                        let last = before.insert(series.clone(), value).unwrap_or_default();
                        assert!(value >= last, "{version}: {series} fell from {last} to {value}");
                    }
                }
            }
        }
        assert!(before.len() > 50);
    }
}

#[tokio::test]
async fn no_text_of_users_reaches_a_series_or_the_job_table() {
    let mut phases = phases("2.3.0");
    let jobs = phases[0].answers.get_mut("/jobs/overview").unwrap()["jobs"].as_array_mut().unwrap();
    jobs[3]["name"] = "orders of jane.doe@example.com".into();
    let phase = phases.remove(0);
    let manager = manager_of(phase).await;
    let out = Harness::new(&[&manager]).scrape().await;
    let all = format!("{out:?}");
    for secret in ["jane.doe", "example.com", "order-1499", "file:/checkpoints"] {
        assert!(!all.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_round_is_as_few_requests_as_promised_and_each_is_short() {
    let phase = phases("1.20.5").remove(0);
    let manager = manager_of(phase).await;
    let mut harness = Harness::new(&[&manager]);
    harness.scrape().await;
    manager.take_requests();
    harness.scrape().await;
    let second = manager.take_requests();
    assert!(second.iter().all(|path| path.len() <= super::super::query::PATH_BYTES_MAX));
    // Five of the cluster; of each job three, and one per vertex.
    let n_vertices = second.iter().filter(|path| path.contains("/subtasks/metrics?get=")).count();
    assert_eq!(n_vertices, 2 + 4, "the metrics of the third job's vertices were not recorded");
    let listings = second.iter().filter(|path| path.ends_with("/subtasks/metrics")).count();
    assert_eq!(second.len() - listings, 5 + 3 * 3 + n_vertices, "{second:#?}");
    assert!(second.iter().all(|path| !path.contains("exceptions")), "these are read seldom");
}
