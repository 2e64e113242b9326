//! Metrics of stages.

use super::descriptor;
use crate::model::{Kind, MetricDescriptor};

/// Stages of jobs that run now, by state.
pub static APP_STAGES: MetricDescriptor = descriptor(
    Kind::Gauge,
    "spark_app_stages",
    "",
    "Stages of jobs that run now, by state",
    "/stages?status=active; pending: /jobs stageIds less the counted ones",
);
/// Stage attempts that ended, by outcome.
pub static APP_STAGES_TOTAL: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_app_stages_total",
    "",
    "Stage attempts that ended, by outcome",
    "/stages: status; skipped: /jobs numSkippedStages",
);
/// Stage attempts after the first.
pub static APP_STAGE_RETRIES: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_app_stage_retries_total",
    "",
    "Stage attempts after the first",
    "/stages: attemptId > 0",
);
/// Time from submission to completion of stage attempts.
pub static STAGE_DURATION: MetricDescriptor = descriptor(
    Kind::Histogram,
    "spark_stage_duration_seconds",
    "seconds",
    "Time from submission to completion of stage attempts",
    "/stages: submissionTime, completionTime",
);
/// Run time of tasks.
pub static STAGE_RUN: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_stage_executor_run_seconds_total",
    "seconds",
    "Run time of tasks",
    "/stages: executorRunTime (ms)",
);
/// Processor time of tasks.
pub static STAGE_CPU: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_stage_executor_cpu_seconds_total",
    "seconds",
    "Processor time of tasks",
    "/stages: executorCpuTime (ns)",
);
/// Time that tasks took to be deserialized.
pub static STAGE_DESERIALIZE: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_stage_executor_deserialize_seconds_total",
    "seconds",
    "Time that tasks took to be deserialized",
    "/stages: executorDeserializeTime (ms)",
);
/// Garbage collection time of tasks.
pub static STAGE_GC: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_stage_executor_gc_seconds_total",
    "seconds",
    "Garbage collection time of tasks",
    "/stages: jvmGcTime (ms)",
);
/// Time that results took to be serialized.
pub static STAGE_RESULT_SERIALIZATION: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_stage_executor_result_serialization_seconds_total",
    "seconds",
    "Time that results took to be serialized",
    "/stages: resultSerializationTime (ms)",
);
/// Bytes read from sources.
pub static STAGE_INPUT_BYTES: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_stage_input_bytes_total",
    "bytes",
    "Bytes read from sources",
    "/stages: inputBytes",
);
/// Records read from sources.
pub static STAGE_INPUT_RECORDS: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_stage_input_records_total",
    "",
    "Records read from sources",
    "/stages: inputRecords",
);
/// Bytes written to sinks.
pub static STAGE_OUTPUT_BYTES: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_stage_output_bytes_total",
    "bytes",
    "Bytes written to sinks",
    "/stages: outputBytes",
);
/// Records written to sinks.
pub static STAGE_OUTPUT_RECORDS: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_stage_output_records_total",
    "",
    "Records written to sinks",
    "/stages: outputRecords",
);
/// Bytes read from shuffles.
pub static SHUFFLE_READ_BYTES: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_stage_shuffle_read_bytes_total",
    "bytes",
    "Bytes read from shuffles",
    "/stages: shuffleLocalBytesRead, shuffleRemoteBytesRead",
);
/// Records read from shuffles.
pub static SHUFFLE_READ_RECORDS: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_stage_shuffle_read_records_total",
    "",
    "Records read from shuffles",
    "/stages: shuffleReadRecords",
);
/// Shuffle blocks fetched.
pub static SHUFFLE_BLOCKS: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_stage_shuffle_blocks_fetched_total",
    "",
    "Shuffle blocks fetched",
    "/stages: shuffleLocalBlocksFetched, shuffleRemoteBlocksFetched",
);
/// Time that tasks waited for remote shuffle blocks.
pub static SHUFFLE_FETCH_WAIT: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_stage_shuffle_fetch_wait_seconds_total",
    "seconds",
    "Time that tasks waited for remote shuffle blocks",
    "/stages: shuffleFetchWaitTime (ms)",
);
/// Remote shuffle bytes that went through the disk.
pub static SHUFFLE_REMOTE_TO_DISK: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_stage_shuffle_remote_to_disk_bytes_total",
    "bytes",
    "Remote shuffle bytes that went through the disk",
    "/stages: shuffleRemoteBytesReadToDisk",
);
/// Time that remote shuffle requests took (3.4 and later).
pub static SHUFFLE_REMOTE_REQUEST: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_stage_shuffle_remote_request_seconds_total",
    "seconds",
    "Time that remote shuffle requests took (3.4 and later)",
    "/stages: shuffleRemoteReqsDuration (ms)",
);
/// Bytes written to shuffles.
pub static SHUFFLE_WRITE_BYTES: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_stage_shuffle_write_bytes_total",
    "bytes",
    "Bytes written to shuffles",
    "/stages: shuffleWriteBytes",
);
/// Records written to shuffles.
pub static SHUFFLE_WRITE_RECORDS: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_stage_shuffle_write_records_total",
    "",
    "Records written to shuffles",
    "/stages: shuffleWriteRecords",
);
/// Time that shuffle writes took.
pub static SHUFFLE_WRITE: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_stage_shuffle_write_seconds_total",
    "seconds",
    "Time that shuffle writes took",
    "/stages: shuffleWriteTime (ns)",
);
/// Bytes spilled: their size in memory, and on disk.
pub static STAGE_SPILLED: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_stage_spilled_bytes_total",
    "bytes",
    "Bytes spilled: their size in memory, and on disk",
    "/stages: memoryBytesSpilled, diskBytesSpilled",
);
/// Largest peak of execution memory that a stage had, summed over its tasks.
pub static STAGE_PEAK_EXECUTION: MetricDescriptor = descriptor(
    Kind::Gauge,
    "spark_stage_peak_execution_memory_bytes",
    "bytes",
    "Largest peak of execution memory that a stage had, summed over its tasks",
    "/stages: peakExecutionMemory",
);
/// Speculative task attempts by outcome; absent while there were none.
pub static STAGE_SPECULATIVE: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_stage_speculative_tasks_total",
    "",
    "Speculative task attempts by outcome; absent while there were none",
    "/stages: speculationSummary",
);
/// Bytes of task results sent to the driver.
pub static STAGE_RESULT_BYTES: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_stage_result_bytes_total",
    "bytes",
    "Bytes of task results sent to the driver",
    "/stages: resultSize",
);
/// Largest task over the median task, of the worst stage that runs or ended in the last minute.
pub static STAGE_SKEW: MetricDescriptor = descriptor(
    Kind::Gauge,
    "spark_stage_skew_ratio",
    "ratio",
    "Largest task over the median task, of the worst stage that runs or ended in the last minute",
    "/stages: taskMetricsDistributions, quantiles 0.5 and 1.0",
);
/// 95th percentile over the median task, of the worst such stage.
pub static STAGE_TAIL: MetricDescriptor = descriptor(
    Kind::Gauge,
    "spark_stage_tail_ratio",
    "ratio",
    "95th percentile over the median task, of the worst such stage",
    "/stages: taskMetricsDistributions, quantiles 0.5 and 0.95",
);
/// Time that the oldest running task of a stage runs.
pub static STAGE_STRAGGLER_AGE: MetricDescriptor = descriptor(
    Kind::Gauge,
    "spark_stage_straggler_age_seconds",
    "seconds",
    "How long the oldest running task runs, of stages that run for 10 s and have finished tasks",
    "/stages/{id}/{attempt}/taskList?status=running&sortBy=-runtime&length=1: now - launchTime",
);
/// That time over the median of the tasks of its stage that are done.
pub static STAGE_STRAGGLER_RATIO: MetricDescriptor = descriptor(
    Kind::Gauge,
    "spark_stage_straggler_ratio",
    "ratio",
    "How long the oldest running task runs over the median of the finished tasks of its stage",
    "as spark_stage_straggler_age_seconds; /stages: taskMetricsDistributions, quantile 0.5",
);
/// Largest partition of such stages.
pub static STAGE_MAX_PARTITION: MetricDescriptor = descriptor(
    Kind::Gauge,
    "spark_stage_max_partition_bytes",
    "bytes",
    "Largest partition of such stages",
    "/stages: taskMetricsDistributions, quantile 1.0",
);

