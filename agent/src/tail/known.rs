//! Files that were read before and have no reader now: those of earlier runs, and those whose path
//! is another file's. Decides whether a found file is one of them, or a copy or archive of one, and
//! where reading it begins.

use super::ReadFrom;
use super::fingerprint::{Digest, FRONTIER_BYTES_MAX, HEAD_BYTES_MAX, Inode, read_at_most};
use super::lineage::is_gzip;
use super::names::{NameIndex, is_named_after};
use super::source::{gunzip, open};
use crate::checkpoint::{ENDED_MAX, Entry};
use crate::model::FileId;
use crate::telemetry;
use hunts::Hunt;
pub(super) use hunts::{has_archives, is_unmounted};
use std::collections::{HashMap, VecDeque};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// `read_from = "auto"` reads a file that is younger than this from its beginning.
const YOUNG: Duration = Duration::from_secs(24 * 3600);

/// Less than this proves nothing about whose copy a file is.
pub(super) const PROOF_BYTES_MIN: u64 = 64;

/// A file found, to be compared with those that are known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    /// Its path.
    pub(super) path: &'a Path,
    /// The open file.
    pub(super) file: &'a File,
    /// Its state.
    pub(super) metadata: &'a Metadata,
}

/// Where reading begins.
#[derive(Debug)]
pub(super) enum Begin {
    /// A file of an earlier run, or what a rotator made of one, goes on.
    Resume(FileId, Box<Entry>),
    /// A file that was never read, from this offset on.
    New(u64),
}

/// The files, by what they may be recognized by.
#[derive(Debug, Default)]
pub(super) struct Known {
    entries: HashMap<FileId, Entry>,
    by_inode: HashMap<u64, Vec<FileId>>,
    by_name: NameIndex<FileId>,
    /// Those that ended, oldest first.
    ended: VecDeque<FileId>,
    /// Those whose rest may stand under another name.
    hunted: HashMap<FileId, Hunt>,
    /// Those that were looked for in vain, and how far they were read.
    gone: Vec<(FileId, u64)>,
}

impl Known {
    pub(super) fn new(entries: Vec<(FileId, Entry)>) -> Self {
        let mut known = Self::default();
        for (id, entry) in entries {
            match entry.is_ended {
                true => known.ended.push_back(id),
                false => _ = known.hunted.insert(id, Hunt::of_earlier_run()),
            }
            known.put(id, entry);
        }
        known
    }

    /// Paths of all files, and when each was last heard of.
    pub(super) fn homes(&self) -> HashMap<PathBuf, SystemTime> {
        let mut homes: HashMap<PathBuf, SystemTime> = HashMap::new();
        for entry in self.entries.values() {
            let seen = SystemTime::UNIX_EPOCH + Duration::from_secs(entry.seen_unix_s);
            let last = homes.entry(entry.path.clone()).or_insert(seen);
            *last = seen.max(*last);
        }
        homes
    }

    /// Remembers a file that has ended: all of it was read and it is gone, or it was overwritten
    /// and `unread_bytes` of it, if not more, may be in a copy.
    pub(super) fn remember(&mut self, id: FileId, mut entry: Entry, lost: Option<u64>) {
        entry.is_ended = true;
        self.put(id, entry);
        self.keep_ended(id);
        if let Some(unread_bytes) = lost {
            self.hunted.insert(id, Hunt::of_overwritten(unread_bytes));
        }
    }

    /// Of those that ended only so many are kept.
    fn keep_ended(&mut self, id: FileId) {
        self.ended.push_back(id);
        while self.ended.len() > ENDED_MAX {
            let oldest = self.ended.pop_front();
            // One that was taken up again is not ended any more.
            let is_ended = |id: &FileId| self.entries.get(id).is_some_and(|entry| entry.is_ended);
            if let Some(id) = oldest.filter(is_ended) {
                self.take(id);
            }
        }
    }

    /// Remembers a file that sleeps in its place.
    pub(super) fn put(&mut self, id: FileId, entry: Entry) {
        self.by_inode.entry(entry.inode.inode).or_default().push(id);
        self.by_name.insert(&entry.path, id);
        self.entries.insert(id, entry);
    }

