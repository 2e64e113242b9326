//! What the logs of jobs told so far, as metrics. It asks nobody: the tail thread has counted.

use super::meter::{Cut, ScrapeStats};
use super::{ScrapeError, Scraped, Scraper, ScraperConfig, ScraperDefinition, Shared};
use crate::clock;
use crate::config::{Interval, Section};
use crate::export::{BoxFuture, BuildError};
use crate::log_events::{self, Counts, Source};
use crate::model::{Engine, Kind, MetricBatch, MetricDescriptor, Resource, Sample};
use redaction::Value;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Events that the lines of a job's logs tell, by a fixed list.
pub static JOB_LOG_EVENTS: MetricDescriptor = MetricDescriptor {
    kind: Kind::Counter,
    name: "job_log_events_total",
    unit: "",
    help: "Events that the lines of a job's logs tell",
    source: "log lines of the engine",
};
/// Records with an exception, by its class and that of its first cause.
pub static JOB_LOG_EXCEPTIONS: MetricDescriptor = MetricDescriptor {
    kind: Kind::Counter,
    name: "job_log_exceptions_total",
    unit: "",
    help: "Log records with an exception, by its class and that of its first cause, without packages",
    source: "log lines with a stack trace, or that name an exception",
};

/// `logs`
pub const DEFINITION: ScraperDefinition =
    ScraperDefinition { name: "logs", is_default: true, configure };

/// `[scrapers.logs]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Time between two looks at what the logs told. Default `10s`, from `1s` to `1h`.
    pub interval: Interval,
}

impl Default for Config {
    fn default() -> Self {
        Self { interval: Interval::from_secs(10) }
    }
}

fn configure(section: &mut Section<'_>) -> Box<dyn ScraperConfig> {
    let config: Config = section.parse();
    let interval_s = config.interval.0.as_secs();
    section.require("interval", (1..=3_600).contains(&interval_s), "must be from 1s to 1h");
    Box::new(config)
}

impl ScraperConfig for Config {
    fn build(&self, _shared: &Shared) -> Result<Box<dyn Scraper>, BuildError> {
        Ok(Box::new(LogScraper {
            interval: self.interval.0,
            since: BTreeMap::new(),
            stats: ScrapeStats::default(),
        }))
    }
}

/// See the head of the file.
#[derive(Debug)]
struct LogScraper {
    interval: Duration,
    /// Whose it is, and since when it is counted.
    since: BTreeMap<Source, (Arc<Resource>, u64)>,
    stats: ScrapeStats,
}

impl LogScraper {
    fn batch(&mut self, source: Source, counts: &Counts, unix_ms: u64) -> MetricBatch {
        let (resource, created_unix_ms) = self.since.entry(source.clone()).or_insert_with(|| {
            let engine = [Engine::Spark, Engine::Flink];
            let resource = Resource {
                job_name: Some(source.job_name.clone()),
                engine: engine.into_iter().find(|engine| engine.as_str() == source.engine),
                ..Resource::default()
            };
            (Arc::new(resource), unix_ms)
        });
        let mut samples = Vec::new();
        for (event, count) in &counts.events {
            let labels = vec![("event", Value::literal(event))];
            samples.push(Sample::number(&JOB_LOG_EVENTS, labels, *count as f64));
        }
        for ((exception, cause), count) in &counts.exceptions {
            let labels = vec![("exception", exception.clone()), ("cause", cause.clone())];
            samples.push(Sample::number(&JOB_LOG_EXCEPTIONS, labels, *count as f64));
        }
        MetricBatch {
            resource: resource.clone(),
            labels: vec![
                ("engine", Value::literal(source.engine)),
                ("job_name", source.job_name),
                ("component", source.component),
            ],
            created_unix_ms: *created_unix_ms,
            time_unix_ms: unix_ms,
            samples,
        }
    }
}

impl Scraper for LogScraper {
    fn scrape<'a>(&'a mut self, out: &'a mut Scraped) -> BoxFuture<'a, Result<(), ScrapeError>> {
        Box::pin(async move {
            let unix_ms = clock::unix_ms();
            for (source, counts) in log_events::all() {
                out.metrics.push(self.batch(source, &counts, unix_ms));
            }
            self.stats.cut[Cut::JobName as usize] = log_events::n_uncounted();
            Ok(())
        })
    }

    fn interval(&self) -> Duration {
        self.interval
    }

    fn stats(&self) -> &ScrapeStats {
        &self.stats
    }
}
