//! Makes the events of one batch, and remembers what of them was delivered.

use super::Settings;
use super::dimension;
use super::distribution;
use super::estimate::{Billed, Estimate};
use super::event::{self, Common, Metric, VALUES_MAX, Values};
use super::table::{AGENT, Fold, Row, TABLE};
use crate::export::delivered::{self, Delivered, JobKey, SeriesKey};
use crate::model::{Kind, MetricBatch, Sample, SampleValue};
use crate::telemetry::{
    CLOUDWATCH_METRICS_DROPPED, CLOUDWATCH_METRICS_ESTIMATE, CLOUDWATCH_METRICS_UNCOUNTED,
};
use redaction::Value;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Jobs and series of counters that are remembered: some 6 MB.
const TRACKED_MAX: usize = 20_000;
/// CloudWatch ignores values that are older.
const AGE_MS_MAX: u64 = 14 * 86_400_000;
/// CloudWatch ignores values that are further ahead.
const AHEAD_MS_MAX: u64 = 2 * 3_600_000;
/// Up to here every whole number is an `f64`; AWS's own libraries refuse larger values.
const NUMBER_MAX: f64 = 9_007_199_254_740_991.0;
/// Where a run says which ids it has.
const RUN_INFO: &str = crate::scrape::spark::metrics::job::JOB_RUN_INFO.name;

/// Turns batches into events.
///
/// CloudWatch adds up what it gets, so counters go out as what they grew by since the last batch
/// that was delivered. [`Encoder::prepare`] alone delivers nothing: what an event that did not arrive
/// would have said is in the events of the next batch of that job. At most one batch may be on its
/// way; what was stored although the answer got lost is counted twice.
#[derive(Debug)]
pub struct Encoder {
    settings: Settings,
    table: &'static [Row],
    delivered: Delivered,
    estimate: Estimate,
}

/// The events of one batch, and what follows from their delivery.
#[derive(Debug)]
#[must_use]
pub struct Prepared {
    /// One JSON object each, without a line end, all of the time of the batch. May be empty.
    pub events: Vec<Vec<u8>>,
    /// Time of all events, milliseconds since the epoch.
    pub time_unix_ms: u64,
    job: JobKey,
    totals: Vec<(SeriesKey, SampleValue)>,
    billed: Vec<Billed>,
    dropped: BTreeMap<&'static str, u64>,
}

impl Prepared {
    /// How much of the batch is in no event, by reason.
    #[must_use]
    pub fn dropped(&self) -> &BTreeMap<&'static str, u64> {
        &self.dropped
    }

    fn drop(&mut self, reason: &'static str, n: usize) {
        if n > 0 {
            *self.dropped.entry(reason).or_default() += n as u64;
        }
    }
}

impl Encoder {
    /// An encoder that has delivered nothing.
    ///
    /// Counters of jobs that started at `watched_since_unix_ms` or later count from 0, those of
    /// older jobs from the first value that is seen: an agent before this one may have sent them.
    #[must_use]
    pub fn new(settings: Settings, watched_since_unix_ms: u64) -> Self {
        Self::with_table(settings, watched_since_unix_ms, TABLE)
    }

    pub(super) fn with_table(
        settings: Settings,
        watched_since_unix_ms: u64,
        table: &'static [Row],
    ) -> Self {
        let delivered = Delivered::new(watched_since_unix_ms, TRACKED_MAX);
        Self { settings, table, delivered, estimate: Estimate::default() }
    }

