//! IN_PAN: Indian permanent account numbers, `AAAAA0000A`: the fourth letter is the kind of holder (Income
//! Tax Rules 1962, rule 114).

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::context::stands_alone;
use crate::haystack::Haystack;
use crate::layouts::has_layout;
use crate::shapes::Shape;
use crate::spans::Found;

/// How it is printed.
const LAYOUT: &str = "#####0000#";
/// Letters for the kind of holder: person, company, family, firm, association, trust, body of
/// individuals, local authority, artificial person, government.
const HOLDERS: &[u8] = b"PCHFATBLJG";

/// Finds Indian permanent account numbers.
#[derive(Debug)]
pub(crate) struct InPan;

impl Detector for InPan {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "IN_PAN",
            family: Family::Personal,
            confidence: Confidence::High,
            validator: "letters, digits and kind of holder",
            shapes: &[Shape::DigitsAndLetter],
            positive: &[
                "24/05/21 17:28:32 INFO KycJob: PAN «BKTPR4821M» linked",
                r#"{"pan":"«AAQCS7310K»","holders":["«DRWHL0042B»","«ZZKFA9907C»"]}"#,
                "INSERT INTO taxpayers VALUES (11, '«CVNPD6653Q»')",
                r"body {\u0022pan\u0022:\u0022«BKTPR4821M»\u0022}\n«BKTPR4821M»",
            ],
            negative: &[
                "BKTXR4821M BKTPR0000M BKTPR482M BKTPR48211M BKTPR4821m bktpr4821m",
                "XBKTPR4821M BKTPR4821MX BKTPR4821_M id_BKTPR4821M BKTPR4821M-0001",
                "ERROR4821M ABCPE12345 A4PPR4821M request 7BKTPR4821M8QZ40",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        let Some(start) = anchor.end.checked_sub(LAYOUT.len()) else { return };
        let range = start..anchor.end;
        if !is_pan(&raw[range.clone()]) {
            found.never();
        } else if stands_alone(raw, &range) {
            found.push(range);
        }
    }
}

fn is_pan(text: &[u8]) -> bool {
    has_layout(text, LAYOUT) && HOLDERS.contains(&text[3]) && &text[5..9] != b"0000"
}

#[cfg(test)]
mod tests {
    use super::is_pan;

    #[test]
    fn every_kind_of_holder_and_every_serial_is_decided_by_the_rule() {
        let holders = (b'A'..=b'Z').filter(|b| is_pan(&[b"BKT", &[*b][..], b"R4821M"].concat()));
        assert_eq!(holders.collect::<Vec<_>>(), b"ABCFGHJLPT");
        for serial in 0..10_000 {
            assert_eq!(is_pan(format!("BKTPR{serial:04}M").as_bytes()), serial != 0, "{serial}");
        }
    }
}
