//! What outlives a change of the config.

use super::tail_thread::Left;
use super::{StartError, Undelivered};
use crate::admin::Admin;
use crate::checkpoint::{self, Checkpoint, Entry, Event, Store};
use crate::config::Config;
use crate::export::Carried;
use crate::model::{FileId, SignalKind};
use crate::scrape::Job;
use crate::scrape::timer::{JobTable, Running};
use crate::tail::Tail;
use crate::tail::discover::Finder;
use crate::telemetry;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Time between two complaints about a disk that hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// Positions and file news on their way to the checkpointer.
const CHECKPOINT_QUEUE: usize = 256;

/// The admin port and the checkpointer, and what another config goes on with once an agent ran.
pub struct Core {
    /// The admin port: who connects while nobody answers waits, and is not refused.
    pub admin: Admin,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) checkpointer: JoinHandle<bool>,
    /// Files of earlier runs, for a tail that begins anew.
    pub(super) entries: Vec<(FileId, Entry)>,
    pub(super) tail: Option<Box<Tail>>,
    /// What the config before read, where its tail could not be handed over.
    pub(super) former: Option<Finder>,
    /// What lanes have neither delivered nor stored, in order.
    pub(super) left: Vec<Left>,
    /// Scrapers with what they have counted.
    pub(super) scrapers: Vec<Running>,
    /// What exporters have told their destinations.
    pub(super) carried: Arc<Carried>,
    pub(super) jobs: (Arc<JobTable>, watch::Receiver<Arc<Vec<Job>>>),
    /// What was given up under earlier configs.
    pub(super) given_up: Vec<Undelivered>,
}

impl Core {
    /// Takes the state folder and the admin port.
    ///
    /// # Errors
    /// When another agent has one of them, or it cannot be used.
    pub fn open(config: &Config) -> Result<Self, StartError> {
        let (store, loaded) = Store::open(&config.state_dir, checkpoint::unix_seconds())?;
        let admin = Admin::bind(config.admin.listen)?;
        let (events, heard) = mpsc::channel(CHECKPOINT_QUEUE);
        let checkpoint = Checkpoint::new(loaded.entries.clone());
        Ok(Self {
            admin,
            events,
            checkpointer: tokio::spawn(checkpoint::run(heard, checkpoint, store)),
            entries: loaded.entries,
            tail: None,
            former: None,
            left: Vec::new(),
            scrapers: Vec::new(),
            carried: Arc::default(),
            jobs: JobTable::new(),
            given_up: Vec::new(),
        })
    }

    /// Keeps what an agent with the config `new` can go on with.
    pub fn fit(&mut self, old: &Config, new: &Config) {
        let (old_settings, new_settings) = (old.settings(), new.settings());
        let is_same_job = old_settings.get("job") == new_settings.get("job");
        let scraper = |settings: &toml::Table, name| {
            settings.get("scrapers").and_then(|scrapers| scrapers.get(name)).cloned()
        };
        let is_same = |name| scraper(old_settings, name) == scraper(new_settings, name);
        if old.redaction.is_same_policy(&new.redaction) {
            self.scrapers.retain(|it| is_same_job && is_same(it.name));
        } else {
            // They hold texts that were redacted in another way, and what is counted begins anew.
            self.scrapers.clear();
            self.carried = Arc::default();
            self.left.retain(|(exporter, batch)| {
                let is_counted_anew = batch.signal.kind() == SignalKind::Metrics;
                telemetry::METRIC_BATCHES_DROPPED.add(exporter, u64::from(is_counted_anew));
                !is_counted_anew
            });
            self.jobs = JobTable::new();
        }
    }

    /// What the checkpoint says now, also where it was not written yet. It comes when the disk of the
    /// state folder works: without it, all files would be new.
    pub(super) async fn ask_checkpoint(&self) -> Vec<(FileId, Entry)> {
        let (answer, mut answered) = mpsc::channel(1);
        let ask = async {
            // The checkpointer ends only when this sender is gone.
            let _ = self.events.send(Event::Asked(answer)).await;
            answered.recv().await.unwrap_or_default()
        };
        let mut ask = std::pin::pin!(ask);
        loop {
            match tokio::time::timeout(PATIENCE, &mut ask).await {
                Ok(entries) => return entries,
                Err(_) => tracing::warn!("the disk of the state folder hangs; waiting for it"),
            }
        }
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("admin", &self.admin).finish_non_exhaustive()
    }
}
