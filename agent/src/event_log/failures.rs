//! Why tasks failed: classes of exceptions, and reasons that are none.

use super::events::TaskEndReason;
use super::strings::{first_line, short};
use redaction::{Redactor, Value};
use std::collections::BTreeMap;

/// Classes that are told apart.
const CLASSES_MAX: usize = 64;
const CLASS_BYTES_MAX: usize = 128;
const MESSAGE_BYTES_MAX: usize = 256;
/// In front of the deeper exceptions of a Java trace, the deepest last.
const CAUSE: &str = "Caused by: ";

/// All failed tasks of a run.
#[derive(Debug, Default, PartialEq)]
pub struct Failures {
    /// By reason: `exception`, `executor_lost`, `fetch_failed`, `resubmitted`, `result_lost`, `other`.
    pub by_reason: BTreeMap<&'static str, u64>,
    by_class: BTreeMap<Value, Exception>,
    /// Exceptions of classes beyond the limit.
    pub n_other_classes: u64,
}

/// Exceptions of one class.
#[derive(Debug, PartialEq)]
pub struct Exception {
    /// How many tasks failed with it.
    pub n_tasks: u64,
    /// What the first of them said.
    pub message: Value,
}

impl Failures {
    /// Classes of exceptions, most frequent first.
    #[must_use]
    pub fn exceptions(&self) -> Vec<(&Value, &Exception)> {
        let mut all: Vec<_> = self.by_class.iter().collect();
        all.sort_by_key(|(_, exception)| std::cmp::Reverse(exception.n_tasks));
        all
    }

    pub(super) fn add(&mut self, reason: &TaskEndReason<'_>, redactor: &Redactor) {
        let name = match &*reason.reason {
            "Success" | "TaskKilled" | "TaskCommitDenied" => return,
            "ExceptionFailure" => "exception",
            "ExecutorLostFailure" => "executor_lost",
            "FetchFailed" => "fetch_failed",
            "Resubmitted" => "resubmitted",
            "TaskResultLost" => "result_lost",
            _ => "other",
        };
        *self.by_reason.entry(name).or_default() += 1;
        if name == "exception" {
            self.add_exception(reason, redactor);
        }
    }

    fn add_exception(&mut self, reason: &TaskEndReason<'_>, redactor: &Redactor) {
        let description = reason.description.as_deref().unwrap_or("");
        let (class, message) =
            match (python(description), reason.trace.as_deref().and_then(root_cause)) {
                (Some(found), _) | (None, Some(found)) => found,
                (None, None) => (reason.class.as_deref().unwrap_or("unknown"), description),
            };
        let class = short(redactor, class, CLASS_BYTES_MAX);
        if let Some(known) = self.by_class.get_mut(&class) {
            known.n_tasks += 1;
        } else if self.by_class.len() < CLASSES_MAX {
            let message = first_line(redactor, message, MESSAGE_BYTES_MAX);
            self.by_class.insert(class, Exception { n_tasks: 1, message });
        } else {
            self.n_other_classes += 1;
        }
    }
}

/// The exception at the end of a Python traceback.
fn python(description: &str) -> Option<(&str, &str)> {
    let (_, trace) = description.split_once("Traceback (most recent call last):\n")?;
    // The frames are indented, what they lead to is not.
    let line = trace.lines().find(|line| !line.starts_with(' ') && !line.is_empty())?;
    class_of(line)
}

/// The deepest cause of a Java trace.
fn root_cause(trace: &str) -> Option<(&str, &str)> {
    let (_, cause) = trace.rsplit_once(CAUSE)?;
    class_of(cause.lines().next()?)
}

/// Class and message of `class: message`.
fn class_of(line: &str) -> Option<(&str, &str)> {
    let (class, message) = line.split_once(':').unwrap_or((line, ""));
    let is_name = |c: char| c.is_alphanumeric() || "._$".contains(c);
    let class = class.trim();
    (!class.is_empty() && class.chars().all(is_name)).then_some((class, message.trim()))
}

#[cfg(test)]
mod tests {
    use super::{Failures, python, root_cause};
    use crate::event_log::events::TaskEndReason;
    use redaction::Redactor;

    #[test]
    fn the_class_is_that_of_the_root_cause() {
        let trace = "java.lang.RuntimeException: outer\n\tat a.B.c(B.java:1)\nCaused by: \
                     java.io.IOException: disk: full\n\tat a.B.d(B.java:2)\n\t... 1 more\n";
        assert_eq!(root_cause(trace), Some(("java.io.IOException", "disk: full")));
        assert_eq!(root_cause("java.lang.Error: no cause\n\tat a.B.c(B.java:1)"), None);
        let trace = "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    raise\n\
                     ValueError: bad row 7\n";
        assert_eq!(python(trace), Some(("ValueError", "bad row 7")));
        assert_eq!(python("Traceback (most recent call last):\n"), None);
    }

    #[test]
    fn classes_are_bounded_and_messages_redacted() {
        let (mut failures, redactor) = (Failures::default(), Redactor::new());
        for number in 0..70 {
            let raw = format!(
                r#"{{"Reason":"ExceptionFailure","Class Name":"E{number}","Description":"to joe@example.com"}}"#
            );
            failures.add(&serde_json::from_str::<TaskEndReason<'_>>(&raw).unwrap(), &redactor);
        }
        assert_eq!((failures.exceptions().len(), failures.n_other_classes), (64, 6));
        assert_eq!(failures.exceptions()[0].1.message.as_str(), "to [EMAIL]");
        assert_eq!(failures.by_reason["exception"], 70);
    }
}
