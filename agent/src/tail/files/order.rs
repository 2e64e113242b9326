//! Order among the files of one log: older generations are read to their end before newer ones.

use super::{Tail, Tracked};
use crate::model::FileId;
use crate::tail::discover::Finder;
use crate::tail::fingerprint::Seen;
use crate::tail::lineage::originals;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where the newest file of the log is that the file at `path` belongs to; `home` when nothing
/// tells that it was rotated.
pub(super) fn family(path: &Path, home: &Path, finder: &Finder) -> PathBuf {
    let names = originals(path);
    let bases = names.iter().map(|name| path.with_file_name(OsStr::from_bytes(name)));
    let mut bases = bases.filter(|base| finder.found().contains_key(base));
    bases.next().unwrap_or_else(|| home.to_owned())
}

impl Tail {
    /// Files that wait until an older one of the same log is read to its end.
    pub(super) fn behind_older(&self) -> HashSet<FileId> {
        let is_unread = |tracked: &&Tracked| {
            let source = tracked.file.source();
            let is_open = !tracked.file.is_empty() && !tracked.file.has_half_line();
            let has_backlog =
                source.seen() == Seen::default() || !tracked.file.is_read() || is_open;
            // One that cannot be read holds nobody up.
            has_backlog && !tracked.file.is_pipe() && !tracked.is_failing
        };
        let mut oldest: HashMap<&Path, (i64, i64)> = HashMap::new();
        for tracked in self.files.iter().filter(is_unread) {
            let first = oldest.entry(&tracked.family).or_insert(tracked.modified);
            *first = tracked.modified.min(*first);
        }
        if oldest.is_empty() {
            return HashSet::new();
        }
        let is_behind = |tracked: &&Tracked| {
            oldest.get(tracked.family.as_path()).is_some_and(|first| tracked.modified > *first)
        };
        self.files.iter().filter(is_behind).map(|tracked| tracked.file.id()).collect()
    }
}
