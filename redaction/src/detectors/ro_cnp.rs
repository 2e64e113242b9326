//! RO_CNP: Romanian personal numeric codes, thirteen digits (Hotărârea Guvernului 1375/2006).

use super::Confidence;
use crate::checked_number::CheckedNumber;
use crate::context::{Digits, is_day};

/// Coduri numerice personale, behind a word only: epoch milliseconds have thirteen digits as well.
pub(crate) const RO_CNP: CheckedNumber = CheckedNumber {
    entity: "RO_CNP",
    confidence: Confidence::Certain,
    validator: "weights 279146358279, a date, and words",
    numbers: &[&[13]],
    layouts: &["0000000000000"],
    words: &["cnp", "cod numeric personal", "cod numeric", "codnumericpersonal"],
    is_valid,
    positive: &[
        "24/06/20 18:24:01 ERROR Import: CNP «1800101012342» is a duplicate",
        r#"{"cnp":"«2910715405415»","judet":"Cluj"}"#,
        "cod_numeric_personal=«5000229034562», cnpClient: «6120131011233»",
    ],
    negative: &[
        "cnp=1800101012343 cnp=2910715405416",
        "at 1800101012342 ms, offset 2910715405415, 5000229034562 bytes",
        "cnp=1801301012342 cnp=1718907841998 cnp=9999999999999",
        "dcnp 1800101012342",
    ],
    ..CheckedNumber::NONE
};

fn is_valid(digits: &Digits) -> bool {
    let check = match digits.weighted(&[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11 {
        10 => 1,
        check => u64::from(check),
    };
    digits.number(0..1) != 0
        && is_day(digits.number(3..5), digits.number(5..7))
        && digits.number(12..13) == check
}

#[cfg(test)]
mod tests {
    use super::RO_CNP;
    use crate::checked_number::check_digits;

    #[test]
    fn each_day_has_one_check_digit_and_no_other_day_any() {
        let bodies = (0..100).flat_map(|m| (0..100).map(move |d| format!("180{m:02}{d:02}01234")));
        let counts: Vec<usize> = bodies.map(|body| check_digits(&RO_CNP, &body).len()).collect();
        assert!(counts.iter().all(|n| *n <= 1));
        assert_eq!(counts.iter().sum::<usize>(), 366);
    }
}
