//! UIs that misbehave: nothing is lost that was counted, and the error says what to do.

use super::recording::{Recording, phases};
use super::{Harness, number, run_batch};
use crate::scrape::fake_ui::{FakeUi, Reply};
use crate::scrape::http::Limits;
use crate::scrape::meter::{Cut, Outcome};
use crate::scrape::{ScrapeError, Scraper};
use serde_json::json;
use std::time::Duration;

fn run() -> Recording {
    phases("spark35-local.json").pop().unwrap()
}

/// Scrapes once, breaks the UI, and checks that the counters still stand there.
async fn check_fault(fault: Reply, outcome: Outcome, says: &str) {
    let rest = run();
    let ui = FakeUi::start(move |path| rest.answer(path)).await;
    // The limit is not waited for unless the UI hangs, and does not fail a slow machine before.
    let limits = Limits { response: Duration::from_millis(500), ..Limits::default() };
    let mut harness = Harness::with(&[&ui], None, limits);
    harness.scrape().await;
    ui.say(move |_| fault.clone());
    let (out, result) = harness.round().await;
    let Err(ScrapeError::Failed(text)) = result else { panic!("{result:?}") };
    assert!(text.contains(says), "{text}");
    assert_eq!(harness.scraper.stats().requests_with(outcome), 1);
    let batch = run_batch(&out);
    assert_eq!(number(batch, "job_task_failures_total", &[]), Some(17.0));
    assert_eq!(number(batch, "job_run_state", &[("state", "running")]), Some(1.0));
    assert_eq!(out.jobs[0].end_unix_ms, None);
}

#[tokio::test]
async fn a_ui_that_answers_pages_fails_the_round_and_keeps_the_numbers() {
    let page = Reply::Other(200, "text/html;charset=utf-8", "<!DOCTYPE html>");
    check_fault(page, Outcome::Html, "without json").await;
}

#[tokio::test]
async fn a_ui_that_answers_500_fails_the_round_and_keeps_the_numbers() {
    check_fault(Reply::Other(500, "text/plain", "oops"), Outcome::ServerError, "500").await;
}

#[tokio::test]
async fn a_ui_that_hangs_fails_the_round_and_keeps_the_numbers() {
    check_fault(Reply::Hang, Outcome::Timeout, "within 500 ms").await;
}

#[tokio::test]
async fn json_that_is_cut_short_fails_the_round_and_keeps_the_numbers() {
    check_fault(Reply::Json("[{\"id\":\"app".to_owned()), Outcome::Parse, "json").await;
}

#[tokio::test]
async fn a_huge_answer_fails_the_round_and_slows_the_pace() {
    let huge = Reply::Json(format!("[{}]", " ".repeat(9 << 20)));
    let rest = run();
    let ui = FakeUi::start(move |path| rest.answer(path)).await;
    let mut harness = Harness::new(&[&ui]);
    harness.scrape().await;
    assert_eq!(harness.scraper.interval(), Duration::from_secs(10));
    ui.say(move |_| huge.clone());
    let (_, result) = harness.round().await;
    assert!(matches!(result, Err(ScrapeError::Failed(_))), "{result:?}");
    assert_eq!(harness.scraper.stats().requests_with(Outcome::TooLarge), 1);
}

#[tokio::test]
async fn a_failure_in_the_middle_of_a_round_counts_nothing_twice_later() {
    let rest = run();
    let mut left = 12;
    let answers = rest.clone();
    let ui = FakeUi::start(move |path| {
        left -= 1;
        if left < 0 { Reply::Other(500, "text/plain", "oops") } else { answers.answer(path) }
    })
    .await;
    let mut harness = Harness::new(&[&ui]);
    let (_, result) = harness.round().await;
    assert!(result.is_err());
    let answers = rest.clone();
    ui.say(move |path| answers.answer(path));
    for _ in 0..2 {
        let out = harness.scrape().await;
        let records = number(run_batch(&out), "job_records_read_total", &[]);
        assert_eq!(records, Some(rest.stage_sum("inputRecords")));
    }
}

#[tokio::test]
async fn one_stage_that_cannot_be_read_hides_nothing_else() {
    let rest = run();
    let answers = rest.clone();
    let ui = FakeUi::start(move |path| match path.contains("/stages/0?") {
        true => Reply::Other(500, "text/plain", "oops"),
        false => answers.answer(path),
    })
    .await;
    let mut harness = Harness::new(&[&ui]);
    let (out, result) = harness.round().await;
    assert!(matches!(result, Err(ScrapeError::Failed(_))), "{result:?}");
    let expected =
        rest.stage_sum("inputRecords") - rest.stages[&(0, 0)]["inputRecords"].as_f64().unwrap();
    let batch = run_batch(&out);
    assert_eq!(number(batch, "job_records_read_total", &[]), Some(expected));
    assert!(number(batch, "spark_app_executor_gc_seconds_total", &[]).is_some());
}

#[tokio::test]
async fn without_properties_there_are_numbers_and_with_a_list_too_large_there_are_single_stages() {
    let mut rest = Recording::idle("app-1", "orders");
    let ids: Vec<u64> = (0..100).collect();
    for id in &ids {
        rest.add_stage(json!({"status": "COMPLETE", "stageId": id, "attemptId": 0,
            "inputRecords": 1, "details": "x".repeat(300)}));
    }
    rest.jobs.insert(
        0,
        json!({"jobId": 0, "status": "SUCCEEDED", "stageIds": ids,
        "numSkippedStages": 0}),
    );
    let ui = FakeUi::start(move |path| match path.ends_with("/environment") {
        true => Reply::Other(500, "text/plain", "oops"),
        false => rest.answer(path),
    })
    .await;
    let limits = Limits { response_bytes_max: 20_000, ..Limits::default() };
    let mut harness = Harness::with(&[&ui], None, limits);
    let out = harness.scrape().await;
    assert_eq!(number(run_batch(&out), "job_records_read_total", &[]), Some(64.0));
    assert_eq!(harness.scraper.stats().cut_of(Cut::Request), 36);
    let out = harness.scrape().await;
    assert_eq!(number(run_batch(&out), "job_records_read_total", &[]), Some(100.0));
}

#[tokio::test]
async fn an_id_that_would_change_the_path_is_left_out() {
    let mut rest = Recording::idle("app-1", "orders");
    rest.applications = json!([{"id": "../../admin?x=", "name": "x", "attempts": [{}]}]);
    let ui = FakeUi::start(move |path| rest.answer(path)).await;
    let mut harness = Harness::new(&[&ui]);
    let out = harness.scrape().await;
    assert!(out.jobs.is_empty());
    assert_eq!(ui.take_requests(), ["/api/v1/applications"]);
    assert_eq!(harness.scraper.stats().cut_of(Cut::Application), 1);
}
