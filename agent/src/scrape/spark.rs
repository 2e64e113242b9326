//! The REST API of a Spark driver's UI.
//!
//! It asks for what is cheap (see `application.rs`), counts in ledgers that never go down, and
//! redacts every string where it enters.

mod application;
mod executors;
mod identity;
mod jobs;
mod ledger;
mod logs;
pub mod metrics;
mod peaks;
mod records;
pub(in crate::scrape) mod rest;
mod running;
mod skew;
mod spans;
mod stage_counters;
mod stages;
#[cfg(test)]
mod tests;

use crate::config::{Interval, Section};
use crate::export::{BoxFuture, BuildError};
use crate::findings::Thresholds;
use crate::identity::Identity;
use crate::scrape::http::{Client, HttpError, Limits, UrlError};
use crate::scrape::meter::{Cut, Meter, ScrapeStats};
use crate::scrape::runs::{self, Histories, Moment, Outcome, Run};
use crate::scrape::targets::{Target, Targets};
use crate::scrape::{
    Given, ScrapeError, Scraped, Scraper, ScraperConfig, ScraperDefinition, Shared,
};
use application::{Application, Context};
pub(crate) use executors::Removal;
pub(crate) use identity::{allowed_property, bounded, bounded_to, derived_name, named};
use logs::{Logs, Report};
pub(crate) use peaks::spark_bytes;
use redaction::{Redactor, Value};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Where Spark puts its UI: the first free port from 4040, 16 tries (`spark.port.maxRetries`).
const PORTS: std::ops::RangeInclusive<u16> = 4040..=4055;
/// Time between two rounds while no application is known.
const SEARCH_INTERVAL: Duration = Duration::from_secs(2);
/// Longest application id in bytes.
const APP_ID_BYTES_MAX: usize = 128;
/// Bounds of job and stage durations in seconds.
static DURATION_BOUNDS: &[f64] =
    &[0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1_800.0, 3_600.0, 14_400.0];

/// `spark`
pub const DEFINITION: ScraperDefinition =
    ScraperDefinition { name: "spark", is_default: true, configure };

fn configure(section: &mut Section<'_>) -> Box<dyn ScraperConfig> {
    let config: Config = section.parse();
    let interval_s = config.interval.0.as_secs();
    section.require("interval", (1..=3_600).contains(&interval_s), "must be from 1s to 1h");
    section.require_each("urls", &config.urls, |url| {
        Client::new(url, Limits::default()).err().map(|error| error.to_string())
    });
    Box::new(config)
}

/// `[scrapers.spark]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Base URLs of driver UIs, such as `http://127.0.0.1:4040`. Empty: ports 4040 to 4055 of this
    /// host are asked.
    pub urls: Vec<String>,
    /// Folder of event logs that are read as Spark writes them: all runs in it are reported, also those
    /// that end between two rounds. Empty: that of each application whose UI answers, if it has one on
    /// this host (`spark.eventLog.enabled`).
    pub event_log_dir: PathBuf,
    /// Time between two rounds. Default `10s`, at least `1s`. It doubles by itself while the UI is
    /// slow.
    pub interval: Interval,
    /// How long the last samples of an application stay after it ended. Default `5m`; `0` takes
    /// them away at once. It should be longer than two scrapes of `/metrics`.
    pub linger: Interval,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            event_log_dir: PathBuf::new(),
            interval: Interval::from_secs(10),
            linger: Interval::from_secs(300),
        }
    }
}

impl ScraperConfig for Config {
    fn build(&self, shared: &Shared) -> Result<Box<dyn Scraper>, BuildError> {
        let scraper = SparkScraper::new(self, shared);
        let failed =
            |error: BadUrl| BuildError { section: "scrapers.spark", reason: error.to_string() };
        Ok(Box::new(scraper.map_err(failed)?))
    }
}

/// A URL of the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("urls[{index}]: {source}")]
pub struct BadUrl {
    /// Position in [`Config::urls`].
    pub index: usize,
    /// What is wrong with it.
    pub source: UrlError,
}

