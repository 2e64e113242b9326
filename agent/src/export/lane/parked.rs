//! What one target of a destination does not take while others do: put aside on the disk, a spool for
//! each target, and tried again from time to time.

use super::intake::DISK_PAUSE;
use super::{Lane, is_over, lock};
use crate::export::ExportError;
use crate::export::spool::{OpenError, Spool, Stop, parked_targets};
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

/// Batches of all targets that are sent before the lane looks at the rest again.
const BATCHES_AT_ONCE: usize = 16;

/// How long what is put aside has its turn at most, and how long the rest has it then at least: so
/// long either may wait for the other.
pub(super) const TURN: Duration = Duration::from_millis(100);

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
            let mut spool = parked.open_spool(&id)?;
            if spool.level().batches() > 0 {
                parked.insert(id, spool);
            } else {
                spool.remove_folder();
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

    /// The target that is due and has waited longest for it.
    fn first_due(&self) -> Option<String> {
        let now = Instant::now();
        let due = self.targets.iter().filter(|(_, target)| target.retry_at <= now);
        due.min_by_key(|(_, target)| target.retry_at).map(|(id, _)| id.clone())
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
            let spool = match self.open_spool(&id) {
                Ok(spool) => spool,
                Err(error) => {
                    telemetry::SPOOL_ERRORS.add(self.exporter, 1);
                    report_failed(self.exporter, &error);
                    return 0;
                }
            };
            self.insert(id.clone(), spool);
        }
        let Some(target) = self.targets.get_mut(&id) else { return 0 };
        target.retry_at = Instant::now() + retry_after;
        let spool = target.spool.clone();
        let store = move || {
            let mut spool = lock(&spool);
            spool.set_rules(rules);
            spool.append(&batches.iter().collect::<Vec<_>>())
        };
        let (n_safe, stop) = spawn_blocking(store).await.unwrap_or((0, None));
        if let Some(Stop::Failed(error)) = stop {
            report_failed(self.exporter, &error);
        }
        self.report();
        n_safe
    }

    /// Forgets a target for which nothing is left.
    async fn forget_empty(&mut self, id: &str) {
        let is_empty = |target: &Target| lock(&target.spool).level().batches() == 0;
        if self.targets.get(id).is_some_and(is_empty)
            && let Some(target) = self.targets.remove(id)
        {
            let _ = spawn_blocking(move || lock(&target.spool).remove_folder()).await;
        }
    }

    /// After that a target is due again, behind all that are.
    fn leave_alone(&mut self, id: &str, pause: Duration) {
        let target = self.targets.get_mut(id);
        target.into_iter().for_each(|target| target.retry_at = Instant::now() + pause);
    }

    fn report(&self) {
        telemetry::PARKED_TARGETS.set(self.exporter, self.targets.len() as f64);
        telemetry::PARKED_RECORDS.set(self.exporter, self.records() as f64);
    }
}

impl Lane {
    /// Puts batches for one target aside; how many are safe, so that their lane is done with them.
    pub(super) async fn park(
        &mut self,
        batches: Vec<LogBatch>,
        target: &str,
        reason: &Value,
        retry_after: Duration,
    ) -> usize {
        telemetry::EXPORTS.add(self.name, "parked", batches.len() as u64);
        let rules = self.intake.rules();
        let Some(parked) = &mut self.parked else { return 0 };
        let n_targets = parked.targets.len();
        let n_safe = parked.put(target, batches, retry_after, rules).await;
        if parked.targets.len() > n_targets {
            let exporter = self.name;
            tracing::error!(
                exporter, target, %reason,
                "nothing goes there now; its records are put aside on disk and tried again"
            );
        }
        self.note_parked();
        n_safe
    }

    /// How long the lane waits with what finds no place: until something may go out that makes room.
    pub(super) fn until_room(&self, retry_after: Duration) -> Duration {
        let due = self.parked.as_ref().and_then(Parked::due);
        due.map_or(retry_after, |due| {
            retry_after.min(due.saturating_duration_since(Instant::now()))
        })
    }

    pub(super) fn note_parked(&mut self) {
        let Some(parked) = &self.parked else { return };
        self.status.set_parked(parked.records());
        self.health.set_degraded(&format!("parked:{}", self.name), !parked.targets.is_empty());
    }

    /// Has what is put aside for targets that are due go out for one turn, one batch after the other.
    pub(super) async fn retry_parked(&mut self) {
        let end = Instant::now() + TURN;
        for _ in 0..BATCHES_AT_ONCE {
            let Some(id) = self.parked.as_ref().and_then(Parked::first_due) else { break };
            let pause = self.retry_one(&id).await;
            let Some(parked) = &mut self.parked else { break };
            parked.leave_alone(&id, pause);
            parked.forget_empty(&id).await;
            // One that does not answer costs the others its timeout once, and not for each target.
            if self.status.is_stopping() || !self.may_try() || is_over(end) {
                break;
            }
        }
        self.parked.iter().for_each(Parked::report);
        self.note_parked();
    }

