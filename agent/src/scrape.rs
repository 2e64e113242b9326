//! Scrapers: pull one kind of REST API. Adding one is a file and two lines here.

#[cfg(test)]
pub(crate) mod fake_ui;
pub mod http;
pub mod meter;
pub mod spark;

use crate::export::BoxFuture;
use crate::model::{Engine, MetricBatch};
use redaction::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Pulls one API: jobs that it knows and samples of them.
pub trait Scraper: Send + 'static {
    /// Fills `out` from one round of requests; what was read before an error stays in `out`.
    fn scrape<'a>(&'a mut self, out: &'a mut Scraped) -> BoxFuture<'a, Result<(), ScrapeError>>;

    /// Time to wait before the next round; longer than configured while the API is slow.
    fn interval(&self) -> Duration;

    /// What the scraper cost so far, and what it had to leave out.
    fn stats(&self) -> &meter::ScrapeStats;
}

/// What one round of a scraper brought.
#[derive(Debug, Default)]
pub struct Scraped {
    /// Jobs that are alive or ended within the linger time.
    pub jobs: Vec<Job>,
    /// Samples: one batch per job, and one per job name with what outlives a run.
    pub metrics: Vec<MetricBatch>,
}

/// One application or job, as a scraper saw it. Everything is redacted.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Engine.
    pub engine: Engine,
    /// Application id.
    pub job_id: Value,
    /// Application name as the engine has it.
    pub name: Value,
    /// Attempt of the application, where the resource manager counts them.
    pub attempt: Option<Value>,
    /// User that the engine names.
    pub user: Option<Value>,
    /// Start, milliseconds since the epoch.
    pub start_unix_ms: u64,
    /// End, when it ended.
    pub end_unix_ms: Option<u64>,
    /// Allow-listed properties, by their engine's key.
    pub properties: BTreeMap<&'static str, Value>,
}

/// Why a round failed, as far as the timer decides differently.
#[derive(Debug, thiserror::Error)]
pub enum ScrapeError {
    /// Nothing listens there: no job yet, or no more.
    #[error("no application answers")]
    Gone,
    /// A later round may work.
    #[error("{0}")]
    Failed(String),
}
