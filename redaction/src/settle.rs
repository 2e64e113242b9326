//! Makes redaction final: what it returns holds nothing that another round would find.
//!
//! A placeholder is shorter or longer than what it hides and has other neighbours, so a look-alike
//! that was rejected beside a secret may pass beside its placeholder. Lines that were changed are
//! therefore searched again, as they will be written, until nothing is found.

use std::ops::Range;

use crate::engine::Hits;
use crate::lexis::{line_end, line_start};
use crate::rules::Rules;
use crate::spans::{Finding, unite};
use crate::text::Text;

/// Rounds before a line that still changes is hidden as a whole. Real lines need one.
const ROUNDS_MAX: usize = 8;

/// Farthest that what stands beside a shape decides about it.
const REACH_BYTES: usize = 96;

/// Adds to the findings of `hits` (sorted, disjoint) what can be found in the redacted lines.
pub(crate) fn settle(rules: &Rules, raw: &[u8], hits: &mut Hits) {
    let mut line = Text::default();
    let mut again = hits.again.take().unwrap_or_default();
    let (mut added, mut changed) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS_MAX {
        let mut rest = hits.findings.as_slice();
        let mut numbers = hits.open_numbers.as_slice();
        let mut last_changed = changed.iter().peekable();
        let mut changed_now = Vec::new();
        while let Some(first) = rest.first() {
            let start = line_start(raw, first.bytes().start);
            let (n_findings, end) = group(raw, rest);
            let (group, after) = rest.split_at(n_findings);
            rest = after;
            let next = numbers.partition_point(|number| (number.end as usize) < start);
            numbers = &numbers[next..];
            // After the first round only lines that changed can change again.
            while last_changed.next_if(|at| **at < start).is_some() {}
            let is_changed = last_changed.peek().is_some_and(|at| **at <= end);
            let is_open = rules.engine.sweeps()
                || hits.open_lines.any(start..end)
                || (hits.open_findings.any(start..end) && !are_apart(raw, group))
                || group.iter().any(|f| hits.open_near.any(near(f)))
                || joins_number(raw, group, numbers);
            if !is_changed && (round > 0 || !is_open) {
                continue;
            }
            line.clear();
            rules.placeholders.append(&raw[start..end], start, group, &mut line);
            rules.scan(line.as_bytes(), &mut again);
            hits.is_exhausted |= again.is_exhausted;
            for finding in again.dropped.drain(..) {
                if let Some(range) = to_raw(&line, &finding.bytes()) {
                    let range = start + range.start..start + range.end;
                    hits.dropped.push(Finding::new(finding.detector, range));
                }
            }
            let n_before = added.len();
            for finding in &again.findings {
                let Some(range) = to_raw(&line, &finding.bytes()) else { continue };
                let range = start + range.start..start + range.end;
                let hidden = if round < ROUNDS_MAX { range } else { start..end };
                added.push(Finding::new(finding.detector, hidden));
            }
            if added.len() > n_before {
                changed_now.push(start);
            }
        }
        if added.is_empty() {
            break;
        }
        changed = changed_now;
        hits.findings.append(&mut added);
        unite(&mut hits.findings);
    }
    hits.again = Some(again);
}

/// What may be decided by the finding: the words that name a number, and the length of one.
fn near(finding: &Finding) -> Range<usize> {
    let range = finding.bytes();
    range.start.saturating_sub(REACH_BYTES)..range.end + REACH_BYTES
}

/// True when a number stands so close to a finding that it may be a part of another one, once the
/// finding is a placeholder.
fn joins_number(raw: &[u8], findings: &[Finding], mut numbers: &[Range<u32>]) -> bool {
    // Glued, or a group of digits beside another one.
    let joins = |gap: u32, edge: u32| gap == 0 || gap == 1 && raw[edge as usize].is_ascii_digit();
    findings.iter().any(|finding| {
        let Range { start, end } = finding.range;
        // Digits and prefixes of tokens that go on a word were not looked at.
        if raw.get(end as usize).is_some_and(u8::is_ascii_alphanumeric) {
            return true;
        }
        numbers = &numbers[numbers.partition_point(|number| number.end + 1 < start)..];
        numbers.iter().take_while(|number| number.start <= end + 1).any(|number| {
            let is_before = number.end <= start && joins(start - number.end, start);
            let is_after = number.start >= end && joins(number.start - end, end - 1);
            is_before || is_after || (number.end > start && number.start < end)
        })
    })
}

