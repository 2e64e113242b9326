//! The engine that a Rust programmer writes first: a `RegexSet` asks each line which rules hit it,
//! and the regular expressions of those rules say where.

use redaction::Redactor;
use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use crate::locators::locators;
use crate::measure::{chunks, cpu_seconds, lines};
use crate::regions::{Found, Output, Regions};

/// Room for the lazy automaton; with the library's 2 MiB it starts over and over.
const AUTOMATON_BYTES_MAX: usize = 64 << 20;

/// The rules, compiled.
pub(crate) struct Rules {
    set: RegexSet,
    each: Vec<Regex>,
    begins_block: Vec<bool>,
}

/// What a run of the engine cost.
pub(crate) struct Cost {
    /// CPU seconds of all work, the faster of two ways to ask the set.
    pub(crate) seconds: f64,
    /// CPU seconds without looking for the places on a line, which another program would need to
    /// decide them. Deciding whole lines, as is done here, does not.
    pub(crate) lines_seconds: f64,
    /// CPU seconds of asking the set alone, which finds lines and nothing else.
    pub(crate) set_seconds: f64,
}

/// How a line is searched.
#[derive(Clone, Copy)]
enum Way {
    /// Which rules hit it, and where.
    RulesOfEveryLine,
    /// The same, but first whether any does: faster where few lines are hit.
    RulesOfHitLines,
    /// Whether any rule hits it.
    Lines,
}

impl Rules {
    pub(crate) fn new() -> Self {
        let locators = locators();
        let patterns: Vec<&str> = locators.iter().map(|l| l.pattern.as_str()).collect();
        let compile = |pattern: &&str| {
            RegexBuilder::new(pattern).unicode(false).multi_line(true).build().expect("a constant")
        };
        let set = RegexSetBuilder::new(&patterns)
            .unicode(false)
            .multi_line(true)
            .size_limit(AUTOMATON_BYTES_MAX)
            .dfa_size_limit(AUTOMATON_BYTES_MAX)
            .build()
            .expect("constants");
        Self {
            set,
            each: patterns.iter().map(compile).collect(),
            begins_block: locators.iter().map(|l| l.entity == "PRIVATE_KEY").collect(),
        }
    }

    /// Fills `regions` with the lines that hold a match; returns how many matches there are.
    fn locate(&self, chunk: &[u8], way: Way, regions: &mut Regions) -> usize {
        regions.clear();
        let mut n_matches = 0;
        for range in lines(chunk) {
            let line = &chunk[range.clone()];
            if !matches!(way, Way::RulesOfEveryLine) && !self.set.is_match(line) {
                continue;
            }
            if matches!(way, Way::Lines) {
                regions.add(chunk, range, memchr::memmem::find(line, b"-----BEGIN").is_some());
                continue;
            }
            let hit = self.set.matches(line);
            let mut begins_block = false;
            for rule in hit.iter() {
                n_matches += self.each[rule].find_iter(line).count();
                begins_block |= self.begins_block[rule];
            }
            if hit.matched_any() {
                regions.add(chunk, range, begins_block);
            }
        }
        n_matches
    }

    pub(crate) fn measure(&self, raw: &[u8], redactor: &Redactor) -> Cost {
        let (mut regions, mut output) = (Regions::default(), Output::default());
        let mut seconds_of = |way| {
            cpu_seconds(|| {
                for chunk in chunks(raw) {
                    std::hint::black_box(self.locate(chunk, way, &mut regions));
                    regions.redact(redactor, chunk, &mut output);
                    std::hint::black_box(&output.bytes);
                }
            })
        };
        let ways = [Way::RulesOfEveryLine, Way::RulesOfHitLines, Way::Lines];
        let [every_line, hit_lines, lines_seconds] = ways.map(&mut seconds_of);
        let set_seconds = cpu_seconds(|| {
            for chunk in chunks(raw) {
                let n_hit = lines(chunk).filter(|line| self.set.is_match(&chunk[line.clone()]));
                std::hint::black_box(n_hit.count());
            }
        });
        Cost { seconds: every_line.min(hit_lines), lines_seconds, set_seconds }
    }

    pub(crate) fn findings(&self, raw: &[u8], redactor: &Redactor) -> Vec<Found> {
        let (mut found, mut regions, mut base) = (Vec::new(), Regions::default(), 0);
        for chunk in chunks(raw) {
            self.locate(chunk, Way::RulesOfEveryLine, &mut regions);
            regions.detect(redactor, chunk, base, &mut found);
            base += chunk.len();
        }
        found
    }
}
