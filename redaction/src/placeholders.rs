//! What stands in the text instead of a finding.

use std::ops::Range;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::detectors::Family;
use crate::engine::Engine;
use crate::haystack::{DROPPED, FAILED, PARTIAL_CHARS, PSEUDONYM_BYTES, is_payload};
use crate::policy::{PseudonymKey, Strategy};
use crate::spans::Finding;
use crate::text::Text;

/// Stands in a [`Finding`] for a detector: the line that the engine gave up on.
pub(crate) const FAILED_LINE: u8 = u8::MAX;
/// Stands in a [`Finding`] for a detector: the line that is dropped.
pub(crate) const DROPPED_LINE: u8 = u8::MAX - 1;

/// Fewest characters of a value of which a partial mask leaves some.
const PARTIAL_VALUE_CHARS_MIN: usize = 8;

/// The placeholders of all detectors.
#[derive(Debug)]
pub(crate) struct Placeholders {
    forms: Vec<Form>,
    failed: String,
    dropped: String,
    key: Option<PseudonymKey>,
}

/// How findings of one detector are written.
#[derive(Debug)]
struct Form {
    name: String,
    family: Family,
    strategy: Strategy,
    /// `[NAME]` and `"[NAME]"`.
    masks: [String; 2],
}

impl Placeholders {
    /// `strategies` has one for each detector of the engine.
    pub(crate) fn new(engine: &Engine, strategies: &[Strategy], key: Option<PseudonymKey>) -> Self {
        let forms = engine.detectors().zip(strategies).map(|(detector, strategy)| {
            let rule = detector.rule();
            Form {
                name: rule.entity.to_owned(),
                family: rule.family,
                strategy: *strategy,
                masks: [format!("[{}]", rule.entity), format!("\"[{}]\"", rule.entity)],
            }
        });
        let forms = forms.collect();
        Self { forms, failed: format!("[{FAILED}]"), dropped: format!("[{DROPPED}]"), key }
    }

    /// Appends `raw`, which is `base` bytes into the searched chunk, with `findings` replaced.
    pub(crate) fn append(&self, raw: &[u8], base: usize, findings: &[Finding], text: &mut Text) {
        text.begin();
        let (mut made, mut last) = (Vec::new(), LastNumber::default());
        let mut copied = 0;
        for finding in findings {
            let range = finding.bytes().start - base..finding.bytes().end - base;
            text.copy(&raw[copied..range.start]);
            copied = range.end;
            let instead = match finding.detector {
                FAILED_LINE => self.failed.as_bytes(),
                DROPPED_LINE => {
                    text.drop_record(&range);
                    self.dropped.as_bytes()
                }
                detector => {
                    let is_quoted = is_json_number(raw, &range, &mut last);
                    let value = &raw[range.clone()];
                    self.form((detector, finding.is_united), value, is_quoted, &mut made)
                }
            };
            text.replace(&range, instead);
        }
        text.copy(&raw[copied..]);
    }

    fn form<'a>(
        &'a self,
        (detector, is_united): (u8, bool),
        value: &[u8],
        is_quoted: bool,
        made: &'a mut Vec<u8>,
    ) -> &'a [u8] {
        let form = &self.forms[usize::from(detector)];
        if is_united {
            // The other types in it may have to be hidden altogether.
            return form.masks[usize::from(is_quoted)].as_bytes();
        }
        made.clear();
        match (form.strategy, &self.key) {
            (Strategy::Partial, _) => partial(&form.name, value, made),
            (Strategy::Pseudonym, Some(key)) => pseudonym(form, key, value, made),
            (Strategy::FormatPreserving, _) if form.family == Family::Secret => {
                // The marks of a password are a part of it.
                let hide = |byte: &u8| match masked(byte) {
                    shown @ (b'X' | b'0') => shown,
                    _ => b'x',
                };
                made.extend(value.iter().map(hide));
            }
            (Strategy::FormatPreserving, _) => masked_value(value, made),
            // A dropped record is dropped by its line; what stands here never leaves.
            _ => return form.masks[usize::from(is_quoted)].as_bytes(),
        }
        if is_quoted {
            made.insert(0, b'"');
            made.push(b'"');
        }
        made
    }
}

/// Keeps the last characters of `value`, as far as a placeholder may hold them.
fn partial(name: &str, value: &[u8], made: &mut Vec<u8>) {
    let value = String::from_utf8_lossy(value);
    let n_chars = value.chars().count();
    made.push(b'[');
    made.extend_from_slice(name.as_bytes());
    if n_chars >= PARTIAL_VALUE_CHARS_MIN {
        made.extend_from_slice(b":**");
        for character in value.chars().skip(n_chars - PARTIAL_CHARS) {
            let is_shown = |b: &u8| b.is_ascii() && is_payload(*b) && *b != b':';
            let byte = u8::try_from(character).ok().filter(is_shown);
            made.push(byte.unwrap_or(b'*'));
        }
    }
    made.push(b']');
}

