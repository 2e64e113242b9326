//! The part of a text that a regular expression is run over: a line, or a window of a long one.

use std::borrow::Cow;
use std::ops::Range;

use crate::haystack::Haystack;
use crate::lexis::work;

/// Longest line that is searched as a whole: a hostile one of megabytes must not be searched anew for
/// each of its anchors.
const LINE_BYTES_MAX: usize = 64 << 10;
/// How far to either side of an anchor a longer line is searched.
const SIDE_BYTES: usize = LINE_BYTES_MAX / 2;
/// What look-around sees beside a window: `\b` needs one character.
const MARGIN_BYTES: usize = 8;
/// Stands for each byte of a placeholder: a control character, which is in no log, so that no
/// expression finds words in names of types. `.` and `\S` take it, so a value goes on behind one.
const OPAQUE: u8 = 0x1a;

/// Some bytes of one line, in which placeholders cannot be read.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    /// Of `text` in the searched text.
    base: usize,
    /// The searched bytes and those beside them that look-around may see.
    pub(super) text: Cow<'a, [u8]>,
    /// The searched bytes, in `text`.
    pub(super) span: Range<usize>,
    /// In `text`, ascending.
    placeholders: Vec<Range<usize>>,
}

impl<'a> Piece<'a> {
    /// The line of `anchor`, or what is near of a long one.
    pub(super) fn around(raw: &Haystack<'a>, anchor: &Range<usize>) -> Self {
        let begin = anchor.start.saturating_sub(LINE_BYTES_MAX);
        let start = memchr::memrchr(b'\n', &raw[begin..anchor.start]);
        let limit = raw.len().min(anchor.start + LINE_BYTES_MAX);
        let end = memchr::memchr(b'\n', &raw[anchor.start..limit]);
        let has_start = start.is_some() || begin == 0;
        let has_end = end.is_some() || limit == raw.len();
        let start = start.map_or(begin, |at| begin + at + 1);
        let end = end.map_or(limit, |at| anchor.start + at);
        work::add(end - start);
        if has_start && has_end && end - start <= LINE_BYTES_MAX {
            return Self::new(raw, start..end, start..end);
        }
        let from = start.max(anchor.start.saturating_sub(SIDE_BYTES));
        let until = end.min(anchor.end + SIDE_BYTES);
        Self::window(raw, start..end, from..until)
    }

    /// All of `line`, in overlapping windows when it is long.
    pub(super) fn all(raw: &Haystack<'a>, line: Range<usize>) -> impl Iterator<Item = Self> {
        let is_long = line.len() > LINE_BYTES_MAX;
        let n_windows = if is_long { line.len().div_ceil(SIDE_BYTES) - 1 } else { 1 };
        (0..n_windows).map(move |n| {
            if !is_long {
                return Self::new(raw, line.clone(), line.clone());
            }
            let from = line.start + n * SIDE_BYTES;
            Self::window(raw, line.clone(), from..line.end.min(from + LINE_BYTES_MAX))
        })
    }

    fn window(raw: &Haystack<'a>, line: Range<usize>, span: Range<usize>) -> Self {
        let start = line.start.max(span.start.saturating_sub(MARGIN_BYTES));
        let start = raw.placeholder_around(start).map_or(start, |range| range.start);
        Self::new(raw, start..line.end.min(span.end + MARGIN_BYTES), span)
    }

