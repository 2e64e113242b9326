//! A lane: one exporter, one bounded queue, one batch at a time, in order.
//!
//! While the destination works, a batch goes from the queue to the exporter and is settled. When it
//! does not, the circuit opens: what waits and what comes goes to the spool, the destination is
//! asked again from time to time, and then the spool is drained before anything newer is sent.
//! What is refused for good becomes a dead letter. Only when the spool is full does the queue fill
//! and the tail thread wait: the bytes stay in the log file, which is the cheapest buffer there is.

mod circuit;
mod config;
mod group;
mod head;
mod intake;
mod parked;
mod status;
#[cfg(test)]
mod tests;
mod work;

pub use config::Config;
pub use status::Status;
pub(crate) use work::Work;

use super::dead_letters::{self, DeadLetters};
use super::spool::{OpenError, Spool};
use super::{Answer, ExportError, Exporter};
use crate::health::Health;
use crate::model::{Batch, LogBatch, Signal, SignalKind};
use crate::policy::Redactors;
use crate::telemetry::{self, push};
use circuit::Circuit;
use head::Head;
use intake::{Intake, Next};
use parked::Parked;
use redaction::Value;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// Tries of a destination that does not work, once the agent is ending and all is in the spool.
const LAST_TRIES: u32 = 3;
/// Longest pause before each of them.
const LAST_PAUSE: Duration = Duration::from_millis(200);
/// Time for each of them.
const LAST_TIMEOUT: Duration = Duration::from_secs(1);

/// What a lane of log records keeps on the disk.
#[derive(Debug)]
pub struct Stores {
    /// Where batches wait; none when they do not.
    pub spool: Option<Spool>,
    /// Where refused records are kept.
    pub dead_letters: DeadLetters,
    /// What is put aside for targets that take nothing.
    parked: Parked,
}

impl Stores {
    /// Opens those of an exporter in the state folder.
    ///
    /// # Errors
    /// When there are some that cannot be read.
    pub fn open(
        state_dir: &Path,
        exporter: &'static str,
        config: &Config,
    ) -> Result<Self, OpenError> {
        let spool = Spool::open(state_dir, exporter, config.spool_bytes_max.0)?;
        // One that is to be emptied and not filled is used all the same.
        let is_used = config.spool_bytes_max.0 > 0 || spool.level().batches() > 0;
        let letters_bytes_max = config.dead_letters_bytes_max.0;
        Ok(Self {
            spool: is_used.then_some(spool),
            dead_letters: DeadLetters::open(state_dir, exporter, letters_bytes_max)?,
            parked: Parked::open(state_dir, exporter, config.spool_bytes_max.0)?,
        })
    }

    /// Tells what an earlier life has not delivered.
    pub fn say_what_is_left(&self, exporter: &'static str) {
        let level = self.spool.as_ref().map(Spool::level).unwrap_or_default();
        if level.batches() > 0 {
            let (batches, bytes) = (level.batches(), level.bytes());
            tracing::info!(exporter, batches, bytes, "what is in the spool goes out first");
        }
        let records = self.parked.records();
        if records > 0 {
            tracing::info!(
                exporter,
                records,
                "what was put aside for targets that took nothing is tried again"
            );
        }
    }
}

/// See the head of the file.
pub struct Lane {
    name: &'static str,
    exporter: Box<dyn Exporter>,
    request_timeout: Duration,
    circuit: Circuit,
    /// Tries at the end since the last one that worked.
    n_last_tries: u32,
    /// How many batches are handed over together now.
    n_together: usize,
    intake: Intake,
    dead_letters: Option<Arc<Mutex<DeadLetters>>>,
    parked: Option<Parked>,
    health: Arc<Health>,
    status: Arc<Status>,
}

/// What became of one delivery.
enum Sent {
    /// The batch is done with.
    All,
    /// A part of it is; the rest comes next.
    Part,
    /// Several were sent together, and those that are delivered are settled.
    Group,
    /// Not now.
    Failed,
    /// The lane is stopped, and the batch is not delivered.
    CutOff,
    /// Nobody will ever take anything there again.
    Gone,
}