    /// Names what follows in another way. What CloudWatch has of each counter stays known.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// The events of `batch`, with everything that is not delivered of its counters.
    pub fn prepare(&mut self, batch: &MetricBatch, now_unix_ms: u64) -> Prepared {
        let mut prepared = Prepared {
            events: Vec::new(),
            time_unix_ms: batch.time_unix_ms,
            job: JobKey::of(batch),
            totals: Vec::new(),
            billed: Vec::new(),
            dropped: BTreeMap::new(),
        };
        if batch.samples.is_empty() {
            self.delivered.finish(&prepared.job);
            return prepared;
        }
        // Those of the agent itself are of no job.
        let is_of_agent = batch.labels.is_empty();
        let table = if is_of_agent { &**AGENT } else { self.table };
        let chosen: Vec<(&Row, &Sample)> =
            batch.samples.iter().filter_map(|sample| Some((row(table, sample)?, sample))).collect();
        let job_name = label(&batch.labels, "job_name").and_then(|name| dimension::clean(name));
        let problem = if now_unix_ms.saturating_sub(batch.time_unix_ms) > AGE_MS_MAX {
            Some("too_old")
        } else if batch.time_unix_ms.saturating_sub(now_unix_ms) > AHEAD_MS_MAX {
            Some("too_new")
        } else {
            None
        };
        let is_nameless = job_name.is_none() && !is_of_agent;
        if let Some(problem) = problem.or(is_nameless.then_some("dimension")) {
            prepared.drop(problem, chosen.len());
            return prepared;
        }
        let job_name = job_name.as_deref();
        self.delivered.see(&prepared.job, now_unix_ms);
        let groups = self.fold(&chosen, &mut prepared, now_unix_ms);
        let metrics = metrics(groups, job_name, &mut prepared);
        let run_info = batch.samples.iter().filter(|sample| sample.descriptor.name == RUN_INFO);
        let ids = run_info.flat_map(|sample| &sample.labels);
        let properties = batch.labels.iter().chain(ids);
        let (common, n_dropped) =
            Common::new(&self.settings, batch.time_unix_ms, job_name, properties);
        prepared.drop("property", n_dropped);
        prepared.events = event::write_all(metrics, &common);
        prepared
    }

    /// Takes note that all events of `prepared` were delivered. To be called also when there are
    /// none, which counts what was left out.
    pub fn commit(&mut self, prepared: Prepared, now_unix_ms: u64) {
        self.delivered.raise(&prepared.job, prepared.time_unix_ms, prepared.totals);
        for billed in prepared.billed {
            if !self.estimate.record(billed, now_unix_ms) {
                CLOUDWATCH_METRICS_UNCOUNTED.add(1);
            }
        }
        CLOUDWATCH_METRICS_ESTIMATE.set(self.n_billed(now_unix_ms) as f64);
        for (reason, n) in prepared.dropped {
            CLOUDWATCH_METRICS_DROPPED.add(reason, n);
        }
    }

    /// How many metrics CloudWatch bills for: those that were delivered in the last hour.
    pub fn n_billed(&mut self, now_unix_ms: u64) -> usize {
        self.estimate.count(now_unix_ms)
    }

    /// Brings samples together that differ in nothing that CloudWatch gets.
    fn fold<'a>(
        &mut self,
        chosen: &[(&'a Row, &Sample)],
        prepared: &mut Prepared,
        now_unix_ms: u64,
    ) -> Groups<'a> {
        let is_repeat = self.delivered.is_repeat(&prepared.job, prepared.time_unix_ms);
        let mut groups = Groups::new();
        for (row, sample) in chosen {
            let dimension = match row.dimension {
                None => None,
                Some(name) => {
                    let value = label(&sample.labels, name).and_then(|it| dimension::clean(it));
                    let Some(value) = value else {
                        prepared.drop("dimension", 1);
                        continue;
                    };
                    Some(value)
                }
            };
            let Some(folded) = self.read(row, sample, is_repeat, prepared, now_unix_ms) else {
                continue;
            };
            match groups.entry((row.name, dimension)) {
                Entry::Vacant(entry) => {
                    entry.insert((*row, folded));
                }
                Entry::Occupied(mut entry) => entry.get_mut().1.add(folded),
            }
        }
        groups
    }

