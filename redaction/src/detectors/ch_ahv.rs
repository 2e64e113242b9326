//! CH_AHV: Swiss social insurance numbers, `756.xxxx.xxxx.xx` (eCH-0044; the check digit is that of
//! EAN-13, country 756).

use super::Confidence;
use crate::checked_number::{CheckedNumber, when_plain};
use crate::context::Digits;

/// AHV numbers, also called AVS and NAVS13.
pub(crate) const CH_AHV: CheckedNumber = CheckedNumber {
    entity: "CH_AHV",
    confidence: Confidence::Certain,
    validator: "country 756, check digit, and words where it is plain",
    numbers: &[&[13], &[3, 4, 4, 2]],
    layouts: &["000.0000.0000.00", "000 0000 0000 00", "0000000000000"],
    needs_word: when_plain,
    words: &[
        "ahv",
        "ahvn13",
        "ahvnr",
        "ahv nummer",
        "avs",
        "navs13",
        "navs",
        "versichertennummer",
        "sozialversicherungsnummer",
        "social security",
    ],
    is_valid,
    positive: &[
        "24/06/20 18:24:01 WARN Policy: insured «756.3045.9816.26» has no contract",
        r#"{"ahvn13":"«7568132457701»","kanton":"ZH"}"#,
        "VALUES ('«756 8132 4577 01»'), no AVS: «7563045981626»",
    ],
    negative: &[
        "756.3045.9816.27 and 755.3045.9816.26, ahv=7568132457702",
        "offset 7568132457701, at 7563045981626 ms, part 1.756.3045.9816.26",
        "ahv=75681324577010 ahv=1756813245770 756.3045.9816.26.1",
    ],
    ..CheckedNumber::NONE
};

fn is_valid(digits: &Digits) -> bool {
    digits.number(0..3) == 756
        && digits.weighted(&[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::CH_AHV;
    use crate::checked_number::check_digits;

    #[test]
    fn only_swiss_numbers_have_a_check_digit_and_one_each() {
        for country in 0..1000 {
            for serial in 0..10 {
                let body = format!("{country:03}90481{serial}263");
                let n_digits = check_digits(&CH_AHV, &body).len();
                assert_eq!(n_digits, usize::from(country == 756), "{body}");
            }
        }
    }
}
