//! The staging area as the exporter and the shipper share it: opened by whoever comes first, used by
//! one at a time, on threads that may wait for the disk.

use super::staging::{Limits, Staging};
use crate::policy::Redactors;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// See the head of the file.
#[derive(Debug)]
pub(super) struct Stage {
    state_dir: PathBuf,
    place: String,
    limits: Limits,
    redactors: Arc<Redactors>,
    rules: Mutex<Option<u64>>,
    staging: Mutex<Option<Staging>>,
    changed: Notify,
}

impl Stage {
    /// Nothing is opened yet. `place` is what is archived to.
    #[must_use]
    pub(super) fn new(
        state_dir: PathBuf,
        place: String,
        limits: Limits,
        redactors: Arc<Redactors>,
    ) -> Self {
        let (rules, staging, changed) = (Mutex::default(), Mutex::default(), Notify::new());
        Self { state_dir, place, limits, redactors, rules, staging, changed }
    }

    /// Says which rules all that comes was redacted with. Before the first use.
    pub(super) fn set_rules(&self, rules: Option<u64>) {
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    /// Those of today.
    #[must_use]
    pub(super) fn redactors(&self) -> Arc<Redactors> {
        self.redactors.clone()
    }

    /// Does something with the staging area. Goes on to its end when this future is dropped.
    ///
    /// # Errors
    /// When it cannot be opened, or `work` fails.
    pub(super) async fn with<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Staging) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let stage = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            // Whole whatever panicked: the process ends then.
            let mut staging = stage.staging.lock().unwrap_or_else(PoisonError::into_inner);
            let staging = match &mut *staging {
                Some(staging) => staging,
                none => none.insert(stage.open()?),
            };
            work(staging)
        });
        done.await.unwrap_or_else(|ending| Err(ending.into()))
    }

    fn open(&self) -> io::Result<Staging> {
        let rules = *self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        Staging::open(&self.state_dir, &self.place, self.limits, rules, &self.redactors)
    }

    /// Says that there may be something to send.
    pub(super) fn note_change(&self) {
        self.changed.notify_one();
    }

    /// Returns after [`note_change`](Self::note_change).
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}
