//! Tests of the scraper as a whole, against a scripted UI that plays recorded answers.

mod faults;
mod life;
mod logs;
mod recording;
mod replay;
mod spans;

use super::{Config, Moment, SparkScraper};
use crate::config::{self, Interval};
use crate::identity::Identity;
use crate::model::MetricBatch;
use crate::scrape::fake_ui::FakeUi;
use crate::scrape::http::Limits;
use crate::scrape::samples::{find, label, number};
use crate::scrape::{Given, ScrapeError, Scraped, Shared};
use redaction::{Redactor, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const LINGER_SECONDS: u64 = 300;

/// A scraper with a clock that only moves when it is told to.
struct Harness {
    scraper: SparkScraper,
    start: Instant,
    now_s: u64,
}

impl Harness {
    fn new(uis: &[&FakeUi]) -> Self {
        Self::with(uis, None, Limits::default())
    }

    fn with(uis: &[&FakeUi], job_name: Option<&'static str>, limits: Limits) -> Self {
        let config = Config {
            urls: uis.iter().map(|ui| ui.url()).collect(),
            event_log_dir: std::path::PathBuf::new(),
            interval: Interval::from_secs(10),
            linger: Interval::from_secs(LINGER_SECONDS),
        };
        let given = Given { job_name: job_name.map(Value::literal), ..Given::default() };
        Self::with_shared(&config, &shared(given, &[]), limits)
    }

    fn with_shared(config: &Config, shared: &Shared, limits: Limits) -> Self {
        let scraper = SparkScraper::with_limits(config, shared, limits).unwrap();
        Self { scraper, start: Instant::now(), now_s: 0 }
    }

    /// Unix time of the first round: after the recorded runs.
    const EPOCH_MS: u64 = 1_795_340_000_000;

    async fn round(&mut self) -> (Scraped, Result<(), ScrapeError>) {
        self.now_s += 10;
        let now = Moment {
            instant: self.start + Duration::from_secs(self.now_s),
            unix_ms: Self::EPOCH_MS + self.now_s * 1_000,
        };
        let mut out = Scraped::default();
        let result = self.scraper.round(now, &mut out).await;
        (out, result)
    }

    /// A round that must work.
    async fn scrape(&mut self) -> Scraped {
        let (out, result) = self.round().await;
        result.unwrap();
        out
    }
}

/// What the scraper is made with, where the agent has this environment.
fn shared(given: Given, environment: &[(&str, &str)]) -> Shared {
    let redactor = Arc::new(Redactor::new());
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let environment = environment.iter().map(own).collect();
    let identity = Identity::new(redactor.clone(), &config::Job::default(), &environment, "");
    Shared { redactor, given, identity: Arc::new(identity), findings: Default::default() }
}

/// The one batch of a run.
fn run_batch(out: &Scraped) -> &MetricBatch {
    let runs: Vec<&MetricBatch> = run_batches(out);
    assert_eq!(runs.len(), 1, "one run");
    runs[0]
}

/// The batches of runs, which unlike those of job names have a slot.
fn run_batches(out: &Scraped) -> Vec<&MetricBatch> {
    out.metrics.iter().filter(|batch| label(&batch.labels, "slot").is_some()).collect()
}
