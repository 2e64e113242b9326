//! What comes into a lane: its queue, what waits behind it, and the spool.
//!
//! The order of a lane is: spool, what is being stored, what waits in memory, queue. A batch is
//! settled when it is on the disk or delivered, and never before the one ahead of it.

use super::head::Head;
use super::{Status, lock};
use crate::export::spool::{Spool, Stop};
use crate::health::Health;
use crate::model::{Batch, LogBatch, Signal, SignalKind};
use crate::policy::Redactors;
use crate::telemetry;
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep_until};

/// Batches that are stored, and synced, together at most.
const GROUP_BATCHES_MAX: usize = 64;
/// Pause before a disk that failed is tried again.
pub(super) const DISK_PAUSE: Duration = Duration::from_secs(1);

/// Why what waits in memory is not stored now.
#[derive(Debug, Clone, Copy)]
enum Blocked {
    /// There is no spool.
    ForGood,
    /// Until something of the spool is delivered.
    Full,
    /// Until the disk is tried again.
    Until(Instant),
}

/// What comes next in a lane.
#[derive(Debug)]
pub(super) enum Next {
    /// A batch to deliver.
    Batch(Head),
    /// What was not to be waited for longer.
    Due,
    /// Nothing any more, or the lane is stopped.
    End,
}

/// What a task that stored batches gives back.
#[derive(Debug)]
struct Stored {
    left: VecDeque<Arc<Batch>>,
    stop: Option<Stop>,
}

/// See the head of the file.
#[derive(Debug)]
pub(super) struct Intake {
    name: &'static str,
    signal: SignalKind,
    queue: mpsc::Receiver<Arc<Batch>>,
    is_closed: bool,
    rules: Option<u64>,
    pending: VecDeque<Arc<Batch>>,
    storing: Option<JoinHandle<Stored>>,
    spool: Option<Arc<Mutex<Spool>>>,
    is_required: bool,
    blocked: Option<Blocked>,
    redactors: Arc<Redactors>,
    health: Arc<Health>,
    status: Arc<Status>,
}

