//! UK_NHS: NHS numbers, ten digits with a check digit (NHS Data Dictionary, "NHS NUMBER").

use super::Confidence;
use crate::checked_number::{CheckedNumber, always};
use crate::context::Digits;

/// Patients of the National Health Service.
pub(crate) const UK_NHS: CheckedNumber = CheckedNumber {
    entity: "UK_NHS",
    confidence: Confidence::Certain,
    validator: "modulus 11 and words",
    numbers: &[&[10], &[3, 3, 4]],
    layouts: &["0000000000", "000 000 0000", "000-000-0000"],
    // Of any three numbers in a row, as of phone numbers, one in eleven passes the check.
    needs_word: always,
    words: &["nhs", "health service"],
    is_valid,
    positive: &[
        "24/06/20 18:24:01 WARN PatientSink: rejected NHS row for «485 777 3457», «401-023-2137»",
        r#"{"nhsNumber":"«4857773457»","surgery":"B86044"}"#,
        "nhs_no=«7213508466», retry 2",
        "NHS-Number: «721-350-8466»",
        "INSERT INTO patients (nhs_number) VALUES ('«602 718 3942»')",
    ],
    negative: &[
        "485 777 3458, nhs_no=7213508467, {\"nhsNumber\":\"4857773450\"}",
        "offset 4857773457, 7213508466 bytes in partition 3, rows 4010232137",
        "sizes 12 485 777 3457 and 485 777 3457 9 +485 777 3457 0.4857773457",
        "took 415 555 2671 records, 485 777 3457",
        "call 721-311-8463 or nhs 0000000000",
    ],
    ..CheckedNumber::NONE
};

fn is_valid(digits: &Digits) -> bool {
    digits.weighted(&[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

#[cfg(test)]
mod tests {
    use super::UK_NHS;
    use crate::checked_number::check_digits;

    #[test]
    fn each_number_has_one_check_digit_or_is_not_issued() {
        let n_digits = (400_000_000..400_011_000)
            .map(|body| check_digits(&UK_NHS, &body.to_string()).len())
            .inspect(|n| assert!(*n <= 1))
            .sum::<usize>();
        // A check digit of 10 is not issued: one number in eleven.
        assert_eq!(n_digits, 10_000);
    }
}