/// Scrapes driver UIs.
#[derive(Debug)]
pub struct SparkScraper {
    redactor: Arc<Redactor>,
    identity: Arc<Identity>,
    given: Given,
    thresholds: Thresholds,
    linger: Duration,
    targets: Targets,
    logs: Logs,
    applications: BTreeMap<Value, Application>,
    histories: Histories,
    meter: Meter,
}

impl SparkScraper {
    /// A scraper for `config`.
    pub fn new(config: &Config, shared: &Shared) -> Result<Self, BadUrl> {
        Self::with_limits(config, shared, Limits::default())
    }

    fn with_limits(config: &Config, shared: &Shared, limits: Limits) -> Result<Self, BadUrl> {
        let targets = Targets::new(&config.urls, PORTS, limits, Client::new)
            .map_err(|(index, source)| BadUrl { index, source })?;
        let folder = Some(config.event_log_dir.as_path());
        let folder = folder.filter(|path| *path != Path::new(""));
        let linger = config.linger.0;
        Ok(Self {
            logs: Logs::new(folder, linger, shared),
            redactor: shared.redactor.clone(),
            identity: shared.identity.clone(),
            given: shared.given.clone(),
            thresholds: shared.findings.clone(),
            linger,
            targets,
            applications: BTreeMap::new(),
            histories: Histories::default(),
            meter: Meter::new(config.interval.0),
        })
    }

    async fn round(&mut self, now: Moment, out: &mut Scraped) -> Result<(), ScrapeError> {
        // First: what a log tells need not be asked for.
        self.read_logs(now).await;
        if self.targets.is_searching() {
            self.targets.search().await;
        }
        let mut result = Err(ScrapeError::Gone);
        let mut targets = std::mem::take(&mut self.targets.list);
        let is_searching = self.targets.is_searching();
        let mut kept = Vec::with_capacity(targets.len());
        for mut target in targets.drain(..) {
            let is_gone = self.ask(&mut target, now, &mut result).await;
            if !(is_gone && is_searching) {
                kept.push(target);
            }
        }
        self.targets.list = kept;
        self.end_without_ui(now);
        self.meter.finish_round();
        self.publish(now, out);
        result
    }

    /// Asks one UI, and adds what came of it to `result`. True when the UI is gone.
    async fn ask(
        &mut self,
        target: &mut Target,
        now: Moment,
        result: &mut Result<(), ScrapeError>,
    ) -> bool {
        // While no application is known nobody else is held up, and logs wait for its id.
        let is_alone = !self.applications.values().any(Application::is_live);
        if !target.is_due() && !is_alone {
            return false;
        }
        let is_searching = self.targets.is_searching();
        match self.visit(target, now).await {
            Ok(()) => {
                target.note_answer();
                if matches!(result, Err(ScrapeError::Gone)) {
                    *result = Ok(());
                }
            }
            Err(HttpError::Gone { .. }) => {
                let is_gone = target.note_miss();
                if is_gone {
                    for app_id in &target.app_ids {
                        self.lose_ui(app_id, now);
                    }
                    target.reset();
                }
                return is_gone;
            }
            Err(error) => {
                target.note_failure();
                if is_searching && target.is_starting() {
                    return false;
                }
                let (host, port) = (target.client.host(), target.client.port());
                *result = Err(ScrapeError::Failed(format!("{host}:{port}: {error}")));
            }
        }
        false
    }

    async fn visit(&mut self, target: &mut Target, now: Moment) -> Result<(), HttpError> {
        let client = &mut target.client;
        let path = "/api/v1/applications";
        let listed: rest::List<rest::Application> = client.get(path, &mut self.meter).await?;
        let ids: BTreeSet<Value> = listed
            .iter()
            .filter(|application| is_plain_id(&application.id))
            .map(|application| bounded(&application.id, &self.redactor))
            .collect();
        // The port has gone to another application.
        for ended in target.app_ids.difference(&ids) {
            self.lose_ui(ended, now);
        }
        if target.app_ids.is_disjoint(&ids) {
            target.version = None;
        }
        target.app_ids.retain(|app_id| ids.contains(app_id));
        for application in listed.iter() {
            self.visit_application(target, application, now).await?;
        }
        Ok(())
    }

