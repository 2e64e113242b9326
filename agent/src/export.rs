//! Exporters: deliver a batch to one destination. Adding one is a file and two lines here.

pub mod file;
pub mod prometheus;

use crate::config::Section;
use crate::model::{Signal, SignalKind};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// A boxed future; one box per batch costs nothing (architecture, D8).
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Delivers batches to one destination.
pub trait Exporter: Send + 'static {
    /// Which signals it takes.
    fn signals(&self) -> &'static [SignalKind];

    /// Delivers one batch. `Ok` means the destination has it.
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

/// The checked section of one exporter.
pub trait ExporterConfig: fmt::Debug + Send {}
