//! Lock-free counters and gauges of the agent itself, with label values that are known up front.

use crate::model::{Kind, MetricDescriptor, Sample};
use redaction::Value;
use std::sync::atomic::{AtomicU64, Ordering};

/// Last entry of every list of label values: takes what is not in the list.
pub(super) const OTHER: &str = "other";

/// Bits of the NaN that stands for "nothing was ever reported".
const ABSENT: u64 = f64::NAN.to_bits();

/// Something that turns itself into samples.
pub trait OwnMetric: Sync {
    /// What it is.
    fn descriptor(&'static self) -> &'static MetricDescriptor;

    /// Appends its present samples to `out`.
    fn collect(&'static self, out: &mut Vec<Sample>);
}

/// A number that threads share. It holds the bits of an `f64`, exact for integers up to 2^53.
#[derive(Debug)]
struct Cell(AtomicU64);

impl Cell {
    const fn absent() -> Self {
        Self(AtomicU64::new(ABSENT))
    }

    const fn zero() -> Self {
        Self(AtomicU64::new(0))
    }

    fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    fn add(&self, n: f64) {
        // The closure always returns a value, so the update cannot fail.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bits| {
            let before = if bits == ABSENT { 0.0 } else { f64::from_bits(bits) };
            Some((before + n).to_bits())
        });
    }

    fn get(&self) -> Option<f64> {
        let bits = self.0.load(Ordering::Relaxed);
        (bits != ABSENT).then(|| f64::from_bits(bits))
    }
}

/// Declares a metric in one line; `name` carries unit and suffix as Prometheus wants them.
pub(super) const fn descriptor(
    kind: Kind,
    name: &'static str,
    unit: &'static str,
    help: &'static str,
) -> MetricDescriptor {
    MetricDescriptor { name, unit, kind, help, source: "the agent itself" }
}

/// A counter without labels. Starts at 0.
#[derive(Debug)]
pub struct Counter {
    descriptor: MetricDescriptor,
    cell: Cell,
}

impl Counter {
    pub(super) const fn new(name: &'static str, unit: &'static str, help: &'static str) -> Self {
        Self { descriptor: descriptor(Kind::Counter, name, unit, help), cell: Cell::zero() }
    }

    /// Counts `n` more.
    pub fn add(&self, n: u64) {
        self.cell.add(n as f64);
    }

    /// The count since the process started.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.cell.get().unwrap_or_default() as u64
    }
}

impl OwnMetric for Counter {
    fn descriptor(&'static self) -> &'static MetricDescriptor {
        &self.descriptor
    }

    fn collect(&'static self, out: &mut Vec<Sample>) {
        out.extend(self.cell.get().map(|value| Sample::number(&self.descriptor, vec![], value)));
    }
}

/// A gauge without labels. Absent until it is set.
#[derive(Debug)]
pub struct Gauge {
    descriptor: MetricDescriptor,
    cell: Cell,
}

impl Gauge {
    pub(super) const fn new(name: &'static str, unit: &'static str, help: &'static str) -> Self {
        Self { descriptor: descriptor(Kind::Gauge, name, unit, help), cell: Cell::absent() }
    }

    /// Replaces the value.
    pub fn set(&self, value: f64) {
        self.cell.set(value);
    }

    /// The value, if one was set.
    #[must_use]
    pub fn get(&self) -> Option<f64> {
        self.cell.get()
    }
}

impl OwnMetric for Gauge {
    fn descriptor(&'static self) -> &'static MetricDescriptor {
        &self.descriptor
    }

    fn collect(&'static self, out: &mut Vec<Sample>) {
        out.extend(self.cell.get().map(|value| Sample::number(&self.descriptor, vec![], value)));
    }
}

/// A counter or gauge with one label, whose values are `N` literals of which the last is `other`.
#[derive(Debug)]
pub struct Family<const N: usize> {
    descriptor: MetricDescriptor,
    label: &'static str,
    values: &'static [&'static str; N],
    starts_at_zero: bool,
    cells: [Cell; N],
}

impl<const N: usize> Family<N> {
    /// Every series but `other` is there from the start: `rate` misses the first event of a series
    /// that appears with it.
    pub(super) const fn from_zero(
        descriptor: MetricDescriptor,
        label: &'static str,
        values: &'static [&'static str; N],
    ) -> Self {
        Self { starts_at_zero: true, ..Self::new(descriptor, label, values) }
    }

