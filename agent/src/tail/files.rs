//! The loop of the tail thread: scan for files, start those whose job is known, read all in turn.

mod asleep;
mod finish;
mod heirs;
mod identify;
#[cfg(test)]
mod model_tests;
mod order;
mod pipes;
mod renew;
mod scan;
mod waiting;

use super::Config;
use super::batch::{Abandoned, BatchLimits, Emit, Pass};
use super::discover::Finder;
use super::file::{LogFile, Look, READ_BYTES};
use super::fingerprint::{Inode, Seen};
use super::known::Known;
use super::own_jobs::OwnJobs;
use super::rotated::RotatedLogs;
use super::watch::{News, Stop, Watch};
use crate::checkpoint::{Entry, Event};
use crate::identity::{Evidence, Identity};
use crate::model::FileId;
use crate::parse::ParseContext;
use crate::policy::Redactors;
use crate::scrape::Job;
use asleep::Asleep;
use heirs::Predecessors;
use jiff::tz::TimeZone;
pub use pipes::STDIN;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{mpsc, watch};
use waiting::Waiting;

/// Time between two scans for new, renamed and deleted files.
const SCAN_INTERVAL: Duration = Duration::from_millis(500);

/// A renamed or deleted file is held open until nothing came for this long: its writer may not have
/// noticed yet.
const DETACHED_IDLE: Duration = Duration::from_secs(10);

/// Longest time between two looks at a file that was quiet for long.
const LOOK_INTERVAL_MAX: Duration = Duration::from_secs(10);

/// Time between two looks whether the lanes have room again.
const ROOM_WAIT: Duration = Duration::from_millis(5);

/// A file that is being read.
#[derive(Debug)]
struct Tracked {
    file: LogFile,
    /// Where it is, or was last, by a name that a glob matches.
    home: PathBuf,
    /// Where the newest file of the same log is.
    family: PathBuf,
    /// When it was last written before it was opened.
    modified: (i64, i64),
    evidence: Evidence,
    /// Length of the file when `evidence` was taken.
    seen_bytes: u64,
    since_unix_ms: u64,
    /// True once its path is another file's, or nobody's.
    is_detached: bool,
    /// When it is looked at again.
    due: Instant,
    /// True while it cannot be read: it holds nobody up.
    is_failing: bool,
    /// Bytes of its head when the checkpointer heard of it.
    announced_head_bytes: u64,
}

/// How a look at all files went.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// Bytes that were read.
    bytes: usize,
    /// True when there is more to read at once.
    has_more: bool,
    /// True when some file was left alone: it waits for an older one, or the lanes had no room.
    is_cut_short: bool,
    /// When the next look is due whatever happens: a batch is old enough, or lanes may have room.
    next: Option<Instant>,
}

/// Everything that the tail thread owns.
#[derive(Debug)]
pub struct Tail {
    config: Config,
    limits: BatchLimits,
    finder: Finder,
    redactors: Arc<Redactors>,
    identity: Arc<Identity>,
    jobs: watch::Receiver<Arc<Vec<Job>>>,
    /// Jobs that the resources of `files` were made from.
    applied_jobs: Arc<Vec<Job>>,
    events: mpsc::Sender<Event>,
    known: Known,
    files: Vec<Tracked>,
    waiting: Vec<Waiting>,
    asleep: HashMap<PathBuf, Asleep>,
    complained: BTreeSet<PathBuf>,
    is_first_scan: bool,
    /// The files of the config before, until the first scan with this one.
    former_finder: Option<Finder>,
    /// Files that were there before the agent and are not taken up yet.
    from_before: BTreeMap<PathBuf, Inode>,
    next_scan: Instant,
    /// True when a file could not be opened since the last time that all were tried again.
    has_failed: bool,
    next_retry: Instant,
    /// True when the last scan left something for the next one, whatever has changed by then.
    is_unsettled: bool,
    /// True when the last scan left files for which there is no descriptor.
    is_full: bool,
    rotated: RotatedLogs,
    predecessors: Predecessors,
    /// Archives that may still be written: how they looked, and since when they look like that.
    young_archives: HashMap<PathBuf, (Seen, Instant)>,
    last_scan: SystemTime,
    /// True once standard input is read, or was.
    has_stdin: bool,
    /// True when there are folders that the kernel was not asked to watch yet.
    is_watch_stale: bool,
    /// Descriptors that may be held.
    open_files_max: usize,
    /// End by itself when nothing came for this long.
    exit_when_idle: Option<Duration>,
    last_read: Instant,
}

