//! SQL_LITERAL: values in plans, statements and messages of Spark and Flink about bad rows, on request
//! only: `(name#3 = Smith)`, `EqualTo(name,Smith)`, `VALUES ('Smith')`, `could not parse row [...]`.
//!
//! Such values are data of customers of any kind, which no other detector can tell.

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::assignment::{opening_quote, quoted};
use crate::haystack::Haystack;
use crate::lexis::{
    backward, forward, has_at, has_before, is_line_end, skip_blanks, word_before, work,
};
use crate::spans::Found;

/// Longest name of a column looked at.
const NAME_BYTES_MAX: usize = 128;
/// Longest value outside of quotes; longer ones are hidden up to here, and found again.
const VALUE_BYTES_MAX: usize = 1024;

/// Finds literals of SQL.
#[derive(Debug)]
pub(crate) struct SqlLiteral;

impl Detector for SqlLiteral {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "SQL_LITERAL",
            family: Family::Personal,
            confidence: Confidence::Likely,
            validator: "place in a plan, statement or message",
            literals: &[
                "EqualTo(",
                "EqualNullSafe(",
                "GreaterThan(",
                "GreaterThanOrEqual(",
                "LessThan(",
                "LessThanOrEqual(",
                "In(",
                "StartsWith(",
                "EndsWith(",
                "Contains(",
                " = ",
                " <=> ",
                " > ",
                " < ",
                " >= ",
                " <= ",
                " IN (",
                " LIKE ",
                "values",
                "parse row",
                "for input string: ",
                "the value '",
            ],
            is_token: false,
            positive: &[
                "+- Filter (isnotnull(name#12) AND (name#12 = «Jane van Dyk») AND (age#3L > «41»))",
                "PushedFilters: [IsNotNull(name), EqualTo(name,«Jane Doe»), In(code, [«a,b»]), StringStartsWith(city,«Köl»)]",
                "dataFilters: EqualTo(name#12, «Jane (2)»), (code#4 IN («7,8») OR name#3 LIKE «Ja%»)",
                r#"{"plan":"Filter (name#12 = «Jane»)\n+- Scan","x":"('a' = 'b')"}"#,
                "INSERT INTO users VALUES (455101, '«Jane»', '«O''Hara»', null), (2, '«x»', 1.5)",
                "WARN OrderParser: could not parse row: [«69717, Jane, 2024-05-11»] in part 3",
                "NumberFormatException: For input string: \"«Jane»\" (radix 10)",
                "[CAST_INVALID_INPUT] The value '«it's Jane»' of the type \"STRING\" cannot be cast to \"INT\"",
            ],
            negative: &[
                "spark.app.name = jane and a > b, ssl.key = null; values of x, min(a, b), join(x#1, y#2)",
                "Join Inner, (id#1 = id#22) AND (a#3L <=> b#4L), isnotnull(name#12), EqualTo(a#1, b#2)",
                "could not parse row group; for input string: null, the value 'x' is set; (x#1 = null)",
                "Filter (name#12 = [SQL_LITERAL]) In(code#3, [[SQL_LITERAL]]) VALUES ('[SQL_LITERAL]')",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        let word = &raw[anchor.clone()];
        if word.ends_with(b"(") && word[0] != b' ' {
            find_in_call(raw, &anchor, found);
        } else if word[0] == b' ' {
            find_in_comparison(raw, &anchor, found);
        } else if has_at(word, 0, b"values") {
            find_in_rows(raw, anchor.end, found);
        } else if has_at(word, 0, b"parse row") {
            let open = forward(raw, anchor.end, anchor.end + 3, |b| matches!(b, b':' | b' '));
            if raw.get(open) == Some(&b'[') && raw.placeholder_end(open).is_none() {
                push(raw, open + 1..value_end(raw, open + 1), found);
            }
        } else if has_at(word, 0, b"for input string: ") {
            found.extend(quoted(raw, anchor.end).filter(|range| !range.is_empty()));
        } else {
            // The value may hold quotes, so it ends where the sentence goes on.
            let line = forward(raw, anchor.end, anchor.end + VALUE_BYTES_MAX, |b| b != b'\n');
            let text = &raw[anchor.end..line];
            if let Some(len) = memchr::memmem::find(text, b"' of the type") {
                push(raw, anchor.end..anchor.end + len, found);
            }
        }
    }
}

