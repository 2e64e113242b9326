//! Compiles the rules of the config into detectors.
//!
//! What every match of a rule contains becomes its anchor, so that a rule costs nothing where that
//! does not stand. Rules without one share a [`Sweep`] over all text. All that is wrong with the
//! rules is told at once.

mod checks;
mod keys;
#[cfg(test)]
mod laws;
mod piece;
mod regex;
mod required;
mod sweep;
mod terms;

use std::ops::Range;

use crate::context::follows_word_within;
use crate::detectors::{Confidence, Detector, Family, Rule};
use crate::haystack::Haystack;
use crate::policy::{CustomRule, Matcher, Problem, RulePlace};
use crate::shapes::Shape;
use crate::spans::Found;
use piece::Piece;
use regex::{Flaw, Pattern};
use required::Anchor;
use sweep::Owned;
pub(crate) use sweep::Sweep;

/// Most rules: findings name their detector with a byte, and people review rules.
const RULES_MAX: usize = 128;

/// Rules, ready to be searched for.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// One per rule, in order; those without anchors are found by `sweep` alone.
    pub(crate) detectors: Vec<Box<dyn Detector>>,
    /// None when every rule has an anchor.
    pub(crate) sweep: Option<Sweep>,
    /// Names of the rules whose expression has neither a mandatory literal nor a run of digits: they
    /// cost a pass over all text. Dictionaries do too, but nobody can write them in another way.
    pub(crate) slow: Vec<String>,
}

/// Compiles `rules`, or tells all that is wrong with them.
pub(crate) fn compile(rules: &[CustomRule]) -> Result<Compiled, Vec<Problem>> {
    let mut problems = checks::problems(rules);
    let mut compiled = Compiled { detectors: Vec::new(), sweep: None, slow: Vec::new() };
    let mut swept = Swept::default();
    // That there are more was told: they are not worth the time.
    for (index, rule) in rules.iter().enumerate().take(RULES_MAX) {
        let context = Context { words: rule.context.clone(), n_bytes: rule.context_bytes };
        match swept.detector(index, rule, context) {
            Ok(detector) => compiled.detectors.push(Box::new(detector)),
            Err(Flaw { message, span }) => {
                let rule = Some(RulePlace { index, key: "regex" });
                problems.push(Problem { rule, message, span });
            }
        }
    }
    if !problems.is_empty() {
        problems.sort_by_key(|problem| problem.rule.map(|rule| rule.index));
        return Err(problems);
    }
    let names = swept.patterns.iter().map(|owned| rules[owned.rule].name.clone());
    compiled.slow.extend(names);
    compiled.sweep = Sweep::new(swept.patterns, swept.lists);
    Ok(compiled)
}

/// What has no anchor.
#[derive(Debug, Default)]
struct Swept {
    patterns: Vec<Owned<Pattern>>,
    lists: Vec<Owned<Vec<String>>>,
}

impl Swept {
    /// The detector of the rule with that index; what it has no anchor for is kept here.
    fn detector(
        &mut self,
        index: usize,
        rule: &CustomRule,
        context: Context,
    ) -> Result<Custom, Flaw> {
        let owned_context = context.clone();
        let mut custom = Custom {
            entity: rule.name.clone(),
            literals: Vec::new(),
            shapes: &[],
            search: Search::BySweep,
            context,
        };
        match &rule.matcher {
            Matcher::Regex(pattern) => {
                let pattern = Pattern::new(pattern)?;
                match pattern.anchor() {
                    Anchor::Texts(texts) => custom.literals = texts,
                    Anchor::Digits => custom.shapes = &[Shape::Digits4],
                    Anchor::None => {
                        self.patterns.push(Owned::new(index, owned_context, pattern));
                        return Ok(custom);
                    }
                }
                custom.search = Search::Pattern(Box::new(pattern));
            }
            Matcher::Terms(terms) if terms::are_literals(terms) => {
                custom.literals = terms::spellings(terms);
                custom.search = Search::Terms;
            }
            Matcher::Terms(terms) => {
                self.lists.push(Owned::new(index, owned_context, terms::spellings(terms)));
            }
            Matcher::Keys(keys) => {
                custom.literals = keys::spellings(keys);
                custom.search = Search::Keys;
            }
        }
        Ok(custom)
    }
}

/// Words one of which must stand before a finding.
#[derive(Debug, Clone)]
struct Context {
    /// Empty when anything may stand there.
    words: Vec<String>,
    n_bytes: usize,
}

impl Context {
    fn allows(&self, raw: &Haystack<'_>, start: usize) -> bool {
        self.words.is_empty() || follows_word_within(raw, start, &self.words, self.n_bytes)
    }
}

/// The detector of one rule.
#[derive(Debug)]
struct Custom {
    entity: String,
    literals: Vec<String>,
    shapes: &'static [Shape],
    search: Search,
    context: Context,
}

/// What is done at an anchor.
#[derive(Debug)]
enum Search {
    Pattern(Box<Pattern>),
    /// The terms are the literals.
    Terms,
    /// The keys are the literals.
    Keys,
    /// There is no anchor.
    BySweep,
}

impl Detector for Custom {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: &self.entity,
            family: Family::Secret,
            confidence: Confidence::Likely,
            validator: "rule of the config",
            shapes: self.shapes,
            is_token: false,
            ..Rule::NONE
        }
    }

    fn literals(&self) -> Vec<&str> {
        self.literals.iter().map(String::as_str).collect()
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        match &self.search {
            Search::Pattern(pattern) => {
                let piece = Piece::around(raw, &anchor);
                pattern.find(&piece, |range| {
                    if self.context.allows(raw, range.start) {
                        found.push(range);
                    }
                });
                found.looked_until(piece.end());
            }
            Search::Terms if self.context.allows(raw, anchor.start) => {
                terms::find(&self.literals, raw, &anchor, found);
            }
            Search::Keys if self.context.allows(raw, anchor.start) => {
                keys::find(raw, &anchor, found);
            }
            Search::Terms | Search::Keys | Search::BySweep => {}
        }
    }
}
