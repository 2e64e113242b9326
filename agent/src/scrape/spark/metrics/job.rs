//! Metrics that have the same name for every engine, and those that outlive a run.

use super::descriptor;
use crate::model::{Kind, MetricDescriptor};

/// Which run of the job has this slot.
pub static JOB_RUN_INFO: MetricDescriptor = descriptor(
    Kind::Info,
    "job_run_info",
    "",
    "Which run of the job has this slot",
    "/applications, /environment, /version",
);
/// State of the run; unknown when the interface went away without a verdict.
pub static JOB_RUN_STATE: MetricDescriptor = descriptor(
    Kind::StateSet,
    "job_run_state",
    "",
    "State of the run; unknown when the interface went away without a verdict",
    "whether the interface answers; /applications attempts[0].completed, exitCode",
);
/// Runs that ended, by outcome.
pub static JOB_RUNS: MetricDescriptor = descriptor(
    Kind::Counter,
    "job_runs_total",
    "",
    "Runs that ended, by outcome",
    "as job_run_state, counted when a run ends",
);
/// Time from start to end of a run.
pub static JOB_RUN_DURATION: MetricDescriptor = descriptor(
    Kind::Histogram,
    "job_run_duration_seconds",
    "seconds",
    "Time from start to end of a run",
    "/applications attempts[0].startTime, endTime; else the last answer",
);
/// Start of the run, seconds since the epoch.
pub static JOB_RUN_START: MetricDescriptor = descriptor(
    Kind::Gauge,
    "job_run_start_timestamp_seconds",
    "seconds",
    "Start of the run, seconds since the epoch",
    "/applications attempts[0].startTime",
);
/// End of the last run that succeeded, seconds since the epoch.
pub static JOB_LAST_SUCCESS: MetricDescriptor = descriptor(
    Kind::Gauge,
    "job_last_success_timestamp_seconds",
    "seconds",
    "End of the last run that succeeded, seconds since the epoch",
    "as job_run_state",
);
/// End of the last run, seconds since the epoch.
pub static JOB_LAST_END: MetricDescriptor = descriptor(
    Kind::Gauge,
    "job_last_end_timestamp_seconds",
    "seconds",
    "End of the last run, seconds since the epoch",
    "as job_run_duration_seconds",
);
/// Records read from sources.
pub static JOB_RECORDS_READ: MetricDescriptor = descriptor(
    Kind::Counter,
    "job_records_read_total",
    "",
    "Records read from sources",
    "/stages: inputRecords",
);
/// Records written to sinks.
pub static JOB_RECORDS_WRITTEN: MetricDescriptor = descriptor(
    Kind::Counter,
    "job_records_written_total",
    "",
    "Records written to sinks",
    "/stages: outputRecords",
);
/// Bytes read from sources.
pub static JOB_READ_BYTES: MetricDescriptor = descriptor(
    Kind::Counter,
    "job_read_bytes_total",
    "bytes",
    "Bytes read from sources",
    "/stages: inputBytes",
);
/// Bytes written to sinks.
pub static JOB_WRITTEN_BYTES: MetricDescriptor = descriptor(
    Kind::Counter,
    "job_written_bytes_total",
    "bytes",
    "Bytes written to sinks",
    "/stages: outputBytes",
);
/// Processor time of tasks.
pub static JOB_CPU: MetricDescriptor = descriptor(
    Kind::Counter,
    "job_cpu_seconds_total",
    "seconds",
    "Processor time of tasks",
    "/stages: executorCpuTime (ns)",
);
/// Garbage collection time of tasks.
pub static JOB_GC: MetricDescriptor = descriptor(
    Kind::Counter,
    "job_gc_seconds_total",
    "seconds",
    "Garbage collection time of tasks",
    "/stages: jvmGcTime (ms)",
);
/// Run time of tasks.
pub static JOB_TASK_SECONDS: MetricDescriptor = descriptor(
    Kind::Counter,
    "job_task_seconds_total",
    "seconds",
    "Run time of tasks",
    "/stages: executorRunTime (ms)",
);
/// Task attempts that failed; REST tells no reason.
pub static JOB_TASK_FAILURES: MetricDescriptor = descriptor(
    Kind::Counter,
    "job_task_failures_total",
    "",
    "Task attempts that failed; REST tells no reason",
    "/stages: numFailedTasks",
);
/// Finished share of the tasks of the jobs that run now.
pub static JOB_PROGRESS: MetricDescriptor = descriptor(
    Kind::Gauge,
    "job_progress_ratio",
    "ratio",
    "Finished share of the tasks of the jobs that run now",
    "/jobs: numCompletedIndices / (numTasks - numSkippedTasks)",
);
/// 1 once the run ended: where its last numbers came from.
pub static JOB_FINAL_SNAPSHOT: MetricDescriptor = descriptor(
    Kind::Gauge,
    "job_final_snapshot",
    "",
    "1 once the run ended: where its last numbers came from",
    "the last round before the interface went away",
);

/// 1 for each finding about the run, with the worst that it was.
pub static JOB_FINDINGS: MetricDescriptor = descriptor(
    Kind::Gauge,
    "job_findings",
    "",
    "1 for each finding about the run, with the worst that it was",
    "event log; /stages and taskList while stages run",
);

/// Every descriptor of this file.
pub static METRICS: &[&MetricDescriptor] = &[
    &JOB_RUN_INFO,
    &JOB_RUN_STATE,
    &JOB_RUNS,
    &JOB_RUN_DURATION,
    &JOB_RUN_START,
    &JOB_LAST_SUCCESS,
    &JOB_LAST_END,
    &JOB_RECORDS_READ,
    &JOB_RECORDS_WRITTEN,
    &JOB_READ_BYTES,
    &JOB_WRITTEN_BYTES,
    &JOB_CPU,
    &JOB_GC,
    &JOB_TASK_SECONDS,
    &JOB_TASK_FAILURES,
    &JOB_PROGRESS,
    &JOB_FINAL_SNAPSHOT,
    &JOB_FINDINGS,
];
