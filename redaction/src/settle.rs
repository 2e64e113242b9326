//! Makes redaction final: what it returns holds nothing that another round would find.
//!
//! A placeholder is shorter or longer than what it hides and has other neighbours, so a look-alike
//! that was rejected beside a secret may pass beside its placeholder. Lines that were changed are
//! therefore searched again, as they will be written, until nothing is found.

use std::ops::Range;

use crate::engine::{Engine, Hits, Open};
use crate::lexis::{line_end, line_start};
use crate::placeholders::Placeholders;
use crate::spans::{Finding, unite};
use crate::text::Text;

/// Rounds before a line that still changes is hidden as a whole. Real lines need one.
const ROUNDS_MAX: usize = 8;

/// Adds to the findings of `hits` (sorted, disjoint) what can be found in the redacted lines.
pub(crate) fn settle(engine: &Engine, placeholders: &Placeholders, raw: &[u8], hits: &mut Hits) {
    let mut line = Text::default();
    let (mut again, mut added) = (Hits::default(), Vec::new());
    for round in 0..=ROUNDS_MAX {
        let mut rest = hits.findings.as_slice();
        let mut open = hits.open.as_slice();
        while let Some(first) = rest.first() {
            if open.is_empty() {
                break;
            }
            let start = line_start(raw, first.bytes().start);
            let (n_findings, end) = group(raw, rest);
            let (group, after) = rest.split_at(n_findings);
            rest = after;
            open = &open[open.partition_point(|open| (open.at as usize) < start)..];
            let own = &open[..open.partition_point(|open| (open.at as usize) < end)];
            if !own.iter().any(|open| is_beside(*open, group)) {
                continue;
            }
            line.clear();
            placeholders.append(&raw[start..end], start, group, &mut line);
            engine.scan(line.as_bytes(), &mut again);
            for finding in &again.findings {
                let Some(range) = to_raw(&line, &finding.bytes()) else { continue };
                let range = start + range.start..start + range.end;
                let hidden = if round < ROUNDS_MAX { range } else { start..end };
                added.push(Finding::new(finding.detector, hidden));
            }
        }
        if added.is_empty() {
            return;
        }
        hits.findings.append(&mut added);
        unite(&mut hits.findings);
    }
}

/// True when the place is near enough to a finding to be decided by it.
fn is_beside(open: Open, findings: &[Finding]) -> bool {
    let reach_end = |at: u32| at.saturating_add(open.reach_bytes);
    let next = findings.partition_point(|f| reach_end(f.range.end) < open.at);
    findings.get(next).is_some_and(|f| f.range.start <= reach_end(open.at))
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
    use crate::simd::Path;
    use crate::spans::Finding;
    use crate::text::Text;

    #[test]
    fn ranges_of_a_redacted_line_map_to_the_bytes_they_came_from() {
        // Detector 0 stands in as `[AUTH_HEADER]`, 13 bytes, for 4..6 and 10..30.
        let raw = b"abc 45 78 0123456789012345678 x";
        let mut line = Text::default();
        let findings = [Finding::new(0, 4..6), Finding::new(0, 10..29)];
        let auth_header = DETECTORS.iter().find(|d| d.rule().entity == "AUTH_HEADER").unwrap();
        let auth_header = Asked::BuiltIn(*auth_header);
        let engine = Engine::new(vec![auth_header], Path::Portable);
        Placeholders::new(&engine).append(raw, 0, &findings, &mut line);
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
