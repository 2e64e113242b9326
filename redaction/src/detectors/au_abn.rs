//! AU_ABN: Australian business numbers: eleven digits, the weighted sum of which, less one in the first
//! place, is a multiple of 89 (Australian Business Register, "Format of the ABN").

use crate::checked_number::{CheckedNumber, when_plain};
use crate::context::Digits;
use crate::detectors::Family;

/// Finds Australian business numbers.
pub(crate) const AU_ABN: CheckedNumber = CheckedNumber {
    entity: "AU_ABN",
    family: Family::Financial,
    validator: "weighted sum modulo 89",
    numbers: &[&[11], &[2, 3, 3, 3]],
    layouts: &["00 000 000 000", "00-000-000-000", "00000000000"],
    needs_word: when_plain,
    words: &["abn", "australian business", "business number"],
    is_valid: is_abn,
    positive: &[
        "24/05/21 17:28:32 INFO VendorJob: vendor «49 168 413 328» updated",
        r#"{"abn":"«99733079764»","vendorAbn":"«94-260-911-016»"}"#,
        "INSERT INTO vendor VALUES (7, '«25 300 655 672»'), abn=«25300655672»",
    ],
    negative: &[
        "abn 49 168 413 329 abn=99733079765",
        "wrote 49168413328 bytes, 25300655672 ns, offset 94260911016",
        "sizes 1 49 168 413 328 5 and 49.168.413.328",
    ],
    ..CheckedNumber::NONE
};

fn is_abn(digits: &Digits) -> bool {
    let sum = digits.weighted(&[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    digits.number(0..1) > 0 && (sum - 10).is_multiple_of(89)
}

#[cfg(test)]
mod tests {
    use super::is_abn;
    use crate::checked_number::assert_every_digit_counts;
    use crate::context::Digits;

    #[test]
    fn the_example_of_the_register_passes_and_its_neighbours_fail() {
        assert!(is_abn(&Digits::of(b"51 824 753 556")));
        assert!(!is_abn(&Digits::of(b"00 000 000 000")));
        assert_every_digit_counts(is_abn, "49168413328");
    }

    #[test]
    fn two_leading_check_digits_prove_the_nine_that_follow() {
        let passes = |n: &u32| is_abn(&Digits::of(format!("{n:02}168413328").as_bytes()));
        assert_eq!((10..99).filter(passes).count(), 1);
    }
}
