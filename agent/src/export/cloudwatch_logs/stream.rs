//! The batches of one call that go to one stream: packed into requests and sent in their order.

use super::super::cloudwatch::failure::{Class, Failure};
use super::super::cloudwatch::message::Messages;
use super::super::cloudwatch::request::{Full, Origin, Request};
use super::super::cloudwatch::service::{Deadline, Format, Rejected, Service};
use super::super::cloudwatch::target::Target;
use super::denied::LeftAlone;
use crate::encode::Omitted;
use crate::export::{Answer, BoxFuture, ExportError, Refused};
use crate::model::{LogBatch, LogRecord, Severity};
use crate::telemetry;
use futures_util::FutureExt;
use futures_util::stream::{FuturesOrdered, StreamExt};
use redaction::Value;

/// Refusals within one request after which nothing is halved any more: a stream that takes nothing
/// must not be asked twice for every record.
const REFUSALS_MAX: usize = 256;

/// A batch on its way.
#[derive(Debug)]
pub(super) struct Work<'b> {
    /// Which of the call.
    pub(super) index: usize,
    pub(super) logs: &'b LogBatch,
    /// Events that are done with, in the order in which they are sent.
    pub(super) n_done: usize,
    pub(super) refused: Vec<Refused>,
    /// Events that it has; none before all are made.
    n_events: Option<usize>,
    /// Records that are not sent, as they say nothing; 0 before all events are made.
    n_empty: u64,
}

impl<'b> Work<'b> {
    pub(super) fn new(
        index: usize,
        logs: &'b LogBatch,
        n_done: usize,
        refused: Vec<Refused>,
    ) -> Self {
        Self { index, logs, n_done, refused, n_events: None, n_empty: 0 }
    }

    /// True when nothing of it is left to be sent.
    pub(super) fn is_done(&self) -> bool {
        self.n_events.is_some_and(|n_events| self.n_done >= n_events)
    }

    /// What was refused, each record once: its parts may have others in between.
    fn all_refused(&self) -> Vec<Refused> {
        let mut refused = self.refused.clone();
        refused.sort_by_key(|refused| refused.record);
        refused.dedup_by_key(|refused| refused.record);
        refused
    }

    fn refuse_oversize(&mut self, record: usize) {
        // Unlike what is sent, it comes by again after a failure.
        if self.refused.iter().all(|refused| refused.record != record) {
            telemetry::CLOUDWATCH_EVENTS.add("oversize", 1);
            self.refuse(record, &Value::literal("it is too long, and not for its body"));
        }
    }

    fn refuse(&mut self, record: usize, reason: &Value) {
        // As a rule its parts are next to each other.
        if self.refused.last().is_none_or(|last| last.record != record) {
            self.refused.push(Refused { record, reason: reason.clone() });
        }
    }
}

/// Requests of a stream that are under way, in their order.
type UnderWay<'s> = FuturesOrdered<BoxFuture<'s, Sent>>;

/// What became of a request: its pieces that are done with, in their order, and what stopped the rest.
#[derive(Debug, Default)]
struct Sent {
    /// Taken, or refused for good.
    pieces: Vec<(Request, Result<Rejected, Value>)>,
    failure: Option<Failure>,
}

/// See the head of the file.
#[derive(Debug)]
pub(super) struct Stream<'b> {
    pub(super) target: Target,
    pub(super) works: Vec<Work<'b>>,
    failure: Option<Failure>,
    is_taken: bool,
    /// True when the last request was not sent, as it was not full.
    is_unfinished: bool,
}

impl<'b> Stream<'b> {
    pub(super) fn new(target: Target, work: Work<'b>) -> Self {
        Self { target, works: vec![work], failure: None, is_taken: false, is_unfinished: false }
    }

    /// True when at least one request was taken.
    pub(super) fn is_taken(&self) -> bool {
        self.is_taken
    }

