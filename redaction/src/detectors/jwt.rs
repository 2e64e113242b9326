//! JWT: JSON web tokens, `eyJ...` in base64url with dots, also when the line was cut inside one.

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::haystack::Haystack;
use crate::lexis::{escape_letter_before, forward, is_line_end};
use crate::spans::Found;

/// Fewest bytes of a header: `eyJhbGciOiJ9` is `{"alg":"}`.
const HEADER_BYTES_MIN: usize = 12;
/// Fewest bytes of a payload, which is a JSON object too.
const PAYLOAD_BYTES_MIN: usize = 3;

/// Finds JSON web tokens.
#[derive(Debug)]
pub(crate) struct Jwt;

impl Detector for Jwt {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "JWT",
            family: Family::Secret,
            confidence: Confidence::Certain,
            validator: "base64url of JSON, dots",
            prefixes: &["eyJ"],
            positive: &[
                "jwt «eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N» ok",
                "unsigned «eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0». Next",
                r#"{"msg":"got\n«eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3»\n"}"#,
                "line was cut at «eyJhbGciOiJIUz»",
                "line was cut at «eyJhbGciOiJIUzI1NiJ9.eyJz»",
            ],
            negative: &[
                "keyJoin.leftOuter.rightOuter and eyJ and eyJoin.left.right",
                "EYJHBGCIOIJIUZI1NIJ9.abcdef.abcdef",
                "config eyJhIjoxLCJiIjoyfQ followed by more",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        let start = anchor.start;
        let is_base64url = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'=');
        let is_inside = start > 0 && is_base64url(raw[start - 1]) && raw[start - 1] != b'=';
        if &raw[anchor] != b"eyJ" || (is_inside && !escape_letter_before(raw, start)) {
            return;
        }
        let header = forward(raw, start, raw.len(), is_base64url);
        if header - start < HEADER_BYTES_MIN {
            return;
        }
        // Not limited in length, as a limit would expose the tail. A token is looked at once: no
        // other begins inside its parts, and one with a payload is found.
        let mut end = header;
        while raw.get(end) == Some(&b'.') && raw.get(end + 1).is_some_and(|b| is_base64url(*b)) {
            end = forward(raw, end + 1, raw.len(), is_base64url);
        }
        let has_payload = end > header + PAYLOAD_BYTES_MIN;
        let is_cut = is_line_end(raw, end + usize::from(raw.get(end) == Some(&b'.')));
        if has_payload || is_cut {
            found.push(start..end);
        }
    }
}
