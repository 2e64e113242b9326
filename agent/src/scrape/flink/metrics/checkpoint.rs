//! Metrics of the checkpoints of one Flink job.

use crate::model::{Kind, MetricDescriptor};
use crate::scrape::spark::metrics::descriptor;

/// Checkpoints and savepoints that ended, by outcome.
pub static CHECKPOINTS: MetricDescriptor = descriptor(
    Kind::Counter,
    "flink_checkpoints_total",
    "",
    "Checkpoints and savepoints that ended, by outcome",
    "/jobs/:id/checkpoints counts",
);
/// Checkpoints that go on.
pub static CHECKPOINTS_IN_PROGRESS: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_checkpoints_in_progress",
    "",
    "Checkpoints that go on",
    "/jobs/:id/checkpoints counts.in_progress",
);
/// Times that state was restored.
pub static CHECKPOINTS_RESTORED: MetricDescriptor = descriptor(
    Kind::Counter,
    "flink_checkpoints_restored_total",
    "",
    "Times that state was restored",
    "/jobs/:id/checkpoints counts.restored",
);
/// Time since the last checkpoint was complete: what would be done again.
pub static CHECKPOINT_AGE: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_checkpoint_age_seconds",
    "seconds",
    "Time since the last checkpoint was complete: what would be done again",
    "/jobs/:id now - /jobs/:id/checkpoints latest.completed.latest_ack_timestamp",
);
/// Checkpoints that failed since the last one that was complete.
pub static CHECKPOINT_CONSECUTIVE_FAILURES: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_checkpoint_consecutive_failures",
    "",
    "Checkpoints that failed since the last one that was complete",
    "/jobs/:id/checkpoints history[].status",
);
/// How long complete checkpoints took, savepoints aside.
pub static CHECKPOINT_DURATION: MetricDescriptor = descriptor(
    Kind::Histogram,
    "flink_checkpoint_duration_seconds",
    "seconds",
    "How long complete checkpoints took, savepoints aside",
    "/jobs/:id/checkpoints history[].end_to_end_duration, each id once",
);
/// Quantiles over the checkpoints that the JobManager remembers.
pub static CHECKPOINT_DURATION_WINDOW: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_checkpoint_duration_window_seconds",
    "seconds",
    "Quantiles over the checkpoints that the JobManager remembers",
    "/jobs/:id/checkpoints summary.end_to_end_duration",
);
/// Sizes of the last complete checkpoint.
pub static CHECKPOINT_SIZE: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_checkpoint_size_bytes",
    "bytes",
    "Sizes of the last complete checkpoint",
    "/jobs/:id/checkpoints latest.completed: state_size, checkpointed_size, persisted_data, processed_data",
);
/// Share of the interval that the last complete checkpoint took.
pub static CHECKPOINT_UTILIZATION: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_checkpoint_interval_utilization_ratio",
    "ratio",
    "Share of the interval that the last complete checkpoint took",
    "/jobs/:id/checkpoints latest.completed.end_to_end_duration; /jobs/:id/checkpoints/config interval",
);
/// Subtasks that the checkpoint in progress waits for.
pub static CHECKPOINT_UNACKED: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_checkpoint_subtasks_unacked",
    "",
    "Subtasks that the checkpoint in progress waits for",
    "/jobs/:id/checkpoints history[0]: num_subtasks - num_acknowledged_subtasks",
);
/// How checkpoints are made, and a hash of the folder of the last one.
pub static CHECKPOINT_INFO: MetricDescriptor = descriptor(
    Kind::Info,
    "flink_checkpoint_info",
    "",
    "How checkpoints are made, and a hash of the folder of the last one",
    "/jobs/:id/checkpoints/config; latest.completed.external_path",
);
/// Checkpoints that failed, by the class of the reason.
pub static CHECKPOINT_FAILURES: MetricDescriptor = descriptor(
    Kind::Counter,
    "flink_checkpoint_failures_total",
    "",
    "Checkpoints that failed, by the class of the reason",
    "/jobs/:id/checkpoints history[].failure_message, each id once",
);

/// Every descriptor of this file.
pub static METRICS: &[&MetricDescriptor] = &[
    &CHECKPOINTS,
    &CHECKPOINTS_IN_PROGRESS,
    &CHECKPOINTS_RESTORED,
    &CHECKPOINT_AGE,
    &CHECKPOINT_CONSECUTIVE_FAILURES,
    &CHECKPOINT_DURATION,
    &CHECKPOINT_DURATION_WINDOW,
    &CHECKPOINT_SIZE,
    &CHECKPOINT_UTILIZATION,
    &CHECKPOINT_UNACKED,
    &CHECKPOINT_INFO,
    &CHECKPOINT_FAILURES,
];
