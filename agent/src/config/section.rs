//! One section of the config on its way to a typed struct, with every problem in it reported.

use super::environment::Environment;
use super::report::Report;
use super::source::{looks_secret, without_userinfo};
use super::tree::{self, join};
use serde::Serialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// One section. A component gets it to make its config from it.
#[derive(Debug)]
pub struct Section<'a> {
    /// `tail`, `exporters.file`; empty for the top of the file.
    pub(super) path: String,
    /// Where the section starts.
    pub(super) span: Range<usize>,
    pub(super) table: DeTable<'a>,
    /// Starts of values that came from the environment.
    pub(super) from_environment: &'a BTreeSet<usize>,
    pub(super) environment: &'a Environment,
    pub(super) report: &'a mut Report,
}

impl Section<'_> {
    /// Makes the config. Each bad entry is reported, and stands at its default in the result.
    pub fn parse<T: DeserializeOwned + Serialize + Default>(&mut self) -> T {
        let path = self.path.clone();
        self.report.add_known(field_names::<T>().iter().map(|name| join(&path, name)));
        self.note_places();
        let config: T = self.deserialize();
        if let Ok(settings) = toml::Table::try_from(&config) {
            let mut at = &mut self.report.settings;
            for name in path.split('.').filter(|name| !name.is_empty()) {
                let entry = at.entry(name).or_insert_with(|| toml::Table::new().into());
                let Some(table) = entry.as_table_mut() else { return config };
                at = table;
            }
            at.extend(settings);
        }
        config
    }

    /// Reports `law` at `key` of this section unless it holds.
    pub fn require(&mut self, key: &str, holds: bool, law: &str) {
        self.report.require(&[&join(&self.path, key)], holds, || law.to_owned());
    }

    /// Reports each value of the list at `key` that `wrong` says something about, at its own place.
    pub fn require_each(
        &mut self,
        key: &str,
        values: &[String],
        wrong: impl Fn(&str) -> Option<String>,
    ) {
        let list = self.table.get(key).and_then(|list| list.get_ref().as_array());
        // What was parsed is what is left in the table, element by element.
        let spans: Vec<_> = list.into_iter().flatten().map(Spanned::span).collect();
        let path = join(&self.path, key);
        for (value, span) in values.iter().zip(spans) {
            let Some(wrong) = wrong(value) else { continue };
            let is_hidden = self.from_environment.contains(&span.start);
            let shown =
                if is_hidden { "the value".to_owned() } else { shown_unless_secret(&path, value) };
            self.report.add(span, &path, format!("{shown} {wrong}"));
        }
    }

    /// The value of `key` in quotes, or `the value` when it must not be shown.
    #[must_use]
    pub fn show(&self, key: &str, value: &str) -> String {
        self.report.show(&join(&self.path, key), value)
    }

    /// A variable of the environment, for keys that name one.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.environment.get(name).map(OsString::as_os_str)
    }

    /// Takes the section `name` below this one out, to be parsed on its own.
    pub fn take_below(&mut self, name: &str) -> Section<'_> {
        let path = join(&self.path, name);
        let (mut span, mut table) = (self.span.clone(), DeTable::new());
        if let Some(entry) = self.table.remove(name) {
            span = entry.span();
            match entry.into_inner() {
                DeValue::Table(below) => table = below,
                other => {
                    let found = other.type_str();
                    let what = format!("expected a section [{path}], found {found}");
                    self.report.add(span.clone(), &path, what);
                }
            }
        }
        let (from_environment, environment) = (self.from_environment, self.environment);
        Section { path, span, table, from_environment, environment, report: self.report }
    }

    /// Takes `key` out before anything is parsed, and reports it if it was there.
    pub fn refuse(&mut self, key: &str, what: &str) {
        let found = self.table.iter().find(|(known, _)| known.get_ref() == key);
        if let Some(span) = found.map(|(known, _)| known.span()) {
            self.table.remove(key);
            self.report.add(span, &join(&self.path, key), what.to_owned());
        }
    }

    /// Reports `what` about the value at `path` below this section, in which numbers count in lists.
    /// When it is not there, the place is that of what would hold it.
    pub fn report_at(&mut self, path: &[&str], what: String) {
        let span = self.spot(path).value;
        self.report.add(span, &self.key_of(path), what);
    }

    /// [`report_at`](Self::report_at), but about the key and not about its value.
    pub fn report_at_key(&mut self, path: &[&str], what: String) {
        let span = self.spot(path).key;
        self.report.add(span, &self.key_of(path), what);
    }

    /// [`report_at`](Self::report_at) about the bytes `part` of a text: at their column where the
    /// text is written as it is, else with the part in quotes.
    pub fn report_part(&mut self, path: &[&str], text: &str, part: &Range<usize>, what: &str) {
        let Spot { value, is_hidden, .. } = self.spot(path);
        let key = self.key_of(path);
        if is_hidden {
            return self.report.add(value, &key, "the value is not accepted".to_owned());
        }
        // Escapes and longer quotes would make it longer still.
        if value.len() == text.len() + 2 {
            let start = value.start + 1;
            return self.report.add(start + part.start..start + part.end, &key, what.to_owned());
        }
        let shown = format!("`{}`", text.get(part.clone()).unwrap_or(""));
        let is_named = what.contains(&shown);
        let what = if is_named { what.to_owned() } else { format!("at {shown}: {what}") };
        self.report.add(value, &key, what);
    }

    /// True when an entry of element `index` of the list at `key` was bad and is left out: what is
    /// missing in the element may be just that.
    #[must_use]
    pub fn is_incomplete(&self, key: &str, index: usize) -> bool {
        let start = |index: usize| self.spot(&[key, &index.to_string()]).value.start;
        let list = self.table.get(key).and_then(|list| list.get_ref().as_array());
        let is_last = list.is_none_or(|list| index + 1 >= list.len());
        let end = if is_last { usize::MAX } else { start(index + 1) };
        self.report.has_below(&join(&self.path, key), &(start(index)..end))
    }

    /// [`show`](Self::show) for the value at `path`.
    #[must_use]
    pub fn show_at(&self, path: &[&str], value: &str) -> String {
        if self.is_hidden_at(path) {
            return "the value".to_owned();
        }
        shown_unless_secret(&self.key_of(path), value)
    }

    /// True when the value at `path`, or a part of it, came from the environment.
    #[must_use]
    pub fn is_hidden_at(&self, path: &[&str]) -> bool {
        self.spot(path).is_hidden
    }

    fn spot(&self, path: &[&str]) -> Spot {
        let (mut key, mut value) = (self.span.clone(), self.span.clone());
        let mut at: Option<&Spanned<DeValue<'_>>> = None;
        for (depth, name) in path.iter().enumerate() {
            let inner = match at.map(Spanned::get_ref) {
                None if depth == 0 => entry(&self.table, name),
                Some(DeValue::Table(table)) => entry(table, name),
                Some(DeValue::Array(list)) => {
                    let element = name.parse::<usize>().ok().and_then(|index| list.get(index));
                    element.map(|element| (element.span(), element))
                }
                _ => None,
            };
            let Some((key_span, inner)) = inner else { break };
            (key, value) = (key_span, inner.span());
            at = Some(inner);
        }
        let is_hidden = at.is_some_and(|at| self.is_from_environment(at));
        Spot { key, value, is_hidden }
    }

    fn is_from_environment(&self, value: &Spanned<DeValue<'_>>) -> bool {
        let mut is_from = self.from_environment.contains(&value.span().start);
        let mut alone = DeTable::new();
        alone.insert(Spanned::new(0..0, Cow::Borrowed("")), value.clone());
        tree::for_each_string(&alone, &mut |_, _, span| {
            is_from |= self.from_environment.contains(&span.start);
        });
        is_from
    }

    /// The path of a key: `rules[2].name`. One table that is alone in its list has no number, nor
    /// have texts.
    fn key_of(&self, path: &[&str]) -> String {
        let mut key = self.path.clone();
        let mut at: Option<&DeValue<'_>> = None;
        for (depth, name) in path.iter().enumerate() {
            let number = name.parse::<usize>().ok();
            let inner = match (at, number) {
                (None, _) if depth == 0 => entry(&self.table, name).map(|(_, value)| value),
                (Some(DeValue::Table(table)), _) => entry(table, name).map(|(_, value)| value),
                (Some(DeValue::Array(list)), Some(number)) => list.get(number),
                _ => None,
            };
            let inner = inner.map(Spanned::get_ref);
            match (number, at, inner) {
                (Some(number), Some(DeValue::Array(list)), Some(DeValue::Table(_))) => {
                    key += &tree::number_of(number, list.len());
                }
                (Some(_), _, _) => {}
                (None, _, _) => key = join(&key, name),
            }
            at = inner;
        }
        key
    }

    fn note_places(&mut self) {
        for (key, value) in &self.table {
            let key = join(&self.path, key.get_ref());
            let is_hidden = looks_secret(&key) || self.is_from_environment(value);
            self.report.add_place(key, value.span(), is_hidden);
        }
    }

    fn deserialize<T: DeserializeOwned + Default>(&mut self) -> T {
        let mut coerced = BTreeSet::new();
        while !self.report.is_full() {
            let table = DeValue::Table(self.table.clone());
            let whole = ValueDeserializer::from(Spanned::new(self.span.clone(), table));
            let error = match T::deserialize(whole) {
                Ok(config) => return config,
                Err(error) => error,
            };
            let at = error.span().unwrap_or(self.span.clone());
            if self.coerce(&at, error.message(), &mut coerced) {
                continue;
            }
            let Some(taken) = tree::take(&mut self.table, &at) else {
                self.report.add(at, &self.path, reword(error.message(), None));
                break;
            };
            let path = join(&self.path, &taken.path.join("."));
            if let Some(siblings) = unknown_field(error.message()) {
                let is_top = self.path.is_empty();
                let is_section = is_top && matches!(taken.value.get_ref(), DeValue::Table(_));
                let what = if is_section { "unknown section" } else { "unknown key" };
                self.report.add_unknown(at, &path, what, siblings);
            } else {
                let is_hidden = looks_secret(&path)
                    || self.from_environment.contains(&taken.value.span().start);
                let hidden = is_hidden.then(|| taken.value.get_ref().as_str().unwrap_or(""));
                self.report.add(at, &path, reword(error.message(), hidden));
            }
        }
        T::default()
    }

    /// A text of the environment where something else is wanted: reads it as that, once.
    fn coerce(&mut self, at: &Range<usize>, message: &str, coerced: &mut BTreeSet<usize>) -> bool {
        if !self.from_environment.contains(&at.start) || !coerced.insert(at.start) {
            return false;
        }
        let wants_list = message.ends_with("expected a sequence");
        tree::change_strings(&mut self.table, &mut |value| {
            let span = value.span();
            let DeValue::String(Cow::Borrowed(text)) = value.get_ref() else { return false };
            let typed = if span == *at { tree::coerce(text, wants_list, &span) } else { None };
            match typed {
                Some(typed) => {
                    *value.get_mut() = typed;
                    true
                }
                None => false,
            }
        })
    }
}

