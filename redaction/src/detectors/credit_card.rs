//! CREDIT_CARD: payment card numbers by brand, length and check digit.

use std::ops::Range;

use super::{Anchors, Detector, Samples};
use crate::lexis::{backward, forward, has_at, placeholder_end, word_after, word_before, work};

/// Digits of the shortest and of the longest card number (ISO/IEC 7812).
const DIGITS: std::ops::RangeInclusive<usize> = 12..=19;

/// How printed numbers are grouped; all begin alike.
const GROUPINGS: &[&[usize]] = &[&[4, 4, 4, 4], &[4, 4, 4, 4, 3], &[4, 6, 5], &[4, 6, 4]];

/// Finds payment card numbers, plain or in groups divided by spaces or hyphens.
#[derive(Debug)]
pub(crate) struct CreditCard;

impl Detector for CreditCard {
    fn entity(&self) -> &'static str {
        "CREDIT_CARD"
    }

    fn anchors(&self) -> Anchors {
        Anchors::Numbers { digits_min: 12, dots_min: 0, hyphens_min: 0 }
    }

    fn find(&self, raw: &[u8], anchor: Range<usize>, found: &mut Vec<Range<usize>>) {
        let mut at = anchor.start;
        while at + DIGITS.start() <= anchor.end {
            let digits_end = forward(raw, at, anchor.end, |b| b.is_ascii_digit());
            let end = match raw[at] {
                b'1'..=b'6' => plain(raw, at..digits_end).or_else(|| grouped(raw, at, digits_end)),
                _ => None,
            };
            if let Some(end) = end {
                found.push(at..end);
            }
            at = forward(raw, end.unwrap_or(digits_end), anchor.end, |b| !b.is_ascii_digit());
        }
    }

    fn samples(&self) -> Samples {
        Samples {
            positive: &[
                "card=«4111 1111 1111 1111» ssn=x",
                "record 'x,«4111-1111-1111-1111»' in partition 3",
                "pan «371449635398431» or «3714 496353 98431», qty 5 «5500 0000 0000 0004».",
                r#"{"cards":"\n«6011000400000000»\t«30569309025904»","jcb":"«3528000700000000»"}"#,
                r"body {\u0022pan\u0022:\u0022«4111111111111111»\u0022} pan\u003d«4111 1111 1111 1111»",
                "visa card «4222222222222»",
                "order-«2223003122003222»",
            ],
            negative: &[
                "at 1718907841998 ms, 1718907841998123456 ns, offset 4222222222222, tid 4111111111111112",
                "score 0.4111111111111111 4111111111111111.5 -4111111111111111 x4111111111111111",
                "part-00000-41111111-1111-4111-8111-411111111111-c000.snappy.parquet",
                "container_e44_1718907841998_1976_01_594321 id_4111111111111111 4111111111111111L",
                "9-4111-1111-1111-1111-1111 41111111111111111111 4111 1111 1111 11111",
                "snapshot 4111111111111111110",
            ],
        }
    }
}

/// End of the card number if the digits of `range` are one.
fn plain(raw: &[u8], range: Range<usize>) -> Option<usize> {
    if !DIGITS.contains(&range.len()) || !stands_alone(raw, &range, None) {
        return None;
    }
    let mut digits = Digits::default();
    digits.push(&raw[range.clone()]);
    // Offsets, byte counts and snapshot ids have these lengths, and one in ten passes the check.
    let is_usual_length = (14..=16).contains(&range.len());
    let is_card = digits.is_card() && (is_usual_length || follows_card_word(raw, range.start));
    is_card.then_some(range.end)
}

/// End of the card number whose first group is `at..group_end`.
fn grouped(raw: &[u8], at: usize, group_end: usize) -> Option<usize> {
    if group_end - at != GROUPINGS[0][0] {
        return None;
    }
    let separator = *raw.get(group_end).filter(|b| matches!(b, b' ' | b'-'))?;
    GROUPINGS.iter().find_map(|groups| {
        let mut digits = Digits::default();
        let mut start = at;
        for (nth, len) in groups.iter().enumerate() {
            if nth > 0 {
                if raw.get(start) != Some(&separator) {
                    return None;
                }
                start += 1;
            }
            let end = forward(raw, start, start + len + 1, |b| b.is_ascii_digit());
            if end - start != *len {
                return None;
            }
            digits.push(&raw[start..end]);
            start = end;
        }
        (stands_alone(raw, &(at..start), Some(separator)) && digits.is_card()).then_some(start)
    })
}

/// False inside words, decimals, negative numbers, UUIDs and longer groups of digits.
fn stands_alone(raw: &[u8], range: &Range<usize>, separator: Option<u8>) -> bool {
    let before = |n: usize| range.start.checked_sub(n).map(|i| raw[i]);
    let after = |n: usize| raw.get(range.end + n).copied();
    let is_digit = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_digit());
    let is_alphanumeric = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    let decimal = before(1) == Some(b'.') && is_digit(before(2))
        || after(0) == Some(b'.') && is_digit(after(1));
    let minus = before(1) == Some(b'-') && !is_alphanumeric(before(2));
    let more_groups = separator == Some(b'-')
        && (before(1) == Some(b'-') && is_digit(before(2))
            || after(0) == Some(b'-') && is_alphanumeric(after(1)));
    let in_word = word_before(raw, range.start) || word_after(raw, range.end);
    !(decimal || minus || more_groups || in_word)
}

