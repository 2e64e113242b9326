//! The files of a checkpoint: `checkpoint.json`, the generation before it, and the lock.

use super::{Checkpoint, Entry};
use crate::model::FileId;
use crate::tail::fingerprint::Inode;
use crate::telemetry;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const VERSION: u32 = 1;
const CURRENT: &str = "checkpoint.json";
const PREVIOUS: &str = "checkpoint.previous.json";
const TEMPORARY: &str = "checkpoint.tmp";
const LOCK: &str = "lock";

/// Entries of files that are gone and were not heard of for this long are dropped when a checkpoint
/// is loaded.
const EXPIRY_SECONDS: u64 = 14 * 24 * 3600;

/// Why the state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be made or written.
    #[error("state folder {} cannot be used: {source}; set state_dir or --state-dir to a folder that this user may write", path.display())]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another agent holds its lock.
    #[error("state folder {} is in use by another sidelight; give each agent a state_dir of its own", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
}

/// What was found on disk.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Files of earlier runs.
    pub entries: Vec<(FileId, Entry)>,
    /// True when the newest generation was unreadable and an older one, or none, was taken.
    pub is_recovered: bool,
}

/// Writes generations into the state folder, whose lock it holds.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    _lock: File,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    /// CRC-32 of `files` as it stands in the file, so that a torn write is seen.
    crc32: u32,
    files: Box<serde_json::value::RawValue>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    id: u64,
    #[serde(flatten)]
    entry: Entry,
}

impl Store {
    /// Opens the folder, takes its lock and reads the newest generation that is whole.
    ///
    /// # Errors
    /// When the folder cannot be used or another agent uses it. A damaged file is no error.
    pub fn open(folder: &Path, now_unix_s: u64) -> Result<(Self, Loaded), LoadError> {
        let unusable = |source| LoadError::Unusable { path: folder.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unusable)?;
        let lock = private_file().create(true).open(folder.join(LOCK)).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LoadError::Locked { path: folder.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        let mut loaded = load(folder);
        // A quiet file is not heard of, but it still stands where it stood.
        let is_there = |entry: &Entry| {
            fs::metadata(&entry.path).is_ok_and(|now| Inode::of(&now) == entry.inode)
        };
        let is_recent =
            |entry: &Entry| entry.seen_unix_s.saturating_add(EXPIRY_SECONDS) > now_unix_s;
        loaded.entries.retain(|(_, entry)| is_recent(entry) || is_there(entry));
        Ok((Self { folder: folder.to_owned(), _lock: lock }, loaded))
    }

    /// Replaces the current generation; a crash at any point leaves one whole generation.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.folder.join(TEMPORARY);
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Made anew, for whatever stands there may be a link that somebody else laid.
        let mut file = private_file().create_new(true).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        let current = self.folder.join(CURRENT);
        match fs::rename(&current, self.folder.join(PREVIOUS)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::rename(&temporary, &current)?;
        // The rename itself is durable only once the folder is.
        File::open(&self.folder)?.sync_all()
    }
}

/// Bytes of a generation.
#[must_use]
pub(super) fn encode(checkpoint: &Checkpoint) -> Vec<u8> {
    let rows: Vec<Row> =
        checkpoint.entries().map(|(id, entry)| Row { id: id.0, entry: entry.clone() }).collect();
    let files = serde_json::value::to_raw_value(&rows).expect("entries are plain data");
    let crc32 = crc32fast::hash(files.get().as_bytes());
    serde_json::to_vec(&Document { version: VERSION, crc32, files })
        .expect("a document is plain data")
}

/// Reads the bytes of a generation; none when they are not one, whole and of this version.
#[must_use]
fn decode(bytes: &[u8]) -> Option<Vec<(FileId, Entry)>> {
    let document: Document = serde_json::from_slice(bytes).ok()?;
    let is_whole = crc32fast::hash(document.files.get().as_bytes()) == document.crc32;
    if document.version != VERSION || !is_whole {
        return None;
    }
    let rows: Vec<Row> = serde_json::from_str(document.files.get()).ok()?;
    Some(rows.into_iter().map(|row| (FileId(row.id), row.entry)).collect())
}

fn load(folder: &Path) -> Loaded {
    let mut is_recovered = false;
    for name in [CURRENT, PREVIOUS] {
        match fs::read(folder.join(name)) {
            Ok(bytes) => match decode(&bytes) {
                Some(entries) => return Loaded { entries, is_recovered },
                None => {
                    is_recovered = true;
                    telemetry::CHECKPOINT_RECOVERED.add(1);
                    tracing::warn!(file = name, "checkpoint is damaged; taking the one before it");
                }
            },
            // Killed between the two renames: the previous generation is the newest.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                is_recovered = true;
                telemetry::CHECKPOINT_RECOVERED.add(1);
                tracing::warn!(file = name, %error, "checkpoint cannot be read");
            }
        }
    }
    Loaded { entries: Vec::new(), is_recovered }
}