    fn take(&mut self, id: FileId) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        self.hunted.remove(&id);
        if let Some(ids) = self.by_inode.get_mut(&entry.inode.inode) {
            ids.retain(|known| *known != id);
            if ids.is_empty() {
                self.by_inode.remove(&entry.inode.inode);
            }
        }
        self.by_name.remove(&entry.path, id);
        Some(entry)
    }

    /// The file of an earlier run that stands at `inode`, if it was known by this `path` and has
    /// nothing new: it needs no look inside.
    pub(super) fn is_read(&mut self, path: &Path, metadata: &Metadata) -> Option<FileId> {
        let inode = Inode::of(metadata);
        let ids = self.by_inode.get(&inode.inode)?;
        let is_read = |id: &&FileId| {
            let entry = &self.entries[*id];
            let is_whole = match entry.archive {
                Some(archive) => {
                    archive.file_bytes == metadata.len() && entry.offset >= archive.text_bytes
                }
                None => !is_gzip(path) && entry.offset == metadata.len(),
            };
            let modified = metadata
                .modified()
                .ok()
                .and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
            entry.inode == inode
                && !entry.is_ended
                && entry.path == path
                && is_whole
                && modified.is_some_and(|at| at.as_secs() < entry.seen_unix_s)
        };
        let id = *ids.iter().find(is_read)?;
        self.hunted.remove(&id);
        Some(id)
    }

    /// Takes out the entry that `candidate` goes on with: first by its inode, then as a copy or an
    /// archive of a file that is gone.
    pub(super) fn claim(&mut self, candidate: Candidate<'_>) -> io::Result<Option<Begin>> {
        let by_inode = self.by_inode(candidate)?;
        // Nothing was read of it, so nothing proves that it is the same: a copy may have its number.
        let is_weak = by_inode.is_some_and(|id| self.entries[&id].offset == 0);
        let by_content =
            if by_inode.is_none() || is_weak { self.by_content(candidate)? } else { None };
        let found = by_content.or(by_inode.map(|id| (id, true)));
        let Some((id, is_long_enough)) = found else { return Ok(None) };
        if !is_long_enough {
            return Ok(Some(Begin::New(candidate.metadata.len())));
        }
        let Some(mut entry) = self.take(id) else { return Ok(None) };
        entry.inode = Inode::of(candidate.metadata);
        entry.is_ended = false;
        Ok(Some(Begin::Resume(id, Box::new(entry))))
    }

    /// The device is not compared: on network file systems it changes with a remount.
    fn by_inode(&mut self, candidate: Candidate<'_>) -> io::Result<Option<FileId>> {
        let number = Inode::of(candidate.metadata).inode;
        let mut best: Option<(u64, FileId)> = None;
        for id in self.by_inode.get(&number).cloned().unwrap_or_default() {
            let entry = &self.entries[&id];
            let is_elsewhere = entry.path != candidate.path
                && stands_elsewhere(entry, Inode::of(candidate.metadata));
            if is_elsewhere {
                continue;
            }
            let is_kind = is_gzip(&entry.path) == is_gzip(candidate.path);
            if is_kind && holds(entry, candidate)? {
                // The number may have been another file's before; the more was read, the surer.
                best = best.max(Some((entry.offset, id)));
            } else if !entry.is_ended {
                // Its number went to another file, or it was written anew while nobody looked.
                telemetry::FILES_REPLACED.add("unseen", 1);
                self.overwritten(id);
            }
        }
        Ok(best.map(|(_, id)| id))
    }

    /// The file that `candidate` was made of, and whether all that was read of it is in there.
    fn by_content(&self, candidate: Candidate<'_>) -> io::Result<Option<(FileId, bool)>> {
        let mut short = None;
        for id in self.by_name.originals_of(candidate.path) {
            let entry = &self.entries[&id];
            let is_named = is_named_after(candidate.path, &entry.path);
            if !is_named || entry.head.bytes < PROOF_BYTES_MIN || self.is_alive(id) {
                continue;
            }
            if holds(entry, candidate)? {
                return Ok(Some((id, true)));
            }
            // More was read of the original than was copied: nothing in the copy is new.
            if !is_gzip(candidate.path)
                && candidate.metadata.len() < entry.offset
                && entry.head.holds_at(candidate.file, 0)?
            {
                short = Some((id, false));
            }
        }
        Ok(short)
    }

    /// A file that sleeps in its place, if its name and `is_begun_by`, which looks into it, say that
    /// the one at `path` may be made of it.
    pub(super) fn living_original(
        &self,
        path: &Path,
        is_begun_by: impl Fn(&Entry) -> bool,
    ) -> Option<FileId> {
        let is_original = |id: &FileId| {
            let entry = &self.entries[id];
            is_named_after(path, &entry.path) && self.is_alive(*id) && is_begun_by(entry)
        };
        let mut ids = self.by_name.originals_of(path).into_iter();
        ids.find(|id| self.entries[id].path != path && is_original(id))
    }

    /// True for a file that sleeps in its place.
    pub(super) fn is_alive(&self, id: FileId) -> bool {
        let is_alive = |entry: &Entry| !is_gone(entry) && is_in_place(entry);
        !self.was_gone(id) && self.entries.get(&id).is_some_and(is_alive)
    }

    /// True when `copy`, which has so many bytes, is not made of a file that sleeps in its place.
    pub(super) fn is_other(&self, id: FileId, copy: &File, copy_bytes: u64) -> bool {
        let entry = self.entries.get(&id).filter(|entry| !is_gzip(&entry.path));
        let Some(entry) = entry else { return false };
        let Ok((file, metadata)) = open(&entry.path) else { return false };
        let original = Candidate { path: &entry.path, file: &file, metadata: &metadata };
        // One that is overwritten already cannot tell.
        holds(entry, original).unwrap_or(false)
            && tells_apart(&file, metadata.len(), entry.offset, copy, copy_bytes)
    }

    /// Nobody writes any more to a file that sleeps; how far it was read.
    pub(super) fn forget(&mut self, id: FileId) -> Option<u64> {
        let entry = self.entries.get_mut(&id)?;
        entry.is_ended = true;
        let offset = entry.offset;
        self.keep_ended(id);
        Some(offset)
    }

    /// Decides where to begin with a file that a glob wants. `is_first_scan` is true for files that
    /// were there before the agent: only those may be old.
    pub(super) fn begin(
        &mut self,
        candidate: Candidate<'_>,
        read_from: ReadFrom,
        is_first_scan: bool,
    ) -> io::Result<Begin> {
        if let Some(begin) = self.claim(candidate)? {
            return Ok(begin);
        }
        let is_from_end = is_first_scan
            && match read_from {
                ReadFrom::Beginning => false,
                ReadFrom::End => true,
                ReadFrom::Auto => age(candidate.metadata) > YOUNG,
            };
        if !is_from_end {
            return Ok(Begin::New(0));
        }
        if is_gzip(candidate.path) {
            return skipped::archive(candidate);
        }
        let offset = last_line_start(candidate.file, candidate.metadata.len())?;
        telemetry::LOST_BYTES.add("skipped_old", offset);
        Ok(Begin::New(offset))
    }
}

