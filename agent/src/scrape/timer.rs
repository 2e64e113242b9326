//! Runs one scraper on its interval and hands on what it brings.

use super::{ScrapeError, Scraped, Scraper};
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
        let before = table.insert(scraper, jobs).unwrap_or_default();
        tell_changes(&before, &table[scraper]);
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

/// One line for each job that came or ended.
fn tell_changes(before: &[Job], now: &[Job]) {
    for job in now {
        let known = before.iter().find(|it| it.job_id == job.job_id);
        let (job_id, job_name) = (job.job_id.as_str(), job.job_name.as_str());
        if known.is_none() {
            tracing::info!(job_id, job_name, "found a job");
        }
        let is_end_new = known.is_none_or(|it| it.end_unix_ms.is_none());
        if job.end_unix_ms.is_some() && is_end_new {
            tracing::info!(job_id, job_name, "the job has ended");
        }
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
    let mut failing = None;
    let began = Instant::now();
    loop {
        let is_last = round(name, scraper.as_mut(), &jobs, &queues, &mut failing, &mut stop).await;
        report(name, scraper.stats(), &mut reported, began.elapsed());
        if is_last {
            return;
        }
        let interval = scraper.interval();
        // A stop during the pause brings the last round at once.
        let _ = tokio::time::timeout(interval, told(&mut stop)).await;
    }
}

/// One round. True when it was the last one: it began, or went on, after the stop. That one may
/// take only so long, as a target that hangs must not hold the end up.
async fn round(
    name: &'static str,
    scraper: &mut dyn Scraper,
    jobs: &JobTable,
    queues: &Queues,
    failing: &mut Option<String>,
    stop: &mut watch::Receiver<bool>,
) -> bool {
    let mut scraped = Scraped::default();
    let result = {
        let mut scrape = scraper.scrape(&mut scraped);
        tokio::select! {
            biased;
            () = told(stop) => {
                tokio::time::timeout(LAST_SCRAPE, &mut scrape).await.ok()
            }
            result = &mut scrape => Some(result),
        }
    };
    let Some(result) = result else {
        tracing::info!(scraper = name, "the last scrape took too long and was given up");
        return true;
    };
    complain(name, result, failing);
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
    *stop.borrow()
}

/// Waits for the stop.
async fn told(stop: &mut watch::Receiver<bool>) {
    // The app keeps the sender until it has joined this task.
    drop(stop.wait_for(|is_over| *is_over).await);
}

/// Says once what is wrong, and once that it is over; counters say how often.
fn complain(name: &'static str, result: Result<(), ScrapeError>, failing: &mut Option<String>) {
    match result {
        Ok(()) => {
            if failing.take().is_some() {
                tracing::info!(scraper = name, "answers again");
            }
        }
        // No application runs, which is no fault.
        Err(ScrapeError::Gone) => *failing = None,
        Err(ScrapeError::Failed(error)) => {
            if failing.as_ref() != Some(&error) {
                tracing::warn!(scraper = name, error, "scrape failed; logs are read all the same");
                *failing = Some(error);
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
    telemetry::SCRAPE_BUSY_RATIO.set(name, stats.busy_ratio(wall));
    reported.clone_from(stats);
}

#[cfg(test)]
mod tests {
    use super::{JobTable, run};
    use crate::export::BoxFuture;
    use crate::model::MetricBatch;
    use crate::scrape::meter::ScrapeStats;
    use crate::scrape::{ScrapeError, Scraped, Scraper};
    use std::time::Duration;
    use tokio::sync::{mpsc, watch};
    use tokio::time::Instant;

    /// Brings one batch a round; a round takes `takes`.
    struct Slow {
        takes: Duration,
        stats: ScrapeStats,
    }

    impl Scraper for Slow {
        fn scrape<'a>(
            &'a mut self,
            out: &'a mut Scraped,
        ) -> BoxFuture<'a, Result<(), ScrapeError>> {
            Box::pin(async move {
                tokio::time::sleep(self.takes).await;
                let samples = Vec::new();
                out.metrics.push(MetricBatch {
                    labels: vec![],
                    created_unix_ms: 0,
                    time_unix_ms: 0,
                    samples,
                });
                Ok(())
            })
        }
        fn interval(&self) -> Duration {
            Duration::from_secs(10)
        }
        fn stats(&self) -> &ScrapeStats {
            &self.stats
        }
    }

    /// Rounds that were brought, and how long the end took, when stopped after 25 seconds.
    async fn check(takes: Duration) -> (usize, Duration) {
        let (queue, mut batches) = mpsc::channel(100);
        let (stop, stopped) = watch::channel(false);
        let scraper = Slow { takes, stats: ScrapeStats::default() };
        let (jobs, _seen) = JobTable::new();
        let task = tokio::spawn(run("spark", Box::new(scraper), jobs, vec![("x", queue)], stopped));
        tokio::time::sleep(Duration::from_secs(25)).await;
        let told = Instant::now();
        stop.send_replace(true);
        task.await.unwrap();
        let mut n_batches = 0;
        while batches.try_recv().is_ok() {
            n_batches += 1;
        }
        (n_batches, told.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_brings_one_last_round_and_a_hanging_target_does_not_hold_it_up() {
        // Rounds at 0, 11 and 22 seconds, and the last one.
        assert_eq!(check(Duration::from_secs(1)).await, (4, Duration::from_secs(1)));
        // The round that runs at the stop is the last; it is given up after two seconds.
        assert_eq!(check(Duration::from_secs(60)).await, (0, Duration::from_secs(2)));
    }
}
