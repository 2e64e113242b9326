//! Makes redaction final: what it returns holds nothing that another round would find.
//!
//! A placeholder is shorter or longer than what it hides and has other neighbours, so a look-alike
//! that was rejected beside a secret may pass beside its placeholder. Lines that were changed are
//! therefore searched again, as they will be written, until nothing is found.

use std::ops::Range;

use crate::engine::Engine;
use crate::lexis::{line_end, line_start};
use crate::placeholders::Placeholders;
use crate::spans::{Span, unite};
use crate::text::Text;

/// Rounds before a line that still changes is hidden as a whole. Real lines need one.
const ROUNDS_MAX: usize = 8;

/// Adds to `spans` (sorted, disjoint) what can be found in the redacted lines.
pub(crate) fn settle(
    engine: &Engine,
    placeholders: &Placeholders,
    raw: &[u8],
    spans: &mut Vec<Span>,
) {
    let mut line = Text::default();
    let (mut found, mut added) = (Vec::new(), Vec::new());
    for round in 0.. {
        let mut rest = spans.as_slice();
        while let Some(first) = rest.first() {
            let start = line_start(raw, first.bytes().start);
            let (n_spans, end) = group(raw, rest);
            let (group, after) = rest.split_at(n_spans);
            rest = after;
            line.clear();
            placeholders.append(&raw[start..end], start, group, &mut line);
            found.clear();
            engine.scan(line.as_bytes(), &mut found);
            for span in &found {
                let Some(range) = to_raw(&line, &span.bytes()) else { continue };
                let whole = start..end;
                let range = start + range.start..start + range.end;
                added.push(Span::new(span.entity, if round < ROUNDS_MAX { range } else { whole }));
            }
        }
        if added.is_empty() {
            return;
        }
        spans.append(&mut added);
        unite(spans);
        if round > ROUNDS_MAX {
            return;
        }
    }
}

/// Number of leading spans on the lines of the first one, and the end of the last of these lines.
fn group(raw: &[u8], spans: &[Span]) -> (usize, usize) {
    let mut end = 0;
    for (index, span) in spans.iter().enumerate() {
        if index > 0 && span.bytes().start > end {
            return (index, end);
        }
        end = end.max(line_end(raw, span.bytes().end));
    }
    (spans.len(), end)
}

/// Maps a range of `line` to the bytes it was made from; nothing when it is inside a placeholder.
fn to_raw(line: &Text, range: &Range<usize>) -> Option<Range<usize>> {
    let (mut start, mut end) = (range.start, range.end);
    // Bytes by which the raw line is ahead of the text after the edits seen so far.
    let mut shift = 0_isize;
    let (mut start_shift, mut end_shift) = (0, 0);
    for edit in line.edits() {
        let (at, after) = (edit.text.start as usize, edit.text.end as usize);
        if at <= range.start && range.end <= after {
            return None;
        }
        if after <= range.start {
            start_shift = shift + edit.growth();
        } else if at < range.start {
            (start, start_shift) = (at, shift);
        }
        if after <= range.end {
            end_shift = shift + edit.growth();
        } else if at < range.end {
            (end, end_shift) = (after, shift + edit.growth());
        }
        shift += edit.growth();
    }
    Some(start.checked_add_signed(start_shift)?..end.checked_add_signed(end_shift)?)
}
