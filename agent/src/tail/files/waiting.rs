//! Files that were found but are not read yet: their job is not known, or they may be the copy of
//! another one.

use super::order::family;
use super::{Tail, Tracked};
use crate::checkpoint::Entry;
use crate::clock::{to_unix_ms, unix_ms};
use crate::identity::{Evidence, HEAD_BYTES, Identity, Written};
use crate::model::{FileId, Resource};
use crate::tail::file::LogFile;
use crate::tail::fingerprint::{Digest, HEAD_BYTES_MAX, Inode, Seen, read_head};
use crate::tail::known::{
    Begin, Candidate, PROOF_BYTES_MIN, archive_begins, tells_apart, text_bytes,
};
use crate::tail::lineage::{is_derived, is_gzip};
use crate::tail::names::{NameIndex, is_named_after, original_paths};
use crate::tail::source;
use redaction::Value;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A file that looks like the copy of another one is left alone for so long: if the other one is
/// truncated meanwhile, a rotator has made the copy.
const COPY_WAIT: Duration = Duration::from_secs(60);

/// A file that may be the copy of another one, but is too short to tell, is left alone for so long.
const COPY_BEGIN_WAIT: Duration = Duration::from_secs(2);

/// A file that was found but is not read yet. It is held open: what happens to its path meanwhile
/// costs nothing.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) inode: Inode,
    /// Since when it has had bytes; for a copy, since when it has not grown.
    since: Instant,
    pub(super) is_first_scan: bool,
    pub(super) evidence: Evidence,
    /// Length of the file when `evidence` was taken.
    pub(super) seen_bytes: Option<u64>,
    pub(super) written: Written,
    /// True once its path is another file's, or nobody's: it waits no longer.
    pub(super) is_detached: bool,
    /// False when it is read only if it goes on with a known file.
    pub(super) is_wanted: bool,
    /// Where it is, or was before it was rotated, by a name that a glob matches.
    pub(super) home: PathBuf,
    /// The living file that it may be a copy of.
    pub(super) copy_of: Option<FileId>,
    /// True while that cannot be told, as it has too few bytes.
    may_be_copy: bool,
    /// Who wrote it, when that was known before.
    pub(super) resource: Option<Arc<Resource>>,
    /// Bytes that it had and that nobody has read.
    truncated_bytes: Option<u64>,
}

impl Waiting {
    pub(super) fn new(
        path: PathBuf,
        file: File,
        inode: Inode,
        written: Written,
        now: Instant,
    ) -> Self {
        Self {
            home: path.clone(),
            path,
            file,
            inode,
            since: now,
            is_first_scan: false,
            evidence: Evidence::default(),
            seen_bytes: None,
            written,
            is_detached: false,
            is_wanted: true,
            copy_of: None,
            may_be_copy: false,
            resource: None,
            truncated_bytes: None,
        }
    }

    /// True while there is nothing in it that could be read.
    pub(super) fn is_empty(&self) -> bool {
        self.seen_bytes.is_none_or(|bytes| bytes == 0)
    }

    /// How long it has waited since it got its first byte: a shell makes the file long before the
    /// JVM writes to it.
    pub(super) fn waited(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    /// Searches the head of the file again if the file has grown.
    fn refresh(&mut self, identity: &Identity, now: Instant) {
        let Ok(metadata) = self.file.metadata() else { return };
        if self.is_empty() {
            self.since = now;
        }
        self.written.until_unix_ms = super::identify::modified_unix_ms(&metadata);
        if self.seen_bytes == Some(metadata.len()) {
            return;
        }
        if let Some(lost) = self.seen_bytes.and_then(|seen| seen.checked_sub(metadata.len())) {
            // Another run has taken the file over before the job of this one was known.
            self.truncated_bytes = Some(lost);
            self.written.since_unix_ms = unix_ms();
        }
        self.seen_bytes = Some(metadata.len());
        if self.copy_of.is_some() {
            self.since = now;
        }
        let is_gzip = is_gzip(&self.path);
        let head = source::head_bytes(&self.file, is_gzip, HEAD_BYTES).unwrap_or_default();
        self.evidence = identity.evidence(&self.path, &head);
    }
}

impl Tail {
    /// Opens a new file at once: from here on a rotation costs nothing, even while it waits.
    pub(super) fn found(
        &self,
        path: &Path,
        tracked: Option<&NameIndex<usize>>,
        now: Instant,
    ) -> io::Result<Waiting> {
        let (file, metadata) = source::open(path)?;
        let born = metadata.created().map_or_else(|_| unix_ms(), to_unix_ms);
        let written = Written { since_unix_ms: born, until_unix_ms: born };
        let inode = Inode::of(&metadata);
        let mut waiting = Waiting::new(path.to_owned(), file, inode, written, now);
        if let Some(tracked) = tracked {
            self.look_for_original(&mut waiting, metadata.len(), tracked);
        }
        Ok(waiting)
    }