impl Lane {
    /// A lane of log records.
    #[must_use]
    pub fn logs(
        name: &'static str,
        exporter: Box<dyn Exporter>,
        queue: mpsc::Receiver<Arc<Batch>>,
        config: &Config,
        stores: Stores,
        shared: (Arc<Redactors>, Arc<Health>),
    ) -> Self {
        let spool = stores.spool.as_ref().map(Spool::level).unwrap_or_default();
        let status = Arc::new(Status { spool, ..Status::default() });
        let (signal, health) = (SignalKind::Logs, shared.1.clone());
        let intake = Intake::new(
            (name, signal),
            queue,
            stores.spool,
            config.required,
            shared,
            status.clone(),
        );
        let mut lane = Self {
            name,
            exporter,
            request_timeout: config.request_timeout.0,
            circuit: Circuit::new(name, signal),
            n_last_tries: 0,
            n_together: 1,
            intake,
            dead_letters: Some(Arc::new(Mutex::new(stores.dead_letters))),
            parked: Some(stores.parked),
            health,
            status,
        };
        lane.note_parked();
        lane
    }

    /// A lane of samples or spans, which is all in memory. While the destination does not work, as many
    /// batches of spans wait as the queue and one group have room for; of samples the newest group
    /// does.
    #[must_use]
    pub fn in_memory(
        (name, signal): (&'static str, SignalKind),
        exporter: Box<dyn Exporter>,
        queue: mpsc::Receiver<Arc<Batch>>,
        request_timeout: Duration,
    ) -> Self {
        let (health, status) = (Arc::<Health>::default(), Arc::<Status>::default());
        let shared = (Arc::<Redactors>::default(), health.clone());
        let intake = Intake::new((name, signal), queue, None, true, shared, status.clone());
        let circuit = Circuit::new(name, signal);
        let dead_letters = None;
        Self {
            name,
            exporter,
            request_timeout,
            circuit,
            n_last_tries: 0,
            n_together: 1,
            intake,
            dead_letters,
            parked: None,
            health,
            status,
        }
    }

    /// How the lane stands.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        self.status.clone()
    }

    /// Puts batches before all that come through the queue: those that the lane of an agent before
    /// handed back.
    #[must_use]
    pub fn with_first(mut self, batches: Vec<Arc<Batch>>) -> Self {
        self.intake.put_first(batches);
        self
    }

    /// Delivers everything that comes through the queue until its senders are gone, and then what is
    /// in the spool for as long as the destination takes it. When it is stopped before, or the
    /// destination is gone, it hands back what is neither delivered nor stored, in order.
    pub async fn run(mut self) -> Vec<Arc<Batch>> {
        self.exporter.begin(self.intake.rules());
        let is_gone = self.deliver().await;
        // For another config nothing is waited for: the next exporter goes on.
        if !is_gone && !self.status.is_stopping() {
            let is_all = self.intake.is_settled()
                && self.status.stored_records() == 0
                && self.status.dropped() == 0;
            let status = self.status.clone();
            tokio::select! {
                biased;
                () = self.exporter.finish(is_all) => {}
                () = status.stopped() => {}
            }
        }
        if let Ok(kept) = timeout(status::CUT_OFF, self.exporter.kept_records()).await {
            self.status.set_kept(kept);
        }
        self.intake.end(!is_gone).await
    }

    /// True when it ended because the destination is gone for good.
    async fn deliver(&mut self) -> bool {
        let mut unfinished: Option<Head> = None;
        // What is put aside and all the rest take turns.
        let (mut is_turn_of_rest, mut rest_until) = (false, Instant::now());
        while !self.status.is_stopping() {
            if let Some(end) = self.circuit.retry_at() {
                if !self.pause(end).await || self.status.is_stopping() {
                    break;
                }
                unfinished = unfinished.filter(|head| self.intake.has(head));
            }
            if std::mem::take(&mut is_turn_of_rest) {
                rest_until = Instant::now() + parked::TURN;
            }
            let due = self.parked.as_ref().and_then(Parked::due).map(|due| due.max(rest_until));
            // Also while the circuit is open, once its pause is over: what is put aside may be all
            // that there is to send, and then nothing else would ever close it.
            if self.may_try() && due.is_some_and(is_over) {
                self.retry_parked().await;
                unfinished = unfinished.filter(|head| self.intake.has(head));
                is_turn_of_rest = true;
                continue;
            }
            let next = match unfinished.take() {
                Some(head) => Next::Batch(head),
                None => self.intake.next(due).await,
            };
            let mut head = match next {
                Next::Batch(head) => head,
                Next::Due => continue,
                Next::End => {
                    rest_until = Instant::now();
                    if self.parked.as_ref().and_then(Parked::due).is_some_and(is_over) {
                        continue;
                    }
                    break;
                }
            };
            let sent = match self.together(&head) {
                group if group.len() > 1 => self.send_group(&group).await,
                _ => self.send(&mut head).await,
            };
            match sent {
                Sent::Group => {}
                Sent::All if head.is_spooled() => self.intake.advance().await,
                Sent::All => self.intake.settle_live().await,
                Sent::Part => unfinished = Some(head),
                // A live one waits in memory, or went to the spool as a whole.
                Sent::Failed => unfinished = Some(head).filter(|head| self.intake.has(head)),
                Sent::CutOff => break,
                Sent::Gone => {
                    tracing::warn!(exporter = self.name, "destination is gone for good; ending");
                    return true;
                }
            }
        }
        false
    }

