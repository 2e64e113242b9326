//! AWS_SECRET_KEY: the 40 bytes of base64 beside an access key id, or behind words that name them.
//!
//! Only length and alphabet tell such a key, so nothing is found without one of these.

use std::ops::Range;

use super::token::is_mixed;
use super::{Confidence, Detector, Family, Rule};
use crate::haystack::Haystack;
use crate::lexis::{forward, word_before};
use crate::spans::Found;

/// Bytes of a secret access key.
const KEY_BYTES: usize = 40;
/// How far behind its anchor a key may begin: an id, words and quotes between them.
const REACH_BYTES: usize = 48;

/// Finds secret access keys of AWS.
#[derive(Debug)]
pub(crate) struct AwsSecretKey;

impl Detector for AwsSecretKey {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "AWS_SECRET_KEY",
            family: Family::Secret,
            confidence: Confidence::High,
            validator: "length, alphabet, and a key id or words before",
            literals: &["secretaccesskey"],
            prefixes: &["AKIA", "ASIA", "aws secret", "aws_secret", "secret access key"],
            positive: &[
                "aws_secret_access_key «kQ2mX7vB9nL4pR8wT1yZa1B2c3D4/e5F6+g7H8i9»",
                "aws secret «kQ2mX7vB9nL4pR8wT1yZa1B2c3D4/e5F6+g7H8i9» of role etl",
                "the secret access key is «kQ2mX7vB9nL4pR8wT1yZa1B2c3D4/e5F6+g7H8i9».",
                r#"{"msg":"AWS Secret\n«Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2Rr1Qq0Pp9Oo8Nn7M»\n"}"#,
            ],
            negative: &[
                "aws secret manager arn:aws:secretsmanager:eu-west-1:123:x, aws secret not found",
                "aws secret 9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c is lower case",
                "secret access key of length 40 in s3://lake/kQ2mX7vB9nL4pR8wT1yZ/a1B2c3D4e5F6g7H8i9J0k",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        if word_before(raw, anchor.start) {
            return;
        }
        let mut at = anchor.start;
        while at < anchor.end + REACH_BYTES {
            at = forward(raw, at, anchor.end + REACH_BYTES, |b| b != b'\n' && !is_base64(b));
            let is_escape = at > 0 && raw[at - 1] == b'\\';
            at += usize::from(is_escape && raw.get(at).is_some_and(|b| b"nrt".contains(b)));
            let end = forward(raw, at, at + KEY_BYTES + 1, is_base64);
            if end - at == KEY_BYTES && is_mixed(&raw[at..end]) {
                return found.push(at..end);
            }
            if end == at {
                return;
            }
            at = forward(raw, end, anchor.end + REACH_BYTES, is_base64);
        }
    }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

#[cfg(test)]
mod tests {
    use crate::{Redactor, Text};

    #[test]
    fn a_key_is_found_beside_its_id() {
        let key = "kQ2mX7vB9nL4pR8wT1yZa1B2c3D4/e5F6+g7H8i9";
        let redactor = Redactor::new();
        for joint in [", ", ":", "\",\"", " / ", ",", "', '", r#"\",\""#] {
            let mut text = Text::default();
            let raw = format!("(AKIAIOSFODNN7EXAMPLE{joint}{key})");
            redactor.redact_chunk(raw.as_bytes(), &mut text);
            assert!(
                !text.as_bytes().windows(8).any(|w| key.as_bytes().windows(8).any(|k| k == w)),
                "{raw}"
            );
        }
    }
}
