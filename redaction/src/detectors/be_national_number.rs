//! BE_NATIONAL_NUMBER: Belgian national register numbers and BIS numbers, `yy.mm.dd-ddd.cc` (Royal Decree
//! of 3 April 1984 on the composition of the identification number).

use super::Confidence;
use crate::checked_number::{CheckedNumber, when_plain};
use crate::context::Digits;

/// Rijksregisternummers, also called INSZ and NISS.
pub(crate) const BE_NATIONAL_NUMBER: CheckedNumber = CheckedNumber {
    entity: "BE_NATIONAL_NUMBER",
    confidence: Confidence::Certain,
    validator: "modulo 97, a date, and words where it is plain",
    numbers: &[&[11], &[2, 2, 2, 3, 2], &[6, 3, 2]],
    layouts: &[
        "00000000000",
        "00.00.00-000.00",
        "00.00.00-000-00",
        "00 00 00 000 00",
        "000000-000.00",
        "000000-000-00",
    ],
    needs_word: when_plain,
    words: &[
        "rijksregisternummer",
        "rijksregister",
        "rrn",
        "insz",
        "niss",
        "registre national",
        "numero national",
        "numéro national",
        "nationaal nummer",
        "national register",
        "national number",
        "bis nummer",
    ],
    is_valid,
    positive: &[
        "24/06/20 18:24:01 INFO Join: no match for «71.03.14-426.84», row 9",
        r#"{"rijksregisternummer":"«93050507913»","insz":"«01051000571»"}"#,
        "VALUES ('«01.05.10-005.71»', '«930505-079.13»'), niss=«64.46.12-003.42»",
    ],
    negative: &[
        "71.03.14-426.85 and 01.05.10-005.72, insz=93050507914",
        "offset 93050507913, 71031442684 bytes, took 01051000571 ns",
        "99.99.99-999.99 1.71.03.14-426.84 71.03.14-426.84.2 build 93.13.05-079.13",
    ],
    ..CheckedNumber::NONE
};

fn is_valid(digits: &Digits) -> bool {
    let (body, check) = (digits.number(0..9), digits.number(9..11));
    // People born from 2000 on count as if a 2 stood before.
    let is_checked = [body, 2_000_000_000 + body].iter().any(|body| 97 - body % 97 == check);
    // BIS numbers add 20 or 40 to the month; unknown parts of a date are zero.
    let (month, day) = (digits.number(2..4), digits.number(4..6));
    is_checked && matches!(month, 0..=12 | 20..=32 | 40..=52) && day <= 31
}

#[cfg(test)]
mod tests {
    use super::BE_NATIONAL_NUMBER;
    use crate::checked_number::n_check_pairs;

    #[test]
    fn each_number_has_one_check_for_each_century() {
        for serial in 1..999 {
            let n_pairs = n_check_pairs(&BE_NATIONAL_NUMBER, &format!("850730{serial:03}"));
            assert_eq!(n_pairs, 2, "{serial}");
        }
    }

    #[test]
    fn months_and_days_are_those_of_register_and_bis_numbers() {
        let n_months = (0..100)
            .filter(|month| n_check_pairs(&BE_NATIONAL_NUMBER, &format!("85{month:02}30033")) > 0)
            .count();
        let n_days = (0..100)
            .filter(|day| n_check_pairs(&BE_NATIONAL_NUMBER, &format!("8507{day:02}033")) > 0)
            .count();
        assert_eq!((n_months, n_days), (39, 32));
    }
}
