//! Finds where detectors have to look, in one pass whatever their number, and asks them.
//!
//! Knows nothing of what a secret is. [`simd`](crate::simd) tells 448 bytes at a time where shapes
//! are and literals may be; each of these places is decided while its bytes are in the cache.

use std::ops::Range;

use crate::detectors::Detector;
use crate::haystack::{Haystack, Names};
use crate::lexis::{word_after, word_before};
use crate::literals::Literals;
use crate::numbers::Patterns;
use crate::shapes::{GROUP_BYTES, LANE_BYTES, N_SHAPES, Shape};
use crate::simd::{self, Path, Window};
use crate::spans::{Finding, offset};

/// Most detectors of one engine: findings name theirs with a byte.
pub(crate) const DETECTORS_MAX: usize = 250;
/// Most questions per byte of text, and those that any text may cost. Real logs need a hundredth;
/// what needs more has found a flaw of the engine, which then gives up on the text.
const ASKS_PER_BYTE_MAX: usize = 16;
/// See [`ASKS_PER_BYTE_MAX`].
const ASKS_MIN: usize = 1024;

/// A detector, built in or made from the config.
#[derive(Debug)]
pub(crate) enum Asked {
    BuiltIn(&'static dyn Detector),
    Custom(Box<dyn Detector>),
}

impl Asked {
    pub(crate) fn get(&self) -> &dyn Detector {
        match self {
            Self::BuiltIn(detector) => *detector,
            Self::Custom(detector) => detector.as_ref(),
        }
    }
}

/// The anchors of all detectors, ready to be searched.
#[derive(Debug)]
pub(crate) struct Engine {
    path: Path,
    detectors: Vec<Asked>,
    is_token: Vec<bool>,
    literals: Literals,
    /// Indices of the detectors that want each shape.
    by_shape: [Vec<u8>; N_SHAPES],
    numbers: Patterns,
    names: Names,
}

/// A place where a detector was asked and found nothing that is final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Open {
    pub(crate) at: u32,
    /// A literal may be decided by anything on its line, a shape by what is near.
    pub(crate) is_literal: bool,
}

/// What a scan found, and where a second one could find more. Reused for its memory.
#[derive(Debug, Default)]
pub(crate) struct Hits {
    /// Unsorted, may overlap.
    pub(crate) findings: Vec<Finding>,
    /// Ascending.
    pub(crate) open: Vec<Open>,
    /// The engine gave up: what it found is not all.
    pub(crate) is_exhausted: bool,
    masks: simd::Scan,
    found: Vec<Range<usize>>,
    /// The last finding of each detector. Skipping anchors inside it keeps the work linear when a
    /// finding may be long. Others may stand before it: a literal is asked about before the shapes
    /// beside it, and may find what is far behind it.
    found_last: Vec<Range<usize>>,
}

/// One scan.
struct Scan<'a> {
    engine: &'a Engine,
    raw: Haystack<'a>,
    hits: &'a mut Hits,
    numbers_until: usize,
    n_asks_left: usize,
}

impl Engine {
    /// Builds the search for all anchors; costs about a millisecond.
    pub(crate) fn new(detectors: Vec<Asked>, path: Path) -> Self {
        assert!(detectors.len() <= DETECTORS_MAX, "a finding names its detector with a byte");
        let mut literals = Vec::new();
        let mut by_shape = [const { Vec::new() }; N_SHAPES];
        let mut numbers = Patterns::default();
        for (index, detector) in (0u8..).zip(&detectors) {
            let rule = detector.get().rule();
            literals.extend(rule.literals.iter().map(|literal| ((*literal).to_owned(), index)));
            for (asked, shape) in by_shape.iter_mut().zip(Shape::ALL) {
                if rule.shapes.contains(&shape) {
                    asked.push(index);
                }
            }
            rule.numbers.iter().for_each(|pattern| numbers.add(pattern, index));
        }
        Self {
            path,
            is_token: detectors.iter().map(|d| d.get().rule().is_token).collect(),
            literals: Literals::new(&literals),
            by_shape,
            numbers,
            names: Names::new(detectors.iter().map(|d| d.get().rule().entity)),
            detectors,
        }
    }

    pub(crate) fn detectors(&self) -> impl ExactSizeIterator<Item = &dyn Detector> {
        self.detectors.iter().map(Asked::get)
    }

    /// `raw` with the names of this engine's placeholders.
    pub(crate) fn haystack<'a>(&'a self, raw: &'a [u8]) -> Haystack<'a> {
        Haystack::new(raw, &self.names)
    }

