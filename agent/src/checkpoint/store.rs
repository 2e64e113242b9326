//! The files of a checkpoint: `checkpoint.json`, the generation before it, and the lock.

use super::{Checkpoint, Entry};
use crate::model::FileId;
use crate::telemetry;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const VERSION: u32 = 1;
const CURRENT: &str = "checkpoint.json";
const PREVIOUS: &str = "checkpoint.previous.json";
const TEMPORARY: &str = "checkpoint.tmp";
const LOCK: &str = "lock";

/// Entries of files that were not seen for this long are dropped when a checkpoint is loaded.
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
        let lock = private_file(&folder.join(LOCK)).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LoadError::Locked { path: folder.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        let mut loaded = load(folder);
        loaded.entries.retain(|(_, entry)| entry.seen_unix_s + EXPIRY_SECONDS > now_unix_s);
        Ok((Self { folder: folder.to_owned(), _lock: lock }, loaded))
    }

    /// Replaces the current generation; a crash at any point leaves one whole generation.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.folder.join(TEMPORARY);
        let mut file = private_file(&temporary)?;
        file.set_len(0)?;
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

/// Opens for writing with mode 0600: paths of logs are nobody else's business.
fn private_file(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::{CURRENT, LoadError, Store, decode, encode};
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
