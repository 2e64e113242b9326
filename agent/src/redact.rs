//! `sidelight redact`: the redactor as a filter, and a report of what it finds.

mod listing;
mod tally;

pub use listing::{detectors, detectors_json, stats};
pub use tally::Tally;

use crate::policy::Redactors;
use redaction::{Chunks, Redactor, Span, Text};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Bytes asked for at a time, which is what a pipe holds. More would leave the cache on its way from
/// the read to the write.
const READ_BYTES: usize = 64 << 10;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// The input with every finding replaced.
    Text,
    /// One JSON object per input line: `{"line":1,"entities":[{"type":"EMAIL","start":0,"end":9}]}`
    /// with byte offsets into the line, and no byte of it.
    Report,
}

/// Why the filter stopped.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// An input cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Input {
        /// As given; `-` is standard input.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nobody takes the output.
    #[error("the output cannot be written: {0}")]
    Output(#[source] io::Error),
}

/// Reads inputs one after the other and writes what is left of them.
pub struct Filter<'a> {
    redactors: &'a Redactors,
    output: Output,
    out: &'a mut dyn Write,
    chunks: Chunks,
    text: Text,
    report: Report<'a>,
    tally: Tally,
    /// What was written last has no line end, and belongs to an input that ended.
    is_cut: bool,
}

/// Rows about lines, and what of them is not written yet.
#[derive(Default)]
struct Report<'a> {
    spans: Vec<Span<'a>>,
    rows: Vec<u8>,
    /// Lines before the current one, over all inputs.
    n_lines: u64,
    /// Bytes of the current line in chunks before this one: a line without end comes in parts.
    n_before: usize,
    /// The row of the current line is begun.
    is_open: bool,
    has_entities: bool,
    /// A report counts for itself: what is only looked for is counted by no redactor.
    n_found: BTreeMap<&'a str, u64>,
}

impl<'a> Filter<'a> {
    /// A filter that has read nothing. `out` gets what one read gave in one call, so it needs no
    /// buffer.
    pub fn new(redactors: &'a Redactors, output: Output, out: &'a mut dyn Write) -> Self {
        let (chunks, text, report) = (Chunks::default(), Text::default(), Report::default());
        Self {
            redactors,
            output,
            out,
            chunks,
            text,
            report,
            tally: Tally::default(),
            is_cut: false,
        }
    }

    /// Reads `inputs`, standard input when there are none.
    ///
    /// # Errors
    /// At the first input that cannot be read, and when the output takes no more.
    pub fn run(&mut self, inputs: &[PathBuf]) -> Result<(), FilterError> {
        let stdin = [PathBuf::from("-")];
        let mut read = vec![0; READ_BYTES];
        for path in if inputs.is_empty() { &stdin } else { inputs } {
            let failed = |source| FilterError::Input { path: path.clone(), source };
            if path == Path::new("-") {
                let redactor = self.redactors.base();
                self.pass(&mut io::stdin().lock(), redactor, &mut read, &failed)?;
            } else {
                let redactor = self.redactors.of_file(path);
                let mut file = File::open(path).map_err(failed)?;
                self.pass(&mut file, redactor, &mut read, &failed)?;
            }
        }
        Ok(())
    }

