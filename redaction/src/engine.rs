//! Finds where detectors have to look, in one pass whatever their number, and asks them.
//!
//! Knows nothing of what a secret is. [`simd`](crate::simd) tells 448 bytes at a time where shapes
//! are and literals may be; each of these places is decided while its bytes are in the cache.

use std::ops::Range;

use crate::context::Beginnings;
use crate::custom::Sweep;
use crate::detectors::Detector;
use crate::folded::{self, Folded};
use crate::haystack::{Haystack, Names};
use crate::lexis::{line_end, line_start, word_after, word_before};
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
    is_settled_alone: Vec<bool>,
    literals: Literals,
    /// Indices of the detectors that want each shape.
    by_shape: [Vec<u8>; N_SHAPES],
    /// Bit `n`: somebody asks for the shape with index `n`.
    wanted_shapes: u32,
    numbers: Patterns,
    /// Detectors whose plain numbers, and whose other numbers, stand behind words, and how these
    /// begin.
    is_named: Vec<[bool; 2]>,
    words: Beginnings,
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
    /// Where a literal led to a finding that is settled when it is alone: another one on the line may
    /// decide.
    pub(crate) open_findings: Places,
    /// Where another shape did: what is near may decide about it.
    pub(crate) open_near: Places,
    /// Numbers that are none of those asked for, ascending: what joins them may decide.
    pub(crate) open_numbers: Vec<Range<u32>>,
    /// The findings that drop their lines, also when they are united with others.
    pub(crate) dropped: Vec<Finding>,
    /// The engine gave up: what it found is not all.
    pub(crate) is_exhausted: bool,
    masks: Option<Box<simd::Scan>>,
    /// The end of a text, with zeros behind it.
    padded: Option<Box<Window>>,
    /// Where lines are encoded.
    encoded: Vec<usize>,
    folded: Folded,
    /// Of a line that is read through its encoding.
    inner: Option<Box<Hits>>,
    /// Of a line that is searched again.
    pub(crate) again: Option<Box<Hits>>,
    found: Found,
    /// The last finding of each detector, or what it looked through, and the answer for both. Skipping
    /// the anchors inside it keeps the work linear when a finding may be long.
    last_found: Vec<(Range<usize>, Answer)>,
    /// False when `last_found` is empty throughout, as after most short lines.
    has_last_found: bool,
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
        let (mut literals, mut prefixes) = (Vec::new(), Vec::new());
        let mut by_shape = [const { Vec::new() }; N_SHAPES];
        let mut numbers = Patterns::default();
        let mut wanted_shapes = 0;
        for (index, detector) in (0u8..).zip(&detectors) {
            let rule = detector.get().rule();
            let owned = |text: &str| (text.as_bytes().to_vec(), index);
            literals.extend(detector.get().literals().into_iter().map(owned));
            prefixes.extend(rule.prefixes.iter().copied().map(owned));
            for (n, (asked, shape)) in by_shape.iter_mut().zip(Shape::ALL).enumerate() {
                if rule.shapes.contains(&shape) {
                    asked.push(index);
                }
                let is_own = matches!(shape, Shape::Number | Shape::Encoded);
                wanted_shapes |= u32::from(is_own || !asked.is_empty()) << n;
            }
            rule.numbers.iter().for_each(|pattern| numbers.add(pattern, index));
        }
        let mut words = Beginnings::new();
        let mut named = |detector: &Asked| {
            let rule = detector.get().rule();
            let is_named = words.add(rule.words);
            [is_named, is_named && rule.is_always_named]
        };
        let is_named = detectors.iter().map(&mut named).collect();
        literals.extend(folded::SIGNS.iter().map(|sign| (sign.to_vec(), folded::OWNER)));
        Self {
            path,
            is_token: detectors.iter().map(|d| d.get().rule().is_token).collect(),
            is_settled_alone: {
                detectors.iter().map(|d| d.get().rule().is_settled_alone).collect()
            },
            literals: Literals::new(&literals, &prefixes),
            by_shape,
            wanted_shapes,
            numbers,
            is_named,
            words,
            sweep,
            custom_base,
            names: Names::new(detectors.iter().map(|d| d.get().rule().entity)),
            detectors,
        }
    }

    /// The detector that a finding names.
    pub(crate) fn detector(&self, index: u8) -> &dyn Detector {
        self.detectors[usize::from(index)].get()
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
        self.scan_as_written(raw, hits);
        if !hits.encoded.is_empty() {
            self.scan_folded(raw, hits);
        }
    }

    /// Searches encoded lines as they are read.
    fn scan_folded(&self, raw: &[u8], hits: &mut Hits) {
        let mut inner = hits.inner.take().unwrap_or_default();
        let mut done = 0;
        // Signs and shapes were pushed one after the other.
        let mut encoded = std::mem::take(&mut hits.encoded);
        encoded.sort_unstable();
        for at in encoded {
            if at < done {
                continue;
            }
            let start = line_start(raw, at);
            done = line_end(raw, at);
            hits.folded.read(&raw[start..done]);
            self.scan_as_written(&hits.folded.text, &mut inner);
            hits.is_exhausted |= inner.is_exhausted;
            for finding in &inner.findings {
                let written = hits.folded.written(&finding.bytes());
                let range = start + written.start..start + written.end;
                if !self.haystack(raw).begins_in_placeholder(&range) {
                    hits.findings.push(Finding::new(finding.detector, range));
                }
            }
            // What its placeholders decide about is not followed through the encoding.
            hits.open_lines.mark(at);
        }
        hits.inner = Some(inner);
    }

    fn scan_as_written(&self, raw: &[u8], hits: &mut Hits) {
        hits.findings.clear();
        hits.encoded.clear();
        hits.open_lines.clear(raw.len());
        hits.open_findings.clear(raw.len());
        hits.open_near.clear(raw.len());
        hits.open_numbers.clear();
        hits.is_exhausted = false;
        hits.last_found.resize(self.detectors.len(), (0..0, Answer::Found));
        if std::mem::take(&mut hits.has_last_found) {
            hits.last_found.fill((0..0, Answer::Found));
        }
        let mut masks = hits.masks.take().unwrap_or_default();
        masks.restart();
        let mut padded =
            hits.padded.take().unwrap_or_else(|| Box::new([0; GROUP_BYTES + LANE_BYTES]));
        let mut scan = Scan {
            engine: self,
            raw: self.haystack(raw),
            hits,
            numbers_until: 0,
            n_asks_left: ASKS_MIN + raw.len() * ASKS_PER_BYTE_MAX,
        };
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
            scan.visit(&masks, window, at);
        }
        hits.masks = Some(masks);
        hits.padded = Some(padded);
        self.sweep(raw, hits);
    }

    fn sweep(&self, raw: &[u8], hits: &mut Hits) {
        let Some(sweep) = &self.sweep else { return };
        let raw = self.haystack(raw);
        sweep.find(&raw, &mut |rule, range| {
            if !range.is_empty() && !raw.begins_in_placeholder(&range) {
                // The registry has room for every rule, see DETECTORS_MAX.
                let index = self.custom_base.saturating_add(u8::try_from(rule).unwrap_or(u8::MAX));
                hits.findings.push(Finding::new(index, range));
            }
        });
    }
}