    /// False while a destination that does not work is left alone.
    fn may_try(&self) -> bool {
        self.circuit.retry_at().is_none_or(is_over)
    }

    /// Waits for the next try of a destination that does not work. When all is in the spool and the
    /// agent is ending, there are a few more tries, close together; false when there were enough.
    async fn pause(&mut self, end: Instant) -> bool {
        self.intake.wait(end).await;
        if self.intake.is_settled() {
            self.n_last_tries += 1;
            self.status.sleep_until(end.min(Instant::now() + LAST_PAUSE)).await;
        }
        self.n_last_tries <= LAST_TRIES
    }

    /// Sends what is next of `head`.
    async fn send(&mut self, head: &mut Head) -> Sent {
        // Batches of a lane whose spool is almost drained wait in the queue for the rest of it: else
        // a lane in good order would go on through its spool for ever.
        let is_behind = self.circuit.is_open() || self.status.spool.batches() > 1;
        let is_last_try = self.circuit.is_open() && self.intake.is_settled();
        let limit = if is_last_try { LAST_TIMEOUT } else { self.request_timeout };
        let export = timeout(limit.min(self.request_timeout), self.exporter.export(head.signal()));
        let status = self.status.clone();
        let export = status.unless_cut_off(export);
        let (began, began_at) = (Instant::now(), SystemTime::now());
        let result = if head.is_spooled() && is_behind {
            self.intake.run_while(export).await
        } else {
            export.await
        };
        let outcome = match &result {
            None => "stopped",
            Some(Ok(answer)) => outcome(answer),
            Some(Err(_)) => "timeout",
        };
        push::delivered(self.name, head.signal().kind(), outcome, began_at);
        match result {
            None => Sent::CutOff,
            Some(Ok(Err(ExportError::Rejected { reason }))) => self.refused(head, &reason).await,
            Some(Ok(Err(ExportError::Parked { target, reason, retry_after }))) => {
                let logs: Vec<LogBatch> = head.signal().logs().cloned().into_iter().collect();
                match self.park(logs, &target, &reason, retry_after).await {
                    1 if head.pass() => Sent::All,
                    1 => Sent::Part,
                    _ => self.failed(Some(self.until_room(retry_after)), &*reason_error(&reason)),
                }
            }
            Some(Ok(answer)) => match self.take(head.signal(), answer).await {
                Some(failure) => failure,
                None => {
                    self.group_after(began.elapsed());
                    if head.pass() { Sent::All } else { Sent::Part }
                }
            },
            Some(Err(elapsed)) => {
                telemetry::EXPORTS.add(self.name, "timeout", 1);
                self.failed(None, &elapsed)
            }
        }
    }

    /// Counts an answer, and keeps what was refused for good while the rest was taken. None when the
    /// batch is done with.
    async fn take(&mut self, signal: &Signal, answer: Answer) -> Option<Sent> {
        match answer {
            Ok(refused) => {
                telemetry::EXPORTS.add(self.name, "ok", 1);
                let n_records = (signal.len() - refused.len()) as u64;
                telemetry::EXPORT_RECORDS.add(self.name, signal.kind().as_str(), n_records);
                self.note_success();
                let logs = signal.logs()?;
                let mut lines = Vec::new();
                for one in &refused {
                    let record = logs.records.get(one.record);
                    lines.extend(dead_letters::lines(self.name, logs, record, &one.reason));
                }
                let is_kept = refused.is_empty() || self.keep(lines, refused.len()).await;
                (!is_kept).then_some(Sent::Failed)
            }
            Err(ExportError::Gone) => Some(Sent::Gone),
            Err(ExportError::Rejected { .. } | ExportError::Parked { .. }) => {
                // What it is about, it is asked for again alone.
                self.n_together = 1;
                Some(Sent::Group)
            }
            Err(ExportError::Unfinished) => Some(Sent::Group),
            Err(ExportError::Transient { source, retry_after }) => {
                telemetry::EXPORTS.add(self.name, "error", 1);
                Some(self.failed(retry_after, &*source))
            }
        }
    }

