//! Tokens that begin with what their issuer reserved for them, as one detector made of data.
//!
//! Bodies are taken to their end, however long they are: a rule of a fixed length would expose the
//! tail of a longer token. What counts as enough is less than issuers make today, so that a change
//! of theirs opens no hole and the samples here are tokens of nobody.

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::haystack::Haystack;
use crate::lexis::{
    backward, escape_letter_before, forward, has_at, has_before, is_line_end, unicode_escape_end,
    word_before,
};
use crate::spans::Found;

/// Bytes of a body that suffice behind a reserved prefix where the line ends: it was cut there.
const CUT_BYTES: usize = 6;
/// Bytes of a body that are looked at before it is known to be one.
const PROOF_BYTES: usize = 128;

/// Finds tokens by their prefix.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) entity: &'static str,
    /// In the case that the issuer writes. One that ends with `=` or `/` is a name: it stays, and
    /// matches in any case.
    pub(crate) prefixes: &'static [&'static str],
    /// The same, in the middle of a token.
    pub(crate) inner: &'static [&'static str],
    /// What stands before those of `inner`.
    pub(crate) head: Head,
    /// Bytes behind the prefix.
    pub(crate) alphabet: fn(u8) -> bool,
    /// Fewest bytes behind the prefix.
    pub(crate) least: usize,
    /// Whether the first bytes behind the prefix can be those of a token.
    pub(crate) proof: fn(&[u8]) -> bool,
    /// True when nothing but a token begins so, and a line may end inside one.
    pub(crate) is_reserved: bool,
    pub(crate) positive: &'static [&'static str],
    pub(crate) negative: &'static [&'static str],
}

/// The part of a token before the bytes that are searched for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) alphabet: fn(u8) -> bool,
    pub(crate) least: usize,
    pub(crate) most: usize,
    /// What it begins with, in any case.
    pub(crate) begins: &'static [u8],
    /// Letters that may be glued to it without being a part of it.
    pub(crate) behind: &'static [u8],
}

impl Head {
    /// Of tokens that begin with their prefix.
    pub(crate) const NONE: Self =
        Self { alphabet: |_| false, least: 0, most: 0, begins: b"", behind: b"" };
}

impl Token {
    /// A token of letters and digits: what others are made from.
    pub(crate) const PLAIN: Self = Self {
        entity: "",
        prefixes: &[],
        inner: &[],
        head: Head::NONE,
        alphabet: |b| b.is_ascii_alphanumeric(),
        least: 20,
        proof: is_random,
        is_reserved: true,
        positive: &[],
        negative: &[],
    };

    /// Start of the token whose prefix begins at `at`.
    fn start(&self, raw: &[u8], at: usize) -> Option<usize> {
        let Head { alphabet, least, most, begins, behind } = self.head;
        let begin = backward(raw, at, at.saturating_sub(most), alphabet);
        // An escape before the token is made of letters too.
        let is_start = |start: &usize| {
            let is_behind = !behind.is_empty() && has_before(raw, *start, behind);
            let is_escape = *start < at
                && (escape_letter_before(raw, *start + 1)
                    || unicode_escape_end(raw, *start) > *start);
            has_at(raw, *start, begins) && !is_escape && (is_behind || !is_glued(raw, *start))
        };
        (begin..=at - least.min(at)).find(is_start).filter(|start| at - start >= least)
    }
}

impl Detector for Token {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: self.entity,
            family: Family::Secret,
            confidence: Confidence::Certain,
            validator: "prefix, alphabet and length",
            literals: self.inner,
            prefixes: self.prefixes,
            positive: self.positive,
            negative: self.negative,
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        let prefix = &raw[anchor.clone()];
        let is_known = |known: &&str| known.as_bytes() == prefix;
        let is_name = prefix.ends_with(b"=") || prefix.ends_with(b"/");
        if !is_name && !self.prefixes.iter().chain(self.inner).any(is_known) {
            return found.never();
        }
        let known_end = forward(raw, anchor.end, anchor.end + PROOF_BYTES, self.alphabet);
        let body = &raw[anchor.end..known_end];
        let is_token = if body.len() >= self.least {
            (self.proof)(body)
        } else {
            let is_cut = self.is_reserved && is_line_end(raw, known_end);
            is_cut && body.len() >= CUT_BYTES && is_varied(body)
        };
        if !is_token {
            return;
        }
        let start = match self.start(raw, anchor.start) {
            _ if is_name => anchor.end,
            Some(start) => start,
            None => return,
        };
        // From here on something is found, and what is found is looked at once.
        let end = forward(raw, known_end, raw.len(), self.alphabet);
        // A full stop ends the sentence, and what is glued to a token goes with it.
        let end = backward(raw, end, anchor.end, |b| b == b'.');
        found.push(start..forward(raw, end, raw.len(), is_name_byte));
    }
}

