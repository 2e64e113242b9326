//! Metrics of what goes to receivers of OTLP.

use super::metric::{Counter, Family, Family2, OwnMetric, descriptor};
use super::{N_SIGNALS, SIGNALS};
use crate::model::{Kind, MetricDescriptor};

/// Sent again: `transient`; sent again once somebody has changed something: `denied`; sent in smaller
/// requests: `too_large`; never sent again: `refused`.
const OUTCOMES: [&str; 6] = ["ok", "transient", "denied", "too_large", "refused", "other"];

const fn counter(name: &'static str, unit: &'static str, help: &'static str) -> MetricDescriptor {
    descriptor(Kind::Counter, name, unit, help)
}

/// Requests.
pub static OTLP_REQUESTS: Family2<N_SIGNALS, 6> = Family2::new(
    counter("sidelight_otlp_requests_total", "", "Requests of OTLP, by signal and outcome."),
    ["signal", "outcome"],
    &SIGNALS,
    &OUTCOMES,
);
/// What those held that were taken.
pub static OTLP_BYTES: Family<N_SIGNALS> = Family::new(
    counter(
        "sidelight_otlp_sent_bytes_total",
        "bytes",
        "Bytes of requests of OTLP that were taken, before compression, by signal.",
    ),
    "signal",
    &SIGNALS,
);
/// What receivers took requests without.
pub static OTLP_REJECTED: Family<N_SIGNALS> = Family::new(
    counter(
        "sidelight_otlp_rejected_total",
        "",
        "Records, points and spans that a receiver rejected while it took their request, by signal.",
    ),
    "signal",
    &SIGNALS,
);
/// What was refused of requests whose rest was taken.
pub static OTLP_DROPPED: Family<N_SIGNALS> = Family::new(
    counter(
        "sidelight_otlp_dropped_total",
        "",
        "Metrics and spans that a receiver refused for good, by signal.",
    ),
    "signal",
    &SIGNALS,
);
/// Series without room.
pub static OTLP_SERIES_DROPPED: Counter = Counter::new(
    "sidelight_otlp_series_dropped_total",
    "",
    "Points of counters that were not sent: with delta temporality 20000 series are remembered.",
);
/// Changes of certificates.
pub static OTLP_CERTIFICATE_RELOADS: Family<N_SIGNALS> = Family::new(
    counter(
        "sidelight_otlp_certificate_reloads_total",
        "",
        "Times that changed files of certificates were taken up, by signal.",
    ),
    "signal",
    &SIGNALS,
);

pub(super) static ALL: [&dyn OwnMetric; 6] = [
    &OTLP_REQUESTS,
    &OTLP_BYTES,
    &OTLP_REJECTED,
    &OTLP_DROPPED,
    &OTLP_SERIES_DROPPED,
    &OTLP_CERTIFICATE_RELOADS,
];
