//! Rules that are a regular expression.

use std::ops::Range;

use regex_automata::meta;
use regex_automata::{Input, MatchKind, PatternID};
use regex_syntax::ast::{self, Ast};
use regex_syntax::hir::Hir;
use regex_syntax::hir::translate::TranslatorBuilder;

use super::piece::Piece;
use super::required::{Anchor, anchor, needs_line_break};

/// Longest expression: people cannot review more.
const PATTERN_BYTES_MAX: usize = 4 << 10;
/// Most memory of the automaton of one rule, so that 128 of them fit into any agent. `\w{1,20}` fits
/// with the 140,000 characters of Unicode in it, `[A-Za-z0-9_]{1,1000}` too.
const NFA_BYTES_MAX: usize = 1 << 20;
/// Most memory that each thread builds up while it searches for one rule.
const CACHE_BYTES_MAX: usize = 1 << 20;
/// The group that is hidden alone.
const VALUE: &str = "value";

/// What is wrong with an expression, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) message: String,
    pub(super) span: Option<Range<usize>>,
}

impl Flaw {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), span: None }
    }
}

/// An expression that finds what is to be hidden.
#[derive(Debug)]
pub(super) struct Pattern {
    regex: meta::Regex,
    hir: Hir,
    /// Index of the group that is hidden alone.
    value: Option<usize>,
}

impl Pattern {
    pub(super) fn new(pattern: &str) -> Result<Self, Flaw> {
        if pattern.len() > PATTERN_BYTES_MAX {
            let message = format!(
                "the expression has {} bytes, at most {PATTERN_BYTES_MAX} are allowed: make several rules of it",
                pattern.len()
            );
            return Err(Flaw::new(message));
        }
        let hir = parse(pattern)?;
        match hir.properties().minimum_len() {
            _ if needs_line_break(&hir) => {
                let message = "matches would have a line break, but rules see one line at a time: remove `\\n`";
                return Err(Flaw::new(message));
            }
            Some(0) => {
                let message = "the expression can match the empty string: make a part of it mandatory, \
                               as with `+` instead of `*`";
                return Err(Flaw::new(message));
            }
            None => {
                return Err(Flaw::new("the expression can never match: remove the empty class"));
            }
            Some(_) => {}
        }
        let config = config().nfa_size_limit(Some(NFA_BYTES_MAX));
        let regex = meta::Builder::new().configure(config).build_from_hir(&hir);
        let regex = regex.map_err(|error| match error.size_limit() {
            Some(_) => Flaw::new(
                "the expression is too large when compiled: use smaller repetitions, or classes like \
                 `[A-Za-z0-9_]` instead of `\\w`",
            ),
            None => Flaw::new(format!("the expression cannot be compiled: {error}")),
        })?;
        let value = regex.group_info().to_index(PatternID::ZERO, VALUE);
        Ok(Self { regex, hir, value })
    }

    /// What every match contains.
    pub(super) fn anchor(&self) -> Anchor {
        anchor(&self.hir)
    }

    /// Calls `found` with all that is to be hidden in `piece`.
    pub(super) fn find(&self, piece: &Piece<'_>, mut found: impl FnMut(Range<usize>)) {
        let input = Input::new(&*piece.text).span(piece.span.clone());
        match self.value {
            Some(group) => {
                let all = self.regex.captures_iter(input);
                let values = all.filter_map(|captures| captures.get_group(group));
                values.for_each(|value| found(piece.to_raw(value.range())));
            }
            None => self.regex.find_iter(input).for_each(|m| found(piece.to_raw(m.range()))),
        }
    }
}

/// One automaton that tells which of `patterns` match somewhere.
pub(super) fn which<'a>(patterns: impl Iterator<Item = &'a Pattern>) -> Option<meta::Regex> {
    let hirs: Vec<_> = patterns.map(|pattern| &pattern.hir).collect();
    let config = config().match_kind(MatchKind::All);
    // Each of them was built before, and together they have no limit.
    meta::Builder::new().configure(config).build_many_from_hir(&hirs).ok()
}

fn config() -> meta::Config {
    meta::Config::new().utf8_empty(false).hybrid_cache_capacity(CACHE_BYTES_MAX)
}

fn parse(pattern: &str) -> Result<Hir, Flaw> {
    let flaw = |kind: String, span: &ast::Span| {
        let range = span.start.offset..span.end.offset;
        let part = pattern.get(range.clone()).unwrap_or_default();
        let place = if part.is_empty() { String::new() } else { format!(" at `{part}`") };
        Flaw { message: format!("not a regular expression{place}: {kind}"), span: Some(range) }
    };
    let ast = ast::parse::Parser::new().parse(pattern);
    let mut ast = ast.map_err(|error| flaw(error.kind().to_string(), error.span()))?;
    with_ascii_digits(&mut ast);
    let mut translator = TranslatorBuilder::new().unicode(true).multi_line(false).build();
    let hir = translator.translate(pattern, &ast);
    hir.map_err(|error| flaw(error.kind().to_string(), error.span()))
}

