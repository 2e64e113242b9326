//! Scanning: which files are new, renamed, deleted, and whose they are.

use super::{Tail, Tracked, Waiting, unix_ms};
use crate::checkpoint::{Entry, Event};
use crate::identity::{Evidence, HEAD_BYTES, Identity, Written};
use crate::model::{FileId, Resource};
use crate::tail::batch::Abandoned;
use crate::tail::file::{LogFile, Pass};
use crate::tail::fingerprint::{Digest, Inode, read_head};
use crate::tail::waiting::Begin;
use crate::telemetry;
use redaction::Value;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Files whose beginning is told at level info.
const FILES_TOLD_MAX: usize = 50;

/// `O_NONBLOCK` of Linux on x86-64 and aarch64 (asm-generic/fcntl.h).
const O_NONBLOCK: i32 = 0o4000;

/// Paths that a complaint was logged for; more are only counted.
const COMPLAINTS_MAX: usize = 1_000;

impl Tail {
    pub(super) fn scan(&mut self, now: Instant, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        let mut found = self.finder.find();
        if self.is_first_scan {
            found.extend(self.known.renamed(&self.finder));
        }
        self.follow_renames(&found);
        let mut inodes: HashSet<Inode> =
            self.files.iter().map(|tracked| tracked.file.inode()).collect();
        inodes.extend(self.waiting.iter().map(|waiting| waiting.inode));
        for path in found {
            // Two names of one file are read once.
            if inode_at(&path).is_none_or(|inode| inodes.contains(&inode)) {
                continue;
            }
            if self.files.len() + self.waiting.len() >= self.config.files_max {
                self.complain(&path, "too_many", "more files than tail.files_max; the rest waits");
                break;
            }
            match self.found(&path, now) {
                Ok(waiting) if !inodes.insert(waiting.inode) => {}
                Ok(waiting) => self.waiting.push(waiting),
                Err(error) => self.complain_of(&path, &error),
            }
        }
        self.is_first_scan = false;
        self.refresh_tracked(pass)?;
        self.report();
        Ok(())
    }

    /// Opens a new file at once: from here on a rotation costs nothing, even while it waits.
    fn found(&self, path: &Path, now: Instant) -> io::Result<Waiting> {
        // A pipe that took the file's place must not hold the thread up.
        let file = File::options().read(true).custom_flags(O_NONBLOCK).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let born = metadata.created().map_or_else(|_| unix_ms(), to_unix_ms);
        let written = Written { since_unix_ms: born, until_unix_ms: born };
        let inode = Inode::of(&metadata);
        let mut waiting = Waiting::new(path.to_owned(), file, inode, self.is_first_scan, written);
        waiting.since = now;
        Ok(waiting)
    }

    /// A file whose path is another file's now was renamed or deleted.
    fn follow_renames(&mut self, found: &[PathBuf]) {
        let mut by_inode: Option<HashMap<Inode, &PathBuf>> = None;
        for index in 0..self.files.len() {
            let inode = self.files[index].file.inode();
            if inode_at(self.files[index].file.path()) == Some(inode) {
                self.files[index].is_detached = false;
                continue;
            }
            let names = by_inode.get_or_insert_with(|| {
                found.iter().filter_map(|path| Some((inode_at(path)?, path))).collect()
            });
            if let Some(path) = names.get(&inode) {
                self.files[index].file.set_path((*path).clone());
                self.announce(index);
            } else if !self.files[index].is_detached {
                telemetry::ROTATIONS.add(1);
                self.files[index].is_detached = true;
            }
        }
        for waiting in &mut self.waiting {
            if inode_at(&waiting.path) != Some(waiting.inode) && !waiting.is_detached {
                telemetry::ROTATIONS.add(1);
                waiting.is_detached = true;
            }
        }
    }

