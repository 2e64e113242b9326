//! Jobs of a run: which stages they are made of, and how they ended.

use super::events::{Amount, JobEnd, JobStart, Text};
use super::strings::{first_line, short};
use redaction::{Redactor, Value};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Jobs that run at a time; of more, the oldest are given up.
const JOBS_MAX: usize = 10_000;
/// Jobs that ended and wait for whoever follows the log; more are counted and left out.
const ENDED_MAX: usize = 4_096;
/// Stages of one job that are kept.
const STAGES_MAX: usize = 4_096;
const REASON_BYTES_MAX: usize = 1_024;
const NAME_BYTES_MAX: usize = 256;

/// All jobs of a run.
#[derive(Debug, Default, PartialEq)]
pub struct Jobs {
    live: BTreeMap<u64, Job>,
    /// Those that ended since they were taken last, where somebody follows the log.
    ended: Option<Vec<Job>>,
    /// Jobs that ended well.
    pub n_succeeded: u64,
    /// Jobs that failed.
    pub n_failed: u64,
    /// Jobs that were given up for the limit.
    pub n_dropped: u64,
    /// The job that ended last: its number, and why it failed if it did.
    pub last: Option<(u64, Option<Value>)>,
    /// The failure that came last, with when and of which job.
    pub last_failure: Option<(u64, u64, Value)>,
}

/// One job.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Job {
    /// Its number.
    pub id: u64,
    /// When it was submitted.
    pub submitted_ms: u64,
    /// When it ended, and whether well.
    pub ended: Option<(u64, bool)>,
    /// Its last stage, as Spark names it.
    pub name: Option<Value>,
    /// What its program says of it.
    pub description: Option<Value>,
    /// The SQL execution that it works for.
    pub sql_execution: Option<u64>,
    /// Its stages.
    pub stages: BTreeSet<u32>,
    /// Tasks of all stages, also of those that need not run.
    pub n_tasks: u64,
    /// Stages that have not begun, with their tasks. When the job ends, these were skipped.
    pub pending: BTreeMap<u32, u64>,
}

impl Jobs {
    /// Jobs that started and have not ended.
    #[must_use]
    pub fn n_running(&self) -> u64 {
        self.live.len() as u64
    }

    /// Those jobs.
    pub fn running(&self) -> impl Iterator<Item = &Job> {
        self.live.values()
    }

    /// Jobs that ended since the last call; from the first call on they are kept for the next.
    pub fn take_ended(&mut self) -> Vec<Job> {
        self.ended.replace(Vec::new()).unwrap_or_default()
    }

    pub(super) fn started(&mut self, event: &JobStart<'_>, redactor: &Redactor) {
        if self.live.len() >= JOBS_MAX {
            self.live.pop_first();
            self.n_dropped += 1;
        }
        let stages = || event.stages.iter().take(STAGES_MAX);
        let properties = event.properties.as_ref();
        let text = |text: Option<&Text<'_>>| {
            let text = text.filter(|it| !it.is_empty());
            text.map(|it| first_line(redactor, it, NAME_BYTES_MAX))
        };
        let sql_execution = properties.and_then(|it| it.sql_execution.as_deref()?.parse().ok());
        let job = Job {
            id: event.id,
            submitted_ms: event.time.0,
            ended: None,
            name: text(stages().max_by_key(|stage| stage.id).map(|stage| &stage.name)),
            description: text(properties.and_then(|it| it.description.as_ref())),
            sql_execution,
            stages: stages().map(|stage| stage.id).collect(),
            n_tasks: stages().fold(0, |sum, stage| stage.n_tasks.0.saturating_add(sum)),
            pending: stages().map(|stage| (stage.id, stage.n_tasks.0)).collect(),
        };
        self.live.insert(event.id, job);
    }

    pub(super) fn stage_submitted(&mut self, stage: u32) {
        for job in self.live.values_mut() {
            job.pending.remove(&stage);
        }
    }

    pub(super) fn ended(&mut self, event: &JobEnd<'_>, redactor: &Redactor) {
        let is_good = event.result.result == "JobSucceeded";
        if let Some(mut job) = self.live.remove(&event.id)
            && let Some(ended) = &mut self.ended
        {
            job.ended = Some((event.time.0, is_good));
            if ended.len() < ENDED_MAX {
                ended.push(job);
            } else {
                self.n_dropped += 1;
            }
        }
        if is_good {
            self.n_succeeded += 1;
            self.last = Some((event.id, None));
            return;
        }
        self.n_failed += 1;
        let message = event.result.exception.as_ref().and_then(|it| it.message.as_deref());
        let message = message.unwrap_or("no reason given");
        if message.contains("cancelled") && message.starts_with("Job ") {
            // Somebody wanted that: a query that is stopped, say.
            self.last = Some((event.id, None));
            return;
        }
        let reason = short(redactor, message, REASON_BYTES_MAX);
        self.last_failure = Some((event.time.0, event.id, reason.clone()));
        self.last = Some((event.id, Some(reason)));
    }
}

/// What a program sets for its jobs.
#[derive(Debug, Deserialize)]
pub(super) struct JobProperties<'a> {
    #[serde(rename = "spark.job.description", borrow)]
    pub(super) description: Option<Text<'a>>,
    #[serde(rename = "spark.sql.execution.id", borrow)]
    pub(super) sql_execution: Option<Text<'a>>,
}

/// A stage of a job that starts.
#[derive(Debug, Deserialize)]
pub(super) struct JobStage<'a> {
    #[serde(rename = "Stage ID")]
    pub(super) id: u32,
    #[serde(rename = "Stage Name", borrow, default)]
    pub(super) name: Text<'a>,
    #[serde(rename = "Number of Tasks", default)]
    pub(super) n_tasks: Amount,
}
