//! Exporters: deliver a batch to one destination. Adding one is a file and two lines here.

pub mod cloudwatch;
pub mod cloudwatch_logs;
pub mod cloudwatch_metrics;
pub mod dead_letters;
mod delivered;
pub mod file;
pub mod lane;
pub mod otlp;
pub mod prometheus;
pub mod s3;
pub mod spool;
mod troubles;

pub use troubles::Troubles;

use crate::config::Section;
use crate::health::Health;
use crate::model::{Resource, Signal, SignalKind};
use crate::policy::Redactors;
use prometheus::SeriesTable;
use redaction::{Redactor, Value};
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};
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
    fn export<'a>(&'a mut self, signal: &'a Signal) -> BoxFuture<'a, Answer>;

    /// Delivers batches of one lane, at most [`batches_max`](Self::batches_max), oldest first: one
    /// answer for each, in their order. What has no answer was not tried. All that is said of
    /// [`export`](Self::export) holds; a batch is delivered when its answer says so, whatever became
    /// of those before it.
    fn export_all<'a>(&'a mut self, signals: &'a [&'a Signal]) -> BoxFuture<'a, Vec<Answer>> {
        Box::pin(async move {
            let mut answers = Vec::new();
            for signal in signals {
                answers.push(self.export(signal).await);
                if matches!(answers.last(), Some(Err(_))) {
                    break;
                }
            }
            answers
        })
    }

    /// How many batches are better delivered together, where they are there anyway: more than one
    /// when a request holds records of several.
    fn batches_max(&self) -> usize {
        1
    }

    /// Called once before the first batch of a lane. `rules` are those that all its batches were
    /// redacted with, where that is known ([`Redactors::fingerprint`]).
    fn begin(&mut self, rules: Option<u64>) {
        let _ = rules;
    }

    /// Called once when nothing more comes, for exporters that have said `Ok` to what is only on the
    /// disk: sends that. `is_all` says that nothing waits in the lane either. May be dropped.
    fn finish(&mut self, is_all: bool) -> BoxFuture<'_, ()> {
        let _ = is_all;
        Box::pin(async {})
    }

    /// Records that are on the disk and not at the destination, for the same exporters.
    fn kept_records(&mut self) -> BoxFuture<'_, u64> {
        Box::pin(async { 0 })
    }
}

/// How the delivery of one batch went. `Ok` names the records that the destination has refused for
/// good while it took the others.
pub type Answer = Result<Vec<Refused>, ExportError>;

/// A record that the destination will never take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Which record of the batch.
    pub record: usize,
    /// What the destination said, redacted.
    pub reason: Value,
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
    /// Nothing goes to this one target until somebody changes something there, while others may
    /// work. The lane puts the batch aside, and asks again later.
    #[error("{target} takes nothing: {reason}")]
    Parked {
        /// Which one, redacted.
        target: String,
        /// What it said, redacted.
        reason: Value,
        /// When it is worth a try.
        retry_after: Duration,
    },
    /// A part of it is to be sent with the next batches, as the request would not be full; nothing has
    /// failed. Of a call with several batches alone, and only when it has sent something else.
    #[error("a part waits for a full request")]
    Unfinished,
    /// Nobody will ever take anything there again: the reader of our standard output went away.
    #[error("the destination is gone for good")]
    Gone,
}

/// Every exporter there is.
pub const EXPORTERS: &[ExporterDefinition] = &[
    file::DEFINITION,
    prometheus::DEFINITION,
    cloudwatch_logs::DEFINITION,
    cloudwatch_metrics::DEFINITION,
    otlp::DEFINITION,
    s3::DEFINITION,
];

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

