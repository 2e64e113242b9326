//! PL_PESEL: Polish national identification numbers (Act on the population register of 24 September 2010,
//! article 15).

use super::Confidence;
use crate::checked_number::CheckedNumber;
use crate::context::{Digits, is_day};

/// Numery PESEL, behind a word only: offsets and byte counts have eleven digits as well.
pub(crate) const PL_PESEL: CheckedNumber = CheckedNumber {
    entity: "PL_PESEL",
    confidence: Confidence::Certain,
    validator: "weights, a date, and words",
    numbers: &[&[11]],
    layouts: &["00000000000"],
    words: &["pesel", "nr pesel", "numer ewidencyjny", "polish id"],
    is_valid,
    positive: &[
        "24/06/20 18:24:01 WARN Dedup: PESEL «79051263920» seen twice",
        r#"{"pesel":"«02270812343»","kraj":"PL"}"#,
        "numerPesel=«79051294357» peselNumber: «79051263920»",
    ],
    negative: &[
        "pesel=79051263921 pesel=02270812344",
        "offset 79051263920, 79051294357 bytes, fetched in 02270812343 ns",
        "pesel=79023012349 pesel=79133112346 pesel=99999999999",
    ],
    ..CheckedNumber::NONE
};

fn is_valid(digits: &Digits) -> bool {
    // The century is added to the month: 80 is 1800, 0 is 1900, 20 is 2000 and so on.
    is_day(digits.number(2..4) % 20, digits.number(4..6))
        && digits.weighted(&[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]).is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::PL_PESEL;
    use crate::checked_number::check_digits;

    #[test]
    fn each_day_of_each_century_has_one_check_digit_and_no_other_day_any() {
        let bodies = (0..100).flat_map(|m| (0..100).map(move |d| format!("79{m:02}{d:02}1234")));
        let counts: Vec<usize> = bodies.map(|body| check_digits(&PL_PESEL, &body).len()).collect();
        assert!(counts.iter().all(|n| *n <= 1));
        assert_eq!(counts.iter().sum::<usize>(), 5 * 366);
    }
}
