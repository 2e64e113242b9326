//! How the tail of a test starts.

use crate::checkpoint::{Entry, Event};
use crate::config::{Interval, Job};
use crate::identity::Identity;
use crate::model::FileId;
use crate::policy::Redactors;
use crate::tail::batch::BatchLimits;
use crate::tail::discover::Finder;
use crate::tail::{Config, Start, Tail};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// A tail that waits for nothing and hands over small batches.
pub(in crate::tail::files) fn start_tail(
    glob: &Path,
    identity_wait: Duration,
    entries: Vec<(FileId, Entry)>,
    now: Instant,
) -> (Tail, mpsc::Receiver<Event>) {
    let (events, receiver) = mpsc::channel(4096);
    (Tail::new(start(glob, identity_wait, entries, events), now), receiver)
}

pub(super) fn start(
    glob: &Path,
    identity_wait: Duration,
    entries: Vec<(FileId, Entry)>,
    events: mpsc::Sender<Event>,
) -> Start {
    let (_, jobs) = watch::channel(Arc::default());
    let redactors = Arc::new(Redactors::default());
    let redactor = redactors.base().clone();
    let identity = Identity::new(redactor, &Job::default(), &BTreeMap::new(), "");
    let config = Config { identity_wait: Interval(identity_wait), ..Config::default() };
    let limits = BatchLimits {
        bytes_max: 4096,
        records_max: 5,
        age_max: Duration::from_secs(1),
        open_bytes_max: 1 << 20,
    };
    let finder = Finder::new(&[glob.display().to_string()], &[], Vec::new()).unwrap();
    Start {
        config,
        limits,
        finder,
        redactors,
        identity: Arc::new(identity),
        jobs,
        events,
        entries,
        exit_when_idle: None,
    }
}
