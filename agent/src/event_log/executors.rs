//! Executors: cores and memory over time, and why they went.

use super::events::{
    ExecutorAdded, ExecutorMetrics, ExecutorRemoved, Properties, Request, ResourceProfileAdded,
    Text,
};
use super::strings::memory_bytes;
use crate::scrape::spark::Removal;
use redaction::{Redactor, Value};
use std::collections::BTreeMap;

/// Executors at a time; more are counted, but not measured.
const LIVE_MAX: usize = 20_000;
const PROFILES_MAX: usize = 256;
/// The name under which the driver stands in the list, in local mode as the one executor.
const DRIVER: &str = "driver";
const MEBIBYTE: u64 = 1 << 20;
/// What resource managers add to the heap when nothing is said.
const OVERHEAD_MIN_BYTES: u64 = 384 * MEBIBYTE;
const GIBIBYTE: u64 = 1 << 30;

/// All executors of a run.
#[derive(Debug, Default, PartialEq)]
pub struct Executors {
    live: BTreeMap<Value, Executor>,
    profiles: BTreeMap<u32, Profile>,
    setup: Setup,
    /// Executors that came.
    pub n_added: u64,
    /// Executors that went, by why.
    pub removed: BTreeMap<&'static str, u64>,
    /// Most cores at a time.
    pub cores_max: u64,
    cores: u64,
    core_ms: u64,
    /// MiB times milliseconds: in bytes it would overflow within a day of a large cluster.
    mebibyte_ms: u64,
    /// Largest heap in use of one executor, if the log tells.
    pub peak_heap_bytes: Option<u64>,
    /// Largest resident memory of one executor with its Python workers, if the log tells.
    pub peak_resident_bytes: Option<u64>,
    n_unmeasured: u64,
}

#[derive(Debug, Default, PartialEq)]
struct Setup {
    executor_heap_bytes: Option<u64>,
    driver_heap_bytes: Option<u64>,
    overhead_bytes: Option<u64>,
    /// YARN and Kubernetes reserve more than the heap.
    has_containers: bool,
    is_local: bool,
}

#[derive(Debug, PartialEq)]
struct Executor {
    cores: u64,
    profile: u32,
    added_ms: u64,
}

#[derive(Debug, PartialEq)]
struct Profile {
    heap_bytes: Option<u64>,
    overhead_bytes: Option<u64>,
    other_bytes: u64,
}

impl Executors {
    pub(super) fn configure(&mut self, properties: &Properties<'_>) {
        let master = properties.master.as_deref().unwrap_or("");
        let size = |text: &Option<Text<'_>>| text.as_deref().and_then(memory_bytes);
        self.setup = Setup {
            executor_heap_bytes: size(&properties.executor_memory),
            driver_heap_bytes: size(&properties.driver_memory),
            overhead_bytes: size(&properties.executor_memory_overhead),
            has_containers: master.starts_with("yarn") || master.starts_with("k8s"),
            is_local: master == "local" || master.starts_with("local["),
        };
    }

    pub(super) fn profile_added(&mut self, event: &ResourceProfileAdded) {
        let requests = &event.executor;
        let bytes = |request: &Option<Request>| {
            request.as_ref().map(|it| it.amount.0.saturating_mul(MEBIBYTE))
        };
        let profile = Profile {
            heap_bytes: bytes(&requests.memory),
            overhead_bytes: bytes(&requests.memory_overhead),
            other_bytes: bytes(&requests.off_heap)
                .unwrap_or(0)
                .saturating_add(bytes(&requests.python_memory).unwrap_or(0)),
        };
        if self.profiles.len() < PROFILES_MAX {
            self.profiles.insert(event.id, profile);
        }
    }

    /// Memory that is reserved for one executor. Known late: a log tells of executors and profiles
    /// before it tells of properties.
    fn memory_bytes(&self, executor: &Executor) -> u64 {
        let profile = self.profiles.get(&executor.profile).filter(|_| !self.setup.is_local);
        let heap = profile.and_then(|it| it.heap_bytes).unwrap_or_else(|| self.heap_bytes_max());
        let overhead = profile.and_then(|it| it.overhead_bytes);
        let overhead = overhead.unwrap_or_else(|| self.overhead_bytes(heap));
        let other = profile.map_or(0, |it| it.other_bytes);
        heap.saturating_add(overhead).saturating_add(other)
    }

    fn overhead_bytes(&self, heap: u64) -> u64 {
        match (self.setup.has_containers, self.setup.overhead_bytes) {
            (false, _) => 0,
            (true, Some(bytes)) => bytes,
            (true, None) => (heap / 10).max(OVERHEAD_MIN_BYTES),
        }
    }

