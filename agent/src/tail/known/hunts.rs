//! Looks for files whose path is not theirs any more, and gives them up when nothing is left of them.

use super::originals::Originals;
use super::{Known, is_gone};
use crate::checkpoint::{Entry, Event};
use crate::model::FileId;
use crate::tail::discover::Finder;
use crate::tail::fingerprint::Inode;
use crate::tail::lineage::{is_gzip, is_kin};
use crate::tail::names::is_named_after;
use crate::tail::rotated::Astray;
use crate::telemetry;
use std::collections::{HashMap, HashSet};
use std::io;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a file is looked for under other names, once its path is not its own: compressing a
/// large one takes long.
const HUNT_TIME: Duration = Duration::from_secs(60);

/// How long the copy of an overwritten file is looked for: it was made before.
const COPY_HUNT_TIME: Duration = Duration::from_secs(5);

/// How much longer a file is looked for that one that waits may be, or may be made of.
const CLAIM_TIME: Duration = Duration::from_secs(2);

/// A file that is looked for under other names.
#[derive(Debug, Default)]
pub(super) struct Hunt {
    /// When it is given up; none before it was looked for.
    until: Option<Instant>,
    /// How long it is looked for, from the first time on.
    wait: Duration,
    is_of_earlier_run: bool,
    /// True when something in its folder looks like it.
    has_trace: bool,
    /// Bytes that are known to have been there and were not read.
    unread_bytes: u64,
}

impl Hunt {
    /// Of a file that may have been renamed while no agent ran.
    pub(super) fn of_earlier_run() -> Self {
        Self { is_of_earlier_run: true, ..Self::default() }
    }

    /// Of a file that was overwritten.
    pub(super) fn of_overwritten(unread_bytes: u64) -> Self {
        Self { unread_bytes, ..Self::default() }
    }
}

impl Known {
    /// Looks for a file that sleeps under other names: its path is not its own any more.
    pub(in crate::tail) fn hunt(&mut self, id: FileId) {
        self.end(id, HUNT_TIME);
    }

    /// Looks for the copy of a file whose bytes are others now.
    pub(super) fn overwritten(&mut self, id: FileId) {
        self.end(id, COPY_HUNT_TIME);
        if let Some(hunt) = self.hunted.get_mut(&id) {
            hunt.is_of_earlier_run = true;
        }
    }

