//! Which field of a stage attempt feeds which counter.
//!
//! Tasks are counted by stage, not by job: a stage that two jobs share is in both of `/jobs`, once
//! in `/stages`. What was skipped is only in `/jobs` (see `jobs.rs`): no attempt was ever made.

use super::metrics::application::APP_TASKS;
use super::metrics::job::{
    JOB_CPU, JOB_GC, JOB_READ_BYTES, JOB_RECORDS_READ, JOB_RECORDS_WRITTEN, JOB_TASK_FAILURES,
    JOB_TASK_SECONDS, JOB_WRITTEN_BYTES,
};
use super::metrics::stage::{
    APP_STAGE_RETRIES, APP_STAGES_TOTAL, SHUFFLE_BLOCKS, SHUFFLE_FETCH_WAIT, SHUFFLE_READ_BYTES,
    SHUFFLE_READ_RECORDS, SHUFFLE_REMOTE_REQUEST, SHUFFLE_REMOTE_TO_DISK, SHUFFLE_WRITE,
    SHUFFLE_WRITE_BYTES, SHUFFLE_WRITE_RECORDS, STAGE_CPU, STAGE_DESERIALIZE, STAGE_GC,
    STAGE_INPUT_BYTES, STAGE_INPUT_RECORDS, STAGE_OUTPUT_BYTES, STAGE_OUTPUT_RECORDS,
    STAGE_RESULT_BYTES, STAGE_RESULT_SERIALIZATION, STAGE_RUN, STAGE_SPECULATIVE, STAGE_SPILLED,
};
use super::metrics::{Counter, MILLISECONDS, NANOSECONDS, PLAIN};
use super::rest::{Stage, StageStatus};

/// Number of counters that a stage attempt feeds.
pub(super) const COUNT: usize = 40;

/// The counters of a stage attempt.
pub(super) static COUNTERS: [Counter<Stage>; COUNT] = [
    Counter::labelled(&APP_TASKS, "outcome", "succeeded", PLAIN, |s| s.num_complete_tasks.0),
    Counter::labelled(&APP_TASKS, "outcome", "failed", PLAIN, |s| s.num_failed_tasks.0),
    Counter::labelled(&APP_TASKS, "outcome", "killed", PLAIN, |s| s.num_killed_tasks.0),
    Counter::new(&JOB_TASK_FAILURES, PLAIN, |s| s.num_failed_tasks.0),
    Counter::new(&JOB_RECORDS_READ, PLAIN, |s| s.input_records.0),
    Counter::new(&JOB_RECORDS_WRITTEN, PLAIN, |s| s.output_records.0),
    Counter::new(&JOB_READ_BYTES, PLAIN, |s| s.input_bytes.0),
    Counter::new(&JOB_WRITTEN_BYTES, PLAIN, |s| s.output_bytes.0),
    Counter::new(&JOB_CPU, NANOSECONDS, |s| s.executor_cpu_time.0),
    Counter::new(&JOB_GC, MILLISECONDS, |s| s.jvm_gc_time.0),
    Counter::new(&JOB_TASK_SECONDS, MILLISECONDS, |s| s.executor_run_time.0),
    Counter::labelled(&APP_STAGES_TOTAL, "outcome", "succeeded", PLAIN, |s| {
        Some(u64::from(s.status == StageStatus::Complete))
    }),
    Counter::labelled(&APP_STAGES_TOTAL, "outcome", "failed", PLAIN, |s| {
        Some(u64::from(s.status == StageStatus::Failed))
    }),
    Counter::new(&APP_STAGE_RETRIES, PLAIN, |s| Some(u64::from(s.attempt_id > 0))),
    Counter::new(&STAGE_RUN, MILLISECONDS, |s| s.executor_run_time.0),
    Counter::new(&STAGE_CPU, NANOSECONDS, |s| s.executor_cpu_time.0),
    Counter::new(&STAGE_DESERIALIZE, MILLISECONDS, |s| s.executor_deserialize_time.0),
    Counter::new(&STAGE_GC, MILLISECONDS, |s| s.jvm_gc_time.0),
    Counter::new(&STAGE_RESULT_SERIALIZATION, MILLISECONDS, |s| s.result_serialization_time.0),
    Counter::new(&STAGE_INPUT_BYTES, PLAIN, |s| s.input_bytes.0),
    Counter::new(&STAGE_INPUT_RECORDS, PLAIN, |s| s.input_records.0),
    Counter::new(&STAGE_OUTPUT_BYTES, PLAIN, |s| s.output_bytes.0),
    Counter::new(&STAGE_OUTPUT_RECORDS, PLAIN, |s| s.output_records.0),
    Counter::labelled(&SHUFFLE_READ_BYTES, "source", "local", PLAIN, |s| {
        s.shuffle_local_bytes_read.0
    }),
    Counter::labelled(&SHUFFLE_READ_BYTES, "source", "remote", PLAIN, |s| {
        s.shuffle_remote_bytes_read.0
    }),
    Counter::new(&SHUFFLE_READ_RECORDS, PLAIN, |s| s.shuffle_read_records.0),
    Counter::labelled(&SHUFFLE_BLOCKS, "source", "local", PLAIN, |s| {
        s.shuffle_local_blocks_fetched.0
    }),
    Counter::labelled(&SHUFFLE_BLOCKS, "source", "remote", PLAIN, |s| {
        s.shuffle_remote_blocks_fetched.0
    }),
    Counter::new(&SHUFFLE_FETCH_WAIT, MILLISECONDS, |s| s.shuffle_fetch_wait_time.0),
    Counter::new(&SHUFFLE_REMOTE_TO_DISK, PLAIN, |s| s.shuffle_remote_bytes_read_to_disk.0),
    Counter::new(&SHUFFLE_REMOTE_REQUEST, MILLISECONDS, |s| s.shuffle_remote_reqs_duration.0),
    Counter::new(&SHUFFLE_WRITE_BYTES, PLAIN, |s| s.shuffle_write_bytes.0),
    Counter::new(&SHUFFLE_WRITE_RECORDS, PLAIN, |s| s.shuffle_write_records.0),
    Counter::new(&SHUFFLE_WRITE, NANOSECONDS, |s| s.shuffle_write_time.0),
    Counter::labelled(&STAGE_SPILLED, "medium", "memory", PLAIN, |s| s.memory_bytes_spilled.0),
    Counter::labelled(&STAGE_SPILLED, "medium", "disk", PLAIN, |s| s.disk_bytes_spilled.0),
    Counter::labelled(&STAGE_SPECULATIVE, "outcome", "succeeded", PLAIN, |s| {
        s.speculation_summary.as_ref()?.num_completed_tasks.0
    }),
    Counter::labelled(&STAGE_SPECULATIVE, "outcome", "failed", PLAIN, |s| {
        s.speculation_summary.as_ref()?.num_failed_tasks.0
    }),
    Counter::labelled(&STAGE_SPECULATIVE, "outcome", "killed", PLAIN, |s| {
        s.speculation_summary.as_ref()?.num_killed_tasks.0
    }),
    Counter::new(&STAGE_RESULT_BYTES, PLAIN, |s| s.result_size.0),
];
