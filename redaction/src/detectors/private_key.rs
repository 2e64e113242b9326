//! PRIVATE_KEY: PEM blocks, over several lines or with escaped line breaks, ended or not.

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::haystack::Haystack;
use crate::lexis::{forward, has_at, work};
use crate::spans::Found;

/// Longest block with its footer; the longest in use, RSA of 16,384 bits, has 13 KB.
const BLOCK_BYTES_MAX: usize = 16 << 10;
/// Longest label between `BEGIN` and the dashes.
const LABEL_BYTES_MAX: usize = 64;
/// Fewest bytes of base64 that are a key and not a word.
const WORD_BYTES_MIN: usize = 20;

/// Finds PEM private keys. One placeholder stands for the whole block.
#[derive(Debug)]
pub(crate) struct PrivateKey;

impl Detector for PrivateKey {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "PRIVATE_KEY",
            family: Family::Secret,
            confidence: Confidence::Certain,
            validator: "PEM header",
            literals: &["-----BEGIN"],
            is_token: false,
            positive: &[
                "key «-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nQg==\n-----END RSA PRIVATE KEY-----» end",
                r#"{"key":"«-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nQg==\n-----END PRIVATE KEY-----»\n"}"#,
                "«-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nabc\n-----END EC PRIVATE KEY-----»",
                "one line «-----BEGIN OPENSSH PRIVATE KEY----- b3BlbnNzaC1rZXktdjEAAAAA Qg== -----END OPENSSH PRIVATE KEY-----»",
                "«-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY»«-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----»",
                "cut «-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw\nggSjAgEAAoIBAQC7VJTUt9Us8cKj»\nat Main.main(Main.java:1)",
            ],
            negative: &[
                "-----BEGIN PRIVATE KEY-----\nx\n[PRIVATE_KEY]\n-----END PRIVATE KEY-----",
                "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBa\n-----END CERTIFICATE-----",
                "-----BEGIN PRIVATE KEY----- is missing from the file",
                "-----BEGIN of the report-----",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        let Some(body) = header_end(raw, anchor.end) else { return };
        if let Some(end) = footer_end(raw, body).or_else(|| open_end(raw, body)) {
            found.push(anchor.start..end);
        }
    }
}

/// Skips ` RSA PRIVATE KEY-----` after `-----BEGIN`.
fn header_end(raw: &[u8], at: usize) -> Option<usize> {
    let is_label = |b: u8| b.is_ascii_alphanumeric() || b == b' ';
    let end = forward(raw, at, at + LABEL_BYTES_MAX, is_label);
    let is_private = raw[at..end].windows(11).any(|w| w.eq_ignore_ascii_case(b"PRIVATE KEY"));
    (is_private && has_at(raw, end, b"-----")).then_some(end + 5)
}

/// End of the footer, when nothing but one block can stand before it.
fn footer_end(raw: &Haystack<'_>, body: usize) -> Option<usize> {
    let limit = raw.len().min(body + BLOCK_BYTES_MAX);
    let mut at = body;
    while let Some(dashes) = memchr::memchr3(b'-', b'"', b'[', &raw[at..limit]).map(|i| at + i) {
        work::add(dashes - at);
        // A placeholder may hide another block, so it ends the search as that block did.
        let is_block = has_at(raw, dashes, b"-----begin") || raw.placeholder_end(dashes).is_some();
        if raw[dashes] == b'"' || is_block {
            return None;
        }
        if has_at(raw, dashes, b"-----end") {
            let end = header_end(raw, dashes + 8)?;
            // Dashes that begin the next block are left to it.
            return Some(if has_at(raw, end - 5, b"-----begin") { end - 5 } else { end });
        }
        at = dashes + 1;
    }
    None
}

/// End of the base64 that follows a header without a footer.
fn open_end(raw: &[u8], body: usize) -> Option<usize> {
    let is_base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    let (mut at, mut end) = (body, None);
    loop {
        let word = skip_gap(raw, at);
        at = forward(raw, word, raw.len(), is_base64);
        // The last line of a key is short; a word of a sentence after the key is not its end.
        let is_last = end.is_some() && at > word && ends_gap(raw, at);
        let is_cut = end.is_none() && at > word && at == raw.len();
        if at - word < WORD_BYTES_MIN && !is_cut {
            return if is_last && raw[at - 1] == b'=' { Some(at) } else { end };
        }
        end = Some(at);
    }
}

/// Skips white space and escaped line breaks.
fn skip_gap(raw: &[u8], mut at: usize) -> usize {
    loop {
        let blank = forward(raw, at, raw.len(), |b| b.is_ascii_whitespace() || b == b'\\');
        let is_escape = blank > at && raw[blank - 1] == b'\\';
        match raw.get(blank) {
            Some(b'n' | b'r' | b't') if is_escape => at = blank + 1,
            _ => return blank,
        }
    }
}

fn ends_gap(raw: &[u8], at: usize) -> bool {
    raw.get(at).is_none_or(|b| b.is_ascii_whitespace() || matches!(b, b'\\' | b'"' | b'\''))
}
