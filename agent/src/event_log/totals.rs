//! Sums over tasks: of a stage attempt, and of the run.

use super::events::{TaskEnd, TaskInfo, TaskMetrics};
use serde::Serialize;

/// What tasks did and used. Sums, but for the peak.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
pub struct Totals {
    /// Tasks that ended well.
    pub n_tasks_succeeded: u64,
    /// Tasks that failed.
    pub n_tasks_failed: u64,
    /// Tasks that were killed, or whose commit was denied.
    pub n_tasks_killed: u64,
    /// Attempts after the first of a task, speculative ones left out.
    pub n_tasks_retried: u64,
    /// Speculative attempts.
    pub n_tasks_speculative: u64,
    /// From launch to end.
    pub duration_ms: u64,
    /// Neither the executor worked nor the result was on its way.
    pub scheduler_delay_ms: u64,
    /// Executor run time.
    pub run_ms: u64,
    /// CPU time.
    pub cpu_ns: u64,
    /// JVM garbage collection while the task ran.
    pub gc_ms: u64,
    /// Time to unpack the task.
    pub deserialize_ms: u64,
    /// CPU time to unpack the task.
    pub deserialize_cpu_ns: u64,
    /// Time to pack the result.
    pub result_serialization_ms: u64,
    /// Bytes of results that went to the driver.
    pub result_bytes: u64,
    /// Largest memory of one task for shuffles, joins and aggregations.
    pub peak_execution_memory_bytes: u64,
    /// Size in memory of what was spilled.
    pub memory_spilled_bytes: u64,
    /// Size on disk of what was spilled.
    pub disk_spilled_bytes: u64,
    /// Read from storage.
    pub input_bytes: u64,
    /// Read from storage.
    pub input_records: u64,
    /// Written to storage.
    pub output_bytes: u64,
    /// Written to storage.
    pub output_records: u64,
    /// Of shuffles, from other executors.
    pub shuffle_remote_read_bytes: u64,
    /// Of shuffles, from the own executor.
    pub shuffle_local_read_bytes: u64,
    /// Of what came from other executors, what went to disk first.
    pub shuffle_remote_read_to_disk_bytes: u64,
    /// Records read from shuffles.
    pub shuffle_read_records: u64,
    /// Blocks from other executors.
    pub shuffle_remote_blocks: u64,
    /// Blocks from the own executor.
    pub shuffle_local_blocks: u64,
    /// Waiting for blocks.
    pub shuffle_fetch_wait_ms: u64,
    /// Requests for blocks; not known before Spark 3.4.
    pub shuffle_remote_requests_ms: Option<u64>,
    /// Of merged shuffles: chunks that were damaged; not known before Spark 3.4.
    pub shuffle_corrupt_merged_chunks: Option<u64>,
    /// Of merged shuffles: fetches of single blocks in their stead; not known before Spark 3.4.
    pub shuffle_merged_fallbacks: Option<u64>,
    /// Of merged shuffles: bytes read; not known before Spark 3.4.
    pub shuffle_merged_read_bytes: Option<u64>,
    /// Written for shuffles.
    pub shuffle_write_bytes: u64,
    /// Written for shuffles.
    pub shuffle_write_records: u64,
    /// Time of writes for shuffles.
    pub shuffle_write_ns: u64,
}

impl Totals {
    /// What one task adds.
    pub(super) fn of_task(event: &TaskEnd<'_>) -> Self {
        let mut totals = event.metrics.as_deref().map_or_else(Self::default, Self::of_metrics);
        let info = &event.info;
        totals.duration_ms = info.finished.0.saturating_sub(info.launched.0);
        if event.metrics.is_some() {
            totals.scheduler_delay_ms = scheduler_delay_ms(info, &totals);
        }
        totals.n_tasks_speculative = u64::from(info.is_speculative);
        totals.n_tasks_retried = u64::from(info.attempt > 0 && !info.is_speculative);
        match &*event.reason.reason {
            "Success" => totals.n_tasks_succeeded = 1,
            "TaskKilled" | "TaskCommitDenied" => totals.n_tasks_killed = 1,
            _ => totals.n_tasks_failed = 1,
        }
        totals
    }