    fn note_success(&mut self) {
        self.n_last_tries = 0;
        let failures = self.circuit.succeeded();
        self.status.is_down.store(false, Ordering::Release);
        if failures > 0 {
            let (exporter, spooled_records) = (self.name, self.status.spool.records());
            tracing::info!(exporter, failures, spooled_records, "destination works again");
        }
    }

    /// What waits in memory, this batch first, goes to the spool in the pause that follows.
    fn failed(
        &mut self,
        retry_after: Option<Duration>,
        error: &(dyn std::error::Error + Send + Sync),
    ) -> Sent {
        self.status.is_down.store(true, Ordering::Release);
        // One line when it breaks and one an outage later says more than one per try.
        if self.circuit.failed(retry_after) {
            tracing::warn!(exporter = self.name, %error, "delivery failed; trying again");
        }
        Sent::Failed
    }

    /// Halves what was refused, or makes dead letters of it.
    async fn refused(&mut self, head: &mut Head, reason: &Value) -> Sent {
        telemetry::EXPORTS.add(self.name, "rejected", 1);
        self.note_success();
        if self.dead_letters.is_none() {
            self.intake.drop_live("rejected").await;
            return Sent::Failed;
        }
        // What follows may take many requests. Meanwhile the batch is better on the disk, and those
        // behind it too.
        let is_stored = !head.is_spooled() && self.intake.has_spool() && head.signal().len() > 1;
        if is_stored && self.intake.store().await || !self.intake.has(head) {
            return Sent::Failed;
        }
        if head.halve() {
            return Sent::Part;
        }
        let Some(logs) = head.signal().logs() else { return Sent::Failed };
        let lines = dead_letters::lines(self.name, logs, &logs.records, reason);
        let n_letters = logs.records.len();
        match self.keep(lines, n_letters).await {
            true if head.pass() => Sent::All,
            true => Sent::Part,
            false => Sent::Failed,
        }
    }

    /// Writes dead letters; false when the disk does not take them and the lane has to wait.
    async fn keep(&mut self, lines: Vec<u8>, n_letters: usize) -> bool {
        let Some(dead_letters) = self.dead_letters.clone() else { return true };
        let write = move || lock(&dead_letters).append(&lines, n_letters);
        let written = tokio::task::spawn_blocking(write).await;
        let key = format!("dead_letters_failed:{}", self.name);
        let Err(error) = written.unwrap_or_else(|ending| Err(ending.into())) else {
            self.health.set_degraded(&key, false);
            self.status.dead_letters.fetch_add(n_letters as u64, Ordering::Relaxed);
            return true;
        };
        if self.health.set_degraded(&key, true) {
            let exporter = self.name;
            tracing::error!(exporter, %error, "dead letters cannot be written; the lane waits");
        }
        self.status.is_down.store(true, Ordering::Release);
        self.circuit.failed(Some(intake::DISK_PAUSE));
        false
    }
}

/// What became of a delivery, as the agent's own traces say it.
fn outcome(answer: &Answer) -> &'static str {
    match answer {
        // What is left for the next call has not failed.
        Ok(_) | Err(ExportError::Unfinished) => "ok",
        Err(ExportError::Transient { .. }) => "error",
        Err(ExportError::Rejected { .. }) => "rejected",
        Err(ExportError::Parked { .. }) => "parked",
        Err(ExportError::Gone) => "gone",
    }
}

fn is_over(end: Instant) -> bool {
    end <= Instant::now()
}

fn reason_error(reason: &Value) -> Box<dyn std::error::Error + Send + Sync> {
    reason.to_string().into()
}

/// A store is whole whatever panicked: the process ends then.
fn lock<T>(store: &Mutex<T>) -> MutexGuard<'_, T> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}
