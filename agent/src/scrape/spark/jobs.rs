//! The Spark jobs of one application, and which of their stages have to be read.

use super::DURATION_BOUNDS;
use super::ledger::Ledger;
use super::metrics::application::{APP_JOB_DURATION, APP_JOBS, APP_JOBS_TOTAL, APP_TASKS};
use super::metrics::job::JOB_PROGRESS;
use super::metrics::stage::{APP_STAGES, APP_STAGES_TOTAL};
use super::metrics::{Counter, MILLISECONDS, PLAIN, push_totals, values};
use super::rest::{Job, JobStatus};
use super::stages::Stages;
use crate::model::metric::Histogram;
use crate::model::{Sample, SampleValue};
use crate::scrape::meter::{Cut, Meter};
use redaction::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Jobs that may run or wait for their stages to be read at the same time.
const OPEN_MAX: usize = 4096;

/// What was skipped is counted by job: Spark writes it when the job ends, and it makes no stage
/// attempt for it. Everything else about tasks and stages is counted by stage.
static COUNTERS: [Counter<Job>; 4] = [
    Counter::labelled(&APP_JOBS_TOTAL, "outcome", "succeeded", PLAIN, |j| {
        Some(u64::from(j.status == JobStatus::Succeeded))
    }),
    Counter::labelled(&APP_JOBS_TOTAL, "outcome", "failed", PLAIN, |j| {
        Some(u64::from(j.status == JobStatus::Failed))
    }),
    Counter::labelled(&APP_TASKS, "outcome", "skipped", PLAIN, |j| j.num_skipped_tasks.0),
    Counter::labelled(&APP_STAGES_TOTAL, "outcome", "skipped", PLAIN, |j| j.num_skipped_stages.0),
];

/// Jobs of one application.
#[derive(Debug)]
pub(super) struct Jobs {
    ledger: Ledger<4>,
    durations: Histogram,
    now: Now,
}

/// What the last answer said of jobs that run.
#[derive(Debug, Default)]
struct Now {
    jobs: u64,
    stages_active: u64,
    stages_pending: u64,
    tasks: u64,
    tasks_done: u64,
}

impl Jobs {
    /// No jobs yet.
    pub(super) fn new() -> Self {
        let (ledger, durations) = (Ledger::new(OPEN_MAX), Histogram::new(DURATION_BOUNDS));
        Self { ledger, durations, now: Now::default() }
    }

    /// Takes what REST says of all jobs that it keeps.
    pub(super) fn record(&mut self, jobs: &[Job], meter: &mut Meter) {
        self.now = Now::default();
        for job in jobs {
            if !self.ledger.record(u64::from(job.job_id), values(&COUNTERS, job)) {
                meter.cut(Cut::Entry, 1);
            }
            if job.status == JobStatus::Running {
                self.now.add(job);
            }
        }
        // A job that the UI forgot cannot change any more.
        let listed: BTreeSet<u64> = jobs.iter().map(|job| u64::from(job.job_id)).collect();
        let forgotten: Vec<u64> =
            self.ledger.open_keys().filter(|key| !listed.contains(key)).collect();
        meter.cut(Cut::Span, forgotten.len() as u64);
        for key in forgotten {
            self.ledger.give_up(key);
        }
    }

