//! Sends batches of samples and of spans.

use super::config::REQUEST_BYTES_MIN;
use super::exchange::{Exchange, FRAME};
use super::failure::{Class, Failure};
use super::logs::new_message;
use super::metrics::MetricEncoder;
use super::resource::Given;
use super::spans;
use crate::export::lane::Work;
use crate::model::{MetricBatch, SpanBatch};
use crate::telemetry;
use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

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
        let now_unix_ms = unix_ms();
        let mut prepared = self.encoder.prepare(batch, now_unix_ms);
        let mut work = Work::new(prepared.metrics.len());
        while let Some(range) = work.next().filter(|range| !range.is_empty()) {
            let mut message = new_message();
            prepared.encode(range.clone(), &mut message);
            match self.parts.send(message, &range).await? {
                Sent::Taken => {
                    self.encoder.commit(&mut prepared, range);
                    work.pass();
                }
                Sent::Halve => {
                    work.split();
                }
                Sent::GivenUp(failure) => {
                    let dropped = &prepared.metrics[range];
                    let names = dropped.iter().map(|it| it.name.as_str()).collect::<Vec<_>>();
                    let metrics = names.join(" ");
                    tracing::warn!(metrics, reason = %failure.reason, "metrics are refused");
                    telemetry::OTLP_DROPPED.add("metrics", dropped.len() as u64);
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
            match self.parts.send(message, &range).await? {
                Sent::Taken => work.pass(),
                Sent::Halve => {
                    work.split();
                }
                Sent::GivenUp(failure) => {
                    tracing::warn!(spans = range.len(), reason = %failure.reason, "spans are refused");
                    telemetry::OTLP_DROPPED.add("spans", range.len() as u64);
                    work.pass();
                }
            }
        }
        Ok(())
    }
}

impl Parts {
    async fn send(&mut self, message: Vec<u8>, range: &Range<usize>) -> Result<Sent, Failure> {
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
            Class::TooLarge | Class::Refused => Ok(Sent::GivenUp(failure)),
        }
    }
}

/// Milliseconds since the epoch.
pub(super) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
