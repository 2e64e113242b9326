//! Metrics of a Spark application, its executors and its jobs.

use super::descriptor;
use crate::model::{Kind, MetricDescriptor};

/// Versions and mode of the application.
pub static APP_INFO: MetricDescriptor = descriptor(
    Kind::Info,
    "spark_app_info",
    "",
    "Versions and mode of the application",
    "/version, /environment runtime, spark.master, spark.submit.deployMode",
);
/// Cores of executors that are alive.
pub static APP_CORES: MetricDescriptor = descriptor(
    Kind::Gauge,
    "spark_app_cores_granted",
    "",
    "Cores of executors that are alive",
    "/allexecutors: totalCores where isActive",
);
/// Executors by state, excluded ones not among the active; the dead as far as Spark keeps them.
pub static APP_EXECUTORS: MetricDescriptor = descriptor(
    Kind::Gauge,
    "spark_app_executors",
    "",
    "Executors by state, excluded ones not among the active; the dead as far as Spark keeps them",
    "/allexecutors: isActive, isExcluded",
);
/// Executors that were ever seen.
pub static APP_EXECUTORS_ADDED: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_app_executors_added_total",
    "",
    "Executors that were ever seen",
    "/allexecutors: id",
);
/// Executors that were removed, by the class of the reason.
pub static APP_EXECUTORS_REMOVED: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_app_executors_removed_total",
    "",
    "Executors that were removed, by the class of the reason",
    "/allexecutors: removeReason",
);
/// Lifetimes of executors times their cores.
pub static APP_EXECUTOR_CORE_SECONDS: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_app_executor_core_seconds_total",
    "seconds",
    "Lifetimes of executors times their cores",
    "/allexecutors: (removeTime or now - addTime) * totalCores",
);
/// Lifetimes of executors times the memory of their resource profile.
pub static APP_EXECUTOR_MEMORY_SECONDS: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_app_executor_memory_byte_seconds_total",
    "byte_seconds",
    "Lifetimes of executors times the memory of their resource profile",
    "/allexecutors: lifetime; /environment resourceProfiles memory (MiB)",
);
/// Task slots of executors that are alive.
pub static APP_SLOTS: MetricDescriptor = descriptor(
    Kind::Gauge,
    "spark_app_slots",
    "",
    "Task slots of executors that are alive",
    "/allexecutors: activeTasks, maxTasks where isActive",
);
/// Task attempts by outcome.
pub static APP_TASKS: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_app_tasks_total",
    "",
    "Task attempts by outcome",
    "/stages: numCompleteTasks, numFailedTasks, numKilledTasks; skipped: /jobs numSkippedTasks",
);
/// Time that tasks took on executors; not for the driver, where Spark gives its age.
pub static APP_TASK_SECONDS: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_app_task_seconds_total",
    "seconds",
    "Time that tasks took on executors; not for the driver, where Spark gives its age",
    "/allexecutors: totalDuration (ms)",
);
/// Garbage collection time of executors.
pub static APP_EXECUTOR_GC_SECONDS: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_app_executor_gc_seconds_total",
    "seconds",
    "Garbage collection time of executors",
    "/allexecutors: totalGCTime (ms)",
);
/// Garbage collections of executors by kind.
pub static APP_EXECUTOR_GC: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_app_executor_gc_total",
    "",
    "Garbage collections of executors by kind",
    "/allexecutors: peakMemoryMetrics.{Minor,Major,Concurrent}GCCount",
);
/// Garbage collection time of executors by kind.
pub static APP_EXECUTOR_GC_SECONDS_BY_KIND: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_app_executor_gc_seconds_by_kind_total",
    "",
    "Garbage collection time of executors by kind",
    "/allexecutors: peakMemoryMetrics.{Minor,Major,Concurrent}GCTime (ms)",
);
/// Peak heap over executors.
pub static EXECUTOR_HEAP_PEAK: MetricDescriptor = descriptor(
    Kind::Gauge,
    "spark_executor_heap_peak_bytes",
    "bytes",
    "Peak heap over executors",
    "/allexecutors: peakMemoryMetrics.JVMHeapMemory",
);
/// Peak heap over executors as a share of spark.executor.memory.
pub static EXECUTOR_HEAP_PEAK_RATIO: MetricDescriptor = descriptor(
    Kind::Gauge,
    "spark_executor_heap_peak_ratio",
    "ratio",
    "Peak heap over executors as a share of spark.executor.memory",
    "/allexecutors: peakMemoryMetrics.JVMHeapMemory; /environment spark.executor.memory",
);
/// Peak memory of the JVM outside the heap over executors.
pub static EXECUTOR_OFFHEAP_PEAK: MetricDescriptor = descriptor(
    Kind::Gauge,
    "spark_executor_offheap_peak_bytes",
    "bytes",
    "Peak memory of the JVM outside the heap over executors",
    "/allexecutors: peakMemoryMetrics.JVMOffHeapMemory",
);
/// Peak execution memory over executors.
pub static EXECUTOR_EXECUTION_PEAK: MetricDescriptor = descriptor(
    Kind::Gauge,
    "spark_executor_execution_peak_bytes",
    "bytes",
    "Peak execution memory over executors",
    "/allexecutors: peakMemoryMetrics.{On,Off}HeapExecutionMemory",
);
/// Peak storage memory over executors.
pub static EXECUTOR_STORAGE_PEAK: MetricDescriptor = descriptor(
    Kind::Gauge,
    "spark_executor_storage_peak_bytes",
    "bytes",
    "Peak storage memory over executors",
    "/allexecutors: peakMemoryMetrics.{On,Off}HeapStorageMemory",
);
/// Peak execution and storage memory over executors.
pub static EXECUTOR_UNIFIED_PEAK: MetricDescriptor = descriptor(
    Kind::Gauge,
    "spark_executor_unified_peak_bytes",
    "bytes",
    "Peak execution and storage memory over executors",
    "/allexecutors: peakMemoryMetrics.{On,Off}HeapUnifiedMemory",
);
/// Peak direct buffers over executors.
pub static EXECUTOR_DIRECT_PEAK: MetricDescriptor = descriptor(
    Kind::Gauge,
    "spark_executor_direct_peak_bytes",
    "bytes",
    "Peak direct buffers over executors",
    "/allexecutors: peakMemoryMetrics.DirectPoolMemory",
);
/// Peak mapped buffers over executors.
pub static EXECUTOR_MAPPED_PEAK: MetricDescriptor = descriptor(
    Kind::Gauge,
    "spark_executor_mapped_peak_bytes",
    "bytes",
    "Peak mapped buffers over executors",
    "/allexecutors: peakMemoryMetrics.MappedPoolMemory",
);
/// Peak resident memory over executors by process; needs spark.executor.processTreeMetrics.enabled.
pub static EXECUTOR_RSS_PEAK: MetricDescriptor = descriptor(
    Kind::Gauge,
    "spark_executor_rss_peak_bytes",
    "bytes",
    "Peak resident memory over executors by process; needs spark.executor.processTreeMetrics.enabled",
    "/allexecutors: peakMemoryMetrics.ProcessTree{JVM,Python,Other}RSSMemory",
);
/// Peak heap of the driver.
pub static DRIVER_HEAP_PEAK: MetricDescriptor = descriptor(
    Kind::Gauge,
    "spark_driver_heap_peak_bytes",
    "bytes",
    "Peak heap of the driver",
    "/allexecutors: peakMemoryMetrics.JVMHeapMemory of driver",
);
/// Storage memory of what is alive, the driver included.
pub static APP_STORAGE_MEMORY: MetricDescriptor = descriptor(
    Kind::Gauge,
    "spark_app_storage_memory_bytes",
    "bytes",
    "Storage memory of what is alive, the driver included",
    "/allexecutors: memoryMetrics where isActive",
);
/// Spark jobs that run now.
pub static APP_JOBS: MetricDescriptor =
    descriptor(Kind::Gauge, "spark_app_jobs", "", "Spark jobs that run now", "/jobs: status");
