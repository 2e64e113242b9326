//! Archives log records on S3: compressed JSON lines in large objects, and manifests that prove that
//! nothing is missing.
//!
//! A record counts as delivered once it is synced in the staging area (`staging.rs`); a task of its own
//! (`shipper.rs`) makes objects of what is there (`object.rs`) and puts them (`bucket.rs`).

mod aside;
mod book;
pub mod bucket;
mod config;
mod frames;
mod growing;
pub mod manifest;
mod object;
mod partition;
mod probe;
mod repeats;
mod shipper;
mod stage;
mod staging;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use object::Compression;

use super::{Answer, BoxFuture, ExportError, Exporter, ExporterDefinition};
use crate::model::{LogBatch, Signal, SignalKind};
use shipper::{Shipper, Until};
use stage::Stage;
use staging::Stop;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// `s3`
pub const DEFINITION: ExporterDefinition = ExporterDefinition {
    name: "s3",
    signals: &[SignalKind::Logs],
    is_default: false,
    configure: config::configure,
};

/// Batches that are staged together, with one sync.
const BATCHES_MAX: usize = 16;

/// See the head of the file.
#[derive(Debug)]
struct S3Archive {
    stage: Arc<Stage>,
    /// Sends, once it runs.
    shipper: Option<Shipper>,
    until: watch::Sender<Until>,
    shipping: Option<JoinHandle<()>>,
}

impl S3Archive {
    fn new(shipper: Shipper) -> Self {
        let (until, _) = watch::channel(Until::Stopped);
        Self { stage: shipper.stage.clone(), shipper: Some(shipper), until, shipping: None }
    }

    async fn stage(&mut self, batches: Vec<LogBatch>) -> Vec<Answer> {
        let now = Instant::now();
        let staged = self.stage.with(move |staging| Ok(staging.append(batches, now))).await;
        self.stage.note_change();
        let (n_safe, stop) = staged.unwrap_or_else(|error| (0, Some(Stop::Failed(error))));
        let mut answers: Vec<Answer> = (0..n_safe).map(|_| Ok(Vec::new())).collect();
        answers.extend(
            stop.map(|stop| Err(ExportError::Transient { source: stop.into(), retry_after: None })),
        );
        answers
    }
}

impl Exporter for S3Archive {
    fn export<'a>(&'a mut self, signal: &'a Signal) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let Some(logs) = signal.logs() else { return Ok(Vec::new()) };
            self.stage(vec![logs.clone()]).await.pop().unwrap_or(Ok(Vec::new()))
        })
    }

    fn export_all<'a>(&'a mut self, signals: &'a [&'a Signal]) -> BoxFuture<'a, Vec<Answer>> {
        let batches = signals.iter().filter_map(|signal| signal.logs().cloned()).collect();
        Box::pin(self.stage(batches))
    }

    fn batches_max(&self) -> usize {
        BATCHES_MAX
    }

    fn begin(&mut self, rules: Option<u64>) {
        self.stage.set_rules(rules);
        if let Some(shipper) = self.shipper.take() {
            self.shipping = Some(tokio::spawn(shipper.run(self.until.subscribe())));
        }
    }

    fn finish(&mut self, is_all: bool) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let sealed = self.stage.with(|staging| {
                staging.seal_all();
                Ok(())
            });
            if sealed.await.is_err() {
                return;
            }
            self.until.send_replace(Until::Empty { is_all });
            if let Some(shipping) = &mut self.shipping {
                // It ends when all is sent.
                let _ = shipping.await;
                self.shipping = None;
            }
        })
    }

    fn kept_records(&mut self) -> BoxFuture<'_, u64> {
        Box::pin(async move { self.stage.with(|staging| Ok(staging.records())).await.unwrap_or(0) })
    }
}

impl Drop for S3Archive {
    fn drop(&mut self) {
        self.shipping.iter().for_each(JoinHandle::abort);
    }
}
