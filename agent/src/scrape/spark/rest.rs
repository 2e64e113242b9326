//! What the REST API answers, as far as it is read. These types live for one round at most: their
//! strings are not redacted yet, so none of them is kept, logged or shown (they have no `Debug`).
//!
//! Every field may be missing: classes differ between Spark 3.3 and 4.3.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

/// Elements of one list that are taken. An answer of 8 MiB has fewer, as the shortest job that Spark
/// writes has 450 bytes; without an end `[{},{},...` would take 300 times its size in memory.
const ELEMENTS_MAX: usize = 20_000;

/// A list of a limited number of elements; a longer one is an answer of another shape.
#[derive(Default)]
pub(in crate::scrape) struct List<T>(pub(in crate::scrape) Vec<T>);

impl<T> Deref for List<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Elements(PhantomData))
    }
}

struct Elements<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Elements<T> {
    type Value = List<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<List<T>, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element()? {
            if elements.len() == ELEMENTS_MAX {
                return Err(A::Error::invalid_length(ELEMENTS_MAX + 1, &self));
            }
            elements.push(element);
        }
        Ok(List(elements))
    }
}

/// Adds up numbers that are all known; the other side may send any, so the sum stops at the end.
pub(super) fn sum(mut numbers: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    numbers.try_fold(0, |sum: u64, number| Some(sum.saturating_add(number?)))
}

/// A number that may be missing. Negative values are how Spark says "not known".
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(in crate::scrape) struct Number(pub(in crate::scrape) Option<u64>);

/// A time in milliseconds since the epoch, missing while it has not come (`1969-12-31…`).
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Time(pub(super) Option<u64>);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Lenient).map(|found| match found {
            Found::Number(number) => Self(Some(number)),
            Found::Time(_) | Found::Nothing => Self(None),
        })
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Lenient).map(|found| match found {
            Found::Time(unix_ms) => Self(Some(unix_ms)),
            Found::Number(_) | Found::Nothing => Self(None),
        })
    }
}

enum Found {
    Number(u64),
    Time(u64),
    Nothing,
}

/// Takes whatever stands there: a field of a strange type must not cost the other fields.
struct Lenient;

impl<'de> Visitor<'de> for Lenient {
    type Value = Found;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Found, E> {
        Ok(Found::Number(value))
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Found, E> {
        Ok(u64::try_from(value).map_or(Found::Nothing, Found::Number))
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Found, E> {
        // The cast saturates, and a fraction of a byte or millisecond is nothing that Spark means.
        Ok(if value >= 0.0 { Found::Number(value as u64) } else { Found::Nothing })
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<Found, E> {
        Ok(unix_ms(value).map_or(Found::Nothing, Found::Time))
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<Found, E> {
        Ok(Found::Nothing)
    }
    fn visit_unit<E: Error>(self) -> Result<Found, E> {
        Ok(Found::Nothing)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Found, A::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Found::Nothing)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Found::Nothing)
    }
}

/// Reads `2026-11-22T06:43:16.435GMT`, the only form that Spark's `JacksonMessageWriter` writes.
fn unix_ms(text: &str) -> Option<u64> {
    let civil = DateTime::strptime("%Y-%m-%dT%H:%M:%S%.fGMT", text).ok()?;
    let timestamp = civil.to_zoned(TimeZone::UTC).ok()?.timestamp();
    u64::try_from(timestamp.as_millisecond()).ok()
}

/// `/version`
#[derive(Deserialize)]
pub(super) struct Version {
    pub(super) spark: String,
}

/// One element of `/applications`.
#[derive(Deserialize)]
pub(super) struct Application {
    pub(super) id: String,
    #[serde(default)]
    pub(super) name: String,
    /// Newest first; a driver's UI has exactly one.
    #[serde(default)]
    pub(super) attempts: List<Attempt>,
}

/// One attempt of an application.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Attempt {
    pub(super) attempt_id: Option<String>,
    pub(super) start_time: Time,
    pub(super) end_time: Time,
    pub(super) spark_user: Option<String>,
    pub(super) completed: bool,
    /// Spark 4.3 and later, once it ended.
    pub(super) exit_code: Option<i64>,
}

/// `/environment`
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Environment {
    pub(super) runtime: Runtime,
    pub(super) spark_properties: Vec<(String, String)>,
    pub(super) resource_profiles: List<ResourceProfile>,
}

/// Versions of what the driver runs on.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Runtime {
    pub(super) java_version: Option<String>,
    pub(super) scala_version: Option<String>,
}

/// What executors of one resource profile get.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ResourceProfile {
    pub(super) id: Number,
    pub(super) executor_resources: ExecutorResources,
}

/// The resources that are read.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ExecutorResources {
    pub(super) memory: Amount,
}

/// Amount of a resource; MiB for memory.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Amount {
    pub(super) amount: Number,
}

/// Status of a job.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum JobStatus {
    Running,
    Succeeded,
    Failed,
    #[default]
    #[serde(other)]
    Unknown,
}

