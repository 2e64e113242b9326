//! Numbers of people and companies that differ by data only: how they are printed, what proves them,
//! and the words people use for them.

use std::ops::Range;

use crate::context::{CONTEXT_BYTES, Digits, follows_word, stands_alone};
use crate::detectors::{Confidence, Detector, Family, Rule};
use crate::haystack::Haystack;
use crate::layouts::has_layout;
use crate::lexis::{forward, word_before};
use crate::spans::Found;

/// A number of digits.
#[derive(Debug)]
pub(crate) struct CheckedNumber {
    /// See [`Rule::entity`].
    pub(crate) entity: &'static str,
    pub(crate) family: Family,
    pub(crate) confidence: Confidence,
    /// See [`Rule::validator`].
    pub(crate) validator: &'static str,
    /// See [`Rule::numbers`].
    pub(crate) numbers: &'static [&'static [u8]],
    /// Names behind which layouts are found that no pattern in `numbers` stands for.
    pub(crate) literals: &'static [&'static str],
    /// How it is printed, with `0` for a digit.
    pub(crate) layouts: &'static [&'static str],
    /// Tells whether a number printed like this needs one of `words` before it.
    pub(crate) needs_word: fn(&[u8]) -> bool,
    pub(crate) words: &'static [&'static str],
    /// Decides about digits in one of the layouts.
    pub(crate) is_valid: fn(&Digits) -> bool,
    /// See [`Rule::positive`].
    pub(crate) positive: &'static [&'static str],
    /// See [`Rule::negative`].
    pub(crate) negative: &'static [&'static str],
}

impl CheckedNumber {
    /// A number that is never found: what others are made from.
    pub(crate) const NONE: Self = Self {
        entity: "",
        family: Family::Personal,
        confidence: Confidence::Certain,
        validator: "",
        numbers: &[],
        literals: &[],
        layouts: &[],
        needs_word: always,
        words: &[],
        is_valid: |_| false,
        positive: &[],
        negative: &[],
    };

    /// True for one of the layouts with valid digits.
    fn is_printed(&self, text: &[u8]) -> bool {
        let digits = Digits::of(text);
        self.layouts.iter().any(|layout| has_layout(text, layout))
            // Fillers such as 111111111 pass many a check.
            && digits.as_slice().iter().any(|d| *d != digits.as_slice()[0])
            && (self.is_valid)(&digits)
    }

    /// Finds the layouts that begin in the [`CONTEXT_BYTES`] from the literal `anchor` on.
    fn find_named(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        // The name of a type in a placeholder names no number.
        if !is_word_begin(raw, anchor.start) || raw.placeholder_around(anchor.start).is_some() {
            return;
        }
        let limit = forward(raw, anchor.end, anchor.start + CONTEXT_BYTES, |b| b != b'\n');
        let mut at = anchor.end;
        while at < limit {
            let start = forward(raw, at, limit, |b| !b.is_ascii_digit());
            if start == limit {
                return;
            }
            at = forward(raw, start, limit, |b| b.is_ascii_digit());
            let ranges = self.layouts.iter().map(|layout| start..start + layout.len());
            let fits = |range: &Range<usize>| {
                raw.get(range.clone()).is_some_and(|text| self.is_printed(text))
                    && !word_before(raw, start)
                    && stands_alone(raw, range)
            };
            let Some(range) = ranges.into_iter().find(fits) else { continue };
            if follows_word(raw, start, self.words) {
                at = range.end;
                found.push(range);
            }
        }
    }
}

impl Detector for CheckedNumber {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: self.entity,
            family: self.family,
            confidence: self.confidence,
            validator: self.validator,
            numbers: self.numbers,
            is_always_named: self.layouts.iter().all(|text| (self.needs_word)(text.as_bytes())),
            words: if (self.needs_word)(b"00000000") { self.words } else { &[] },
            prefixes: self.literals,
            // A placeholder behind a literal is shorter than the number: more come into its reach.
            is_token: self.literals.is_empty(),
            positive: self.positive,
            negative: self.negative,
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        if !raw[anchor.start].is_ascii_digit() {
            return self.find_named(raw, anchor, found);
        }
        let is_unnamed = || !(self.needs_word)(&raw[anchor.clone()]) && !is_in_list(raw, &anchor);
        if !self.is_printed(&raw[anchor.clone()]) {
            return found.never();
        }
        let is_named = || follows_word(raw, anchor.start, self.words);
        if stands_alone(raw, &anchor) && (is_unnamed() || is_named()) {
            found.push(anchor);
        }
    }
}

/// Every layout needs a word.
pub(crate) fn always(_text: &[u8]) -> bool {
    true
}

/// Digits without separators need a word, others do not.
pub(crate) fn when_plain(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_digit)
}

/// Digits divided by hyphens need no word.
pub(crate) fn unless_hyphenated(text: &[u8]) -> bool {
    !text.contains(&b'-')
}