    async fn visit_application(
        &mut self,
        target: &mut Target,
        listed: &rest::Application,
        now: Moment,
    ) -> Result<(), HttpError> {
        let default = rest::Attempt::default();
        let attempt = listed.attempts.first().unwrap_or(&default);
        let app_id = bounded(&listed.id, &self.redactor);
        let is_known = self.applications.contains_key(&app_id);
        if !is_known && attempt.completed {
            // A history server lists what ended long ago; that is another source.
            return Ok(());
        }
        let is_full = runs::is_full(&self.applications);
        if !is_plain_id(&listed.id) || (!is_known && is_full) {
            self.meter.cut(Cut::Application, 1);
            return Ok(());
        }
        let base = format!("/api/v1/applications/{}", listed.id);
        if !is_known {
            self.add(target, listed, attempt, &base, now).await?;
        }
        target.app_ids.insert(app_id.clone());
        let Some(application) = self.applications.get_mut(&app_id) else { return Ok(()) };
        if !application.is_live() && (attempt.completed || application.log_end().is_some()) {
            return Ok(());
        }
        let client = &mut target.client;
        let read = application.read(&base, client, &mut self.meter, now.unix_ms).await;
        if attempt.completed {
            let outcome = Outcome::from_exit_code(attempt.exit_code);
            self.end(&app_id, now, attempt.end_time.0, outcome);
        } else if !application.is_live() {
            self.revive(&app_id);
        }
        read
    }

    /// Takes back the end of an application that was out of reach for a while.
    ///
    /// Its end stays counted as unknown, which it was; a second end is counted again.
    fn revive(&mut self, app_id: &Value) {
        let Some(application) = self.applications.get(app_id) else { return };
        let job_name = &application.job.job_name;
        let slot = runs::free_slot(&self.applications, job_name, application.slot);
        if let Some(application) = self.applications.get_mut(app_id) {
            application.ended = None;
            application.job.end_unix_ms = None;
            application.slot = slot;
        }
    }

    async fn add(
        &mut self,
        target: &mut Target,
        listed: &rest::Application,
        attempt: &rest::Attempt,
        base: &str,
        now: Moment,
    ) -> Result<(), HttpError> {
        let (client, meter) = (&mut target.client, &mut self.meter);
        let version = match &target.version {
            Some(version) => version.clone(),
            None => {
                let answer: rest::Version = client.get("/api/v1/version", meter).await?;
                target.version.insert(bounded(&answer.spark, &self.redactor)).clone()
            }
        };
        let environment = match client.get(&format!("{base}/environment"), meter).await {
            Err(error) if error.concerns_target() => return Err(error),
            // Numbers without properties are better than none.
            answer => answer.unwrap_or_else(|_| rest::Environment::default()),
        };
        if let Some(folder) = logs::folder_of(&environment.spark_properties) {
            self.logs.follow(folder, &listed.id);
        }
        self.insert((listed, attempt, &environment), &version, now.unix_ms);
        Ok(())
    }

    fn insert(
        &mut self,
        (listed, attempt, environment): (&rest::Application, &rest::Attempt, &rest::Environment),
        version: &Value,
        unix_ms: u64,
    ) {
        let context = Context {
            redactor: &self.redactor,
            identity: &self.identity,
            given: &self.given,
            thresholds: &self.thresholds,
            version,
            unix_ms,
        };
        let mut application = Application::new(listed, attempt, environment, &context);
        application.slot = runs::free_slot(&self.applications, &application.job.job_name, 0);
        self.applications.insert(application.job.job_id.clone(), application);
    }

    /// Reads on in the event logs, and takes what they tell.
    async fn read_logs(&mut self, now: Moment) {
        self.logs.begin();
        let (reports, n_cut) = self.logs.finish().await;
        self.meter.cut(Cut::Application, n_cut);
        for report in reports {
            self.take_report(report, now);
        }
    }

