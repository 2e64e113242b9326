//! Decides where reading of a newly found file begins, and whether it is a known file.

use super::ReadFrom;
use super::discover::Finder;
use super::fingerprint::Inode;
use crate::checkpoint::Entry;
use crate::model::FileId;
use crate::telemetry;
use std::collections::{HashMap, HashSet};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// `read_from = "auto"` reads a file that is younger than this from its beginning.
const YOUNG: Duration = Duration::from_secs(24 * 3600);

/// Files of earlier runs that no open file has claimed yet.
#[derive(Debug, Default)]
pub(super) struct Known {
    by_inode: HashMap<Inode, (FileId, Entry)>,
}

/// Where reading begins.
#[derive(Debug)]
pub(super) enum Begin {
    /// A file of an earlier run goes on.
    Resume(FileId, Box<Entry>),
    /// A file that was never read, from this offset on.
    New(u64),
}

impl Known {
    pub(super) fn new(entries: Vec<(FileId, Entry)>) -> Self {
        Self {
            by_inode: entries.into_iter().map(|(id, entry)| (entry.inode, (id, entry))).collect(),
        }
    }

    /// Takes the entry of `file` out if the file is still the one that the entry describes.
    fn claim(
        &mut self,
        file: &File,
        metadata: &Metadata,
        path: &Path,
    ) -> io::Result<Option<(FileId, Entry)>> {
        let inode = Inode::of(metadata);
        // On network file systems the device number changes with a remount, the inode does not.
        let is_remounted =
            |known: &&Inode| known.inode == inode.inode && self.by_inode[known].1.path == path;
        let key = if self.by_inode.contains_key(&inode) {
            Some(inode)
        } else {
            self.by_inode.keys().find(is_remounted).copied()
        };
        let Some((id, mut entry)) = key.and_then(|key| self.by_inode.remove(&key)) else {
            return Ok(None);
        };
        if !is_unchanged(&entry, file, metadata.len())? {
            return Ok(None);
        }
        entry.inode = inode;
        Ok(Some((id, entry)))
    }

    /// Files that were renamed while no agent ran: their entries name a wanted path that is another
    /// file now, or none. They stand in the same folder under another name.
    pub(super) fn renamed(&self, finder: &Finder) -> Vec<PathBuf> {
        let mut moved: HashMap<&Path, HashSet<Inode>> = HashMap::new();
        for (_, entry) in self.by_inode.values() {
            let is_in_place = entry.path.metadata().is_ok_and(|now| Inode::of(&now) == entry.inode);
            if let Some(folder) = entry.path.parent()
                && !is_in_place
                && finder.wants(&entry.path)
            {
                moved.entry(folder).or_default().insert(entry.inode);
            }
        }
        let mut found = Vec::new();
        for (folder, inodes) in moved {
            let Ok(files) = folder.read_dir() else { continue };
            let is_one = |path: &PathBuf| {
                path.metadata().is_ok_and(|it| it.is_file() && inodes.contains(&Inode::of(&it)))
            };
            found.extend(files.flatten().map(|file| file.path()).filter(is_one));
        }
        found
    }

    /// Decides where to begin with `file`. `is_first_scan` is true for files that were there before
    /// the agent: only those may be old.
    pub(super) fn begin(
        &mut self,
        file: &File,
        path: &Path,
        read_from: ReadFrom,
        is_first_scan: bool,
    ) -> io::Result<Begin> {
        let metadata = file.metadata()?;
        if let Some((id, entry)) = self.claim(file, &metadata, path)? {
            return Ok(Begin::Resume(id, Box::new(entry)));
        }
        let is_from_end = is_first_scan
            && match read_from {
                ReadFrom::Beginning => false,
                ReadFrom::End => true,
                ReadFrom::Auto => age(&metadata) > YOUNG,
            };
        if !is_from_end {
            return Ok(Begin::New(0));
        }
        let offset = last_line_start(file, metadata.len())?;
        telemetry::LOST_BYTES.add("skipped_old", offset);
        Ok(Begin::New(offset))
    }
}

fn is_unchanged(entry: &Entry, file: &File, length: u64) -> io::Result<bool> {
    Ok(length >= entry.offset
        && entry.head.holds_at(file, 0)?
        && entry.frontier.holds_at(file, entry.offset - entry.frontier.bytes.min(entry.offset))?)
}

fn age(metadata: &Metadata) -> Duration {
    let born =
        metadata.created().or_else(|_| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    SystemTime::now().duration_since(born).unwrap_or_default()
}

/// Start of the last line that is not finished yet, or the end of the file.
fn last_line_start(file: &File, length: u64) -> io::Result<u64> {
    let from = length.saturating_sub(64 << 10);
    let mut end = vec![0; (length - from) as usize];
    file.read_exact_at(&mut end, from)?;
    Ok(memchr::memrchr(b'\n', &end).map_or(length, |newline| from + newline as u64 + 1))
}

#[cfg(test)]
mod tests {
    use super::{Begin, Finder, Known};
    use crate::checkpoint::Entry;
    use crate::model::FileId;
    use crate::tail::ReadFrom;
    use crate::tail::fingerprint::{Digest, Inode};
    use std::fs::{self, File};
    use std::path::Path;

    fn known(path: &Path, delivered: &str) -> Known {
        let file = File::open(path).unwrap();
        let entry = Entry {
            path: path.to_owned(),
            inode: Inode::of(&file.metadata().unwrap()),
            head: Digest::of_head(&file).unwrap(),
            offset: delivered.len() as u64,
            frontier: Digest::of(delivered.as_bytes()),
            job_id: None,
            job_name: None,
            seen_unix_s: 0,
        };
        Known::new(vec![(FileId(7), entry)])
    }

    #[track_caller]
    fn offset(known: &mut Known, path: &Path) -> (Option<FileId>, u64) {
        let file = File::open(path).unwrap();
        match known.begin(&file, path, ReadFrom::Auto, true).unwrap() {
            Begin::Resume(id, entry) => (Some(id), entry.offset),
            Begin::New(offset) => (None, offset),
        }
    }

    #[test]
    fn a_file_goes_on_where_it_was_also_under_another_name() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("a.log"), folder.path().join("a.log.1"));
        fs::write(&path, "one\ntwo\n").unwrap();
        let mut resumed = known(&path, "one\n");
        assert_eq!(offset(&mut resumed, &path), (Some(FileId(7)), 4));
        let mut renamed = known(&path, "one\n");
        fs::rename(&path, &moved).unwrap();
        fs::write(&path, "new\n").unwrap();
        let finder = |glob: &str| Finder::new(&[glob.to_owned()], &[], Vec::new()).unwrap();
        let wanted = finder(path.to_str().unwrap());
        assert_eq!(renamed.renamed(&wanted), std::slice::from_ref(&moved));
        assert!(renamed.renamed(&finder("/other/*")).is_empty(), "nobody wants it any more");
        assert_eq!(offset(&mut renamed, &moved), (Some(FileId(7)), 4));
        assert_eq!(offset(&mut renamed, &path), (None, 0));
    }

    #[test]
    fn a_rewritten_file_of_the_same_inode_is_new() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        for rewritten in ["on", "ONE\ntwo\nthree\n", "one\nTWO\nthree\n"] {
            fs::write(&path, "one\ntwo\n").unwrap();
            let mut known = known(&path, "one\ntwo\n");
            fs::write(&path, rewritten).unwrap();
            assert_eq!(offset(&mut known, &path), (None, 0), "{rewritten}");
        }
    }
}
