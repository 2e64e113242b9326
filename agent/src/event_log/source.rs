//! Which files make a log, and reading them.
//!
//! A log is one file, or a folder of rolled files: `eventlog_v2_APP/events_1_APP.zstd`, `events_2_…`,
//! beside `appstatus_APP`. What the History Server has compacted ends in `.compact` and stands for
//! all files up to its number.

use super::decode::{DecodeError, Decoder};
use super::follow::{Follower, Progress};
use super::{EventLog, Run, Tally};
use redaction::Redactor;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Bytes that must hold the first event, else a file is taken for something else.
const PROBE_BYTES: u64 = 64 << 10;
/// Entries of a folder that are looked at.
const ENTRIES_MAX: usize = 100_000;
/// Ends the name of a log that is being written.
pub(super) const IN_PROGRESS: &str = ".inprogress";
/// Begins the name of a folder of rolled files.
const ROLLED: &str = "eventlog_v2_";
pub(super) const COMPACT: &str = ".compact";
/// Somewhere in the first event, which is `SparkListenerLogStart`; in a rolled file any other.
const EVENT: &[u8] = b"\"Event\"";

/// The files of one log, in the order in which they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The file or folder.
    pub path: PathBuf,
    pub(super) is_in_progress: bool,
    pub(super) is_rolled: bool,
    pub(super) parts: Vec<PathBuf>,
}

/// A log that was read.
#[derive(Debug)]
pub struct Reading {
    /// The log with its state.
    pub log: EventLog,
    /// Spark has not said yet that it is done with it.
    pub is_in_progress: bool,
    /// Where it could not be read any further, and why.
    pub damage: Option<Damage>,
}

/// A part that could not be read to its end.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub reason: DamageReason,
}

/// What is wrong with a part.
#[derive(Debug, thiserror::Error)]
pub enum DamageReason {
    /// The system does not give it.
    #[error(transparent)]
    Io(io::Error),
    /// It cannot be unpacked.
    #[error(transparent)]
    Decode(DecodeError),
    /// It ends within a block, and nobody writes it any more.
    #[error("it ends within a compressed block")]
    Cut,
    /// No file has its number.
    #[error("the part before it is missing")]
    Gap,
}

/// Why a path gives no log.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It cannot be read.
    #[error("{0}")]
    Unread(#[from] Damage),
    /// It is something else.
    #[error("{} is not a Spark event log", path.display())]
    NotALog {
        /// The path.
        path: PathBuf,
    },
    /// Nothing in it is one.
    #[error("{} has no Spark event log in it", path.display())]
    NoLogs {
        /// The folder.
        path: PathBuf,
    },
}

/// The logs at `path`: a file is one, a rolled folder is one, another folder has some.
///
/// # Errors
/// When nothing there is a log or can be read.
pub fn find(path: &Path) -> Result<Vec<Log>, SourceError> {
    let failed = |reason| Damage { path: path.to_owned(), reason };
    let denied = |error| failed(DamageReason::Io(error));
    if !fs::metadata(path).map_err(denied)?.is_dir() {
        return match is_log(path).map_err(failed)? {
            true => Ok(vec![Log::of_file(path)]),
            false => Err(SourceError::NotALog { path: path.to_owned() }),
        };
    }
    let entries = list(path).map_err(denied)?;
    if let Some(log) = Log::of_rolled(path, &entries) {
        return Ok(vec![log]);
    }
    let mut logs = Vec::new();
    for entry in entries {
        if entry.is_dir() {
            let inside = list(&entry).unwrap_or_default();
            logs.extend(Log::of_rolled(&entry, &inside));
        } else if is_log(&entry).unwrap_or(false) {
            logs.push(Log::of_file(&entry));
        }
    }
    if logs.is_empty() {
        return Err(SourceError::NoLogs { path: path.to_owned() });
    }
    Ok(logs)
}

/// What may be a log in `folder`: all but hidden files, which are checksums.
pub(crate) fn candidates(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries = list(folder)?;
    entries.retain(|path| !name(path).starts_with('.'));
    Ok(entries)
}

