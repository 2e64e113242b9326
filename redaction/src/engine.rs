//! Finds where detectors have to look: one pass for literals, one for numbers.
//!
//! Knows nothing of what a secret is. A faster engine replaces this file alone.

use std::ops::Range;

use aho_corasick::{AhoCorasick, Input, MatchKind};

use crate::detectors::{Anchors, DETECTORS};
use crate::lexis::{backward, forward, is_placeholder, unicode_escape_end, work};
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
    /// The detectors that look at numbers, and what a number needs for each.
    numeric: Vec<(u8, Composition)>,
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
                Anchors::Numbers { digits_min, dots_min, hyphens_min } => {
                    let least = [digits_min, dots_min, hyphens_min];
                    numeric.push((index, Composition::of(least)));
                }
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
            let composition;
            (run_end, composition) = number_run(raw, start);
            probe = run_end + NUMBER_BYTES_MIN;
            if run_end - start < NUMBER_BYTES_MIN {
                continue;
            }
            let first = forward(raw, start, run_end, |b| !b.is_ascii_digit());
            let last = backward(raw, run_end, first, |b| !b.is_ascii_digit());
            if last - first >= NUMBER_BYTES_MIN {
                // The digits of `\u0022` belong to no number.
                let first = unicode_escape_end(raw, first).min(last);
                let first = forward(raw, first, last, |b| !b.is_ascii_digit());
                let mut n_found = 0;
                for (detector, least) in &self.numeric {
                    if composition.has(*least) {
                        n_found += scan.ask(*detector, first..last);
                    }
                }
                if n_found < last - first {
                    scan.hits.open_numbers.push(offset(first)..offset(last));
                }
            }
        }
    }
}

/// How many digits, dots and hyphens a run has, 16 bits each, so that one addition a byte counts
/// all three. Most numbers in logs are dates and counts that no detector can match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Composition(u64);

impl Composition {
    /// What a byte adds; nothing for a byte that ends a run.
    const UNITS: [u64; 256] = {
        let mut units = [0; 256];
        let mut digit = b'0';
        while digit <= b'9' {
            units[digit as usize] = 1;
            digit += 1;
        }
        units[b'.' as usize] = 1 << 16;
        units[b'-' as usize] = 1 << 32;
        units[b' ' as usize] = 1 << 48;
        units
    };

    /// Digits, dots, hyphens.
    fn of(counts: [u16; 3]) -> Self {
        Self(u64::from(counts[0]) | u64::from(counts[1]) << 16 | u64::from(counts[2]) << 32)
    }

    /// True when there are at least as many of each as in `least`.
    fn has(self, least: Self) -> bool {
        [0, 16, 32].iter().all(|shift| (self.0 >> shift) as u16 >= (least.0 >> shift) as u16)
    }
}

/// Bytes after which counts are cut down, before one can run over into the next.
const COUNTED_BYTES_MAX: usize = 1 << 15;

/// End of the run of number bytes that begins at `start`, and what it consists of.
fn number_run(raw: &[u8], start: usize) -> (usize, Composition) {
    let (mut total, mut end) = (0_u64, start);
    loop {
        let limit = raw.len().min(end + COUNTED_BYTES_MAX);
        while end < limit {
            let unit = Composition::UNITS[usize::from(raw[end])];
            if unit == 0 {
                work::add(end - start);
                return (end, Composition(total));
            }
            total += unit;
            end += 1;
        }
        if end == raw.len() {
            work::add(end - start);
            return (end, Composition(total));
        }
        // No rule asks for more than a few dozen of anything.
        total = [0, 16, 32].iter().map(|at| ((total >> at) & 0xFFFF).min(0x7FFF) << at).sum();
    }
}

fn is_number_byte(byte: u8) -> bool {
    Composition::UNITS[usize::from(byte)] != 0
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
    use super::{COUNTED_BYTES_MAX, Composition, number_run};
    use crate::detectors::{Anchors, DETECTORS};

    #[test]
    fn a_run_is_counted_to_its_end_however_long_it_is() {
        let least = Composition::of([3, 2, 1]);
        let check = |raw: &str, want: (usize, bool)| {
            let (end, composition) = number_run(raw.as_bytes(), 0);
            assert_eq!((end, composition.has(least)), want);
        };
        check("1.2-3. 4x5", (8, true));
        check("1.2-3 4x5.", (7, false));
        for filler in ["1", ".", "-", " "] {
            let n_bytes = 5 * COUNTED_BYTES_MAX + 7;
            check(&format!("{}x", filler.repeat(n_bytes)), (n_bytes, false));
            check(&format!("{}123..-x", filler.repeat(n_bytes)), (n_bytes + 6, true));
        }
    }

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
