//! Removes PII and secrets from log bytes.
//!
//! [`Redactor`] is the only thing that can fill a [`Text`] or make a [`Value`], so whoever holds
//! one of those holds redacted bytes: the type system keeps that promise, not review.
//! The crate does no I/O, spawns nothing and knows nothing of the agent.
//!
//! The way of a chunk: vector code finds candidates, detectors find spans around them, overlapping
//! spans are united, changed lines are searched again, and placeholders replace the spans. What
//! fails on the way is replaced, never passed on.

mod assignment;
mod buckets;
mod checked_number;
mod chunks;
mod command_line;
mod context;
mod custom;
mod dates;
mod detectors;
mod documents;
mod engine;
mod folded;
mod guard;
mod haystack;
mod label;
mod layouts;
mod lettered_number;
mod lexis;
mod literals;
mod long_word;
mod numbers;
mod placeholders;
mod policy;
mod residual;
mod rules;
mod settle;
mod shapes;
mod simd;
mod spans;
mod text;

pub use chunks::Chunks;
pub use detectors::open_block as open_key_block;
pub use detectors::{Confidence, DETECTORS, DETECTORS_ON_REQUEST, Detector, Family, Rule};
pub use guard::is_guarded;
pub use haystack::{FAILED, Haystack, Names};
pub use policy::{CustomRule, Matcher, Policy, Problem, Profile, PseudonymKey, Strategy};
pub use shapes::Shape;
pub use spans::{Found, Span};
pub use text::{Edit, Text, Value};

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::Hits;
use rules::Rules;
use simd::Path;
use spans::Finding;

thread_local! {
    /// Kept for its memory: what the engine finds in the next chunk. It holds raw bytes, so it stays
    /// on its thread and does not travel with a [`Text`].
    static HITS: Cell<Option<Box<Hits>>> = Cell::default();
}

/// One in so many chunks is looked at again for what stayed: that costs a hundredth of the rest.
const CHUNKS_PER_SECOND_LOOK: u64 = 256;

/// Finds and replaces PII and secrets. Shared by reference between threads.
#[derive(Debug)]
pub struct Redactor {
    rules: Arc<Rules>,
    /// Replacements so far, one for each detector of the engine.
    counts: Vec<AtomicU64>,
    n_failed_lines: AtomicU64,
    n_chunks: AtomicU64,
    suspects: [AtomicU64; residual::KINDS.len()],
}

/// How often findings of one type were treated in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count<'a> {
    /// Type name of the detector.
    pub entity: &'a str,
    /// What became of them.
    pub strategy: Strategy,
    /// Number of findings.
    pub n_findings: u64,
}

impl Redactor {
    /// Every built-in detector, and masks.
    #[must_use]
    pub fn new() -> Self {
        static RULES: std::sync::LazyLock<Arc<Rules>> = std::sync::LazyLock::new(|| {
            let rules = Rules::new(&Policy::default(), Path::available()[0]);
            Arc::new(rules.expect("the default policy names nothing that could be wrong"))
        });
        Self::from_rules(RULES.clone())
    }

    /// What `policy` says. Costs some milliseconds: build it once.
    ///
    /// # Errors
    /// All that is wrong with the policy.
    pub fn with_policy(policy: &Policy) -> Result<Self, Vec<Problem>> {
        Ok(Self::from_rules(Arc::new(Rules::new(policy, Path::available()[0])?)))
    }

    /// Only the built-in detectors of these types, and masks.
    ///
    /// # Errors
    /// A name that is no type.
    pub fn with_types(names: &[&str]) -> Result<Self, Vec<Problem>> {
        let strategies = names.iter().map(|name| ((*name).to_owned(), Strategy::Mask));
        let strategies: BTreeMap<_, _> = strategies.collect();
        Self::with_policy(&Policy {
            strategies,
            default_strategy: Strategy::Keep,
            ..Policy::default()
        })
    }

    /// The default redactor once for each way that this processor has to compute masks, the slowest
    /// last: for tests that hold them to each other.
    #[doc(hidden)]
    #[must_use]
    pub fn on_every_path() -> Vec<Self> {
        let rules =
            |path| Rules::new(&Policy::default(), path).expect("the default policy is right");
        Path::available().into_iter().map(|path| Self::from_rules(rules(path).into())).collect()
    }

    fn from_rules(rules: Arc<Rules>) -> Self {
        Self {
            counts: rules.strategies.iter().map(|_| AtomicU64::new(0)).collect(),
            rules,
            n_failed_lines: AtomicU64::new(0),
            n_chunks: AtomicU64::new(0),
            suspects: Default::default(),
        }
    }

