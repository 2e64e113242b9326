//! Tests of the scraper as a whole, against a scripted JobManager that plays recorded answers.

mod counters;
mod faults;
mod life;
mod recording;
mod replay;
mod security;
mod spans;

use super::{Config, FlinkScraper, Moment};
use crate::config::{self, Interval};
use crate::identity::Identity;
use crate::model::MetricBatch;
use crate::scrape::fake_ui::FakeUi;
use crate::scrape::http::Limits;
use crate::scrape::samples::{find, label, number};
use crate::scrape::{Given, ScrapeError, Scraped, Shared};
use recording::Recording;
use redaction::Redactor;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const LINGER_SECONDS: u64 = 300;

/// A scraper with a clock that only moves when it is told to.
struct Harness {
    scraper: FlinkScraper,
    start: Instant,
    now_s: u64,
}

impl Harness {
    /// Unix time of the first round: before the recorded jobs end.
    const EPOCH_MS: u64 = 1_795_330_900_000;

    fn new(managers: &[&FakeUi]) -> Self {
        Self::with(managers, Config::default(), Limits::default())
    }

    fn with(managers: &[&FakeUi], config: Config, limits: Limits) -> Self {
        let config = Config {
            urls: managers.iter().map(|manager| manager.url()).collect(),
            linger: Interval::from_secs(LINGER_SECONDS),
            ..config
        };
        let scraper = FlinkScraper::with_limits(&config, &shared(), limits).unwrap();
        Self { scraper, start: Instant::now(), now_s: 0 }
    }

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

fn shared() -> Shared {
    let redactor = Arc::new(Redactor::new());
    let identity = Identity::new(redactor.clone(), &config::Job::default(), &BTreeMap::new(), "");
    Shared {
        redactor,
        given: Given::default(),
        identity: Arc::new(identity),
        findings: Default::default(),
    }
}

async fn manager_of(recording: Recording) -> FakeUi {
    FakeUi::start(move |path| recording.answer(path)).await
}

/// The batch of the job `name` in slot `slot`.
fn job<'a>(out: &'a Scraped, name: &str, slot: &str) -> &'a MetricBatch {
    let is_it = |batch: &&MetricBatch| {
        label(&batch.labels, "job_name") == Some(name) && label(&batch.labels, "slot") == Some(slot)
    };
    let mut found = out.metrics.iter().filter(is_it);
    let first = found.next().unwrap_or_else(|| panic!("no batch of {name} {slot}"));
    assert!(found.next().is_none(), "{name} {slot} has one batch");
    first
}

fn cluster(out: &Scraped) -> &MetricBatch {
    out.metrics.iter().find(|batch| label(&batch.labels, "cluster").is_some()).unwrap()
}
