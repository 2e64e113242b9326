//! COOKIE: values of `Cookie:` and `Set-Cookie:`, and session ids in paths.
//!
//! The whole value goes, names and attributes too: any cookie may be a session, and names and paths
//! tell which product a user was logged into. RFC 6265 gives the grammar.

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::assignment::{key_start, opening_quote, quoted, value_start};
use crate::haystack::Haystack;
use crate::lexis::{forward, has_at, has_before, skip_blanks, word_before};
use crate::spans::Found;

/// Longest name of a cookie looked at.
const NAME_BYTES_MAX: usize = 128;
/// Fewest bytes of a session id in a path.
const SESSION_BYTES_MIN: usize = 8;

/// Finds cookies.
#[derive(Debug)]
pub(crate) struct Cookie;

impl Detector for Cookie {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "COOKIE",
            family: Family::Secret,
            confidence: Confidence::High,
            validator: "header name and grammar",
            prefixes: &["cookie", "jsessionid="],
            is_token: false,
            positive: &[
                "DEBUG wire: >> \"Cookie: «SESSION=kQ2mX7; theme=dark»[\\r][\\n]\"",
                "DEBUG headers: << Set-Cookie: «AWSALB=kQ2/mX7+vB==; Path=/; HttpOnly»",
                r#"{"headers":{"cookie":"«a=b; c=d»","Set-Cookie":["«s=1; Secure»","«t=2»"]},"n":1}"#,
                r#"{"msg":"{\"Cookie\":\"«a=b; c=d»\"}","x":"Cookie: «a=b»\nHost: x"}"#,
                "headers {Accept=*/*, Cookie=«a=b; c=d», Host=x} [Cookie: «sid=1»]",
                "response {Set-Cookie=[«a=b; Path=/, c=d; Secure»], Vary=x}",
                "Cookie accepted [JSESSIONID=\"«0A1B2C3D»\", version:0, domain:x, path:/]",
                "GET /login;jsessionid=«0A1B2C3D4E5F.node1»?x=1 curl -H 'cookie: «a=b»' x",
            ],
            negative: &[
                "hive.server2.thrift.http.cookie.auth.enabled=true cookie=true cookies: 3",
                "Cookie: [COOKIE] cookie policy: strict, cookie: none, Set-Cookie header missing",
                "CookieSigner@7d3d101b magic cookie = 0x1f; cookies disabled; Cookie accepted",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        if has_at(raw, anchor.start, b"jsessionid") {
            let is_session = |b: u8| b.is_ascii_alphanumeric() || b"._-!~".contains(&b);
            let end = forward(raw, anchor.end, raw.len(), is_session);
            if end - anchor.end >= SESSION_BYTES_MIN {
                found.push(anchor.end..end);
            }
            return;
        }
        let is_set = has_before(raw, anchor.start, b"set-");
        if word_before(raw, anchor.start - if is_set { 4 } else { 0 }) {
            return;
        }
        if let Some(at) = list_of_client(raw, anchor.end) {
            return found.extend(quoted(raw, at));
        }
        let start = key_start(raw, anchor.start);
        let Some((at, _)) = value_start(raw, start, anchor.end) else { return };
        if opening_quote(raw, at).is_some() {
            found.extend(quoted_pairs(raw, at));
        } else if raw.get(at) == Some(&b'[') {
            find_in_list(raw, at + 1, found);
        } else {
            found.extend(pairs(raw, at, false));
        }
    }
}

/// Where the value begins in Apache HttpClient's `Cookie accepted [name="value", ...`.
fn list_of_client(raw: &[u8], at: usize) -> Option<usize> {
    let is_logged = has_at(raw, at, b" accepted [") || has_at(raw, at, b" rejected [");
    let name = at + b" accepted [".len();
    let end = forward(raw, name, name + NAME_BYTES_MAX, is_name);
    let is_value = is_logged && raw.get(end) == Some(&b'=');
    (is_value && opening_quote(raw, end + 1).is_some()).then_some(end + 1)
}

/// The contents of a string, if they are cookies.
fn quoted_pairs(raw: &Haystack<'_>, at: usize) -> Option<Range<usize>> {
    let range = quoted(raw, at)?;
    pairs(raw, range.start, false).is_some().then_some(range)
}

/// Hides the cookies of `a=b, c=d]` or `"a=b","c=d"]`.
fn find_in_list(raw: &Haystack<'_>, mut at: usize, found: &mut Found) {
    if opening_quote(raw, at).is_none() {
        return found.extend(pairs(raw, at, true));
    }
    while let Some(range) = quoted_pairs(raw, at) {
        let close = forward(raw, range.end, range.end + 7, |b| b == b'\\') + 1;
        found.push(range);
        found.looked_until(close);
        at = skip_blanks(raw, close);
        if raw.get(at) != Some(&b',') {
            return;
        }
        at = skip_blanks(raw, at + 1);
    }
}

/// `a=b; c=d; HttpOnly` from `start` on; in a list, cookies are divided by commas too.
fn pairs(raw: &[u8], start: usize, is_list: bool) -> Option<Range<usize>> {
    let mut at = start;
    let mut end = start;
    loop {
        let name = forward(raw, at, at + NAME_BYTES_MAX, is_name);
        let is_pair = name > at && raw.get(name) == Some(&b'=');
        // Attributes such as `HttpOnly` have no value, but no cookie begins with one.
        if name == at || !is_pair && end == start {
            break;
        }
        end = if is_pair { value_end(raw, name + 1) } else { name };
        let next = skip_blanks(raw, end + 1);
        match raw.get(end) {
            Some(b';') => at = next,
            Some(b',') if is_list => at = next,
            _ => break,
        }
    }
    (end > start).then_some(start..end)
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&*+.^_|~-".contains(&byte)
}

/// End of the cookie's value that begins at `at`.
fn value_end(raw: &[u8], at: usize) -> usize {
    let mut end = at;
    loop {
        end = forward(raw, end, raw.len(), |b| {
            b > b' ' && b != 0x7f && !b"\",;\\'[](){}".contains(&b)
        });
        let goes_on = raw.get(end + 1).is_some_and(u8::is_ascii_alphanumeric);
        match raw.get(end) {
            Some(b'\'' | b'[' | b']' | b'(' | b')' | b'{' | b'}') if goes_on => end += 1,
            _ => return end,
        }
    }
}