    fn new(raw: &Haystack<'a>, text: Range<usize>, span: Range<usize>) -> Self {
        let base = text.start;
        let all: &'a [u8] = raw.bytes();
        let bytes = &all[text];
        work::add(bytes.len());
        let mut placeholders = Vec::new();
        let mut at = 0;
        while let Some(hit) = memchr::memchr(b'[', &bytes[at..]).map(|hit| at + hit) {
            at = hit + 1;
            if let Some(end) = raw.placeholder_end(base + hit) {
                // The quotes may have come with it, in the place of a bare number of JSON.
                let last = placeholders.last().map_or(0, |p: &Range<usize>| p.end);
                let is_quoted = hit > last && bytes[hit - 1] == b'"' && raw.get(end) == Some(&b'"');
                let quote = usize::from(is_quoted);
                // One that goes on behind the text is one all the same.
                at = (end + quote - base).min(bytes.len());
                placeholders.push(hit - quote..at);
            }
        }
        let mut text = Cow::Borrowed(bytes);
        for placeholder in &placeholders {
            text.to_mut()[placeholder.clone()].fill(OPAQUE);
        }
        // The `\r` of a line break is no part of the line, so that `$` finds its end.
        let has_return = bytes.get(span.end - base).is_none() && bytes.last() == Some(&b'\r');
        let span = span.start - base..span.end - base - usize::from(has_return);
        if has_return {
            match &mut text {
                Cow::Borrowed(bytes) => *bytes = &bytes[..bytes.len() - 1],
                Cow::Owned(bytes) => bytes.truncate(bytes.len() - 1),
            }
        }
        Self { base, text, span, placeholders }
    }

    /// End of what is searched.
    pub(super) fn end(&self) -> usize {
        self.base + self.span.end
    }

    /// A range of `text` as one of the searched text, without what it has of placeholders that it
    /// does not hold as a whole: those stay as they are, as does one that is all of it.
    pub(super) fn to_raw(&self, range: Range<usize>) -> Range<usize> {
        let inside = |at: usize| {
            let next = self.placeholders.partition_point(|p| p.end <= at);
            self.placeholders.get(next).filter(|p| p.start < at)
        };
        let start = inside(range.start).map_or(range.start, |p| p.end);
        let end = inside(range.end).map_or(range.end, |p| p.start);
        let next = self.placeholders.partition_point(|p| p.start < start);
        let is_placeholder = self.placeholders.get(next) == Some(&(start..end));
        self.base + start..self.base + if is_placeholder { start } else { end.max(start) }
    }
}

#[cfg(test)]
mod tests {
    use super::{LINE_BYTES_MAX, Piece};
    use crate::haystack::{Haystack, Names};

    #[test]
    fn placeholders_cannot_be_read_and_are_not_cut() {
        let names = Names::new(["EMAIL"].into_iter());
        let raw = Haystack::new(b"x\na [EMAIL] [b] [EMAIL]\r\ny", &names);
        let piece = Piece::around(&raw, &(4..5));
        assert_eq!(
            &*piece.text,
            b"a \x1a\x1a\x1a\x1a\x1a\x1a\x1a [b] \x1a\x1a\x1a\x1a\x1a\x1a\x1a"
        );
        assert_eq!((piece.span.clone(), piece.end()), (0..21, 23));
        for (range, want) in [
            (0..21, 2..23),
            (0..5, 2..4),
            (5..12, 11..14),
            (3..8, 11..11),
            (5..17, 11..16),
            (0..9, 2..11),
            (2..10, 4..12),
            (2..9, 4..4),
        ] {
            assert_eq!(piece.to_raw(range.clone()), want, "{range:?}");
        }
    }

    #[test]
    fn quotes_of_a_placeholder_belong_to_it() {
        let names = Names::new(["EMAIL"].into_iter());
        let raw = Haystack::new(b"{\"a\": \"[EMAIL]\"[EMAIL]\"}", &names);
        let piece = Piece::around(&raw, &(0..0));
        assert_eq!(piece.placeholders, [6..15, 15..22]);
    }

    #[test]
    fn windows_of_a_long_line_overlap_and_cover_it() {
        let names = Names::new(std::iter::empty());
        for len in [0, 1, LINE_BYTES_MAX, LINE_BYTES_MAX + 1, 3 * LINE_BYTES_MAX + 5] {
            let text = [b"a\n".to_vec(), vec![b'.'; len], b"\nb".to_vec()].concat();
            let raw = Haystack::new(&text, &names);
            let (mut end, mut start) = (2, 0);
            for piece in Piece::all(&raw, 2..2 + len) {
                let from = piece.base + piece.span.start;
                assert!(from <= end && from >= start && piece.span.len() <= LINE_BYTES_MAX);
                (start, end) = (from + 1, piece.end());
            }
            assert_eq!(end, 2 + len);
        }
    }
}
