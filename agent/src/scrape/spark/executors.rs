//! The executors of one application, summed: no series carries an executor id.

use super::ledger::Ledger;
use super::metrics::application::{
    APP_CORES, APP_EXECUTOR_CORE_SECONDS, APP_EXECUTOR_GC, APP_EXECUTOR_GC_SECONDS,
    APP_EXECUTOR_GC_SECONDS_BY_KIND, APP_EXECUTOR_MEMORY_SECONDS, APP_EXECUTORS,
    APP_EXECUTORS_ADDED, APP_EXECUTORS_REMOVED, APP_SLOTS, APP_STORAGE_MEMORY, APP_TASK_SECONDS,
    DRIVER_HEAP_PEAK,
};
use super::metrics::{Counter, MILLISECONDS, PLAIN, push_values, values};
use super::peaks::push_peaks;
use super::rest::{Executor, MemoryMetrics, Number, PeakMemory, sum};
use crate::event_log::Run;
use crate::model::{MetricDescriptor, Sample};
use crate::scrape::meter::{Cut, Meter};
use redaction::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Executors that are listed at the same time, dead ones that Spark keeps (100) included.
const OPEN_MAX: usize = 16_384;
/// Milliseconds times MiB in one byte-second.
const MEBIBYTE_MILLISECONDS: f64 = MILLISECONDS / (1_u64 << 20) as f64;
/// Id of the driver in the list of executors.
const DRIVER: &str = "driver";
/// Key of the driver in the ledger; executors are numbered from 0.
const DRIVER_KEY: u64 = u64::MAX;

/// One executor with what follows from its fields.
struct Seen {
    executor: Executor,
    lifetime_ms: Option<u64>,
    memory_mib: Option<u64>,
    removal: Option<Removal>,
}

/// Why an executor was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Removal {
    Idle,
    Lost,
    OutOfMemory,
    Preempted,
    Decommission,
    Heartbeat,
    Other,
}

impl Removal {
    /// Value of the label `reason`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Lost => "lost",
            Self::OutOfMemory => "oom",
            Self::Preempted => "preempted",
            Self::Decommission => "decommission",
            Self::Heartbeat => "heartbeat",
            Self::Other => "other",
        }
    }

    /// Reads the reason that Spark gives as free text; only the class leaves this function.
    pub(crate) fn classify(reason: &str) -> Self {
        let reason = reason.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| reason.contains(word));
        if says(&["decommission"]) {
            Self::Decommission
        } else if says(&["preempt"]) {
            Self::Preempted
        } else if says(&["heartbeat"]) {
            Self::Heartbeat
        } else if says(&["oomkilled", "out of memory", "outofmemory", "memory limit", "code 52"]) {
            // 52 is SparkExitCode.OOM. 137 is any SIGKILL, so it stays with the lost ones.
            Self::OutOfMemory
        } else if says(&["idle", "killed by driver"]) {
            // Dynamic allocation kills what it does not need in the name of the driver.
            Self::Idle
        } else if says(&["lost", "disassociated", "exited", "exit code", "exit status"]) {
            Self::Lost
        } else {
            Self::Other
        }
    }
}

fn removed(seen: &Seen, removal: Removal) -> Option<u64> {
    Some(u64::from(seen.removal == Some(removal)))
}

fn peak(seen: &Seen, read: fn(&PeakMemory) -> Number) -> Option<u64> {
    read(seen.executor.peak_memory_metrics.as_ref()?).0
}

/// Number of counters of executors.
const COUNT: usize = 18;

