//! KR_RRN: Korean resident registration numbers and those of foreigners: date of birth, a digit for
//! century and sex, and until October 2020 a check digit (Enforcement Rule of the Resident
//! Registration Act, article 2).

use crate::checked_number::{CheckedNumber, begins_with_date, unless_hyphenated};
use crate::context::Digits;

/// Finds Korean resident registration numbers.
pub(crate) const KR_RRN: CheckedNumber = CheckedNumber {
    entity: "KR_RRN",
    validator: "date, sex, and a check digit or words",
    numbers: &[&[13], &[6, 7]],
    layouts: &["000000-0000000", "0000000000000"],
    needs_word: |text| unless_hyphenated(text) || has_no_check_digit(&Digits::of(text)),
    words: &[
        "rrn",
        "frn",
        "resident registration",
        "resident no",
        "resident number",
        "jumin",
        "juminno",
        "foreign registration",
        "foreigner registration",
        "alien registration",
        "주민등록번호",
        "주민번호",
        "외국인등록번호",
    ],
    is_valid: is_rrn,
    positive: &[
        "24/05/21 17:28:32 INFO MemberJob: member «840217-1018421» joined",
        r#"{"rrn":"«910503-2844175»","jumin_no":"«0309213301185»"}"#,
        "주민등록번호 «001130-4412763», FRN: «880714-5200342»",
        "VALUES (12, '«030921-3301185»')",
    ],
    negative: &[
        "840217-1018422 rrn 841317-1018421 840230-1018421 840217-0",
        "at 1710121018421 ms, part 840217-10184211, rrns 8402171018421",
        "checkpoint 001130-4412763 took 880714-5200343 ms",
    ],
    ..CheckedNumber::NONE
};

fn is_rrn(digits: &Digits) -> bool {
    // 9 and 0 are of the nineteenth century.
    begins_with_date(digits) && (1..=8).contains(&digits.number(6..7))
}

/// New numbers have none.
fn has_no_check_digit(digits: &Digits) -> bool {
    is_rrn(digits) && !has_check_digit(digits)
}

fn has_check_digit(digits: &Digits) -> bool {
    let rest = digits.weighted(&[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]) % 11;
    let base = if digits.number(6..7) < 5 { 11 } else { 13 };
    digits.number(12..13) == u64::from((base - rest) % 10)
}

#[cfg(test)]
mod tests {
    use super::{has_check_digit, is_rrn};
    use crate::checked_number::n_valid_ends;
    use crate::context::Digits;

    #[test]
    fn one_check_digit_in_ten_is_right_for_each_sex_and_century() {
        for sex in 0..10 {
            for serial in 0..100 {
                let body = format!("840217{sex}{serial:05}");
                assert_eq!(n_valid_ends(has_check_digit, &body), 1, "{body}");
            }
            let number = format!("840217{sex}000000");
            let is_living = (1..=8).contains(&sex);
            assert_eq!(is_rrn(&Digits::of(number.as_bytes())), is_living, "{sex}");
        }
    }

    #[test]
    fn every_day_of_a_leap_year_is_a_date() {
        let days = (0..100).flat_map(|m| (0..100).map(move |d| format!("84{m:02}{d:02}1018421")));
        assert_eq!(days.filter(|text| is_rrn(&Digits::of(text.as_bytes()))).count(), 366);
    }
}
