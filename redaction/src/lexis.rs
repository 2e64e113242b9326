//! What a byte and its neighbours mean in log text: words, lines, escapes, placeholders.
//!
//! Detectors walk bytes through [`forward`] and [`backward`] only, each with an explicit end, so
//! a test can count the bytes every detector looks at and prove that the work stays linear.

/// First index at or after `at` (below `end`) whose byte does not satisfy `accept`; else `end`.
pub(crate) fn forward(raw: &[u8], at: usize, end: usize, accept: impl Fn(u8) -> bool) -> usize {
    let bytes = raw.get(at..end.min(raw.len())).unwrap_or_default();
    let n_accepted = bytes.iter().position(|b| !accept(*b)).unwrap_or(bytes.len());
    work::add(n_accepted);
    at + n_accepted
}

/// Start of the run of accepted bytes that ends at `at`; never before `begin`.
pub(crate) fn backward(raw: &[u8], at: usize, begin: usize, accept: impl Fn(u8) -> bool) -> usize {
    let bytes = raw.get(begin..at).unwrap_or_default();
    let n_accepted = bytes.iter().rev().position(|b| !accept(*b)).unwrap_or(bytes.len());
    work::add(n_accepted);
    at - n_accepted
}

/// Spaces and tabs from `at` on, 16 at most: nobody aligns a value further away.
pub(crate) fn skip_blanks(raw: &[u8], at: usize) -> usize {
    forward(raw, at, at + 16, |b| matches!(b, b' ' | b'\t'))
}

/// True for bytes that continue an identifier or a word of any language in UTF-8.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// True when the byte before `at` belongs to the same word as what begins at `at`.
///
/// An escape is not text: in `\n4111...` and `\u00224111...` of a JSON string the digits begin a
/// word.
pub(crate) fn word_before(raw: &[u8], at: usize) -> bool {
    at > 0
        && is_word(raw[at - 1])
        && !escape_letter_before(raw, at)
        && !(at >= UNICODE_ESCAPE_BYTES && unicode_escape_end(raw, at - 1) == at)
}

/// End of the `\uXXXX` that holds the byte at `at`; `at` when there is none.
pub(crate) fn unicode_escape_end(raw: &[u8], at: usize) -> usize {
    let is_escape = |start: &usize| {
        let digits = raw.get(start + 2..start + UNICODE_ESCAPE_BYTES).unwrap_or_default();
        has_at(raw, *start, br"\u")
            && digits.len() == UNICODE_ESCAPE_BYTES - 2
            && digits.iter().all(u8::is_ascii_hexdigit)
    };
    let begin = at.saturating_sub(UNICODE_ESCAPE_BYTES - 1);
    // Almost nothing stands behind a backslash, and this is asked for every number.
    if !raw.get(begin..at).unwrap_or_default().contains(&b'\\') {
        return at;
    }
    (begin..at).find(is_escape).map_or(at, |start| start + UNICODE_ESCAPE_BYTES)
}

/// True when the byte before `at` is the letter of `\n`, `\r`, `\t`, `\b` or `\f`.
pub(crate) fn escape_letter_before(raw: &[u8], at: usize) -> bool {
    at > 1 && raw[at - 2] == b'\\' && matches!(raw[at - 1], b'n' | b'r' | b't' | b'b' | b'f')
}

/// True when `byte` behind `before` begins a part of a name as in `taxId`.
pub(crate) fn is_hump(before: u8, byte: u8) -> bool {
    before.is_ascii_lowercase() && byte.is_ascii_uppercase()
}

/// True when the byte at `at` continues the word that ends there.
pub(crate) fn word_after(raw: &[u8], at: usize) -> bool {
    raw.get(at).is_some_and(|b| is_word(*b))
}

/// True at the end of input and before a line break: where an upstream limit cuts a secret.
pub(crate) fn is_line_end(raw: &[u8], at: usize) -> bool {
    raw.get(at).is_none_or(|b| matches!(b, b'\n' | b'\r'))
}

/// Start of the line that holds `at`.
pub(crate) fn line_start(raw: &[u8], at: usize) -> usize {
    let start = memchr::memrchr(b'\n', &raw[..at]).map_or(0, |i| i + 1);
    work::add(at - start);
    start
}

/// End of the line that holds `at`, without its line break.
pub(crate) fn line_end(raw: &[u8], at: usize) -> usize {
    let end = memchr::memchr(b'\n', &raw[at..]).map_or(raw.len(), |i| at + i);
    work::add(end - at);
    end
}

/// True when `raw` has `word` (lower case ASCII) at `at`, in any case.
pub(crate) fn has_at(raw: &[u8], at: usize, word: &[u8]) -> bool {
    raw.get(at..at + word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word))
}

/// Length of `\uXXXX`.
const UNICODE_ESCAPE_BYTES: usize = 6;

/// True when `raw[..end]` ends with `word` (lower case ASCII), in any case.
pub(crate) fn has_before(raw: &[u8], end: usize, word: &[u8]) -> bool {
    end >= word.len() && has_at(raw, end - word.len(), word)
}

/// Counts the bytes that detectors look at; compiled to nothing outside tests.
pub(crate) mod work {
    #[cfg(test)]
    thread_local!(static BYTES: std::cell::Cell<usize> = const { std::cell::Cell::new(0) });

    /// Adds bytes looked at.
    #[inline]
    pub(crate) fn add(bytes: usize) {
        #[cfg(test)]
        BYTES.with(|total| total.set(total.get() + bytes));
        let _ = bytes;
    }

    /// Returns the bytes looked at on this thread since the last call.
    #[cfg(test)]
    pub(crate) fn take() -> usize {
        BYTES.with(|total| total.replace(0))
    }
}

#[cfg(test)]
mod tests {
    use super::{backward, forward, word_before};

    #[test]
    fn walkers_stop_at_their_limits_even_outside_the_input() {
        assert_eq!(forward(b"aaab", 0, 2, |b| b == b'a'), 2);
        assert_eq!(forward(b"aaab", 0, 99, |b| b == b'a'), 3);
        assert_eq!(forward(b"aa", 2, 99, |b| b == b'a'), 2);
        assert_eq!(backward(b"aaab", 3, 1, |b| b == b'a'), 1);
        assert_eq!(backward(b"baaa", 4, 0, |b| b == b'a'), 1);
        assert_eq!(backward(b"a", 0, 5, |b| b == b'a'), 0);
        assert_eq!(forward(b"a", 3, 5, |b| b == b'a'), 3);
    }

    #[test]
    fn the_letter_of_an_escape_is_not_a_word() {
        assert!(word_before(b"xn1", 2));
        assert!(!word_before(br"x\n1", 3));
        assert!(!word_before(br"x\u00221", 7));
        assert!(word_before(br"x\u002g1", 7));
        assert!(word_before(br"\u00224111", 7));
        assert!(!word_before(b" 1", 1));
        assert!(!word_before(b"1", 0));
    }
}
