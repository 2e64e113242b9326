//! The life of one job as spans: the run, its restarts and rescales, its checkpoints and savepoints.
//!
//! Times are those of the JobManager. A span is made once, when its work has ended; an agent that
//! starts anew makes those again that Flink still tells, with the same ids. Of restarts Flink tells the
//! last one only: of several between two rounds, the others have no span.

use super::exceptions::Failure;
use super::rest::{JobDetails, Rescale};
use super::rest_checkpoints::{Checkpoint, CheckpointStatus};
use super::slowest::{Slowest, duration_ms};
use crate::model::{AttributeValue, Resource, SpanBatch, SpanStatus};
use crate::scrape::Job;
use crate::scrape::meter::{Cut, Meter};
use crate::scrape::runs::Outcome;
use crate::scrape::spark::{bounded, bounded_to};
use crate::scrape::work::{Attributes, EndedWork, integer};
use crate::trace::SpanId;
use redaction::{Redactor, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Rescales whose spans were made; Flink tells far fewer (`web.adaptive-scheduler.rescale-history.size`).
const RESCALES_MAX: usize = 1_024;
/// Longest reason of a failure in bytes.
const REASON_BYTES_MAX: usize = 1_024;

/// See the head of the file.
#[derive(Debug)]
pub(super) struct Spans {
    ended: EndedWork,
    /// What the run is a part of.
    parent: Option<SpanId>,
    job_id: Value,
    /// When the last restart began that has its span.
    restart_unix_ms: Option<u64>,
    rescales: BTreeSet<SpanId>,
}

impl Spans {
    /// No work has ended yet.
    pub(super) fn new(resource: Arc<Resource>, parent: Option<SpanId>, job_id: Value) -> Self {
        Self {
            ended: EndedWork::new(resource),
            parent,
            job_id,
            restart_unix_ms: None,
            rescales: BTreeSet::new(),
        }
    }

    /// A checkpoint or savepoint has ended.
    pub(super) fn checkpoint(
        &mut self,
        checkpoint: &Checkpoint,
        slowest: Option<&Slowest>,
        redactor: &Redactor,
        meter: &mut Meter,
    ) {
        let (Some(id), Some(start)) = (checkpoint.id.0, checkpoint.trigger_timestamp.0) else {
            return;
        };
        let Some(run) = self.ended.run() else { return };
        let ids = (run.checkpoint_span_id(id, start), Some(run.span_id()));
        let mut attributes = vec![("flink.checkpoint.id", integer(id))];
        let kind = checkpoint.checkpoint_type.as_deref().map(|kind| bounded(kind, redactor));
        attributes.extend(kind.map(|kind| ("flink.checkpoint.type", AttributeValue::Text(kind))));
        for (name, number) in [
            ("flink.checkpoint.state_bytes", checkpoint.state_size),
            ("flink.checkpoint.checkpointed_bytes", checkpoint.checkpointed_size),
            ("flink.checkpoint.processed_bytes", checkpoint.processed_data),
            ("flink.checkpoint.persisted_bytes", checkpoint.persisted_data),
            ("flink.checkpoint.subtasks", checkpoint.num_subtasks),
            ("flink.checkpoint.acknowledged_subtasks", checkpoint.num_acknowledged_subtasks),
        ] {
            attributes.extend(number.0.map(|number| (name, integer(number))));
        }
        attributes.extend_from_slice(slowest.map_or(&[], |slowest| slowest.of(id)));
        let status = match checkpoint.status {
            CheckpointStatus::Completed => SpanStatus::Ok,
            _ => {
                let reason = checkpoint.failure_message.as_deref().unwrap_or_default();
                SpanStatus::Error(bounded_to(reason, REASON_BYTES_MAX, redactor))
            }
        };
        let name = if checkpoint.is_savepoint { "flink.savepoint" } else { "flink.checkpoint" };
        let end = duration_ms(checkpoint).map(|ms| start.saturating_add(ms));
        self.add(name, ids, (Some(start), end), status, attributes, meter);
    }

    /// Takes the times of the states. A restart lasts until the job runs again, or until its end.
    pub(super) fn restart(
        &mut self,
        details: &JobDetails,
        cause: Option<&Failure>,
        meter: &mut Meter,
    ) {
        let since = details.timestamps.restarting.0.filter(|at| *at > 0);
        let Some(start) = since.filter(|at| self.restart_unix_ms.is_none_or(|last| *at > last))
        else {
            return;
        };
        let Some(run) = self.ended.run() else { return };
        let ids = (run.restart_span_id(start), Some(run.span_id()));
        let running = details.timestamps.running.0.filter(|at| *at > start);
        let (end, status) = match running {
            Some(at) => (at, SpanStatus::Ok),
            None => match details.end_time.0.filter(|_| details.state.is_final()) {
                Some(at) => (at, SpanStatus::Error(Value::literal(""))),
                None => return,
            },
        };
        self.restart_unix_ms = Some(start);
        let mut attributes = Attributes::new();
        if let Some(failure) = cause {
            attributes.push(("exception.type", AttributeValue::Text(failure.class.clone())));
            let task = failure.task.clone().map(AttributeValue::Text);
            attributes.extend(task.map(|task| ("flink.restart.task", task)));
        }
        self.add("flink.restart", ids, (Some(start), Some(end)), status, attributes, meter);
    }

    /// A rescale has ended, unless it has its span.
    pub(super) fn rescale(&mut self, rescale: &Rescale, redactor: &Redactor, meter: &mut Meter) {
        let Some(run) = self.ended.run() else { return };
        let (start, end) = (rescale.start_timestamp_in_millis, rescale.end_timestamp_in_millis);
        let Some(terminal_state) = rescale.terminal_state.as_deref().filter(|_| end.0.is_some())
        else {
            return;
        };
        let ids = (run.rescale_span_id(&rescale.rescale_uuid), Some(run.span_id()));
        if self.rescales.contains(&ids.0) {
            return;
        }
        if self.rescales.len() == RESCALES_MAX {
            meter.cut(Cut::Span, 1);
            return;
        }
        self.rescales.insert(ids.0);
        let texts = [
            ("flink.rescale.state", Some(terminal_state)),
            ("flink.rescale.cause", rescale.trigger_cause.as_deref()),
            ("flink.rescale.reason", rescale.terminated_reason.as_deref()),
        ];
        let texts = texts.into_iter().filter_map(|(name, text)| {
            Some((name, AttributeValue::Text(bounded(text?, redactor))))
        });
        let status = match terminal_state {
            "COMPLETED" => SpanStatus::Ok,
            "FAILED" => SpanStatus::Error(Value::literal("")),
            _ => SpanStatus::Unset,
        };
        let attributes = texts.collect();
        self.add("flink.rescale", ids, (start.0, end.0), status, attributes, meter);
    }

    /// The run has ended. One that was out of reach and ends again is told again, with its true end.
    pub(super) fn run(
        &mut self,
        job: &Job,
        outcome: Outcome,
        cause: Option<&Failure>,
        meter: &mut Meter,
    ) {
        let Some(run) = self.ended.run() else { return };
        let ids = (run.span_id(), self.parent);
        let class = cause.map(|failure| failure.class.clone());
        let status = match outcome {
            Outcome::Succeeded => SpanStatus::Ok,
            Outcome::Failed => SpanStatus::Error(class.unwrap_or_else(|| Value::literal(""))),
            Outcome::Killed | Outcome::Unknown => SpanStatus::Unset,
        };
        let attributes =
            vec![("flink.job.outcome", AttributeValue::Text(Value::literal(outcome.as_str())))];
        let times = (Some(job.start_unix_ms), job.end_unix_ms);
        self.add("flink.job", ids, times, status, attributes, meter);
    }

    fn add(
        &mut self,
        name: &'static str,
        ids: (SpanId, Option<SpanId>),
        times: (Option<u64>, Option<u64>),
        status: SpanStatus,
        mut attributes: Attributes,
        meter: &mut Meter,
    ) {
        attributes.insert(0, ("flink.job.id", AttributeValue::Text(self.job_id.clone())));
        self.ended.add(name, ids, times, status, attributes, meter);
    }

    /// What ended since the last call.
    pub(super) fn take(&mut self) -> Vec<SpanBatch> {
        self.ended.take()
    }
}
