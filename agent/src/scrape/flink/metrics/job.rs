//! Metrics of one Flink job as a whole.

use crate::model::{Kind, MetricDescriptor};
use crate::scrape::spark::metrics::descriptor;

/// Version and scheduler of the job.
pub static JOB_INFO: MetricDescriptor = descriptor(
    Kind::Info,
    "flink_job_info",
    "",
    "Version and scheduler of the job",
    "/overview flink-version; /jobs/:id schedulerType",
);
/// State of the job, in words of Flink.
pub static JOB_STATE: MetricDescriptor = descriptor(
    Kind::StateSet,
    "flink_job_state",
    "",
    "State of the job, in words of Flink",
    "/jobs/overview state",
);
/// Time since the job last began to run; absent while it does not.
pub static JOB_UPTIME: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_job_uptime_seconds",
    "seconds",
    "Time since the job last began to run; absent while it does not",
    "/jobs/:id now - timestamps.RUNNING",
);
/// Time that the job spent in a state; needs TOTAL_TIME in metrics.job.status.enable.
pub static JOB_STATE_SECONDS: MetricDescriptor = descriptor(
    Kind::Counter,
    "flink_job_state_seconds_total",
    "seconds",
    "Time that the job spent in a state; needs TOTAL_TIME in metrics.job.status.enable",
    "/jobs/:id/metrics *TimeTotal",
);
/// Restarts of the job, in whole or in part.
pub static JOB_RESTARTS: MetricDescriptor = descriptor(
    Kind::Counter,
    "flink_job_restarts_total",
    "",
    "Restarts of the job, in whole or in part",
    "/jobs/:id/metrics numRestarts",
);
/// Changes of the parallelism of the running job.
pub static JOB_RESCALES: MetricDescriptor = descriptor(
    Kind::Counter,
    "flink_job_rescales_total",
    "",
    "Changes of the parallelism of the running job",
    "/jobs/:id/metrics numRescales",
);
/// Rescales by how they ended.
pub static JOB_RESCALE_RESULTS: MetricDescriptor = descriptor(
    Kind::Counter,
    "flink_job_rescale_total",
    "",
    "Rescales by how they ended",
    "/jobs/:id/rescales/summary rescalesCounts",
);
/// How long rescales took.
pub static JOB_RESCALE_SECONDS: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_job_rescale_seconds",
    "seconds",
    "How long rescales took",
    "/jobs/:id/rescales/summary rescalesDurationStatsInMillis",
);
/// Failures of the job by class of the exception and labels of failure enrichers.
pub static JOB_EXCEPTIONS: MetricDescriptor = descriptor(
    Kind::Counter,
    "flink_job_exceptions_total",
    "",
    "Failures of the job by class of the exception and labels of failure enrichers",
    "/jobs/:id/exceptions exceptionHistory",
);
/// Tasks of the job by status.
pub static JOB_TASKS: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_job_tasks",
    "",
    "Tasks of the job by status",
    "/jobs/overview tasks",
);
/// Highest parallelism of a vertex.
pub static JOB_PARALLELISM: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_job_parallelism",
    "",
    "Highest parallelism of a vertex",
    "/jobs/:id vertices[].parallelism",
);
/// Share of the maximum parallelism that is not used yet, of the vertex that has the least.
pub static JOB_HEADROOM: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_job_max_parallelism_headroom_ratio",
    "ratio",
    "Share of the maximum parallelism that is not used yet, of the vertex that has the least",
    "/jobs/:id vertices[]: 1 - parallelism / maxParallelism",
);
/// How far the job is behind: by the time of events, and by the time at which they were fetched.
pub static JOB_LAG_SECONDS: MetricDescriptor = descriptor(
    Kind::Gauge,
    "job_lag_seconds",
    "seconds",
    "How far the job is behind: by the time of events, and by the time at which they were fetched",
    "flink_vertex_watermark_lag_seconds, flink_source_emit_lag_seconds; flink_source_fetch_lag_seconds",
);
/// Records that wait in the source of the data.
pub static JOB_LAG_RECORDS: MetricDescriptor = descriptor(
    Kind::Gauge,
    "job_lag_records",
    "",
    "Records that wait in the source of the data",
    "flink_source_pending_records of all vertices",
);

/// Every descriptor of this file.
pub static METRICS: &[&MetricDescriptor] = &[
    &JOB_INFO,
    &JOB_STATE,
    &JOB_UPTIME,
    &JOB_STATE_SECONDS,
    &JOB_RESTARTS,
    &JOB_RESCALES,
    &JOB_RESCALE_RESULTS,
    &JOB_RESCALE_SECONDS,
    &JOB_EXCEPTIONS,
    &JOB_TASKS,
    &JOB_PARALLELISM,
    &JOB_HEADROOM,
    &JOB_LAG_SECONDS,
    &JOB_LAG_RECORDS,
];
