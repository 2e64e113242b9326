//! Clusters that answer late, wrong, in part or not at all.

use super::recording::{Recording, id};
use super::{Config, Harness, job, manager_of, number};
use crate::scrape::ScrapeError;
use crate::scrape::fake_ui::Reply;
use crate::scrape::http::Limits;
use crate::scrape::meter::Cut;
use serde_json::{Value, json};
use std::time::Duration;

const START: u64 = Harness::EPOCH_MS;

/// A job with two vertices that are busy.
fn two_vertices() -> Recording {
    let mut recording = Recording::empty();
    recording.add_job(&id('a'), "orders", "RUNNING", START);
    let vertices: Vec<Value> = ['1', '2']
        .iter()
        .map(|digit| {
            let busy = json!([{"id": "busyTimeMsPerSecond", "min": 1.0, "max": 900.0, "avg": 450.0,
                "sum": 901.0}]);
            let path = format!("/jobs/{}/vertices/{}/subtasks/metrics", id('a'), id(*digit));
            recording.set(&path, busy);
            json!({"id": id(*digit), "name": format!("v{digit}"), "start-time": START})
        })
        .collect();
    recording.set_vertices(&id('a'), START + 60_000, json!(vertices));
    recording
}

fn busy(out: &crate::scrape::Scraped, vertex: &str) -> Option<f64> {
    let labels = [("vertex", vertex), ("stat", "max")];
    number(job(out, "orders", "0"), "flink_vertex_busy_ratio", &labels)
}

#[tokio::test]
async fn one_vertex_that_fails_or_hangs_costs_only_itself() {
    for reply in [Reply::Other(500, "application/json", "{\"errors\":[\"boom\"]}"), Reply::Hang] {
        let recording = two_vertices();
        let bad = format!("/vertices/{}/", id('1'));
        let manager = manager_of(recording.clone()).await;
        let limits = Limits { response: Duration::from_millis(200), ..Limits::default() };
        let mut harness = Harness::with(&[&manager], Config::default(), limits);
        let out = harness.scrape().await;
        assert_eq!((busy(&out, "v1"), busy(&out, "v2")), (Some(0.9), Some(0.9)));
        manager.say(
            move |path| {
                if path.contains(&bad) { reply.clone() } else { recording.answer(path) }
            },
        );
        for _ in 0..3 {
            let (out, result) = harness.round().await;
            assert_eq!((busy(&out, "v1"), busy(&out, "v2")), (None, Some(0.9)));
            assert!(matches!(result, Err(ScrapeError::Failed(_))), "and it is told: {result:?}");
        }
    }
}

#[tokio::test]
async fn names_that_are_not_there_at_first_are_asked_for_again() {
    let path = format!("/jobs/{}/vertices/{}/subtasks/metrics", id('a'), id('1'));
    let mut recording = two_vertices();
    let values = recording.answers[&path].clone();
    recording.set(&path, json!([]));
    let manager = manager_of(recording.clone()).await;
    let mut harness = Harness::new(&[&manager]);
    assert_eq!(busy(&harness.scrape().await, "v1"), None);
    recording.set(&path, values);
    manager.say(move |path| recording.answer(path));
    assert_eq!(busy(&harness.scrape().await, "v1"), Some(0.9));
    manager.take_requests();
    harness.scrape().await;
    let listings = manager.take_requests().into_iter().filter(|path| path.ends_with("/metrics"));
    assert_eq!(listings.count(), 0, "names are kept");
}

#[tokio::test]
async fn the_time_before_the_first_watermark_is_no_lag() {
    let path = format!("/jobs/{}/vertices/{}/subtasks/metrics", id('a'), id('1'));
    let mut recording = two_vertices();
    let least = -9.223_372_036_854_776e18;
    let watermark = json!([{"id": "currentInputWatermark", "min": least, "avg": least, "sum": least,
        "max": START + 57_000}]);
    recording.set(&path, watermark);
    let manager = manager_of(recording).await;
    let out = Harness::new(&[&manager]).scrape().await;
    let lag = |stat| {
        let labels = [("vertex", "v1"), ("stat", stat)];
        number(job(&out, "orders", "0"), "flink_vertex_watermark_lag_seconds", &labels)
    };
    assert_eq!((lag("max"), lag("min")), (None, Some(3.0)));
}

