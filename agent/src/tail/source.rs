//! The bytes of one open log file, plain or compressed, and whether they are still the bytes that
//! were read before.

use super::fingerprint::{
    Digest, FRONTIER_BYTES_MAX, HEAD_BYTES_MAX, Inode, Seen, read_at_most, read_head,
};
use super::lineage::is_gzip;
use crate::checkpoint::Archive;
use flate2::read::MultiGzDecoder;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

/// Opens a regular file for reading; a pipe that took its place does not hold the thread up.
///
/// # Errors
/// `NotFound` also for what is no regular file.
pub fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok((file, metadata))
}

/// How a file is, compared with what was read of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing happened.
    Quiet,
    /// There are bytes behind the position, and those before it are still the same.
    Grown,
    /// It is shorter than what was read of it.
    Truncated,
    /// It is long enough, but its bytes are others.
    Rewritten,
}

/// Where the bytes of a file come from.
#[derive(Debug)]
pub struct Source {
    file: File,
    inode: Inode,
    /// Set for an archive.
    gunzip: Option<Gunzip>,
    /// Set for a pipe: whether its writers are gone for good.
    pipe: Option<PipeState>,
    head: Digest,
    /// The bytes just before the position, as they were when they were read.
    guard: Vec<u8>,
    seen: Seen,
    /// Set once an archive was read to its end.
    archive: Option<Archive>,
}

