//! Spark's events as they stand in a log: borrowed, and only the fields that are used.
//!
//! Fields of newer versions are optional, so that a log of an older one is read as well.
//! Source: `org.apache.spark.util.JsonProtocol` of Spark 3.3 to 4.3.

use super::jobs::{JobProperties, JobStage};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// A count or an amount. Spark writes -1 for what it does not know.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Amount(pub(super) u64);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AmountVisitor;
        impl Visitor<'_> for AmountVisitor {
            type Value = Amount;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Amount, E> {
                Ok(Amount(number))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Amount, E> {
                Ok(Amount(u64::try_from(number).unwrap_or(0)))
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<Amount, E> {
                // Saturates.
                Ok(Amount(number as u64))
            }
            fn visit_unit<E: Error>(self) -> Result<Amount, E> {
                Ok(Amount(0))
            }
        }
        deserializer.deserialize_any(AmountVisitor)
    }
}

/// A text of an event.
pub(super) type Text<'a> = Cow<'a, str>;

#[derive(Debug, Deserialize)]
pub(super) struct AnyEvent<'a> {
    #[serde(rename = "Event", borrow)]
    pub(super) name: Text<'a>,
}

#[derive(Debug, Deserialize)]
pub(super) struct LogStart<'a> {
    #[serde(rename = "Spark Version", borrow)]
    pub(super) version: Text<'a>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ApplicationStart<'a> {
    #[serde(rename = "App Name", borrow)]
    pub(super) name: Text<'a>,
    #[serde(rename = "App ID", borrow)]
    pub(super) id: Option<Text<'a>>,
    #[serde(rename = "Timestamp", default)]
    pub(super) time: Amount,
    #[serde(rename = "User", borrow)]
    pub(super) user: Option<Text<'a>>,
    #[serde(rename = "App Attempt ID", borrow)]
    pub(super) attempt: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ApplicationEnd {
    #[serde(rename = "Timestamp", default)]
    pub(super) time: Amount,
    /// From Spark 4.0 on.
    #[serde(rename = "ExitCode")]
    pub(super) exit_code: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct EnvironmentUpdate<'a> {
    #[serde(rename = "Spark Properties", borrow)]
    pub(super) spark: &'a RawValue,
    #[serde(rename = "JVM Information", borrow)]
    pub(super) jvm: Option<JvmInformation<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct JvmInformation<'a> {
    #[serde(rename = "Java Version", borrow)]
    pub(super) java: Option<Text<'a>>,
    #[serde(rename = "Scala Version", borrow)]
    pub(super) scala: Option<Text<'a>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Properties<'a> {
    #[serde(rename = "spark.master", borrow)]
    pub(super) master: Option<Text<'a>>,
    #[serde(rename = "spark.executor.memory", borrow)]
    pub(super) executor_memory: Option<Text<'a>>,
    #[serde(rename = "spark.driver.memory", borrow)]
    pub(super) driver_memory: Option<Text<'a>>,
    #[serde(rename = "spark.executor.memoryOverhead", borrow)]
    pub(super) executor_memory_overhead: Option<Text<'a>>,
    #[serde(rename = "spark.task.cpus", borrow)]
    pub(super) task_cpus: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ResourceProfileAdded {
    #[serde(rename = "Resource Profile Id")]
    pub(super) id: u32,
    #[serde(rename = "Executor Resource Requests")]
    pub(super) executor: ExecutorRequests,
}

#[derive(Debug, Deserialize)]
pub(super) struct ExecutorRequests {
    pub(super) memory: Option<Request>,
    #[serde(rename = "offHeap")]
    pub(super) off_heap: Option<Request>,
    #[serde(rename = "memoryOverhead")]
    pub(super) memory_overhead: Option<Request>,
    #[serde(rename = "pyspark.memory")]
    pub(super) python_memory: Option<Request>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Request {
    /// Of memory in MiB.
    #[serde(rename = "Amount", default)]
    pub(super) amount: Amount,
}

#[derive(Debug, Deserialize)]
pub(super) struct ExecutorAdded<'a> {
    #[serde(rename = "Timestamp", default)]
    pub(super) time: Amount,
    #[serde(rename = "Executor ID", borrow)]
    pub(super) id: Text<'a>,
    #[serde(rename = "Executor Info")]
    pub(super) info: ExecutorInfo,
}

#[derive(Debug, Deserialize)]
pub(super) struct ExecutorInfo {
    #[serde(rename = "Total Cores", default)]
    pub(super) cores: Amount,
    #[serde(rename = "Resource Profile Id", default)]
    pub(super) profile: u32,
}

#[derive(Debug, Deserialize)]
pub(super) struct ExecutorRemoved<'a> {
    #[serde(rename = "Timestamp", default)]
    pub(super) time: Amount,
    #[serde(rename = "Executor ID", borrow)]
    pub(super) id: Text<'a>,
    #[serde(rename = "Removed Reason", borrow)]
    pub(super) reason: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct BlockManagerAdded {
    #[serde(rename = "Timestamp", default)]
    pub(super) time: Amount,
    #[serde(rename = "Maximum Memory", default)]
    pub(super) memory: Amount,
}

#[derive(Debug, Deserialize)]
pub(super) struct StageExecutorMetrics<'a> {
    #[serde(rename = "Executor ID", borrow)]
    pub(super) executor: Text<'a>,
    #[serde(rename = "Executor Metrics")]
    pub(super) metrics: ExecutorMetrics,
}

#[derive(Debug, Deserialize)]
pub(super) struct ExecutorMetricsUpdate<'a> {
    #[serde(rename = "Executor ID", borrow)]
    pub(super) executor: Text<'a>,
    #[serde(rename = "Executor Metrics Updated", default)]
    pub(super) updates: Vec<MetricsOfStage>,
}

#[derive(Debug, Deserialize)]
pub(super) struct MetricsOfStage {
    #[serde(rename = "Executor Metrics")]
    pub(super) metrics: ExecutorMetrics,
}

/// Peaks, in bytes.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ExecutorMetrics {
    #[serde(rename = "JVMHeapMemory", default)]
    pub(super) heap: Amount,
    #[serde(rename = "ProcessTreeJVMRSSMemory", default)]
    pub(super) jvm_resident: Amount,
    #[serde(rename = "ProcessTreePythonRSSMemory", default)]
    pub(super) python_resident: Amount,
    #[serde(rename = "ProcessTreeOtherRSSMemory", default)]
    pub(super) other_resident: Amount,
}

