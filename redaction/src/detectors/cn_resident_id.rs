//! CN_RESIDENT_ID: Chinese resident identity numbers: province, date of birth and serial, with a check
//! character of ISO/IEC 7064 MOD 11-2 (GB 11643-1999).

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::context::{Digits, is_day, stands_alone};
use crate::haystack::Haystack;
use crate::layouts::has_layout;
use crate::shapes::Shape;
use crate::spans::Found;

/// Characters of a number.
const N_CHARACTERS: usize = 18;

/// Finds Chinese resident identity numbers.
#[derive(Debug)]
pub(crate) struct CnResidentId;

impl Detector for CnResidentId {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "CN_RESIDENT_ID",
            family: Family::Personal,
            confidence: Confidence::Certain,
            validator: "province, date and ISO 7064 MOD 11-2",
            numbers: &[&[18]],
            // The check character of one number in eleven is an X.
            shapes: &[Shape::DigitsAndLetter],
            positive: &[
                "24/05/21 17:28:32 INFO UserJob: user «310115199701112480» verified",
                r#"{"idCard":"«33010619850817341X»","sfz":"«440304198005262588»"}"#,
                "INSERT INTO users VALUES (5, '张三', '«510105197007161384»')",
                "身份证号: «44030419520811299X», ok",
            ],
            negative: &[
                "310115199701112481 310115199713112480 310115209701112480 900115199701112480",
                "33010619850817341Y 33010619850817342X x33010619850817341X 33010619850817341X1",
                "ts 171890784199812345 ns, lag 310115199701112480.5 id-33010619850817341X-c000",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        let Some(start) = anchor.end.checked_sub(N_CHARACTERS) else { return };
        let range = start..anchor.end;
        if !is_resident_id(&raw[range.clone()]) {
            found.never();
        } else if stands_alone(raw, &range) {
            found.push(range);
        }
    }
}

fn is_resident_id(text: &[u8]) -> bool {
    let is_number = text.last() == Some(&b'X') || text.last().is_some_and(u8::is_ascii_digit);
    if !is_number || !has_layout(&text[..text.len() - 1], "00000000000000000") {
        return false;
    }
    let digits = Digits::of(text);
    is_province(digits.number(0..2))
        && matches!(digits.number(6..8), 19 | 20)
        && is_day(digits.number(10..12), digits.number(12..14))
        && has_check_character(&digits)
}

/// GB/T 2260: the first two digits of the county.
fn is_province(code: u64) -> bool {
    matches!(code, 11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83 | 91)
}

/// ISO/IEC 7064 MOD 11-2; an X, which is not among the digits, counts ten.
fn has_check_character(digits: &Digits) -> bool {
    let body = digits.as_slice().iter().take(N_CHARACTERS - 1);
    let sum = body.fold(0, |sum, digit| (sum + u32::from(*digit)) * 2 % 11);
    let check = digits.as_slice().get(N_CHARACTERS - 1).map_or(10, |digit| u32::from(*digit));
    (sum + check) % 11 == 1
}

#[cfg(test)]
mod tests {
    use super::{is_province, is_resident_id};

    #[test]
    fn every_number_has_one_check_character() {
        for serial in 0..1000 {
            let body = format!("31011519970111{serial:03}");
            let passes = |c: &char| is_resident_id(format!("{body}{c}").as_bytes());
            assert_eq!("0123456789X".chars().filter(passes).count(), 1, "{body}");
        }
        // The example of the standard.
        assert!(is_resident_id(b"11010519491231002X"));
    }

    #[test]
    fn changing_any_digit_breaks_the_check() {
        let good = b"310115199701112480";
        for place in 0..good.len() {
            for digit in (b'0'..=b'9').filter(|d| *d != good[place]) {
                let mut bad = *good;
                bad[place] = digit;
                assert!(!is_resident_id(&bad), "{}", String::from_utf8_lossy(&bad));
            }
        }
    }

    #[test]
    fn every_province_is_on_the_list() {
        assert_eq!((0..100).filter(|code| is_province(*code)).count(), 36);
    }

    #[test]
    fn every_day_of_two_centuries_can_be_a_birthday() {
        let passes = |date: String| {
            let check = "0123456789X".chars();
            check.map(|c| format!("310115{date}248{c}")).any(|n| is_resident_id(n.as_bytes()))
        };
        for century in 0..100 {
            assert_eq!(passes(format!("{century:02}970111")), matches!(century, 19 | 20));
        }
        let n_days = (0..100).flat_map(|m| (0..100).map(move |d| format!("1996{m:02}{d:02}")));
        assert_eq!(n_days.filter(|date| passes(date.clone())).count(), 366);
    }
}
