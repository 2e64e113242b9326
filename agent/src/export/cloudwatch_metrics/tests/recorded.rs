//! The metrics of recorded Spark runs, through the real scraper.

// The recordings belong to the tests of the scraper, which need more of this file.
#[allow(dead_code, clippy::duplicate_mod)]
#[path = "../../../scrape/spark/tests/recording.rs"]
mod recording;

use super::{Encoder, Extracted, MetricBatch, Root, SampleValue, extract, settings};
use crate::config::Interval;
use crate::identity::Identity;
use crate::scrape::fake_ui::FakeUi;
use crate::scrape::spark::Config;
use crate::scrape::{Given, Scraped, ScraperConfig, Shared};
use recording::phases;
use redaction::Redactor;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The batches of all rounds of a recorded run, two for each phase.
async fn scrape(file: &str) -> Vec<MetricBatch> {
    let phases = phases(file);
    let first = phases[0].clone();
    let ui = FakeUi::start(move |path| first.answer(path)).await;
    let config =
        Config { urls: vec![ui.url()], interval: Interval::from_secs(10), ..Config::default() };
    let redactor = Arc::new(Redactor::new());
    let identity = Identity::new(redactor.clone(), &Default::default(), &BTreeMap::new(), "");
    let (given, identity) = (Given::default(), Arc::new(identity));
    let shared = Shared { redactor, given, identity, findings: Default::default() };
    let mut scraper = config.build(&shared).unwrap();
    let mut batches = Vec::new();
    for phase in phases {
        ui.say(move |path| phase.answer(path));
        for _ in 0..2 {
            let mut out = Scraped::default();
            scraper.scrape(&mut out).await.unwrap();
            batches.extend(out.metrics);
        }
    }
    batches
}

/// Sends everything but every third batch, and the last ones in any case.
fn send(batches: &[MetricBatch], watched_since: u64) -> (Vec<Vec<u8>>, Vec<Extracted>) {
    let mut encoder = Encoder::new(settings(), watched_since);
    let (mut events, mut stored) = (Vec::new(), Vec::new());
    for (idx, batch) in batches.iter().enumerate() {
        let prepared = encoder.prepare(batch, batch.time_unix_ms);
        assert_eq!(prepared.dropped(), &BTreeMap::new());
        let metrics: Vec<_> = prepared.events.iter().flat_map(|event| extract(event)).collect();
        if idx % 3 != 0 || idx + 3 > batches.len() {
            events.extend(prepared.events.iter().cloned());
            stored.extend(metrics);
            encoder.commit(prepared, batch.time_unix_ms);
        }
    }
    (events, stored)
}

fn sum(stored: &[Extracted], name: &str) -> f64 {
    stored.iter().filter(|metric| metric.name == name).map(Extracted::sum).sum()
}

#[tokio::test]
async fn a_recorded_run_arrives_whole_with_ids_as_properties_and_at_most_three_dimensions() {
    // The recorded run is older than any agent: it counts from 0 as if it had been watched.
    let batches = scrape("spark4-cluster.json").await;
    let (events, stored) = send(&batches, 0);
    let rest = phases("spark4-cluster.json").pop().unwrap();
    assert_eq!(sum(&stored, "job_read_bytes_total"), rest.stage_sum("inputBytes"));
    assert_eq!(sum(&stored, "job_task_failures_total"), rest.stage_sum("numFailedTasks"));
    let cpu = sum(&stored, "job_cpu_seconds_total");
    assert!((cpu - rest.stage_sum("executorCpuTime") / 1e9).abs() < 1e-6, "{cpu}");
    assert_eq!(sum(&stored, "job_runs_total"), 1.0);
    let names: BTreeSet<&str> = stored.iter().map(|metric| metric.name.as_str()).collect();
    for name in ["job_run_state", "spark_stage_duration_seconds", "spark_executor_heap_peak_ratio"]
    {
        assert!(names.contains(name), "{name} of {names:?}");
    }
    let of_dimensions = |metric: &Extracted| metric.dimensions.keys().cloned().collect::<Vec<_>>();
    let extras: BTreeSet<String> = stored.iter().flat_map(of_dimensions).collect();
    let known = ["cluster", "job_name", "medium", "outcome", "reason", "state"];
    assert!(extras.iter().all(|name| known.contains(&name.as_str())), "{extras:?}");
    let with_id = events.iter().filter(|event| {
        let Root(root) = serde_json::from_slice(event).unwrap();
        root.get("app_id").is_some_and(|id| id.as_str() == Some(rest.app_id.as_str()))
            && root.contains_key("run_id")
            && root.contains_key("engine_version")
    });
    assert!(with_id.count() > 3);
}

#[tokio::test]
async fn a_run_older_than_the_agent_adds_only_what_it_did_since() {
    let batches = scrape("spark35-local.json").await;
    let (_, stored) = send(&batches, u64::MAX);
    let cpu = |batch: &MetricBatch| {
        let mut samples = batch.samples.iter();
        let sample = samples.find(|sample| sample.descriptor.name == "job_cpu_seconds_total");
        match sample.map(|sample| &sample.value) {
            Some(SampleValue::Number(seconds)) => *seconds,
            _ => panic!("a number"),
        }
    };
    let before = cpu(&batches[0]);
    let whole = phases("spark35-local.json").pop().unwrap().stage_sum("executorCpuTime") / 1e9;
    let since = sum(&stored, "job_cpu_seconds_total");
    assert!(before > 0.0 && (before + since - whole).abs() < 1e-6, "{before} + {since} of {whole}");
}