/// What a tail starts from.
#[derive(Debug)]
pub struct Start {
    /// `[tail]`
    pub config: Config,
    /// `[batch]`
    pub limits: BatchLimits,
    /// The compiled globs.
    pub finder: Finder,
    /// The redactors of the process.
    pub redactors: Arc<Redactors>,
    /// Who the files may belong to.
    pub identity: Arc<Identity>,
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
    pub fn new(start: Start, now: Instant) -> Self {
        let known = Known::new(start.entries);
        let rotated = RotatedLogs::new(known.homes(), &start.finder, now);
        Self {
            config: start.config,
            limits: start.limits,
            finder: start.finder,
            redactors: start.redactors,
            identity: start.identity,
            jobs: start.jobs,
            applied_jobs: Arc::default(),
            events: start.events,
            known,
            files: Vec::new(),
            waiting: Vec::new(),
            asleep: HashMap::new(),
            complained: BTreeSet::new(),
            is_first_scan: true,
            former_finder: None,
            from_before: BTreeMap::new(),
            next_scan: now,
            has_failed: false,
            next_retry: now,
            is_unsettled: true,
            is_full: false,
            rotated,
            predecessors: Predecessors::default(),
            young_archives: HashMap::new(),
            last_scan: SystemTime::now(),
            has_stdin: false,
            is_watch_stale: true,
            open_files_max: super::descriptors_max() / 2,
            exit_when_idle: start.exit_when_idle,
            last_read: now,
        }
    }

    /// Works until it is told to stop, nothing came for long enough, or the lanes are gone. Returns
    /// itself when it is to go on under another config.
    pub fn run(
        mut self: Box<Self>,
        zone: TimeZone,
        stop: &Stop,
        emit: &mut Emit<'_>,
        has_room: &dyn Fn() -> bool,
    ) -> Option<Box<Self>> {
        let mut context = ParseContext::new(zone);
        let mut own_jobs = OwnJobs::new(self.identity.clone(), self.jobs.clone());
        let mut emit = |logs, position| own_jobs.hand_over(logs, position, emit);
        let mut pass = self.pass(&mut context, &mut emit, has_room, Instant::now());
        // Abandoned means that the process is past its deadline: nothing is left to do here.
        let worked = self.work(stop, &mut pass);
        (worked.is_ok() && stop.is_handing_over()).then_some(self)
    }

