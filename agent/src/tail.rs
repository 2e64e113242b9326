//! The tail thread: finds log files, reads them, and turns bytes into batches.

use crate::config::{Bytes, Interval};
use serde::{Deserialize, Serialize};

/// `[tail]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Globs of log files. Empty: `$SPARK_LOG_DIR`, `$FLINK_LOG_DIR` and what `--logs` names.
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
    /// Most files read at the same time; those over it wait and are counted. Default 4096.
    pub files_max: usize,
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
            files_max: 4096,
        }
    }
}
