//! Finds in a query of PromQL which metrics and labels it names. It knows the words of the language, not
//! its grammar: whether a query is right is for promtool to say.

/// What a query names.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// Metrics, in their order.
    pub(super) metrics: Vec<Used>,
    /// Labels of `by`, `without`, `on`, `ignoring`, `group_left` and `group_right`.
    pub(super) grouping: Vec<String>,
}

/// A metric in a query.
#[derive(Debug)]
pub(super) struct Used {
    /// Its name.
    pub(super) name: String,
    /// Labels in its braces.
    pub(super) labels: Vec<String>,
    /// The innermost function or aggregation around it.
    pub(super) function: Option<String>,
    /// What stands in its brackets.
    pub(super) window: Option<String>,
}

const GROUPING: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
const WORDS: [&str; 8] = ["and", "or", "unless", "offset", "bool", "atan2", "inf", "nan"];
const AGGREGATIONS: [&str; 12] = [
    "sum",
    "min",
    "max",
    "avg",
    "group",
    "stddev",
    "stdvar",
    "count",
    "count_values",
    "bottomk",
    "topk",
    "quantile",
];

#[derive(Debug, PartialEq)]
enum Token<'a> {
    Word(&'a str),
    /// The inside of brackets.
    Window(&'a str),
    Sign(char),
}

/// Reads one query.
pub(super) fn read(expr: &str) -> Read {
    let tokens = tokens(expr);
    let mut read = Read::default();
    // What opened each parenthesis that is open.
    let mut open: Vec<Option<String>> = Vec::new();
    // An aggregation whose parenthesis is still to come, behind its `by`.
    let mut aggregation = None;
    let mut index = 0;
    while let Some(token) = tokens.get(index) {
        let next = tokens.get(index + 1);
        index += 1;
        match token {
            Token::Sign('(') => open.push(aggregation.take()),
            Token::Sign(')') => drop(open.pop()),
            Token::Word(word) if GROUPING.contains(word) => {
                let is_list = next == Some(&Token::Sign('('));
                if is_list {
                    index += words_until(&tokens[index..], ')', &mut read.grouping);
                }
            }
            Token::Word(word) if AGGREGATIONS.contains(word) || next == Some(&Token::Sign('(')) => {
                let is_function = !WORDS.contains(word);
                aggregation = is_function.then(|| (*word).to_owned()).or(aggregation);
            }
            Token::Word(word) if !WORDS.contains(word) => {
                let mut labels = Vec::new();
                if next == Some(&Token::Sign('{')) {
                    index += words_until(&tokens[index..], '}', &mut labels);
                }
                let window = match tokens.get(index) {
                    Some(Token::Window(window)) => Some((*window).to_owned()),
                    _ => None,
                };
                let function = open.iter().rev().flatten().next().cloned();
                read.metrics.push(Used { name: (*word).to_owned(), labels, function, window });
            }
            _ => {}
        }
    }
    read
}

/// Takes words until `end` and says how many tokens that were.
fn words_until(tokens: &[Token<'_>], end: char, words: &mut Vec<String>) -> usize {
    let n_tokens = tokens.iter().take_while(|token| **token != Token::Sign(end)).count();
    words.extend(tokens[..n_tokens].iter().filter_map(|token| match token {
        Token::Word(word) => Some((*word).to_owned()),
        _ => None,
    }));
    n_tokens + 1
}

fn tokens(expr: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = expr;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let end = |from: usize, until: &dyn Fn(char) -> bool| {
            rest[from..].find(until).map_or(rest.len(), |at| at + from)
        };
        let length = match first {
            '"' => end(1, &|c| c == '"') + 1,
            '[' => end(1, &|c| c == ']') + 1,
            // A variable of Grafana stands for a value.
            '$' if rest.starts_with("${") => end(1, &|c| c == '}') + 1,
            '$' => end(1, &|c| !is_word(c)),
            _ if first.is_ascii_digit() => end(1, &|c| !is_word(c) && c != '.'),
            _ if is_word(first) => end(1, &|c| !is_word(c)),
            _ => first.len_utf8(),
        };
        let (token, tail) = rest.split_at(length);
        rest = tail;
        match first {
            '"' | '$' | ' ' | '\n' => {}
            '[' => tokens.push(Token::Window(token.trim_matches(['[', ']']))),
            _ if first.is_ascii_digit() => {}
            _ if is_word(first) => tokens.push(Token::Word(token)),
            _ => tokens.push(Token::Sign(first)),
        }
    }
    tokens
}

#[test]
fn metrics_labels_and_what_is_around_them_are_found() {
    let expr = r#"topk(3, sum by (a, b) (rate(x_total{c="or (",d=~"$e"}[$__range] offset 5m))) / on (a)
        group_left y > 1e3 and time() - z{f!=""} < ${limit} * 2"#;
    let read = read(expr);
    let found: Vec<_> = read
        .metrics
        .iter()
        .map(|it| {
            (it.name.as_str(), it.labels.join(" "), it.function.as_deref(), it.window.as_deref())
        })
        .collect();
    assert_eq!(
        found,
        [
            ("x_total", "c d".to_owned(), Some("rate"), Some("$__range")),
            ("y", String::new(), None, None),
            ("z", "f".to_owned(), None, None),
        ]
    );
    assert_eq!(read.grouping, ["a", "b", "a"]);
}
