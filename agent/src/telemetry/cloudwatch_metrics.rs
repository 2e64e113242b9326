//! Metrics of the exporter of metrics to CloudWatch.

use super::metric::{Counter, Family, Gauge, OwnMetric, descriptor};
use crate::model::Kind;

/// A value is no number, or larger than CloudWatch takes; a label that is a dimension is blank or
/// too long; a property is too long; the bound on remembered series is reached; the batch is older
/// than 14 days, or more than 2 hours ahead.
const DROP_REASONS: [&str; 8] = [
    "not_finite",
    "too_large",
    "dimension",
    "property",
    "series_max",
    "too_old",
    "too_new",
    "other",
];

/// What CloudWatch bills for now; a gauge.
pub static CLOUDWATCH_METRICS_ESTIMATE: Gauge = Gauge::new(
    "sidelight_cloudwatch_metrics_estimate",
    "",
    "Metrics that CloudWatch got in the last hour and bills for, each with its dimension values.",
);
/// Metrics that the estimate has no room for.
pub static CLOUDWATCH_METRICS_UNCOUNTED: Counter = Counter::new(
    "sidelight_cloudwatch_metrics_uncounted_total",
    "",
    "Metrics that were sent and are not in the estimate, which tells 10000 apart.",
);
/// Samples and properties that CloudWatch does not get, by reason.
pub static CLOUDWATCH_METRICS_DROPPED: Family<8> = Family::from_zero(
    descriptor(
        Kind::Counter,
        "sidelight_cloudwatch_metrics_dropped_total",
        "",
        "Samples and properties that CloudWatch would not take, and does not get, by reason.",
    ),
    "reason",
    &DROP_REASONS,
);

pub(super) static ALL: [&dyn OwnMetric; 3] =
    [&CLOUDWATCH_METRICS_ESTIMATE, &CLOUDWATCH_METRICS_UNCOUNTED, &CLOUDWATCH_METRICS_DROPPED];
