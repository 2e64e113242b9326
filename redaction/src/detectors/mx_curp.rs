//! MX_CURP: Mexican population registry codes: letters of the name, date of birth, sex, state, consonants
//! of the name, and a check digit (RENAPO, Instructivo Normativo para la Asignación de la CURP, 2021).

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::context::{is_day, stands_alone};
use crate::haystack::Haystack;
use crate::layouts::has_layout;
use crate::lexis::work;
use crate::shapes::Shape;
use crate::spans::Found;

/// How it is printed; the last but one is a digit until 1999, then a letter.
const LAYOUT: &str = "####000000######?0";
/// Place of the sex, which is where the shape fires.
const SEX_AT: usize = 10;
/// Codes of the states, of the federal district, and NE for those born abroad.
const STATES: &[u8] =
    b"AS BC BS CC CH CL CM CS DF DG GR GT HG JC MC MN MS NE NL NT OC PL QR QT SL SP SR \
TC TL TS VZ YN ZS";

/// Finds Mexican population registry codes.
#[derive(Debug)]
pub(crate) struct MxCurp;

impl Detector for MxCurp {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "MX_CURP",
            family: Family::Personal,
            confidence: Confidence::Certain,
            validator: "date, sex, state and check digit",
            shapes: &[Shape::DigitsAndLetter],
            positive: &[
                "24/05/21 17:28:32 INFO PadronJob: CURP «LORA870613HDFPMN09» duplicada",
                r#"{"curp":"«SAVM920805MJCNRR09»","curps":["«TOMC030119HNLRJSA6»"]}"#,
                "INSERT INTO personas VALUES (8, '«LORA870613HDFPMN09»')",
            ],
            negative: &[
                "LORA870613HDFPMN08 LORA871313HDFPMN09 LORA870613HXXPMN09 LORA870613ZDFPMN09",
                "XLORA870613HDFPMN09 LORA870613HDFPMN091 id_LORA870613HDFPMN09",
                "lora870613hdfpmn09 LORA870613HDFPMN09-c000 LORA870613HDFAMN09",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        let Some(start) = anchor.start.checked_sub(SEX_AT) else { return };
        let range = start..start + LAYOUT.len();
        if !raw.get(range.clone()).is_some_and(is_curp) {
            found.never();
        } else if stands_alone(raw, &range) {
            found.push(range);
        }
    }
}

fn is_curp(text: &[u8]) -> bool {
    let number = |at: usize| u64::from(text[at] - b'0') * 10 + u64::from(text[at + 1] - b'0');
    has_layout(text, LAYOUT)
        // X stands for people whose sex is not recorded as either.
        && matches!(text[SEX_AT], b'H' | b'M' | b'X')
        && is_day(number(6), number(8))
        && STATES.chunks(3).any(|state| state.starts_with(&text[11..13]))
        && !text[13..16].iter().any(|letter| b"AEIOU".contains(letter))
        && has_check_digit(text)
}

fn has_check_digit(text: &[u8]) -> bool {
    work::add(text.len());
    let places = text.iter().take(LAYOUT.len() - 1).zip((2..=18).rev());
    let sum: u32 = places.map(|(byte, weight)| value(*byte) * weight).sum();
    text.last().is_some_and(|last| u32::from(last - b'0') == (10 - sum % 10) % 10)
}

/// Place in the Spanish alphabet behind the digits; it has an Ñ, which counts although codes have none.
fn value(byte: u8) -> u32 {
    match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        b'A'..=b'N' => u32::from(byte - b'A') + 10,
        _ => u32::from(byte.saturating_sub(b'O')) + 25,
    }
}

#[cfg(test)]
mod tests {
    use super::{STATES, is_curp};

    #[test]
    fn every_state_and_sex_has_one_check_digit_in_ten() {
        assert_eq!(STATES.chunks(3).count(), 33);
        for state in STATES.chunks(3).map(|s| String::from_utf8_lossy(&s[..2])) {
            for sex in 'A'..='Z' {
                let passes = |n: &u32| is_curp(format!("LORA870613{sex}{state}PMN0{n}").as_bytes());
                let want = usize::from("HMX".contains(sex));
                assert_eq!((0..10).filter(passes).count(), want, "{sex}{state}");
            }
        }
        // The example of the registry's instructions.
        assert!(is_curp(b"HEGG560427MVZRRL04"));
    }

    #[test]
    fn only_states_and_days_that_are_pass() {
        let passes = |text: String| (0..10).any(|n| is_curp(format!("{text}{n}").as_bytes()));
        let letters = || b'A'..=b'Z';
        let states = letters().flat_map(|a| letters().map(move |b| (a as char, b as char)));
        let n_states = states.filter(|(a, b)| passes(format!("LORA870613H{a}{b}PMN0"))).count();
        assert_eq!(n_states, 33);
        let days = (0..100).flat_map(|m| (0..100).map(move |d| format!("LORA84{m:02}{d:02}")));
        assert_eq!(days.filter(|day| passes(format!("{day}HDFPMN0"))).count(), 366);
    }
}
