//! Scrapers: pull one kind of REST API. Adding one is a file and two lines here.

#[cfg(test)]
pub(crate) mod fake_ui;
pub mod flink;
pub mod http;
pub mod logs;
pub mod meter;
pub mod pricing;
mod runs;
#[cfg(test)]
pub(crate) mod samples;
pub mod spark;
mod targets;
pub mod timer;
mod work;

use crate::config::{self, Section};
use crate::export::{BoxFuture, BuildError};
use crate::findings::Thresholds;
use crate::identity::Identity;
use crate::model::{Engine, LogBatch, MetricBatch, SpanBatch};
use redaction::{Redactor, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
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
    /// Records about jobs, such as findings. Each is brought once.
    pub logs: Vec<LogBatch>,
    /// Work that ended since the round before. Each span is brought once.
    pub spans: Vec<SpanBatch>,
}

/// One application or job, as a scraper saw it. Everything is redacted.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Engine.
    pub engine: Engine,
    /// Application id.
    pub job_id: Value,
    /// Stable name of the job, as it stands on series.
    pub job_name: Value,
    /// Attempt of the application, where the resource manager counts them.
    pub attempt: Option<Value>,
    /// One execution of the job: given, else made from id and attempt.
    pub run_id: Value,
    /// Who runs it: given, else the user that the engine names.
    pub user_id: Option<Value>,
    /// Start, milliseconds since the epoch.
    pub start_unix_ms: u64,
    /// End, when it ended.
    pub end_unix_ms: Option<u64>,
    /// Last time that its API answered, milliseconds since the epoch.
    pub seen_unix_ms: u64,
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

/// Every scraper there is.
pub const SCRAPERS: &[ScraperDefinition] =
    &[spark::DEFINITION, flink::DEFINITION, logs::DEFINITION];

/// One kind of scraper, as its file describes it.
#[derive(Debug)]
pub struct ScraperDefinition {
    /// Name of its section: `[scrapers.<name>]`.
    pub name: &'static str,
    /// Whether it runs when the config has no `[scrapers]` at all.
    pub is_default: bool,
    /// Makes its config, and reports what is wrong in it to the section.
    pub configure: fn(&mut Section<'_>) -> Box<dyn ScraperConfig>,
}

/// The checked section of one scraper.
pub trait ScraperConfig: fmt::Debug + Send {
    /// Makes the scraper.
    ///
    /// # Errors
    /// When something that the section names cannot be used.
    fn build(&self, shared: &Shared) -> Result<Box<dyn Scraper>, BuildError>;
}

/// What scrapers are made with.
#[derive(Debug)]
pub struct Shared {
    /// For every string that an API answers.
    pub redactor: Arc<Redactor>,
    /// What the operator said of the job.
    pub given: Given,
    /// Says who a job is.
    pub identity: Arc<Identity>,
    /// From where on something about a job is a finding.
    pub findings: Thresholds,
}

/// The operator's word on what a scraper would else find out, redacted.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// `job.job_name`
    pub job_name: Option<Value>,
    /// `job.run_id`
    pub run_id: Option<Value>,
    /// `job.user_id`
    pub user_id: Option<Value>,
}

impl Given {
    /// Takes over what `[job]` says.
    #[must_use]
    pub fn new(job: &config::Job, redactor: &Redactor) -> Self {
        let value = |text: &Option<String>| text.as_deref().map(|text| redactor.value(text));
        Self {
            job_name: value(&job.job_name),
            run_id: value(&job.run_id),
            user_id: value(&job.user_id),
        }
    }
}