/// Where something was written.
struct Spot {
    key: Range<usize>,
    value: Range<usize>,
    is_hidden: bool,
}

/// Place of the key, and the value, of an entry.
fn entry<'t, 'a>(
    table: &'t DeTable<'a>,
    name: &str,
) -> Option<(Range<usize>, &'t Spanned<DeValue<'a>>)> {
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
    Some((key.span(), value))
}

/// The value in quotes without the user of a URL, or only that there is one.
pub(super) fn shown_unless_secret(key: &str, value: &str) -> String {
    if looks_secret(key) {
        return "the value".to_owned();
    }
    without_userinfo(&format!("{value:?}"))
}

/// Names in serde's `unknown field` message after `expected`; `None` for any other message.
fn unknown_field(message: &str) -> Option<Vec<String>> {
    message.strip_prefix("unknown field `").map(expected_names)
}

fn expected_names(message: &str) -> Vec<String> {
    let (_, names) = message.rsplit_once("expected").unwrap_or(("", ""));
    names.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Serde's message in the words of someone who writes config files. `hidden` is a value that must
/// not stand in it.
fn reword(message: &str, hidden: Option<&str>) -> String {
    let wrong = ["invalid type: ", "invalid value: ", "invalid length: "];
    if let Some(rest) = wrong.iter().find_map(|start| message.strip_prefix(start)) {
        let (found, wanted) = rest.rsplit_once(", expected ").unwrap_or((rest, "something else"));
        let kind = found.split(['"', '`']).next().unwrap_or("").trim_end();
        let found = if hidden.is_some() { kind } else { found };
        return format!("expected {}, found {found}", wanted_in_words(wanted));
    }
    if message.starts_with("unknown variant `") {
        let names = expected_names(message);
        let written = message.split('`').nth(1).unwrap_or("");
        let known = names.join(", ");
        let meant = super::suggest::closest(written, names.iter().map(String::as_str));
        let meant = meant.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
        let shown = if hidden.is_some() { "the value" } else { &format!("{written:?}") };
        return format!("{shown} is not one of {known}{meant}");
    }
    if message == "invalid socket address syntax" {
        return "not an IP address with a port; write for example \"127.0.0.1:9779\"".to_owned();
    }
    let Some(hidden) = hidden.filter(|value| !value.is_empty()) else { return message.to_owned() };
    let shown = message.replace(&format!("{hidden:?}"), "the value");
    // Every message of ours quotes the value; one that does not comes from a library.
    if hidden.len() > 3 && shown.contains(hidden) { "not accepted".to_owned() } else { shown }
}

fn wanted_in_words(wanted: &str) -> &str {
    match wanted {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number, 0 or more",
        "a boolean" => "true or false",
        "a sequence" => "a list such as [\"a\", \"b\"]",
        "path string" => "a path in quotes",
        "socket address" => "an address such as \"127.0.0.1:9779\"",
        "a string" => "a text in quotes",
        wanted if wanted.starts_with("struct ") => "a section",
        wanted => wanted,
    }
}

/// Names of the fields that `T` reads.
fn field_names<T: DeserializeOwned>() -> &'static [&'static str] {
    struct Probe<'n>(&'n mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Probe<'_> {
        type Error = serde::de::value::Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
            Err(Self::Error::custom("only the names of a struct's fields are asked for"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Self::Error> {
            *self.0 = fields;
            self.deserialize_any(visitor)
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
            option unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier
            ignored_any
        }
    }

    let mut names: &'static [&'static str] = &[];
    // The probe always fails; what it saw on the way is the answer.
    let _ = T::deserialize(Probe(&mut names));
    names
}

#[cfg(test)]
mod tests {
    use super::{field_names, reword};

    #[test]
    fn fields_of_a_struct_are_known_without_a_value_of_it() {
        let names = ["urls", "event_log_dir", "interval", "linger"];
        assert_eq!(field_names::<crate::scrape::spark::Config>(), names);
        assert_eq!(field_names::<u32>(), [""; 0]);
    }

    #[test]
    fn a_hidden_value_never_stands_in_a_message() {
        let hidden = Some("hunter2");
        for message in [
            "invalid type: string \"hunter2\", expected usize",
            "unknown variant `hunter2`, expected `auto` or `end`",
            "\"hunter2\" is not a duration",
            "cannot parse hunter2",
        ] {
            let shown = reword(message, hidden);
            assert!(!shown.contains("hunter2"), "{shown}");
            assert!(reword(message, None).contains("hunter2") || message.starts_with("invalid"));
        }
    }
}
