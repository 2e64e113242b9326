//! Finds the value that a word names, in keys and in prose: `passport_no=`, `"dateOfBirth":"`,
//! `DL#`, `dob#12 = `, `my passport number is `.
//!
//! Knows nothing of what the words or values mean.

use std::ops::Range;

use crate::assignment::{key_start, opening_quote, value_start};
use crate::context::word_end;
use crate::haystack::Haystack;
use crate::lexis::{escape_letter_before, forward, has_at, is_hump, skip_blanks, word_after};

/// Words that a key or a phrase may have between what it names and the value.
const SUFFIXES: &[&str] = &[
    " number", " numbers", " num", " no", " nr", " id", " code", " value", " val", " str", " text",
];
/// Most such words.
const SUFFIXES_MAX: usize = 3;
/// Words of prose before a value.
const FILLERS: &[&[u8]] = &[b"is", b"was", b"on", b"at", b"number", b"no", b"nr", b"in"];
/// Most words of prose before a value.
const FILLERS_MAX: usize = 3;

/// Where a named value begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Value {
    /// Behind what opens a quoted value.
    pub(crate) at: usize,
    /// False when nothing but words and blanks stand between: prose, perhaps.
    pub(crate) is_joined: bool,
    /// True when one of [`SUFFIXES`] or a `#` says that a number follows.
    pub(crate) is_numbered: bool,
}

/// True when a word or a part of a name begins at `at`: behind no letter, or as in `taxId`.
pub(crate) fn begins_word(raw: &[u8], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|i| raw[i]) else { return true };
    let is_letter = before.is_ascii_alphabetic() || before >= 0x80;
    let is_part = raw.get(at).is_some_and(|byte| is_hump(before, *byte));
    !is_letter || is_part || escape_letter_before(raw, at)
}

/// The value that `word` names; `own` are further words that may follow it, as [`word_end`]
/// takes them, and endings of it.
///
/// Nothing when the key goes on with other words (`phone_count=`), or when what stands there was
/// redacted before.
pub(crate) fn value_after(raw: &Haystack<'_>, word: Range<usize>, own: &[&str]) -> Option<Value> {
    let word_end = plural_end(raw, word.end);
    let (name_end, is_numbered) = skip_suffixes(raw, word_end, own);
    let index = forward(raw, name_end, name_end + 1, |b| b == b'_');
    let index = forward(raw, index, index + 2, |b| b.is_ascii_digit());
    let end = if word_after(raw, name_end) { index } else { name_end };
    if word_after(raw, end) {
        return None;
    }
    let end = skip_expression_id(raw, end);
    let begin = key_start(raw, word.start);
    let joined = value_start(raw, begin, end).or_else(|| {
        // `no.: x`: the dot belongs to the abbreviation.
        let is_short = raw.get(end) == Some(&b'.');
        is_short.then(|| value_start(raw, begin, end + 1)).flatten()
    });
    let value = match joined {
        Some((at, _)) => Value { at: skip_opening(raw, at), is_joined: true, is_numbered },
        None => prose(raw, end, is_numbered)?,
    };
    (raw.get(value.at).is_some() && raw.placeholder_end(value.at).is_none()).then_some(value)
}

/// Skips the `s` of `phones`.
fn plural_end(raw: &[u8], at: usize) -> usize {
    let end = forward(raw, at, at + 1, |b| b.eq_ignore_ascii_case(&b's'));
    if raw.get(end).is_some_and(u8::is_ascii_lowercase) { at } else { end }
}

/// End of the words that go on a name, and whether there are any: an ending such as the `e` of
/// `mobile` is none.
fn skip_suffixes(raw: &[u8], mut at: usize, own: &[&str]) -> (usize, bool) {
    let mut is_numbered = false;
    for _ in 0..SUFFIXES_MAX {
        let next = own.iter().chain(SUFFIXES).find_map(|word| {
            let is_whole = |end: &usize| raw.get(*end).is_none_or(|b| !b.is_ascii_lowercase());
            word_end(raw, at, word).filter(is_whole).map(|end| (end, word.starts_with(' ')))
        });
        let Some((end, is_word)) = next else { break };
        at = end;
        is_numbered |= is_word;
    }
    (at, is_numbered)
}

/// Skips the number that Spark prints behind an attribute of a plan: `dob#12 = `.
fn skip_expression_id(raw: &[u8], at: usize) -> usize {
    if raw.get(at) != Some(&b'#') {
        return at;
    }
    let end = forward(raw, at + 1, at + 9, |b| b.is_ascii_digit());
    let operator = skip_blanks(raw, forward(raw, end, end + 1, |b| b == b'L'));
    if raw.get(operator) == Some(&b'=') { operator } else { at }
}

