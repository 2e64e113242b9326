//! The agent's own log and every metric about the agent itself, each declared once.
//!
//! Label values are literals from the lists below, so the number of series is fixed when the agent
//! is built. Reporting is lock-free; a value that is in no list counts as `other`.

mod cloudwatch;
mod cloudwatch_metrics;
mod lane;
mod log;
mod metric;
mod otlp;
mod process;
pub mod push;
mod redactors;
mod s3;

pub use cloudwatch::{
    CLOUDWATCH_BYTES, CLOUDWATCH_CONCURRENCY, CLOUDWATCH_ENTITIES_REJECTED, CLOUDWATCH_EVENTS,
    CLOUDWATCH_REQUESTS, CLOUDWATCH_SPLIT_RECORDS,
};
pub use cloudwatch_metrics::{
    CLOUDWATCH_METRICS_DROPPED, CLOUDWATCH_METRICS_ESTIMATE, CLOUDWATCH_METRICS_UNCOUNTED,
};
pub use lane::{
    CIRCUIT_OPEN, DEAD_LETTERS, DEAD_LETTERS_BYTES, DEAD_LETTERS_DROPPED, LANE_DROPPED_BATCHES,
    LANE_DROPPED_RECORDS, PARKED_RECORDS, PARKED_TARGETS, SPOOL_BATCHES, SPOOL_BYTES,
    SPOOL_DAMAGED, SPOOL_DRAINED_BATCHES, SPOOL_ERRORS, SPOOLED_BATCHES, SPOOLED_RECORDS,
};
pub use log::{LogLevelError, RateLimit, log_level, start_log};
pub use metric::{Counter, Family, Family2, Gauge, OwnMetric};
pub use otlp::{
    OTLP_BYTES, OTLP_CERTIFICATE_RELOADS, OTLP_DROPPED, OTLP_REJECTED, OTLP_REQUESTS,
    OTLP_SERIES_DROPPED,
};
pub use process::{CPU, MEMORY};
pub use redactors::{FAILURES as REDACTION_FAILURES, REDACTIONS};
pub use s3::{
    S3_CUT_EARLY, S3_DAMAGED_BYTES, S3_FORGOTTEN_FILES, S3_OBJECTS, S3_RECORDS,
    S3_REPEATED_RECORDS, S3_SENT_BYTES, S3_STAGED_BYTES, S3_STAGING_ERRORS, S3_STAGING_FULL,
    S3_UPLOADS,
};

use crate::export::EXPORTERS;
use crate::model::{Kind, MetricBatch, MetricDescriptor, Sample, SignalKind};
use crate::policy::Redactors;
use crate::scrape::SCRAPERS;
use crate::scrape::meter::{Cut, Outcome};
use metric::descriptor;
use std::sync::Arc;

/// Names of exporters, as in the config, for the label `exporter`.
pub const EXPORTER_NAMES: [&str; N_EXPORTERS] = exporter_names();
/// Names of scrapers, as in the config, for the label `source`.
pub const SOURCE_NAMES: [&str; N_SOURCES] = source_names();
const N_EXPORTERS: usize = EXPORTERS.len() + 1;
const N_SOURCES: usize = SCRAPERS.len() + 1;
/// An exporter has a lane for each signal that it takes.
const SIGNALS: [&str; N_SIGNALS] =
    [SignalKind::Logs.as_str(), SignalKind::Metrics.as_str(), SignalKind::Spans.as_str(), "other"];
