//! The metrics of recorded Flink clusters, through the real scraper.

// The recordings belong to the tests of the scraper, which need more of this file.
#[allow(dead_code, clippy::duplicate_mod)]
#[path = "../../../scrape/flink/tests/recording.rs"]
mod recording;

use super::{Encoder, Extracted, deliver, settings};
use crate::config::Interval;
use crate::identity::Identity;
use crate::model::MetricBatch;
use crate::scrape::fake_ui::FakeUi;
use crate::scrape::flink::Config;
use crate::scrape::samples::{label, number};
use crate::scrape::{Given, Scraped, ScraperConfig, Shared};
use recording::{Recording, phases};
use redaction::Redactor;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What CloudWatch has of the job `job_name`, and its batches.
struct Stored {
    metrics: Vec<Extracted>,
    batches: Vec<MetricBatch>,
    n_billed: usize,
}

/// Plays a recorded cluster of which the agent saw everything, and delivers every batch.
async fn play(version: &str, job_name: &str) -> Stored {
    let empty = Recording::empty();
    let manager = FakeUi::start(move |path| empty.answer(path)).await;
    let config = Config {
        urls: vec![manager.url()],
        interval: Interval::from_secs(10),
        ..Config::default()
    };
    let redactor = Arc::new(Redactor::new());
    let identity = Identity::new(redactor.clone(), &Default::default(), &BTreeMap::new(), "");
    let (given, identity) = (Given::default(), Arc::new(identity));
    let shared = Shared { redactor, given, identity, findings: Default::default() };
    let mut scraper = config.build(&shared).unwrap();
    scraper.scrape(&mut Scraped::default()).await.unwrap();
    let mut encoder = Encoder::new(settings(), 0);
    let mut stored = Stored { metrics: Vec::new(), batches: Vec::new(), n_billed: 0 };
    for phase in phases(version) {
        manager.say(move |path| phase.answer(path));
        let mut out = Scraped::default();
        scraper.scrape(&mut out).await.unwrap();
        for batch in out.metrics {
            let metrics = deliver(&mut encoder, &batch);
            if label(&batch.labels, "job_name") == Some(job_name) {
                stored.n_billed = encoder.n_billed(batch.time_unix_ms);
                stored.metrics.extend(metrics);
                stored.batches.push(batch);
            } else {
                assert!(label(&batch.labels, "job_name").is_some() || metrics.is_empty());
            }
        }
    }
    stored
}

impl Stored {
    fn of<'a>(&'a self, name: &'a str, extra: &'a str) -> impl Iterator<Item = &'a Extracted> {
        let is_it = move |metric: &&Extracted| {
            metric.name == name
                && (extra.is_empty() || metric.dimensions.values().any(|it| it == extra))
        };
        self.metrics.iter().filter(is_it)
    }

    fn sum(&self, name: &str, extra: &str) -> f64 {
        self.of(name, extra).map(Extracted::sum).sum()
    }

    /// The last value of a series of the scraper.
    fn last(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.batches
            .iter()
            .rev()
            .find_map(|batch| number(batch, name, labels))
            .unwrap_or_else(|| panic!("no {name}"))
    }
}

#[tokio::test]
async fn a_recorded_flink_job_arrives_with_its_checkpoints_its_lag_and_its_worst_vertex() {
    let stored = play("2.3.0", "orders-window").await;
    for (name, extra) in [
        ("job_run_state", "running"),
        ("job_run_age_seconds", ""),
        ("flink_job_uptime_seconds", ""),
        ("flink_checkpoint_age_seconds", ""),
        ("flink_checkpoint_consecutive_failures", ""),
        ("flink_checkpoint_interval_utilization_ratio", ""),
        ("job_lag_seconds", "event_time"),
    ] {
        assert!(stored.of(name, extra).next().is_some(), "{name} {extra} is missing");
    }
    // Counters that fall when Flink restarts arrive as what happened in all.
    for (name, extra) in
        [("flink_checkpoints_total", "completed"), ("flink_checkpoints_total", "failed")]
    {
        let whole = stored.last(name, &[("outcome", extra)]);
        assert!(whole > 0.0);
        assert_eq!(stored.sum(name, extra), whole, "{name} {extra}");
    }
    let restarts = "flink_job_restarts_total";
    assert_eq!(stored.sum(restarts, ""), stored.last(restarts, &[]));
    let checkpoints: u64 =
        stored.of("flink_checkpoint_duration_seconds", "").map(Extracted::count).sum();
    assert_eq!(checkpoints as f64, stored.last("flink_checkpoint_duration_seconds", &[]));
    let busiest = |batch: &MetricBatch| {
        let busy =
            batch.samples.iter().filter(|it| it.descriptor.name == "flink_vertex_busy_ratio");
        let numbers = busy.map(|it| match it.value {
            crate::model::SampleValue::Number(number) => number,
            crate::model::SampleValue::Histogram(_) => panic!("a number"),
        });
        numbers.reduce(f64::max)
    };
    let first = stored.of("flink_vertex_busy_ratio", "").next().unwrap();
    assert_eq!(Some(first.sum()), busiest(&stored.batches[0]));
}

#[tokio::test]
async fn a_flink_job_has_three_dimensions_at_most_and_its_billed_metrics_are_all_estimated() {
    for version in ["1.20.5", "2.3.0"] {
        let stored = play(version, "orders-window").await;
        let names: BTreeSet<&str> =
            stored.metrics.iter().flat_map(|it| it.dimensions.keys()).map(String::as_str).collect();
        let known = ["cluster", "job_name", "kind", "outcome", "state"];
        assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
        assert!(stored.metrics.iter().all(|metric| metric.dimensions.len() <= 3));
        let billed: BTreeSet<_> =
            stored.metrics.iter().map(|metric| (&metric.name, &metric.dimensions)).collect();
        assert!((10..=35).contains(&billed.len()), "{} metrics of one job", billed.len());
        assert!(stored.n_billed >= billed.len());
    }
}