    fn end(&mut self, id: FileId, wait: Duration) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.is_ended = true;
            self.hunted.entry(id).or_default().wait = wait;
        }
    }

    /// Where files may stand whose path is not theirs any more: under another name in the same
    /// folder, by their inode or, as copies and archives, by a name that a rotator would give.
    pub(in crate::tail) fn astray(&mut self, finder: &Finder, now: Instant) -> Vec<Astray> {
        self.end_hunts(finder, now);
        let mut moved: HashMap<PathBuf, Vec<FileId>> = HashMap::new();
        for id in self.hunted.keys() {
            let folder = self.entries[id].path.parent().unwrap_or(Path::new(""));
            moved.entry(folder.to_owned()).or_default().push(*id);
        }
        let mut found = Vec::new();
        for (folder, ids) in moved {
            let entries: Vec<&Entry> = ids.iter().map(|id| &self.entries[id]).collect();
            let originals = Originals::of(&entries);
            let n_before = found.len();
            for file in folder.read_dir().into_iter().flatten().flatten() {
                let path = file.path();
                if let Some(original) = originals.find(&path, file.ino())
                    && !finder.found().contains_key(&path)
                {
                    let home = original.path.clone();
                    found.push(Astray { path, home, is_new: false });
                }
            }
            for id in ids {
                let hunt = self.hunted.get_mut(&id);
                if let Some(hunt) = hunt.filter(|hunt| hunt.until.is_none()) {
                    hunt.until = Some(now + hunt.wait.max(COPY_HUNT_TIME));
                    hunt.has_trace = found.len() > n_before;
                }
            }
        }
        found
    }

    /// Goes on looking for what may stand in one of the files that are `waiting` until their job is
    /// known: only then are they compared.
    pub(in crate::tail) fn await_claims<'w>(
        &mut self,
        waiting: impl Iterator<Item = (&'w Path, Inode)>,
        now: Instant,
    ) {
        if self.hunted.is_empty() {
            return;
        }
        let mut claimed = HashSet::new();
        for (path, inode) in waiting {
            let same = self.by_inode.get(&inode.inode).into_iter().flatten().copied();
            // One at the same path was written anew, or it would not be looked for.
            claimed.extend(same.filter(|id| self.entries[id].path != path));
            let named = self.by_name.originals_of(path).into_iter();
            claimed.extend(named.filter(|id| is_named_after(path, &self.entries[id].path)));
        }
        for id in claimed {
            if let Some(hunt) = self.hunted.get_mut(&id) {
                hunt.until = hunt.until.map(|until| until.max(now + CLAIM_TIME));
            }
        }
    }

    /// Ends the search for files of earlier runs of which no trace was found.
    pub(in crate::tail) fn end_vain_hunts(&mut self, finder: &Finder, now: Instant) {
        for hunt in self.hunted.values_mut().filter(|hunt| hunt.is_of_earlier_run) {
            // What was never looked for is left to the next agent.
            hunt.until = hunt.until.map(|until| if hunt.has_trace { until } else { now });
        }
        self.end_hunts(finder, now);
    }

    /// What the checkpointer is to hear of files that were looked for in vain.
    pub(in crate::tail) fn take_gone(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for (id, end) in std::mem::take(&mut self.gone) {
            let home = self.entries.get(&id).map(|entry| entry.path.as_path());
            if home.is_some_and(|home| has_archives(home) || is_unmounted(home)) {
                events.push(Event::Ended(id, end));
                // Whatever stands at its path from now on.
                self.entries.get_mut(&id).into_iter().for_each(|entry| entry.is_ended = true);
                self.keep_ended(id);
            } else {
                self.take(id);
                events.push(Event::Forgotten(id, end));
            }
        }
        events
    }

    fn end_hunts(&mut self, finder: &Finder, now: Instant) {
        let (entries, gone) = (&self.entries, &mut self.gone);
        self.hunted.retain(|id, hunt| {
            let Some(entry) = entries.get(id) else { return false };
            if hunt.until.is_none() {
                return !hunt.is_of_earlier_run || finder.wants(&entry.path) && is_gone(entry);
            }
            let is_over = hunt.until.is_some_and(|until| until <= now);
            if is_over {
                telemetry::LOST_BYTES.add("truncated", hunt.unread_bytes);
                // An empty folder may be one on which nothing is mounted yet.
                let is_there =
                    || entry.path.parent().is_some_and(|it| matches!(has_files(it), Ok(true)));
                if entry.is_ended || is_there() {
                    gone.push((*id, entry.offset));
                }
            }
            !is_over
        });
    }

    /// True for a file that was not at its path, whatever is there by now.
    pub(super) fn was_gone(&self, id: FileId) -> bool {
        self.hunted.get(&id).is_some_and(|hunt| hunt.until.is_some())
    }

    /// True while the rest of some file is looked for.
    pub(in crate::tail) fn is_hunting(&self) -> bool {
        !self.hunted.is_empty()
    }
}

/// True when a rotator compresses files of the log at `home`: one that is gone may be among them.
pub(in crate::tail) fn has_archives(home: &Path) -> bool {
    let files = home.parent().and_then(|folder| folder.read_dir().ok());
    let mut paths = files.into_iter().flatten().flatten().map(|file| file.path());
    paths.any(|path| is_gzip(&path) && is_kin(&path, home))
}

/// True when the file at `home` may only be away: what is left of its folder is empty, as the
/// folder of a mount is, or cannot be read.
pub(in crate::tail) fn is_unmounted(home: &Path) -> bool {
    let left = home.ancestors().skip(1).map(has_files).find(|has_files| {
        !has_files.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    });
    !matches!(left, Some(Ok(true)))
}

fn has_files(folder: &Path) -> io::Result<bool> {
    folder.read_dir().map(|mut files| files.next().is_some())
}
