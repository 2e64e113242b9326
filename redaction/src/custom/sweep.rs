//! Rules without an anchor: one pass over all text for all of them.

use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use regex_automata::{Input, PatternSet, meta};

use super::Context;
use super::piece::Piece;
use super::regex::{Pattern, which};
use super::terms::is_alone;
use crate::haystack::Haystack;
use crate::lexis::work;

/// Most bytes of the terms of all dictionaries: their automaton takes some ten times
/// as much while it is built.
pub(super) const DICTIONARY_BYTES_MAX: usize = 4 << 20;

/// Most bytes of terms for an automaton with a table. Measured with 10,000 terms of 12 bytes: 600 MB/s
/// and 18 MB with a table, 370 MB/s and 1.5 MB without, so that is for few of them.
const TABLE_BYTES_MAX: usize = 16 << 10;

/// Searches all text.
#[derive(Debug)]
pub(crate) struct Sweep {
    patterns: Patterns,
    dictionary: Option<Dictionary>,
}

impl Sweep {
    /// None when there is nothing to search for.
    pub(super) fn new(
        patterns: Vec<Owned<Pattern>>,
        lists: Vec<Owned<Vec<String>>>,
    ) -> Option<Self> {
        let is_empty = patterns.is_empty() && lists.is_empty();
        (!is_empty)
            .then(|| Self { patterns: Patterns::new(patterns), dictionary: Dictionary::new(lists) })
    }

    /// Calls `found` with the index of a rule and what it hides in `raw`, in any order.
    pub(crate) fn find(&self, raw: &Haystack<'_>, found: &mut dyn FnMut(usize, Range<usize>)) {
        self.patterns.find(raw, found);
        if let Some(dictionary) = &self.dictionary {
            dictionary.find(raw, found);
        }
    }
}

/// Something of one rule.
#[derive(Debug)]
pub(super) struct Owned<T> {
    /// Index of the rule.
    pub(super) rule: usize,
    pub(super) context: Context,
    pub(super) what: T,
}

impl<T> Owned<T> {
    pub(super) fn new(rule: usize, context: Context, what: T) -> Self {
        Self { rule, context, what }
    }
}

/// Expressions without an anchor.
#[derive(Debug)]
struct Patterns {
    all: Vec<Owned<Pattern>>,
    /// Tells which of them match. None when each is tried anyway.
    which: Option<meta::Regex>,
}

impl Patterns {
    fn new(all: Vec<Owned<Pattern>>) -> Self {
        let many = Some(&all).filter(|all| all.len() > 1);
        let which = many.and_then(|all| which(all.iter().map(|owned| &owned.what)));
        Self { all, which }
    }

    fn find(&self, raw: &Haystack<'_>, found: &mut dyn FnMut(usize, Range<usize>)) {
        if self.all.is_empty() {
            return;
        }
        let mut matching = PatternSet::new(self.all.len());
        let mut start = 0;
        while start < raw.len() {
            let end = memchr::memchr(b'\n', &raw[start..]).map_or(raw.len(), |at| start + at);
            for piece in Piece::all(raw, start..end) {
                self.find_in(raw, &piece, &mut matching, found);
            }
            start = end + 1;
        }
    }

    fn find_in(
        &self,
        raw: &Haystack<'_>,
        piece: &Piece<'_>,
        matching: &mut PatternSet,
        found: &mut dyn FnMut(usize, Range<usize>),
    ) {
        matching.clear();
        if let Some(which) = &self.which {
            let input = Input::new(&*piece.text).span(piece.span.clone());
            which.which_overlapping_matches(&input, matching);
        }
        for (index, owned) in self.all.iter().enumerate() {
            let may_match = self.which.is_none()
                || regex_automata::PatternID::new(index).is_ok_and(|id| matching.contains(id));
            if may_match {
                owned.what.find(piece, |range| {
                    if owned.context.allows(raw, range.start) {
                        found(owned.rule, range);
                    }
                });
            }
        }
    }
}

/// The terms of all rules that have many.
#[derive(Debug)]
struct Dictionary {
    automaton: AhoCorasick,
    /// The rules, as `all[n]`.
    all: Vec<Owned<()>>,
    /// For each pattern of the automaton, the index of its rule in `all`.
    owners: Vec<u8>,
}

impl Dictionary {
    fn new(lists: Vec<Owned<Vec<String>>>) -> Option<Self> {
        let (mut terms, mut owners, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for (n, Owned { rule, context, what }) in (0u8..).zip(lists) {
            owners.resize(owners.len() + what.len(), n);
            terms.extend(what);
            all.push(Owned::new(rule, context, ()));
        }
        // All matches, not the leftmost longest ones: a term that is a part of a longer word must
        // not hide another one that begins inside it.
        let n_bytes: usize = terms.iter().map(String::len).sum();
        let kind = if n_bytes <= TABLE_BYTES_MAX {
            AhoCorasickKind::DFA
        } else {
            AhoCorasickKind::ContiguousNFA
        };
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(kind))
            .build(&terms)
            .ok()?;
        (!all.is_empty()).then_some(Self { automaton, all, owners })
    }

    fn find(&self, raw: &Haystack<'_>, found: &mut dyn FnMut(usize, Range<usize>)) {
        // What one rule finds is united here: terms of punctuation may overlap at every byte.
        let mut pending = vec![0..0; self.all.len()];
        work::add(raw.len());
        for hit in self.automaton.find_overlapping_iter(raw.bytes()) {
            let slot = usize::from(self.owners[hit.pattern().as_usize()]);
            let (owned, range) = (&self.all[slot], hit.range());
            if !is_alone(raw, &range) || !owned.context.allows(raw, range.start) {
                continue;
            }
            let last: &mut Range<usize> = &mut pending[slot];
            // Hits come by their ends.
            if range.start < last.end {
                *last = last.start.min(range.start)..range.end;
            } else {
                let ended = std::mem::replace(last, range);
                if !ended.is_empty() {
                    found(owned.rule, ended);
                }
            }
        }
        for (owned, last) in self.all.iter().zip(pending).filter(|(_, last)| !last.is_empty()) {
            found(owned.rule, last);
        }
    }
}