const N_SIGNALS: usize = 4;
const LOST_REASONS: [&str; 4] = ["truncated", "skipped_old", "deleted", "other"];
/// The policy says `drop_record` of something in it.
const RECORD_DROP_REASONS: [&str; 2] = ["redaction_policy", "other"];
const FILE_STATES: [&str; 5] = ["active", "asleep", "waiting", "detached", "other"];
const REPLACED_REASONS: [&str; 4] = ["truncated", "rewritten", "unseen", "other"];
const FILE_ERROR_REASONS: [&str; 6] = ["permission", "io", "too_many", "archive", "watch", "other"];
/// It runs; it is what runs already; it is wrong and what ran goes on; it did not start and what ran
/// was started again.
const RELOAD_OUTCOMES: [&str; 5] = ["applied", "unchanged", "refused", "failed", "other"];
const EXPORT_OUTCOMES: [&str; 6] = ["ok", "error", "timeout", "rejected", "parked", "other"];
const SCRAPE_OUTCOMES: [&str; N_OUTCOMES] = scrape_outcomes();
const N_OUTCOMES: usize = Outcome::ALL.len() + 1;
const CUT_KINDS: [&str; N_CUTS] = cut_kinds();
const N_CUTS: usize = Cut::ALL.len() + 1;
/// Why what a source says may be incomplete: the engine's listener dropped events, items were
/// evicted between two rounds, fields were missing, or the source answers too slowly.
const DEGRADED_REASONS: [&str; 5] = ["dropped_events", "evicted", "missing_field", "slow", "other"];

/// Log records handed to the exporters.
pub static RECORDS: Counter = Counter::new(
    "sidelight_records_total",
    "",
    "Log records that were read, redacted and handed to the exporters.",
);
/// Records that name a job over the limit of jobs of one batch, and bear none.
pub static UNTOLD_JOB_RECORDS: Counter = Counter::new(
    "sidelight_untold_job_records_total",
    "",
    "Log records that name one of more jobs than a batch is parted by, and so bear no job.",
);
/// Log records that were read and do not leave, by reason.
pub static RECORDS_DROPPED: Family<2> = Family::from_zero(
    descriptor(
        Kind::Counter,
        "sidelight_records_dropped_total",
        "",
        "Log records that were read and not handed to the exporters, by reason.",
    ),
    "reason",
    &RECORD_DROP_REASONS,
);
/// Redacted bytes of those records.
pub static RECORD_BYTES: Counter = Counter::new(
    "sidelight_record_bytes_total",
    "bytes",
    "Redacted bytes of the log records handed to the exporters.",
);
/// Bytes read from log files.
pub static READ_BYTES: Counter =
    Counter::new("sidelight_read_bytes_total", "bytes", "Bytes read from log files.");
/// Parts of records that were longer than `tail.record_bytes_max`.
pub static TRUNCATED_RECORDS: Counter = Counter::new(
    "sidelight_records_truncated_total",
    "",
    "Parts into which records longer than tail.record_bytes_max were cut.",
);
/// Bytes given up, by reason.
pub static LOST_BYTES: Family<4> = Family::from_zero(
    descriptor(
        Kind::Counter,
        "sidelight_lost_bytes_total",
        "bytes",
        "Bytes of log files that were given up without being read, by reason.",
    ),
    "reason",
    &LOST_REASONS,
);
/// Log files by state; a gauge.
pub static FILES: Family<5> = Family::from_zero(
    descriptor(Kind::Gauge, "sidelight_files", "", "Log files that the agent knows, by state."),
    "state",
    &FILE_STATES,
);
/// Bytes on disk that are not delivered yet.
pub static LAG_BYTES: Gauge = Gauge::new(
    "sidelight_lag_bytes",
    "bytes",
    "Bytes of the log files that are not read and delivered yet.",
);
/// Failures to open or read a log file, by reason.
pub static FILE_ERRORS: Family<6> = Family::from_zero(
    descriptor(
        Kind::Counter,
        "sidelight_file_errors_total",
        "",
        "Failed attempts to open or read a log file, by reason.",
    ),
    "reason",
    &FILE_ERROR_REASONS,
);
/// Log files that were renamed, re-created or truncated while the agent read them.
pub static ROTATIONS: Counter = Counter::new(
    "sidelight_rotations_total",
    "",
    "Log files that were renamed, re-created or truncated while the agent read them.",
);
/// Batches by exporter and outcome; each attempt counts.
pub static EXPORTS: Family2<N_EXPORTERS, 6> = Family2::new(
    descriptor(
        Kind::Counter,
        "sidelight_exports_total",
        "",
        "Attempts to deliver a batch, by exporter and outcome.",
    ),
    ["exporter", "outcome"],
    &EXPORTER_NAMES,
    &EXPORT_OUTCOMES,
);
/// Records, samples and spans delivered, by exporter and signal.
pub static EXPORT_RECORDS: Family2<N_EXPORTERS, N_SIGNALS> = Family2::sparse(
    descriptor(
        Kind::Counter,
        "sidelight_exported_records_total",
        "",
        "Log records, samples and spans that the destination has, by exporter.",
    ),
    ["exporter", "signal"],
    &EXPORTER_NAMES,
    &SIGNALS,
);
/// Batches that wait for an exporter; a gauge.
pub static QUEUE_BATCHES: Family2<N_EXPORTERS, N_SIGNALS> = Family2::sparse(
    descriptor(
        Kind::Gauge,
        "sidelight_queue_batches",
        "",
        "Batches that wait in the queue of an exporter.",
    ),
    ["exporter", "signal"],
    &EXPORTER_NAMES,
    &SIGNALS,
);
/// Checkpoints written.
pub static CHECKPOINTS: Counter =
    Counter::new("sidelight_checkpoints_total", "", "Checkpoints written to disk.");