#[tokio::test]
async fn metrics_of_sources_sinks_and_the_users_choice_are_read_by_how_they_end() {
    let path = format!("/jobs/{}/vertices/{}/subtasks/metrics", id('a'), id('1'));
    let mut recording = two_vertices();
    let metric = |id: &str, each: f64| json!({"id": id, "min": each, "max": each, "avg": each, "sum": 2.0 * each});
    recording.set(
        &path,
        json!([
            metric("Source__orders.KafkaSourceReader.pendingRecords", 40.0),
            metric("Source__orders.currentFetchEventTimeLag", 1_500.0),
            metric("Source__orders.numRecordsOut", 50.0),
            metric("sink__Writer.numRecordsSendErrors", 3.0),
            metric("sink__Writer.numRecordsSend", 20.0),
            metric("sink__Committer.pendingCommittables", 2.0),
            metric("agg.numLateRecordsDropped", 4.0),
            metric("agg.window-contents.rocksdb_estimate-num-keys", 77.0),
            metric("checkpointStartDelayNanos", 2.5e8),
            metric("agg.rocksdb_unwanted", 1.0),
        ]),
    );
    let coordinator = format!("/jobs/{}/vertices/{}/jm-operator-metrics", id('a'), id('1'));
    let splits = "Source__orders.coordinator.enumerator.unassignedSplits";
    recording.set(&coordinator, json!([{"id": splits, "value": "9"}]));
    let manager = manager_of(recording).await;
    let metrics = vec!["rocksdb_estimate-num-keys".to_owned()];
    let config = Config { metrics, ..Config::default() };
    let out = Harness::with(&[&manager], config, Limits::default()).scrape().await;
    let batch = job(&out, "orders", "0");
    for (name, labels, wanted) in [
        ("flink_source_pending_records", vec![], 80.0),
        ("flink_source_fetch_lag_seconds", vec![("stat", "max")], 1.5),
        ("flink_source_splits_unassigned", vec![], 9.0),
        ("flink_sink_send_errors_total", vec![], 6.0),
        ("flink_sink_committables", vec![("state", "pending")], 4.0),
        ("flink_vertex_late_records_dropped_total", vec![], 8.0),
        ("flink_task_checkpoint_start_delay_seconds", vec![], 0.25),
        (
            "flink_vertex_metric",
            vec![("metric", "rocksdb_estimate-num-keys"), ("stat", "sum")],
            154.0,
        ),
        ("job_records_read_total", vec![], 100.0),
        ("job_records_written_total", vec![], 40.0),
        ("job_lag_records", vec![], 80.0),
        ("job_lag_seconds", vec![("kind", "processing")], 1.5),
    ] {
        assert_eq!(number(batch, name, &labels), Some(wanted), "{name}");
    }
    assert!(!format!("{batch:?}").contains("unwanted"));
}

#[tokio::test]
async fn ids_that_flink_would_not_make_become_no_part_of_a_path() {
    let mut recording = Recording::empty();
    recording.add_job("../../jars", "evil", "RUNNING", START);
    let manager = manager_of(recording).await;
    let mut harness = Harness::new(&[&manager]);
    let out = harness.scrape().await;
    assert!(out.jobs.is_empty());
    assert!(manager.take_requests().iter().all(|path| !path.contains("..")));
    assert_eq!(harness.scraper.meter.stats().cut_of(Cut::Application), 1);
}

#[tokio::test]
async fn a_job_that_makes_no_checkpoints_has_no_samples_of_any() {
    let manager = manager_of(two_vertices()).await;
    let out = Harness::new(&[&manager]).scrape().await;
    let samples = &job(&out, "orders", "0").samples;
    let of_checkpoints = samples.iter().filter(|it| it.descriptor.name.contains("checkpoint"));
    assert_eq!(of_checkpoints.count(), 0);
}
