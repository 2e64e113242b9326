//! Keeps the samples that `/metrics` shows, and writes them in the two Prometheus formats.
//!
//! Nothing is sent from here: the admin server renders the table when somebody asks.

mod accept;
mod table;
mod text;

pub use accept::Format;
pub use table::SeriesTable;

use super::{
    Answer, BoxFuture, BuildError, Exporter, ExporterConfig, ExporterDefinition, Shared, lane,
};
use crate::config::Section;
use crate::model::{Signal, SignalKind};
use crate::telemetry;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

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
}

impl Default for Config {
    fn default() -> Self {
        Self { series_max: 10_000 }
    }
}

impl ExporterConfig for Config {
    fn build(&self, _: &lane::Config, shared: &Shared) -> Result<Box<dyn Exporter>, BuildError> {
        let table = Arc::new(SeriesTable::new(self.series_max));
        shared.publish(table.clone());
        Ok(Box::new(Prometheus { table }))
    }
}

/// Takes batches of samples into the table behind `/metrics`.
#[derive(Debug)]
struct Prometheus {
    table: Arc<SeriesTable>,
}

impl Exporter for Prometheus {
    fn export<'a>(&'a mut self, signal: &'a Signal) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            // A lane only gets the signals that its exporter names.
            if let Signal::Metrics(batch) = signal {
                let n_dropped = self.table.replace(batch);
                telemetry::SERIES_DROPPED.add(n_dropped as u64);
            }
            Ok(Vec::new())
        })
    }
}
