//! The sections that belong to no component.

use super::section::Section;
use super::units::{Bytes, Interval};
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// `[admin]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Address of `/metrics`, `/livez` and `/readyz`. Default `127.0.0.1:9779`; port 0 takes a
    /// free one.
    pub listen: SocketAddr,
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9779)) }
    }
}

/// `[job]`: what the operator knows. What is absent is found out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Job {
    /// Stable name of the job, the same in every run. Else: the application's name.
    pub job_name: Option<String>,
    /// One execution of the job. Else: application id and attempt.
    pub run_id: Option<String>,
    /// Free text, such as `prod`.
    pub run_context: Option<String>,
    /// Who runs the job. Else: the user that the engine names.
    pub user_id: Option<String>,
    /// Where the job's input lies.
    pub source_data_path: Option<String>,
    /// Application or job id, where neither paths nor APIs tell it.
    pub job_id: Option<String>,
}

impl Job {
    pub(super) fn configure(section: &mut Section<'_>) -> Self {
        let job: Self = section.parse();
        let given = [
            ("job_name", &job.job_name),
            ("run_id", &job.run_id),
            ("run_context", &job.run_context),
            ("user_id", &job.user_id),
            ("source_data_path", &job.source_data_path),
            ("job_id", &job.job_id),
        ];
        for (key, value) in given {
            let is_empty = value.as_deref().is_some_and(|value| value.trim().is_empty());
            section.require(key, !is_empty, "empty; leave it out instead");
        }
        job
    }
}

/// `[batch]`: when a batch of log records is sealed, whichever comes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Batch {
    /// Text that seals a batch. Default `512KiB`; from `4KiB` to `64MiB`.
    pub bytes_max: Bytes,
    /// Records that seal a batch. Default 5000; from 1 to 100000.
    pub records_max: usize,
    /// Age of its oldest record that seals a batch. Default `1s`; from `10ms` to `1h`.
    pub age_max: Interval,
}

impl Default for Batch {
    fn default() -> Self {
        Self { bytes_max: Bytes(512 << 10), records_max: 5_000, age_max: Interval::from_secs(1) }
    }
}

impl Batch {
    pub(super) fn configure(section: &mut Section<'_>) -> Self {
        let batch: Self = section.parse();
        let is_bytes_allowed = (4 << 10..=64 << 20).contains(&batch.bytes_max.0);
        section.require("bytes_max", is_bytes_allowed, "must be from 4KiB to 64MiB");
        let is_count_allowed = (1..=100_000).contains(&batch.records_max);
        section.require("records_max", is_count_allowed, "must be from 1 to 100000");
        let is_age_allowed = (10..=3_600_000).contains(&batch.age_max.0.as_millis());
        section.require("age_max", is_age_allowed, "must be from 10ms to 1h");
        batch
    }
}

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Log text in memory, over all files and queues. Default `16MiB`, at most `64GiB`; it must
    /// hold `batch.bytes_max` and `tail.record_bytes_max` together.
    pub memory_bytes_max: Bytes,
    /// Batches that wait for one exporter. Default 64; from 1 to 1024.
    pub queue_batches_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_bytes_max: Bytes(16 << 20), queue_batches_max: 64 }
    }
}

impl Limits {
    pub(super) fn configure(section: &mut Section<'_>) -> Self {
        let limits: Self = section.parse();
        let is_memory_allowed = limits.memory_bytes_max.0 <= 64 << 30;
        section.require("memory_bytes_max", is_memory_allowed, "must be at most 64GiB");
        let is_queue_allowed = (1..=1_024).contains(&limits.queue_batches_max);
        section.require("queue_batches_max", is_queue_allowed, "must be from 1 to 1024");
        limits
    }
}

/// `[shutdown]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shutdown {
    /// Time to deliver what is on its way after SIGTERM. Default `5s`; `0` ends at once, at most
    /// `1h`. What is not delivered by then is read again at the next start.
    pub grace: Interval,
    /// File that the job touches while it lives. The agent ends when it no longer does.
    pub heartbeat_file: Option<PathBuf>,
    /// How long it may go untouched, or be gone. Default `1m`; from `1s` to `24h`.
    pub heartbeat_stale_after: Interval,
    /// How long it may take to appear. Default `5m`; from `1s` to `24h`.
    pub heartbeat_initial_wait: Interval,
    /// The agent ends when this file is there.
    pub watch_file: Option<PathBuf>,
    /// The agent ends when no log line came for this long, as with `--exit-when-idle`. Off by
    /// default; from `1s` to `24h`.
    pub idle: Option<Interval>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            grace: Interval::from_secs(5),
            heartbeat_file: None,
            heartbeat_stale_after: Interval::from_secs(60),
            heartbeat_initial_wait: Interval::from_secs(300),
            watch_file: None,
            idle: None,
        }
    }
}

impl Shutdown {
    pub(super) fn configure(section: &mut Section<'_>) -> Self {
        let shutdown: Self = section.parse();
        section.require("grace", shutdown.grace.0.as_secs() <= 3_600, "must be at most 1h");
        let files =
            [("heartbeat_file", &shutdown.heartbeat_file), ("watch_file", &shutdown.watch_file)];
        for (key, path) in files {
            let is_absolute = path.as_ref().is_none_or(|path| path.is_absolute());
            section.require(key, is_absolute, "must be an absolute path");
        }
        let default = Self::default();
        let (stale_after, initial_wait) =
            (shutdown.heartbeat_stale_after, shutdown.heartbeat_initial_wait);
        let times = [
            ("heartbeat_stale_after", Some(stale_after)),
            ("heartbeat_initial_wait", Some(initial_wait)),
            ("idle", shutdown.idle),
        ];
        for (key, time) in times {
            let is_allowed = time.is_none_or(|it| (1_000..=86_400_000).contains(&it.0.as_millis()));
            section.require(key, is_allowed, "must be from 1s to 24h");
        }
        let of_heartbeat = [
            ("heartbeat_stale_after", stale_after == default.heartbeat_stale_after),
            ("heartbeat_initial_wait", initial_wait == default.heartbeat_initial_wait),
        ];
        for (key, is_default) in of_heartbeat {
            let is_used = is_default || shutdown.heartbeat_file.is_some();
            section.require(key, is_used, "does nothing without heartbeat_file; name that too");
        }
        shutdown
    }
}

/// `[log]`: the agent's own log on standard error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Least severe that is written. Default `info`.
    pub level: Level,
}

/// Severity of the agent's own log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Someone must act.
    Error,
    /// Worse than it should be, mends itself.
    Warn,
    /// Life cycle.
    #[default]
    Info,
    /// Once per batch.
    Debug,
    /// Everything.
    Trace,
}

impl From<Level> for tracing::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
            Level::Trace => Self::TRACE,
        }
    }
}