    /// A series appears when something is reported for it, as for components that may be off.
    pub(super) const fn new(
        descriptor: MetricDescriptor,
        label: &'static str,
        values: &'static [&'static str; N],
    ) -> Self {
        assert!(matches!(values[N - 1].as_bytes(), b"other"), "the last label value is `other`");
        let cells = [const { Cell::absent() }; N];
        Self { descriptor, label, values, starts_at_zero: false, cells }
    }

    /// Adds `n` to the series of `value`.
    pub fn add(&self, value: &str, n: u64) {
        self.cell(value).add(n as f64);
    }

    /// Adds seconds to the series of `value`, for counters of time.
    pub fn add_seconds(&self, value: &str, seconds: f64) {
        self.cell(value).add(seconds);
    }

    /// Replaces the number of `value`, for gauges.
    pub fn set(&self, value: &str, number: f64) {
        self.cell(value).set(number);
    }

    /// The number of `value`, if one was reported.
    #[must_use]
    pub fn get(&self, value: &str) -> Option<f64> {
        self.cell(value).get()
    }

    fn cell(&self, value: &str) -> &Cell {
        &self.cells[index(self.values, value)]
    }
}

impl<const N: usize> OwnMetric for Family<N> {
    fn descriptor(&'static self) -> &'static MetricDescriptor {
        &self.descriptor
    }

    fn collect(&'static self, out: &mut Vec<Sample>) {
        for (value, cell) in self.values.iter().zip(&self.cells) {
            let zero = (self.starts_at_zero && *value != OTHER).then_some(0.0);
            let labels = || vec![(self.label, Value::literal(value))];
            out.extend(
                cell.get().or(zero).map(|it| Sample::number(&self.descriptor, labels(), it)),
            );
        }
    }
}

/// A counter or gauge with two labels, such as exporter and outcome.
#[derive(Debug)]
pub struct Family2<const A: usize, const B: usize> {
    descriptor: MetricDescriptor,
    labels: [&'static str; 2],
    first: &'static [&'static str; A],
    second: &'static [&'static str; B],
    starts_at_zero: bool,
    cells: [[Cell; B]; A],
}

impl<const A: usize, const B: usize> Family2<A, B> {
    pub(super) const fn new(
        descriptor: MetricDescriptor,
        labels: [&'static str; 2],
        first: &'static [&'static str; A],
        second: &'static [&'static str; B],
    ) -> Self {
        assert!(matches!(first[A - 1].as_bytes(), b"other"), "the last label value is `other`");
        assert!(matches!(second[B - 1].as_bytes(), b"other"), "the last label value is `other`");
        let cells = [const { [const { Cell::absent() }; B] }; A];
        Self { descriptor, labels, first, second, starts_at_zero: true, cells }
    }

    /// Shows only what was reported, where most pairs of labels mean nothing.
    pub(super) const fn sparse(
        descriptor: MetricDescriptor,
        labels: [&'static str; 2],
        first: &'static [&'static str; A],
        second: &'static [&'static str; B],
    ) -> Self {
        Self { starts_at_zero: false, ..Self::new(descriptor, labels, first, second) }
    }

    /// Adds `n` to the series of `first` and `second`.
    pub fn add(&self, first: &str, second: &str, n: u64) {
        self.cell(first, second).add(n as f64);
    }

    /// Replaces the number of `first` and `second`, for gauges.
    pub fn set(&self, first: &str, second: &str, number: f64) {
        self.cell(first, second).set(number);
    }

    /// The number of `first` and `second`, if one was reported.
    #[must_use]
    pub fn get(&self, first: &str, second: &str) -> Option<f64> {
        self.cell(first, second).get()
    }

    fn cell(&self, first: &str, second: &str) -> &Cell {
        &self.cells[index(self.first, first)][index(self.second, second)]
    }
}

