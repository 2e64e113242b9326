//! Scanning: which files are new, renamed, overwritten or deleted.

use super::asleep::RotatedName;
use super::order::family;
use super::waiting::Waiting;
use super::{Tail, Tracked};
use crate::checkpoint::Event;
use crate::clock::unix_ms;
use crate::identity::Written;
use crate::tail::batch::{Abandoned, Pass};
use crate::tail::file::Look;
use crate::tail::fingerprint::{Inode, Seen};
use crate::tail::known::{has_archives, is_unmounted};
use crate::tail::lineage::is_gzip;
use crate::tail::names::NameIndex;
use crate::tail::rotated::Astray;
use crate::telemetry;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Paths that a complaint was logged for; more are only counted.
const COMPLAINTS_MAX: usize = 1_000;

/// A file that was moved out of its folder is held so many times as long as a deleted one.
const MOVED_FACTOR: u32 = 10;

/// An archive is read once it did not change for so long: before that it may not be whole.
pub(super) const ARCHIVE_REST: Duration = Duration::from_secs(2);

/// An archive that did not change for so long by the clock of its file system is whole at the
/// second look; long enough for clocks that differ.
const ARCHIVE_AGE_S: i64 = 5;

/// Files that could not be opened are tried again after this, though nothing has changed.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

impl Tail {
    pub(super) fn scan(&mut self, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        let has_changed = self.finder.scan(pass.now);
        for folder in self.finder.take_denied() {
            // It is tried at every scan; once is enough for the counter as well.
            if !self.complained.contains(&folder) {
                let message =
                    "a folder of logs may not be listed by this user; add the user to its group";
                self.complain(&folder, "permission", message);
            }
        }
        self.is_watch_stale |= has_changed;
        if pass.now >= self.next_retry {
            self.next_retry = pass.now + RETRY_INTERVAL;
            self.is_unsettled |= std::mem::take(&mut self.has_failed);
        }
        let has_changed = has_changed || (self.finder.is_touched() && !self.rotated.is_empty());
        if has_changed || std::mem::take(&mut self.is_unsettled) || self.known.is_hunting() {
            self.find_overwritten(pass)?;
            self.follow_renames(pass.now);
            self.take_up_new(pass.now);
            self.is_first_scan = false;
        }
        self.open_pipes(pass.now);
        self.put_to_sleep(pass.now);
        self.refresh_tracked(pass)?;
        self.give_up_deleted(pass)?;
        self.report();
        Ok(())
    }

    /// Before names are followed: what is left of an overwritten file is found by the name that it
    /// had.
    fn find_overwritten(&mut self, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        for index in (0..self.files.len()).rev() {
            if let Some(is_truncated) = self.files[index].file.is_overwritten() {
                self.restart(index, is_truncated, pass)?;
            }
        }
        Ok(())
    }

    /// A file whose path is another file's now was renamed or deleted.
    fn follow_renames(&mut self, now: Instant) {
        let found = self.finder.found();
        let by_inode: HashMap<Inode, &PathBuf> =
            found.iter().map(|(path, inode)| (*inode, path)).collect();
        let (mut renamed, mut rotated) = (Vec::new(), Vec::new());
        for (index, tracked) in self.files.iter_mut().enumerate() {
            let inode = tracked.file.inode();
            if found.get(tracked.file.path()) == Some(&inode) || tracked.file.is_pipe() {
                tracked.is_detached = false;
            } else if let Some(path) = by_inode.get(&inode) {
                self.predecessors.note_read(tracked);
                rotated.push(tracked.home.clone());
                tracked.file.set_path((*path).clone());
                tracked.family = family(path, &tracked.home, &self.finder);
                tracked.is_detached = false;
                renamed.push(index);
            } else if !tracked.is_detached {
                telemetry::ROTATIONS.add(1);
                self.predecessors.note_read(tracked);
                tracked.is_detached = true;
                rotated.push(tracked.home.clone());
            }
        }
        for waiting in &mut self.waiting {
            let is_in_place = found.get(&waiting.path) == Some(&waiting.inode);
            if !is_in_place && !waiting.is_detached {
                telemetry::ROTATIONS.add(1);
                waiting.is_detached = true;
                rotated.push(waiting.path.clone());
            }
        }
        rotated.extend(self.follow_asleep());
        for index in renamed {
            self.announce(index);
        }
        for home in rotated {
            self.rotated.note(home, self.last_scan, now);
        }
    }

