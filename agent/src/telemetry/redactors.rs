//! What the redactors of the process have done so far, summed over all of them.

use super::metric::descriptor;
use crate::model::{Kind, MetricDescriptor, Sample};
use crate::policy::{self, Redactors};
use redaction::Value;

/// What was redacted.
pub static REDACTIONS: MetricDescriptor = descriptor(
    Kind::Counter,
    "sidelight_redactions_total",
    "",
    "Findings that were replaced, by type and strategy.",
);
/// Lines that were hidden because they could not be redacted.
pub static FAILURES: MetricDescriptor = descriptor(
    Kind::Counter,
    "sidelight_redaction_failures_total",
    "",
    "Lines replaced by [REDACTION_FAILED] because the redactor could not finish them.",
);
static SUSPECTS: MetricDescriptor = descriptor(
    Kind::Counter,
    "sidelight_redaction_suspects_total",
    "",
    "What still looked like PII or a secret in the one of 64 chunks that is searched again, by kind.",
);
static RULES: MetricDescriptor = descriptor(
    Kind::Info,
    "sidelight_redaction_rules_info",
    "",
    "Version of the redactor and hash of its rules: equal where the same is redacted.",
);

/// What [`collect`] collects.
pub(super) const DESCRIPTORS: [&MetricDescriptor; 4] = [&REDACTIONS, &FAILURES, &SUSPECTS, &RULES];

/// Appends what all redactors counted.
pub(super) fn collect(redactors: &Redactors, out: &mut Vec<Sample>) {
    for ((entity, strategy), n) in redactors.counts() {
        let labels = vec![("type", type_name(entity)), ("strategy", Value::literal(strategy))];
        out.push(Sample::number(&REDACTIONS, labels, n as f64));
    }
    out.push(Sample::number(&FAILURES, vec![], redactors.n_failed_lines() as f64));
    for (kind, n) in redactors.suspects() {
        out.push(Sample::number(&SUSPECTS, vec![("kind", Value::literal(kind))], n as f64));
    }
    // What it is made of: eight bytes in hex.
    let hash = u64::from_str_radix(redactors.base().rules_hash(), 16).unwrap_or_default();
    let version = Value::literal(env!("CARGO_PKG_VERSION"));
    let labels = vec![("version", version), ("hash", Value::hex(&hash.to_be_bytes()))];
    out.push(Sample::number(&RULES, labels, 1.0));
}

/// The name of a type. That of a rule is the operator's text, which a rule may even match.
fn type_name(entity: &str) -> Value {
    match policy::built_in(entity) {
        Some(detector) => Value::literal(detector.rule().entity),
        None => redaction::Redactor::new().value(entity),
    }
}

#[cfg(test)]
mod tests {
    use super::collect;
    use crate::model::SampleValue;
    use crate::policy::Redactors;

    #[test]
    fn findings_are_counted_by_type_and_strategy_and_the_rules_have_a_hash() {
        let redactors = Redactors::default();
        let _ = redactors.base().value("jane@example.com and joe@example.com");
        let mut samples = Vec::new();
        collect(&redactors, &mut samples);
        let number = |name: &str, labels: &[&str]| {
            let values = |it: &crate::model::Sample| -> Vec<_> {
                it.labels.iter().map(|(_, value)| value.to_string()).collect()
            };
            let is_it =
                |it: &&crate::model::Sample| it.descriptor.name == name && values(it) == labels;
            let found = samples.iter().find(is_it).map(|sample| sample.value.clone());
            match found {
                Some(SampleValue::Number(number)) => Some(number),
                _ => None,
            }
        };
        assert_eq!(number("sidelight_redactions_total", &["EMAIL", "mask"]), Some(2.0));
        assert_eq!(number("sidelight_redactions_total", &["JWT", "mask"]), Some(0.0));
        assert_eq!(number("sidelight_redaction_failures_total", &[]), Some(0.0));
        assert_eq!(number("sidelight_redaction_suspects_total", &["token"]), Some(0.0));
        let rules = [env!("CARGO_PKG_VERSION"), redactors.base().rules_hash()];
        assert_eq!(number("sidelight_redaction_rules_info", &rules), Some(1.0));
    }
}