    /// Takes what an event log says of jobs that run or have ended, and returns those of which nobody
    /// knew the end. While REST does not answer, `is_alone`, it is all that is known of the present.
    pub(super) fn record_log<'a>(
        &mut self,
        jobs: &'a [Job],
        is_alone: bool,
        meter: &mut Meter,
    ) -> Vec<&'a Job> {
        if is_alone {
            self.now = Now::default();
        }
        let mut ended = Vec::new();
        for job in jobs {
            let (key, values) = (u64::from(job.job_id), values(&COUNTERS, job));
            if job.is_final() {
                if self.ledger.revise(key, values) {
                    self.observe_duration(job);
                    ended.push(job);
                }
                continue;
            }
            if !self.ledger.raise(key, values) {
                meter.cut(Cut::Entry, 1);
            }
            if is_alone {
                self.now.add(job);
            }
        }
        ended
    }

    fn observe_duration(&mut self, job: &Job) {
        if let (Some(start), Some(end)) = (job.submission_time.0, job.completion_time.0) {
            self.durations.observe(end.saturating_sub(start) as f64 / MILLISECONDS);
        }
    }

    /// Stages whose values must be read one by one: they ended, and their last values are missing.
    ///
    /// `active` are those that run now, which are read anyway. A job that failed a stage may have
    /// made another attempt that began and ended between two rounds, so all its stages are read
    /// once more when it ends, if `rereads`.
    pub(super) fn unread(
        &self,
        jobs: &[Job],
        active: &BTreeSet<u32>,
        stages: &Stages,
        rereads: bool,
    ) -> BTreeSet<u32> {
        let mut unread: BTreeSet<u32> = stages.open_ids().difference(active).copied().collect();
        for job in self.open(jobs) {
            let (resolved, unresolved): (Vec<u32>, Vec<u32>) =
                job.stage_ids.iter().partition(|id| stages.is_resolved(**id));
            let may_hide_attempts = rereads && job.num_failed_stages.0.unwrap_or(0) > 0;
            if job.is_final() && may_hide_attempts {
                unread.extend(resolved.iter().chain(&unresolved));
            } else if job.is_final() {
                // Stages without an attempt are exactly the skipped ones, as a rule.
                if unresolved.len() as u64 > job.num_skipped_stages.0.unwrap_or(0) {
                    unread.extend(&unresolved);
                }
            } else if job.num_completed_stages.0.unwrap_or(0) > resolved.len() as u64 {
                unread.extend(&unresolved);
            }
        }
        unread.difference(active).copied().collect()
    }

    /// Closes jobs that ended and of which no stage is left to read, after `read` were. Returns them.
    pub(super) fn close<'a>(
        &mut self,
        jobs: &'a [Job],
        stages: &Stages,
        read: &BTreeSet<u32>,
        rereads: bool,
    ) -> Vec<&'a Job> {
        let is_read = |id: &u32| read.contains(id);
        let mut ended = Vec::new();
        for job in self.open(jobs).filter(|job| job.is_final()) {
            let unresolved = job.stage_ids.iter().filter(|id| !stages.is_resolved(**id));
            let n_skipped = job.num_skipped_stages.0.unwrap_or(0);
            let may_hide_attempts = rereads && job.num_failed_stages.0.unwrap_or(0) > 0;
            let is_complete = if may_hide_attempts {
                job.stage_ids.iter().all(is_read)
            } else {
                unresolved.clone().count() as u64 <= n_skipped || unresolved.clone().all(is_read)
            };
            if is_complete {
                ended.push(job);
            }
        }
        for job in &ended {
            if self.ledger.close(u64::from(job.job_id)) {
                self.observe_duration(job);
            }
        }
        ended
    }

    fn open<'a>(&self, jobs: &'a [Job]) -> impl Iterator<Item = &'a Job> {
        jobs.iter().filter(|job| !self.ledger.is_closed(u64::from(job.job_id)))
    }

    /// Adds the samples.
    pub(super) fn push(&self, samples: &mut Vec<Sample>) {
        push_totals(&COUNTERS, &self.ledger, samples);
        let value = SampleValue::Histogram(Arc::new(self.durations.clone()));
        samples.push(Sample { descriptor: &APP_JOB_DURATION, labels: Vec::new(), value });
        for (descriptor, state, count) in [
            (&APP_JOBS, "running", self.now.jobs),
            (&APP_STAGES, "active", self.now.stages_active),
            (&APP_STAGES, "pending", self.now.stages_pending),
        ] {
            let labels = vec![("state", Value::literal(state))];
            samples.push(Sample::number(descriptor, labels, count as f64));
        }
        if self.now.tasks > 0 {
            let ratio = self.now.tasks_done as f64 / self.now.tasks as f64;
            samples.push(Sample::number(&JOB_PROGRESS, Vec::new(), ratio.min(1.0)));
        }
    }
}

impl Now {
    fn add(&mut self, job: &Job) {
        let number = |field: super::rest::Number| field.0.unwrap_or(0);
        // Sums that the other side could make overflow stop at their end.
        let n_begun = number(job.num_active_stages)
            .saturating_add(number(job.num_completed_stages))
            .saturating_add(number(job.num_skipped_stages));
        // Attempts of one partition count once; before 2.4.1 there was no such field.
        let n_done = job.num_completed_indices.0.unwrap_or(number(job.num_completed_tasks));
        let n_wanted = number(job.num_tasks).saturating_sub(number(job.num_skipped_tasks));
        self.jobs += 1;
        self.stages_active = self.stages_active.saturating_add(number(job.num_active_stages));
        self.stages_pending += (job.stage_ids.len() as u64).saturating_sub(n_begun);
        self.tasks = self.tasks.saturating_add(n_wanted);
        self.tasks_done = self.tasks_done.saturating_add(n_done);
    }
}
