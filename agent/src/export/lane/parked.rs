//! What one target of a destination does not take while others do: put aside on the disk, a spool for
//! each target, and tried again from time to time.

use super::{Lane, lock};
use crate::export::ExportError;
use crate::export::spool::{OpenError, Spool, parked_targets};
use crate::model::{LogBatch, Signal};
use crate::policy::Redactors;
use crate::telemetry;
use redaction::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

/// Targets for which something is put aside at most; what is over it waits as for a destination that
/// is down.
const TARGETS_MAX: usize = 256;

/// Batches of a target that are sent before the lane looks at others again.
const BATCHES_AT_ONCE: usize = 16;

/// See the head of the file.
#[derive(Debug)]
pub(super) struct Parked {
    exporter: &'static str,
    state_dir: PathBuf,
    /// Of all targets together.
    bytes_max: u64,
    targets: BTreeMap<String, Target>,
}

#[derive(Debug)]
struct Target {
    spool: Arc<Mutex<Spool>>,
    retry_at: Instant,
}

impl Parked {
    /// Opens what an earlier life has put aside.
    pub(super) fn open(
        state_dir: &Path,
        exporter: &'static str,
        bytes_max: u64,
    ) -> Result<Self, OpenError> {
        let mut parked =
            Self { exporter, state_dir: state_dir.to_owned(), bytes_max, targets: BTreeMap::new() };
        for id in parked_targets(state_dir, exporter)? {
            let spool = parked.open_spool(&id)?;
            if spool.level().batches() > 0 {
                parked.insert(id, spool);
            }
        }
        parked.report();
        Ok(parked)
    }

    fn open_spool(&self, id: &str) -> Result<Spool, OpenError> {
        Spool::open_parked(&self.state_dir, self.exporter, id, self.bytes_max)
    }

    fn insert(&mut self, id: String, spool: Spool) {
        let target = Target { spool: Arc::new(Mutex::new(spool)), retry_at: Instant::now() };
        self.targets.insert(id, target);
    }

    /// Records that are put aside.
    pub(super) fn records(&self) -> u64 {
        self.targets.values().map(|target| lock(&target.spool).level().records()).sum()
    }

    fn bytes(&self) -> u64 {
        self.targets.values().map(|target| lock(&target.spool).level().bytes()).sum()
    }

    /// When a target is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.targets.values().map(|target| target.retry_at).min()
    }

    /// Puts batches for `name` aside; how many of them are safe.
    async fn put(
        &mut self,
        name: &str,
        batches: Vec<LogBatch>,
        retry_after: Duration,
        rules: Option<u64>,
    ) -> usize {
        if self.bytes_max == 0 || self.bytes() >= self.bytes_max {
            return 0;
        }
        let hash = Sha256::digest(name.as_bytes());
        let id: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        if !self.targets.contains_key(&id) {
            if self.targets.len() >= TARGETS_MAX {
                return 0;
            }
            let Ok(spool) = self.open_spool(&id) else { return 0 };
            self.insert(id.clone(), spool);
        }
        let Some(target) = self.targets.get_mut(&id) else { return 0 };
        target.retry_at = Instant::now() + retry_after;
        let spool = target.spool.clone();
        let store = move || {
            let mut spool = lock(&spool);
            spool.set_rules(rules);
            spool.append(&batches.iter().collect::<Vec<_>>()).0
        };
        let n_safe = spawn_blocking(store).await.unwrap_or(0);
        self.report();
        n_safe
    }

    fn report(&self) {
        telemetry::PARKED_TARGETS.set(self.exporter, self.targets.len() as f64);
        telemetry::PARKED_RECORDS.set(self.exporter, self.records() as f64);
    }
}

impl Lane {
    /// Puts batches for one target aside. True when all are safe; their lane is done with them then.
    pub(super) async fn park(
        &mut self,
        batches: Vec<LogBatch>,
        target: &str,
        reason: &Value,
        retry_after: Duration,
    ) -> bool {
        telemetry::EXPORTS.add(self.name, "parked", batches.len() as u64);
        let rules = self.intake.rules();
        let Some(parked) = &mut self.parked else { return false };
        let (n_batches, n_targets) = (batches.len(), parked.targets.len());
        let n_safe = parked.put(target, batches, retry_after, rules).await;
        if parked.targets.len() > n_targets {
            let exporter = self.name;
            tracing::error!(
                exporter, target, %reason,
                "nothing goes there now; its records are put aside on disk and tried again"
            );
        }
        self.note_parked();
        n_safe == n_batches
    }

    pub(super) fn note_parked(&mut self) {
        let Some(parked) = &self.parked else { return };
        self.status.set_parked(parked.records());
        self.health.set_degraded(&format!("parked:{}", self.name), !parked.targets.is_empty());
    }

    /// Tries what was put aside for targets that are due.
    pub(super) async fn retry_parked(&mut self) {
        let now = Instant::now();
        let Some(parked) = &self.parked else { return };
        let due = parked.targets.iter().filter(|(_, target)| target.retry_at <= now);
        let due: Vec<String> = due.map(|(id, _)| id.clone()).collect();
        for id in due {
            for _ in 0..BATCHES_AT_ONCE {
                if self.status.is_stopping() || !self.retry_one(&id).await {
                    break;
                }
            }
        }
        if let Some(parked) = &mut self.parked {
            parked.targets.retain(|_, target| lock(&target.spool).level().batches() > 0);
            parked.report();
        }
        self.note_parked();
    }

    /// Tries the oldest batch of a target; false when it is not to be tried again now.
    async fn retry_one(&mut self, id: &str) -> bool {
        let Some(target) = self.parked.as_ref().and_then(|parked| parked.targets.get(id)) else {
            return false;
        };
        let (spool, redactors) = (target.spool.clone(), self.intake.redactors());
        let Some(logs) = load(spool.clone(), redactors).await else {
            self.leave_alone(id, super::intake::DISK_PAUSE);
            return false;
        };
        let signal = Signal::Logs(logs);
        let export = timeout(self.request_timeout, self.exporter.export(&signal));
        // What is cut off stays where it is.
        let Some(sent) = self.status.unless_cut_off(export).await else { return false };
        let retry_after = match sent {
            Ok(Err(ExportError::Parked { retry_after, .. })) => retry_after,
            Ok(Err(ExportError::Rejected { reason })) => {
                let Some(logs) = signal.logs() else { return false };
                let lines = super::dead_letters::lines(self.name, logs, &logs.records, &reason);
                if !self.keep(lines, logs.records.len()).await {
                    return false;
                }
                advance(spool).await;
                return true;
            }
            Ok(answer) => match self.take(&signal, answer).await {
                None => {
                    advance(spool).await;
                    return true;
                }
                Some(_) => self.request_timeout,
            },
            Err(elapsed) => {
                telemetry::EXPORTS.add(self.name, "timeout", 1);
                self.failed(None, &elapsed);
                self.request_timeout
            }
        };
        self.leave_alone(id, retry_after);
        false
    }

    fn leave_alone(&mut self, id: &str, pause: Duration) {
        let target = self.parked.as_mut().and_then(|parked| parked.targets.get_mut(id));
        target.into_iter().for_each(|target| target.retry_at = Instant::now() + pause);
    }
}

async fn load(spool: Arc<Mutex<Spool>>, redactors: Arc<Redactors>) -> Option<LogBatch> {
    let front = spawn_blocking(move || lock(&spool).front(&redactors)).await;
    front.ok().and_then(Result::ok).flatten()
}

async fn advance(spool: Arc<Mutex<Spool>>) {
    let _ = spawn_blocking(move || lock(&spool).advance()).await;
}