    fn take_report(&mut self, report: Report, now: Moment) {
        let default = rest::Attempt::default();
        let attempt = report.application.attempts.first().unwrap_or(&default);
        let app_id = bounded(&report.application.id, &self.redactor);
        if !self.applications.contains_key(&app_id) {
            if runs::is_full(&self.applications) {
                self.meter.cut(Cut::Application, 1);
                return;
            }
            let new = (&report.application, attempt, &report.environment);
            self.insert(new, &report.version, now.unix_ms);
        }
        let Some(application) = self.applications.get_mut(&app_id) else { return };
        let number = |attempt: Option<&str>| attempt.and_then(|it| it.parse::<u64>().ok());
        let attempts =
            (number(application.job.attempt.as_deref()), number(attempt.attempt_id.as_deref()));
        if attempts.1 > attempts.0 {
            // Resource managers start an application anew under the same id.
            self.end(&app_id, now, None, Outcome::Unknown);
            let new = (&report.application, attempt, &report.environment);
            self.insert(new, &report.version, now.unix_ms);
        } else if attempts.1 < attempts.0 {
            self.meter.cut(Cut::Application, 1);
            return;
        }
        let Some(application) = self.applications.get_mut(&app_id) else { return };
        application.read_log(report, now, &mut self.meter);
        if let Some((end_unix_ms, outcome)) = application.log_end() {
            self.end(&app_id, now, Some(end_unix_ms), outcome);
        }
    }

    /// Ends an application whose UI is gone, unless its log is about to tell how it ended.
    fn lose_ui(&mut self, app_id: &Value, now: Moment) {
        let application = self.applications.get_mut(app_id);
        if application.is_some_and(|application| application.lose_ui(now.instant)) {
            self.end(app_id, now, None, Outcome::Unknown);
        }
    }

    /// Ends those whose log has not told of an end in time.
    fn end_without_ui(&mut self, now: Moment) {
        let applications = self.applications.iter();
        let lost = applications.filter(|(_, application)| application.is_silent(now.instant));
        let lost: Vec<Value> = lost.map(|(app_id, _)| app_id.clone()).collect();
        for app_id in lost {
            self.lose_ui(&app_id, now);
        }
    }

    fn end(&mut self, app_id: &Value, now: Moment, end_unix_ms: Option<u64>, outcome: Outcome) {
        let Some(application) = self.applications.get_mut(app_id) else { return };
        if application.is_live() {
            application.end(now.instant, end_unix_ms, outcome, &mut self.meter);
            self.logs.forget(app_id);
            self.histories.finish(&application.job, outcome, &mut self.meter);
        }
    }

    /// Writes jobs and samples, and lets go of applications that ended long enough ago.
    fn publish(&mut self, now: Moment, out: &mut Scraped) {
        for app_id in runs::expired(&self.applications, now, self.linger) {
            let owns = runs::owns_series(&self.applications, &app_id);
            let Some(mut application) = self.applications.remove(&app_id) else { continue };
            out.spans.extend(application.take_spans());
            out.logs.extend(application.take_records());
            if owns {
                out.metrics.push(application.empty_batch(now.unix_ms));
            }
        }
        let applications = &self.applications;
        let owns = |id: &&Value| runs::owns_series(applications, id);
        let owners: BTreeSet<Value> = applications.keys().filter(owns).cloned().collect();
        for (app_id, application) in &mut self.applications {
            out.jobs.push(application.job.clone());
            out.spans.extend(application.take_spans());
            out.logs.extend(application.take_records());
            if owners.contains(app_id) {
                out.metrics.push(application.batch());
            }
        }
        out.metrics.extend(self.histories.batches(now.unix_ms));
    }
}

/// True for ids as Spark and its resource managers make them; they become part of a path.
fn is_plain_id(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=APP_ID_BYTES_MAX).contains(&id.len()) && !id.starts_with('.') && id.bytes().all(is_plain)
}

impl Scraper for SparkScraper {
    fn scrape<'a>(&'a mut self, out: &'a mut Scraped) -> BoxFuture<'a, Result<(), ScrapeError>> {
        Box::pin(async move { self.round(Moment::now(), out).await })
    }

    fn interval(&self) -> Duration {
        let interval = self.meter.interval();
        // Connections that are refused cost nobody anything, and logs wait for the job's id.
        if self.applications.values().any(Application::is_live) {
            interval
        } else {
            interval.min(SEARCH_INTERVAL)
        }
    }

    fn stats(&self) -> &ScrapeStats {
        self.meter.stats()
    }
}
