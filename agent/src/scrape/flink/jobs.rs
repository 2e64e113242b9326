//! All jobs that are known: their slots, their ends, and whose series are shown.

use super::job::{Context, FlinkJob};
use super::rest::ListedJob;
use crate::scrape::Scraped;
use crate::scrape::meter::Meter;
use crate::scrape::runs::{self, Histories, Moment, Outcome, Run};
use redaction::Value;
use std::collections::BTreeMap;
use std::time::Duration;

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
        runs::is_full(&self.by_id)
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
        job.slot = runs::free_slot(&self.by_id, &job.job.job_name, job.slot);
        (job.ended, job.job.end_unix_ms) = (None, None);
        self.by_id.insert(id.clone(), job);
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
        job.end(now.instant, end_unix_ms, outcome, meter);
        self.histories.finish(&job.job, outcome, meter);
    }

    /// Writes jobs and samples, and lets go of jobs that ended `linger` ago.
    pub(super) fn publish(&mut self, now: Moment, linger: Duration, out: &mut Scraped) {
        for id in runs::expired(&self.by_id, now, linger) {
            let owns = runs::owns_series(&self.by_id, &id);
            let Some(mut job) = self.by_id.remove(&id) else { continue };
            out.spans.extend(job.take_spans());
            if owns {
                out.metrics.push(job.empty_batch(now.unix_ms));
            }
        }
        for job in self.by_id.values_mut() {
            out.spans.extend(job.take_spans());
        }
        for (id, job) in &self.by_id {
            out.jobs.push(job.job.clone());
            if runs::owns_series(&self.by_id, id) {
                out.metrics.push(job.batch());
            }
        }
        out.metrics.extend(self.histories.batches(now.unix_ms));
    }
}
