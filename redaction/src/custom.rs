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
use crate::policy::{CustomRule, Matcher, Problem};
use crate::shapes::Shape;
use crate::spans::Found;
use piece::Piece;
use regex::Pattern;
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
    let (mut patterns, mut lists) = (Vec::new(), Vec::new());
    // What is too much was told: it is not worth the time.
    for (rule, custom) in rules.iter().enumerate().take(RULES_MAX) {
        let context = Context { words: custom.context.clone(), n_bytes: custom.context_bytes };
        let (mut literals, mut shapes): (Vec<String>, &[Shape]) = (Vec::new(), &[]);
        let search = match &custom.matcher {
            Matcher::Regex(pattern) => match Pattern::new(pattern) {
                Ok(pattern) => {
                    let anchor = pattern.anchor();
                    if anchor == Anchor::None {
                        compiled.slow.push(custom.name.clone());
                        patterns.push(Owned { rule, context: context.clone(), what: pattern });
                        Search::BySweep
                    } else {
                        match anchor {
                            Anchor::Texts(texts) => literals = texts,
                            Anchor::Digits => shapes = &[Shape::Digits4],
                            Anchor::None => {}
                        }
                        Search::Pattern(Box::new(pattern))
                    }
                }
                Err(flaw) => {
                    let regex::Flaw { message, span } = flaw;
                    problems.push(Problem { rule: Some(rule), message, span });
                    continue;
                }
            },
            Matcher::Terms(terms) if terms::are_literals(terms) => {
                literals.clone_from(terms);
                Search::Terms
            }
            Matcher::Terms(terms) => {
                lists.push(Owned { rule, context: context.clone(), what: terms.clone() });
                Search::BySweep
            }
            Matcher::Keys(keys) => {
                literals.clone_from(keys);
                Search::Keys
            }
        };
        let entity = custom.name.clone();
        let detector = Custom { entity, literals, shapes, search, context };
        compiled.detectors.push(Box::new(detector));
    }
    if !problems.is_empty() {
        problems.sort_by_key(|problem| problem.rule);
        return Err(problems);
    }
    compiled.sweep = Sweep::new(patterns, lists);
    Ok(compiled)
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
