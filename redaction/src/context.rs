//! Whether a number or a word stands alone, and whether the text before it says what it is.

use std::ops::Range;

use crate::haystack::Haystack;
use crate::lexis::{backward, is_hump, word_after, word_before, work};

/// How far before a finding the word that names it may begin.
pub(crate) const CONTEXT_BYTES: usize = 48;

/// True when one of `words` begins in the [`CONTEXT_BYTES`] before `start`, on the same line.
///
/// Words are lower case and match in any case, as words of their own or of a name in any style:
/// `nhs` is found in `NHS no`, `nhs_number` and `nhsNumber`, not in `unhsx`. A space in a word stands for
/// one space, hyphen, dot, underscore or nothing: `tax id` is found in `taxId`. Words in placeholders do
/// not count.
pub(crate) fn follows_word(raw: &Haystack<'_>, start: usize, words: &[&str]) -> bool {
    follows_word_within(raw, start, words, CONTEXT_BYTES)
}

/// [`follows_word`], in the `n_bytes` before `start`.
pub(crate) fn follows_word_within(
    raw: &Haystack<'_>,
    start: usize,
    words: &[impl AsRef<str>],
    n_bytes: usize,
) -> bool {
    let begin = backward(raw, start, start.saturating_sub(n_bytes), |b| b != b'\n');
    // The reach may begin within a placeholder.
    let mut at = raw.placeholder_around(begin).map_or(begin, |placeholder| placeholder.end);
    while at < start {
        if raw[at] == b'[' {
            at = raw.placeholder_end(at).unwrap_or(at + 1);
            continue;
        }
        let is_begin = at == 0 || begins_part(raw[at - 1], raw[at]);
        let is_word = |word: &str| {
            word_end(raw, at, word).is_some_and(|end| {
                end <= start && raw.get(end).is_none_or(|b| !b.is_ascii_lowercase())
            })
        };
        if is_begin && words.iter().any(|word| is_word(word.as_ref())) {
            return true;
        }
        at += 1;
    }
    false
}

/// The beginnings of many words, to tell quickly that none of them is near.
#[derive(Debug)]
pub(crate) struct Beginnings {
    /// One bit a hash, for beginnings of 2, of 3, of 4 and of 5 letters.
    hashes: Box<[[u64; Self::N_SLOTS / 64]; 4]>,
    /// By the first two letters: bit `n` when some beginning of `n` letters has them. Tells nearly all
    /// other words apart.
    pairs: Box<[u8; 1 << 10]>,
    /// Some word begins with a letter that is not ASCII: any such letter may be its beginning.
    has_other_scripts: bool,
}

impl Beginnings {
    const N_SLOTS: usize = 1 << 12;
    /// Letters of a beginning.
    const LETTERS: std::ops::RangeInclusive<usize> = 2..=5;

    pub(crate) fn new() -> Self {
        Self {
            hashes: Box::new([[0; Self::N_SLOTS / 64]; 4]),
            pairs: Box::new([0; 1 << 10]),
            has_other_scripts: false,
        }
    }

    /// Adds the words of one rule; false when they are too short to be told by their beginnings.
    pub(crate) fn add(&mut self, words: &[&str]) -> bool {
        let (least, most) = (*Self::LETTERS.start(), *Self::LETTERS.end());
        let beginning = |word: &str| word.find(' ').unwrap_or(word.len()).min(most);
        if words.is_empty() || words.iter().any(|word| beginning(word) < least) {
            return false;
        }
        for word in words {
            // Where words of other scripts begin is not known to the masks.
            if !word.as_bytes()[0].is_ascii() {
                self.has_other_scripts = true;
                continue;
            }
            let n_letters = beginning(word);
            let letters = word.bytes().take(n_letters).rev();
            let letters = letters.fold(0, |all, byte| all << 8 | u64::from(byte));
            let slot = Self::slot(letters);
            self.hashes[n_letters - least][slot / 64] |= 1 << (slot % 64);
            self.pairs[Self::pair(letters)] |= 1 << n_letters;
        }
        true
    }

    /// False when [`follows_word`] is false for every word that was added.
    pub(crate) fn any_before(&self, raw: &[u8], start: usize) -> bool {
        let begin = start.saturating_sub(CONTEXT_BYTES);
        let text = &raw[begin..start];
        work::add(text.len());
        let mut before = begin.checked_sub(1).map_or(b' ', |i| raw[i]);
        self.may_begin_in_other_scripts(text)
            || text.iter().enumerate().any(|(at, byte)| {
                let is_begin = begins_part(before, *byte);
                before = *byte;
                is_begin && self.begins(&text[at..])
            })
    }