    /// Appends `raw` to `text` with every finding replaced by its placeholder.
    ///
    /// `raw` is whole lines: a secret that is cut at the end of a chunk is only found by the few
    /// detectors that know cut lines; [`Chunks`] cuts a stream where it may be cut. Returns where
    /// the appended bytes stand; `text.edits()` then tells where offsets moved, and `text.drops()`
    /// which records must not leave. A line on which the engine fails becomes
    /// `[REDACTION_FAILED]`.
    pub fn redact_chunk(&self, raw: &[u8], text: &mut Text) -> Range<u32> {
        let mut hits = HITS.take().unwrap_or_default();
        let n_failed = guard::search(&self.rules, raw, &mut hits);
        let start = spans::offset(text.len());
        self.rules.placeholders.append(raw, 0, &hits.findings, text);
        self.count(&hits, n_failed);
        HITS.set(Some(hits));
        let appended = start..spans::offset(text.len());
        self.look_again(text.get(&appended));
        appended
    }

    /// [`redact_chunk`](Self::redact_chunk) for one line: slower per byte, as each call has a
    /// fixed cost of about a hundred bytes.
    pub fn redact_line(&self, raw: &[u8], text: &mut Text) -> Range<u32> {
        self.redact_chunk(raw, text)
    }

    /// Replaces the contents of `spans` by what [`redact_chunk`](Self::redact_chunk) would hide in
    /// `raw`: sorted, disjoint. Counts nothing.
    pub fn detect<'a>(&'a self, raw: &[u8], spans: &mut Vec<Span<'a>>) {
        let mut hits = Hits::default();
        guard::search(&self.rules, raw, &mut hits);
        spans.clear();
        spans.extend(hits.findings.into_iter().map(|finding| self.span(finding)));
    }

    fn span(&self, finding: Finding) -> Span<'_> {
        let Finding { detector, range, .. } = finding;
        if detector >= placeholders::DROPPED_LINE {
            let is_dropped = detector == placeholders::DROPPED_LINE;
            let entity = if is_dropped { haystack::DROPPED } else { haystack::FAILED };
            return Span { entity, range, confidence: Confidence::Certain, validator: "" };
        }
        let rule = self.rules.engine.detector(detector).rule();
        let Rule { entity, confidence, validator, .. } = rule;
        Span { entity, range, confidence, validator }
    }

    /// Redacts one short string: a label value, an attribute, a path.
    #[must_use]
    pub fn value(&self, raw: &str) -> Value {
        let mut text = Text::default();
        let range = self.redact_chunk(raw.as_bytes(), &mut text);
        Value::from_redacted(text.get(&range))
    }

    /// Findings so far by type; every type is listed.
    #[must_use]
    pub fn counts(&self) -> Vec<Count<'_>> {
        let types = self.rules.engine.detectors().zip(&self.rules.strategies);
        let counts = types.zip(&self.counts).map(|((detector, strategy), count)| Count {
            entity: detector.rule().entity,
            strategy: *strategy,
            n_findings: count.load(Ordering::Relaxed),
        });
        counts.collect()
    }

    /// Lines so far on which the engine failed, and which were replaced as a whole.
    #[must_use]
    pub fn n_failed_lines(&self) -> u64 {
        self.n_failed_lines.load(Ordering::Relaxed)
    }

    /// What one in 256 chunks still held that looks like PII or a secret, by kind.
    #[must_use]
    pub fn suspects(&self) -> [(&'static str, u64); 3] {
        std::array::from_fn(|i| (residual::KINDS[i], self.suspects[i].load(Ordering::Relaxed)))
    }

    /// Hash of version, types and policy: equal where the same is redacted.
    #[must_use]
    pub fn rules_hash(&self) -> &str {
        &self.rules.hash
    }

    /// Names of the custom rules that have no literal and no run of digits to look for, and so cost
    /// a pass of their own.
    #[must_use]
    pub fn slow_rules(&self) -> &[String] {
        &self.rules.slow
    }

    fn count(&self, hits: &Hits, n_failed: u64) {
        // Only sums are read, so no order between counters is needed.
        if n_failed > 0 {
            self.n_failed_lines.fetch_add(n_failed, Ordering::Relaxed);
        }
        let shown = hits.findings.iter().map(|finding| finding.detector);
        for detector in shown.chain(hits.dropped.iter().map(|finding| finding.detector)) {
            if let Some(total) = self.counts.get(usize::from(detector)) {
                total.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn look_again(&self, redacted: &[u8]) {
        if self.n_chunks.fetch_add(1, Ordering::Relaxed).is_multiple_of(CHUNKS_PER_SECOND_LOOK) {
            for (n, total) in residual::count(redacted).into_iter().zip(&self.suspects) {
                total.fetch_add(n, Ordering::Relaxed);
            }
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
