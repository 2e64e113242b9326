//! Which metrics go to CloudWatch, and as what. Every line costs money: CloudWatch bills about
//! 0.30 USD a month for each name and each combination of dimension values.
//!
//! Chosen are those that say whether a job is slow, late, failing or expensive, and whether the agents
//! beside it work. Adding one is a line; `dashboards/cloudwatch/README.md` lists them, and a test holds
//! it to that.

use crate::model::{Kind, MetricDescriptor};
use crate::scrape::flink::metrics::{checkpoint, job as flink_job, vertex};
use crate::scrape::pricing;
use crate::scrape::spark::metrics::{application, job, stage};
use crate::telemetry::{self, OwnMetric};
use std::sync::LazyLock;

/// A unit that CloudWatch knows, as far as the table needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// A number of things.
    Count,
    /// Ratios, and what CloudWatch has no unit for.
    None,
    /// Seconds.
    Seconds,
}

impl Unit {
    /// Name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "Bytes",
            Self::Count => "Count",
            Self::None => "None",
            Self::Seconds => "Seconds",
        }
    }
}

/// What becomes of the samples of one batch that differ only in labels that are no dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// Counters: how much each grew is added up.
    Sum,
    /// Gauges: the largest.
    Max,
    /// Histograms: their new observations, together.
    Merge,
    /// Gauges that are a time: how long ago the earliest was. CloudWatch cannot set an alarm on a time.
    Age,
    /// State sets: 1 for the states that hold; no sample for the others, which would cost as much.
    Current,
}

impl Fold {
    /// The only one that makes sense for a type.
    #[must_use]
    pub const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Sum,
            Kind::Gauge | Kind::Info => Self::Max,
            Kind::StateSet => Self::Current,
            Kind::Histogram => Self::Merge,
        }
    }
}

/// What happens to one metric.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The metric; other engines have the same name for the same thing.
    pub metric: &'static MetricDescriptor,
    /// Name in CloudWatch.
    pub name: &'static str,
    /// Unit in CloudWatch.
    pub unit: Unit,
    /// The one label that becomes a dimension beside the job, if any.
    pub dimension: Option<&'static str>,
    /// What happens over the other labels.
    pub fold: Fold,
    /// True if the agent itself counts it from its own start, not the engine from the job's.
    pub is_counted_by_agent: bool,
}

/// A counter, summed over labels that are no dimension.
const fn sum(
    metric: &'static MetricDescriptor,
    unit: Unit,
    dimension: Option<&'static str>,
) -> Row {
    assert!(matches!(metric.kind, Kind::Counter), "only counters are summed");
    Row { metric, name: metric.name, unit, dimension, fold: Fold::Sum, is_counted_by_agent: false }
}

/// A gauge, its largest value over labels that are no dimension.
const fn max(
    metric: &'static MetricDescriptor,
    unit: Unit,
    dimension: Option<&'static str>,
) -> Row {
    assert!(matches!(metric.kind, Kind::Gauge), "the largest value is that of a gauge");
    Row { metric, name: metric.name, unit, dimension, fold: Fold::Max, is_counted_by_agent: false }
}

/// A gauge that is a time, as the seconds that have passed since, under another name.
const fn age(metric: &'static MetricDescriptor, name: &'static str) -> Row {
    assert!(matches!(metric.kind, Kind::Gauge), "a time is a gauge");
    Row {
        metric,
        name,
        unit: Unit::Seconds,
        dimension: None,
        fold: Fold::Age,
        is_counted_by_agent: false,
    }
}

/// A histogram, merged over labels that are no dimension.
const fn merge(
    metric: &'static MetricDescriptor,
    unit: Unit,
    dimension: Option<&'static str>,
) -> Row {
    assert!(matches!(metric.kind, Kind::Histogram), "only histograms are merged");
    Row {
        metric,
        name: metric.name,
        unit,
        dimension,
        fold: Fold::Merge,
        is_counted_by_agent: false,
    }
}

/// A state set, of which only the present state is sent.
const fn current(metric: &'static MetricDescriptor) -> Row {
    assert!(matches!(metric.kind, Kind::StateSet), "only state sets have a present state");
    Row {
        metric,
        name: metric.name,
        unit: Unit::None,
        dimension: Some("state"),
        fold: Fold::Current,
        is_counted_by_agent: false,
    }
}

/// For what the agent counts from its own start.
const fn by_agent(row: Row) -> Row {
    Row { is_counted_by_agent: true, ..row }
}

use Unit::{Bytes, Count, None as NoUnit, Seconds};

