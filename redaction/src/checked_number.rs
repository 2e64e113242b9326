//! Numbers of people that differ by data only: how they are grouped, what proves them, and the words
//! people use for them.

use std::ops::Range;

use crate::context::{Digits, follows_word, stands_alone};
use crate::detectors::{Confidence, Detector, Family, Rule};
use crate::haystack::Haystack;
use crate::layouts::{COMPACT_BYTES_MAX, Compact, has_layout, word_around, words_behind};
use crate::shapes::Shape;

/// A number of digits.
#[derive(Debug)]
pub(crate) struct CheckedNumber {
    /// See [`Rule::entity`].
    pub(crate) entity: &'static str,
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

    fn fits(&self, raw: &Haystack<'_>, range: &Range<usize>) -> bool {
        let text = &raw[range.clone()];
        let digits = Digits::of(text);
        self.layouts.iter().any(|layout| has_layout(text, layout))
            // Fillers such as 111111111 pass many a check.
            && digits.as_slice().iter().any(|d| *d != digits.as_slice()[0])
            && (self.is_valid)(&digits)
            && stands_alone(raw, range)
    }
}

impl Detector for CheckedNumber {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: self.entity,
            family: Family::Personal,
            confidence: self.confidence,
            validator: self.validator,
            numbers: self.numbers,
            literals: self.literals,
            positive: self.positive,
            negative: self.negative,
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Vec<Range<usize>>) {
        if raw[anchor.start].is_ascii_digit() {
            let is_unnamed = !(self.needs_word)(&raw[anchor.clone()]) && !is_in_list(raw, &anchor);
            if self.fits(raw, &anchor)
                && (is_unnamed || follows_word(raw, anchor.start, self.words))
            {
                found.push(anchor);
            }
            return;
        }
        for start in words_behind(raw, &anchor) {
            let ranges = self.layouts.iter().map(|layout| start..start + layout.len());
            let is_found = |range: &Range<usize>| range.end <= raw.len() && self.fits(raw, range);
            if let Some(range) = ranges.into_iter().find(is_found) {
                found.push(range);
                return;
            }
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

/// True for digits and a letter that could as well be an amount with its unit, or a number of Java's:
/// `12345678B`, `1234567L`. What stands in quotes is none.
pub(crate) fn is_amount(raw: &Haystack<'_>, range: &Range<usize>) -> bool {
    let is_quote = |b: u8| matches!(b, b'"' | b'\'');
    let before = range.start.checked_sub(1).map(|i| raw[i]);
    let is_quoted = before.is_some_and(is_quote)
        && raw.get(range.end).is_some_and(|b| Some(*b) == before || *b == b'\\');
    let text = &raw[range.clone()];
    !is_quoted && text[0].is_ascii_digit() && text.last().is_some_and(|b| b"BDFGKLMPT".contains(b))
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

/// A number with letters at fixed places.
#[derive(Debug)]
pub(crate) struct LetteredNumber {
    /// See [`Rule::entity`].
    pub(crate) entity: &'static str,
    pub(crate) confidence: Confidence,
    /// See [`Rule::validator`].
    pub(crate) validator: &'static str,
    /// See [`Rule::shapes`].
    pub(crate) shapes: &'static [Shape],
    /// See [`Rule::numbers`].
    pub(crate) numbers: &'static [&'static [u8]],
    /// Names behind which it is found in either case, and with separators anywhere.
    pub(crate) literals: &'static [&'static str],
    /// How it is printed without separators, as [`has_layout`] reads it.
    pub(crate) layouts: &'static [&'static str],
    /// Tells whether what is printed there needs one of `words` before it.
    pub(crate) needs_word: fn(&Haystack<'_>, &Range<usize>) -> bool,
    pub(crate) words: &'static [&'static str],
    /// Decides about letters and digits in one of the layouts.
    pub(crate) is_valid: fn(&[u8]) -> bool,
    /// Like `is_valid`, for what stands behind one of `literals`.
    pub(crate) is_valid_named: fn(&[u8]) -> bool,
    /// See [`Rule::positive`].
    pub(crate) positive: &'static [&'static str],
    /// See [`Rule::negative`].
    pub(crate) negative: &'static [&'static str],
}

