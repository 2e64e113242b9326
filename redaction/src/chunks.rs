//! Cuts a stream of bytes where redaction may cut it, however the bytes arrive.

use crate::detectors::open_block;

/// A line longer than this is cut, behind a blank or a comma where there is one near.
const LINE_BYTES_MAX: usize = 1 << 20;
/// How far before a forced cut a better place is looked for.
const CUT_BYTES_MAX: usize = 64 << 10;
/// A key block longer than this is cut; the longest in use, RSA of 16,384 bits, has 13 KB.
const KEY_BLOCK_BYTES_MAX: usize = 64 << 10;
/// A chunk has at most this many bytes, unless one line has more: they stay in the cache.
const CHUNK_BYTES_MAX: usize = 256 << 10;

/// Collects bytes and hands them out as chunks of whole lines, as soon as lines are whole.
///
/// No key block is divided, and a long line is cut at a place that depends on its bytes alone: what is
/// redacted is the same however the bytes were divided into pushes.
#[derive(Debug, Default)]
pub struct Chunks {
    buffer: Vec<u8>,
    /// Leading bytes of the buffer that hold no complete line.
    n_scanned: usize,
}

impl Chunks {
    /// Adds bytes; calls `each` with every chunk that is complete.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) {
        self.buffer.extend_from_slice(bytes);
        let mut start = 0;
        while let Some(end) = self.chunk_end(start) {
            each(&self.buffer[start..end]);
            start = end;
            self.n_scanned = 0;
        }
        self.buffer.drain(..start);
    }

    /// Hands out the rest, which may have no line end.
    pub fn finish(&mut self, each: impl FnOnce(&[u8])) {
        if !self.buffer.is_empty() {
            each(&self.buffer);
            self.buffer.clear();
        }
        self.n_scanned = 0;
    }

    /// End of the chunk that begins at `start`, if it is complete.
    fn chunk_end(&mut self, start: usize) -> Option<usize> {
        let rest = &self.buffer[start..];
        let usual = &rest[..rest.len().min(CHUNK_BYTES_MAX)];
        let end = match memchr::memrchr(b'\n', &usual[self.n_scanned.min(usual.len())..]) {
            Some(newline) => self.n_scanned.min(usual.len()) + newline + 1,
            None => self.long_line_end(start)?,
        };
        let rest = &self.buffer[start..];
        match open_block(&rest[..end]) {
            None => Some(start + end),
            // A longer line follows than any of a key, so what is here is all of it.
            Some(0) if rest.len() < end + KEY_BLOCK_BYTES_MAX && end < KEY_BLOCK_BYTES_MAX => None,
            Some(0) if end < KEY_BLOCK_BYTES_MAX => Some(start + end),
            Some(0) => {
                let newline = memchr::memchr(b'\n', &rest[KEY_BLOCK_BYTES_MAX - 1..end]);
                Some(start + newline.map_or(end, |newline| KEY_BLOCK_BYTES_MAX + newline))
            }
            Some(block) => Some(start + block),
        }
    }

    /// Where a line ends that is not whole within a chunk's usual size, counted from `start`.
    fn long_line_end(&mut self, start: usize) -> Option<usize> {
        let rest = &self.buffer[start..];
        let line = &rest[..rest.len().min(LINE_BYTES_MAX)];
        if let Some(newline) = memchr::memchr(b'\n', &line[self.n_scanned.min(line.len())..]) {
            return Some(self.n_scanned.min(line.len()) + newline + 1);
        }
        self.n_scanned = line.len();
        if line.len() < LINE_BYTES_MAX {
            return None;
        }
        let tail = &line[LINE_BYTES_MAX - CUT_BYTES_MAX..];
        let cut = tail.iter().rposition(|b| matches!(b, b' ' | b',' | b'\t'));
        Some(cut.map_or(LINE_BYTES_MAX, |cut| LINE_BYTES_MAX - CUT_BYTES_MAX + cut + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::Chunks;
    use crate::detectors::DETECTORS;
    use crate::{Redactor, Text};

    fn redact_in(parts: &[&[u8]]) -> Vec<u8> {
        let (redactor, mut text) = (Redactor::new(), Text::default());
        let mut chunks = Chunks::default();
        for part in parts {
            chunks.push(part, |chunk| {
                redactor.redact_chunk(chunk, &mut text);
            });
        }
        chunks.finish(|chunk| {
            redactor.redact_chunk(chunk, &mut text);
        });
        text.as_bytes().to_vec()
    }

    #[test]
    fn every_split_gives_what_the_whole_gives() {
        for detector in DETECTORS {
            for sample in detector.rule().positive {
                let raw = format!("first\n{}\nat Main.main\nlast", sample.replace(['«', '»'], ""));
                let mut whole = Text::default();
                Redactor::new().redact_chunk(raw.as_bytes(), &mut whole);
                let whole = String::from_utf8_lossy(whole.as_bytes()).into_owned();
                for at in 0..=raw.len() {
                    let (head, tail) = raw.as_bytes().split_at(at);
                    let parts = redact_in(&[head, tail]);
                    assert_eq!(String::from_utf8_lossy(&parts), whole, "split at {at}");
                }
                let bytes: Vec<&[u8]> = raw.as_bytes().chunks(1).collect();
                assert_eq!(String::from_utf8_lossy(&redact_in(&bytes)), whole, "byte by byte");
            }
        }
    }

    #[test]
    fn lines_are_handed_out_as_soon_as_they_are_whole() {
        let mut chunks = Chunks::default();
        let mut got = Vec::new();
        for part in ["a\nb", "c\n", "\n", "d"] {
            chunks.push(part.as_bytes(), |chunk| {
                got.push(String::from_utf8_lossy(chunk).into_owned())
            });
        }
        assert_eq!(got, ["a\n", "bc\n", "\n"]);
        chunks.finish(|chunk| got.push(String::from_utf8_lossy(chunk).into_owned()));
        assert_eq!(got[3..], ["d"]);
    }

    #[test]
    fn a_line_without_end_is_cut_between_words_wherever_the_reads_cut_it() {
        let line = "word joe@example.com ".repeat(120_000);
        let whole = redact_in(&[line.as_bytes()]);
        for part_bytes in [1000, 4096, 65_537] {
            let parts: Vec<_> = line.as_bytes().chunks(part_bytes).collect();
            assert!(redact_in(&parts) == whole, "{part_bytes}");
        }
        assert_eq!(whole, "word [EMAIL] ".repeat(120_000).into_bytes());
    }

    #[test]
    fn a_key_header_before_a_long_line_holds_nothing_back() {
        let line = "x".repeat(300 << 10);
        let raw = format!("-----BEGIN PRIVATE KEY-----\n{line}\n{}", "INFO a b c\n".repeat(9999));
        let whole = redact_in(&[raw.as_bytes()]);
        for part_bytes in [4096, 65_536, 300_000] {
            let (mut chunks, mut n_bytes) = (Chunks::default(), 0);
            for part in raw.as_bytes().chunks(part_bytes) {
                chunks.push(part, |chunk| n_bytes += chunk.len());
            }
            assert_eq!(n_bytes, raw.len(), "{part_bytes}");
            let parts: Vec<_> = raw.as_bytes().chunks(part_bytes).collect();
            assert!(redact_in(&parts) == whole, "{part_bytes}");
        }
    }

    #[test]
    fn a_key_block_is_whole_wherever_the_reads_cut_it_and_ends_with_what_is_no_key() {
        let body = "MIIEpAIBAAKCAQEAtd9qkV6O0PqkKkVjZ2pBzQ==\n".repeat(40);
        for last in ["-----END RSA PRIVATE KEY-----\n", ""] {
            let raw =
                format!("x\n-----BEGIN RSA PRIVATE KEY-----\n{body}{last}at Main.main(M.java)\n");
            for part_bytes in [1, 7, 41, 500] {
                let parts: Vec<_> = raw.as_bytes().chunks(part_bytes).collect();
                let out = String::from_utf8(redact_in(&parts)).unwrap();
                assert_eq!(out, "x\n[PRIVATE_KEY]\nat Main.main(M.java)\n", "{part_bytes}");
            }
        }
    }
}
