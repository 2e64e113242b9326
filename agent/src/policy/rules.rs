//! `[[redaction.rules]]`: types of the operator.

use super::names::Strategy;
use crate::config::{Section, read_named};
use redaction::{CustomRule, Matcher, Problem};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Largest dictionary.
const DICTIONARY_BYTES_MAX: u64 = 16 << 20;

/// One `[[redaction.rules]]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rule {
    /// Name of the type, which stands in the placeholder.
    name: String,
    /// A regular expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    regex: Option<String>,
    /// Words, in any case of letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    terms: Option<Vec<String>>,
    /// A file with a term a line; empty lines and those that begin with `#` are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    dictionary: Option<PathBuf>,
    /// Keys whose values are hidden.
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<Vec<String>>,
    /// Words one of which must begin in the bytes before a finding; empty: none must.
    context: Vec<String>,
    /// Bytes before a finding in which context is looked for. Default 48, at most 96.
    context_bytes: usize,
    /// What becomes of a finding. Default that of `[redaction]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) strategy: Option<Strategy>,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            name: String::new(),
            regex: None,
            terms: None,
            dictionary: None,
            keys: None,
            context: Vec::new(),
            context_bytes: 48,
            strategy: None,
        }
    }
}

/// The rules that say what they find, with their places in the list; others are reported.
pub(super) fn read(
    section: &mut Section<'_>,
    rules: &[Rule],
    default_strategy: redaction::Strategy,
) -> Vec<(usize, CustomRule)> {
    let mut read = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let number = index.to_string();
        let strategy = match (rule.strategy, default_strategy) {
            (Some(strategy), _) => strategy.0,
            (None, redaction::Strategy::Keep) => redaction::Strategy::Mask,
            (None, strategy) => strategy,
        };
        if strategy == redaction::Strategy::Keep {
            let what = "a rule whose findings stay does nothing; remove the rule";
            section.report_at(&["rules", &number, "strategy"], what.to_owned());
        }
        if let Some(matcher) = matcher(section, index, rule) {
            let (name, context) = (rule.name.clone(), rule.context.clone());
            let context_bytes = rule.context_bytes;
            read.push((index, CustomRule { name, matcher, context, context_bytes, strategy }));
        }
    }
    read
}

fn matcher(section: &mut Section<'_>, index: usize, rule: &Rule) -> Option<Matcher> {
    let number = index.to_string();
    let given = [
        ("regex", rule.regex.is_some()),
        ("terms", rule.terms.is_some()),
        ("dictionary", rule.dictionary.is_some()),
        ("keys", rule.keys.is_some()),
    ];
    let given: Vec<&str> = given.iter().filter(|(_, is)| *is).map(|(key, _)| *key).collect();
    if given.len() != 1 {
        let what = match given.as_slice() {
            [] if section.is_incomplete("rules", index) => return None,
            [] => "finds nothing: add one of regex, terms, dictionary and keys".to_owned(),
            several => format!("has {}: make a rule of each", several.join(" and ")),
        };
        section.report_at(&["rules", &number], what);
        return None;
    }
    if let Some(path) = &rule.dictionary {
        return match terms(path) {
            Ok(terms) => Some(Matcher::Terms(terms)),
            Err(what) => {
                let path = ["rules", number.as_str(), "dictionary"];
                let shown = section.show_at(&path, &rule.dictionary.as_ref()?.to_string_lossy());
                section.report_at(&path, format!("{shown}: {what}"));
                None
            }
        };
    }
    let regex = rule.regex.clone().map(Matcher::Regex);
    let terms = rule.terms.clone().map(Matcher::Terms);
    regex.or(terms).or(rule.keys.clone().map(Matcher::Keys))
}

/// The terms of a dictionary.
fn terms(path: &Path) -> Result<Vec<String>, String> {
    let text = String::from_utf8(read_named(path, DICTIONARY_BYTES_MAX)?)
        .map_err(|_| "not UTF-8; save it as UTF-8".to_owned())?;
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let terms: Vec<String> =
        lines.filter(|it| !it.is_empty() && !it.starts_with('#')).map(str::to_owned).collect();
    if terms.is_empty() {
        return Err("holds no term; write one a line".to_owned());
    }
    Ok(terms)
}

/// Reports what the redactor says of the policy, at the keys that it is about. `rules` are those of
/// the policy with their places in the config, which has `written`.
pub(super) fn report(
    section: &mut Section<'_>,
    written: &[Rule],
    rules: &[(usize, CustomRule)],
    problems: &[Problem],
) {
    // Two problems at one place would look like one and its consequence.
    let mut by_key: BTreeMap<(usize, &str), Vec<&str>> = BTreeMap::new();
    for problem in problems {
        let found = problem.rule.and_then(|place| Some((place.key, rules.get(place.index)?)));
        let Some((key, (index, rule))) = found else {
            section.report_at(&[], problem.message.clone());
            continue;
        };
        if let (Some(span), Matcher::Regex(regex)) = (&problem.span, &rule.matcher) {
            let path = ["rules", &index.to_string(), "regex"];
            section.report_part(&path, regex, span, &problem.message);
            continue;
        }
        let is_dictionary = key == "terms" && written[*index].dictionary.is_some();
        let key = if is_dictionary { "dictionary" } else { key };
        by_key.entry((*index, key)).or_default().push(&problem.message);
    }
    for ((index, key), messages) in by_key {
        let path = ["rules", &index.to_string(), key];
        let is_hidden = section.is_hidden_at(&path);
        let what = if is_hidden { "not accepted".to_owned() } else { messages.join("; ") };
        section.report_at(&path, what);
    }
}
