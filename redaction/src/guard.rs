//! Fails closed: text that the engine cannot finish is replaced, never passed on.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::engine::Hits;
use crate::placeholders::FAILED_LINE;
use crate::rules::Rules;
use crate::spans::Finding;

thread_local!(static IS_GUARDED: Cell<bool> = const { Cell::new(false) });

/// True while this thread is where a panic is caught and counted.
///
/// For panic hooks: such a panic must not end the process, and its message, which may hold what was
/// searched, must not be printed.
#[must_use]
pub fn is_guarded() -> bool {
    IS_GUARDED.get()
}

/// [`Rules::search`], but lines on which it panics or gives up become findings as a whole; returns
/// their number.
pub(crate) fn search(rules: &Rules, raw: &[u8], hits: &mut Hits) -> u64 {
    if is_searched(rules, raw, hits) {
        return 0;
    }
    // A key block covers lines that hold nothing for a search of their own.
    let has_block = memchr::memmem::find(raw, b"-----BEGIN").is_some();
    let (mut findings, mut n_failed, mut start) = (Vec::new(), 0, 0);
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        if !has_block && is_searched(rules, text, hits) {
            findings.extend(hits.findings.drain(..).map(|finding| {
                let range = finding.bytes();
                Finding::new(finding.detector, start + range.start..start + range.end)
            }));
        } else if !text.is_empty() {
            n_failed += 1;
            findings.push(Finding::new(FAILED_LINE, start..start + text.len()));
        }
        start += line.len();
    }
    hits.findings = findings;
    n_failed
}

/// False when the search did not come to its end.
fn is_searched(rules: &Rules, raw: &[u8], hits: &mut Hits) -> bool {
    let was_guarded = IS_GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(|| rules.search(raw, hits)));
    IS_GUARDED.set(was_guarded);
    if result.is_err() {
        // What a panic left behind may be in any state.
        *hits = Hits::default();
    }
    result.is_ok() && !hits.is_exhausted
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use crate::detectors::{Detector, Rule};
    use crate::engine::{Asked, Engine};
    use crate::haystack::Haystack;
    use crate::policy::Policy;
    use crate::rules::Rules;
    use crate::simd::Path;
    use crate::spans::Found;
    use crate::{Redactor, Text};

    /// Panics at one word, and is asked about each byte of others.
    #[derive(Debug)]
    struct Broken;

    impl Detector for Broken {
        fn rule(&self) -> Rule<'_> {
            Rule { entity: "BROKEN", literals: &["panic", "aaa"], ..Rule::NONE }
        }

        fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
            assert!(raw[anchor.start] != b'p', "a flaw of the engine");
            found.never();
        }
    }

    fn redact(raw: &str) -> (String, u64) {
        let mut rules = Rules::new(&Policy::default(), Path::Portable).unwrap();
        // So many that a byte is asked about more often than any text may cost.
        let detectors = (0..20).map(|_| Asked::BuiltIn(&Broken)).collect();
        rules.engine = Engine::new(detectors, Path::Portable, None, 0);
        let redactor = Redactor::from_rules(rules.into());
        let mut text = Text::default();
        redactor.redact_chunk(raw.as_bytes(), &mut text);
        (String::from_utf8(text.as_bytes().to_vec()).unwrap(), redactor.n_failed_lines())
    }

    #[test]
    fn a_panic_hides_its_line_and_no_other() {
        let (text, n_failed) = redact("one\n\nsecret panic secret\nthree\npanic");
        assert_eq!(text, "one\n\n[REDACTION_FAILED]\nthree\n[REDACTION_FAILED]");
        assert_eq!(n_failed, 2);
    }

    #[test]
    fn a_line_that_exhausts_the_engine_is_hidden() {
        let dense = "a".repeat(2000);
        let (text, n_failed) = redact(&format!("one aaa\n{dense}\nthree"));
        assert_eq!((text.as_str(), n_failed), ("one aaa\n[REDACTION_FAILED]\nthree", 1));
    }

    #[test]
    fn a_panic_beside_a_key_block_hides_all_lines() {
        let block = "-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----\n";
        let (text, n_failed) = redact(&format!("panic\n{block}"));
        assert_eq!((text, n_failed), ("[REDACTION_FAILED]\n".repeat(4), 4));
    }
}
