//! AWS_KEY_ID: access key ids of AWS, also when the line was cut inside one.

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::haystack::Haystack;
use crate::lexis::{forward, is_line_end, word_after, word_before};
use crate::spans::Found;

/// Bytes of an access key id, prefix included.
const KEY_BYTES: usize = 20;
/// Longest token treated as a key; longer ones are hidden in part and found again.
const TOKEN_BYTES_MAX: usize = 256;

/// Finds AWS access key ids.
#[derive(Debug)]
pub(crate) struct AwsKeyId;

impl Detector for AwsKeyId {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "AWS_KEY_ID",
            family: Family::Secret,
            confidence: Confidence::Certain,
            validator: "prefix and length",
            prefixes: &["AKIA", "ASIA", "ABIA", "ACCA"],
            positive: &[
                "using credentials «AKIAIOSFODNN7EXAMPLE» for bucket acme",
                "s3://lake/«ASIAY4OIS26F6467C2V4»/x and (\"«AKIAIOSFODNN7EXAMPLEQQ»\")",
                "line was cut at «AKIAIOSF»",
                "no digit in «ASIARZZHIUELZWMQLBPV» at all",
                r#"{"msg":"keys\n«AKIAIOSFODNN7EXAMPLE»\n"}"#,
            ],
            negative: &[
                "TODAYINASIAASACKOFRICEFELLOVER region ASIAPACIFIC",
                "AKIA is a prefix, AKIAIOS too; akiaiosfodnn7example is lower case",
                "xAKIAIOSFODNN7EXAMPLE AKIAIOSFODNN7 EXAMPLE",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        let start = anchor.start;
        let is_base = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit();
        let is_inside = word_before(raw, start) && raw[start - 1] != b'_';
        if is_inside || !raw[anchor.clone()].iter().all(u8::is_ascii_uppercase) {
            return;
        }
        let end = forward(raw, anchor.end, start + TOKEN_BYTES_MAX, is_base);
        let tail = &raw[anchor.end..end];
        let is_cut = is_line_end(raw, end) && tail.len() >= 4;
        // Without a digit only the usual length is certain: the prefixes begin words as well, such
        // as ASIAPACIFIC.
        let is_usual = end - start == KEY_BYTES && !word_after(raw, end);
        let is_certain = &raw[anchor] == b"AKIA" || tail.iter().any(u8::is_ascii_digit);
        if is_usual || is_certain && (end - start >= KEY_BYTES || is_cut) {
            // Whatever is glued to the key goes with it: a fixed length would expose a tail.
            let is_glued = |b: u8| b.is_ascii_alphanumeric();
            found.push(start..forward(raw, end, start + TOKEN_BYTES_MAX, is_glued));
        }
    }
}
