//! PRIVATE_KEY: PEM blocks, over several lines or with escaped line breaks, ended or not.
//!
//! Of a block whose lines a logger wrote apart, or that other lines interrupt, the base64 of each line
//! is hidden.

use std::ops::Range;

use super::token::is_mixed;
use super::{Confidence, Detector, Family, Rule};
use crate::haystack::Haystack;
use crate::lexis::{backward, forward, has_at, work};
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
/// Longest block with what loggers write before each line, and with lines between.
const LOGGED_BYTES_MAX: usize = 32 << 10;
/// Most lines of other text between two lines of a key.
const OTHER_LINES_MAX: usize = 8;
/// Longest rest of a JSON record behind the first line.
const RECORD_BYTES_MAX: usize = 1024;
/// Bytes of a line of base64: 64 (RFC 7468), 70 of OpenSSH, 76 of MIME, and fewer of some tools.
const LINE_BYTES: std::ops::RangeInclusive<usize> = 40..=76;

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
                "INFO [main] c.a.X: -----BEGIN PRIVATE KEY-----\nINFO [main] c.a.X: «MIIEpAIBAAKCAQEA7kQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6g7H8i9J0k1L2m3N»\nINFO [t-2] c.a.Y: done\nINFO [main] c.a.X: «kQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0uVwX»\nINFO [main] c.a.X: «abcd»\nINFO [main] c.a.X: -----END PRIVATE KEY-----",
                "{\"m\":\"-----BEGIN PRIVATE KEY-----\",\"n\":1}\n{\"m\":\"«MIIEpAIBAAKCAQEA7kQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6g7H8i9J0k1L2m3N»\",\"n\":2}\n{\"m\":\"«Qg==»\",\"n\":3}",
                "«-----BEGIN PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7kQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6g7H8i9J0k1L2m3N»\nWARN [t-2] c.a.Y: late\n«kQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0uVwX»\n«Qg==»\n-----END PRIVATE KEY-----",
            ],
            negative: &[
                "[main] c.a.X: -----BEGIN PRIVATE KEY-----\n[main] c.a.X: key of /opt/flink/conf/ssl/internalKeystoreOfTheCluster1\n[main] a.Y: done Qg==",
                "[main] c.a.X: -----BEGIN CERTIFICATE-----\n[main] c.a.X: MIIEpAIBAAKCAQEA7kQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6g7H8i9J0k1L2m3N",
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
        if footer.is_none() {
            let stops = |line| has_placeholder(raw, line);
            walk_logged(raw, body, stops, |part| found.push(part));
        }
    }
}

/// Walks the lines behind a header whose block was not found whole, and hides the base64 of each that
/// is one of a key. True when further lines may belong to it.
///
/// What is hidden depends on no byte behind the line that ends the walk, so a stream may be cut there.
fn walk_logged(
    raw: &[u8],
    body: usize,
    stops: impl Fn(Range<usize>) -> bool,
    mut hide: impl FnMut(Range<usize>),
) -> bool {
    let first = forward(raw, body, body + RECORD_BYTES_MAX, |b| b != b'\n');
    let is_alone = raw[body..first].trim_ascii().is_empty();
    // The message of a JSON record ends with the header.
    if first < raw.len() && raw[first] != b'\n' || !is_alone && raw[body] != b'"' {
        return false;
    }
    // Of several headers on a line each would begin where a stream may be cut.
    if has_header(&raw[body..first]) || stops(body..first) {
        return false;
    }
    let limit = body + LOGGED_BYTES_MAX;
    let (mut at, mut n_others, mut form, mut last) = (first + 1, 0, None, None);
    while at < raw.len() {
        let end = forward(raw, at, limit, |b| b != b'\n');
        let line = &raw[at..end.max(at)];
        if end >= limit || has_header(line) || stops(at..end) {
            return false;
        }
        if has_footer(line) {
            last.into_iter().for_each(hide);
            return false;
        }
        last = None;
        match (line_of_key(raw, at..end, form), form) {
            (Some(part), _) => {
                form.get_or_insert((part.len(), end - part.end));
                hide(part);
                n_others = 0;
            }
            // The last line is short: padding tells it, or the footer behind it.
            (None, Some((width, n_behind))) => {
                let part = last_of_key(raw, at..end, n_behind);
                let is_padded = raw[part.clone()].ends_with(b"=");
                let is_key = part.len() >= WORD_BYTES_MIN && is_mixed(&raw[part.clone()]);
                if part.len() < width && (is_padded || is_key) {
                    hide(part);
                } else if part.len() < width {
                    last = Some(part);
                }
                n_others += 1;
            }
            (None, None) => n_others += 1,
        }
        if n_others > OTHER_LINES_MAX {
            return false;
        }
        at = end + 1;
    }
    true
}

