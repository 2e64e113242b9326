//! The lines that a locator hit: what the crate then decides, in every engine it is compared with.

use std::ops::Range;

use redaction::{Redactor, Text};

use crate::locators::ENTITIES;

/// Longest key block that the crate hides as one.
const BLOCK_BYTES_MAX: usize = 16 << 10;
/// What stands in the last line of a key block.
const FOOTER: &[u8] = b"-----END";

/// Whole lines of one chunk, ascending; neighbours are one range.
#[derive(Default)]
pub(crate) struct Regions {
    ranges: Vec<Range<usize>>,
}

/// One finding, as offsets into the corpus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Found {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) entity: &'static str,
}

/// Buffers of redaction, kept for their memory.
#[derive(Default)]
pub(crate) struct Output {
    /// The lines, without what stands between them.
    gathered: Vec<u8>,
    /// Where each range of lines ends in `gathered`, and later in `text`.
    ends: Vec<u32>,
    text: Text,
    pub(crate) bytes: Vec<u8>,
}

impl Regions {
    pub(crate) fn clear(&mut self) {
        self.ranges.clear();
    }

    /// True when `at` is in the last line that was added.
    pub(crate) fn covers(&self, at: usize) -> bool {
        self.ranges.last().is_some_and(|last| at < last.end)
    }

    /// Adds a line of `chunk`, and the lines behind it when it begins a block.
    pub(crate) fn add(&mut self, chunk: &[u8], line: Range<usize>, begins_block: bool) {
        let end = if begins_block { block_end(chunk, line.start) } else { line.end };
        match self.ranges.last_mut() {
            Some(last) if line.start <= last.end => last.end = last.end.max(end),
            _ => self.ranges.push(line.start..end),
        }
    }

    /// Writes `chunk` with the findings in these lines replaced.
    pub(crate) fn redact(&self, redactor: &Redactor, chunk: &[u8], output: &mut Output) {
        self.gather(chunk, output);
        output.text.clear();
        let appended = redactor.redact_chunk(&output.gathered, &mut output.text);
        output.text.map_offsets(&appended, &mut output.ends);
        output.bytes.clear();
        let (mut copied, mut start) = (0, 0);
        for (range, end) in self.ranges.iter().zip(&output.ends) {
            output.bytes.extend_from_slice(&chunk[copied..range.start]);
            output.bytes.extend_from_slice(output.text.get(&(start..*end)));
            (copied, start) = (range.end, *end);
        }
        output.bytes.extend_from_slice(&chunk[copied..]);
    }

    /// Appends the findings in these lines; the chunk is `base` bytes into the corpus.
    pub(crate) fn detect(
        &self,
        redactor: &Redactor,
        chunk: &[u8],
        base: usize,
        found: &mut Vec<Found>,
    ) {
        let mut output = Output::default();
        self.gather(chunk, &mut output);
        let n_before = found.len();
        detect(redactor, &output.gathered, 0, found);
        let mut places = self.ranges.iter().zip(&output.ends).peekable();
        for found in &mut found[n_before..] {
            while places.next_if(|(_, end)| **end as usize <= found.start).is_some() {}
            let (range, end) = places.peek().expect("a finding is in one of the ranges");
            let moved = base + range.end - **end as usize;
            found.start += moved;
            found.end += moved;
        }
    }

    /// Puts all lines behind each other: a call for each would cost the other engines more than
    /// what there is to decide.
    fn gather(&self, chunk: &[u8], output: &mut Output) {
        output.gathered.clear();
        output.ends.clear();
        for range in &self.ranges {
            output.gathered.extend_from_slice(&chunk[range.clone()]);
            output.ends.push(u32::try_from(output.gathered.len()).expect("a chunk is short"));
        }
    }
}

/// End of the line that ends the key block whose first line begins at `start`. A block without a
/// footer may be as long as any.
fn block_end(chunk: &[u8], start: usize) -> usize {
    let limit = chunk.len().min(start + BLOCK_BYTES_MAX);
    let footer = memchr::memmem::find(&chunk[start..limit], FOOTER);
    let last_line = footer.map_or(limit, |i| start + i);
    memchr::memchr(b'\n', &chunk[last_line..]).map_or(chunk.len(), |i| last_line + i + 1)
}

/// Appends the findings in `raw`, which is `base` bytes into the corpus; only of the types that all
/// engines look for.
pub(crate) fn detect(redactor: &Redactor, raw: &[u8], base: usize, found: &mut Vec<Found>) {
    let mut spans = Vec::new();
    redactor.detect(raw, &mut spans);
    found.extend(spans.into_iter().filter_map(|span| {
        let entity = ENTITIES.iter().copied().find(|name| *name == span.entity)?;
        let (start, end) = (base + span.range.start as usize, base + span.range.end as usize);
        Some(Found { start, end, entity })
    }));
}

/// Prints the first findings that only one of two engines has; true when there are none.
pub(crate) fn are_equal(raw: &[u8], ours: &[Found], engine: &str, theirs: &[Found]) -> bool {
    const N_SHOWN: usize = 5;
    let (mut ours_left, mut theirs_left) = (ours.iter().peekable(), theirs.iter().peekable());
    let mut n_different = 0;
    loop {
        let (found, owner) = match (ours_left.peek(), theirs_left.peek()) {
            (None, None) => return n_different == 0,
            (Some(a), Some(b)) if a == b => {
                ours_left.next();
                theirs_left.next();
                continue;
            }
            (Some(a), b) if b.is_none_or(|b| a < b) => (ours_left.next(), "redact_chunk"),
            _ => (theirs_left.next(), engine),
        };
        n_different += 1;
        if let Some(found) = found.filter(|_| n_different <= N_SHOWN) {
            let start = memchr::memrchr(b'\n', &raw[..found.start]).map_or(0, |i| i + 1);
            let line = &raw[start.max(found.start.saturating_sub(100))..found.end.min(raw.len())];
            println!("  only {owner} finds {found:?}: {:?}", String::from_utf8_lossy(line));
        }
    }
}
