//! A second look at redacted text, for what looks like PII or a secret and stayed.
//!
//! Looser than the detectors and without context, so a suspect is not a leak: a rising count says
//! that somebody should look.

use crate::context::{Digits, passes_luhn};
use crate::lexis::{backward, forward};

/// Kinds of suspects, as metrics name them.
pub(crate) const KINDS: [&str; 3] = ["email", "card", "token"];

/// Fewest bytes of a word that may be a token.
const TOKEN_BYTES_MIN: usize = 32;
/// Longest word looked at.
const WORD_BYTES_MAX: usize = 256;

/// Number of suspects of each kind in redacted `text`.
pub(crate) fn count(text: &[u8]) -> [u64; 3] {
    let mut counts = [0; 3];
    let mut at = 0;
    while at < text.len() {
        let start = forward(text, at, text.len(), |b| !is_word(b));
        let end = forward(text, start, start + WORD_BYTES_MAX, is_word);
        let word = &text[start..end];
        let is_suspect = [is_email, is_card, is_token];
        if let Some(kind) = is_suspect.iter().position(|is_suspect| is_suspect(word)) {
            counts[kind] += 1;
        }
        at = end.max(start + 1);
    }
    counts
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'@' | b'.' | b'_' | b'-' | b'+')
}

fn is_email(word: &[u8]) -> bool {
    let Some(at) = memchr::memchr(b'@', word) else { return false };
    let domain = &word[at + 1..];
    let top_level = domain.len() - backward(domain, domain.len(), 0, |b| b.is_ascii_lowercase());
    let Some(host) = domain.len().checked_sub(top_level + 1).map(|dot| &domain[..dot]) else {
        return false;
    };
    // `Object@7d3d101b.run` is what Java prints of an object.
    let is_hash = host.iter().all(u8::is_ascii_hexdigit);
    at > 0 && (2..=6).contains(&top_level) && domain[host.len()] == b'.' && !is_hash
}

fn is_card(word: &[u8]) -> bool {
    (15..=16).contains(&word.len())
        && word.iter().all(u8::is_ascii_digit)
        && matches!(word[0], b'3'..=b'6')
        && passes_luhn(Digits::of(word).as_slice())
}

/// True for letters of both cases and digits in a mix that names do not have.
fn is_token(word: &[u8]) -> bool {
    let count = |is: fn(&u8) -> bool| word.iter().filter(|b| is(b)).count();
    let n_changes = word.windows(2).filter(|w| kind(w[0]) != kind(w[1])).count();
    word.len() >= TOKEN_BYTES_MIN
        && count(u8::is_ascii_digit) >= 4
        && count(u8::is_ascii_uppercase) >= 4
        && count(u8::is_ascii_lowercase) >= 4
        && !word.contains(&b'.')
        && n_changes * 3 >= word.len()
}

fn kind(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => 0,
        b'A'..=b'Z' => 1,
        b'a'..=b'z' => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn what_looks_like_a_leak_is_counted_and_names_of_logs_are_not() {
        let suspects =
            b"to joe@example.com card 4111111111111111 x q0Zx8L2mP1kT5vB9nR4wY7cD3fG6hJ8s";
        assert_eq!(count(suspects), [1, 1, 1]);
        let clean = b"[EMAIL] Object@7d3d101b.run 1718907841998 application_1718907841998_0001 \
            org.apache.spark.sql.execution.WholeStageCodegenExec 0123456789abcdef0123456789abcdef \
            part-00000-41111111-1111-4111-8111-411111111111-c000.snappy.parquet user@host";
        assert_eq!(count(clean), [0, 0, 0]);
    }
}
