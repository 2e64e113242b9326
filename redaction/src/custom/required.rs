//! What every match of a regular expression must contain, so that the engine can look for that and
//! leave the expression alone everywhere else.
//!
//! Texts have their ASCII letters in lower case, as the engine folds those of the log too.

use std::collections::BTreeSet;

use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

use crate::literals::{LITERAL_BYTES_MIN, search_cost};

/// Most texts that one rule is looked for by: each makes the search for all a little slower.
pub(super) const TEXTS_MAX: usize = 16;
/// Longest text: longer ones find nothing better.
const TEXT_BYTES_MAX: usize = 256;
/// Most characters of a class that is taken apart into texts: `[-_ ]`, or `k`, `K` and the Kelvin sign.
const CLASS_CHARS_MAX: usize = 4;
/// Most times that what repeats is written out.
const COPIES_MAX: u32 = 8;
/// Digits of the run that the engine finds: [`Shape::Digits4`](crate::Shape).
const DIGITS_MIN: u32 = 4;

/// Where a rule is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Anchor {
    /// Every match contains one of these.
    Texts(Vec<String>),
    /// Every match contains four digits in a row.
    Digits,
    /// Matches have nothing in common.
    None,
}

/// What every match of `hir` contains.
pub(super) fn anchor(hir: &Hir) -> Anchor {
    if let Some(texts) = Part::of(hir).best() {
        return Anchor::Texts(texts.into_iter().collect());
    }
    if Run::of(hir).longest >= DIGITS_MIN { Anchor::Digits } else { Anchor::None }
}

/// True when every match of `hir` has a line break: on one line it finds nothing.
pub(super) fn needs_line_break(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => literal.0.contains(&b'\n'),
        HirKind::Class(class) => class.literal().is_some_and(|bytes| bytes == b"\n"),
        HirKind::Repetition(repetition) => repetition.min > 0 && needs_line_break(&repetition.sub),
        HirKind::Capture(capture) => needs_line_break(&capture.sub),
        HirKind::Concat(parts) => parts.iter().any(needs_line_break),
        HirKind::Alternation(parts) => parts.iter().all(needs_line_break),
    }
}

type Texts = BTreeSet<String>;

/// What is known of the matches of a part of an expression.
#[derive(Debug)]
struct Part {
    /// All of them, when they are few.
    exact: Option<Texts>,
    /// Every match contains one of these.
    required: Option<Texts>,
}

impl Part {
    fn of(hir: &Hir) -> Self {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Self::exact(Some(nothing())),
            HirKind::Literal(literal) => {
                let text = std::str::from_utf8(&literal.0).ok();
                Self::exact(text.map(|text| Texts::from([text.to_ascii_lowercase()])))
            }
            HirKind::Class(class) => Self::exact(class_texts(class)),
            HirKind::Repetition(repetition) => Self::repeated(repetition),
            HirKind::Capture(capture) => Self::of(&capture.sub),
            HirKind::Concat(parts) => Self::joined(parts),
            HirKind::Alternation(parts) => Self::either(parts),
        }
    }

    fn exact(exact: Option<Texts>) -> Self {
        let is_short = |texts: &Texts| {
            texts.len() <= TEXTS_MAX && texts.iter().all(|t| t.len() <= TEXT_BYTES_MAX)
        };
        // A text that is too long for the product is still one to look for.
        Self { required: exact.as_ref().and_then(usable), exact: exact.filter(is_short) }
    }

    fn best(self) -> Option<Texts> {
        cheaper(self.exact.as_ref().and_then(usable), self.required)
    }

    fn repeated(repetition: &Repetition) -> Self {
        let part = Self::of(&repetition.sub);
        let Repetition { min, max, .. } = *repetition;
        if min == 0 {
            let is_optional = max == Some(1);
            let once = part.exact.filter(|_| is_optional);
            return Self { exact: once.map(|texts| &texts | &nothing()), required: None };
        }
        let Some(once) = &part.exact else {
            return Self { exact: None, required: part.required };
        };
        let (mut copies, mut n) = (once.clone(), 1);
        while n < min.min(COPIES_MAX) {
            let Some(more) = product(&copies, once) else { break };
            (copies, n) = (more, n + 1);
        }
        let required = cheaper(part.required, usable(&copies));
        let is_all = max == Some(min) && n == min;
        Self { exact: Some(copies).filter(|_| is_all), required }
    }

    fn joined(parts: &[Hir]) -> Self {
        // What the parts since the last gap match.
        let mut run = nothing();
        let mut required = None;
        let mut has_gap = false;
        for hir in parts {
            let part = Self::of(hir);
            match part.exact.as_ref().and_then(|exact| product(&run, exact)) {
                Some(longer) => run = longer,
                None => {
                    has_gap = true;
                    let ended = std::mem::replace(&mut run, part.exact.unwrap_or_else(nothing));
                    required = cheaper(required, usable(&ended));
                }
            }
            required = cheaper(required, part.required);
        }
        required = cheaper(required, usable(&run));
        Self { exact: Some(run).filter(|_| !has_gap), required }
    }

    fn either(parts: &[Hir]) -> Self {
        let (mut exact, mut required) = (Some(Texts::new()), Some(Texts::new()));
        for hir in parts {
            let part = Self::of(hir);
            exact = exact.zip(part.exact.clone()).map(|(all, texts)| &all | &texts);
            required = required.zip(part.best()).map(|(all, texts)| &all | &texts);
        }
        let mut all = Self::exact(exact);
        all.required = cheaper(all.required, required.as_ref().and_then(usable));
        all
    }
}

