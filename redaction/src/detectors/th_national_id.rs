//! TH_NATIONAL_ID: Thai identity numbers: thirteen digits, the last a check digit modulo 11 (Department
//! of Provincial Administration, Ministry of Interior).

use crate::checked_number::{CheckedNumber, unless_hyphenated};
use crate::context::Digits;

/// Finds Thai identity numbers.
pub(crate) const TH_NATIONAL_ID: CheckedNumber = CheckedNumber {
    entity: "TH_NATIONAL_ID",
    validator: "check digit modulo 11",
    numbers: &[&[13]],
    // No shape stands for 1-4-5-2-1 digits, so even those need a name before them.
    literals: &["thai", "national", "citizen", "tnin"],
    layouts: &["0-0000-00000-00-0", "0 0000 00000 00 0", "0000000000000"],
    needs_word: unless_hyphenated,
    words: &[
        "thai id",
        "thai national id",
        "thai citizen id",
        "national id",
        "nationalid",
        "citizen id",
        "citizenid",
        "tnin",
        "ประชาชน",
    ],
    is_valid: is_national_id,
    positive: &[
        "24/05/21 17:28:32 INFO KycJob: Thai ID «6-3196-50647-22-4» verified",
        r#"{"citizenId":"«2724513197501»","national_id":"«8 9132 04911 33 8»"}"#,
        "เลขบัตรประชาชน «8672825470465», Thai national ID «8-6728-25470-46-5».",
    ],
    negative: &[
        "thai id 6-3196-50647-22-5 national_id=2724513197502",
        "citizen 8913204911338 national 8672825470465 ts=2724513197501",
        "thai id 6-3196-50647-22 16-3196-50647-22-4 national id 1718907841998",
    ],
    ..CheckedNumber::NONE
};

fn is_national_id(digits: &Digits) -> bool {
    let sum = digits.weighted(&[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    digits.number(12..13) == u64::from((11 - sum % 11) % 10)
}

#[cfg(test)]
mod tests {
    use super::is_national_id;
    use crate::checked_number::n_valid_ends;

    #[test]
    fn one_check_digit_in_ten_passes() {
        for body in (0..1000).map(|n| format!("{:012}", n * 999_999_937_u64)) {
            assert_eq!(n_valid_ends(is_national_id, &body), 1, "{body}");
        }
    }
}
