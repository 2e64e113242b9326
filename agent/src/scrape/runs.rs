//! What is known of a job beyond one run: how its runs ended.

use super::Job;
use super::spark::metrics::job::{JOB_LAST_END, JOB_LAST_SUCCESS, JOB_RUN_DURATION, JOB_RUNS};
use crate::model::metric::Histogram;
use crate::model::{Engine, MetricBatch, Resource, Sample, SampleValue};
use crate::scrape::meter::{Cut, Meter};
use redaction::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Job names whose history is kept.
const NAMES_MAX: usize = 256;
/// Bounds of run durations in seconds: 10 s to 24 h.
static BOUNDS: [f64; 12] = [
    10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 43_200.0, 86_400.0,
];

/// How a run ended, as far as REST can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    Succeeded,
    Failed,
    /// Somebody cancelled it.
    Killed,
    /// The UI went away without a word.
    Unknown,
}

impl Outcome {
    /// Value of the labels `outcome` and `state`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Killed => "killed",
            Self::Unknown => "unknown",
        }
    }

    /// What an exit code says; Spark names it from 4.3 on.
    pub(super) fn from_exit_code(code: Option<i64>) -> Self {
        match code {
            Some(0) => Self::Succeeded,
            Some(_) => Self::Failed,
            None => Self::Unknown,
        }
    }
}

/// Histories of all job names since the agent started.
#[derive(Debug, Default)]
pub(super) struct Histories {
    by_name: BTreeMap<Value, History>,
}

#[derive(Debug)]
struct History {
    engine: Engine,
    resource: Arc<Resource>,
    created_unix_ms: u64,
    durations: BTreeMap<Outcome, Histogram>,
    last_end_unix_ms: u64,
    last_success_unix_ms: Option<u64>,
}

impl Histories {
    /// Counts the end of `job`.
    pub(super) fn finish(&mut self, job: &Job, outcome: Outcome, meter: &mut Meter) {
        let Some(end) = job.end_unix_ms else { return };
        let name = &job.job_name;
        if !self.by_name.contains_key(name) && self.by_name.len() >= NAMES_MAX {
            meter.cut(Cut::JobName, 1);
            return;
        }
        let history = self.by_name.entry(name.clone()).or_insert_with(|| History {
            engine: job.engine,
            resource: Arc::new(Resource {
                job_name: Some(name.clone()),
                engine: Some(job.engine),
                ..Resource::default()
            }),
            created_unix_ms: job.start_unix_ms,
            durations: BTreeMap::new(),
            last_end_unix_ms: end,
            last_success_unix_ms: None,
        });
        let seconds = end.saturating_sub(job.start_unix_ms) as f64 / 1e3;
        let durations = history.durations.entry(outcome);
        durations.or_insert_with(|| Histogram::new(&BOUNDS)).observe(seconds);
        history.last_end_unix_ms = history.last_end_unix_ms.max(end);
        if outcome == Outcome::Succeeded {
            history.last_success_unix_ms = history.last_success_unix_ms.max(Some(end));
        }
    }

    /// One batch per job name. It has no slot: it is about all runs of the job.
    pub(super) fn batches(&self, unix_ms: u64) -> impl Iterator<Item = MetricBatch> {
        self.by_name.iter().map(move |(name, history)| MetricBatch {
            resource: history.resource.clone(),
            labels: vec![
                ("engine", Value::literal(history.engine.as_str())),
                ("job_name", name.clone()),
            ],
            created_unix_ms: history.created_unix_ms,
            time_unix_ms: unix_ms,
            samples: history.samples(),
        })
    }
}

impl History {
    fn samples(&self) -> Vec<Sample> {
        let mut samples = Vec::new();
        for (outcome, durations) in &self.durations {
            let labels = vec![("outcome", Value::literal(outcome.as_str()))];
            let runs = durations.count() as f64;
            samples.push(Sample::number(&JOB_RUNS, labels.clone(), runs));
            let value = SampleValue::Histogram(Arc::new(durations.clone()));
            samples.push(Sample { descriptor: &JOB_RUN_DURATION, labels, value });
        }
        let seconds = |unix_ms: u64| unix_ms as f64 / 1e3;
        samples.push(Sample::number(&JOB_LAST_END, Vec::new(), seconds(self.last_end_unix_ms)));
        if let Some(success) = self.last_success_unix_ms {
            samples.push(Sample::number(&JOB_LAST_SUCCESS, Vec::new(), seconds(success)));
        }
        samples
    }
}
