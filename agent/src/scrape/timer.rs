//! Runs one scraper on its interval and hands on what it brings.

use super::{ScrapeError, Scraped, Scraper};
use crate::model::Batch;
use crate::scrape::Job;
use crate::scrape::meter::{Cut, Outcome, ScrapeStats};
use crate::scrape::pricing::Prices;
use crate::telemetry::{self, push};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{mpsc, watch};

/// What the last scrape before the end may take.
const LAST_SCRAPE: Duration = Duration::from_secs(2);
/// How long records of a scraper wait for room in the queue of a lane.
const RECORDS_WAIT: Duration = Duration::from_secs(5);

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

    /// Forgets what scrapers saw that are not among these.
    pub fn keep(&self, scrapers: &[&'static str]) {
        let seen: Vec<_> = {
            let table = self.by_scraper.lock().unwrap_or_else(PoisonError::into_inner);
            table.keys().copied().collect()
        };
        for gone in seen.into_iter().filter(|name| !scrapers.contains(name)) {
            self.replace(gone, Vec::new());
        }
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

/// The lanes that take what scrapers bring.
#[derive(Debug, Clone, Default)]
pub struct Outlets {
    /// For records.
    pub logs: Queues,
    /// For samples.
    pub metrics: Queues,
    /// For spans.
    pub spans: Queues,
    /// What runs cost, where the operator says so.
    pub prices: Option<Arc<Prices>>,
}

impl Outlets {
    /// Hands everything to every lane that has room. Records wait for it a little: they come once, and
    /// a queue that logs fill has room again when the lane has sent a batch.
    async fn send(&self, scraped: Scraped) {
        for mut batch in scraped.metrics {
            if let Some(prices) = &self.prices {
                prices.add(&mut batch);
            }
            let batch = Batch::metrics(batch);
            for (exporter, queue) in &self.metrics {
                // Old gauges are worth nothing: a full queue drops them, and says so.
                if queue.try_send(batch.clone()).is_err() {
                    telemetry::METRIC_BATCHES_DROPPED.add(exporter, 1);
                }
            }
        }
        for spans in scraped.spans {
            offer(&self.spans, &Batch::spans(spans), Duration::ZERO).await;
        }
        for records in scraped.logs {
            offer(&self.logs, &Batch::records(records), RECORDS_WAIT).await;
        }
    }
}

/// Hands a batch to every lane that has room within `wait`; a full queue drops it, and counts.
async fn offer(queues: &Queues, batch: &Arc<Batch>, wait: Duration) {
    for (exporter, queue) in queues {
        if queue.send_timeout(batch.clone(), wait).await.is_err() {
            let n_items = batch.signal.len() as u64;
            telemetry::LANE_DROPPED_BATCHES.add(exporter, "queue_full", 1);
            telemetry::LANE_DROPPED_RECORDS.add(exporter, "queue_full", n_items);
        }
    }
}

/// How long scrapers go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// For now.
    Never,
    /// For one more round: the job that just ended has its final numbers now.
    AfterLastRound,
    /// At once, so that the next config takes them over with what they have counted.
    HandOver,
}

/// A scraper that runs, or may run on.
pub struct Running {
    /// Name of its section.
    pub name: &'static str,
    scraper: Box<dyn Scraper>,
    since: Instant,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Running {
    /// It has not done anything yet.
    #[must_use]
    pub fn new(name: &'static str, scraper: Box<dyn Scraper>) -> Self {
        Self { name, scraper, since: Instant::now() }
    }
}

/// Scrapes until `end` says so. Returns the scraper unless a round had to be given up, which may
/// leave it in any state.
pub async fn run(
    mut running: Running,
    jobs: Arc<JobTable>,
    outlets: Outlets,
    mut end: watch::Receiver<End>,
) -> Option<Running> {
    let Running { name, ref mut scraper, since } = running;
    let mut reported = scraper.stats().clone();
    let mut failing = None;
    loop {
        let is_whole = round(name, scraper.as_mut(), &jobs, &outlets, &mut failing, &mut end).await;
        report(name, scraper.stats(), &mut reported, since.elapsed());
        if !is_whole {
            return None;
        }
        if *end.borrow() != End::Never {
            return Some(running);
        }
        let interval = scraper.interval();
        // An end during the pause brings the last round at once.
        let _ = tokio::time::timeout(interval, told(&mut end)).await;
        if *end.borrow() == End::HandOver {
            return Some(running);
        }
    }
}

/// One round. False when it was given up: one that goes on after the end may take only so long, as a
/// target that hangs must not hold the end up.
async fn round(
    name: &'static str,
    scraper: &mut dyn Scraper,
    jobs: &JobTable,
    outlets: &Outlets,
    failing: &mut Option<String>,
    end: &mut watch::Receiver<End>,
) -> bool {
    let mut scraped = Scraped::default();
    let began = SystemTime::now();
    let result = {
        let mut scrape = scraper.scrape(&mut scraped);
        tokio::select! {
            biased;
            () = told(end) => {
                tokio::time::timeout(LAST_SCRAPE, &mut scrape).await.ok()
            }
            result = &mut scrape => Some(result),
        }
    };
    let Some(result) = result else {
        tracing::info!(scraper = name, "the last scrape took too long and was given up");
        push::scraped(name, "timeout", began);
        return false;
    };
    match &result {
        Ok(()) => push::scraped(name, "ok", began),
        Err(ScrapeError::Failed(_)) => push::scraped(name, "error", began),
        // Nobody was there to be asked.
        Err(ScrapeError::Gone) => {}
    }
    complain(name, result, failing);
    jobs.replace(name, std::mem::take(&mut scraped.jobs));
    outlets.send(scraped).await;
    true
}

/// Waits for the end.
async fn told(end: &mut watch::Receiver<End>) {
    // The app keeps the sender until it has joined this task.
    drop(end.wait_for(|end| *end != End::Never).await);
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
    use super::{End, JobTable, Outlets, RECORDS_WAIT, Running, run};
    use crate::export::BoxFuture;
    use crate::model::{LogBatch, MetricBatch, Span, SpanBatch, SpanStatus};
    use crate::scrape::meter::ScrapeStats;
    use crate::scrape::{ScrapeError, Scraped, Scraper};
    use crate::telemetry;
    use redaction::{Text, Value};
    use std::sync::Arc;
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
                    resource: Arc::default(),
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

    /// Rounds that were brought, how long the end took, and whether the scraper is left, when it is
    /// ended after 25 seconds.
    async fn check(takes: Duration, end: End) -> (usize, Duration, bool) {
        let (queue, mut batches) = mpsc::channel(100);
        let (ends, told) = watch::channel(End::Never);
        let scraper = Slow { takes, stats: ScrapeStats::default() };
        let (jobs, _seen) = JobTable::new();
        let running = Running::new("spark", Box::new(scraper));
        let task = tokio::spawn(run(
            running,
            jobs,
            Outlets { metrics: vec![("x", queue)], ..Outlets::default() },
            told,
        ));
        tokio::time::sleep(Duration::from_secs(25)).await;
        let ended = Instant::now();
        ends.send_replace(end);
        let is_left = task.await.unwrap().is_some();
        let mut n_batches = 0;
        while batches.try_recv().is_ok() {
            n_batches += 1;
        }
        (n_batches, ended.elapsed(), is_left)
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_brings_one_last_round_and_a_hanging_target_does_not_hold_it_up() {
        let (short, long) = (Duration::from_secs(1), Duration::from_secs(60));
        // Rounds at 0, 11 and 22 seconds, and the last one.
        assert_eq!(check(short, End::AfterLastRound).await, (4, short, true));
        // The round that runs at the end is the last; it is given up after two seconds.
        assert_eq!(check(long, End::AfterLastRound).await, (0, Duration::from_secs(2), false));
        assert_eq!(check(long, End::HandOver).await, (0, Duration::from_secs(2), false));
        // Nothing is asked once more when another agent goes on.
        assert_eq!(check(short, End::HandOver).await, (3, Duration::ZERO, true));
    }

    #[tokio::test]
    async fn a_full_queue_drops_spans_and_counts_them() {
        let dropped = || telemetry::LANE_DROPPED_RECORDS.get("file", "queue_full").unwrap_or(0.0);
        let span = Span {
            trace_id: [1; 16],
            span_id: [1; 8],
            parent_span_id: None,
            name: Value::literal("work"),
            start_unix_ns: 1,
            end_unix_ns: 2,
            status: SpanStatus::Unset,
            attributes: Vec::new(),
        };
        let batch = SpanBatch { resource: Arc::default(), spans: vec![span.clone(), span] };
        let (queue, mut batches) = mpsc::channel(1);
        let outlets = Outlets { spans: vec![("file", queue)], ..Outlets::default() };
        let before = dropped();
        outlets.send(Scraped { spans: vec![batch.clone(), batch], ..Scraped::default() }).await;
        assert_eq!(batches.try_recv().unwrap().signal.len(), 2);
        assert!(batches.try_recv().is_err());
        assert_eq!(dropped() - before, 2.0);
    }

    #[tokio::test(start_paused = true)]
    async fn records_wait_for_room_and_not_for_ever() {
        let dropped =
            || telemetry::LANE_DROPPED_BATCHES.get("records", "queue_full").unwrap_or(0.0);
        let records = || LogBatch {
            resource: Arc::default(),
            text: Text::default(),
            records: Vec::new(),
            covers: None,
        };
        let (queue, mut batches) = mpsc::channel(1);
        let outlets = Outlets { logs: vec![("records", queue)], ..Outlets::default() };
        let (begin, before) = (Instant::now(), dropped());
        let two = Scraped { logs: vec![records(), records()], ..Scraped::default() };
        let taken = async {
            tokio::time::sleep(RECORDS_WAIT / 2).await;
            batches.recv().await
        };
        let ((), first) = tokio::join!(outlets.send(two), taken);
        assert!(first.is_some() && batches.try_recv().is_ok(), "both arrive");
        assert_eq!((dropped() - before, begin.elapsed()), (0.0, RECORDS_WAIT / 2));
        // Nobody takes the first of these.
        let two = Scraped { logs: vec![records(), records()], ..Scraped::default() };
        outlets.send(two).await;
        assert_eq!((dropped() - before, begin.elapsed()), (1.0, RECORDS_WAIT / 2 + RECORDS_WAIT));
    }
}
