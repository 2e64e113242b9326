//! Reads values of keys the way logs write them: `k=v`, `k: v`, `"k":"v"`, `\"k\":\"v\"`,
//! `{k=v, k2=v2}`, `(k,v)`, `k -> v`, `?k=v&`, `--k v`, `<k>v</k>`.
//!
//! Knows nothing of which keys are secret.

use std::ops::Range;

use crate::haystack::Haystack;
use crate::lexis::{
    backward, forward, has_at, has_before, is_line_end, line_end, skip_blanks, work,
};

/// Longest key looked at before its last word.
const KEY_BYTES_MAX: usize = 64;

/// Most blanks before an aligned value, beside those that any value may have.
const ALIGNED_BYTES_MAX: usize = 64;
/// Quotes in HTML and XML.
const ENTITIES: &[&[u8]] = &[b"&quot;", b"&apos;", b"&#34;", b"&#39;", b"&#x22;", b"&#x27;"];

/// How a key and its value are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joint {
    /// `=`, `->`, `"k":` and the like: written by a program.
    Syntax,
    /// `k: v` without quotes: may be prose.
    Colon,
    /// Nothing but a quote: `PASSWORD 'x'` of SQL.
    Quote,
}

/// Start of the key whose last word begins at `word`.
pub(crate) fn key_start(raw: &[u8], word: usize) -> usize {
    let is_key = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'$');
    backward(raw, word, word.saturating_sub(KEY_BYTES_MAX), is_key)
}

/// Where the value of the key `key_start..key_end` begins, and how it is joined.
pub(crate) fn value_start(
    raw: &Haystack<'_>,
    key_start: usize,
    key_end: usize,
) -> Option<(usize, Joint)> {
    let before = key_start.checked_sub(1).map(|i| raw[i]);
    let closed = skip_closers(raw, key_end);
    let is_quoted = closed > key_end;
    let at = skip_blanks(raw, closed);
    let (after, joint) = match (raw.get(at)?, raw.get(at + 1)) {
        (b'=', _) => (forward(raw, at, at + 3, |b| b == b'=' || b == b'>'), Joint::Syntax),
        (b':', Some(b'=')) => (at + 2, Joint::Syntax),
        (b':', Some(b':')) => return None,
        (b':', _) if has_at(raw, at + 1, b"//") || has_at(raw, at + 1, br"\/\/") => return None,
        (b':', _) if is_quoted => (at + 1, Joint::Syntax),
        (b':', _) => (at + 1, Joint::Colon),
        (b'-', Some(b'>')) => (at + 2, Joint::Syntax),
        // The full-width colon of Chinese and Japanese text.
        (0xef, _) if has_at(raw, at, "：".as_bytes()) => (at + 3, Joint::Colon),
        (b'%', _) if has_at(raw, at, b"%3d") || has_at(raw, at, b"%3a") => (at + 3, Joint::Syntax),
        (b'\\', _) if has_at(raw, at, br"\u003d") => (at + 6, Joint::Syntax),
        // What Flink logs of its config: `Loading configuration property: k, v`.
        (b',', _) if has_before(raw, key_start, b" property: ") => (at + 1, Joint::Syntax),
        // Scala's `(k,v)` and Python's `('k', 'v')`.
        (b',', _) if before == Some(b'(') && !is_quoted => (at + 1, Joint::Syntax),
        (b',', _) if is_first_of_list(raw, key_start) => {
            let value = skip_blanks(raw, at + 1);
            return opening_quote(raw, value).map(|_| (value, Joint::Syntax));
        }
        // `"name":"k","value":"v"`, `name=k, value=v` and `name="k" value="v"` of XML.
        (b',', _) => return named_value(raw, skip_blanks(raw, at + 1)),
        (b'v' | b'V', _) if is_quoted || at > closed => return named_value(raw, at),
        // YAML within a string: `name: k\n  value: v`.
        (b'\\', Some(b'n')) => return named_value(raw, skip_blanks(raw, at + 2)),
        (b'>', _) if before == Some(b'<') => (at + 1, Joint::Syntax),
        (b'<', _) if has_at(raw, at, b"</name>") => {
            let value = skip_blanks(raw, at + 7);
            return has_at(raw, value, b"<value>").then_some((value + 7, Joint::Syntax));
        }
        _ if at > closed && raw[key_start..].starts_with(b"--") && raw[at] != b'-' => {
            (at, Joint::Syntax)
        }
        _ if at > closed && opening_quote(raw, at).is_some() => {
            // `'k' 'v'` is an option of SQL, `k 'v'` may be prose.
            (at, if is_quoted { Joint::Syntax } else { Joint::Quote })
        }
        _ if at > closed => (property_value(raw, key_start, key_end, at)?, Joint::Syntax),
        _ => return None,
    };
    Some((skip_blanks(raw, after), joint))
}