    /// Heap that one executor may use.
    #[must_use]
    pub fn heap_bytes_max(&self) -> u64 {
        let setup = &self.setup;
        let heap = if setup.is_local { setup.driver_heap_bytes } else { setup.executor_heap_bytes };
        heap.unwrap_or(GIBIBYTE)
    }

    /// True when driver and executor are one process.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.setup.is_local
    }

    pub(super) fn added(&mut self, event: &ExecutorAdded<'_>, redactor: &Redactor) {
        self.n_added += 1;
        if self.live.len() >= LIVE_MAX {
            self.n_unmeasured += 1;
            return;
        }
        let (cores, profile) = (event.info.cores.0, event.info.profile);
        let executor = Executor { cores, profile, added_ms: event.time.0 };
        if let Some(former) = self.live.insert(redactor.value(&event.id), executor) {
            self.settle(&former, event.time.0);
        }
        self.cores = self.cores.saturating_add(cores);
        self.cores_max = self.cores_max.max(self.cores);
    }

    pub(super) fn removed(&mut self, event: &ExecutorRemoved<'_>, redactor: &Redactor) {
        let removal = Removal::classify(event.reason.as_deref().unwrap_or(""));
        *self.removed.entry(removal.as_str()).or_default() += 1;
        if let Some(executor) = self.live.remove(&redactor.value(&event.id)) {
            self.settle(&executor, event.time.0);
        }
    }

    /// Peaks that Spark reports of `executor`.
    pub(super) fn measured(&mut self, executor: &str, metrics: &ExecutorMetrics) {
        if executor == DRIVER && !self.setup.is_local {
            return;
        }
        let resident = [metrics.python_resident.0, metrics.other_resident.0]
            .into_iter()
            .fold(metrics.jvm_resident.0, u64::saturating_add);
        // Spark says 0 or less when it did not measure.
        let raise = |peak: &mut Option<u64>, bytes: u64| {
            if bytes > 0 {
                *peak = Some(peak.unwrap_or(0).max(bytes));
            }
        };
        raise(&mut self.peak_heap_bytes, metrics.heap.0);
        raise(&mut self.peak_resident_bytes, resident);
    }

    /// Seconds of cores that were there until `now_ms`.
    #[must_use]
    pub fn core_seconds(&self, now_ms: u64) -> f64 {
        self.core_ms(now_ms) as f64 / 1e3
    }

    /// As [`core_seconds`](Self::core_seconds), in milliseconds.
    #[must_use]
    pub fn core_ms(&self, now_ms: u64) -> u64 {
        let live = self.live.values().map(|it| lifetime(it, now_ms).saturating_mul(it.cores));
        live.fold(self.core_ms, u64::saturating_add)
    }

    /// Byte-seconds of memory that were reserved until `now_ms`.
    #[must_use]
    pub fn memory_byte_seconds(&self, now_ms: u64) -> f64 {
        self.reserved_mebibyte_ms(now_ms) as f64 / 1e3 * MEBIBYTE as f64
    }

    /// As [`memory_byte_seconds`](Self::memory_byte_seconds), in MiB times milliseconds.
    #[must_use]
    pub fn reserved_mebibyte_ms(&self, now_ms: u64) -> u64 {
        let live = self.live.values().map(|it| self.mebibyte_ms(it, now_ms));
        live.fold(self.mebibyte_ms, u64::saturating_add)
    }

    /// Cores of the executors that are there.
    #[must_use]
    pub fn cores(&self) -> u64 {
        self.cores
    }

    /// Executors that are there.
    #[must_use]
    pub fn n_live(&self) -> u64 {
        self.live.len() as u64
    }

    /// Executors whose cores and memory were not counted, for the limit.
    #[must_use]
    pub fn n_unmeasured(&self) -> u64 {
        self.n_unmeasured
    }

    fn settle(&mut self, executor: &Executor, end_ms: u64) {
        let ms = lifetime(executor, end_ms);
        self.core_ms = self.core_ms.saturating_add(ms.saturating_mul(executor.cores));
        self.cores = self.cores.saturating_sub(executor.cores);
        self.mebibyte_ms = self.mebibyte_ms.saturating_add(self.mebibyte_ms(executor, end_ms));
    }

    fn mebibyte_ms(&self, executor: &Executor, end_ms: u64) -> u64 {
        let mebibytes = self.memory_bytes(executor) / MEBIBYTE;
        lifetime(executor, end_ms).saturating_mul(mebibytes)
    }
}

fn lifetime(executor: &Executor, end_ms: u64) -> u64 {
    end_ms.saturating_sub(executor.added_ms)
}
