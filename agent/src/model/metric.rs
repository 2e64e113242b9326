//! Metric samples and the descriptors that document them.

use super::Resource;
use redaction::Value;
use std::sync::Arc;

/// Prometheus and OpenMetrics type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while a job lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Constant 1 with facts as labels.
    Info,
    /// One series per state, 1 for the current one. The label is `state`.
    StateSet,
    /// Buckets, sum and count.
    Histogram,
}

/// Documents one metric. Declared once per scraper; the only place where its name stands.
#[derive(Debug, PartialEq, Eq)]
pub struct MetricDescriptor {
    /// Full name as exported, with unit and `_total` or `_info` suffix.
    pub name: &'static str,
    /// Prometheus base unit: `seconds`, `bytes`, `ratio`, or empty.
    pub unit: &'static str,
    /// Type.
    pub kind: Kind,
    /// One sentence for people.
    pub help: &'static str,
    /// Where the number comes from: request and field.
    pub source: &'static str,
}

/// Number or distribution.
#[derive(Debug, Clone, PartialEq)]
pub enum SampleValue {
    /// Counter, gauge, info, state.
    Number(f64),
    /// Cumulative histogram.
    Histogram(Arc<Histogram>),
}

/// Cumulative histogram with fixed bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// Upper bounds, ascending, without +Inf.
    pub bounds: &'static [f64],
    /// Observations per bucket (not cumulative), one more than bounds.
    pub counts: Vec<u64>,
    /// Sum of observations.
    pub sum: f64,
}

impl Histogram {
    /// An empty histogram.
    #[must_use]
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    /// Adds one observation.
    pub fn observe(&mut self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket] += 1;
        self.sum += value;
    }

    /// Number of observations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// One value of one series at the time of its batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// What it is.
    pub descriptor: &'static MetricDescriptor,
    /// Label names and redacted values, besides those of the batch.
    pub labels: Vec<(&'static str, Value)>,
    /// The value.
    pub value: SampleValue,
}

impl Sample {
    /// A number with labels.
    #[must_use]
    pub fn number(
        descriptor: &'static MetricDescriptor,
        labels: Vec<(&'static str, Value)>,
        value: f64,
    ) -> Self {
        Self { descriptor, labels, value: SampleValue::Number(value) }
    }
}

/// All samples of one job at one time; it replaces the job's earlier samples.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricBatch {
    /// Whose samples they are. Labels say what belongs on series; this has the ids, too.
    pub resource: Arc<Resource>,
    /// Who the samples belong to: `engine`, `job_name`, `slot` and the like, on every series.
    pub labels: Vec<(&'static str, Value)>,
    /// Start of the counters, milliseconds since the epoch, for `_created`.
    pub created_unix_ms: u64,
    /// Time of the scrape, milliseconds since the epoch.
    pub time_unix_ms: u64,
    /// The samples. An empty list takes the job's series away.
    pub samples: Vec<Sample>,
}