/// Every metric that goes to CloudWatch.
#[rustfmt::skip]
pub static TABLE: &[Row] = &[
    // Does it run, does it fail?
    current(&job::JOB_RUN_STATE),
    by_agent(sum(&job::JOB_RUNS, Count, Some("outcome"))),
    sum(&job::JOB_TASK_FAILURES, Count, None),
    sum(&application::APP_EXECUTORS_REMOVED, Count, Some("reason")),
    sum(&stage::APP_STAGE_RETRIES, Count, None),
    // Is it late?
    age(&job::JOB_RUN_START, "job_run_age_seconds"),
    age(&job::JOB_LAST_SUCCESS, "job_last_success_age_seconds"),
    max(&job::JOB_PROGRESS, NoUnit, None),
    // Is it slow, and why?
    by_agent(merge(&job::JOB_RUN_DURATION, Seconds, Some("outcome"))),
    merge(&application::APP_JOB_DURATION, Seconds, None),
    merge(&stage::STAGE_DURATION, Seconds, None),
    sum(&job::JOB_RECORDS_READ, Count, None),
    sum(&job::JOB_RECORDS_WRITTEN, Count, None),
    sum(&job::JOB_READ_BYTES, Bytes, None),
    sum(&job::JOB_WRITTEN_BYTES, Bytes, None),
    sum(&job::JOB_GC, Seconds, None),
    sum(&stage::SHUFFLE_READ_BYTES, Bytes, None),
    sum(&stage::SHUFFLE_WRITE_BYTES, Bytes, None),
    sum(&stage::SHUFFLE_FETCH_WAIT, Seconds, None),
    sum(&stage::STAGE_SPILLED, Bytes, Some("medium")),
    max(&stage::STAGE_SKEW, NoUnit, None),
    // Will it run out of memory?
    max(&application::EXECUTOR_HEAP_PEAK_RATIO, NoUnit, None),
    max(&application::EXECUTOR_RSS_PEAK, Bytes, None),
    max(&application::DRIVER_HEAP_PEAK, Bytes, None),
    // What does it cost, and how much of that does nothing?
    sum(&job::JOB_CPU, Seconds, None),
    sum(&job::JOB_TASK_SECONDS, Seconds, None),
    sum(&application::APP_EXECUTOR_CORE_SECONDS, Seconds, None),
    sum(&application::APP_EXECUTOR_MEMORY_SECONDS, NoUnit, None),
    max(&pricing::JOB_COST, NoUnit, None),
    max(&application::APP_CORES, Count, None),
    max(&application::APP_EXECUTORS, Count, Some("state")),
    max(&application::APP_SLOTS, Count, Some("state")),

    // Flink. Its states are in job_run_state, and what it reads and writes in job_*. Of all vertices
    // it is the worst that counts: the busiest, the one that waits the longest, the most uneven.
    max(&flink_job::JOB_UPTIME, Seconds, None),
    sum(&flink_job::JOB_RESTARTS, Count, None),
    max(&checkpoint::CHECKPOINT_AGE, Seconds, None),
    max(&checkpoint::CHECKPOINT_CONSECUTIVE_FAILURES, Count, None),
    sum(&checkpoint::CHECKPOINTS, Count, Some("outcome")),
    merge(&checkpoint::CHECKPOINT_DURATION, Seconds, None),
    max(&checkpoint::CHECKPOINT_UTILIZATION, NoUnit, None),
    max(&flink_job::JOB_LAG_SECONDS, Seconds, Some("kind")),
    max(&flink_job::JOB_LAG_RECORDS, Count, None),
    max(&vertex::VERTEX_BUSY, NoUnit, None),
    max(&vertex::VERTEX_BACKPRESSURED, NoUnit, None),
    max(&vertex::VERTEX_SKEW, NoUnit, None),
    sum(&vertex::VERTEX_LATE, Count, None),
    sum(&vertex::SINK_ERRORS, Count, None),
];