/// The base64 in a line that is as long as a line of a key; of the same length as the first, whose
/// `form` is its length and the bytes behind it.
fn line_of_key(
    raw: &[u8],
    line: Range<usize>,
    form: Option<(usize, usize)>,
) -> Option<Range<usize>> {
    let mut at = line.start;
    while at < line.end {
        let end = forward(raw, at, line.end, is_base64_digit);
        let len = end - at;
        let is_line = match form {
            Some((width, _)) => len == width,
            // A path is made of the same bytes.
            None => LINE_BYTES.contains(&len) && raw[at] != b'/' && is_mixed(&raw[at..end]),
        };
        if is_line {
            return Some(at..end);
        }
        at = forward(raw, end, line.end, |b| !is_base64_digit(b)).max(end + 1);
    }
    None
}

/// The base64 that ends `n_behind` bytes before the end of a line.
fn last_of_key(raw: &[u8], line: Range<usize>, n_behind: usize) -> Range<usize> {
    let end = line.end.saturating_sub(n_behind).max(line.start);
    let digits = backward(raw, end, line.start.max(end.saturating_sub(2)), |b| b == b'=');
    let begin = line.start.max(digits.saturating_sub(*LINE_BYTES.end()));
    let start = backward(raw, digits, begin, is_base64_digit);
    // Padding pads something.
    if start == digits { end..end } else { start..end }
}

/// RFC 4648 section 4.
fn is_base64_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

/// Start of the line of a key header in `raw` (whole lines) whose block, or those that follow on
/// it, may go on behind: who cuts a stream there leaves no key in two chunks.
#[must_use]
pub fn open_block(raw: &[u8]) -> Option<usize> {
    let mut open = None;
    // The footer of the block before may stand on the line of a header.
    while let Some(start) = last_open_line(&raw[..open.unwrap_or(raw.len())], open.is_none()) {
        open = Some(start);
    }
    open
}

fn last_open_line(raw: &[u8], is_last: bool) -> Option<usize> {
    let begin = memchr::memmem::rfind(raw, b"-----BEGIN")?;
    let body = header_end(raw, begin + "-----BEGIN".len())?;
    let mut lines = raw[body..].split(|byte| *byte == b'\n');
    // A footer behind a date and the name of a logger looks like a header of the key.
    let goes_on = |line: &[u8]| is_body_line(line) && !has_footer(line);
    // A key that goes on behind its header ends on the header's line.
    let is_alone = lines.next().is_some_and(|rest| rest.trim_ascii().is_empty());
    let is_open =
        is_alone && lines.all(goes_on) || is_last && walk_logged(raw, body, |_| false, |_| ());
    is_open.then(|| memchr::memrchr(b'\n', &raw[..begin]).map_or(0, |newline| newline + 1))
}

fn has_header(line: &[u8]) -> bool {
    memchr::memmem::find(line, b"-----BEGIN").is_some()
}

fn has_footer(line: &[u8]) -> bool {
    memchr::memmem::find(line, b"-----END").is_some()
}

