//! What changes the checkpoint, under its lock.

use super::look::{Presence, hex, is_compressed};
use super::{Answer, StateError, Target, find, newest};
use crate::checkpoint::{Entry, LoadError, Store};
use crate::model::FileId;
use crate::tail::fingerprint::{Digest, FRONTIER_BYTES_MAX};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes that are looked at at once.
const PIECE_BYTES: u64 = 64 << 10;

/// Takes the lock and reads the checkpoint. What cannot be used is left as it is.
fn open(folder: &Path, now_unix_s: u64) -> Result<(Store, Vec<(FileId, Entry)>), StateError> {
    newest(folder)?;
    match Store::open(folder, now_unix_s) {
        Ok((store, loaded)) => Ok((store, loaded.entries)),
        Err(LoadError::Locked { path }) => Err(StateError::InUse { folder: path }),
        Err(error) => Err(StateError::Load(error)),
    }
}

fn write(store: &mut Store, folder: &Path, entries: &[(FileId, Entry)]) -> Result<(), StateError> {
    let entries = entries.iter().map(|(id, entry)| (*id, entry));
    let unwritten = |source| StateError::Unwritten { folder: folder.to_owned(), source };
    store.write(entries).map_err(unwritten)
}

/// Forgets the file that is named, or all that are gone.
pub(super) fn forget(
    folder: &Path,
    file: Option<&str>,
    now_unix_s: u64,
) -> Result<Answer, StateError> {
    let (mut store, mut entries) = open(folder, now_unix_s)?;
    let n_before = entries.len();
    match file {
        Some(file) => {
            let ids: Vec<FileId> = find(&entries, file)?.iter().map(|(id, _)| *id).collect();
            entries.retain(|(id, _)| !ids.contains(id));
        }
        None => entries.retain(|(_, entry)| {
            matches!(Presence::of(entry).0, Presence::There | Presence::Overwritten)
        }),
    }
    let n_forgotten = n_before - entries.len();
    if n_forgotten > 0 {
        write(&mut store, folder, &entries)?;
    }
    Ok(Answer::good(format!("forgot {n_forgotten} of {n_before} files")))
}

/// Has the next start go on at `target`.
pub(super) fn set_offset(
    folder: &Path,
    file: &str,
    target: Target,
    now_unix_s: u64,
) -> Result<Answer, StateError> {
    let (mut store, mut entries) = open(folder, now_unix_s)?;
    let mut found = find(&entries, file)?;
    if found.len() > 1 {
        // Of several files that had the path one after the other, one is there.
        found.retain(|(_, entry)| Presence::of(entry).0 == Presence::There);
    }
    let id = match found.as_slice() {
        [(id, _)] => *id,
        _ => return Err(refused("several files had this path; name one by its id".to_owned())),
    };
    let entry = entries.iter_mut().find(|(known, _)| *known == id).map(|(_, entry)| entry);
    let Some(entry) = entry else { return Err(StateError::Unknown { file: file.to_owned() }) };
    let before = entry.offset;
    let unreadable = |source| StateError::File { path: entry.path.clone(), source };
    let changed = changed(entry, target, now_unix_s).map_err(unreadable)??;
    let after = changed.offset;
    *entry = changed;
    write(&mut store, folder, &entries)?;
    let effect = match after.cmp(&before) {
        std::cmp::Ordering::Less => format!("{} bytes are delivered again", before - after),
        std::cmp::Ordering::Equal => "nothing changes".to_owned(),
        std::cmp::Ordering::Greater => format!("{} bytes are skipped", after - before),
    };
    Ok(Answer::good(format!("{}: offset {before} is now {after}: {effect}", hex(id))))
}

fn refused(reason: String) -> StateError {
    StateError::Refused { reason }
}

/// The entry with another offset, and with the hashes by which the next start knows the file.
fn changed(
    entry: &Entry,
    target: Target,
    now_unix_s: u64,
) -> io::Result<Result<Entry, StateError>> {
    let is_there = matches!(Presence::of(entry).0, Presence::There | Presence::Overwritten);
    if !is_there {
        return Ok(Err(refused("the file is gone, so there is nothing to go on with".to_owned())));
    }
    if is_compressed(entry) {
        let reason = "the file is compressed; forget it to have it read again from its beginning";
        return Ok(Err(refused(reason.to_owned())));
    }
    let file = File::open(&entry.path)?;
    let length = file.metadata()?.len();
    if !entry.head.holds_at(&file, 0)? {
        let reason = "the file was written anew since then; the next start reads it as a new one";
        return Ok(Err(refused(reason.to_owned())));
    }
    let offset = match target {
        Target::End => line_start_before(&file, length)?,
        Target::Byte(offset) if offset <= length => offset,
        Target::Byte(offset) => {
            let last = line_start_before(&file, length)?;
            return Ok(Err(refused(format!(
                "{offset} is beyond the end of the file, {length}; the last line starts or ends at \
                 {last}"
            ))));
        }
    };
    let before = line_start_before(&file, offset)?;
    if before != offset {
        let after = match line_start_after(&file, offset, length)? {
            Some(after) => format!(" and {after}"),
            None => String::new(),
        };
        return Ok(Err(refused(format!(
            "{offset} is in the middle of a line; the nearest line starts are {before}{after}"
        ))));
    }
    let from = offset.saturating_sub(FRONTIER_BYTES_MAX as u64);
    let mut last = vec![0; (offset - from) as usize];
    file.read_exact_at(&mut last, from)?;
    Ok(Ok(Entry {
        head: Digest::of_head(&file)?,
        offset,
        frontier: Digest::of(&last),
        seen_unix_s: now_unix_s,
        ..entry.clone()
    }))
}

/// The last line start at or before `offset`.
fn line_start_before(file: &File, offset: u64) -> io::Result<u64> {
    let mut until = offset;
    while until > 0 {
        let from = until.saturating_sub(PIECE_BYTES);
        let mut piece = vec![0; (until - from) as usize];
        file.read_exact_at(&mut piece, from)?;
        if let Some(newline) = memchr::memrchr(b'\n', &piece) {
            return Ok(from + newline as u64 + 1);
        }
        until = from;
    }
    Ok(0)
}

/// The first line start after `offset`.
fn line_start_after(file: &File, offset: u64, length: u64) -> io::Result<Option<u64>> {
    let mut from = offset;
    while from < length {
        let mut piece = vec![0; (length - from).min(PIECE_BYTES) as usize];
        file.read_exact_at(&mut piece, from)?;
        if let Some(newline) = memchr::memchr(b'\n', &piece) {
            return Ok(Some(from + newline as u64 + 1));
        }
        from += piece.len() as u64;
    }
    Ok(None)
}