/// The text of no bytes: what a part that takes none matches.
fn nothing() -> Texts {
    Texts::from([String::new()])
}

/// Every text of `left` with every one of `right` behind it, unless that is too much.
fn product(left: &Texts, right: &Texts) -> Option<Texts> {
    let longest = |texts: &Texts| texts.iter().map(String::len).max().unwrap_or(0);
    let is_small =
        left.len() * right.len() <= TEXTS_MAX && longest(left) + longest(right) <= TEXT_BYTES_MAX;
    let all = left.iter().flat_map(|l| right.iter().map(move |r| format!("{l}{r}")));
    is_small.then(|| all.collect())
}

/// The texts if the engine can look for them, without those that contain another one.
fn usable(texts: &Texts) -> Option<Texts> {
    let is_usable = !texts.is_empty() && texts.iter().all(|t| t.len() >= LITERAL_BYTES_MIN);
    let is_needed =
        |text: &&String| !texts.iter().any(|other| other != *text && text.contains(&**other));
    let needed = is_usable.then(|| texts.iter().filter(is_needed).cloned().collect::<Texts>());
    needed.filter(|needed| needed.len() <= TEXTS_MAX)
}

/// The set that the engine finds with less work, of equal ones the longer texts.
fn cheaper(left: Option<Texts>, right: Option<Texts>) -> Option<Texts> {
    let cost = |texts: &Texts| texts.iter().map(|text| search_cost(text)).sum::<f64>();
    let shortest = |texts: &Texts| texts.iter().map(String::len).min();
    match (left, right) {
        (Some(left), Some(right)) => {
            let order = cost(&right).total_cmp(&cost(&left));
            let order = order.then_with(|| shortest(&left).cmp(&shortest(&right)));
            Some(if order.is_lt() { right } else { left })
        }
        (left, right) => left.or(right),
    }
}

/// The characters of a class, when they are few.
fn class_texts(class: &Class) -> Option<Texts> {
    let fold = |c: char| c.to_ascii_lowercase().to_string();
    let Class::Unicode(class) = class else { return None };
    // Twice as many, as each letter may be there in both cases.
    let n_chars: usize = class.ranges().iter().map(regex_syntax::hir::ClassUnicodeRange::len).sum();
    let is_small = n_chars <= 2 * CLASS_CHARS_MAX;
    let chars = class.ranges().iter().flat_map(|range| range.start()..=range.end());
    let texts: Texts = if is_small { chars.map(fold).collect() } else { Texts::new() };
    (1..=CLASS_CHARS_MAX).contains(&texts.len()).then_some(texts)
}

/// Digits in a row that every match of a part of an expression has.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    /// Matches are digits alone.
    is_all: bool,
    /// At its beginning.
    first: u32,
    /// At its end.
    last: u32,
    longest: u32,
}

impl Run {
    const NOTHING: Self = Self { is_all: true, first: 0, last: 0, longest: 0 };

    fn of(hir: &Hir) -> Self {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => Self::NOTHING,
            HirKind::Literal(literal) => literal
                .0
                .iter()
                .map(|byte| Self::one(byte.is_ascii_digit()))
                .fold(Self::NOTHING, Self::then),
            HirKind::Class(class) => Self::one(is_digits(class)),
            HirKind::Repetition(repetition) => {
                let once = Self::of(&repetition.sub);
                // Digits that may be missing still divide no run.
                let none = if once.is_all { Self::NOTHING } else { Self::default() };
                // Four copies are as good as more.
                let n_copies = repetition.min.min(DIGITS_MIN);
                (1..n_copies).fold(if n_copies == 0 { none } else { once }, |all, _| all.then(once))
            }
            HirKind::Capture(capture) => Self::of(&capture.sub),
            HirKind::Concat(parts) => parts.iter().map(Self::of).fold(Self::NOTHING, Self::then),
            HirKind::Alternation(parts) => {
                parts.iter().map(Self::of).reduce(Self::or).unwrap_or_default()
            }
        }
    }

    fn one(is_digit: bool) -> Self {
        let n = u32::from(is_digit);
        Self { is_all: is_digit, first: n, last: n, longest: n }
    }

    fn then(self, next: Self) -> Self {
        let first = if self.is_all { self.longest + next.first } else { self.first };
        let last = if next.is_all { next.longest + self.last } else { next.last };
        let is_all = self.is_all && next.is_all;
        let longest = self.longest.max(next.longest).max(self.last + next.first);
        Self { is_all, first, last, longest }
    }

    fn or(self, other: Self) -> Self {
        Self {
            is_all: self.is_all && other.is_all,
            first: self.first.min(other.first),
            last: self.last.min(other.last),
            longest: self.longest.min(other.longest),
        }
    }
}

