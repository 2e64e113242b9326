//! MX_RFC: Mexican tax numbers of people: four letters of the name, date of birth, two characters that
//! tell namesakes apart, and a check character (Servicio de Administración Tributaria).

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::context::{follows_word, is_day, stands_alone};
use crate::haystack::Haystack;
use crate::layouts::has_layout;
use crate::lexis::work;
use crate::shapes::Shape;
use crate::spans::Found;

/// How it is printed.
const LAYOUT: &str = "####000000???";
/// Where the shape fires: at the fourth digit behind the letters.
const FOURTH_DIGIT_AT: usize = 7;
/// Words that name it.
const WORDS: &[&str] = &["rfc", "registro federal", "contribuyente", "contribuyentes"];

/// Finds Mexican tax numbers of people.
#[derive(Debug)]
pub(crate) struct MxRfc;

impl Detector for MxRfc {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "MX_RFC",
            family: Family::Personal,
            confidence: Confidence::High,
            validator: "date, and check character or words",
            shapes: &[Shape::DigitsAndLetter],
            positive: &[
                "24/05/21 17:28:32 INFO FacturaJob: emisor «LORA870613K77» sin timbre",
                r#"{"rfc":"«SAVM920805QX3»","rfcReceptor":"«TOMC0301192A4»"}"#,
                "INSERT INTO contribuyentes VALUES (2, '«PEJL790228AB0»')",
            ],
            negative: &[
                "LORA870613K78 SAVM920805QX4 rfc LORA871313K77 rfc 1918",
                "XLORA870613K77 LORA870613K777 id_LORA870613K77 LORA870613K77-c000",
                "lora870613k77 LORA870613_K77 HTTP200101 TASK870613K7",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        let Some(start) = anchor.start.checked_sub(FOURTH_DIGIT_AT) else { return };
        let range = start..start + LAYOUT.len();
        let Some(text) = raw.get(range.clone()).filter(|text| has_form(text)) else {
            return found.never();
        };
        let is_proved = || has_check_character(text) || follows_word(raw, start, WORDS);
        if stands_alone(raw, &range) && is_proved() {
            found.push(range);
        }
    }
}

fn has_form(text: &[u8]) -> bool {
    let number = |at: usize| u64::from(text[at] - b'0') * 10 + u64::from(text[at + 1] - b'0');
    has_layout(text, LAYOUT) && is_day(number(6), number(8))
}

fn has_check_character(text: &[u8]) -> bool {
    work::add(text.len());
    let places = text.iter().take(LAYOUT.len() - 1).zip((2..=13).rev());
    let sum: u32 = places.map(|(byte, weight)| value(*byte) * weight).sum();
    let want = match 11 - sum % 11 {
        11 => b'0',
        10 => b'A',
        digit => b'0' + digit as u8,
    };
    text.last() == Some(&want)
}

/// Place in the alphabet of the tax office: an `&` stands between N and O.
fn value(byte: u8) -> u32 {
    match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        b'A'..=b'N' => u32::from(byte - b'A') + 10,
        _ => u32::from(byte.saturating_sub(b'O')) + 25,
    }
}

#[cfg(test)]
mod tests {
    use super::{has_check_character, has_form};

    #[test]
    fn every_number_has_one_check_character() {
        for first in 'A'..='Z' {
            for key in (0..100).map(|n| format!("{n:02}")).chain(["K7".into(), "ZZ".into()]) {
                let body = format!("{first}ORA870613{key}");
                let passes = |c: &char| has_check_character(format!("{body}{c}").as_bytes());
                assert_eq!(('0'..='9').chain('A'..='Z').filter(passes).count(), 1, "{body}");
            }
        }
        // The example of the tax office.
        assert!(has_check_character(b"GODE561231GR8"));
    }

    #[test]
    fn every_day_of_a_leap_year_is_a_date() {
        let days = (0..100).flat_map(|m| (0..100).map(move |d| format!("LORA84{m:02}{d:02}K77")));
        assert_eq!(days.filter(|text| has_form(text.as_bytes())).count(), 366);
    }
}
