//! JDBC_URL: all of a JDBC URL behind `jdbc:<product>:`, on request only.
//!
//! Every driver has a grammar of its own for user and password, so Spark too came to keep nothing but
//! the product (SPARK-57580). Hosts and databases go with it, which most users want to see; what the
//! known grammars hide is found without this.

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::assignment::quoted;
use crate::haystack::Haystack;
use crate::lexis::{backward, forward, word_before, work};
use crate::spans::Found;

/// Longest name of a product.
const PRODUCT_BYTES_MAX: usize = 32;
/// Longest value in braces or quotes, which may hold blanks.
const CLOSED_BYTES_MAX: usize = 256;

/// Finds JDBC URLs.
#[derive(Debug)]
pub(crate) struct JdbcUrl;

impl Detector for JdbcUrl {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "JDBC_URL",
            family: Family::Secret,
            confidence: Confidence::High,
            validator: "scheme",
            prefixes: &["jdbc:"],
            is_token: false,
            positive: &[
                "INFO JDBCRelation: Connecting to jdbc:postgresql:«//etl:LzDyTai2@db:5432/metrics?ssl=true» now",
                "{driver=x, url=jdbc:mysql:«//address=(host=h)(password=p1)/db», user=u} (url,jdbc:h2:«mem:x;PASSWORD=p2»)",
                r#"{"url":"jdbc:sqlserver:«//h:1433;user=sa;password={p 3};encrypt=true»","n":1}"#,
                r#"{"m":"{\"url\":\"jdbc:oracle:«thin:scott/tiger@//db:1521/x»\"}"}"#,
                "jdbc:oracle:«thin:scott/\"t@i ger\"@//db:1521/x», jdbc:sqlserver:«//h;password={p 4}» end",
                "jdbc:db2:«//h:50000/d:user=x;password=p5;» jdbc:teradata:«//h/DATABASE=d,USER=u,PASSWORD=p6»",
            ],
            negative: &[
                "jdbc: connection refused; jdbc:mysql is the scheme; JDBC::connect",
                "org.apache.spark.sql.execution.datasources.jdbc.JDBCRelation:42",
                "xjdbc:mysql://h/d and jdbc:mysql: without more; jdbc:mysql:[JDBC_URL]",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        if word_before(raw, anchor.start) {
            return;
        }
        let is_product =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'+' | b'.');
        let product = forward(raw, anchor.end, anchor.end + PRODUCT_BYTES_MAX, is_product);
        if product < anchor.end + 2 || raw.get(product) != Some(&b':') {
            return;
        }
        let start = product + 1;
        let range = match string_end(raw, anchor.start) {
            Some(end) if end > start => start..end,
            _ => start..bare_url_end(raw, start),
        };
        // `jdbc:jdbc:...` has anchors before its value.
        found.looked_until(range.end);
        if raw.placeholder_end(start) != Some(range.end) {
            found.push(range);
        }
    }
}

/// End of the string that begins with the URL at `at`.
fn string_end(raw: &[u8], at: usize) -> Option<usize> {
    let quote = at.checked_sub(1).filter(|quote| matches!(raw[*quote], b'"' | b'\''))?;
    let slashes = backward(raw, quote, quote.saturating_sub(7), |b| b == b'\\');
    quoted(raw, slashes).map(|range| range.end)
}

/// End of a URL outside of quotes.
fn bare_url_end(raw: &Haystack<'_>, start: usize) -> usize {
    let mut at = start;
    while let Some(byte) = raw.get(at) {
        let next = raw.get(at + 1).copied().unwrap_or(b' ');
        let goes_on = next.is_ascii_alphanumeric() || b"/;:&?(@".contains(&next);
        at = match byte {
            b'[' if raw.placeholder_end(at).is_some() => raw.placeholder_end(at).unwrap_or(at),
            // SQL Server's `password={a b}` and Oracle's `user/"a b"@`.
            b'{' => closed_end(raw, at, b'}').unwrap_or(at + 1),
            b'"' if raw[at - 1] == b'/' => match closed_end(raw, at, b'"') {
                Some(end) => end,
                None => break,
            },
            0..=b' ' | 0x7f | b'<' | b'>' | b'\\' | b'"' | b'\'' | b'`' => break,
            b',' | b')' | b']' | b'}' if !goes_on => break,
            _ => at + 1,
        };
    }
    work::add(at.saturating_sub(start));
    at
}

/// End of what opens at `at` and closes with `close` on the same line.
fn closed_end(raw: &[u8], at: usize, close: u8) -> Option<usize> {
    let is_inner = |b: u8| b != close && b != b'\n';
    let end = forward(raw, at + 1, at + CLOSED_BYTES_MAX, is_inner);
    (raw.get(end) == Some(&close)).then_some(end + 1)
}