/// One element of `/jobs`. Texts are for spans. `killedTasksSummary` is not read: its keys hold user data.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Job {
    pub(super) job_id: u32,
    /// Where in the program the job was started.
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) status: JobStatus,
    pub(super) submission_time: Time,
    pub(super) completion_time: Time,
    pub(super) stage_ids: Vec<u32>,
    pub(super) num_tasks: Number,
    pub(super) num_completed_tasks: Number,
    pub(super) num_failed_tasks: Number,
    pub(super) num_completed_indices: Number,
    pub(super) num_skipped_tasks: Number,
    pub(super) num_active_stages: Number,
    pub(super) num_completed_stages: Number,
    pub(super) num_skipped_stages: Number,
    pub(super) num_failed_stages: Number,
}

impl Job {
    /// True when the job will not change any more.
    pub(super) fn is_final(&self) -> bool {
        matches!(self.status, JobStatus::Succeeded | JobStatus::Failed)
    }
}

/// Status of a stage attempt.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum StageStatus {
    Active,
    Complete,
    Failed,
    Pending,
    Skipped,
    #[default]
    #[serde(other)]
    Unknown,
}

/// One element of `/stages` and of `/stages/{id}`. Texts are for spans; details, which are stack
/// traces of the program, are not read.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Stage {
    pub(super) status: StageStatus,
    pub(super) stage_id: u32,
    pub(super) attempt_id: u32,
    /// Where in the program it comes from.
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) failure_reason: Option<String>,
    pub(super) num_tasks: Number,
    pub(super) num_active_tasks: Number,
    pub(super) num_complete_tasks: Number,
    pub(super) num_failed_tasks: Number,
    pub(super) num_killed_tasks: Number,
    pub(super) submission_time: Time,
    pub(super) completion_time: Time,
    pub(super) executor_deserialize_time: Number,
    pub(super) executor_run_time: Number,
    pub(super) executor_cpu_time: Number,
    pub(super) result_size: Number,
    pub(super) jvm_gc_time: Number,
    pub(super) result_serialization_time: Number,
    pub(super) memory_bytes_spilled: Number,
    pub(super) disk_bytes_spilled: Number,
    pub(super) peak_execution_memory: Number,
    pub(super) input_bytes: Number,
    pub(super) input_records: Number,
    pub(super) output_bytes: Number,
    pub(super) output_records: Number,
    pub(super) shuffle_remote_blocks_fetched: Number,
    pub(super) shuffle_local_blocks_fetched: Number,
    pub(super) shuffle_fetch_wait_time: Number,
    pub(super) shuffle_remote_bytes_read: Number,
    pub(super) shuffle_remote_bytes_read_to_disk: Number,
    pub(super) shuffle_local_bytes_read: Number,
    pub(super) shuffle_read_records: Number,
    pub(super) shuffle_remote_reqs_duration: Number,
    pub(super) shuffle_write_bytes: Number,
    pub(super) shuffle_write_time: Number,
    pub(super) shuffle_write_records: Number,
    pub(super) speculation_summary: Option<Speculation>,
    pub(super) task_metrics_distributions: Option<Distributions>,
}

/// One element of `/stages/{id}/{attempt}/taskList`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Task {
    pub(super) task_id: u64,
    pub(super) index: u64,
    pub(super) launch_time: Time,
}

/// Tasks that were started twice; absent when there were none.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Speculation {
    pub(super) num_completed_tasks: Number,
    pub(super) num_failed_tasks: Number,
    pub(super) num_killed_tasks: Number,
}

/// Quantiles over the finished tasks of a stage: every list runs along `quantiles`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Distributions {
    pub(super) quantiles: Vec<f64>,
    pub(super) duration: Vec<f64>,
    pub(super) memory_bytes_spilled: Vec<f64>,
    pub(super) input_metrics: InputDistributions,
    pub(super) output_metrics: OutputDistributions,
    pub(super) shuffle_read_metrics: ShuffleReadDistributions,
}

/// Input per task.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct InputDistributions {
    pub(super) bytes_read: Vec<f64>,
    pub(super) records_read: Vec<f64>,
}

/// Output per task.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct OutputDistributions {
    pub(super) bytes_written: Vec<f64>,
}

/// Shuffle read per task.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ShuffleReadDistributions {
    pub(super) read_bytes: Vec<f64>,
    pub(super) read_records: Vec<f64>,
}

/// One element of `/allexecutors`; the dead ones are only there, not in `/executors`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Executor {
    pub(super) id: String,
    pub(super) is_active: bool,
    pub(super) is_excluded: bool,
    pub(super) total_cores: Number,
    pub(super) max_tasks: Number,
    pub(super) active_tasks: Number,
    pub(super) total_duration: Number,
    #[serde(rename = "totalGCTime")]
    pub(super) total_gc_time: Number,
    pub(super) add_time: Time,
    pub(super) remove_time: Time,
    pub(super) remove_reason: Option<String>,
    pub(super) resource_profile_id: Number,
    pub(super) memory_metrics: Option<MemoryMetrics>,
    pub(super) peak_memory_metrics: Option<PeakMemory>,
}

