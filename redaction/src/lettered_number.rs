//! Numbers of people with letters at fixed places, which differ by data only.

use std::ops::Range;

use crate::context::{follows_word, stands_alone};
use crate::detectors::{Confidence, Detector, Family, Rule};
use crate::haystack::Haystack;
use crate::layouts::{COMPACT_BYTES_MAX, Compact, has_layout, word_around, words_behind};
use crate::shapes::Shape;
use crate::spans::Found;

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
            prefixes: self.literals,
            // A placeholder behind a literal is shorter than the number: more come into its reach.
            is_token: self.literals.is_empty(),
            positive: self.positive,
            negative: self.negative,
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        if anchor.len() == 1 || raw[anchor.start].is_ascii_digit() {
            found.extend(self.find_word(raw, anchor.start));
        } else {
            found.extend(words_behind(raw, &anchor).find_map(|at| self.find_named(raw, at)));
        }
    }
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

/// The letters with which `before` and `after` around them are a valid number.
#[cfg(test)]
pub(crate) fn check_letters(number: &LetteredNumber, before: &str, after: &str) -> String {
    let is_valid = |c: &char| (number.is_valid)(format!("{before}{c}{after}").as_bytes());
    ('A'..='Z').filter(is_valid).collect()
}

#[cfg(test)]
mod tests {
    use super::with_letters;

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