    /// Findings so far by type and strategy.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<(&'a str, &'static str), u64> {
        let mut counts = self.redactors.counts();
        if self.output == Output::Report {
            counts.values_mut().for_each(|n| *n = 0);
            for (entity, n) in &self.report.n_found {
                let strategy = match counts.range((*entity, "")..).next() {
                    Some(((known, strategy), _)) if known == entity => strategy,
                    _ => "",
                };
                counts.insert((entity, strategy), *n);
            }
        }
        counts
    }

    /// Lines and bytes so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = self.tally.clone();
        if self.output == Output::Text {
            tally.n_failed = self.redactors.all().map(Redactor::n_failed_lines).sum();
        }
        tally
    }

    fn pass(
        &mut self,
        input: &mut dyn Read,
        redactor: &'a Redactor,
        read: &mut [u8],
        failed: &dyn Fn(io::Error) -> FilterError,
    ) -> Result<(), FilterError> {
        let Self { output, out, chunks, text, report, tally, is_cut, .. } = self;
        // The last line of the input before this one has no end: another file's first line is
        // another record all the same.
        *is_cut |= *output == Output::Text && tally.is_open();
        tally.end_line();
        loop {
            let n_bytes = match input.read(read) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(error)),
                Ok(n_bytes) => n_bytes,
            };
            let bytes = &read[..n_bytes];
            let made = match output {
                Output::Text => {
                    text.clear();
                    feed(chunks, bytes, |chunk| {
                        redactor.redact_chunk(chunk, text);
                        tally.add(chunk, text.edits().iter().map(|edit| edit.raw.clone()));
                    });
                    text.as_bytes()
                }
                Output::Report => {
                    report.rows.clear();
                    feed(chunks, bytes, |chunk| {
                        report.add(chunk, redactor);
                        tally.add(chunk, report.spans.iter().map(|span| span.range.clone()));
                        let failed =
                            report.spans.iter().filter(|span| span.entity == redaction::FAILED);
                        tally.n_failed += failed.count() as u64;
                    });
                    if bytes.is_empty() {
                        report.end_line();
                    }
                    &report.rows
                }
            };
            if *is_cut && !made.is_empty() {
                out.write_all(b"\n").map_err(FilterError::Output)?;
                *is_cut = false;
            }
            // At once: the reader of a pipe sees what the writer wrote, however slow that one is.
            out.write_all(made).map_err(FilterError::Output)?;
            if n_bytes == 0 {
                return Ok(());
            }
        }
    }
}

/// Hands on the chunks that `bytes` complete; no bytes are the end of the input.
fn feed(chunks: &mut Chunks, bytes: &[u8], each: impl FnMut(&[u8])) {
    if bytes.is_empty() {
        chunks.finish(each);
    } else {
        chunks.push(bytes, each);
    }
}

impl<'a> Report<'a> {
    /// Appends what is found in `chunk`, which may begin and end within a line.
    fn add(&mut self, chunk: &[u8], redactor: &'a Redactor) {
        let mut spans = std::mem::take(&mut self.spans);
        redactor.detect(chunk, &mut spans);
        for span in &spans {
            *self.n_found.entry(span.entity).or_default() += 1;
        }
        let (mut rest, mut start) = (spans.as_slice(), 0);
        while start < chunk.len() {
            let newline = memchr::memchr(b'\n', &chunk[start..]).map(|at| start + at);
            let end = newline.unwrap_or(chunk.len());
            self.begin_line();
            // A key block covers several lines: it is named on each of them.
            for span in rest.iter().take_while(|span| (span.range.start as usize) < end) {
                let from = self.n_before + (span.range.start as usize).max(start) - start;
                let to = self.n_before + (span.range.end as usize).min(end) - start;
                self.add_entity(span.entity, from, to);
            }
            if newline.is_some() {
                self.end_line();
            } else {
                self.n_before += end - start;
            }
            let is_over = |span: &&Span<'_>| (span.range.end as usize) <= end;
            rest = &rest[rest.iter().take_while(is_over).count()..];
            start = end + 1;
        }
        self.spans = spans;
    }

    fn begin_line(&mut self) {
        if !self.is_open {
            self.is_open = true;
            self.n_lines += 1;
            // Writing to memory does not fail.
            let _ = write!(self.rows, "{{\"line\":{},\"entities\":[", self.n_lines);
        }
    }

    fn add_entity(&mut self, entity: &str, from: usize, to: usize) {
        let comma = if self.has_entities { "," } else { "" };
        self.has_entities = true;
        let _ = write!(self.rows, "{comma}{{\"type\":\"{entity}\",\"start\":{from},\"end\":{to}}}");
    }

    /// Ends the row of the current line, if one is begun.
    fn end_line(&mut self) {
        if self.is_open {
            self.rows.extend_from_slice(b"]}\n");
        }
        (self.is_open, self.has_entities, self.n_before) = (false, false, 0);
    }
}

#[cfg(test)]
mod tests;
