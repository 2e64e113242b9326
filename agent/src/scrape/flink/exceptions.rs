//! Failures of one job, by class. Each one is counted once: the time of the last one is the cursor.

use super::metrics::OTHER;
use super::metrics::job::JOB_EXCEPTIONS;
use super::rest;
use crate::model::Sample;
use crate::scrape::meter::{Cut, Meter};
use crate::scrape::spark::bounded;
use redaction::{Redactor, Value};
use std::collections::BTreeMap;

/// Classes of one job; all others are counted together.
const CLASSES_MAX: usize = 20;
/// Failures that are kept to tell what a restart came from: as many as are asked for.
pub(super) const FAILURES_MAX: usize = 16;

/// See the head of the file.
#[derive(Debug, Default)]
pub(super) struct Exceptions {
    counts: BTreeMap<(Value, Option<Value>), u64>,
    cursor_unix_ms: u64,
    /// Those of the last answer.
    failures: Vec<Failure>,
}

/// One failure that Flink still knows.
#[derive(Debug)]
pub(super) struct Failure {
    unix_ms: u64,
    /// Class of the exception.
    pub(super) class: Value,
    /// The task that failed, if it was one.
    pub(super) task: Option<Value>,
}

impl Exceptions {
    /// Counts what is newer than what was counted before.
    pub(super) fn record(
        &mut self,
        answer: &rest::Exceptions,
        redactor: &Redactor,
        meter: &mut Meter,
    ) {
        let since = self.cursor_unix_ms;
        let entries = answer.exception_history.entries.iter().take(FAILURES_MAX);
        let failures = entries.filter_map(|exception| {
            Some(Failure {
                unix_ms: exception.timestamp.0?,
                class: bounded(&exception.exception_name, redactor),
                task: exception.task_name.as_deref().map(|task| bounded(task, redactor)),
            })
        });
        self.failures = failures.collect();
        for exception in answer.exception_history.entries.iter() {
            let Some(at) = exception.timestamp.0.filter(|at| *at > since) else { continue };
            self.cursor_unix_ms = self.cursor_unix_ms.max(at);
            let label = (!exception.failure_labels.is_empty()).then(|| {
                let pairs =
                    exception.failure_labels.iter().map(|(name, value)| format!("{name}={value}"));
                bounded(&pairs.collect::<Vec<_>>().join(","), redactor)
            });
            let mut key = (bounded(&exception.exception_name, redactor), label);
            if !self.counts.contains_key(&key) && self.counts.len() >= CLASSES_MAX {
                meter.cut(Cut::Entry, 1);
                key = (Value::literal(OTHER), None);
            }
            *self.counts.entry(key).or_default() += 1;
        }
    }

    /// The last failure until `unix_ms`, if Flink still knows one.
    pub(super) fn last_until(&self, unix_ms: u64) -> Option<&Failure> {
        let failures = self.failures.iter().filter(|failure| failure.unix_ms <= unix_ms);
        failures.max_by_key(|failure| failure.unix_ms)
    }

    /// Adds the samples.
    pub(super) fn push(&self, samples: &mut Vec<Sample>) {
        for ((exception, label), count) in &self.counts {
            let mut labels = vec![("exception", exception.clone())];
            labels.extend(label.clone().map(|label| ("label", label)));
            samples.push(Sample::number(&JOB_EXCEPTIONS, labels, *count as f64));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CLASSES_MAX, Exceptions};
    use crate::scrape::meter::{Cut, Meter};
    use redaction::Redactor;
    use std::time::Duration;

    fn record(exceptions: &mut Exceptions, meter: &mut Meter, entries: &[(&str, u64)]) -> Vec<f64> {
        let entries: Vec<_> = entries
            .iter()
            .map(|(name, at)| serde_json::json!({"exceptionName": name, "timestamp": at}))
            .collect();
        let answer = serde_json::json!({"exceptionHistory": {"entries": entries}});
        exceptions.record(&serde_json::from_value(answer).unwrap(), &Redactor::new(), meter);
        exceptions.counts.values().map(|count| *count as f64).collect()
    }

    #[test]
    fn each_failure_counts_once_and_the_history_may_forget() {
        let (mut exceptions, mut meter) = (Exceptions::default(), Meter::new(Duration::ZERO));
        let mut record = |entries: &[_]| record(&mut exceptions, &mut meter, entries);
        assert_eq!(record(&[("a.B", 20), ("a.A", 10)]), [1.0, 1.0]);
        assert_eq!(record(&[("a.B", 20), ("a.A", 10)]), [1.0, 1.0]);
        assert_eq!(record(&[("a.A", 40), ("a.A", 30), ("a.B", 20)]), [3.0, 1.0]);
        assert_eq!(record(&[]), [3.0, 1.0]);
    }

    #[test]
    fn classes_over_the_limit_are_counted_together() {
        let (mut exceptions, mut meter) = (Exceptions::default(), Meter::new(Duration::ZERO));
        let names: Vec<String> = (0..CLASSES_MAX + 5).map(|n| format!("a.E{n:03}")).collect();
        let entries: Vec<(&str, u64)> = names.iter().map(String::as_str).zip(1..).collect();
        let counts = record(&mut exceptions, &mut meter, &entries);
        assert_eq!(counts.len(), CLASSES_MAX + 1);
        assert_eq!(counts.iter().sum::<f64>(), (CLASSES_MAX + 5) as f64);
        assert_eq!(meter.stats().cut_of(Cut::Entry), 5);
    }
}
