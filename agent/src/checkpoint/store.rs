//! The files of a checkpoint: two generations, what was damaged, and the lock.

use super::Entry;
use super::document::{Damage, VERSION, decode, encode};
use super::steps::{CURRENT, KEPT, PREVIOUS, TEMPORARY, WRITE};
use crate::model::FileId;
use crate::tail::fingerprint::Inode;
use crate::telemetry;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const LOCK: &str = "lock";

/// Damaged generations that are kept for whoever wants to know what happened.
const DAMAGED_MAX: usize = 3;

/// A larger file is no checkpoint of ours, and is not read into memory.
const GENERATION_BYTES_MAX: u64 = 1 << 30;

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
    /// A generation is there, and this user may not read it. Starting without it would send again
    /// all that is delivered.
    #[error("checkpoint {} cannot be read: {source}; let this user read it (chown or chmod), or remove it to start anew", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Why a generation is not used.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// There is none.
    #[error("there is none")]
    Missing,
    /// The system does not give its bytes.
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
    /// A folder, a pipe, or far too large.
    #[error("it is not a file of at most {GENERATION_BYTES_MAX} bytes")]
    Foreign,
    /// Its bytes are no generation.
    #[error(transparent)]
    Damaged(#[from] Damage),
}

/// A generation that is whole.
#[derive(Debug)]
pub struct Generation {
    /// Its entries.
    pub entries: Vec<(FileId, Entry)>,
    /// Layout of the file.
    pub version: u32,
    /// Length of the file.
    pub bytes: u64,
    /// When it was written.
    pub written: SystemTime,
}

impl Generation {
    /// Reads the generation [`CURRENT`] or [`PREVIOUS`] and changes nothing; needs no lock.
    ///
    /// # Errors
    /// When there is none that could be used.
    pub fn read(folder: &Path, name: &str) -> Result<Self, Problem> {
        let problem = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Problem::Missing,
            _ => Problem::Unreadable(error),
        };
        let path = folder.join(name);
        let metadata = fs::metadata(&path).map_err(problem)?;
        if !metadata.is_file() || metadata.len() > GENERATION_BYTES_MAX {
            return Err(Problem::Foreign);
        }
        let entries = decode(&fs::read(&path).map_err(problem)?)?;
        let written = metadata.modified().map_err(problem)?;
        Ok(Self { entries, version: VERSION, bytes: metadata.len(), written })
    }
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

impl Store {
    /// Opens the folder, takes its lock and reads the newest generation that is whole. What is
    /// damaged is put aside.
    ///
    /// # Errors
    /// When the folder cannot be used or another agent uses it. A damaged file is no error.
    pub fn open(folder: &Path, now_unix_s: u64) -> Result<(Self, Loaded), LoadError> {
        let unusable = |source| LoadError::Unusable { path: folder.to_owned(), source };
        make(folder).map_err(unusable)?;
        let lock = private_file().create(true).open(folder.join(LOCK)).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LoadError::Locked { path: folder.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        let mut loaded = load(folder)?;
        // A quiet file is not heard of, but it still stands where it stood.
        let is_there = |entry: &Entry| {
            fs::metadata(&entry.path).is_ok_and(|now| Inode::of(&now) == entry.inode)
        };
        let is_recent =
            |entry: &Entry| entry.seen_unix_s.saturating_add(EXPIRY_SECONDS) > now_unix_s;
        loaded.entries.retain(|(_, entry)| is_recent(entry) || is_there(entry));
        Ok((Self { folder: folder.to_owned(), _lock: lock }, loaded))
    }

    /// Replaces the current generation; a crash at any point leaves it or the new one.
    ///
    /// # Errors
    /// When the disk does not take it. The current generation stays then.
    pub fn write<'a>(
        &mut self,
        entries: impl Iterator<Item = (FileId, &'a Entry)>,
    ) -> io::Result<()> {
        let mut entries = Some(entries);
        let mut fill = |out: &mut io::BufWriter<File>| match entries.take() {
            Some(entries) => encode(entries, out),
            None => Ok(()),
        };
        let mut steps = WRITE.iter();
        let written = steps.try_for_each(|step| step.take(&self.folder, &mut fill));
        if written.is_err() {
            // A full disk needs the room.
            let _ = fs::remove_file(self.folder.join(TEMPORARY));
        }
        written
    }
}

/// Makes the folder, and has the disk keep its name.
fn make(folder: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|it| !it.exists()).collect();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // A parent that may be written and not read cannot be synced; that is no reason not to start.
    let parents = missing.iter().filter_map(|made| made.parent());
    for parent in parents.filter_map(|parent| File::open(parent).ok()) {
        let _ = parent.sync_all();
    }
    Ok(())
}

fn load(folder: &Path) -> Result<Loaded, LoadError> {
    // What cannot be removed would stop every write.
    for name in [TEMPORARY, KEPT] {
        if folder.join(name).is_dir() {
            put_aside(folder, name);
        }
    }
    let mut is_recovered = false;
    let mut entries = None;
    for name in [CURRENT, PREVIOUS] {
        let problem = match Generation::read(folder, name) {
            Ok(generation) => {
                entries = Some(generation.entries);
                break;
            }
            // Gone by another hand, or the first start.
            Err(Problem::Missing) => continue,
            Err(Problem::Unreadable(source))
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                return Err(LoadError::Unreadable { path: folder.join(name), source });
            }
            Err(problem) => problem,
        };
        is_recovered = true;
        let kept_as = put_aside(folder, name);
        tracing::error!(file = name, kept_as, %problem, "checkpoint is not used");
    }
    if is_recovered {
        telemetry::CHECKPOINT_RECOVERED.add(1);
        match &entries {
            Some(entries) => tracing::warn!(
                files = entries.len(),
                "going on from the checkpoint before it: what was delivered in the last second \
                 before the end comes again"
            ),
            None => tracing::error!(
                "no checkpoint is left, so all files are new, as at a first start: tail.read_from \
                 says where reading begins. Lines may come again, and those of old files that \
                 were not delivered yet may be skipped; `sidelight state set-offset` corrects that"
            ),
        }
    }
    Ok(Loaded { entries: entries.unwrap_or_default(), is_recovered })
}

/// Keeps a damaged file under another name, the newest with number 1; that name.
fn put_aside(folder: &Path, name: &str) -> String {
    telemetry::CHECKPOINT_DAMAGED.add(1);
    let path = |number: usize| folder.join(format!("checkpoint.damaged-{number}"));
    for number in (1..DAMAGED_MAX).rev() {
        let _ = fs::rename(path(number), path(number + 1));
    }
    match fs::rename(folder.join(name), path(1)) {
        Ok(()) => path(1).display().to_string(),
        // It is overwritten by the next write.
        Err(error) => format!("nothing: {error}"),
    }
}

/// For writing, with mode 0600: paths of logs are nobody else's business.
pub(super) fn private_file() -> OpenOptions {
    let mut options = File::options();
    options.write(true).truncate(false).mode(0o600);
    options
}

#[cfg(test)]
mod tests;
