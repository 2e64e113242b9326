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

/// Letters outside of ASCII up to which a term is looked for in every mixture of their cases.
const MIXED_LETTERS_MAX: u32 = 3;
/// Most bytes that the spellings of a rule's terms have; terms beyond it are as they are written.
const SPELLINGS_BYTES_MAX: usize = 4 << 20;

/// The terms with the cases that the search does not know of itself, which are those outside of
/// ASCII: all mixtures where such letters are few, else all small and all capital. A letter whose
/// other case is several letters, as `ß`, has none.
pub(super) fn spellings(terms: &[String]) -> Vec<String> {
    let mut all = terms.to_vec();
    let mut n_bytes: usize = all.iter().map(String::len).sum();
    for term in terms.iter().filter(|term| !term.is_ascii()) {
        let n_letters = term.chars().filter(|letter| has_cases(*letter)).count();
        let masks: Vec<u32> = match u32::try_from(n_letters) {
            Ok(n) if n <= MIXED_LETTERS_MAX => (0..1 << n).collect(),
            _ => vec![0, u32::MAX],
        };
        for mask in masks {
            let spelling = spelling(term, mask);
            if spelling != *term && n_bytes + spelling.len() <= SPELLINGS_BYTES_MAX {
                n_bytes += spelling.len();
                all.push(spelling);
            }
        }
    }
    all
}

/// The term with its n-th letter outside of ASCII as a capital where bit n of `capitals` is set.
fn spelling(term: &str, capitals: u32) -> String {
    let mut n = 0;
    let spell = |letter: char| {
        if !has_cases(letter) {
            return letter;
        }
        let is_capital = capitals.checked_shr(n).unwrap_or(capitals) & 1 == 1;
        n += 1;
        let other =
            if is_capital { single(letter.to_uppercase()) } else { single(letter.to_lowercase()) };
        other.unwrap_or(letter)
    };
    term.chars().map(spell).collect()
}

/// True for a letter outside of ASCII that has one small and one capital form.
fn has_cases(letter: char) -> bool {
    let (lower, upper) = (single(letter.to_lowercase()), single(letter.to_uppercase()));
    !letter.is_ascii() && lower.is_some() && upper.is_some() && lower != upper
}

/// The only one of `letters`.
fn single(mut letters: impl Iterator<Item = char>) -> Option<char> {
    letters.next().filter(|_| letters.next().is_none())
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
