//! IBAN: international bank account numbers (ISO 13616-1), by the country's length and structure in
//! the SWIFT registry and the check of ISO 7064 mod 97-10. Compact, or in groups by single spaces.
//!
//! A failed check is no IBAN even behind the word: in the labelled lines every account passes, and
//! so does every one that a bank accepted.

mod countries;

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::haystack::Haystack;
use crate::lexis::{forward, word_after};
use crate::shapes::Shape;
use crate::spans::Found;

/// Most letters and digits of an IBAN (ISO 13616-1).
const IBAN_BYTES_MAX: usize = 34;
/// Longest word that is glued to an IBAN and hidden with it.
const TAIL_BYTES_MAX: usize = 64;
/// What two letters, two digits, eleven others and no blank take: the shape ends with them.
const COMPACT_HEAD_BYTES: usize = 15;
/// What `GB82 WEST ` takes.
const PRINTED_HEAD_BYTES: usize = 10;

/// Finds bank account numbers.
#[derive(Debug)]
pub(crate) struct Iban;

impl Detector for Iban {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "IBAN",
            family: Family::Financial,
            confidence: Confidence::Certain,
            validator: "registry structure and mod 97",
            // The shape does not see a word that an escaped quote or equals sign begins.
            shapes: &[Shape::Iban],
            positive: &[
                "24/05/11 16:45:22 INFO SepaJob: debit «DE89370400440532013000» booked",
                "iban=«NO9386011117947», then «be68 5390 0754 7034» and «GB82 WEST 1234 5698 7654 32».",
                r#"{"iban":"«MT84MALT011000012345MTLCAST001S»","note":"to\n«FR1420041010050500013M02606»"}"#,
                r"body {\u0022iban\u0022:\u0022«NL91ABNA0417164300»\u0022} iban\u003d«nl91abna0417164300»",
                "VALUES (7, '«CH93 0076 2011 6238 5295 7»', 'EUR'), ('«SE4550000000058398257466EUR»')",
            ],
            negative: &[
                "iban=DE89370400440532013001 GB82 WEST 1234 5698 7654 33 GB82WEST1234569876543",
                "ZZ89370400440532013000 xDE89370400440532013000 _DE89370400440532013000",
                "de89370400440532013000a be68539007547034ff34 block be68539007547034_7",
                "GB82WES11234569876543 FR14 part 2004 and IT60 with 5428 1110 1000 0001 2345 6",
                "job ad1200012030200359100100aabbccdd in cf23df2207d99a74fbe169e3eba035e633b65d94",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        let start = match raw[anchor.start] {
            b'\\' => Some(anchor.end),
            b' ' => (anchor.end).checked_sub(PRINTED_HEAD_BYTES),
            _ => (anchor.end).checked_sub(COMPACT_HEAD_BYTES),
        };
        found.extend(start.and_then(|start| account(raw, start)));
    }
}

/// The account number that begins at `start`, with what is glued to it.
fn account(raw: &[u8], start: usize) -> Option<Range<usize>> {
    let head = raw.get(start..start + 4)?;
    let code = [head[0].to_ascii_uppercase(), head[1].to_ascii_uppercase()];
    let structure = countries::structure(code)?;
    let is_printed = raw.get(start + 4) == Some(&b' ');
    let mut text = [0; IBAN_BYTES_MAX];
    let mut len = 0;
    let mut end = start;
    while len < countries::length(structure) {
        let byte = *raw.get(end)?;
        if byte.is_ascii_alphanumeric() {
            text[len] = byte.to_ascii_uppercase();
            len += 1;
        } else if !(byte == b' ' && is_printed && raw[end - 1] != b' ') {
            return None;
        }
        end += 1;
    }
    if !countries::fits(structure, &text[4..len]) || !passes_mod_97(&text[..len]) {
        return None;
    }
    // In lower case what follows makes it a piece of a longer id; an account in upper case is hidden
    // with what follows, because a fixed length would expose a tail.
    let is_upper = head[..2].iter().all(u8::is_ascii_uppercase);
    if word_after(raw, end) && !(is_upper && raw[end].is_ascii_alphanumeric()) {
        return None;
    }
    Some(start..forward(raw, end, end + TAIL_BYTES_MAX, |b| b.is_ascii_alphanumeric()))
}

/// ISO 7064 mod 97-10 over upper-case letters and digits, the first four taken last.
fn passes_mod_97(text: &[u8]) -> bool {
    let (head, rest) = text.split_at(4);
    // Equal mod 97 to 97, 98 and 02, which are the ones that are issued.
    if matches!(&head[2..], b"00" | b"01" | b"99") {
        return false;
    }
    let remainder = rest.iter().chain(head).fold(0, |sum, byte| match byte {
        b'0'..=b'9' => (sum * 10 + u32::from(byte - b'0')) % 97,
        _ => (sum * 100 + u32::from(byte.wrapping_sub(b'A')) + 10) % 97,
    });
    remainder == 1
}

#[cfg(test)]
mod tests {
    use super::countries::{COUNTRIES, length};
    use super::{account, passes_mod_97};

    /// An account number of `structure` with the right check digits.
    fn example(code: &str, structure: &str) -> String {
        let mut body = String::new();
        let mut n = 0;
        for kind in structure.chars() {
            if let Some(digit) = kind.to_digit(10) {
                n = n * 10 + digit;
                continue;
            }
            for i in 0..std::mem::take(&mut n) {
                body.push(match kind {
                    'n' => char::from(b'0' + (i * 7 % 10) as u8),
                    'a' => char::from(b'A' + (i * 5 % 26) as u8),
                    _ if i % 2 == 0 => char::from(b'Z' - (i % 26) as u8),
                    _ => char::from(b'0' + (i % 10) as u8),
                });
            }
        }
        let check = (2..99).find(|c| passes_mod_97(format!("{code}{c:02}{body}").as_bytes()));
        format!("{code}{:02}{body}", check.unwrap())
    }

    #[test]
    fn every_country_is_known_by_its_length_structure_and_check_digits() {
        for (code, structure) in COUNTRIES {
            let good = example(code, structure);
            assert_eq!(good.len(), length(structure), "{code}");
            let printed: String = (good.as_bytes().chunks(4))
                .map(|group| String::from_utf8_lossy(group).into_owned() + " ")
                .collect();
            for text in [&good, &good.to_ascii_lowercase(), printed.trim_end()] {
                assert_eq!(account(text.as_bytes(), 0), Some(0..text.len()), "{text}");
            }
            let n_valid = (0..100)
                .filter(|c| account(format!("{code}{c:02}{}", &good[4..]).as_bytes(), 0).is_some())
                .count();
            assert_eq!(n_valid, 1, "{code}");
            assert_eq!(account(&good.as_bytes()[..good.len() - 1], 0), None, "{code} is cut");
        }
    }

    #[test]
    fn changing_any_place_breaks_the_check() {
        let good = "GB82WEST12345698765432";
        for place in 4..good.len() {
            let mut bad = good.as_bytes().to_vec();
            bad[place] = if bad[place] == b'9' || bad[place] == b'Z' {
                bad[place] - 1
            } else {
                bad[place] + 1
            };
            assert_eq!(account(&bad, 0), None, "{place}");
        }
    }
}
