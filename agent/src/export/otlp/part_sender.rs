//! Sends batches of samples and of spans.

use super::config::REQUEST_BYTES_MIN;
use super::exchange::{Exchange, FRAME};
use super::failure::{Class, Failure};
use super::logs::new_message;
use super::metrics::{MetricEncoder, Prepared};
use super::pace::{Pace, out_of_time};
use super::resource::Given;
use super::spans;
use crate::clock;
use crate::export::lane::Work;
use crate::model::{MetricBatch, SignalKind, Span, SpanBatch};
use crate::telemetry::{self, RateLimit};
use crate::trace::SpanId;
use std::ops::Range;

static REFUSED: RateLimit = RateLimit::new();

/// Sends samples.
#[derive(Debug)]
pub(super) struct MetricSender {
    parts: Parts,
    encoder: MetricEncoder,
    /// A batch of which something is left, as it was prepared: points of a second preparation would
    /// begin where those that were taken end.
    begun: Option<(Prepared, Work)>,
}

/// Sends spans.
#[derive(Debug)]
pub(super) struct SpanSender {
    parts: Parts,
    given: Given,
    /// A batch of which something is left: its first and last span, and how many it has.
    begun: Option<(SpanKey, Work)>,
}

type SpanKey = (Option<SpanId>, Option<SpanId>, usize);

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
    pub(super) fn new(parts: Parts, encoder: MetricEncoder) -> Self {
        Self { parts, encoder, begun: None }
    }

    /// Delivers one batch. When it comes again after a failure, what was taken of it is not sent again,
    /// as long as no other batch has come in between.
    pub(super) async fn deliver(&mut self, batch: &MetricBatch) -> Result<(), Failure> {
        if self.begun.as_ref().is_none_or(|(prepared, _)| !prepared.is_of(batch)) {
            let prepared = self.encoder.prepare(batch, clock::unix_ms());
            let work = Work::new(prepared.metrics.len());
            self.begun = Some((prepared, work));
        }
        let mut pace = Pace::new(self.parts.exchange.time());
        while let Some((prepared, work)) = &mut self.begun
            && let Some(range) = work.next().filter(|range| !range.is_empty())
        {
            let mut message = new_message();
            prepared.encode(range.clone(), &mut message);
            match self.parts.send(message, &range, prepared.metrics.len(), &mut pace).await? {
                Sent::Taken => {
                    self.encoder.commit(prepared, range);
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
        self.begun = None;
        Ok(())
    }
}

impl SpanSender {
    pub(super) fn new(parts: Parts, given: Given) -> Self {
        Self { parts, given, begun: None }
    }

    /// Delivers one batch, as [`MetricSender::deliver`] does.
    pub(super) async fn deliver(&mut self, batch: &SpanBatch) -> Result<(), Failure> {
        let id = |span: Option<&Span>| span.map(|span| span.span_id);
        let key = (id(batch.spans.first()), id(batch.spans.last()), batch.spans.len());
        if self.begun.as_ref().is_none_or(|(known, _)| *known != key) {
            self.begun = Some((key, Work::new(batch.spans.len())));
        }
        let mut pace = Pace::new(self.parts.exchange.time());
        while let Some((_, work)) = &mut self.begun
            && let Some(range) = work.next().filter(|range| !range.is_empty())
        {
            let mut message = new_message();
            let part = batch.spans.get(range.clone()).unwrap_or_default();
            spans::encode(batch, part, &self.given, &mut message);
            match self.parts.send(message, &range, batch.spans.len(), &mut pace).await? {
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
        self.begun = None;
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
        pace: &mut Pace,
    ) -> Result<Sent, Failure> {
        let bytes = message.len() - FRAME;
        let is_alone = range.len() == 1;
        if bytes > self.bytes_max && !is_alone {
            return Ok(Sent::Halve);
        }
        if !pace.has_room() {
            return Err(out_of_time(&self.exchange));
        }
        let sent = pace.time(self.exchange.send(message, pace.left())).await;
        let Err(failure) = sent else { return Ok(Sent::Taken) };
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
