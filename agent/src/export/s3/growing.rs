//! A segment of the staging area that grows, and goes back to where it was when a batch fails.

use super::book::{Book, Bytes};
use super::partition::Partition;
use crate::export::spool::segment;
use crate::model::FileId;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use tokio::time::Instant;

/// See the head of the file.
#[derive(Debug)]
pub(super) struct Growing {
    pub(super) partition: Partition,
    pub(super) number: u64,
    pub(super) opened: Instant,
    pub(super) n_records: u64,
    pub(super) bytes: u64,
    n_frames: u64,
    file: File,
    salt: u64,
    /// As it was before the batch that is being staged.
    before: Length,
    /// As it is synced.
    synced: Length,
    /// What is written and not synced, of which file.
    unsynced: Vec<(FileId, Bytes)>,
}

/// How long a segment is.
#[derive(Debug, Clone, Copy)]
struct Length {
    bytes: u64,
    n_frames: u64,
    n_records: u64,
    n_unsynced: usize,
}

impl Growing {
    /// Makes the file. It is durable once its folder is.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(super) fn begin(
        path: &Path,
        partition: Partition,
        number: u64,
        opened: Instant,
    ) -> io::Result<Self> {
        let salt = FileId::random().0;
        let mut options = File::options();
        let mut file = options.create_new(true).append(true).mode(0o600).open(path)?;
        file.write_all(&segment::header(salt))?;
        let bytes = segment::HEADER_BYTES as u64;
        let empty = Length { bytes, n_frames: 0, n_records: 0, n_unsynced: 0 };
        Ok(Self {
            partition,
            number,
            opened,
            n_records: 0,
            bytes,
            n_frames: 0,
            file,
            salt,
            before: empty,
            synced: empty,
            unsynced: Vec::new(),
        })
    }

    /// Replaces `out` by its next frame, whose payload `write` appends.
    ///
    /// # Errors
    /// When that is too long.
    pub(super) fn frame(
        &self,
        out: &mut Vec<u8>,
        n_records: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> io::Result<()> {
        segment::write_frame(out, self.salt, self.n_frames + 1, n_records, write)
    }

    /// Appends a frame, which accounts for `covers` of its file.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(super) fn write(
        &mut self,
        frame: &[u8],
        n_records: usize,
        covers: Option<(FileId, Bytes)>,
    ) -> io::Result<()> {
        // Also where that fails half way: going back cuts it off.
        self.bytes += frame.len() as u64;
        self.file.write_all(frame)?;
        self.n_frames += 1;
        self.n_records += n_records as u64;
        self.unsynced.extend(covers);
        Ok(())
    }

    /// True when something is not synced yet.
    pub(super) fn is_unsynced(&self) -> bool {
        self.bytes > self.synced.bytes
    }

    /// Makes durable what was written, and tells `book` of it.
    ///
    /// # Errors
    /// When the disk does not keep it.
    pub(super) fn sync(&mut self, book: &mut Book) -> io::Result<()> {
        self.file.sync_data()?;
        self.unsynced.drain(..).for_each(|(file, bytes)| book.cover(file, bytes));
        self.synced = self.length();
        self.before.n_unsynced = 0;
        Ok(())
    }

    /// A batch begins.
    pub(super) fn begin_batch(&mut self) {
        self.before = self.length();
    }

    /// The batch failed.
    pub(super) fn forget_batch(&mut self) {
        self.go_back(self.before);
    }

    /// The sync failed.
    pub(super) fn forget_unsynced(&mut self) {
        self.go_back(self.synced);
    }

    fn length(&self) -> Length {
        let Self { bytes, n_frames, n_records, .. } = *self;
        Length { bytes, n_frames, n_records, n_unsynced: self.unsynced.len() }
    }

    fn go_back(&mut self, to: Length) {
        if self.bytes > to.bytes {
            // What stays behind all the same comes twice.
            let _ = self.file.set_len(to.bytes);
            (self.bytes, self.n_frames, self.n_records) = (to.bytes, to.n_frames, to.n_records);
            self.unsynced.truncate(to.n_unsynced);
        }
    }
}