/// True when one of the words of card data begins in the 32 bytes before `start`.
fn follows_card_word(raw: &[u8], start: usize) -> bool {
    let begin = backward(raw, start, start.saturating_sub(32), |b| b != b'\n');
    (begin..start).any(|at| {
        let is_word = [&b"card"[..], b"credit", b"pan"].iter().any(|word| has_at(raw, at, word));
        is_word && !word_before(raw, at) && placeholder_end(raw, at.saturating_sub(1)).is_none()
    })
}

/// The digits of a number that may be grouped.
#[derive(Default)]
struct Digits {
    values: [u8; 19],
    len: usize,
}

impl Digits {
    fn push(&mut self, digits: &[u8]) {
        work::add(digits.len());
        for digit in digits {
            self.values[self.len] = digit - b'0';
            self.len += 1;
        }
    }

    fn is_card(&self) -> bool {
        self.is_issued() && self.passes_luhn()
    }

    /// Brand prefixes and their lengths, as published by the networks.
    fn is_issued(&self) -> bool {
        let prefix = self.values[..6].iter().fold(0, |sum, d| sum * 10 + u32::from(*d));
        let (two, three, four) = (prefix / 10_000, prefix / 1000, prefix / 100);
        let is_visa = prefix / 100_000 == 4 && matches!(self.len, 13 | 16 | 19);
        let is_mastercard = matches!(two, 51..=55) || matches!(four, 2221..=2720);
        let is_amex = matches!(two, 34 | 37) && self.len == 15;
        let is_diners = matches!(two, 36 | 38 | 39) || matches!(three, 300..=305);
        let is_discover = matches!(two, 65) || four == 6011 || matches!(three, 644..=649);
        // Issued are 3528 to 3589; test data and generators use all of 35.
        let is_jcb = two == 35;
        let is_old_jcb = matches!(four, 1800 | 2131) && self.len == 15;
        let is_maestro = matches!(two, 50 | 56..=58 | 61 | 63 | 67)
            || matches!(four, 6759 | 6390)
            || (two == 62 && self.len == 12);
        is_visa
            || (is_mastercard && self.len == 16)
            || is_amex
            || (is_diners && matches!(self.len, 14 | 16))
            || ((is_discover || is_jcb || two == 62) && (16..=19).contains(&self.len))
            || is_old_jcb
            || is_maestro
    }

    /// ISO/IEC 7812-1 annex B.
    fn passes_luhn(&self) -> bool {
        /// A digit doubled, and the digits of the result added.
        const DOUBLED: [u8; 10] = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9];
        let digits = &self.values[..self.len];
        let sum: u8 = (digits.rchunks(2))
            .map(|pair| match pair {
                [left, right] => DOUBLED[usize::from(*left)] + right,
                [right, ..] => *right,
                [] => 0,
            })
            .sum();
        // All equal digits can pass, but are a filler.
        sum.is_multiple_of(10) && digits.iter().any(|d| *d != digits[0])
    }
}

#[cfg(test)]
mod tests {
    use super::Digits;

    fn digits(text: &str) -> Digits {
        let mut digits = Digits::default();
        digits.push(text.as_bytes());
        digits
    }

    #[test]
    fn exactly_one_check_digit_in_ten_passes_for_every_brand_and_length() {
        for (prefix, len) in [("4", 13), ("4", 16), ("4", 19), ("51", 16), ("55", 16), ("2221", 16)]
            .into_iter()
            .chain([("2720", 16), ("34", 15), ("37", 15), ("300", 14), ("36", 14), ("6011", 16)])
            .chain([("65", 19), ("3528", 16), ("3589", 16), ("62", 18), ("5018", 12), ("6759", 17)])
        {
            let body = format!("{prefix:7<0$}", len - 1);
            let n_valid = (0..10).filter(|d| digits(&format!("{body}{d}")).is_card()).count();
            assert_eq!(n_valid, 1, "{prefix} of {len}");
        }
    }

    #[test]
    fn numbers_outside_the_brand_ranges_are_not_issued() {
        for number in
            ["1718907841998", "2220999999999999", "2721000000000000", "3627000000000000000"]
        {
            assert!(!digits(number).is_issued(), "{number}");
        }
        for number in ["411111111111111", "51000000000000000", "3400000000000000", "99999999999999"]
        {
            assert!(!digits(number).is_issued(), "{number}");
        }
    }

    #[test]
    fn changing_any_digit_breaks_the_check() {
        let good = "4012888888881881";
        assert!(digits(good).passes_luhn());
        for place in 0..good.len() {
            let mut bad = good.as_bytes().to_vec();
            bad[place] = b'0' + (bad[place] - b'0' + 1) % 10;
            assert!(!digits(std::str::from_utf8(&bad).unwrap()).passes_luhn(), "{place}");
        }
    }
}
