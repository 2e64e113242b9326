//! The loop of the tail thread: scan for files, start those whose job is known, read all in turn.

mod scan;

use super::Config;
use super::batch::{Abandoned, BatchLimits, Emit};
use super::discover::Finder;
use super::file::{LogFile, Look, Pass};
use super::waiting::Known;
use crate::checkpoint::{Entry, Event};
use crate::identity::{Evidence, Identity, Written};
use crate::model::FileId;
use crate::parse::ParseContext;
use crate::policy::Redactors;
use crate::scrape::Job;
use crate::tail::fingerprint::Inode;
use crate::telemetry;
use jiff::tz::TimeZone;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{mpsc, watch};

/// Time between two scans for new, renamed and deleted files.
const SCAN_INTERVAL: Duration = Duration::from_millis(500);

/// A renamed or deleted file is held open until nothing came for this long: its writer may not have
/// noticed yet.
const DETACHED_IDLE: Duration = Duration::from_secs(10);

/// At shutdown a half-written line may become whole within this time.
const HALF_LINE_WAIT: Duration = Duration::from_millis(300);

/// How the tail thread is told to end.
#[derive(Debug, Default)]
pub struct Stop(AtomicU8);

impl Stop {
    /// Read what is there, hand it over, end.
    pub fn drain(&self) {
        self.0.fetch_max(1, Ordering::AcqRel);
    }

    /// The deadline is over: end now.
    pub fn abandon(&self) {
        self.0.fetch_max(2, Ordering::AcqRel);
    }

    fn is_draining(&self) -> bool {
        self.0.load(Ordering::Acquire) >= 1
    }

    fn is_abandoned(&self) -> bool {
        self.0.load(Ordering::Acquire) >= 2
    }
}

/// A file that was found but is not read yet. It is held open: what happens to its path meanwhile
/// costs nothing.
#[derive(Debug)]
struct Waiting {
    path: PathBuf,
    file: File,
    inode: Inode,
    /// Since when it has had bytes.
    since: Instant,
    is_first_scan: bool,
    evidence: Evidence,
    /// Length of the file when `evidence` was taken.
    seen_bytes: Option<u64>,
    written: Written,
    /// True once its path is another file's, or nobody's: it waits no longer.
    is_detached: bool,
}

/// Milliseconds since the epoch, now.
fn unix_ms() -> u64 {
    scan::to_unix_ms(SystemTime::now())
}

/// A file that is being read.
#[derive(Debug)]
struct Tracked {
    file: LogFile,
    evidence: Evidence,
    /// Length of the file when `evidence` was taken.
    seen_bytes: u64,
    since_unix_ms: u64,
    /// True once its path is another file's, or nobody's.
    is_detached: bool,
}

/// Everything that the tail thread owns.
#[derive(Debug)]
pub struct Tail {
    config: Config,
    limits: BatchLimits,
    zone: TimeZone,
    finder: Finder,
    redactors: Arc<Redactors>,
    identity: Identity,
    jobs: watch::Receiver<Arc<Vec<Job>>>,
    /// Jobs that the resources of `files` were made from.
    applied_jobs: Arc<Vec<Job>>,
    events: mpsc::Sender<Event>,
    known: Known,
    files: Vec<Tracked>,
    waiting: Vec<Waiting>,
    complained: BTreeSet<PathBuf>,
    is_first_scan: bool,
    /// End by itself when nothing came for this long.
    exit_when_idle: Option<Duration>,
    last_read: Instant,
}

/// What a tail thread starts from.
#[derive(Debug)]
pub struct Start {
    /// `[tail]`
    pub config: Config,
    /// `[batch]`
    pub limits: BatchLimits,
    /// Zone of timestamps that carry none.
    pub zone: TimeZone,
    /// The compiled globs.
    pub finder: Finder,
    /// The redactors of the process.
    pub redactors: Arc<Redactors>,
    /// Who the files may belong to.
    pub identity: Identity,
    /// Jobs as the scrapers see them.
    pub jobs: watch::Receiver<Arc<Vec<Job>>>,
    /// The checkpointer.
    pub events: mpsc::Sender<Event>,
    /// Files of earlier runs.
    pub entries: Vec<(FileId, Entry)>,
    /// End by itself when nothing came for this long.
    pub exit_when_idle: Option<Duration>,
}

