//! Collects the results of named checks, so that one failure does not hide the next.

use std::io::Write;

/// Problems of one check that are shown; the rest is only counted.
const SHOWN_MAX: usize = 8;

/// Prints a line past the capture of the test runner: durations and counts are wanted on success.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Named checks of one long test.
#[derive(Debug)]
pub(crate) struct Report {
    /// Whose report it is: the environment of a peer, say.
    pub(crate) test: String,
    failures: Vec<String>,
}

impl Report {
    /// A report without checks.
    pub(crate) fn new(test: &str) -> Self {
        Self { test: test.to_owned(), failures: Vec::new() }
    }

    /// Notes a check: it passed when there is no problem.
    pub(crate) fn check(&mut self, name: &str, problems: &[String]) {
        if problems.is_empty() {
            say(&format!("{}: ok: {name}", self.test));
            return;
        }
        let mut failure = format!("{name}: {} problems", problems.len());
        for problem in problems.iter().take(SHOWN_MAX) {
            failure.push_str("\n    ");
            failure.push_str(problem);
        }
        say(&format!("{}: FAILED: {failure}", self.test));
        self.failures.push(failure);
    }

    /// Notes a check that holds or does not.
    pub(crate) fn check_that(&mut self, name: &str, holds: bool, otherwise: &str) {
        let problems = if holds { Vec::new() } else { vec![otherwise.to_owned()] };
        self.check(name, &problems);
    }

    /// Panics with every failure.
    pub(crate) fn finish(self) {
        assert!(self.failures.is_empty(), "{}:\n  {}", self.test, self.failures.join("\n  "));
    }
}