/// True for what may stand between header and footer of a key: base64, or a header such as
/// `Proc-Type: 4,ENCRYPTED`.
fn is_body_line(line: &[u8]) -> bool {
    let kinds = line.iter().fold(0, |kinds, byte| kinds | BODY_KINDS[usize::from(*byte)]);
    if kinds & OTHER != 0 {
        return false;
    }
    let is_one_word = kinds & BLANK == 0 || !line.trim_ascii().contains(&b' ');
    is_one_word && kinds & HYPHEN == 0
        || kinds & BLANK != 0 && memchr::memmem::find(line, b": ").is_some()
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
    let is_base64 = |b: u8| is_base64_digit(b) || b == b'=';
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

/// Longest name of a header in a key, such as `Proc-Type` and `Content-Domain` (RFC 1421).
const HEADER_NAME_BYTES_MAX: usize = 19;
const _: () = assert!(HEADER_NAME_BYTES_MAX < WORD_BYTES_MIN, "a name is never taken for a key");

/// Skips `Proc-Type: 4,ENCRYPTED` and the like.
///
/// A line that holds a placeholder is no header: it may have been none before, and the search is
/// not repeated for a header on another line.
fn skip_headers(raw: &[u8], mut at: usize) -> usize {
    for _ in 0..HEADERS_MAX {
        let line = skip_gap(raw, at);
        let end = forward(raw, line, line + LABEL_BYTES_MAX * 2, |b| !matches!(b, b'\n' | b'\\'));
        let text = &raw[line..end];
        let name = memchr::memmem::find(text, b": ").map(|colon| &text[..colon]);
        // Text behind a line of the key has more before its colon.
        let is_name = |name: &[u8]| name.len() <= HEADER_NAME_BYTES_MAX && !name.contains(&b' ');
        if !name.is_some_and(is_name) || !is_body_line(text) {
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

#[cfg(test)]
mod tests {
    use crate::lexis::work;
    use crate::{Chunks, Redactor, Text};

    const LINE: &str = "MIIEpAIBAAKCAQEA7kQ2mX7vB9nL4pR8wT1yZa1B2c3D4e5F6g7H8i9J0k1L2m3N";

    fn redact(parts: &[&[u8]]) -> String {
        let (redactor, mut text, mut chunks) =
            (Redactor::new(), Text::default(), Chunks::default());
        for part in parts {
            chunks.push(part, |chunk| {
                redactor.redact_chunk(chunk, &mut text);
            });
        }
        chunks.finish(|chunk| {
            redactor.redact_chunk(chunk, &mut text);
        });
        String::from_utf8(text.as_bytes().to_vec()).unwrap()
    }

    /// A key logged line by line, with `n_others` other lines behind each of its lines.
    fn logged(n_others: usize) -> String {
        let other = "INFO [t-2] c.a.Y: Finished task 1.0 in stage 3.0 (TID 7)\n".repeat(n_others);
        let mut raw = format!("INFO [m] c.a.X: -----BEGIN PRIVATE KEY-----\n{other}");
        for _ in 0..50 {
            raw += &format!("INFO [m] c.a.X: {LINE}\n{other}");
        }
        raw + &format!(
            "INFO [m] c.a.X: Qg==\n{other}INFO [m] c.a.X: -----END PRIVATE KEY-----\nlast"
        )
    }

    #[test]
    fn a_key_logged_line_by_line_is_hidden_wherever_the_reads_cut_it() {
        for n_others in 0..4 {
            let raw = logged(n_others);
            let whole = redact(&[raw.as_bytes()]);
            assert!(!whole.contains("MII") && !whole.contains("Qg"), "{whole}");
            assert_eq!(whole, raw.replace(LINE, "[PRIVATE_KEY]").replace("Qg==", "[PRIVATE_KEY]"));
            for part_bytes in [1, 7, 64, 1000] {
                let parts: Vec<_> = raw.as_bytes().chunks(part_bytes).collect();
                assert_eq!(redact(&parts), whole, "{n_others} {part_bytes}");
            }
        }
    }

    #[test]
    fn a_header_holds_no_stream_back_for_long() {
        let mut chunks = Chunks::default();
        let mut n_bytes = 0;
        let raw = "INFO [m] c.a.X: -----BEGIN PRIVATE KEY-----\n".to_owned();
        let raw = raw + &"INFO [t-2] c.a.Y: [done]\n".repeat(9);
        raw.split_inclusive('\n')
            .for_each(|line| chunks.push(line.as_bytes(), |c| n_bytes += c.len()));
        assert_eq!(n_bytes, raw.len());
    }

    #[test]
    fn many_headers_cost_linear_work() {
        let header = "INFO [m] c.a.X: -----BEGIN PRIVATE KEY-----\n".to_owned();
        let lower = header.to_lowercase();
        let long = format!("{header}{}\n", "[x] ".repeat(700));
        let key = format!("{header}INFO [m] c.a.X: {LINE}\n");
        for unit in [header, lower, long, key] {
            let cost = |len: usize| {
                let raw = unit.repeat(len / unit.len());
                work::take();
                redact(&[raw.as_bytes()]);
                work::take() as f64 / raw.len() as f64
            };
            let (short, long) = (cost(1 << 15), cost(1 << 18));
            assert!(long < 1.5 * short + 1.0 && long < 60.0, "{unit}: {short} {long}");
        }
    }
}
