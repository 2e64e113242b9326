//! Every metric that comes from Flink's REST API: its name, type, meaning and source, once. Those that
//! are called as Spark's stand in `spark/metrics/job.rs`.

pub mod checkpoint;
pub mod cluster;
pub mod job;
pub mod vertex;

use crate::model::{MetricDescriptor, Sample};
use redaction::Value;

/// Every descriptor, for documents and for tests of dashboards.
pub static METRICS: &[&[&MetricDescriptor]] =
    &[cluster::METRICS, job::METRICS, checkpoint::METRICS, vertex::METRICS];

/// Label of all that is over a limit.
pub(super) const OTHER: &str = "__other__";

/// Labels with values that the code names.
pub(super) type Labels<'a> = &'a [(&'static str, &'static str)];

/// Adds a sample, if there is a value.
pub(super) fn push(
    descriptor: &'static MetricDescriptor,
    labels: Labels<'_>,
    value: Option<f64>,
    samples: &mut Vec<Sample>,
) {
    let Some(value) = value else { return };
    let labels = labels.iter().map(|(name, value)| (*name, Value::literal(value))).collect();
    samples.push(Sample::number(descriptor, labels, value));
}

/// `part` of `whole`, if there is a whole.
pub(super) fn share(part: Option<f64>, whole: Option<f64>) -> Option<f64> {
    let whole = whole.filter(|whole| *whole > 0.0)?;
    Some(part? / whole)
}

#[cfg(test)]
mod tests {
    use super::METRICS;
    use crate::model::Kind;
    use crate::scrape::spark;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_say_type_and_unit() {
        let of_spark = spark::metrics::METRICS.iter().copied().flatten();
        let mut names: BTreeSet<&str> = of_spark.map(|metric| metric.name).collect();
        for metric in METRICS.iter().copied().flatten() {
            assert!(names.insert(metric.name), "{} is declared twice", metric.name);
            assert!(!metric.help.is_empty() && !metric.source.is_empty(), "{}", metric.name);
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter);
            assert_eq!(metric.name.ends_with("_info"), metric.kind == Kind::Info);
            let stem = metric.name.trim_end_matches("_total");
            assert!(stem.ends_with(metric.unit), "{} must end in {}", metric.name, metric.unit);
        }
    }
}
