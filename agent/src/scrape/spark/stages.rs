//! The stages of one application: what they counted, and how unequal their tasks are.

use super::ledger::Ledger;
use super::metrics::push_totals;
use super::metrics::stage::{STAGE_DURATION, STAGE_PEAK_EXECUTION};
use super::rest::{Stage, StageStatus};
use super::skew::Shapes;
use super::stage_counters::{COUNT, COUNTERS};
use super::{DURATION_BOUNDS, metrics};
use crate::model::metric::Histogram;
use crate::model::{Sample, SampleValue};
use crate::scrape::meter::{Cut, Meter};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Stage attempts that may change at the same time.
const OPEN_MAX: usize = 4096;
/// A stage that ended this long ago is taken as final even if Spark still counts active tasks:
/// when its listener queue drops events, that number never returns to zero.
const STUCK_MS: u64 = 600_000;

/// Stages of one application.
#[derive(Debug)]
pub(super) struct Stages {
    ledger: Ledger<COUNT>,
    durations: Histogram,
    peak_execution_bytes: Option<u64>,
    shapes: Shapes,
    /// An event log tells of them, too.
    has_log: bool,
}

/// Key of a stage attempt: attempts of one number stand together, so closed keys are intervals.
fn key(stage_id: u32, attempt_id: u32) -> u64 {
    u64::from(attempt_id) << 32 | u64::from(stage_id)
}

fn stage_id(key: u64) -> u32 {
    (key & u64::from(u32::MAX)) as u32
}

impl Stages {
    /// No stages yet.
    pub(super) fn new() -> Self {
        Self {
            ledger: Ledger::new(OPEN_MAX),
            durations: Histogram::new(DURATION_BOUNDS),
            peak_execution_bytes: None,
            shapes: Shapes::default(),
            has_log: false,
        }
    }

    /// Takes what REST says of `stages` at `unix_ms`; `ended` gets those whose numbers are final now.
    pub(super) fn record(
        &mut self,
        stages: &[Stage],
        unix_ms: u64,
        meter: &mut Meter,
        mut ended: impl FnMut(&Stage, &mut Meter),
    ) {
        for stage in stages {
            let is_over = match stage.status {
                // Skipped and pending attempts have counted nothing, and may never be made.
                StageStatus::Pending | StageStatus::Skipped | StageStatus::Unknown => continue,
                StageStatus::Active => false,
                StageStatus::Complete | StageStatus::Failed => true,
            };
            let key = key(stage.stage_id, stage.attempt_id);
            if self.ledger.is_closed(key) {
                continue;
            }
            let values = metrics::values(&COUNTERS, stage);
            let has_room = match self.has_log {
                true => self.ledger.raise(key, values),
                false => self.ledger.record(key, values),
            };
            if !has_room {
                meter.cut(Cut::Stage, 1);
                continue;
            }
            self.peak_execution_bytes =
                self.peak_execution_bytes.max(stage.peak_execution_memory.0);
            self.shapes.record(key, stage, unix_ms);
            if is_over && is_settled(stage, unix_ms) {
                self.ledger.close(key);
                self.observe_duration(stage);
                ended(stage, meter);
            }
        }
    }

    /// Takes what an event log says of `stages`; `ended` gets those that were not final before. Of what
    /// has ended the log has the last word.
    pub(super) fn record_log(
        &mut self,
        stages: &[Stage],
        meter: &mut Meter,
        mut ended: impl FnMut(&Stage, &mut Meter),
    ) {
        self.has_log = true;
        for stage in stages {
            let key = key(stage.stage_id, stage.attempt_id);
            let values = metrics::values(&COUNTERS, stage);
            self.peak_execution_bytes =
                self.peak_execution_bytes.max(stage.peak_execution_memory.0);
            let is_over = matches!(stage.status, StageStatus::Complete | StageStatus::Failed)
                && stage.num_active_tasks.0 == Some(0);
            if is_over {
                let ended_unix_ms = stage.completion_time.0.unwrap_or_default();
                self.shapes.record(key, stage, ended_unix_ms);
                if self.ledger.revise(key, values) {
                    self.observe_duration(stage);
                    ended(stage, meter);
                }
            } else if !self.ledger.raise(key, values) {
                meter.cut(Cut::Stage, 1);
            }
        }
    }

    /// Gives up on a stage that the UI does not have any more: what was seen of it stays counted.
    pub(super) fn give_up(&mut self, lost: u32, meter: &mut Meter) {
        let open: Vec<u64> = self.ledger.open_keys().filter(|key| stage_id(*key) == lost).collect();
        for key in open.into_iter().chain([key(lost, 0)]) {
            if self.ledger.give_up(key) {
                meter.cut(Cut::Stage, 1);
            }
        }
    }

    fn observe_duration(&mut self, stage: &Stage) {
        if let Some((end, start)) = stage.completion_time.0.zip(stage.submission_time.0) {
            self.durations.observe(end.saturating_sub(start) as f64 / metrics::MILLISECONDS);
        }
    }

    /// True when the first attempt of a stage is counted for good.
    pub(super) fn is_resolved(&self, stage_id: u32) -> bool {
        self.ledger.is_closed(key(stage_id, 0))
    }

