//! IT_FISCAL_CODE: Italian tax codes of people, 16 characters (Decreto Ministeriale of 23 December 1976).

use super::Confidence;
use crate::lettered_number::LetteredNumber;
use crate::shapes::Shape;

/// Codici fiscali. Those where letters replace digits, and in lower case, only behind their name.
pub(crate) const IT_FISCAL_CODE: LetteredNumber = LetteredNumber {
    entity: "IT_FISCAL_CODE",
    confidence: Confidence::Certain,
    validator: "check letter, month and day",
    shapes: &[Shape::LettersAmongDigits],
    literals: &["codice fiscale", "codice_fiscale", "codicefiscale", "fiscal"],
    layouts: &["######??#??#???#"],
    is_valid,
    is_valid_named: is_valid,
    positive: &[
        "24/06/20 18:24:01 WARN Anagrafe: «RSSMRA85T10A562S» non trovato",
        r#"{"codiceFiscale":"«bncgli90d55f205b»","cf":"«VRDLCU72A01H501G»"}"#,
        "VALUES ('«NRELSN68R41L219Z»'), codice_fiscale=«RSSMRA85T10A56NH», fiscal code «VRD LCU 72A01 H501G»",
    ],
    negative: &[
        "RSSMRA85T10A562T BNCGLI90D55F205A VRDLCU72A01H501H",
        "RSSMRA85T10A562SX XRSSMRA85T10A562S id_RSSMRA85T10A562S part-RSSMRA85T10A562S-0",
        "RSSMRA85T00A562H RSSMRA85F10A562Z RSSMRA85T10A56NH",
        "fiscal year 2024, fiscalCode=null, RSSMRA85T10A562T",
    ],
    ..LetteredNumber::NONE
};

/// Values of the characters at odd places, for `0` and `A`, `1` and `B` and so on.
const ODD_VALUES: [u32; 26] =
    [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];

fn is_valid(text: &[u8]) -> bool {
    let Some((check, body)) = text.split_last() else { return false };
    let sum: u32 = body
        .iter()
        .map(|b| if b.is_ascii_digit() { b - b'0' } else { b - b'A' })
        .enumerate()
        .map(|(i, n)| if i % 2 == 0 { ODD_VALUES[usize::from(n)] } else { u32::from(n) })
        .sum();
    let is_checked = sum % 26 == u32::from(check - b'A');
    is_checked && b"ABCDEHLMPRST".contains(&body[8]) && has_digits(body)
}

/// True when the places for digits hold digits, or the letters that replace them, and make a day;
/// women's days have 40 more.
fn has_digits(body: &[u8]) -> bool {
    let digits = [6, 7, 9, 10, 12, 13, 14].map(|place| match body[place] {
        digit @ b'0'..=b'9' => Some(digit - b'0'),
        letter => b"LMNPQRSTUV".iter().zip(0..).find(|(l, _)| **l == letter).map(|(_, n)| n),
    });
    let day = digits[2].zip(digits[3]).map(|(tens, ones)| tens * 10 + ones);
    matches!(day, Some(1..=31 | 41..=71)) && digits.iter().all(Option::is_some)
}

#[cfg(test)]
mod tests {
    use super::IT_FISCAL_CODE;
    use crate::lettered_number::check_letters;

    #[test]
    fn each_day_and_month_that_exists_has_one_check_letter() {
        let mut n_valid = 0;
        for day in 0..100 {
            for month in 'A'..='Z' {
                let letters =
                    check_letters(&IT_FISCAL_CODE, &format!("RSSMRA85{month}{day:02}A562"), "");
                assert!(letters.len() <= 1);
                n_valid += letters.len();
            }
        }
        assert_eq!(n_valid, 12 * 62);
    }

    #[test]
    fn ten_letters_replace_digits() {
        let is_valid =
            |c: char| !check_letters(&IT_FISCAL_CODE, &format!("RSSMRA85T10A56{c}"), "").is_empty();
        let places: String = ('0'..='9').chain('A'..='Z').filter(|c| is_valid(*c)).collect();
        assert_eq!(places, "0123456789LMNPQRSTUV");
    }
}
