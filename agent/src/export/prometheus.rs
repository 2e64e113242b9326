//! Keeps the samples that `/metrics` shows, and writes them in the two Prometheus formats.

use crate::config::{Interval, Section};
use crate::export::{ExporterConfig, ExporterDefinition};
use crate::model::SignalKind;
use serde::{Deserialize, Serialize};

/// `prometheus`
pub const DEFINITION: ExporterDefinition = ExporterDefinition {
    name: "prometheus",
    signals: &[SignalKind::Metrics],
    is_default: true,
    configure,
};

fn configure(section: &mut Section<'_>) -> Box<dyn ExporterConfig> {
    let config: Config = section.parse();
    let is_count_allowed = (1..=1_000_000).contains(&config.series_max);
    section.require("series_max", is_count_allowed, "must be from 1 to 1000000");
    Box::new(config)
}

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

impl ExporterConfig for Config {}
