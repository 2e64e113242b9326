//! Waiting: the kernel's notices of changes in folders end a wait early, and so does a request to
//! stop. Nothing depends on a notice: polling finds the same, later.

use crate::telemetry;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// Least time between two wakes: what comes within it is read in one go, which is cheaper than a
/// wake for every line, and the kernel merges its notices meanwhile.
const WAKE_INTERVAL: Duration = Duration::from_millis(25);

/// Paths named by the notices of one wake; beyond it every file is looked at.
const CHANGED_MAX: usize = 4096;

/// How the tail thread is told to end.
#[derive(Debug)]
pub struct Stop {
    phase: AtomicU8,
    wake: OwnedFd,
}

impl Stop {
    /// Not to be stopped yet.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn new() -> std::io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { phase: AtomicU8::new(0), wake })
    }

    /// End after this turn: another config goes on with everything as it is.
    pub fn hand_over(&self) {
        self.advance(1);
    }

    /// Read what is there, hand it over, end.
    pub fn drain(&self) {
        self.advance(2);
    }

    /// The deadline is over: end now.
    pub fn abandon(&self) {
        self.advance(3);
    }

    fn advance(&self, phase: u8) {
        self.phase.fetch_max(phase, Ordering::AcqRel);
        // It fails only when it was written 2^64 times before.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    /// True once the tail shall end, in whichever way.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.phase.load(Ordering::Acquire) >= 1
    }

    /// True once the tail shall end as it is.
    #[must_use]
    pub fn is_handing_over(&self) -> bool {
        self.phase.load(Ordering::Acquire) == 1
    }

    /// True once nothing shall be waited for any more.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.phase.load(Ordering::Acquire) >= 3
    }
}

/// What notices said during a wait.
#[derive(Debug, Default)]
pub struct News {
    /// Files were made, renamed or deleted.
    pub is_folder_changed: bool,
    /// Files that were written.
    pub changed: HashSet<PathBuf>,
    /// Notices were lost, or too many to name: anything may have changed.
    pub is_incomplete: bool,
}

/// The kernel's notices of changes in folders.
#[derive(Debug)]
pub struct Watch {
    /// None where the kernel gives none: polling does alone then.
    inotify: Option<OwnedFd>,
    folders: HashMap<i32, PathBuf>,
    is_limit_told: bool,
    last_wake: Instant,
}

