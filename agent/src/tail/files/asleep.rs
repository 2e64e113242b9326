//! Files that were read to their end and have been quiet since: they have no descriptor, their
//! entries are among the known ones, and they cost one system call now and then.

use super::waiting::Waiting;
use super::{Tail, look_interval};
use crate::checkpoint::{Entry, Event};
use crate::model::{FileId, Resource};
use crate::tail::fingerprint::{Inode, Seen};
use crate::tail::known::PROOF_BYTES_MIN;
use crate::tail::names::NameIndex;
use crate::telemetry;
use std::fs;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A file that was quiet for so long gives its descriptor back.
const SLEEP_IDLE: Duration = Duration::from_secs(10);

/// A rotated file that was quiet for so long is forgotten: nobody writes to it any more.
const ROTATED_SLEEP_MAX: Duration = Duration::from_secs(3600);

/// Since when a file is quiet that was seen like this.
fn since(seen: Seen, now: Instant) -> Instant {
    now.checked_sub(seen.age()).unwrap_or(now)
}

/// Where a file is that no glob matches.
#[derive(Debug)]
pub(super) enum RotatedName {
    /// Under this name in its folder.
    Path(PathBuf),
    /// It was moved to another folder.
    Unknown,
    /// It has no name any more.
    Deleted,
}

/// A quiet file.
#[derive(Debug)]
pub(super) struct Asleep {
    id: FileId,
    pub(super) inode: Inode,
    seen: Seen,
    /// Since when it is quiet.
    since: Instant,
    pub(super) due: Instant,
    /// Who writes it, when that is known.
    pub(super) resource: Option<Arc<Resource>>,
    /// Where it was by a name that a glob matches, when it has such a name no more.
    pub(super) rotated_from: Option<PathBuf>,
}

impl Tail {
    /// Closes files that were quiet for long.
    pub(super) fn put_to_sleep(&mut self, now: Instant) {
        let is_crowded = self.is_crowded();
        for index in (0..self.files.len()).rev() {
            let tracked = &self.files[index];
            let is_quiet = tracked.file.idle(now) >= SLEEP_IDLE
                || tracked.file.source().age() >= SLEEP_IDLE
                || tracked.file.source().archive().is_some()
                || is_crowded;
            let is_read =
                tracked.file.is_empty() && tracked.file.is_read() && !tracked.file.is_pipe();
            if !tracked.is_detached && is_quiet && is_read && tracked.due > now {
                self.sleep(index, tracked.file.path().to_owned(), now);
            }
        }
    }

    /// True while half the descriptors are in use.
    pub(super) fn is_crowded(&self) -> bool {
        self.n_open() > self.open_files_max / 2
    }

    /// Files that have a descriptor.
    pub(super) fn n_open(&self) -> usize {
        self.files.len() + self.waiting.len()
    }

    /// Closes the file, which is at `path` now.
    pub(super) fn sleep(&mut self, index: usize, path: PathBuf, now: Instant) {
        self.announce(index);
        let tracked = self.files.swap_remove(index);
        let asleep = Asleep {
            id: tracked.file.id(),
            inode: tracked.file.inode(),
            seen: tracked.file.source().seen(),
            since: since(tracked.file.source().seen(), now),
            due: now,
            resource: Some(tracked.file.resource().clone()),
            rotated_from: tracked.is_detached.then(|| tracked.home.clone()),
        };
        self.known.put(asleep.id, tracked.file.entry(tracked.home));
        self.asleep.insert(path, asleep);
    }

    /// Lets an archive sleep where it is now: nothing in it is to be read.
    pub(super) fn lay_down(&mut self, id: FileId, entry: Entry, waiting: &Waiting, now: Instant) {
        let seen = waiting.file.metadata().map(|now| Seen::of(&now)).unwrap_or_default();
        let entry = Entry { path: waiting.home.clone(), ..entry };
        let path = self.redactors.base().value(&waiting.home.to_string_lossy());
        let told = Entry { path: PathBuf::from(path.as_str()), ..entry.clone() };
        self.send(Event::Tracked(id, Box::new(told)));
        self.known.put(id, entry);
        let asleep = Asleep {
            id,
            inode: waiting.inode,
            seen,
            since: now,
            due: now,
            resource: None,
            rotated_from: waiting.is_detached.then(|| waiting.home.clone()),
        };
        self.asleep.insert(waiting.path.clone(), asleep);
    }