/// For writing, with mode 0600: paths of logs are nobody else's business.
fn private_file() -> OpenOptions {
    let mut options = File::options();
    options.write(true).truncate(false).mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::{CURRENT, LoadError, Store, TEMPORARY, decode, encode};
    use crate::checkpoint::{Checkpoint, Entry, Event};
    use crate::model::FileId;
    use crate::tail::fingerprint::{Digest, Inode};

    fn checkpoint(path: &str) -> Checkpoint {
        let mut checkpoint = Checkpoint::default();
        let entry = Entry {
            path: path.into(),
            inode: Inode { device: 1, inode: u64::MAX },
            head: Digest::of(b"head"),
            offset: 7,
            frontier: Digest::of(b"frontier"),
            job_id: Some("app-1".to_owned()),
            job_name: None,
            seen_unix_s: 1_000,
            archive: None,
            is_ended: false,
        };
        checkpoint.apply(Event::Tracked(FileId(3), Box::new(entry)), 1_000);
        checkpoint
    }

    #[test]
    fn what_is_written_is_read_back_and_expires_after_two_weeks() {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, loaded) = Store::open(folder.path(), 1_000).unwrap();
        assert!(loaded.entries.is_empty() && !loaded.is_recovered);
        store.write(&encode(&checkpoint("a.log"))).unwrap();
        drop(store);
        let (store, loaded) = Store::open(folder.path(), 2_000).unwrap();
        assert_eq!(loaded.entries.len(), 1);
        assert_eq!(loaded.entries[0].1.path.to_str(), Some("a.log"));
        drop(store);
        let (_, loaded) = Store::open(folder.path(), 1_000 + 15 * 24 * 3600).unwrap();
        assert!(loaded.entries.is_empty());
    }

    #[test]
    fn a_quiet_file_that_is_still_there_does_not_expire() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("a.log");
        std::fs::write(&log, "head").unwrap();
        let (mut store, _) = Store::open(folder.path(), 1_000).unwrap();
        let mut known = checkpoint(log.to_str().unwrap());
        let inode = Inode::of(&std::fs::metadata(&log).unwrap());
        known.entries.get_mut(&FileId(3)).unwrap().inode = inode;
        store.write(&encode(&known)).unwrap();
        drop(store);
        for (is_there, n_entries) in [(true, 1), (false, 0)] {
            let (_, loaded) = Store::open(folder.path(), 1_000 + 15 * 24 * 3600).unwrap();
            assert_eq!(loaded.entries.len(), n_entries, "{is_there}");
            let _ = std::fs::remove_file(&log);
        }
    }

    #[test]
    fn a_link_in_the_state_folder_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let (victim, link) = (folder.path().join("victim"), folder.path().join(TEMPORARY));
        std::fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, &link).unwrap();
        let (mut store, _) = Store::open(folder.path(), 1_000).unwrap();
        store.write(&encode(&checkpoint("a.log"))).unwrap();
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    }

    #[test]
    fn damage_of_any_kind_falls_back_to_the_generation_before() {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, _) = Store::open(folder.path(), 1_000).unwrap();
        store.write(&encode(&checkpoint("older.log"))).unwrap();
        let newest = encode(&checkpoint("newest.log"));
        store.write(&newest).unwrap();
        drop(store);
        for length in 0..newest.len() {
            let mut torn = newest[..length].to_vec();
            torn.resize(newest.len(), 0);
            for damaged in [&newest[..length], &torn[..]] {
                std::fs::write(folder.path().join(CURRENT), damaged).unwrap();
                let (store, loaded) = Store::open(folder.path(), 1_000).unwrap();
                assert!(loaded.is_recovered, "length {length}");
                assert_eq!(loaded.entries[0].1.path.to_str(), Some("older.log"));
                drop(store);
            }
        }
        assert!(decode(&newest).is_some());
    }

    #[test]
    fn two_agents_cannot_share_a_state_folder() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Store::open(folder.path(), 0).unwrap();
        assert!(matches!(Store::open(folder.path(), 0), Err(LoadError::Locked { .. })));
    }
}
