//! AUTH_HEADER: credentials of HTTP, `Authorization: ...`, `Bearer ...`, `Basic ...`, and those that
//! a command line of `curl` makes such a header from.

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::assignment::{bare_end, key_start, opening_quote, quoted, value_start};
use crate::command_line::{Glue, values};
use crate::haystack::Haystack;
use crate::lexis::{backward, forward, has_at, is_line_end, skip_blanks, word_before};
use crate::spans::Found;

/// Schemes with one token after them (IANA registry of HTTP authentication schemes, and common
/// private ones).
const TOKEN_SCHEMES: &[&[u8]] = &[
    b"bearer",
    b"basic",
    b"negotiate",
    b"ntlm",
    b"token",
    b"apikey",
    b"dpop",
    b"sharedkey",
    b"ssws",
    b"flyv1",
    b"api-token",
    b"geniekey",
    b"splunk",
    b"key",
];
/// Schemes with a list of parameters after them.
const LIST_SCHEMES: &[&[u8]] = &[b"digest", b"aws4-hmac-sha256", b"hawk", b"oauth", b"snowflake"];
/// Fewest bytes of a token behind `Bearer` or `Basic` that stand in a sentence.
const TOKEN_BYTES_MIN: usize = 8;

/// Options of curl with `user:password` behind them.
const CURL_OPTIONS: &[(&str, Glue)] =
    &[("-u", Glue::Any), ("--user", Glue::Blank), ("--proxy-user", Glue::Blank)];

/// Finds HTTP credentials.
#[derive(Debug)]
pub(crate) struct AuthHeader;

impl Detector for AuthHeader {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "AUTH_HEADER",
            family: Family::Secret,
            confidence: Confidence::Likely,
            validator: "header name or scheme",
            literals: &["authorization"],
            prefixes: &["bearer", "basic", "curl "],
            is_token: false,
            positive: &[
                "DEBUG HttpClient: >> Authorization: «Basic plgag2NlNqQQNI4B4RyS7hscAdZ5xmX==»",
                r#"{"headers":{"Authorization":"«Digest username=\"u\", response=\"6629\"»"},"n":1}"#,
                r#"{"msg":"{\"authorization\":\"«ApiKey abc»\"}\nProxy-Authorization: «Bearer abc»\nHost: x"}"#,
                r#"{"headers":{"authorization":["«Bearer abcd1234efgh»"],"x":[ "«Basic Ym9iOmI=»" ]}}"#,
                "headers {Authorization=[«Bearer tok»], x=[y]}",
                "headers {Accept=*/*, Authorization=«Negotiate YIIJvwYGKw==», Host=x}",
                "curl -H 'authorization: «Bearer abc.def»' https://example.com",
                "retry with «Bearer q0Zx8L2m-1k» and «basic dXNlcjpwYXNzd29yZA==».",
                "Authorization: «0123456789abcdef» Host: x",
                "Authorization: «SSWS 00kQ2mX7» {Authorization=[«GenieKey a-b»]} Authorization: «Api-Token dt0c01.A.B»",
                "Authorization: «Snowflake Token=\"abc\"»",
                "sh -c curl -s -u «elastic:P@ss$1» https://es:9200?a=1&b -U x",
                r#"{"cmd":"curl --user \"«api:d2L'k!»\" https://h","x":"curl -u «a:b»\n"}"#,
                "curl -X POST --proxy-user='«u:p w»' http://h; curl -u \"«:d2LkV78»\" https://h",
                "curl --user \"«{acd3}\":\"{ZqL5}»\" --header x",
            ],
            negative: &[
                "Bearer token required, basic authentication failed, Basic SparkContext started",
                r#"{"authorization":[],"x":1} {"authorization":{},"x":1} authorization=[[1]]"#,
                "Authorization: disabled; authorization=false; Authorization: [AUTH_HEADER]",
                "authorization failed for user x, basic: 12345678 BasicAuthenticator12",
                "curl --user-agent x:y -u $USER:$PASS https://h; curl --upload-file a:b -u name",
                "docker run --user 1000:1000 flink; libcurl -u is for users: none; curl -u u:[PASSWORD] x",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        if has_at(raw, anchor.start, b"curl ") {
            if !word_before(raw, anchor.start) {
                found.extend(curl_user(raw, anchor.end - 1));
            }
        } else if has_at(raw, anchor.start, b"authorization") {
            let start = key_start(raw, anchor.start);
            if let Some((at, _)) = value_start(raw, start, anchor.end) {
                found.extend(header_value(raw, at));
            }
        } else if !word_before(raw, anchor.start) {
            let start = skip_blanks(raw, anchor.end);
            let end = forward(raw, start, raw.len(), is_token68);
            // A full stop after the token ends the sentence.
            let end = backward(raw, end, start, |b| b == b'.');
            if start > anchor.end && looks_random(&raw[start..end]) {
                found.push(anchor.start..end);
            }
        }
    }
}