impl Tail {
    /// A tail that has not looked at anything yet.
    #[must_use]
    pub fn new(start: Start) -> Self {
        Self {
            config: start.config,
            limits: start.limits,
            zone: start.zone,
            finder: start.finder,
            redactors: start.redactors,
            identity: start.identity,
            jobs: start.jobs,
            applied_jobs: Arc::default(),
            events: start.events,
            known: Known::new(start.entries),
            files: Vec::new(),
            waiting: Vec::new(),
            complained: BTreeSet::new(),
            is_first_scan: true,
            exit_when_idle: start.exit_when_idle,
            last_read: Instant::now(),
        }
    }

    /// Works until it is told to stop, nothing came for long enough, or the lanes are gone.
    pub fn run(mut self, stop: &Stop, emit: &mut Emit<'_>) {
        let mut context = ParseContext::new(self.zone.clone());
        let mut pass = Pass {
            context: &mut context,
            limits: self.limits,
            record_bytes_max: usize::try_from(self.config.record_bytes_max.0).unwrap_or(usize::MAX),
            emit,
            read: Vec::new(),
        };
        // Abandoned means that the process is past its deadline: nothing is left to do here.
        let _ = self.work(stop, &mut pass);
    }

    fn work(&mut self, stop: &Stop, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        let mut next_scan = Instant::now();
        while !stop.is_draining() {
            let now = Instant::now();
            if now >= next_scan {
                self.scan(now, pass)?;
                next_scan = now + SCAN_INTERVAL;
            }
            self.start_waiting(now, false);
            let bytes = self.look_at_all(pass, now)?;
            self.close_ended(pass, now)?;
            if bytes > 0 {
                self.last_read = now;
            } else if self.is_idle_for_good(now) {
                break;
            } else {
                std::thread::park_timeout(self.config.poll_interval.0);
            }
        }
        self.finish(stop, pass)
    }

    fn is_idle_for_good(&self, now: Instant) -> bool {
        let idle = now.duration_since(self.last_read);
        // A job that is silent while its UI answers has not ended.
        let is_job_alive = self.jobs.borrow().iter().any(|job| job.end_unix_ms.is_none());
        if is_job_alive && self.exit_when_idle.is_some_and(|wait| !wait.is_zero()) {
            return false;
        }
        self.waiting.iter().all(Waiting::is_empty)
            && self.exit_when_idle.is_some_and(|wait| idle >= wait)
    }

    /// Reads every file to where it ends now, and hands everything over.
    fn finish(&mut self, stop: &Stop, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        let began = Instant::now();
        self.scan(began, pass)?;
        self.start_waiting(began, true);
        let ends: Vec<u64> = self
            .files
            .iter()
            .map(|tracked| tracked.file.metadata().map_or(0, |now| now.len()))
            .collect();
        loop {
            if stop.is_abandoned() {
                return Err(Abandoned);
            }
            let now = Instant::now();
            let bytes = self.look_at_all(pass, now)?;
            let is_read = |(tracked, end): (&Tracked, &u64)| tracked.file.is_read_to(*end);
            let is_all_read = bytes == 0 || self.files.iter().zip(&ends).all(is_read);
            let is_late = began.elapsed() > HALF_LINE_WAIT;
            let has_half_line = self.files.iter().any(|tracked| tracked.file.has_half_line());
            if is_all_read && (is_late || !has_half_line) {
                break;
            }
            if bytes == 0 {
                std::thread::park_timeout(Duration::from_millis(10));
            }
        }
        for tracked in &mut self.files {
            let is_growing = tracked.file.idle(Instant::now()) < HALF_LINE_WAIT;
            tracked.file.flush(pass, is_growing)?;
            tracked.file.seal(pass, None)?;
        }
        Ok(())
    }