/// True for findings with a blank between any two, so that none goes on another one.
fn are_apart(raw: &[u8], findings: &[Finding]) -> bool {
    let has_blank = |gap: Range<usize>| memchr::memchr2(b' ', b'\n', &raw[gap]).is_some();
    let pairs = || findings.windows(2).map(|pair| pair[0].bytes().end..pair[1].bytes().start);
    findings.iter().all(|finding| !finding.is_united) && pairs().all(has_blank)
}

/// Number of leading findings on the lines of the first one, and the end of the last of these lines.
fn group(raw: &[u8], findings: &[Finding]) -> (usize, usize) {
    let mut end = 0;
    for (index, finding) in findings.iter().enumerate() {
        if index > 0 && finding.bytes().start > end {
            return (index, end);
        }
        if finding.bytes().end > end || index == 0 {
            end = line_end(raw, finding.bytes().end);
        }
    }
    (findings.len(), end)
}

/// Maps a range of `line` to the bytes it was made from; nothing when it is inside a placeholder.
///
/// A range that begins or ends inside a placeholder maps to all that the placeholder hides.
fn to_raw(line: &Text, range: &Range<usize>) -> Option<Range<usize>> {
    let edits = line.edits();
    let n_before = edits.partition_point(|edit| edit.text.end as usize <= range.start);
    let after = |n: usize, at: usize| match n.checked_sub(1) {
        Some(last) => edits[last].raw.end as usize + (at - edits[last].text.end as usize),
        None => at,
    };
    let start = match edits.get(n_before) {
        Some(edit) if edit.text.start as usize <= range.start => {
            if range.end <= edit.text.end as usize {
                return None;
            }
            edit.raw.start as usize
        }
        _ => after(n_before, range.start),
    };
    let n_until = edits.partition_point(|edit| edit.text.end as usize <= range.end);
    let end = match edits.get(n_until) {
        Some(edit) if (edit.text.start as usize) < range.end => edit.raw.end as usize,
        _ => after(n_until, range.end),
    };
    Some(start..end)
}

#[cfg(test)]
mod tests {
    use super::to_raw;
    use crate::detectors::DETECTORS;
    use crate::engine::{Asked, Engine};
    use crate::placeholders::Placeholders;
    use crate::policy::Strategy;
    use crate::simd::Path;
    use crate::spans::Finding;
    use crate::text::Text;

    #[test]
    fn ranges_of_a_redacted_line_map_to_the_bytes_they_came_from() {
        // Detector 0 stands in as `[AUTH_HEADER]`, 13 bytes, for 4..6 and 10..30.
        let raw = b"abc 45 78 0123456789012345678 x";
        let mut line = Text::default();
        let findings = [Finding::new(0, 4..6), Finding::new(0, 10..29)];
        let auth_header = DETECTORS.iter().find(|d| d.rule().entity == "AUTH_HEADER");
        let auth_header = Asked::BuiltIn(*auth_header.unwrap());
        let engine = Engine::new(vec![auth_header], Path::Portable, None, 0);
        let masks = [Strategy::Mask];
        Placeholders::new(&engine, &masks, None).append(raw, 0, &findings, &mut line);
        assert_eq!(line.as_bytes(), b"abc [AUTH_HEADER] 78 [AUTH_HEADER] x");
        for (text, want) in [
            (0..3, Some(0..3)),
            (0..4, Some(0..4)),
            (4..17, None),
            (5..9, None),
            (4..18, Some(4..7)),
            (6..20, Some(4..9)),
            (18..20, Some(7..9)),
            (18..25, Some(7..29)),
            (0..36, Some(0..31)),
            (35..36, Some(30..31)),
        ] {
            assert_eq!(to_raw(&line, &text), want, "{text:?}");
        }
    }
}
