//! DE_SOCIAL_SECURITY: German pension insurance numbers, `65180539W001` (Sozialgesetzbuch VI § 147;
//! VKVV § 2 and § 4).

use super::Confidence;
use crate::context::is_day;
use crate::lettered_number::LetteredNumber;

/// Versicherungsnummern of the Rentenversicherung.
pub(crate) const DE_SOCIAL_SECURITY: LetteredNumber = LetteredNumber {
    entity: "DE_SOCIAL_SECURITY",
    confidence: Confidence::Certain,
    validator: "check digit, a date, and an issued area",
    literals: &[
        "rentenversicherung",
        "sozialversicherung",
        "versicherung",
        "svnr",
        "rvnr",
        "sv-nummer",
    ],
    layouts: &["00000000#000"],
    is_valid,
    is_valid_named: is_valid,
    positive: &[
        "24/06/20 18:24:01 WARN Meldung: Versicherter «12230771M240» fehlt",
        r#"{"svnr":"«53011290K567»","rentenversicherungsnummer":"«04 150672 P 082»"}"#,
        "VALUES ('«65180539W001»'), Sozialversicherungsnummer «15 070649 c103»",
    ],
    negative: &[
        "12230771M241 53011290L567 04150672P083 01150672P082",
        "x12230771M240 12230771M2400 id_12230771M240 part-12230771M240-0 0.12230771M240",
        "12331371M240 20240915T103 svnr=none Versicherung 12 230771 M 241",
    ],
    ..LetteredNumber::NONE
};

fn is_valid(text: &[u8]) -> bool {
    const WEIGHTS: [u32; 12] = [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1];
    // The letter counts as the two digits of its place in the alphabet.
    let letter = text[8] - b'A' + 1;
    let digit = |i: usize| text[i] - b'0';
    let (before, after) = ((0..8).map(digit), (9..11).map(digit));
    let values = before.chain([letter / 10, letter % 10]).chain(after);
    let sum: u32 = values
        .zip(WEIGHTS)
        .map(|(value, weight)| u32::from(value) * weight)
        .map(|product| product / 10 + product % 10)
        .sum();
    let two = |i: usize| u64::from(digit(i)) * 10 + u64::from(digit(i + 1));
    // A day beyond 31 is one of several people with the same name and birthday.
    let day = match two(2) {
        day @ 0..=31 => day,
        day => day - 32,
    };
    is_area(two(0)) && (day == 0 || is_day(two(4), day)) && sum % 10 == u32::from(digit(11))
}

/// Numbers of the institutions of the pension insurance.
fn is_area(area: u64) -> bool {
    matches!(area, 2..=4 | 8..=21 | 23..=26 | 28 | 29 | 38..=40 | 42..=44 | 48..=82 | 89)
}

#[cfg(test)]
mod tests {
    use super::DE_SOCIAL_SECURITY;
    use crate::lettered_number::check_letters;

    fn n_check_digits(body: &str) -> usize {
        (0..10)
            .filter(|digit| (DE_SOCIAL_SECURITY.is_valid)(format!("{body}{digit}").as_bytes()))
            .count()
    }

    #[test]
    fn each_letter_and_serial_has_one_check_digit() {
        for letter in 'A'..='Z' {
            for serial in 0..100 {
                let n_digits = n_check_digits(&format!("65180539{letter}{serial:02}"));
                assert_eq!(n_digits, 1, "{letter} {serial}");
            }
        }
        assert!(check_letters(&DE_SOCIAL_SECURITY, "65180539", "001").contains('W'));
    }

    #[test]
    fn areas_and_days_are_those_that_are_issued() {
        let n_areas = (0..100).filter(|a| n_check_digits(&format!("{a:02}180539W00")) == 1).count();
        let n_days = (0..100).filter(|d| n_check_digits(&format!("65{d:02}0539W00")) == 1).count();
        assert_eq!((n_areas, n_days), (65, 64));
    }
}
