//! What a destination that adds up has of every counter: the totals up to which their growth was
//! delivered.

use crate::model::metric::Histogram;
use crate::model::{MetricBatch, SampleValue};
use redaction::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A job that was not seen for this long gives its room to another one.
const IDLE_MS: u64 = 3_600_000;

/// Names and values, sorted.
pub(super) type Labels = Vec<(&'static str, Value)>;
/// One series of one job.
pub(super) type SeriesKey = (&'static str, Labels);

/// One run of one job, or the history of a job name: the labels of its batch, and its start.
///
/// The start is part of it, so that the next run in the same slot begins anew, and a batch of the
/// run before that comes late still finds what is delivered of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct JobKey {
    labels: Labels,
    created_unix_ms: u64,
}

impl JobKey {
    pub(super) fn of(batch: &MetricBatch) -> Self {
        Self { labels: sorted(&batch.labels), created_unix_ms: batch.created_unix_ms }
    }
}

/// Labels in an order that does not depend on who made them.
pub(super) fn sorted(labels: &[(&'static str, Value)]) -> Labels {
    let mut labels = labels.to_vec();
    labels.sort_unstable();
    labels
}

/// Delivered totals of all jobs, bounded in number.
#[derive(Debug)]
pub(super) struct Delivered {
    jobs: BTreeMap<JobKey, Job>,
    /// Jobs and series that are held.
    size: usize,
    size_max: usize,
    /// Jobs that started before were maybe delivered in part by an agent before this one.
    watched_since_unix_ms: u64,
    /// Jobs that started up to here were maybe delivered in part and forgotten.
    forgotten_created_max: Option<u64>,
}

#[derive(Debug)]
struct Job {
    totals: BTreeMap<SeriesKey, Total>,
    seen_unix_ms: u64,
    /// Its series were taken away, or there is a later run with the same labels.
    is_over: bool,
    /// Time of the last batch that was delivered.
    delivered_unix_ms: Option<u64>,
}

#[derive(Debug)]
struct Total {
    value: SampleValue,
    /// When the value was that; none for one that counts from the start of its job.
    since_unix_ms: Option<u64>,
}

impl Delivered {
    /// Nothing is delivered; holds `size_max` jobs and series together.
    pub(super) fn new(watched_since_unix_ms: u64, size_max: usize) -> Self {
        let jobs = BTreeMap::new();
        Self { jobs, size: 0, size_max, watched_since_unix_ms, forgotten_created_max: None }
    }

    /// Takes note that `key` is there, and that earlier runs with its labels are over.
    pub(super) fn see(&mut self, key: &JobKey, now_unix_ms: u64) {
        let first = JobKey { labels: key.labels.clone(), created_unix_ms: 0 };
        for (_, earlier) in self.jobs.range_mut(&first..key) {
            earlier.is_over = true;
        }
        if let Some(job) = self.jobs.get_mut(key) {
            (job.seen_unix_ms, job.is_over) = (now_unix_ms, false);
        } else if self.has_room(key, now_unix_ms) {
            let totals = BTreeMap::new();
            let job =
                Job { totals, seen_unix_ms: now_unix_ms, is_over: false, delivered_unix_ms: None };
            self.jobs.insert(key.clone(), job);
            self.size += 1;
        }
    }

    /// Takes note that the series of `key` were taken away.
    ///
    /// Its totals stay while there is room: a UI that was out of reach for long may come back.
    pub(super) fn finish(&mut self, key: &JobKey) {
        if let Some(job) = self.jobs.get_mut(key) {
            job.is_over = true;
        }
    }

    /// True if a batch of this job and time was delivered.
    pub(super) fn is_repeat(&self, key: &JobKey, time_unix_ms: u64) -> bool {
        self.jobs.get(key).is_some_and(|job| job.delivered_unix_ms == Some(time_unix_ms))
    }

    /// The total up to which `series` is delivered; `value` is its present one. `None` when there
    /// is no room for it.
    ///
    /// A series that was not seen before counts from 0 if all of it happened under our eyes. Else
    /// it counts from `value`: too little is better than twice.
    pub(super) fn total(
        &mut self,
        key: &JobKey,
        series: &SeriesKey,
        value: &SampleValue,
        is_counted_by_agent: bool,
        now_unix_ms: u64,
    ) -> Option<&SampleValue> {
        let is_known = self.jobs.get(key)?.totals.contains_key(series);
        if !is_known && !self.has_room(key, now_unix_ms) {
            return None;
        }
        let is_watched = is_counted_by_agent || key.created_unix_ms >= self.watched_since_unix_ms;
        let is_new = self.forgotten_created_max.is_none_or(|max| key.created_unix_ms > max);
        let job = self.jobs.get_mut(key)?;
        if !is_known {
            let start = if is_watched && is_new {
                Total { value: zero(value), since_unix_ms: None }
            } else {
                Total { value: value.clone(), since_unix_ms: Some(now_unix_ms) }
            };
            job.totals.insert(series.clone(), start);
            self.size += 1;
        }
        job.totals.get(series).map(|total| &total.value)
    }

    /// Since when a series has grown by what is not delivered of it; none: since its job began.
    pub(super) fn since_unix_ms(&self, key: &JobKey, series: &SeriesKey) -> Option<u64> {
        self.jobs.get(key)?.totals.get(series)?.since_unix_ms
    }

    /// Takes note that everything up to `totals` is delivered, with a batch of `time_unix_ms`.
    ///
    /// Totals never go down: a batch that comes late, or a ledger that was begun again for the same
    /// run, adds nothing until it is above what was delivered.
    pub(super) fn raise(
        &mut self,
        key: &JobKey,
        time_unix_ms: u64,
        totals: Vec<(SeriesKey, SampleValue)>,
    ) {
        let Some(job) = self.jobs.get_mut(key) else { return };
        job.delivered_unix_ms = job.delivered_unix_ms.max(Some(time_unix_ms));
        for (series, value) in totals {
            let Some(total) = job.totals.get_mut(&series) else { continue };
            total.since_unix_ms = total.since_unix_ms.max(Some(time_unix_ms));
            if is_above(&value, &total.value) {
                total.value = value;
            }
        }
    }

    /// True if one more series fits; jobs that are over or idle are forgotten for it.
    fn has_room(&mut self, but: &JobKey, now_unix_ms: u64) -> bool {
        while self.size >= self.size_max {
            let may_go =
                |job: &Job| job.is_over || now_unix_ms.saturating_sub(job.seen_unix_ms) >= IDLE_MS;
            let candidates = self.jobs.iter().filter(|(key, job)| *key != but && may_go(job));
            let oldest = candidates.min_by_key(|(_, job)| (!job.is_over, job.seen_unix_ms));
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { return false };
            self.forgotten_created_max = self.forgotten_created_max.max(Some(key.created_unix_ms));
            let n_series = self.jobs.remove(&key).map_or(0, |job| job.totals.len());
            self.size -= 1 + n_series;
        }
        true
    }
}

fn zero(value: &SampleValue) -> SampleValue {
    match value {
        SampleValue::Number(_) => SampleValue::Number(0.0),
        SampleValue::Histogram(now) => SampleValue::Histogram(Arc::new(Histogram::new(now.bounds))),
    }
}

fn is_above(value: &SampleValue, total: &SampleValue) -> bool {
    match (value, total) {
        (SampleValue::Number(value), SampleValue::Number(total)) => value > total,
        (SampleValue::Histogram(value), SampleValue::Histogram(total)) => {
            value.count() > total.count()
        }
        _ => false,
    }
}

/// What a counter grew by; never below 0.
pub(super) fn growth(value: f64, total: &SampleValue) -> f64 {
    match total {
        SampleValue::Number(total) => (value - total).max(0.0),
        SampleValue::Histogram(_) => 0.0,
    }
}

/// The observations that `total` does not have; none when it has as many.
pub(super) fn new_observations(value: &Histogram, total: &SampleValue) -> Histogram {
    let SampleValue::Histogram(total) = total else { return Histogram::new(value.bounds) };
    if value.count() <= total.count() {
        return Histogram::new(value.bounds);
    }
    let counts = value.counts.iter().zip(&total.counts);
    Histogram {
        bounds: value.bounds,
        counts: counts.map(|(now, before)| now.saturating_sub(*before)).collect(),
        sum: value.sum - total.sum,
    }
}

#[cfg(test)]
mod tests {
    use super::{Delivered, IDLE_MS, JobKey, growth};
    use crate::model::{MetricBatch, SampleValue};
    use redaction::Value;
    use std::sync::Arc;

    const WATCHED_SINCE: u64 = 1_000;

    fn key(slot: u64, created_unix_ms: u64) -> JobKey {
        let labels = vec![("slot", Value::number(slot))];
        JobKey::of(&MetricBatch {
            resource: Arc::default(),
            labels,
            created_unix_ms,
            time_unix_ms: 0,
            samples: vec![],
        })
    }

    /// Delivers `value` of the series `name` at `now` and returns what was new; `None`: no room.
    fn deliver(
        delivered: &mut Delivered,
        key: &JobKey,
        name: &'static str,
        value: f64,
        now: u64,
    ) -> Option<f64> {
        let series = (name, vec![]);
        delivered.see(key, now);
        let now_value = SampleValue::Number(value);
        let grown = growth(value, delivered.total(key, &series, &now_value, name == "own", now)?);
        delivered.raise(key, now, vec![(series, now_value)]);
        Some(grown)
    }

    #[test]
    fn a_job_counts_from_zero_if_it_started_under_our_eyes_or_is_counted_here() {
        let mut all = Delivered::new(WATCHED_SINCE, 100);
        assert_eq!(deliver(&mut all, &key(0, 1_000), "a", 5.0, 1), Some(5.0));
        assert_eq!(deliver(&mut all, &key(0, 1_000), "a", 7.0, 2), Some(2.0));
        assert_eq!(deliver(&mut all, &key(1, 999), "a", 5.0, 1), Some(0.0));
        assert_eq!(deliver(&mut all, &key(1, 999), "a", 7.0, 2), Some(2.0));
        assert_eq!(deliver(&mut all, &key(1, 999), "own", 3.0, 2), Some(3.0));
    }

    #[test]
    fn the_next_run_in_a_slot_begins_anew_and_late_batches_add_nothing() {
        let mut all = Delivered::new(WATCHED_SINCE, 100);
        assert_eq!(deliver(&mut all, &key(0, 2_000), "a", 9.0, 1), Some(9.0));
        assert_eq!(deliver(&mut all, &key(0, 3_000), "a", 4.0, 2), Some(4.0));
        assert_eq!(deliver(&mut all, &key(0, 2_000), "a", 8.0, 3), Some(0.0));
        assert_eq!(deliver(&mut all, &key(0, 2_000), "a", 9.0, 4), Some(0.0));
        assert_eq!(deliver(&mut all, &key(0, 2_000), "a", 10.0, 5), Some(1.0));
        assert_eq!(deliver(&mut all, &key(0, 3_000), "a", 6.0, 6), Some(2.0));
    }

    #[test]
    fn a_full_set_keeps_live_jobs_and_forgets_those_that_are_over_first() {
        let mut all = Delivered::new(WATCHED_SINCE, 4);
        assert!(deliver(&mut all, &key(0, 2_000), "a", 1.0, 1).is_some());
        assert!(deliver(&mut all, &key(1, 3_000), "a", 1.0, 2).is_some());
        assert_eq!(deliver(&mut all, &key(2, 4_000), "a", 1.0, 3), None, "full");
        assert_eq!(deliver(&mut all, &key(0, 2_000), "b", 1.0, 3), None, "full");
        assert_eq!(deliver(&mut all, &key(0, 2_000), "a", 2.0, 3), Some(1.0), "known");
        all.finish(&key(1, 3_000));
        assert_eq!(deliver(&mut all, &key(2, 4_000), "a", 5.0, 4), Some(5.0));
        assert_eq!(all.size, 4);
        // Slot 0 is idle by now. Slot 1 comes back: what of it was delivered is not known any more.
        let late = 3 + IDLE_MS;
        assert_eq!(deliver(&mut all, &key(2, 4_000), "a", 5.0, late), Some(0.0));
        assert_eq!(deliver(&mut all, &key(1, 3_000), "a", 7.0, late), Some(0.0));
        assert_eq!(deliver(&mut all, &key(1, 3_000), "a", 8.0, late), Some(1.0));
        assert_eq!(all.size, 4);
    }

    #[test]
    fn an_earlier_run_with_the_same_labels_goes_before_any_other() {
        let mut all = Delivered::new(WATCHED_SINCE, 4);
        deliver(&mut all, &key(0, 2_000), "a", 1.0, 5);
        deliver(&mut all, &key(0, 3_000), "a", 1.0, 6);
        assert_eq!(deliver(&mut all, &key(1, 4_000), "a", 1.0, 7), Some(1.0));
        assert_eq!(deliver(&mut all, &key(0, 3_000), "a", 1.0, 8), Some(0.0), "still known");
    }
}