/// The log at `path`, if it is one already and was written at `since` or later.
pub(crate) fn open(path: &Path, since: Option<SystemTime>) -> Option<Log> {
    let metadata = fs::metadata(path).ok()?;
    let log = if metadata.is_dir() {
        Log::of_rolled(path, &list(path).ok()?)?
    } else if metadata.is_file() {
        Log::of_file(path)
    } else {
        return None;
    };
    let modified = fs::metadata(log.parts.last()?).ok()?.modified().ok()?;
    let is_recent = since.is_none_or(|since| modified >= since);
    (is_recent && is_log(log.parts.first()?).unwrap_or(false)).then_some(log)
}

/// True when the log at `path` is of the application whose logs have names that begin so.
pub(crate) fn is_named(path: &Path, beginning: &str) -> bool {
    let name = name(path);
    let name = name.strip_prefix(ROLLED).unwrap_or(&name);
    // Behind it is the attempt, or the compression.
    let rest = name.strip_prefix(beginning);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['_', '.']))
}

/// The path that a log has when Spark is done with it, which names it while it is written, too.
pub(crate) fn path_when_done(path: &Path) -> PathBuf {
    let name = name(path);
    name.strip_suffix(IN_PROGRESS).map_or_else(|| path.to_owned(), |it| path.with_file_name(it))
}

impl Log {
    fn of_file(path: &Path) -> Self {
        let is_in_progress = name(path).ends_with(IN_PROGRESS);
        let (path, parts) = (path.to_owned(), vec![path.to_owned()]);
        Self { path, is_in_progress, is_rolled: false, parts }
    }

    /// The log in a folder with `entries`, if those are parts of one.
    pub(super) fn of_rolled(folder: &Path, entries: &[PathBuf]) -> Option<Self> {
        let mut numbered: Vec<(u64, PathBuf)> = entries
            .iter()
            .filter_map(|path| Some((number_of(&name(path))?, path.clone())))
            .collect();
        // A compacted part comes before the one it was made from.
        numbered.sort_by_key(|(number, path)| (*number, !name(path).ends_with(COMPACT)));
        let compact = numbered.iter().rposition(|(_, path)| name(path).ends_with(COMPACT));
        if let Some(at) = compact {
            let (number, path) = numbered.swap_remove(at);
            numbered.retain(|(other, _)| *other > number);
            numbered.sort();
            numbered.insert(0, (number, path));
        }
        let is_in_progress = entries.iter().any(|path| {
            let name = name(path);
            name.starts_with("appstatus_") && name.ends_with(IN_PROGRESS)
        });
        let parts: Vec<_> = numbered.into_iter().map(|(_, path)| path).collect();
        let path = folder.to_owned();
        (!parts.is_empty()).then_some(Self { path, is_in_progress, is_rolled: true, parts })
    }

    /// Reads all that is there. What is damaged ends at the damage, and the next part goes on.
    #[must_use]
    pub fn read(&self, redactor: Arc<Redactor>) -> Reading {
        let mut follower = Follower::new(self, redactor);
        while follower.read(u64::MAX) == Progress::Behind {}
        let (log, is_in_progress, damage) = follower.into_parts();
        Reading { log, is_in_progress, damage }
    }
}

impl Reading {
    /// The run.
    #[must_use]
    pub fn run(&self) -> &Run {
        self.log.run()
    }

    /// What was read.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.log.tally()
    }
}

/// True when the file begins as an event log does.
fn is_log(path: &Path) -> Result<bool, DamageReason> {
    let file = File::open(path).map_err(DamageReason::Io)?;
    let mut head = Vec::new();
    file.take(PROBE_BYTES).read_to_end(&mut head).map_err(DamageReason::Io)?;
    // The first piece that comes out: a few bytes may unpack to very many.
    let mut text = None;
    let fed = Decoder::default().feed(&head, &mut |bytes| {
        if !bytes.is_empty() {
            text.get_or_insert_with(|| bytes.to_vec());
        }
    });
    match (text, fed) {
        (None, Err(error)) => Err(DamageReason::Decode(error)),
        (text, _) => {
            let text = text.unwrap_or_default();
            let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
            Ok(line.starts_with(b"{") && memchr::memmem::find(line, EVENT).is_some())
        }
    }
}

pub(super) fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.take(ENTRIES_MAX);
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

pub(super) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The number in `events_7_app-1.zstd`.
pub(super) fn number_of(name: &str) -> Option<u64> {
    name.strip_prefix("events_")?.split('_').next()?.parse().ok()
}
