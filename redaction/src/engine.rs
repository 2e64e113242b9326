//! Finds where detectors have to look: one pass for literals, one for numbers.
//!
//! Knows nothing of what a secret is. A faster engine replaces this file alone.

use std::ops::Range;

use aho_corasick::automaton::Automaton;
use aho_corasick::{Anchored, MatchKind, StartKind, dfa};

use crate::detectors::{Anchors, DETECTORS};
use crate::lexis::{backward, forward, is_placeholder};
use crate::spans::Span;

/// Shortest text a number detector can match: `1.1.1.1`.
const NUMBER_BYTES_MIN: usize = 7;

/// The anchors of all detectors, ready to be searched.
pub(crate) struct Engine {
    literals: dfa::DFA,
    /// Index into [`DETECTORS`] of each literal.
    owners: Vec<u8>,
    /// Indices of the detectors that look at numbers.
    numeric: Vec<u8>,
}

/// What one scan remembers.
struct Scan<'a> {
    raw: &'a [u8],
    spans: &'a mut Vec<Span>,
    found: Vec<Range<usize>>,
    /// End of the last finding of each detector. An anchor before it lies inside that finding, and
    /// skipping it keeps the work linear when a finding may be long.
    found_until: [usize; DETECTORS.len()],
}

impl Engine {
    /// Builds the automaton; costs a few hundred microseconds.
    pub(crate) fn new() -> Self {
        let (mut literals, mut owners, mut numeric) = (Vec::new(), Vec::new(), Vec::new());
        for (index, detector) in (0u8..).zip(DETECTORS) {
            match detector.anchors() {
                Anchors::Literals(own) => {
                    literals.extend_from_slice(own);
                    owners.resize(literals.len(), index);
                }
                Anchors::Numbers => numeric.push(index),
            }
        }
        let literals = dfa::DFA::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .start_kind(StartKind::Unanchored)
            .prefilter(false)
            .build(&literals)
            .expect("a few dozen constant literals fit in the automaton");
        Self { literals, owners, numeric }
    }

    /// Appends what the detectors find in `raw`; unsorted, may overlap.
    pub(crate) fn scan(&self, raw: &[u8], spans: &mut Vec<Span>) {
        let mut scan = Scan { raw, spans, found: Vec::new(), found_until: [0; DETECTORS.len()] };
        self.scan_literals(&mut scan);
        self.scan_numbers(&mut scan);
    }

    /// Walks the automaton by hand: unlike the library's iterators this sees overlapping literals
    /// of different detectors at no cost.
    fn scan_literals(&self, scan: &mut Scan<'_>) {
        let raw = scan.raw;
        let Ok(mut state) = self.literals.start_state(Anchored::No) else { return };
        for (index, byte) in raw.iter().enumerate() {
            state = self.literals.next_state(Anchored::No, state, *byte);
            if !self.literals.is_special(state) {
                continue;
            }
            for nth in 0..self.literals.match_len(state) {
                let pattern = self.literals.match_pattern(state, nth);
                let anchor = index + 1 - self.literals.pattern_len(pattern)..index + 1;
                scan.ask(self.owners[pattern.as_usize()], anchor);
            }
        }
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
                for detector in &self.numeric {
                    scan.ask(*detector, first..last);
                }
            }
        }
    }
}

fn is_number_byte(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b' ')
}

impl Scan<'_> {
    fn ask(&mut self, index: u8, anchor: Range<usize>) {
        let slot = usize::from(index);
        if anchor.start < self.found_until[slot] {
            return;
        }
        DETECTORS[slot].find(self.raw, anchor, &mut self.found);
        for range in self.found.drain(..) {
            self.found_until[slot] = self.found_until[slot].max(range.end);
            // What was redacted before is no finding, whatever stands around it.
            if !range.is_empty() && !is_placeholder(self.raw, &range) {
                self.spans.push(Span::new(DETECTORS[slot].entity(), range));
            }
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("literals", &self.owners.len()).finish_non_exhaustive()
    }
}
