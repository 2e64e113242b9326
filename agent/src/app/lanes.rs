//! The lanes of all exporters: one per exporter and signal.

use super::tail_thread::Left;
use super::{StartError, Undelivered, join_until};
use crate::config::Config;
use crate::export::lane::{Lane, Status, Stores};
use crate::export::{self, Troubles};
use crate::health::Health;
use crate::model::{Batch, SignalKind};
use crate::scrape::timer::Queues;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Lanes of one kind of signal that do not run yet.
#[derive(Default)]
pub(super) struct Idle {
    queues: Queues,
    troubles: Arc<Troubles>,
    lanes: Vec<(&'static str, Lane)>,
}

/// Lanes of one kind of signal.
#[derive(Debug)]
pub(super) struct Lanes {
    troubles: Arc<Troubles>,
    tasks: Vec<JoinHandle<Vec<Left>>>,
    statuses: Vec<(&'static str, Arc<Status>)>,
}

/// The lanes of all signals before they run.
pub(super) struct Prepared {
    pub(super) logs: Idle,
    pub(super) metrics: Idle,
    pub(super) spans: Idle,
}

/// Makes all lanes.
pub(super) fn prepare(
    config: &Config,
    shared: &export::Shared,
    health: &Arc<Health>,
) -> Result<Prepared, StartError> {
    let idle = || Idle { troubles: shared.troubles.clone(), ..Idle::default() };
    let mut prepared = Prepared { logs: idle(), metrics: idle(), spans: idle() };
    let queue_batches_max = config.limits.queue_batches_max;
    for (definition, section) in &config.exporters {
        let name = definition.name;
        let request_timeout = section.lane.request_timeout.0;
        for signal in section.signals(definition) {
            let exporter = section.exporter.build(&section.lane, shared)?;
            let lanes = match signal {
                SignalKind::Logs => {
                    let stores = Stores::open(&config.state_dir, name, &section.lane)?;
                    stores.say_what_is_left(name);
                    let shared = (config.redaction.clone(), health.clone());
                    prepared.logs.add(name, queue_batches_max, |queue| {
                        Lane::logs(name, exporter, queue, &section.lane, stores, shared)
                    });
                    continue;
                }
                SignalKind::Metrics => &mut prepared.metrics,
                SignalKind::Spans => &mut prepared.spans,
            };
            lanes.add(name, queue_batches_max, |queue| {
                Lane::in_memory((name, signal), exporter, queue, request_timeout)
            });
        }
    }
    Ok(prepared)
}

impl Idle {
    fn add(
        &mut self,
        name: &'static str,
        queue_batches_max: usize,
        lane: impl FnOnce(mpsc::Receiver<Arc<Batch>>) -> Lane,
    ) {
        let (queue, batches) = mpsc::channel(queue_batches_max);
        self.queues.push((name, queue));
        self.lanes.push((name, lane(batches)));
    }

    /// Starts the lanes; each delivers first what one of its name has left. Also where batches go in.
    pub(super) fn run(self, left: Vec<Left>) -> (Queues, Lanes) {
        let mut lanes = Lanes { troubles: self.troubles, tasks: Vec::new(), statuses: Vec::new() };
        let mut left = left;
        for (name, lane) in self.lanes {
            let (first, others) = left.into_iter().partition(|(exporter, _)| *exporter == name);
            left = others;
            let first: Vec<Left> = first;
            let first = first.into_iter().map(|(_, batch)| batch).collect();
            lanes.statuses.push((name, lane.status()));
            lanes.tasks.push(tokio::spawn(async move {
                let left = lane.with_first(first).run().await;
                left.into_iter().map(|batch| (name, batch)).collect()
            }));
        }
        if !left.is_empty() {
            tracing::warn!(
                batches = left.len(),
                "exporters that are not configured any more do not get what they have not taken"
            );
            tokio::spawn(async move {
                for (_, batch) in left {
                    batch.settle().await;
                }
            });
        }
        (self.queues, lanes)
    }
}

impl Lanes {
    /// Waits until all have ended, at most to the deadline; what they have neither delivered nor
    /// stored. None when one has not ended.
    pub(super) async fn join_until(&mut self, deadline: Instant) -> Option<Vec<Left>> {
        let left = join_until(deadline, &mut self.tasks).await?;
        Some(left.into_iter().flatten().collect())
    }

    /// Asks all to end soon.
    pub(super) fn stop(&self) {
        self.statuses.iter().for_each(|(_, status)| status.stop());
    }

    /// Asks all to end for those that follow.
    pub(super) fn hand_over(&self) {
        self.statuses.iter().for_each(|(_, status)| status.hand_over());
    }

    /// Ends those that have not ended.
    pub(super) async fn abort(&mut self, deadline: Instant) {
        self.tasks.iter().for_each(JoinHandle::abort);
        // One that is in a call of the system ends after it.
        while let Some(task) = self.tasks.pop() {
            let _ = tokio::time::timeout_at(deadline, task).await;
        }
    }

    /// True while what is in a spool goes out.
    pub(super) fn are_draining(&self) -> bool {
        self.statuses.iter().any(|(_, status)| status.is_draining())
    }

    /// True when nothing is on its way any more.
    pub(super) fn are_settled(&self) -> bool {
        self.statuses.iter().all(|(_, status)| status.is_settled())
    }

    /// What each exporter has not got.
    pub(super) fn undelivered(&self) -> Vec<Undelivered> {
        let undelivered = self.statuses.iter().map(|(name, status)| Undelivered {
            exporter: name,
            spooled_records: status.stored_records(),
            dead_letters: status.dead_letters(),
            dropped_records: status.dropped(),
            reason: self.troubles.of(name),
        });
        undelivered.collect()
    }

    /// What lanes that have ended handed back, when nobody goes on with it.
    pub(super) fn unsent(&self) -> Vec<Undelivered> {
        let unsent = self.statuses.iter().map(|(name, status)| Undelivered {
            exporter: name,
            spooled_records: 0,
            dead_letters: 0,
            dropped_records: status.unsent(),
            reason: self.troubles.of(name),
        });
        unsent.collect()
    }
}
