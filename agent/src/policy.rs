//! The redactors of the process: one for most of what it reads, and others for some files.

mod describe;
mod key;
mod names;
mod rules;
mod section;
#[cfg(test)]
mod tests;

pub(crate) use section::configure;

use crate::config::Problems;
use globset::GlobSet;
use redaction::{DETECTORS, DETECTORS_ON_REQUEST, Detector, Policy, Problem, Profile, Redactor};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Every redactor of the process.
pub struct Redactors {
    policy: Policy,
    base: Arc<Redactor>,
    sources: Vec<Source>,
    /// What the redactors of earlier configs did: counters of a process do not go down.
    before: Done,
}

/// What redactors have done.
#[derive(Default)]
struct Done {
    counts: BTreeMap<(String, &'static str), u64>,
    n_failed_lines: u64,
    suspects: BTreeMap<&'static str, u64>,
}

/// Files that are redacted in another way than the rest.
struct Source {
    files: Files,
    policy: Policy,
    redactor: Arc<Redactor>,
}

/// Which files those are.
#[derive(Clone)]
struct Files {
    globs: GlobSet,
    patterns: Vec<String>,
    /// Names of the keys in which they differ from the rest.
    changes: Vec<&'static str>,
}

impl Redactors {
    /// One redactor for everything.
    ///
    /// # Errors
    /// All that is wrong with the policy.
    pub fn new(policy: Policy) -> Result<Self, Vec<Problem>> {
        let base = Arc::new(redactor(&policy)?);
        Ok(Self { policy, base, sources: Vec::new(), before: Done::default() })
    }

    /// What the base redactor looks for.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The same with that profile everywhere, also for files that have a policy of their own; all
    /// else stays as it is.
    ///
    /// # Errors
    /// When a policy and that profile do not go together.
    pub fn with_profile(&self, profile: Profile) -> Result<Self, Problems> {
        let remake = |policy: &Policy| {
            let policy = Policy { profile, ..policy.clone() };
            let made = redactor(&policy).map_err(|problems| {
                let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                Problems::whole_file("--profile", problems.join("; "))
            });
            made.map(|redactor| (policy, Arc::new(redactor)))
        };
        let (policy, base) = remake(&self.policy)?;
        let mut sources = Vec::new();
        for source in &self.sources {
            let (policy, redactor) = remake(&source.policy)?;
            sources.push(Source { files: source.files.clone(), policy, redactor });
        }
        Ok(Self { policy, base, sources, before: Done::default() })
    }

    /// The redactor of all that is not a file with one of its own: labels, answers of APIs, paths.
    #[must_use]
    pub fn base(&self) -> &Arc<Redactor> {
        &self.base
    }

    /// The redactor of the log file at `path`.
    #[must_use]
    pub fn of_file(&self, path: &Path) -> &Arc<Redactor> {
        // Globs are about whole paths, whatever the working directory.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let source = self.sources.iter().find(|source| source.files.globs.is_match(&path));
        source.map_or(&self.base, |source| &source.redactor)
    }

    /// Each redactor once, the base first.
    pub fn all(&self) -> impl Iterator<Item = &Redactor> {
        let sources = self.sources.iter().map(|source| source.redactor.as_ref());
        [self.base.as_ref()].into_iter().chain(sources)
    }

    /// Findings of all redactors so far, by type and name of the strategy.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<(&str, &'static str), u64> {
        let before = self.before.counts.iter();
        let mut counts: BTreeMap<_, _> =
            before.map(|((entity, strategy), n)| ((entity.as_str(), *strategy), *n)).collect();
        for count in self.all().flat_map(Redactor::counts) {
            *counts.entry((count.entity, count.strategy.name())).or_default() += count.n_findings;
        }
        counts
    }

    /// Lines so far that were hidden because a redactor failed on them.
    #[must_use]
    pub fn n_failed_lines(&self) -> u64 {
        self.before.n_failed_lines + self.all().map(Redactor::n_failed_lines).sum::<u64>()
    }

    /// What still looked like something to hide when it was searched again, by kind.
    #[must_use]
    pub fn suspects(&self) -> BTreeMap<&'static str, u64> {
        let mut suspects = self.before.suspects.clone();
        for (kind, n) in self.all().flat_map(Redactor::suspects) {
            *suspects.entry(kind).or_default() += n;
        }
        suspects
    }

    /// Counts on from where the redactors of the config before are, which must work no more.
    pub fn count_on_from(&mut self, before: &Self) {
        let counts = before.counts();
        let owned = |((entity, strategy), n): ((&str, _), _)| ((entity.to_owned(), strategy), n);
        self.before = Done {
            counts: counts.into_iter().map(owned).collect(),
            n_failed_lines: before.n_failed_lines(),
            suspects: before.suspects(),
        };
    }

    /// Says with which rules something was redacted: equal only where the same comes out again.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hash = Sha256::new();
        hash.update(self.base.rules_hash());
        for source in &self.sources {
            hash.update(format!("{:?} {}", source.files.patterns, source.redactor.rules_hash()));
        }
        hash.finalize().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// True when both do the same with the same text: also with the same dictionaries and keys.
    #[must_use]
    pub fn is_same_policy(&self, other: &Self) -> bool {
        let same = |(one, other): (&Source, &Source)| {
            one.policy == other.policy && one.files.patterns == other.files.patterns
        };
        self.policy == other.policy
            && self.sources.len() == other.sources.len()
            && self.sources.iter().zip(&other.sources).all(same)
    }
}

impl fmt::Debug for Redactors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<_> = self.all().map(Redactor::rules_hash).collect();
        f.debug_struct("Redactors").field("rules", &rules).finish_non_exhaustive()
    }
}

impl Default for Redactors {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            base: Arc::new(Redactor::new()),
            sources: Vec::new(),
            before: Done::default(),
        }
    }
}

/// The rules of the default policy are made once for the process.
fn redactor(policy: &Policy) -> Result<Redactor, Vec<Problem>> {
    if *policy == Policy::default() { Ok(Redactor::new()) } else { Redactor::with_policy(policy) }
}

/// The built-in detector of a type.
#[must_use]
pub fn built_in(entity: &str) -> Option<&'static dyn Detector> {
    let mut all = DETECTORS.iter().chain(DETECTORS_ON_REQUEST);
    all.find(|detector| detector.rule().entity == entity).copied()
}
