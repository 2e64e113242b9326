//! All jobs that are known: their slots, their ends, and whose series are shown.

use super::Moment;
use super::job::{Context, FlinkJob};
use super::rest::ListedJob;
use crate::scrape::Scraped;
use crate::scrape::meter::Meter;
use crate::scrape::runs::{Histories, Outcome};
use redaction::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// Jobs that are read at the same time.
const LIVE_MAX: usize = 64;
/// Jobs that ended and are still shown; the oldest go first.
const ENDED_MAX: usize = 64;

/// See the head of the file.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    by_id: BTreeMap<Value, FlinkJob>,
    histories: Histories,
}

impl Jobs {
    /// The job `id`.
    pub(super) fn get_mut(&mut self, id: &Value) -> Option<&mut FlinkJob> {
        self.by_id.get_mut(id)
    }

    /// True while `id` is known and has not ended.
    pub(super) fn is_live(&self, id: &Value) -> bool {
        self.by_id.get(id).is_some_and(FlinkJob::is_live)
    }

    /// True while `id` is known, ended or not.
    pub(super) fn is_known(&self, id: &Value) -> bool {
        self.by_id.contains_key(id)
    }

    /// Ids of those that have not ended.
    pub(super) fn live_ids(&self) -> impl Iterator<Item = &Value> {
        self.by_id.iter().filter(|(_, job)| job.is_live()).map(|(id, _)| id)
    }

    /// True when no more can be read.
    pub(super) fn is_full(&self) -> bool {
        self.by_id.values().filter(|job| job.is_live()).count() >= LIVE_MAX
    }

    /// Adds a job, or takes back the end of one whose JobManager was out of reach for a while. That end
    /// stays counted as unknown, which it was; a second end is counted again.
    pub(super) fn open(&mut self, id: &Value, listed: &ListedJob, context: &Context<'_>) {
        if self.is_live(id) {
            return;
        }
        let mut job = match self.by_id.remove(id) {
            Some(job) => job,
            None => FlinkJob::new(listed, context),
        };
        let taken = self.live_slots(&job.job.job_name);
        if taken.contains(&job.slot) {
            job.slot = (0..).find(|slot| !taken.contains(slot)).unwrap_or_default();
        }
        (job.ended, job.job.end_unix_ms) = (None, None);
        self.by_id.insert(id.clone(), job);
    }

    fn live_slots(&self, job_name: &Value) -> BTreeSet<u64> {
        let live = self.by_id.values().filter(|it| it.is_live() && it.job.job_name == *job_name);
        live.map(|job| job.slot).collect()
    }

    /// Ends the job `id`, if it lives.
    pub(super) fn end(
        &mut self,
        id: &Value,
        now: Moment,
        end_unix_ms: Option<u64>,
        outcome: Outcome,
        meter: &mut Meter,
    ) {
        let Some(job) = self.by_id.get_mut(id).filter(|job| job.is_live()) else { return };
        job.end(now.instant, end_unix_ms, outcome);
        self.histories.finish(&job.job, outcome, meter);
    }

    /// Writes jobs and samples, and lets go of jobs that ended `linger` ago.
    pub(super) fn publish(&mut self, now: Moment, linger: Duration, out: &mut Scraped) {
        for id in self.expired(now, linger) {
            let owns = self.owns_series(&id);
            let Some(job) = self.by_id.remove(&id) else { continue };
            if owns {
                out.metrics.push(job.empty_batch(now.unix_ms));
            }
        }
        for (id, job) in &self.by_id {
            out.jobs.push(job.job.clone());
            if self.owns_series(id) {
                out.metrics.push(job.batch());
            }
        }
        out.metrics.extend(self.histories.batches(now.unix_ms));
    }

    fn expired(&self, now: Moment, linger: Duration) -> Vec<Value> {
        let ended = self.by_id.iter().filter_map(|(id, job)| Some((job.ended?.at, id)));
        let mut ended: Vec<(Instant, &Value)> = ended.collect();
        ended.sort();
        let over = ended.len().saturating_sub(ENDED_MAX);
        let is_expired = |index: usize, at: Instant| {
            index < over || now.instant.saturating_duration_since(at) >= linger
        };
        let expired = ended.iter().enumerate().filter(|(index, (at, _))| is_expired(*index, *at));
        expired.map(|(_, (_, id))| (*id).clone()).collect()
    }

    /// True if the series of its name and slot are those of this job. A job that ended gives its slot
    /// to the next one, which may be there before the linger time is over.
    fn owns_series(&self, id: &Value) -> bool {
        let Some(this) = self.by_id.get(id) else { return false };
        let rank = |job: &FlinkJob| (job.is_live(), job.ended.map(|ended| ended.at));
        let mut others = self.by_id.iter().filter(|(other_id, other)| {
            *other_id != id && other.job.job_name == this.job.job_name && other.slot == this.slot
        });
        others.all(|(other_id, other)| (rank(other), other_id) < (rank(this), id))
    }
}