    /// Opens what is there and not known yet.
    fn take_up_new(&mut self, now: Instant) {
        let scan_time = SystemTime::now();
        // What is new goes first: of one path only the first is looked at.
        let mut astray = self.rotated.unseen(&self.finder);
        let waiting = self.waiting.iter().filter(|waiting| waiting.seen_bytes != Some(0));
        self.known.await_claims(waiting.map(|it| (it.path.as_path(), it.inode)), now);
        astray.extend(self.known.astray(&self.finder, now));
        self.forget_gone();
        (self.last_scan, self.is_full) = (scan_time, false);
        if self.is_first_scan {
            let former = self.former_finder.take();
            let was_wanted = |path: &Path| former.as_ref().is_some_and(|it| it.wants(path));
            let found = self.finder.found().iter().filter(|(path, _)| !was_wanted(path));
            self.from_before.extend(found.map(|(path, inode)| (path.clone(), *inode)));
            // One that appears and is rotated between two scans would never be seen by its name.
            for path in self.finder.absent() {
                self.rotated.note(path.to_owned(), scan_time, now);
            }
        }
        let mut inodes: HashSet<Inode> =
            self.files.iter().map(|tracked| tracked.file.inode()).collect();
        inodes.extend(self.waiting.iter().map(|waiting| waiting.inode));
        inodes.extend(self.asleep.values().map(|asleep| asleep.inode));
        let tracked = self.tracked_names();
        let found = self.finder.found().iter();
        // Two names of one file are read once.
        let found = found.filter(|(_, inode)| !inodes.contains(inode));
        let wanted: Vec<(PathBuf, Option<Astray>)> =
            found.map(|(path, _)| (path.clone(), None)).collect();
        let astray = astray.into_iter().map(|it| (it.path.clone(), Some(it)));
        for (path, astray) in astray.chain(wanted) {
            let n_open = self.n_open();
            if n_open + self.asleep.len() >= self.config.files_max {
                self.complain(&path, "too_many", "more files than tail.files_max; the rest waits");
                self.is_unsettled = true;
                break;
            }
            if n_open >= self.open_files_max {
                (self.is_unsettled, self.is_full) = (true, true);
                break;
            }
            if !self.is_asleep(&path, now) && self.is_whole(&path, now) {
                self.take_up(&path, astray, &mut inodes, &tracked, now);
            }
        }
        let found = self.finder.found();
        self.from_before
            .retain(|path, inode| !inodes.contains(inode) && found.get(path) == Some(inode));
        // Those that are older have gone away.
        self.young_archives.retain(|_, (_, since)| now - *since <= 2 * ARCHIVE_REST);
        self.rotated.advance(scan_time, self.is_unsettled, now);
    }

    /// Tells the checkpointer of files of which nothing is left.
    pub(super) fn forget_gone(&mut self) {
        for event in self.known.take_gone() {
            self.send(event);
        }
    }

    fn take_up(
        &mut self,
        path: &Path,
        astray: Option<Astray>,
        inodes: &mut HashSet<Inode>,
        tracked: &NameIndex<usize>,
        now: Instant,
    ) {
        match self.found(path, Some(tracked), now) {
            Ok(waiting) if !inodes.insert(waiting.inode) => {}
            Ok(mut waiting) => {
                waiting.is_first_scan = self.from_before.get(path) == Some(&waiting.inode);
                if let Some(astray) = astray {
                    (waiting.is_wanted, waiting.is_detached) = (astray.is_new, true);
                    self.rotated.note(astray.home.clone(), self.last_scan, now);
                    (waiting.is_first_scan, waiting.home) = (false, astray.home);
                }
                self.waiting.push(waiting);
            }
            Err(error) => self.complain_of(path, &error),
        }
    }

    /// False for an archive that may still be written.
    fn is_whole(&mut self, path: &Path, now: Instant) -> bool {
        if !is_gzip(path) {
            return true;
        }
        let Ok(metadata) = path.metadata() else { return false };
        let seen = Seen::of(&metadata);
        let known = self.young_archives.entry(path.to_owned()).or_insert((seen, now));
        if known.0 != seen {
            *known = (seen, now);
        }
        // At the first look it is not known yet which files it may be made of.
        let changed_s = metadata.ctime().saturating_add(ARCHIVE_AGE_S).saturating_mul(1_000);
        let is_old = !self.is_first_scan && changed_s.cast_unsigned() <= unix_ms();
        let is_at_rest = is_old || now - known.1 >= ARCHIVE_REST;
        if is_at_rest {
            self.young_archives.remove(path);
        }
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
        let mut tracked = self.files.swap_remove(index);
        self.tell_truncated(tracked.file.path());
        // A copy has the half line whole.
        tracked.file.flush(pass, true)?;
        tracked.file.seal(pass)?;
        let (id, file) = (tracked.file.id(), &tracked.file);
        self.send(Event::Ended(id, file.end()));
        self.rotated.note(tracked.home.clone(), self.last_scan, pass.now);
        let lost = Some(file.lag_bytes());
        self.known.remember(id, file.entry(tracked.home.clone()), lost);
        self.predecessors.note(&tracked.home, file.resource(), unix_ms());
        // A copy must be taken up before what was written since.
        self.next_scan = pass.now;
        match file.source().file().try_clone() {
            Ok(again) => {
                let written = Written { since_unix_ms: unix_ms(), until_unix_ms: unix_ms() };
                let path = file.path().to_owned();
                let mut waiting = Waiting::new(path, again, file.inode(), written, pass.now);
                (waiting.is_detached, waiting.home) = (tracked.is_detached, tracked.home);
                self.waiting.push(waiting);
            }
            Err(error) => self.complain_of(tracked.file.path(), &error),
        }
        Ok(())
    }

