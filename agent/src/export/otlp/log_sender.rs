//! Sends batches of log records: as many whole ones in a request as fit, and what does not fit in
//! parts.

use super::config::REQUEST_BYTES_MIN;
use super::exchange::{Exchange, FRAME};
use super::failure::{Class, Failure};
use super::logs::{LogEncoder, new_message};
use super::pace::{Pace, out_of_time};
use crate::export::lane::Work;
use crate::export::{Answer, ExportError, Refused};
use crate::model::{BatchKey, LogBatch};
use redaction::Value;
use std::collections::HashMap;
use std::ops::Range;

/// Batches whose progress is remembered after a failure. Only those have any that are longer than a
/// request.
const REMEMBERED_MAX: usize = 64;

/// What of a batch is left to do, when a part of it is done with.
#[derive(Debug, Clone)]
struct Progress {
    work: Work,
    refused: Vec<Refused>,
}

/// See the head of the file.
#[derive(Debug)]
pub(super) struct LogSender {
    exchange: Exchange,
    encoder: LogEncoder,
    /// What the receiver takes, as far as it is known.
    bytes_max: usize,
    remembered: HashMap<BatchKey, Progress>,
    /// A batch that is encoded and did not fit into the last request.
    carried: Option<(BatchKey, Vec<u8>)>,
    /// Batches that were refused together, each of which is asked for alone.
    n_alone: usize,
}

impl LogSender {
    pub(super) fn new(exchange: Exchange, encoder: LogEncoder, bytes_max: usize) -> Self {
        let remembered = HashMap::new();
        Self { exchange, encoder, bytes_max, remembered, carried: None, n_alone: 0 }
    }

    /// Delivers the first of these batches, as many as one request holds. What it does not answer for
    /// comes again: so no answer waits for a request that may never end.
    pub(super) async fn deliver(&mut self, batches: &[&LogBatch]) -> Vec<Answer> {
        let Some(first) = batches.first() else { return Vec::new() };
        let mut message = new_message();
        let n_together = if self.n_alone > 0 { 0 } else { self.fill(batches, &mut message) };
        if n_together > 0 {
            let bytes = message.len() - FRAME;
            let time = self.exchange.time();
            let Err(failure) = self.exchange.send(message, time).await else {
                return (0..n_together).map(|_| Ok(Vec::new())).collect();
            };
            match failure.class {
                Class::TooLarge if bytes > REQUEST_BYTES_MIN => self.learn(bytes),
                Class::TooLarge | Class::Refused if n_together > 1 => {}
                _ => return vec![Err(failure.into())],
            }
            self.n_alone = n_together;
        }
        self.n_alone = self.n_alone.saturating_sub(1);
        vec![self.deliver_one(first).await]
    }

    /// Puts whole batches into a message; returns how many fit. The first that does not is kept for
    /// the next request.
    fn fill(&mut self, batches: &[&LogBatch], message: &mut Vec<u8>) -> usize {
        let carried = self.carried.take();
        for (n_batches, logs) in batches.iter().enumerate() {
            let key = logs.key();
            if self.remembered.contains_key(&key) {
                return n_batches;
            }
            let length = message.len();
            match &carried {
                Some((known, encoded)) if n_batches == 0 && *known == key => {
                    message.extend_from_slice(encoded);
                }
                _ => self.encoder.encode(logs, 0..logs.records.len(), message),
            }
            if message.len() - FRAME > self.bytes_max {
                if n_batches > 0 {
                    self.carried = Some((key, message.split_off(length)));
                }
                return n_batches;
            }
        }
        batches.len()
    }

    /// Delivers one batch, in parts when it is longer than a request.
    async fn deliver_one(&mut self, logs: &LogBatch) -> Answer {
        let (key, n_records) = (logs.key(), logs.records.len());
        let begun = self.remembered.get(&key).cloned();
        let new = || Progress { work: Work::new(n_records), refused: Vec::new() };
        let mut progress = begun.unwrap_or_else(new);
        let mut pace = Pace::new(self.exchange.time());
        while let Some(range) = progress.work.next() {
            if !pace.has_room() {
                return Err(out_of_time(&self.exchange).into());
            }
            let (is_whole, is_alone) = (range.len() == n_records, range.len() == 1);
            let mut message = new_message();
            self.encoder.encode(logs, range.clone(), &mut message);
            let bytes = message.len() - FRAME;
            if bytes > self.bytes_max && !is_alone {
                progress.work.split();
                continue;
            }
            let sent = if bytes > self.bytes_max {
                Err(self.too_long(bytes))
            } else {
                pace.time(self.exchange.send(message, pace.left())).await
            };
            let failure = match sent {
                Ok(()) => {
                    progress.work.pass();
                    self.remember(&key, &progress);
                    continue;
                }
                Err(failure) => failure,
            };
            match failure.class {
                Class::Transient | Class::Denied => return Err(failure.into()),
                Class::TooLarge if !is_alone && bytes > REQUEST_BYTES_MIN => {
                    self.learn(bytes);
                    progress.work.split();
                }
                // The lane finds out which records are to blame, with the batch safe in its spool.
                Class::TooLarge | Class::Refused if is_whole => {
                    return Err(ExportError::Rejected { reason: failure.reason });
                }
                Class::TooLarge | Class::Refused => {
                    if !progress.work.halve() {
                        progress.give_up(range, &failure.reason);
                    }
                    self.remember(&key, &progress);
                }
            }
        }
        self.remembered.remove(&key);
        Ok(progress.refused)
    }

    /// The receiver takes less than was thought.
    fn learn(&mut self, bytes: usize) {
        let bytes_max = (bytes / 2).max(REQUEST_BYTES_MIN);
        if bytes_max < self.bytes_max {
            self.bytes_max = bytes_max;
            let what = "the receiver takes no request of this size; lower request_bytes_max";
            tracing::warn!(bytes, now_at_most = bytes_max, "{what}");
        }
    }

    fn too_long(&self, bytes: usize) -> Failure {
        let told = format!(
            "one record makes a request of {bytes} bytes, and request_bytes_max is {}",
            self.bytes_max
        );
        Failure::own(Class::TooLarge, &told, self.exchange.cleaner())
    }

    /// Keeps what is done of a batch of which something is left: whoever waits for it may give up.
    fn remember(&mut self, key: &BatchKey, progress: &Progress) {
        if progress.work.next().is_none() {
            return;
        }
        if self.remembered.len() >= REMEMBERED_MAX && !self.remembered.contains_key(key) {
            // What is forgotten arrives twice.
            self.remembered.clear();
        }
        self.remembered.insert(key.clone(), progress.clone());
    }
}

impl Progress {
    fn give_up(&mut self, range: Range<usize>, reason: &Value) {
        let refused = |record| Refused { record, reason: reason.clone() };
        self.refused.extend(range.map(refused));
        self.work.pass();
    }
}
