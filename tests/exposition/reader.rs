//! Reads text 0.0.4 and OpenMetrics 1.0, written from the specifications and not from our writer.
//!
//! It panics on whatever a strict reader would refuse, and on what Prometheus would mix up.

use std::collections::BTreeMap;

/// Name and sorted labels of a series.
pub(crate) type Key = (String, BTreeMap<String, String>);

/// What stands on a page. Values are shown as text, so that NaN equals NaN.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) types: BTreeMap<String, String>,
    pub(crate) series: BTreeMap<Key, String>,
}

/// Reads a page; `_created` is checked but not returned, so both formats give the same series.
pub(crate) fn read(page: &str, is_open_metrics: bool) -> Page {
    let mut found = Page::default();
    let mut family = String::new();
    let mut lines: Vec<&str> = page.split('\n').collect();
    assert_eq!(lines.pop(), Some(""), "the last line ends with a newline");
    if is_open_metrics {
        assert_eq!(lines.pop(), Some("# EOF"), "OpenMetrics ends with # EOF");
    }
    for line in lines {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (keyword, name) = (words.next().unwrap(), words.next().unwrap());
            let rest = words.next().expect("HELP, TYPE and UNIT have a text");
            match keyword {
                "HELP" => unescape(rest, is_open_metrics),
                "TYPE" => {
                    let before = found.types.insert(name.to_owned(), rest.to_owned());
                    assert_eq!(before, None, "{name} is one family");
                    family = name.to_owned();
                    continue;
                }
                "UNIT" => {
                    assert!(is_open_metrics && name.ends_with(&format!("_{rest}")), "{line}");
                    assert_eq!(name, family, "UNIT belongs to its family");
                    continue;
                }
                _ => panic!("{line:?} is no comment that we write"),
            };
        } else {
            let (key, value) = sample(line);
            let kind = found.types.get(&family).expect("TYPE comes before the samples");
            let suffix = key.0.strip_prefix(&family).expect("a sample stands in its family");
            assert!(suffixes(kind, is_open_metrics).contains(&suffix), "{line}: {kind} {family}");
            if is_open_metrics && suffix == "_created" {
                assert!(value > 0.0, "{line}");
                continue;
            }
            let before = found.series.insert(key, format!("{value:?}"));
            assert_eq!(before, None, "{line} stands once");
        }
    }
    found
}

fn suffixes(kind: &str, is_open_metrics: bool) -> &'static [&'static str] {
    match (kind, is_open_metrics) {
        ("histogram", false) => &["_bucket", "_sum", "_count"],
        ("histogram", true) => &["_bucket", "_sum", "_count", "_created"],
        ("counter", true) => &["_total", "_created"],
        ("info", true) => &["_info"],
        ("gauge", _) | ("counter", false) | ("unknown", true) => &[""],
        _ => panic!("{kind} is no type of this format"),
    }
}

fn sample(line: &str) -> (Key, f64) {
    let name_len = line.find(['{', ' ']).expect("a name ends with a brace or a space");
    let (name, mut rest) = line.split_at(name_len);
    assert!(is_name(name), "{name:?}");
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").expect("a label has a quoted value");
            assert!(is_name(label), "{label:?}");
            let end = closing_quote(after).expect("the value ends with a quote");
            let value = unescape(&after[..end], true);
            assert_eq!(labels.insert(label.to_owned(), value), None, "{label} stands once");
            rest = &after[end + 1..];
            match rest.split_at(1) {
                (",", more) => rest = more,
                ("}", more) => break rest = more,
                _ => panic!("{rest:?} follows a label"),
            }
        }
    }
    let value = rest.strip_prefix(' ').expect("one space stands before the value");
    assert!(!value.contains(' '), "no time stamp is written");
    ((name.to_owned(), labels), value.parse().expect("a number"))
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    })
}

fn unescape(text: &str, has_quotes_escaped: bool) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        assert!(character != '\n' && !(character == '"' && has_quotes_escaped), "{text:?}");
        out.push(match character {
            '\\' => match characters.next().expect("something follows a backslash") {
                'n' => '\n',
                '\\' => '\\',
                '"' if has_quotes_escaped => '"',
                other => panic!("\\{other} is no escape"),
            },
            plain => plain,
        });
    }
    out
}
