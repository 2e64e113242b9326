//! Cuts bytes into lines, however they arrive. Knows nothing of JSON.

use memchr::memchr;

/// Longest line in bytes. The plans of very large queries come near it.
pub const LINE_BYTES_MAX: usize = 8 << 20;

/// The line that is not whole yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    open: Vec<u8>,
    /// The open line is over the limit, and its bytes are gone.
    is_too_long: bool,
    n_too_long: u64,
}

impl Lines {
    /// Hands on each line that `bytes` complete, without its end.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8])) {
        while let Some(end) = memchr(b'\n', bytes) {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            bytes = rest;
            if self.open.is_empty() && !self.is_too_long && line.len() <= LINE_BYTES_MAX {
                each(line);
                continue;
            }
            self.extend(line);
            if !self.is_too_long {
                each(&self.open);
            }
            self.open.clear();
            // What a rare long line needed is given back.
            self.open.shrink_to(LINE_BYTES_MAX / 8);
            self.is_too_long = false;
        }
        self.extend(bytes);
    }

    /// Hands on the last line, which has no end.
    pub(super) fn finish(&mut self, each: impl FnOnce(&[u8])) {
        if !self.open.is_empty() {
            each(&self.open);
        }
        self.open.clear();
        self.is_too_long = false;
    }

    /// Lines so far that were longer than [`LINE_BYTES_MAX`].
    pub(super) fn n_too_long(&self) -> u64 {
        self.n_too_long
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.is_too_long {
            return;
        }
        if self.open.len() + bytes.len() > LINE_BYTES_MAX {
            self.open = Vec::new();
            self.is_too_long = true;
            self.n_too_long += 1;
            return;
        }
        self.open.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::{LINE_BYTES_MAX, Lines};

    fn cut(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, u64) {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.feed(piece, |line| found.push(line.to_vec()));
        }
        lines.finish(|line| found.push(line.to_vec()));
        (found, lines.n_too_long())
    }

    #[test]
    fn a_line_is_the_same_in_one_piece_and_in_many() {
        let want = (vec![b"ab".to_vec(), Vec::new(), b"cd".to_vec()], 0);
        assert_eq!(cut(&[b"ab\n\ncd"]), want);
        assert_eq!(cut(&[b"a", b"b", b"\n", b"\nc", b"d"]), want);
    }

    #[test]
    fn a_line_over_the_limit_is_counted_and_those_around_it_stay() {
        let longest = vec![b'x'; LINE_BYTES_MAX];
        let (found, n_too_long) = cut(&[b"a\n", &longest, b"\n", &longest, b"y\nb\n"]);
        assert_eq!((found.len(), n_too_long), (3, 1));
        assert_eq!((&found[0][..], &found[2][..]), (&b"a"[..], &b"b"[..]));
        let (found, n_too_long) = cut(&[&longest, b"y", b"z"]);
        assert_eq!((found.len(), n_too_long), (0, 1));
    }
}