impl Source {
    /// An open file that is read on from `position`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn new(path: &Path, file: File, position: u64) -> io::Result<Self> {
        let inode = Inode::of(&file.metadata()?);
        let mut source = Self {
            inode,
            gunzip: None,
            pipe: None,
            head: Digest::default(),
            guard: Vec::new(),
            seen: Seen::default(),
            archive: None,
            file,
        };
        if is_gzip(path) {
            let mut head = Vec::new();
            gunzip(&source.file)?.take(HEAD_BYTES_MAX as u64).read_to_end(&mut head)?;
            source.head = Digest::of(&head);
            source.gunzip = Some(gunzip(&source.file)?);
        } else {
            source.head = Digest::of_head(&source.file)?;
            let bytes = position.min(FRONTIER_BYTES_MAX as u64);
            let mut guard = vec![0; bytes as usize];
            let bytes = read_at_most(&source.file, &mut guard, position - bytes)?;
            guard.truncate(bytes);
            source.guard = guard;
        }
        Ok(source)
    }

    /// A pipe, which is read as it comes.
    ///
    /// # Errors
    /// When the system does not answer.
    pub fn pipe(file: File) -> io::Result<Self> {
        Ok(Self {
            inode: Inode::of(&file.metadata()?),
            gunzip: None,
            pipe: Some(PipeState::Open),
            head: Digest::default(),
            guard: Vec::new(),
            seen: Seen::default(),
            archive: None,
            file,
        })
    }

    /// Set for a pipe.
    #[must_use]
    pub fn pipe_state(&self) -> Option<PipeState> {
        self.pipe
    }

    /// Device and inode.
    #[must_use]
    pub fn inode(&self) -> Inode {
        self.inode
    }

    /// Hash of its first bytes.
    #[must_use]
    pub fn head(&self) -> Digest {
        self.head
    }

    /// Length and time of the last write at the last check.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.seen
    }

    /// Time since the last write that a check has seen.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.seen.age()
    }

    /// True for a compressed file.
    #[must_use]
    pub fn is_archive(&self) -> bool {
        self.gunzip.is_some()
    }

    /// Sizes of an archive that was read to its end.
    #[must_use]
    pub fn archive(&self) -> Option<Archive> {
        self.archive
    }

    /// The descriptor.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// True when nothing stood behind `position` at the last check; for a pipe, when nothing is in it.
    #[must_use]
    pub fn is_read(&self, position: u64) -> bool {
        match self.gunzip {
            Some(_) => self.archive.is_some(),
            None if self.pipe == Some(PipeState::Open) => !is_readable(&self.file).unwrap_or(false),
            None if self.pipe.is_some() => true,
            None => self.seen.bytes <= position,
        }
    }

    /// Bytes behind `position` at the last check; those of an archive are not known.
    #[must_use]
    pub fn unread_bytes(&self, position: u64) -> u64 {
        if self.gunzip.is_some() || self.pipe.is_some() {
            0
        } else {
            self.seen.bytes.saturating_sub(position)
        }
    }

    /// The last bytes before the position; none where a hole or a part of an archive was skipped.
    #[must_use]
    pub fn guard(&self) -> &[u8] {
        &self.guard
    }

    /// Looks whether there is anything to read behind `position`: one system call when nothing
    /// happened. With `is_thorough` the head is compared too.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn check(&mut self, position: u64, is_thorough: bool) -> io::Result<State> {
        if let Some(pipe) = self.pipe {
            let is_readable = pipe == PipeState::Open && is_readable(&self.file)?;
            return Ok(if is_readable { State::Grown } else { State::Quiet });
        }
        let seen = Seen::of(&self.file.metadata()?);
        let state = self.compare(seen, position, is_thorough)?;
        if matches!(state, State::Quiet | State::Grown) {
            self.seen = seen;
        }
        Ok(state)
    }

    /// The same as [`check`](Self::check) without taking note of it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn state(&self, position: u64, is_thorough: bool) -> io::Result<State> {
        if self.pipe.is_some() {
            return Ok(State::Quiet);
        }
        self.compare(Seen::of(&self.file.metadata()?), position, is_thorough)
    }

    fn compare(&self, seen: Seen, position: u64, is_thorough: bool) -> io::Result<State> {
        if self.gunzip.is_some() {
            return Ok(self.compare_archive(seen));
        }
        if seen.bytes < position.max(self.head.bytes) {
            return Ok(State::Truncated);
        }
        if seen == self.seen && seen.bytes == position {
            return Ok(State::Quiet);
        }
        // Of a file that is hardly read, the guard tells little.
        let is_thorough = is_thorough || position < self.head.bytes;
        let is_same =
            self.guard_holds(position)? && (!is_thorough || self.head.holds_at(&self.file, 0)?);
        if !is_same {
            return Ok(State::Rewritten);
        }
        Ok(if seen.bytes > position { State::Grown } else { State::Quiet })
    }

    /// An archive is whole when it is opened; it does not grow.
    fn compare_archive(&self, seen: Seen) -> State {
        let is_changed = self.seen != Seen::default() && self.seen != seen;
        match (is_changed, self.archive) {
            (true, _) => State::Rewritten,
            (false, Some(_)) => State::Quiet,
            (false, None) => State::Grown,
        }
    }

    /// True when the bytes before `position` are those that were read.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn guard_holds(&self, position: u64) -> io::Result<bool> {
        let mut now = [0; FRONTIER_BYTES_MAX];
        let now = &mut now[..self.guard.len()];
        let from = position.saturating_sub(self.guard.len() as u64);
        Ok(read_at_most(&self.file, now, from)? == self.guard.len() && *now == *self.guard)
    }

    /// Reads about `bytes_max` bytes from `position` on and appends them to `buffer`.
    ///
    /// # Errors
    /// When the file cannot be read. A damaged archive then counts as read; from one that could only
    /// not be read now, the next call reads on.
    pub fn read(
        &mut self,
        position: u64,
        bytes_max: usize,
        buffer: &mut Vec<u8>,
    ) -> io::Result<usize> {
        let before = buffer.len();
        let bytes = match &mut self.gunzip {
            None if self.pipe.is_some() => {
                let bytes = read_pipe(&self.file, bytes_max, buffer)?;
                if bytes == 0 {
                    self.pipe = Some(PipeState::Ended);
                }
                return Ok(bytes);
            }
            None => read_plain(&self.file, position, bytes_max, buffer)?,
            Some(gunzip) => match gunzip.read_from(position, bytes_max, buffer) {
                Err(error) if !is_damage(&error) => {
                    self.gunzip = Some(self::gunzip(&self.file)?);
                    return Err(error);
                }
                read => {
                    if !matches!(read, Ok(1..)) {
                        let file_bytes = self.seen.bytes;
                        self.archive = Some(Archive { file_bytes, text_bytes: position });
                    }
                    read?
                }
            },
        };
        self.remember(&buffer[before..]);
        if self.gunzip.is_none() && self.head.bytes < HEAD_BYTES_MAX as u64 {
            self.head = Digest::of_head(&self.file)?;
        }
        Ok(bytes)
    }

    fn remember(&mut self, read: &[u8]) {
        let keep = FRONTIER_BYTES_MAX.saturating_sub(read.len()).min(self.guard.len());
        self.guard.drain(..self.guard.len() - keep);
        self.guard.extend_from_slice(&read[read.len().saturating_sub(FRONTIER_BYTES_MAX)..]);
    }

    /// Where the next data begins at or after `position`, as far as the file system knows its holes.
    #[must_use]
    pub fn next_data(&self, position: u64) -> u64 {
        rustix::fs::seek(&self.file, rustix::fs::SeekFrom::Data(position)).unwrap_or(position)
    }

    /// Forgets the bytes before the position: the reader has skipped a hole.
    pub fn skip_hole(&mut self) {
        self.guard.clear();
    }

    /// The first bytes, to be searched for ids and then forgotten.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn head_bytes(&self, bytes_max: usize) -> io::Result<Vec<u8>> {
        if self.pipe.is_some() {
            return Ok(Vec::new());
        }
        head_bytes(&self.file, self.gunzip.is_some(), bytes_max)
    }
}

