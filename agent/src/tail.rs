//! The tail thread: finds log files, reads them, and turns bytes into batches.

use crate::checkpoint::ENTRIES_MAX;
use crate::config::{Bytes, Interval, Section};
use globset::{Glob, GlobBuilder};
use jiff::tz::TimeZone;
pub mod batch;
pub mod container;
pub mod discover;
pub mod file;
mod files;
pub mod fingerprint;
mod known;
pub mod lineage;
mod names;
mod own_jobs;
mod rotated;
pub mod source;
pub mod stream;
pub mod watch;

pub use files::{STDIN, Start, Tail};
pub use watch::Stop;

use serde::{Deserialize, Serialize};

/// More descriptors than this are never held.
const DESCRIPTORS_MAX: usize = 16_384;

/// `[tail]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Globs of log files and named pipes; `-` is standard input. Empty: `$SPARK_LOG_DIR`, `$FLINK_LOG_DIR` and what `--logs` names.
    pub include: Vec<String>,
    /// Globs of files to leave alone.
    pub exclude: Vec<String>,
    /// Where to start in a file that was never read: `beginning`, `end`, or `auto` (from the
    /// beginning when the file is younger than a day, else from the end). Default `auto`.
    pub read_from: ReadFrom,
    /// Zone of timestamps that carry none: `local`, `UTC`, an offset such as `+02:00`, or a name
    /// such as `Europe/Paris`. Default `local`, the zone of this process.
    pub timezone: String,
    /// Time between two looks at a quiet file. Default `250ms`, at least `10ms`.
    pub poll_interval: Interval,
    /// How long a file is left unread while its job is not known yet, so that the first lines of
    /// a job carry its id too. Default `15s`; `0` turns it off.
    pub identity_wait: Interval,
    /// Longest record; a longer one is cut into parts, each marked. Default `1MiB`, at least `4KiB`.
    pub record_bytes_max: Bytes,
    /// Most files followed at the same time; those over it wait and are counted. Default 100000; a
    /// quiet file costs about 2 KiB and no descriptor.
    pub files_max: usize,
    /// Unread bytes of deleted files that are kept on the disk by holding them open; over it the
    /// oldest are given up and counted. Default `1GiB`.
    pub deleted_bytes_max: Bytes,
}

/// Where reading starts in a file without a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReadFrom {
    /// Beginning of files younger than a day, end of older ones.
    Auto,
    /// First byte.
    Beginning,
    /// Only what is written from now on.
    End,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            include: Vec::new(),
            exclude: Vec::new(),
            read_from: ReadFrom::Auto,
            timezone: "local".to_owned(),
            poll_interval: Interval::from_millis(250),
            identity_wait: Interval::from_secs(15),
            record_bytes_max: Bytes(1 << 20),
            files_max: 100_000,
            deleted_bytes_max: Bytes(1 << 30),
        }
    }
}

impl Config {
    /// Makes the config, and reports what is wrong in it to the section.
    pub fn configure(section: &mut Section<'_>) -> Self {
        let config: Self = section.parse();
        for (key, globs) in [("include", &config.include), ("exclude", &config.exclude)] {
            section.require_each(key, globs, |pattern| {
                Some(format!("is no glob: {}", glob(pattern).err()?.kind()))
            });
        }
        if time_zone(&config.timezone).is_none() {
            let shown = section.show("timezone", &config.timezone);
            let law = format!(
                "{shown} is no time zone; write \"local\", \"UTC\", \"+02:00\" or a name such as \
                 \"Europe/Paris\""
            );
            section.require("timezone", false, &law);
        }
        let poll_ms = config.poll_interval.0.as_millis();
        section.require(
            "poll_interval",
            (10..=60_000).contains(&poll_ms),
            "must be from 10ms to 1m",
        );
        let wait_s = config.identity_wait.0.as_secs();
        section.require("identity_wait", wait_s <= 3_600, "must be at most 1h");
        let is_record_allowed = (4 << 10..=64 << 20).contains(&config.record_bytes_max.0);
        section.require("record_bytes_max", is_record_allowed, "must be from 4KiB to 64MiB");
        // The checkpoint has to hold them all.
        let is_files_allowed = (1..=ENTRIES_MAX).contains(&config.files_max);
        section.require("files_max", is_files_allowed, "must be from 1 to 200000");
        config
    }
}

/// Compiles one entry of `include` or `exclude`. `*` stays inside one directory, `**` does not.
pub fn glob(pattern: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(pattern).literal_separator(true).build()
}

/// How many descriptors this process may hold, after it has asked for as many as it may get.
#[must_use]
pub fn descriptors_max() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // It is no loss when that is refused: fewer files are open at the same time then.
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.map_or(DESCRIPTORS_MAX, |current| {
        usize::try_from(current).unwrap_or(DESCRIPTORS_MAX).min(DESCRIPTORS_MAX)
    })
}

/// The zone that `tail.timezone` names; `None` when there is no such zone.
#[must_use]
pub fn time_zone(name: &str) -> Option<TimeZone> {
    match name {
        "local" => Some(TimeZone::system()),
        "UTC" => Some(TimeZone::UTC),
        // Only an offset goes to the parser: it would take "Mars5" for a POSIX rule.
        offset if offset.starts_with(['+', '-']) => {
            jiff::fmt::temporal::DateTimeParser::new().parse_time_zone(offset).ok()
        }
        name => TimeZone::get(name).ok(),
    }
}
