//! Flink's REST API: that of a JobManager, for all jobs of its cluster.
//!
//! It asks for what the JobManager has added up already (8 requests and one per vertex, see
//! `job.rs`), never more often than the JobManager renews it, and only ever with GET.

mod checkpoints;
mod cluster;
mod config;
mod exceptions;
mod job;
mod jobs;
pub mod metrics;
mod query;
mod rest;
mod rest_checkpoints;
mod slowest;
mod spans;
mod tally;
#[cfg(test)]
mod tests;
mod vertex;
mod vertices;
mod wanted;

use crate::export::BoxFuture;
use crate::identity::Identity;
use crate::scrape::http::access::AccessFiles;
use crate::scrape::http::{Client, HttpError, Limits, UrlError};
use crate::scrape::meter::{Cut, Meter, ScrapeStats};
use crate::scrape::runs::{Moment, Outcome};
use crate::scrape::spark::bounded;
use crate::scrape::targets::{Target, Targets};
use crate::scrape::{Given, ScrapeError, Scraped, Scraper, ScraperDefinition, Shared};
use crate::tls::Seen;
use cluster::Cluster;
pub use config::Config;
use job::Context;
use jobs::Jobs;
use query::Round;
use redaction::{Redactor, Value};
use rest::{JobState, ListedJob};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use vertices::Choice;

/// Where a JobManager has its REST API (`rest.port`).
const PORT: u16 = 8081;
/// Time between two rounds while no cluster is known.
const SEARCH_INTERVAL: Duration = Duration::from_secs(2);
/// Rounds in which nobody lists a job, after which it has ended: a JobManager that takes jobs over
/// lists none at first.
const MISSES_MAX: u32 = 2;

/// `flink`
pub const DEFINITION: ScraperDefinition =
    ScraperDefinition { name: "flink", is_default: true, configure: config::configure };

/// A URL or a file of the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A bad URL.
    #[error("urls[{index}]: {source}")]
    Url {
        /// Position in [`Config::urls`].
        index: usize,
        /// What is wrong with it.
        source: UrlError,
    },
    /// A file that cannot be used.
    #[error("{0}")]
    File(String),
}

/// Scrapes JobManagers.
#[derive(Debug)]
pub struct FlinkScraper {
    redactor: Arc<Redactor>,
    identity: Arc<Identity>,
    given: Given,
    choice: Arc<Choice>,
    linger: Duration,
    files: AccessFiles,
    seen: Seen,
    targets: Targets,
    /// By host and port.
    clusters: BTreeMap<(String, u16), Cluster>,
    jobs: Jobs,
    /// Rounds in which nobody listed a job.
    misses: BTreeMap<Value, u32>,
    /// When the first round was: jobs that ended before it are of no interest.
    since_unix_ms: Option<u64>,
    meter: Meter,
}

impl FlinkScraper {
    /// A scraper for `config`.
    pub fn new(config: &Config, shared: &Shared) -> Result<Self, SetupError> {
        Self::with_limits(config, shared, Limits::default())
    }

    fn with_limits(config: &Config, shared: &Shared, limits: Limits) -> Result<Self, SetupError> {
        let ports = [PORT].into_iter();
        let targets = Targets::new(&config.urls, ports, limits, Client::with_tls)
            .map_err(|(index, source)| SetupError::Url { index, source })?;
        let labels = config.metrics.iter().map(|name| bounded(name, &shared.redactor)).collect();
        let mut scraper = Self {
            redactor: shared.redactor.clone(),
            identity: shared.identity.clone(),
            given: shared.given.clone(),
            choice: Arc::new(Choice {
                vertices_max: config.vertices_max,
                metrics: config.metrics.clone(),
                labels,
            }),
            linger: config.linger.0,
            files: config.files(),
            seen: Seen::new(),
            targets,
            clusters: BTreeMap::new(),
            jobs: Jobs::default(),
            misses: BTreeMap::new(),
            since_unix_ms: None,
            meter: Meter::new(config.interval.0),
        };
        let seen = scraper.files.look();
        scraper.load_access(seen).map_err(SetupError::File)?;
        Ok(scraper)
    }

