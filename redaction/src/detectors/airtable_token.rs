//! AIRTABLE_TOKEN: personal access tokens of Airtable, `pat`, 14 letters and digits, a dot and 64 hex
//! digits (<https://airtable.com/developers/web/guides/personal-access-tokens>).
//!
//! `pat` begins many words, so what ends the id is asked for first.

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::haystack::Haystack;
use crate::lexis::{forward, word_before};
use crate::spans::Found;

/// Bytes of the id between the prefix and the dot.
const ID_BYTES: usize = 14;
/// Fewest hex digits behind the dot; issued are 64.
const SECRET_BYTES_MIN: usize = 32;

/// Finds personal access tokens of Airtable.
#[derive(Debug)]
pub(crate) struct AirtableToken;

impl Detector for AirtableToken {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "AIRTABLE_TOKEN",
            family: Family::Secret,
            confidence: Confidence::Certain,
            validator: "prefix, alphabet and length",
            prefixes: &["pat"],
            positive: &[
                "INFO Sync: base app1 with «patkQ2mX7vB9nL4pR.9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c» read",
                r#"{"msg":"sync\n«patZz9Yy8Xx7Ww6Vv.0123456789abcdef0123456789abcdef»\n"}"#,
                "client(«patkQ2mX7vB9nL4pR.9f8e7d6c5b4a39281706f5e4d3c2b1a0», x).",
            ],
            negative: &[
                "path patterns.of.pattern patternMatchers1.deadbeef patternMatchers12.deadbeef",
                "xpatkQ2mX7vB9nL4pR.9f8e7d6c5b4a39281706f5e4d3c2b1a0 PATKQ2MX7VB9NL4PR.9F8E7D6C5B4A39281706F5E4D3C2B1A0",
                "patkQ2mX7vB9nL4p.9f8e7d6c5b4a39281706f5e4d3c2b1a0 has a short id",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        let dot = anchor.end + ID_BYTES;
        let is_id = |id: &[u8]| id.iter().all(u8::is_ascii_alphanumeric);
        let has_id = raw.get(dot) == Some(&b'.') && is_id(&raw[anchor.end..dot]);
        if !has_id || &raw[anchor.clone()] != b"pat" {
            return found.never();
        }
        let end = forward(raw, dot + 1, raw.len(), |b| b.is_ascii_hexdigit());
        let is_glued = word_before(raw, anchor.start) && raw[anchor.start - 1] != b'_';
        if end - dot > SECRET_BYTES_MIN && !is_glued {
            found.push(anchor.start..end);
        }
    }
}
