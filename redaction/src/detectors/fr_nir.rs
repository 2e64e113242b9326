//! FR_NIR: French social security numbers, thirteen digits and a key of two (INSEE; Décret 82-103).

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::checked_number::{is_in_list, when_plain};
use crate::context::{follows_word, stands_alone};
use crate::haystack::Haystack;
use crate::layouts::{Compact, has_layout, word_around};
use crate::lexis::has_before;
use crate::shapes::Shape;
use crate::spans::Found;

/// Characters of a number and its key.
const NIR_BYTES: usize = 15;
/// What spaces divide before the commune of someone born in Corsica: `1 91 02 2A `.
const CORSICAN_HEAD_BYTES: usize = 11;

/// Words that name one that is printed without separators: times in nanoseconds look like it.
const WORDS: &[&str] = &[
    "nir",
    "insee",
    "sécurité sociale",
    "securite sociale",
    "sécu",
    "secu",
    "numss",
    "num ss",
    "social security",
];

/// Finds numéros d'inscription au répertoire with their key.
#[derive(Debug)]
pub(crate) struct FrNir;

impl Detector for FrNir {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "FR_NIR",
            family: Family::Personal,
            confidence: Confidence::Certain,
            validator: "modulo 97, a month, and words where it is plain",
            numbers: &[
                &[15],
                &[13, 2],
                &[1, 2, 2, 2, 3, 3, 2],
                &[1, 2, 2, 5, 3, 2],
                // The end of a Corsican one.
                &[3, 3, 2],
            ],
            shapes: &[Shape::DigitsAndLetter],
            positive: &[
                "24/06/20 18:24:01 WARN Paie: assuré «1 85 05 78 006 084 91» sans contrat",
                r#"{"nir":"«269054958815780»","mere":"«2 84 11 2B 033 125 82»"}"#,
                "VALUES ('«191022A00401219»'), n° sécurité sociale: «1850578006084 91»",
                "secu=«1-55-12-99350-116-66»",
            ],
            negative: &[
                "1 85 05 78 006 084 92, nir=269054958815781, 191022A00401218, 2 84 11 2B 033 125 83",
                "took 269054958815780 ns, 185057800608491 bytes, 1850578006084 91",
                "17 1 85 05 78 006 084 91 and 1 85 05 78 006 084 91 3",
                "x191022A00401219 191022A004012190 191022C00401219 app-191022A00401219-0",
                "nir=185157800608423 nir=000000000000097",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        let range = if anchor.len() > 1 {
            with_corsican_head(raw, anchor)
        } else if let Some(word) = word_around(raw, anchor.start, NIR_BYTES) {
            word
        } else {
            return;
        };
        let Some((compact, end)) = Compact::read(raw, range.start, NIR_BYTES) else { return };
        let is_found = end == range.end
            && is_nir(compact.as_slice())
            && stands_alone(raw, &range)
            && (!needs_word(raw, &range) || follows_word(raw, range.start, WORDS));
        if is_found {
            found.push(range);
        }
    }
}

/// Adds `1 91 02 2A ` to the three groups that follow it.
fn with_corsican_head(raw: &Haystack<'_>, range: Range<usize>) -> Range<usize> {
    let is_corsican =
        has_before(raw, range.start, b" 2a ") || has_before(raw, range.start, b" 2b ");
    match range.start.checked_sub(CORSICAN_HEAD_BYTES) {
        Some(start) if is_corsican => start..range.end,
        _ => range,
    }
}

fn needs_word(raw: &Haystack<'_>, range: &Range<usize>) -> bool {
    let text = &raw[range.clone()];
    // An epoch time in milliseconds and a number behind it are grouped like thirteen and two.
    when_plain(text) || has_layout(text, "0000000000000 00") || is_in_list(raw, range)
}

/// Decides about fifteen letters and digits.
fn is_nir(text: &[u8]) -> bool {
    // The departments of Corsica count as 19 and 18.
    let (department, is_layout) = match &text[5..7] {
        b"2A" => (19, has_layout(text, "000002A00000000")),
        b"2B" => (18, has_layout(text, "000002B00000000")),
        _ => (number(&text[5..7]), has_layout(text, "000000000000000")),
    };
    is_layout && is_checked(text, department)
}

fn is_checked(text: &[u8], department: u64) -> bool {
    let body = (number(&text[..5]) * 100 + department) * 1_000_000 + number(&text[7..13]);
    // Sexes 3 and 4 are those of foreigners who wait for theirs, 7 and 8 are provisional; months
    // above 12 are unknown ones.
    matches!(text[0], b'1'..=b'4' | b'7' | b'8')
        && matches!(number(&text[3..5]), 1..=12 | 20..=42 | 50..=99)
        && department > 0
        && 97 - body % 97 == number(&text[13..])
}

/// The value of digits; of other bytes anything.
fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |n, d| n * 10 + u64::from(d & 15))
}

#[cfg(test)]
mod tests {
    use super::is_nir;

    fn n_keys(body: &str) -> usize {
        (0..100).filter(|key| is_nir(format!("{body}{key:02}").as_bytes())).count()
    }

    #[test]
    fn each_number_has_one_key() {
        for serial in 0..1000 {
            assert_eq!(n_keys(&format!("1850578006{serial:03}")), 1, "{serial}");
            assert_eq!(n_keys(&format!("191022A004{serial:03}")), 1, "{serial}");
        }
    }

    #[test]
    fn sexes_months_and_departments_are_those_in_use() {
        let sexes = (0..10).filter(|sex| n_keys(&format!("{sex}850578006084")) == 1).count();
        let months =
            (0..100).filter(|month| n_keys(&format!("185{month:02}78006084")) == 1).count();
        let letters = ('A'..='Z').filter(|c| n_keys(&format!("191022{c}004012")) == 1).count();
        assert_eq!((sexes, months, letters), (6, 12 + 23 + 50, 2));
    }
}
