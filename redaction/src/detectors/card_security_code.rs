//! CARD_SECURITY_CODE: the three or four digits behind `cvv`, `cvc` and the like, which nobody may
//! store after authorization (PCI DSS 4.0, requirement 3.3.1.2). Nothing but the word tells them.

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::haystack::Haystack;
use crate::label::{begins_word, value_after};
use crate::lexis::{forward, word_after};
use crate::spans::Found;

/// `cvv2` and `cvc2` have an index, which every name may have.
const LITERALS: &[&str] = &["cvv", "cvc", "card security code", "card verification"];

/// Finds security codes of payment cards.
#[derive(Debug)]
pub(crate) struct CardSecurityCode;

impl Detector for CardSecurityCode {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "CARD_SECURITY_CODE",
            family: Family::Card,
            confidence: Confidence::Likely,
            validator: "digits behind a word",
            prefixes: LITERALS,
            positive: &[
                "INFO PaymentSink: rejected exp=12/27 cvv=«123» amount=12.00",
                r#"{"cvc":"«1234»","cvv2": "«987»","cardCvv":"«012»","cvv_code":"«345»"}"#,
                "CVC: «1234», card security code: «123», card verification value = «123», (cvv,«321»)",
                r"body {\u0022cvv\u0022:\u0022«123»\u0022} EqualTo(cvv#12,x) CVC2=«123».",
            ],
            negative: &[
                "cvv=null cvc=*** cvv=12 cvv=12345 cvv_match=1 cvvResult=123 cvc 123 rows",
                "cvv=123.5 cvv=1.234 cvc=123ms cvv=12-34 cvv=123-45 cvv=100%",
                "mycvc=123 cvv: M, cvv_checked=2024, cvv=[CARD_SECURITY_CODE]",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        if !begins_word(raw, anchor.start) {
            return;
        }
        let value = value_after(raw, anchor, &[]).filter(|value| value.is_joined);
        let Some(start) = value.map(|value| value.at) else { return };
        let end = forward(raw, start, start + 5, |b| b.is_ascii_digit());
        let goes_on = match raw.get(end) {
            Some(b'.' | b',' | b'-' | b'/' | b':') => word_after(raw, end + 1),
            Some(b'%') => true,
            _ => word_after(raw, end),
        };
        // `"cvv":123,"x"` and `cvv=123,exp=`: a comma before a letter divides.
        let is_divided =
            raw.get(end) == Some(&b',') && !raw.get(end + 1).is_some_and(u8::is_ascii_digit);
        if (3..=4).contains(&(end - start)) && (!goes_on || is_divided) {
            found.push(start..end);
        }
    }
}
