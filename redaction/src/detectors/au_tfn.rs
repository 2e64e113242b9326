//! AU_TFN: Australian tax file numbers of eight or nine digits, with the weights of the Australian
//! Taxation Office: the weighted sum is a multiple of 11.

use crate::checked_number::CheckedNumber;
use crate::context::Digits;

/// Finds Australian tax file numbers.
pub(crate) const AU_TFN: CheckedNumber = CheckedNumber {
    entity: "AU_TFN",
    validator: "weighted sum modulo 11",
    numbers: &[&[8], &[9], &[3, 3, 3]],
    layouts: &["000 000 000", "000-000-000", "000000000", "00000000"],
    words: &["tfn", "tax file", "taxfile"],
    is_valid: is_tfn,
    positive: &[
        "24/05/21 17:28:32 INFO PayrollJob: TFN «384 461 500» declared",
        r#"{"tfn":"«729787508»","tax_file_number":"«825-164-245»","oldTfn":"«97789819»"}"#,
        "employee 7 tax file number «612933398».",
    ],
    negative: &[
        "tfn 384 461 501 tfn=729787509 tfn 97789818",
        "wrote 384461500 bytes in 24086052 us, tfnx 729787508",
        "tax 384 461 500, file 612933398.parquet",
    ],
    ..CheckedNumber::NONE
};

fn is_tfn(digits: &Digits) -> bool {
    let weights: &[u32] = match digits.as_slice().len() {
        8 => &[10, 7, 8, 4, 6, 3, 5, 1],
        _ => &[1, 4, 3, 7, 5, 8, 6, 9, 10],
    };
    digits.weighted(weights).is_multiple_of(11)
}

#[cfg(test)]
mod tests {
    use super::is_tfn;
    use crate::checked_number::assert_every_digit_counts;
    use crate::context::Digits;

    #[test]
    fn changing_any_digit_breaks_the_sum() {
        // The number that the tax office gives as an example.
        assert!(is_tfn(&Digits::of(b"123 456 782")));
        assert_every_digit_counts(is_tfn, "384461500");
        assert_every_digit_counts(is_tfn, "97789819");
    }
}
