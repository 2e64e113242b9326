//! AU_MEDICARE: Australian Medicare card numbers: eight digits that begin with 2 to 6, a check digit
//! and the issue number (Services Australia; METeOR identifier 270101).

use crate::checked_number::CheckedNumber;
use crate::context::Digits;

/// Finds Medicare card numbers.
pub(crate) const AU_MEDICARE: CheckedNumber = CheckedNumber {
    entity: "AU_MEDICARE",
    validator: "weighted sum modulo 10",
    numbers: &[&[10]],
    literals: &["medicare"],
    layouts: &["0000 00000 0", "0000-00000-0", "0000000000"],
    words: &["medicare", "medicareno", "medicarenumber"],
    is_valid: is_medicare,
    positive: &[
        "24/05/21 17:28:32 INFO ClaimJob: medicare «3760 54155 5» rejected",
        r#"{"medicareNumber":"«2091744295»","medicare_no":"«4595-14222-6»"}"#,
        "patient Medicare card no. «4831733784», ref 1",
    ],
    negative: &[
        "medicare 3760 54165 5 medicare=2091744285 medicare 7760 54155 5",
        "at 1718907841 read 2091744295 records of 4595 14222 6",
        "medicare 4831733784.5 medicare rows-4831733784-1",
    ],
    ..CheckedNumber::NONE
};

fn is_medicare(digits: &Digits) -> bool {
    let sum = digits.weighted(&[1, 3, 7, 9, 1, 3, 7, 9]);
    (2..=6).contains(&digits.number(0..1))
        && digits.number(8..9) == u64::from(sum % 10)
        && digits.number(9..10) > 0
}

#[cfg(test)]
mod tests {
    use super::is_medicare;
    use crate::context::Digits;

    #[test]
    fn cards_begin_with_two_to_six_and_have_one_check_digit() {
        for first in 0..10 {
            let passes =
                |n: &u32| is_medicare(&Digits::of(format!("{first}7605415{n}1").as_bytes()));
            let want = usize::from((2..=6).contains(&first));
            assert_eq!((0..10).filter(passes).count(), want, "{first}");
        }
    }
}