impl ExporterSection {
    /// The signals that go there: of those that such an exporter takes, the ones that the section
    /// wants.
    pub fn signals(&self, definition: &ExporterDefinition) -> impl Iterator<Item = SignalKind> {
        definition.signals.iter().copied().filter(|signal| self.exporter.wants(*signal))
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
    fn build(&self, lane: &lane::Config, shared: &Shared) -> Result<Box<dyn Exporter>, BuildError>;

    /// Whether a signal that such an exporter takes is to go there.
    fn wants(&self, signal: SignalKind) -> bool {
        let _ = signal;
        true
    }

    /// Whether the agent's own metrics are to go there too, as batches without labels. `/metrics` and
    /// `[telemetry.otlp]` have them in ways of their own.
    fn wants_own_metrics(&self) -> bool {
        false
    }

    /// Where it sends, for the operator: what the section, or the environment, says of it.
    fn describe(&self) -> Option<String> {
        None
    }

    /// Asks the destination whether all will work, and writes nothing there.
    fn probe<'a>(
        &'a self,
        lane: &'a lane::Config,
        shared: &'a Shared,
    ) -> BoxFuture<'a, Vec<Finding>> {
        let _ = (lane, shared);
        Box::pin(async { Vec::new() })
    }

    /// The file that the exporter writes, if it writes one: it is never read as a log.
    fn output(&self) -> Option<&Path> {
        None
    }
}

/// What a destination answered when it was asked whether all will work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// This will.
    Good(String),
    /// This cannot be known without writing, or works with a loss.
    Doubt(String),
    /// This will not; what to change.
    Bad(String),
}

/// What exporters have told their destinations, for those of the next config: without it, they would
/// tell it twice, or never.
#[derive(Debug, Default)]
pub struct Carried {
    cloudwatch_metrics: OnceLock<Arc<Mutex<cloudwatch_metrics::Encoder>>>,
    otlp_metrics: OnceLock<Arc<Mutex<delivered::Delivered>>>,
}

/// What exporters are made with.
#[derive(Debug)]
pub struct Shared {
    /// For strings that an exporter takes from elsewhere, such as answers of its destination.
    pub redactor: Arc<Redactor>,
    /// What the operator says of every job.
    pub given: Resource,
    /// For exporters that try again on their own, to say why.
    pub troubles: Arc<Troubles>,
    /// For exporters that deliver on their own, to say that somebody has to act.
    pub health: Arc<Health>,
    carried: Arc<Carried>,
    /// All of them, for what comes back from the disk.
    pub redactors: Arc<Redactors>,
    /// Where an exporter may keep what it has to know over restarts, in a folder of its own.
    pub state_dir: PathBuf,
    series: OnceLock<Arc<SeriesTable>>,
}

impl Shared {
    /// Nothing is published yet.
    #[must_use]
    pub fn new(redactors: Arc<Redactors>, state_dir: &Path) -> Self {
        let (redactor, state_dir) = (redactors.base().clone(), state_dir.to_owned());
        let (carried, series) = (Arc::default(), OnceLock::new());
        let (given, troubles, health) = (Resource::default(), Arc::default(), Arc::default());
        Self { redactor, given, troubles, health, carried, redactors, state_dir, series }
    }

    /// Goes on where exporters of another config were.
    #[must_use]
    pub fn going_on(self, carried: Arc<Carried>) -> Self {
        Self { carried, ..self }
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

/// First pause after a failed try; it doubles with every further failure.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The pause after `failures` others, `longest` at most. Full jitter: anything between nothing and the
/// doubled pause, so that agents do not march in step.
fn pause(failures: u32, longest: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    // The hasher's random keys are random enough for that.
    let ratio = RandomState::new().hash_one(()) as f64 / u64::MAX as f64;
    let ceiling = PAUSE_MIN.saturating_mul(1 << failures.min(16)).min(longest);
    ceiling.mul_f64(ratio).max(PAUSE_MIN / 10)
}

#[cfg(test)]
mod tests {
    use super::{PAUSE_MIN, pause};
    use std::time::Duration;

    #[test]
    fn pauses_grow_to_the_longest_and_never_to_nothing() {
        let longest = Duration::from_secs(30);
        for failures in [0, 3, 40, u32::MAX] {
            let ceiling = (PAUSE_MIN * (1 << failures.min(16))).min(longest);
            let pauses: Vec<_> = (0..1_000).map(|_| pause(failures, longest)).collect();
            assert!(pauses.iter().all(|it| *it > Duration::ZERO && *it <= ceiling), "{failures}");
            assert!(pauses.iter().any(|it| *it > ceiling.mul_f64(0.9)), "{failures}");
            assert!(pauses.iter().any(|it| *it < ceiling.mul_f64(0.2)), "{failures}");
        }
    }
}