impl Watch {
    /// Watches nothing yet.
    #[must_use]
    pub fn new() -> Self {
        let inotify = match inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK) {
            Ok(inotify) => Some(inotify),
            Err(error) => {
                telemetry::FILE_ERRORS.add("watch", 1);
                tracing::warn!(
                    error = %std::io::Error::from(error),
                    "no notices of file changes, polling instead; raise fs.inotify.max_user_instances"
                );
                None
            }
        };
        Self { inotify, folders: HashMap::new(), is_limit_told: false, last_wake: Instant::now() }
    }

    /// Watches exactly `wanted`, as they are now: a folder may have been made anew since.
    pub fn follow<'p>(&mut self, wanted: impl Iterator<Item = &'p Path>) {
        let Some(inotify) = &self.inotify else { return };
        let flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::MODIFY
            | WatchFlags::ONLYDIR;
        let mut folders = HashMap::new();
        for path in wanted {
            match inotify::add_watch(inotify, path, flags) {
                Ok(watch) => _ = folders.insert(watch, path.to_owned()),
                // The limit on watches, not a full disk: the two share an error number.
                Err(Errno::NOSPC) if !self.is_limit_told => {
                    self.is_limit_told = true;
                    telemetry::FILE_ERRORS.add("watch", 1);
                    tracing::warn!(
                        "no notices of changes in some folders, polling those; raise \
                         fs.inotify.max_user_watches"
                    );
                }
                // It went away, or may not be watched; polling tells.
                Err(_) => {}
            }
        }
        for watch in self.folders.keys().filter(|watch| !folders.contains_key(watch)) {
            // The kernel has removed those of deleted folders itself.
            let _ = inotify::remove_watch(inotify, *watch);
        }
        self.folders = folders;
    }

    /// Waits until a notice comes, `timeout` is over, or the tail shall stop.
    pub fn wait(&mut self, stop: &Stop, pipes: &[&File], timeout: Duration) -> News {
        let rest = WAKE_INTERVAL.saturating_sub(self.last_wake.elapsed()).min(timeout);
        if !rest.is_zero() {
            wait_for(stop, &[], rest);
        }
        if !stop.is_told() {
            let pipes = pipes.iter().map(AsFd::as_fd);
            let all: Vec<_> = self.inotify.iter().map(AsFd::as_fd).chain(pipes).collect();
            wait_for(stop, &all, timeout - rest);
        }
        self.last_wake = Instant::now();
        self.news()
    }

    /// Takes the notices that have come.
    fn news(&mut self) -> News {
        let mut news = News::default();
        let Some(inotify) = &self.inotify else { return news };
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        let mut notices = inotify::Reader::new(inotify, &mut buffer);
        let mut last: Option<(i32, Vec<u8>)> = None;
        while let Ok(notice) = notices.next() {
            let events = notice.events();
            if events.contains(ReadFlags::QUEUE_OVERFLOW) {
                telemetry::FILE_ERRORS.add("watch", 1);
                (news.is_folder_changed, news.is_incomplete) = (true, true);
                continue;
            }
            if !events.contains(ReadFlags::MODIFY) {
                news.is_folder_changed = true;
                continue;
            }
            let name = notice.file_name().map(std::ffi::CStr::to_bytes).unwrap_or_default();
            if last.as_ref().is_some_and(|(watch, last)| (*watch, &**last) == (notice.wd(), name)) {
                continue;
            }
            if news.changed.len() >= CHANGED_MAX {
                news.is_incomplete = true;
                continue;
            }
            if let Some(folder) = self.folders.get(&notice.wd()) {
                news.changed.insert(folder.join(OsStr::from_bytes(name)));
            }
            last = Some((notice.wd(), name.to_vec()));
        }
        news
    }
}

/// Waits until one of `descriptors` is readable, the tail shall stop, or `timeout` is over.
fn wait_for(stop: &Stop, descriptors: &[BorrowedFd<'_>], timeout: Duration) {
    let timeout = Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    let all = descriptors.iter().copied().chain([stop.wake.as_fd()]);
    let mut all: Vec<_> = all.map(|it| PollFd::from_borrowed_fd(it, PollFlags::IN)).collect();
    // An interrupted wait is a short one.
    let _ = poll(&mut all, Some(&timeout));
}

impl Default for Watch {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::{Stop, Watch};
    use std::time::{Duration, Instant};

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_written_file_and_a_new_one_end_the_wait() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("a.log");
        std::fs::write(&log, "one\n").unwrap();
        let (mut watch, stop) = (Watch::new(), Stop::new().unwrap());
        watch.follow([folder.path()].into_iter());
        let began = Instant::now();
        std::fs::write(&log, "two\n").unwrap();
        let news = watch.wait(&stop, &[], LONG);
        assert!(news.changed.contains(&log) && !news.is_folder_changed, "{news:?}");
        std::fs::rename(&log, folder.path().join("a.log.1")).unwrap();
        assert!(watch.wait(&stop, &[], LONG).is_folder_changed);
        assert!(began.elapsed() < LONG);
    }

    #[test]
    fn a_request_to_stop_ends_the_wait() {
        let (mut watch, stop) = (Watch::new(), Stop::new().unwrap());
        stop.drain();
        let began = Instant::now();
        watch.wait(&stop, &[], LONG);
        assert!(began.elapsed() < LONG && stop.is_told() && !stop.is_abandoned());
    }
}
