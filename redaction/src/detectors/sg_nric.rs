//! SG_NRIC: Singapore identity numbers of citizens and foreigners, `S1234567D`: the check letter depends
//! on the series (Immigration and Checkpoints Authority; series M since 2022).

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::context::{Digits, stands_alone};
use crate::haystack::Haystack;
use crate::layouts::has_layout;
use crate::shapes::Shape;
use crate::spans::Found;

/// How it is printed.
const LAYOUT: &str = "#0000000#";

/// Finds Singapore identity numbers.
#[derive(Debug)]
pub(crate) struct SgNric;

impl Detector for SgNric {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "SG_NRIC",
            family: Family::Personal,
            confidence: Confidence::Certain,
            validator: "check letter of the series",
            shapes: &[Shape::DigitsAndLetter],
            positive: &[
                "24/05/21 17:28:32 INFO CustomerJob: NRIC «S9205193E» not found",
                r#"{"nric":"«T5420647F»","fin":["«F0380194L»","«G7022055K»"]}"#,
                "INSERT INTO residents VALUES (4, '«M9088516W»')",
                r"nric\n«S9205193E» or nric=«S9205193E».",
            ],
            negative: &[
                "S9205193F T5420647E F0380194K G7022055L M9088516X A9205193E",
                "xS9205193E S9205193EX S92051930E s9205193e id_S9205193E",
                "S9205193E-0001 T0000012 stage S1234567 task T7654321Z8",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        let Some(start) = anchor.end.checked_sub(LAYOUT.len()) else { return };
        let range = start..anchor.end;
        if !is_nric(&raw[range.clone()]) {
            found.never();
        } else if stands_alone(raw, &range) {
            found.push(range);
        }
    }
}

fn is_nric(text: &[u8]) -> bool {
    if !has_layout(text, LAYOUT) {
        return false;
    }
    let (offset, letters) = match text[0] {
        b'S' => (0, b"JZIHGFEDCBA"),
        b'T' => (4, b"JZIHGFEDCBA"),
        b'F' => (0, b"XWUTRQPNMLK"),
        b'G' => (4, b"XWUTRQPNMLK"),
        b'M' => (3, b"XWUTRQPNJLK"),
        _ => return false,
    };
    let sum = offset + Digits::of(text).weighted(&[2, 7, 6, 5, 4, 3, 2]);
    text.last() == letters.get(sum as usize % letters.len())
}

#[cfg(test)]
mod tests {
    use super::is_nric;

    #[test]
    fn every_series_has_one_check_letter_for_each_number() {
        for series in 'A'..='Z' {
            for number in (0..1000).map(|n| n * 9_973) {
                let passes = |c: &char| is_nric(format!("{series}{number:07}{c}").as_bytes());
                let want = usize::from("STFGM".contains(series));
                assert_eq!(('A'..='Z').filter(passes).count(), want, "{series}{number}");
            }
        }
    }

    #[test]
    fn known_letters_of_each_series_pass() {
        for text in ["S1234567D", "T1234567J", "F1234567N", "G1234567X", "M1234567K"] {
            assert!(is_nric(text.as_bytes()), "{text}");
        }
    }
}
