//! Runs one scraper on its interval and hands on what it brings.

use super::{Scraped, Scraper};
use crate::model::Batch;
use crate::scrape::Job;
use crate::scrape::meter::{Cut, Outcome, ScrapeStats};
use crate::telemetry;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// What the last scrape before the end may take.
const LAST_SCRAPE: Duration = Duration::from_secs(2);

/// Jobs as all scrapers together see them.
#[derive(Debug)]
pub struct JobTable {
    by_scraper: Mutex<BTreeMap<&'static str, Vec<Job>>>,
    merged: watch::Sender<Arc<Vec<Job>>>,
}

impl JobTable {
    /// An empty table and the end at which to read it.
    #[must_use]
    pub fn new() -> (Arc<Self>, watch::Receiver<Arc<Vec<Job>>>) {
        let (merged, jobs) = watch::channel(Arc::default());
        (Arc::new(Self { by_scraper: Mutex::default(), merged }), jobs)
    }

    /// Replaces what one scraper sees; readers hear of it only when something changed.
    pub fn replace(&self, scraper: &'static str, jobs: Vec<Job>) {
        let mut table = self.by_scraper.lock().unwrap_or_else(PoisonError::into_inner);
        table.insert(scraper, jobs);
        let all: Vec<Job> = table.values().flatten().cloned().collect();
        self.merged.send_if_modified(|merged| {
            let is_new = **merged != all;
            if is_new {
                *merged = Arc::new(all);
            }
            is_new
        });
    }
}

/// Queues of lanes, by the name of their exporter.
pub type Queues = Vec<(&'static str, mpsc::Sender<Arc<Batch>>)>;

/// Scrapes until `stop` says so, then once more, as the job that just ended has its final numbers
/// now.
pub async fn run(
    name: &'static str,
    mut scraper: Box<dyn Scraper>,
    jobs: Arc<JobTable>,
    queues: Queues,
    mut stop: watch::Receiver<bool>,
) {
    let mut reported = ScrapeStats::default();
    let began = Instant::now();
    loop {
        tokio::select! {
            () = round(name, scraper.as_mut(), &jobs, &queues) => {}
            // A target that hangs must not hold the end up.
            _ = stop.wait_for(|is_over| *is_over) => break,
        }
        report(name, scraper.stats(), &mut reported, began.elapsed());
        let interval = scraper.interval();
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            _ = stop.wait_for(|is_over| *is_over) => break,
        }
    }
    let last = round(name, scraper.as_mut(), &jobs, &queues);
    if tokio::time::timeout(LAST_SCRAPE, last).await.is_err() {
        tracing::info!(scraper = name, "the last scrape took too long and was given up");
    }
}

async fn round(name: &'static str, scraper: &mut dyn Scraper, jobs: &JobTable, queues: &Queues) {
    let mut scraped = Scraped::default();
    if let Err(error) = scraper.scrape(&mut scraped).await {
        tracing::debug!(scraper = name, %error, "scrape failed");
    }
    jobs.replace(name, scraped.jobs);
    for metrics in scraped.metrics {
        let batch = Batch::metrics(metrics);
        for (exporter, queue) in queues {
            // Old gauges are worth nothing: a full queue drops them, and says so.
            if queue.try_send(batch.clone()).is_err() {
                telemetry::METRIC_BATCHES_DROPPED.add(exporter, 1);
            }
        }
    }
}

/// Adds what the scraper cost since the last report to the agent's own metrics.
fn report(name: &'static str, stats: &ScrapeStats, reported: &mut ScrapeStats, wall: Duration) {
    for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
        let n_requests = stats.requests[index] - reported.requests[index];
        telemetry::SCRAPES.add(name, outcome.as_str(), n_requests);
    }
    for (index, cut) in Cut::ALL.into_iter().enumerate() {
        telemetry::SCRAPE_CUT.add(name, cut.as_str(), stats.cut[index] - reported.cut[index]);
    }
    telemetry::SCRAPE_BYTES.add(name, stats.response_bytes - reported.response_bytes);
    telemetry::SCRAPE_SECONDS.add_seconds(name, (stats.busy - reported.busy).as_secs_f64());
    if !wall.is_zero() {
        telemetry::SCRAPE_BUSY_RATIO.set(name, stats.busy.as_secs_f64() / wall.as_secs_f64());
    }
    reported.clone_from(stats);
}
