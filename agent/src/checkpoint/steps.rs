//! What one write of a generation does to the state folder, step by step.
//!
//! The list is data, so that the test of power losses takes the very steps that the agent takes.

use super::store::private_file;
use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;

/// The newest generation.
pub const CURRENT: &str = "checkpoint.json";
/// The generation before it.
pub const PREVIOUS: &str = "checkpoint.previous.json";
/// The next generation, while it is written.
pub(super) const TEMPORARY: &str = "checkpoint.tmp";
/// A second name of the current generation, until it is the previous one.
pub(super) const KEPT: &str = "checkpoint.kept.tmp";

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Takes a name away, if it is there.
    Remove(&'static str),
    /// Makes [`TEMPORARY`] and writes the generation into it.
    Fill,
    /// Waits until the bytes of [`TEMPORARY`] are on the disk.
    SyncFile,
    /// Gives [`CURRENT`], if there is one, the second name [`KEPT`].
    Link,
    /// Gives a file another name, in the place of whatever had it.
    Rename(&'static str, &'static str),
    /// Waits until all names are on the disk.
    SyncFolder,
}

/// The write. [`CURRENT`] is a whole generation at every moment: it is linked and replaced, never
/// moved away, as a disk may keep any of the names that were not synced, old or new.
pub(super) const WRITE: [Step; 8] = [
    Step::Remove(TEMPORARY),
    Step::Fill,
    Step::SyncFile,
    Step::Remove(KEPT),
    Step::Link,
    Step::Rename(KEPT, PREVIOUS),
    Step::Rename(TEMPORARY, CURRENT),
    Step::SyncFolder,
];

impl Step {
    /// Takes the step in `folder`.
    pub(super) fn take(
        self,
        folder: &Path,
        fill: &mut dyn FnMut(&mut BufWriter<File>) -> io::Result<()>,
    ) -> io::Result<()> {
        match self {
            Self::Remove(name) => if_there(fs::remove_file(folder.join(name))),
            Self::Fill => {
                // Made anew, for whatever stands there may be a link that somebody else laid.
                let file = private_file().create_new(true).open(folder.join(TEMPORARY))?;
                let mut out = BufWriter::with_capacity(64 << 10, file);
                fill(&mut out)?;
                out.flush()
            }
            Self::SyncFile => File::open(folder.join(TEMPORARY))?.sync_all(),
            Self::Link => {
                let current = folder.join(CURRENT);
                let linked = fs::hard_link(&current, folder.join(KEPT)).or_else(|error| {
                    // Some file systems have no second names.
                    match error.kind() {
                        ErrorKind::NotFound | ErrorKind::StorageFull => Err(error),
                        _ => fs::rename(&current, folder.join(PREVIOUS)),
                    }
                });
                if_there(linked)
            }
            Self::Rename(KEPT, to) => if_there(fs::rename(folder.join(KEPT), folder.join(to))),
            Self::Rename(from, to) => fs::rename(folder.join(from), folder.join(to)),
            // The names are durable only once the folder is.
            Self::SyncFolder => File::open(folder)?.sync_all(),
        }
    }
}

fn if_there(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