impl LetteredNumber {
    /// A number that is never found: what others are made from.
    pub(crate) const NONE: Self = Self {
        entity: "",
        confidence: Confidence::Certain,
        validator: "",
        shapes: &[Shape::DigitsAndLetter],
        numbers: &[],
        literals: &[],
        layouts: &[],
        needs_word: |_, _| false,
        words: &[],
        is_valid: |_| false,
        is_valid_named: |_| false,
        positive: &[],
        negative: &[],
    };

    fn has_layout(&self, text: &[u8]) -> bool {
        self.layouts.iter().any(|layout| has_layout(text, layout))
    }

    fn find_word(&self, raw: &Haystack<'_>, at: usize) -> Option<Range<usize>> {
        let range = with_letters(raw, word_around(raw, at, COMPACT_BYTES_MAX)?);
        let n_hyphens = raw[range.clone()].iter().filter(|b| **b == b'-').count();
        let (compact, end) = Compact::read(raw, range.start, range.len() - n_hyphens)?;
        let is_found = end == range.end
            && !raw[range.clone()].iter().any(u8::is_ascii_lowercase)
            && self.has_layout(compact.as_slice())
            && (self.is_valid)(compact.as_slice())
            && stands_alone(raw, &range)
            && (!(self.needs_word)(raw, &range) || follows_word(raw, range.start, self.words));
        is_found.then_some(range)
    }

    fn find_named(&self, raw: &Haystack<'_>, start: usize) -> Option<Range<usize>> {
        self.layouts.iter().find_map(|layout| {
            let (compact, end) = Compact::read(raw, start, layout.len())?;
            let is_found = has_layout(compact.as_slice(), layout)
                && (self.is_valid_named)(compact.as_slice())
                && stands_alone(raw, &(start..end));
            is_found.then_some(start..end)
        })
    }
}

/// Adds a letter that a hyphen joins to either end: `X-1234567L`, `12345678-Z`.
fn with_letters(raw: &[u8], word: Range<usize>) -> Range<usize> {
    let letter = |part: Option<&[u8]>| match part {
        Some([b'-', letter] | [letter, b'-']) => letter.is_ascii_alphabetic(),
        _ => false,
    };
    let has_before = letter(word.start.checked_sub(2).and_then(|i| raw.get(i..word.start)));
    let has_after = letter(raw.get(word.end..word.end + 2));
    word.start - if has_before { 2 } else { 0 }..word.end + if has_after { 2 } else { 0 }
}

impl Detector for LetteredNumber {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: self.entity,
            family: Family::Personal,
            confidence: self.confidence,
            validator: self.validator,
            shapes: self.shapes,
            numbers: self.numbers,
            literals: self.literals,
            positive: self.positive,
            negative: self.negative,
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Vec<Range<usize>>) {
        if anchor.len() == 1 || raw[anchor.start].is_ascii_digit() {
            found.extend(self.find_word(raw, anchor.start));
        } else {
            found.extend(words_behind(raw, &anchor).find_map(|at| self.find_named(raw, at)));
        }
    }
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

/// The letters with which `before` and `after` around them are a valid number.
#[cfg(test)]
pub(crate) fn check_letters(number: &LetteredNumber, before: &str, after: &str) -> String {
    let is_valid = |c: &char| (number.is_valid)(format!("{before}{c}{after}").as_bytes());
    ('A'..='Z').filter(is_valid).collect()
}

#[cfg(test)]
mod tests {
    use super::{is_in_list, with_letters};

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

    #[test]
    fn letters_joined_by_hyphens_belong_to_the_number() {
        let is = |text: &str, want: &str| {
            let start = text.find("123").unwrap();
            let range = with_letters(text.as_bytes(), start..start + 3);
            assert_eq!(&text[range], want, "{text}");
        };
        is("X-123-L", "X-123-L");
        is("-123-", "123");
        is("123", "123");
        is("1-123-4", "123");
    }
}
