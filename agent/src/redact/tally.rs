//! Counts lines and bytes of what goes through the filter.

use std::fmt;
use std::ops::Range;

/// What went through the filter. A line of which a part changed is a changed one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lines; the last one of an input counts without an end too.
    pub n_lines: u64,
    /// Bytes that were read.
    pub n_bytes: u64,
    /// Lines that came out in another way than they went in.
    pub n_changed: u64,
    /// Lines that were hidden because redaction failed on them.
    pub n_failed: u64,
    /// The last line has no end yet.
    is_open: bool,
    /// The line that is open was counted as changed.
    is_open_changed: bool,
}

impl Tally {
    /// True when the last line has no end.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// What follows is another line.
    pub(super) fn end_line(&mut self) {
        (self.is_open, self.is_open_changed) = (false, false);
    }

    /// Counts a chunk, of which `changed` are the parts that changed, in order.
    pub(super) fn add(&mut self, chunk: &[u8], changed: impl Iterator<Item = Range<u32>>) {
        let Some(last) = chunk.last() else { return };
        let n_ends = |bytes: &[u8]| memchr::memchr_iter(b'\n', bytes).count() as u64;
        let line_end = |at: usize| {
            memchr::memchr(b'\n', &chunk[at..]).map_or(chunk.len(), |newline| at + newline + 1)
        };
        self.n_bytes += chunk.len() as u64;
        let is_open = *last != b'\n';
        self.n_lines += n_ends(chunk) + u64::from(is_open) - u64::from(self.is_open);
        // The end of the last line that was counted as changed.
        let mut counted = if self.is_open_changed { line_end(0) } else { 0 };
        for range in changed {
            let (start, end) = (range.start as usize, range.end as usize);
            if end <= counted {
                continue;
            }
            // A key block is several lines, and has not the end of its last one.
            let lines_end = line_end(end.saturating_sub(1).max(start));
            let lines = &chunk[start.max(counted)..lines_end];
            let has_no_end = lines.last().is_some_and(|last| *last != b'\n');
            self.n_changed += n_ends(lines) + u64::from(has_no_end);
            counted = lines_end;
        }
        self.is_open_changed = is_open && counted == chunk.len();
        self.is_open = is_open;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { n_lines, n_bytes, n_changed, n_failed, .. } = self;
        write!(f, "{n_lines} lines, {n_bytes} bytes: {n_changed} lines changed, {n_failed} failed")
    }
}