    /// What stopped it, if something has.
    pub(super) fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Sends everything, or up to the first failure. When a request was sent, events that fill none
    /// `may_wait` for the next call.
    pub(super) async fn send(
        &mut self,
        service: &Service,
        omitted: Omitted,
        deadline: Deadline,
        may_wait: bool,
    ) {
        let (mut messages, mut request) = (Messages::without(omitted), Request::new());
        let mut is_any_sent = false;
        let mut under_way = UnderWay::new();
        for at in 0..self.works.len() {
            let (logs, n_done) = (self.works[at].logs, self.works[at].n_done);
            let (mut n_events, mut n_empty) = (0, 0);
            for (record, time_ms) in in_order(logs) {
                if says_nothing(logs, &logs.records[record]) {
                    n_empty += 1;
                    continue;
                }
                let Some(parts) = messages.of(logs, &logs.records[record]) else {
                    self.works[at].refuse_oversize(record);
                    continue;
                };
                for message in parts {
                    n_events += 1;
                    if n_events <= n_done {
                        continue;
                    }
                    let origin = Origin { batch: at, record };
                    if request.add(time_ms, message, origin) == Err(Full) {
                        let next = Request::like(&request);
                        let full = std::mem::replace(&mut request, next);
                        is_any_sent = true;
                        if !self.begin(full, &mut under_way, service, deadline).await {
                            return;
                        }
                        // It fits into an empty one, as no message is longer than a request.
                        let _ = request.add(time_ms, message, origin);
                    }
                }
            }
            self.works[at].n_events = Some(n_events);
            self.works[at].n_empty = n_empty;
        }
        self.is_unfinished = may_wait && is_any_sent && !request.events.is_empty();
        if !request.events.is_empty()
            && !self.is_unfinished
            && !self.begin(request, &mut under_way, service, deadline).await
        {
            return;
        }
        while let Some(sent) = under_way.next().await {
            if !self.note(sent) {
                return;
            }
        }
    }

    /// Sends `request` once there are fewer under way than may be; false when one has failed.
    async fn begin<'s>(
        &mut self,
        request: Request,
        under_way: &mut UnderWay<'s>,
        service: &'s Service,
        deadline: Deadline,
    ) -> bool {
        while under_way.len() >= service.stream_concurrency() {
            let Some(sent) = under_way.next().await else { break };
            if !self.note(sent) {
                return false;
            }
        }
        under_way.push_back(Box::pin(send(service, self.target.clone(), request, deadline)));
        // It is on its way while the next one is made.
        under_way.next().now_or_never().flatten().is_none_or(|sent| self.note(sent))
    }

    /// Notes what became of a request; false when it failed.
    fn note(&mut self, sent: Sent) -> bool {
        for (request, answer) in sent.pieces {
            match answer {
                Ok(rejected) => {
                    self.is_taken = true;
                    self.note_taken(&request, &rejected);
                }
                Err(reason) => {
                    telemetry::CLOUDWATCH_EVENTS.add("refused", request.events.len() as u64);
                    for event in &request.events {
                        self.works[event.origin.batch].refuse(event.origin.record, &reason);
                    }
                }
            }
            // Of each batch they are the next ones, whatever else is in the request.
            for event in &request.events {
                self.works[event.origin.batch].n_done += 1;
            }
        }
        self.failure = sent.failure;
        self.failure.is_none()
    }

    fn note_taken(&mut self, request: &Request, rejected: &Rejected) {
        let mut n_accepted = 0;
        for (index, event) in request.events.iter().enumerate() {
            let Some(reason) = rejected.reason(index) else {
                n_accepted += 1;
                continue;
            };
            telemetry::CLOUDWATCH_EVENTS.add(reason, 1);
            let reason = Value::literal(match reason {
                "too_old" => "CloudWatch takes no event that is older than 14 days",
                "expired" => "the event is older than the retention of its log group",
                _ => "CloudWatch takes no event that is more than 2 hours ahead",
            });
            self.works[event.origin.batch].refuse(event.origin.record, &reason);
        }
        telemetry::CLOUDWATCH_EVENTS.add("accepted", n_accepted);
    }

    /// What became of each batch. `left_alone` says what takes nothing: the group, or the stream alone.
    pub(super) fn answers(self, left_alone: Option<&LeftAlone>) -> Vec<(Work<'b>, Answer)> {
        let (failure, target) = (self.failure, self.target);
        let is_unfinished = self.is_unfinished && failure.is_none();
        let answer = |work: Work<'b>| {
            if work.is_done() {
                let refused = work.all_refused();
                telemetry::CLOUDWATCH_EVENTS.add("empty", work.n_empty);
                return (work, Ok(refused));
            }
            if let Some(LeftAlone { name, reason, retry_after }) = left_alone {
                let (target, reason, retry_after) = (name.clone(), reason.clone(), *retry_after);
                return (work, Err(ExportError::Parked { target, reason, retry_after }));
            }
            if is_unfinished {
                return (work, Err(ExportError::Unfinished));
            }
            let error = ExportError::Transient {
                source: told(&target, failure.as_ref()).into(),
                retry_after: failure.as_ref().and_then(|failure| failure.retry_after),
            };
            (work, Err(error))
        };
        self.works.into_iter().map(answer).collect()
    }
}

