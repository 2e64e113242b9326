//! The batch at the head of a lane: the next to be delivered.

use super::work::Work;
use crate::model::{Batch, LogRecord, Signal};
use std::sync::Arc;

/// Where the batch stands while it is being delivered.
#[derive(Debug)]
enum Held {
    /// In memory only; the log file still has it.
    Live(Arc<Batch>),
    /// A copy of what is in the spool, or of a part of a live batch.
    Copy(Signal),
}

/// A batch and what of it is left to do.
#[derive(Debug)]
pub(super) struct Head {
    held: Held,
    /// What it is in memory; none of one that came out of the spool.
    pub(super) live: Option<Arc<Batch>>,
    pub(super) work: Work,
    /// All records of a copy, once it is sent in parts.
    records: Vec<LogRecord>,
}

impl Head {
    pub(super) fn live(batch: Arc<Batch>) -> Self {
        let work = Work::new(batch.signal.len());
        Self { held: Held::Live(batch.clone()), live: Some(batch), work, records: Vec::new() }
    }

    pub(super) fn spooled(signal: Signal) -> Self {
        let work = Work::new(signal.len());
        Self { held: Held::Copy(signal), live: None, work, records: Vec::new() }
    }

    /// True while nothing of it is delivered or halved.
    pub(super) fn is_untouched(&self) -> bool {
        matches!(self.held, Held::Live(_))
    }

    pub(super) fn is_spooled(&self) -> bool {
        self.live.is_none()
    }

    /// What is to be sent next.
    pub(super) fn signal(&self) -> &Signal {
        match &self.held {
            Held::Live(batch) => &batch.signal,
            Held::Copy(signal) => signal,
        }
    }

    /// Halves what was refused; false when it is to be given up as it is.
    pub(super) fn halve(&mut self) -> bool {
        if let (Held::Live(batch), true) = (&self.held, self.signal().len() > 1) {
            let Some(logs) = batch.signal.logs() else { return false };
            self.held = Held::Copy(Signal::Logs(logs.clone()));
        }
        if !self.work.halve() {
            return false;
        }
        if let (Held::Copy(Signal::Logs(logs)), true) = (&mut self.held, self.records.is_empty()) {
            self.records = std::mem::take(&mut logs.records);
        }
        self.show_next();
        true
    }

    /// What was to be sent next is delivered, or kept elsewhere. True when nothing is left.
    pub(super) fn pass(&mut self) -> bool {
        self.work.pass();
        self.show_next();
        self.work.next().is_none()
    }

    /// Puts the records that are next into the copy.
    fn show_next(&mut self) {
        let Some(range) = self.work.next() else { return };
        if let (Held::Copy(Signal::Logs(logs)), false) = (&mut self.held, self.records.is_empty()) {
            logs.records = self.records[range].to_vec();
        }
    }
}
