//! Runs begin, end, linger and hand over their slot.

use super::recording::Recording;
use super::{Harness, LINGER_SECONDS, find, label, number, run_batch, run_batches};
use crate::scrape::fake_ui::FakeUi;
use crate::scrape::http::Limits;
use crate::scrape::{ScrapeError, Scraped, Scraper};
use serde_json::json;

async fn ui_of(app_id: &str, name: &str) -> FakeUi {
    let rest = Recording::idle(app_id, name);
    FakeUi::start(move |path| rest.answer(path)).await
}

fn names_and_slots(out: &Scraped) -> Vec<(String, String)> {
    let text = |labels: &[_], name| label(labels, name).unwrap().to_owned();
    let batches = run_batches(out);
    let pairs = batches.iter().map(|b| (text(&b.labels, "job_name"), text(&b.labels, "slot")));
    pairs.collect()
}

#[tokio::test]
async fn a_run_ends_when_its_ui_is_gone_twice_and_lingers_with_its_last_samples() {
    let ui = ui_of("app-1", "orders").await;
    let mut harness = Harness::new(&[&ui]);
    harness.scrape().await;
    ui.stop().await;
    let (out, result) = harness.round().await;
    assert!(matches!(result, Err(ScrapeError::Gone)));
    assert_eq!(number(run_batch(&out), "job_run_state", &[("state", "running")]), Some(1.0));
    let (out, _) = harness.round().await;
    let batch = run_batch(&out);
    assert_eq!(number(batch, "job_run_state", &[("state", "running")]), Some(0.0));
    assert_eq!(number(batch, "job_run_state", &[("state", "unknown")]), Some(1.0));
    assert_eq!(number(batch, "job_final_snapshot", &[("source", "rest")]), Some(1.0));
    assert_eq!(out.jobs[0].end_unix_ms, Some(Harness::EPOCH_MS + 10_000), "the last answer");
    let ended_s = harness.now_s;
    while harness.now_s < ended_s + LINGER_SECONDS - 10 {
        let (out, _) = harness.round().await;
        assert!(!run_batch(&out).samples.is_empty());
    }
    let (out, _) = harness.round().await;
    assert_eq!(run_batch(&out).samples, [], "an empty batch takes the series away");
    let (out, _) = harness.round().await;
    assert!(run_batches(&out).is_empty() && out.jobs.is_empty());
    let history = &out.metrics[0];
    assert_eq!(number(history, "job_runs_total", &[("outcome", "unknown")]), Some(1.0));
    assert_eq!(number(history, "job_run_duration_seconds", &[("outcome", "unknown")]), Some(1.0));
    assert_eq!(number(history, "job_last_success_timestamp_seconds", &[]), None);
}

#[tokio::test]
async fn one_missed_round_is_not_the_end_and_a_ui_that_comes_back_goes_on() {
    let ui = ui_of("app-1", "orders").await;
    let port = ui.port();
    let mut harness = Harness::new(&[&ui]);
    harness.scrape().await;
    ui.stop().await;
    for _ in 0..2 {
        let _ = harness.round().await;
    }
    let rest = Recording::idle("app-1", "orders");
    let _ui = FakeUi::start_on(port, move |path| rest.answer(path)).await;
    let out = harness.scrape().await;
    let batch = run_batch(&out);
    assert_eq!(number(batch, "job_run_state", &[("state", "running")]), Some(1.0));
    assert_eq!(label(&batch.labels, "slot"), Some("0"));
    assert_eq!(out.jobs[0].end_unix_ms, None);
}

#[tokio::test]
async fn a_port_that_goes_to_another_application_is_a_new_run_in_the_same_slot() {
    let ui = ui_of("app-1", "orders-2026-11-22").await;
    let mut harness = Harness::new(&[&ui]);
    harness.scrape().await;
    let rest = Recording::idle("app-2", "orders-2026-11-23");
    ui.say(move |path| rest.answer(path));
    let out = harness.scrape().await;
    assert_eq!(names_and_slots(&out), [("orders".to_owned(), "0".to_owned())]);
    let batch = run_batch(&out);
    assert!(find(batch, "job_run_info", &[("app_id", "app-2")]).is_some());
    let ends: Vec<bool> = out.jobs.iter().map(|job| job.end_unix_ms.is_some()).collect();
    assert_eq!(ends, [true, false], "the job table still knows the one that ended");
    // When the first one's linger time is over, the series of the second one stay.
    for _ in 0..=LINGER_SECONDS / 10 {
        let out = harness.scrape().await;
        assert!(!run_batch(&out).samples.is_empty());
    }
}

