//! Where a value was written: the file and the environment laid end to end, so that one byte
//! range names a place in either.

use super::problem::Place;
use std::ops::Range;

/// A place that is neither in the file nor in a variable.
pub(super) const NOWHERE: Range<usize> = usize::MAX..usize::MAX;

/// Longest part of a line that a snippet shows, in characters.
const SNIPPET_CHARS_MAX: usize = 120;

/// Parts of a key's name that tell that its value is nobody's business.
const SECRET_NAMES: [&str; 6] = ["password", "passwd", "secret", "token", "credential", "header"];

/// The file's text at `0..len`, then one range per environment variable.
#[derive(Debug)]
pub(super) struct Sources<'a> {
    text: &'a str,
    variables: Vec<(Range<usize>, &'a str)>,
    end: usize,
}

impl<'a> Sources<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, variables: Vec::new(), end: text.len() + 1 }
    }

    /// Gives a variable its range; no two variables share a byte, even when both are empty.
    pub(super) fn add_variable(&mut self, name: &'a str, value_bytes: usize) -> Range<usize> {
        let span = self.end..self.end + value_bytes.max(1);
        self.end = span.end + 1;
        self.variables.push((span.clone(), name));
        span
    }

    /// Name of the variable that `span` lies in; `None` for the file.
    pub(super) fn variable(&self, span: &Range<usize>) -> Option<&'a str> {
        let covers = |range: &Range<usize>| range.start <= span.start && span.start < range.end;
        self.variables.iter().find(|(range, _)| covers(range)).map(|(_, name)| *name)
    }

    /// Line of the file, counted from 1; `None` for a place that is not in the file.
    pub(super) fn line(&self, span: &Range<usize>) -> Option<usize> {
        let before = self.text.get(..span.start)?;
        Some(1 + before.bytes().filter(|byte| *byte == b'\n').count())
    }

    /// Text of the line that holds the start of `span`.
    pub(super) fn line_text(&self, span: &Range<usize>) -> &'a str {
        let before = self.text.get(..span.start).unwrap_or("");
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        self.text[start..].lines().next().unwrap_or("")
    }

    /// Makes a place that a person can find. `is_secret` keeps the value out of the snippet.
    pub(super) fn place(&self, span: &Range<usize>, is_secret: bool) -> Place {
        if let Some(name) = self.variable(span) {
            return Place::Variable(name.to_owned());
        }
        let Some(line) = self.line(span) else { return Place::WholeFile };
        let raw = self.line_text(span);
        let line_start = span.start - column_bytes(self.text, span.start);
        let column = self.text[line_start..span.start].chars().count();
        let end = span.end.min(line_start + raw.len()).max(span.start);
        let width = self.text.get(span.start..end).map_or(1, |marked| marked.chars().count());
        let shown = self.without_secrets(raw, line_start, is_secret);
        let skipped = column.saturating_sub(SNIPPET_CHARS_MAX / 2);
        let snippet: String = shown.chars().skip(skipped).take(SNIPPET_CHARS_MAX).collect();
        // A caret must not point behind what is left of the line.
        let caret = (column - skipped).min(snippet.chars().count());
        let width = width.clamp(1, (snippet.chars().count() - caret).max(1));
        Place::Text { line, column: column + 1, snippet: printable(&snippet), caret, width }
    }

    fn without_secrets(&self, line: &str, line_start: usize, is_secret: bool) -> String {
        let in_long_string = ["\"\"\"", "'''"]
            .iter()
            .any(|quote| self.text[..line_start].matches(quote).count() % 2 == 1);
        let names: Vec<&str> = line.split('=').collect();
        let has_secret_name = names[..names.len() - 1].iter().any(|name| looks_secret(name));
        match line.split_once('=') {
            _ if in_long_string => "(hidden)".to_owned(),
            Some((key, _)) if is_secret || has_secret_name => format!("{key}= (hidden)"),
            None if is_secret => "(hidden)".to_owned(),
            _ => without_userinfo(line),
        }
    }
}

fn column_bytes(text: &str, at: usize) -> usize {
    at - text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// Stars in place of `user:password` of a URL; every character keeps its column.
pub(super) fn without_userinfo(line: &str) -> String {
    let Some((before, rest)) = line.split_once("://") else { return line.to_owned() };
    let authority = rest.find(['/', '"', '\'', ' ']).unwrap_or(rest.len());
    let userinfo = rest[..authority].rfind('@').unwrap_or(0);
    let stars = "*".repeat(rest[..userinfo].chars().count());
    format!("{before}://{stars}{}", without_userinfo(&rest[userinfo..]))
}

/// True when a key's name, or any part of its path, says that the value is a secret.
pub(super) fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_key = name.split(['_', '-', '.', ' ']).any(|word| word == "key" || word == "apikey");
    is_key || SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// The same number of characters, none of which can steer a terminal.
pub(super) fn printable(text: &str) -> String {
    let plain = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::{Sources, looks_secret};
    use crate::config::problem::Place;

    #[track_caller]
    fn snippet(text: &str, marked: &str, is_secret: bool) -> (usize, usize, String) {
        let start = text.find(marked).unwrap();
        match Sources::new(text).place(&(start..start + marked.len()), is_secret) {
            Place::Text { line, column, snippet, .. } => (line, column, snippet),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn columns_count_characters_and_lines_start_at_one() {
        let text = "a = 1\nbé = \"ü\" # x\n";
        assert_eq!(snippet(text, "\"ü\"", false), (2, 6, "bé = \"ü\" # x".to_owned()));
        assert_eq!(snippet("a = 1", "a", false), (1, 1, "a = 1".to_owned()));
    }

    #[test]
    fn secrets_and_url_users_never_stand_in_a_snippet() {
        assert_eq!(snippet("api_key = 12", "12", false).2, "api_key = (hidden)");
        assert_eq!(snippet("x = { token = 1, b = 2 }", "b", false).2, "x = (hidden)");
        assert_eq!(snippet("x = '''\nhunter2", "hunter2", false).2, "(hidden)");
        assert_eq!(
            snippet("u = [\"http://me:pw@h:1\", \"http://h:2\"]", "u", false).2,
            "u = [\"http://*****@h:1\", \"http://h:2\"]"
        );
        assert!(looks_secret("exporters.s3.secret_access_key"));
        assert!(!looks_secret("tail.include"));
    }

    #[test]
    fn a_place_in_a_variable_names_it_and_one_behind_everything_is_the_file() {
        let mut sources = Sources::new("a = 1");
        let empty = sources.add_variable("SIDELIGHT_A", 0);
        let full = sources.add_variable("SIDELIGHT_B", 3);
        assert_eq!(sources.place(&empty, false), Place::Variable("SIDELIGHT_A".to_owned()));
        assert_eq!(sources.place(&full, false), Place::Variable("SIDELIGHT_B".to_owned()));
        assert_eq!(sources.place(&(99..99), false), Place::WholeFile);
    }

    #[test]
    fn a_long_line_is_cut_around_the_mark() {
        let text = format!("{} here {}", "x".repeat(500), "y".repeat(500));
        let (_, column, shown) = snippet(&text, "here", false);
        assert_eq!(column, 502);
        assert!(shown.contains("here") && shown.chars().count() <= 120);
    }
}
