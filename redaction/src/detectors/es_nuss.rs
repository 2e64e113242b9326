//! ES_NUSS: Spanish social security numbers: province, eight digits and a check modulo 97 (Tesorería
//! General de la Seguridad Social).

use super::Confidence;
use crate::checked_number::CheckedNumber;
use crate::context::Digits;

/// Números de afiliación a la Seguridad Social, behind a word only.
pub(crate) const ES_NUSS: CheckedNumber = CheckedNumber {
    entity: "ES_NUSS",
    confidence: Confidence::Certain,
    validator: "modulo 97, province, and words",
    numbers: &[&[12], &[2, 8, 2]],
    literals: &["nuss", "afiliaci", "seguridad"],
    layouts: &[
        "000000000000",
        "00 00000000 00",
        "00-00000000-00",
        "00/00000000/00",
        "00/0000000000",
    ],
    words: &["nuss", "seguridad social", "afiliación", "afiliacion", "naf", "num ss"],
    is_valid,
    positive: &[
        "24/06/20 18:24:01 INFO Nomina: NUSS «281048237510» without contract",
        r#"{"nuss":"«08/03417265/78»","naf":"«41 12003481 45»"}"#,
        "numero_afiliacion=«41/1200348145» seguridadSocial: «28-10482375-10»",
    ],
    negative: &[
        "nuss=281048237511 nuss: 08/03417265/79",
        "offset 281048237510, 411200348145 bytes, 28-10482375-10 and 08/03417265/78",
        "nuss=991048237510 nuss=2810482375101 Seguridad 2024/06/20 nuss=000000000000",
    ],
    ..CheckedNumber::NONE
};

fn is_valid(digits: &Digits) -> bool {
    let (province, serial) = (digits.number(0..2), digits.number(2..10));
    // Old serials have seven digits; their zero is not counted.
    let body = province * if serial < 10_000_000 { 10_000_000 } else { 100_000_000 } + serial;
    let is_province = matches!(province, 1..=53 | 66);
    is_province && body % 97 == digits.number(10..12)
}

#[cfg(test)]
mod tests {
    use super::ES_NUSS;
    use crate::checked_number::n_check_pairs;

    #[test]
    fn each_serial_of_each_province_has_one_check() {
        for province in 0..100 {
            for serial in [1_u32, 999_999, 9_999_999, 10_000_000, 48_823_751] {
                let n_pairs = n_check_pairs(&ES_NUSS, &format!("{province:02}{serial:08}"));
                let is_province = (1..=53).contains(&province) || province == 66;
                assert_eq!(n_pairs, usize::from(is_province), "{province} {serial}");
            }
        }
    }
}