/// True when `original` begins with all of the text of `archive`.
pub(super) fn archive_begins(original: &File, archive: &File) -> io::Result<bool> {
    let mut text = gunzip(archive)?;
    let (mut piece, mut other) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut offset = 0;
    loop {
        let bytes = text.read(&mut piece)?;
        if bytes == 0 {
            return Ok(true);
        }
        if read_at_most(original, &mut other[..bytes], offset)? < bytes
            || piece[..bytes] != other[..bytes]
        {
            return Ok(false);
        }
        offset += bytes as u64;
    }
}

/// Length of the text of a file.
pub(super) fn text_bytes(candidate: Candidate<'_>) -> io::Result<u64> {
    match is_gzip(candidate.path) {
        true => io::copy(&mut gunzip(candidate.file)?, &mut io::sink()),
        false => Ok(candidate.metadata.len()),
    }
}

/// True when another file, or none, stands at the path of `entry`, or it was written anew there.
fn is_gone(entry: &Entry) -> bool {
    // Of an archive the length of its text is known.
    let bytes_min = if is_gzip(&entry.path) { 0 } else { entry.offset.max(entry.head.bytes) };
    entry.is_ended
        || !entry
            .path
            .metadata()
            .is_ok_and(|now| Inode::of(&now).inode == entry.inode.inode && now.len() >= bytes_min)
}

