//! How unequal the tasks of a stage are, from the quantiles that REST gives over finished tasks.

use super::metrics::stage::{STAGE_MAX_PARTITION, STAGE_SKEW, STAGE_TAIL};
use super::rest::{Distributions, Stage};
use crate::model::{MetricDescriptor, Sample};
use redaction::Value;
use std::collections::BTreeMap;

/// A stage that ended longer ago is not "the stage of now" any more. It spans the usual scrape
/// intervals of Prometheus (15 s to 60 s), so a short skewed stage is not missed between two.
const RECENT_MS: u64 = 60_000;
/// Stages whose shape is kept; the oldest go first.
const SHAPES_MAX: usize = 256;
/// Below it a ratio says nothing (DataFlint, Dr. Elephant).
const TASKS_MIN: u64 = 4;
/// Tasks that are all shorter are not worth a look (DataFlint, Dr. Elephant).
const DURATION_MIN_MS: f64 = 5_000.0;
/// Partitions that are all smaller are not worth a look (DataFlint, Dr. Elephant).
const BYTES_MIN: f64 = 100_000_000.0;

/// Shapes of the stages that run or ended a moment ago.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    by_attempt: BTreeMap<u64, Shape>,
}

#[derive(Debug)]
struct Shape {
    seen_unix_ms: u64,
    ratios: Vec<Ratio>,
    partitions: [(&'static str, Option<f64>); 3],
}

#[derive(Debug, PartialEq)]
struct Ratio {
    dimension: &'static str,
    /// Largest over median.
    skew: f64,
    /// 95th percentile over median.
    tail: Option<f64>,
}

impl Shapes {
    /// Looks at one stage attempt, named by `key`.
    pub(super) fn record(&mut self, key: u64, stage: &Stage, unix_ms: u64) {
        let Some(distributions) = &stage.task_metrics_distributions else { return };
        let is_large_enough = stage.num_tasks.0.is_some_and(|tasks| tasks >= TASKS_MIN);
        let ratios = if is_large_enough { ratios(distributions) } else { Vec::new() };
        let largest = |values: &[f64]| quantile(distributions, values, 1.0);
        let partitions = [
            ("input", largest(&distributions.input_metrics.bytes_read)),
            ("shuffle_read", largest(&distributions.shuffle_read_metrics.read_bytes)),
            ("output", largest(&distributions.output_metrics.bytes_written)),
        ];
        self.by_attempt.insert(key, Shape { seen_unix_ms: unix_ms, ratios, partitions });
        if self.by_attempt.len() > SHAPES_MAX {
            self.by_attempt.pop_first();
        }
    }

    /// Forgets stages that were last seen too long before `unix_ms`.
    pub(super) fn forget_old(&mut self, unix_ms: u64) {
        self.by_attempt.retain(|_, shape| shape.seen_unix_ms.saturating_add(RECENT_MS) >= unix_ms);
    }

    /// Adds the worst value per dimension.
    pub(super) fn push(&self, samples: &mut Vec<Sample>) {
        let shapes = || self.by_attempt.values();
        let ratios = || shapes().flat_map(|shape| &shape.ratios);
        let partitions = shapes().flat_map(|shape| &shape.partitions);
        push_worst(&STAGE_SKEW, ratios().map(|r| (r.dimension, Some(r.skew))), samples);
        push_worst(&STAGE_TAIL, ratios().map(|r| (r.dimension, r.tail)), samples);
        push_worst(&STAGE_MAX_PARTITION, partitions.copied(), samples);
    }
}

fn push_worst(
    descriptor: &'static MetricDescriptor,
    values: impl Iterator<Item = (&'static str, Option<f64>)>,
    samples: &mut Vec<Sample>,
) {
    let mut worst = BTreeMap::new();
    for (dimension, value) in values {
        let Some(value) = value else { continue };
        let entry = worst.entry(dimension).or_insert(value);
        *entry = value.max(*entry);
    }
    for (dimension, value) in worst {
        let labels = vec![("dimension", Value::literal(dimension))];
        samples.push(Sample::number(descriptor, labels, value));
    }
}

fn ratios(distributions: &Distributions) -> Vec<Ratio> {
    let input = &distributions.input_metrics;
    let shuffle = &distributions.shuffle_read_metrics;
    let dimensions: [(&str, &[f64], Option<f64>); 5] = [
        ("duration", &distributions.duration, Some(DURATION_MIN_MS)),
        ("input", &input.bytes_read, Some(BYTES_MIN)),
        ("shuffle_read", &shuffle.read_bytes, Some(BYTES_MIN)),
        ("spill", &distributions.memory_bytes_spilled, Some(BYTES_MIN)),
        // A number of records alone makes no stage slow.
        ("records", largest_list(&input.records_read, &shuffle.read_records), None),
    ];
    let at = |values: &[f64], wanted| quantile(distributions, values, wanted);
    let matters = dimensions.iter().any(|(_, values, min)| {
        min.is_some_and(|min| at(values, 1.0).is_some_and(|largest| largest >= min))
    });
    if !matters {
        return Vec::new();
    }
    let ratio = |(dimension, values, _): (&'static str, &[f64], Option<f64>)| {
        // Against a median of nothing every task is infinitely large, which is no number to plot.
        let median = at(values, 0.5).filter(|median| *median > 0.0)?;
        let tail = at(values, 0.95).map(|p95| p95 / median);
        Some(Ratio { dimension, skew: at(values, 1.0)? / median, tail })
    };
    dimensions.into_iter().filter_map(ratio).collect()
}

/// A stage reads from sources or from shuffles; the side that has more decides about records.
fn largest_list<'a>(one: &'a [f64], other: &'a [f64]) -> &'a [f64] {
    let last = |values: &[f64]| values.last().copied().unwrap_or(0.0);
    if last(one) >= last(other) { one } else { other }
}

/// The value at quantile `wanted`; `None` where the answer does not have it.
pub(super) fn quantile(distributions: &Distributions, values: &[f64], wanted: f64) -> Option<f64> {
    let index = distributions.quantiles.iter().position(|q| (q - wanted).abs() < 1e-9)?;
    values.get(index).copied().filter(|value| value.is_finite() && *value >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::Shapes;
    use crate::model::SampleValue;
    use crate::scrape::spark::rest::Stage;

    fn worst(shapes: &Shapes) -> Vec<(String, f64)> {
        let mut samples = Vec::new();
        shapes.push(&mut samples);
        let flat = samples.iter().map(|sample| {
            let SampleValue::Number(value) = sample.value else { panic!("not a number") };
            (format!("{} {}", sample.descriptor.name, &*sample.labels[0].1), value)
        });
        flat.filter(|(name, _)| !name.starts_with("spark_stage_max")).collect()
    }

    fn stage(tasks: u64, duration: [f64; 3], shuffle: [f64; 3]) -> Stage {
        let json = serde_json::json!({
            "status": "COMPLETE", "numTasks": tasks,
            "taskMetricsDistributions": {
                "quantiles": [0.5, 0.95, 1.0], "duration": duration,
                "shuffleReadMetrics": {"readBytes": shuffle, "readRecords": [10.0, 20.0, 30.0]},
            },
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn skew_is_largest_over_median_and_tail_is_p95_over_median() {
        let mut shapes = Shapes::default();
        shapes.record(1, &stage(4, [1_000.0, 3_000.0, 9_000.0], [0.0, 0.0, 50.0]), 0);
        let expected = [
            ("spark_stage_skew_ratio duration", 9.0),
            ("spark_stage_skew_ratio records", 3.0),
            ("spark_stage_tail_ratio duration", 3.0),
            ("spark_stage_tail_ratio records", 2.0),
        ];
        let found = worst(&shapes);
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value)));
    }

    #[test]
    fn short_small_and_narrow_stages_have_no_skew() {
        let mut shapes = Shapes::default();
        shapes.record(1, &stage(4, [1.0, 2.0, 4_999.0], [1.0, 1.0, 99e6]), 0);
        shapes.record(2, &stage(3, [1.0, 2.0, 50_000.0], [1.0, 1.0, 500e6]), 0);
        assert_eq!(worst(&shapes), []);
    }

    #[test]
    fn the_worst_stage_wins_and_is_forgotten_a_minute_after_it_was_seen() {
        let mut shapes = Shapes::default();
        shapes.record(1, &stage(4, [1_000.0, 1_000.0, 9_000.0], [0.0; 3]), 0);
        shapes.record(2, &stage(4, [1_000.0, 1_000.0, 6_000.0], [0.0; 3]), 30_000);
        assert_eq!(worst(&shapes)[0].1, 9.0);
        shapes.forget_old(60_001);
        assert_eq!(worst(&shapes)[0].1, 6.0);
        shapes.forget_old(90_001);
        assert_eq!(worst(&shapes), []);
    }
}
