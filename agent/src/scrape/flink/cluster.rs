//! One cluster: its JobManager, its TaskManagers, and how often it renews what it knows.

use super::metrics::cluster::{
    CLUSTER_INFO, HEARTBEAT_AGE, JM_CLASSES, JM_CPU_LOAD, JM_GC, JM_HEAP, JM_METASPACE, JM_THREADS,
    JOBS, SLOTS, TASKMANAGERS, TASKMANAGERS_BLOCKED, TM_CLASSES, TM_CPU_LOAD, TM_GC, TM_HEAP,
    TM_MANAGED, TM_METASPACE, TM_NETTY_MEMORY, TM_THREADS,
};
use super::metrics::{push, share};
use super::query::{Round, paths};
use super::rest::{
    Aggregate, JobState, JobsOverview, List, Metric, Overview, Real, Setting, TaskManagers,
};
use crate::model::{Engine, MetricBatch, MetricDescriptor, Resource, Sample};
use crate::scrape::http::HttpError;
use crate::scrape::spark::bounded;
use crate::scrape::spark::metrics::MILLISECONDS;
use redaction::{Redactor, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often a JobManager renews the metrics that it knows, unless it is told otherwise.
const FETCH_INTERVAL: Duration = Duration::from_secs(10);

const HEAP: [&str; 2] = ["Status.JVM.Memory.Heap.Used", "Status.JVM.Memory.Heap.Max"];
const METASPACE: [&str; 2] =
    ["Status.JVM.Memory.Metaspace.Used", "Status.JVM.Memory.Metaspace.Max"];
const MANAGED: [&str; 2] =
    ["Status.Flink.Memory.Managed.Used", "Status.Flink.Memory.Managed.Total"];
const NETTY: [&str; 2] = ["Status.Shuffle.Netty.UsedMemory", "Status.Shuffle.Netty.TotalMemory"];
const GC: &str = "Status.JVM.GarbageCollector.All.TimeMsPerSecond";
const CPU_LOAD: &str = "Status.JVM.CPU.Load";
const THREADS: &str = "Status.JVM.Threads.Count";
const CLASSES: &str = "Status.JVM.ClassLoader.ClassesLoaded";
/// What is asked of every JVM.
const OF_JVM: [&str; 8] =
    [HEAP[0], HEAP[1], METASPACE[0], METASPACE[1], GC, CPU_LOAD, THREADS, CLASSES];
/// What is asked of TaskManagers besides.
const OF_TASKMANAGER: [&str; 4] = [MANAGED[0], MANAGED[1], NETTY[0], NETTY[1]];

/// One JobManager and what it said last.
#[derive(Debug)]
pub(super) struct Cluster {
    /// Version of Flink; none until it answered.
    pub(super) version: Option<Value>,
    /// Never ask for metrics more often than this.
    pub(super) fetch_interval: Option<Duration>,
    labels: Vec<(&'static str, Value)>,
    resource: Arc<Resource>,
    since_unix_ms: u64,
    samples: Vec<Sample>,
}

impl Cluster {
    /// The cluster behind the URL number `index`.
    pub(super) fn new(index: u64, unix_ms: u64) -> Self {
        let engine = Engine::Flink;
        Self {
            version: None,
            fetch_interval: None,
            labels: vec![
                ("engine", Value::literal(engine.as_str())),
                ("cluster", Value::number(index)),
            ],
            resource: Arc::new(Resource { engine: Some(engine), ..Resource::default() }),
            since_unix_ms: unix_ms,
            samples: Vec::new(),
        }
    }

    /// Reads everything that is not about one job, and returns the jobs.
    pub(super) async fn read(
        &mut self,
        round: &mut Round<'_>,
        redactor: &Redactor,
        unix_ms: u64,
    ) -> Result<JobsOverview, HttpError> {
        let overview: Overview = round.need("/overview").await?;
        let jobs: JobsOverview = round.need("/jobs/overview").await?;
        let version = bounded(&overview.flink_version, redactor);
        if self.version.as_ref() != Some(&version) {
            // Another JobManager, perhaps with another configuration.
            self.fetch_interval = None;
        }
        self.version = Some(version.clone());
        if self.fetch_interval.is_none() {
            let settings = round.part::<List<Setting>>("/jobmanager/config").await?;
            self.fetch_interval = Some(fetch_interval(&settings.unwrap_or_default()));
        }
        let mut samples = Vec::new();
        samples.push(Sample::number(&CLUSTER_INFO, vec![("flink_version", version)], 1.0));
        push_overview(&overview, &jobs, &mut samples);
        if let Some(managers) = round.part::<TaskManagers>("/taskmanagers").await? {
            push_heartbeat(&managers, unix_ms, &mut samples);
        }
        for path in paths("/jobmanager/metrics", OF_JVM.into_iter()) {
            let metrics: Option<List<Metric>> = round.part(&path).await?;
            push_jobmanager(&metrics.unwrap_or_default(), &mut samples);
        }
        for path in paths("/taskmanagers/metrics", OF_JVM.into_iter().chain(OF_TASKMANAGER)) {
            let metrics: Option<List<Aggregate>> = round.part(&path).await?;
            push_taskmanagers(&metrics.unwrap_or_default(), &mut samples);
        }
        self.samples = samples;
        Ok(jobs)
    }

    /// What it said last.
    pub(super) fn batch(&self, unix_ms: u64) -> MetricBatch {
        MetricBatch { samples: self.samples.clone(), ..self.empty_batch(unix_ms) }
    }

    /// A batch without samples, which takes the series of this cluster away.
    pub(super) fn empty_batch(&self, unix_ms: u64) -> MetricBatch {
        MetricBatch {
            resource: self.resource.clone(),
            labels: self.labels.clone(),
            created_unix_ms: self.since_unix_ms,
            time_unix_ms: unix_ms,
            samples: Vec::new(),
        }
    }
}

/// `metrics.fetcher.update-interval`: milliseconds, or a number with a unit.
fn fetch_interval(settings: &[Setting]) -> Duration {
    let is_it = |setting: &&Setting| setting.key == "metrics.fetcher.update-interval";
    let text = settings.iter().find(is_it).and_then(|setting| setting.value.as_deref());
    text.and_then(flink_duration).filter(|interval| !interval.is_zero()).unwrap_or(FETCH_INTERVAL)
}

/// A duration as Flink reads them, as far as a person would write one here.
fn flink_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let (digits, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = digits.parse().ok()?;
    let milliseconds = match unit.trim() {
        "" | "ms" | "milli" | "millis" => 1,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000,
        "m" | "min" | "minute" | "minutes" => 60_000,
        "h" | "hour" | "hours" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.saturating_mul(milliseconds)))
}

fn push_overview(overview: &Overview, jobs: &JobsOverview, samples: &mut Vec<Sample>) {
    let number = |number: Option<u64>| number.map(|number| number as f64);
    push(&TASKMANAGERS, &[], number(overview.taskmanagers.0), samples);
    push(&TASKMANAGERS_BLOCKED, &[], number(overview.taskmanagers_blocked.0), samples);
    let free = overview.slots_available.0;
    let used = overview.slots_total.0.zip(free).map(|(total, free)| total.saturating_sub(free));
    push(&SLOTS, &[("state", "free")], number(free), samples);
    push(&SLOTS, &[("state", "used")], number(used), samples);
    for state in JobState::ALL {
        let count = jobs.jobs.iter().filter(|job| job.state == state).count();
        push(&JOBS, &[("state", state.as_str())], Some(count as f64), samples);
    }
}

fn push_heartbeat(managers: &TaskManagers, unix_ms: u64, samples: &mut Vec<Sample>) {
    let ages = managers
        .taskmanagers
        .iter()
        .filter_map(|manager| Some(unix_ms.saturating_sub(manager.time_since_last_heartbeat.0?)));
    let age = ages.max().map(|age| age as f64 / MILLISECONDS);
    push(&HEARTBEAT_AGE, &[("stat", "max")], age, samples);
}

fn push_jobmanager(metrics: &[Metric], samples: &mut Vec<Sample>) {
    let by_id: BTreeMap<&str, Real> =
        metrics.iter().map(|metric| (metric.id.as_str(), metric.value)).collect();
    let value = |id: &str| by_id.get(id).and_then(|value| value.known());
    push(&JM_HEAP, &[("kind", "used")], value(HEAP[0]), samples);
    push(&JM_HEAP, &[("kind", "limit")], value(HEAP[1]), samples);
    push(&JM_METASPACE, &[], share(value(METASPACE[0]), value(METASPACE[1])), samples);
    push(&JM_GC, &[], value(GC).map(|ms| ms / MILLISECONDS), samples);
    push(&JM_CPU_LOAD, &[], value(CPU_LOAD), samples);
    push(&JM_THREADS, &[], value(THREADS), samples);
    push(&JM_CLASSES, &[], value(CLASSES), samples);
}

/// One statistic over all TaskManagers.
type Statistic = (&'static str, fn(&Aggregate) -> Real);

const STATISTICS: [Statistic; 3] = [
    ("avg", |aggregate| aggregate.avg),
    ("max", |aggregate| aggregate.max),
    ("sum", |aggregate| aggregate.sum),
];

fn push_taskmanagers(metrics: &[Aggregate], samples: &mut Vec<Sample>) {
    let by_id: BTreeMap<&str, &Aggregate> =
        metrics.iter().map(|metric| (metric.id.as_str(), metric)).collect();
    for (stat, read) in STATISTICS {
        let value = |id: &str| by_id.get(id).and_then(|metric| read(metric).known());
        for (descriptor, ids) in [(&TM_HEAP, HEAP), (&TM_MANAGED, MANAGED)] {
            for (kind, id) in ["used", "limit"].into_iter().zip(ids) {
                push(descriptor, &[("kind", kind), ("stat", stat)], value(id), samples);
            }
        }
        if stat == "sum" {
            continue;
        }
        // All TaskManagers of a cluster have the same limits as a rule.
        let plain: [(&'static MetricDescriptor, Option<f64>); 6] = [
            (&TM_METASPACE, share(value(METASPACE[0]), value(METASPACE[1]))),
            (&TM_NETTY_MEMORY, share(value(NETTY[0]), value(NETTY[1]))),
            (&TM_GC, value(GC).map(|ms| ms / MILLISECONDS)),
            (&TM_CPU_LOAD, value(CPU_LOAD)),
            (&TM_THREADS, value(THREADS)),
            (&TM_CLASSES, value(CLASSES)),
        ];
        for (descriptor, value) in plain {
            push(descriptor, &[("stat", stat)], value, samples);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FETCH_INTERVAL, Setting, fetch_interval};
    use std::time::Duration;

    #[test]
    fn the_interval_of_the_clusters_own_fetcher_is_understood() {
        for (value, wanted) in [
            (Some("1000"), Duration::from_secs(1)),
            (Some("30 s"), Duration::from_secs(30)),
            (Some("1min"), Duration::from_secs(60)),
            (Some("0"), FETCH_INTERVAL),
            (Some("soon"), FETCH_INTERVAL),
            (None, FETCH_INTERVAL),
        ] {
            let key = "metrics.fetcher.update-interval".to_owned();
            let settings = [Setting { key, value: value.map(str::to_owned) }];
            assert_eq!(fetch_interval(&settings), wanted, "{value:?}");
        }
        assert_eq!(fetch_interval(&[]), FETCH_INTERVAL);
    }
}
