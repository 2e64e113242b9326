//! Findings as spans, and how overlapping ones become one.

use std::ops::Range;

use crate::detectors::Confidence;

/// One piece of PII or secret, as bytes of the chunk that was searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span<'a> {
    /// Type name of the detector, such as `EMAIL`.
    pub entity: &'a str,
    /// Offsets into the chunk.
    pub range: Range<u32>,
    /// How sure the finding is.
    pub confidence: Confidence,
    /// What proves it, in a few words.
    pub validator: &'a str,
}

/// A span while it is worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Index into [`DETECTORS`](crate::DETECTORS).
    pub(crate) detector: u8,
    pub(crate) range: Range<u32>,
    /// Made of several findings.
    pub(crate) is_united: bool,
}

impl Finding {
    pub(crate) fn new(detector: u8, range: Range<usize>) -> Self {
        Self { detector, range: offset(range.start)..offset(range.end), is_united: false }
    }

    /// The range as indices.
    pub(crate) fn bytes(&self) -> Range<usize> {
        self.range.start as usize..self.range.end as usize
    }
}

/// What a detector answers about one anchor.
#[derive(Debug, Default)]
pub struct Found {
    ranges: Vec<Range<usize>>,
    is_never: bool,
    looked_until: usize,
}

impl Found {
    /// Hides `range`.
    pub fn push(&mut self, range: Range<usize>) {
        self.ranges.push(range);
    }

    /// Hides each of `ranges`.
    pub fn extend(&mut self, ranges: impl IntoIterator<Item = Range<usize>>) {
        self.ranges.extend(ranges);
    }

    /// Says that nothing that may stand beside the anchor makes it a finding, as when the check sum of
    /// a number is wrong. A line with findings need not be searched again because of it.
    pub fn never(&mut self) {
        self.is_never = true;
    }

    /// Says that all up to `at` was looked through: the detector is not asked about anchors before.
    pub fn looked_until(&mut self, at: usize) {
        self.looked_until = at;
    }

    /// Takes out the ranges, whether nothing can make the anchor a finding, and how far all was
    /// looked through.
    pub(crate) fn take(&mut self) -> (std::vec::Drain<'_, Range<usize>>, bool, usize) {
        let is_never = std::mem::take(&mut self.is_never);
        let looked_until = std::mem::take(&mut self.looked_until);
        (self.ranges.drain(..), is_never, looked_until)
    }
}

/// Converts an index into a chunk or a text.
pub(crate) fn offset(index: usize) -> u32 {
    u32::try_from(index).expect("callers seal a batch long before 4 GiB")
}

/// By start, then the longest first.
pub(crate) fn order(finding: &Finding) -> (u32, std::cmp::Reverse<u32>, u8) {
    (finding.range.start, std::cmp::Reverse(finding.range.end), finding.detector)
}

/// Sorts the findings and unites those that overlap.
///
/// A union is named after its earliest finding, of several that begin there the longest. Uniting
/// instead of choosing keeps a detector that sees a part (`ss@host` as an email) from exposing
/// the rest of what another one sees (`user:p@ss` in a URL).
pub(crate) fn unite(findings: &mut Vec<Finding>) {
    if !findings.is_sorted_by_key(order) {
        findings.sort_unstable_by_key(order);
    }
    findings.dedup_by(|next, kept| {
        let overlaps = next.range.start < kept.range.end;
        if overlaps {
            // One detector may find a thing twice, as written and through its encoding.
            let is_same = next.detector == kept.detector && next.range.end <= kept.range.end;
            kept.range.end = kept.range.end.max(next.range.end);
            kept.is_united |= !is_same || next.is_united;
        }
        overlaps
    });
}

#[cfg(test)]
mod tests {
    use super::{Finding, unite};

    #[track_caller]
    fn check(findings: &[(u8, usize, usize)], want: &[(u8, usize, usize)]) {
        let build =
            |(detector, start, end): &(u8, usize, usize)| Finding::new(*detector, *start..*end);
        let mut findings: Vec<_> = findings.iter().map(build).collect();
        let n_before = findings.len();
        unite(&mut findings);
        let got = findings.iter().map(|f| (f.detector, f.bytes().start, f.bytes().end));
        assert_eq!(got.collect::<Vec<_>>(), want);
        assert_eq!(findings.iter().any(|f| f.is_united), findings.len() < n_before);
    }

    #[test]
    fn overlapping_spans_become_one_named_after_the_earliest_and_longest() {
        check(&[(4, 4, 9), (3, 0, 6)], &[(3, 0, 9)]);
        check(&[(1, 0, 5), (2, 0, 8)], &[(2, 0, 8)]);
        check(&[(7, 0, 3), (8, 2, 6), (9, 5, 9)], &[(7, 0, 9)]);
        check(&[(7, 0, 9), (8, 2, 4), (9, 5, 10)], &[(7, 0, 10)]);
    }

    #[test]
    fn touching_spans_stay_apart() {
        check(&[(8, 3, 5), (7, 0, 3)], &[(7, 0, 3), (8, 3, 5)]);
    }
}