static COUNTERS: [Counter<Seen>; COUNT] = [
    Counter::new(&APP_EXECUTORS_ADDED, PLAIN, |_| Some(1)),
    Counter::labelled(&APP_EXECUTORS_REMOVED, "reason", Removal::Idle.as_str(), PLAIN, |s| {
        removed(s, Removal::Idle)
    }),
    Counter::labelled(&APP_EXECUTORS_REMOVED, "reason", Removal::Lost.as_str(), PLAIN, |s| {
        removed(s, Removal::Lost)
    }),
    Counter::labelled(
        &APP_EXECUTORS_REMOVED,
        "reason",
        Removal::OutOfMemory.as_str(),
        PLAIN,
        |s| removed(s, Removal::OutOfMemory),
    ),
    Counter::labelled(&APP_EXECUTORS_REMOVED, "reason", Removal::Preempted.as_str(), PLAIN, |s| {
        removed(s, Removal::Preempted)
    }),
    Counter::labelled(
        &APP_EXECUTORS_REMOVED,
        "reason",
        Removal::Decommission.as_str(),
        PLAIN,
        |s| removed(s, Removal::Decommission),
    ),
    Counter::labelled(&APP_EXECUTORS_REMOVED, "reason", Removal::Heartbeat.as_str(), PLAIN, |s| {
        removed(s, Removal::Heartbeat)
    }),
    Counter::labelled(&APP_EXECUTORS_REMOVED, "reason", Removal::Other.as_str(), PLAIN, |s| {
        removed(s, Removal::Other)
    }),
    Counter::new(&APP_EXECUTOR_CORE_SECONDS, MILLISECONDS, |s| {
        s.lifetime_ms?.checked_mul(s.executor.total_cores.0?)
    }),
    Counter::new(&APP_EXECUTOR_MEMORY_SECONDS, MEBIBYTE_MILLISECONDS, |s| {
        s.lifetime_ms?.checked_mul(s.memory_mib?)
    }),
    // The driver's totalDuration is its age (it is the duration of the application in local mode).
    Counter::new(&APP_TASK_SECONDS, MILLISECONDS, |s| {
        s.executor.total_duration.0.filter(|_| s.executor.id != DRIVER)
    }),
    Counter::new(&APP_EXECUTOR_GC_SECONDS, MILLISECONDS, |s| s.executor.total_gc_time.0),
    Counter::labelled(&APP_EXECUTOR_GC, "gc", "minor", PLAIN, |s| peak(s, |p| p.minor_gc_count)),
    Counter::labelled(&APP_EXECUTOR_GC, "gc", "major", PLAIN, |s| peak(s, |p| p.major_gc_count)),
    Counter::labelled(&APP_EXECUTOR_GC, "gc", "concurrent", PLAIN, |s| {
        peak(s, |p| p.concurrent_gc_count)
    }),
    Counter::labelled(&APP_EXECUTOR_GC_SECONDS_BY_KIND, "gc", "minor", MILLISECONDS, |s| {
        peak(s, |p| p.minor_gc_time)
    }),
    Counter::labelled(&APP_EXECUTOR_GC_SECONDS_BY_KIND, "gc", "major", MILLISECONDS, |s| {
        peak(s, |p| p.major_gc_time)
    }),
    Counter::labelled(&APP_EXECUTOR_GC_SECONDS_BY_KIND, "gc", "concurrent", MILLISECONDS, |s| {
        peak(s, |p| p.concurrent_gc_time)
    }),
];

/// Executors of one application.
#[derive(Debug)]
pub(super) struct Executors {
    ledger: Ledger<COUNT>,
    /// What the event log says last of all executors. It may know some that REST never listed, and REST
    /// what is not written yet: of both, the larger number is the truer one.
    log: Option<LogTotals>,
    /// MiB of an executor, by resource profile.
    memory_mib: BTreeMap<u64, u64>,
    /// `spark.executor.memory` in bytes, the maximum heap.
    heap_max_bytes: Option<u64>,
    /// What the last answer said of the present.
    gauges: Vec<Sample>,
}

impl Executors {
    /// No executors yet.
    pub(super) fn new(memory_mib: BTreeMap<u64, u64>, heap_max_bytes: Option<u64>) -> Self {
        let ledger = Ledger::new(OPEN_MAX);
        Self { ledger, log: None, memory_mib, heap_max_bytes, gauges: Vec::new() }
    }