/// Checkpoints that could not be written.
pub static CHECKPOINT_ERRORS: Counter = Counter::new(
    "sidelight_checkpoint_errors_total",
    "",
    "Checkpoints that could not be written; the next one tries again.",
);
/// Starts at which the last checkpoint was damaged and the one before it was used.
pub static CHECKPOINT_RECOVERED: Counter = Counter::new(
    "sidelight_checkpoint_recovered_total",
    "",
    "Starts at which the last checkpoint was damaged and an older one was used.",
);
/// Checkpoint files that could not be used and were put aside.
pub static CHECKPOINT_DAMAGED: Counter = Counter::new(
    "sidelight_checkpoint_damaged_total",
    "",
    "Checkpoint files that could not be used and were kept as checkpoint.damaged-1 to -3.",
);
/// Time of the last checkpoint, seconds since the epoch.
pub static CHECKPOINT_TIME: Gauge = Gauge::new(
    "sidelight_checkpoint_last_success_timestamp_seconds",
    "seconds",
    "Time at which the last checkpoint was written, since the epoch.",
);
/// Rounds of a scraper, by source and outcome.
pub static SCRAPES: Family2<N_SOURCES, N_OUTCOMES> = Family2::new(
    descriptor(
        Kind::Counter,
        "sidelight_scrapes_total",
        "",
        "Requests that scrapers made, by source and outcome.",
    ),
    ["source", "outcome"],
    &SOURCE_NAMES,
    &SCRAPE_OUTCOMES,
);
/// Time that the source took to answer; use `add_seconds`.
pub static SCRAPE_SECONDS: Family<N_SOURCES> = Family::new(
    descriptor(
        Kind::Counter,
        "sidelight_scrape_seconds_total",
        "seconds",
        "Time that scrapers waited for answers, by source.",
    ),
    "source",
    &SOURCE_NAMES,
);
/// Bytes of answers.
pub static SCRAPE_BYTES: Family<N_SOURCES> = Family::new(
    descriptor(
        Kind::Counter,
        "sidelight_scrape_bytes_total",
        "bytes",
        "Bytes of the answers that scrapers read, by source.",
    ),
    "source",
    &SOURCE_NAMES,
);
/// Share of wall-clock time that a source spends on us, 0 to 1; a gauge.
pub static SCRAPE_BUSY_RATIO: Family<N_SOURCES> = Family::new(
    descriptor(
        Kind::Gauge,
        "sidelight_scrape_busy_ratio",
        "ratio",
        "Share of the time for which the source was busy with our requests.",
    ),
    "source",
    &SOURCE_NAMES,
);
/// 1 while what a source says may be incomplete, by reason; a gauge.
pub static SOURCE_DEGRADED: Family2<N_SOURCES, 5> = Family2::new(
    descriptor(
        Kind::Gauge,
        "sidelight_source_degraded",
        "",
        "1 while the numbers of a source may be incomplete, by reason.",
    ),
    ["source", "reason"],
    &SOURCE_NAMES,
    &DEGRADED_REASONS,
);
/// Series of jobs on `/metrics`.
pub static SERIES: Gauge =
    Gauge::new("sidelight_series", "", "Series of jobs on this page, without those of the agent.");
