//! SE_PERSONNUMMER: Swedish personal and coordination numbers, `yymmdd-nnnn` (Skatteverket, SKV 704 and
//! SKV 707).

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::context::{Digits, follows_word, is_day, passes_luhn, stands_alone};
use crate::haystack::Haystack;
use crate::shapes::Shape;
use crate::spans::Found;

/// Bytes of the short form, divided, and those of it before the last digit.
const SHORT_BYTES: usize = 11;

const WORDS: &[&str] = &[
    "personnummer",
    "person nummer",
    "personnr",
    "person nr",
    "pnr",
    "samordningsnummer",
    "swedish id",
    "personal identity number",
];

/// Finds personnummer and samordningsnummer.
#[derive(Debug)]
pub(crate) struct SePersonnummer;

impl Detector for SePersonnummer {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "SE_PERSONNUMMER",
            family: Family::Personal,
            confidence: Confidence::Certain,
            validator: "Luhn, a date, and words where it is plain or recent",
            // The shape is there for the plus of people of a hundred years.
            shapes: &[Shape::SixAndThree],
            numbers: &[&[10], &[12], &[8, 4]],
            positive: &[
                "24/06/20 18:24:01 WARN Folkbok: «811218-9876» saknas, «120229+0126» avliden",
                r#"{"personnummer":"«198112189876»","samordningsnummer":"«8112789873»"}"#,
                "VALUES ('«640823-3234»', '«19640823-3234»'), pnr=«240915-1236»",
            ],
            negative: &[
                "811218-9877 120229+0128 640832-3234 641323-3234 org 212000-0142",
                "x811218-9876 811218-98760 1811218-9876 id_811218-9876 811218-9876-1 1-811218-9876",
                "backup 240915-1236, run 20240915-1236, 198112189876 bytes, offset 8112189876",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        let range = if anchor.len() > 1 {
            anchor
        } else if let Some(start) = (anchor.end + 1).checked_sub(SHORT_BYTES) {
            start..start + SHORT_BYTES
        } else {
            return;
        };
        let is_found = raw.get(range.clone()).is_some_and(is_personnummer)
            && stands_alone(raw, &range)
            && (!needs_word(&raw[range.clone()]) || follows_word(raw, range.start, WORDS));
        if is_found {
            found.push(range);
        }
    }
}

/// Decides about ten or twelve digits, with one byte before the last four or without.
fn is_personnummer(text: &[u8]) -> bool {
    let digits = Digits::of(text);
    let digits_end = digits.as_slice().len();
    let is_layout = match text.len() - digits_end {
        0 => true,
        1 => matches!(text[text.len() - 5], b'-' | b'+'),
        _ => false,
    };
    if !is_layout || !matches!(digits_end, 10 | 12) {
        return false;
    }
    let (century, start) = (digits.number(0..2), digits_end - 10);
    let month = digits.number(start + 2..start + 4);
    // Coordination numbers add 60 to the day.
    let day = match digits.number(start + 4..start + 6) {
        day @ 0..=60 => day,
        day => day - 60,
    };
    (start == 0 || matches!(century, 18..=20))
        && is_day(month, day)
        && passes_luhn(&digits.as_slice()[start..])
}

/// True for digits only, and for a day of now and a time or a counter: `240915-1230`.
fn needs_word(text: &[u8]) -> bool {
    let digits = Digits::of(text);
    let year = digits.as_slice().len() - 10;
    let is_recent = || (10..=49).contains(&digits.number(year..year + 2));
    text.len() == digits.as_slice().len() || !text.contains(&b'+') && is_recent()
}

#[cfg(test)]
mod tests {
    use super::is_personnummer;

    fn n_checks(body: &str) -> usize {
        (0..10).filter(|check| is_personnummer(format!("{body}{check}").as_bytes())).count()
    }

    #[test]
    fn each_day_has_one_check_digit_in_either_kind_of_number() {
        let bodies = (0..100).flat_map(|m| (0..100).map(move |d| format!("81{m:02}{d:02}-987")));
        let counts: Vec<usize> = bodies.map(|body| n_checks(&body)).collect();
        assert!(counts.iter().all(|n| *n <= 1));
        assert_eq!(counts.iter().sum::<usize>(), 2 * 366);
    }

    #[test]
    fn centuries_and_dividers_are_those_in_use() {
        let n_centuries = (0..100).filter(|c| n_checks(&format!("{c:02}811218-987")) == 1).count();
        let dividers: Vec<char> = (' '..='~')
            .filter(|c| !c.is_ascii_digit() && n_checks(&format!("811218{c}987")) == 1)
            .collect();
        assert_eq!((n_centuries, dividers), (3, vec!['+', '-']));
        assert_eq!(n_checks("811218987"), 1);
        assert_eq!(n_checks("8112-18987"), 0);
    }
}