    /// Reads the files of the access and gives them to every client.
    fn load_access(&mut self, seen: Seen) -> Result<(), String> {
        let needs_tls = self.targets.list.iter().any(|target| target.client.is_tls());
        let access = self.files.load(needs_tls)?;
        for target in &mut self.targets.list {
            target.client.set_access(access.clone());
        }
        self.seen = seen;
        Ok(())
    }

    /// Reads the files again if they changed. Those that cannot be used leave everything as it is.
    async fn renew_access(&mut self) -> Result<(), ScrapeError> {
        if self.seen.is_empty() {
            return Ok(());
        }
        let files = self.files.clone();
        // Files are not for the threads of the runtime. The clients share what is read.
        let look = tokio::task::spawn_blocking(move || files.look()).await;
        match look {
            Ok(seen) if seen != self.seen => self.load_access(seen).map_err(ScrapeError::Failed),
            _ => Ok(()),
        }
    }

    async fn round(&mut self, now: Moment, out: &mut Scraped) -> Result<(), ScrapeError> {
        self.since_unix_ms.get_or_insert(now.unix_ms);
        let access = self.renew_access().await;
        if self.targets.is_searching() {
            self.targets.search().await;
        }
        let mut result = Err(ScrapeError::Gone);
        let mut listed = BTreeSet::new();
        let targets = std::mem::take(&mut self.targets.list);
        let mut kept = Vec::with_capacity(targets.len());
        for (index, mut target) in targets.into_iter().enumerate() {
            let is_kept =
                self.ask(index as u64, &mut target, now, &mut listed, &mut result, out).await;
            if is_kept || !self.targets.is_searching() {
                kept.push(target);
            }
        }
        self.targets.list = kept;
        self.end_unlisted(&listed, now);
        self.meter.finish_round();
        for cluster in self.clusters.values() {
            out.metrics.push(cluster.batch(now.unix_ms));
        }
        self.jobs.publish(now, self.linger, out);
        access.and(result)
    }

    /// Asks one JobManager, and adds the jobs that are in its care to `listed`. False when it is gone.
    async fn ask(
        &mut self,
        index: u64,
        target: &mut Target,
        now: Moment,
        listed: &mut BTreeSet<Value>,
        result: &mut Result<(), ScrapeError>,
        out: &mut Scraped,
    ) -> bool {
        if !target.is_due() {
            listed.extend(target.app_ids.iter().cloned());
            return true;
        }
        let key = (target.client.host().to_owned(), target.client.port());
        let told = |error: &HttpError| match error {
            HttpError::Tls { .. } => error.to_string(),
            _ => format!("{}:{}: {error}", key.0, key.1),
        };
        let before = std::mem::take(&mut target.app_ids);
        match self.visit(index, &key, target, now, listed).await {
            Ok(trouble) => {
                target.note_answer();
                match trouble {
                    Some(error) => *result = Err(ScrapeError::Failed(told(&error))),
                    None if matches!(result, Err(ScrapeError::Gone)) => *result = Ok(()),
                    None => {}
                }
            }
            Err(HttpError::Gone { .. }) => {
                target.app_ids = before;
                if target.note_miss() {
                    target.reset();
                    if let Some(cluster) = self.clusters.remove(&key) {
                        out.metrics.push(cluster.empty_batch(now.unix_ms));
                    }
                    return false;
                }
            }
            Err(error) => {
                target.note_failure();
                if self.targets.is_searching() && !self.clusters.contains_key(&key) {
                    // Something else has the port, such as a worker of Spark.
                    return false;
                }
                *result = Err(ScrapeError::Failed(told(&error)));
                listed.extend(before.iter().cloned());
                target.app_ids = before;
            }
        }
        true
    }