/// Series left out because of `exporters.prometheus.series_max`; counted at every round.
pub static SERIES_DROPPED: Counter = Counter::new(
    "sidelight_series_dropped_total",
    "",
    "Series left out because of exporters.prometheus.series_max, once per round of a scraper.",
);
/// Log files whose bytes are not those that were read.
pub static FILES_REPLACED: Family<4> = Family::from_zero(
    descriptor(
        Kind::Counter,
        "sidelight_files_replaced_total",
        "",
        "Log files that were truncated, written anew in place, or replaced unseen by the agent.",
    ),
    "reason",
    &REPLACED_REASONS,
);
/// Bytes of holes.
pub static HOLE_BYTES: Counter = Counter::new(
    "sidelight_hole_bytes_total",
    "bytes",
    "Zero bytes at the beginning of log files that a writer left which does not append.",
);
/// Files that the checkpoint forgot to stay within its size.
pub static CHECKPOINT_EVICTED: Counter = Counter::new(
    "sidelight_checkpoint_evicted_total",
    "",
    "Files that the checkpoint forgot because it holds as many as it may.",
);
/// Batches of samples that an exporter had no room for.
pub static METRIC_BATCHES_DROPPED: Family<N_EXPORTERS> = Family::new(
    descriptor(
        Kind::Counter,
        "sidelight_metric_batches_dropped_total",
        "",
        "Batches of samples dropped because the queue of an exporter was full.",
    ),
    "exporter",
    &EXPORTER_NAMES,
);
/// What limits made a scraper leave out.
pub static SCRAPE_CUT: Family2<N_SOURCES, N_CUTS> = Family2::new(
    descriptor(
        Kind::Counter,
        "sidelight_scrape_cut_total",
        "",
        "What a limit made a scraper leave out, by source and kind.",
    ),
    ["source", "what"],
    &SOURCE_NAMES,
    &CUT_KINDS,
);
/// Configs that were loaded anew at SIGHUP, by what became of them.
pub static CONFIG_RELOADS: Family<5> = Family::from_zero(
    descriptor(
        Kind::Counter,
        "sidelight_config_reloads_total",
        "",
        "Configs that were loaded again at SIGHUP, by what became of them.",
    ),
    "outcome",
    &RELOAD_OUTCOMES,
);
static ALL: [&dyn OwnMetric; 32] = [
    &CONFIG_RELOADS,
    &HOLE_BYTES,
    &RECORDS_DROPPED,
    &UNTOLD_JOB_RECORDS,
    &SCRAPE_CUT,
    &FILES_REPLACED,
    &CHECKPOINT_EVICTED,
    &METRIC_BATCHES_DROPPED,
    &RECORDS,
    &RECORD_BYTES,
    &READ_BYTES,
    &TRUNCATED_RECORDS,
    &LOST_BYTES,
    &FILES,
    &LAG_BYTES,
    &FILE_ERRORS,
    &ROTATIONS,
    &EXPORTS,
    &EXPORT_RECORDS,
    &QUEUE_BATCHES,
    &CHECKPOINTS,
    &CHECKPOINT_ERRORS,
    &CHECKPOINT_RECOVERED,
    &CHECKPOINT_DAMAGED,
    &CHECKPOINT_TIME,
    &SCRAPES,
    &SCRAPE_SECONDS,
    &SCRAPE_BYTES,
    &SCRAPE_BUSY_RATIO,
    &SOURCE_DEGRADED,
    &SERIES,
    &SERIES_DROPPED,
];

/// Everything that the agent says about itself, now.
#[must_use]
pub fn own_samples(redactors: &Redactors) -> Vec<Sample> {
    let mut samples = Vec::new();
    process::collect(&mut samples);
    for metric in own_metrics() {
        metric.collect(&mut samples);
    }
    redactors::collect(redactors, &mut samples);
    samples
}

fn own_metrics() -> impl Iterator<Item = &'static dyn OwnMetric> {
    let cloudwatch = cloudwatch::ALL.into_iter().chain(cloudwatch_metrics::ALL);
    let exporters = cloudwatch.chain(otlp::ALL).chain(s3::ALL);
    ALL.into_iter().chain(lane::ALL).chain(exporters).chain(push::ALL)
}

