//! One job: reads its part of the REST API and keeps what it counted.

use super::checkpoints::Checkpoints;
use super::exceptions::{Exceptions, FAILURES_MAX};
use super::metrics::job::{
    JOB_INFO, JOB_RESCALE_RESULTS, JOB_RESCALE_SECONDS, JOB_RESCALES, JOB_RESTARTS, JOB_STATE,
    JOB_STATE_SECONDS, JOB_TASKS, JOB_UPTIME,
};
use super::metrics::push;
use super::query::{Round, paths};
use super::rest::{self, JobState, List, ListedJob, Metric};
use super::rest_checkpoints;
use super::slowest::Slowest;
use super::spans::Spans;
use super::tally::{Fall, Tally};
use super::vertices::{Choice, Vertices};
use crate::identity::Identity;
use crate::model::{Engine, MetricBatch, Resource, Sample, SpanBatch};
use crate::scrape::http::HttpError;
use crate::scrape::meter::Meter;
use crate::scrape::runs::{Ended, Outcome, Run, push_state};
use crate::scrape::spark::metrics::MILLISECONDS;
use crate::scrape::spark::metrics::job::{JOB_FINAL_SNAPSHOT, JOB_RUN_INFO, JOB_RUN_START};
use crate::scrape::spark::{bounded, named};
use crate::scrape::{Given, Job};
use redaction::{Redactor, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;

/// Rounds between two looks at what seldom changes: exceptions, splits, rescales.
const SELDOM_ROUNDS: u32 = 4;
/// Metrics of a job that are counters: the id, and the state whose time it tells in milliseconds.
const COUNTERS: [(&str, Option<&str>); 9] = [
    ("numRestarts", None),
    ("numRescales", None),
    ("createdTimeTotal", Some("created")),
    ("initializingTimeTotal", Some("initializing")),
    ("deployingTimeTotal", Some("deploying")),
    ("runningTimeTotal", Some("running")),
    ("restartingTimeTotal", Some("restarting")),
    ("failingTimeTotal", Some("failing")),
    ("cancellingTimeTotal", Some("cancelling")),
];

/// What a new job is made from, besides its own answers.
pub(super) struct Context<'a> {
    pub(super) redactor: &'a Redactor,
    pub(super) identity: &'a Identity,
    /// What the operator said.
    pub(super) given: &'a Given,
    pub(super) choice: &'a Arc<Choice>,
    /// Version of Flink.
    pub(super) version: &'a Value,
    pub(super) unix_ms: u64,
}