/// HMAC-SHA-256 of type and value, so that equal values of two types have nothing in common.
fn pseudonym(form: &Form, key: &PseudonymKey, value: &[u8], made: &mut Vec<u8>) {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.secret()).expect("HMAC takes any key");
    mac.update(form.name.as_bytes());
    mac.update(&[0]);
    canonical(form.family, value, |byte| mac.update(&[byte]));
    let digest = mac.finalize().into_bytes();
    made.extend_from_slice(format!("[{}:{}:", form.name, key.id()).as_bytes());
    for byte in &digest[..PSEUDONYM_BYTES] {
        made.extend_from_slice(format!("{byte:02x}").as_bytes());
    }
    made.push(b']');
}

/// The bytes of a value that do not depend on how it is printed: one card has one pseudonym.
fn canonical(family: Family, value: &[u8], mut add: impl FnMut(u8)) {
    let is_number = matches!(family, Family::Card | Family::Financial | Family::Personal)
        && !value.contains(&b'@');
    for byte in value {
        match byte {
            _ if family == Family::Secret => add(*byte),
            b' ' | b'-' | b'.' | b'/' | b'(' | b')' if is_number => {}
            _ => add(byte.to_ascii_lowercase()),
        }
    }
}

/// Masks each byte. What a backslash and a letter stand for is a part of the value, and a mask in
/// place of the letter would be no escape of JSON: there both go. `\"` stays.
fn masked_value(value: &[u8], made: &mut Vec<u8>) {
    let mut at = 0;
    while at < value.len() {
        let n_slashes = value[at..].iter().take_while(|byte| **byte == b'\\').count();
        let next = at + n_slashes;
        let is_escape = value.get(next).is_some_and(u8::is_ascii_alphanumeric);
        made.extend(std::iter::repeat_n(if is_escape { b'x' } else { b'\\' }, n_slashes));
        made.extend(value.get(next).map(masked));
        at = next + 1;
    }
}

/// A byte of the same kind that tells nothing.
fn masked(byte: &u8) -> u8 {
    match byte {
        b'A'..=b'Z' => b'X',
        b'a'..=b'z' => b'x',
        b'0'..=b'9' => b'0',
        // Parts of characters: what they were cannot be kept.
        0x80.. => b'x',
        other => *other,
    }
}

/// True when `range` is a bare number after a JSON key: there only a quoted placeholder keeps the
/// record parseable.
fn is_json_number(raw: &[u8], range: &Range<usize>, last: &mut LastNumber) -> bool {
    if !raw[range.clone()].iter().all(is_number) {
        return false;
    }
    // An element of an array: what counts is what stands before that.
    let array = array_start(raw, range, last);
    *last = LastNumber { end: range.end, array };
    let mut before = raw[..array.unwrap_or(range.start)].iter().rev().skip_while(is_blank);
    before.next() == Some(&b':')
        && before.find(|b| !is_blank(b)) == Some(&b'"')
        && before.next() != Some(&b'\\')
        && match raw[range.end..].iter().find(|b| !is_blank(b)) {
            None | Some(b',' | b'}' | b'\n' | b'\r') => true,
            Some(b']') => array.is_some(),
            _ => false,
        }
}

/// The number that was hidden before, and its array.
#[derive(Default)]
struct LastNumber {
    end: usize,
    array: Option<usize>,
}

fn is_blank(byte: &&u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_number(byte: &u8) -> bool {
    byte.is_ascii_digit() || b"+-.eE".contains(byte)
}

/// Where the array of JSON begins that has the number at `range` as an element: that of the number
/// before when only numbers stand between, else if it is near.
fn array_start(raw: &[u8], range: &Range<usize>, last: &LastNumber) -> Option<usize> {
    const ARRAY_BYTES_MAX: usize = 256;
    let is_next = |b: &&u8| matches!(b, b'[' | b',');
    raw[..range.start].iter().rev().find(|b| !is_blank(b)).filter(is_next)?;
    let is_list = |b: &u8| is_number(b) || matches!(b, b',' | b' ' | b'\t');
    if last.end > 0 && raw[last.end..range.start].iter().all(is_list) {
        return last.array;
    }
    let from = range.start.saturating_sub(ARRAY_BYTES_MAX);
    let (mut is_in_string, mut start) = (false, None);
    // Backwards, a quote behind an odd number of backslashes is none.
    for at in (from..range.start).rev() {
        match raw[at] {
            b'"' if raw[from..at].iter().rev().take_while(|b| **b == b'\\').count() % 2 == 0 => {
                is_in_string = !is_in_string;
            }
            b'[' if !is_in_string => {
                start = Some(at);
                break;
            }
            b'\n' | b'{' | b'}' | b']' if !is_in_string => break,
            b'\n' => break,
            _ => {}
        }
    }
    start
}

#[cfg(test)]
mod tests {
    use super::masked_value;

    #[test]
    fn what_json_escapes_stays_json() {
        for (value, want) in [
            (r"jos\u00e9.B@example.com", r"xxxxx00x0.X@xxxxxxx.xxx"),
            (r"a\nb", "xxxx"),
            (r"a\\nb", "xxxxx"),
            (r#"a\"b\""#, r#"x\"x\""#),
            (r"a\\", r"x\\"),
            (r"a\/b", r"x\/x"),
            ("Ab-1", "Xx-0"),
        ] {
            let mut made = Vec::new();
            masked_value(value.as_bytes(), &mut made);
            let made = String::from_utf8(made).unwrap();
            assert_eq!(made, want);
            let json = serde_json::from_str::<String>(&format!("\"{made}\""));
            assert!(json.is_ok(), "{made}");
        }
    }
}
