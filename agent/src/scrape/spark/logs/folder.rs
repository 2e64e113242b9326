//! Which logs of a folder are followed, and reading them. Blocks: it is called from a thread that may.

use super::report::Report;
use crate::event_log::follow::{Follower, Progress};
use crate::event_log::source::{self, Log};
use crate::findings::Thresholds;
use redaction::Redactor;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Logs that are followed at the same time.
const FOLLOWED_MAX: usize = 128;
/// Unpacked bytes of one log after which the next one has its turn.
const SLICE_BYTES: u64 = 16 << 20;
/// Entries of reports that may wait; what is read after that waits for the next round.
const ENTRIES_MAX: usize = 8_192;
/// A log that was written so lately is followed, however short the linger time is.
const AGE_MIN: Duration = Duration::from_secs(60);
/// A log that nobody has written for so long, and that no live application names, is let go of. It is
/// read anew when it grows: what is counted is the state of the run.
pub(in crate::scrape::spark) const SILENCE_MAX: Duration = Duration::from_secs(3_600);
/// What one round of reading may take.
const ROUND: Duration = Duration::from_secs(8);

/// A log as it is told apart: the path that it has when Spark is done with it.
pub(super) type LogId = PathBuf;

/// What is to be followed. Paths are as Spark or the operator has them, and leave this part of the
/// program through the redactor only.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// The folder of which every log is followed.
    pub(super) folder: Option<PathBuf>,
    /// Folders that applications name, with how the names of their logs begin.
    pub(super) named: BTreeMap<PathBuf, BTreeSet<String>>,
}

/// Logs that are followed, and those that are done with.
pub(super) struct Folder {
    redactor: Arc<Redactor>,
    thresholds: Thresholds,
    /// Logs that were written last longer ago are left alone.
    age_max: Duration,
    followed: BTreeMap<LogId, Followed>,
    /// Those that need not be read again while they are listed.
    done: BTreeSet<LogId>,
    /// How often a log was left out for the limit.
    pub(super) n_cut: u64,
    /// The last round did not read all that was there.
    pub(super) is_behind: bool,
    /// Why the folder that the operator named cannot be listed, redacted.
    pub(super) problem: Option<String>,
}

struct Followed {
    follower: Follower,
    /// When it grew last, or was asked for.
    touched: Instant,
}

/// What a round brought of one log.
pub(super) struct Heard {
    pub(super) report: Report,
    /// Where it could not be read, redacted.
    pub(super) damage: Option<String>,
}

impl Folder {
    pub(super) fn new(redactor: Arc<Redactor>, thresholds: Thresholds, linger: Duration) -> Self {
        let (followed, done) = (BTreeMap::new(), BTreeSet::new());
        let age_max = linger.max(AGE_MIN);
        Self {
            redactor,
            thresholds,
            age_max,
            followed,
            done,
            n_cut: 0,
            is_behind: false,
            problem: None,
        }
    }

    /// Looks for new logs, and reads on in all. What `wanted` does not name any more is read to its
    /// end all the same.
    pub(super) fn round(&mut self, wanted: &Wanted) -> Vec<Heard> {
        self.problem = None;
        let mut listed = BTreeSet::new();
        if let Some(folder) = &wanted.folder {
            self.scan(folder, None, &mut listed);
        }
        for (folder, beginnings) in &wanted.named {
            if wanted.folder.as_ref() != Some(folder) {
                self.scan(folder, Some(beginnings), &mut listed);
            }
        }
        self.done.retain(|id| listed.contains(id));
        self.read()
    }

    fn scan(
        &mut self,
        folder: &Path,
        beginnings: Option<&BTreeSet<String>>,
        listed: &mut BTreeSet<LogId>,
    ) {
        let entries = match source::candidates(folder) {
            Ok(entries) => entries,
            Err(error) => {
                // What an application names may be of another host, or not be there yet.
                if beginnings.is_none() {
                    let path = self.redactor.value(&folder.display().to_string());
                    self.problem = Some(format!("event_log_dir {path}: {error}"));
                }
                return;
            }
        };
        for path in entries {
            let is_named = |beginnings: &BTreeSet<String>| {
                beginnings.iter().any(|beginning| source::is_named(&path, beginning))
            };
            if !beginnings.is_none_or(is_named) {
                continue;
            }
            let id = source::path_when_done(&path);
            if let Some(followed) = self.followed.get_mut(&id) {
                if beginnings.is_some() {
                    followed.touched = Instant::now();
                }
                continue;
            }
            if !listed.insert(id.clone()) || self.done.contains(&id) {
                continue;
            }
            // One that nobody has written for long is of a run whose numbers nobody asks for any more,
            // or of a driver that was killed. It is looked at again when it grows.
            let since = SystemTime::now().checked_sub(self.age_max);
            if let Some(log) = source::open(&path, since.filter(|_| beginnings.is_none())) {
                self.follow(id, &log);
            }
        }
    }

    /// True while some log may grow.
    pub(super) fn is_reading(&self) -> bool {
        !self.followed.is_empty()
    }

    fn follow(&mut self, id: LogId, log: &Log) {
        if self.followed.len() >= FOLLOWED_MAX {
            self.n_cut += 1;
            return;
        }
        let mut follower = Follower::new(log, self.redactor.clone());
        // From here on what changes is noted.
        let run = follower.log_mut().run_mut();
        run.jobs.take_ended();
        run.stages.take_changed();
        self.followed.insert(id, Followed { follower, touched: Instant::now() });
    }

    /// Reads all logs in turns, until nothing is left to be read or the time is over.
    fn read(&mut self) -> Vec<Heard> {
        let end = Instant::now() + ROUND;
        let mut heard: Vec<Heard> = Vec::new();
        let mut n_entries = 0;
        let mut behind: Vec<LogId> = self.followed.keys().cloned().collect();
        while let Some(id) = behind.pop() {
            let Some(followed) = self.followed.get_mut(&id) else { continue };
            let follower = &mut followed.follower;
            let n_bytes = follower.log().tally().n_bytes;
            let was_in_progress = follower.is_in_progress();
            let progress = follower.read(SLICE_BYTES);
            let has_changed = follower.log().tally().n_bytes > n_bytes
                || follower.is_in_progress() != was_in_progress
                || progress == Progress::Finished;
            if has_changed {
                followed.touched = Instant::now();
            }
            if has_changed
                && let Some(report) =
                    Report::take(follower.log_mut().run_mut(), progress, &self.thresholds)
            {
                n_entries += report.len();
                let damage = follower.damage().filter(|_| progress == Progress::Finished);
                let damage = damage.map(|it| self.redactor.value(&it.to_string()).to_string());
                heard.push(Heard { report, damage });
            }
            match progress {
                Progress::Behind => behind.insert(0, id),
                Progress::UpToDate => {}
                Progress::Finished => {
                    self.followed.remove(&id);
                    self.done.insert(id);
                }
            }
            if Instant::now() >= end || n_entries >= ENTRIES_MAX {
                break;
            }
        }
        self.is_behind = !behind.is_empty();
        self.followed.retain(|_, followed| followed.touched.elapsed() < SILENCE_MAX);
        heard
    }
}
