//! Reads the batches of a staged segment one by one: a segment may be larger than memory allows.

use crate::export::spool::segment::{self, HEAD_BYTES, HEADER_BYTES};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// See the head of the file.
#[derive(Debug)]
pub(super) struct Frames {
    file: File,
    bytes: u64,
    salt: u64,
    /// Behind the last whole frame.
    end: u64,
    n_damaged_bytes: u64,
    frame: Vec<u8>,
}

impl Frames {
    /// Opens a segment; none when it does not begin like one.
    ///
    /// # Errors
    /// When the disk does not give it.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let mut header = [0; HEADER_BYTES];
        if bytes < HEADER_BYTES as u64 {
            return Ok(None);
        }
        file.read_exact_at(&mut header, 0)?;
        let end = HEADER_BYTES as u64;
        Ok(segment::salt(&header).map(|salt| Self {
            file,
            bytes,
            salt,
            end,
            n_damaged_bytes: 0,
            frame: Vec::new(),
        }))
    }

    /// The payload of the next whole frame. What stands between whole frames is damage: it is left out
    /// and counted. Behind the last one may stand what a crash left half written.
    ///
    /// # Errors
    /// When the disk does not give it.
    pub(super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        if !self.read(self.end)? {
            let Some(at) = self.find()? else { return Ok(None) };
            self.n_damaged_bytes += at - self.end;
            self.end = at;
            if !self.read(at)? {
                return Ok(None);
            }
        }
        self.end += self.frame.len() as u64;
        Ok(Some(&self.frame[HEAD_BYTES..]))
    }

    /// Where the last frame that was read ends.
    #[must_use]
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Where the segment ends, once all frames are read: what a crash left half written does not count,
    /// as nobody was told that it is safe. A frame of which every byte is there, and not as it was
    /// written, does.
    ///
    /// # Errors
    /// When the disk does not give it.
    pub(super) fn written_end(&self) -> io::Result<u64> {
        let mut head = [0; HEAD_BYTES];
        let left = self.bytes - self.end;
        if left < HEAD_BYTES as u64 {
            return Ok(self.end);
        }
        self.file.read_exact_at(&mut head, self.end)?;
        let n_bytes = segment::Head::parse(&head).map_or(0, |head| u64::from(head.payload_bytes));
        // Zeros are what file systems have where nothing arrived.
        let is_whole = head != [0; HEAD_BYTES] && n_bytes <= left - HEAD_BYTES as u64;
        Ok(if is_whole { self.bytes } else { self.end })
    }

    /// Bytes that were left out so far.
    #[must_use]
    pub(super) fn n_damaged_bytes(&self) -> u64 {
        self.n_damaged_bytes
    }

    /// Reads the frame at `at`; false when none is there.
    fn read(&mut self, at: u64) -> io::Result<bool> {
        let left = self.bytes - at;
        if left < HEAD_BYTES as u64 {
            return Ok(false);
        }
        self.frame.resize(HEAD_BYTES, 0);
        self.file.read_exact_at(&mut self.frame, at)?;
        let Some(head) = segment::Head::parse(&self.frame) else { return Ok(false) };
        let n_bytes = HEAD_BYTES + head.payload_bytes as usize;
        if n_bytes as u64 > left {
            return Ok(false);
        }
        self.frame.resize(n_bytes, 0);
        self.file.read_exact_at(&mut self.frame[HEAD_BYTES..], at + HEAD_BYTES as u64)?;
        Ok(segment::frame_at(&self.frame, 0, self.salt).is_some())
    }

    /// Where the next whole frame stands. Takes the rest of the segment into memory, which only damage
    /// asks for.
    fn find(&mut self) -> io::Result<Option<u64>> {
        let rest = usize::try_from(self.bytes - self.end).map_err(io::Error::other)?;
        let mut bytes = vec![0; rest];
        self.file.read_exact_at(&mut bytes, self.end)?;
        let found = segment::find_frame(&bytes, 1, self.salt);
        Ok(found.map(|frame| self.end + (frame.end - frame.payload.len() - HEAD_BYTES) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::Frames;
    use crate::export::spool::segment;

    fn segment_of(payloads: &[&[u8]]) -> Vec<u8> {
        let (mut bytes, mut frame) = (segment::header(7).to_vec(), Vec::new());
        for (payload, sequence) in payloads.iter().zip(1..) {
            segment::write_frame(&mut frame, 7, sequence, 1, |out| out.extend_from_slice(payload))
                .unwrap();
            bytes.extend_from_slice(&frame);
        }
        bytes
    }

    #[track_caller]
    fn check(bytes: &[u8], want: &[&[u8]], n_damaged_bytes: u64) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("segment");
        std::fs::write(&path, bytes).unwrap();
        let mut frames = Frames::open(&path).unwrap().unwrap();
        let mut got = Vec::new();
        while let Some(payload) = frames.next().unwrap() {
            got.push(payload.to_vec());
        }
        assert_eq!(got, want);
        assert_eq!(frames.n_damaged_bytes(), n_damaged_bytes);
    }

    #[test]
    fn a_frame_that_ends_early_is_none_and_one_that_is_damaged_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("segment");
        let written_end = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let mut frames = Frames::open(&path).unwrap().unwrap();
            while frames.next().unwrap().is_some() {}
            frames.written_end().unwrap()
        };
        let (one, mut two) = (segment_of(&[b"one"]), segment_of(&[b"one", b"two"]));
        let (len, end) = (two.len(), one.len() as u64);
        assert_eq!(written_end(&two), len as u64);
        for n_bytes in one.len()..len {
            assert_eq!(written_end(&two[..n_bytes]), end, "{n_bytes}");
        }
        assert_eq!(written_end(&[one, vec![0; 99]].concat()), end);
        two[len - 1] ^= 1;
        assert_eq!(written_end(&two), len as u64);
    }

    #[test]
    fn what_is_whole_is_read_whatever_stands_between() {
        let whole = segment_of(&[b"one", b"two", b"three"]);
        check(&whole, &[b"one", b"two", b"three"], 0);
        check(&whole[..whole.len() - 1], &[b"one", b"two"], 0);
        let mut damaged = whole.clone();
        damaged[segment::HEADER_BYTES + segment::HEAD_BYTES] ^= 1;
        check(&damaged, &[b"two", b"three"], segment::HEAD_BYTES as u64 + 3);
        // A length that points anywhere.
        damaged[segment::HEADER_BYTES + 3] = 255;
        check(&damaged, &[b"two", b"three"], segment::HEAD_BYTES as u64 + 3);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("segment");
        std::fs::write(&path, b"no segment, but long enough for a header").unwrap();
        assert!(Frames::open(&path).unwrap().is_none());
    }
}
