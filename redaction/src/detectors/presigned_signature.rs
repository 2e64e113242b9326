//! PRESIGNED_SIGNATURE: what makes a URL a credential: signatures of S3, CloudFront, Google Cloud
//! Storage and Azure (SAS), and the session token that belongs to one.
//!
//! AWS Signature Version 2 and 4, Google's V4 signing and Azure's `sig` name the parameters.

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::assignment::{key_start, opening_quote, quoted, value_start};
use crate::haystack::Haystack;
use crate::lexis::{has_at, has_before, work};
use crate::spans::Found;

/// What stands before `-signature` of parameters that nothing else is called.
const OWNERS: &[&[u8]] = &[b"x-amz-", b"x-goog-", b"cloudfront-"];
/// What divides parameters: plain, percent-encoded once and twice, and escaped in JSON and HTML.
const DIVIDERS: &[&[u8]] =
    &[b"?", b"&", b"&amp;", b"%26", b"%3f", b"%2526", b"%253f", br"\u0026", br"\u003f"];
/// Escapes of bytes that end a value: `&`, space, quotes, `,`, `;`, line breaks, and `&` twice.
const ENDS: &[&[u8]] = &[b"%26", b"%20", b"%22", b"%27", b"%2c", b"%3b", b"%0a", b"%0d", b"%2526"];
/// Escapes of bytes that are a part of base64: `=`, `+`, `/`.
const PARTS: &[&[u8]] = &[br"\u003d", br"\u002b", br"\u002f", br"\/"];
/// Fewest bytes of a signature behind a name that means other things too.
const SIGNATURE_BYTES_MIN: usize = 12;

/// Finds signatures of URLs; the rest of the URL stays.
#[derive(Debug)]
pub(crate) struct PresignedSignature;

impl Detector for PresignedSignature {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "PRESIGNED_SIGNATURE",
            family: Family::Secret,
            confidence: Confidence::Certain,
            validator: "name of the parameter",
            prefixes: &["sig=", "sig%3d", "sig%253d", "signature", "amz-security-token"],
            is_token: false,
            is_settled_alone: true,
            positive: &[
                "GET https://lake.s3.amazonaws.com/a.csv?X-Amz-Date=20240512T101112Z&X-Amz-Signature=«0a1b2c3d»&x-id=GetObject",
                "https://a.blob.core.windows.net/c?sv=2020&sig=«ab%2Bc%3D»&se=1 X-Goog-Signature=«0a1b»",
                "fs.azure.sas.c.a.blob.core.windows.net=sv=1&sig=«ab%3D» and sv=1&amp;sig=«abcd»&amp;se=2",
                r#"{"url":"https://b.s3.amazonaws.com/k?AWSAccessKeyId=x\u0026Signature=«kQ2mX7vB9nL4pR8w\u003d»\u0026Expires=1"}"#,
                "copy from https%3A%2F%2Fa.blob.core.windows.net%2Fc%3Fsv%3D2020%26sig%3D«ab%252Bc%253D»%26se%3D1",
                "https://d1.cloudfront.net/x?Expires=1&Signature=«kQ2mX7vB~9nL4pR8w-_»&Key-Pair-Id=K1",
                r#"headers {"X-Amz-Security-Token":"«kQ2mX7vB9nL4/+=»","x":1} {X-Amz-Security-Token=[«kQ2mX7»], Host=x}"#,
                "?X-Amz-Security-Token=«kQ2mX7vB9%2FnL4»&X-Amz-Signature=«0a1b»' x-amz-security-token: «kQ2mX7»",
                "AWS4-HMAC-SHA256 SignedHeaders=host;x-amz-date, Signature=«0a1b2c3d4e5f60718293a4b5c6d7e8f9»",
            ],
            negative: &[
                "method-signature: run Signature=abc; signature=(I)V of method signature: main",
                "X-Amz-Signature=[PRESIGNED_SIGNATURE]&x=1 X-Amz-SignedHeaders=host&x-amz-signature",
                "config=abcd sig=kQ2mX7vB9nL4 numsig=12 and ?sig=, &signature=short",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        let word = &raw[anchor.clone()];
        let is_divided = |at: usize| DIVIDERS.iter().any(|divider| has_before(raw, at, divider));
        let is_owned = has_at(word, 0, b"amz")
            || OWNERS.iter().any(|owner| has_before(raw, anchor.start, owner));
        let (at, least) = if is_owned {
            let start = key_start(raw, anchor.start);
            match joint_end(raw, anchor.end).or(value_start(raw, start, anchor.end).map(|v| v.0)) {
                Some(at) => (at, 1),
                None => return,
            }
        } else if has_at(word, 0, b"signature") {
            let is_parameter = is_divided(anchor.start);
            let is_of_header = has_before(raw, anchor.start, b", ");
            match joint_end(raw, anchor.end) {
                Some(at) if is_parameter => (at, SIGNATURE_BYTES_MIN),
                Some(at) if is_of_header => (at, 2 * SIGNATURE_BYTES_MIN),
                _ => return,
            }
        } else if is_divided(anchor.start) {
            (anchor.end, 3)
        } else {
            return;
        };
        let range = value(raw, at);
        if range.len() >= least {
            found.push(range);
        }
    }
}

/// End of the `=` at `at`, percent-encoded or not.
fn joint_end(raw: &[u8], at: usize) -> Option<usize> {
    [&b"="[..], b"%3d", b"%253d"].iter().find(|joint| has_at(raw, at, joint)).map(|j| at + j.len())
}

/// The value that begins at `at`, in quotes or in the brackets of a list of one.
fn value(raw: &Haystack<'_>, at: usize) -> Range<usize> {
    if raw.placeholder_end(at).is_some() {
        return at..at;
    }
    if let Some(range) = opening_quote(raw, at).and_then(|_| quoted(raw, at)) {
        return range;
    }
    let start = at + usize::from(raw.get(at) == Some(&b'['));
    let is =
        |i: usize, list: &[&[u8]]| list.iter().find(|word| has_at(raw, i, word)).map(|w| w.len());
    let mut end = start;
    while let Some(byte) = raw.get(end) {
        end += match byte {
            b'%' if is(end, ENDS).is_some() => break,
            b'\\' => match is(end, PARTS) {
                Some(len) => len,
                None => break,
            },
            b'%' | b'-' | b'_' | b'~' | b'+' | b'/' | b'=' | b'.' => 1,
            byte if byte.is_ascii_alphanumeric() => 1,
            _ => break,
        };
    }
    work::add(end - start);
    start..end
}
