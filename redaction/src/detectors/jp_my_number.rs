//! JP_MY_NUMBER: Japanese numbers of people, twelve digits with a check digit modulo 11 (Ministry of
//! Internal Affairs, ordinance 85 of 2014, article 5).

use crate::checked_number::CheckedNumber;
use crate::context::Digits;

/// Finds Japanese numbers of people.
pub(crate) const JP_MY_NUMBER: CheckedNumber = CheckedNumber {
    entity: "JP_MY_NUMBER",
    validator: "check digit modulo 11",
    numbers: &[&[12], &[4, 4, 4]],
    layouts: &["000000000000", "0000 0000 0000", "0000-0000-0000"],
    words: &["my number", "kojin bango", "個人番号", "マイナンバー"],
    is_valid: is_my_number,
    positive: &[
        "24/05/21 17:28:32 INFO HrJob: My Number «7940-3251-5190» registered",
        r#"{"myNumber":"«973245458442»","my_number":"«875608745625»"}"#,
        "個人番号: «8497 3738 5103», マイナンバー=«849737385103»",
    ],
    negative: &[
        "my number 794032515191 my_number=7940 3251 5109",
        "my numbers 973245458442, offset 875608745625 of my topic",
        "個人番号の数 1 849737385103.5 -849737385103",
    ],
    ..CheckedNumber::NONE
};

fn is_my_number(digits: &Digits) -> bool {
    let rest = digits.weighted(&[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    digits.number(11..12) == u64::from(if rest <= 1 { 0 } else { 11 - rest })
}

#[cfg(test)]
mod tests {
    use super::is_my_number;
    use crate::checked_number::n_valid_ends;

    #[test]
    fn one_check_digit_in_ten_passes() {
        for body in (0..1000).map(|n| format!("{:011}", n * 99_999_989_u64)) {
            assert_eq!(n_valid_ends(is_my_number, &body), 1, "{body}");
        }
    }
}
