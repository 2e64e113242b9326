//! `${VAR}`, `${VAR:-default}`, `${VAR:?message}` and `$$` in string values, after parsing, so
//! that no value can change the structure of the file and no comment is ever looked at.

use super::Environment;
use super::report::Report;
use super::tree;
use std::collections::BTreeMap;
use toml::de::DeTable;

/// Values of strings that hold a `$`, by the byte where the string starts in the file.
pub(super) type Resolved = BTreeMap<usize, String>;

/// Resolves every string of the document; what cannot be resolved is reported and left out.
pub(super) fn resolve(
    document: &DeTable<'_>,
    text: &str,
    environment: &Environment,
    report: &mut Report,
) -> Resolved {
    let mut resolved = Resolved::new();
    tree::for_each_string(document, &mut |path, value, span| {
        if !value.contains('$') {
            return;
        }
        match expand(value, environment) {
            Ok(expanded) => {
                resolved.insert(span.start, expanded);
            }
            Err(problems) => {
                for (expression, what) in problems {
                    let written = text.get(span.clone()).unwrap_or("");
                    let at = written.find(expression).map_or(span.clone(), |at| {
                        span.start + at..span.start + at + expression.len()
                    });
                    report.add(at, path, what);
                }
            }
        }
    });
    resolved
}

/// The text with every expression replaced, or each bad expression and what is wrong with it.
fn expand<'v>(value: &'v str, environment: &Environment) -> Result<String, Vec<(&'v str, String)>> {
    let mut expanded = String::with_capacity(value.len());
    let mut problems = Vec::new();
    let mut rest = value;
    while let Some(dollar) = rest.find('$') {
        expanded += &rest[..dollar];
        rest = &rest[dollar..];
        if let Some(after) = rest.strip_prefix("$$") {
            expanded.push('$');
            rest = after;
        } else if rest.starts_with("${") {
            let Some(close) = rest.find('}') else {
                problems.push((rest, "`${` without `}`; write `$$` for a plain `$`".to_owned()));
                rest = "";
                break;
            };
            let (expression, after) = rest.split_at(close + 1);
            match evaluate(&expression[2..close], environment) {
                Ok(value) => expanded += &value,
                Err(what) => problems.push((expression, what)),
            }
            rest = after;
        } else {
            expanded.push('$');
            rest = &rest[1..];
        }
    }
    expanded += rest;
    if problems.is_empty() { Ok(expanded) } else { Err(problems) }
}

/// Value of what stands between `${` and `}`. As in a shell, an empty variable counts as unset
/// where there is a default or a message.
fn evaluate(expression: &str, environment: &Environment) -> Result<String, String> {
    let end = expression.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let (name, operator) = expression.split_at(end.unwrap_or(expression.len()));
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("`${{{expression}}}` names no variable; write `$$` for a plain `$`"));
    }
    if operator.contains("${") {
        return Err(format!("the default of `{name}` cannot hold another `${{`"));
    }
    let value = match environment.get(name).map(|value| value.to_str()) {
        None => None,
        Some(Some(value)) => Some(value),
        Some(None) => return Err(format!("the value of variable `{name}` is not UTF-8")),
    };
    let set = value.filter(|value| !value.is_empty());
    if operator.is_empty() {
        value.map(str::to_owned).ok_or_else(|| {
            format!("variable `{name}` is not set; set it or write `${{{name}:-default}}`")
        })
    } else if let Some(default) = operator.strip_prefix(":-") {
        Ok(set.unwrap_or(default).to_owned())
    } else if let Some(message) = operator.strip_prefix(":?") {
        set.map(str::to_owned).ok_or_else(|| format!("variable `{name}` is not set: {message}"))
    } else {
        Err(format!("after `{name}` expected `}}`, `:-default` or `:?message`"))
    }
}

#[cfg(test)]
mod tests {
    use super::expand;
    use crate::config::Environment;

    #[track_caller]
    fn check(value: &str, want: Result<&str, &[&str]>) {
        let variables = [("A", "1"), ("EMPTY", ""), ("B_2", "x y"), ("NESTED", "${A}")];
        let environment: Environment =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        let got = expand(value, &environment);
        match (&got, want) {
            (Ok(got), Ok(want)) => assert_eq!(got, want, "{value}"),
            (Err(got), Err(want)) => {
                assert_eq!(got.len(), want.len(), "{got:?}");
                for ((_, got), want) in got.iter().zip(want) {
                    assert!(got.contains(want), "{got} should say {want}");
                }
            }
            (got, want) => panic!("{value}: {got:?} is not {want:?}"),
        }
    }

    #[test]
    fn variables_defaults_and_escapes_are_replaced_once() {
        check("a${A}b${B_2}c", Ok("a1bx yc"));
        check("${EMPTY}|${EMPTY:-d}|${NONE:-}|${NONE:-a:b}", Ok("|d||a:b"));
        check("$$", Ok("$"));
        check("$${A}", Ok("${A}"));
        check("^a$|cost $5 $", Ok("^a$|cost $5 $"));
        // What a variable holds is never looked at again.
        check("${NESTED}", Ok("${A}"));
    }

    #[test]
    fn every_bad_expression_of_a_value_is_told() {
        check("${NONE} ${A} ${EMPTY:?why}", Err(&["`NONE` is not set", "not set: why"]));
        check("${my-var}", Err(&["after `my` expected"]));
        check("${}", Err(&["names no variable"]));
        check("${1A}", Err(&["names no variable"]));
        check("${A", Err(&["without `}`"]));
        check("${NONE:-${A}}", Err(&["cannot hold another"]));
    }
}
