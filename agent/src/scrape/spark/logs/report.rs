//! What an event log says, in the words of the REST API: so both feed the same ledgers.

use super::super::executors::{self, LogTotals};
use super::super::rest::{
    self, Distributions, InputDistributions, Job, JobStatus, List, Number,
    ShuffleReadDistributions, Stage, StageStatus, Time,
};
use crate::event_log::follow::Progress;
use crate::event_log::{self, Run, StageKey};
use crate::findings::{self, Finding, Known, Thresholds};
use crate::run_summary::{self, RunSummary};
use crate::scrape::runs::Outcome;
use redaction::Value;

/// Quantiles of the skew metrics.
const QUANTILES: [f64; 3] = [0.5, 0.95, 1.0];
/// Stages and jobs that are reported at a time.
const ENTRIES_MAX: usize = 8_192;

/// What a log told since the report before. Its texts are redacted, though their types do not say it.
pub(in crate::scrape::spark) struct Report {
    /// The application, with the attempt that the log is of.
    pub(in crate::scrape::spark) application: rest::Application,
    pub(in crate::scrape::spark) environment: rest::Environment,
    pub(in crate::scrape::spark) version: Value,
    /// Jobs that run, and those that ended since.
    pub(in crate::scrape::spark) jobs: Vec<Job>,
    /// Stage attempts that changed since.
    pub(in crate::scrape::spark) stages: Vec<Stage>,
    pub(in crate::scrape::spark) executors: LogTotals,
    /// The latest time that the log states, milliseconds since the epoch.
    pub(in crate::scrape::spark) until_unix_ms: u64,
    /// What is wrong with the run.
    pub(in crate::scrape::spark) findings: Vec<Finding>,
    /// How the run is so far; none while older parts of the log are read.
    pub(in crate::scrape::spark) summary: Option<Box<RunSummary>>,
    /// Set once nothing more is to come: when the run ended, and how.
    pub(in crate::scrape::spark) end: Option<(u64, Outcome)>,
}

impl Report {
    /// Takes what `run` has not reported yet; none while it is not known of which application it is.
    pub(in crate::scrape::spark) fn take(
        run: &mut Run,
        progress: Progress,
        thresholds: &Thresholds,
    ) -> Option<Self> {
        let application = application(run)?;
        let changed = run.stages.take_changed();
        let ended = run.jobs.take_ended();
        let jobs = run.jobs.running().chain(&ended).map(|it| job(it, run));
        let jobs: Vec<Job> = jobs.take(ENTRIES_MAX).collect();
        let stages = changed.into_iter().filter_map(|key| stage(run, key)).collect();
        let is_over = run.ended_ms.is_some() || progress == Progress::Finished;
        let (mut findings, mut summary) = (Vec::new(), None);
        if progress != Progress::Behind {
            let known = if is_over { Known::All } else { Known::SoFar };
            findings = findings::find(findings::SPARK, run, known, thresholds);
            summary = Some(Box::new(RunSummary::of_spark(run, findings.clone(), !is_over)));
        }
        Some(Self {
            application,
            environment: environment(run),
            version: run.spark_version.clone().unwrap_or_else(|| Value::literal("")),
            jobs,
            stages,
            executors: executors::log_totals(run),
            until_unix_ms: run.until_ms(),
            findings,
            summary,
            end: (is_over && progress != Progress::Behind).then(|| (run.until_ms(), outcome(run))),
        })
    }

    /// Entries that it holds.
    pub(in crate::scrape::spark) fn len(&self) -> usize {
        self.jobs.len() + self.stages.len()
    }
}

fn outcome(run: &Run) -> Outcome {
    match run_summary::outcome(run, false).0 {
        run_summary::Outcome::Succeeded => Outcome::Succeeded,
        run_summary::Outcome::Failed => Outcome::Failed,
        run_summary::Outcome::Running | run_summary::Outcome::Unknown => Outcome::Unknown,
    }
}

fn application(run: &Run) -> Option<rest::Application> {
    let text = |value: &Value| value.as_str().to_owned();
    let attempt = rest::Attempt {
        attempt_id: run.attempt.as_ref().map(text),
        start_time: Time(run.started_ms),
        end_time: Time(run.ended_ms),
        spark_user: run.user.as_ref().map(text),
        completed: run.ended_ms.is_some(),
        exit_code: run.exit_code,
    };
    Some(rest::Application {
        id: text(run.app_id.as_ref()?),
        name: run.app_name.as_ref().map(text).unwrap_or_default(),
        attempts: List(vec![attempt]),
    })
}

fn environment(run: &Run) -> rest::Environment {
    let text = |value: &Option<Value>| value.as_ref().map(|it| it.as_str().to_owned());
    let own = |(name, value): (&&str, &Value)| ((*name).to_owned(), value.as_str().to_owned());
    rest::Environment {
        runtime: rest::Runtime {
            java_version: text(&run.java_version),
            scala_version: text(&run.scala_version),
        },
        spark_properties: run.properties.iter().map(own).collect(),
        resource_profiles: List::default(),
    }
}

