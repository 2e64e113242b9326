//! Finds where detectors have to look: one pass for literals, one for numbers.
//!
//! Knows nothing of what a secret is. A faster engine replaces this file alone.

use std::ops::Range;

use aho_corasick::{AhoCorasick, Input, MatchKind};

use crate::detectors::{Anchors, DETECTORS};
use crate::lexis::{backward, forward, is_placeholder, unicode_escape_end};
use crate::spans::{Finding, offset};

/// Shortest text a number detector can match: `1.1.1.1`.
const NUMBER_BYTES_MIN: usize = 7;

/// The anchors of all detectors, ready to be searched.
#[derive(Debug)]
pub(crate) struct Engine {
    /// Literals of one byte and their owners, indices into [`DETECTORS`].
    bytes: Vec<(u8, u8)>,
    /// Longer literals, in lower case. The library searches so few with vector instructions, but
    /// only case by case and only without literals of one byte: hence the copy and the split.
    words: AhoCorasick,
    word_owners: Vec<u8>,
    /// The detectors that look at numbers.
    numeric: Vec<u8>,
}

/// What a scan found, and where a second one could find more. Reused for its memory.
#[derive(Debug, Default)]
pub(crate) struct Hits {
    /// Unsorted, may overlap.
    pub(crate) findings: Vec<Finding>,
    /// Ascending places of literals that led to nothing, or to a finding that is no token.
    pub(crate) open_literals: Vec<u32>,
    /// Ascending runs of digits that are not part of a finding as a whole.
    pub(crate) open_numbers: Vec<Range<u32>>,
    /// The searched bytes in lower case.
    lower: Vec<u8>,
}

impl Hits {
    pub(crate) fn clear(&mut self) {
        self.findings.clear();
        self.open_literals.clear();
        self.open_numbers.clear();
    }
}

/// What one scan remembers.
struct Scan<'a> {
    raw: &'a [u8],
    hits: &'a mut Hits,
    found: Vec<Range<usize>>,
    /// End of the last finding of each detector. An anchor before it lies inside that finding, and
    /// skipping it keeps the work linear when a finding may be long.
    found_until: [usize; DETECTORS.len()],
}

impl Engine {
    /// Builds the search for literals; costs some hundred microseconds.
    pub(crate) fn new() -> Self {
        let (mut bytes, mut words, mut word_owners, mut numeric) = (vec![], vec![], vec![], vec![]);
        for (index, detector) in (0u8..).zip(DETECTORS) {
            match detector.anchors() {
                Anchors::Numbers => numeric.push(index),
                Anchors::Literals(literals) => {
                    for literal in literals {
                        if let [byte] = literal.as_bytes() {
                            bytes.push((*byte, index));
                        } else {
                            words.push(literal.to_ascii_lowercase());
                            word_owners.push(index);
                        }
                    }
                }
            }
        }
        let words = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&words)
            .expect("a few dozen constant literals fit in the automaton");
        Self { bytes, words, word_owners, numeric }
    }

    /// Appends to `hits` what the detectors find in `raw`.
    pub(crate) fn scan(&self, raw: &[u8], hits: &mut Hits) {
        let mut lower = std::mem::take(&mut hits.lower);
        lower.clear();
        lower.extend(raw.iter().map(u8::to_ascii_lowercase));
        let mut scan = Scan { raw, hits, found: Vec::new(), found_until: [0; DETECTORS.len()] };
        for (byte, owner) in &self.bytes {
            for at in memchr::memchr_iter(*byte, raw) {
                scan.ask_literal(*owner, at..at + 1);
            }
            // Literals of one detector are searched in two passes, so the second starts over.
            scan.found_until = [0; DETECTORS.len()];
        }
        let mut input = Input::new(&lower);
        while let Some(found) = self.words.find(input.clone()) {
            scan.ask_literal(self.word_owners[found.pattern().as_usize()], found.range());
            // Another literal may begin inside this one.
            input.set_start(found.start() + 1);
        }
        self.scan_numbers(&mut scan);
        hits.open_literals.sort();
        hits.lower = lower;
    }

    /// Probes every seventh byte: a shorter stretch of digits and separators cannot match.
    fn scan_numbers(&self, scan: &mut Scan<'_>) {
        let raw = scan.raw;
        let mut run_end = 0;
        let mut probe = NUMBER_BYTES_MIN - 1;
        while let Some(byte) = raw.get(probe) {
            if !is_number_byte(*byte) {
                probe += NUMBER_BYTES_MIN;
                continue;
            }
            let start = backward(raw, probe, run_end, is_number_byte);
            run_end = forward(raw, probe, raw.len(), is_number_byte);
            probe = run_end + NUMBER_BYTES_MIN;
            let first = forward(raw, start, run_end, |b| !b.is_ascii_digit());
            let last = backward(raw, run_end, first, |b| !b.is_ascii_digit());
            if last - first >= NUMBER_BYTES_MIN {
                // The digits of `\u0022` belong to no number.
                let first = unicode_escape_end(raw, first).min(last);
                let first = forward(raw, first, last, |b| !b.is_ascii_digit());
                let ask = |detector: &u8| scan.ask(*detector, first..last);
                if self.numeric.iter().map(ask).sum::<usize>() < last - first {
                    scan.hits.open_numbers.push(offset(first)..offset(last));
                }
            }
        }
    }
}

fn is_number_byte(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b' ')
}

impl Scan<'_> {
    fn ask_literal(&mut self, owner: u8, anchor: Range<usize>) {
        let start = offset(anchor.start);
        if self.ask(owner, anchor) == 0 || !DETECTORS[usize::from(owner)].is_token() {
            self.hits.open_literals.push(start);
        }
    }

    /// Asks one detector about one anchor; returns how many bytes it found.
    fn ask(&mut self, index: u8, anchor: Range<usize>) -> usize {
        let slot = usize::from(index);
        if anchor.start < self.found_until[slot] {
            return anchor.len();
        }
        DETECTORS[slot].find(self.raw, anchor, &mut self.found);
        let mut n_bytes = 0;
        for range in self.found.drain(..) {
            self.found_until[slot] = self.found_until[slot].max(range.end);
            // What was redacted before is no finding, whatever stands around it.
            if !range.is_empty() && !is_placeholder(self.raw, &range) {
                n_bytes += range.len();
                self.hits.findings.push(Finding::new(index, range));
            }
        }
        n_bytes
    }
}

#[cfg(test)]
mod tests {
    use crate::detectors::{Anchors, DETECTORS};

    #[test]
    fn no_literal_of_a_detector_hides_one_of_another_that_begins_with_it() {
        // Of literals that begin at one byte only the longest is reported.
        let mut literals = Vec::new();
        for detector in DETECTORS {
            if let Anchors::Literals(own) = detector.anchors() {
                literals.extend(own.iter().map(|l| (detector.entity(), l.to_ascii_lowercase())));
            }
        }
        for (entity, literal) in &literals {
            for (other, longer) in literals.iter().filter(|(other, _)| other != entity) {
                assert!(
                    !longer.starts_with(literal.as_str()),
                    "{entity} {literal}, {other} {longer}"
                );
            }
        }
    }
}
