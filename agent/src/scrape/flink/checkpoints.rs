//! The checkpoints of one job. Each one that ended is taken once, by its id.

use super::metrics::checkpoint::{
    CHECKPOINT_AGE, CHECKPOINT_CONSECUTIVE_FAILURES, CHECKPOINT_DURATION,
    CHECKPOINT_DURATION_WINDOW, CHECKPOINT_FAILURES, CHECKPOINT_INFO, CHECKPOINT_SIZE,
    CHECKPOINT_UNACKED, CHECKPOINT_UTILIZATION, CHECKPOINTS, CHECKPOINTS_IN_PROGRESS,
    CHECKPOINTS_RESTORED,
};
use super::metrics::push;
use super::rest_checkpoints::{
    Checkpoint, CheckpointConfig, CheckpointStatus, Checkpoints as Answer,
};
use super::tally::{Fall, Tally};
use crate::model::metric::Histogram;
use crate::model::{Sample, SampleValue};
use crate::scrape::meter::{Cut, Meter};
use crate::scrape::spark::bounded;
use crate::scrape::spark::metrics::MILLISECONDS;
use redaction::{Redactor, Value};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Bounds of durations in seconds.
static BOUNDS: [f64; 12] =
    [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0];
/// `/checkpoints/config` of a job whose checkpoints only come when asked for: `Long.MAX_VALUE`.
const INTERVAL_MS_MAX: u64 = 1 << 53;

/// See the head of the file.
#[derive(Debug)]
pub(super) struct Checkpoints {
    interval_ms: Option<u64>,
    info: Vec<(&'static str, Value)>,
    /// Completed, failed, restored.
    counts: Tally<3>,
    durations: Option<Histogram>,
    failures: BTreeMap<&'static str, u64>,
    n_consecutive_failures: u64,
    /// Ids that ended and are still in the history.
    taken: BTreeSet<u64>,
    newest: Option<u64>,
    /// Of the last answer.
    gauges: Vec<Sample>,
}

impl Checkpoints {
    /// Nothing is known yet.
    pub(super) fn new() -> Self {
        Self {
            interval_ms: None,
            info: Vec::new(),
            counts: Tally::default(),
            durations: None,
            failures: BTreeMap::new(),
            n_consecutive_failures: 0,
            taken: BTreeSet::new(),
            newest: None,
            gauges: Vec::new(),
        }
    }

    /// Another JobManager has taken the job over: its counts begin at 0. Ids may go on or not.
    pub(super) fn restart(&mut self) {
        self.counts.restart();
        self.taken.clear();
        self.newest = None;
    }

    /// Takes how checkpoints are made.
    pub(super) fn configure(&mut self, config: &CheckpointConfig, redactor: &Redactor) {
        self.interval_ms = config.interval.0.filter(|ms| (1..INTERVAL_MS_MAX).contains(ms));
        let text = |text: &Option<String>| text.as_deref().map(|text| bounded(text, redactor));
        let unaligned =
            config.unaligned_checkpoints.map(|is_so| if is_so { "true" } else { "false" });
        let labels = [
            ("mode", text(&config.mode)),
            ("backend", text(&config.state_backend)),
            ("unaligned", unaligned.map(Value::literal)),
        ];
        self.info = labels.into_iter().filter_map(|(name, text)| Some((name, text?))).collect();
    }