    /// Files that are read, by their names.
    pub(super) fn tracked_names(&self) -> NameIndex<usize> {
        let mut names = NameIndex::default();
        for (index, tracked) in self.files.iter().enumerate() {
            names.insert(tracked.file.path(), index);
        }
        names
    }

    /// Finds out whose copy a file of so many `bytes` may be.
    fn look_for_original(&self, waiting: &mut Waiting, bytes: u64, tracked: &NameIndex<usize>) {
        let path = waiting.path.as_path();
        let is_short = bytes < PROOF_BYTES_MIN && !is_gzip(path);
        let is_found = |original: &PathBuf| self.finder.found().contains_key(original);
        waiting.may_be_copy = is_short && original_paths(path).iter().any(is_found);
        if !is_short {
            waiting.copy_of = self.living_original(path, &waiting.file, bytes, tracked);
        }
    }

    /// The file that is still read or asleep in its place, if the one at `path` looks like its copy.
    fn living_original(
        &self,
        path: &Path,
        file: &File,
        bytes: u64,
        tracked: &NameIndex<usize>,
    ) -> Option<FileId> {
        let is_gzip = is_gzip(path);
        let copy_head = source::head_bytes(file, is_gzip, HEAD_BYTES_MAX).unwrap_or_default();
        let has_head = |head: Digest| {
            head.bytes >= PROOF_BYTES_MIN
                && copy_head.get(..head.bytes as usize).is_some_and(|it| Digest::of(it) == head)
        };
        let is_prefix = |head: &[u8]| {
            let common = head.len().min(copy_head.len());
            common as u64 >= PROOF_BYTES_MIN && head[..common] == copy_head[..common]
        };
        // What stands in it now: it may not be read yet.
        let begins_like = |original: &Tracked| {
            original.file.source().head_bytes(HEAD_BYTES_MAX).is_ok_and(|head| is_prefix(&head))
        };
        // A copy that is still being made may be shorter than the head that is known.
        let is_begun_by = |entry: &Entry| {
            has_head(entry.head)
                || !is_gzip
                    && source::open(&entry.path)
                        .and_then(|(original, _)| read_head(&original, HEAD_BYTES_MAX))
                        .is_ok_and(|head| is_prefix(&head))
        };
        // The hole that a writer leaves which does not append is the same in all files.
        let n_written = copy_head.iter().filter(|byte| **byte != 0).count() as u64;
        let is_archive = |original: &File| {
            n_written >= PROOF_BYTES_MIN || archive_begins(original, file).unwrap_or(true)
        };
        let is_original = |tracked: &&Tracked| {
            is_named_after(path, tracked.file.path())
                && (has_head(tracked.file.source().head()) || begins_like(tracked))
                && match is_gzip {
                    true => is_archive(tracked.file.source().file()),
                    false => !is_other(tracked, file, bytes),
                }
        };
        let named = tracked.originals_of(path).into_iter().map(|index| &self.files[index]);
        let original = named.into_iter().find(is_original).map(|tracked| tracked.file.id());
        original.or_else(|| self.known.living_original(path, is_begun_by))
    }

