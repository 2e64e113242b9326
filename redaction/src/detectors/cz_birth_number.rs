//! CZ_BIRTH_NUMBER: Czech and Slovak birth numbers, `yymmdd/nnnn` (Act 133/2000 Coll., § 13).

use super::Confidence;
use crate::checked_number::CheckedNumber;
use crate::context::{Digits, is_day};

/// Rodná čísla, behind a word only.
pub(crate) const CZ_BIRTH_NUMBER: CheckedNumber = CheckedNumber {
    entity: "CZ_BIRTH_NUMBER",
    confidence: Confidence::Certain,
    validator: "divisible by 11, a date, and words",
    numbers: &[&[10]],
    literals: &["rodn", "birth number", "birth_number", "birthnumber"],
    layouts: &["000000/0000", "0000000000", "000000/000"],
    words: &["rodné číslo", "rodne cislo", "rodné čislo", "birth number"],
    is_valid,
    positive: &[
        "24/06/20 18:24:01 WARN Registr: rodné číslo «855512/1058» je duplicitní",
        r#"{"rodneCislo":"«7103192745»","zeme":"CZ"}"#,
        "rodne_cislo=«710319/2745», birth_number: «531027/123»",
    ],
    negative: &[
        "rodne_cislo=710319/2746 rodneCislo=7103192746",
        "offset 7103192745, path /data/855512/1058, 8555121058 bytes",
        "rodne cislo 711319/2745, 7103192745123, rodne_cislo=999999/9999",
    ],
    ..CheckedNumber::NONE
};

fn is_valid(digits: &Digits) -> bool {
    // Women's months have 50 more, and from 2004 on either may have 20 more.
    let month = digits.number(2..4) % 50;
    let month = if month > 20 { month - 20 } else { month };
    let is_date = is_day(month, digits.number(4..6));
    let (len, year) = (digits.as_slice().len(), digits.number(0..2));
    let is_checked = match len {
        // Without a check digit until 1953.
        9 => year < 54,
        // The rest modulo 11 may have been 10, which was written 0 until 1985.
        _ => digits.number(0..9) % 11 % 10 == digits.number(9..10),
    };
    is_date && is_checked
}

#[cfg(test)]
mod tests {
    use super::CZ_BIRTH_NUMBER;
    use crate::checked_number::check_digits;
    use crate::context::Digits;

    #[test]
    fn each_day_has_one_check_digit_for_each_kind_of_month() {
        let bodies = (0..100).flat_map(|m| (0..100).map(move |d| format!("71{m:02}{d:02}274")));
        let counts: Vec<usize> =
            bodies.map(|body| check_digits(&CZ_BIRTH_NUMBER, &body).len()).collect();
        assert!(counts.iter().all(|n| *n <= 1));
        assert_eq!(counts.iter().sum::<usize>(), 4 * 366);
    }

    #[test]
    fn numbers_of_nine_digits_end_with_1953() {
        for year in 0..100 {
            let digits = Digits::of(format!("{year:02}1027123").as_bytes());
            assert_eq!((CZ_BIRTH_NUMBER.is_valid)(&digits), year < 54, "{year}");
        }
    }
}
