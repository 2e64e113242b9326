//! What redaction will do, in a few lines for a person.

use super::Redactors;
use redaction::Redactor;
use std::collections::BTreeMap;

impl Redactors {
    /// Profile and hash of the rules, types by strategy, rules of the config, and files that are
    /// redacted in another way.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let base = &self.base;
        let profile = self.policy.profile.name();
        let mut lines = vec![
            format!("profile {profile}, rules {}", base.rules_hash()),
            types(base, self.policy.rules.len()),
        ];
        for rule in &self.policy.rules {
            let is_slow = base.slow_rules().contains(&rule.name);
            let slow = if is_slow { ", slow: it has no fixed part to look for" } else { "" };
            lines.push(format!("rule {}: {}{slow}", rule.name, rule.strategy.name()));
        }
        for source in &self.sources {
            lines.push(format!(
                "files {}: own {}; profile {}, {}, rules {}",
                source.files.patterns.join(", "),
                source.files.changes.join(", "),
                source.policy.profile.name(),
                types(&source.redactor, self.policy.rules.len()),
                source.redactor.rules_hash(),
            ));
        }
        lines
    }
}

/// `119 types: 117 mask, 2 pseudonym`, without the rules of the config, which come last.
fn types(redactor: &Redactor, n_rules: usize) -> String {
    let counts = redactor.counts();
    let built_in = &counts[..counts.len().saturating_sub(n_rules)];
    let mut by_strategy: BTreeMap<_, usize> = BTreeMap::new();
    for count in built_in {
        *by_strategy.entry(count.strategy).or_default() += 1;
    }
    let parts = by_strategy.iter().map(|(strategy, n)| format!("{n} {}", strategy.name()));
    let parts: Vec<String> = parts.collect();
    match parts.as_slice() {
        [] => "no built-in types".to_owned(),
        parts => format!("{} types: {}", built_in.len(), parts.join(", ")),
    }
}
