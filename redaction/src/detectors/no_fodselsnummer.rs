//! NO_FODSELSNUMMER: Norwegian birth numbers and D numbers, eleven digits of which two are checks
//! (Folkeregisterforskriften, chapter 2).

use super::Confidence;
use crate::checked_number::CheckedNumber;
use crate::context::{Digits, is_day};

/// Fødselsnumre, D-nummere and the numbers of test people.
pub(crate) const NO_FODSELSNUMMER: CheckedNumber = CheckedNumber {
    entity: "NO_FODSELSNUMMER",
    confidence: Confidence::Certain,
    validator: "two checks modulo 11, a date, and words",
    numbers: &[&[11]],
    // Of the name with ø, with oe and with o.
    literals: &["dselsnummer", "dselsnr"],
    layouts: &["00000000000", "000000 00000"],
    words: &[
        "fødselsnummer",
        "fodselsnummer",
        "foedselsnummer",
        "fødselsnr",
        "fodselsnr",
        "fnr",
        "dnr",
        "d nummer",
        "personnummer",
        "norwegian national id",
    ],
    is_valid,
    positive: &[
        "24/06/20 18:24:01 WARN Lookup: fnr «15078645137» is not known",
        r#"{"fodselsnummer":"«01019030586»","dNummer":"«55078645120»"}"#,
        "fødselsnummer: «301255 27171», personnummer=«23030461207»",
    ],
    negative: &[
        "fnr=15078645138 fnr=15078645147 fodselsnummer: 010190 30587",
        "offset 15078645137, 01019030586 bytes, took 55078645120 ns",
        "fnr=150786451370 fnr=99999999999",
        "fnrs 15078645137",
    ],
    ..CheckedNumber::NONE
};

fn is_valid(digits: &Digits) -> bool {
    is_date(digits.number(0..2), digits.number(2..4))
        && digits.weighted(&[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]).is_multiple_of(11)
        && digits.weighted(&[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

fn is_date(day: u64, month: u64) -> bool {
    // D numbers add 40 to the day; numbers of test people add 40, 65 or 80 to the month.
    let day = if day > 40 { day - 40 } else { day };
    [0, 40, 65, 80].iter().any(|extra| month > *extra && is_day(month - extra, day))
}

#[cfg(test)]
mod tests {
    use super::{NO_FODSELSNUMMER, is_date};
    use crate::checked_number::n_check_pairs;

    #[test]
    fn each_body_has_one_pair_of_checks_or_is_not_issued() {
        let counts: Vec<usize> = (0..1000)
            .map(|serial| n_check_pairs(&NO_FODSELSNUMMER, &format!("150786{serial:03}")))
            .collect();
        assert!(counts.iter().all(|n| *n <= 1));
        // Either check is 10 for one body in eleven.
        let n_issued = counts.iter().sum::<usize>();
        assert!((800..860).contains(&n_issued), "{n_issued}");
    }

    #[test]
    fn each_day_is_taken_with_and_without_additions() {
        let n_days = (0..100).flat_map(|d| (0..100).map(move |m| (d, m)));
        assert_eq!(n_days.filter(|(d, m)| is_date(*d, *m)).count(), 366 * 2 * 4);
    }
}