#[tokio::test]
async fn live_runs_of_one_job_get_the_smallest_free_slots() {
    let uis = [
        ui_of("app-1", "orders").await,
        ui_of("app-2", "orders").await,
        ui_of("app-3", "users").await,
    ];
    let mut harness = Harness::new(&uis.each_ref());
    let pair = |name: &str, slot: &str| (name.to_owned(), slot.to_owned());
    let out = harness.scrape().await;
    let expected = [pair("orders", "0"), pair("orders", "1"), pair("users", "0")];
    assert_eq!(names_and_slots(&out), expected);
    // Slot 0 is free again; the run in slot 1 stays where it is.
    let rest = Recording::idle("app-4", "orders");
    uis[0].say(move |path| rest.answer(path));
    let out = harness.scrape().await;
    assert_eq!(out.jobs.len(), 4);
    let expected = [pair("orders", "1"), pair("users", "0"), pair("orders", "0")];
    assert_eq!(names_and_slots(&out), expected);
}

#[tokio::test]
async fn names_come_from_the_operator_then_the_properties_then_the_application() {
    let mut rest = Recording::idle("app-1", "orders-17");
    rest.environment = json!({"sparkProperties": [["spark.sidelight.job_name", "given"],
        ["spark.sidelight.run_id", "run-9"], ["spark.sidelight.user_id", "finance"]],
        "runtime": {"javaVersion": "17.0.15 (Debian)"}});
    let ui = FakeUi::start(move |path| rest.answer(path)).await;
    let out = Harness::new(&[&ui]).scrape().await;
    let batch = run_batch(&out);
    assert_eq!(label(&batch.labels, "job_name"), Some("given"));
    assert_eq!(label(&batch.labels, "engine"), Some("spark"));
    let info = [("run_id", "run-9"), ("user_id", "finance"), ("engine_version", "4.3.0")];
    assert_eq!(number(batch, "job_run_info", &info), Some(1.0));
    assert_eq!(number(batch, "spark_app_info", &[("java", "17.0.15 (Debian)")]), Some(1.0));
    assert_eq!(batch.created_unix_ms, 1_795_329_173_318);
    let mut harness = Harness::with(&[&ui], Some("operators-choice"), Limits::default());
    let out = harness.scrape().await;
    assert_eq!(label(&run_batch(&out).labels, "job_name"), Some("operators-choice"));
    // Without anything given, the run is named after the application and its attempt.
    let mut rest = Recording::idle("application_1_0001", "orders-17");
    rest.applications[0]["attempts"][0]["attemptId"] = "2".into();
    ui.say(move |path| rest.answer(path));
    let out = Harness::new(&[&ui]).scrape().await;
    let info = [("run_id", "application_1_0001-2"), ("user_id", "etl"), ("attempt", "2")];
    assert_eq!(number(run_batch(&out), "job_run_info", &info), Some(1.0));
    assert_eq!(label(&run_batch(&out).labels, "job_name"), Some("orders"));
}

#[tokio::test]
async fn uis_on_this_host_are_found_and_dropped_when_they_are_gone() {
    let (one, two) = (ui_of("app-1", "orders").await, ui_of("app-2", "users").await);
    let ports = vec![one.port(), two.port()];
    let mut harness = Harness::new(&[]);
    harness.scraper.targets.search_only(ports);
    let out = harness.scrape().await;
    assert_eq!(run_batches(&out).len(), 2);
    one.stop().await;
    harness.scrape().await;
    let out = harness.scrape().await;
    let ended: Vec<_> = out.jobs.iter().filter(|job| job.end_unix_ms.is_some()).collect();
    assert_eq!(ended.len(), 1);
    assert_eq!(&*ended[0].job_id, "app-1");
    assert_eq!(harness.scraper.targets.list.len(), 1);
}

#[tokio::test]
async fn nobody_there_is_gone_and_not_a_failure() {
    let ui = ui_of("app-1", "orders").await;
    let mut harness = Harness::new(&[&ui]);
    ui.stop().await;
    let (out, result) = harness.round().await;
    assert!(matches!(result, Err(ScrapeError::Gone)));
    assert!(out.jobs.is_empty() && out.metrics.is_empty());
}

#[tokio::test]
async fn what_completed_before_it_was_ever_seen_is_not_taken_up() {
    let mut rest = Recording::idle("app-1", "orders");
    rest.applications[0]["attempts"][0]["completed"] = true.into();
    let ui = FakeUi::start(move |path| rest.answer(path)).await;
    let mut harness = Harness::new(&[&ui]);
    let out = harness.scrape().await;
    assert!(out.jobs.is_empty());
    assert_eq!(harness.scraper.stats().requests.iter().sum::<u64>(), 1);
}
