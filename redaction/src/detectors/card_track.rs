//! CARD_TRACK: what a reader reads from the magnetic stripe of a payment card (ISO/IEC 7813), which
//! nobody may store after authorization (PCI DSS 4.0, requirement 3.3.1.1).

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::haystack::Haystack;
use crate::lexis::forward;
use crate::spans::Found;

/// Lengths of the number of a card.
const NUMBER_DIGITS: std::ops::RangeInclusive<usize> = 12..=19;
/// Longest name on track 1, and more than is allowed.
const NAME_BYTES_MAX: usize = 40;
/// Fewest digits behind the number: expiry date (`YYMM`) and service code.
const DATA_DIGITS_MIN: usize = 7;
/// Longest rest of a track; track 1 has 79 bytes in all.
const DATA_BYTES_MAX: usize = 80;

/// Finds track data.
#[derive(Debug)]
pub(crate) struct CardTrack;

impl Detector for CardTrack {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "CARD_TRACK",
            family: Family::Card,
            confidence: Confidence::Certain,
            validator: "layout and expiry date",
            literals: &["%b2", "%b3", "%b4", "%b5", "%b6"],
            numbers: &[&[12], &[13], &[14], &[15], &[16], &[17], &[18], &[19]],
            positive: &[
                "DEBUG PosReader: swipe «%B4111111111111111^DOE/JOHN^25121010000000000000?» of terminal 7",
                r#"{"track2":"«;4111111111111111=25121010000012300000?»","n":1}"#,
                "tracks «%B4111111111111111^DOE/JOHN A.          ^2512101123456?»«;4111111111111111=25121011234567890?» read",
                "cut «;4111111111111111=2512101»",
            ],
            negative: &[
                "GET /%B4%B5?a=1;b=2 of %B4111111111111111^ and ;411111111111=2513101000?",
                "offsets a=1;1718907841998=12 b;1718907841998=20240511T101112",
                "%b41111111 ^ x ^ 2512101 and ;41111111=25121010000?",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        let is_first = raw[anchor.start] == b'%';
        let start = if is_first { anchor.start } else { anchor.start.wrapping_sub(1) };
        let sentinel = if is_first { b'%' } else { b';' };
        if raw.get(start) != Some(&sentinel) {
            return;
        }
        let number = if is_first { start + 2 } else { start + 1 };
        let end = forward(raw, number, number + 20, |b| b.is_ascii_digit());
        if !NUMBER_DIGITS.contains(&(end - number)) {
            return;
        }
        let data = match raw.get(end) {
            Some(b'^') if is_first => {
                let is_name = |b: u8| !matches!(b, b'^' | b'\n' | b'"' | b'\\');
                let name_end = forward(raw, end + 1, end + 1 + NAME_BYTES_MAX, is_name);
                (raw.get(name_end) == Some(&b'^')).then_some(name_end + 1)
            }
            Some(b'=') if !is_first => Some(end + 1),
            _ => None,
        };
        found.extend(data.and_then(|data| data_end(raw, data)).map(|end| start..end));
    }
}

/// End of expiry date, service code and what the issuer added, with the sentinel behind.
fn data_end(raw: &[u8], at: usize) -> Option<usize> {
    let digits = forward(raw, at, at + DATA_DIGITS_MIN, |b| b.is_ascii_digit());
    let is_month = matches!(raw.get(at + 2..at + 4)?, [b'0', b'1'..=b'9'] | [b'1', b'0'..=b'2']);
    if digits < at + DATA_DIGITS_MIN || !is_month {
        return None;
    }
    let end = forward(raw, digits, digits + DATA_BYTES_MAX, |b| b.is_ascii_alphanumeric());
    Some(end + usize::from(raw.get(end) == Some(&b'?')))
}
