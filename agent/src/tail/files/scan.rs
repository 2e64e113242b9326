//! Scanning: which files are new, renamed, overwritten or deleted.

use super::waiting::Waiting;
use super::{Asleep, Tail, unix_ms};
use crate::checkpoint::Event;
use crate::identity::Written;
use crate::tail::batch::Abandoned;
use crate::tail::file::Pass;
use crate::tail::fingerprint::{Inode, Seen};
use crate::tail::lineage::is_gzip;
use crate::telemetry;
use std::collections::{HashMap, HashSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Paths that a complaint was logged for; more are only counted.
const COMPLAINTS_MAX: usize = 1_000;

/// An archive is read once it was not written for so long: before that it may not be whole.
const ARCHIVE_REST: Duration = Duration::from_secs(2);

impl Tail {
    pub(super) fn scan(&mut self, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        let has_changed = self.finder.scan(pass.now);
        self.is_watch_stale |= has_changed;
        if has_changed || std::mem::take(&mut self.is_unsettled) || self.known.is_hunting() {
            self.follow_renames(pass.now);
            self.take_up_new(pass.now);
            self.is_first_scan = false;
        }
        self.put_to_sleep(pass)?;
        self.refresh_tracked(pass)?;
        self.give_up_deleted(pass)?;
        self.report();
        Ok(())
    }

    /// A file whose path is another file's now was renamed or deleted.
    fn follow_renames(&mut self, now: Instant) {
        let found = self.finder.found();
        let by_inode: HashMap<Inode, &PathBuf> =
            found.iter().map(|(path, inode)| (*inode, path)).collect();
        let mut renamed = Vec::new();
        for (index, tracked) in self.files.iter_mut().enumerate() {
            let inode = tracked.file.inode();
            if found.get(tracked.file.path()) == Some(&inode) {
                tracked.is_detached = false;
            } else if let Some(path) = by_inode.get(&inode) {
                tracked.file.set_path((*path).clone());
                tracked.is_detached = false;
                renamed.push(index);
            } else if !tracked.is_detached {
                telemetry::ROTATIONS.add(1);
                tracked.is_detached = true;
            }
        }
        for waiting in &mut self.waiting {
            let is_in_place = found.get(&waiting.path) == Some(&waiting.inode);
            if waiting.is_wanted && !is_in_place && !waiting.is_detached {
                telemetry::ROTATIONS.add(1);
                waiting.is_detached = true;
            }
        }
        let known = &mut self.known;
        self.asleep.retain(|path, asleep| {
            let is_in_place = found.get(path) == Some(&asleep.inode);
            if !is_in_place {
                telemetry::ROTATIONS.add(1);
                known.hunt(asleep.id, now);
            }
            is_in_place
        });
        for index in renamed {
            self.announce(index);
        }
    }

    /// Opens what is there and not known yet.
    fn take_up_new(&mut self, now: Instant) {
        let astray = self.known.astray(&self.finder, now);
        let mut inodes: HashSet<Inode> =
            self.files.iter().map(|tracked| tracked.file.inode()).collect();
        inodes.extend(self.waiting.iter().map(|waiting| waiting.inode));
        inodes.extend(self.asleep.values().map(|asleep| asleep.inode));
        let found = self.finder.found().iter();
        // Two names of one file are read once.
        let found = found.filter(|(_, inode)| !inodes.contains(inode));
        let wanted: Vec<PathBuf> = found.map(|(path, _)| path.clone()).collect();
        let astray = astray.into_iter().map(|path| (path, false));
        for (path, is_wanted) in astray.chain(wanted.into_iter().map(|path| (path, true))) {
            let n_open = self.files.len() + self.waiting.len();
            if n_open + self.asleep.len() >= self.config.files_max {
                self.complain(&path, "too_many", "more files than tail.files_max; the rest waits");
                self.is_unsettled = true;
                break;
            }
            if n_open >= self.open_files_max {
                self.is_unsettled = true;
                break;
            }
            if !self.is_asleep(&path, now) && self.is_whole(&path) {
                self.take_up(&path, is_wanted, &mut inodes, now);
            }
        }
    }

    fn take_up(
        &mut self,
        path: &Path,
        is_wanted: bool,
        inodes: &mut HashSet<Inode>,
        now: Instant,
    ) {
        match self.found(path, now) {
            Ok(waiting) if !inodes.insert(waiting.inode) => {}
            Ok(mut waiting) => {
                waiting.is_wanted = is_wanted;
                self.waiting.push(waiting);
            }
            Err(error) => self.complain_of(path, &error),
        }
    }

    /// True for a file of an earlier run in which nothing is new: it need not be opened.
    fn is_asleep(&mut self, path: &Path, now: Instant) -> bool {
        let Ok(metadata) = path.metadata() else { return false };
        let Some(id) = self.known.is_read(path, &metadata) else { return false };
        let (inode, seen) = (Inode::of(&metadata), Seen::of(&metadata));
        let asleep = Asleep { id, inode, seen, since: now, due: now, resource: None };
        self.asleep.insert(path.to_owned(), asleep);
        true
    }

    /// False for an archive that may still be written.
    fn is_whole(&mut self, path: &Path) -> bool {
        if !is_gzip(path) {
            return true;
        }
        let modified = path.metadata().and_then(|metadata| metadata.modified());
        let is_at_rest = modified.is_ok_and(|at| {
            SystemTime::now().duration_since(at).is_ok_and(|age| age >= ARCHIVE_REST)
        });
        self.is_unsettled |= !is_at_rest;
        is_at_rest
    }

    /// What was read of the file is not in it any more. From here on it is a new one: offsets never
    /// go backwards under one id, and another run may write it now.
    pub(super) fn restart(
        &mut self,
        index: usize,
        is_truncated: bool,
        pass: &mut Pass<'_>,
    ) -> Result<(), Abandoned> {
        telemetry::FILES_REPLACED.add(if is_truncated { "truncated" } else { "rewritten" }, 1);
        tracing::warn!(
            "a log file was truncated or written anew; what it held after the last read is lost, \
             unless a copy was made"
        );
        let mut tracked = self.files.swap_remove(index);
        tracked.file.flush(pass, false)?;
        tracked.file.seal(pass)?;
        let (id, file) = (tracked.file.id(), &tracked.file);
        self.send(Event::Ended(id, file.end()));
        let lost = Some((file.unread_bytes(), pass.now));
        self.known.remember(id, file.entry(tracked.home.clone()), lost);
        // A copy must be taken up before what was written since.
        self.next_scan = pass.now;
        match file.source().file().try_clone() {
            Ok(again) => {
                let written = Written { since_unix_ms: unix_ms(), until_unix_ms: unix_ms() };
                let path = file.path().to_owned();
                let mut waiting = Waiting::new(path, again, file.inode(), written, pass.now);
                waiting.is_detached = tracked.is_detached;
                self.waiting.push(waiting);
            }
            Err(error) => self.complain_of(tracked.file.path(), &error),
        }
        Ok(())
    }

    /// Lets go of files that are renamed or deleted, read to their end, and quiet.
    pub(super) fn close_ended(&mut self, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        let is_crowded = self.files.len() + self.waiting.len() > self.open_files_max / 2;
        let idle_min = if is_crowded { super::CROWDED_IDLE } else { super::DETACHED_IDLE };
        let mut index = 0;
        while index < self.files.len() {
            let tracked = &mut self.files[index];
            let is_quiet = tracked.file.idle(pass.now) >= idle_min;
            if tracked.is_detached && is_quiet && tracked.file.is_read() && (pass.has_room)() {
                self.end(index, pass)?;
            } else {
                index += 1;
            }
        }
        Ok(())
    }

    fn end(&mut self, index: usize, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        let mut tracked = self.files.swap_remove(index);
        tracked.file.flush(pass, false)?;
        tracked.file.seal(pass)?;
        let id = tracked.file.id();
        self.send(Event::Ended(id, tracked.file.end()));
        self.known.remember(id, tracked.file.entry(tracked.home.clone()), None);
        Ok(())
    }

    /// A deleted file that is still read takes room on the disk that nobody sees. The oldest are
    /// given up when together they hold more than they may.
    fn give_up_deleted(&mut self, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        let is_deleted = |file: &std::fs::File| file.metadata().is_ok_and(|now| now.nlink() == 0);
        let mut kept_bytes = 0;
        for index in (0..self.files.len()).rev() {
            let tracked = &self.files[index];
            let unread_bytes = tracked.file.unread_bytes();
            if !tracked.is_detached
                || unread_bytes == 0
                || !is_deleted(tracked.file.source().file())
            {
                continue;
            }
            kept_bytes += unread_bytes;
            if kept_bytes > self.config.deleted_bytes_max.0 {
                kept_bytes -= unread_bytes;
                telemetry::LOST_BYTES.add("deleted", unread_bytes);
                self.end(index, pass)?;
            }
        }
        Ok(())
    }

    pub(super) fn complain_of(&mut self, path: &Path, error: &io::Error) {
        match error.kind() {
            io::ErrorKind::PermissionDenied => self.complain(
                path,
                "permission",
                "a log file may not be read by this user; add the user to the file's group",
            ),
            // It went away between the scan and now.
            io::ErrorKind::NotFound => {}
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                self.complain(path, "archive", "a compressed log file is damaged; it is not read");
            }
            _ => self.complain(path, "io", "a log file cannot be opened; trying again"),
        }
    }

    fn complain(&mut self, path: &Path, reason: &'static str, message: &'static str) {
        telemetry::FILE_ERRORS.add(reason, 1);
        if self.complained.len() < COMPLAINTS_MAX && self.complained.insert(path.to_owned()) {
            let path = self.redactors.base().value(&path.to_string_lossy());
            tracing::warn!(file = %path, reason, "{message}");
        }
    }

    fn report(&self) {
        let lag: u64 = self.files.iter().map(|tracked| tracked.file.lag_bytes()).sum();
        let lag = lag + self.waiting.iter().filter_map(|waiting| waiting.seen_bytes).sum::<u64>();
        let detached = self.files.iter().filter(|tracked| tracked.is_detached).count();
        telemetry::LAG_BYTES.set(lag as f64);
        telemetry::FILES.set("active", (self.files.len() - detached) as f64);
        telemetry::FILES.set("asleep", self.asleep.len() as f64);
        telemetry::FILES.set("detached", detached as f64);
        telemetry::FILES.set("waiting", self.waiting.len() as f64);
    }
}

pub(super) fn to_unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