    /// Takes an answer of the time `now`, by the clock of the JobManager. Returns what ended since the
    /// answer before, the oldest first.
    pub(super) fn record<'a>(
        &mut self,
        answer: &'a Answer,
        now_unix_ms: u64,
        meter: &mut Meter,
    ) -> Vec<&'a Checkpoint> {
        let counts = &answer.counts;
        for (index, count) in [counts.completed, counts.failed, counts.restored].iter().enumerate()
        {
            self.counts.record(index, count.0, Fall::Gap);
        }
        let ended = self.take_history(&answer.history, meter);
        let mut gauges = Vec::new();
        let number = |number: Option<u64>| number.map(|number| number as f64);
        push(&CHECKPOINTS_IN_PROGRESS, &[], number(counts.in_progress.0), &mut gauges);
        let unacked =
            match answer.history.iter().find(|it| it.status == CheckpointStatus::InProgress) {
                Some(it) => it.num_subtasks.0.zip(it.num_acknowledged_subtasks.0),
                None => counts.in_progress.0.filter(|n| *n == 0).map(|none| (none, 0)),
            };
        let unacked = unacked.map(|(all, acked)| all.saturating_sub(acked));
        push(&CHECKPOINT_UNACKED, &[], number(unacked), &mut gauges);
        let window = &answer.summary.end_to_end_duration;
        if counts.completed.0.is_some_and(|n| n > 0) {
            for (quantile, value) in [
                ("0.5", window.p50),
                ("0.9", window.p90),
                ("0.95", window.p95),
                ("0.99", window.p99),
                ("0.999", window.p999),
            ] {
                let seconds = value.known().map(|ms| ms / MILLISECONDS);
                push(&CHECKPOINT_DURATION_WINDOW, &[("quantile", quantile)], seconds, &mut gauges);
            }
        }
        if let Some(latest) = &answer.latest.completed {
            self.push_latest(latest, now_unix_ms, &mut gauges);
        }
        let folder = answer.latest.completed.as_ref().and_then(|it| it.external_path.as_deref());
        let mut labels = self.info.clone();
        labels.extend(folder.and_then(hash_of_folder).map(|hash| ("external_path_hash", hash)));
        if !labels.is_empty() {
            gauges.push(Sample::number(&CHECKPOINT_INFO, labels, 1.0));
        }
        self.gauges = gauges;
        ended
    }

    /// Time between two checkpoints, if they come by themselves.
    pub(super) fn interval_ms(&self) -> Option<u64> {
        self.interval_ms
    }

    fn push_latest(&self, latest: &Checkpoint, now_unix_ms: u64, gauges: &mut Vec<Sample>) {
        let seconds = |ms: u64| ms as f64 / MILLISECONDS;
        let age = latest.latest_ack_timestamp.0.map(|at| seconds(now_unix_ms.saturating_sub(at)));
        push(&CHECKPOINT_AGE, &[], age, gauges);
        let duration = latest.end_to_end_duration.0;
        let share =
            duration.zip(self.interval_ms).map(|(ms, interval)| ms as f64 / interval as f64);
        push(&CHECKPOINT_UTILIZATION, &[], share, gauges);
        for (kind, bytes) in [
            ("state", latest.state_size),
            ("checkpointed", latest.checkpointed_size),
            ("persisted", latest.persisted_data),
            ("processed", latest.processed_data),
        ] {
            push(&CHECKPOINT_SIZE, &[("kind", kind)], bytes.0.map(|bytes| bytes as f64), gauges);
        }
    }

    fn take_history<'a>(
        &mut self,
        history: &'a [Checkpoint],
        meter: &mut Meter,
    ) -> Vec<&'a Checkpoint> {
        let has_ended = |it: &&Checkpoint| {
            matches!(it.status, CheckpointStatus::Completed | CheckpointStatus::Failed)
        };
        let ended = history.iter().filter(has_ended);
        let ended: BTreeMap<u64, &Checkpoint> =
            ended.filter_map(|it| Some((it.id.0?, it))).collect();
        if let (Some(newest), Some((oldest, _))) = (self.newest, ended.first_key_value()) {
            // The history is short; what left it between two rounds is in the counts only.
            meter.cut(Cut::Entry, oldest.saturating_sub(newest.saturating_add(1)));
        }
        let mut new = Vec::new();
        for (id, checkpoint) in &ended {
            if self.taken.insert(*id) {
                self.take(checkpoint);
                new.push(*checkpoint);
            }
        }
        self.newest = self.newest.max(ended.last_key_value().map(|(id, _)| *id));
        self.taken.retain(|id| ended.contains_key(id));
        new
    }

    fn take(&mut self, checkpoint: &Checkpoint) {
        let has_failed = checkpoint.status == CheckpointStatus::Failed;
        if has_failed {
            let message = checkpoint.failure_message.as_deref().unwrap_or_default();
            *self.failures.entry(reason(message)).or_default() += 1;
        }
        if checkpoint.is_savepoint {
            return;
        }
        if has_failed {
            self.n_consecutive_failures += 1;
            return;
        }
        self.n_consecutive_failures = 0;
        if let Some(ms) = checkpoint.end_to_end_duration.0 {
            let durations = self.durations.get_or_insert_with(|| Histogram::new(&BOUNDS));
            durations.observe(ms as f64 / MILLISECONDS);
        }
    }

    /// Adds the samples.
    pub(super) fn push(&self, samples: &mut Vec<Sample>) {
        let total = |index| self.counts.total(index).map(|total: u64| total as f64);
        push(&CHECKPOINTS, &[("outcome", "completed")], total(0), samples);
        push(&CHECKPOINTS, &[("outcome", "failed")], total(1), samples);
        push(&CHECKPOINTS_RESTORED, &[], total(2), samples);
        if self.newest.is_some() {
            let failures = self.n_consecutive_failures as f64;
            push(&CHECKPOINT_CONSECUTIVE_FAILURES, &[], Some(failures), samples);
        }
        for (reason, count) in &self.failures {
            push(&CHECKPOINT_FAILURES, &[("reason", reason)], Some(*count as f64), samples);
        }
        if let Some(durations) = &self.durations {
            let value = SampleValue::Histogram(Arc::new(durations.clone()));
            samples.push(Sample { descriptor: &CHECKPOINT_DURATION, labels: Vec::new(), value });
        }
        samples.extend(self.gauges.iter().cloned());
    }

    /// Forgets what is only true while the job runs.
    pub(super) fn end(&mut self) {
        let lasting = [&CHECKPOINT_INFO, &CHECKPOINT_SIZE, &CHECKPOINT_DURATION_WINDOW];
        self.gauges.retain(|sample| lasting.iter().any(|it| it.name == sample.descriptor.name));
    }
}

/// Reads the reason that Flink gives as free text; only the class leaves this function.
fn reason(message: &str) -> &'static str {
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["expired"]) {
        "expired"
    } else if says(&["ioexception", "materialize", "finalize", "flush", "storage", "write", "i/o"])
    {
        "io"
    } else if says(&["declined", "not all required tasks", "task has failed", "tasks is not ready"])
    {
        "declined"
    } else {
        "other"
    }
}

/// Names the folder of a checkpoint without telling it. The last part of a path is the checkpoint.
fn hash_of_folder(path: &str) -> Option<Value> {
    let (folder, _) = path.trim_end_matches('/').rsplit_once('/')?;
    Some(Value::hex(&Sha256::digest(folder.as_bytes())[..8]))
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn reasons_fall_into_their_class() {
        for (message, class) in [
            ("Checkpoint expired before completing.", "expired"),
            ("Checkpoint was declined.", "declined"),
            ("Checkpoint was declined (tasks not ready)", "declined"),
            ("Task local checkpoint failure: Could not materialize checkpoint 7", "io"),
            ("Could not finalize the pending checkpoint 12.", "io"),
            ("Trigger checkpoint failure.", "other"),
            ("", "other"),
        ] {
            assert_eq!(reason(message), class, "{message}");
        }
    }
}
