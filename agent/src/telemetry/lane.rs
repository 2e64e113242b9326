//! Metrics of lanes, spools and dead letters.

use super::metric::{Family, Family2, OwnMetric, descriptor};
use super::{EXPORTER_NAMES, N_EXPORTERS, N_SIGNALS, SIGNALS};
use crate::model::Kind;

/// `queue_full` is for spans, `rejected` for spans and samples, which have no dead letters, and `stale`
/// for samples that were due while the destination did not work.
const DROP_REASONS: [&str; N_DROP_REASONS] =
    ["spool_full", "spool_failed", "no_spool", "queue_full", "rejected", "stale", "other"];
const N_DROP_REASONS: usize = 7;
const DAMAGES: [&str; 3] = ["torn", "corrupt", "other"];

const fn counter(name: &'static str, help: &'static str) -> Family<N_EXPORTERS> {
    Family::new(descriptor(Kind::Counter, name, "", help), "exporter", &EXPORTER_NAMES)
}

const fn gauge(name: &'static str, unit: &'static str, help: &'static str) -> Family<N_EXPORTERS> {
    Family::new(descriptor(Kind::Gauge, name, unit, help), "exporter", &EXPORTER_NAMES)
}

/// 1 while the circuit of a lane is open; a gauge.
pub static CIRCUIT_OPEN: Family2<N_EXPORTERS, N_SIGNALS> = Family2::sparse(
    descriptor(
        Kind::Gauge,
        "sidelight_circuit_open",
        "",
        "1 while the last delivery of an exporter failed and its batches wait or go to the spool.",
    ),
    ["exporter", "signal"],
    &EXPORTER_NAMES,
    &SIGNALS,
);
/// Batches in the spool; a gauge.
pub static SPOOL_BATCHES: Family<N_EXPORTERS> =
    gauge("sidelight_spool_batches", "", "Batches in the spool of an exporter.");
/// Bytes of the spool; a gauge.
pub static SPOOL_BYTES: Family<N_EXPORTERS> =
    gauge("sidelight_spool_bytes", "bytes", "Bytes of the spool of an exporter on disk.");
/// Targets for which something is put aside; a gauge.
pub static PARKED_TARGETS: Family<N_EXPORTERS> = gauge(
    "sidelight_parked_targets",
    "",
    "Targets of an exporter, such as log groups, that take nothing until somebody mends it.",
);
/// Records that are put aside for them; a gauge.
pub static PARKED_RECORDS: Family<N_EXPORTERS> = gauge(
    "sidelight_parked_records",
    "",
    "Log records that are put aside on disk for targets that take nothing.",
);
/// Batches that went to the spool.
pub static SPOOLED_BATCHES: Family<N_EXPORTERS> =
    counter("sidelight_spooled_batches_total", "Batches that were written to the spool.");
/// Records in them.
pub static SPOOLED_RECORDS: Family<N_EXPORTERS> =
    counter("sidelight_spooled_records_total", "Log records that were written to the spool.");
/// Batches that left the spool for their destination.
pub static SPOOL_DRAINED_BATCHES: Family<N_EXPORTERS> =
    counter("sidelight_spool_drained_batches_total", "Batches that left the spool again.");
/// Writes to the spool that failed.
pub static SPOOL_ERRORS: Family<N_EXPORTERS> = counter(
    "sidelight_spool_errors_total",
    "Failed writes and reads of the spool; each is tried again.",
);
/// Ends of segments cut off after a crash, and segments put aside because they were damaged.
pub static SPOOL_DAMAGED: Family2<N_EXPORTERS, 3> = Family2::new(
    descriptor(
        Kind::Counter,
        "sidelight_spool_damaged_total",
        "",
        "Segments of the spool whose end a crash tore, or that were damaged and put aside.",
    ),
    ["exporter", "kind"],
    &EXPORTER_NAMES,
    &DAMAGES,
);
/// Batches that an exporter never gets, by reason.
pub static LANE_DROPPED_BATCHES: Family2<N_EXPORTERS, N_DROP_REASONS> = Family2::new(
    descriptor(
        Kind::Counter,
        "sidelight_lane_dropped_batches_total",
        "",
        "Batches given up by a lane, by exporter and reason.",
    ),
    ["exporter", "reason"],
    &EXPORTER_NAMES,
    &DROP_REASONS,
);
/// Records, samples and spans in them.
pub static LANE_DROPPED_RECORDS: Family2<N_EXPORTERS, N_DROP_REASONS> = Family2::new(
    descriptor(
        Kind::Counter,
        "sidelight_lane_dropped_records_total",
        "",
        "Records, samples and spans given up by a lane, by exporter and reason.",
    ),
    ["exporter", "reason"],
    &EXPORTER_NAMES,
    &DROP_REASONS,
);
/// Records that became dead letters.
pub static DEAD_LETTERS: Family<N_EXPORTERS> = counter(
    "sidelight_dead_letters_total",
    "Log records that a destination refused for good and that are kept as dead letters.",
);
/// Dead letters given up for newer ones.
pub static DEAD_LETTERS_DROPPED: Family<N_EXPORTERS> = counter(
    "sidelight_dead_letters_dropped_total",
    "Dead letters given up because of dead_letters_bytes_max, the oldest first.",
);
/// Bytes of dead letters; a gauge.
pub static DEAD_LETTERS_BYTES: Family<N_EXPORTERS> =
    gauge("sidelight_dead_letters_bytes", "bytes", "Bytes of the dead letters of an exporter.");

pub(super) static ALL: [&dyn OwnMetric; 15] = [
    &CIRCUIT_OPEN,
    &SPOOL_BATCHES,
    &SPOOL_BYTES,
    &PARKED_TARGETS,
    &PARKED_RECORDS,
    &SPOOLED_BATCHES,
    &SPOOLED_RECORDS,
    &SPOOL_DRAINED_BATCHES,
    &SPOOL_ERRORS,
    &SPOOL_DAMAGED,
    &LANE_DROPPED_BATCHES,
    &LANE_DROPPED_RECORDS,
    &DEAD_LETTERS,
    &DEAD_LETTERS_DROPPED,
    &DEAD_LETTERS_BYTES,
];
