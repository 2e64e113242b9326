//! Makes fit to be told what a receiver or a connection says: one line of bounded length, redacted, and
//! without the values of the headers that are sent. A receiver that does not like a token quotes it.

use super::route::Route;
use redaction::{Redactor, Value};
use std::sync::Arc;

/// Longest text that is kept, in characters.
const TEXT_CHARS_MAX: usize = 512;
/// A shorter value is hidden only where it is a word: it may be a tenant `1`.
const ANYWHERE_CHARS_MIN: usize = 4;
/// Stands in place of a value.
const HIDDEN: &str = "[HEADER]";

/// See the head of the file.
#[derive(Clone)]
pub(super) struct Cleaner {
    redactor: Arc<Redactor>,
    /// The longest first.
    secrets: Vec<String>,
}

impl std::fmt::Debug for Cleaner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cleaner")
    }
}

impl Cleaner {
    /// That of what goes along `route`.
    pub(super) fn new(route: &Route, redactor: Arc<Redactor>) -> Self {
        let values = route.headers.iter().filter_map(|(_, value)| value.to_str().ok());
        Self { redactor, secrets: secrets(values) }
    }

    pub(super) fn text(&self, raw: &str) -> Value {
        let mut hidden = raw.to_owned();
        for secret in &self.secrets {
            hidden = hide(&hidden, secret);
        }
        let line = hidden.split_whitespace().collect::<Vec<_>>().join(" ");
        // Cut before, a half of a secret would not be known as one.
        let redacted = self.redactor.value(&line);
        if redacted.chars().count() <= TEXT_CHARS_MAX {
            return redacted;
        }
        let cut: String = redacted.chars().take(TEXT_CHARS_MAX).collect();
        self.redactor.value(&cut)
    }
}

/// Header values as a receiver may quote them: whole, behind their scheme, and in JSON.
fn secrets<'v>(values: impl Iterator<Item = &'v str>) -> Vec<String> {
    let mut all = Vec::new();
    for value in values.map(str::trim) {
        let token = value.split_once(' ').map(|(_, token)| token.trim());
        for secret in std::iter::once(value).chain(token).filter(|secret| !secret.is_empty()) {
            let escaped = serde_json::Value::from(secret).to_string();
            all.push(escaped.trim_matches('"').to_owned());
            all.push(secret.to_owned());
        }
    }
    all.sort_unstable_by(|one, other| other.len().cmp(&one.len()).then(one.cmp(other)));
    all.dedup();
    all
}

fn hide(text: &str, secret: &str) -> String {
    if secret.chars().count() >= ANYWHERE_CHARS_MIN {
        return text.replace(secret, HIDDEN);
    }
    let is_part = |it: Option<char>| it.is_some_and(char::is_alphanumeric);
    let (mut out, mut end) = (String::new(), 0);
    for (at, found) in text.match_indices(secret) {
        let (before, after) = (&text[..at], &text[at + found.len()..]);
        if !is_part(before.chars().next_back()) && !is_part(after.chars().next()) {
            out.push_str(&text[end..at]);
            out.push_str(HIDDEN);
            end = at + found.len();
        }
    }
    out.push_str(&text[end..]);
    out
}

#[cfg(test)]
impl Cleaner {
    /// One for requests with these header values.
    pub(super) fn of(values: &[&str]) -> Self {
        Self { redactor: Arc::new(Redactor::new()), secrets: secrets(values.iter().copied()) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cleaner, TEXT_CHARS_MAX};

    #[test]
    fn a_header_that_a_receiver_quotes_is_not_told() {
        let cleaner = Cleaner::of(&["Bearer plain-horse battery", "1", "qu\"ote"]);
        for (said, told) in [
            ("nobody knows Bearer plain-horse battery", "nobody knows [HEADER]"),
            ("it is plain-horse battery, and wrong", "it is [HEADER], and wrong"),
            ("xplain-horse batteryx", "x[HEADER]x"),
            ("{\"got\":\"qu\\\"ote\"} or qu\"ote", "{\"got\":\"[HEADER]\"} or [HEADER]"),
            ("HTTP 401: tenant 1 has 11", "HTTP 401: tenant [HEADER] has 11"),
        ] {
            assert_eq!(&*cleaner.text(said), told);
        }
    }

    #[test]
    fn what_a_receiver_says_is_one_short_line_without_secrets() {
        let cleaner = Cleaner::of(&[]);
        let told = cleaner.text(&format!("of\n jane.doe@example.com {}", "x".repeat(10_000)));
        assert!(told.starts_with("of [EMAIL] xxx"), "{told}");
        assert!(told.chars().count() <= TEXT_CHARS_MAX);
        // Wherever it stands, and however little the rest becomes.
        let long = "someone.with.a.long.name@example.com ";
        for n in 0..long.len() {
            let told = cleaner.text(&format!("{}{}", " ".repeat(n), long.repeat(200)));
            assert!(!told.contains("some") && !told.contains("long"), "{told}");
        }
    }
}