fn prose(raw: &Haystack<'_>, end: usize, is_numbered: bool) -> Option<Value> {
    let mut value = Value { at: skip_blanks(raw, end), is_joined: false, is_numbered };
    for _ in 0..FILLERS_MAX {
        let is_mark = |b: u8| matches!(b, b'#' | b'.' | b':');
        let mark = forward(raw, value.at, value.at + 2, is_mark);
        value.is_numbered |= raw.get(value.at) == Some(&b'#');
        let word = FILLERS.iter().find(|word| {
            has_at(raw, value.at, word)
                && matches!(raw.get(value.at + word.len()), Some(b' ' | b':'))
        });
        let next = word.map_or(mark, |word| value.at + word.len());
        if next == value.at {
            break;
        }
        value.at = skip_blanks(raw, next);
    }
    // A value that touches its word is a part of the word.
    (value.at > end).then(|| Value { at: skip_opening(raw, value.at), ..value })
}

/// Skips what opens a value: a quote, also an escaped one, and the bracket of a list.
fn skip_opening(raw: &Haystack<'_>, at: usize) -> usize {
    let is_list = raw.get(at) == Some(&b'[') && raw.placeholder_end(at).is_none();
    let at = at + usize::from(is_list);
    if has_at(raw, at, br"\u0022") || has_at(raw, at, br"\u0027") {
        return at + 6;
    }
    opening_quote(raw, at).map_or(at, |quote| quote + 1)
}

#[cfg(test)]
mod tests {
    use super::{Value, begins_word, value_after};
    use crate::haystack::{Haystack, Names};

    #[track_caller]
    fn value(text: &str) -> Option<Value> {
        let names = Names::new(["PASSPORT"].into_iter());
        let raw = Haystack::new(text.as_bytes(), &names);
        let start = text.to_ascii_lowercase().find("passport").unwrap();
        value_after(&raw, start..start + 8, &[" holder"])
    }

    #[test]
    fn values_are_found_behind_keys_of_every_style_and_in_prose() {
        for text in ["passport=X1", "passport_no: X1", "\"passportNumber\":\"X1\"", "passport X1"]
            .into_iter()
            .chain([r"\u0022passport\u0022:\u0022X1", "(passport,X1)", "passport#12 = X1"])
            .chain(["passport no.: X1", "Passport # X1", "passport is X1", "passport2=X1"])
            .chain(["PASSPORT_ID='X1'", "passport number is: X1", "passport holder X1"])
            .chain(["passport#X1", r#"{\"passport\":\"X1\"}"#, "<passport>X1</passport>"])
            .chain([r#""passport":["X1"]"#, "passports: [X1]"])
        {
            assert_eq!(value(text).map(|v| &text[v.at..v.at + 2]), Some("X1"), "{text}");
        }
    }

    #[test]
    fn other_keys_and_redacted_values_have_none() {
        for text in ["passport_count=X1", "passportX1", "passport", "passport=", "passportss X1"]
            .into_iter()
            .chain([
                "passport=[PASSPORT]",
                "passport no [PASSPORT]",
                "passport\nX1",
                "passport=['[PASSPORT]']",
            ])
        {
            let found = value(text);
            assert!(found.is_none_or(|v| text.as_bytes()[v.at] == b'\n'), "{text}: {found:?}");
        }
    }

    #[test]
    fn prose_and_numbers_are_told_apart() {
        let is = |text| value(text).map(|v| (v.is_joined, v.is_numbered));
        assert_eq!(is("passport=X1"), Some((true, false)));
        assert_eq!(is("passport_no=X1"), Some((true, true)));
        assert_eq!(is("passport X1"), Some((false, false)));
        assert_eq!(is("passport # X1"), Some((false, true)));
    }

    #[test]
    fn words_begin_behind_no_letter_or_at_a_hump() {
        for (text, want) in [("dob", true), ("my dob", true), ("myDob", true), ("my_dob", true)] {
            assert_eq!(begins_word(text.as_bytes(), text.len() - 3), want, "{text}");
        }
        for text in ["adob", "MYDOB", "édob"] {
            assert!(!begins_word(text.as_bytes(), text.len() - 3), "{text}");
        }
        assert!(begins_word(br"x\ndob", 3));
    }
}