/// What every metric of the agent is, also of those that have nothing to say yet.
pub fn own_descriptors() -> impl Iterator<Item = &'static MetricDescriptor> {
    let collected = process::DESCRIPTORS.into_iter().chain(redactors::DESCRIPTORS);
    own_metrics().map(OwnMetric::descriptor).chain(collected)
}

/// [`own_samples`] as a batch, which starts when the agent started.
#[must_use]
pub fn own_batch(redactors: &Redactors) -> MetricBatch {
    MetricBatch {
        resource: Arc::default(),
        labels: Vec::new(),
        created_unix_ms: process::start_unix_ms(),
        time_unix_ms: crate::clock::unix_ms(),
        samples: own_samples(redactors),
    }
}

const fn exporter_names() -> [&'static str; N_EXPORTERS] {
    let mut names = ["other"; N_EXPORTERS];
    let mut index = 0;
    while index < EXPORTERS.len() {
        names[index] = EXPORTERS[index].name;
        index += 1;
    }
    names
}

const fn source_names() -> [&'static str; N_SOURCES] {
    let mut names = ["other"; N_SOURCES];
    let mut index = 0;
    while index < SCRAPERS.len() {
        names[index] = SCRAPERS[index].name;
        index += 1;
    }
    names
}

const fn scrape_outcomes() -> [&'static str; N_OUTCOMES] {
    let mut names = ["other"; N_OUTCOMES];
    let mut index = 0;
    while index < Outcome::ALL.len() {
        names[index] = Outcome::ALL[index].as_str();
        index += 1;
    }
    names
}

const fn cut_kinds() -> [&'static str; N_CUTS] {
    let mut names = ["other"; N_CUTS];
    let mut index = 0;
    while index < Cut::ALL.len() {
        names[index] = Cut::ALL[index].as_str();
        index += 1;
    }
    names
}

#[cfg(test)]
mod tests {
    use super::{
        ALL, cloudwatch, cloudwatch_metrics, lane, otlp, own_descriptors, own_samples, push, s3,
    };
    use crate::policy::Redactors;

    #[test]
    fn every_metric_that_is_declared_is_also_exported() {
        let declared =
            |text: &str| text.lines().filter(|line| line.starts_with("pub static ")).count();
        assert_eq!(declared(include_str!("telemetry.rs")), ALL.len());
        assert_eq!(declared(include_str!("telemetry/lane.rs")), lane::ALL.len());
        assert_eq!(declared(include_str!("telemetry/push.rs")), push::ALL.len());
        let cloudwatch = include_str!("telemetry/cloudwatch.rs");
        assert_eq!(declared(cloudwatch), cloudwatch::ALL.len());
        let text = include_str!("telemetry/cloudwatch_metrics.rs");
        assert_eq!(declared(text), cloudwatch_metrics::ALL.len());
        assert_eq!(declared(include_str!("telemetry/otlp.rs")), otlp::ALL.len());
        assert_eq!(declared(include_str!("telemetry/s3.rs")), s3::ALL.len());
    }

    #[test]
    fn every_sample_has_a_descriptor_that_is_known_before() {
        let known: Vec<_> = own_descriptors().map(|it| it.name).collect();
        for sample in own_samples(&Redactors::default()) {
            let n_known = known.iter().filter(|name| **name == sample.descriptor.name).count();
            assert_eq!(n_known, 1, "{}", sample.descriptor.name);
        }
    }

    #[test]
    fn names_carry_their_unit_and_type_as_prometheus_wants_them() {
        use crate::model::Kind;
        for sample in own_samples(&Redactors::default()) {
            let it = sample.descriptor;
            assert!(it.name.starts_with("sidelight_"), "{}", it.name);
            assert_eq!(it.name.ends_with("_total"), it.kind == Kind::Counter, "{}", it.name);
            assert_eq!(it.name.ends_with("_info"), it.kind == Kind::Info, "{}", it.name);
            let base = it.name.trim_end_matches("_total");
            assert!(base.ends_with(it.unit), "{} does not end in its unit {}", it.name, it.unit);
            assert!(it.help.ends_with('.'), "help of {} is a sentence", it.name);
        }
    }
}
