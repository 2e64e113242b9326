//! Rules that are names of keys, whose values are hidden.

use std::collections::HashSet;
use std::ops::Range;

use crate::assignment::{Joint, bare_end, key_start, quoted, value_start};
use crate::haystack::Haystack;
use crate::lexis::{forward, is_hump, skip_blanks, word_before};
use crate::literals::LITERAL_BYTES_MIN;
use crate::spans::Found;

/// Most keys of a rule: each is a literal that the engine looks for.
pub(super) const KEYS_MAX: usize = 64;
/// Longest key.
const KEY_BYTES_MAX: usize = 64;

/// Values that say nothing. `true` and `false` are bare in JSON, where a placeholder would break the
/// record.
const PLAIN_VALUES: &[&[u8]] = &[b"null", b"none", b"nil", b"undefined", b"true", b"false"];

/// What is wrong with the key, as a part of a sentence.
pub(super) fn flaw(key: &str) -> Option<String> {
    let is_key = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'$');
    if !(LITERAL_BYTES_MIN..=KEY_BYTES_MAX).contains(&key.len()) {
        Some(format!("has {} bytes: keys have {LITERAL_BYTES_MIN} to {KEY_BYTES_MAX}", key.len()))
    } else if key.starts_with(['.', '-']) || key.ends_with(['.', '-']) {
        Some("begins or ends with a divider: remove it".to_owned())
    } else if !key.bytes().all(is_key) {
        Some("holds other characters than A-Z, a-z, 0-9, `_`, `.`, `-` and `$`".to_owned())
    } else {
        None
    }
}

/// The keys, which are good ones, in each way that programs spell their words: `customer_id`,
/// `customer-id`, `customer.id` and `customerId`. Literals are found in any case.
pub(super) fn spellings(keys: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    for key in keys {
        all.push(key.clone());
        let mut words = vec![String::new()];
        let mut was_lower = false;
        for letter in key.chars() {
            let is_divider = matches!(letter, '_' | '-' | '.');
            if is_divider || was_lower && letter.is_ascii_uppercase() {
                words.push(String::new());
            }
            if let (false, Some(word)) = (is_divider, words.last_mut()) {
                word.push(letter.to_ascii_lowercase());
            }
            was_lower = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        }
        words.retain(|word| !word.is_empty());
        if words.len() > 1 {
            all.extend(["_", "-", ".", ""].map(|divider| words.join(divider)));
        }
    }
    all.retain(|key| key.len() >= LITERAL_BYTES_MIN);
    let mut known = HashSet::new();
    all.retain(|key| known.insert(key.to_ascii_lowercase()));
    all
}

/// Hides the value of the key whose name, or the last part of it, is `anchor`.
pub(super) fn find(raw: &Haystack<'_>, anchor: &Range<usize>, found: &mut Found) {
    let start = anchor.start;
    // `userCustomerId` ends with the words of a key as `user_customer_id` does.
    let is_part =
        word_before(raw, start) && raw[start - 1] != b'_' && !is_hump(raw[start - 1], raw[start]);
    // Placeholders look like `NAME:value`.
    if is_part || raw.placeholder_around(start).is_some() {
        return;
    }
    let key_start = key_start(raw, start);
    let Some((at, joint)) = value_start(raw, key_start, anchor.end) else { return };
    match joint {
        Joint::Quote => return,
        // `/run/customer_ref: no such file`: a path, not a key.
        Joint::Colon if key_start > 0 && raw[key_start - 1] == b'/' => return,
        _ => {}
    }
    // An array, but not a placeholder.
    if raw.get(at) == Some(&b'[') && raw.placeholder_end(at).is_none() {
        return find_in_array(raw, at + 1, found);
    }
    let range = quoted(raw, at).unwrap_or_else(|| at..bare_end(raw, at));
    let is_structure = range.start == at && matches!(raw.get(at), Some(b'{' | b'('));
    if !is_structure && is_value(raw, &range) {
        found.push(range);
    }
}

/// Hides every string and number of `"a",12]`.
fn find_in_array(raw: &Haystack<'_>, mut at: usize, found: &mut Found) {
    let is_bare = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+' | b'.');
    loop {
        at = skip_blanks(raw, at);
        let (range, end) = match quoted(raw, at) {
            Some(range) => {
                let end = forward(raw, range.end, range.end + 7, |b| b == b'\\') + 1;
                (range, end)
            }
            None => {
                let end = forward(raw, at, raw.len(), is_bare);
                (at..end, end)
            }
        };
        if range.is_empty() && end == at {
            break;
        }
        if is_value(raw, &range) {
            found.push(range);
        }
        at = skip_blanks(raw, end);
        if raw.get(at) != Some(&b',') {
            break;
        }
        at += 1;
    }
    found.looked_until(at);
}

fn is_value(raw: &Haystack<'_>, range: &Range<usize>) -> bool {
    let value = &raw[range.clone()];
    // What is hidden already is told by the engine.
    !value.is_empty() && !PLAIN_VALUES.iter().any(|plain| value.eq_ignore_ascii_case(plain))
}
