//! Redacts standard input to standard output; with `--report` lists findings as JSON lines
//! instead, one object a line of input: `{"line":1,"entities":[{"type":"EMAIL","start":0,"end":9}]}`.

use std::io::{BufWriter, Read, Write};

use redaction::{Redactor, Text};

fn main() -> std::io::Result<()> {
    let is_report = std::env::args().any(|arg| arg == "--report");
    let mut raw = Vec::new();
    std::io::stdin().read_to_end(&mut raw)?;
    let redactor = Redactor::new();
    let mut out = BufWriter::new(std::io::stdout().lock());
    if !is_report {
        let mut text = Text::default();
        redactor.redact_chunk(&raw, &mut text);
        return out.write_all(text.as_bytes());
    }
    let mut spans = Vec::new();
    for (index, line) in raw.split(|b| *b == b'\n').enumerate() {
        redactor.detect(line, &mut spans);
        let entities: Vec<_> = spans
            .iter()
            .map(|s| {
                let (start, end) = (s.range.start, s.range.end);
                format!(r#"{{"type":"{}","start":{start},"end":{end}}}"#, s.entity)
            })
            .collect();
        if !entities.is_empty() {
            writeln!(out, r#"{{"line":{},"entities":[{}]}}"#, index + 1, entities.join(","))?;
        }
    }
    Ok(())
}