/// Spark jobs that ended, by outcome.
pub static APP_JOBS_TOTAL: MetricDescriptor = descriptor(
    Kind::Counter,
    "spark_app_jobs_total",
    "",
    "Spark jobs that ended, by outcome",
    "/jobs: status",
);
/// Time from submission to completion of Spark jobs.
pub static APP_JOB_DURATION: MetricDescriptor = descriptor(
    Kind::Histogram,
    "spark_app_job_duration_seconds",
    "seconds",
    "Time from submission to completion of Spark jobs",
    "/jobs: submissionTime, completionTime",
);

/// Every descriptor of this file.
pub static METRICS: &[&MetricDescriptor] = &[
    &APP_INFO,
    &APP_CORES,
    &APP_EXECUTORS,
    &APP_EXECUTORS_ADDED,
    &APP_EXECUTORS_REMOVED,
    &APP_EXECUTOR_CORE_SECONDS,
    &APP_EXECUTOR_MEMORY_SECONDS,
    &APP_SLOTS,
    &APP_TASKS,
    &APP_TASK_SECONDS,
    &APP_EXECUTOR_GC_SECONDS,
    &APP_EXECUTOR_GC,
    &APP_EXECUTOR_GC_SECONDS_BY_KIND,
    &EXECUTOR_HEAP_PEAK,
    &EXECUTOR_HEAP_PEAK_RATIO,
    &EXECUTOR_OFFHEAP_PEAK,
    &EXECUTOR_EXECUTION_PEAK,
    &EXECUTOR_STORAGE_PEAK,
    &EXECUTOR_UNIFIED_PEAK,
    &EXECUTOR_DIRECT_PEAK,
    &EXECUTOR_MAPPED_PEAK,
    &EXECUTOR_RSS_PEAK,
    &DRIVER_HEAP_PEAK,
    &APP_STORAGE_MEMORY,
    &APP_JOBS,
    &APP_JOBS_TOTAL,
    &APP_JOB_DURATION,
];
