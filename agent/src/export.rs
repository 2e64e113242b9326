//! Exporters: deliver a batch to one destination. Adding one is a file and two lines here.

pub mod cloudwatch_metrics;
pub mod dead_letters;
pub mod file;
pub mod lane;
pub mod prometheus;
pub mod spool;

use crate::config::Section;
use crate::model::{Signal, SignalKind};
use prometheus::SeriesTable;
use redaction::{Redactor, Value};
use std::fmt;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A boxed future; one box per batch costs nothing (architecture, D8).
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Delivers batches to one destination.
pub trait Exporter: Send + 'static {
    /// Delivers one batch. `Ok` means the destination has it.
    ///
    /// The future may be dropped at any await: the lane does that after `lane.request_timeout`. Then,
    /// and after a failure, the same records come again, maybe from the spool and in the middle of
    /// other calls, or never. The next call must find the exporter fit to send whatever it gets; what
    /// was half sent may arrive twice. It must not block: what does belongs on a thread of its own.
    fn export<'a>(&'a mut self, signal: &'a Signal) -> BoxFuture<'a, Result<(), ExportError>>;
}

/// Why a batch was not delivered, as far as the lane decides differently.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Trying again may help.
    #[error("{source}")]
    Transient {
        /// What happened.
        source: Box<dyn std::error::Error + Send + Sync>,
        /// When the destination asked to be asked again.
        retry_after: Option<Duration>,
    },
    /// The destination will never take this batch as it is. The lane finds out which records of it
    /// are to blame, and keeps those as dead letters.
    #[error("refused: {reason}")]
    Rejected {
        /// What the destination said, redacted.
        reason: Value,
    },
    /// Nobody will ever take anything there again: the reader of our standard output went away.
    #[error("the destination is gone for good")]
    Gone,
}

/// Every exporter there is.
pub const EXPORTERS: &[ExporterDefinition] = &[file::DEFINITION, prometheus::DEFINITION];

/// One kind of exporter, as its file describes it.
#[derive(Debug)]
pub struct ExporterDefinition {
    /// Name of its section: `[exporters.<name>]`.
    pub name: &'static str,
    /// Which signals it takes.
    pub signals: &'static [SignalKind],
    /// Whether it runs when the config has no `[exporters]` at all.
    pub is_default: bool,
    /// Makes its config, and reports what is wrong in it to the section.
    pub configure: fn(&mut Section<'_>) -> Box<dyn ExporterConfig>,
}

impl ExporterDefinition {
    /// Makes the config of the exporter, and that of its lane when it takes logs.
    pub(crate) fn configure_all(&self, section: &mut Section<'_>) -> ExporterSection {
        let takes_logs = self.signals.contains(&SignalKind::Logs);
        let lane = if takes_logs {
            lane::Config::configure(&mut section.take_below("lane"))
        } else {
            lane::Config::default()
        };
        ExporterSection { exporter: (self.configure)(section), lane }
    }
}

/// The section of one exporter: `[exporters.NAME]` and what is below it.
#[derive(Debug)]
pub struct ExporterSection {
    /// The exporter's own keys.
    pub exporter: Box<dyn ExporterConfig>,
    /// `[exporters.NAME.lane]`.
    pub lane: lane::Config,
}

/// The checked section of one exporter.
pub trait ExporterConfig: fmt::Debug + Send {
    /// Makes the exporter.
    ///
    /// # Errors
    /// When something that the section names cannot be used.
    fn build(&self, shared: &Shared) -> Result<Box<dyn Exporter>, BuildError>;

    /// The file that the exporter writes, if it writes one: it is never read as a log.
    fn output(&self) -> Option<&Path> {
        None
    }
}

/// What exporters are made with.
#[derive(Debug)]
pub struct Shared {
    /// For strings that an exporter takes from elsewhere, such as answers of its destination.
    pub redactor: Arc<Redactor>,
    series: OnceLock<Arc<SeriesTable>>,
}

impl Shared {
    /// Nothing is published yet.
    #[must_use]
    pub fn new(redactor: Arc<Redactor>) -> Self {
        Self { redactor, series: OnceLock::new() }
    }

    /// Puts a table behind `/metrics`.
    pub fn publish(&self, series: Arc<SeriesTable>) {
        // One section makes one table; a second call would come from a bug, not from input.
        let _ = self.series.set(series);
    }

    /// The table behind `/metrics`; an empty one when no exporter has published any.
    #[must_use]
    pub fn series(&self) -> Arc<SeriesTable> {
        self.series.get().cloned().unwrap_or_else(|| Arc::new(SeriesTable::new(1)))
    }
}

/// A component cannot be made from its section.
#[derive(Debug, thiserror::Error)]
#[error("[{section}] cannot be used: {reason}")]
pub struct BuildError {
    /// `exporters.NAME` or `scrapers.NAME`.
    pub section: &'static str,
    /// What to change.
    pub reason: String,
}