    /// Stages with an attempt that was seen and may still change.
    pub(super) fn open_ids(&self) -> BTreeSet<u32> {
        self.ledger.open_keys().map(stage_id).collect()
    }

    /// Adds the samples as of `unix_ms`.
    pub(super) fn push(&mut self, unix_ms: u64, samples: &mut Vec<Sample>) {
        push_totals(&COUNTERS, &self.ledger, samples);
        if let Some(bytes) = self.peak_execution_bytes {
            samples.push(Sample::number(&STAGE_PEAK_EXECUTION, Vec::new(), bytes as f64));
        }
        let value = SampleValue::Histogram(Arc::new(self.durations.clone()));
        samples.push(Sample { descriptor: &STAGE_DURATION, labels: Vec::new(), value });
        self.shapes.forget_old(unix_ms);
        self.shapes.push(samples);
    }
}

/// True when no task of an ended stage is left that could still add to it. Tasks of a failed stage
/// run on until they are killed, and Spark counts them into the stage then.
fn is_settled(stage: &Stage, unix_ms: u64) -> bool {
    let is_stuck = || stage.completion_time.0.is_some_and(|end| end + STUCK_MS < unix_ms);
    stage.num_active_tasks.0.unwrap_or(0) == 0 || is_stuck()
}

#[cfg(test)]
mod tests {
    use super::{STUCK_MS, Stages};
    use crate::model::SampleValue;
    use crate::scrape::meter::{Cut, Meter};
    use crate::scrape::spark::rest::Stage;
    use std::time::Duration;

    fn stage(id: u32, attempt: u32, status: &str, active: u64, failed: u64) -> Stage {
        serde_json::from_value(serde_json::json!({
            "status": status, "stageId": id, "attemptId": attempt, "numActiveTasks": active,
            "numFailedTasks": failed, "completionTime": "1970-01-01T00:00:01.000GMT",
        }))
        .unwrap()
    }

    fn total(stages: &mut Stages, name: &str) -> Option<f64> {
        let mut samples = Vec::new();
        stages.push(0, &mut samples);
        let found = samples.iter().filter(|sample| sample.descriptor.name == name);
        let numbers = found.map(|sample| match sample.value {
            SampleValue::Number(number) => number,
            SampleValue::Histogram(_) => panic!("{name} is a histogram"),
        });
        numbers.reduce(|one, other| one + other)
    }

    #[test]
    fn a_failed_stage_counts_until_its_last_task_is_killed() {
        let (mut stages, mut meter) = (Stages::new(), Meter::new(Duration::ZERO));
        stages.record(&[stage(3, 0, "FAILED", 2, 4)], 0, &mut meter, |_, _| {});
        assert!(!stages.is_resolved(3) && stages.open_ids().contains(&3));
        stages.record(&[stage(3, 0, "FAILED", 0, 6)], 0, &mut meter, |_, _| {});
        assert!(stages.is_resolved(3) && stages.open_ids().is_empty());
        assert_eq!(total(&mut stages, "job_task_failures_total"), Some(6.0));
        stages.record(&[stage(3, 0, "FAILED", 0, 6)], 0, &mut meter, |_, _| {});
        assert_eq!(total(&mut stages, "job_task_failures_total"), Some(6.0));
    }

    #[test]
    fn a_stage_with_tasks_that_never_end_is_final_after_a_while() {
        let (mut stages, mut meter) = (Stages::new(), Meter::new(Duration::ZERO));
        stages.record(&[stage(3, 0, "COMPLETE", 1, 0)], 1_000 + STUCK_MS, &mut meter, |_, _| {});
        assert!(!stages.is_resolved(3));
        stages.record(&[stage(3, 0, "COMPLETE", 1, 0)], 1_001 + STUCK_MS, &mut meter, |_, _| {});
        assert!(stages.is_resolved(3));
    }

    #[test]
    fn retries_count_and_skipped_or_pending_attempts_do_not() {
        let (mut stages, mut meter) = (Stages::new(), Meter::new(Duration::ZERO));
        let listed = [
            stage(1, 0, "FAILED", 0, 3),
            stage(1, 1, "COMPLETE", 0, 1),
            stage(2, 0, "SKIPPED", 0, 0),
            stage(3, 0, "PENDING", 0, 0),
        ];
        stages.record(&listed, 0, &mut meter, |_, _| {});
        assert_eq!(total(&mut stages, "spark_app_stage_retries_total"), Some(1.0));
        assert_eq!(total(&mut stages, "spark_app_stages_total"), Some(2.0));
        assert_eq!(total(&mut stages, "job_task_failures_total"), Some(4.0));
        assert!(!stages.is_resolved(2) && !stages.is_resolved(3));
    }

    #[test]
    fn a_stage_that_was_evicted_keeps_what_was_seen_and_is_reported_as_cut() {
        let (mut stages, mut meter) = (Stages::new(), Meter::new(Duration::ZERO));
        stages.record(&[stage(1, 0, "ACTIVE", 2, 3)], 0, &mut meter, |_, _| {});
        stages.give_up(1, &mut meter);
        assert_eq!(meter.stats().cut_of(Cut::Stage), 1);
        stages.record(&[stage(1, 0, "COMPLETE", 0, 9)], 0, &mut meter, |_, _| {});
        assert_eq!(total(&mut stages, "job_task_failures_total"), Some(3.0));
    }
}
