//! What the redactor knows and what it counted, for people and for programs.

use redaction::{Confidence, DETECTORS, DETECTORS_ON_REQUEST, Detector, Family, Profile, Strategy};
use std::collections::BTreeMap;
use std::fmt::Write;

/// What was found, by type and strategy, as a table.
#[must_use]
pub fn stats(counts: &BTreeMap<(&str, &'static str), u64>) -> String {
    let mut table = String::new();
    for ((entity, strategy), n) in counts.iter().filter(|(_, n)| **n > 0) {
        let _ = writeln!(table, "{entity:<24} {strategy:<18} {n:>12}");
    }
    table
}

/// One type, in words.
struct Row {
    detector: &'static dyn Detector,
    is_on_request: bool,
}

fn rows() -> impl Iterator<Item = Row> {
    let row = |is_on_request| {
        move |detector: &&'static dyn Detector| Row { detector: *detector, is_on_request }
    };
    DETECTORS.iter().map(row(false)).chain(DETECTORS_ON_REQUEST.iter().map(row(true)))
}

impl Row {
    /// Names of the profiles that look for the type by themselves.
    fn profiles(&self) -> Vec<&'static str> {
        let family = self.detector.rule().family;
        let has = |profile: &&Profile| !self.is_on_request && profile.has(family);
        Profile::ALL.iter().filter(has).map(|profile| profile.name()).collect()
    }
}

/// Every type with family, profiles, confidence, validator and its first sample, the secret between
/// « and ».
#[must_use]
pub fn detectors() -> String {
    let mut text = String::new();
    for row in rows() {
        let rule = row.detector.rule();
        let profiles = match row.is_on_request {
            true => "on request".to_owned(),
            false => row.profiles().join(" "),
        };
        let (family, confidence) = (family_name(rule.family), confidence_name(rule.confidence));
        let sample = rule.positive.first().unwrap_or(&"").replace('\n', "\\n");
        let _ = writeln!(
            text,
            "{:<24} {family:<9} {confidence:<7} {profiles:<16} {}\n    {sample}",
            rule.entity, rule.validator
        );
    }
    let strategies = Strategy::ALL.map(Strategy::name).join(", ");
    let _ = writeln!(text, "\nstrategies: {strategies}");
    text
}

/// [`detectors`] with all samples, as one JSON object.
#[must_use]
pub fn detectors_json() -> String {
    let types: Vec<_> = rows()
        .map(|row| {
            let rule = row.detector.rule();
            serde_json::json!({
                "type": rule.entity,
                "family": family_name(rule.family),
                "profiles": row.profiles(),
                "on_request": row.is_on_request,
                "confidence": confidence_name(rule.confidence),
                "validator": rule.validator,
                "samples": rule.positive,
            })
        })
        .collect();
    let strategies = Strategy::ALL.map(Strategy::name);
    serde_json::json!({ "types": types, "strategies": strategies }).to_string()
}

fn family_name(family: Family) -> &'static str {
    match family {
        Family::Secret => "secret",
        Family::Card => "card",
        Family::Financial => "financial",
        Family::Personal => "personal",
        Family::Network => "network",
    }
}

fn confidence_name(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Likely => "likely",
        Confidence::High => "high",
        Confidence::Certain => "certain",
    }
}
