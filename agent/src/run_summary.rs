//! One wide record about a run: how it ended and why, what it did, used and lost.
//!
//! What is not known is absent. All texts went through the redactor.

use crate::event_log::{Run, Stream, Totals};
use crate::findings::{Finding, Severity};
use jiff::Timestamp;
use redaction::Value;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// Classes of exceptions that are named.
const EXCEPTIONS_MAX: usize = 5;
/// Streaming queries that are named.
const STREAMS_MAX: usize = 20;

/// A text that a redactor gave out, as JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Redacted(pub Value);

impl Serialize for Redacted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It still runs.
    Running,
    /// Well.
    Succeeded,
    /// With an error.
    Failed,
    /// Nobody said.
    Unknown,
}

/// What an [`Outcome`] rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeOrigin {
    /// The driver's exit code (Spark 4.0 and later).
    ExitCode,
    /// The job that ended last failed.
    LastJob,
    /// The log is still being written.
    InProgress,
    /// Nothing.
    None,
}

/// The record. Its keys are the same for every run; README.md lists them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names of the keys say it")]
pub struct RunSummary {
    pub engine: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_version: Option<Redacted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<Redacted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Redacted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_name: Option<Redacted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_name: Option<Redacted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<Redacted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master: Option<Redacted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    pub outcome: Outcome,
    pub outcome_origin: OutcomeOrigin,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Redacted>,
    pub jobs_succeeded: u64,
    pub jobs_failed: u64,
    pub jobs_running: u64,
    pub stages_succeeded: u64,
    pub stages_failed: u64,
    pub stages_retried: u64,
    pub sql_succeeded: u64,
    pub sql_failed: u64,
    pub sql_adapted: u64,
    #[serde(flatten)]
    pub work: Work,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skew_ratio_max: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gc_ratio: Option<f64>,
    pub executors_added: u64,
    pub executors_removed: BTreeMap<&'static str, u64>,
    pub cores_max: u64,
    pub core_seconds: f64,
    pub memory_byte_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_core_ratio: Option<f64>,
    pub heap_bytes_max: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_heap_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_resident_bytes: Option<u64>,
    pub files_read: u64,
    pub files_written: u64,
    pub task_failures: BTreeMap<&'static str, u64>,
    pub exceptions: Vec<ExceptionSummary>,
    pub streams: Vec<StreamSummary>,
    pub findings: Vec<Finding>,
    /// What to do first.
    pub advice: Vec<String>,
}

/// Sums over all tasks.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names of the keys say it")]
pub struct Work {
    pub tasks_succeeded: u64,
    pub tasks_failed: u64,
    pub tasks_killed: u64,
    pub tasks_retried: u64,
    pub tasks_speculative: u64,
    pub task_seconds: f64,
    pub run_seconds: f64,
    pub cpu_seconds: f64,
    pub gc_seconds: f64,
    pub scheduler_delay_seconds: f64,
    pub deserialize_seconds: f64,
    pub result_serialization_seconds: f64,
    pub result_bytes: u64,
    pub input_bytes: u64,
    pub input_records: u64,
    pub output_bytes: u64,
    pub output_records: u64,
    pub shuffle_read_bytes: u64,
    pub shuffle_remote_read_bytes: u64,
    pub shuffle_read_records: u64,
    pub shuffle_fetch_wait_seconds: f64,
    pub shuffle_write_bytes: u64,
    pub shuffle_write_records: u64,
    pub shuffle_write_seconds: f64,
    pub memory_spilled_bytes: u64,
    pub disk_spilled_bytes: u64,
    pub peak_execution_memory_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shuffle_merged_read_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shuffle_merged_fallbacks: Option<u64>,
}

/// Exceptions of one class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExceptionSummary {
    /// Class of the root cause.
    pub class: Redacted,
    /// Tasks that failed with it.
    pub n_tasks: u64,
    /// What the first of them said.
    pub message: Redacted,
}