/// The first bytes of the text of a file.
///
/// # Errors
/// When the file cannot be read, or is no whole archive.
pub fn head_bytes(file: &File, is_gzip: bool, bytes_max: usize) -> io::Result<Vec<u8>> {
    if !is_gzip {
        return read_head(file, bytes_max);
    }
    let mut head = Vec::new();
    gunzip(file)?.take(bytes_max as u64).read_to_end(&mut head)?;
    Ok(head)
}

fn read_plain(
    file: &File,
    position: u64,
    bytes_max: usize,
    buffer: &mut Vec<u8>,
) -> io::Result<usize> {
    buffer.reserve(bytes_max);
    if buffer.capacity() - buffer.len() > 2 * bytes_max {
        // What a long record has left; the read below takes all the space that there is.
        buffer.shrink_to(buffer.len() + bytes_max);
    }
    loop {
        match rustix::io::pread(file, rustix::buffer::spare_capacity(buffer), position) {
            Err(rustix::io::Errno::INTR) => {}
            read => return Ok(read?),
        }
    }
}

/// How a pipe is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PipeState {
    /// Somebody may write to it.
    Open,
    /// Nobody will: standard input has ended.
    Ended,
}

/// True when a read would not wait: there are bytes, or the last writer is gone.
fn is_readable(pipe: &File) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut descriptors = [PollFd::new(pipe, PollFlags::IN)];
    Ok(poll(&mut descriptors, Some(&now))? > 0)
}

fn read_pipe(mut pipe: &File, bytes_max: usize, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let before = buffer.len();
    buffer.resize(before + bytes_max, 0);
    let read = pipe.read(&mut buffer[before..]);
    buffer.truncate(before + read.as_ref().map_or(0, |bytes| *bytes));
    read
}

/// The text of an archive.
#[derive(Debug)]
pub struct Gunzip {
    decoder: Box<MultiGzDecoder<Cursor>>,
    position: u64,
    /// What comes after the bytes that were read last.
    error: Option<io::Error>,
}

/// True when an archive is no better at the next read: it is damaged, or its end is missing.
fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof)
}

/// Begins to read the text of an archive.
///
/// # Errors
/// When there are no descriptors left.
pub fn gunzip(file: &File) -> io::Result<Gunzip> {
    let decoder = MultiGzDecoder::new(Cursor { file: file.try_clone()?, position: 0 });
    Ok(Gunzip { decoder: Box::new(decoder), position: 0, error: None })
}

impl Gunzip {
    fn read_from(
        &mut self,
        position: u64,
        bytes_max: usize,
        buffer: &mut Vec<u8>,
    ) -> io::Result<usize> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        if self.position < position {
            let rest = position - self.position;
            io::copy(&mut self.by_ref().take(rest), &mut io::sink())?;
        }
        let before = buffer.len();
        match self.take(bytes_max as u64).read_to_end(buffer) {
            // What came before the damage is good.
            Err(error) if buffer.len() > before => self.error = Some(error),
            read => return read,
        }
        Ok(buffer.len() - before)
    }
}

impl Read for Gunzip {
    fn read(&mut self, data: &mut [u8]) -> io::Result<usize> {
        let bytes = self.decoder.read(data)?;
        self.position += bytes as u64;
        Ok(bytes)
    }
}

/// Reads a file from a place of its own: descriptors made of one another share theirs.
#[derive(Debug)]
struct Cursor {
    file: File,
    position: u64,
}

impl Read for Cursor {
    fn read(&mut self, data: &mut [u8]) -> io::Result<usize> {
        let bytes = self.file.read_at(data, self.position)?;
        self.position += bytes as u64;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests;
