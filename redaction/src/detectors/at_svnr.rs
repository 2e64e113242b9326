//! AT_SVNR: Austrian social insurance numbers, `nnnc ddmmyy` (Allgemeines Sozialversicherungsgesetz,
//! § 31; Dachverband der Sozialversicherungsträger).

use super::Confidence;
use crate::checked_number::CheckedNumber;
use crate::context::{Digits, is_day};

/// Sozialversicherungsnummern of Austria, behind a word only: any two numbers of four and six digits
/// look like one in 300 cases.
pub(crate) const AT_SVNR: CheckedNumber = CheckedNumber {
    entity: "AT_SVNR",
    confidence: Confidence::Certain,
    validator: "weights modulo 11, a date, and words",
    numbers: &[&[10], &[4, 6]],
    layouts: &["0000 000000", "0000-000000", "0000000000"],
    words: &[
        "svnr",
        "sv nr",
        "sv nummer",
        "vsnr",
        "sozialversicherungsnummer",
        "sozialversicherung",
        "versicherungsnummer",
    ],
    is_valid,
    positive: &[
        "24/06/20 18:24:01 INFO Match: SVNR «7829 280755» has 2 rows",
        r#"{"svnr":"«3475091392»","land":"AT"}"#,
        "Sozialversicherungsnummer: «1237-010180»; sv_nr=«3459 091392»",
    ],
    negative: &[
        "rows 7828 280755, svnr=3474091392",
        "file 3475-091392, 1237010180 bytes at offset 7829280755",
        "pid 7829 280755, took 3459 091392, sizes 1024 204800, 0.7829 280755",
        "svnr=7829283255 svnr=3475091692 svnr=0000000000 svnr=37829280755",
    ],
    ..CheckedNumber::NONE
};

fn is_valid(digits: &Digits) -> bool {
    // Where the serials of a day are used up, months 13 to 15 stand for none.
    let (day, month) = (digits.number(4..6), digits.number(6..8));
    let is_date = is_day(month, day) || (13..=15).contains(&month) && (1..=31).contains(&day);
    let check = digits.weighted(&[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]) % 11;
    is_date && digits.number(0..3) >= 100 && digits.number(3..4) == u64::from(check)
}

#[cfg(test)]
mod tests {
    use super::AT_SVNR;
    use crate::context::Digits;

    #[test]
    fn each_serial_of_a_day_has_one_check_digit_or_is_not_issued() {
        let n_checks = |serial: u32| {
            (0..10)
                .filter(|c| {
                    let number = format!("{serial:03}{c}010180");
                    (AT_SVNR.is_valid)(&Digits::of(number.as_bytes()))
                })
                .count()
        };
        assert!((0..100).all(|serial| n_checks(serial) == 0));
        assert!((100..1000).all(|serial| n_checks(serial) <= 1));
        // A check of 10 is not issued.
        let n_issued = (100..1000).filter(|serial| n_checks(*serial) == 1).count();
        assert!((800..830).contains(&n_issued), "{n_issued}");
    }
}