    /// Tries the oldest batch of a target; how long the target is left alone then.
    async fn retry_one(&mut self, id: &str) -> Duration {
        let Some(target) = self.parked.as_ref().and_then(|parked| parked.targets.get(id)) else {
            return Duration::ZERO;
        };
        let (spool, redactors) = (target.spool.clone(), self.intake.redactors());
        let Some(logs) = load(self.name, spool.clone(), redactors).await else {
            return DISK_PAUSE;
        };
        let signal = Signal::Logs(logs);
        let export = timeout(self.request_timeout, self.exporter.export(&signal));
        let status = self.status.clone();
        let export = status.unless_cut_off(export);
        let sent = if self.intake.has_spool() {
            self.intake.run_while(export).await
        } else {
            export.await
        };
        // What is cut off stays where it is.
        let Some(sent) = sent else { return Duration::ZERO };
        let is_done = match sent {
            Ok(Err(ExportError::Parked { retry_after, .. })) => return retry_after,
            Ok(Err(ExportError::Rejected { reason })) => {
                let Some(logs) = signal.logs() else { return Duration::ZERO };
                let lines = super::dead_letters::lines(self.name, logs, &logs.records, &reason);
                self.keep(lines, logs.records.len()).await
            }
            Ok(answer) => self.take(&signal, answer).await.is_none(),
            Err(elapsed) => {
                telemetry::EXPORTS.add(self.name, "timeout", 1);
                self.failed(None, &elapsed);
                false
            }
        };
        if !is_done {
            return self.request_timeout;
        }
        advance(spool).await;
        Duration::ZERO
    }
}

async fn load(
    exporter: &'static str,
    spool: Arc<Mutex<Spool>>,
    redactors: Arc<Redactors>,
) -> Option<LogBatch> {
    // It fails when the runtime is ending.
    let front = spawn_blocking(move || lock(&spool).front(&redactors)).await.ok()?;
    let failed = |error: &std::io::Error| {
        telemetry::SPOOL_ERRORS.add(exporter, 1);
        report_failed(exporter, error);
    };
    front.inspect_err(failed).ok().flatten()
}

fn report_failed(exporter: &'static str, error: &(dyn std::error::Error + 'static)) {
    static FAILED: telemetry::RateLimit = telemetry::RateLimit::new();
    if FAILED.admit().is_some() {
        tracing::error!(
            exporter,
            error,
            "what is put aside cannot be read or written; trying again"
        );
    }
}

async fn advance(spool: Arc<Mutex<Spool>>) {
    let _ = spawn_blocking(move || lock(&spool).advance()).await;
}

#[cfg(test)]
mod tests {
    use super::{LogBatch, Parked, load};
    use crate::model::{LogRecord, Resource};
    use crate::telemetry;
    use redaction::Text;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    async fn put(parked: &mut Parked) -> usize {
        let (resource, text) = (Arc::new(Resource::default()), Text::default());
        let batch = LogBatch { resource, text, records: vec![LogRecord::default()], covers: None };
        parked.put("group", vec![batch], Duration::ZERO, None).await
    }

    /// Puts a folder where a file of the only target is to be.
    fn spoil(state_dir: &Path, name: &str) {
        let folder = state_dir.join("spool/cloudwatch_logs/parked/ad936fcbed631fa6");
        let _ = std::fs::remove_file(folder.join(name));
        std::fs::create_dir_all(folder.join(name)).unwrap();
    }

    #[tokio::test]
    async fn a_disk_that_fails_is_counted() {
        // No other test has this exporter fail.
        let n_errors = || telemetry::SPOOL_ERRORS.get("cloudwatch_logs").unwrap_or_default();
        let folder = tempfile::tempdir().unwrap();
        let mut parked = Parked::open(folder.path(), "cloudwatch_logs", 1 << 20).unwrap();
        assert_eq!((put(&mut parked).await, n_errors()), (1, 0.0));
        spoil(folder.path(), "000000000001.segment");
        let spool = parked.targets.values().next().unwrap().spool.clone();
        assert!(load("cloudwatch_logs", spool, Arc::default()).await.is_none());
        assert_eq!(n_errors(), 1.0, "it cannot be read");
        let folder = tempfile::tempdir().unwrap();
        let mut parked = Parked::open(folder.path(), "cloudwatch_logs", 1 << 20).unwrap();
        spoil(folder.path(), "cursor");
        assert_eq!((put(&mut parked).await, n_errors()), (0, 2.0), "it cannot be opened");
    }
}