    /// True for a file of an earlier run in which nothing is new: it need not be opened.
    pub(super) fn is_asleep(&mut self, path: &Path, now: Instant) -> bool {
        let Ok(metadata) = path.metadata() else { return false };
        let Some(id) = self.known.is_read(path, &metadata) else { return false };
        let (inode, seen) = (Inode::of(&metadata), Seen::of(&metadata));
        let (resource, rotated_from) = (None, None);
        let since = since(seen, now);
        // It was looked at just now.
        let due = now + look_interval(now - since, self.config.poll_interval.0);
        let asleep = Asleep { id, inode, seen, since, due, resource, rotated_from };
        self.asleep.insert(path.to_owned(), asleep);
        true
    }

    /// Where a file is that no glob matches any more.
    pub(super) fn rotated_name(&self, index: usize) -> RotatedName {
        let tracked = &self.files[index];
        let file = tracked.file.source().file();
        if file.metadata().is_ok_and(|now| now.nlink() == 0) {
            return RotatedName::Deleted;
        }
        let inode = tracked.file.inode();
        let files = tracked.file.path().parent().and_then(|folder| folder.read_dir().ok());
        let may_be = |entry: &fs::DirEntry| {
            entry.ino() == inode.inode || entry.file_type().is_ok_and(|kind| kind.is_symlink())
        };
        let is_it = |path: &PathBuf| path.metadata().is_ok_and(|now| Inode::of(&now) == inode);
        let mut named = files.into_iter().flatten().flatten().filter(may_be).map(|it| it.path());
        named.find(is_it).map_or(RotatedName::Unknown, RotatedName::Path)
    }

    /// Wakes those that have been written since.
    pub(super) fn look_at_asleep(&mut self, now: Instant) {
        let poll_interval = self.config.poll_interval.0;
        let (mut awake, mut forgotten) = (Vec::new(), Vec::new());
        for (path, asleep) in &mut self.asleep {
            if asleep.due > now {
                continue;
            }
            let idle = now - asleep.since;
            asleep.due = now + look_interval(idle, poll_interval);
            match path.metadata() {
                Ok(metadata) if Inode::of(&metadata) != asleep.inode => self.is_unsettled = true,
                Ok(metadata) if Seen::of(&metadata) != asleep.seen => awake.push(path.clone()),
                Ok(_) if asleep.rotated_from.is_some() && idle > ROTATED_SLEEP_MAX => {
                    forgotten.push(path.clone());
                }
                Ok(_) => {}
                Err(_) => self.is_unsettled = true,
            }
        }
        // Nothing proves that one of a few bytes is the same: it may be a copy that has its number.
        let is_weak =
            |path| self.asleep.get(path).is_some_and(|it| it.seen.bytes < PROOF_BYTES_MIN);
        let names = awake.iter().any(is_weak).then(|| self.tracked_names());
        for path in awake {
            // Nothing tells an empty file from one that took its number: one with lines may have come
            // between, and be rotated.
            if self.asleep.get(&path).is_some_and(|it| it.seen.bytes == 0) {
                self.rotated.note(path.clone(), self.last_scan, now);
                self.is_unsettled = true;
            }
            self.wake(&path, names.as_ref(), now);
        }
        for path in forgotten {
            let end = self.asleep.remove(&path).and_then(|asleep| {
                self.known.forget(asleep.id).map(|offset| Event::Ended(asleep.id, offset))
            });
            if let Some(end) = end {
                self.send(end);
            }
        }
    }

    fn wake(&mut self, path: &Path, tracked: Option<&NameIndex<usize>>, now: Instant) {
        let mut waiting = match self.found(path, tracked, now) {
            Ok(waiting) => waiting,
            Err(error) => return self.complain_of(path, &error),
        };
        if self.asleep.get(path).is_none_or(|asleep| asleep.inode != waiting.inode) {
            // It was renamed just now, and is to be looked for.
            self.is_unsettled = true;
            return;
        }
        let Some(asleep) = self.asleep.remove(path) else { return };
        waiting.resource = asleep.resource;
        if let Some(home) = asleep.rotated_from {
            (waiting.home, waiting.is_detached) = (home, true);
        }
        self.waiting.push(waiting);
    }

    /// Finds out whose path is another file's now. Where they were by a name that a glob matches.
    pub(super) fn follow_asleep(&mut self) -> Vec<PathBuf> {
        let mut rotated = Vec::new();
        let (found, known) = (self.finder.found(), &mut self.known);
        self.asleep.retain(|path, asleep| {
            let is_in_place = match &asleep.rotated_from {
                None => found.get(path) == Some(&asleep.inode),
                Some(_) => path.metadata().is_ok_and(|now| Inode::of(&now) == asleep.inode),
            };
            if !is_in_place {
                known.hunt(asleep.id);
                if asleep.rotated_from.is_none() {
                    telemetry::ROTATIONS.add(1);
                    rotated.push(path.clone());
                }
            }
            is_in_place
        });
        rotated
    }
}
