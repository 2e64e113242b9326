//! IN_AADHAAR: Indian identity numbers of twelve digits with a Verhoeff check digit (UIDAI, "UID
//! Numbering Scheme", 2010): they begin with 2 to 9.

use crate::checked_number::CheckedNumber;
use crate::context::Digits;

/// Finds Aadhaar numbers.
pub(crate) const IN_AADHAAR: CheckedNumber = CheckedNumber {
    entity: "IN_AADHAAR",
    validator: "Verhoeff",
    numbers: &[&[12], &[4, 4, 4]],
    layouts: &["000000000000", "0000 0000 0000", "0000-0000-0000"],
    words: &["aadhaar", "aadhar", "adhaar", "adhar", "uidai", "आधार"],
    is_valid: is_aadhaar,
    positive: &[
        "24/05/21 17:28:32 INFO KycJob: Aadhaar number «7089 4143 5907» verified",
        r#"{"aadhaarNumber":"«238158249016»","aadhar_no":"«9283-2317-5376»"}"#,
        "kyc.aadhaar=«747765662972», आधार «7477 6566 2972».",
    ],
    negative: &[
        "aadhaar 708941435908 7089 4143 5970 108941435907",
        "read 238158249016 bytes, ports 7089 4143 5907, offset 928323175376",
        "aadhaar_hash=a238158249016 aadhaar 0.238158249016 238158249016L",
    ],
    ..CheckedNumber::NONE
};

fn is_aadhaar(digits: &Digits) -> bool {
    digits.number(0..1) > 1 && passes_verhoeff(digits.as_slice())
}

/// J. Verhoeff, "Error Detecting Decimal Codes", 1969: digits are moved by a permutation of their
/// place and multiplied in the dihedral group of ten elements.
fn passes_verhoeff(digits: &[u8]) -> bool {
    /// The permutation that is applied once a place.
    const MOVED: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let product = digits.iter().rev().enumerate().fold(0, |product, (place, digit)| {
        let moved = (0..place % 8).fold(*digit, |d, _| MOVED[usize::from(d % 10)]);
        dihedral(product, moved)
    });
    product == 0
}

/// Product in the symmetries of a pentagon: 0 to 4 turn it, 5 to 9 flip it as well.
fn dihedral(left: u8, right: u8) -> u8 {
    let (turn, other) = (left % 5, right % 5);
    let sum = if left < 5 { turn + other } else { turn + 5 - other };
    sum % 5 + if (left < 5) == (right < 5) { 0 } else { 5 }
}

#[cfg(test)]
mod tests {
    use super::{dihedral, is_aadhaar, passes_verhoeff};
    use crate::checked_number::{assert_every_digit_counts, n_valid_ends};

    #[test]
    fn the_check_digit_of_the_literature_passes() {
        assert!(passes_verhoeff(&[2, 3, 6, 3]) && passes_verhoeff(&[1, 2, 3, 4, 5, 1]));
        assert!(!passes_verhoeff(&[2, 3, 6, 4]) && !passes_verhoeff(&[3, 2, 6, 3]));
    }

    #[test]
    fn products_are_those_of_the_dihedral_group() {
        let row = |left: u8| (0..10).map(|right| dihedral(left, right)).collect::<Vec<_>>();
        assert_eq!(row(1), [1, 2, 3, 4, 0, 6, 7, 8, 9, 5]);
        assert_eq!(row(5), [5, 9, 8, 7, 6, 0, 4, 3, 2, 1]);
        assert_eq!(row(9), [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    }

    #[test]
    fn one_check_digit_in_ten_passes_and_none_before_two() {
        for first in 0..10 {
            let body = format!("{first}3815824901");
            assert_eq!(n_valid_ends(is_aadhaar, &body), usize::from(first > 1), "{first}");
        }
        assert_every_digit_counts(is_aadhaar, "238158249016");
    }
}