impl Scan<'_> {
    /// Asks about every candidate of the group that begins at `base`.
    fn visit(&mut self, masks: &simd::Scan, window: &Window, base: usize) {
        let (engine, raw) = (self.engine, self.raw);
        let n_before = self.hits.findings.len();
        let bytes = |at: usize| [window[at], window[at + 1], window[at + 2], window[at + 3]];
        masks.each_literal(|at| {
            let ask = |owner, anchor| self.ask_literal(owner, anchor);
            engine.literals.anywhere.at(&raw, base + at, bytes(at), ask);
        });
        masks.each_prefix(|at| {
            let ask = |owner, anchor| self.ask_literal(owner, anchor);
            engine.literals.prefixes.at(&raw, base + at, bytes(at), ask);
        });
        masks.each_shape(engine.wanted_shapes, |index, at| match Shape::ALL[index] {
            Shape::Number => self.visit_number(masks, base, base + at),
            Shape::Encoded => self.hits.encoded.push(base + at),
            shape => self.visit_shape(index, shape, base + at),
        });
        // A group has few, and in order of place they need no other sorting in the end.
        if let Some(found) = self.hits.findings.get_mut(n_before..).filter(|f| f.len() > 1) {
            found.sort_unstable_by_key(spans::order);
        }
    }

    fn visit_shape(&mut self, index: usize, shape: Shape, at: usize) {
        let engine = self.engine;
        // A rule of the config may look at all of the line, so even what it found may change.
        let is_custom = shape == Shape::Digits4;
        let (mut is_open, mut is_found) = (is_custom, false);
        for owner in &engine.by_shape[index] {
            let answer = self.ask(*owner, at..at + 1);
            is_open |= answer == Answer::Open;
            is_found |= answer == Answer::Found;
            if answer == Answer::Found && engine.is_settled_alone[usize::from(*owner)] {
                self.hits.open_findings.mark(at);
            }
        }
        let hits = &mut self.hits;
        match shape {
            // What the placeholder of one detector leaves beside the sign is nothing for others.
            Shape::At if is_found => {}
            Shape::At | Shape::Digits4 if is_open => hits.open_lines.mark(at),
            _ if is_open => hits.open_near.mark(at),
            _ => {}
        }
    }

    fn visit_number(&mut self, masks: &simd::Scan, base: usize, at: usize) {
        if at < self.numbers_until {
            return;
        }
        let (engine, raw) = (self.engine, self.raw);
        let mut is_found = false;
        let seen = engine.numbers.visit(&raw, at, self.numbers_until, |owners, range, is_plain| {
            let is_part = word_before(&raw, range.start) || word_after(&raw, range.end);
            let mut is_number = false;
            let mut has_word = None;
            for owner in if is_part { &[] } else { owners } {
                let [is_plain_named, is_grouped_named] = engine.is_named[usize::from(*owner)];
                if if is_plain { is_plain_named } else { is_grouped_named } {
                    let any = || match range.start.checked_sub(base) {
                        Some(start) if start < GROUP_BYTES => {
                            let starts = masks.name_starts_before(start);
                            engine.words.any_at(&raw, range.start, starts)
                        }
                        _ => engine.words.any_before(&raw, range.start),
                    };
                    if !*has_word.get_or_insert_with(any) {
                        // A word may come near when what is between becomes a placeholder.
                        self.hits.open_near.mark(range.start);
                        continue;
                    }
                }
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
        if owner == folded::OWNER {
            return self.hits.encoded.push(at);
        }
        match self.ask(owner, anchor) {
            Answer::Found if self.engine.is_token[usize::from(owner)] => {}
            Answer::Found if self.engine.is_settled_alone[usize::from(owner)] => {
                self.hits.open_findings.mark(at);
            }
            Answer::Found | Answer::Open => self.hits.open_lines.mark(at),
            Answer::Never => {}
        }
    }

    /// Asks one detector about one anchor.
    fn ask(&mut self, index: u8, anchor: Range<usize>) -> Answer {
        let slot = usize::from(index);
        let (looked_at, answer) = &self.hits.last_found[slot];
        if looked_at.contains(&anchor.start) {
            return *answer;
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
            // What was redacted before is no finding, whatever stands around it.
            if !range.is_empty() && !self.raw.begins_in_placeholder(&range) {
                self.hits.last_found[slot] = (range.clone(), Answer::Found);
                self.hits.has_last_found = true;
                self.hits.findings.push(Finding::new(index, range));
                answer = Answer::Found;
            }
        }
        if looked_until > start {
            let again = if is_never { Answer::Never } else { Answer::Found };
            self.hits.last_found[slot] = (start..looked_until, again);
            self.hits.has_last_found = true;
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
