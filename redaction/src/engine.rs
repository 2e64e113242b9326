//! Finds where detectors have to look, in one pass whatever their number, and asks them.
//!
//! Knows nothing of what a secret is. [`simd`](crate::simd) tells 448 bytes at a time where shapes
//! are and literals may be; each of these places is decided while its bytes are in the cache.

use std::ops::Range;

use crate::custom::Sweep;
use crate::detectors::Detector;
use crate::haystack::{Haystack, Names};
use crate::lexis::{word_after, word_before};
use crate::literals::Literals;
use crate::numbers::Patterns;
use crate::shapes::{GROUP_BYTES, LANE_BYTES, N_SHAPES, Shape};
use crate::simd::{self, Path, Window};
use crate::spans::{self, Finding, Found, offset};

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
    /// Bit `n`: somebody asks for the shape with index `n`.
    wanted_shapes: u32,
    numbers: Patterns,
    names: Names,
    /// Searches for the rules of the config that have no anchor.
    sweep: Option<Sweep>,
    /// Index of the detector of the config's first rule.
    custom_base: u8,
}

/// Bytes that one bit of [`Places`] stands for.
const PLACE_BYTES: usize = 64;

/// Places of a text, to within 64 bytes.
#[derive(Debug, Default)]
pub(crate) struct Places(Vec<u64>);

impl Places {
    fn clear(&mut self, n_bytes: usize) {
        self.0.clear();
        self.0.resize(n_bytes.div_ceil(PLACE_BYTES * 64), 0);
    }

    fn mark(&mut self, at: usize) {
        let place = at / PLACE_BYTES;
        self.0[place / 64] |= 1 << (place % 64);
    }

    /// True when some marked place may be in `range`; false when none is.
    pub(crate) fn any(&self, range: Range<usize>) -> bool {
        let (first, last) = (range.start / PLACE_BYTES, range.end / PLACE_BYTES);
        (first / 64..=last / 64).any(|word| {
            let from = if word == first / 64 { first % 64 } else { 0 };
            let to = if word == last / 64 { last % 64 } else { 63 };
            self.0.get(word).is_some_and(|bits| bits & (u64::MAX >> (63 - to)) >> from << from != 0)
        })
    }
}

/// What a scan found, and where a second one could find more. Reused for its memory.
#[derive(Debug, Default)]
pub(crate) struct Hits {
    /// Unsorted, may overlap.
    pub(crate) findings: Vec<Finding>,
    /// Where a literal or an at sign led to nothing, or to a finding that is no token: anything on
    /// the line may decide about it.
    pub(crate) open_lines: Places,
    /// Where another shape did: what is near may decide about it.
    pub(crate) open_near: Places,
    /// Numbers that are none of those asked for, ascending: what joins them may decide.
    pub(crate) open_numbers: Vec<Range<u32>>,
    /// The engine gave up: what it found is not all.
    pub(crate) is_exhausted: bool,
    masks: Option<Box<simd::Scan>>,
    found: Found,
    /// The last finding of each detector, or what it looked through. Skipping the anchors inside it
    /// keeps the work linear when a finding may be long.
    last_found: Vec<Range<usize>>,
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
    /// Builds the search for all anchors; costs about a millisecond. The rules of `sweep` belong to the
    /// detectors from `custom_base` on.
    pub(crate) fn new(
        detectors: Vec<Asked>,
        path: Path,
        sweep: Option<Sweep>,
        custom_base: u8,
    ) -> Self {
        assert!(detectors.len() <= DETECTORS_MAX, "a finding names its detector with a byte");
        let mut literals = Vec::new();
        let mut by_shape = [const { Vec::new() }; N_SHAPES];
        let mut numbers = Patterns::default();
        let mut wanted_shapes = 0;
        for (index, detector) in (0u8..).zip(&detectors) {
            let rule = detector.get().rule();
            let owned = detector.get().literals();
            literals.extend(owned.into_iter().map(|literal| (literal.to_owned(), index)));
            for (n, (asked, shape)) in by_shape.iter_mut().zip(Shape::ALL).enumerate() {
                if rule.shapes.contains(&shape) {
                    asked.push(index);
                }
                let is_number = shape == Shape::Number && !rule.numbers.is_empty();
                wanted_shapes |= u32::from(is_number || !asked.is_empty()) << n;
            }
            rule.numbers.iter().for_each(|pattern| numbers.add(pattern, index));
        }
        Self {
            path,
            is_token: detectors.iter().map(|d| d.get().rule().is_token).collect(),
            literals: Literals::new(&literals),
            by_shape,
            wanted_shapes,
            numbers,
            sweep,
            custom_base,
            names: Names::new(detectors.iter().map(|d| d.get().rule().entity)),
            detectors,
        }
    }

    pub(crate) fn detectors(&self) -> impl ExactSizeIterator<Item = &dyn Detector> {
        self.detectors.iter().map(Asked::get)
    }

    /// True when the whole of a line is searched, not only what is near an anchor: any change of it
    /// may decide about a finding.
    pub(crate) fn sweeps(&self) -> bool {
        self.sweep.is_some()
    }

    /// `raw` with the names of this engine's placeholders.
    pub(crate) fn haystack<'a>(&'a self, raw: &'a [u8]) -> Haystack<'a> {
        Haystack::new(raw, &self.names)
    }