    /// Learns what the scrapers found out since the last scan, and hashes short heads again.
    fn refresh_tracked(&mut self, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        let jobs = self.jobs.borrow().clone();
        let has_news = !Arc::ptr_eq(&jobs, &self.applied_jobs);
        self.applied_jobs = jobs;
        let siblings = self.siblings();
        for index in 0..self.files.len() {
            if self.files[index].file.refresh_head().unwrap_or(false) {
                self.announce(index);
            }
            let is_nameless = self.files[index].file.resource().job_id.is_none();
            if has_news || is_nameless {
                let stem = stem(self.files[index].file.path());
                self.files[index].evidence.adopt(siblings.get(&stem));
                self.identify(index, pass)?;
            }
        }
        Ok(())
    }

    /// What is known of files by their name without its ending: `driver.stdout` tells nothing of
    /// its job, but `driver.stderr` beside it does.
    pub(super) fn siblings(&self) -> HashMap<PathBuf, Evidence> {
        let tracked = self.files.iter().filter(|tracked| !tracked.is_detached);
        let tracked = tracked.map(|tracked| (tracked.file.path(), &tracked.evidence));
        let waiting = self.waiting.iter().filter(|waiting| !waiting.is_detached);
        let waiting = waiting.map(|waiting| (waiting.path.as_path(), &waiting.evidence));
        let known = tracked.chain(waiting).filter(|(_, evidence)| evidence.names_job());
        known.map(|(path, evidence)| (stem(path), evidence.clone())).collect()
    }

    fn identify(&mut self, index: usize, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        let tracked = &mut self.files[index];
        let Ok(metadata) = tracked.file.metadata() else { return Ok(()) };
        let path = tracked.file.path().to_owned();
        let has_grown = tracked.seen_bytes != metadata.len();
        let is_head_whole = tracked.seen_bytes >= HEAD_BYTES as u64;
        if tracked.evidence.resource.job_id.is_none() && has_grown && !is_head_whole {
            tracked.seen_bytes = metadata.len();
            if let Ok(head) = tracked.file.head_bytes(HEAD_BYTES) {
                tracked.evidence = self.identity.evidence(&path, &head);
            }
        }
        let since_unix_ms = tracked.since_unix_ms;
        let written = Written { since_unix_ms, until_unix_ms: modified_unix_ms(&metadata) };
        let mut resource =
            self.identity.resource(&path, &tracked.evidence, &self.applied_jobs, written);
        let known = tracked.file.resource();
        resource.file_id.clone_from(&known.file_id);
        resource.keep(known, &self.applied_jobs);
        if resource != **known {
            tracked.file.set_resource(Arc::new(resource), pass.emit)?;
            self.announce_job(index);
        }
        Ok(())
    }

    /// Begins to read a file that has waited.
    pub(super) fn open(&mut self, waiting: &mut Waiting, mut resource: Resource) {
        let path = waiting.path.as_path();
        let read_from = self.config.read_from;
        let begin = self.known.begin(&waiting.file, path, read_from, waiting.is_first_scan);
        let (id, offset) = match begin {
            Ok(Begin::New(offset)) => (FileId::random(), offset),
            Ok(Begin::Resume(id, entry)) => {
                if resource.job_id.is_none() && !waiting.evidence.is_daemon() {
                    // The application may be gone, but the last run knew it.
                    waiting.evidence.remember(self.redactors.base(), &entry);
                    let (evidence, jobs) = (&waiting.evidence, &self.applied_jobs);
                    resource = self.identity.resource(path, evidence, jobs, waiting.written);
                }
                (id, entry.offset)
            }
            Err(error) => return self.complain_of(path, &error),
        };
        resource.file_id = Some(Value::hex(&id.0.to_be_bytes()));
        let (resource, redactor) = (Arc::new(resource), self.redactors.of_file(path).clone());
        let opened = waiting
            .file
            .try_clone()
            .and_then(|file| LogFile::open(id, path.to_owned(), file, offset, resource, redactor));
        match opened {
            Ok(file) => {
                self.files.push(Tracked {
                    file,
                    evidence: std::mem::take(&mut waiting.evidence),
                    seen_bytes: waiting.seen_bytes.unwrap_or(0),
                    since_unix_ms: waiting.written.since_unix_ms,
                    is_detached: waiting.is_detached,
                });
                let index = self.files.len() - 1;
                self.announce(index);
                self.announce_job(index);
                self.say_begun(index, offset);
            }
            Err(error) => self.complain_of(path, &error),
        }
    }