/// RFC 9110 section 11.2: the alphabet of tokens.
fn is_token68(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

/// True for what is no word: long enough, with digits among the letters or padding.
fn looks_random(token: &[u8]) -> bool {
    let has = |is: fn(&u8) -> bool| token.iter().any(is);
    let n_upper = token.iter().filter(|b| b.is_ascii_uppercase()).count();
    let is_mixed = has(u8::is_ascii_lowercase) && n_upper * 4 >= token.len();
    token.len() >= TOKEN_BYTES_MIN
        && has(u8::is_ascii_alphabetic)
        && (has(u8::is_ascii_digit) || token.ends_with(b"=") || is_mixed)
}

/// The credentials in a header's value that begins at `at`.
fn header_value(raw: &Haystack<'_>, at: usize) -> Option<Range<usize>> {
    // Header maps have lists of values, of one value nearly always.
    let at = match raw.get(at) {
        Some(b'[') if raw.placeholder_end(at).is_none() => skip_blanks(raw, at + 1),
        _ => at,
    };
    if matches!(raw.get(at), Some(b'{' | b'}' | b']' | b'[')) {
        return None;
    }
    if opening_quote(raw, at).is_some() {
        let range = quoted(raw, at)?;
        return is_credential(raw, &range).then_some(range);
    }
    let scheme_end = forward(raw, at, at + 32, |b| b.is_ascii_alphanumeric() || b == b'-');
    let is_scheme = |word: &&[u8]| raw[at..scheme_end].eq_ignore_ascii_case(word);
    let token = skip_blanks(raw, scheme_end);
    let end = if token > scheme_end && LIST_SCHEMES.iter().any(is_scheme) {
        // The parameters go on to the end of the line, or of the string the header is in.
        let is_list = |b: u8| !matches!(b, b'\r' | b'\n' | b'}' | b']' | b'\\' | b'\'');
        forward(raw, token, raw.len(), is_list)
    } else if token > scheme_end && TOKEN_SCHEMES.iter().any(is_scheme) {
        bare_end(raw, token)
    } else {
        bare_end(raw, at)
    };
    is_credential(raw, &(at..end)).then_some(at..end)
}

/// `user:password` behind an option of the curl whose arguments begin at `at`.
fn curl_user(raw: &Haystack<'_>, at: usize) -> Option<Range<usize>> {
    values(raw, at, CURL_OPTIONS).find_map(|value| {
        let mut range = match quoted(raw, value) {
            Some(first) => first,
            None => value..bare_end(raw, value),
        };
        // The shell joins `"user":"password"`.
        let closed = raw.get(range.end..range.end + 2) == Some(b"\":");
        if let Some(second) = quoted(raw, range.end + 2).filter(|_| closed) {
            range.end = second.end;
        }
        let text = &raw[range.clone()];
        let colon = memchr::memchr(b':', text)?;
        let is_hidden = matches!(text.get(colon + 1), Some(b'[' | b'<' | b'*'));
        let is_variable = text.starts_with(b"$") || text.starts_with(b"{{") || is_hidden;
        (colon + 1 < text.len() && !is_variable && is_credential(raw, &range)).then_some(range)
    })
}

/// False for what was redacted before, and for a word such as `disabled`.
fn is_credential(raw: &Haystack<'_>, range: &Range<usize>) -> bool {
    let value = &raw[range.clone()];
    let is_word = !is_line_end(value, 0) && value.iter().all(u8::is_ascii_alphabetic);
    let is_mask = value.iter().all(|b| *b == b'*');
    !value.is_empty() && !is_word && !is_mask && raw.placeholder_end(range.start) != Some(range.end)
}