    async fn visit(
        &mut self,
        index: u64,
        key: &(String, u16),
        target: &mut Target,
        now: Moment,
        listed: &mut BTreeSet<Value>,
    ) -> Result<Option<HttpError>, HttpError> {
        let mut round = Round::new(&mut target.client, &mut self.meter);
        let cluster = self.clusters.remove(key);
        let mut cluster = cluster.unwrap_or_else(|| Cluster::new(index, now.unix_ms));
        let overview = cluster.read(&mut round, &self.redactor, now.unix_ms).await;
        let Some(version) = cluster.version.clone() else {
            return overview.map(|_| None);
        };
        self.clusters.insert(key.clone(), cluster);
        let overview = overview?;
        let context = Context {
            redactor: &self.redactor,
            identity: &self.identity,
            given: &self.given,
            choice: &self.choice,
            version: &version,
            unix_ms: now.unix_ms,
        };
        let since = self.since_unix_ms.unwrap_or(now.unix_ms);
        // What is listed is not lost, whatever becomes of the requests about it.
        let mut mine = Vec::new();
        for job in overview.jobs.iter() {
            if !is_id(&job.jid) {
                round.meter.cut(Cut::Application, 1);
                continue;
            }
            let id = bounded(&job.jid, &self.redactor);
            // Of several JobManagers of one cluster, all list its jobs.
            if takes(&self.jobs, &id, job, since, round.meter) && listed.insert(id.clone()) {
                target.app_ids.insert(id.clone());
                mine.push((id, job));
            }
        }
        for (id, job) in mine {
            self.jobs.open(&id, job, &context);
            let Some(known) = self.jobs.get_mut(&id) else { continue };
            known.record(job, now.unix_ms);
            let read = known.read(&job.jid, &mut round, &self.redactor).await;
            if job.state.is_final() {
                let outcome = match job.state {
                    JobState::Finished => Outcome::Succeeded,
                    JobState::Failed => Outcome::Failed,
                    _ => Outcome::Killed,
                };
                self.jobs.end(&id, now, job.end_time.0, outcome, round.meter);
            }
            read?;
        }
        Ok(round.trouble)
    }

    /// Ends jobs that no JobManager has listed for a while.
    fn end_unlisted(&mut self, listed: &BTreeSet<Value>, now: Moment) {
        let unlisted: BTreeSet<Value> =
            self.jobs.live_ids().filter(|id| !listed.contains(*id)).cloned().collect();
        self.misses.retain(|id, _| unlisted.contains(id));
        for id in unlisted {
            let misses = self.misses.entry(id.clone()).or_default();
            *misses += 1;
            if *misses >= MISSES_MAX {
                self.misses.remove(&id);
                self.jobs.end(&id, now, None, Outcome::Unknown, &mut self.meter);
            }
        }
    }
}

/// True for a job that is to be read: it lives, or its end has not been seen.
fn takes(jobs: &Jobs, id: &Value, job: &ListedJob, since: u64, meter: &mut Meter) -> bool {
    if jobs.is_live(id) {
        return true;
    }
    if job.state.is_final() {
        // A job may begin and end between two rounds.
        let is_new = job.end_time.0.is_some_and(|end| end >= since);
        if !is_new || jobs.is_known(id) {
            return false;
        }
    }
    let has_room = !jobs.is_full();
    meter.cut(Cut::Application, u64::from(!has_room));
    has_room
}

/// True for ids as Flink makes them; they become part of a path.
fn is_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl Scraper for FlinkScraper {
    fn scrape<'a>(&'a mut self, out: &'a mut Scraped) -> BoxFuture<'a, Result<(), ScrapeError>> {
        Box::pin(async move { self.round(Moment::now(), out).await })
    }

    fn interval(&self) -> Duration {
        let interval = self.meter.interval();
        if self.clusters.is_empty() {
            // Connections that are refused cost nobody anything, and logs wait for the job's id.
            return interval.min(SEARCH_INTERVAL);
        }
        // A JobManager answers the same until it has renewed what it knows.
        let fetched = self.clusters.values().filter_map(|cluster| cluster.fetch_interval);
        fetched.max().map_or(interval, |fetched| interval.max(fetched))
    }

    fn stats(&self) -> &ScrapeStats {
        self.meter.stats()
    }
}