    /// One line for each of the first files; thousands of them would hide the rest of the log.
    fn say_begun(&self, index: usize, offset: u64) {
        let resource = self.files[index].file.resource();
        let file = resource.file.as_deref().unwrap_or("");
        let job_id = resource.job_id.as_deref().unwrap_or("unknown");
        if self.files.len() <= FILES_TOLD_MAX {
            tracing::info!(file, offset, job_id, "reading");
        } else {
            tracing::debug!(file, offset, job_id, "reading");
        }
    }

    /// Tells the checkpointer where a file is and how to know it again.
    pub(super) fn announce(&self, index: usize) {
        let file = &self.files[index].file;
        if !self.finder.wants(file.path()) {
            // Taken up after a rotation to a name that no glob matches: the next start finds it as
            // this one did, by its former name.
            return;
        }
        // Only a path with PII in it differs from its redacted form; the file is then known again by
        // its inode alone.
        let path = self.redactors.base().value(&file.path().to_string_lossy());
        let entry = Entry {
            path: PathBuf::from(path.as_str()),
            inode: file.inode(),
            head: file.head(),
            offset: file.end(),
            frontier: Digest::of(&[]),
            job_id: None,
            job_name: None,
            seen_unix_s: 0,
        };
        self.send(Event::Tracked(file.id(), Box::new(entry)));
    }

    fn announce_job(&self, index: usize) {
        let file = &self.files[index].file;
        let text = |value: &Option<Value>| value.as_deref().map(str::to_owned);
        if let Some(job_id) = text(&file.resource().job_id) {
            self.send(Event::Identified(file.id(), job_id, text(&file.resource().job_name)));
        }
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

    fn report(&mut self) {
        let lag: u64 = self.files.iter_mut().map(|tracked| tracked.file.lag_bytes()).sum();
        let lag = lag + self.waiting.iter().filter_map(|waiting| waiting.seen_bytes).sum::<u64>();
        let detached = self.files.iter().filter(|tracked| tracked.is_detached).count();
        telemetry::LAG_BYTES.set(lag as f64);
        telemetry::FILES.set("active", (self.files.len() - detached) as f64);
        telemetry::FILES.set("detached", detached as f64);
        telemetry::FILES.set("waiting", self.waiting.len() as f64);
    }
}

impl Waiting {
    pub(super) fn new(
        path: PathBuf,
        file: File,
        inode: Inode,
        is_first_scan: bool,
        written: Written,
    ) -> Self {
        Self {
            path,
            file,
            inode,
            since: Instant::now(),
            is_first_scan,
            evidence: Evidence::default(),
            seen_bytes: None,
            written,
            is_detached: false,
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
    pub(super) fn refresh(&mut self, identity: &Identity, now: Instant) {
        let Ok(metadata) = self.file.metadata() else { return };
        if self.is_empty() {
            self.since = now;
        }
        self.written.until_unix_ms = modified_unix_ms(&metadata);
        if self.seen_bytes == Some(metadata.len()) {
            return;
        }
        if let Some(lost) = self.seen_bytes.and_then(|seen| seen.checked_sub(metadata.len())) {
            // Another run has taken the file over before the job of this one was known.
            telemetry::LOST_BYTES.add("truncated", lost);
            self.written.since_unix_ms = unix_ms();
        }
        self.seen_bytes = Some(metadata.len());
        let head = read_head(&self.file, HEAD_BYTES).unwrap_or_default();
        self.evidence = identity.evidence(&self.path, &head);
    }
}

/// A path without what tells standard output, standard error and log of one process apart.
pub(super) fn stem(path: &Path) -> PathBuf {
    match path.file_name().and_then(|name| name.to_str()) {
        Some("stdout" | "stderr") => path.with_file_name("std"),
        _ => path.with_extension(""),
    }
}

fn inode_at(path: &Path) -> Option<Inode> {
    fs::metadata(path).ok().map(|metadata| Inode::of(&metadata))
}

fn modified_unix_ms(metadata: &Metadata) -> u64 {
    metadata.modified().map_or(0, to_unix_ms)
}

pub(super) fn to_unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
