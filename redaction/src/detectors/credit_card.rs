//! CREDIT_CARD: payment card numbers by brand, length and check digit.

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::context::{Digits, follows_word, passes_luhn, stands_alone};
use crate::haystack::Haystack;
use crate::lexis::{word_after, word_before};
use crate::spans::Found;

/// Lengths of card numbers (ISO/IEC 7812), and how printed ones are grouped.
const NUMBERS: &[&[u8]] = &[
    &[12],
    &[13],
    &[14],
    &[15],
    &[16],
    &[17],
    &[18],
    &[19],
    &[4, 4, 4, 4],
    &[4, 4, 4, 4, 3],
    &[4, 6, 5],
    &[4, 6, 4],
];

/// Digits of the first group.
const GROUP_DIGITS: usize = 4;

/// Finds payment card numbers, plain or in groups divided by spaces or hyphens.
#[derive(Debug)]
pub(crate) struct CreditCard;

impl Detector for CreditCard {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "CREDIT_CARD",
            family: Family::Card,
            confidence: Confidence::Certain,
            validator: "Luhn and brand table",
            numbers: NUMBERS,
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
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        if !is_card(&raw[anchor.clone()]) {
            return found.never();
        }
        let stands = match raw.get(anchor.start + GROUP_DIGITS) {
            Some(b' ' | b'-') => stands_in_groups(raw, &anchor),
            _ => stands_plain(raw, &anchor),
        };
        if stands {
            found.push(anchor);
        }
    }
}

fn stands_plain(raw: &Haystack<'_>, range: &Range<usize>) -> bool {
    // Offsets, byte counts and snapshot ids have these lengths, and one in ten passes the check.
    let is_usual_length = (14..=16).contains(&range.len());
    stands_alone(raw, range)
        && (is_usual_length || follows_word(raw, range.start, &["card", "credit", "pan"]))
}

fn stands_in_groups(raw: &Haystack<'_>, range: &Range<usize>) -> bool {
    let text = &raw[range.clone()];
    let separator = text[GROUP_DIGITS];
    text.iter().all(|b| b.is_ascii_digit() || *b == separator)
        && (separator == b' ' && !in_word(raw, range) || stands_alone(raw, range))
}

fn in_word(raw: &[u8], range: &Range<usize>) -> bool {
    word_before(raw, range.start) || word_after(raw, range.end)
}

/// True for a number that some network issues, with the right check digit.
fn is_card(text: &[u8]) -> bool {
    let digits = Digits::of(text);
    let digits = digits.as_slice();
    // All equal digits can pass, but are a filler.
    is_issued(digits) && passes_luhn(digits) && digits.iter().any(|d| *d != digits[0])
}

/// Brand prefixes and their lengths, as published by the networks.
fn is_issued(digits: &[u8]) -> bool {
    let len = digits.len();
    let prefix = digits.iter().take(6).fold(0, |sum, d| sum * 10 + u32::from(*d));
    let (two, three, four) = (prefix / 10_000, prefix / 1000, prefix / 100);
    let is_visa = prefix / 100_000 == 4 && matches!(len, 13 | 16 | 19);
    let is_mastercard = matches!(two, 51..=55) || matches!(four, 2221..=2720);
    let is_amex = matches!(two, 34 | 37) && len == 15;
    let is_diners = matches!(two, 36 | 38 | 39) || matches!(three, 300..=305);
    let is_discover = matches!(two, 65) || four == 6011 || matches!(three, 644..=649);
    // Issued are 3528 to 3589; test data and generators use all of 35.
    let is_jcb = two == 35;
    let is_old_jcb = matches!(four, 1800 | 2131) && len == 15;
    let is_maestro = matches!(two, 50 | 56..=58 | 61 | 63 | 67)
        || matches!(four, 6759 | 6390)
        || (two == 62 && len == 12);
    is_visa
        || (is_mastercard && len == 16)
        || is_amex
        || (is_diners && matches!(len, 14 | 16))
        || ((is_discover || is_jcb || two == 62) && (16..=19).contains(&len))
        || is_old_jcb
        || is_maestro
}

#[cfg(test)]
mod tests {
    use super::{is_card, is_issued};
    use crate::context::Digits;

    #[test]
    fn exactly_one_check_digit_in_ten_passes_for_every_brand_and_length() {
        for (prefix, len) in [("4", 13), ("4", 16), ("4", 19), ("51", 16), ("55", 16), ("2221", 16)]
            .into_iter()
            .chain([("2720", 16), ("34", 15), ("37", 15), ("300", 14), ("36", 14), ("6011", 16)])
            .chain([("65", 19), ("3528", 16), ("3589", 16), ("62", 18), ("5018", 12), ("6759", 17)])
        {
            let body = format!("{prefix:7<0$}", len - 1);
            let n_valid = (0..10).filter(|d| is_card(format!("{body}{d}").as_bytes())).count();
            assert_eq!(n_valid, 1, "{prefix} of {len}");
        }
    }

    #[test]
    fn numbers_outside_the_brand_ranges_are_not_issued() {
        for number in
            ["1718907841998", "2220999999999999", "2721000000000000", "3627000000000000000"]
                .into_iter()
                .chain(["411111111111111", "51000000000000000", "3400000000000000"])
                .chain(["99999999999999"])
        {
            assert!(!is_issued(Digits::of(number.as_bytes()).as_slice()), "{number}");
        }
    }
}
