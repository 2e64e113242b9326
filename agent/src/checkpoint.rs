//! The checkpoint: how far each file is delivered, kept on disk so that a restart goes on there.
//!
//! One task owns it. It hears of files from the tail thread and of settled positions from batches,
//! and writes at most once a second: temporary file, fsync, rename, fsync of the folder. The
//! generation before is kept, and whatever cannot be read falls back to it.

mod document;
#[cfg(test)]
mod power_tests;
mod steps;
mod store;

pub use document::Damage;
pub use steps::{CURRENT, PREVIOUS};
pub use store::{Generation, LoadError, Loaded, Problem, Store};

use crate::model::{FileId, Position};
use crate::tail::fingerprint::{Digest, Inode};
use crate::telemetry;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// At most one write in this time; what a `kill -9` sends again is bounded by it.
const WRITE_INTERVAL: Duration = Duration::from_secs(1);

/// Very many entries are written less often: at most about 2 percent of a core go into it,
const CPU_FACTOR: u32 = 50;

/// and at most a tenth of the disk's time,
const DISK_FACTOR: u32 = 10;

/// but never less often than this.
const WRITE_INTERVAL_MAX: Duration = Duration::from_secs(60);

/// True while the last write has failed.
static FAILING: AtomicBool = AtomicBool::new(false);

/// True from a write that the disk did not take until one that it took.
#[must_use]
pub fn is_failing() -> bool {
    FAILING.load(Ordering::Relaxed)
}

/// Files that may be remembered. The ones heard of longest ago are forgotten first, and counted.
pub const ENTRIES_MAX: usize = 200_000;

/// Sizes of a compressed log file that was read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// Length of the file.
    pub file_bytes: u64,
    /// Length of the text in it.
    pub text_bytes: u64,
}

/// What a checkpoint says of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it was last seen.
    pub path: PathBuf,
    /// Device and inode.
    pub inode: Inode,
    /// Hash of its first bytes.
    pub head: Digest,
    /// All bytes before this one are delivered.
    pub offset: u64,
    /// Hash of the bytes just before `offset`.
    pub frontier: Digest,
    /// Job that the file belongs to, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// Name of that job, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_name: Option<String>,
    /// Last time anything was heard of the file, seconds since the epoch.
    pub seen_unix_s: u64,
    /// Set when the file is compressed and was read to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<Archive>,
    /// True when the file is gone or overwritten: it is remembered so that a copy or an archive of
    /// it is known again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_ended: bool,
}

/// Files that ended and are remembered.
pub const ENDED_MAX: usize = 4096;

/// What the checkpointer is told.
#[derive(Debug, Clone)]
pub enum Event {
    /// A file is read from `Entry::offset` on, or was renamed, or its head grew.
    Tracked(FileId, Box<Entry>),
    /// The file belongs to this job.
    Identified(FileId, String, Option<String>),
    /// Every lane has delivered the file up to here.
    Settled(Position),
    /// The file is gone or overwritten, and was read to this offset. Once that much is delivered, it
    /// is remembered only so that its archive is known again.
    Ended(FileId, u64),
    /// The same of a file that nothing is made of: it is forgotten once that much is delivered.
    Forgotten(FileId, u64),
    /// Nothing comes after this that counts.
    Last,
    /// Somebody wants to know everything that is to be written.
    Asked(mpsc::Sender<Vec<(FileId, Entry)>>),
}

/// The state that the checkpointer keeps: entries by file.
#[derive(Debug, Default)]
pub struct Checkpoint {
    entries: BTreeMap<FileId, Entry>,
    /// `Entry::seen_unix_s` of each, so that the oldest is found at once.
    by_age: BTreeSet<(u64, FileId)>,
    /// Files that are read to their end but not delivered yet.
    ending: BTreeMap<FileId, (u64, bool)>,
    /// Files that ended, oldest first, and some that did not.
    ended: VecDeque<FileId>,
}

impl Checkpoint {
    /// Starts from the entries of earlier runs; those that no file takes up again expire on disk.
    #[must_use]
    pub fn new(loaded: Vec<(FileId, Entry)>) -> Self {
        let entries: BTreeMap<FileId, Entry> = loaded.into_iter().collect();
        let by_age = entries.iter().map(|(file, entry)| (entry.seen_unix_s, *file)).collect();
        let mut ended: Vec<_> = entries.iter().filter(|(_, entry)| entry.is_ended).collect();
        ended.sort_by_key(|(_, entry)| entry.seen_unix_s);
        let ended = ended.into_iter().map(|(file, _)| *file).collect();
        let mut checkpoint = Self { entries, by_age, ending: BTreeMap::new(), ended };
        while checkpoint.entries.len() > ENTRIES_MAX {
            checkpoint.forget_oldest();
        }
        checkpoint
    }

