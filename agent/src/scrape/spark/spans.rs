//! The work of one application as spans: the run, its jobs, and the attempts of their stages.
//!
//! A span is made when its work has ended and its numbers are final. The ledgers see to it that this
//! is once; an agent that starts anew makes the same spans with the same ids again.

use super::identity::bounded_to;
use super::metrics::MILLISECONDS;
use super::rest::{self, JobStatus, Number, StageStatus};
use crate::model::{AttributeValue, Resource, SpanBatch, SpanStatus};
use crate::scrape;
use crate::scrape::meter::Meter;
use crate::scrape::runs::Outcome;
use crate::scrape::work::{Attributes, EndedWork, integer};
use crate::trace::SpanId;
use redaction::{Redactor, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Stages whose jobs are remembered: those of 20,000 jobs have been taken from one answer.
const OWNERS_MAX: usize = 100_000;
/// Longest description in bytes.
const DESCRIPTION_BYTES_MAX: usize = 256;
/// Longest reason of a failure in bytes: Spark puts a stack trace behind it.
const REASON_BYTES_MAX: usize = 1024;
const NANOSECONDS: f64 = 1e9;

/// See the head of the file.
#[derive(Debug)]
pub(super) struct Spans {
    work: EndedWork,
    /// What the run is a part of.
    parent: Option<SpanId>,
    app_id: Value,
    redactor: Arc<Redactor>,
    /// The first job of each stage that the UI still lists.
    owners: BTreeMap<u32, u32>,
}

impl Spans {
    /// No work has ended yet.
    pub(super) fn new(
        resource: Arc<Resource>,
        parent: Option<SpanId>,
        app_id: Value,
        redactor: Arc<Redactor>,
    ) -> Self {
        Self { work: EndedWork::new(resource), parent, app_id, redactor, owners: BTreeMap::new() }
    }

    /// Takes which stages belong to which job. One that several use counts for the first, whose it was
    /// once: so all its attempts stand together, whenever an agent reads them.
    pub(super) fn set_owners(&mut self, jobs: &[rest::Job]) {
        self.owners.clear();
        self.add_owners(jobs);
    }

    /// As [`set_owners`](Self::set_owners), of jobs that are some of all.
    pub(super) fn add_owners(&mut self, jobs: &[rest::Job]) {
        for job in jobs {
            for stage_id in &job.stage_ids {
                let owner = self.owners.entry(*stage_id).or_insert(job.job_id);
                *owner = job.job_id.min(*owner);
            }
        }
        while self.owners.len() > OWNERS_MAX {
            self.owners.pop_first();
        }
    }

    /// A job has ended.
    pub(super) fn job(&mut self, job: &rest::Job, meter: &mut Meter) {
        let Some(run) = self.work.run() else { return };
        let mut attributes = vec![("spark.job.id", integer(u64::from(job.job_id)))];
        for (name, number) in [
            ("spark.job.tasks", job.num_tasks),
            ("spark.job.failed_tasks", job.num_failed_tasks),
            ("spark.job.skipped_tasks", job.num_skipped_tasks),
            ("spark.job.failed_stages", job.num_failed_stages),
            ("spark.job.skipped_stages", job.num_skipped_stages),
        ] {
            attributes.extend(number.0.map(|number| (name, integer(number))));
        }
        self.describe(&mut attributes, "spark.job.name", &job.name);
        self.describe(&mut attributes, "spark.job.description", &job.description);
        let status = match job.status {
            JobStatus::Succeeded => SpanStatus::Ok,
            // Its failed stage has the reason.
            JobStatus::Failed => SpanStatus::Error(Value::literal("")),
            JobStatus::Running | JobStatus::Unknown => SpanStatus::Unset,
        };
        let ids = (run.job_span_id(job.job_id), Some(run.span_id()));
        let times = (job.submission_time, job.completion_time);
        self.add("spark.job", ids, times, status, attributes, meter);
    }

    /// An attempt of a stage has ended.
    pub(super) fn stage(&mut self, stage: &rest::Stage, meter: &mut Meter) {
        let Some(run) = self.work.run() else { return };
        let owner = self.owners.get(&stage.stage_id).copied();
        let mut attributes = vec![
            ("spark.stage.id", integer(u64::from(stage.stage_id))),
            ("spark.stage.attempt", integer(u64::from(stage.attempt_id))),
        ];
        attributes.extend(owner.map(|job_id| ("spark.job.id", integer(u64::from(job_id)))));
        numbers(stage, &mut attributes);
        self.describe(&mut attributes, "spark.stage.name", &stage.name);
        self.describe(&mut attributes, "spark.stage.description", &stage.description);
        let status = match stage.status {
            StageStatus::Complete => SpanStatus::Ok,
            StageStatus::Failed => {
                let reason = stage.failure_reason.as_deref().unwrap_or_default();
                SpanStatus::Error(bounded_to(reason, REASON_BYTES_MAX, &self.redactor))
            }
            _ => SpanStatus::Unset,
        };
        let parent = owner.map_or(run.span_id(), |job_id| run.job_span_id(job_id));
        let ids = (run.stage_span_id(stage.stage_id, stage.attempt_id), Some(parent));
        let times = (stage.submission_time, stage.completion_time);
        self.add("spark.stage", ids, times, status, attributes, meter);
    }

    /// The run has ended.
    pub(super) fn run(&mut self, job: &scrape::Job, outcome: Outcome, meter: &mut Meter) {
        let Some(run) = self.work.run() else { return };
        let attempt = job.attempt.clone();
        let attributes = attempt.map(|id| ("spark.app.attempt.id", AttributeValue::Text(id)));
        let status = match outcome {
            Outcome::Succeeded => SpanStatus::Ok,
            Outcome::Failed => SpanStatus::Error(Value::literal("")),
            Outcome::Killed | Outcome::Unknown => SpanStatus::Unset,
        };
        let ids = (run.span_id(), self.parent);
        let times = (rest::Time(Some(job.start_unix_ms)), rest::Time(job.end_unix_ms));
        let attributes = attributes.into_iter().collect();
        self.add("spark.application", ids, times, status, attributes, meter);
    }

    fn add(
        &mut self,
        name: &'static str,
        ids: (SpanId, Option<SpanId>),
        (start, end): (rest::Time, rest::Time),
        status: SpanStatus,
        mut attributes: Attributes,
        meter: &mut Meter,
    ) {
        attributes.insert(0, ("spark.app.id", AttributeValue::Text(self.app_id.clone())));
        self.work.add(name, ids, (start.0, end.0), status, attributes, meter);
    }

    fn describe(&self, to: &mut Attributes, name: &'static str, text: &Option<String>) {
        if let Some(text) = text.as_deref().filter(|text| !text.is_empty()) {
            let text = bounded_to(text, DESCRIPTION_BYTES_MAX, &self.redactor);
            to.push((name, AttributeValue::Text(text)));
        }
    }

    /// What ended since the last call.
    pub(super) fn take(&mut self) -> Vec<SpanBatch> {
        self.work.take()
    }
}

/// What the tasks of a stage attempt did.
fn numbers(stage: &rest::Stage, to: &mut Attributes) {
    let read = rest::sum(
        [stage.shuffle_remote_bytes_read, stage.shuffle_local_bytes_read]
            .map(|it| it.0)
            .into_iter(),
    );
    for (name, number) in [
        ("spark.stage.tasks", stage.num_tasks),
        ("spark.stage.failed_tasks", stage.num_failed_tasks),
        ("spark.stage.killed_tasks", stage.num_killed_tasks),
        ("spark.stage.input_bytes", stage.input_bytes),
        ("spark.stage.input_records", stage.input_records),
        ("spark.stage.output_bytes", stage.output_bytes),
        ("spark.stage.output_records", stage.output_records),
        ("spark.stage.shuffle_read_bytes", Number(read)),
        ("spark.stage.shuffle_write_bytes", stage.shuffle_write_bytes),
        ("spark.stage.disk_spilled_bytes", stage.disk_bytes_spilled),
    ] {
        to.extend(number.0.map(|number| (name, integer(number))));
    }
    for (name, number, unit) in [
        ("spark.stage.executor_run_seconds", stage.executor_run_time, MILLISECONDS),
        ("spark.stage.executor_cpu_seconds", stage.executor_cpu_time, NANOSECONDS),
        ("spark.stage.gc_seconds", stage.jvm_gc_time, MILLISECONDS),
    ] {
        to.extend(number.0.map(|number| (name, AttributeValue::Float(number as f64 / unit))));
    }
}