/// Every descriptor of this file.
pub static METRICS: &[&MetricDescriptor] = &[
    &APP_STAGES,
    &APP_STAGES_TOTAL,
    &APP_STAGE_RETRIES,
    &STAGE_DURATION,
    &STAGE_RUN,
    &STAGE_CPU,
    &STAGE_DESERIALIZE,
    &STAGE_GC,
    &STAGE_RESULT_SERIALIZATION,
    &STAGE_INPUT_BYTES,
    &STAGE_INPUT_RECORDS,
    &STAGE_OUTPUT_BYTES,
    &STAGE_OUTPUT_RECORDS,
    &SHUFFLE_READ_BYTES,
    &SHUFFLE_READ_RECORDS,
    &SHUFFLE_BLOCKS,
    &SHUFFLE_FETCH_WAIT,
    &SHUFFLE_REMOTE_TO_DISK,
    &SHUFFLE_REMOTE_REQUEST,
    &SHUFFLE_WRITE_BYTES,
    &SHUFFLE_WRITE_RECORDS,
    &SHUFFLE_WRITE,
    &STAGE_SPILLED,
    &STAGE_PEAK_EXECUTION,
    &STAGE_SPECULATIVE,
    &STAGE_RESULT_BYTES,
    &STAGE_SKEW,
    &STAGE_TAIL,
    &STAGE_STRAGGLER_AGE,
    &STAGE_STRAGGLER_RATIO,
    &STAGE_MAX_PARTITION,
];