    /// Takes one event in.
    pub fn apply(&mut self, event: Event, now_unix_s: u64) {
        match event {
            Event::Tracked(file, entry) => self.track(file, *entry, now_unix_s),
            Event::Identified(file, job_id, job_name) => {
                if let Some(entry) = self.entries.get_mut(&file) {
                    entry.job_id = Some(job_id);
                    entry.job_name = job_name;
                }
            }
            Event::Settled(position) => {
                // Lanes are sequential, so positions of one file settle in order. One of a lane that
                // was given up may come late, and says nothing new.
                if let Some(entry) = self.entries.get_mut(&position.file)
                    && position.offset >= entry.offset
                {
                    entry.offset = position.offset;
                    entry.frontier = position.frontier;
                    self.see(position.file, now_unix_s);
                    self.note_ended(position.file);
                }
            }
            Event::Ended(file, offset) => {
                self.ending.insert(file, (offset, true));
                self.note_ended(file);
            }
            Event::Forgotten(file, offset) => {
                self.ending.insert(file, (offset, false));
                self.note_ended(file);
            }
            Event::Last => {}
            Event::Asked(answer) => {
                let entries = self.entries().map(|(file, entry)| (file, entry.clone()));
                // Who asked may have lost patience.
                let _ = answer.try_send(entries.collect());
            }
        }
    }

    /// A renamed file keeps its offset: the tail thread knows only what it read, not what settled.
    fn track(&mut self, file: FileId, entry: Entry, now_unix_s: u64) {
        // A copy or an archive may go on with what has ended.
        self.ending.remove(&file);
        if self.entries.len() >= ENTRIES_MAX && !self.entries.contains_key(&file) {
            self.forget_oldest();
        }
        let known = self.entries.entry(file).or_insert_with(|| entry.clone());
        known.path = entry.path;
        known.inode = entry.inode;
        known.head = entry.head;
        known.archive = entry.archive;
        known.is_ended = false;
        self.see(file, now_unix_s);
    }

    /// Notes that something was heard of a file.
    fn see(&mut self, file: FileId, now_unix_s: u64) {
        if let Some(entry) = self.entries.get_mut(&file) {
            if entry.seen_unix_s != now_unix_s {
                self.by_age.remove(&(entry.seen_unix_s, file));
                entry.seen_unix_s = now_unix_s;
            }
            self.by_age.insert((now_unix_s, file));
        }
    }

    fn forget(&mut self, file: FileId) {
        if let Some(entry) = self.entries.remove(&file) {
            self.by_age.remove(&(entry.seen_unix_s, file));
            self.ending.remove(&file);
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, file)) = self.by_age.first().copied() {
            self.forget(file);
            telemetry::CHECKPOINT_EVICTED.add(1);
        }
    }

    /// Marks a file that is read to its end once all of it is delivered.
    fn note_ended(&mut self, file: FileId) {
        let Some((last, is_remembered)) = self.ending.get(&file) else { return };
        match self.entries.get_mut(&file) {
            Some(entry) if entry.offset < *last => return,
            Some(_) if !is_remembered => self.forget(file),
            Some(entry) => {
                entry.is_ended = true;
                self.ended.push_back(file);
            }
            None => {}
        }
        self.ending.remove(&file);
        while self.ended.len() > ENDED_MAX {
            if let Some(file) = self.ended.pop_front()
                && self.entries.get(&file).is_some_and(|entry| entry.is_ended)
            {
                self.forget(file);
            }
        }
    }

    /// Entries to be written.
    pub fn entries(&self) -> impl Iterator<Item = (FileId, &Entry)> {
        self.entries.iter().map(|(file, entry)| (*file, entry))
    }
}

/// Applies events until the last one, or until every sender is gone, writing at most once a second and once at the end.
///
/// Returns false when the last write failed: what was delivered since then would be sent again.
pub async fn run(
    mut events: mpsc::Receiver<Event>,
    mut checkpoint: Checkpoint,
    mut store: Store,
) -> bool {
    let mut is_dirty = false;
    let mut due = tokio::time::Instant::now();
    loop {
        tokio::select! {
            event = events.recv() => match event {
                // A thread that hangs in a read may keep its sender.
                Some(Event::Last) => events.close(),
                Some(event) => {
                    checkpoint.apply(event, unix_seconds());
                    is_dirty = true;
                }
                None => break,
            },
            () = tokio::time::sleep_until(due), if is_dirty => {
                let (is_written, pause) = write(&mut store, &checkpoint);
                is_dirty = !is_written;
                due = tokio::time::Instant::now() + pause;
            }
        }
    }
    !is_dirty || write(&mut store, &checkpoint).0
}

/// Writes a generation; false when the disk did not take it. Also when to write the next one.
fn write(store: &mut Store, checkpoint: &Checkpoint) -> (bool, Duration) {
    static FAILED: telemetry::RateLimit = telemetry::RateLimit::new();
    // It waits for the disk; the runtime's other tasks move to another thread.
    let (written, pause) = tokio::task::block_in_place(|| {
        let (began, cpu_began) = (Instant::now(), cpu_time());
        let written = store.write(checkpoint.entries());
        (written, pause(cpu_time().saturating_sub(cpu_began), began.elapsed()))
    });
    let was_failing = FAILING.swap(written.is_err(), Ordering::Relaxed);
    match &written {
        Ok(()) => {
            telemetry::CHECKPOINTS.add(1);
            telemetry::CHECKPOINT_TIME.set(unix_seconds() as f64);
            if was_failing {
                tracing::info!("checkpoint is written again");
            }
        }
        Err(error) => {
            telemetry::CHECKPOINT_ERRORS.add(1);
            if FAILED.admit().is_some() {
                tracing::warn!(
                    %error,
                    "checkpoint not written; records may be sent again after a crash"
                );
            }
        }
    }
    (written.is_ok(), pause)
}

