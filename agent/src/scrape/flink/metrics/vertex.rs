//! Metrics of the vertices of one Flink job.

use crate::model::{Kind, MetricDescriptor};
use crate::scrape::spark::metrics::descriptor;

/// Time of all subtasks by what they did.
pub static VERTEX_TIME: MetricDescriptor = descriptor(
    Kind::Counter,
    "flink_vertex_time_seconds_total",
    "seconds",
    "Time of all subtasks by what they did",
    "/jobs/:id vertices[].metrics accumulated-*-time",
);
/// Records between vertices; what sources read and sinks write is not among them.
pub static VERTEX_RECORDS: MetricDescriptor = descriptor(
    Kind::Counter,
    "flink_vertex_records_total",
    "",
    "Records between vertices; what sources read and sinks write is not among them",
    "/jobs/:id vertices[].metrics read-records, write-records",
);
/// Bytes between vertices.
pub static VERTEX_BYTES: MetricDescriptor = descriptor(
    Kind::Counter,
    "flink_vertex_bytes_total",
    "bytes",
    "Bytes between vertices",
    "/jobs/:id vertices[].metrics read-bytes, write-bytes",
);
/// Records that came too late for their window.
pub static VERTEX_LATE: MetricDescriptor = descriptor(
    Kind::Counter,
    "flink_vertex_late_records_dropped_total",
    "",
    "Records that came too late for their window",
    "subtasks/metrics *.numLateRecordsDropped",
);
/// Subtasks of the vertex.
pub static VERTEX_PARALLELISM: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_vertex_parallelism",
    "",
    "Subtasks of the vertex",
    "/jobs/:id vertices[].parallelism",
);
/// Share of the time in which subtasks work.
pub static VERTEX_BUSY: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_vertex_busy_ratio",
    "ratio",
    "Share of the time in which subtasks work",
    "subtasks/metrics busyTimeMsPerSecond",
);
/// Share of the time in which subtasks have nothing to do.
pub static VERTEX_IDLE: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_vertex_idle_ratio",
    "ratio",
    "Share of the time in which subtasks have nothing to do",
    "subtasks/metrics idleTimeMsPerSecond",
);
/// Share of the time in which subtasks wait for those behind them.
pub static VERTEX_BACKPRESSURED: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_vertex_backpressured_ratio",
    "ratio",
    "Share of the time in which subtasks wait for those behind them",
    "subtasks/metrics backPressuredTimeMsPerSecond",
);
/// Share of the time in which subtasks are blocked by those behind them.
pub static VERTEX_HARD_BACKPRESSURED: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_vertex_hard_backpressured_ratio",
    "ratio",
    "Share of the time in which subtasks are blocked by those behind them",
    "subtasks/metrics hardBackPressuredTimeMsPerSecond",
);
/// The hottest subtask against the average; 1 is even.
pub static VERTEX_SKEW: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_vertex_skew_ratio",
    "ratio",
    "The hottest subtask against the average; 1 is even",
    "subtasks/metrics max / avg of busyTimeMsPerSecond; of numRecordsIn, else numRecordsOut",
);
/// How far the watermarks of subtasks are behind the clock.
pub static VERTEX_WATERMARK_LAG: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_vertex_watermark_lag_seconds",
    "seconds",
    "How far the watermarks of subtasks are behind the clock",
    "subtasks/metrics currentInputWatermark",
);
/// Records that wait in the source of the data.
pub static SOURCE_PENDING: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_source_pending_records",
    "",
    "Records that wait in the source of the data",
    "subtasks/metrics *.pendingRecords",
);
/// Time from an event to its being fetched.
pub static SOURCE_FETCH_LAG: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_source_fetch_lag_seconds",
    "seconds",
    "Time from an event to its being fetched",
    "subtasks/metrics *.currentFetchEventTimeLag",
);
/// Time from an event to its being emitted.
pub static SOURCE_EMIT_LAG: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_source_emit_lag_seconds",
    "seconds",
    "Time from an event to its being emitted",
    "subtasks/metrics *.currentEmitEventTimeLag",
);
/// Time for which a source has had nothing.
pub static SOURCE_IDLE: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_source_idle_seconds",
    "seconds",
    "Time for which a source has had nothing",
    "subtasks/metrics *.sourceIdleTime",
);
/// How far a source is ahead of those that it is aligned with.
pub static SOURCE_DRIFT: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_source_watermark_drift_seconds",
    "seconds",
    "How far a source is ahead of those that it is aligned with",
    "subtasks/metrics *.watermarkAlignmentDrift",
);
/// Splits that no reader has yet.
pub static SOURCE_SPLITS: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_source_splits_unassigned",
    "",
    "Splits that no reader has yet",
    "jm-operator-metrics *.unassignedSplits",
);
/// Records that a sink could not send.
pub static SINK_ERRORS: MetricDescriptor = descriptor(
    Kind::Counter,
    "flink_sink_send_errors_total",
    "",
    "Records that a sink could not send",
    "subtasks/metrics *.numRecordsSendErrors",
);
/// Time that the last send took.
pub static SINK_SEND: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_sink_send_seconds",
    "seconds",
    "Time that the last send took",
    "subtasks/metrics *.currentSendTime",
);
/// Committables of a sink by state.
pub static SINK_COMMITTABLES: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_sink_committables",
    "",
    "Committables of a sink by state",
    "subtasks/metrics *Committables",
);
/// Time that mails wait for the thread of a task, 99th percentile of the slowest subtask.
pub static TASK_MAILBOX_LATENCY: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_task_mailbox_latency_seconds",
    "seconds",
    "Time that mails wait for the thread of a task, 99th percentile of the slowest subtask",
    "subtasks/metrics mailboxLatencyMs_p99",
);
/// Mails that wait, in the fullest mailbox.
pub static TASK_MAILBOX_QUEUE: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_task_mailbox_queue",
    "",
    "Mails that wait, in the fullest mailbox",
    "subtasks/metrics mailboxQueueSize",
);
/// Time from the trigger of the last checkpoint to its first barrier.
pub static TASK_START_DELAY: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_task_checkpoint_start_delay_seconds",
    "seconds",
    "Time from the trigger of the last checkpoint to its first barrier",
    "subtasks/metrics checkpointStartDelayNanos",
);
/// Time from the first barrier of the last checkpoint to its last one.
pub static TASK_ALIGNMENT: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_task_alignment_seconds",
    "seconds",
    "Time from the first barrier of the last checkpoint to its last one",
    "subtasks/metrics checkpointAlignmentTime",
);
/// Time that the last start of the slowest subtask took, its state included.
pub static TASK_INITIALIZATION: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_task_initialization_seconds",
    "seconds",
    "Time that the last start of the slowest subtask took, its state included",
    "subtasks/metrics initializationTime",
);
/// Used share of the network buffers of the fullest subtask.
pub static TASK_BUFFERS: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_task_buffer_usage_ratio",
    "ratio",
    "Used share of the network buffers of the fullest subtask",
    "subtasks/metrics inPoolUsage, outPoolUsage",
);
/// A metric that scrapers.flink.metrics names, in the unit of Flink.
pub static VERTEX_METRIC: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_vertex_metric",
    "",
    "A metric that scrapers.flink.metrics names, in the unit of Flink",
    "subtasks/metrics, as named",
);

/// Every descriptor of this file.
pub static METRICS: &[&MetricDescriptor] = &[
    &VERTEX_TIME,
    &VERTEX_RECORDS,
    &VERTEX_BYTES,
    &VERTEX_LATE,
    &VERTEX_PARALLELISM,
    &VERTEX_BUSY,
    &VERTEX_IDLE,
    &VERTEX_BACKPRESSURED,
    &VERTEX_HARD_BACKPRESSURED,
    &VERTEX_SKEW,
    &VERTEX_WATERMARK_LAG,
    &SOURCE_PENDING,
    &SOURCE_FETCH_LAG,
    &SOURCE_EMIT_LAG,
    &SOURCE_IDLE,
    &SOURCE_DRIFT,
    &SOURCE_SPLITS,
    &SINK_ERRORS,
    &SINK_SEND,
    &SINK_COMMITTABLES,
    &TASK_MAILBOX_LATENCY,
    &TASK_MAILBOX_QUEUE,
    &TASK_START_DELAY,
    &TASK_ALIGNMENT,
    &TASK_INITIALIZATION,
    &TASK_BUFFERS,
    &VERTEX_METRIC,
];
