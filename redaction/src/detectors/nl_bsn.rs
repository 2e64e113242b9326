//! NL_BSN: Dutch citizen service numbers, nine digits that pass the "elfproef" (Wet algemene bepalingen
//! burgerservicenummer; Logisch Ontwerp BSN).

use super::Confidence;
use crate::checked_number::CheckedNumber;
use crate::context::Digits;

/// Burgerservicenummers, behind a word only: nine digits are any number.
pub(crate) const NL_BSN: CheckedNumber = CheckedNumber {
    entity: "NL_BSN",
    confidence: Confidence::Certain,
    validator: "eleven test and words",
    numbers: &[&[9], &[3, 3, 3]],
    layouts: &["000000000", "000 000 000", "000.000.000", "000-000-000"],
    words: &[
        "bsn",
        "burgerservicenummer",
        "burger service nummer",
        "sofinummer",
        "sofi nummer",
        "citizen service number",
    ],
    is_valid,
    positive: &[
        "24/06/20 18:24:01 ERROR Loader: duplicate BSN «283461093» in batch 12",
        r#"{"burgerservicenummer":"«517302846»","naam":"x"}"#,
        "bsn_nr='«283.461.093»' sofinummer «650 900 807»",
    ],
    negative: &[
        "bsn=283461094 burgerservicenummer 517302847",
        "read 283461093 records, 517302846 bytes, offset=650900807",
        "bsn=2834610931 bsn=-283461093 bsn=000000000",
        "absn 283461093",
    ],
    ..CheckedNumber::NONE
};

fn is_valid(digits: &Digits) -> bool {
    // The last digit counts minus one: ten, modulo eleven.
    digits.weighted(&[9, 8, 7, 6, 5, 4, 3, 2, 10]).is_multiple_of(11)
}

#[cfg(test)]
mod tests {
    use super::NL_BSN;
    use crate::checked_number::check_digits;

    #[test]
    fn each_number_has_one_check_digit_or_is_not_issued() {
        let n_digits = (10_000_000..10_011_000)
            .map(|body| check_digits(&NL_BSN, &body.to_string()).len())
            .inspect(|n| assert!(*n <= 1))
            .sum::<usize>();
        assert_eq!(n_digits, 10_000);
    }
}