/// True when the quoted key at `key_start` is the first string of a call or a list.
fn is_first_of_list(raw: &[u8], key_start: usize) -> bool {
    let begin = key_start.saturating_sub(8);
    let quote = backward(raw, key_start, begin, |b| matches!(b, b'"' | b'\'' | b'u' | b'\\'));
    quote < key_start && quote > 0 && matches!(raw[quote - 1], b'(' | b'[')
}

/// The value behind the key `value` at `at`, in quotes or not.
fn named_value(raw: &Haystack<'_>, at: usize) -> Option<(usize, Joint)> {
    let quote = opening_quote(raw, at);
    let name = quote.map_or(at, |quote| quote + 1);
    let end = name + b"value".len();
    let joint = skip_blanks(raw, skip_closers(raw, end));
    let is_value = has_at(raw, name, b"value") && matches!(raw.get(joint), Some(b':' | b'='));
    is_value.then(|| (skip_blanks(raw, joint + 1), Joint::Syntax))
}

/// The value of a line `a.b.key   value`, as `spark-defaults.conf` has it: behind a dotted key that
/// begins the line, or an aligned one that is logged, and the one word that ends the line.
fn property_value(
    raw: &Haystack<'_>,
    key_start: usize,
    key_end: usize,
    at: usize,
) -> Option<usize> {
    let key = &raw[key_start..key_end];
    let begins_line = key_start == 0 || raw[key_start - 1] == b'\n';
    let is_aligned = at > key_end + 1 || raw[key_end] == b'\t';
    if !key.contains(&b'.') || !begins_line && !is_aligned {
        return None;
    }
    let at = forward(raw, at, at + ALIGNED_BYTES_MAX, |b| matches!(b, b' ' | b'\t'));
    let end = bare_end(raw, at);
    let is_word = !begins_line && raw[at..end].iter().all(u8::is_ascii_lowercase);
    (end > at && is_line_end(raw, end) && !is_word).then_some(at)
}

/// Skips what closes a quoted or indexed key: `"`, `\"`, `\u0022`, `'`, `"]`.
fn skip_closers(raw: &[u8], key_end: usize) -> usize {
    let slashes = forward(raw, key_end, key_end + 7, |b| b == b'\\');
    match raw.get(slashes) {
        Some(b'u') if slashes > key_end && has_at(raw, slashes, b"u0022") => slashes + 5,
        Some(b'"' | b'\'' | b'`') => slashes + 1 + usize::from(raw.get(slashes + 1) == Some(&b']')),
        Some(b'&') => key_end + entity(raw, key_end).map_or(0, <[u8]>::len),
        _ => key_end,
    }
}

/// Index of the quote that opens a value at `at`, behind the backslashes that escape it.
pub(crate) fn opening_quote(raw: &[u8], at: usize) -> Option<usize> {
    let quote = forward(raw, at, at + 7, |b| b == b'\\');
    matches!(raw.get(quote), Some(b'"' | b'\'')).then_some(quote)
}

/// The quote in HTML that stands at `at`.
fn entity(raw: &[u8], at: usize) -> Option<&'static [u8]> {
    raw.get(at).filter(|b| **b == b'&')?;
    ENTITIES.iter().find(|entity| has_at(raw, at, entity)).copied()
}

/// Contents of what is quoted as in HTML: up to the same entity, or to the end of the line.
fn quoted_by_entity(raw: &[u8], at: usize) -> Option<Range<usize>> {
    let entity = entity(raw, at)?;
    let start = at + entity.len();
    let mut from = start;
    while let Some(hit) = memchr::memchr2(b'&', b'\n', &raw[from..]).map(|i| from + i) {
        work::add(hit - from + 1);
        if raw[hit] == b'\n' || has_at(raw, hit, entity) {
            return Some(start..hit);
        }
        from = hit + 1;
    }
    Some(start..line_end(raw, from))
}