#[derive(Debug, Deserialize)]
pub(super) struct JobStart<'a> {
    #[serde(rename = "Job ID")]
    pub(super) id: u64,
    #[serde(rename = "Submission Time", default)]
    pub(super) time: Amount,
    #[serde(rename = "Stage Infos", borrow, default)]
    pub(super) stages: Vec<JobStage<'a>>,
    #[serde(rename = "Properties", borrow)]
    pub(super) properties: Option<JobProperties<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct JobEnd<'a> {
    #[serde(rename = "Job ID")]
    pub(super) id: u64,
    #[serde(rename = "Completion Time", default)]
    pub(super) time: Amount,
    #[serde(rename = "Job Result", borrow)]
    pub(super) result: JobResult<'a>,
}

#[derive(Debug, Deserialize)]
pub(super) struct JobResult<'a> {
    #[serde(rename = "Result", borrow)]
    pub(super) result: Text<'a>,
    #[serde(rename = "Exception", borrow)]
    pub(super) exception: Option<JobException<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct JobException<'a> {
    #[serde(rename = "Message", borrow)]
    pub(super) message: Option<Text<'a>>,
}

/// Both `SparkListenerStageSubmitted` and `SparkListenerStageCompleted`.
#[derive(Debug, Deserialize)]
pub(super) struct StageChanged<'a> {
    #[serde(rename = "Stage Info", borrow)]
    pub(super) info: StageInfo<'a>,
}

#[derive(Debug, Deserialize)]
pub(super) struct StageInfo<'a> {
    #[serde(rename = "Stage ID")]
    pub(super) id: u32,
    #[serde(rename = "Stage Attempt ID", default)]
    pub(super) attempt: u32,
    #[serde(rename = "Stage Name", borrow, default)]
    pub(super) name: Text<'a>,
    #[serde(rename = "Number of Tasks", default)]
    pub(super) n_tasks: Amount,
    #[serde(rename = "Submission Time")]
    pub(super) submitted: Option<Amount>,
    #[serde(rename = "Completion Time")]
    pub(super) completed: Option<Amount>,
    #[serde(rename = "Failure Reason", borrow)]
    pub(super) failure: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct TaskStart {
    #[serde(rename = "Stage ID")]
    pub(super) stage: u32,
    #[serde(rename = "Stage Attempt ID", default)]
    pub(super) stage_attempt: u32,
    #[serde(rename = "Task Info")]
    pub(super) info: TaskInfo,
}