    /// Gives every file one read, so that a busy one does not starve the others.
    fn look_at_all(&mut self, pass: &mut Pass<'_>, now: Instant) -> Result<usize, Abandoned> {
        let mut bytes = 0;
        let mut truncated = Vec::new();
        let mut open_bytes: usize = self.files.iter().map(|it| it.file.open_bytes()).sum();
        for (index, tracked) in self.files.iter_mut().enumerate() {
            open_bytes -= tracked.file.open_bytes();
            match tracked.file.look(pass, now)? {
                Ok(Look::Read(read)) => bytes += read,
                Ok(Look::Quiet) => tracked.file.flush_when_idle(pass, now)?,
                Ok(Look::Truncated) => truncated.push(index),
                Err(error) => {
                    telemetry::FILE_ERRORS.add("io", 1);
                    if self.complained.insert(tracked.file.path().to_owned()) {
                        tracing::warn!(%error, "a log file cannot be read; trying again");
                    }
                }
            }
            let is_too_much = open_bytes + tracked.file.open_bytes() > pass.limits.open_bytes_max;
            tracked.file.seal(pass, (!is_too_much).then_some(now))?;
            open_bytes += tracked.file.open_bytes();
        }
        for index in truncated.into_iter().rev() {
            self.restart(index, pass)?;
        }
        Ok(bytes)
    }

    /// A truncated file is a new one: offsets never go backwards under one id, and another run may
    /// write it now.
    fn restart(&mut self, index: usize, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        telemetry::TRUNCATIONS.add(1);
        telemetry::LOST_BYTES.add("truncated", self.files[index].file.lost_bytes());
        tracing::warn!("a log file was truncated; what was written after the last read is lost");
        let mut tracked = self.files.swap_remove(index);
        tracked.file.flush(pass, false)?;
        tracked.file.seal(pass, None)?;
        self.send(Event::Ended(tracked.file.id(), tracked.file.end()));
        match tracked.file.waiting_again() {
            Ok(file) => {
                let path = tracked.file.path().to_owned();
                let written = Written { since_unix_ms: unix_ms(), until_unix_ms: unix_ms() };
                let mut waiting = Waiting::new(path, file, tracked.file.inode(), false, written);
                waiting.is_detached = tracked.is_detached;
                self.waiting.push(waiting);
            }
            Err(error) => self.complain_of(tracked.file.path(), &error),
        }
        Ok(())
    }

    /// Lets go of files that are renamed or deleted, read to their end, and quiet.
    fn close_ended(&mut self, pass: &mut Pass<'_>, now: Instant) -> Result<(), Abandoned> {
        let mut index = 0;
        while index < self.files.len() {
            let tracked = &mut self.files[index];
            if !tracked.is_detached || tracked.file.idle(now) < DETACHED_IDLE {
                index += 1;
                continue;
            }
            tracked.file.flush(pass, false)?;
            tracked.file.seal(pass, None)?;
            let (id, end) = (tracked.file.id(), tracked.file.end());
            self.files.swap_remove(index);
            self.send(Event::Ended(id, end));
        }
        Ok(())
    }

    /// Begins to read files whose job is known, or that have waited long enough for it.
    fn start_waiting(&mut self, now: Instant, is_last: bool) {
        if self.waiting.is_empty() {
            return;
        }
        let jobs = self.jobs.borrow().clone();
        let wait = self.config.identity_wait.0;
        for waiting in &mut self.waiting {
            waiting.refresh(&self.identity, now);
        }
        let siblings = self.siblings();
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain_mut(|waiting| {
            waiting.evidence.adopt(siblings.get(&scan::stem(&waiting.path)));
            let (path, evidence) = (&waiting.path, &waiting.evidence);
            let resource = self.identity.resource(path, evidence, &jobs, waiting.written);
            let is_known = resource.job_id.is_some() || evidence.is_daemon();
            let is_over =
                is_last || waiting.is_detached || evidence.is_over || waiting.waited(now) >= wait;
            if is_known || is_over {
                self.open(waiting, resource);
            }
            !(is_known || is_over)
        });
        // Whatever was found meanwhile waits on.
        self.waiting.append(&mut waiting);
    }

    /// The checkpointer ends only after this thread has let go of its sender.
    fn send(&self, event: Event) {
        let _ = self.events.blocking_send(event);
    }
}
