//! Keeps the samples that `/metrics` shows, and writes them in the two Prometheus formats.
//!
//! Nothing is sent from here: the admin server renders the table when somebody asks.

mod accept;
mod table;
mod text;

pub use accept::Format;
pub use table::SeriesTable;

use super::{BoxFuture, ExportError, Exporter};
use crate::config::Interval;
use crate::model::{Signal, SignalKind};
use crate::telemetry;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

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

/// Takes batches of samples into the table behind `/metrics`.
#[derive(Debug)]
pub struct Prometheus {
    table: Arc<SeriesTable>,
}

impl Prometheus {
    /// An exporter into `table`.
    #[must_use]
    pub fn new(table: Arc<SeriesTable>) -> Self {
        Self { table }
    }
}

impl Exporter for Prometheus {
    fn signals(&self) -> &'static [SignalKind] {
        &[SignalKind::Metrics]
    }

    fn export<'a>(&'a mut self, signal: &'a Signal) -> BoxFuture<'a, Result<(), ExportError>> {
        Box::pin(async move {
            // A lane only gets the signals that its exporter names.
            if let Signal::Metrics(batch) = signal {
                let now = tokio::time::Instant::now().into_std();
                let n_dropped = self.table.replace(batch, now);
                telemetry::SERIES_DROPPED.add(n_dropped as u64);
            }
            Ok(())
        })
    }
}