    /// [`any_before`](Self::any_before), for words that begin where `starts` has a bit: bit 63 is the
    /// byte before `start`.
    pub(crate) fn any_at(&self, raw: &[u8], start: usize, starts: u64) -> bool {
        let mut starts = starts >> (64 - CONTEXT_BYTES) << (64 - CONTEXT_BYTES);
        while starts != 0 {
            let n_before = 64 - starts.trailing_zeros() as usize;
            starts &= starts - 1;
            if start >= n_before && self.begins(&raw[start - n_before..start]) {
                return true;
            }
        }
        self.may_begin_in_other_scripts(&raw[start.saturating_sub(CONTEXT_BYTES)..start])
    }

    fn may_begin_in_other_scripts(&self, text: &[u8]) -> bool {
        self.has_other_scripts && !text.is_ascii()
    }

    fn begins(&self, text: &[u8]) -> bool {
        let letters = match text.first_chunk() {
            Some(bytes) => u64::from_le_bytes(*bytes),
            None => text.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte)),
        };
        let mut lengths = self.pairs[Self::pair(letters)];
        while lengths != 0 {
            let n = lengths.trailing_zeros() as usize;
            lengths &= lengths - 1;
            let slot = Self::slot(letters & ((1 << (8 * n)) - 1));
            let hashes = &self.hashes[n - Self::LETTERS.start()];
            if n <= text.len() && hashes[slot / 64] >> (slot % 64) & 1 != 0 {
                return true;
            }
        }
        false
    }

    /// Of two letters the bits that do not depend on their case.
    fn pair(letters: u64) -> usize {
        (letters & 0x1f | letters >> 3 & 0x3e0) as usize
    }

    fn slot(letters: u64) -> usize {
        let folded = letters | 0x2020_2020_2020;
        (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52) as usize
    }
}

/// True when a part of a name begins with `byte`: behind what is no letter, or as in `taxId`.
fn begins_part(before: u8, byte: u8) -> bool {
    !before.is_ascii_alphabetic() || is_hump(before, byte)
}

/// End of `word` if it stands at `at`. See [`follows_word`] for what a space stands for.
pub(crate) fn word_end(raw: &[u8], at: usize, word: &str) -> Option<usize> {
    let mut end = at;
    for byte in word.bytes() {
        let next = raw.get(end).copied();
        if byte == b' ' {
            end += usize::from(matches!(next, Some(b' ' | b'_' | b'-' | b'.')));
        } else if next.is_some_and(|b| b.eq_ignore_ascii_case(&byte)) {
            end += 1;
        } else {
            return None;
        }
        work::add(1);
    }
    Some(end)
}

/// False inside words, decimals, negative numbers, and names of parts joined by hyphens.
pub(crate) fn stands_alone(raw: &[u8], range: &Range<usize>) -> bool {
    let before = |n: usize| range.start.checked_sub(n).map(|i| raw[i]);
    let after = |n: usize| raw.get(range.end + n).copied();
    let is_digit = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_digit());
    let is_alphanumeric = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    let is_decimal = before(1) == Some(b'.') && is_digit(before(2))
        || after(0) == Some(b'.') && is_digit(after(1));
    let is_negative = before(1) == Some(b'-') && !is_alphanumeric(before(2));
    let has_more = before(1) == Some(b'-') && is_digit(before(2))
        || after(0) == Some(b'-') && is_alphanumeric(after(1));
    let is_part = word_before(raw, range.start) || word_after(raw, range.end);
    !(is_decimal || is_negative || has_more || is_part)
}

/// The digits of a number with separators, as values 0 to 9.
///
/// Numbers of more than 32 digits are cut: no rule has more.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Digits {
    values: [u8; 32],
    len: usize,
}

impl Digits {
    /// The ASCII digits of `text`; other bytes are skipped.
    pub(crate) fn of(text: &[u8]) -> Self {
        let mut digits = Self::default();
        work::add(text.len());
        for byte in text {
            let Some(place) = digits.values.get_mut(digits.len) else { break };
            // Without a branch for what is no digit: the next one takes its place.
            *place = byte.wrapping_sub(b'0');
            digits.len += usize::from(*place < 10);
        }
        digits
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.values[..self.len]
    }

