//! `[redaction]` as it is written, and the redactors that it comes to.

use super::names::{Profile, Strategy};
use super::{Files, Redactors, Source, built_in, key, rules};
use crate::config::{Section, closest};
use redaction::{DETECTORS, DETECTORS_ON_REQUEST, Policy, PseudonymKey};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `[redaction]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Which types are looked for: `all`, `gdpr`, `pci` or `secrets`. Default `all`.
    profile: Profile,
    /// What becomes of findings. Default `mask`.
    strategy: Strategy,
    /// Leave private, loopback and link-local addresses. Default false.
    keep_internal_ips: bool,
    /// Findings that are exactly one of these stay, in any case of letters.
    allow: Vec<String>,
    /// File with the key of pseudonyms.
    pseudonym_key_file: Option<PathBuf>,
    /// Name of the variable of the environment with the key of pseudonyms.
    pseudonym_key_env: Option<String>,
    /// Name of the key, which stands in each pseudonym. Default `k1`.
    pseudonym_key_id: String,
    /// Strategies of single types, whatever the profile.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    types: BTreeMap<String, Strategy>,
    /// Types of the operator.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rules: Vec<rules::Rule>,
    /// Files that are redacted in another way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sources: Vec<SourceSection>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            profile: Profile(redaction::Profile::All),
            strategy: Strategy(redaction::Strategy::Mask),
            keep_internal_ips: false,
            allow: Vec::new(),
            pseudonym_key_file: None,
            pseudonym_key_env: None,
            pseudonym_key_id: "k1".to_owned(),
            types: BTreeMap::new(),
            rules: Vec::new(),
            sources: Vec::new(),
        }
    }
}

/// `[[redaction.sources]]`: what is given goes before what `[redaction]` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SourceSection {
    /// Globs of log files.
    files: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<Profile>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strategy: Option<Strategy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_internal_ips: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allow: Option<Vec<String>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    types: BTreeMap<String, Strategy>,
}

/// Makes the redactors, and reports all that is wrong to the section.
pub(crate) fn configure(section: &mut Section<'_>) -> Redactors {
    key::refuse_in_text(section);
    let config: Config = section.parse();
    let given = key::Given {
        file: config.pseudonym_key_file.as_deref(),
        variable: config.pseudonym_key_env.as_deref(),
        id: &config.pseudonym_key_id,
    };
    let is_key_given = given.file.is_some() || given.variable.is_some();
    let pseudonym_key = key::load(section, &given);
    let rules = rules::read(section, &config.rules, config.strategy.0);
    let policy = Policy {
        profile: config.profile.0,
        strategies: strategies(section, &["types"], &config.types),
        default_strategy: config.strategy.0,
        keep_internal_ips: config.keep_internal_ips,
        // A key that cannot be used was told; what needs it is no second problem.
        pseudonym_key: pseudonym_key.or_else(|| PseudonymKey::new("k1", &[0; 32])),
        allow: config.allow.clone(),
        rules: rules.iter().map(|(_, rule)| rule.clone()).collect(),
    };
    let mut sources = Vec::new();
    for (index, source) in config.sources.iter().enumerate() {
        sources.extend(configure_source(section, index, source, &policy));
    }
    let asking = needs_key(&config);
    if let (false, Some(path)) = (is_key_given, &asking) {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let what = "pseudonyms need a key: name a file with `pseudonym_key_file` or a variable with \
                    `pseudonym_key_env`";
        section.report_at(&path, what.to_owned());
    }
    let has_key = is_key_given || asking.is_some();
    build(section, policy, sources, (&config.rules, &rules), has_key)
}

/// A redactor for each policy that could be made ready.
fn build(
    section: &mut Section<'_>,
    mut policy: Policy,
    sources: Vec<(Files, Policy)>,
    (written, rules): (&[rules::Rule], &[(usize, redaction::CustomRule)]),
    has_key: bool,
) -> Redactors {
    let without_key = |policy: &mut Policy| {
        if !has_key {
            policy.pseudonym_key = None;
        }
    };
    without_key(&mut policy);
    let mut redactors = match Redactors::new(policy) {
        Ok(redactors) => redactors,
        Err(problems) => {
            rules::report(section, written, rules, &problems);
            return Redactors::default();
        }
    };
    for (files, mut policy) in sources {
        without_key(&mut policy);
        match super::redactor(&policy) {
            Ok(redactor) => {
                redactors.sources.push(Source { files, policy, redactor: redactor.into() });
            }
            // Types, key and rules were looked at before, so this is for what is not foreseen.
            Err(problems) => rules::report(section, written, rules, &problems),
        }
    }
    redactors
}

fn configure_source(
    section: &mut Section<'_>,
    index: usize,
    source: &SourceSection,
    base: &Policy,
) -> Option<(Files, Policy)> {
    let number = index.to_string();
    let is_incomplete = section.is_incomplete("sources", index);
    let at = |key| ["sources", number.as_str(), key];
    let mut globs = globset::GlobSetBuilder::new();
    for (index, pattern) in source.files.iter().enumerate() {
        match crate::tail::glob(pattern) {
            Ok(glob) => {
                globs.add(glob);
            }
            Err(error) => {
                let index = index.to_string();
                let path = ["sources", &number, "files", &index];
                let shown = section.show_at(&path, pattern);
                section.report_at(&path, format!("{shown} is no glob: {}", error.kind()));
            }
        }
    }
    if source.files.is_empty() && !is_incomplete {
        let what = "names no files: write for example files = [\"**/audit/*.log\"]";
        section.report_at(&at("files"), what.to_owned());
    }
    let empty = SourceSection { files: source.files.clone(), ..SourceSection::default() };
    if *source == empty && !is_incomplete {
        let what = "changes nothing: add profile, strategy, keep_internal_ips, allow or types";
        section.report_at(&["sources", &number], what.to_owned());
    }
    let mut policy = base.clone();
    policy.strategies.extend(strategies(section, &at("types"), &source.types));
    policy.profile = source.profile.map_or(base.profile, |profile| profile.0);
    policy.default_strategy = source.strategy.map_or(base.default_strategy, |strategy| strategy.0);
    policy.keep_internal_ips = source.keep_internal_ips.unwrap_or(base.keep_internal_ips);
    policy.allow = source.allow.clone().unwrap_or_else(|| base.allow.clone());
    let (patterns, changes) = (source.files.clone(), source.changes());
    Some((Files { globs: globs.build().ok()?, patterns, changes }, policy))
}

impl SourceSection {
    /// Names of the keys that it has of its own.
    fn changes(&self) -> Vec<&'static str> {
        let keys = [
            ("profile", self.profile.is_some()),
            ("strategy", self.strategy.is_some()),
            ("keep_internal_ips", self.keep_internal_ips.is_some()),
            ("allow", self.allow.is_some()),
            ("types", !self.types.is_empty()),
        ];
        keys.into_iter().filter(|(_, is_given)| *is_given).map(|(key, _)| key).collect()
    }
}

/// The strategies of known types; others are reported with what was meant.
fn strategies(
    section: &mut Section<'_>,
    path: &[&str],
    types: &BTreeMap<String, Strategy>,
) -> BTreeMap<String, redaction::Strategy> {
    let (mut strategies, mut firsts) = (BTreeMap::new(), BTreeMap::new());
    for (written, strategy) in types {
        // Variables of the environment come in lower case, and win: they sort behind.
        let name = written.to_ascii_uppercase();
        if built_in(&name).is_some() {
            if let Some(first) = firsts.insert(name.clone(), written)
                && !is_variable(section, path, written)
            {
                let what =
                    format!("the same type as `{first}`; keep one of `{first}` and `{written}`");
                let path: Vec<&str> = path.iter().copied().chain([written.as_str()]).collect();
                section.report_at_key(&path, what);
            }
            strategies.insert(name, strategy.0);
            continue;
        }
        let all = DETECTORS.iter().chain(DETECTORS_ON_REQUEST);
        let meant = closest(&name, all.map(|detector| detector.rule().entity));
        let meant = match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "`sidelight detectors` lists them all".to_owned(),
        };
        let path: Vec<&str> = path.iter().copied().chain([written.as_str()]).collect();
        section.report_at_key(&path, format!("no type of redaction; {meant}"));
    }
    strategies
}

/// True when a variable of the environment set that type, which it may do over the file.
fn is_variable(section: &Section<'_>, path: &[&str], written: &str) -> bool {
    let name = format!("SIDELIGHT_REDACTION__{}__{written}", path.join("__"));
    section.variable(&name.to_ascii_uppercase()).is_some()
}

/// Where a pseudonym is asked for first, if one is.
fn needs_key(config: &Config) -> Option<Vec<String>> {
    let pseudonym = Strategy(redaction::Strategy::Pseudonym);
    let path = |parts: &[&str]| Some(parts.iter().map(|part| (*part).to_owned()).collect());
    if config.strategy == pseudonym {
        return path(&["strategy"]);
    }
    if let Some((name, _)) = config.types.iter().find(|(_, strategy)| **strategy == pseudonym) {
        return path(&["types", name]);
    }
    if let Some(index) = config.rules.iter().position(|rule| rule.strategy == Some(pseudonym)) {
        return path(&["rules", &index.to_string(), "strategy"]);
    }
    config.sources.iter().enumerate().find_map(|(index, source)| {
        let index = index.to_string();
        if source.strategy == Some(pseudonym) {
            return path(&["sources", &index, "strategy"]);
        }
        let (name, _) = source.types.iter().find(|(_, strategy)| **strategy == pseudonym)?;
        path(&["sources", &index, "types", name])
    })
}