    /// Begins to read files whose job is known, or that have waited long enough for it.
    pub(super) fn start_waiting(&mut self, now: Instant, is_last: bool) {
        if self.waiting.is_empty() {
            return;
        }
        let jobs = self.jobs.borrow().clone();
        let wait = self.config.identity_wait.0;
        self.refresh_waiting(now);
        let siblings = self.siblings();
        let own = self.waiting.iter().map(|waiting| &waiting.evidence);
        let has_nameless = own.chain(siblings.values()).any(Evidence::is_nameless_job);
        let job_names = if has_nameless { self.job_names() } else { HashMap::new() };
        let may_be_copy = self.waiting.iter().any(|it| it.may_be_copy && !it.is_empty());
        let names = may_be_copy.then(|| self.tracked_names());
        let has_containers = self.files.iter().any(|tracked| tracked.file.is_framed());
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain_mut(|waiting| {
            let bytes = waiting.seen_bytes.unwrap_or(0);
            match &names {
                _ if !waiting.may_be_copy => {}
                Some(names) if bytes >= PROOF_BYTES_MIN => {
                    self.look_for_original(waiting, bytes, names);
                }
                _ if !is_last && (waiting.is_empty() || waiting.waited(now) < COPY_BEGIN_WAIT) => {
                    return true;
                }
                _ => {}
            }
            if self.is_held_as_copy(waiting, now) {
                // The next agent finds it, and knows how far the original was delivered.
                return !is_last;
            }
            let before = has_containers.then(|| self.container_before(&waiting.path)).flatten();
            if before.is_some_and(|index| self.files[index].file.has_more()) && !is_last {
                return true;
            }
            waiting.evidence.adopt(siblings.get(&super::identify::stem(&waiting.path)));
            waiting.evidence.learn_name(&job_names);
            let who =
                |it: &Waiting| self.identity.resource(&it.path, &it.evidence, &jobs, it.written);
            let mut resource = who(waiting);
            if resource.job_id.is_none() && self.inherit(waiting, now, is_last) {
                resource = who(waiting);
            }
            let evidence = &waiting.evidence;
            let before = waiting.resource.take();
            if let Some(before) = &before {
                resource.keep(before, &jobs);
            }
            let is_known = resource.job_id.is_some() || evidence.is_daemon() || before.is_some();
            let is_over =
                is_last || waiting.is_detached || evidence.is_over || waiting.waited(now) >= wait;
            if is_known || is_over || !waiting.is_wanted {
                self.open(waiting, resource, now);
                return false;
            }
            true
        });
        // Whatever was found meanwhile waits on.
        self.waiting.append(&mut waiting);
    }

    /// Searches the heads of files that have grown.
    fn refresh_waiting(&mut self, now: Instant) {
        let mut waiting = std::mem::take(&mut self.waiting);
        for waiting in &mut waiting {
            waiting.refresh(&self.identity, now);
            if let Some(lost_bytes) = waiting.truncated_bytes.take() {
                self.truncated_unread(waiting, lost_bytes, now);
            }
        }
        self.waiting = waiting;
    }

    /// The container's log that was at `path` before: its last line may go on in the next file.
    fn container_before(&self, path: &Path) -> Option<usize> {
        self.files.iter().rposition(|tracked| {
            let at = tracked.file.path();
            tracked.file.is_framed()
                && (tracked.is_detached && tracked.home == path || is_derived(at, path))
        })
    }

    /// True while it is not clear what a copy is for.
    fn is_held_as_copy(&self, waiting: &mut Waiting, now: Instant) -> bool {
        let Some(original) = waiting.copy_of else { return false };
        let (copy, bytes) = (&waiting.file, waiting.seen_bytes.unwrap_or(0));
        let is_archive = is_gzip(&waiting.path);
        let is_over = waiting.waited(now) >= COPY_WAIT;
        let tracked = self.files.iter().find(|tracked| tracked.file.id() == original);
        let is_original = match tracked {
            Some(tracked) => is_archive || !is_other(tracked, copy, bytes),
            None => {
                let is_news = waiting.since == now || is_over;
                self.known.is_alive(original)
                    && (is_archive || !is_news || !self.known.is_other(original, copy, bytes))
            }
        };
        if !is_original {
            // The original is gone, and what is known of it decides; or this is no copy.
            waiting.copy_of = None;
        }
        // Of a file without a name nothing else is left, should its rest not be delivered.
        let is_last_trace = tracked.is_some_and(|tracked| tracked.is_detached);
        is_original && (!is_over || is_last_trace)
    }

