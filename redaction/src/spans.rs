//! Findings as spans, and how overlapping ones become one.

use std::ops::Range;

/// One piece of PII or secret, as bytes of the chunk that was searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Type name of the detector, such as `EMAIL`.
    pub entity: &'static str,
    /// Offsets into the chunk.
    pub range: Range<u32>,
}

impl Span {
    pub(crate) fn new(entity: &'static str, range: Range<usize>) -> Self {
        Self { entity, range: offset(range.start)..offset(range.end) }
    }

    /// The range as indices.
    pub(crate) fn bytes(&self) -> Range<usize> {
        self.range.start as usize..self.range.end as usize
    }
}

/// Converts an index into a chunk or a text.
pub(crate) fn offset(index: usize) -> u32 {
    u32::try_from(index).expect("callers seal a batch long before 4 GiB")
}

/// Sorts the spans and unites those that overlap.
///
/// A union is named after its earliest span, of several that begin there the longest. Uniting
/// instead of choosing keeps a detector that sees a part (`ss@host` as an email) from exposing
/// the rest of what another one sees (`user:p@ss` in a URL).
pub(crate) fn unite(spans: &mut Vec<Span>) {
    spans.sort_unstable_by_key(|s| (s.range.start, std::cmp::Reverse(s.range.end), s.entity));
    spans.dedup_by(|next, kept| {
        let overlaps = next.range.start < kept.range.end;
        if overlaps {
            kept.range.end = kept.range.end.max(next.range.end);
        }
        overlaps
    });
}

#[cfg(test)]
mod tests {
    use super::{Span, unite};

    #[track_caller]
    fn check(spans: &[(&'static str, usize, usize)], want: &[(&'static str, usize, usize)]) {
        let build = |list: &[(&'static str, usize, usize)]| -> Vec<_> {
            list.iter().map(|(entity, start, end)| Span::new(entity, *start..*end)).collect()
        };
        let mut spans = build(spans);
        unite(&mut spans);
        assert_eq!(spans, build(want));
    }

    #[test]
    fn overlapping_spans_become_one_named_after_the_earliest_and_longest() {
        check(&[("EMAIL", 4, 9), ("URL_USERINFO", 0, 6)], &[("URL_USERINFO", 0, 9)]);
        check(&[("JWT", 0, 5), ("AUTH_HEADER", 0, 8)], &[("AUTH_HEADER", 0, 8)]);
        check(&[("A", 0, 3), ("B", 2, 6), ("C", 5, 9)], &[("A", 0, 9)]);
        check(&[("A", 0, 9), ("B", 2, 4), ("C", 5, 10)], &[("A", 0, 10)]);
    }

    #[test]
    fn touching_spans_stay_apart() {
        check(&[("B", 3, 5), ("A", 0, 3)], &[("A", 0, 3), ("B", 3, 5)]);
    }
}
