//! BR_CNPJ: Brazilian tax numbers of companies with two check digits modulo 11, of digits or, since July
//! 2026, of letters and digits (Receita Federal, Instrução Normativa RFB 2.229/2024).

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::context::{CONTEXT_BYTES, follows_word, stands_alone};
use crate::haystack::Haystack;
use crate::layouts::has_layout;
use crate::lexis::{forward, word_before, work};
use crate::spans::Found;

/// How it is printed, and how columns hold it.
const LAYOUTS: [&str; 2] = ["??.???.???/????-00", "????????????00"];
/// Characters without separators.
const N_CHARACTERS: usize = 14;
/// Words that name it.
const WORDS: &[&str] = &["cnpj"];

/// Finds Brazilian tax numbers of companies.
#[derive(Debug)]
pub(crate) struct BrCnpj;

impl Detector for BrCnpj {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "BR_CNPJ",
            family: Family::Financial,
            confidence: Confidence::Certain,
            validator: "two check digits modulo 11",
            // The engine reads no slash: the rest of a printed number is behind these.
            numbers: &[&[2, 3, 3], &[14]],
            prefixes: WORDS,
            is_token: false,
            positive: &[
                "24/05/21 17:28:32 WARN NotaFiscalJob: emitente «69.863.532/0001-59» inativo",
                r#"{"cnpj":"«02048767000116»","cnpjDestinatario":"«B3.QT8.1ZW/0001-87»"}"#,
                "INSERT INTO empresas VALUES (9, '«13.763.162/0001-23»')",
                "nr_cnpj=«7KX2M90P000190», «96.671.707/0001-07».",
            ],
            negative: &[
                "cnpj 69.863.532/0001-95 cnpj=02048767000117 cnpj 7KX2M90P000191",
                "epoch 02048767000116 us, 13763162000123 bytes, 7KX2M90P000190 B3.QT8.1ZW/0001-87",
                "69.863.532/0001 69.863.532-0001-59 69.863.532/0001-591 1.69.863.532/0001-59",
                "00.000.000/0000-00 cnpj 00000000000000",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        if raw[anchor.start].is_ascii_digit() {
            let is_plain = anchor.len() == N_CHARACTERS;
            let Some(number) = cnpj_at(raw, anchor.start) else { return found.never() };
            let is_named = || !is_plain || follows_word(raw, number.start, WORDS);
            if stands_alone(raw, &number) && is_named() {
                found.push(number);
            }
            return;
        }
        let limit = forward(raw, anchor.end, anchor.start + CONTEXT_BYTES, |b| b != b'\n');
        for at in anchor.end..limit {
            let is_begin = raw[at].is_ascii_alphanumeric() && !word_before(raw, at);
            let number = if is_begin { cnpj_at(raw, at) } else { None };
            let is_named = |n: &Range<usize>| stands_alone(raw, n) && follows_word(raw, at, WORDS);
            found.extend(number.filter(is_named));
        }
    }
}

/// The number that begins at `start`.
fn cnpj_at(raw: &[u8], start: usize) -> Option<Range<usize>> {
    LAYOUTS.iter().map(|layout| start..start + layout.len()).find(|range| {
        let text = raw.get(range.clone()).unwrap_or_default();
        LAYOUTS.iter().any(|layout| has_layout(text, layout)) && is_cnpj(text)
    })
}

/// Decides about letters and digits, with separators or without.
fn is_cnpj(text: &[u8]) -> bool {
    work::add(text.len());
    let mut values = [0; N_CHARACTERS];
    let characters = text.iter().filter(|b| b.is_ascii_alphanumeric());
    // Letters count as what they are behind `0` in ASCII: A is 17.
    for (value, byte) in values.iter_mut().zip(characters) {
        *value = u32::from(byte - b'0');
    }
    /// Weights of the characters before the second check digit; the first one leaves out one.
    const WEIGHTS: [u32; N_CHARACTERS - 1] = [6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2];
    let check = |weights: &[u32]| {
        let sum: u32 = values.iter().zip(weights).map(|(value, weight)| value * weight).sum();
        sum * 10 % 11 % 10
    };
    values.iter().any(|value| *value != values[0])
        && values[N_CHARACTERS - 2] == check(&WEIGHTS[1..])
        && values[N_CHARACTERS - 1] == check(&WEIGHTS)
}

#[cfg(test)]
mod tests {
    use super::is_cnpj;

    #[test]
    fn two_check_digits_of_a_hundred_are_right() {
        for body in ["698635320001", "020487670001", "B3QT81ZW0001", "ZZZZZZZZZZZZ", "000000000001"]
        {
            let passes = |n: &u32| is_cnpj(format!("{body}{n:02}").as_bytes());
            assert_eq!((0..100).filter(passes).count(), 1, "{body}");
        }
        // The example of the Receita Federal.
        assert!(is_cnpj(b"12.ABC.345/01DE-35"));
    }

    #[test]
    fn changing_any_digit_breaks_a_check() {
        let good = b"69863532000159";
        for place in 0..good.len() {
            for digit in (b'0'..=b'9').filter(|d| *d != good[place]) {
                let mut bad = *good;
                bad[place] = digit;
                assert!(!is_cnpj(&bad), "{}", String::from_utf8_lossy(&bad));
            }
        }
    }
}
