//! Jobs begin, end, linger and hand over their slot; JobManagers come, go and take over.

use super::recording::{Recording, id};
use super::{Harness, LINGER_SECONDS, job, label, manager_of, number};
use crate::scrape::fake_ui::{FakeUi, Reply};
use crate::scrape::{ScrapeError, Scraped, Scraper};
use serde_json::json;
use std::time::Duration;

const START: u64 = Harness::EPOCH_MS;

async fn cluster_of(jobs: &[(char, &str, &str)]) -> FakeUi {
    manager_of(recording_of(jobs)).await
}

fn recording_of(jobs: &[(char, &str, &str)]) -> Recording {
    let mut recording = Recording::empty();
    for (digit, name, state) in jobs {
        recording.add_job(&id(*digit), name, state, START);
    }
    recording
}

fn say(manager: &FakeUi, jobs: &[(char, &str, &str)]) {
    let recording = recording_of(jobs);
    manager.say(move |path| recording.answer(path));
}

fn state_of(out: &Scraped, name: &str, slot: &str) -> Vec<String> {
    let batch = job(out, name, slot);
    let states = batch.samples.iter().filter(|it| it.descriptor.name == "job_run_state");
    let is_one = |it: &&crate::model::Sample| it.value == crate::model::SampleValue::Number(1.0);
    states.filter(is_one).map(|it| label(&it.labels, "state").unwrap().to_owned()).collect()
}

#[tokio::test]
async fn jobs_of_one_name_have_slots_and_their_id_is_their_trace() {
    let manager = cluster_of(&[
        ('a', "orders", "RUNNING"),
        ('b', "orders", "RESTARTING"),
        ('c', "users", "CREATED"),
    ])
    .await;
    let out = Harness::new(&[&manager]).scrape().await;
    assert_eq!(state_of(&out, "orders", "0"), ["running"]);
    assert_eq!(state_of(&out, "orders", "1"), ["restarting"]);
    assert_eq!(state_of(&out, "users", "0"), ["starting"]);
    assert_eq!(out.jobs.len(), 3);
    let resource = &job(&out, "orders", "0").resource;
    assert_eq!(resource.trace_id.as_deref(), Some(id('a').as_str()));
    assert_eq!(resource.trace_id_origin.as_deref(), Some("flink"));
    assert_eq!(
        number(job(&out, "orders", "0"), "job_run_info", &[("app_id", &id('a'))]),
        Some(1.0)
    );
}

#[tokio::test]
async fn a_job_that_ends_lingers_with_its_state_and_is_counted_once() {
    let manager = cluster_of(&[('a', "orders", "RUNNING")]).await;
    let mut harness = Harness::new(&[&manager]);
    harness.scrape().await;
    say(&manager, &[('a', "orders", "FINISHED")]);
    let out = harness.scrape().await;
    assert_eq!(state_of(&out, "orders", "0"), ["succeeded"]);
    assert_eq!(out.jobs[0].end_unix_ms, Some(START + 5_000));
    let ended_s = harness.now_s;
    while harness.now_s < ended_s + LINGER_SECONDS - 10 {
        let out = harness.scrape().await;
        assert!(!job(&out, "orders", "0").samples.is_empty());
    }
    assert_eq!(job(&harness.scrape().await, "orders", "0").samples, []);
    // Flink lists it for an hour.
    let out = harness.scrape().await;
    assert!(out.jobs.is_empty(), "it ended before and is not taken again");
    let history = out.metrics.iter().find(|batch| {
        label(&batch.labels, "slot").is_none() && label(&batch.labels, "job_name") == Some("orders")
    });
    let runs = number(history.unwrap(), "job_runs_total", &[("outcome", "succeeded")]);
    assert_eq!(runs, Some(1.0));
}

#[tokio::test]
async fn a_job_that_ended_before_the_agent_came_is_of_no_interest() {
    let mut recording = Recording::empty();
    recording.add_job(&id('a'), "old", "FAILED", START - 100_000);
    let manager = manager_of(recording).await;
    let out = Harness::new(&[&manager]).scrape().await;
    assert!(out.jobs.is_empty());
}