/// True for a record of blank lines alone.
fn says_nothing(logs: &LogBatch, record: &LogRecord) -> bool {
    let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    record.logger.is_empty()
        && record.severity == Severity::Unspecified
        && logs.text.get(&record.body).iter().all(is_blank)
}

/// Sends one request. Halves of a refused one are sent alone, until what is to blame is alone.
async fn send(service: &Service, target: Target, request: Request, deadline: Deadline) -> Sent {
    // The next one is the last.
    let (mut rest, mut n_refusals) = (vec![request], 0);
    let mut sent = Sent::default();
    while let Some(mut request) = rest.pop() {
        match service.put(&target, &mut request, Format::Plain, deadline).await {
            Ok(rejected) => sent.pieces.push((request, Ok(rejected))),
            Err(failure) if failure.class == Class::Refused => {
                n_refusals += 1;
                if request.events.len() > 1 && n_refusals <= REFUSALS_MAX {
                    let [first, second] = request.halves();
                    rest.extend([second, first]);
                } else {
                    sent.pieces.push((request, Err(failure.reason)));
                }
            }
            Err(failure) => {
                sent.failure = Some(failure);
                break;
            }
        }
    }
    sent
}

fn told(target: &Target, failure: Option<&Failure>) -> String {
    let reason = failure.map_or("not tried".to_owned(), ToString::to_string);
    format!("log group {}, stream {}: {reason}", target.group, target.stream)
}

/// The records of a batch with their times in milliseconds, in the order of these. A record without
/// a time has that of the one before it, or else of the next that has one.
fn in_order(logs: &LogBatch) -> Vec<(usize, i64)> {
    let to_ms = |unix_ns: u64| i64::try_from(unix_ns / 1_000_000).unwrap_or(i64::MAX);
    let stated = |record: &LogRecord| record.time_unix_ns.map(to_ms);
    let mut last = logs.records.iter().find_map(stated);
    let mut times: Vec<(usize, i64)> = Vec::with_capacity(logs.records.len());
    for (index, record) in logs.records.iter().enumerate() {
        last = stated(record).or(last);
        times.push((index, last.unwrap_or_else(|| to_ms(record.observed_unix_ns))));
    }
    if !times.is_sorted_by_key(|(_, time_ms)| *time_ms) {
        times.sort_by_key(|(_, time_ms)| *time_ms);
    }
    times
}

#[cfg(test)]
mod tests {
    use super::Work;
    use crate::model::LogBatch;
    use redaction::{Text, Value};
    use std::sync::Arc;

    #[test]
    fn a_record_is_refused_once_however_many_of_its_parts_are() {
        let (resource, text, records) = (Arc::default(), Text::default(), Vec::new());
        let logs = LogBatch { resource, text, records, covers: None };
        let mut work = Work::new(0, &logs, 0, Vec::new());
        work.refuse(1, &Value::literal("too old"));
        // Found while the request with the other part of record 1 is still under way.
        work.refuse_oversize(0);
        work.refuse(1, &Value::literal("too old"));
        let records: Vec<usize> = work.all_refused().iter().map(|it| it.record).collect();
        assert_eq!(records, [0, 1]);
    }
}