/// True when the byte before `at` makes what begins there a part of a longer word.
///
/// `%3D` and `\n` are escapes, and an underscore divides names.
fn is_glued(raw: &[u8], at: usize) -> bool {
    let is_percent = at > 2
        && raw[at - 3] == b'%'
        && raw[at - 2].is_ascii_hexdigit()
        && raw[at - 1].is_ascii_hexdigit();
    word_before(raw, at) && raw[at - 1] != b'_' && !is_percent
}

/// False for fillers: `xxxxxxxx` and the like.
pub(crate) fn is_varied(body: &[u8]) -> bool {
    body.iter().any(|b| b.is_ascii_alphanumeric() && *b != body[0])
}

/// True for what is no name: digits among the letters, or capitals in no order that names have.
pub(crate) fn is_random(body: &[u8]) -> bool {
    let has_digit = body.iter().any(u8::is_ascii_digit);
    let has_letter = body.iter().any(u8::is_ascii_alphabetic);
    let n_upper = body.iter().filter(|b| b.is_ascii_uppercase()).count();
    let has_lower = body.iter().any(u8::is_ascii_lowercase);
    has_letter && is_varied(body) && (has_digit || has_lower && n_upper * 4 >= body.len())
}

/// Letters of both cases and digits: what random base64 of some length has, and names hardly.
pub(crate) fn is_mixed(body: &[u8]) -> bool {
    body.iter().any(u8::is_ascii_digit)
        && body.iter().any(u8::is_ascii_uppercase)
        && body.iter().any(u8::is_ascii_lowercase)
}

/// Letters, digits and `_`.
pub(crate) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// RFC 4648 section 5, without padding.
pub(crate) fn is_base64url(byte: u8) -> bool {
    is_name_byte(byte) || byte == b'-'
}

/// RFC 4648 sections 4 and 5, also percent-encoded.
pub(crate) fn is_any_base64(byte: u8) -> bool {
    is_base64url(byte) || matches!(byte, b'+' | b'/' | b'=' | b'%')
}

#[cfg(test)]
mod tests {
    use crate::{DETECTORS, Redactor, Span};

    #[track_caller]
    fn find(raw: &str) -> Vec<(String, String)> {
        let redactor = Redactor::new();
        let mut spans = Vec::new();
        redactor.detect(raw.as_bytes(), &mut spans);
        let text = |s: &Span<'_>| raw[s.range.start as usize..s.range.end as usize].to_owned();
        spans.iter().map(|s| (s.entity.to_owned(), text(s))).collect()
    }

    #[test]
    fn tokens_of_the_length_that_issuers_make_are_found_whole() {
        let body = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0";
        for (entity, prefix, len) in [
            ("GITHUB_TOKEN", "ghp_", 36),
            ("GITHUB_TOKEN", "gho_", 36),
            ("GITHUB_TOKEN", "ghu_", 36),
            ("GITHUB_TOKEN", "ghs_", 36),
            ("GITHUB_TOKEN", "ghr_", 36),
            ("GITHUB_TOKEN", "github_pat_", 82),
            ("GITLAB_TOKEN", "glpat-", 20),
            ("GOOGLE_API_KEY", "AIza", 34),
            ("GOOGLE_API_KEY", "AIza", 35),
            ("GOOGLE_API_KEY", "AIza", 36),
            ("STRIPE_KEY", "sk_live_", 99),
            ("STRIPE_KEY", "rk_live_", 24),
            ("STRIPE_KEY", "whsec_", 32),
            ("NPM_TOKEN", "npm_", 36),
            ("HUGGING_FACE_TOKEN", "hf_", 34),
            ("OPENAI_KEY", "sk-proj-", 156),
            ("ANTHROPIC_KEY", "sk-ant-api03-", 95),
            ("VAULT_TOKEN", "hvs.", 96),
            ("DOCKER_TOKEN", "dckr_pat_", 27),
        ] {
            let token = format!("{prefix}{}", &body.repeat(5)[..len]);
            for (before, after) in
                [("", ""), ("x ", " y"), ("\"", "\","), ("=", "&x=1"), ("%3D", ".\n")]
            {
                let raw = format!("{before}{token}{after}");
                assert_eq!(find(&raw), [(entity.to_owned(), token.clone())], "{raw}");
            }
        }
    }

    #[test]
    fn a_reserved_prefix_is_found_where_the_line_was_cut() {
        for prefix in ["ghp_", "glpat-", "AIza", "sk-ant-", "hvs.", "dckr_pat_", "xoxb-", "glsa_"] {
            let cut = format!("{prefix}1a2B3c");
            assert_eq!(find(&format!("with {cut}\nnext")).len(), 1, "{cut}");
            assert_eq!(find(&format!("with {cut} next")).len(), 0, "{cut}");
            assert_eq!(find(&format!("with {prefix}1a2B3\nnext")).len(), 0, "{prefix}");
        }
    }

    #[test]
    fn no_prefix_alone_is_a_finding() {
        let prefixes = DETECTORS.iter().flat_map(|d| d.rule().literals);
        for prefix in prefixes.filter(|p| !p.ends_with('=')) {
            assert_eq!(find(&format!("what {prefix} means")).len(), 0, "{prefix}");
        }
    }
}
