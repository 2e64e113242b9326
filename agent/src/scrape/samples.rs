//! What tests of scrapers look for in batches.

use crate::model::{MetricBatch, Sample, SampleValue};
use redaction::Value;

/// The value of the label `name`.
pub(crate) fn label<'a>(labels: &'a [(&'static str, Value)], name: &str) -> Option<&'a str> {
    labels.iter().find(|(label, _)| *label == name).map(|(_, value)| value.as_str())
}

/// The one series of the metric `name` that has all `labels`.
pub(crate) fn find<'a>(
    batch: &'a MetricBatch,
    name: &str,
    labels: &[(&str, &str)],
) -> Option<&'a Sample> {
    let matches = |sample: &&Sample| {
        sample.descriptor.name == name
            && labels.iter().all(|(key, value)| label(&sample.labels, key) == Some(value))
    };
    let mut found = batch.samples.iter().filter(matches);
    let first = found.next();
    assert!(found.next().is_none(), "{name} {labels:?} is one series");
    first
}

/// Its value, or how many values a histogram has.
pub(crate) fn number(batch: &MetricBatch, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    find(batch, name, labels).map(|sample| match &sample.value {
        SampleValue::Number(number) => *number,
        SampleValue::Histogram(histogram) => histogram.count() as f64,
    })
}
