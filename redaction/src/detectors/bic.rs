//! BIC: business identifier codes (ISO 9362), which name banks in payments: four letters or digits
//! of the party, a country of ISO 3166-1, two of the place and three of a branch, if any. Words have
//! the same shape, so `bic` or `swift` must name the code.

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::haystack::Haystack;
use crate::label::{begins_word, value_after};
use crate::lexis::{forward, has_at, word_after};
use crate::spans::Found;

/// Countries of ISO 3166-1, and Kosovo, which ISO 9362 has as `XK`.
const COUNTRIES: &[u8] = b"ADAEAFAGAIALAMAOAQARASATAUAWAXAZBABBBDBEBFBGBHBIBJBLBMBNBOBQBRBSBTBVBWBYBZ\
CACCCDCFCGCHCICKCLCMCNCOCRCUCVCWCXCYCZDEDJDKDMDODZECEEEGEHERESETFIFJFKFMFOFRGAGBGDGEGFGGGHGIGLGMGNGPGQ\
GRGSGTGUGWGYHKHMHNHRHTHUIDIEILIMINIOIQIRISITJEJMJOJPKEKGKHKIKMKNKPKRKWKYKZLALBLCLILKLRLSLTLULVLYMAMCMD\
MEMFMGMHMKMLMMMNMOMPMQMRMSMTMUMVMWMXMYMZNANCNENFNGNINLNONPNRNUNZOMPAPEPFPGPHPKPLPMPNPRPSPTPWPYQARERORS\
RURWSASBSCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZTCTDTFTGTHTJTKTLTMTNTOTRTTTVTWTZUAUGUMUSUYUZVAVCVEVGVIVN\
VUWFWSXKYEYTZAZMZW";
/// What keys and prose have behind `bic` or `swift`: ISO 20022 names the field `BICFI`.
const SUFFIXES: &[&str] = &["fi", " swift", " bic", " address", "/swift", "/bic"];

/// Finds identifier codes of banks.
#[derive(Debug)]
pub(crate) struct Bic;

impl Detector for Bic {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "BIC",
            family: Family::Financial,
            confidence: Confidence::Likely,
            validator: "ISO 9362 shape and country behind a word",
            prefixes: &["bic", "swift"],
            positive: &[
                "24/05/11 16:45:22 INFO SepaJob: route bic=«MARKDEF1100» for batch 7",
                r#"{"creditorBic":"«COBADEFFXXX»","swift_code":"«BNPAFRPP»"}"#,
                "SWIFT code «NDEASESS», BIC: «INGBNL2A». <BICFI>«BCITITMM»</BICFI> BIC/SWIFT «DNBANOKK»",
                r"body {\u0022bic\u0022:\u0022«DABADKKK»\u0022} (bic,«UBSWCHZH80A»)",
            ],
            negative: &[
                "SWIFT MESSAGES accepted, swift=COMPLETE, BIC: UNKNOWN1, bic=cobadeffxxx",
                "arabic=COBADEFF cubic: COBADEFF swift://COBADEFF.bucket fs.swift.impl=COBADEFF",
                "bic=COBADEFFX bic=COBADEFFXXXX bic=COBAZZFF bic_count=COBADEFF bic=COBADEFF-1 COBADEFF",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        if !begins_word(raw, anchor.start) {
            return;
        }
        let Some(value) = value_after(raw, anchor.clone(), SUFFIXES) else { return };
        let start = value.at;
        let end = forward(raw, start, start + 12, |b| b.is_ascii_alphanumeric());
        let text = &raw[start..end];
        let is_joined = word_after(raw, end)
            || matches!(raw.get(end), Some(b'-' | b'.')) && word_after(raw, end + 1);
        // `SWIFT MESSAGES` has the shape too; `BIC` begins few sentences.
        let is_named = value.is_joined || value.is_numbered || has_at(raw, anchor.start, b"bic");
        if is_bic(text) && is_named && !is_joined {
            found.push(start..end);
        }
    }
}

fn is_bic(text: &[u8]) -> bool {
    matches!(text.len(), 8 | 11)
        && text.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        && text[..4].iter().any(u8::is_ascii_uppercase)
        && is_country(&text[4..6])
}

fn is_country(code: &[u8]) -> bool {
    COUNTRIES.chunks_exact(2).any(|known| known == code)
}

#[cfg(test)]
mod tests {
    use super::{COUNTRIES, is_bic};

    #[test]
    fn every_country_and_no_other_pair_of_letters_is_valid() {
        let letters = || b'A'..=b'Z';
        let pairs = letters().flat_map(|a| letters().map(move |b| [a, b]));
        let valid: Vec<_> =
            pairs.filter(|[a, b]| is_bic(&[b'C', b'O', b'B', b'A', *a, *b, b'F', b'F'])).collect();
        // 249 codes of ISO 3166-1 and Kosovo.
        assert_eq!(valid.len(), 250);
        assert_eq!(valid.concat(), COUNTRIES);
    }

    #[test]
    fn only_eight_and_eleven_characters_are_a_code() {
        for len in 0..16 {
            assert_eq!(is_bic(&b"COBADEFFXXXXXXXX"[..len]), matches!(len, 8 | 11), "{len}");
        }
    }
}