    /// Replaces the contents of `hits` by what the detectors find in `raw`.
    pub(crate) fn scan(&self, raw: &[u8], hits: &mut Hits) {
        hits.findings.clear();
        hits.open_lines.clear(raw.len());
        hits.open_near.clear(raw.len());
        hits.open_numbers.clear();
        hits.is_exhausted = false;
        hits.last_found.resize(self.detectors.len(), 0..0);
        hits.last_found.fill(0..0);
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
        self.sweep(raw, hits);
    }

    fn sweep(&self, raw: &[u8], hits: &mut Hits) {
        let Some(sweep) = &self.sweep else { return };
        let raw = self.haystack(raw);
        sweep.find(&raw, &mut |rule, range| {
            if !range.is_empty() && !raw.is_placeholder(&range) {
                // The registry has room for every rule, see DETECTORS_MAX.
                let index = self.custom_base.saturating_add(u8::try_from(rule).unwrap_or(u8::MAX));
                hits.findings.push(Finding::new(index, range));
            }
        });
    }
}

impl Scan<'_> {
    /// Asks about every candidate of the group that begins at `base`.
    fn visit(&mut self, masks: &simd::Scan, base: usize, n_lanes: usize) {
        let (engine, raw) = (self.engine, self.raw);
        let n_before = self.hits.findings.len();
        masks.each_literal(n_lanes, |at| {
            engine.literals.at(&raw, base + at, |owner, anchor| self.ask_literal(owner, anchor));
        });
        masks.each_shape(engine.wanted_shapes, |index, at| self.visit_shape(index, base + at));
        // A group has few, and in order of place they need no other sorting in the end.
        if let Some(found) = self.hits.findings.get_mut(n_before..).filter(|f| f.len() > 1) {
            found.sort_unstable_by_key(spans::order);
        }
    }

    fn visit_shape(&mut self, index: usize, at: usize) {
        let shape = Shape::ALL[index];
        if shape == Shape::Number {
            return self.visit_number(at);
        }
        let engine = self.engine;
        for owner in &engine.by_shape[index] {
            let answer = self.ask(*owner, at..at + 1);
            // A rule of the config may look at all of the line, so even what it found may change.
            let is_custom = shape == Shape::Digits4;
            if answer == Answer::Open || is_custom {
                let is_near = shape != Shape::At && !is_custom;
                let hits = &mut self.hits;
                if is_near { &mut hits.open_near } else { &mut hits.open_lines }.mark(at);
            }
        }
    }

    fn visit_number(&mut self, at: usize) {
        if at < self.numbers_until {
            return;
        }
        let (engine, raw) = (self.engine, self.raw);
        let mut is_found = false;
        let seen = engine.numbers.visit(&raw, at, self.numbers_until, |owners, range| {
            let is_part = word_before(&raw, range.start) || word_after(&raw, range.end);
            let mut is_number = false;
            for owner in if is_part { &[] } else { owners } {
                match self.ask(*owner, range.clone()) {
                    Answer::Found => is_number = true,
                    Answer::Open => self.hits.open_near.mark(range.start),
                    Answer::Never => {}
                }
            }
            is_found |= is_number;
            is_number
        });
        self.numbers_until = seen.end;
        if !is_found {
            self.hits.open_numbers.push(offset(seen.start)..offset(seen.end));
        }
    }

    fn ask_literal(&mut self, owner: u8, anchor: Range<usize>) {
        let at = anchor.start;
        let answer = self.ask(owner, anchor);
        let is_final = answer == Answer::Found && self.engine.is_token[usize::from(owner)];
        if !is_final && answer != Answer::Never {
            self.hits.open_lines.mark(at);
        }
    }

    /// Asks one detector about one anchor.
    fn ask(&mut self, index: u8, anchor: Range<usize>) -> Answer {
        let slot = usize::from(index);
        if self.hits.last_found[slot].contains(&anchor.start) {
            return Answer::Found;
        }
        let Some(n_asks_left) = self.n_asks_left.checked_sub(1) else {
            self.hits.is_exhausted = true;
            return Answer::Open;
        };
        self.n_asks_left = n_asks_left;
        let start = anchor.start;
        self.engine.detectors[slot].get().find(&self.raw, anchor, &mut self.hits.found);
        let (ranges, is_never, looked_until) = self.hits.found.take();
        let mut answer = if is_never { Answer::Never } else { Answer::Open };
        for range in ranges {
            self.hits.last_found[slot] = range.clone();
            // What was redacted before is no finding, whatever stands around it.
            if !range.is_empty() && !self.raw.is_placeholder(&range) {
                self.hits.findings.push(Finding::new(index, range));
                answer = Answer::Found;
            }
        }
        if looked_until > start {
            self.hits.last_found[slot] = start..looked_until;
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
mod tests {
    use super::Places;

    #[test]
    fn marked_places_are_seen_from_every_range_that_holds_them() {
        let mut places = Places::default();
        places.clear(20_000);
        for at in [0, 4095, 4096, 10_000, 19_999] {
            places.mark(at);
            assert!(places.any(at..at) && places.any(0..20_000), "{at}");
            assert!(places.any(at.saturating_sub(5000)..at) && places.any(at..at + 9000), "{at}");
        }
        assert!(!places.any(64..4031) && !places.any(4160..9983) && !places.any(10_048..19_900));
        places.clear(20_000);
        assert!(!places.any(0..20_000));
    }
}
