//! Every metric that comes from Spark's REST API: its name, type, meaning and source, once.

pub mod application;
pub mod job;
pub mod stage;

use super::ledger::Ledger;
use crate::model::{Kind, MetricDescriptor, Sample};
use redaction::Value;

/// Every descriptor, for documents and for tests of dashboards.
pub static METRICS: &[&[&MetricDescriptor]] = &[job::METRICS, application::METRICS, stage::METRICS];

pub(in crate::scrape) const fn descriptor(
    kind: Kind,
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    source: &'static str,
) -> MetricDescriptor {
    MetricDescriptor { name, unit, kind, help, source }
}

/// One series that a [`Ledger`] counts from fields of `T`, an element of a REST answer.
pub(super) struct Counter<T> {
    pub(super) descriptor: &'static MetricDescriptor,
    /// A fixed label of the series.
    pub(super) label: Option<(&'static str, &'static str)>,
    /// The raw field; `None` where the answer does not have it.
    pub(super) read: fn(&T) -> Option<u64>,
    /// Raw units in one exported unit, such as 1e3 for milliseconds.
    pub(super) divisor: f64,
}

impl<T> Counter<T> {
    pub(super) const fn new(
        descriptor: &'static MetricDescriptor,
        divisor: f64,
        read: fn(&T) -> Option<u64>,
    ) -> Self {
        Self { descriptor, label: None, read, divisor }
    }

    pub(super) const fn labelled(
        descriptor: &'static MetricDescriptor,
        label: &'static str,
        value: &'static str,
        divisor: f64,
        read: fn(&T) -> Option<u64>,
    ) -> Self {
        Self { descriptor, label: Some((label, value)), read, divisor }
    }
}

/// Reads the fields of `item` that `counters` name.
pub(super) fn values<T, const N: usize>(counters: &[Counter<T>; N], item: &T) -> [Option<u64>; N] {
    std::array::from_fn(|index| (counters[index].read)(item))
}

/// Adds the totals of `ledger`, which counts `counters`.
pub(super) fn push_totals<T, const N: usize>(
    counters: &[Counter<T>; N],
    ledger: &Ledger<N>,
    samples: &mut Vec<Sample>,
) {
    push_values(counters, &std::array::from_fn(|index| ledger.total(index)), samples);
}

/// Adds `totals` of `counters`.
pub(super) fn push_values<T, const N: usize>(
    counters: &[Counter<T>; N],
    totals: &[Option<u64>; N],
    samples: &mut Vec<Sample>,
) {
    for (counter, total) in counters.iter().zip(totals) {
        let Some(total) = *total else { continue };
        let labels = counter.label.map(|(name, value)| (name, Value::literal(value)));
        let value = total as f64 / counter.divisor;
        samples.push(Sample::number(counter.descriptor, labels.into_iter().collect(), value));
    }
}

/// Adds a number without labels, if it is known.
pub(super) fn push_number(
    descriptor: &'static MetricDescriptor,
    value: Option<f64>,
    samples: &mut Vec<Sample>,
) {
    samples.extend(value.map(|value| Sample::number(descriptor, Vec::new(), value)));
}

/// Milliseconds in a second.
pub(in crate::scrape) const MILLISECONDS: f64 = 1e3;
/// Nanoseconds in a second.
pub(in crate::scrape) const NANOSECONDS: f64 = 1e9;
/// For counts and bytes, which are exported as they are.
pub(super) const PLAIN: f64 = 1.0;

#[cfg(test)]
mod tests {
    use super::METRICS;
    use crate::model::Kind;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_say_type_and_unit() {
        let mut names = BTreeSet::new();
        for metric in METRICS.iter().copied().flatten() {
            assert!(names.insert(metric.name), "{} is declared twice", metric.name);
            assert!(!metric.help.is_empty() && !metric.source.is_empty(), "{}", metric.name);
            assert_eq!(
                metric.name.ends_with("_total"),
                metric.kind == Kind::Counter,
                "{} must end in _total if and only if it is a counter",
                metric.name
            );
            assert_eq!(
                metric.name.ends_with("_info"),
                metric.kind == Kind::Info,
                "{}",
                metric.name
            );
            // OpenMetrics: a unit is the last part of the name, before the suffix of its type.
            let stem = metric.name.trim_end_matches("_total");
            assert!(stem.ends_with(metric.unit), "{} must end in {}", metric.name, metric.unit);
        }
    }
}
