//! US_SSN: `ddd-dd-dddd` with the area, group and serial numbers that were ever issued.

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::haystack::Haystack;
use crate::lexis::{word_after, word_before};
use crate::spans::Found;

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
            numbers: &[&[3, 2, 4]],
            positive: &[
                "applicant ssn «123-45-6789» row 7",
                r#"{"ssn":"«899-99-9999»","note":"a\n«001-01-0001»"}"#,
                r"body {\u0022ssn\u0022:\u0022«123-45-6789»\u0022} ssn\u003d«123-45-6789»",
                "VALUES (537565, '«839-08-2105»'), done with «123-45-1203».",
            ],
            negative: &[
                "000-12-3456 666-12-3456 900-12-3456 123-00-4567 123-45-0000",
                "1123-45-6789 123-45-67890 a123-45-6789 123-45-6789b 1-123-45-6789",
                "123-45-6789-1 0.123-45-6789 123-45-6789.5 ids 396-50-67 rows 424-873",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        if !is_ssn(&raw[anchor.clone()]) {
            found.never();
        } else if stands_alone(raw, &anchor) {
            found.push(anchor);
        }
    }
}

/// Social Security Administration: area not 000, 666 or 900 and above (those are tax numbers);
/// group not 00; serial not 0000.
fn is_ssn(text: &[u8]) -> bool {
    let shape = text.iter().enumerate().all(|(i, b)| match i {
        3 | 6 => *b == b'-',
        _ => b.is_ascii_digit(),
    });
    shape
        && !matches!(&text[..3], b"000" | b"666")
        && text[0] != b'9'
        && &text[4..6] != b"00"
        && &text[7..] != b"0000"
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
    use super::is_ssn;

    #[test]
    fn every_area_group_and_serial_is_decided_by_the_rule() {
        for area in 0..1000 {
            let valid = area != 0 && area != 666 && area < 900;
            assert_eq!(is_ssn(format!("{area:03}-12-3456").as_bytes()), valid, "{area}");
        }
        for group in 0..100 {
            assert_eq!(is_ssn(format!("123-{group:02}-3456").as_bytes()), group != 0, "{group}");
        }
        for serial in 0..10_000 {
            assert_eq!(is_ssn(format!("123-45-{serial:04}").as_bytes()), serial != 0, "{serial}");
        }
    }
}
