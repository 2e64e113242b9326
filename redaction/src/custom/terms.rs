//! Rules that are a list of terms, found as words of their own.

use std::ops::Range;

use crate::haystack::Haystack;
use crate::lexis::{is_word, word_after, word_before, work};
use crate::literals::LITERAL_BYTES_MIN;
use crate::spans::Found;

/// Most terms of a rule.
pub(super) const TERMS_MAX: usize = 100_000;
/// Longest term.
pub(super) const TERM_BYTES_MAX: usize = 256;
/// Fewest characters of a term: single letters are everywhere.
pub(super) const TERM_CHARS_MIN: usize = 2;
/// Most terms that are looked for as literals; more of them are a dictionary.
const LITERALS_MAX: usize = 16;

/// True when the terms can be literals of the engine.
pub(super) fn are_literals(terms: &[String]) -> bool {
    terms.len() <= LITERALS_MAX && terms.iter().all(|term| term.len() >= LITERAL_BYTES_MIN)
}

/// What is wrong with the term, as a part of a sentence.
pub(super) fn flaw(term: &str) -> Option<String> {
    if term.chars().count() < TERM_CHARS_MIN {
        Some(format!("is too short: terms have at least {TERM_CHARS_MIN} characters"))
    } else if term.len() > TERM_BYTES_MAX {
        Some(format!("has {} bytes: terms have at most {TERM_BYTES_MAX}", term.len()))
    } else if term.chars().any(char::is_control) {
        Some("holds a control character: remove it".to_owned())
    } else if term.trim() != term {
        Some("begins or ends with a blank: remove it".to_owned())
    } else {
        None
    }
}

/// True when the term at `range` is a word of its own, and no part of a placeholder.
///
/// Where a term begins or ends with punctuation, anything may stand beside it.
pub(super) fn is_alone(raw: &Haystack<'_>, range: &Range<usize>) -> bool {
    let is_part = is_word(raw[range.start]) && word_before(raw, range.start)
        || is_word(raw[range.end - 1]) && word_after(raw, range.end);
    work::add(range.len());
    !is_part
        && raw.placeholder_around(range.start).is_none()
        && raw.placeholder_around(range.end).is_none()
}

/// Hides the longest of `terms` that begins where `anchor` does.
pub(super) fn find(terms: &[String], raw: &Haystack<'_>, anchor: &Range<usize>, found: &mut Found) {
    let start = anchor.start;
    let at_anchor = terms.iter().map(|term| start..start + term.len()).zip(terms);
    let longest = at_anchor
        .filter(|(range, term)| {
            raw.get(range.clone()).is_some_and(|text| text.eq_ignore_ascii_case(term.as_bytes()))
                && is_alone(raw, range)
        })
        .map(|(range, _)| range)
        .max_by_key(|range| range.end);
    found.extend(longest);
    // Another term may begin inside this one and go on behind it.
    found.looked_until(start + 1);
}
