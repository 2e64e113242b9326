//! Keeps the samples that `/metrics` shows, and writes them in the two Prometheus formats.

use crate::config::Interval;
use serde::{Deserialize, Serialize};

/// `[exporters.prometheus]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Most series that `/metrics` shows; what is over it is left out and counted. Default 10000.
    pub series_max: usize,
    /// How long the series of a job that no scraper reports any more stay. Default `5m`.
    pub linger: Interval,
}

impl Default for Config {
    fn default() -> Self {
        Self { series_max: 10_000, linger: Interval::from_secs(300) }
    }
}
