//! TWILIO_KEY: API key ids (`SK`) and account ids (`AC`) of Twilio, each with 32 hex digits.
//!
//! <https://www.twilio.com/docs/glossary/what-is-a-sid> gives prefix and alphabet.

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::haystack::Haystack;
use crate::lexis::{forward, word_before};
use crate::long_word::may_begin_with;
use crate::shapes::Shape;
use crate::spans::Found;

/// Bytes of prefix and digits.
const ID_BYTES: usize = 34;
/// How far before its anchor a word of 26 bytes may begin.
const WORD_BYTES: usize = 25;

/// Finds ids of Twilio.
#[derive(Debug)]
pub(crate) struct TwilioKey;

impl Detector for TwilioKey {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "TWILIO_KEY",
            family: Family::Secret,
            confidence: Confidence::High,
            validator: "prefix and hex digits",
            shapes: &[Shape::LongWord],
            positive: &[
                "WARN Alerting: no text sent from «AC0123456789abcdef0123456789abcdef» in 5 s",
                r#"{"msg":"sent\n«SK9f8e7d6c5b4a39281706f5e4d3c2b1a0»","x":"\u0022«SK9f8e7d6c5b4a39281706f5e4d3c2b1a0»"}"#,
                "GET /2010-04-01/Accounts/«AC9f8e7d6c5b4a39281706f5e4d3c2b1a0»/Messages.json",
            ],
            negative: &[
                "job 9f8e7d6c5b4a39281706f5e4d3c2b1a0 of SK9f8e7d6c5b4a39281706f5e4d3c2b1a",
                "xSK9f8e7d6c5b4a39281706f5e4d3c2b1a0 ac9f8e7d6c5b4a39281706f5e4d3c2b1a0",
                "SK9F8E7D6C5B4A39281706F5E4D3C2B1A0 SK9f8e7d6c5b4a39281706f5e4d3c2b1a0ffff",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        if !may_begin_with(raw, anchor.start, b"SA") {
            return found.never();
        }
        let begin = anchor.start.saturating_sub(WORD_BYTES);
        let is_head = |at: &usize| {
            matches!(&raw[*at..anchor.start], [b'S', b'K', ..] | [b'A', b'C', ..])
                && (!word_before(raw, *at) || raw[*at - 1] == b'_')
        };
        // Letters of an escape may stand before the id.
        let Some(start) = (begin..anchor.start.min(begin + 6)).find(is_head) else { return };
        let end = forward(raw, start, start + ID_BYTES + 1, |b| b.is_ascii_alphanumeric());
        let is_hex = |b: &u8| b.is_ascii_digit() || (b'a'..=b'f').contains(b);
        if end - start == ID_BYTES && raw[start + 2..end].iter().all(is_hex) {
            found.push(start..end);
        }
    }
}
