//! DE_TAX_ID: German tax identification numbers, eleven digits (Abgabenordnung § 139b; check digit of
//! ISO/IEC 7064 MOD 11,10, as the Bundeszentralamt für Steuern publishes it).

use super::Confidence;
use crate::checked_number::CheckedNumber;
use crate::context::Digits;

/// Steuerliche Identifikationsnummern. Printed they look like a number with its thousands divided, so
/// words have to name them.
pub(crate) const DE_TAX_ID: CheckedNumber = CheckedNumber {
    entity: "DE_TAX_ID",
    confidence: Confidence::Certain,
    validator: "ISO 7064 MOD 11,10, repeated digits, and words",
    numbers: &[&[11], &[2, 3, 3, 3]],
    layouts: &["00000000000", "00 000 000 000"],
    words: &[
        "idnr",
        "id nr",
        "steuer id",
        "steuer idnr",
        "steuer identifikationsnummer",
        "steueridentnummer",
        "steuer nr",
        "steuernummer",
        "steuerliche identifikationsnummer",
        "identifikationsnummer",
        "tax id",
        "tax number",
        "taxpayer id",
        "tin",
    ],
    is_valid,
    positive: &[
        "24/06/20 18:24:01 WARN Payroll: Steuer-ID «42351618093» is used twice",
        r#"{"steuerIdentifikationsnummer":"«40247453617»","steuerId":"«42 351 618 093»"}"#,
        "IdNr. «42419587649» missing, tax_id=«42351618093»",
    ],
    negative: &[
        "steuer_id=42351618094 IdNr. 40247453618",
        "42351618093 bytes, offset 40247453617, 42 351 618 093 rows, sortIn 42351618093",
        "steuerId=12345678901 steuerId=02351618093 steuerId=44444444443 steuerId=11234444560",
    ],
    ..CheckedNumber::NONE
};

fn is_valid(digits: &Digits) -> bool {
    let digits = digits.as_slice();
    digits[0] != 0 && has_repetition(&digits[..10]) && is_checked(digits)
}

/// Of the first ten digits exactly one appears twice or three times, and all others once at most.
fn has_repetition(digits: &[u8]) -> bool {
    let mut counts = [0; 10];
    digits.iter().for_each(|d| counts[usize::from(*d)] += 1);
    let n_repeated = counts.iter().filter(|n| **n > 1).count();
    n_repeated == 1 && counts.iter().all(|n| *n <= 3)
}

/// ISO/IEC 7064 MOD 11,10.
fn is_checked(digits: &[u8]) -> bool {
    let (last, body) = (digits[digits.len() - 1], &digits[..digits.len() - 1]);
    let product = body.iter().fold(10, |product, digit| {
        let sum = match (u32::from(*digit) + product) % 10 {
            0 => 10,
            sum => sum,
        };
        sum * 2 % 11
    });
    (u32::from(last) + product) % 10 == 1
}

#[cfg(test)]
mod tests {
    use super::{DE_TAX_ID, has_repetition, is_checked};
    use crate::checked_number::check_digits;

    #[test]
    fn each_body_has_one_check_digit() {
        for body in 4_235_161_809_u64..4_235_162_809 {
            let digits: Vec<u8> = body.to_string().bytes().map(|b| b - b'0').collect();
            let n_checked = (0..10).filter(|d| is_checked(&[&digits[..], &[*d]].concat())).count();
            assert_eq!(n_checked, 1, "{body}");
            let n_valid = check_digits(&DE_TAX_ID, &body.to_string()).len();
            assert_eq!(n_valid, usize::from(has_repetition(&digits)), "{body}");
        }
    }

    #[test]
    fn one_digit_is_repeated_and_at_most_three_times() {
        assert!(has_repetition(&[1, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
        assert!(has_repetition(&[1, 1, 1, 3, 4, 5, 6, 7, 8, 9]));
        assert!(!has_repetition(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
        assert!(!has_repetition(&[1, 1, 1, 1, 4, 5, 6, 7, 8, 9]));
        assert!(!has_repetition(&[1, 1, 2, 2, 4, 5, 6, 7, 8, 9]));
    }
}
