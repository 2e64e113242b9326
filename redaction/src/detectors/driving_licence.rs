//! DRIVING_LICENCE: the number of a driving licence behind words that name it. Every state has its
//! own format (AAMVA lists those of North America, Council Directive 2006/126/EC leaves them to the
//! members), so only what they share is checked: 5 to 18 letters and digits, four digits at least.

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::documents::{count, document_number};
use crate::haystack::Haystack;
use crate::label::{begins_word, value_after};
use crate::lexis::{forward, has_at, has_before};
use crate::spans::Found;

/// Names of the document in one piece, and `licence`, before which something about driving stands.
/// Software has licences too.
const LITERALS: &[&str] = &[
    "licence",
    "license",
    "dl no",
    "dl_no",
    "dl num",
    "dl_num",
    "dlnum",
    "dl#",
    "dl #",
    "hrerschein",
    "permis de conduire",
    "rijbewijs",
];
/// What stands before `licence`, longest first.
const DRIVING: &[&[u8]] = &[b"drivers", b"driver's", b"driver", b"driving"];
/// What may follow besides the usual words.
const SUFFIXES: &[&str] = &["nummer", " nummer", "ber"];

/// Finds numbers of driving licences.
#[derive(Debug)]
pub(crate) struct DrivingLicence;

impl Detector for DrivingLicence {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "DRIVING_LICENCE",
            family: Family::Personal,
            confidence: Confidence::Likely,
            validator: "letters and digits behind words",
            prefixes: LITERALS,
            positive: &[
                "24/05/11 16:45:22 INFO FleetJob: driver_license=«D1234567» renewed",
                r#"{"driversLicenseNumber":"«S530-4607-5512»","drivingLicence":"«MORGA753116SM9IJ35»"}"#,
                "Driver's license no: «F2556921», DL no «I1234562», DL# «123456789», dl_number='«99999999»'",
                "Driving licence number is «B072RRE2I55», Führerschein: «N0704578035»",
            ],
            negative: &[
                "license=A1234567 under the Apache License 2004567, software licence no 12345678",
                "driver license check 1234567, driver.license.path=/opt/l1234567, driver_license=missing1",
                "driving licence A123 driver_license=D1234567.jar handl no 1234567 xdl_no=1234567",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        let Some(word) = name(raw, &anchor) else { return };
        let Some(value) = value_after(raw, word, SUFFIXES) else { return };
        let Some(range) = document_number(raw, value.at, true) else { return };
        let (n_digits, n_bytes) = count(&raw[range.clone()]);
        if (5..=18).contains(&n_bytes) && n_digits >= 4 {
            found.push(range);
        }
    }
}

/// The name of the document that holds the literal at `anchor`.
fn name(raw: &[u8], anchor: &Range<usize>) -> Option<Range<usize>> {
    if has_at(raw, anchor.start, b"licen") {
        let joint = anchor.start.checked_sub(1).map(|i| raw[i]);
        let is_divided = matches!(joint, Some(b' ' | b'_' | b'-' | b'.'));
        let end = anchor.start - usize::from(is_divided);
        let word = DRIVING.iter().find(|word| has_before(raw, end, word))?;
        let start = end - word.len();
        return begins_word(raw, start).then_some(start..anchor.end);
    }
    // `ü` and its spelling `ue` stand before what is ASCII of the German word.
    let is_german = has_at(raw, anchor.start, b"hrerschein");
    if is_german || begins_word(raw, anchor.start) {
        // A `#` or a space is no part of the name.
        let end = forward(raw, anchor.start, anchor.end, |b| !matches!(b, b'#' | b' '));
        let end = if has_at(raw, anchor.start, b"dl") { end } else { anchor.end };
        return Some(anchor.start..end);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn licences_need_a_word_about_driving() {
        for (text, want) in [
            ("driver license", true),
            ("drivers_license", true),
            ("DRIVER'S LICENSE", true),
            ("drivingLicense", true),
            ("my driver-license", true),
            ("license", false),
            ("software license", false),
            ("screwdriver license", false),
            (" license", false),
        ] {
            let start = text.len() - "license".len();
            assert_eq!(name(text.as_bytes(), &(start..text.len())).is_some(), want, "{text}");
        }
    }
}