    /// Takes what REST says of all executors, dead ones included, at `unix_ms`.
    pub(super) fn record(&mut self, executors: Vec<Executor>, unix_ms: u64, meter: &mut Meter) {
        self.gauges.clear();
        push_storage(&executors, &mut self.gauges);
        if let Some(driver) = executors.iter().find(|executor| executor.id == DRIVER) {
            let heap = driver.peak_memory_metrics.as_ref().and_then(|peaks| peaks.heap.0);
            push_number(&DRIVER_HEAP_PEAK, None, heap, &mut self.gauges);
        }
        // In local mode the driver is the one executor; in all others it has no cores.
        let workers: Vec<Executor> = executors
            .into_iter()
            .filter(|executor| executor.id != DRIVER || executor.total_cores.0.unwrap_or(0) > 0)
            .collect();
        push_states(&workers, &mut self.gauges);
        push_peaks(&workers, self.heap_max_bytes, &mut self.gauges);
        let mut listed = BTreeSet::new();
        for executor in workers {
            let Some(key) = key(&executor.id) else {
                meter.cut(Cut::Entry, 1);
                continue;
            };
            listed.insert(key);
            let end = executor.remove_time.0.unwrap_or(unix_ms);
            let profile = executor.resource_profile_id.0;
            let seen = Seen {
                lifetime_ms: executor.add_time.0.map(|start| end.saturating_sub(start)),
                memory_mib: profile.and_then(|id| self.memory_mib.get(&id)).copied(),
                removal: executor.remove_reason.as_deref().map(Removal::classify),
                executor,
            };
            if !self.ledger.record(key, values(&COUNTERS, &seen)) {
                meter.cut(Cut::Entry, 1);
            }
        }
        // Spark keeps the last 100 dead executors; what it forgets cannot change any more.
        let forgotten: Vec<u64> =
            self.ledger.open_keys().filter(|key| !listed.contains(key)).collect();
        for key in forgotten {
            self.ledger.close(key);
        }
    }

    /// Takes what an event log says. While REST does not answer, `is_alone`, it is all that is known.
    pub(super) fn record_log(&mut self, totals: LogTotals, is_alone: bool) {
        if is_alone {
            self.gauges.clear();
            push_number(&APP_CORES, None, Some(totals.cores), &mut self.gauges);
            let state = Some(("state", "active"));
            push_number(&APP_EXECUTORS, state, Some(totals.n_live), &mut self.gauges);
        }
        self.log = Some(totals);
    }

    /// Adds the samples.
    pub(super) fn push(&self, samples: &mut Vec<Sample>) {
        let log = |index: usize| self.log.as_ref().and_then(|log| log.counters[index]);
        let totals = std::array::from_fn(|index| self.ledger.total(index).max(log(index)));
        push_values(&COUNTERS, &totals, samples);
        samples.extend(self.gauges.iter().cloned());
    }
}

/// What an event log says of all executors.
#[derive(Debug)]
pub(super) struct LogTotals {
    /// In the order of [`COUNTERS`].
    counters: [Option<u64>; COUNT],
    cores: u64,
    n_live: u64,
}

/// Reads them off `run`.
pub(super) fn log_totals(run: &Run) -> LogTotals {
    let (executors, totals, until) = (&run.executors, &run.totals, run.until_ms());
    let total = |counter: &Counter<Seen>| {
        let name = counter.descriptor.name;
        Some(if name == APP_EXECUTORS_ADDED.name {
            executors.n_added
        } else if name == APP_EXECUTORS_REMOVED.name {
            executors.removed.get(counter.label?.1).copied().unwrap_or(0)
        } else if name == APP_EXECUTOR_CORE_SECONDS.name {
            executors.core_ms(until)
        } else if name == APP_EXECUTOR_MEMORY_SECONDS.name {
            executors.reserved_mebibyte_ms(until)
        } else if name == APP_TASK_SECONDS.name && !executors.is_local() {
            totals.duration_ms
        } else if name == APP_EXECUTOR_GC_SECONDS.name {
            totals.gc_ms
        } else {
            return None;
        })
    };
    let counters = std::array::from_fn(|index| total(&COUNTERS[index]));
    LogTotals { counters, cores: executors.cores(), n_live: executors.n_live() }
}