    /// The number that the digits `range` write.
    pub(crate) fn number(&self, range: Range<usize>) -> u64 {
        self.as_slice()[range].iter().fold(0, |sum, d| sum * 10 + u64::from(*d))
    }

    /// Sum of digits times `weights`, as far as both go.
    pub(crate) fn weighted(&self, weights: &[u32]) -> u32 {
        self.as_slice().iter().zip(weights).map(|(d, w)| u32::from(*d) * w).sum()
    }
}

/// ISO/IEC 7812-1 annex B: the check of payment cards and many national numbers.
pub(crate) fn passes_luhn(digits: &[u8]) -> bool {
    /// A digit doubled, and the digits of the result added.
    const DOUBLED: [u32; 10] = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9];
    let sum: u32 = (digits.rchunks(2))
        .map(|pair| match pair {
            [left, right] => DOUBLED[usize::from(*left)] + u32::from(*right),
            [right, ..] => u32::from(*right),
            [] => 0,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// True for a month of 1 to 12 and a day that it can have, in a leap year.
pub(crate) fn is_day(month: u64, day: u64) -> bool {
    let last = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=last).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::{Beginnings, Digits, follows_word, is_day, passes_luhn, stands_alone};
    use crate::haystack::{Haystack, Names};

    #[track_caller]
    fn check(before: &str, want: bool) {
        let names = Names::new(["GB_NHS"].into_iter());
        let text = format!("{before}943 476 5919");
        let raw = Haystack::new(text.as_bytes(), &names);
        assert_eq!(follows_word(&raw, before.len(), &["nhs", "tax id"]), want, "{before}");
    }

    #[test]
    fn words_count_in_every_style_of_name_and_only_near() {
        for before in ["NHS no ", "nhs_number=", "\"nhsNumber\":\"", "patientNhs=", "nhs2: "] {
            check(before, true);
        }
        for before in ["tax id ", "taxId=", "TAX_ID=", "tax-id: ", "taxid "] {
            check(before, true);
        }
        for before in ["unhsx ", "nhst ", "[GB_NHS] ", "nhs\n", "tax  id ", "enhs "] {
            check(before, false);
        }
        check(&format!("nhs {}", ".".repeat(48)), false);
    }

    #[test]
    fn beginnings_miss_no_word_and_few_other_texts() {
        let mut beginnings = Beginnings::new();
        assert!(!beginnings.add(&["a word"]) && !beginnings.add(&[]));
        assert!(beginnings.add(&["nhs", "tax id"]) && beginnings.add(&["번호"]));
        let any = |text: &str| beginnings.any_before(text.as_bytes(), text.len());
        for text in ["NHS no ", "patientNhs=", "taxId=", "\"TAX_ID\":", "nhs", "번호 "] {
            assert!(any(text), "{text}");
        }
        for text in ["", "n", "unhs ", "INFO TaskSetManager: finished in ", "nation"] {
            assert!(!any(text), "{text}");
        }
    }

    #[test]
    fn parts_of_other_things_do_not_stand_alone() {
        let is = |text: &str, number: &str| {
            let start = text.find(number).unwrap();
            stands_alone(text.as_bytes(), &(start..start + number.len()))
        };
        for text in ["123", "id=123.", "a-123", "(123)", "x: 123, 4", "\\n123"] {
            assert!(is(text, "123"), "{text}");
        }
        for text in ["a123", "123b", "0.123", "123.4", "-123", "5-123", "123-4", "_123"] {
            assert!(!is(text, "123"), "{text}");
        }
    }

    #[test]
    fn digits_are_read_through_separators() {
        let digits = Digits::of(b"12-3 4.5");
        assert_eq!(digits.as_slice(), [1, 2, 3, 4, 5]);
        assert_eq!((digits.number(1..4), digits.weighted(&[1, 10, 100])), (234, 321));
        assert_eq!(Digits::of(&[b'7'; 99]).as_slice().len(), 32);
    }

    #[test]
    fn changing_any_digit_breaks_the_luhn_check() {
        let good = Digits::of(b"4012888888881881");
        assert!(passes_luhn(good.as_slice()));
        for place in 0..16 {
            let mut bad = good.as_slice().to_vec();
            bad[place] = (bad[place] + 1) % 10;
            assert!(!passes_luhn(&bad), "{place}");
        }
    }

    #[test]
    fn every_month_has_its_days() {
        let n_days = (0..=99).flat_map(|m| (0..=99).map(move |d| (m, d)));
        assert_eq!(n_days.filter(|(m, d)| is_day(*m, *d)).count(), 366);
    }
}
