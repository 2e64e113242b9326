//! Sends batches of samples and of spans.

use super::config::REQUEST_BYTES_MIN;
use super::exchange::{Exchange, FRAME};
use super::failure::{Class, Failure};
use super::logs::new_message;
use super::metrics::MetricEncoder;
use super::resource::Given;
use super::spans;
use crate::clock;
use crate::export::lane::Work;
use crate::model::{MetricBatch, SignalKind, SpanBatch};
use crate::telemetry::{self, RateLimit};
use std::ops::Range;

static REFUSED: RateLimit = RateLimit::new();

/// Sends samples.
#[derive(Debug)]
pub(super) struct MetricSender {
    pub(super) parts: Parts,
    pub(super) encoder: MetricEncoder,
}

/// Sends spans.
#[derive(Debug)]
pub(super) struct SpanSender {
    pub(super) parts: Parts,
    pub(super) given: Given,
}

/// What a receiver takes at a time.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) exchange: Exchange,
    pub(super) bytes_max: usize,
}

/// What became of one part.
enum Sent {
    Taken,
    /// Halve it and go on.
    Halve,
    /// It is given up; what is behind it is sent.
    GivenUp(Failure),
}

impl MetricSender {
    /// Delivers one batch. What fails in the middle is sent again from its beginning: an equal point of
    /// a gauge or a total changes nothing, and what was added is known for each metric.
    pub(super) async fn deliver(&mut self, batch: &MetricBatch) -> Result<(), Failure> {
        let now_unix_ms = clock::unix_ms();
        let mut prepared = self.encoder.prepare(batch, now_unix_ms);
        let mut work = Work::new(prepared.metrics.len());
        while let Some(range) = work.next().filter(|range| !range.is_empty()) {
            let mut message = new_message();
            prepared.encode(range.clone(), &mut message);
            match self.parts.send(message, &range, prepared.metrics.len()).await? {
                Sent::Taken => {
                    self.encoder.commit(&mut prepared, range);
                    work.pass();
                }
                Sent::Halve => {
                    work.split();
                }
                Sent::GivenUp(failure) => {
                    give_up(SignalKind::Metrics, range.len(), &failure);
                    work.pass();
                }
            }
        }
        Ok(())
    }
}

impl SpanSender {
    /// Delivers one batch. What fails in the middle is sent again from its beginning: the same work
    /// has the same ids.
    pub(super) async fn deliver(&mut self, batch: &SpanBatch) -> Result<(), Failure> {
        let mut work = Work::new(batch.spans.len());
        while let Some(range) = work.next().filter(|range| !range.is_empty()) {
            let mut message = new_message();
            spans::encode(batch, &batch.spans[range.clone()], &self.given, &mut message);
            match self.parts.send(message, &range, batch.spans.len()).await? {
                Sent::Taken => work.pass(),
                Sent::Halve => {
                    work.split();
                }
                Sent::GivenUp(failure) => {
                    give_up(SignalKind::Spans, range.len(), &failure);
                    work.pass();
                }
            }
        }
        Ok(())
    }
}

impl Parts {
    /// Sends what is `range` of a batch of `n_all`. One that is refused as a whole is for the lane to
    /// drop and count.
    async fn send(
        &mut self,
        message: Vec<u8>,
        range: &Range<usize>,
        n_all: usize,
    ) -> Result<Sent, Failure> {
        let bytes = message.len() - FRAME;
        let is_alone = range.len() == 1;
        if bytes > self.bytes_max && !is_alone {
            return Ok(Sent::Halve);
        }
        let Err(failure) = self.exchange.send(message).await else { return Ok(Sent::Taken) };
        match failure.class {
            Class::Transient | Class::Denied => Err(failure),
            Class::TooLarge if !is_alone && bytes > REQUEST_BYTES_MIN => {
                self.bytes_max = (bytes / 2).max(REQUEST_BYTES_MIN);
                Ok(Sent::Halve)
            }
            Class::TooLarge | Class::Refused if range.len() == n_all => {
                tell(n_all, &failure);
                Err(failure)
            }
            Class::TooLarge | Class::Refused => Ok(Sent::GivenUp(failure)),
        }
    }
}

/// Counts what is refused of a batch whose rest goes on.
fn give_up(kind: SignalKind, n_items: usize, failure: &Failure) {
    telemetry::OTLP_DROPPED.add(kind.as_str(), n_items as u64);
    tell(n_items, failure);
}

fn tell(n_items: usize, failure: &Failure) {
    if let Some(n_suppressed) = REFUSED.admit() {
        let what = "the receiver refuses metrics or spans; they are dropped";
        tracing::warn!(n_items, reason = %failure.reason, n_suppressed, "{what}");
    }
}
