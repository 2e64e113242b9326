//! Tells whether two looks at a path saw the same file.
//!
//! A device and inode alone prove nothing: the number of a deleted file goes to the next new one.
//! So a stored file is taken up again only when its first bytes and the bytes just before the
//! delivered offset are still the same.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes at the start of a file that its fingerprint covers, once the file has that many.
pub const HEAD_BYTES_MAX: usize = 1024;

/// Bytes before the delivered offset that a checkpoint covers.
pub const FRONTIER_BYTES_MAX: usize = 256;

/// Device and inode number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Inode {
    /// `st_dev`
    pub device: u64,
    /// `st_ino`
    pub inode: u64,
}

impl Inode {
    /// Of a path or an open file.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// What one system call tells of a file: enough to see that nothing happened to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Length.
    pub bytes: u64,
    /// Time of the last write: seconds and nanoseconds.
    pub modified: (i64, i64),
}

impl Seen {
    /// Of a path or an open file.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        Self { bytes: metadata.len(), modified: (metadata.mtime(), metadata.mtime_nsec()) }
    }

    /// Time since the last write, by the clock of this machine.
    #[must_use]
    pub fn age(&self) -> Duration {
        let (seconds, nanoseconds) = self.modified;
        let written = Duration::new(
            u64::try_from(seconds).unwrap_or(0),
            u32::try_from(nanoseconds).unwrap_or(0),
        );
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(written)
    }
}

/// Hash over a known number of bytes. The hash cannot be turned back into the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Digest {
    /// How many bytes were hashed.
    pub bytes: u64,
    /// First 64 bits of their SHA-256.
    pub hash: u64,
}

impl Digest {
    /// Hash of `data`.
    #[must_use]
    pub fn of(data: &[u8]) -> Self {
        let full = Sha256::digest(data);
        let mut first = [0; 8];
        first.copy_from_slice(&full[..8]);
        Self { bytes: data.len() as u64, hash: u64::from_be_bytes(first) }
    }

    /// Hash of the first bytes of `file`, at most [`HEAD_BYTES_MAX`].
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of_head(file: &File) -> io::Result<Self> {
        Ok(Self::of(&read_head(file, HEAD_BYTES_MAX)?))
    }

    /// True when the bytes of `file` that start at `offset` still have this hash.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn holds_at(&self, file: &File, offset: u64) -> io::Result<bool> {
        let mut data = vec![0; self.bytes.min(HEAD_BYTES_MAX as u64) as usize];
        let bytes = read_at_most(file, &mut data, offset)?;
        Ok(Self::of(&data[..bytes]) == *self)
    }
}

/// The first bytes of a file, to be hashed or searched and then forgotten.
///
/// # Errors
/// When the file cannot be read.
pub fn read_head(file: &File, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut head = vec![0; bytes_max];
    let bytes = read_at_most(file, &mut head, 0)?;
    head.truncate(bytes);
    Ok(head)
}

/// Reads until `data` is full or the file ends; how many bytes there were.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn read_at_most(file: &File, data: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < data.len() {
        match file.read_at(&mut data[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(bytes) => filled += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::Digest;
    use std::io::Write;

    #[test]
    fn a_file_that_grew_still_holds_and_a_rewritten_one_does_not() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"first line\n").unwrap();
        let head = Digest::of_head(&file).unwrap();
        let frontier = Digest::of(b"line\n");
        file.write_all(b"second\n").unwrap();
        assert!(head.holds_at(&file, 0).unwrap());
        assert!(frontier.holds_at(&file, 6).unwrap());
        assert!(!frontier.holds_at(&file, 7).unwrap());
        file.set_len(5).unwrap();
        assert!(!head.holds_at(&file, 0).unwrap(), "shorter than what was hashed");
    }
}