fn key(id: &str) -> Option<u64> {
    if id == DRIVER { Some(DRIVER_KEY) } else { id.parse().ok() }
}

fn push_number(
    descriptor: &'static MetricDescriptor,
    label: Option<(&'static str, &'static str)>,
    value: Option<u64>,
    samples: &mut Vec<Sample>,
) {
    let Some(value) = value else { return };
    let labels = label.map(|(name, value)| (name, Value::literal(value)));
    samples.push(Sample::number(descriptor, labels.into_iter().collect(), value as f64));
}

fn push_states(workers: &[Executor], samples: &mut Vec<Sample>) {
    let alive = || workers.iter().filter(|worker| worker.is_active);
    let cores = sum(alive().map(|worker| worker.total_cores.0));
    push_number(&APP_CORES, None, cores, samples);
    let excluded = alive().filter(|worker| worker.is_excluded).count();
    for (state, count) in [
        ("active", alive().count() - excluded),
        ("excluded", excluded),
        ("dead", workers.len() - alive().count()),
    ] {
        push_number(&APP_EXECUTORS, Some(("state", state)), Some(count as u64), samples);
    }
    let busy = sum(alive().map(|worker| worker.active_tasks.0));
    let slots = sum(alive().map(|worker| worker.max_tasks.0));
    // Spark counts a task as active until its result is read, when its slot is taken already.
    let idle = slots.zip(busy).map(|(slots, busy)| slots.saturating_sub(busy));
    push_number(&APP_SLOTS, Some(("state", "busy")), busy, samples);
    push_number(&APP_SLOTS, Some(("state", "idle")), idle, samples);
}