    /// What the files share for a while.
    pub(super) fn pass<'p>(
        &self,
        context: &'p mut ParseContext,
        emit: &'p mut Emit<'p>,
        has_room: &'p dyn Fn() -> bool,
        now: Instant,
    ) -> Pass<'p> {
        Pass {
            context,
            limits: self.limits,
            record_bytes_max: usize::try_from(self.config.record_bytes_max.0).unwrap_or(usize::MAX),
            emit,
            has_room,
            now,
            read: Vec::new(),
        }
    }

    fn work(&mut self, stop: &Stop, pass: &mut Pass<'_>) -> Result<(), Abandoned> {
        let mut watch = Watch::new();
        self.take_up_config(pass)?;
        while !stop.is_told() {
            pass.now = Instant::now();
            let looked = self.turn(pass)?;
            if std::mem::take(&mut self.is_watch_stale) {
                watch.follow(self.finder.folders());
            }
            if looked.has_more {
                continue;
            }
            let has_room = (pass.has_room)();
            if has_room && (self.is_idle_for_good(pass.now) || self.has_read_all_input()) {
                break;
            }
            let wait = if has_room { self.config.poll_interval.0 } else { ROOM_WAIT };
            let next = looked.next.map_or(self.next_scan, |next| next.min(self.next_scan));
            let until_next = next.saturating_duration_since(pass.now);
            let pipes: Vec<_> = self.files.iter().filter(|it| it.file.is_pipe()).collect();
            let pipes: Vec<&File> = pipes.iter().map(|it| it.file.source().file()).collect();
            let news = watch.wait(stop, &pipes, wait.min(until_next));
            self.hear(&news, Instant::now());
        }
        if stop.is_handing_over() {
            return Ok(());
        }
        pass.now = Instant::now();
        self.finish(stop, pass)
    }

    /// One turn through everything that is due.
    pub(super) fn turn(&mut self, pass: &mut Pass<'_>) -> Result<Looked, Abandoned> {
        let is_scan = pass.now >= self.next_scan;
        if is_scan {
            self.scan(pass)?;
            self.next_scan = pass.now + SCAN_INTERVAL;
        }
        self.look_at_asleep(pass.now);
        self.start_waiting(pass.now, false);
        let looked = self.look_at_all(pass)?;
        if is_scan {
            self.close_ended(pass)?;
        }
        self.close_ended_pipes(pass)?;
        if looked.bytes > 0 {
            self.last_read = pass.now;
        }
        Ok(looked)
    }

    /// Makes due what the kernel says has changed.
    fn hear(&mut self, news: &News, now: Instant) {
        if news.is_folder_changed {
            self.next_scan = now;
            self.is_unsettled = true;
        }
        for tracked in &mut self.files {
            if news.is_incomplete || news.changed.contains(tracked.file.path()) {
                tracked.due = now;
            }
        }
        if news.is_incomplete {
            self.asleep.values_mut().for_each(|asleep| asleep.due = now);
        }
        for path in &news.changed {
            if let Some(asleep) = self.asleep.get_mut(path) {
                asleep.due = now;
            }
        }
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

    /// Gives every file that is due one read, so that a busy one does not starve the others.
    fn look_at_all(&mut self, pass: &mut Pass<'_>) -> Result<Looked, Abandoned> {
        let (mut lost, mut failed, mut first) = (Vec::new(), Vec::new(), 0);
        let held = self.behind_older();
        let mut looked = Looked { is_cut_short: !held.is_empty(), ..Looked::default() };
        let poll_interval = self.config.poll_interval.0;
        let mut open_bytes: usize = self.files.iter().map(|it| it.file.open_bytes()).sum();
        for (index, tracked) in self.files.iter_mut().enumerate() {
            // What cannot be handed over now stays in the file.
            if !(pass.has_room)() {
                (first, looked.is_cut_short) = (index, true);
                looked.next = Some(pass.now + ROOM_WAIT);
                break;
            }
            if held.contains(&tracked.file.id()) {
                continue;
            }
            open_bytes -= tracked.file.open_bytes();
            if tracked.due <= pass.now || tracked.file.is_pipe() {
                let look = tracked.file.look(pass)?;
                tracked.due = pass.now + look_interval(tracked.file.idle(pass.now), poll_interval);
                tracked.is_failing = look.is_err();
                match look {
                    Ok(Look::Read(read)) => {
                        looked.bytes += read;
                        // Others may wait until the end of an archive is seen.
                        if read >= READ_BYTES || !tracked.file.is_read() {
                            (tracked.due, looked.has_more) = (pass.now, true);
                        }
                    }
                    Ok(Look::Quiet) => {}
                    Ok(Look::Lost { is_truncated }) => lost.push((index, is_truncated)),
                    Err(error) => failed.push((tracked.file.path().to_owned(), error)),
                }
            }
            tracked.file.flush_when_idle(pass)?;
            if open_bytes + tracked.file.open_bytes() > pass.limits.open_bytes_max {
                tracked.file.seal(pass)?;
            }
            tracked.file.seal_when_old(pass)?;
            looked.next = tracked.file.seal_due(pass).into_iter().chain(looked.next).min();
            open_bytes += tracked.file.open_bytes();
        }
        for index in 0..self.files.len() {
            let tracked = &self.files[index];
            if tracked.file.source().head().bytes != tracked.announced_head_bytes {
                self.announce(index);
            }
        }
        for (path, error) in failed {
            let message = format!("a log file cannot be read; trying again: {error}");
            self.complain(&path, "io", &message);
        }
        for (index, is_truncated) in lost.into_iter().rev() {
            self.restart(index, is_truncated, pass)?;
        }
        // The next turn begins where this one had no room.
        let n_files = self.files.len();
        self.files.rotate_left(first.min(n_files));
        Ok(looked)
    }

    /// The checkpointer ends only after this thread has let go of its sender.
    fn send(&self, event: Event) {
        let _ = self.events.blocking_send(event);
    }
}

/// The longer a file was quiet, the less often it is looked at.
fn look_interval(idle: Duration, poll_interval: Duration) -> Duration {
    (idle / 4).clamp(poll_interval, LOOK_INTERVAL_MAX.max(poll_interval))
}