    /// Replaces the contents of `hits` by what the detectors find in `raw`.
    pub(crate) fn scan(&self, raw: &[u8], hits: &mut Hits) {
        hits.findings.clear();
        hits.open.clear();
        hits.is_exhausted = false;
        hits.found_last.clear();
        hits.found_last.resize(self.detectors.len(), 0..0);
        hits.masks.restart();
        let mut scan = Scan {
            engine: self,
            raw: self.haystack(raw),
            hits,
            numbers_until: 0,
            n_asks_left: ASKS_MIN + raw.len() * ASKS_PER_BYTE_MAX,
        };
        let mut padded: Window = [0; GROUP_BYTES + LANE_BYTES];
        for at in (0..raw.len()).step_by(GROUP_BYTES) {
            let rest = &raw[at..];
            let window = rest.first_chunk::<{ GROUP_BYTES + LANE_BYTES }>().unwrap_or_else(|| {
                // The last group but one may have been padded too.
                padded[..rest.len()].copy_from_slice(rest);
                padded[rest.len()..].fill(0);
                &padded
            });
            let n_bytes = rest.len().min(GROUP_BYTES);
            self.path.step(&self.literals.buckets, window, n_bytes, &mut scan.hits.masks);
            for lane in 1..=n_bytes.div_ceil(LANE_BYTES) {
                scan.visit_lane(lane, at + (lane - 1) * LANE_BYTES);
            }
        }
        hits.open.sort_unstable();
    }
}

impl Scan<'_> {
    /// Asks about every candidate of the 64 bytes from `base` on.
    fn visit_lane(&mut self, lane: usize, base: usize) {
        let mut literals = self.hits.masks.found.literals.0[lane];
        while literals != 0 {
            let at = base + literals.trailing_zeros() as usize;
            literals &= literals - 1;
            let engine = self.engine;
            let raw = self.raw;
            engine.literals.at(&raw, at, |owner, anchor| self.ask_literal(owner, anchor));
        }
        let mut any = self.hits.masks.found.any.0[lane];
        while any != 0 {
            let bit = any.trailing_zeros();
            any &= any - 1;
            for index in 0..N_SHAPES {
                if self.hits.masks.found.masks[index].0[lane] >> bit & 1 != 0 {
                    self.visit_shape(index, base + bit as usize);
                }
            }
        }
    }

    fn visit_shape(&mut self, index: usize, at: usize) {
        if Shape::ALL[index] == Shape::Number {
            return self.visit_number(at);
        }
        let engine = self.engine;
        for owner in &engine.by_shape[index] {
            if self.ask(*owner, at..at + 1) == 0 {
                let is_literal = Shape::ALL[index] == Shape::At;
                self.hits.open.push(Open { at: offset(at), is_literal });
            }
        }
    }

    fn visit_number(&mut self, at: usize) {
        if at < self.numbers_until {
            return;
        }
        let engine = self.engine;
        let raw = self.raw;
        self.numbers_until = engine.numbers.visit(&raw, at, self.numbers_until, |owners, range| {
            let is_part = word_before(&raw, range.start) || word_after(&raw, range.end);
            let mut is_found = false;
            for owner in if is_part { &[] } else { owners } {
                is_found |= self.ask(*owner, range.clone()) > 0;
            }
            if !is_found {
                self.hits.open.push(Open { at: offset(range.start), is_literal: false });
            }
            is_found
        });
    }

    fn ask_literal(&mut self, owner: u8, anchor: Range<usize>) {
        let at = offset(anchor.start);
        if self.ask(owner, anchor) == 0 || !self.engine.is_token[usize::from(owner)] {
            self.hits.open.push(Open { at, is_literal: true });
        }
    }

    /// Asks one detector about one anchor; returns how many bytes it found.
    fn ask(&mut self, index: u8, anchor: Range<usize>) -> usize {
        let slot = usize::from(index);
        if self.hits.found_last[slot].contains(&anchor.start) {
            return anchor.len();
        }
        let Some(n_asks_left) = self.n_asks_left.checked_sub(1) else {
            self.hits.is_exhausted = true;
            return 0;
        };
        self.n_asks_left = n_asks_left;
        self.engine.detectors[slot].get().find(&self.raw, anchor, &mut self.hits.found);
        let mut n_bytes = 0;
        for range in self.hits.found.drain(..) {
            if range.end > self.hits.found_last[slot].end {
                self.hits.found_last[slot] = range.clone();
            }
            // What was redacted before is no finding, whatever stands around it.
            if !range.is_empty() && !self.raw.is_placeholder(&range) {
                n_bytes += range.len();
                self.hits.findings.push(Finding::new(index, range));
            }
        }
        n_bytes
    }
}
