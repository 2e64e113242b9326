//! Secrets one level deeper than their key: `{"password":{"value":"x"}}`, `password={value=x}`, and
//! those given to a setter, `setPassword("x")`.

use std::ops::Range;

use super::is_secret;
use crate::assignment::{bare_end, opening_quote, quoted, value_start};
use crate::detectors::token::is_random;
use crate::haystack::Haystack;
use crate::lexis::{forward, has_at, skip_blanks};
use crate::spans::Found;

/// Keys of an object that stands for one value.
const VALUE_KEYS: &[&[u8]] = &[b"value", b"val", b"plaintext", b"cleartext", b"secret"];
/// The same, where the object can be nothing but a password.
const PASSWORD_KEYS: &[&[u8]] = &[
    b"plain",
    b"clear",
    b"raw",
    b"text",
    b"string",
    b"content",
    b"data",
    b"old",
    b"new",
    b"current",
    b"previous",
    b"s",
    b"hash",
    b"first",
    b"second",
    b"confirm",
];
/// Most keys of an object that are looked at, of all levels together.
const KEYS_MAX: usize = 8;
/// Longest value of another key that is skipped.
const SKIPPED_BYTES_MAX: usize = 64;
/// Fewest bytes of a secret that is no password: a parser has objects `token` too.
const SECRET_BYTES_MIN: usize = 8;

/// Hides the values in the object whose first key may begin at `at`.
pub(super) fn find_in_object(
    raw: &Haystack<'_>,
    mut at: usize,
    is_password: bool,
    found: &mut Found,
) {
    for _ in 0..KEYS_MAX {
        let is_gap = |b: u8| matches!(b, b' ' | b'\t' | b',' | b'{' | b'"' | b'\'' | b'\\' | b'$');
        let key = forward(raw, at, at + 16, is_gap);
        let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        let key_end = forward(raw, key, key + SKIPPED_BYTES_MAX, is_name);
        if key_end == key {
            return;
        }
        let Some((value, _)) = value_start(raw, key, key_end) else { return };
        let is_key = |known: &&[u8]| raw[key..key_end].eq_ignore_ascii_case(known);
        let is_value =
            VALUE_KEYS.iter().any(is_key) || is_password && PASSWORD_KEYS.iter().any(is_key);
        at = value;
        if raw.get(value) == Some(&b'{') {
            continue;
        }
        if is_value && !matches!(raw.get(value), Some(b'[' | b'(')) {
            let range = quoted(raw, value).unwrap_or_else(|| value..bare_end(raw, value));
            let is_long = range.len() >= SECRET_BYTES_MIN && is_random(&raw[range.clone()]);
            at = range.end;
            if (is_password || is_long) && is_secret(raw, &range, is_password) {
                found.push(range);
            }
        }
        let is_skipped = |b: u8| !matches!(b, b',' | b'}' | b'{' | b'\n');
        at = forward(raw, at, at + SKIPPED_BYTES_MAX, is_skipped);
        if raw.get(at) != Some(&b',') {
            return;
        }
    }
}

/// Contents of the string given to a setter: `setPassword("x")`, `.withToken('x')`, `.password("x")`.
///
/// Other functions take the name of a secret, not the secret: `getSecret("db")`.
pub(super) fn argument(
    raw: &Haystack<'_>,
    key: Range<usize>,
    word: &Range<usize>,
    is_password: bool,
) -> Option<Range<usize>> {
    let value = skip_blanks(raw, key.end + 1);
    if raw.get(key.end) != Some(&b'(') || opening_quote(raw, value).is_none() {
        return None;
    }
    let dot = raw[key.clone()].iter().rposition(|b| *b == b'.');
    let name = dot.map_or(key.start, |dot| key.start + dot + 1);
    let is_setter = has_at(raw, name, b"set") || has_at(raw, name, b"with");
    let is_builder = is_password && dot.is_some() && name == word.start;
    (is_setter || is_builder).then(|| quoted(raw, value)).flatten()
}

#[cfg(test)]
mod tests {
    use crate::lexis::work;
    use crate::{Redactor, Text};

    #[test]
    fn hostile_objects_and_calls_cost_linear_work() {
        let redactor = Redactor::new();
        for unit in [
            "password={value=",
            "{\"password\":{\"value\":\"",
            "password={a=1,",
            "password={password={",
            "password={value=***,",
            "setPassword(\"",
            "x.password('a''",
            "password='a''",
            "password=&quot;",
            "пароль=",
            "spark.secret    ",
        ] {
            let cost = |len: usize| {
                let raw = unit.repeat(len / unit.len());
                work::take();
                redactor.redact_chunk(raw.as_bytes(), &mut Text::default());
                work::take() as f64 / raw.len() as f64
            };
            let (short, long) = (cost(1 << 13), cost(1 << 16));
            assert!(long < 1.5 * short + 1.0 && long < 600.0, "{unit}: {short:.1} {long:.1}");
        }
    }
}
