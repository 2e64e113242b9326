//! US_SSN: `ddd-dd-dddd` with the area, group and serial numbers that were ever issued; behind words
//! that name it also with spaces, or without anything between.

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::checked_number::CheckedNumber;
use crate::context::Digits;
use crate::haystack::Haystack;
use crate::layouts::has_layout;
use crate::lexis::{word_after, word_before};
use crate::spans::Found;

/// What people write where hyphens are not allowed or not liked.
const NAMED: CheckedNumber = CheckedNumber {
    layouts: &["000 00 0000", "000000000"],
    words: &["ssn", "ssn no", "ssnum", "socsec", "social security", "socialsecurity", "social sec"],
    is_valid: is_issued,
    ..CheckedNumber::NONE
};

/// Finds United States social security numbers.
#[derive(Debug)]
pub(crate) struct UsSsn;

impl Detector for UsSsn {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "US_SSN",
            family: Family::Personal,
            confidence: Confidence::High,
            validator: "issued areas, groups and serials",
            numbers: &[&[3, 2, 4], &[9]],
            words: NAMED.words,
            // No shape stands for groups of 3-2-4 digits divided by spaces.
            prefixes: &["ssn", "social sec", "social_sec", "socialsec"],
            is_token: false,
            positive: &[
                "applicant ssn «123-45-6789» row 7",
                r#"{"ssn":"«899-99-9999»","note":"a\n«001-01-0001»"}"#,
                r"body {\u0022ssn\u0022:\u0022«123-45-6789»\u0022} ssn\u003d«123-45-6789»",
                "VALUES (537565, '«839-08-2105»'), done with «123-45-1203».",
                "SSN «431 07 2298», «518 62 0044», social security number «431 07 2298».\t7 rows",
                r#"{"ssn":"«431072298»","spouseSsn":"«899010001»","social_security_no":"«518 62 0044»"}"#,
            ],
            negative: &[
                "000-12-3456 666-12-3456 900-12-3456 123-00-4567 123-45-0000",
                "1123-45-6789 123-45-67890 a123-45-6789 123-45-6789b 1-123-45-6789",
                "ssn 000 12 3456 ssn=666123456 ssn 900123456 ssn 123 00 4567 ssn=123450000",
                "431 07 2298 rows, 431072298 bytes, assn 431072298 session 431 07 2298",
                "123-45-6789-1 0.123-45-6789 123-45-6789.5 ids 396-50-67 rows 424-873",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        if !raw[anchor.clone()].contains(&b'-') {
            NAMED.find(raw, anchor, found);
        } else if !is_hyphenated(&raw[anchor.clone()]) {
            found.never();
        } else if stands_alone(raw, &anchor) {
            found.push(anchor);
        }
    }
}

fn is_hyphenated(text: &[u8]) -> bool {
    has_layout(text, "000-00-0000") && is_issued(&Digits::of(text))
}

/// Social Security Administration: area not 000, 666 or 900 and above (those are tax numbers);
/// group not 00; serial not 0000.
fn is_issued(digits: &Digits) -> bool {
    !matches!(digits.number(0..3), 0 | 666 | 900..)
        && digits.number(3..5) != 0
        && digits.number(5..9) != 0
}

fn stands_alone(raw: &[u8], range: &Range<usize>) -> bool {
    let before = range.start.checked_sub(1).map(|i| raw[i]);
    // A full stop ends a sentence unless a digit follows it.
    let after = raw.get(range.end).copied();
    let is_decimal = after == Some(b'.') && raw.get(range.end + 1).is_some_and(u8::is_ascii_digit);
    !word_before(raw, range.start)
        && !word_after(raw, range.end)
        && !matches!(before, Some(b'-' | b'.'))
        && after != Some(b'-')
        && !is_decimal
}

#[cfg(test)]
mod tests {
    use super::is_hyphenated;

    #[test]
    fn every_area_group_and_serial_is_decided_by_the_rule() {
        for area in 0..1000 {
            let valid = area != 0 && area != 666 && area < 900;
            assert_eq!(is_hyphenated(format!("{area:03}-12-3456").as_bytes()), valid, "{area}");
        }
        for group in 0..100 {
            assert_eq!(
                is_hyphenated(format!("123-{group:02}-3456").as_bytes()),
                group != 0,
                "{group}"
            );
        }
        for serial in 0..10_000 {
            assert_eq!(
                is_hyphenated(format!("123-45-{serial:04}").as_bytes()),
                serial != 0,
                "{serial}"
            );
        }
    }
}
