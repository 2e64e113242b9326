//! The latest samples of every job, bounded in number.

use super::Format;
use super::text::{self, Families, Family, Point};
use crate::model::{Kind, MetricBatch, MetricDescriptor, SampleValue};
use redaction::Value;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Labels of one series, sorted by name, each name once, no empty value.
pub(super) type Labels = Vec<(&'static str, Value)>;

/// Latest samples by job; the labels of a batch are the identity of its job.
#[derive(Debug)]
pub struct SeriesTable {
    series_max: usize,
    /// The least recently replaced job comes first. There are never more jobs than series.
    jobs: Mutex<Vec<Job>>,
}

#[derive(Debug)]
struct Job {
    identity: Labels,
    created_unix_ms: u64,
    series: BTreeMap<(&'static str, Labels), Series>,
}

#[derive(Debug)]
struct Series {
    descriptor: &'static MetricDescriptor,
    value: SampleValue,
}

impl SeriesTable {
    /// An empty table for at most `series_max` series.
    ///
    /// How long a job stays after its end is its scraper's business, which takes it away with a
    /// batch without samples.
    /// Series are counted as Prometheus does, a histogram by its lines, without `_created`.
    #[must_use]
    pub fn new(series_max: usize) -> Self {
        Self { series_max, jobs: Mutex::default() }
    }

    /// Replaces the series of the batch's job; a batch without samples removes them.
    ///
    /// Returns how many series found no room. A job keeps those it had; new ones come in the order
    /// of name and labels, so the same ones are left out every time.
    pub fn replace(&self, batch: &MetricBatch) -> usize {
        let mut job = Job::new(batch);
        let mut jobs = self.lock();
        let before = jobs.iter().position(|it| it.identity == job.identity);
        let before = before.map(|idx| jobs.remove(idx));
        let n_others: usize = jobs.iter().map(Job::n_series).sum();
        let n_dropped = job.shrink(self.series_max.saturating_sub(n_others), before.as_ref());
        if !job.series.is_empty() {
            jobs.push(job);
        }
        n_dropped
    }

    /// Number of series that the table holds.
    #[must_use]
    pub fn n_series(&self) -> usize {
        self.lock().iter().map(Job::n_series).sum()
    }

    /// Writes every series of the table and of `own`, the agent's own batch.
    ///
    /// Where two jobs claim the same name and labels, the one replaced last is shown.
    #[must_use]
    pub fn render(&self, format: Format, own: &MetricBatch) -> String {
        let own = Job::new(own);
        let jobs = self.lock();
        let mut families = Families::new();
        for job in jobs.iter().chain([&own]) {
            for ((name, labels), series) in &job.series {
                let descriptor = series.descriptor;
                let family = families
                    .entry(name)
                    .or_insert_with(|| Family { descriptor, points: BTreeMap::new() });
                assert!(family.descriptor.kind == descriptor.kind, "a metric name has one type");
                let point = Point { value: &series.value, created_unix_ms: job.created_unix_ms };
                family.points.insert(labels, point);
            }
        }
        text::write(&families, format)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Job>> {
        // A panic in between leaves whole jobs, so the table is good after one.
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Job {
    fn new(batch: &MetricBatch) -> Self {
        let mut series = BTreeMap::new();
        for sample in &batch.samples {
            let descriptor = sample.descriptor;
            assert!(
                matches!(sample.value, SampleValue::Histogram(_))
                    == (descriptor.kind == Kind::Histogram),
                "a histogram, and nothing else, has buckets"
            );
            let labels = normalize(batch.labels.iter().chain(&sample.labels));
            let value = sample.value.clone();
            series.insert((descriptor.name, labels), Series { descriptor, value });
        }
        Self {
            identity: normalize(batch.labels.iter()),
            created_unix_ms: batch.created_unix_ms,
            series,
        }
    }

    fn n_series(&self) -> usize {
        self.series.values().map(Series::n_lines).sum()
    }

    /// Drops what does not fit into `room` and returns the number of dropped series.
    fn shrink(&mut self, room: usize, before: Option<&Self>) -> usize {
        let n_wanted = self.n_series();
        if n_wanted <= room {
            return 0;
        }
        let mut left = room;
        let mut kept = BTreeMap::new();
        let all = std::mem::take(&mut self.series);
        let (known, new): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(key, _)| before.is_some_and(|it| it.has(key)));
        for (key, series) in known.into_iter().chain(new) {
            if series.n_lines() <= left {
                left -= series.n_lines();
                kept.insert(key, series);
            }
        }
        self.series = kept;
        n_wanted - (room - left)
    }

    fn has(&self, key: &(&'static str, Labels)) -> bool {
        self.series.contains_key(key)
    }
}

impl Series {
    fn n_lines(&self) -> usize {
        match &self.value {
            SampleValue::Number(_) => 1,
            // The bucket +Inf, the sum and the count come on top.
            SampleValue::Histogram(histogram) => histogram.bounds.len() + 3,
        }
    }
}

fn normalize<'a>(labels: impl Iterator<Item = &'a (&'static str, Value)>) -> Labels {
    // A label that stands twice makes Prometheus reject the whole page; the sample's own wins.
    let by_name: BTreeMap<&'static str, &Value> =
        labels.map(|(name, value)| (*name, value)).collect();
    // For Prometheus an empty value is the same as no label, so it must not make a second series.
    let present = by_name.into_iter().filter(|(_, value)| !value.is_empty());
    present.map(|(name, value)| (name, value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::SeriesTable;
    use crate::export::prometheus::Format;
    use crate::model::{Kind, MetricBatch, MetricDescriptor, Sample};
    use redaction::Value;
    use std::sync::Arc;

    static UP: MetricDescriptor =
        MetricDescriptor { name: "up", unit: "", kind: Kind::Gauge, help: "h", source: "test" };

    fn batch(job: &'static str, states: &[(&'static str, f64)]) -> MetricBatch {
        let sample = |(state, value): &(&'static str, f64)| {
            Sample::number(&UP, vec![("state", Value::literal(state))], *value)
        };
        MetricBatch {
            resource: Arc::default(),
            labels: vec![("job_name", Value::literal(job))],
            created_unix_ms: 0,
            time_unix_ms: 0,
            samples: states.iter().map(sample).collect(),
        }
    }

    /// The series as `job state value`, which is all that differs here.
    fn shown(table: &SeriesTable) -> Vec<String> {
        let own = MetricBatch { labels: vec![], ..batch("", &[]) };
        let page = table.render(Format::Text, &own);
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| {
                line.replace("up{job_name=\"", "").replace("\",state=\"", " ").replace("\"}", "")
            })
            .collect()
    }

    #[test]
    fn a_batch_replaces_the_series_of_its_job_and_an_empty_one_removes_them() {
        let table = SeriesTable::new(10);
        table.replace(&batch("a", &[("x", 1.0), ("y", 2.0)]));
        table.replace(&batch("b", &[("x", 3.0)]));
        table.replace(&batch("a", &[("x", 4.0), ("x", 5.0)]));
        assert_eq!(shown(&table), ["a x 5", "b x 3"]);
        table.replace(&batch("a", &[]));
        assert_eq!(shown(&table), ["b x 3"]);
        assert_eq!(table.n_series(), 1);
    }

    #[test]
    fn a_full_table_keeps_the_series_it_has_and_leaves_out_the_same_new_ones() {
        let table = SeriesTable::new(3);
        assert_eq!(table.replace(&batch("a", &[("m", 1.0), ("z", 1.0)])), 0);
        for value in [2.0, 3.0] {
            let states = [("b", value), ("c", value), ("m", value), ("z", value)];
            assert_eq!(table.replace(&batch("a", &states)), 1);
            let value = value.to_string();
            let want = ["a b ", "a m ", "a z "].map(|series| format!("{series}{value}"));
            assert_eq!(shown(&table), want);
        }
        assert_eq!(table.replace(&batch("b", &[("x", 1.0)])), 1);
        assert_eq!(table.n_series(), 3);
    }

    #[test]
    fn two_jobs_with_the_same_series_show_the_later_one_once() {
        let table = SeriesTable::new(10);
        let mut without_identity = batch("a", &[("x", 1.0)]);
        let label = without_identity.labels.remove(0);
        without_identity.samples[0].labels.insert(0, label);
        table.replace(&without_identity);
        table.replace(&batch("a", &[("x", 2.0)]));
        assert_eq!(shown(&table), ["a x 2"]);
    }

    #[test]
    fn a_label_of_the_sample_wins_over_the_batch_and_an_empty_one_is_left_out() {
        let table = SeriesTable::new(10);
        let mut twice = batch("a", &[("x", 1.0)]);
        twice.samples[0].labels.push(("job_name", Value::literal("b")));
        twice.labels.push(("slot", Value::literal("")));
        table.replace(&twice);
        assert_eq!(shown(&table), ["b x 1"]);
    }
}