/// Time until the next write, after one that took so much of a core and of time.
fn pause(cpu: Duration, elapsed: Duration) -> Duration {
    let wanted = (cpu * CPU_FACTOR).max(elapsed * DISK_FACTOR);
    wanted.clamp(WRITE_INTERVAL, WRITE_INTERVAL_MAX)
}

/// What this thread has used of a core.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Seconds since the epoch, now.
#[must_use]
pub fn unix_seconds() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::{Checkpoint, Entry, Event};
    use crate::model::{FileId, Position};
    use crate::tail::fingerprint::{Digest, Inode};
    use std::time::Duration;

    fn entry(path: &str) -> Box<Entry> {
        Box::new(Entry {
            path: path.into(),
            inode: Inode { device: 1, inode: 2 },
            head: Digest::default(),
            offset: 0,
            frontier: Digest::default(),
            job_id: None,
            job_name: None,
            seen_unix_s: 0,
            archive: None,
            is_ended: false,
        })
    }

    fn settled(file: u64, offset: u64) -> Event {
        Event::Settled(Position { file: FileId(file), offset, frontier: Digest::of(b"x") })
    }

    #[test]
    fn a_file_has_ended_only_when_its_last_byte_is_delivered() {
        let mut checkpoint = Checkpoint::default();
        checkpoint.apply(Event::Tracked(FileId(1), entry("a.log")), 10);
        checkpoint.apply(settled(1, 50), 11);
        checkpoint.apply(Event::Ended(FileId(1), 80), 12);
        let has_ended = |checkpoint: &Checkpoint| checkpoint.entries().any(|(_, it)| it.is_ended);
        assert!(!has_ended(&checkpoint), "30 bytes are still on their way");
        checkpoint.apply(settled(1, 80), 13);
        assert!(has_ended(&checkpoint));
        checkpoint.apply(Event::Tracked(FileId(1), entry("a.log.1")), 14);
        assert!(!has_ended(&checkpoint), "its copy goes on");
        for file in 2..3 + super::ENDED_MAX as u64 {
            checkpoint.apply(Event::Tracked(FileId(file), entry("b.log")), 15);
            checkpoint.apply(Event::Ended(FileId(file), 0), 15);
        }
        assert_eq!(checkpoint.entries().count(), super::ENDED_MAX + 1, "only so many");
    }

    #[test]
    fn a_rename_keeps_the_delivered_offset() {
        let mut checkpoint = Checkpoint::default();
        checkpoint.apply(Event::Tracked(FileId(1), entry("a.log")), 10);
        checkpoint.apply(settled(1, 50), 11);
        checkpoint.apply(Event::Tracked(FileId(1), entry("a.log.1")), 12);
        let (_, kept) = checkpoint.entries().next().unwrap();
        assert_eq!((kept.path.to_str(), kept.offset), (Some("a.log.1"), 50));
    }

    #[test]
    fn a_full_checkpoint_forgets_what_was_heard_of_longest_ago() {
        let mut old = entry("old.log");
        let loaded = (0..super::ENTRIES_MAX as u64).map(|file| {
            old.seen_unix_s = 1_000 + file;
            (FileId(file), Entry::clone(&old))
        });
        let mut checkpoint = Checkpoint::new(loaded.collect());
        checkpoint.apply(settled(0, 50), 1_000_000);
        for file in [1_000_000, 1_000_001] {
            checkpoint.apply(Event::Tracked(FileId(file), entry("new.log")), 1_000_001);
        }
        let kept: Vec<_> = checkpoint.entries().take(2).map(|(file, _)| file.0).collect();
        assert_eq!(kept, [0, 3], "1 and 2 are the oldest, and 0 was heard of");
        assert_eq!(checkpoint.entries().count(), super::ENTRIES_MAX);
        assert_eq!(checkpoint.by_age.len(), super::ENTRIES_MAX, "nothing is left behind");
    }

    #[test]
    fn a_write_that_costs_much_is_done_less_often() {
        let pause = |cpu_ms, elapsed_ms| {
            super::pause(Duration::from_millis(cpu_ms), Duration::from_millis(elapsed_ms))
        };
        assert_eq!(pause(1, 20), super::WRITE_INTERVAL, "a usual one");
        assert_eq!(pause(200, 300), Duration::from_secs(10), "2 percent of a core");
        assert_eq!(pause(1, 500), Duration::from_secs(5), "a tenth of the disk");
        assert_eq!(pause(1, 60_000), super::WRITE_INTERVAL_MAX);
    }
}
