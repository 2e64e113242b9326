//! What is wrong with rules, apart from their expressions.

use std::collections::HashMap;

use super::{RULES_MAX, keys, sweep, terms};
use crate::detectors::DETECTORS;
use crate::haystack::{DROPPED, FAILED};
use crate::policy::{CustomRule, Matcher, Problem, RulePlace};

/// Longest name; [`NAME_BYTES_MAX`](crate::haystack::NAME_BYTES_MAX) is what a placeholder can have.
const NAME_BYTES_MAX: usize = 40;
/// Farthest that the word before a finding may be; what is farther says nothing about it, and the
/// second search of changed lines looks no farther.
const CONTEXT_BYTES_MAX: usize = 96;
/// Most context words: each is tried at each place before a finding.
const CONTEXT_WORDS_MAX: usize = 64;
/// Shortest context word.
const CONTEXT_WORD_BYTES_MIN: usize = 2;
/// Most terms that one rule's problems name: the others are counted.
const NAMED_MAX: usize = 5;

/// All that is wrong, rule by rule.
pub(super) fn problems(rules: &[CustomRule]) -> Vec<Problem> {
    let mut problems = Problems(Vec::new());
    if rules.len() > RULES_MAX {
        let message =
            format!("there are {} rules, at most {RULES_MAX} are allowed: unite some", rules.len());
        problems.0.push(Problem { rule: None, message, span: None });
    }
    let mut firsts = HashMap::new();
    let mut n_dictionary_bytes = 0;
    for (index, rule) in rules.iter().enumerate() {
        let mut add = |key, message: String| problems.add(RulePlace { index, key }, message);
        name(&rule.name, &mut add);
        let first = *firsts.entry(rule.name.as_str()).or_insert(index);
        if first != index {
            let message =
                format!("the name `{}` is that of rule {first} too: choose another", rule.name);
            add("name", message);
        }
        match &rule.matcher {
            Matcher::Regex(_) => {}
            Matcher::Terms(list) => {
                each_of(list, ("term", "terms"), terms::TERMS_MAX, terms::flaw, &mut add);
                if !terms::are_literals(list) {
                    n_dictionary_bytes += list.iter().map(String::len).sum::<usize>();
                }
            }
            Matcher::Keys(list) => {
                each_of(list, ("key", "keys"), keys::KEYS_MAX, keys::flaw, &mut add)
            }
        }
        context(rule, &mut add);
    }
    if n_dictionary_bytes > sweep::DICTIONARY_BYTES_MAX {
        let message = format!(
            "the terms of all rules have {n_dictionary_bytes} bytes, at most {} are allowed: remove some",
            sweep::DICTIONARY_BYTES_MAX
        );
        problems.0.push(Problem { rule: None, message, span: None });
    }
    problems.0
}

struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, rule: RulePlace, message: String) {
        self.0.push(Problem { rule: Some(rule), message, span: None });
    }
}

