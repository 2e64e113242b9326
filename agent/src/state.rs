//! `sidelight state`: looks at the checkpoint, and corrects it while no agent runs.

mod change;
mod look;

use crate::checkpoint::{CURRENT, Entry, Generation, LoadError, PREVIOUS, Problem};
use crate::model::FileId;
use clap::Subcommand;
use std::io;
use std::path::{Path, PathBuf};

/// What may be asked for.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List all files: how far each is delivered, and what is there now.
    Ls {
        /// One JSON array, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Show all that is known of a file, and whether it is still the one on the disk.
    Show {
        /// Id or path, as `ls` shows them.
        #[arg(value_name = "ID|PATH")]
        file: String,
    },
    /// Say of both generations whether they are whole. Exits with 65 when the newest one would not
    /// be used as it is.
    Verify,
    /// Forget a file: it is a new one at the next start. Needs a stopped agent.
    Forget {
        /// Id or path, as `ls` shows them.
        #[arg(value_name = "ID|PATH", required_unless_present = "gone")]
        file: Option<String>,
        /// All files that ended or are gone. An archive of one is read as a new file then.
        #[arg(long, conflicts_with = "file")]
        gone: bool,
    },
    /// Say where the next start goes on in a file. Needs a stopped agent.
    SetOffset {
        /// Id or path, as `ls` shows them.
        #[arg(value_name = "ID|PATH")]
        file: String,
        /// `beginning`, `end` (after the last whole line), or the byte where a line starts.
        #[arg(value_name = "OFFSET", value_parser = parse_target)]
        offset: Target,
    },
}

/// Where reading is to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// After the last whole line.
    End,
    /// At this byte.
    Byte(u64),
}

fn parse_target(text: &str) -> Result<Target, String> {
    match text {
        "beginning" => Ok(Target::Byte(0)),
        "end" => Ok(Target::End),
        _ => text
            .parse()
            .map(Target::Byte)
            .map_err(|_| "write beginning, end or a number of bytes".to_owned()),
    }
}

/// What is answered.
#[derive(Debug)]
pub struct Answer {
    /// For standard output.
    pub text: String,
    /// False when the checkpoint is not as it should be.
    pub is_good: bool,
}

impl Answer {
    fn good(text: String) -> Self {
        Self { text, is_good: true }
    }
}

/// Why nothing was answered, or nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// No agent ever wrote there, or not yet.
    #[error("no checkpoint in {}; name the agent's folder with --state-dir, or its config with -c", folder.display())]
    NoState {
        /// The folder.
        folder: PathBuf,
    },
    /// The newest generation cannot be used.
    #[error("{CURRENT} in {} cannot be used: {problem}; see `sidelight state verify`", folder.display())]
    Unusable {
        /// The folder.
        folder: PathBuf,
        /// Why.
        problem: Problem,
    },
    /// An agent runs.
    #[error("an agent runs on {}, and would write over the change; stop it first", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder cannot be used.
    #[error(transparent)]
    Load(LoadError),
    /// No such file is known.
    #[error(
        "the checkpoint knows no file with the id or path {file:?}; `sidelight state ls` lists all"
    )]
    Unknown {
        /// What was asked for.
        file: String,
    },
    /// The change makes no sense.
    #[error("{reason}")]
    Refused {
        /// Why, and what would.
        reason: String,
    },
    /// The log file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    File {
        /// The log file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The disk did not take the change.
    #[error("the checkpoint in {} cannot be written, so nothing has changed: {source}", folder.display())]
    Unwritten {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Command {
    /// Does what was asked for, with the checkpoint in `folder`.
    ///
    /// # Errors
    /// When there is no checkpoint, it cannot be used, or the change is refused.
    pub fn run(&self, folder: &Path, now_unix_s: u64) -> Result<Answer, StateError> {
        match self {
            Self::Ls { json } => {
                let entries = newest(folder)?;
                Ok(Answer::good(look::list(&entries, *json, now_unix_s)))
            }
            Self::Show { file } => {
                let entries = newest(folder)?;
                let shown = find(&entries, file)?.into_iter();
                let shown: Vec<_> =
                    shown.map(|(id, entry)| look::show(*id, entry, now_unix_s)).collect();
                Ok(Answer::good(shown.join("\n")))
            }
            Self::Verify => look::verify(folder),
            Self::Forget { file, .. } => change::forget(folder, file.as_deref(), now_unix_s),
            Self::SetOffset { file, offset } => {
                change::set_offset(folder, file, *offset, now_unix_s)
            }
        }
    }
}

/// The entries that the next start would begin with, oldest path first. Nothing is changed and no
/// lock is taken, so that it works beside a running agent.
fn newest(folder: &Path) -> Result<Vec<(FileId, Entry)>, StateError> {
    let mut read = Generation::read(folder, CURRENT);
    if matches!(read, Err(Problem::Missing)) {
        read = Generation::read(folder, PREVIOUS);
    }
    let mut entries = match read {
        Ok(generation) => generation.entries,
        Err(Problem::Missing) => return Err(StateError::NoState { folder: folder.to_owned() }),
        Err(problem) => return Err(StateError::Unusable { folder: folder.to_owned(), problem }),
    };
    entries.sort_by(|(_, one), (_, other)| one.path.cmp(&other.path));
    Ok(entries)
}

/// The entries that `file` names: one by its id, or all that have this path.
fn find<'a>(
    entries: &'a [(FileId, Entry)],
    file: &str,
) -> Result<Vec<&'a (FileId, Entry)>, StateError> {
    let id = u64::from_str_radix(file, 16).ok().filter(|_| file.len() == 16).map(FileId);
    let path = std::path::absolute(file).unwrap_or_default();
    let is_it = |(known, entry): &&(FileId, Entry)| {
        Some(*known) == id || entry.path == Path::new(file) || entry.path == path
    };
    let found: Vec<_> = entries.iter().filter(is_it).collect();
    match found.is_empty() {
        true => Err(StateError::Unknown { file: file.to_owned() }),
        false => Ok(found),
    }
}