/// Hides the second argument of `EqualTo(column,value)`.
fn find_in_call(raw: &Haystack<'_>, anchor: &Range<usize>, found: &mut Found) {
    let is_string = has_before(raw, anchor.start, b"string");
    if word_before(raw, anchor.start) && !is_string || !raw[anchor.start].is_ascii_uppercase() {
        return;
    }
    let is_column = |b: u8| b.is_ascii_alphanumeric() || b"_#.$` -".contains(&b) || b >= 0x80;
    let comma = forward(raw, anchor.end, anchor.end + NAME_BYTES_MAX, is_column);
    if comma > anchor.end && raw.get(comma) == Some(&b',') {
        find_value(raw, skip_blanks(raw, comma + 1), found);
    }
}

/// Hides what the column before a comparison is compared with.
fn find_in_comparison(raw: &Haystack<'_>, anchor: &Range<usize>, found: &mut Found) {
    if is_attribute_before(raw, anchor.start) {
        find_value(raw, anchor.end, found);
    }
}

/// True when `raw[..end]` ends with `name#12` or `name#12L`, as Spark prints an attribute.
fn is_attribute_before(raw: &[u8], end: usize) -> bool {
    let end = end - usize::from(end > 0 && raw[end - 1] == b'L');
    let digits = backward(raw, end, end.saturating_sub(12), |b| b.is_ascii_digit());
    digits < end && digits > 1 && raw[digits - 1] == b'#' && word_before(raw, digits - 1)
}

/// Hides the value at `at`, up to the end of the comparison or the call.
fn find_value(raw: &Haystack<'_>, at: usize, found: &mut Found) {
    let end = value_end(raw, at);
    let is_list = raw.get(at) == Some(&b'[') && raw.placeholder_end(at).is_none();
    // The bracket of a placeholder closes no list.
    let is_closed =
        end > at + 1 && raw[end - 1] == b']' && !raw.begins_in_placeholder(&(end - 1..end));
    let range = if is_list && is_closed { at + 1..end - 1 } else { at..end };
    if !is_attribute_before(raw, range.end) {
        push(raw, range, found);
    }
}

/// End of a value outside of quotes: an unbalanced bracket, a quote, ` AND `, ` OR ` or a line's end.
fn value_end(raw: &Haystack<'_>, start: usize) -> usize {
    let mut at = start;
    let mut depth = 0_u32;
    while let Some(byte) = raw.get(at).filter(|_| at < start + VALUE_BYTES_MAX) {
        if let Some(end) = raw.placeholder_end(at) {
            at = end;
            continue;
        }
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' if depth == 0 => break,
            b')' | b']' => depth -= 1,
            b'\n' | b'\r' | b'"' | b'\\' => break,
            b' ' if has_at(raw, at, b" and ") || has_at(raw, at, b" or ") => break,
            _ => {}
        }
        at += 1;
    }
    work::add(at.saturating_sub(start));
    at
}

/// Hides the strings of `(1, 'a'), (2, 'b')`.
fn find_in_rows(raw: &Haystack<'_>, at: usize, found: &mut Found) {
    let mut at = skip_blanks(raw, at);
    while raw.get(at) == Some(&b'(') {
        at += 1;
        loop {
            let is_plain = |b: u8| !matches!(b, b'\'' | b'"' | b'(' | b')' | b'\n');
            let value = forward(raw, at, at + VALUE_BYTES_MAX, is_plain);
            let quote = opening_quote(raw, value);
            let Some(mut range) = quote.and_then(|_| quoted(raw, value)) else {
                at = value;
                break;
            };
            // A quote inside is doubled. A value without a quote at its end ends with its line.
            while let Some(more) = quoted(raw, range.end + 1)
                .filter(|more| more.start == range.end + 2 && !is_line_end(raw, range.end))
            {
                range.end = more.end;
            }
            let is_cut = is_line_end(raw, range.end);
            at = range.end + usize::from(!is_cut);
            push(raw, range, found);
            if is_cut {
                break;
            }
        }
        if raw.get(at) != Some(&b')') {
            break;
        }
        at = skip_blanks(raw, at + 1);
        at = skip_blanks(raw, at + usize::from(raw.get(at) == Some(&b',')));
    }
    found.looked_until(at);
}

/// Hides what is a value and no keyword or placeholder.
fn push(raw: &Haystack<'_>, range: Range<usize>, found: &mut Found) {
    let value = &raw[range.clone()];
    let is_keyword =
        [&b"null"[..], b"true", b"false"].iter().any(|w| value.eq_ignore_ascii_case(w));
    if !value.is_empty() && !is_keyword && raw.placeholder_end(range.start) != Some(range.end) {
        found.push(range);
    }
}
