//! FI_HETU: Finnish personal identity codes, `ddmmyyCnnnX` (Digital and Population Data Services Agency,
//! with the signs of century added in 2023).

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::context::{Digits, follows_word, is_day, stands_alone};
use crate::haystack::Haystack;
use crate::layouts::words_behind;
use crate::shapes::Shape;
use crate::spans::Found;

/// Characters of a code, and of the part before its check character.
const HETU_BYTES: usize = 11;
/// See [`HETU_BYTES`].
const BODY_BYTES: usize = 10;

/// Check characters by remainder modulo 31.
const CHECKS: &[u8; 31] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";

const WORDS: &[&str] =
    &["hetu", "henkilötunnus", "henkilotunnus", "personal identity code", "personbeteckning"];

/// Finds henkilötunnukset.
#[derive(Debug)]
pub(crate) struct FiHetu;

impl Detector for FiHetu {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "FI_HETU",
            family: Family::Personal,
            confidence: Confidence::Certain,
            validator: "check character, a date, and words where it may be a time",
            shapes: &[Shape::SixAndThree],
            // For lower case.
            prefixes: &["hetu", "tunnus"],
            positive: &[
                "24/06/20 18:24:01 WARN Kela: «290284A3476» puuttuu, puoliso «131052-703J»",
                r#"{"hetu":"«310594y763w»","pvm":"«291244A6346»"}"#,
                "VALUES ('«150878-6197»'), hetu=«150924-1200», vanhin «150878+7382»",
            ],
            negative: &[
                "290284A3477 131052-703K 310594Y763X 150878+7383",
                "x290284A3476 290284A34760 1290284A3476 id_290284A3476 131052-703J-1",
                "run 150924-1200, backup 240509-1002, 310294-7033 310294A703U 131052G703J 131052/703J",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        if anchor.len() == 1 {
            let Some(start) = (anchor.end).checked_sub(BODY_BYTES) else { return };
            let range = start..start + HETU_BYTES;
            let is_named = || follows_word(raw, start, WORDS);
            if is_hetu(raw, &range) && (!may_be_time(&raw[range.clone()]) || is_named()) {
                found.push(range);
            }
            return;
        }
        let mut ranges = words_behind(raw, &anchor).map(|start| start..start + HETU_BYTES);
        found.extend(ranges.find(|range| is_hetu(raw, range)));
    }
}

fn is_hetu(raw: &Haystack<'_>, range: &Range<usize>) -> bool {
    raw.get(range.clone()).is_some_and(is_code) && stands_alone(raw, range)
}

/// Decides about eleven bytes, letters in either case.
fn is_code(text: &[u8]) -> bool {
    let (date, rest) = text.split_at(6);
    let (century, serial) = (rest[0].to_ascii_uppercase(), &rest[1..4]);
    let is_layout = date.iter().chain(serial).all(u8::is_ascii_digit)
        && matches!(century, b'+' | b'-' | b'A'..=b'F' | b'U'..=b'Y');
    if !is_layout {
        return false;
    }
    let digits = Digits::of(&text[..BODY_BYTES]);
    is_day(digits.number(2..4), digits.number(0..2))
        && digits.number(6..9) >= 2
        && CHECKS[(digits.number(0..9) % 31) as usize] == text[BODY_BYTES].to_ascii_uppercase()
}

/// True for digits that may be a day of now and a time or a counter, `150924-1200` and, with the year
/// first, `240509-1230`. The people are those born before 1950.
fn may_be_time(text: &[u8]) -> bool {
    text[6] == b'-'
        && text[BODY_BYTES].is_ascii_digit()
        && Digits::of(&text[4..6]).number(0..2) < 50
}

#[cfg(test)]
mod tests {
    use super::is_code;

    fn n_checks(body: &str) -> usize {
        (b'0'..=b'Z').filter(|check| is_code(&[body.as_bytes(), &[*check]].concat())).count()
    }

    #[test]
    fn each_day_has_one_check_character_and_no_other_day_any() {
        let bodies = (0..100).flat_map(|d| (0..100).map(move |m| format!("{d:02}{m:02}52-308")));
        let n_valid =
            bodies.map(|body| n_checks(&body)).inspect(|n| assert!(*n <= 1)).sum::<usize>();
        assert_eq!(n_valid, 366);
    }

    #[test]
    fn signs_of_century_and_serials_are_those_in_use() {
        let is =
            |sign: u8, serial: u32| n_checks(&format!("131052{}{serial:03}", char::from(sign))) > 0;
        let signs: Vec<u8> = (b' '..b'a').filter(|sign| is(*sign, 308)).collect();
        assert_eq!(signs, b"+-ABCDEFUVWXY");
        assert_eq!((0..1000).filter(|serial| is(b'A', *serial)).count(), 998);
    }
}