impl Intake {
    pub(super) fn new(
        (name, signal): (&'static str, SignalKind),
        queue: mpsc::Receiver<Arc<Batch>>,
        spool: Option<Spool>,
        is_required: bool,
        (redactors, health): (Arc<Redactors>, Arc<Health>),
        status: Arc<Status>,
    ) -> Self {
        let rules = Some(redactors.fingerprint());
        let spool = spool.map(|mut spool| {
            spool.set_rules(rules);
            Arc::new(Mutex::new(spool))
        });
        Self {
            name,
            signal,
            queue,
            is_closed: false,
            rules,
            pending: VecDeque::new(),
            storing: None,
            spool,
            is_required,
            blocked: None,
            redactors,
            health,
            status,
        }
    }

    /// What everything is redacted with.
    pub(super) fn redactors(&self) -> Arc<Redactors> {
        self.redactors.clone()
    }

    /// Which rules all that came was redacted with, when that is known.
    pub(super) fn rules(&self) -> Option<u64> {
        self.rules
    }

    pub(super) fn has_spool(&self) -> bool {
        self.spool.is_some()
    }

    /// True while that is what the lane is to deliver next. A live one is not any more once it is
    /// stored: it comes again from the spool.
    pub(super) fn has(&self, head: &Head) -> bool {
        let is_first = |batch| self.pending.front().is_some_and(|first| Arc::ptr_eq(first, batch));
        head.live.as_ref().is_none_or(is_first)
    }

    /// True when the queue is closed and everything that came out of it is settled.
    pub(super) fn is_settled(&self) -> bool {
        self.is_closed && self.pending.is_empty() && self.storing.is_none()
    }

    /// Puts batches before those of the queue.
    pub(super) fn put_first(&mut self, batches: Vec<Arc<Batch>>) {
        if !batches.is_empty() {
            // They may have been redacted with the rules of another config.
            self.rules = None;
            self.spool.iter().for_each(|spool| lock(spool).set_rules(None));
        }
        self.pending.extend(batches);
    }

    /// Ends the taking in: what the queue holds and what waits in memory goes to the spool, if it may,
    /// and what finds no place there is handed back. Nothing is given up, also where the lane is not
    /// required.
    pub(super) async fn end(mut self, may_store: bool) -> Vec<Arc<Batch>> {
        while self.storing.is_some() {
            self.step().await;
        }
        // Whoever still has something to send gets it back.
        self.is_closed = self.queue.is_closed();
        self.queue.close();
        while let Some(batch) = self.queue.recv().await {
            self.pending.push_back(batch);
        }
        if may_store && !self.pending.is_empty() {
            self.is_required = true;
            self.blocked = None;
            self.store().await;
        }
        self.note_closed();
        let n_unsent = self.pending.iter().map(|batch| batch.signal.len() as u64).sum();
        self.status.unsent.store(n_unsent, Ordering::Relaxed);
        self.pending.into()
    }

    /// The next batch to deliver. Waits for one no longer than until `due`. Not to be dropped before
    /// it is done: it would be half way through a batch.
    pub(super) async fn next(&mut self, due: Option<Instant>) -> Next {
        let status = self.status.clone();
        while !status.is_stopping() {
            if self.status.spool.batches() > 0 {
                match self.load().await {
                    Ok(Some(signal)) if signal.says_nothing() => self.advance().await,
                    Ok(Some(signal)) => return Next::Batch(Head::spooled(signal)),
                    Ok(None) => {}
                    Err(()) => {
                        let end = Instant::now() + DISK_PAUSE;
                        self.run_while(status.sleep_until(end)).await;
                    }
                }
            } else if self.storing.is_some() {
                self.step().await;
            } else if let Some(batch) = self.pending.front() {
                if !batch.signal.says_nothing() {
                    return Next::Batch(Head::live(batch.clone()));
                }
                // A batch whose records were all dropped only settles its position, in its turn.
                self.settle_live().await;
            } else if self.is_closed {
                self.note_closed();
                return Next::End;
            } else {
                tokio::select! {
                    biased;
                    () = status.stopped() => return Next::End,
                    batch = self.queue.recv() => {
                        telemetry::QUEUE_BATCHES.set(self.name, self.signal.as_str(), self.queue.len() as f64);
                        self.is_closed = batch.is_none();
                        self.pending.extend(batch);
                    }
                    () = until(due) => return Next::Due,
                }
            }
        }
        Next::End
    }

    async fn load(&mut self) -> Result<Option<Signal>, ()> {
        let Some(spool) = self.spool.clone() else { return Ok(None) };
        let redactors = self.redactors.clone();
        let read = spawn_blocking(move || lock(&spool).front(&redactors)).await;
        match read {
            Ok(Ok(logs)) => {
                self.degrade("spool_unreadable", false);
                Ok(logs.map(Signal::Logs))
            }
            Ok(Err(error)) => {
                telemetry::SPOOL_ERRORS.add(self.name, 1);
                if self.degrade("spool_unreadable", true) {
                    let exporter = self.name;
                    tracing::error!(exporter, %error, "the spool cannot be read; trying again");
                }
                Err(())
            }
            // The runtime is ending.
            Err(_) => Err(()),
        }
    }

    /// The batch at the front of the spool is delivered.
    pub(super) async fn advance(&mut self) {
        let Some(spool) = self.spool.clone() else { return };
        let _ = spawn_blocking(move || lock(&spool).advance()).await;
        if matches!(self.blocked, Some(Blocked::Full)) {
            self.blocked = None;
        }
    }

    /// The oldest batch in memory is delivered.
    pub(super) async fn settle_live(&mut self) {
        if let Some(batch) = self.pending.pop_front() {
            batch.settle().await;
        }
        if self.pending.is_empty() {
            self.note_unblocked();
        }
    }

    /// The oldest batches in memory, `n_max` at most, up to one that says nothing.
    pub(super) fn first(&mut self, n_max: usize) -> Vec<Arc<Batch>> {
        while self.pending.len() < n_max {
            let Ok(batch) = self.queue.try_recv() else { break };
            self.pending.push_back(batch);
        }
        let to_deliver = self.pending.iter().take_while(|batch| !batch.signal.says_nothing());
        to_deliver.take(n_max).cloned().collect()
    }

    /// These, which wait in memory, are delivered.
    pub(super) async fn settle_some(&mut self, delivered: &[Arc<Batch>]) {
        for batch in delivered {
            self.pending.retain(|waiting| !Arc::ptr_eq(waiting, batch));
            batch.settle().await;
        }
        if self.pending.is_empty() {
            self.note_unblocked();
        }
    }

    /// The oldest batch in memory is given up.
    pub(super) async fn drop_live(&mut self, reason: &'static str) {
        if let Some(batch) = self.pending.front() {
            count_dropped(self.name, reason, batch, &self.status);
        }
        self.settle_live().await;
    }

    /// Does `work`, and meanwhile takes batches into the spool, so that no queue is full for long.
    pub(super) async fn run_while<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                output = &mut work => return output,
                () = self.step() => {}
            }
        }
    }

    /// Takes batches into the spool until `end`, until all that came is settled and no more will, or
    /// until the lane is stopped.
    pub(super) async fn wait(&mut self, end: Instant) {
        let status = self.status.clone();
        while !self.is_settled() {
            tokio::select! {
                biased;
                () = status.sleep_until(end) => return,
                () = self.step() => {}
            }
        }
    }

    /// Stores what waits in memory; true when nothing of it is left there.
    pub(super) async fn store(&mut self) -> bool {
        loop {
            let is_waiting = self.pending.is_empty() || self.blocked.is_some();
            if is_waiting && self.storing.is_none() {
                return self.pending.is_empty();
            }
            self.step().await;
        }
    }

    /// One step of taking in. May be dropped at any await: nothing is held but in `self`.
    async fn step(&mut self) {
        if let Some(task) = &mut self.storing {
            let stored = task.await;
            self.storing = None;
            match stored {
                Ok(stored) => self.note(stored),
                // The runtime is ending; what was not stored is not settled either.
                Err(_) => std::future::pending().await,
            }
        } else if !self.pending.is_empty() && !self.waits_for_newer() {
            match self.blocked {
                None => {
                    let batches = std::mem::take(&mut self.pending);
                    let spool = self.spool.clone();
                    let task =
                        store(self.name, spool, batches, self.is_required, self.status.clone());
                    self.storing = Some(tokio::spawn(task));
                }
                Some(Blocked::Until(end)) => {
                    sleep_until(end).await;
                    self.blocked = None;
                }
                Some(Blocked::Full | Blocked::ForGood) => std::future::pending().await,
            }
        } else if self.is_closed {
            std::future::pending().await
        } else {
            let mut batches = Vec::new();
            let n_batches = self.queue.recv_many(&mut batches, GROUP_BATCHES_MAX).await;
            telemetry::QUEUE_BATCHES.set(self.name, self.signal.as_str(), self.queue.len() as f64);
            self.is_closed = n_batches == 0;
            self.pending.extend(batches);
            self.drop_stale();
            self.note_closed();
        }
    }

    /// True when newer batches are worth more than those that wait: samples say how it is now, and
    /// counters hold all that those before them said.
    fn waits_for_newer(&self) -> bool {
        matches!(self.blocked, Some(Blocked::ForGood)) && self.signal == SignalKind::Metrics
    }

    fn drop_stale(&mut self) {
        while self.waits_for_newer() && self.pending.len() > GROUP_BATCHES_MAX {
            // Nothing is owed for samples.
            let Some(batch) = self.pending.pop_front() else { return };
            count(self.name, "stale", &batch);
        }
    }

    fn note(&mut self, stored: Stored) {
        self.pending = stored.left;
        self.note_closed();
        if self.pending.is_empty() {
            return self.note_unblocked();
        }
        let exporter = self.name;
        match stored.stop {
            None => self.blocked = Some(Blocked::ForGood),
            Some(Stop::Full) => {
                self.blocked = Some(Blocked::Full);
                if self.degrade("spool_full", true) {
                    tracing::warn!(exporter, "the spool is full; reading waits");
                }
            }
            Some(Stop::Failed(error)) => {
                self.blocked = Some(Blocked::Until(Instant::now() + DISK_PAUSE));
                if self.degrade("spool_failed", true) {
                    tracing::error!(exporter, %error, "the spool cannot be written; reading waits");
                }
            }
        }
    }

    fn note_unblocked(&mut self) {
        self.blocked = None;
        let was_full = self.degrade("spool_full", false);
        if self.degrade("spool_failed", false) || was_full {
            tracing::info!(exporter = self.name, "reading goes on");
        }
    }

    fn note_closed(&self) {
        if self.is_settled() {
            self.status.set_settled();
        }
    }

    /// Tells `/readyz`; true when that is new.
    fn degrade(&self, reason: &str, is_degraded: bool) -> bool {
        self.health.set_degraded(&format!("{reason}:{}", self.name), is_degraded)
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Writes batches to the spool, and settles those that are safe, or that are given up because the
/// lane is not required. A task of its own: it must not stop half way.
async fn store(
    name: &'static str,
    spool: Option<Arc<Mutex<Spool>>>,
    batches: VecDeque<Arc<Batch>>,
    is_required: bool,
    status: Arc<Status>,
) -> Stored {
    let reason = if spool.is_some() { "spool_full" } else { "no_spool" };
    let written = match spool {
        Some(spool) => spawn_blocking(move || {
            let logs: Vec<&LogBatch> = batches.iter().filter_map(|it| records(it)).collect();
            let (n_safe, stop) = lock(&spool).append(&logs);
            (batches, n_safe, stop)
        })
        .await
        .unwrap_or_default(),
        None => (batches, 0, None),
    };
    let (mut left, mut n_safe, stop) = written;
    let reason = if matches!(stop, Some(Stop::Failed(_))) { "spool_failed" } else { reason };
    while let Some(batch) = left.pop_front() {
        if !batch.signal.says_nothing() {
            if n_safe == 0 && is_required {
                left.push_front(batch);
                break;
            }
            if n_safe == 0 {
                count_dropped(name, reason, &batch, &status);
            }
            n_safe = n_safe.saturating_sub(1);
        }
        batch.settle().await;
    }
    Stored { left, stop }
}

/// What of a batch is worth a place in the spool.
fn records(batch: &Batch) -> Option<&LogBatch> {
    batch.signal.logs().filter(|logs| !logs.records.is_empty())
}

fn count_dropped(name: &'static str, reason: &'static str, batch: &Batch, status: &Status) {
    static DROPPED: telemetry::RateLimit = telemetry::RateLimit::new();
    status.dropped.fetch_add(batch.signal.len() as u64, Ordering::Relaxed);
    count(name, reason, batch);
    if DROPPED.admit().is_some() {
        tracing::warn!(exporter = name, reason, "a batch is given up");
    }
}

fn count(name: &'static str, reason: &'static str, batch: &Batch) {
    telemetry::LANE_DROPPED_BATCHES.add(name, reason, 1);
    telemetry::LANE_DROPPED_RECORDS.add(name, reason, batch.signal.len() as u64);
}