/// Contents of the quoted value that begins at `at`.
///
/// A quote that is escaped deeper than the opening one belongs to the contents. Without a closing
/// quote the line was cut, and the value goes on to its end. Quotes may be written as in HTML.
pub(crate) fn quoted(raw: &[u8], at: usize) -> Option<Range<usize>> {
    let Some(quote) = opening_quote(raw, at) else { return quoted_by_entity(raw, at) };
    let depth = quote - at;
    let start = quote + 1;
    let (mut from, mut doubled) = (start, None);
    while let Some(hit) = memchr::memchr3(raw[quote], b'"', b'\n', &raw[from..]).map(|i| from + i) {
        work::add(hit - from + 1);
        let slashes = hit - backward(raw, hit, start, |b| b == b'\\');
        match raw[hit] {
            b'\n' => break,
            // The JSON string around a quoted value ends here, so the value does.
            byte if byte != raw[quote] && slashes == 0 && ends_json_string(raw, hit + 1) => {
                return Some(start..hit);
            }
            byte if byte != raw[quote] => {}
            // SQL doubles a quote that belongs to the value, if another one ends it.
            b'\''
                if depth == 0
                    && slashes == 0
                    && hit > start
                    && raw.get(hit + 1) == Some(&b'\'') =>
            {
                doubled = doubled.or(Some(hit));
                from = hit + 2;
                continue;
            }
            _ if depth == 0 && slashes % 2 == 0 => return Some(start..hit),
            _ if depth > 0 && slashes <= depth => return Some(start..hit - slashes),
            _ => {}
        }
        from = hit + 1;
    }
    if let Some(end) = doubled {
        return Some(start..end);
    }
    let end = line_end(raw, from);
    Some(start..if end > start && raw[end - 1] == b'\r' { end - 1 } else { end })
}

fn ends_json_string(raw: &[u8], at: usize) -> bool {
    let is_next = |b: &u8| b"\"{[ \t\r\n".contains(b) || b.is_ascii_digit();
    let is_closed = |b: &u8| b",}] \t\r\n".contains(b);
    match raw.get(at) {
        Some(b',') => raw.get(at + 1).is_none_or(is_next),
        Some(b'}' | b']') => raw.get(at + 1).is_none_or(is_closed),
        _ => is_line_end(raw, at),
    }
}

/// End of the unquoted value that begins at `at`.
///
/// Passwords hold commas, brackets and quotes too, so those end a value only where something
/// follows that cannot continue one. Placeholders of earlier redaction are read as one piece.
pub(crate) fn bare_end(raw: &Haystack<'_>, at: usize) -> usize {
    let mut i = at;
    while let Some(byte) = raw.get(i) {
        if let Some(end) = raw.placeholder_end(i) {
            i = end;
            continue;
        }
        match byte {
            0..=b' ' | 0x7f => break,
            b',' | b';' | b'&' if !continues_after_joint(raw, i + 1) => break,
            b')' | b']' | b'}' | b'>' | b'<' | b'"' | b'\'' | b'`' if !continues(raw, i + 1) => {
                break;
            }
            b'\\' => {
                let letter = forward(raw, i, raw.len(), |b| b == b'\\');
                match raw.get(letter) {
                    Some(b'n' | b'r' | b't') => break,
                    Some(b'"' | b'\'') if !continues(raw, letter + 1) => break,
                    Some(b'"' | b'\'') => i = letter,
                    _ => i = letter - 1,
                }
            }
            _ => {}
        }
        i += 1;
    }
    work::add(i - at);
    i
}

fn continues(raw: &[u8], at: usize) -> bool {
    raw.get(at).is_some_and(|b| b.is_ascii_alphanumeric() || *b >= 0x80)
}

/// False when a value ends at the `,`, `;` or `&` before `at`: nothing or another key follows.
fn continues_after_joint(raw: &[u8], at: usize) -> bool {
    let is_key = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let key_end = forward(raw, at, at + KEY_BYTES_MAX, is_key);
    let is_pair = key_end > at && matches!(raw.get(key_end), Some(b'=' | b':' | b'%'));
    continues(raw, at) && !is_pair
}

#[cfg(test)]
mod tests {
    use super::{Joint, bare_end, quoted, value_start};
    use crate::haystack::{Haystack, Names};

