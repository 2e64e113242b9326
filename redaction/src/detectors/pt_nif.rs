//! PT_NIF: Portuguese tax numbers, nine digits (Decreto-Lei 14/2013; Autoridade Tributária).

use super::Confidence;
use crate::checked_number::CheckedNumber;
use crate::context::Digits;

/// Números de identificação fiscal, behind a word only: nine digits are any number.
pub(crate) const PT_NIF: CheckedNumber = CheckedNumber {
    entity: "PT_NIF",
    confidence: Confidence::Certain,
    validator: "modulus 11, issued first digits, and words",
    numbers: &[&[9], &[3, 3, 3]],
    layouts: &["000000000", "000 000 000", "000.000.000", "000-000-000"],
    words: &[
        "nif",
        "nipc",
        "contribuinte",
        "identificação fiscal",
        "identificacao fiscal",
        "numero fiscal",
        "número fiscal",
    ],
    is_valid,
    positive: &[
        "24/06/20 18:24:01 ERROR Invoice: NIF «219340862» is blocked",
        r#"{"nif":"«508217342»","contribuinte":"«450123782»"}"#,
        "nif_cliente=«102 938 466», N.º contribuinte «219340862»",
    ],
    negative: &[
        "nif=219340863 nif=508217343 contribuinte: 450123783",
        "wrote 219340862 bytes, offset=508217342, 102938466 rows",
        "nif=412340862 nif=2193408620",
        "manif 219340862",
    ],
    ..CheckedNumber::NONE
};

fn is_valid(digits: &Digits) -> bool {
    let sum = digits.weighted(&[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    let check = if sum < 2 { 0 } else { 11 - sum };
    // Of those that begin with 4 only 45, people who do not live there, is issued; none begins with 0.
    let is_issued = !matches!(digits.number(0..2), 0..=9 | 40..=44 | 46..=49);
    is_issued && digits.number(8..9) == u64::from(check)
}

#[cfg(test)]
mod tests {
    use super::PT_NIF;
    use crate::checked_number::check_digits;

    #[test]
    fn each_issued_number_has_one_check_digit() {
        for prefix in 0..100 {
            let is_issued = prefix >= 10 && (prefix / 10 != 4 || prefix == 45);
            for serial in 0..100 {
                let body = format!("{prefix:02}{serial:02}7391");
                let n_digits = check_digits(&PT_NIF, &body).len();
                assert_eq!(n_digits, usize::from(is_issued), "{body}");
            }
        }
    }
}