/// True for a date without a century: `yymmdd` in the first six digits.
pub(crate) fn begins_with_date(digits: &Digits) -> bool {
    crate::context::is_day(digits.number(2..4), digits.number(4..6))
}

/// True when a literal at `at` is no end of another word, as `ein` of `protein` is.
fn is_word_begin(raw: &[u8], at: usize) -> bool {
    !word_before(raw, at) || !raw[at - 1].is_ascii_alphabetic() || raw[at].is_ascii_uppercase()
}

/// True for digits divided by spaces among others, or behind a plus: parts of a list or of a phone
/// number.
pub(crate) fn is_in_list(raw: &[u8], range: &Range<usize>) -> bool {
    let at = |index: Option<usize>| index.and_then(|i| raw.get(i)).copied();
    let before = |n| at(range.start.checked_sub(n));
    let is_digit = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_digit());
    raw[range.clone()].contains(&b' ')
        && (before(1) == Some(b'+')
            || before(1) == Some(b' ') && is_digit(before(2))
            || at(Some(range.end)) == Some(b' ') && is_digit(at(Some(range.end + 1))))
}

/// The last digits with which `body` is a valid number.
#[cfg(test)]
pub(crate) fn check_digits(number: &CheckedNumber, body: &str) -> String {
    let is_valid = |d: &char| (number.is_valid)(&Digits::of(format!("{body}{d}").as_bytes()));
    ('0'..='9').filter(is_valid).collect()
}

/// How many of all pairs of last digits make `body` a valid number.
#[cfg(test)]
pub(crate) fn n_check_pairs(number: &CheckedNumber, body: &str) -> usize {
    let is_valid = |n: &u32| (number.is_valid)(&Digits::of(format!("{body}{n:02}").as_bytes()));
    (0..100).filter(is_valid).count()
}

/// How many of the ten last digits that can follow `body` pass `is_valid`.
#[cfg(test)]
pub(crate) fn n_valid_ends(is_valid: fn(&Digits) -> bool, body: &str) -> usize {
    (0..10).filter(|end| is_valid(&Digits::of(format!("{body}{end}").as_bytes()))).count()
}

/// Asserts that `is_valid` rejects `good` as soon as any one digit is another.
#[cfg(test)]
#[track_caller]
pub(crate) fn assert_every_digit_counts(is_valid: fn(&Digits) -> bool, good: &str) {
    assert!(is_valid(&Digits::of(good.as_bytes())), "{good}");
    for place in 0..good.len() {
        for digit in (b'0'..=b'9').filter(|d| *d != good.as_bytes()[place]) {
            let mut bad = good.as_bytes().to_vec();
            bad[place] = digit;
            assert!(!is_valid(&Digits::of(&bad)), "{}", String::from_utf8_lossy(&bad));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CheckedNumber, is_in_list};
    use crate::detectors::Detector;
    use crate::haystack::{Haystack, Names};
    use crate::spans::Found;

    #[test]
    fn parts_of_lists_and_phone_numbers_are_known() {
        let is = |text: &str| {
            let start = text.find("401").unwrap();
            is_in_list(text.as_bytes(), &(start..start + 12))
        };
        for text in ["401 023 2137", "id 401 023 2137 x", "1, 401 023 2137, 2", "1 401-023-2137"] {
            assert!(!is(text), "{text}");
        }
        for text in ["1 401 023 2137", "401 023 2137 1", "+401 023 2137"] {
            assert!(is(text), "{text}");
        }
    }

    const NUMBER: CheckedNumber = CheckedNumber {
        layouts: &["00-0000000"],
        words: &["ein"],
        is_valid: |_| true,
        ..CheckedNumber::NONE
    };

    #[track_caller]
    fn check_named(text: &str, want: &[&str]) {
        let names = Names::new(["US_EIN"].into_iter());
        let raw = Haystack::new(text.as_bytes(), &names);
        let start = text.to_ascii_lowercase().find("ein").unwrap();
        let mut found = Found::default();
        NUMBER.find(&raw, start..start + 3, &mut found);
        assert_eq!(found.take().0.map(|r| &text[r]).collect::<Vec<_>>(), want, "{text}");
    }

    #[test]
    fn numbers_near_a_literal_are_found_behind_it_only() {
        check_named("EIN 12-3456789", &["12-3456789"]);
        check_named("companyEin:12-3456789,98-7654321", &["12-3456789", "98-7654321"]);
        check_named(r#"{"ein":1,"a":"x12-3456789"}"#, &[]);
        check_named("12-3456789 ein 112-3456789 12-34567890 12-345678", &[]);
        check_named("protein 12-3456789", &[]);
        check_named("einer 12-3456789", &[]);
        check_named("[US_EIN] 12-3456789", &[]);
        check_named("ein\n12-3456789", &[]);
        check_named(&format!("ein {}12-3456789", ".".repeat(44)), &[]);
    }
}
