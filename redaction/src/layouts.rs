//! How identity numbers are printed: layouts, words of letters and digits, and what stands behind a
//! name.

use std::ops::Range;

use crate::context::CONTEXT_BYTES;
use crate::haystack::{Haystack, NAME_BYTES_MAX};
use crate::lexis::{backward, escape_letter_before, forward, unicode_escape_end, word_after};
use crate::lexis::{word_before, work};

/// Longest number that is read through its separators.
pub(crate) const COMPACT_BYTES_MAX: usize = 16;

/// True when `text` is printed as `layout`: `0` stands for a digit, `#` for an upper-case letter, `?`
/// for either, anything else for itself.
pub(crate) fn has_layout(text: &[u8], layout: &str) -> bool {
    let fits = |(byte, place): (&u8, u8)| match place {
        b'0' => byte.is_ascii_digit(),
        b'#' => byte.is_ascii_uppercase(),
        b'?' => byte.is_ascii_digit() || byte.is_ascii_uppercase(),
        _ => *byte == place,
    };
    work::add(text.len().min(layout.len()));
    text.len() == layout.len() && text.iter().zip(layout.bytes()).all(fits)
}

/// The word of ASCII letters and digits that holds the byte at `at`, if it has at most `max` bytes and
/// nothing continues it. The letter of an escape such as `\n` is no part of it.
pub(crate) fn word_around(raw: &[u8], at: usize, max: usize) -> Option<Range<usize>> {
    // An escape adds up to five letters and digits.
    let begin = at.saturating_sub(max + 5);
    let start = backward(raw, at, begin, |b| b.is_ascii_alphanumeric());
    let start = match start.checked_sub(1).and_then(|i| raw.get(i)) {
        Some(b'\\') if escape_letter_before(raw, start + 1) => start + 1,
        Some(b'\\') => unicode_escape_end(raw, start),
        _ => start,
    };
    let end = forward(raw, at, start + max + 1, |b| b.is_ascii_alphanumeric());
    let is_whole = (start..end).contains(&at) && end - start <= max;
    (is_whole && !word_before(raw, start) && !word_after(raw, end)).then_some(start..end)
}

/// Letters and digits of a number without its separators, in upper case.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Compact {
    bytes: [u8; COMPACT_BYTES_MAX],
    len: usize,
}

impl Compact {
    /// Reads `len` letters and digits from `start` on, with one space, dot or hyphen between at most;
    /// returns them with their end. Nothing when a word goes on behind them.
    pub(crate) fn read(raw: &[u8], start: usize, len: usize) -> Option<(Self, usize)> {
        let mut compact = Self::default();
        let mut at = start;
        while compact.len < len.min(COMPACT_BYTES_MAX) {
            work::add(1);
            let byte = *raw.get(at)?;
            if byte.is_ascii_alphanumeric() {
                compact.bytes[compact.len] = byte.to_ascii_uppercase();
                compact.len += 1;
            } else if at == start
                || !matches!(byte, b' ' | b'.' | b'-')
                || !raw[at - 1].is_ascii_alphanumeric()
            {
                return None;
            }
            at += 1;
        }
        (!word_after(raw, at)).then_some((compact, at))
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Where words begin in the [`CONTEXT_BYTES`] from the literal `anchor` on, on the same line.
///
/// Nothing behind a literal that is a part of a placeholder: that names what is hidden already.
pub(crate) fn words_behind(
    raw: &Haystack<'_>,
    anchor: &Range<usize>,
) -> impl Iterator<Item = usize> {
    let limit = if is_in_placeholder(raw, anchor.start) {
        anchor.end
    } else {
        forward(raw, anchor.end, anchor.start + CONTEXT_BYTES, |b| b != b'\n')
    };
    (anchor.end..limit).filter(|at| raw[*at].is_ascii_alphanumeric() && !word_before(raw, *at))
}

fn is_in_placeholder(raw: &Haystack<'_>, at: usize) -> bool {
    let is_name = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    let start = backward(raw, at, at.saturating_sub(NAME_BYTES_MAX), is_name);
    start.checked_sub(1).and_then(|open| raw.placeholder_end(open)).is_some()
}

#[cfg(test)]
mod tests {
    use super::{Compact, has_layout, word_around, words_behind};
    use crate::haystack::{Haystack, Names};

    #[test]
    fn layouts_name_each_place() {
        assert!(has_layout(b"65180539W001", "00000000#000"));
        assert!(has_layout(b"1-A-b", "0-#-b") && has_layout(b"1A", "??"));
        for text in ["1-a-b", "1-A-B", "1-A-bb", "1-A-", "1.A-b", ""] {
            assert!(!has_layout(text.as_bytes(), "0-#-b"), "{text}");
        }
    }

    #[test]
    fn a_word_ends_where_nothing_continues_it() {
        let word = |text: &'static str, at| word_around(text.as_bytes(), at, 9).map(|r| &text[r]);
        assert_eq!(word("AB123456C", 4), Some("AB123456C"));
        assert_eq!(word("(AB123456C)", 9), Some("AB123456C"));
        assert_eq!(word(r"x\nAB123456C", 7), Some("AB123456C"));
        assert_eq!(word(r"\u0022AB123456C\u0022", 9), Some("AB123456C"));
        for text in ["_AB123456C", "AB123456C_", "AB123456CD", "xAB123456C", "éAB12", "AB12345é"]
        {
            assert_eq!(word(text, 5), None, "{text}");
        }
        assert_eq!((word("...", 1), word("ab", 9)), (None, None));
    }

    #[test]
    fn separators_are_read_over_one_by_one() {
        let read = |text: &str, len| {
            let (compact, end) = Compact::read(text.as_bytes(), 0, len)?;
            Some((String::from_utf8(compact.as_slice().to_vec()).unwrap(), end))
        };
        assert_eq!(read("ab 12-34.5c x", 7), None);
        assert_eq!(read("ab 12-34.5c x", 8), Some(("AB12345C".into(), 11)));
        assert_eq!(read("ab  12", 4), None);
        assert_eq!(read("-ab", 2), None);
        assert_eq!(read("ab", 3), None);
    }

    #[test]
    fn only_words_near_a_name_of_the_text_are_tried() {
        let names = Names::new(["UK_NINO"].into_iter());
        let places = |text: &str, anchor| {
            let raw = Haystack::new(text.as_bytes(), &names);
            words_behind(&raw, &anchor).collect::<Vec<_>>()
        };
        assert_eq!(places("nino: ab cd\nef", 0..4), [6, 9]);
        assert!(places("[UK_NINO] ab cd", 4..8).is_empty());
        assert_eq!(places("[UK_NINA] ab", 4..8), [10]);
        assert!(places(&format!("nino{}ab", ".".repeat(44)), 0..4).is_empty());
    }
}
