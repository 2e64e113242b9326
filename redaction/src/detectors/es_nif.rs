//! ES_NIF: Spanish identity numbers DNI and NIE with their check letter (Real Decreto 1553/2005; Orden
//! INT/2058/2008).

use super::Confidence;
use crate::lettered_number::{LetteredNumber, is_amount};

/// Check letters by remainder modulo 23.
const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";

/// DNI `12345678Z` and NIE `X1234567L`, with and without hyphens.
pub(crate) const ES_NIF: LetteredNumber = LetteredNumber {
    entity: "ES_NIF",
    confidence: Confidence::Certain,
    validator: "letter modulo 23",
    // For a letter behind a hyphen.
    numbers: &[&[8]],
    literals: &["extranjero", "documento nacional"],
    layouts: &["00000000#", "#0000000#"],
    needs_word: is_amount,
    words: &["dni", "nif", "nie", "documento", "identidad"],
    is_valid,
    is_valid_named: is_valid,
    positive: &[
        "24/06/20 18:24:01 ERROR Alta: cliente «78002716X» duplicado, titular «Y6538507-N»",
        r#"{"dni":"«07208031-S»","pareja":"«X9722430P»"}"#,
        "VALUES (17, '«59421261W»'), id de extranjero: «z 3804712 b», nie=«X-2874509-S»",
    ],
    negative: &[
        "78002716Y 07208031-T Y6538507M",
        "x78002716X 78002716XX 178002716X 0.78002716X 78002716X-1 -78002716X id_78002716X",
        "heap 33554443L, sent 16777223B, 20240915T101530Z, part-78002716-X1, A9722430P",
    ],
    ..LetteredNumber::NONE
};

fn is_valid(text: &[u8]) -> bool {
    let Some((check, body)) = text.split_last() else { return false };
    let first = match body[0] {
        digit @ b'0'..=b'9' => digit - b'0',
        // Foreigners.
        letter @ b'X'..=b'Z' => letter - b'X',
        _ => return false,
    };
    let rest = body[1..].iter().fold(u32::from(first), |n, d| n * 10 + u32::from(d - b'0'));
    LETTERS[(rest % 23) as usize] == *check
}

#[cfg(test)]
mod tests {
    use super::{ES_NIF, LETTERS};
    use crate::lettered_number::check_letters;

    #[test]
    fn each_number_has_one_letter_and_they_follow_the_table() {
        for (number, letter) in (12_345_666..12_345_689).zip(*LETTERS) {
            let rest = (number % 23) as usize;
            let want = char::from(LETTERS[rest]).to_string();
            assert_eq!(check_letters(&ES_NIF, &number.to_string(), ""), want, "{letter}");
        }
        assert_eq!(check_letters(&ES_NIF, "12345678", ""), "Z");
    }

    #[test]
    fn only_three_letters_begin_the_number_of_a_foreigner() {
        let firsts =
            ('A'..='Z').filter(|c| !check_letters(&ES_NIF, &format!("{c}1234567"), "").is_empty());
        assert_eq!(firsts.collect::<String>(), "XYZ");
    }
}
