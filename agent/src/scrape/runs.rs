//! What runs of all engines have in common: a slot, an end, whose series are shown, and what is known
//! of a job beyond one run.

use super::Job;
use super::spark::metrics::MILLISECONDS;
use super::spark::metrics::job::{
    JOB_LAST_END, JOB_LAST_SUCCESS, JOB_RUN_DURATION, JOB_RUN_STATE, JOB_RUNS,
};
use crate::clock;
use crate::model::metric::Histogram;
use crate::model::{Engine, MetricBatch, Resource, Sample, SampleValue};
use crate::scrape::meter::{Cut, Meter};
use redaction::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Runs that are read at the same time.
const LIVE_MAX: usize = 64;
/// Runs that ended and are still shown; the oldest go first.
const ENDED_MAX: usize = 64;
/// Every value of the label `state` of `job_run_state`.
const STATES: [&str; 7] =
    ["starting", "running", "restarting", "succeeded", "failed", "killed", "unknown"];

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

/// Now, on the clock that measures and on the one that dates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) instant: Instant,
    pub(super) unix_ms: u64,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self { instant: Instant::now(), unix_ms: clock::unix_ms() }
    }
}

/// How and when a run ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub(super) at: Instant,
    pub(super) outcome: Outcome,
}

/// One run of a job.
pub(super) trait Run {
    /// What the job table shows of it.
    fn job(&self) -> &Job;
    /// Number among the live runs of the same name.
    fn slot(&self) -> u64;
    /// Set once it has ended.
    fn ended(&self) -> Option<Ended>;
    /// Whose its series are.
    fn resource(&self) -> &Arc<Resource>;

    /// True until it ended.
    fn is_live(&self) -> bool {
        self.ended().is_none()
    }

    /// A batch without samples, which takes the series of this run away.
    fn empty_batch(&self, unix_ms: u64) -> MetricBatch {
        let job = self.job();
        MetricBatch {
            resource: self.resource().clone(),
            labels: vec![
                ("engine", Value::literal(job.engine.as_str())),
                ("job_name", job.job_name.clone()),
                ("slot", Value::number(self.slot())),
            ],
            created_unix_ms: job.start_unix_ms,
            time_unix_ms: unix_ms,
            samples: Vec::new(),
        }
    }
}

/// Adds `job_run_state` of a run that is in `state`, unless it has ended.
pub(super) fn push_state(run: &impl Run, state: &str, samples: &mut Vec<Sample>) {
    let state = run.ended().map_or(state, |ended| ended.outcome.as_str());
    for name in STATES {
        let labels = vec![("state", Value::literal(name))];
        samples.push(Sample::number(&JOB_RUN_STATE, labels, f64::from(u8::from(name == state))));
    }
}

/// True when no more can be read.
pub(super) fn is_full<R: Run>(runs: &BTreeMap<Value, R>) -> bool {
    runs.values().filter(|run| run.is_live()).count() >= LIVE_MAX
}

/// A slot that no live run of `job_name` has: `wanted`, or else the smallest.
pub(super) fn free_slot<R: Run>(runs: &BTreeMap<Value, R>, job_name: &Value, wanted: u64) -> u64 {
    let live = runs.values().filter(|run| run.is_live() && run.job().job_name == *job_name);
    let taken: BTreeSet<u64> = live.map(Run::slot).collect();
    if !taken.contains(&wanted) {
        return wanted;
    }
    (0..).find(|slot| !taken.contains(slot)).unwrap_or_default()
}

/// Runs that ended `linger` ago, and the oldest of too many.
pub(super) fn expired<R: Run>(
    runs: &BTreeMap<Value, R>,
    now: Moment,
    linger: Duration,
) -> Vec<Value> {
    let ended = runs.iter().filter_map(|(id, run)| Some((run.ended()?.at, id)));
    let mut ended: Vec<(Instant, &Value)> = ended.collect();
    ended.sort();
    let over = ended.len().saturating_sub(ENDED_MAX);
    let is_expired = |index: usize, at: Instant| {
        index < over || now.instant.saturating_duration_since(at) >= linger
    };
    let expired = ended.iter().enumerate().filter(|(index, (at, _))| is_expired(*index, *at));
    expired.map(|(_, (_, id))| (*id).clone()).collect()
}

/// True if the series of its name and slot are those of this run. One that ended gives its slot to the
/// next one, which may be there before the linger time is over.
pub(super) fn owns_series<R: Run>(runs: &BTreeMap<Value, R>, id: &Value) -> bool {
    let Some(this) = runs.get(id) else { return false };
    let rank = |run: &R| (run.is_live(), run.ended().map(|ended| ended.at));
    let mut others = runs.iter().filter(|(other_id, other)| {
        let (other_job, job) = (other.job(), this.job());
        *other_id != id && other_job.job_name == job.job_name && other.slot() == this.slot()
    });
    others.all(|(other_id, other)| (rank(other), other_id) < (rank(this), id))
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
        let seconds = end.saturating_sub(job.start_unix_ms) as f64 / MILLISECONDS;
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
        let seconds = |unix_ms: u64| unix_ms as f64 / MILLISECONDS;
        samples.push(Sample::number(&JOB_LAST_END, Vec::new(), seconds(self.last_end_unix_ms)));
        if let Some(success) = self.last_success_unix_ms {
            samples.push(Sample::number(&JOB_LAST_SUCCESS, Vec::new(), seconds(success)));
        }
        samples
    }
}