/// One streaming query.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names of the keys say it")]
pub struct StreamSummary {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Redacted>,
    pub batches: u64,
    pub input_records: u64,
    pub batch_seconds: f64,
    pub batch_seconds_max: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_memory_bytes: Option<u64>,
    pub late_rows_dropped: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exception: Option<Redacted>,
}

impl RunSummary {
    /// The summary of a Spark run. `is_in_progress` says that its log is still written.
    #[must_use]
    pub fn of_spark(run: &Run, findings: Vec<Finding>, is_in_progress: bool) -> Self {
        let (outcome, outcome_origin) = outcome(run, is_in_progress);
        let exceptions = run.failures.exceptions();
        let advice = findings.iter().filter(|finding| finding.severity > Severity::Info);
        Self {
            engine: "spark",
            engine_version: redacted(run.spark_version.as_ref()),
            job_id: redacted(run.app_id.as_ref()),
            attempt: redacted(run.attempt.as_ref()),
            job_name: redacted(run.job_name.as_ref()),
            app_name: redacted(run.app_name.as_ref()),
            user_id: redacted(run.user.as_ref()),
            master: redacted(run.master.as_ref()),
            start_time: run.started_ms.and_then(rfc3339),
            end_time: run.ended_ms.and_then(rfc3339),
            duration_seconds: run.duration_ms().map(seconds),
            outcome,
            outcome_origin,
            exit_code: run.exit_code,
            cause: if outcome == Outcome::Failed { cause(run) } else { None },
            jobs_succeeded: run.jobs.n_succeeded,
            jobs_failed: run.jobs.n_failed,
            jobs_running: run.jobs.n_running(),
            stages_succeeded: run.stages.n_succeeded,
            stages_failed: run.stages.n_failed,
            stages_retried: run.stages.n_retried,
            sql_succeeded: run.sql.n_succeeded,
            sql_failed: run.sql.n_failed,
            sql_adapted: run.sql.n_adapted,
            work: Work::of(&run.totals),
            skew_ratio_max: skew_ratio_max(run),
            gc_ratio: (run.totals.run_ms > 0)
                .then(|| run.totals.gc_ms as f64 / run.totals.run_ms as f64),
            executors_added: run.executors.n_added,
            executors_removed: run.executors.removed.clone(),
            cores_max: run.executors.cores_max,
            core_seconds: run.core_seconds(),
            memory_byte_seconds: run.executors.memory_byte_seconds(run.until_ms()),
            idle_core_ratio: run.idle_core_ratio(),
            heap_bytes_max: run.executors.heap_bytes_max(),
            peak_heap_bytes: run.executors.peak_heap_bytes,
            peak_resident_bytes: run.executors.peak_resident_bytes,
            files_read: run.sql.files.n_read,
            files_written: run.sql.files.n_written,
            task_failures: run.failures.by_reason.clone(),
            exceptions: exceptions
                .into_iter()
                .take(EXCEPTIONS_MAX)
                .map(|(class, exception)| ExceptionSummary {
                    class: Redacted(class.clone()),
                    n_tasks: exception.n_tasks,
                    message: Redacted(exception.message.clone()),
                })
                .collect(),
            streams: run.streams.iter().take(STREAMS_MAX).map(StreamSummary::of).collect(),
            advice: advice.map(|finding| finding.advice.clone()).collect(),
            findings,
        }
    }
}