    fn of_metrics(metrics: &TaskMetrics) -> Self {
        let TaskMetrics { shuffle_read: read, shuffle_write: write, input, output, .. } = metrics;
        Self {
            run_ms: metrics.run_ms.0,
            cpu_ns: metrics.cpu_ns.0,
            gc_ms: metrics.gc_ms.0,
            deserialize_ms: metrics.deserialize_ms.0,
            deserialize_cpu_ns: metrics.deserialize_cpu_ns.0,
            result_serialization_ms: metrics.result_serialization_ms.0,
            result_bytes: metrics.result_bytes.0,
            peak_execution_memory_bytes: metrics.peak_execution_memory.0,
            memory_spilled_bytes: metrics.memory_spilled_bytes.0,
            disk_spilled_bytes: metrics.disk_spilled_bytes.0,
            input_bytes: input.bytes.0,
            input_records: input.records.0,
            output_bytes: output.bytes.0,
            output_records: output.records.0,
            shuffle_remote_read_bytes: read.remote_bytes.0,
            shuffle_local_read_bytes: read.local_bytes.0,
            shuffle_remote_read_to_disk_bytes: read.to_disk_bytes.0,
            shuffle_read_records: read.records.0,
            shuffle_remote_blocks: read.remote_blocks.0,
            shuffle_local_blocks: read.local_blocks.0,
            shuffle_fetch_wait_ms: read.fetch_wait_ms.0,
            shuffle_remote_requests_ms: read.remote_requests_ms.map(|it| it.0),
            shuffle_corrupt_merged_chunks: read.merged.as_ref().map(|it| it.corrupt_chunks.0),
            shuffle_merged_fallbacks: read.merged.as_ref().map(|it| it.fallbacks.0),
            shuffle_merged_read_bytes: read
                .merged
                .as_ref()
                .map(|it| it.remote_bytes.0.saturating_add(it.local_bytes.0)),
            shuffle_write_bytes: write.bytes.0,
            shuffle_write_records: write.records.0,
            shuffle_write_ns: write.time_ns.0,
            ..Self::default()
        }
    }

    /// Tasks that ended, however.
    #[must_use]
    pub fn n_tasks(&self) -> u64 {
        [self.n_tasks_failed, self.n_tasks_killed]
            .into_iter()
            .fold(self.n_tasks_succeeded, u64::saturating_add)
    }

    /// Read from shuffles, wherever it lay.
    #[must_use]
    pub fn shuffle_read_bytes(&self) -> u64 {
        self.shuffle_remote_read_bytes.saturating_add(self.shuffle_local_read_bytes)
    }

    /// Takes `other` in.
    pub(super) fn add(&mut self, other: &Self) {
        let peak = self.peak_execution_memory_bytes.max(other.peak_execution_memory_bytes);
        let mut other = other.clone();
        for (sum, more) in self.sums_mut().into_iter().zip(other.sums_mut()) {
            *sum = sum.saturating_add(*more);
        }
        self.peak_execution_memory_bytes = peak;
        for (sum, more) in self.optional_mut().into_iter().zip(other.optional_mut()) {
            *sum = match (*sum, *more) {
                (Some(sum), Some(more)) => Some(sum.saturating_add(more)),
                (sum, more) => sum.or(more),
            };
        }
    }

    fn sums_mut(&mut self) -> [&mut u64; 30] {
        [
            &mut self.n_tasks_succeeded,
            &mut self.n_tasks_failed,
            &mut self.n_tasks_killed,
            &mut self.n_tasks_retried,
            &mut self.n_tasks_speculative,
            &mut self.duration_ms,
            &mut self.scheduler_delay_ms,
            &mut self.run_ms,
            &mut self.cpu_ns,
            &mut self.gc_ms,
            &mut self.deserialize_ms,
            &mut self.deserialize_cpu_ns,
            &mut self.result_serialization_ms,
            &mut self.result_bytes,
            &mut self.memory_spilled_bytes,
            &mut self.disk_spilled_bytes,
            &mut self.input_bytes,
            &mut self.input_records,
            &mut self.output_bytes,
            &mut self.output_records,
            &mut self.shuffle_remote_read_bytes,
            &mut self.shuffle_local_read_bytes,
            &mut self.shuffle_remote_read_to_disk_bytes,
            &mut self.shuffle_read_records,
            &mut self.shuffle_remote_blocks,
            &mut self.shuffle_local_blocks,
            &mut self.shuffle_fetch_wait_ms,
            &mut self.shuffle_write_bytes,
            &mut self.shuffle_write_records,
            &mut self.shuffle_write_ns,
        ]
    }

    fn optional_mut(&mut self) -> [&mut Option<u64>; 4] {
        [
            &mut self.shuffle_remote_requests_ms,
            &mut self.shuffle_corrupt_merged_chunks,
            &mut self.shuffle_merged_fallbacks,
            &mut self.shuffle_merged_read_bytes,
        ]
    }
}

/// As Spark's UI has it. Source: `AppStatusUtils.schedulerDelay`.
fn scheduler_delay_ms(info: &TaskInfo, totals: &Totals) -> u64 {
    let getting_result = match info.getting_result.0 {
        0 => 0,
        start => info.finished.0.saturating_sub(start),
    };
    [totals.run_ms, totals.deserialize_ms, totals.result_serialization_ms, getting_result]
        .into_iter()
        .fold(totals.duration_ms, u64::saturating_sub)
}
