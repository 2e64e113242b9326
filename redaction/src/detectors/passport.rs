//! PASSPORT: a passport number of any country behind the word: six to nine letters and digits (ICAO
//! Doc 9303 gives the number nine places).

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::documents::{count, document_number};
use crate::haystack::Haystack;
use crate::label::{begins_word, value_after};
use crate::spans::Found;

/// What may stand between `passport` and the number, besides the usual words.
const SUFFIXES: &[&str] = &[" card", " book", " doc", " document", " nummer"];
/// Fewest digits in prose, where words such as `passport v2beta1` follow as well.
const PROSE_DIGITS_MIN: usize = 3;

/// Finds passport numbers.
#[derive(Debug)]
pub(crate) struct Passport;

impl Detector for Passport {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "PASSPORT",
            family: Family::Personal,
            confidence: Confidence::Likely,
            validator: "letters and digits behind the word",
            prefixes: &["passport"],
            positive: &[
                "24/05/11 16:45:22 INFO KycJob: passport=«C22X99T12» checked",
                r#"{"passportNumber":"«533380006»","passport_no":"«K1234567»"}"#,
                "Passport No. «AB1234567», passport number is «533380007». Passport # «L8988901C»",
                r"INSERT (\u0022passport\u0022:\u0022«XN5003778»\u0022) EqualTo(passport,«N7654321»)",
            ],
            negative: &[
                "passport required, passport=missing, passport=null, passport: pending1",
                "passport-local 1234567 passport_count=1234567 passports 2024-05-11 passport 1718907841998",
                "passport X12 is short, xpassport=A1234567 passport=A1234567-b passport=a1234567.jar",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        if !begins_word(raw, anchor.start) {
            return;
        }
        let Some(value) = value_after(raw, anchor, SUFFIXES) else { return };
        let Some(range) = document_number(raw, value.at, false) else { return };
        let text = &raw[range.clone()];
        let (n_digits, n_bytes) = count(text);
        // `pending1`: a word in lower case needs as many digits as one in prose.
        let is_code = value.is_joined && !text.iter().any(u8::is_ascii_lowercase);
        let least = if is_code { 1 } else { PROSE_DIGITS_MIN };
        if (6..=9).contains(&n_bytes) && n_digits >= least {
            found.push(range);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Found, Passport};
    use crate::detectors::Detector;
    use crate::haystack::{Haystack, Names};

    #[test]
    fn six_to_nine_letters_and_digits_with_a_digit_are_a_number() {
        let names = Names::new(std::iter::empty());
        for n_bytes in 0..14 {
            for n_digits in 0..=n_bytes {
                let text =
                    format!("passport={}{}", "A".repeat(n_bytes - n_digits), "7".repeat(n_digits));
                let mut found = Found::default();
                Passport.find(&Haystack::new(text.as_bytes(), &names), 0..8, &mut found);
                let want = (6..=9).contains(&n_bytes) && n_digits > 0;
                assert_eq!(found.take().0.count(), usize::from(want), "{text}");
            }
        }
    }
}
