//! Metrics of a Flink cluster: its JobManager and all its TaskManagers.

use crate::model::{Kind, MetricDescriptor};
use crate::scrape::spark::metrics::descriptor;

/// Version of the cluster.
pub static CLUSTER_INFO: MetricDescriptor = descriptor(
    Kind::Info,
    "flink_cluster_info",
    "",
    "Version of the cluster",
    "/overview flink-version",
);
/// Jobs that the JobManager lists, by state; those that ended as long as it keeps them.
pub static JOBS: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_jobs",
    "",
    "Jobs that the JobManager lists, by state; those that ended as long as it keeps them",
    "/jobs/overview state",
);
/// TaskManagers that are registered.
pub static TASKMANAGERS: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_taskmanagers",
    "",
    "TaskManagers that are registered",
    "/overview taskmanagers",
);
/// TaskManagers that get no new tasks.
pub static TASKMANAGERS_BLOCKED: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_taskmanagers_blocked",
    "",
    "TaskManagers that get no new tasks",
    "/overview taskmanagers-blocked",
);
/// Task slots by state.
pub static SLOTS: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_slots",
    "",
    "Task slots by state",
    "/overview slots-total, slots-available",
);
/// Time since the last heartbeat of the TaskManager that is the longest silent.
pub static HEARTBEAT_AGE: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_taskmanager_heartbeat_age_seconds",
    "seconds",
    "Time since the last heartbeat of the TaskManager that is the longest silent",
    "/taskmanagers timeSinceLastHeartbeat, a time in truth",
);
/// Heap of the JobManager: used, and the most that it may have.
pub static JM_HEAP: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_jm_heap_bytes",
    "bytes",
    "Heap of the JobManager: used, and the most that it may have",
    "/jobmanager/metrics Status.JVM.Memory.Heap.Used, Max",
);
/// Used share of the metaspace that the JobManager may have.
pub static JM_METASPACE: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_jm_metaspace_ratio",
    "ratio",
    "Used share of the metaspace that the JobManager may have",
    "/jobmanager/metrics Status.JVM.Memory.Metaspace.Used, Max",
);
/// Share of the time in which the JobManager collects garbage.
pub static JM_GC: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_jm_gc_seconds_per_second",
    "seconds_per_second",
    "Share of the time in which the JobManager collects garbage",
    "/jobmanager/metrics Status.JVM.GarbageCollector.All.TimeMsPerSecond",
);
/// Load of the processors by the JobManager.
pub static JM_CPU_LOAD: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_jm_cpu_load_ratio",
    "ratio",
    "Load of the processors by the JobManager",
    "/jobmanager/metrics Status.JVM.CPU.Load",
);
/// Threads of the JobManager.
pub static JM_THREADS: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_jm_threads",
    "",
    "Threads of the JobManager",
    "/jobmanager/metrics Status.JVM.Threads.Count",
);
/// Classes that the JobManager has loaded.
pub static JM_CLASSES: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_jm_classes_loaded",
    "",
    "Classes that the JobManager has loaded",
    "/jobmanager/metrics Status.JVM.ClassLoader.ClassesLoaded",
);
/// Heap of TaskManagers: used, and the most that they may have.
pub static TM_HEAP: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_tm_heap_bytes",
    "bytes",
    "Heap of TaskManagers: used, and the most that they may have",
    "/taskmanagers/metrics Status.JVM.Memory.Heap.Used, Max",
);
/// Used share of the metaspace that TaskManagers may have.
pub static TM_METASPACE: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_tm_metaspace_ratio",
    "ratio",
    "Used share of the metaspace that TaskManagers may have",
    "/taskmanagers/metrics Status.JVM.Memory.Metaspace.Used, Max",
);
/// Managed memory of TaskManagers: used, and all of it.
pub static TM_MANAGED: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_tm_managed_bytes",
    "bytes",
    "Managed memory of TaskManagers: used, and all of it",
    "/taskmanagers/metrics Status.Flink.Memory.Managed.Used, Total",
);
/// Used share of the network memory of TaskManagers.
pub static TM_NETTY_MEMORY: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_tm_netty_memory_ratio",
    "ratio",
    "Used share of the network memory of TaskManagers",
    "/taskmanagers/metrics Status.Shuffle.Netty.UsedMemory, TotalMemory",
);
/// Share of the time in which TaskManagers collect garbage.
pub static TM_GC: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_tm_gc_seconds_per_second",
    "seconds_per_second",
    "Share of the time in which TaskManagers collect garbage",
    "/taskmanagers/metrics Status.JVM.GarbageCollector.All.TimeMsPerSecond",
);
/// Load of the processors by TaskManagers.
pub static TM_CPU_LOAD: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_tm_cpu_load_ratio",
    "ratio",
    "Load of the processors by TaskManagers",
    "/taskmanagers/metrics Status.JVM.CPU.Load",
);
/// Threads of TaskManagers.
pub static TM_THREADS: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_tm_threads",
    "",
    "Threads of TaskManagers",
    "/taskmanagers/metrics Status.JVM.Threads.Count",
);
/// Classes that TaskManagers have loaded.
pub static TM_CLASSES: MetricDescriptor = descriptor(
    Kind::Gauge,
    "flink_tm_classes_loaded",
    "",
    "Classes that TaskManagers have loaded",
    "/taskmanagers/metrics Status.JVM.ClassLoader.ClassesLoaded",
);

/// Every descriptor of this file.
pub static METRICS: &[&MetricDescriptor] = &[
    &CLUSTER_INFO,
    &JOBS,
    &TASKMANAGERS,
    &TASKMANAGERS_BLOCKED,
    &SLOTS,
    &HEARTBEAT_AGE,
    &JM_HEAP,
    &JM_METASPACE,
    &JM_GC,
    &JM_CPU_LOAD,
    &JM_THREADS,
    &JM_CLASSES,
    &TM_HEAP,
    &TM_METASPACE,
    &TM_MANAGED,
    &TM_NETTY_MEMORY,
    &TM_GC,
    &TM_CPU_LOAD,
    &TM_THREADS,
    &TM_CLASSES,
];
