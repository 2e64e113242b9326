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
/// Most blanks behind the first line.
const BLANKS_MAX: usize = 64;
/// Most headers between the first line and the key (RFC 1421); two are in use.
const HEADERS_MAX: usize = 8;
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
        let is_blank = |b: u8| b.is_ascii_whitespace() && b != b'\n';
        let rest = forward(raw, body, body + BLANKS_MAX, is_blank);
        // A key that begins on its header's line ends on it; `open_block` cuts streams by that.
        let is_alone = matches!(raw.get(rest), None | Some(b'\n'));
        let footer = footer_end(raw, body, is_alone);
        if let Some(end) = footer.or_else(|| open_end(raw, body, is_alone)) {
            found.push(anchor.start..end);
        }
    }
}

/// Start of the line of a key header in `raw` (whole lines) whose block, or those that follow on
/// it, may go on behind.
pub(crate) fn open_block(raw: &[u8]) -> Option<usize> {
    let mut open = None;
    // The footer of the block before may stand on the line of a header.
    while let Some(start) = last_open_line(&raw[..open.unwrap_or(raw.len())]) {
        open = Some(start);
    }
    open
}

fn last_open_line(raw: &[u8]) -> Option<usize> {
    let begin = memchr::memmem::rfind(raw, b"-----BEGIN")?;
    let body = header_end(raw, begin + "-----BEGIN".len())?;
    let mut lines = raw[body..].split(|byte| *byte == b'\n');
    // A key that goes on behind its header ends on the header's line.
    let is_alone = lines.next().is_some_and(|rest| rest.trim_ascii().is_empty());
    let is_open = is_alone && lines.all(is_body_line);
    is_open.then(|| memchr::memrchr(b'\n', &raw[..begin]).map_or(0, |newline| newline + 1))
}

/// True for what may stand between header and footer of a key: base64, or a header such as
/// `Proc-Type: 4,ENCRYPTED`.
fn is_body_line(line: &[u8]) -> bool {
    let kinds = line.iter().fold(0, |kinds, byte| kinds | BODY_KINDS[usize::from(*byte)]);
    if kinds & OTHER != 0 {
        return false;
    }
    let is_base64 = || kinds & HYPHEN == 0 && !line.trim_ascii().contains(&b' ');
    match kinds & BLANK {
        0 => kinds & HYPHEN == 0,
        _ => is_base64() || memchr::memmem::find(line, b": ").is_some(),
    }
}

/// What a byte of a line says about it.
static BODY_KINDS: [u8; 256] = {
    let mut kinds = [OTHER; 256];
    let mut byte = 0;
    while byte < 256 {
        match byte as u8 {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => kinds[byte] = 0,
            b'+' | b'/' | b'=' | b':' | b',' | b'\r' => kinds[byte] = 0,
            b' ' => kinds[byte] = BLANK,
            b'-' => kinds[byte] = HYPHEN,
            _ => {}
        }
        byte += 1;
    }
    kinds
};
/// In a line of text that is no part of a key.
const OTHER: u8 = 1;
/// In headers such as `Proc-Type: 4,ENCRYPTED`.
const HYPHEN: u8 = 2;
/// See [`HYPHEN`].
const BLANK: u8 = 4;

/// Skips ` RSA PRIVATE KEY-----` after `-----BEGIN`.
fn header_end(raw: &[u8], at: usize) -> Option<usize> {
    let is_label = |b: u8| b.is_ascii_alphanumeric() || b == b' ';
    let end = forward(raw, at, at + LABEL_BYTES_MAX, is_label);
    let is_private = raw[at..end].windows(11).any(|w| w.eq_ignore_ascii_case(b"PRIVATE KEY"));
    (is_private && has_at(raw, end, b"-----")).then_some(end + 5)
}

/// End of the footer, when nothing but one block can stand before it.
fn footer_end(raw: &Haystack<'_>, body: usize, is_alone: bool) -> Option<usize> {
    let limit = raw.len().min(body + BLOCK_BYTES_MAX);
    let (mut at, mut line) = (body, None);
    while let Some(hit) = memchr::memchr3(b'-', b'"', b'\n', &raw[at..limit]).map(|i| at + i) {
        work::add(hit - at);
        let is_block = has_at(raw, hit, b"-----begin");
        if raw[hit] == b'"' || is_block {
            return None;
        }
        if has_at(raw, hit, b"-----end") {
            let end = header_end(raw, hit + 8)?;
            // A placeholder may hide another block, so it ends the search as that block did.
            if has_placeholder(raw, body..hit) {
                return None;
            }
            // Dashes that begin the next block are left to it.
            return Some(if has_at(raw, end - 5, b"-----begin") { end - 5 } else { end });
        }
        if raw[hit] == b'\n' {
            if !is_alone {
                return None;
            }
            // What follows a line that is no part of a key belongs to other text.
            if line.is_some_and(|start| !is_body_line(&raw[start..hit])) {
                return None;
            }
            line = Some(hit + 1);
        }
        at = hit + 1;
    }
    None
}

fn has_placeholder(raw: &Haystack<'_>, range: Range<usize>) -> bool {
    memchr::memchr_iter(b'[', &raw[range.clone()])
        .any(|at| raw.placeholder_end(range.start + at).is_some())
}

/// End of the base64 that follows a header without a footer.
fn open_end(raw: &[u8], body: usize, is_alone: bool) -> Option<usize> {
    let is_base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    let (mut at, mut end) = (if is_alone { skip_headers(raw, body) } else { body }, None);
    loop {
        let word = skip_gap(raw, at);
        if !is_alone && raw[at..word].contains(&b'\n') {
            return end;
        }
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

/// Skips `Proc-Type: 4,ENCRYPTED` and the like.
fn skip_headers(raw: &[u8], mut at: usize) -> usize {
    for _ in 0..HEADERS_MAX {
        let line = skip_gap(raw, at);
        let end = forward(raw, line, line + LABEL_BYTES_MAX * 2, |b| !matches!(b, b'\n' | b'\\'));
        let text = &raw[line..end];
        if memchr::memmem::find(text, b": ").is_none() || !is_body_line(text) {
            break;
        }
        at = end;
    }
    at
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