    /// Begins to read a file that has waited.
    fn open(&mut self, waiting: &mut Waiting, mut resource: Resource, now: Instant) {
        let path = waiting.path.clone();
        let path = path.as_path();
        if waiting.is_detached && !is_named_after(path, &waiting.home) {
            // It was found by its number, which another log's file may have had before.
            let mut homes = original_paths(path).into_iter();
            if let Some(home) = homes.find(|home| self.finder.wants(home)) {
                waiting.home = home;
            }
        }
        let (id, offset) = match self.begin(waiting) {
            Ok(Some(Begin::New(offset))) => (FileId::random(), offset),
            Ok(Some(Begin::Resume(id, entry))) if is_read(&entry, &waiting.file) => {
                return self.lay_down(id, *entry, waiting, now);
            }
            Ok(Some(Begin::Resume(id, entry))) => {
                if resource.job_id.is_none() && !waiting.evidence.is_daemon() {
                    // The application may be gone, but the last run knew it.
                    waiting.evidence.remember(self.redactors.base(), &entry);
                    let (evidence, jobs) = (&waiting.evidence, &self.applied_jobs);
                    resource = self.identity.resource(path, evidence, jobs, waiting.written);
                }
                (id, entry.offset)
            }
            Ok(None) => return,
            Err(error) => return self.complain_of(path, &error),
        };
        resource.file_id = Some(Value::hex(&id.0.to_be_bytes()));
        if waiting.is_detached {
            self.predecessors.note(&waiting.home, &resource, waiting.written.until_unix_ms);
        }
        let (resource, redactor) = (Arc::new(resource), self.redactors.of_file(path).clone());
        let file = waiting.file.try_clone();
        let opened = file.and_then(|file| {
            LogFile::open(id, path.to_owned(), file, offset, resource, redactor, now)
        });
        match opened {
            Ok(file) => {
                let seen = waiting.file.metadata().map(|now| Seen::of(&now)).unwrap_or_default();
                self.files.push(Tracked {
                    file,
                    family: family(&waiting.path, &waiting.home, &self.finder),
                    modified: seen.modified,
                    home: std::mem::take(&mut waiting.home),
                    evidence: std::mem::take(&mut waiting.evidence),
                    seen_bytes: waiting.seen_bytes.unwrap_or(0),
                    since_unix_ms: waiting.written.since_unix_ms,
                    is_detached: waiting.is_detached,
                    due: now,
                    is_failing: false,
                    announced_head_bytes: 0,
                });
                let index = self.files.len() - 1;
                if offset == 0
                    && let Some(before) = self.container_before(&waiting.path)
                    && let Some(parts) = self.files[before].file.hand_over_parts()
                {
                    self.files[index].file.adopt_parts(parts);
                }
                self.announce(index);
                self.announce_job(index);
                self.say_begun(index, offset);
            }
            Err(error) => self.complain_of(path, &error),
        }
    }

    /// Where to begin; none for a file that nobody wants.
    fn begin(&mut self, waiting: &Waiting) -> io::Result<Option<Begin>> {
        let metadata = waiting.file.metadata()?;
        let candidate = Candidate { path: &waiting.path, file: &waiting.file, metadata: &metadata };
        if waiting.copy_of.is_some() {
            // The original is read where it is: only what is written behind the copy is new.
            return text_bytes(candidate).map(|end| Some(Begin::New(end)));
        }
        if !waiting.is_wanted {
            let claimed = self.known.claim(candidate)?;
            return Ok(claimed.filter(|begin| matches!(begin, Begin::Resume(..))));
        }
        let (read_from, is_first_scan) = (self.config.read_from, waiting.is_first_scan);
        self.known.begin(candidate, read_from, is_first_scan).map(Some)
    }
}

/// True for an archive in which nothing is to be read: it need not be unpacked.
fn is_read(entry: &Entry, file: &File) -> bool {
    entry.archive.is_some_and(|archive| {
        entry.offset >= archive.text_bytes
            && file.metadata().is_ok_and(|now| now.len() == archive.file_bytes)
    })
}

/// True when `copy`, which has so many bytes, is not made of `original`.
fn is_other(original: &Tracked, copy: &File, copy_bytes: u64) -> bool {
    let (source, position) = (original.file.source(), original.file.position());
    let Ok(metadata) = source.file().metadata() else { return false };
    // An original that is overwritten already cannot tell.
    source.guard_holds(position).unwrap_or(false)
        && tells_apart(source.file(), metadata.len(), position, copy, copy_bytes)
}
