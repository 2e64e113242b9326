//! The tail has a thread of its own: reading files blocks, and tokio's threads must not.

use super::StartError;
use crate::checkpoint::Event;
use crate::log_events;
use crate::model::{Batch, LogBatch, Position};
use crate::scrape::timer::Queues;
use crate::tail::batch::Abandoned;
use crate::tail::{Stop, Tail};
use jiff::tz::TimeZone;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// One permit of the memory budget.
const BUDGET_UNIT: usize = 1024;

/// Batches that one look at a file may make.
const BATCHES_AT_ONCE: usize = 4;

/// A batch and the exporter that has not got it.
pub(super) type Left = (&'static str, Arc<Batch>);

/// The thread before it works: what may fail is behind it.
pub(super) struct Idle {
    work: std::sync::mpsc::Sender<Work>,
    stop: Arc<Stop>,
    ended: oneshot::Receiver<Option<Box<Tail>>>,
}

struct Work {
    tail: Box<Tail>,
    zone: TimeZone,
    emitter: Emitter,
}

/// The thread at work.
#[derive(Debug)]
pub(super) struct TailThread {
    stop: Arc<Stop>,
    budget: Arc<Semaphore>,
    left: Arc<Mutex<Vec<Left>>>,
    ended: oneshot::Receiver<Option<Box<Tail>>>,
    has_ended: bool,
}

impl Idle {
    /// Makes the thread. It ends when it gets nothing to do.
    pub(super) fn spawn() -> Result<Self, StartError> {
        let (work, given) = std::sync::mpsc::channel::<Work>();
        let (tell, ended) = oneshot::channel();
        let stop = Arc::new(Stop::new()?);
        let told = stop.clone();
        std::thread::Builder::new().name("tail".to_owned()).spawn(move || {
            let Ok(Work { tail, zone, emitter }) = given.recv() else { return };
            let mut emit = |logs, position| emitter.emit(logs, position);
            let tail = tail.run(zone, &told, &mut emit, &|| emitter.has_room());
            // Its senders end the lanes.
            drop(emitter);
            let _ = tell.send(tail);
        })?;
        Ok(Self { work, stop, ended })
    }

    /// Lets the tail work. `bytes_max` is for the batches that it has handed to `queues` and that are
    /// not delivered.
    pub(super) fn begin(
        self,
        tail: Box<Tail>,
        zone: TimeZone,
        bytes_max: u64,
        queues: Queues,
        events: mpsc::Sender<Event>,
    ) -> TailThread {
        let units = u32::try_from(bytes_max / BUDGET_UNIT as u64).unwrap_or(u32::MAX);
        let (budget, left) = (Arc::new(Semaphore::new(units as usize)), Arc::default());
        let emitter = Emitter {
            runtime: Handle::current(),
            stop: self.stop.clone(),
            budget: Arc::clone(&budget),
            budget_units: units,
            queues,
            events,
            left: Arc::clone(&left),
        };
        // The thread waits for it.
        let _ = self.work.send(Work { tail, zone, emitter });
        TailThread { stop: self.stop, budget, left, ended: self.ended, has_ended: false }
    }
}

impl TailThread {
    /// Waits until the tail has ended by itself. May be dropped and called again.
    pub(super) async fn ended(&mut self) {
        if !self.has_ended {
            let _ = (&mut self.ended).await;
            self.has_ended = true;
        }
    }

    /// Read what is there, hand it over, end.
    pub(super) fn drain(&self) {
        self.stop.drain();
    }

    /// The deadline is over: end now.
    pub(super) fn abandon(&self) {
        self.stop.abandon();
    }

    /// Asks the tail to end after this turn. It does not wait for lanes any more: what they do not
    /// take is left.
    pub(super) fn hand_over(&self) {
        self.stop.hand_over();
        self.budget.close();
    }

    /// The tail, and what no lane took, once it has ended after [`hand_over`](Self::hand_over);
    /// none when it has ended in another way.
    pub(super) async fn handed_over(&mut self) -> Option<(Box<Tail>, Vec<Left>)> {
        if self.has_ended {
            return None;
        }
        let tail = (&mut self.ended).await.ok().flatten();
        self.has_ended = true;
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        Some((tail?, std::mem::take(&mut left)))
    }
}

/// Hands sealed batches from the tail thread to every log lane.
struct Emitter {
    runtime: Handle,
    stop: Arc<Stop>,
    budget: Arc<Semaphore>,
    budget_units: u32,
    queues: Queues,
    events: mpsc::Sender<Event>,
    left: Arc<Mutex<Vec<Left>>>,
}

impl Emitter {
    /// True when what the tail reads at once can be handed over without waiting. Nothing more is to be
    /// read when another config goes on.
    fn has_room(&self) -> bool {
        if self.stop.is_handing_over() || self.stop.is_abandoned() {
            return false;
        }
        let n_needed = |queue: &mpsc::Sender<_>| queue.max_capacity().min(BATCHES_AT_ONCE);
        self.budget.available_permits() >= self.budget_units as usize / 8
            && self
                .queues
                .iter()
                .all(|(_, queue)| queue.is_closed() || queue.capacity() >= n_needed(queue))
    }

    fn emit(&self, logs: LogBatch, position: Position) -> Result<(), Abandoned> {
        log_events::count(&logs);
        let bytes = logs.text.len() + size_of_val(logs.records.as_slice());
        let units = u32::try_from(bytes / BUDGET_UNIT).unwrap_or(u32::MAX);
        let units = units.clamp(1, self.budget_units);
        // It is closed only for a hand-over, which is over in a moment.
        let permit = self.runtime.block_on(self.budget.clone().acquire_many_owned(units)).ok();
        let lanes = self.queues.len() as u32;
        let batch = Batch::logs(logs, position, lanes, self.events.clone(), permit);
        for (exporter, queue) in &self.queues {
            if queue.blocking_send(batch.clone()).is_ok() {
                continue;
            }
            if !self.stop.is_handing_over() {
                return Err(Abandoned);
            }
            let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
            left.push((*exporter, batch.clone()));
        }
        Ok(())
    }
}
