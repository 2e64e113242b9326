//! The checkpoint: how far each file is delivered, kept on disk so that a restart goes on there.
//!
//! One task owns it. It hears of files from the tail thread and of settled positions from batches,
//! and writes at most once a second: temporary file, fsync, rename, fsync of the folder. The
//! generation before is kept, and whatever cannot be read falls back to it.

mod store;

pub use store::{LoadError, Loaded, Store};

use crate::model::{FileId, Position};
use crate::tail::fingerprint::{Digest, Inode};
use crate::telemetry;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;

/// At most one write in this time; what a `kill -9` sends again is bounded by it.
const WRITE_INTERVAL: Duration = Duration::from_secs(1);

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
}

/// The state that the checkpointer keeps: entries by file.
#[derive(Debug, Default)]
pub struct Checkpoint {
    entries: BTreeMap<FileId, Entry>,
    /// Files that are read to their end but not delivered yet.
    ending: BTreeMap<FileId, u64>,
    /// Files that ended, oldest first, and some that did not.
    ended: VecDeque<FileId>,
}

impl Checkpoint {
    /// Starts from the entries of earlier runs; those that no file takes up again expire on disk.
    #[must_use]
    pub fn new(loaded: Vec<(FileId, Entry)>) -> Self {
        let entries: BTreeMap<FileId, Entry> = loaded.into_iter().collect();
        let mut ended: Vec<_> = entries.iter().filter(|(_, entry)| entry.is_ended).collect();
        ended.sort_by_key(|(_, entry)| entry.seen_unix_s);
        let ended = ended.into_iter().map(|(file, _)| *file).collect();
        Self { entries, ending: BTreeMap::new(), ended }
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
                if let Some(entry) = self.entries.get_mut(&position.file) {
                    assert!(
                        position.offset >= entry.offset,
                        "lanes are sequential, so positions of one file settle in order"
                    );
                    entry.offset = position.offset;
                    entry.frontier = position.frontier;
                    entry.seen_unix_s = now_unix_s;
                }
            }
            Event::Ended(file, offset) => {
                self.ending.insert(file, offset);
            }
        }
        self.note_ended();
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
        known.seen_unix_s = now_unix_s;
    }

    fn forget_oldest(&mut self) {
        let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.seen_unix_s);
        if let Some(file) = oldest.map(|(file, _)| *file) {
            self.entries.remove(&file);
            telemetry::CHECKPOINT_EVICTED.add(1);
        }
    }

    fn note_ended(&mut self) {
        let (entries, ended) = (&mut self.entries, &mut self.ended);
        self.ending.retain(|file, last| {
            let Some(entry) = entries.get_mut(file) else { return false };
            entry.is_ended = entry.offset >= *last;
            if entry.is_ended {
                ended.push_back(*file);
            }
            !entry.is_ended
        });
        while self.ended.len() > ENDED_MAX {
            if let Some(file) = self.ended.pop_front()
                && self.entries.get(&file).is_some_and(|entry| entry.is_ended)
            {
                self.entries.remove(&file);
            }
        }
    }

    /// Entries to be written.
    pub fn entries(&self) -> impl Iterator<Item = (FileId, &Entry)> {
        self.entries.iter().map(|(file, entry)| (*file, entry))
    }
}

/// Applies events until every sender is gone, writing at most once a second and once at the end.
///
/// Returns false when the last write failed: what was delivered since then would be sent again.
pub async fn run(
    mut events: mpsc::Receiver<Event>,
    mut checkpoint: Checkpoint,
    mut store: Store,
) -> bool {
    let mut is_dirty = false;
    let mut due = tokio::time::interval(WRITE_INTERVAL);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => {
                    checkpoint.apply(event, unix_seconds());
                    is_dirty = true;
                }
                None => break,
            },
            _ = due.tick(), if is_dirty => {
                is_dirty = !write(&mut store, &checkpoint);
            }
        }
    }
    !is_dirty || write(&mut store, &checkpoint)
}

/// Writes a generation; false when the disk did not take it.
fn write(store: &mut Store, checkpoint: &Checkpoint) -> bool {
    static FAILED: telemetry::RateLimit = telemetry::RateLimit::new();
    // It waits for the disk; the runtime's other tasks move to another thread.
    let written = tokio::task::block_in_place(|| store.write(&store::encode(checkpoint)));
    match &written {
        Ok(()) => {
            telemetry::CHECKPOINTS.add(1);
            telemetry::CHECKPOINT_TIME.set(unix_seconds() as f64);
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
    written.is_ok()
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
}