    /// Lets go of files that are renamed or deleted, read to their end, and quiet.
    pub(super) fn close_ended(&mut self, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        let now = pass.now;
        let is_over = |tracked: &Tracked| {
            tracked.is_detached && tracked.file.idle(now) >= super::DETACHED_IDLE
        };
        if !self.files.iter().any(is_over) {
            return Ok(());
        }
        let held = self.behind_older();
        let mut index = 0;
        while index < self.files.len() {
            let tracked = &mut self.files[index];
            if !is_over(tracked) || held.contains(&tracked.file.id()) || !(pass.has_room)() {
                index += 1;
                continue;
            }
            // It may be possible to read it again.
            let is_tried_again = !tracked.file.is_read()
                && tracked.file.idle(now) < super::DETACHED_IDLE * MOVED_FACTOR;
            // The last look may be a while ago.
            match tracked.file.look(pass)? {
                Ok(Look::Read(_)) => index += 1,
                Ok(Look::Lost { is_truncated }) => self.restart(index, is_truncated, pass)?,
                Err(_) if is_tried_again => index += 1,
                Ok(Look::Quiet) | Err(_) => index += self.let_go(index, pass)?,
            }
        }
        Ok(())
    }

    /// Lets go of a quiet file that no glob matches, unless it is only moved; how many files to go
    /// on behind.
    fn let_go(&mut self, index: usize, pass: &mut Pass<'_>) -> Result<usize, Abandoned> {
        let idle = self.files[index].file.idle(pass.now);
        let is_empty = self.files[index].file.is_empty();
        match self.rotated_name(index) {
            RotatedName::Path(path) if is_empty => self.sleep(index, path, pass.now),
            RotatedName::Path(_) => return Ok(1),
            RotatedName::Unknown if idle < super::DETACHED_IDLE * MOVED_FACTOR => return Ok(1),
            RotatedName::Unknown | RotatedName::Deleted => self.end(index, pass)?,
        }
        Ok(0)
    }

    fn end(&mut self, index: usize, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        let mut tracked = self.files.swap_remove(index);
        telemetry::LOST_BYTES.add("deleted", tracked.file.unread_bytes());
        tracked.file.flush(pass, false)?;
        tracked.file.seal(pass)?;
        let (id, end) = (tracked.file.id(), tracked.file.end());
        let is_away = is_unmounted(&tracked.home) && !is_deleted(tracked.file.source().file());
        let is_copied = self.waiting.iter().any(|waiting| waiting.copy_of == Some(id));
        if has_archives(&tracked.home) || is_away || is_copied {
            self.send(Event::Ended(id, end));
            self.known.remember(id, tracked.file.entry(tracked.home), None);
        } else {
            self.send(Event::Forgotten(id, end));
        }
        Ok(())
    }

    /// A deleted file that is still read takes room on the disk that nobody sees. The oldest are
    /// given up when together they hold more than they may.
    fn give_up_deleted(&mut self, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
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
                self.end(index, pass)?;
            }
        }
        Ok(())
    }

    pub(super) fn complain_of(&mut self, path: &Path, error: &io::Error) {
        use io::ErrorKind::{InvalidData, InvalidInput, NotFound};
        self.has_failed |= !matches!(error.kind(), NotFound | InvalidData | InvalidInput);
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

    pub(super) fn complain(&mut self, path: &Path, reason: &'static str, message: &str) {
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

/// True when no name leads to `file` any more.
fn is_deleted(file: &File) -> bool {
    file.metadata().is_ok_and(|now| now.nlink() == 0)
}

#[cfg(test)]
mod tests;
