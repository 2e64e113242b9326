//! `[exporters.NAME.lane]`: what is common to all exporters of logs.

use crate::config::{Bytes, Interval, Section};
use serde::{Deserialize, Serialize};

/// What a lane does when its destination does not take a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether reading waits when the spool is full; else the newest batches are dropped and
    /// counted. Default true.
    pub required: bool,
    /// Time for one delivery, after which it counts as failed. Default `10s`; from `100ms` to `10m`.
    pub request_timeout: Interval,
    /// Bytes of the spool. Default `256MiB`; 0 is no spool, else at least `limits.memory_bytes_max`.
    pub spool_bytes_max: Bytes,
    /// Bytes of the dead letters, of which the oldest go first. Default `16MiB`; 0 keeps none.
    pub dead_letters_bytes_max: Bytes,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            required: true,
            request_timeout: Interval::from_secs(10),
            spool_bytes_max: Bytes(256 << 20),
            dead_letters_bytes_max: Bytes(16 << 20),
        }
    }
}

impl Config {
    /// Makes the config, and reports what is wrong in it to the section.
    pub fn configure(section: &mut Section<'_>) -> Self {
        let config: Self = section.parse();
        let timeout_ms = config.request_timeout.0.as_millis();
        let is_time_allowed = (100..=600_000).contains(&timeout_ms);
        section.require("request_timeout", is_time_allowed, "must be from 100ms to 10m");
        config
    }
}