/// Makes `[0-9]` of each `\d`: digits of other scripts are written `\p{Nd}`.
///
/// Whoever writes `\d{9}` means the digits that programs print. With the 760 of Unicode no rule of
/// digits would have an anchor, and each would cost a pass over all text.
fn with_ascii_digits(ast: &mut Ast) {
    match ast {
        Ast::ClassPerl(class) if class.kind == ast::ClassPerlKind::Digit => {
            let kind = ast::ClassSet::Item(ascii_digits_of(class));
            let class = ast::ClassBracketed { span: class.span, negated: false, kind };
            *ast = Ast::class_bracketed(class);
        }
        Ast::ClassBracketed(class) => set_with_ascii_digits(&mut class.kind),
        Ast::Repetition(repetition) => with_ascii_digits(&mut repetition.ast),
        Ast::Group(group) => with_ascii_digits(&mut group.ast),
        Ast::Alternation(all) => all.asts.iter_mut().for_each(with_ascii_digits),
        Ast::Concat(all) => all.asts.iter_mut().for_each(with_ascii_digits),
        _ => {}
    }
}

fn set_with_ascii_digits(set: &mut ast::ClassSet) {
    match set {
        ast::ClassSet::Item(item) => item_with_ascii_digits(item),
        ast::ClassSet::BinaryOp(operation) => {
            set_with_ascii_digits(&mut operation.lhs);
            set_with_ascii_digits(&mut operation.rhs);
        }
    }
}

fn item_with_ascii_digits(item: &mut ast::ClassSetItem) {
    match item {
        ast::ClassSetItem::Perl(class) if class.kind == ast::ClassPerlKind::Digit => {
            *item = ascii_digits_of(class);
        }
        ast::ClassSetItem::Bracketed(class) => set_with_ascii_digits(&mut class.kind),
        ast::ClassSetItem::Union(union) => union.items.iter_mut().for_each(item_with_ascii_digits),
        _ => {}
    }
}

fn ascii_digits_of(class: &ast::ClassPerl) -> ast::ClassSetItem {
    let ast::ClassPerl { span, negated, .. } = *class;
    ast::ClassSetItem::Ascii(ast::ClassAscii { span, kind: ast::ClassAsciiKind::Digit, negated })
}

#[cfg(test)]
mod tests {
    use super::{Anchor, Pattern};
    use crate::custom::piece::Piece;
    use crate::haystack::{Haystack, Names};

    #[track_caller]
    fn check(pattern: &str, text: &str, want: &[&str]) {
        let names = Names::new(["EMAIL"].into_iter());
        let raw = Haystack::new(text.as_bytes(), &names);
        let mut found = Vec::new();
        let piece = Piece::around(&raw, &(0..0));
        Pattern::new(pattern).unwrap().find(&piece, |range| found.push(&text[range]));
        assert_eq!(found, want, "{pattern} in {text}");
    }

    #[track_caller]
    fn check_flaw(pattern: &str, message: &str, part: Option<&str>) {
        let flaw = Pattern::new(pattern).unwrap_err();
        assert!(flaw.message.contains(message), "{}", flaw.message);
        assert_eq!(flaw.span.map(|span| &pattern[span]), part, "{pattern}");
    }

    #[test]
    fn the_group_named_value_is_hidden_alone() {
        check(r"id=\w+", "id=a id=b x", &["id=a", "id=b"]);
        check(r"id=(?P<value>\w+)", "id=a id=b x", &["a", "b"]);
        check(r"(id)=(?<value>\w+)", "id=a", &["a"]);
        check(r"id=(?<value>\w+)|no", "no id=a", &["a"]);
        check(r"id=(?<other>\w+)", "id=a", &["id=a"]);
    }

    #[test]
    fn matches_stay_on_their_line() {
        check("^a.*$", "abc\nabd", &["abc"]);
        check("^a.*$", "abc\r\nabd", &["abc"]);
        check(r"a[^x]*", "abc\nabd", &["abc"]);
        check(r"a\s*b", "a\nb", &[]);
    }

    #[test]
    fn placeholders_are_one_piece_that_no_word_is_found_in() {
        check("MAIL", "[EMAIL]", &[]);
        check(r"u=\S+", "u=a[EMAIL]b c", &["u=a[EMAIL]b"]);
        check(r"u=.{4}", "u=a[EMAIL]b c", &["u=a"]);
        check(r"[A-Z]+\] x", "[EMAIL] x", &[]);
    }

    #[test]
    fn digits_are_those_that_programs_print() {
        assert_eq!(Pattern::new(r"\d{9}").unwrap().anchor(), Anchor::Digits);
        assert_eq!(Pattern::new(r"x([\d]{4}|[1\d]{5})+").unwrap().anchor(), Anchor::Digits);
        check(r"\d+", "12٣4", &["12", "4"]);
        check(r"\p{Nd}+", "12٣4", &["12٣4"]);
        check(r"\D", "1٣a", &["٣", "a"]);
        check(r"[^\d]", "1٣a", &["٣", "a"]);
        check(r"[\D&&\w]", "1a-", &["a"]);
    }

    #[test]
    fn flaws_say_what_to_change_and_where() {
        check_flaw("ab(c", "unclosed group", Some("("));
        check_flaw("ab[z-a]", "invalid character class range", Some("z-a"));
        check_flaw(r"é\pX", "Unicode", Some(r"\pX"));
        check_flaw("(?=x)a", "look-around", Some("(?="));
        check_flaw("a*", "empty string", None);
        check_flaw("^$", "empty string", None);
        check_flaw(r"a\nb", "line break", None);
        check_flaw("[a&&b]", "never match", None);
        check_flaw(r"\w{300}", "too large", None);
        check_flaw(&"a".repeat(4097), "4096", None);
    }
}