/// What agents say about themselves. It has no dimension beside the scope: a hundred agents cost as
/// much as one, and how many values a metric gets says how many there are.
pub static AGENT: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let row = |(metric, unit): (&'static MetricDescriptor, Unit)| Row {
        metric,
        name: metric.name,
        unit,
        dimension: None,
        fold: Fold::of(metric.kind),
        // Under another redaction policy the exporter begins anew and these counters do not, so they
        // count from the first value, as those of a job that is older than the exporter.
        is_counted_by_agent: false,
    };
    let metrics = [
        (&telemetry::MEMORY, Bytes),
        (&telemetry::CPU, Seconds),
        // Is anything late, stuck or lost?
        (telemetry::LAG_BYTES.descriptor(), Bytes),
        (telemetry::LOST_BYTES.descriptor(), Bytes),
        (telemetry::LANE_DROPPED_RECORDS.descriptor(), Count),
        (telemetry::DEAD_LETTERS.descriptor(), Count),
        (telemetry::SPOOL_BYTES.descriptor(), Bytes),
        (telemetry::CIRCUIT_OPEN.descriptor(), NoUnit),
        // How much goes through, and what does it cost the source and the bill?
        (telemetry::RECORDS.descriptor(), Count),
        (&telemetry::REDACTIONS, Count),
        (&telemetry::REDACTION_FAILURES, Count),
        (telemetry::SCRAPE_BUSY_RATIO.descriptor(), NoUnit),
        (telemetry::CLOUDWATCH_METRICS_ESTIMATE.descriptor(), Count),
    ];
    metrics.map(row).to_vec()
});

#[cfg(test)]
mod tests {
    use super::{AGENT, Fold, TABLE, Unit};
    use crate::scrape::pricing;
    use crate::scrape::{flink, spark};
    use std::collections::BTreeSet;

    /// `StandardUnit` of the CloudWatch API.
    const STANDARD_UNITS: [&str; 27] = [
        "Seconds",
        "Microseconds",
        "Milliseconds",
        "Bytes",
        "Kilobytes",
        "Megabytes",
        "Gigabytes",
        "Terabytes",
        "Bits",
        "Kilobits",
        "Megabits",
        "Gigabits",
        "Terabits",
        "Percent",
        "Count",
        "Bytes/Second",
        "Kilobytes/Second",
        "Megabytes/Second",
        "Gigabytes/Second",
        "Terabytes/Second",
        "Bits/Second",
        "Kilobits/Second",
        "Megabits/Second",
        "Gigabits/Second",
        "Terabits/Second",
        "Count/Second",
        "None",
    ];

    #[test]
    fn every_metric_of_the_table_exists_and_stands_in_it_once() {
        let declared = spark::metrics::METRICS.iter().chain(flink::metrics::METRICS);
        let declared = declared.copied().chain([pricing::METRICS]);
        let declared: BTreeSet<&str> = declared.flatten().map(|metric| metric.name).collect();
        let mut names = BTreeSet::new();
        for row in TABLE {
            let name = row.name;
            assert!(declared.contains(row.metric.name), "{name} is no metric of a scraper");
            assert!(names.insert(name), "{name} stands in the table twice");
            let is_age = row.metric.name.ends_with("_timestamp_seconds");
            let fold = if is_age { Fold::Age } else { Fold::of(row.metric.kind) };
            assert_eq!(row.fold, fold, "{name}");
            assert_eq!(name.ends_with("_age_seconds"), is_age || name.contains("checkpoint_age"));
            let is_of_agent = ["job_runs_total", "job_run_duration_seconds"].contains(&name);
            assert_eq!(row.is_counted_by_agent, is_of_agent, "{name}");
        }
        for other in ["flink_", "spark_"] {
            let n_of_engine = names.iter().filter(|name| !name.starts_with(other)).count();
            assert!((25..=35).contains(&n_of_engine), "about 30 metrics a job: {n_of_engine}");
        }
    }

    #[test]
    fn every_unit_is_one_that_cloudwatch_knows_and_that_of_the_metric() {
        for row in TABLE.iter().chain(AGENT.iter()) {
            assert!(STANDARD_UNITS.contains(&row.unit.as_str()), "{}", row.metric.name);
            let fits: &[Unit] = match row.metric.unit {
                "seconds" => &[Unit::Seconds],
                "bytes" => &[Unit::Bytes],
                "ratio" | "byte_seconds" => &[Unit::None],
                _ => &[Unit::Count, Unit::None],
            };
            assert!(fits.contains(&row.unit), "{}", row.metric.name);
        }
    }

    #[test]
    fn names_are_valid_and_no_dimension_can_hide_another_member() {
        let is_plain = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        for row in TABLE.iter().chain(AGENT.iter()) {
            assert!(is_plain(row.name) && row.name.len() < 255);
            let Some(dimension) = row.dimension else { continue };
            assert!(is_plain(dimension) && dimension.len() < 250);
            assert!(!["_aws", "job_name", "cluster", "environment"].contains(&dimension));
            assert!(TABLE.iter().all(|other| other.name != dimension));
        }
    }
}