impl<const A: usize, const B: usize> OwnMetric for Family2<A, B> {
    fn descriptor(&'static self) -> &'static MetricDescriptor {
        &self.descriptor
    }

    fn collect(&'static self, out: &mut Vec<Sample>) {
        for (first, row) in self.first.iter().zip(&self.cells) {
            if row.iter().all(|cell| cell.get().is_none()) {
                continue;
            }
            for (second, cell) in self.second.iter().zip(row) {
                // A row that exists shows 0 for what has not happened yet, as in `from_zero`.
                let zero = (self.starts_at_zero && *second != OTHER).then_some(0.0);
                let [a, b] = self.labels;
                let labels = || vec![(a, Value::literal(first)), (b, Value::literal(second))];
                out.extend(
                    cell.get().or(zero).map(|it| Sample::number(&self.descriptor, labels(), it)),
                );
            }
        }
    }
}

fn index(values: &[&str], value: &str) -> usize {
    values.iter().position(|known| *known == value).unwrap_or(values.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::{Counter, Family, Family2, Gauge, OwnMetric, descriptor};
    use crate::model::{Kind, Sample, SampleValue};

    fn collect(metric: &'static dyn OwnMetric) -> Vec<(Vec<String>, f64)> {
        let mut samples = Vec::new();
        metric.collect(&mut samples);
        samples.iter().map(show).collect()
    }

    fn show(sample: &Sample) -> (Vec<String>, f64) {
        let SampleValue::Number(number) = sample.value else { panic!("own metrics are numbers") };
        (sample.labels.iter().map(|(_, value)| value.to_string()).collect(), number)
    }

    fn row(labels: &[&str], number: f64) -> (Vec<String>, f64) {
        (labels.iter().map(|label| (*label).to_owned()).collect(), number)
    }

    #[test]
    fn counters_start_at_zero_and_gauges_are_absent_until_set() {
        static COUNTER: Counter = Counter::new("c_total", "", "help");
        static GAUGE: Gauge = Gauge::new("g", "", "help");
        assert_eq!(collect(&COUNTER), [row(&[], 0.0)]);
        assert_eq!(collect(&GAUGE), []);
        COUNTER.add(3);
        COUNTER.add(4);
        GAUGE.set(-1.5);
        assert_eq!(collect(&COUNTER), [row(&[], 7.0)]);
        assert_eq!(collect(&GAUGE), [row(&[], -1.5)]);
    }

    #[test]
    fn a_label_value_outside_the_list_counts_as_other() {
        static FAMILY: Family<3> =
            Family::new(descriptor(Kind::Counter, "f", "", "h"), "l", &["a", "b", "other"]);
        FAMILY.add("b", 2);
        FAMILY.add("made up", 5);
        FAMILY.add_seconds("b", 0.5);
        assert_eq!(collect(&FAMILY), [row(&["b"], 2.5), row(&["other"], 5.0)]);
    }

    #[test]
    fn a_family_from_zero_shows_all_values_but_other() {
        static FAMILY: Family<3> =
            Family::from_zero(descriptor(Kind::Counter, "f", "", "h"), "l", &["a", "b", "other"]);
        assert_eq!(collect(&FAMILY), [row(&["a"], 0.0), row(&["b"], 0.0)]);
    }

    #[test]
    fn a_touched_row_shows_zero_for_what_has_not_happened() {
        static FAMILY: Family2<2, 3> = Family2::new(
            descriptor(Kind::Counter, "f", "", "h"),
            ["a", "b"],
            &["x", "other"],
            &["ok", "error", "other"],
        );
        assert_eq!(collect(&FAMILY), []);
        FAMILY.add("x", "ok", 1);
        assert_eq!(collect(&FAMILY), [row(&["x", "ok"], 1.0), row(&["x", "error"], 0.0)]);
    }

    #[test]
    fn a_sparse_family_shows_only_what_was_reported() {
        static FAMILY: Family2<2, 3> = Family2::sparse(
            descriptor(Kind::Gauge, "f", "", "h"),
            ["a", "b"],
            &["x", "other"],
            &["logs", "spans", "other"],
        );
        FAMILY.set("x", "spans", 1.0);
        assert_eq!(collect(&FAMILY), [row(&["x", "spans"], 1.0)]);
    }

    #[test]
    fn threads_that_add_at_the_same_time_lose_nothing() {
        static COUNTER: Counter = Counter::new("c_total", "", "help");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| COUNTER.add(1)));
            }
        });
        assert_eq!(COUNTER.get(), 40_000);
    }
}