fn push_storage(executors: &[Executor], samples: &mut Vec<Sample>) {
    let alive = || executors.iter().filter(|executor| executor.is_active);
    let total = |read: fn(&MemoryMetrics) -> Number| -> Option<u64> {
        let known: Vec<&MemoryMetrics> =
            alive().filter_map(|executor| executor.memory_metrics.as_ref()).collect();
        known.first()?;
        sum(known.into_iter().map(|memory| read(memory).0))
    };
    for (location, used, total) in [
        (
            "heap",
            total(|memory| memory.used_on_heap_storage_memory),
            total(|memory| memory.total_on_heap_storage_memory),
        ),
        (
            "offheap",
            total(|memory| memory.used_off_heap_storage_memory),
            total(|memory| memory.total_off_heap_storage_memory),
        ),
    ] {
        let free = total.zip(used).map(|(total, used)| total.saturating_sub(used));
        for (state, bytes) in [("used", used), ("free", free)] {
            let Some(bytes) = bytes else { continue };
            let labels =
                vec![("location", Value::literal(location)), ("state", Value::literal(state))];
            samples.push(Sample::number(&APP_STORAGE_MEMORY, labels, bytes as f64));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Executors, Removal};
    use crate::model::{Sample, SampleValue};
    use crate::scrape::meter::Meter;
    use crate::scrape::spark::rest::Executor;
    use std::collections::BTreeMap;
    use std::time::Duration;

    fn record(executors: &mut Executors, json: serde_json::Value, unix_ms: u64) -> Vec<Sample> {
        let answer: Vec<Executor> = serde_json::from_value(json).unwrap();
        executors.record(answer, unix_ms, &mut Meter::new(Duration::ZERO));
        let mut samples = Vec::new();
        executors.push(&mut samples);
        samples
    }

    fn value(samples: &[Sample], name: &str, label: &str) -> Option<f64> {
        let wanted = |sample: &&Sample| {
            sample.descriptor.name == name
                && (label.is_empty() || sample.labels.iter().any(|(_, value)| &**value == label))
        };
        samples.iter().find(wanted).map(|sample| match sample.value {
            SampleValue::Number(number) => number,
            SampleValue::Histogram(_) => panic!("{name} is a histogram"),
        })
    }

    fn executor(id: &str, gc: u64, is_active: bool) -> serde_json::Value {
        serde_json::json!({"id": id, "isActive": is_active, "totalCores": 2, "maxTasks": 2,
            "activeTasks": 1, "totalDuration": 1_000, "totalGCTime": gc, "resourceProfileId": 0,
            "addTime": "1970-01-01T00:00:10.000GMT"})
    }

    #[test]
    fn a_dead_executor_stays_counted_when_spark_forgets_it() {
        let mut executors = Executors::new(BTreeMap::new(), None);
        let both = serde_json::json!([executor("1", 700, true), executor("2", 300, true)]);
        record(&mut executors, both, 20_000);
        let one = serde_json::json!([executor("2", 500, true)]);
        let samples = record(&mut executors, one.clone(), 20_000);
        assert_eq!(value(&samples, "spark_app_executor_gc_seconds_total", ""), Some(1.2));
        assert_eq!(value(&samples, "spark_app_executors_added_total", ""), Some(2.0));
        assert_eq!(value(&samples, "spark_app_executors", "active"), Some(1.0));
        let samples = record(&mut executors, one, 20_000);
        assert_eq!(value(&samples, "spark_app_executor_gc_seconds_total", ""), Some(1.2));
    }

    #[test]
    fn cores_and_memory_are_paid_from_start_to_removal() {
        let mut executors = Executors::new(BTreeMap::from([(0, 1_024)]), None);
        let mut dead = executor("2", 0, false);
        dead["removeTime"] = "1970-01-01T00:00:13.000GMT".into();
        dead["removeReason"] = "Command exited with code 137".into();
        let samples =
            record(&mut executors, serde_json::json!([executor("1", 0, true), dead]), 20_000);
        // 10 s and 3 s, of two cores and 1 GiB each.
        assert_eq!(value(&samples, "spark_app_executor_core_seconds_total", ""), Some(26.0));
        let memory = value(&samples, "spark_app_executor_memory_byte_seconds_total", "");
        assert_eq!(memory, Some(13.0 * (1_u64 << 30) as f64));
        assert_eq!(value(&samples, "spark_app_executors_removed_total", "lost"), Some(1.0));
        assert_eq!(value(&samples, "spark_app_executors_removed_total", "oom"), Some(0.0));
        assert_eq!(value(&samples, "spark_app_slots", "idle"), Some(1.0));
    }

    #[test]
    fn the_driver_is_an_executor_only_in_local_mode_and_its_age_is_no_task_time() {
        let mut cluster = Executors::new(BTreeMap::new(), None);
        let mut driver = executor("driver", 900, true);
        let samples = record(&mut cluster, serde_json::json!([driver.clone()]), 20_000);
        assert_eq!(value(&samples, "spark_app_executors_added_total", ""), Some(1.0));
        assert_eq!(value(&samples, "spark_app_task_seconds_total", ""), None);
        driver["totalCores"] = 0.into();
        let mut local = Executors::new(BTreeMap::new(), None);
        let samples = record(&mut local, serde_json::json!([driver]), 20_000);
        assert_eq!(value(&samples, "spark_app_executors_added_total", ""), None);
        assert_eq!(value(&samples, "spark_app_cores_granted", ""), Some(0.0));
    }

    #[test]
    fn reasons_fall_into_their_class() {
        for (reason, class) in [
            ("Command exited with code 137", Removal::Lost),
            ("Executor heartbeat timed out after 128713 ms", Removal::Heartbeat),
            (
                "Container killed by YARN for exceeding physical memory limits.",
                Removal::OutOfMemory,
            ),
            ("Executor killed by driver.", Removal::Idle),
            ("worker decommissioned because of kill", Removal::Decommission),
            ("Container x was preempted.", Removal::Preempted),
            ("", Removal::Other),
        ] {
            assert_eq!(Removal::classify(reason), class, "{reason}");
        }
    }
}
