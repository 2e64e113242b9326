//! Metrics of the archive on S3.

use super::metric::{Counter, Family, Gauge, OwnMetric, descriptor};
use crate::model::Kind;

const OUTCOMES: [&str; 5] = ["ok", "throttled", "denied", "error", "other"];
/// More partitions than may be open at a time; a full staging area.
const CUT_REASONS: [&str; 3] = ["partitions", "staging_full", "other"];

/// Objects and manifests that were sent, by outcome.
pub static S3_UPLOADS: Family<5> = Family::new(
    descriptor(
        Kind::Counter,
        "sidelight_s3_uploads_total",
        "",
        "Attempts to send an object or a manifest of the archive, by outcome.",
    ),
    "outcome",
    &OUTCOMES,
);
/// Objects of records that S3 has confirmed.
pub static S3_OBJECTS: Counter =
    Counter::new("sidelight_s3_objects_total", "", "Objects of log records that S3 has confirmed.");
/// Records in them.
pub static S3_RECORDS: Counter =
    Counter::new("sidelight_s3_records_total", "", "Log records in objects that S3 has confirmed.");
/// Compressed bytes of them.
pub static S3_SENT_BYTES: Counter = Counter::new(
    "sidelight_s3_sent_bytes_total",
    "bytes",
    "Compressed bytes of objects that S3 has confirmed.",
);
/// Bytes in the staging area; a gauge.
pub static S3_STAGED_BYTES: Gauge = Gauge::new(
    "sidelight_s3_staged_bytes",
    "bytes",
    "Bytes on disk that wait to become objects, as staging_bytes_max counts them.",
);
/// Deliveries that found the staging area full.
pub static S3_STAGING_FULL: Counter = Counter::new(
    "sidelight_s3_staging_full_total",
    "",
    "Deliveries that had to wait because staging_bytes_max was reached.",
);
/// Failures of the disk.
pub static S3_STAGING_ERRORS: Counter = Counter::new(
    "sidelight_s3_staging_errors_total",
    "",
    "Failed reads and writes of the staging area; each is tried again.",
);
/// Damage in the staging area.
pub static S3_DAMAGED_BYTES: Counter = Counter::new(
    "sidelight_s3_damaged_bytes_total",
    "bytes",
    "Bytes of the staging area that were damaged and left out; the manifest has a gap there.",
);
/// Records that were archived before a crash already.
pub static S3_REPEATED_RECORDS: Counter = Counter::new(
    "sidelight_s3_repeated_records_total",
    "",
    "Log records that came again after a crash and were left out, as the archive has them.",
);
/// Objects smaller than wanted.
pub static S3_CUT_EARLY: Family<3> = Family::new(
    descriptor(
        Kind::Counter,
        "sidelight_s3_cut_early_total",
        "",
        "Objects that were closed before they were large or old enough, by reason.",
    ),
    "reason",
    &CUT_REASONS,
);
/// Files whose state was given up.
pub static S3_FORGOTTEN_FILES: Counter = Counter::new(
    "sidelight_s3_forgotten_files_total",
    "",
    "Files of which the archive forgot how far it has them: after a crash it may have some lines twice.",
);

pub(super) static ALL: [&dyn OwnMetric; 11] = [
    &S3_UPLOADS,
    &S3_OBJECTS,
    &S3_RECORDS,
    &S3_SENT_BYTES,
    &S3_STAGED_BYTES,
    &S3_STAGING_FULL,
    &S3_STAGING_ERRORS,
    &S3_DAMAGED_BYTES,
    &S3_REPEATED_RECORDS,
    &S3_CUT_EARLY,
    &S3_FORGOTTEN_FILES,
];