impl Work {
    fn of(totals: &Totals) -> Self {
        Self {
            tasks_succeeded: totals.n_tasks_succeeded,
            tasks_failed: totals.n_tasks_failed,
            tasks_killed: totals.n_tasks_killed,
            tasks_retried: totals.n_tasks_retried,
            tasks_speculative: totals.n_tasks_speculative,
            task_seconds: seconds(totals.duration_ms),
            run_seconds: seconds(totals.run_ms),
            cpu_seconds: totals.cpu_ns as f64 / 1e9,
            gc_seconds: seconds(totals.gc_ms),
            scheduler_delay_seconds: seconds(totals.scheduler_delay_ms),
            deserialize_seconds: seconds(totals.deserialize_ms),
            result_serialization_seconds: seconds(totals.result_serialization_ms),
            result_bytes: totals.result_bytes,
            input_bytes: totals.input_bytes,
            input_records: totals.input_records,
            output_bytes: totals.output_bytes,
            output_records: totals.output_records,
            shuffle_read_bytes: totals.shuffle_read_bytes(),
            shuffle_remote_read_bytes: totals.shuffle_remote_read_bytes,
            shuffle_read_records: totals.shuffle_read_records,
            shuffle_fetch_wait_seconds: seconds(totals.shuffle_fetch_wait_ms),
            shuffle_write_bytes: totals.shuffle_write_bytes,
            shuffle_write_records: totals.shuffle_write_records,
            shuffle_write_seconds: totals.shuffle_write_ns as f64 / 1e9,
            memory_spilled_bytes: totals.memory_spilled_bytes,
            disk_spilled_bytes: totals.disk_spilled_bytes,
            peak_execution_memory_bytes: totals.peak_execution_memory_bytes,
            shuffle_merged_read_bytes: totals.shuffle_merged_read_bytes,
            shuffle_merged_fallbacks: totals.shuffle_merged_fallbacks,
        }
    }
}

impl StreamSummary {
    fn of(stream: &Stream) -> Self {
        Self {
            name: redacted(stream.name.as_ref()),
            batches: stream.n_batches,
            input_records: stream.input_rows,
            batch_seconds: seconds(stream.batch_ms),
            batch_seconds_max: seconds(stream.batch_ms_max),
            state_rows: stream.state_rows,
            state_memory_bytes: stream.state_memory_bytes,
            late_rows_dropped: stream.late_rows_dropped,
            exception: redacted(stream.exception.as_ref()),
        }
    }
}

/// How it ended, and how that is known. Before Spark 4.0 a log says only that it ended; then a last
/// job that failed is taken for the reason of the end, and all else is not known.
pub(crate) fn outcome(run: &Run, is_in_progress: bool) -> (Outcome, OutcomeOrigin) {
    let is_last_failed = matches!(run.jobs.last, Some((_, Some(_))));
    match (run.ended_ms, run.exit_code) {
        (_, Some(0)) => (Outcome::Succeeded, OutcomeOrigin::ExitCode),
        (_, Some(_)) => (Outcome::Failed, OutcomeOrigin::ExitCode),
        (Some(_), None) if is_last_failed => (Outcome::Failed, OutcomeOrigin::LastJob),
        (None, None) if is_in_progress => (Outcome::Running, OutcomeOrigin::InProgress),
        _ => (Outcome::Unknown, OutcomeOrigin::None),
    }
}

/// The failure that came last, of a job or of a query.
fn cause(run: &Run) -> Option<Redacted> {
    let job = run.jobs.last_failure.as_ref().map(|(time, _, reason)| (*time, reason));
    let query = run.sql.last_failure.as_ref().map(|(time, reason)| (*time, reason));
    // Of the same failure the job says more.
    let last = match (job, query) {
        (Some(job), Some(query)) if query.0 > job.0.saturating_add(1_000) => Some(query),
        (job, query) => job.or(query),
    };
    last.map(|(_, reason)| Redacted(reason.clone()))
}

fn skew_ratio_max(run: &Run) -> Option<f64> {
    let durations = run.stages.iter().map(|(_, stage)| stage.durations());
    let ratios = durations.filter(|it| it.n_values >= 4).filter_map(|it| it.skew());
    ratios.max_by(f64::total_cmp)
}

fn redacted(value: Option<&Value>) -> Option<Redacted> {
    value.cloned().map(Redacted)
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1e3
}

fn rfc3339(unix_ms: u64) -> Option<String> {
    let time = Timestamp::from_millisecond(i64::try_from(unix_ms).ok()?).ok()?;
    Some(format!("{time:.3}"))
}