fn name(name: &str, add: &mut impl FnMut(&'static str, String)) {
    let mut add = |message| add("name", message);
    let is_name = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    let begins = name.bytes().next().is_some_and(|b| b.is_ascii_uppercase());
    let is_long = (2..=NAME_BYTES_MAX).contains(&name.len());
    if !(begins && is_long && name.bytes().all(is_name)) {
        add(format!(
            "the name `{}` is no name: it has 2 to {NAME_BYTES_MAX} of A-Z, 0-9 and `_`, and begins \
             with a letter",
            short(name)
        ));
    } else if [FAILED, DROPPED].contains(&name) {
        add(format!("the name `{name}` is that of a placeholder: choose another"));
    } else if DETECTORS.iter().any(|detector| detector.rule().entity == name) {
        add(format!("the name `{name}` is that of a built-in type: choose another"));
    }
}

fn context(rule: &CustomRule, add: &mut impl FnMut(&'static str, String)) {
    let n_bytes = rule.context_bytes;
    if !(1..=CONTEXT_BYTES_MAX).contains(&n_bytes) {
        let message = format!("context_bytes is {n_bytes}: it is 1 to {CONTEXT_BYTES_MAX}");
        add("context_bytes", message);
    }
    if rule.context.is_empty() {
        return;
    }
    let flaw = |word: &str| {
        if word.len() < CONTEXT_WORD_BYTES_MIN {
            Some(format!("is too short: words have at least {CONTEXT_WORD_BYTES_MIN} bytes"))
        } else if word.trim() != word || word.chars().any(char::is_control) {
            Some("begins or ends with a blank or holds a control character: remove it".to_owned())
        } else if word.len() > n_bytes {
            Some(format!("is longer than the {n_bytes} context_bytes that it must begin in"))
        } else {
            None
        }
    };
    each_of(&rule.context, ("context word", "context"), CONTEXT_WORDS_MAX, flaw, add);
}

/// Adds what `flaw` says of each of `list`, of which there are 1 to `n_max`.
fn each_of(
    list: &[String],
    (what, key): (&str, &'static str),
    n_max: usize,
    flaw: impl Fn(&str) -> Option<String>,
    add: &mut impl FnMut(&'static str, String),
) {
    let mut add = |message| add(key, message);
    if list.is_empty() {
        add(format!("there is no {what}: add one or remove the rule"));
    } else if list.len() > n_max {
        add(format!("there are {} {what}s, at most {n_max} are allowed: remove some", list.len()));
    }
    let mut flaws = list.iter().filter_map(|item| flaw(item).map(|flaw| (item, flaw)));
    for (item, flaw) in flaws.by_ref().take(NAMED_MAX) {
        add(format!("the {what} `{}` {flaw}", short(item)));
    }
    let n_more = flaws.count();
    if n_more > 0 {
        add(format!("{n_more} more {what}s have such problems"));
    }
}

/// As much of `text` as fits into a message, without control characters.
fn short(text: &str) -> String {
    const CHARS_MAX: usize = 48;
    let mut short: String = text.chars().take(CHARS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short.replace(char::is_control, "?")
}

#[cfg(test)]
mod tests {
    use crate::custom::{RULES_MAX, compile};
    use crate::policy::{CustomRule, Matcher, Strategy};

    fn rule(name: &str, matcher: Matcher) -> CustomRule {
        CustomRule {
            name: name.to_owned(),
            matcher,
            context: Vec::new(),
            context_bytes: 48,
            strategy: Strategy::Mask,
        }
    }

    fn keys(name: &str) -> CustomRule {
        rule(name, Matcher::Keys(vec!["customer_ref".to_owned()]))
    }

    fn owned(list: &[&str]) -> Vec<String> {
        list.iter().map(|item| (*item).to_owned()).collect()
    }

    /// Index of the rule and a part of each message.
    #[track_caller]
    fn check(rules: &[CustomRule], want: &[(Option<usize>, &str)]) {
        let problems = compile(rules).map(|_| ()).unwrap_err();
        let is_same = problems.len() == want.len()
            && problems.iter().zip(want).all(|(problem, (rule, part))| {
                problem.rule.map(|rule| rule.index) == *rule && problem.message.contains(part)
            });
        assert!(is_same, "{problems:#?}");
    }

    #[test]
    fn good_rules_have_no_problem() {
        let mut with_context = keys("A_1");
        with_context.context = owned(&["id", "customer no"]);
        let terms = rule("TERM", Matcher::Terms(owned(&["Zürich", "ab", "C++"])));
        assert!(compile(&[keys("AB"), with_context, terms]).is_ok());
        assert!(compile(&[]).is_ok());
    }

    #[test]
    fn names_are_new_and_upper_case() {
        let long = "A".repeat(41);
        for name in ["", "A", "1A", "_A", "Aa", "A-B", "Ä1", &long] {
            check(&[keys(name)], &[(Some(0), "is no name")]);
        }
        check(&[keys("EMAIL")], &[(Some(0), "built-in")]);
        check(
            &[keys("DROPPED"), keys("REDACTION_FAILED")],
            &[(Some(0), "of a placeholder"), (Some(1), "of a placeholder")],
        );
        check(&[keys("AB"), keys("AC"), keys("AB")], &[(Some(2), "that of rule 0 too")]);
    }

    #[test]
    fn all_problems_of_all_rules_are_told_at_once() {
        let mut rules = vec![
            rule("a", Matcher::Regex("a(".to_owned())),
            keys("OK"),
            rule("TERMS", Matcher::Terms(owned(&["x", " ab", "a\tb"]))),
            rule("KEYS", Matcher::Keys(owned(&["ab", "a b c"]))),
            rule("NONE", Matcher::Keys(Vec::new())),
        ];
        rules[1].context = owned(&["x", "much longer word"]);
        rules[1].context_bytes = 10;
        check(
            &rules,
            &[
                (Some(0), "is no name"),
                (Some(0), "unclosed group"),
                (Some(1), "`x` is too short"),
                (Some(1), "longer than the 10"),
                (Some(2), "`x` is too short"),
                (Some(2), "blank"),
                (Some(2), "`a?b` holds a control"),
                (Some(3), "`ab` has 2 bytes"),
                (Some(3), "`a b c` holds other"),
                (Some(4), "there is no key"),
            ],
        );
    }

    #[test]
    fn limits_are_told() {
        let many: Vec<_> = (0..=RULES_MAX).map(|n| keys(&format!("R{n}"))).collect();
        check(&many, &[(None, "at most 128")]);
        let long = "é".repeat(129);
        check(&[rule("AB", Matcher::Terms(vec![long]))], &[(Some(0), "258 bytes")]);
        let terms = (0..100_001).map(|n| format!("term{n}")).collect();
        check(&[rule("AB", Matcher::Terms(terms))], &[(Some(0), "at most 100000")]);
        let keys_max = (0..65).map(|n| format!("key{n}")).collect();
        check(&[rule("AB", Matcher::Keys(keys_max))], &[(Some(0), "at most 64")]);
        let bad = vec!["x".to_owned(); 20];
        let problems = compile(&[rule("AB", Matcher::Terms(bad))]).map(|_| ()).unwrap_err();
        assert_eq!(
            (problems.len(), &*problems[5].message),
            (6, "15 more terms have such problems")
        );
        let mut far = keys("AB");
        (far.context, far.context_bytes) = (owned(&["id"]), 97);
        check(&[far], &[(Some(0), "context_bytes is 97")]);
    }

    #[test]
    fn the_part_of_an_expression_is_told() {
        let rules = [rule("AB", Matcher::Regex(r"abc[z-a]".to_owned()))];
        let problems = compile(&rules).map(|_| ()).unwrap_err();
        assert_eq!(problems[0].span, Some(4..7));
    }
}
