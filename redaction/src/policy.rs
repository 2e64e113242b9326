//! What is looked for and what becomes of it, as plain data that a config can be read into.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use crate::detectors::Family;

/// What becomes of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Strategy {
    /// `[EMAIL]`.
    #[default]
    Mask,
    /// `[CREDIT_CARD:**1111]`: the last four characters stay, of eight or more.
    Partial,
    /// `[EMAIL:k1:3f0a…]`: the same value gives the same 96 bits wherever the same key is used.
    Pseudonym,
    /// Letters become `x` and `X`, digits `0`, the rest stays: `xxxx.xxx@xxxxxxx.xxx`.
    FormatPreserving,
    /// The record does not leave at all; in a filter its line becomes `[DROPPED]`.
    DropRecord,
    /// The type is not looked for.
    Keep,
}

impl Strategy {
    /// Every strategy.
    pub const ALL: [Self; 6] = [
        Self::Mask,
        Self::Partial,
        Self::Pseudonym,
        Self::FormatPreserving,
        Self::DropRecord,
        Self::Keep,
    ];

    /// The name that configs and metrics use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mask => "mask",
            Self::Partial => "partial",
            Self::Pseudonym => "pseudonym",
            Self::FormatPreserving => "format_preserving",
            Self::DropRecord => "drop_record",
            Self::Keep => "keep",
        }
    }
}

/// A set of families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Profile {
    /// Credentials alone.
    Secrets,
    /// Card numbers and credentials, which PCI DSS is about.
    Pci,
    /// Data about persons: numbers of persons, accounts, cards and machines.
    Gdpr,
    /// All that the crate knows.
    #[default]
    All,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 4] = [Self::Secrets, Self::Pci, Self::Gdpr, Self::All];

    /// The name that configs use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Secrets => "secrets",
            Self::Pci => "pci",
            Self::Gdpr => "gdpr",
            Self::All => "all",
        }
    }

    /// True when types of `family` belong to it.
    #[must_use]
    pub fn has(self, family: Family) -> bool {
        match self {
            Self::Secrets => family == Family::Secret,
            Self::Pci => matches!(family, Family::Secret | Family::Card),
            Self::Gdpr => family != Family::Secret,
            Self::All => true,
        }
    }
}

/// Key of pseudonyms. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct PseudonymKey {
    id: String,
    secret: Vec<u8>,
}

impl PseudonymKey {
    /// Fewest bytes of a secret: 128 bits.
    pub const SECRET_BYTES_MIN: usize = 16;

    /// A key with a name of 1 to 16 letters and digits, which stands in each pseudonym and tells
    /// after a change which key made it. None when the name or the secret is of no use.
    #[must_use]
    pub fn new(id: &str, secret: &[u8]) -> Option<Self> {
        let is_name = (1..=16).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
        let is_long = secret.len() >= Self::SECRET_BYTES_MIN;
        (is_name && is_long).then(|| Self { id: id.to_owned(), secret: secret.to_owned() })
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn secret(&self) -> &[u8] {
        &self.secret
    }
}

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PseudonymKey({})", self.id)
    }
}

/// How a rule of the config finds its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matcher {
    /// A regular expression of the `regex` crate, on one line, in which `\d` is `[0-9]`; with a group
    /// named `value`, that alone is hidden.
    Regex(String),
    /// Terms, in any case, as words of their own: a few, or a dictionary of thousands.
    Terms(Vec<String>),
    /// Values of these keys, however they are written: `key=v`, `"key": "v"`, `{key=v}`.
    Keys(Vec<String>),
}

/// A rule of the config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomRule {
    /// Type name in upper case, which becomes the placeholder.
    pub name: String,
    /// What it finds.
    pub matcher: Matcher,
    /// When not empty, one of these words must begin in the `context_bytes` before a finding.
    pub context: Vec<String>,
    /// See `context`. Default 48, at most 96.
    pub context_bytes: usize,
    /// What becomes of a finding.
    pub strategy: Strategy,
}

/// What a [`Redactor`](crate::Redactor) looks for and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Which types are looked for.
    pub profile: Profile,
    /// What becomes of findings of each type; of those not named, `default_strategy`. A named type
    /// is looked for whatever the profile, and [`Strategy::Keep`] takes it out.
    pub strategies: BTreeMap<String, Strategy>,
    /// See `strategies`.
    pub default_strategy: Strategy,
    /// Leave private, loopback and link-local IP addresses.
    pub keep_internal_ips: bool,
    /// Needed for [`Strategy::Pseudonym`].
    pub pseudonym_key: Option<PseudonymKey>,
    /// Findings that are exactly one of these stay.
    pub allow: Vec<String>,
    /// Rules of the config.
    pub rules: Vec<CustomRule>,
}

/// A part of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RulePlace {
    /// Index of the rule.
    pub index: usize,
    /// `name`, `regex`, `terms`, `keys`, `context` or `context_bytes`.
    pub key: &'static str,
}

/// Something wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// The rule and its part, when it is about one.
    pub rule: Option<RulePlace>,
    /// What is wrong and what to change.
    pub message: String,
    /// The offending part of the rule's regular expression, in bytes.
    pub span: Option<Range<usize>>,
}
