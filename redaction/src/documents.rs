//! Numbers of documents: words of letters and digits whose shape alone tells nothing.

use std::ops::Range;

use crate::lexis::{forward, word_after};

/// Longest word that is looked at.
const WORD_BYTES_MAX: usize = 32;

/// A word of letters and digits, and of single hyphens between them if `has_hyphens`.
///
/// Nothing when it goes on as a name of a file, a host or a path.
pub(crate) fn document_number(raw: &[u8], at: usize, has_hyphens: bool) -> Option<Range<usize>> {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || has_hyphens && b == b'-';
    let end = forward(raw, at, at + WORD_BYTES_MAX, is_part);
    let goes_on = word_after(raw, end)
        || matches!(raw.get(end), Some(b'-' | b'.' | b'/' | b':' | b'@' | b'('))
            && word_after(raw, end + 1);
    let text = &raw[at.min(end)..end];
    let is_whole =
        !text.starts_with(b"-") && !text.ends_with(b"-") && !text.windows(2).any(|w| w == b"--");
    (!goes_on && is_whole && !text.is_empty()).then_some(at..end)
}

/// Number of digits in `text`, and of letters and digits.
pub(crate) fn count(text: &[u8]) -> (usize, usize) {
    let n_digits = text.iter().filter(|b| b.is_ascii_digit()).count();
    (n_digits, text.iter().filter(|b| b.is_ascii_alphanumeric()).count())
}

#[cfg(test)]
mod tests {
    use super::{count, document_number};

    #[test]
    fn words_end_where_nothing_goes_on() {
        for (text, has_hyphens, want) in [
            ("X123 y", false, Some("X123")),
            ("X123.", false, Some("X123")),
            ("X123-4", false, None),
            ("X123-4,", true, Some("X123-4")),
            ("X123.jar", true, None),
            ("X123_4", true, None),
            ("X--1", true, None),
            ("-X1", true, None),
            ("", true, None),
            (&"A".repeat(40), true, None),
        ] {
            let range = document_number(text.as_bytes(), 0, has_hyphens);
            assert_eq!(range.map(|range| &text[range]), want, "{text}");
        }
        assert_eq!(count(b"A-12"), (2, 3));
    }
}
