//! Counts the lines of [`super::writer`] in the agent's output: which are lost, which came twice,
//! and whether those of one file came in order. Remembers one bit a line, so that gigabytes may
//! pass; the texts of records are judged by `oracle` and `content`.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Runs of lost lines that a problem shows.
const RUNS_SHOWN_MAX: usize = 20;

/// What came of each writer.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    writers: BTreeMap<String, Arrived>,
    /// The last line of each writer from each file, by `file_id`, or by name.
    last: HashMap<(String, String), u64>,
    /// Bytes of the output that are counted.
    position: u64,
    /// Lines that were cut by a kill, or are no record.
    pub(crate) n_torn: usize,
}

/// What came of one writer.
#[derive(Debug, Default)]
struct Arrived {
    is_here: Vec<bool>,
    n_distinct: u64,
    n_duplicates: u64,
    /// First arrivals behind a later line of the same file.
    n_disordered: u64,
    /// First arrivals behind a later line of the writer, whichever file it was in.
    n_late: u64,
    highest: u64,
}

impl Tally {
    /// Counts what the output file has got since the last time. A half line at its end waits.
    pub(crate) fn read(&mut self, output: &Path) {
        let Ok(mut file) = File::open(output) else { return };
        file.seek(SeekFrom::Start(self.position)).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        let end = memchr::memrchr(b'\n', &bytes).map_or(0, |newline| newline + 1);
        self.position += end as u64;
        self.add(&bytes[..end]);
    }

    /// Counts whole lines of output.
    pub(crate) fn add(&mut self, lines: &[u8]) {
        let mut start = 0;
        for newline in memchr::memchr_iter(b'\n', lines) {
            if self.add_record(&lines[start..newline]).is_none() {
                self.n_torn += 1;
            }
            start = newline + 1;
        }
    }

    fn add_record(&mut self, record: &[u8]) -> Option<()> {
        let is_whole = record.starts_with(b"{\"") && record.ends_with(b"}");
        // A pipe has no identity but its name.
        let file_id = between(record, b"\"file_id\":\"", b'"')
            .or_else(|| between(record, b"\"file\":\"", b'"'))
            .filter(|_| is_whole)?;
        let mut rest = record;
        // A record that joins lines has several marks; one without any is a line of somebody else.
        while let Some(at) = memchr::memmem::find(rest, b"line =") {
            rest = &rest[at + 6..];
            let writer = between(rest, b"", b':')?;
            let number = between(&rest[writer.len()..], b":", b'=')?;
            let number: u64 = std::str::from_utf8(number).ok()?.parse().ok()?;
            self.note(
                std::str::from_utf8(writer).ok()?,
                std::str::from_utf8(file_id).ok()?,
                number,
            );
        }
        Some(())
    }

    fn note(&mut self, writer: &str, file_id: &str, number: u64) {
        if !self.writers.contains_key(writer) {
            self.writers.insert(writer.to_owned(), Arrived::default());
        }
        let arrived = self.writers.get_mut(writer).unwrap();
        let index = usize::try_from(number).unwrap();
        if arrived.is_here.len() <= index {
            arrived.is_here.resize(index + 1, false);
        }
        if std::mem::replace(&mut arrived.is_here[index], true) {
            arrived.n_duplicates += 1;
            return;
        }
        arrived.n_distinct += 1;
        arrived.n_late += u64::from(number < arrived.highest);
        arrived.highest = arrived.highest.max(number);
        let last = self.last.entry((writer.to_owned(), file_id.to_owned())).or_default();
        arrived.n_disordered += u64::from(number < *last);
        *last = number;
    }

    /// Lines of `writer` that came at least once.
    pub(crate) fn n_distinct(&self, writer: &str) -> u64 {
        self.writers.get(writer).map_or(0, |arrived| arrived.n_distinct)
    }

    /// Lines that came again, over all writers.
    pub(crate) fn n_duplicates(&self) -> u64 {
        self.writers.values().map(|arrived| arrived.n_duplicates).sum()
    }

    /// First arrivals behind a later line of the same writer from another file.
    pub(crate) fn n_late(&self) -> u64 {
        self.writers.values().map(|arrived| arrived.n_late).sum()
    }

    /// Numbers below `n_lines` of `writer` that did not come.
    pub(crate) fn missing(&self, writer: &str, n_lines: u64) -> Vec<u64> {
        let is_here = self.writers.get(writer).map_or(&[][..], |arrived| &arrived.is_here);
        let came = |n: &u64| is_here.get(usize::try_from(*n).unwrap()).copied().unwrap_or(false);
        (0..n_lines).filter(|n| !came(n)).collect()
    }

    /// What is wrong with the lines below `n_lines` of `writer`, but for those that came twice.
    pub(crate) fn problems(&self, writer: &str, n_lines: u64) -> Vec<String> {
        let mut problems = Vec::new();
        let missing = self.missing(writer, n_lines);
        if !missing.is_empty() {
            let runs: Vec<_> = missing.chunk_by(|before, next| before + 1 == *next).collect();
            let shown = runs.iter().take(RUNS_SHOWN_MAX).map(|run| (run[0], run.len()));
            problems.push(format!(
                "{writer}: {} of {n_lines} lost, in {} runs (first line, lines): {:?}",
                missing.len(),
                runs.len(),
                shown.collect::<Vec<_>>()
            ));
        }
        let arrived = self.writers.get(writer);
        let n_disordered = arrived.map_or(0, |arrived| arrived.n_disordered);
        if n_disordered > 0 {
            problems.push(format!("{writer}: {n_disordered} lines out of order within a file"));
        }
        let n_more = arrived.map_or(0, |arrived| arrived.is_here.len() as u64);
        if n_more > n_lines {
            problems.push(format!("{writer}: line {} came, but was not written", n_more - 1));
        }
        problems
    }
}

/// What stands between `begin`, at its first place, and `end`.
fn between<'a>(text: &'a [u8], begin: &[u8], end: u8) -> Option<&'a [u8]> {
    let start = memchr::memmem::find(text, begin)? + begin.len();
    let length = memchr::memchr(end, &text[start..])?;
    Some(&text[start..start + length])
}

#[cfg(test)]
mod tests {
    use super::Tally;

    fn tally(lines: &[(&str, u64)]) -> Tally {
        let mut tally = Tally::default();
        for (file_id, number) in lines {
            let record = format!(r#"{{"body":"line =w:{number}= x","file_id":"{file_id}"}}"#);
            tally.add(format!("{record}\n").as_bytes());
        }
        tally
    }

    #[test]
    fn losses_repeats_and_disorder_are_seen_and_a_replay_is_no_disorder() {
        let whole = tally(&[("a", 0), ("a", 1), ("a", 0), ("a", 1), ("b", 3), ("a", 2)]);
        assert_eq!(whole.problems("w", 4), [""; 0]);
        assert_eq!((whole.n_duplicates(), whole.n_late(), whole.n_distinct("w")), (2, 1, 4));
        assert_eq!(tally(&[("a", 0), ("a", 2)]).problems("w", 3).len(), 1);
        assert_eq!(tally(&[("a", 1), ("a", 0)]).problems("w", 2).len(), 1);
        assert_eq!(tally(&[("a", 0), ("a", 1)]).problems("w", 1).len(), 1);
        assert_eq!(tally(&[]).missing("w", 2), [0, 1]);
        let mut torn = Tally::default();
        torn.add(b"{\"body\":\"line =w:0= x\n");
        assert_eq!((torn.n_torn, torn.n_distinct("w")), (1, 0));
    }
}