/// True for a class of ASCII digits alone.
fn is_digits(class: &Class) -> bool {
    match class {
        Class::Unicode(class) => {
            let digits = |range: &regex_syntax::hir::ClassUnicodeRange| {
                range.start() >= '0' && range.end() <= '9'
            };
            !class.ranges().is_empty() && class.ranges().iter().all(digits)
        }
        Class::Bytes(class) => {
            let digits = |range: &regex_syntax::hir::ClassBytesRange| {
                range.start() >= b'0' && range.end() <= b'9'
            };
            !class.ranges().is_empty() && class.ranges().iter().all(digits)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Anchor, anchor, needs_line_break};

    fn of(pattern: &str) -> Anchor {
        anchor(&regex_syntax::parse(pattern).unwrap())
    }

    #[track_caller]
    fn check_texts(pattern: &str, want: &[&str]) {
        assert_eq!(of(pattern), Anchor::Texts(want.iter().map(|t| (*t).into()).collect()));
    }

    #[test]
    fn the_rarest_text_that_every_match_has_is_the_anchor() {
        check_texts("ACME-[0-9]+", &["acme-"]);
        check_texts("[0-9]+-ACME", &["-acme"]);
        check_texts("[a-z]+_zq7_[a-z]+", &["_zq7_"]);
        check_texts("the [a-z]+ QZX", &[" qzx"]);
        check_texts("(foo|bar)_x", &["bar_x", "foo_x"]);
        check_texts("emp(loyee)?_id", &["emp_id", "employee_id"]);
        check_texts("x[-_ ]key", &["x key", "x-key", "x_key"]);
        check_texts("(?:user|account) [0-9]{3}", &["account ", "user "]);
        check_texts("(ab){2}[0-9]", &["abab"]);
        check_texts("(ab){2,}", &["abab"]);
        check_texts("z{3,}", &["zzz"]);
        check_texts("a(foobar|xfoobarx)+", &["foobar"]);
        check_texts(r"\bsecret\b", &["secret"]);
    }

    #[test]
    fn every_text_that_may_stand_for_a_letter_in_any_case_counts() {
        check_texts("(?i)acme", &["acme"]);
        check_texts("(?i)TOKE=", &["toke=", "to\u{212a}e="]);
        check_texts("(?i)é[0-9]+-abc", &["-abc"]);
    }

    #[test]
    fn a_text_of_some_matches_is_no_anchor() {
        for pattern in [
            "ab",
            "(foo)?[0-9]",
            "foo|[a-z]+",
            "(foo)*",
            "[a-z]{8}",
            "(foo|ba)[a-z]",
            "(ab|c|de|f)x",
            "[a-f][a-f][a-f]",
            r"\w+",
        ] {
            assert_eq!(of(pattern), Anchor::None, "{pattern}");
        }
    }

    #[test]
    fn four_digits_in_a_row_are_the_second_best() {
        for pattern in [
            "[0-9]{4}",
            "[0-9]{2}[0-9]?[0-9]*[0-9]{2}",
            "[a-z][0-9]{2,}[0-9]{2}",
            "[0-9]{3}-?[0-9]{4}",
            "([0-9]{5}|[0-9]{9})",
            "([0-9][0-9]){2}",
            "1[0-9]{2}([3-5]|7)x",
            "([0-9]{2}a[0-9]{2})+b[0-9]{4}",
            r"[0-9]{2}\b[0-9]{2}",
            "(?:[0-9]{2}x[0-9]{2}){2}",
        ] {
            assert_eq!(of(pattern), Anchor::Digits, "{pattern}");
        }
        for pattern in [
            "[0-9]{3}",
            "[0-9]{3}-[0-9]{3}",
            "[0-9]{2,}x?[0-9]{2}",
            "[0-9]{9}|[a-z]",
            "[0-9a]{9}",
            r"\d{9}",
            "([0-9]{9})?",
        ] {
            assert_eq!(of(pattern), Anchor::None, "{pattern}");
        }
    }

    #[test]
    fn expressions_that_cannot_match_on_one_line_are_told() {
        let needs = |pattern| needs_line_break(&regex_syntax::parse(pattern).unwrap());
        assert!(needs("a\\nb") && needs("(a\\n|b\\n)") && needs("[a-z]\\n+"));
        assert!(!needs("a(\\n|b)") && !needs("a\\n?") && !needs("[\\r\\n]a"));
    }
}
