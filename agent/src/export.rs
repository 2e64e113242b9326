//! Exporters: deliver a batch to one destination. Adding one is a file and two lines here.

pub mod file;
pub mod prometheus;

use crate::model::{Signal, SignalKind};
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
