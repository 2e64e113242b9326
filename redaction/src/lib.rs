//! Removes PII and secrets from log bytes.
//!
//! [`Redactor`] is the only thing that can fill a [`Text`] or make a [`Value`], so whoever holds
//! one of those holds redacted bytes: the type system keeps that promise, not review.
//! The crate does no I/O, spawns nothing and knows nothing of the agent.
//!
//! The way of a chunk: the engine finds anchors, detectors find spans around them, overlapping
//! spans are united, changed lines are searched again, and placeholders replace the spans.

mod assignment;
mod context;
#[cfg_attr(not(test), expect(dead_code, reason = "policies come with Redactor::with_policy"))]
mod custom;
mod detectors;
mod engine;
mod haystack;
mod lexis;
mod literals;
mod numbers;
mod placeholders;
mod policy;
mod settle;
mod shapes;
mod simd;
mod spans;
mod text;

pub use detectors::{Confidence, DETECTORS, Detector, Family, Rule};
pub use haystack::{Haystack, Names};
pub use policy::{CustomRule, Matcher, Policy, Problem, Profile, PseudonymKey, Strategy};
pub use shapes::Shape;
pub use spans::{Found, Span};
pub use text::{Edit, Text, Value};

use std::cell::Cell;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::{Asked, Engine, Hits};
use placeholders::Placeholders;
use simd::Path;
use spans::Finding;

thread_local! {
    /// Kept for its memory: what the engine finds in the next chunk. It holds raw bytes, so it stays
    /// on its thread and does not travel with a [`Text`].
    static HITS: Cell<Hits> = Cell::default();
}

/// Finds and replaces PII and secrets. Shared by reference between threads.
#[derive(Debug)]
pub struct Redactor {
    engine: Engine,
    placeholders: Placeholders,
    /// Replacements so far, in the order of [`DETECTORS`].
    counts: [AtomicU64; DETECTORS.len()],
}

impl Redactor {
    /// Builds the redactor with every built-in detector. Costs under a millisecond: build it once.
    #[must_use]
    pub fn new() -> Self {
        let detectors = DETECTORS.iter().map(|d| Asked::BuiltIn(*d)).collect();
        let engine = Engine::new(detectors, Path::available()[0], None, 0);
        Self {
            placeholders: Placeholders::new(&engine),
            engine,
            counts: [const { AtomicU64::new(0) }; DETECTORS.len()],
        }
    }

    /// Appends `raw` to `text` with every finding replaced by its placeholder.
    ///
    /// `raw` is whole lines: a secret that is cut at the end of a chunk is only found by the few
    /// detectors that know cut lines. Returns where the appended bytes stand; `text.edits()` then
    /// tells where offsets moved.
    pub fn redact_chunk(&self, raw: &[u8], text: &mut Text) -> Range<u32> {
        let mut hits = HITS.take();
        self.search(raw, &mut hits);
        let start = spans::offset(text.len());
        self.placeholders.append(raw, 0, &hits.findings, text);
        self.count(&hits.findings);
        HITS.set(hits);
        start..spans::offset(text.len())
    }

    /// Replaces the contents of `spans` by what [`redact_chunk`](Self::redact_chunk) would hide in
    /// `raw`: sorted, disjoint. Counts nothing.
    pub fn detect(&self, raw: &[u8], spans: &mut Vec<Span>) {
        let mut hits = Hits::default();
        self.search(raw, &mut hits);
        spans.clear();
        spans.extend(hits.findings.into_iter().map(|finding| Span {
            entity: DETECTORS[usize::from(finding.detector)].rule().entity,
            range: finding.range,
        }));
    }

    fn search(&self, raw: &[u8], hits: &mut Hits) {
        self.engine.scan(raw, hits);
        if !hits.findings.is_empty() {
            spans::unite(&mut hits.findings);
            settle::settle(&self.engine, &self.placeholders, raw, hits);
        }
    }

    /// Redacts one short string: a label value, an attribute, a path.
    #[must_use]
    pub fn value(&self, raw: &str) -> Value {
        let mut text = Text::default();
        let range = self.redact_chunk(raw.as_bytes(), &mut text);
        Value::from_redacted(text.get(&range))
    }

    /// Replacements made so far by this redactor, by type; every type is listed.
    #[must_use]
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        let names = DETECTORS.iter().map(|d| d.rule().entity);
        names.zip(self.counts.iter().map(|c| c.load(Ordering::Relaxed))).collect()
    }

    fn count(&self, findings: &[Finding]) {
        let mut n_found = [0_u64; DETECTORS.len()];
        for finding in findings {
            n_found[usize::from(finding.detector)] += 1;
        }
        for (n, total) in n_found.iter().zip(&self.counts).filter(|(n, _)| **n > 0) {
            // Only sums are read, so no order between counters is needed.
            total.fetch_add(*n, Ordering::Relaxed);
        }
    }
}

impl Default for Redactor {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod structured;