/// One job.
#[derive(Debug)]
pub(super) struct FlinkJob {
    /// What the job table shows of it.
    pub(super) job: Job,
    /// Number among the live jobs of the same name.
    pub(super) slot: u64,
    /// Set once it is in a state that it does not leave, or its JobManager is gone.
    pub(super) ended: Option<Ended>,
    state: JobState,
    resource: Arc<Resource>,
    run_labels: Vec<(&'static str, Value)>,
    info_labels: Vec<(&'static str, Value)>,
    /// When it began under the present JobManager.
    start_unix_ms: Option<u64>,
    uptime_ms: Option<u64>,
    tasks: BTreeMap<&'static str, u64>,
    counts: Tally<9>,
    rescales: Tally<3>,
    rescale_seconds: [Option<f64>; 3],
    is_adaptive: bool,
    has_checkpoint_config: bool,
    checkpoints: Checkpoints,
    exceptions: Exceptions,
    vertices: Vertices,
    rounds_to_seldom: u32,
    /// What the exceptions were read after: restarts, state, and when it last restarted.
    failures_seen: (Option<u64>, JobState, Option<u64>),
    spans: Spans,
}

impl Run for FlinkJob {
    fn job(&self) -> &Job {
        &self.job
    }

    fn slot(&self) -> u64 {
        self.slot
    }

    fn ended(&self) -> Option<Ended> {
        self.ended
    }

    fn resource(&self) -> &Arc<Resource> {
        &self.resource
    }
}

impl FlinkJob {
    /// A job that was just seen for the first time. Its slot is set by the caller.
    pub(super) fn new(listed: &ListedJob, context: &Context<'_>) -> Self {
        let redactor = context.redactor;
        let job_id = bounded(&listed.jid, redactor);
        let given = context.given;
        let job = Job {
            engine: Engine::Flink,
            job_name: given.job_name.clone().unwrap_or_else(|| named(&listed.name, redactor)),
            attempt: None,
            run_id: given.run_id.clone().unwrap_or_else(|| job_id.clone()),
            user_id: given.user_id.clone(),
            start_unix_ms: listed.start_time.0.unwrap_or(context.unix_ms),
            end_unix_ms: None,
            seen_unix_ms: context.unix_ms,
            properties: BTreeMap::new(),
            job_id,
        };
        let mut run_labels = vec![("app_id", job.job_id.clone()), ("run_id", job.run_id.clone())];
        run_labels.extend(job.user_id.clone().map(|user_id| ("user_id", user_id)));
        run_labels.push(("engine_version", context.version.clone()));
        run_labels.push(("agent_version", Value::literal(env!("CARGO_PKG_VERSION"))));
        let resource = Arc::new(context.identity.job(&job));
        let parent = context.identity.parent_span_id();
        let spans = Spans::new(resource.clone(), parent, job.job_id.clone());
        Self {
            slot: 0,
            ended: None,
            state: listed.state,
            resource,
            run_labels,
            info_labels: vec![("flink_version", context.version.clone())],
            start_unix_ms: None,
            uptime_ms: None,
            tasks: BTreeMap::new(),
            counts: Tally::default(),
            rescales: Tally::default(),
            rescale_seconds: [None; 3],
            is_adaptive: false,
            has_checkpoint_config: false,
            checkpoints: Checkpoints::new(),
            exceptions: Exceptions::default(),
            vertices: Vertices::new(context.choice.clone()),
            rounds_to_seldom: 0,
            failures_seen: (None, JobState::Created, None),
            spans,
            job,
        }
    }

    /// Takes what `/jobs/overview` says of it.
    pub(super) fn record(&mut self, listed: &ListedJob, unix_ms: u64) {
        self.state = listed.state;
        self.job.seen_unix_ms = unix_ms;
        let known = |(state, n): (&rest::TaskState, &rest::Number)| Some((state.as_str()?, n.0?));
        self.tasks = listed.tasks.iter().filter_map(known).collect();
    }

    /// Reads everything about it. An error ends the round; what was read stays counted.
    pub(super) async fn read(
        &mut self,
        id: &str,
        round: &mut Round<'_>,
        redactor: &Redactor,
    ) -> Result<(), HttpError> {
        if self.state == JobState::Initializing {
            // It has no graph yet: half of the requests about it would be answered with 500.
            return Ok(());
        }
        let base = format!("/jobs/{id}");
        let Some(details) = round.part::<rest::JobDetails>(&base).await? else {
            self.forget_present();
            return Ok(());
        };
        let now = details.now.0.unwrap_or(self.job.seen_unix_ms);
        self.take_details(&details, now, redactor, round);
        self.read_checkpoints(&base, now, round, redactor).await?;
        if self.state.is_final() {
            self.forget_present();
        } else {
            for path in paths(&format!("{base}/metrics"), COUNTERS.iter().map(|(id, _)| *id)) {
                let metrics: Option<List<Metric>> = round.part(&path).await?;
                self.take_counts(&metrics.unwrap_or_default());
            }
        }
        let failures = (self.counts.total(0), self.state, details.timestamps.restarting.0);
        let is_time = self.rounds_to_seldom == 0;
        if is_time || failures != self.failures_seen {
            let path = format!("{base}/exceptions?maxExceptions={FAILURES_MAX}");
            if let Some(exceptions) = round.part::<rest::Exceptions>(&path).await? {
                self.exceptions.record(&exceptions, redactor, round.meter);
                self.failures_seen = failures;
            }
        }
        let restart = details.timestamps.restarting.0;
        let cause = restart.and_then(|at| self.exceptions.last_until(at));
        self.spans.restart(&details, cause, round.meter);
        if is_time {
            self.rounds_to_seldom = SELDOM_ROUNDS;
            self.read_rescales(&base, round, redactor).await?;
        }
        self.rounds_to_seldom -= 1;
        if !self.state.is_final() {
            self.vertices.read(&base, is_time, round).await?;
        }
        Ok(())
    }

    fn take_details(
        &mut self,
        details: &rest::JobDetails,
        now: u64,
        redactor: &Redactor,
        round: &mut Round<'_>,
    ) {
        if self.start_unix_ms.is_some() && details.start_time.0 != self.start_unix_ms {
            // Another JobManager has taken the job over.
            self.counts.restart();
            self.rescales.restart();
            self.checkpoints.restart();
            self.has_checkpoint_config = false;
        }
        self.start_unix_ms = details.start_time.0;
        let running_since = details.timestamps.running.0.filter(|at| *at > 0);
        let is_running = details.state == JobState::Running;
        self.uptime_ms = running_since.filter(|_| is_running).map(|at| now.saturating_sub(at));
        if let Some(scheduler) = &details.scheduler_type {
            self.is_adaptive = scheduler.starts_with("Adaptive");
            self.info_labels.truncate(1);
            self.info_labels.push(("scheduler", bounded(scheduler, redactor)));
        }
        self.vertices.record(&details.vertices, now, redactor, round.meter);
    }

    async fn read_checkpoints(
        &mut self,
        base: &str,
        now: u64,
        round: &mut Round<'_>,
        redactor: &Redactor,
    ) -> Result<(), HttpError> {
        let path = format!("{base}/checkpoints");
        // 404 for a job that makes none.
        let Some(answer) = round.part::<rest_checkpoints::Checkpoints>(&path).await? else {
            return Ok(());
        };
        if !self.has_checkpoint_config {
            let path = format!("{path}/config");
            if let Some(config) = round.part::<rest_checkpoints::CheckpointConfig>(&path).await? {
                self.checkpoints.configure(&config, redactor);
                self.has_checkpoint_config = true;
            }
        }
        let ended = self.checkpoints.record(&answer, now, round.meter);
        let interval_ms = self.checkpoints.interval_ms();
        let slowest = Slowest::read(&path, &ended, interval_ms, &self.vertices, round).await;
        let found = slowest.as_ref().ok().and_then(Option::as_ref);
        for checkpoint in ended {
            self.spans.checkpoint(checkpoint, found, redactor, round.meter);
        }
        slowest.map(drop)
    }

    /// Flink 2.3 and later; only the adaptive scheduler has them.
    async fn read_rescales(
        &mut self,
        base: &str,
        round: &mut Round<'_>,
        redactor: &Redactor,
    ) -> Result<(), HttpError> {
        if !self.is_adaptive {
            return Ok(());
        }
        let path = format!("{base}/rescales/summary");
        let Some(answer) = round.part::<rest::Rescales>(&path).await? else { return Ok(()) };
        let counts = &answer.rescales_counts;
        for (index, count) in [counts.completed, counts.failed, counts.ignored].iter().enumerate() {
            self.rescales.record(index, count.0, Fall::Gap);
        }
        let durations = &answer.rescales_duration_stats_in_millis;
        self.rescale_seconds = [durations.min, durations.avg, durations.max]
            .map(|duration| duration.known().map(|ms| ms / MILLISECONDS));
        let history: Option<List<rest::Rescale>> =
            round.part(&format!("{base}/rescales/history")).await?;
        for rescale in history.iter().flat_map(|history| history.iter()) {
            self.spans.rescale(rescale, redactor, round.meter);
        }
        Ok(())
    }

    fn take_counts(&mut self, metrics: &[Metric]) {
        for metric in metrics {
            let Some(index) = COUNTERS.iter().position(|(id, _)| *id == metric.id) else {
                continue;
            };
            self.counts.record(index, metric.value.known().map(|value| value as u64), Fall::Gap);
        }
    }

    /// Forgets what is only true for the moment.
    fn forget_present(&mut self) {
        self.uptime_ms = None;
        self.vertices.forget_present();
    }

    /// Ends the job, at the time that Flink names or else at the last answer.
    pub(super) fn end(
        &mut self,
        at: Instant,
        end_unix_ms: Option<u64>,
        outcome: Outcome,
        meter: &mut Meter,
    ) {
        let end = end_unix_ms.unwrap_or(self.job.seen_unix_ms);
        self.job.end_unix_ms = Some(end);
        self.spans.run(&self.job, outcome, self.exceptions.last_until(end), meter);
        self.ended = Some(Ended { at, outcome });
        self.forget_present();
        self.checkpoints.end();
        self.tasks.clear();
    }

    /// Work that ended since the last call.
    pub(super) fn take_spans(&mut self) -> Vec<SpanBatch> {
        self.spans.take()
    }

    /// All samples as of the last answer.
    pub(super) fn batch(&self) -> MetricBatch {
        let mut batch = self.empty_batch(self.job.seen_unix_ms);
        let samples = &mut batch.samples;
        samples.push(Sample::number(&JOB_RUN_INFO, self.run_labels.clone(), 1.0));
        samples.push(Sample::number(&JOB_INFO, self.info_labels.clone(), 1.0));
        push_state(self, self.state.as_run_state(), samples);
        // What its JobManager took along, nobody knows.
        let state = match self.ended {
            Some(Ended { outcome: Outcome::Unknown, .. }) => JobState::Other,
            _ => self.state,
        };
        for other in JobState::ALL {
            let is_it = f64::from(u8::from(other == state));
            push(&JOB_STATE, &[("state", other.as_str())], Some(is_it), samples);
        }
        let start = self.job.start_unix_ms as f64 / MILLISECONDS;
        push(&JOB_RUN_START, &[], Some(start), samples);
        if self.ended.is_some() {
            push(&JOB_FINAL_SNAPSHOT, &[("source", "rest")], Some(1.0), samples);
        }
        push(&JOB_UPTIME, &[], self.uptime_ms.map(|ms| ms as f64 / MILLISECONDS), samples);
        for (status, count) in &self.tasks {
            push(&JOB_TASKS, &[("status", status)], Some(*count as f64), samples);
        }
        self.push_counts(samples);
        self.checkpoints.push(samples);
        self.exceptions.push(samples);
        self.vertices.push(samples);
        batch
    }

    fn push_counts(&self, samples: &mut Vec<Sample>) {
        for (index, (_, state)) in COUNTERS.iter().enumerate() {
            let total = self.counts.total(index).map(|total| total as f64);
            match (index, state) {
                (0, _) => push(&JOB_RESTARTS, &[], total, samples),
                (_, None) => push(&JOB_RESCALES, &[], total, samples),
                (_, Some(state)) => {
                    let seconds = total.map(|ms| ms / MILLISECONDS);
                    push(&JOB_STATE_SECONDS, &[("state", state)], seconds, samples);
                }
            }
        }
        for (index, result) in ["completed", "failed", "ignored"].into_iter().enumerate() {
            let total = self.rescales.total(index).map(|total| total as f64);
            push(&JOB_RESCALE_RESULTS, &[("result", result)], total, samples);
        }
        for (stat, seconds) in ["min", "avg", "max"].into_iter().zip(self.rescale_seconds) {
            push(&JOB_RESCALE_SECONDS, &[("stat", stat)], seconds, samples);
        }
    }
}
