//! DK_CPR: Danish personal numbers, `ddmmyy-nnnn` (CPR-kontoret, "Personnummeret i CPR").
//!
//! Since 2007 numbers are issued that do not pass the old check, so words have to name them.

use super::Confidence;
use crate::checked_number::CheckedNumber;
use crate::context::{Digits, is_day};

/// CPR numbers.
pub(crate) const DK_CPR: CheckedNumber = CheckedNumber {
    entity: "DK_CPR",
    confidence: Confidence::Likely,
    validator: "a date and words",
    numbers: &[&[10], &[6, 4]],
    layouts: &["000000-0000", "0000000000"],
    words: &["cpr", "cprnr", "cprnummer", "cpr nummer", "personnummer", "person nummer"],
    is_valid: |digits: &Digits| is_day(digits.number(2..4), digits.number(0..2)),
    positive: &[
        "24/06/20 18:24:01 INFO Enrich: cpr=«211062-8589» not found",
        r#"{"cprNummer":"«1506899383»","kommune":101}"#,
        "CPR-nr. «050689-1234»; cprnr='«310790-4321»'",
    ],
    negative: &[
        "run 211162-8589, file dump-150689-9383.log, 2110628589 bytes",
        "cpr=321062-8589 cpr=211362-8589 cpr=3002628589",
        "recpr 1506899383 cprx=2110628589",
        "cpr=211062-85890 cpr=1-211062-8589",
    ],
    ..CheckedNumber::NONE
};

#[cfg(test)]
mod tests {
    use super::DK_CPR;
    use crate::checked_number::check_digits;

    #[test]
    fn every_day_of_the_year_and_no_other_is_taken() {
        let bodies = (0..100).flat_map(|d| (0..100).map(move |m| format!("{d:02}{m:02}62858")));
        let n_days = bodies.filter(|body| check_digits(&DK_CPR, body).len() == 10).count();
        assert_eq!(n_days, 366);
    }
}
