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
use crate::spans::{Finding, Found, offset};

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
    /// How far from it a finding may stand that decides about it, within its line.
    pub(crate) reach_bytes: u32,
}

/// A literal may be decided by anything on its line.
const LINE_REACH_BYTES: u32 = u32::MAX;
/// A shape is decided by what is near: the words that name a number, and the length of one.
const NEAR_REACH_BYTES: u32 = 96;
/// A number whose digits are wrong is decided by what joins it: it may then be a part of another.
const JOINED_REACH_BYTES: u32 = 33;

/// What a scan found, and where a second one could find more. Reused for its memory.
#[derive(Debug, Default)]
pub(crate) struct Hits {
    /// Unsorted, may overlap.
    pub(crate) findings: Vec<Finding>,
    /// Ascending.
    pub(crate) open: Vec<Open>,
    /// The engine gave up: what it found is not all.
    pub(crate) is_exhausted: bool,
    masks: Option<Box<simd::Scan>>,
    found: Found,
    /// End of the last finding of each detector. An anchor before it lies inside that finding, and
    /// skipping it keeps the work linear when a finding may be long.
    found_until: Vec<usize>,
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
        hits.found_until.clear();
        hits.found_until.resize(self.detectors.len(), 0);
        let mut masks = hits.masks.take().unwrap_or_default();
        masks.restart();
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
            self.path.step(&self.literals.buckets, window, n_bytes, &mut masks);
            scan.visit(&masks, at, n_bytes.div_ceil(LANE_BYTES));
        }
        hits.masks = Some(masks);
        hits.open.sort_unstable();
    }
}

impl Scan<'_> {
    /// Asks about every candidate of the group that begins at `base`.
    fn visit(&mut self, masks: &simd::Scan, base: usize, n_lanes: usize) {
        let (engine, raw) = (self.engine, self.raw);
        masks.each_literal(n_lanes, |at| {
            engine.literals.at(&raw, base + at, |owner, anchor| self.ask_literal(owner, anchor));
        });
        masks.each_shape(|index, at| self.visit_shape(index, base + at));
    }

    fn visit_shape(&mut self, index: usize, at: usize) {
        let shape = Shape::ALL[index];
        if shape == Shape::Number {
            return self.visit_number(at);
        }
        let engine = self.engine;
        for owner in &engine.by_shape[index] {
            let answer = self.ask(*owner, at..at + 1);
            if answer == Answer::Open {
                let is_near = shape != Shape::At;
                self.leave_open(at, if is_near { NEAR_REACH_BYTES } else { LINE_REACH_BYTES });
            }
        }
    }

    fn visit_number(&mut self, at: usize) {
        if at < self.numbers_until {
            return;
        }
        let (engine, raw) = (self.engine, self.raw);
        self.numbers_until = engine.numbers.visit(&raw, at, self.numbers_until, |owners, range| {
            if word_before(&raw, range.start) || word_after(&raw, range.end) {
                self.leave_open(range.start, JOINED_REACH_BYTES);
                return false;
            }
            let mut reach_bytes = JOINED_REACH_BYTES;
            let mut is_found = false;
            for owner in owners {
                match self.ask(*owner, range.clone()) {
                    Answer::Found => is_found = true,
                    Answer::Open => reach_bytes = NEAR_REACH_BYTES,
                    Answer::Never => {}
                }
            }
            if !is_found {
                self.leave_open(range.start, reach_bytes);
            }
            is_found
        });
    }

    fn ask_literal(&mut self, owner: u8, anchor: Range<usize>) {
        let at = anchor.start;
        let answer = self.ask(owner, anchor);
        let is_final = answer == Answer::Found && self.engine.is_token[usize::from(owner)];
        if !is_final && answer != Answer::Never {
            self.leave_open(at, LINE_REACH_BYTES);
        }
    }

    fn leave_open(&mut self, at: usize, reach_bytes: u32) {
        self.hits.open.push(Open { at: offset(at), reach_bytes });
    }

    /// Asks one detector about one anchor.
    fn ask(&mut self, index: u8, anchor: Range<usize>) -> Answer {
        let slot = usize::from(index);
        if anchor.start < self.hits.found_until[slot] {
            return Answer::Found;
        }
        let Some(n_asks_left) = self.n_asks_left.checked_sub(1) else {
            self.hits.is_exhausted = true;
            return Answer::Open;
        };
        self.n_asks_left = n_asks_left;
        self.engine.detectors[slot].get().find(&self.raw, anchor, &mut self.hits.found);
        let mut answer = if self.hits.found.is_never() { Answer::Never } else { Answer::Open };
        for range in self.hits.found.drain() {
            self.hits.found_until[slot] = self.hits.found_until[slot].max(range.end);
            // What was redacted before is no finding, whatever stands around it.
            if !range.is_empty() && !self.raw.is_placeholder(&range) {
                self.hits.findings.push(Finding::new(index, range));
                answer = Answer::Found;
            }
        }
        answer
    }
}

/// What came of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Found,
    /// Nothing yet: other text beside the anchor may change that.
    Open,
    /// Nothing, whatever stands beside it.
    Never,
}

#[cfg(test)]
mod scratch {
    use super::*;
    #[test]
    fn scratch_counts() {
        let engine = Engine::new(
            crate::DETECTORS.iter().map(|d| Asked::BuiltIn(*d)).collect(),
            Path::available()[0],
        );
        for f in [
            "/tmp/low20.log",
            "/tmp/big/spark-3.5.9-driver-debug.log",
            "/tmp/big/flink-1.20.5-taskmanager-chatty.log",
        ] {
            let Ok(raw) = std::fs::read(f) else { continue };
            let mut masks = simd::Scan::default();
            let mut counts = vec![0usize; N_SHAPES + 2];
            let mut grams = std::collections::HashMap::<Vec<u8>, usize>::new();
            for at in (0..raw.len() - 512).step_by(GROUP_BYTES) {
                engine.path.step(
                    &engine.literals.buckets,
                    raw[at..].first_chunk().unwrap(),
                    GROUP_BYTES,
                    &mut masks,
                );
                masks.each_shape(|i, _| counts[i] += 1);
                masks.each_literal(7, |i| {
                    counts[N_SHAPES] += 1;
                    let mut n = 0;
                    engine.literals.at(&raw, at + i, |_, _| n += 1);
                    if n > 0 {
                        counts[N_SHAPES + 1] += 1
                    } else {
                        *grams.entry(raw[at + i..at + i + 4].to_vec()).or_default() += 1;
                    }
                });
            }
            println!("{f} {}", raw.len());
            for (n, c) in counts.iter().enumerate() {
                println!(
                    "{:?} per KB {:.3}",
                    Shape::ALL.get(n),
                    *c as f64 / raw.len() as f64 * 1e3
                );
            }
            let mut g: Vec<_> = grams.into_iter().collect();
            g.sort_by_key(|x| std::cmp::Reverse(x.1));
            for (k, n) in g.iter().take(25) {
                print!("{:?}:{} ", String::from_utf8_lossy(k), n);
            }
            println!();
        }
    }
}
