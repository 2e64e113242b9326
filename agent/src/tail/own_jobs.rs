//! Records that bear the id of their own job, in the file of a process that serves several: a
//! TaskManager of Flink. A batch has one resource, so a sealed one is parted by job.

use super::batch::{Abandoned, Emit};
use super::fingerprint::Digest;
use crate::identity::Identity;
use crate::model::{Coverage, LogBatch, LogRecord, Position, Resource};
use crate::scrape::Job;
use crate::telemetry;
use redaction::{Text, Value};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::watch;

/// Jobs that one batch is parted by; the records of all others stay with those that name none.
const JOBS_MAX: usize = 32;
/// Resources that are kept, over all files. Over it, they are made anew.
const KNOWN_MAX: usize = 1_024;

/// Parts batches by the jobs that their records name.
#[derive(Debug)]
pub(super) struct OwnJobs {
    identity: Arc<Identity>,
    jobs: watch::Receiver<Arc<Vec<Job>>>,
    /// The jobs that `known` was made from.
    applied: Arc<Vec<Job>>,
    /// By the address of the resource of the file, and job id.
    known: BTreeMap<(usize, [u8; 32]), Known>,
}

#[derive(Debug)]
struct Known {
    /// Held so that its address is not given to another resource.
    _file: Arc<Resource>,
    /// None when the records belong to the resource of the file.
    own: Option<Arc<Resource>>,
}

impl OwnJobs {
    pub(super) fn new(identity: Arc<Identity>, jobs: watch::Receiver<Arc<Vec<Job>>>) -> Self {
        Self { identity, jobs, applied: Arc::default(), known: BTreeMap::new() }
    }

    /// Hands `logs` over in one part for each job, and at last what is of no other job, with
    /// `position`. A batch that names no job goes through as it is; finding that out is all it costs.
    pub(super) fn hand_over(
        &mut self,
        mut logs: LogBatch,
        position: Position,
        emit: &mut Emit<'_>,
    ) -> Result<(), Abandoned> {
        if logs.records.iter().all(|record| record.job_id.is_empty()) {
            return emit(logs, position);
        }
        self.refresh();
        let mut parts: BTreeMap<[u8; 32], Part> = BTreeMap::new();
        let mut kept = Vec::with_capacity(logs.records.len());
        for record in std::mem::take(&mut logs.records) {
            let id = <[u8; 32]>::try_from(logs.text.get(&record.job_id));
            let resource = id.ok().and_then(|id| Some((id, self.resource(&logs.resource, id)?)));
            match resource {
                Some((id, resource)) if parts.contains_key(&id) || parts.len() < JOBS_MAX => {
                    parts.entry(id).or_insert_with(|| Part::new(resource)).add(&logs.text, record);
                }
                Some(_) => {
                    telemetry::UNTOLD_JOB_RECORDS.add(1);
                    kept.push(record);
                }
                None => kept.push(record),
            }
        }
        if kept.is_empty() && parts.len() == 1 {
            // All of one job: only its resource changes.
            if let Some((_, part)) = parts.pop_first() {
                let covers = logs.covers;
                return emit(LogBatch { covers, ..part.into_batch(None) }, position);
            }
        }
        // What comes first settles nothing: the last part does, and lanes keep the order.
        let nothing = Position { file: position.file, offset: 0, frontier: Digest::of(b"") };
        let covers = logs.covers.map(|it| Coverage { to: it.from, n_dropped: 0, ..it });
        for part in parts.into_values() {
            emit(part.into_batch(covers), nothing)?;
        }
        emit(LogBatch { records: kept, ..logs }, position)
    }

    fn refresh(&mut self) {
        let jobs = self.jobs.borrow().clone();
        if !Arc::ptr_eq(&jobs, &self.applied) || self.known.len() >= KNOWN_MAX {
            self.applied = jobs;
            self.known.clear();
        }
    }

    /// Whose a record is that names job `id`, unless it is the file's own.
    fn resource(&mut self, file: &Arc<Resource>, id: [u8; 32]) -> Option<Arc<Resource>> {
        let key = (Arc::as_ptr(file) as usize, id);
        let known = self.known.entry(key).or_insert_with(|| {
            // The digits were checked when the record was parsed.
            let id = Value::restore(&id);
            let is_other = file.job_id.as_ref() != Some(&id);
            let own = is_other.then(|| self.identity.own_job(file, &id, &self.applied)).flatten();
            Known { _file: file.clone(), own: own.map(Arc::new) }
        });
        known.own.clone()
    }
}

/// Records of one job out of a batch.
struct Part {
    resource: Arc<Resource>,
    text: Text,
    records: Vec<LogRecord>,
}

impl Part {
    fn new(resource: Arc<Resource>) -> Self {
        Self { resource, text: Text::default(), records: Vec::new() }
    }

    /// Takes a record over with all its bytes, which are redacted.
    fn add(&mut self, from: &Text, mut record: LogRecord) {
        let mut take = |range: &mut Range<u32>| {
            // Most fields are parts of one line, but those of JSON stand where they were decoded.
            if range.start < range.end {
                *range = self.text.restore(from.get(range));
            }
        };
        let LogRecord { body, logger, thread, exception_type, trace_id, span_id, .. } = &mut record;
        for range in [body, logger, thread, exception_type, trace_id, span_id] {
            take(range);
        }
        record.job_id = 0..0;
        self.records.push(record);
    }

    fn into_batch(self, covers: Option<Coverage>) -> LogBatch {
        LogBatch { resource: self.resource, text: self.text, records: self.records, covers }
    }
}

#[cfg(test)]
mod tests;