/// Storage memory of one executor, bytes.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct MemoryMetrics {
    pub(super) used_on_heap_storage_memory: Number,
    pub(super) used_off_heap_storage_memory: Number,
    pub(super) total_on_heap_storage_memory: Number,
    pub(super) total_off_heap_storage_memory: Number,
}

/// Peaks of one executor since its start, bytes; counts and milliseconds for garbage collection.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct PeakMemory {
    #[serde(rename = "JVMHeapMemory")]
    pub(super) heap: Number,
    #[serde(rename = "JVMOffHeapMemory")]
    pub(super) offheap: Number,
    #[serde(rename = "OnHeapExecutionMemory")]
    pub(super) execution_heap: Number,
    #[serde(rename = "OffHeapExecutionMemory")]
    pub(super) execution_offheap: Number,
    #[serde(rename = "OnHeapStorageMemory")]
    pub(super) storage_heap: Number,
    #[serde(rename = "OffHeapStorageMemory")]
    pub(super) storage_offheap: Number,
    #[serde(rename = "OnHeapUnifiedMemory")]
    pub(super) unified_heap: Number,
    #[serde(rename = "OffHeapUnifiedMemory")]
    pub(super) unified_offheap: Number,
    #[serde(rename = "DirectPoolMemory")]
    pub(super) direct: Number,
    #[serde(rename = "MappedPoolMemory")]
    pub(super) mapped: Number,
    #[serde(rename = "ProcessTreeJVMRSSMemory")]
    pub(super) rss_jvm: Number,
    #[serde(rename = "ProcessTreePythonRSSMemory")]
    pub(super) rss_python: Number,
    #[serde(rename = "ProcessTreeOtherRSSMemory")]
    pub(super) rss_other: Number,
    #[serde(rename = "MinorGCCount")]
    pub(super) minor_gc_count: Number,
    #[serde(rename = "MinorGCTime")]
    pub(super) minor_gc_time: Number,
    #[serde(rename = "MajorGCCount")]
    pub(super) major_gc_count: Number,
    #[serde(rename = "MajorGCTime")]
    pub(super) major_gc_time: Number,
    #[serde(rename = "ConcurrentGCCount")]
    pub(super) concurrent_gc_count: Number,
    #[serde(rename = "ConcurrentGCTime")]
    pub(super) concurrent_gc_time: Number,
}

#[cfg(test)]
mod tests {
    use super::{
        Attempt, ELEMENTS_MAX, Job, JobStatus, List, Number, Stage, StageStatus, Time, sum,
    };

    #[test]
    fn a_list_of_empty_elements_cannot_eat_the_memory() {
        let answer = |n: usize| format!("[{}]", vec!["{}"; n].join(","));
        let stages: List<Stage> = serde_json::from_str(&answer(ELEMENTS_MAX)).unwrap();
        assert_eq!(stages.len(), ELEMENTS_MAX);
        assert!(size_of::<Stage>() * ELEMENTS_MAX < 32 << 20);
        assert!(serde_json::from_str::<List<Stage>>(&answer(ELEMENTS_MAX + 1)).is_err());
    }

    #[test]
    fn a_sum_ends_at_the_largest_number_and_needs_every_number() {
        assert_eq!(sum([Some(u64::MAX), Some(7)].into_iter()), Some(u64::MAX));
        assert_eq!(sum([Some(7), None].into_iter()), None);
        assert_eq!(sum([].into_iter()), Some(0));
    }

    #[test]
    fn times_are_utc_milliseconds_and_the_time_before_the_epoch_is_none() {
        let attempt: Attempt = serde_json::from_str(
            r#"{"startTime":"2026-11-22T06:32:53.318GMT","endTime":"1969-12-31T23:59:59.999GMT"}"#,
        )
        .unwrap();
        // `startTimeEpoch` of the same recorded answer.
        assert_eq!(attempt.start_time, Time(Some(1_795_329_173_318)));
        assert_eq!(attempt.end_time, Time(None));
    }

    #[test]
    fn a_field_of_a_strange_type_is_absent_and_costs_nothing_else() {
        let stage: Stage = serde_json::from_str(
            r#"{"status":"DREAMING","stageId":7,"inputBytes":-1,"inputRecords":"x",
                "outputBytes":{"a":[1]},"outputRecords":[1,2],"resultSize":null,"jvmGcTime":12.0}"#,
        )
        .unwrap();
        assert!(stage.status == StageStatus::Unknown && stage.stage_id == 7);
        for absent in [
            stage.input_bytes,
            stage.input_records,
            stage.output_bytes,
            stage.output_records,
            stage.result_size,
            stage.num_tasks,
        ] {
            assert_eq!(absent, Number(None));
        }
        assert_eq!(stage.jvm_gc_time, Number(Some(12)));
    }

    #[test]
    fn the_reasons_of_killed_tasks_are_skipped_whatever_they_hold() {
        let job: Job = serde_json::from_str(
            r#"{"jobId":4,"status":"FAILED","killedTasksSummary":{"mail jane@example.com":1}}"#,
        )
        .unwrap();
        assert!(job.status == JobStatus::Failed && job.is_final());
    }
}
