//! One vertex of a job: what its subtasks did and do, together.

use super::metrics::share;
use super::metrics::vertex::{
    SINK_ERRORS, SOURCE_SPLITS, VERTEX_BYTES, VERTEX_LATE, VERTEX_METRIC, VERTEX_PARALLELISM,
    VERTEX_RECORDS, VERTEX_SKEW, VERTEX_TIME, VERTEX_WATERMARK_LAG,
};
use super::query::{Round, fits, paths};
use super::rest::{self, Aggregate, InputOutput, List, Metric};
use super::tally::{Fall, Tally};
use super::wanted::{Numbers, PLAIN, Wanted};
use crate::model::{MetricDescriptor, Sample};
use crate::scrape::http::HttpError;
use crate::scrape::meter::Cut;
use crate::scrape::spark::metrics::MILLISECONDS;
use redaction::Value;
use std::collections::BTreeMap;

/// Metrics of one vertex that are asked for: about 20 of the task and a handful of each operator.
const NAMES_MAX: usize = 256;
/// Rounds for which a list of names is good.
const NAMES_ROUNDS: u32 = 30;
/// Until a vertex has run for so long, operators may still add metrics.
const NAMES_SETTLE_MS: u64 = 30_000;

/// A counter that a vertex feeds: descriptor, label, raw units in one exported unit.
type Counter = (&'static MetricDescriptor, (&'static str, &'static str), f64);

/// From `/jobs/:id`.
const COUNTERS: [Counter; 7] = [
    (&VERTEX_RECORDS, ("direction", "in"), 1.0),
    (&VERTEX_RECORDS, ("direction", "out"), 1.0),
    (&VERTEX_BYTES, ("direction", "in"), 1.0),
    (&VERTEX_BYTES, ("direction", "out"), 1.0),
    (&VERTEX_TIME, ("state", "busy"), MILLISECONDS),
    (&VERTEX_TIME, ("state", "idle"), MILLISECONDS),
    (&VERTEX_TIME, ("state", "backpressured"), MILLISECONDS),
];

/// From metrics of operators, which say nothing about whether all subtasks are in them.
pub(super) const OPERATOR_COUNTERS: [Wanted; 6] = [
    Wanted::Late,
    Wanted::SendErrors,
    Wanted::SourceRecords,
    Wanted::SourceBytes,
    Wanted::SentBytes,
    Wanted::SentRecords,
];

/// See the head of the file.
#[derive(Debug)]
pub(super) struct Vertex {
    pub(super) id: String,
    pub(super) label: Value,
    parallelism: Option<u64>,
    /// When its oldest subtask began, by the clock of the JobManager.
    start_unix_ms: Option<u64>,
    /// When values were taken last.
    counted_unix_ms: Option<u64>,
    has_restarted: bool,
    /// False while its metrics may still be those of the attempt before.
    is_settled: bool,
    work: Tally<7>,
    pub(super) operators: Tally<6>,
    names: Vec<(String, Wanted)>,
    has_source: bool,
    rounds_to_listing: u32,
    /// Of the last round, without operators that were not read.
    pub(super) numbers: BTreeMap<Wanted, Numbers>,
    watermark_lag: [Option<f64>; 2],
    /// Names of the splits that are left; none until they were asked for.
    coordinator_names: Option<Vec<String>>,
    splits_unassigned: Option<f64>,
}

impl Vertex {
    /// A vertex that was just seen for the first time.
    pub(super) fn new(id: &str, label: Value) -> Self {
        Self {
            id: id.to_owned(),
            label,
            parallelism: None,
            start_unix_ms: None,
            counted_unix_ms: None,
            has_restarted: false,
            is_settled: true,
            work: Tally::default(),
            operators: Tally::default(),
            names: Vec::new(),
            has_source: false,
            rounds_to_listing: 0,
            numbers: BTreeMap::new(),
            watermark_lag: [None; 2],
            coordinator_names: None,
            splits_unassigned: None,
        }
    }

    /// Takes what `/jobs/:id` says at `now`; `before` is the time of the round before.
    ///
    /// A JobManager answers with metrics of the round before: those of an attempt are taken from the
    /// second round on, in which nothing is lost, as they only grow.
    pub(super) fn record(&mut self, seen: &rest::Vertex, now: u64, before: Option<u64>) {
        self.parallelism = seen.parallelism.0;
        // Without a start no subtask of the present attempt runs yet.
        self.start_unix_ms = seen.start_time.0;
        let Some(start) = seen.start_time.0 else {
            self.is_settled = false;
            return;
        };
        if self.counted_unix_ms.is_some_and(|at| start > at) {
            self.work.restart();
            self.operators.restart();
            (self.counted_unix_ms, self.has_restarted, self.rounds_to_listing) = (None, true, 0);
        }
        let has_ended = seen.end_time.0.is_some();
        self.is_settled = !self.has_restarted || has_ended || before.is_some_and(|at| start <= at);
        if !self.is_settled {
            return;
        }
        for (index, (value, fall)) in values(&seen.metrics).into_iter().enumerate() {
            self.work.record(index, value, fall);
        }
        self.counted_unix_ms = Some(now);
    }

    /// Forgets what is only true for the moment.
    pub(super) fn forget_present(&mut self) {
        self.numbers.clear();
        (self.watermark_lag, self.splits_unassigned) = ([None; 2], None);
    }

    /// Reads the metrics of its tasks and operators below `base`, the path of the job.
    pub(super) async fn read(
        &mut self,
        base: &str,
        further: &[String],
        now: u64,
        round: &mut Round<'_>,
    ) -> Result<(), HttpError> {
        self.numbers.clear();
        self.watermark_lag = [None; 2];
        let base = format!("{base}/vertices/{}/subtasks/metrics", self.id);
        if self.rounds_to_listing == 0 {
            let listed: Option<List<Metric>> = round.part(&base).await?;
            self.choose(&listed.unwrap_or_default(), further, &base, now, round);
        }
        self.rounds_to_listing = self.rounds_to_listing.saturating_sub(1);
        let wanted: BTreeMap<String, Wanted> = self.names.iter().cloned().collect();
        let mut is_whole = true;
        for path in paths(&base, self.names.iter().map(|(id, _)| id.as_str())) {
            let Some(answer) = round.part::<List<Aggregate>>(&path).await? else {
                is_whole = false;
                continue;
            };
            for aggregate in answer.iter() {
                let Some(wanted) = wanted.get(&aggregate.id) else { continue };
                self.take(aggregate, *wanted, now);
            }
        }
        if is_whole && self.is_settled {
            for (index, wanted) in OPERATOR_COUNTERS.into_iter().enumerate() {
                let sum = self.numbers.get(&wanted).and_then(|numbers| numbers.sum);
                self.operators.record(index, sum.map(|sum| sum as u64), Fall::Gap);
            }
        }
        Ok(())
    }

    fn choose(
        &mut self,
        listed: &[Metric],
        further: &[String],
        base: &str,
        now: u64,
        round: &mut Round<'_>,
    ) {
        let wanted = listed
            .iter()
            .filter_map(|metric| Some((metric.id.clone(), Wanted::of(&metric.id, further)?)));
        let (mut names, unusable): (Vec<_>, Vec<_>) = wanted.partition(|(id, _)| fits(base, id));
        names.sort();
        let n_cut = unusable.len() + names.len().saturating_sub(NAMES_MAX);
        round.meter.cut(Cut::Entry, n_cut as u64);
        names.truncate(NAMES_MAX);
        self.has_source = listed.iter().any(|metric| Wanted::is_of_source(&metric.id));
        let age = self.start_unix_ms.map(|start| now.saturating_sub(start));
        // The first answers after a start are empty or have some of the names only.
        let is_final = !names.is_empty() && age.is_some_and(|age| age >= NAMES_SETTLE_MS);
        self.rounds_to_listing = if is_final { NAMES_ROUNDS } else { 1 };
        if !names.is_empty() {
            self.names = names;
        }
    }

    fn take(&mut self, aggregate: &Aggregate, wanted: Wanted, now: u64) {
        if wanted == Wanted::Watermark {
            // Before the first watermark it is Long.MIN_VALUE, after the last one Long.MAX_VALUE.
            let time = |number: rest::Real| number.known().filter(|ms| (1.0..9e15).contains(ms));
            let lag = |ms: f64| (now as f64 - ms) / MILLISECONDS;
            self.watermark_lag = [time(aggregate.max).map(lag), time(aggregate.min).map(lag)];
            return;
        }
        let numbers = Numbers::new(aggregate, wanted);
        let known = self.numbers.entry(wanted);
        known.and_modify(|before| *before = before.and(numbers)).or_insert(numbers);
    }

    /// Reads how many splits of its source nobody reads yet. Flink 1.20 and later.
    pub(super) async fn read_splits(
        &mut self,
        base: &str,
        round: &mut Round<'_>,
    ) -> Result<(), HttpError> {
        if !self.has_source {
            return Ok(());
        }
        let base = format!("{base}/vertices/{}/jm-operator-metrics", self.id);
        if self.coordinator_names.as_ref().is_none_or(Vec::is_empty) {
            let Some(listed) = round.part::<List<Metric>>(&base).await? else {
                self.has_source = false;
                return Ok(());
            };
            let is_wanted = |id: &&str| id.ends_with(".unassignedSplits") && fits(&base, id);
            let names = listed.iter().map(|metric| metric.id.as_str()).filter(is_wanted);
            self.coordinator_names = Some(names.take(NAMES_MAX).map(str::to_owned).collect());
        }
        let mut sum = None;
        for path in paths(&base, self.coordinator_names.iter().flatten().map(String::as_str)) {
            let answer: Option<List<Metric>> = round.part(&path).await?;
            for value in answer.unwrap_or_default().iter().filter_map(|it| it.value.known()) {
                sum = Some(sum.unwrap_or(0.0) + value);
            }
        }
        self.splits_unassigned = sum;
        Ok(())
    }

    /// The highest lag of its watermarks in seconds.
    pub(super) fn watermark_lag(&self) -> Option<f64> {
        self.watermark_lag[1]
    }

    /// Adds the counters of `/jobs/:id` to `totals`.
    pub(super) fn add_work(&self, totals: &mut [Option<f64>; 9]) {
        let of_work = (0..COUNTERS.len()).map(|index| self.work.total(index));
        let of_operators = [self.operators.total(0), self.operators.total(1)];
        for (total, value) in totals.iter_mut().zip(of_work.chain(of_operators)) {
            if let Some(value) = value {
                *total = Some(total.unwrap_or(0.0) + value as f64);
            }
        }
    }

    /// Adds its samples.
    pub(super) fn push(&self, further: &[Value], samples: &mut Vec<Sample>) {
        let mut totals = [None; 9];
        self.add_work(&mut totals);
        push_work(&self.label, &totals, samples);
        let mut add = |descriptor, labels: &[(&'static str, Value)], value: Option<f64>| {
            let Some(value) = value else { return };
            let mut all = vec![("vertex", self.label.clone())];
            all.extend_from_slice(labels);
            samples.push(Sample::number(descriptor, all, value));
        };
        add(&VERTEX_PARALLELISM, &[], self.parallelism.map(|n| n as f64));
        add(&SOURCE_SPLITS, &[], self.splits_unassigned);
        for (stat, lag) in ["min", "max"].into_iter().zip(self.watermark_lag) {
            add(&VERTEX_WATERMARK_LAG, &[("stat", Value::literal(stat))], lag);
        }
        let numbers = |wanted| self.numbers.get(&wanted).copied().unwrap_or_default();
        for plain in &PLAIN {
            let numbers = numbers(plain.wanted);
            let label = plain.label.map(|(name, value)| (name, Value::literal(value)));
            if let Some(one) = plain.one {
                add(plain.descriptor, label.as_slice(), one(&numbers).map(|it| it / plain.divisor));
            }
            for (stat, read) in plain.statistics {
                let value = read(&numbers).map(|it| it / plain.divisor);
                add(plain.descriptor, &[("stat", Value::literal(stat))], value);
            }
        }
        for (dimension, skew) in
            [("busy", self.skew(Wanted::Busy)), ("records", self.records_skew())]
        {
            add(&VERTEX_SKEW, &[("dimension", Value::literal(dimension))], skew);
        }
        for (index, name) in further.iter().enumerate() {
            let numbers = numbers(Wanted::Further(index));
            for (stat, value) in [("max", numbers.max), ("sum", numbers.sum)] {
                let labels = [("metric", name.clone()), ("stat", Value::literal(stat))];
                add(&VERTEX_METRIC, &labels, value);
            }
        }
    }

    fn records_skew(&self) -> Option<f64> {
        self.skew(Wanted::RecordsIn).or_else(|| self.skew(Wanted::RecordsOut))
    }

    /// Flink 1.20 has a number of its own for this, which says nothing of the hottest subtask.
    fn skew(&self, wanted: Wanted) -> Option<f64> {
        let numbers = self.numbers.get(&wanted)?;
        share(numbers.max, numbers.avg)
    }
}

/// Adds the counters of one vertex, or of several under one label.
pub(super) fn push_work(label: &Value, totals: &[Option<f64>; 9], samples: &mut Vec<Sample>) {
    for ((descriptor, (name, value), divisor), total) in COUNTERS.iter().zip(totals) {
        let Some(total) = total else { continue };
        let labels = vec![("vertex", label.clone()), (*name, Value::literal(value))];
        samples.push(Sample::number(descriptor, labels, total / divisor));
    }
    for (descriptor, total) in [(&VERTEX_LATE, totals[7]), (&SINK_ERRORS, totals[8])] {
        let Some(total) = total else { continue };
        samples.push(Sample::number(descriptor, vec![("vertex", label.clone())], total));
    }
}

/// The fields in the order of [`COUNTERS`]. Where a sum is not complete, some TaskManager is missing.
fn values(metrics: &InputOutput) -> [(Option<u64>, Fall); 7] {
    let complete =
        |value: rest::Number, is_complete: bool| (value.0.filter(|_| is_complete), Fall::Restart);
    let time = |value: rest::Number| (value.0, Fall::Gap);
    [
        complete(metrics.read_records, metrics.read_records_complete),
        complete(metrics.write_records, metrics.write_records_complete),
        complete(metrics.read_bytes, metrics.read_bytes_complete),
        complete(metrics.write_bytes, metrics.write_bytes_complete),
        time(metrics.accumulated_busy_time),
        time(metrics.accumulated_idle_time),
        time(metrics.accumulated_backpressured_time),
    ]
}