#[derive(Debug, Deserialize)]
pub(super) struct TaskInfo {
    #[serde(rename = "Task ID")]
    pub(super) id: u64,
    #[serde(rename = "Index", default)]
    pub(super) index: u64,
    #[serde(rename = "Attempt", default)]
    pub(super) attempt: u64,
    #[serde(rename = "Launch Time", default)]
    pub(super) launched: Amount,
    #[serde(rename = "Finish Time", default)]
    pub(super) finished: Amount,
    #[serde(rename = "Getting Result Time", default)]
    pub(super) getting_result: Amount,
    #[serde(rename = "Speculative", default)]
    pub(super) is_speculative: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct TaskEnd<'a> {
    #[serde(rename = "Stage ID")]
    pub(super) stage: u32,
    #[serde(rename = "Stage Attempt ID", default)]
    pub(super) stage_attempt: u32,
    #[serde(rename = "Task End Reason", borrow)]
    pub(super) reason: TaskEndReason<'a>,
    #[serde(rename = "Task Info")]
    pub(super) info: TaskInfo,
    #[serde(rename = "Task Metrics")]
    pub(super) metrics: Option<Box<TaskMetrics>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct TaskEndReason<'a> {
    #[serde(rename = "Reason", borrow)]
    pub(super) reason: Text<'a>,
    #[serde(rename = "Class Name", borrow)]
    pub(super) class: Option<Text<'a>>,
    #[serde(rename = "Description", borrow)]
    pub(super) description: Option<Text<'a>>,
    #[serde(rename = "Full Stack Trace", borrow)]
    pub(super) trace: Option<Text<'a>>,
}

/// Times in ms, but CPU and shuffle write times in ns.
#[derive(Debug, Default, Deserialize)]
pub(super) struct TaskMetrics {
    #[serde(rename = "Executor Deserialize Time", default)]
    pub(super) deserialize_ms: Amount,
    #[serde(rename = "Executor Deserialize CPU Time", default)]
    pub(super) deserialize_cpu_ns: Amount,
    #[serde(rename = "Executor Run Time", default)]
    pub(super) run_ms: Amount,
    #[serde(rename = "Executor CPU Time", default)]
    pub(super) cpu_ns: Amount,
    #[serde(rename = "Peak Execution Memory", default)]
    pub(super) peak_execution_memory: Amount,
    #[serde(rename = "Result Size", default)]
    pub(super) result_bytes: Amount,
    #[serde(rename = "JVM GC Time", default)]
    pub(super) gc_ms: Amount,
    #[serde(rename = "Result Serialization Time", default)]
    pub(super) result_serialization_ms: Amount,
    #[serde(rename = "Memory Bytes Spilled", default)]
    pub(super) memory_spilled_bytes: Amount,
    #[serde(rename = "Disk Bytes Spilled", default)]
    pub(super) disk_spilled_bytes: Amount,
    #[serde(rename = "Shuffle Read Metrics", default)]
    pub(super) shuffle_read: ShuffleRead,
    #[serde(rename = "Shuffle Write Metrics", default)]
    pub(super) shuffle_write: ShuffleWrite,
    #[serde(rename = "Input Metrics", default)]
    pub(super) input: Input,
    #[serde(rename = "Output Metrics", default)]
    pub(super) output: Output,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ShuffleRead {
    #[serde(rename = "Remote Blocks Fetched", default)]
    pub(super) remote_blocks: Amount,
    #[serde(rename = "Local Blocks Fetched", default)]
    pub(super) local_blocks: Amount,
    #[serde(rename = "Fetch Wait Time", default)]
    pub(super) fetch_wait_ms: Amount,
    #[serde(rename = "Remote Bytes Read", default)]
    pub(super) remote_bytes: Amount,
    #[serde(rename = "Remote Bytes Read To Disk", default)]
    pub(super) to_disk_bytes: Amount,
    #[serde(rename = "Local Bytes Read", default)]
    pub(super) local_bytes: Amount,
    #[serde(rename = "Total Records Read", default)]
    pub(super) records: Amount,
    /// From Spark 3.4 on.
    #[serde(rename = "Remote Requests Duration")]
    pub(super) remote_requests_ms: Option<Amount>,
    /// From Spark 3.4 on.
    #[serde(rename = "Push Based Shuffle")]
    pub(super) merged: Option<MergedRead>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct MergedRead {
    #[serde(rename = "Corrupt Merged Block Chunks", default)]
    pub(super) corrupt_chunks: Amount,
    #[serde(rename = "Merged Fetch Fallback Count", default)]
    pub(super) fallbacks: Amount,
    #[serde(rename = "Merged Remote Bytes Read", default)]
    pub(super) remote_bytes: Amount,
    #[serde(rename = "Merged Local Bytes Read", default)]
    pub(super) local_bytes: Amount,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ShuffleWrite {
    #[serde(rename = "Shuffle Bytes Written", default)]
    pub(super) bytes: Amount,
    #[serde(rename = "Shuffle Write Time", default)]
    pub(super) time_ns: Amount,
    #[serde(rename = "Shuffle Records Written", default)]
    pub(super) records: Amount,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Input {
    #[serde(rename = "Bytes Read", default)]
    pub(super) bytes: Amount,
    #[serde(rename = "Records Read", default)]
    pub(super) records: Amount,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Output {
    #[serde(rename = "Bytes Written", default)]
    pub(super) bytes: Amount,
    #[serde(rename = "Records Written", default)]
    pub(super) records: Amount,
}