/// True unless other bytes stand at the path of `entry`, which may be as many as before.
fn is_in_place(entry: &Entry) -> bool {
    let path = entry.path.as_path();
    let holds = || {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        holds(entry, Candidate { path, file: &file, metadata: &metadata })
    };
    // An archive would have to be unpacked, and nobody writes one anew in its place.
    is_gzip(path) || holds().unwrap_or(true)
}

/// True when the file of `entry` is where it was, and `other` is that number on another device.
fn stands_elsewhere(entry: &Entry, other: Inode) -> bool {
    let is_it = |it: Inode| it.inode == other.inode && it.device != other.device;
    !is_gone(entry) && entry.path.metadata().is_ok_and(|now| is_it(Inode::of(&now)))
}

/// True when the bytes of `candidate` are those that `entry` describes, up to its offset.
fn holds(entry: &Entry, candidate: Candidate<'_>) -> io::Result<bool> {
    if is_gzip(candidate.path) {
        return archive_holds(entry, candidate.file);
    }
    let frontier = entry.frontier;
    Ok(candidate.metadata.len() >= entry.offset
        && entry.head.holds_at(candidate.file, 0)?
        && (frontier.bytes == 0
            || frontier.holds_at(candidate.file, entry.offset.saturating_sub(frontier.bytes))?))
}

/// True when `copy` is not made of `original`, of which the bytes before `position` are the same as
/// ever: it is longer, or the last bytes of what both have differ.
pub(super) fn tells_apart(
    original: &File,
    original_bytes: u64,
    position: u64,
    copy: &File,
    copy_bytes: u64,
) -> bool {
    let end = position.min(copy_bytes);
    let from = end.saturating_sub(FRONTIER_BYTES_MAX as u64);
    let want = (end - from) as usize;
    let (mut one, mut other) = ([0; FRONTIER_BYTES_MAX], [0; FRONTIER_BYTES_MAX]);
    let is_read = |file: &File, data: &mut [u8]| {
        read_at_most(file, data, from).is_ok_and(|bytes| bytes == want)
    };
    copy_bytes > original_bytes
        || is_read(original, &mut one[..want]) && is_read(copy, &mut other[..want]) && one != other
}

/// Reads an archive up to the offset of `entry`, if it begins like it.
fn archive_holds(entry: &Entry, file: &File) -> io::Result<bool> {
    let mut text = gunzip(file)?;
    let mut head = vec![0; entry.head.bytes.min(HEAD_BYTES_MAX as u64) as usize];
    if text.read_exact(&mut head).is_err() || Digest::of(&head) != entry.head {
        return Ok(false);
    }
    // The last bytes before the offset; the head may reach into them, or beyond.
    let mut last = head;
    last.truncate(usize::try_from(entry.offset).unwrap_or(usize::MAX));
    let mut rest = entry.offset.saturating_sub(last.len() as u64);
    let mut piece = vec![0; 64 << 10];
    while rest > 0 {
        let room = piece.len().min(usize::try_from(rest).unwrap_or(usize::MAX));
        let bytes = match text.read(&mut piece[..room]) {
            Ok(0) | Err(_) => return Ok(false),
            Ok(bytes) => bytes,
        };
        last.extend_from_slice(&piece[..bytes]);
        last.drain(..last.len().saturating_sub(FRONTIER_BYTES_MAX));
        rest -= bytes as u64;
    }
    let from = last.len().saturating_sub(entry.frontier.bytes as usize);
    Ok(entry.frontier.bytes == 0 || Digest::of(&last[from..]) == entry.frontier)
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

mod hunts;
mod originals;
mod skipped;
#[cfg(test)]
mod tests;
