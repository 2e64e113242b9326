//! Collects what is wrong, what keys exist and what the config came to, section by section.

use super::environment;
use super::problem::{Problem, Problems};
use super::section::shown_unless_secret;
use super::source::{NOWHERE, Sources, looks_secret};
use super::suggest;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Most problems that are listed; a person mends these first and asks again.
pub(super) const PROBLEMS_MAX: usize = 100;

/// What all sections write into.
#[derive(Debug, Default)]
pub(super) struct Report {
    found: Vec<Found>,
    /// True when problems were left out.
    is_cut: bool,
    /// Paths of all keys of all sections that were parsed.
    known: Vec<String>,
    /// Where the keys stand that were given, and whether their values may be shown.
    places: BTreeMap<String, KeyPlace>,
    /// The whole config with its defaults.
    pub(super) settings: toml::Table,
}

#[derive(Debug, Clone)]
struct KeyPlace {
    span: Range<usize>,
    is_hidden: bool,
}

#[derive(Debug)]
struct Found {
    span: Range<usize>,
    key: String,
    what: String,
    /// For an unknown key: the keys that would be right beside it.
    siblings: Option<Vec<String>>,
}

impl Report {
    /// One problem at a place. A second one about the same value is a consequence and left out.
    pub(super) fn add(&mut self, span: Range<usize>, key: &str, what: String) {
        self.push(Found { span, key: key.to_owned(), what, siblings: None });
    }

    /// An unknown key; what was meant is worked out when all keys are known.
    pub(super) fn add_unknown(
        &mut self,
        span: Range<usize>,
        key: &str,
        what: &str,
        siblings: Vec<String>,
    ) {
        let (key, what) = (key.to_owned(), what.to_owned());
        self.push(Found { span, key, what, siblings: Some(siblings) });
    }

    fn push(&mut self, found: Found) {
        let is_same = |other: &Found| {
            other.key == found.key
                && other.span.start < found.span.end.max(found.span.start + 1)
                && found.span.start < other.span.end.max(other.span.start + 1)
        };
        if self.found.iter().any(is_same) {
            return;
        }
        if self.is_full() {
            self.is_cut = true;
        } else {
            self.found.push(found);
        }
    }

    /// True when something below `key` has a problem within `range`.
    pub(super) fn has_below(&self, key: &str, range: &Range<usize>) -> bool {
        let is_rest = |it: &str| it.starts_with('.') || (it.starts_with('[') && it.contains("]."));
        let is_below = |found: &Found| found.key.strip_prefix(key).is_some_and(is_rest);
        self.found.iter().any(|found| range.contains(&found.span.start) && is_below(found))
    }

    /// True when it makes no sense to look for more.
    pub(super) fn is_full(&self) -> bool {
        self.found.len() >= PROBLEMS_MAX
    }

    pub(super) fn add_known(&mut self, keys: impl IntoIterator<Item = String>) {
        self.known.extend(keys);
    }

    pub(super) fn add_place(&mut self, key: String, span: Range<usize>, is_hidden: bool) {
        self.places.insert(key, KeyPlace { span, is_hidden });
    }

    /// Reports `what` at the first of `keys` that was given, unless the law holds or one of the
    /// keys has a problem already: then its value is only a stand-in.
    pub(super) fn require(&mut self, keys: &[&str], holds: bool, what: impl FnOnce() -> String) {
        if holds || self.found.iter().any(|found| keys.contains(&found.key.as_str())) {
            return;
        }
        let given = keys.iter().find_map(|key| Some((*key, self.places.get(*key)?.span.clone())));
        let (key, span) = given.unwrap_or((keys[0], NOWHERE));
        self.add(span, key, what());
    }

    /// The value in quotes, or only that there is one, when it came from the environment or the
    /// key looks like a secret.
    pub(super) fn show(&self, key: &str, value: &str) -> String {
        let is_hidden = self.places.get(key).is_some_and(|place| place.is_hidden);
        if is_hidden { "the value".to_owned() } else { shown_unless_secret(key, value) }
    }

    /// Puts all problems in the order of the file. Problems on a line that is not TOML, and all of
    /// the file below a broken header, are consequences and left out.
    pub(super) fn into_problems(
        mut self,
        name: &str,
        sources: &Sources<'_>,
        syntax: &[toml::de::Error],
    ) -> Option<Problems> {
        let mut bad_lines = BTreeSet::new();
        let mut has_broken_header = false;
        let mut syntax_found = Vec::new();
        for error in syntax {
            let span = error.span().unwrap_or(0..0);
            let line = sources.line(&span).unwrap_or(0);
            let is_header = sources.line_text(&span).trim_start().starts_with('[');
            has_broken_header |= is_header && error.message() != "duplicate key";
            if bad_lines.insert(line) {
                let what = error.message().replace(", expected literal string", "");
                syntax_found.push(Found { span, key: String::new(), what, siblings: None });
            }
        }
        self.found.retain(|found| match sources.line(&found.span) {
            Some(line) => !has_broken_header && !bad_lines.contains(&line),
            None => true,
        });
        self.found.extend(syntax_found);
        self.found.sort_by_key(|found| found.span.start);
        if self.found.is_empty() {
            return None;
        }
        let is_cut = self.is_cut || self.found.len() >= PROBLEMS_MAX;
        let list = self.found.iter().take(PROBLEMS_MAX);
        let list = list.map(|found| self.problem(found, sources)).collect();
        Some(Problems { file: name.to_owned(), list, is_cut })
    }

    fn problem(&self, found: &Found, sources: &Sources<'_>) -> Problem {
        let place = sources.place(&found.span, looks_secret(&found.key));
        let mut what = found.what.clone();
        if let Some(siblings) = &found.siblings {
            let mut siblings = siblings.clone();
            if !found.key.contains('.') {
                siblings.extend(self.sections());
            }
            let in_variable = sources.variable(&found.span).is_some();
            what += "; ";
            what += &match self.meant(&found.key, &siblings) {
                Some(path) if in_variable => {
                    format!("did you mean {}?", environment::variable_name(&path))
                }
                Some(path) => format!("did you mean `{path}`?"),
                None if siblings.is_empty() => "nothing can stand here".to_owned(),
                None => format!("known here: {}", siblings.join(", ")),
            };
        }
        let key = super::source::printable(&found.key);
        Problem { place, key, what: super::source::printable(&what) }
    }

    /// Names of all sections, in the order in which they were parsed.
    fn sections(&self) -> Vec<String> {
        let mut sections: Vec<String> = Vec::new();
        for path in &self.known {
            if let Some((section, _)) = path.split_once('.')
                && sections.last().is_none_or(|last| last != section)
            {
                sections.push(section.to_owned());
            }
        }
        sections
    }

    /// Path of the key that was meant: one beside it that is written nearly the same, else one with
    /// the sections run together, else one of nearly the same name in another section.
    fn meant(&self, key: &str, siblings: &[String]) -> Option<String> {
        let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
        if let Some(sibling) = suggest::closest(name, siblings.iter().map(String::as_str)) {
            return Some(super::tree::join(section, sibling));
        }
        let flat = key.replace('.', "_");
        if let Some(path) = self.known.iter().find(|path| path.replace('.', "_") == flat) {
            return Some(path.clone());
        }
        let last = |path: &str| path.rsplit('.').next().unwrap_or("").to_owned();
        let names: Vec<String> = self.known.iter().map(|path| last(path)).collect();
        let meant = suggest::closest(name, names.iter().map(String::as_str))?;
        self.known.iter().find(|path| last(path) == meant).cloned()
    }
}