fn job(job: &event_log::Job, run: &Run) -> Job {
    let text = |value: &Option<Value>| value.as_ref().map(|it| it.as_str().to_owned());
    let some = |number: u64| Number(Some(number));
    let attempts = || job.stages.iter().flat_map(|stage| run.stages.attempts(*stage));
    let count = |is_counted: fn(&event_log::Stage) -> bool| {
        attempts().filter(|(_, stage)| is_counted(stage)).count() as u64
    };
    let tasks = |number: fn(&event_log::Totals) -> u64| {
        attempts().fold(0, |sum: u64, (_, stage)| sum.saturating_add(number(&stage.totals)))
    };
    let is_over = job.ended.is_some();
    // What has not begun when its job ends never will.
    let skipped = || job.pending.values().filter(|_| is_over);
    Job {
        job_id: u32::try_from(job.id).unwrap_or(u32::MAX),
        name: text(&job.name),
        description: text(&job.description),
        status: match job.ended {
            None => JobStatus::Running,
            Some((_, true)) => JobStatus::Succeeded,
            Some((_, false)) => JobStatus::Failed,
        },
        submission_time: Time(Some(job.submitted_ms)),
        completion_time: Time(job.ended.map(|(time, _)| time)),
        stage_ids: job.stages.iter().copied().collect(),
        num_tasks: some(job.n_tasks),
        num_completed_tasks: some(tasks(|it| it.n_tasks_succeeded)),
        num_failed_tasks: some(tasks(|it| it.n_tasks_failed)),
        num_completed_indices: Number(None),
        num_skipped_tasks: some(skipped().fold(0, |sum: u64, n| sum.saturating_add(*n))),
        num_active_stages: some(count(|stage| !stage.is_over())),
        num_completed_stages: some(count(|it| it.is_over() && it.failure.is_none())),
        num_skipped_stages: some(skipped().count() as u64),
        num_failed_stages: some(count(|stage| stage.failure.is_some())),
    }
}

fn stage(run: &Run, key: StageKey) -> Option<Stage> {
    let stage = run.stages.get(key)?;
    let totals = &stage.totals;
    let text = |value: &Option<Value>| value.as_ref().map(|it| it.as_str().to_owned());
    let some = |number: u64| Number(Some(number));
    Some(Stage {
        status: match (stage.completed_ms, &stage.failure) {
            (None, _) => StageStatus::Active,
            (Some(_), None) => StageStatus::Complete,
            (Some(_), Some(_)) => StageStatus::Failed,
        },
        stage_id: key.0,
        attempt_id: key.1,
        name: text(&stage.name),
        description: None,
        failure_reason: text(&stage.failure),
        num_tasks: some(stage.n_tasks),
        num_active_tasks: some(stage.n_running),
        num_complete_tasks: some(totals.n_tasks_succeeded),
        num_failed_tasks: some(totals.n_tasks_failed),
        num_killed_tasks: some(totals.n_tasks_killed),
        submission_time: Time(stage.submitted_ms),
        completion_time: Time(stage.completed_ms),
        executor_deserialize_time: some(totals.deserialize_ms),
        executor_run_time: some(totals.run_ms),
        executor_cpu_time: some(totals.cpu_ns),
        result_size: some(totals.result_bytes),
        jvm_gc_time: some(totals.gc_ms),
        result_serialization_time: some(totals.result_serialization_ms),
        memory_bytes_spilled: some(totals.memory_spilled_bytes),
        disk_bytes_spilled: some(totals.disk_spilled_bytes),
        peak_execution_memory: some(totals.peak_execution_memory_bytes),
        input_bytes: some(totals.input_bytes),
        input_records: some(totals.input_records),
        output_bytes: some(totals.output_bytes),
        output_records: some(totals.output_records),
        shuffle_remote_blocks_fetched: some(totals.shuffle_remote_blocks),
        shuffle_local_blocks_fetched: some(totals.shuffle_local_blocks),
        shuffle_fetch_wait_time: some(totals.shuffle_fetch_wait_ms),
        shuffle_remote_bytes_read: some(totals.shuffle_remote_read_bytes),
        shuffle_remote_bytes_read_to_disk: some(totals.shuffle_remote_read_to_disk_bytes),
        shuffle_local_bytes_read: some(totals.shuffle_local_read_bytes),
        shuffle_read_records: some(totals.shuffle_read_records),
        shuffle_remote_reqs_duration: Number(totals.shuffle_remote_requests_ms),
        shuffle_write_bytes: some(totals.shuffle_write_bytes),
        shuffle_write_time: some(totals.shuffle_write_ns),
        shuffle_write_records: some(totals.shuffle_write_records),
        speculation_summary: None,
        task_metrics_distributions: Some(distributions(stage)),
    })
}

fn distributions(stage: &event_log::Stage) -> Distributions {
    let list = |quantiles: event_log::Quantiles| {
        [quantiles.median, quantiles.p95, quantiles.max].map(|it| it as f64).to_vec()
    };
    Distributions {
        quantiles: QUANTILES.to_vec(),
        duration: list(stage.durations()),
        input_metrics: InputDistributions {
            bytes_read: list(stage.inputs()),
            ..InputDistributions::default()
        },
        shuffle_read_metrics: ShuffleReadDistributions {
            read_bytes: list(stage.shuffle_reads()),
            ..ShuffleReadDistributions::default()
        },
        ..Distributions::default()
    }
}
