//! Long runs of letters and digits, such as addresses of coins, behind escapes.

use std::ops::Range;

use crate::lexis::forward;

/// Place in a run of the byte at which [`Shape::LongWord`](crate::Shape::LongWord) fires.
const ANCHOR_PLACE: usize = 25;

/// Whether the run around the place of the shape may begin with one of `firsts`. Decides about nearly
/// all of them, as most long words of logs are names of classes and hashes.
pub(crate) fn may_begin_with(raw: &[u8], anchor: usize, firsts: &[u8]) -> bool {
    let Some(run) = anchor.checked_sub(ANCHOR_PLACE) else { return false };
    firsts.contains(&raw[run]) || run > 0 && raw[run - 1] == b'\\'
}

/// The run around the place of the shape, without the letters of an escape before it; nothing when
/// the run is longer than `bytes_max`.
pub(crate) fn long_word(raw: &[u8], anchor: usize, bytes_max: usize) -> Option<Range<usize>> {
    let run = anchor.checked_sub(ANCHOR_PLACE)?;
    let is_escaped = run > 0 && raw[run - 1] == b'\\';
    let escape = match raw[run] {
        b'u' if is_escaped => 5,
        b'n' | b'r' | b't' | b'b' | b'f' if is_escaped => 1,
        _ => 0,
    };
    let start = run + escape;
    let end = forward(raw, anchor, start + bytes_max + 1, |b| b.is_ascii_alphanumeric());
    (end - start <= bytes_max).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::long_word;

    #[test]
    fn words_are_measured_without_escapes() {
        for (before, word_len, want) in [
            ("x=", 26, true),
            ("x=", 40, true),
            ("x=", 41, false),
            (r"\n", 40, true),
            (r"\u0022", 40, true),
            (r"\u0022", 41, false),
        ] {
            let text = format!("{before}{}.", "A".repeat(word_len));
            let run = text.find(|c: char| c.is_ascii_alphanumeric() && c != 'x').unwrap();
            let word = long_word(text.as_bytes(), run + 25, 40);
            assert_eq!(word, want.then_some(before.len()..before.len() + word_len), "{text}");
        }
        assert_eq!(long_word(b"abc", 2, 40), None);
    }
}