#[tokio::test]
async fn a_jobmanager_that_is_gone_takes_its_jobs_along_after_two_rounds() {
    let manager = cluster_of(&[('a', "orders", "RUNNING")]).await;
    let port = manager.port();
    let mut harness = Harness::new(&[&manager]);
    harness.scrape().await;
    manager.stop().await;
    let (out, result) = harness.round().await;
    assert!(matches!(result, Err(ScrapeError::Gone)));
    assert_eq!(state_of(&out, "orders", "0"), ["running"]);
    let (out, _) = harness.round().await;
    assert_eq!(state_of(&out, "orders", "0"), ["unknown"]);
    assert!(super::cluster(&out).samples.is_empty(), "its own series go at once");
    let recording = recording_of(&[('a', "orders", "RUNNING")]);
    let _manager = FakeUi::start_on(port, move |path| recording.answer(path)).await;
    let out = harness.scrape().await;
    assert_eq!(state_of(&out, "orders", "0"), ["running"], "it was out of reach for a while");
    assert_eq!(out.jobs[0].end_unix_ms, None);
}

#[tokio::test]
async fn a_new_leader_that_lists_no_jobs_at_first_ends_none() {
    let manager = cluster_of(&[('a', "orders", "RUNNING")]).await;
    let mut harness = Harness::new(&[&manager]);
    harness.scrape().await;
    say(&manager, &[]);
    assert_eq!(state_of(&harness.scrape().await, "orders", "0"), ["running"]);
    say(&manager, &[('a', "orders", "RUNNING")]);
    harness.scrape().await;
    say(&manager, &[]);
    harness.scrape().await;
    assert_eq!(state_of(&harness.scrape().await, "orders", "0"), ["unknown"]);
}

#[tokio::test]
async fn of_two_jobmanagers_of_one_cluster_each_job_is_read_from_one_and_survives_the_other() {
    let jobs = [('a', "orders", "RUNNING")];
    let (leader, standby) = (cluster_of(&jobs).await, cluster_of(&jobs).await);
    let mut harness = Harness::new(&[&leader, &standby]);
    let out = harness.scrape().await;
    assert_eq!(out.jobs.len(), 1);
    let asked = standby.take_requests();
    assert!(asked.iter().all(|path| !path.contains(&id('a'))), "{asked:?}");
    leader.stop().await;
    for _ in 0..3 {
        let (out, _) = harness.round().await;
        assert_eq!(state_of(&out, "orders", "0"), ["running"]);
    }
}

#[tokio::test]
async fn counters_of_a_job_go_on_under_another_jobmanager() {
    let mut recording = recording_of(&[('a', "orders", "RUNNING")]);
    let metrics = format!("/jobs/{}/metrics", id('a'));
    recording.set(&metrics, json!([{"id": "numRestarts", "value": "7"}]));
    let manager = manager_of(recording.clone()).await;
    let mut harness = Harness::new(&[&manager]);
    let restarts = |out: &Scraped| number(job(out, "orders", "0"), "flink_job_restarts_total", &[]);
    assert_eq!(restarts(&harness.scrape().await), Some(7.0));
    recording.add_job(&id('a'), "orders", "RUNNING", START + 50_000);
    recording.set(&metrics, json!([{"id": "numRestarts", "value": "2"}]));
    manager.say(move |path| recording.answer(path));
    assert_eq!(restarts(&harness.scrape().await), Some(9.0));
}

#[tokio::test]
async fn another_program_on_the_port_is_no_cluster_and_no_error() {
    let worker =
        |_: &str| Reply::Other(200, "text/html;charset=utf-8", "<html>Spark Worker</html>");
    let other = FakeUi::start(worker).await;
    let mut harness = Harness::new(&[]);
    harness.scraper.targets.search_only(vec![other.port()]);
    let (out, result) = harness.round().await;
    assert!(matches!(result, Err(ScrapeError::Gone)), "{result:?}");
    assert!(out.metrics.is_empty());
    other.stop().await;
}

#[tokio::test]
async fn a_cluster_that_is_found_is_asked_no_more_often_than_it_renews_its_metrics() {
    let mut recording = recording_of(&[]);
    let interval = json!([{"key": "metrics.fetcher.update-interval", "value": "1 min"}]);
    recording.set("/jobmanager/config", interval);
    let manager = manager_of(recording).await;
    let mut harness = Harness::new(&[]);
    harness.scraper.targets.search_only(vec![manager.port()]);
    assert_eq!(harness.scraper.interval(), Duration::from_secs(2));
    harness.scrape().await;
    assert_eq!(harness.scraper.interval(), Duration::from_secs(60));
}
