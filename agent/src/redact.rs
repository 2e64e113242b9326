//! `sidelight redact`: the redactor as a filter, and a report of what it finds.

use redaction::{DETECTORS, Redactor, Span, Text};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// Bytes asked for at a time. A pipe gives less, and what it gives is passed on at once.
const READ_BYTES: usize = 256 << 10;

/// A line longer than this is redacted in parts.
const LINE_BYTES_MAX: usize = 16 << 20;

/// A private key block that is not closed within this many bytes is none.
const KEY_BLOCK_BYTES_MAX: usize = 64 << 10;

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

/// Reads `inputs` one after the other, standard input when there are none, and writes to `out`.
///
/// # Errors
/// At the first input that cannot be read, and when the output takes no more.
pub fn filter(
    redactor: &Redactor,
    inputs: &[PathBuf],
    output: Output,
    out: &mut dyn Write,
) -> Result<(), FilterError> {
    let mut filter = Filter {
        redactor,
        output,
        out: BufWriter::new(out),
        text: Text::default(),
        spans: Vec::new(),
        n_lines: 0,
    };
    let stdin = [PathBuf::from("-")];
    for path in if inputs.is_empty() { &stdin } else { inputs } {
        let failed = |source| FilterError::Input { path: path.clone(), source };
        if path == Path::new("-") {
            filter.pass(&mut io::stdin().lock(), &failed)?;
        } else {
            filter.pass(&mut File::open(path).map_err(failed)?, &failed)?;
        }
    }
    Ok(())
}

/// Types with what they count, as a table.
#[must_use]
pub fn stats(redactor: &Redactor) -> String {
    let row = |(name, count): (&str, u64)| format!("{name:<24} {count:>12}\n");
    redactor.counts().into_iter().map(row).collect()
}

/// Every type with its first sample, the secret between « and ».
#[must_use]
pub fn detectors() -> String {
    let row = |detector: &&dyn redaction::Detector| {
        let rule = detector.rule();
        let sample = rule.positive.first().unwrap_or(&"");
        format!("{:<24} {}\n", rule.entity, sample.replace('\n', "\\n"))
    };
    DETECTORS.iter().map(row).collect()
}

struct Filter<'a> {
    redactor: &'a Redactor,
    output: Output,
    out: BufWriter<&'a mut dyn Write>,
    text: Text,
    spans: Vec<Span>,
    n_lines: u64,
}

impl Filter<'_> {
    fn pass(
        &mut self,
        input: &mut dyn Read,
        failed: &dyn Fn(io::Error) -> FilterError,
    ) -> Result<(), FilterError> {
        let mut buffer = Vec::new();
        loop {
            let filled = buffer.len();
            buffer.resize(filled + READ_BYTES, 0);
            let bytes = match input.read(&mut buffer[filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
                Err(error) => return Err(failed(error)),
                Ok(0) => {
                    buffer.truncate(filled);
                    return self.write(&buffer).map_err(FilterError::Output);
                }
                Ok(bytes) => bytes,
            };
            buffer.truncate(filled + bytes);
            let end = whole(&buffer);
            self.write(&buffer[..end]).map_err(FilterError::Output)?;
            buffer.drain(..end);
        }
    }

    fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        match self.output {
            Output::Text => {
                self.text.clear();
                self.redactor.redact_chunk(chunk, &mut self.text);
                self.out.write_all(self.text.as_bytes())?;
            }
            Output::Report => self.report(chunk)?,
        }
        self.out.flush()
    }

    fn report(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.redactor.detect(chunk, &mut self.spans);
        let mut spans = self.spans.as_slice();
        let mut start = 0;
        while start < chunk.len() {
            let end = memchr::memchr(b'\n', &chunk[start..]).map_or(chunk.len(), |at| start + at);
            self.n_lines += 1;
            write!(self.out, "{{\"line\":{},\"entities\":[", self.n_lines)?;
            // A key block covers several lines: it is named on each of them.
            let of_line = |span: &&Span| (span.range.start as usize) < end;
            for (index, span) in spans.iter().take_while(of_line).enumerate() {
                let comma = if index > 0 { "," } else { "" };
                let from = (span.range.start as usize).max(start) - start;
                let to = (span.range.end as usize).min(end) - start;
                let name = span.entity;
                write!(self.out, "{comma}{{\"type\":\"{name}\",\"start\":{from},\"end\":{to}}}")?;
            }
            self.out.write_all(b"]}\n")?;
            let n_over = spans.iter().take_while(|span| (span.range.end as usize) <= end).count();
            spans = &spans[n_over..];
            start = end + 1;
        }
        Ok(())
    }
}

/// How much of `buffer` can be redacted now: whole lines, and no half of a private key.
fn whole(buffer: &[u8]) -> usize {
    let end = match memchr::memrchr(b'\n', buffer) {
        Some(newline) => newline + 1,
        None if buffer.len() >= LINE_BYTES_MAX => return buffer.len(),
        None => return 0,
    };
    let from = end.saturating_sub(KEY_BLOCK_BYTES_MAX);
    let Some(begin) = memchr::memmem::rfind(&buffer[from..end], b"-----BEGIN") else { return end };
    let begin = from + begin;
    if memchr::memmem::find(&buffer[begin..], b"-----END").is_some() {
        return end;
    }
    memchr::memrchr(b'\n', &buffer[..begin]).map_or(0, |newline| newline + 1)
}

#[cfg(test)]
mod tests {
    use super::{Output, filter};
    use redaction::Redactor;
    use std::io::Write;

    fn run(input: &[u8], output: Output) -> String {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(input).unwrap();
        let mut out = Vec::new();
        filter(&Redactor::new(), &[file.path().to_owned()], output, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_goes_through_line_for_line_also_without_a_last_newline() {
        assert_eq!(run(b"", Output::Text), "");
        let text = b"a\n\nto jane.doe@example.com now\nlast";
        assert_eq!(run(text, Output::Text), "a\n\nto [EMAIL] now\nlast");
    }

    #[test]
    fn the_report_has_a_row_for_every_line_and_no_byte_of_it() {
        let rows = run(b"none\nto jane.doe@example.com now\n", Output::Report);
        let want = "{\"line\":1,\"entities\":[]}\n\
                    {\"line\":2,\"entities\":[{\"type\":\"EMAIL\",\"start\":3,\"end\":23}]}\n";
        assert_eq!(rows, want);
    }

    #[test]
    fn a_private_key_is_found_wherever_the_reads_cut_it() {
        let key = format!(
            "-----BEGIN RSA PRIVATE KEY-----\n{}-----END RSA PRIVATE KEY-----\n",
            "MIIEpAIBAAKCAQEAtd9qkV6O0PqkKkVjZ2pBzQ==\n".repeat(20)
        );
        for lines in [6_395, 6_400, 6_405, 6_410] {
            let text = format!(
                "{}{key}after\n",
                "0123456789012345678901234567890123456789\n".repeat(lines)
            );
            let redacted = run(text.as_bytes(), Output::Text);
            assert!(redacted.ends_with("[PRIVATE_KEY]\nafter\n"), "{lines}");
            assert!(!redacted.contains("MIIE"), "{lines}");
        }
    }
}
