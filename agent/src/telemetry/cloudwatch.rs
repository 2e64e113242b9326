//! Metrics of what goes to CloudWatch.

use super::metric::{Counter, Family, Gauge, OwnMetric, descriptor};
use crate::model::Kind;

const OUTCOMES: [&str; 8] =
    ["ok", "throttled", "missing", "refused", "denied", "credentials", "error", "other"];
/// Rejected by the service although it took the request: `too_old`, `too_new`, `expired`. Refused
/// with the whole request, alone in the end: `refused`. Never sent: `oversize`, and records of blank
/// lines alone, `empty`.
const EVENT_RESULTS: [&str; 8] =
    ["accepted", "too_old", "too_new", "expired", "refused", "oversize", "empty", "other"];

/// Requests of PutLogEvents.
pub static CLOUDWATCH_REQUESTS: Family<8> = Family::new(
    descriptor(
        Kind::Counter,
        "sidelight_cloudwatch_requests_total",
        "",
        "Requests of PutLogEvents, by outcome.",
    ),
    "outcome",
    &OUTCOMES,
);
/// What they held.
pub static CLOUDWATCH_BYTES: Counter = Counter::new(
    "sidelight_cloudwatch_sent_bytes_total",
    "bytes",
    "Bytes of requests that CloudWatch took, as it counts them: messages and 26 bytes for each event.",
);
/// What became of events.
pub static CLOUDWATCH_EVENTS: Family<8> = Family::new(
    descriptor(
        Kind::Counter,
        "sidelight_cloudwatch_events_total",
        "",
        "Events for CloudWatch, by what became of them.",
    ),
    "result",
    &EVENT_RESULTS,
);
/// Records that were longer than an event may be.
pub static CLOUDWATCH_SPLIT_RECORDS: Counter = Counter::new(
    "sidelight_cloudwatch_split_records_total",
    "",
    "Log records that were too long for one event and went in several.",
);
/// Entities that were rejected.
pub static CLOUDWATCH_ENTITIES_REJECTED: Counter = Counter::new(
    "sidelight_cloudwatch_entities_rejected_total",
    "",
    "Requests whose entity CloudWatch rejected while it took the events.",
);
/// Requests at a time; a gauge.
pub static CLOUDWATCH_CONCURRENCY: Gauge = Gauge::new(
    "sidelight_cloudwatch_concurrency",
    "",
    "Requests to CloudWatch that may be under way at a time: fewer while it throttles.",
);

pub(super) static ALL: [&dyn OwnMetric; 6] = [
    &CLOUDWATCH_REQUESTS,
    &CLOUDWATCH_BYTES,
    &CLOUDWATCH_EVENTS,
    &CLOUDWATCH_SPLIT_RECORDS,
    &CLOUDWATCH_ENTITIES_REJECTED,
    &CLOUDWATCH_CONCURRENCY,
];