    /// What one sample says that is not delivered; `None` for nothing.
    fn read(
        &mut self,
        row: &Row,
        sample: &Sample,
        is_repeat: bool,
        prepared: &mut Prepared,
        now_unix_ms: u64,
    ) -> Option<Folded> {
        let number = match &sample.value {
            SampleValue::Number(number) if number.is_finite() => *number,
            SampleValue::Number(_) => {
                prepared.drop("not_finite", 1);
                return None;
            }
            SampleValue::Histogram(_) => 0.0,
        };
        match row.fold {
            // After its end a job comes with the same numbers until its scraper lets go of it.
            Fold::Max => (!is_repeat).then_some(Folded::Max(number)),
            Fold::Age => {
                let now_seconds = prepared.time_unix_ms as f64 / 1e3;
                (!is_repeat).then_some(Folded::Max((now_seconds - number).max(0.0)))
            }
            Fold::Current => (number > 0.0).then_some(Folded::Max(1.0)),
            Fold::Sum | Fold::Merge => {
                let series = (sample.descriptor.name, delivered::sorted(&sample.labels));
                let value = &sample.value;
                let by_agent = row.is_counted_by_agent;
                let total =
                    self.delivered.total(&prepared.job, &series, value, by_agent, now_unix_ms);
                let Some(total) = total else {
                    prepared.drop("series_max", 1);
                    return None;
                };
                let folded = match value {
                    SampleValue::Number(_) => {
                        let grown = delivered::growth(number, total);
                        // Zeros say that nothing failed, as opposed to nothing watched. With a
                        // dimension, each is a metric to pay for, so it begins when there is one.
                        let shows_zero = !is_repeat && (number > 0.0 || row.dimension.is_none());
                        (grown > 0.0 || shows_zero).then_some(Folded::Sum(grown))
                    }
                    SampleValue::Histogram(histogram) => {
                        let new = delivered::new_observations(histogram, total);
                        (new.count() > 0).then_some(Folded::Points(distribution::points(&new)))
                    }
                };
                prepared.totals.push((series, value.clone()));
                folded
            }
        }
    }
}

/// Samples that become one metric, by its name and its dimension beside the job.
type Groups<'a> = BTreeMap<(&'static str, Option<String>), (&'a Row, Folded)>;

#[derive(Debug)]
enum Folded {
    Sum(f64),
    Max(f64),
    Points(Vec<(f64, u64)>),
}

impl Folded {
    fn add(&mut self, other: Self) {
        match (self, other) {
            (Self::Sum(sum), Self::Sum(other)) => *sum += other,
            (Self::Max(max), Self::Max(other)) => *max = max.max(other),
            (Self::Points(points), Self::Points(other)) => points.extend(other),
            _ => panic!("a metric name has one type"),
        }
    }
}

/// The metrics that CloudWatch will take.
fn metrics(groups: Groups<'_>, job_name: Option<&str>, prepared: &mut Prepared) -> Vec<Metric> {
    let mut metrics = Vec::new();
    for ((name, value), (row, folded)) in groups {
        let values = match folded {
            Folded::Sum(number) | Folded::Max(number) if number.abs() <= NUMBER_MAX => {
                vec![Values::One(number)]
            }
            Folded::Sum(_) | Folded::Max(_) => vec![],
            Folded::Points(points) => {
                let points = joined(points);
                points.chunks(VALUES_MAX).map(|chunk| Values::Many(chunk.to_vec())).collect()
            }
        };
        if values.is_empty() {
            prepared.drop("too_large", 1);
            continue;
        }
        let job_name = job_name.map(str::to_owned);
        prepared.billed.push(Billed { name, job_name, dimension: value.clone() });
        let dimension = row.dimension.zip(value);
        metrics.extend(values.into_iter().map(|values| {
            let dimension = dimension.clone();
            Metric { name, unit: row.unit, dimension, values }
        }));
    }
    metrics
}

/// Each value once, ascending; none if any is too large.
fn joined(mut points: Vec<(f64, u64)>) -> Vec<(f64, u64)> {
    points.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    points.dedup_by(|(value, n), (kept, n_kept)| {
        let is_same = value == kept;
        if is_same {
            *n_kept = n_kept.saturating_add(*n);
        }
        is_same
    });
    let fits = |(value, n): &(f64, u64)| value.abs() <= NUMBER_MAX && *n as f64 <= NUMBER_MAX;
    if points.iter().all(fits) { points } else { Vec::new() }
}

fn row<'a>(table: &'a [Row], sample: &Sample) -> Option<&'a Row> {
    let row = table.iter().find(|row| row.metric.name == sample.descriptor.name)?;
    assert!(row.metric.kind == sample.descriptor.kind, "a metric name has one type");
    let has_buckets = matches!(sample.value, SampleValue::Histogram(_));
    assert!(
        has_buckets == (row.metric.kind == Kind::Histogram),
        "a histogram, and nothing else, has buckets"
    );
    Some(row)
}

fn label<'a>(labels: &'a [(&'static str, Value)], name: &str) -> Option<&'a Value> {
    labels.iter().find(|(label, _)| *label == name).map(|(_, value)| value)
}