    fn haystack(raw: &str) -> Haystack<'_> {
        static NAMES: std::sync::LazyLock<Names> =
            std::sync::LazyLock::new(|| Names::new(["EMAIL"].into_iter()));
        Haystack::new(raw.as_bytes(), &NAMES)
    }

    #[track_caller]
    fn check_value(raw: &str, want: Option<(&str, Joint)>) {
        let key_start = raw.find("key").unwrap();
        let got = value_start(&haystack(raw), key_start, key_start + 3);
        assert_eq!(got.map(|(at, joint)| (&raw[at..], joint)), want, "{raw}");
    }

    #[test]
    fn values_are_found_behind_every_joint() {
        for raw in ["key=v", "key = v", "key=>v", "key == v", "key -> v", "key:=v", "key%3Dv"] {
            check_value(raw, Some(("v", Joint::Syntax)));
        }
        check_value("key: v", Some(("v", Joint::Colon)));
        check_value(r#""key" : "v""#, Some((r#""v""#, Joint::Syntax)));
        check_value(r#"\"key\":\"v\""#, Some((r#"\"v\""#, Joint::Syntax)));
        check_value("conf['key'] = 'v'", Some(("'v'", Joint::Syntax)));
        check_value("('key', 'v')", Some(("'v')", Joint::Syntax)));
        check_value("(key,v)", Some(("v)", Joint::Syntax)));
        check_value("<key>v</key>", Some(("v</key>", Joint::Syntax)));
        check_value("<name>key</name> <value>v</value>", Some(("v</value>", Joint::Syntax)));
        check_value("key 'v'", Some(("'v'", Joint::Quote)));
        for raw in [
            r#"{"name":"key","value":"v"}"#,
            r#"{\"name\":\"key\", \"value\": \"v\"}"#,
            "Entry(name=key, value=v)",
            "name: key, value: v",
            r#"<property name="key" value="v"/>"#,
        ] {
            let start = raw.find("key").unwrap();
            let got = value_start(&haystack(raw), start, start + 3);
            let value = got.map(|(at, _)| raw[at..].trim_start_matches(['"', '\\']));
            assert!(value.is_some_and(|v| v.starts_with('v') && v.len() < 7), "{raw}");
        }
    }

    #[test]
    fn a_key_without_a_joint_has_no_value() {
        for raw in ["key", "key v", "key::v", "key://v", "key, v", "key#12", "key->", "f(x, key) v"]
        {
            let found =
                value_start(&haystack(raw), raw.find("key").unwrap(), raw.find("key").unwrap() + 3);
            assert!(found.is_none_or(|(at, _)| at == raw.len()), "{raw}");
        }
    }

    #[test]
    fn quoted_values_end_at_a_quote_of_their_own_depth() {
        for (raw, want) in [
            (r#""ab"c"#, "ab"),
            (r#""a\"b"c"#, r#"a\"b"#),
            (r#""a\\"c"#, r"a\\"),
            (r#"\"ab\"c"#, "ab"),
            (r#"\"a\\\"b\"c"#, r#"a\\\"b"#),
            (r#"\"ab"}"#, "ab"),
            ("'a b'c", "a b"),
            (r#"'ab"}"#, "ab"),
            (r#"'a"b'c"#, r#"a"b"#),
            ("\"ab\r\ncd\"", "ab"),
            ("\"ab", "ab"),
            ("\"", ""),
        ] {
            let range = quoted(raw.as_bytes(), 0).unwrap();
            assert_eq!(&raw[range], want, "{raw}");
        }
        assert_eq!(quoted(b"ab", 0), None);
    }

    #[test]
    fn bare_values_end_where_nothing_can_continue_them() {
        for (raw, want) in [
            ("a b", "a"),
            ("a, b=c", "a"),
            ("a,b=c", "a"),
            ("a,b c", "a,b"),
            ("a&b=c", "a"),
            ("a)b) c", "a)b"),
            ("a}", "a"),
            (r#"a","b"#, "a"),
            (r#"a\",\"b"#, "a"),
            (r"a\nb", "a"),
            (r"a\\b c", r"a\\b"),
            ("[EMAIL]] c", "[EMAIL]"),
            ("a</value>", "a"),
            ("p@$$,w(o)rd!", "p@$$,w(o)rd!"),
        ] {
            assert_eq!(&raw[..bare_end(&haystack(raw), 0)], want, "{raw}");
        }
    }
}
