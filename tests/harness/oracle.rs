//! Judges delivery: from the records alone it rebuilds what was delivered of each file, and in
//! which order. Shares no code with the agent; what the records say is judged by `content`.

use super::agent::{End, Life};
use std::collections::BTreeMap;
use std::path::Path;

/// How long before a SIGKILL a record may have been read and still come again: the batch has to
/// fill (2 s), travel, and wait for the next checkpoint (1 s); doubled for a busy machine.
const IN_FLIGHT_MS: u64 = 6_000;

/// One line of the output.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// The file it was read from.
    pub(crate) file: String,
    /// Offset of its first byte there.
    pub(crate) offset: u64,
    /// Every field.
    pub(crate) fields: serde_json::Map<String, serde_json::Value>,
    /// Which life of the agent wrote it, from 0.
    life: usize,
}

impl Record {
    /// A text field; empty when absent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.fields.get(name).and_then(serde_json::Value::as_str).unwrap_or("")
    }

    /// A field as it would be printed, whether it is a number or text; none when absent.
    pub(crate) fn printed(&self, name: &str) -> Option<String> {
        self.fields.get(name).map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
    }
}

/// What a reader of the output has in the end.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    /// Records of each file in order, without those that a replay superseded.
    pub(crate) files: BTreeMap<String, Vec<Record>>,
    /// Records that came twice.
    pub(crate) n_duplicates: usize,
    /// Everything that must not have happened.
    pub(crate) problems: Vec<String>,
}

/// Reads the output of all lives of the agent; the last one ends with the output.
pub(crate) fn read(output: &[u8], lives: &[Life]) -> Delivery {
    let mut delivery = Delivery::default();
    let mut start = 0;
    while start < output.len() {
        let length = memchr::memchr(b'\n', &output[start..]).unwrap_or(output.len() - start);
        let end = start + length;
        let life = lives.iter().filter(|life| life.output_bytes <= start as u64).count();
        match parse(&output[start..end], life) {
            Some(record) => delivery.take(record, lives),
            None if is_cut_by_kill(lives, start, end) => {}
            None if is_about_a_run(&output[start..end]) => {}
            None => delivery.problems.push(format!("bytes {start}..{end} are no record")),
        }
        start = end + 1;
    }
    delivery
}

fn parse(line: &[u8], life: usize) -> Option<Record> {
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line).ok()?;
    let file = fields.get("file")?.as_str()?.to_owned();
    let offset = fields.get("offset")?.as_u64()?;
    Some(Record { file, offset, fields, life })
}

/// A finding or a summary: what the agent itself says of a run, which is in no file.
fn is_about_a_run(line: &[u8]) -> bool {
    let record: Option<serde_json::Value> = serde_json::from_slice(line).ok();
    let logger = record.as_ref().and_then(|record| record["logger"].as_str());
    logger.is_some_and(|logger| logger.starts_with("sidelight."))
}

/// A kill may cut the line that was being written, and no other.
fn is_cut_by_kill(lives: &[Life], start: usize, end: usize) -> bool {
    lives.iter().any(|life| {
        let at = life.output_bytes;
        matches!(life.end, End::Killed { .. }) && start as u64 <= at && at <= end as u64
    })
}

impl Delivery {
    /// Adds the next record. One that starts before the last of its file is a replay: it
    /// supersedes what came from there on, and only a kill excuses it.
    fn take(&mut self, record: Record, lives: &[Life]) {
        let records = self.files.entry(record.file.clone()).or_default();
        while let Some(last) = records.pop_if(|last| last.offset >= record.offset) {
            self.n_duplicates += 1;
            let what = format!("{} at {}", last.file, last.offset);
            let killed = lives[last.life..].iter().find_map(|life| match life.end {
                End::Killed { unix_ms } => Some(unix_ms),
                End::Terminated => None,
            });
            match killed {
                _ if record.life == last.life => {
                    self.problems.push(format!("{what} came twice or late in one life"));
                }
                None => self.problems.push(format!("{what} came again after an orderly stop")),
                Some(unix_ms) => {
                    let age_ms = unix_ms.saturating_sub(observed_unix_ms(&last));
                    if age_ms > IN_FLIGHT_MS {
                        let late = format!("{what} came again, read {age_ms} ms before the kill");
                        self.problems.push(late);
                    }
                }
            }
        }
        records.push(record);
    }

    /// Checks that the records of each of `files` start at its first byte and that every start
    /// is the start of a line, which makes them cover every byte exactly once.
    pub(crate) fn coverage_problems(&self, files: &[(&Path, Vec<u8>)]) -> Vec<String> {
        let mut problems = Vec::new();
        for (path, bytes) in files {
            let name = path.display();
            let records = self.files.get(&*path.to_string_lossy()).map_or(&[][..], Vec::as_slice);
            match records.first() {
                None if bytes.is_empty() => continue,
                None => problems.push(format!("nothing of {name} arrived")),
                Some(first) if first.offset > 0 => {
                    problems.push(format!("{name} begins at {}, not at 0", first.offset));
                }
                Some(_) => {}
            }
            for record in records.iter().filter(|record| record.offset > 0) {
                let before = usize::try_from(record.offset).unwrap() - 1;
                if bytes.get(before) != Some(&b'\n') {
                    problems.push(format!("{name}: no line starts at {}", record.offset));
                }
            }
        }
        for file in self.files.keys() {
            if !files.iter().any(|(path, _)| path.to_string_lossy() == *file) {
                problems.push(format!("{file} was read, but is no log file of the test"));
            }
        }
        problems
    }
}

fn observed_unix_ms(record: &Record) -> u64 {
    let time: jiff::Timestamp = record.text("observed_timestamp").parse().unwrap_or_default();
    u64::try_from(time.as_millisecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Delivery, End, Life, read};
    use std::path::Path;

    /// Lines of (offset, observed second); `|` ends a life.
    fn output(lives: &[&[(u64, u64)]], ends: &[End]) -> (Vec<u8>, Vec<Life>) {
        let mut bytes = String::new();
        let mut ended = Vec::new();
        for (i, life) in lives.iter().enumerate() {
            for (offset, second) in *life {
                bytes.push_str(&format!(
                    r#"{{"file":"/f","offset":{offset},"observed_timestamp":"1970-01-01T00:00:{second:02}Z"}}"#
                ));
                bytes.push('\n');
            }
            if let Some(end) = ends.get(i) {
                ended.push(Life { end: *end, output_bytes: bytes.len() as u64 });
            }
        }
        (bytes.into_bytes(), ended)
    }

    fn deliver(lives: &[&[(u64, u64)]], ends: &[End]) -> Delivery {
        let (bytes, lives) = output(lives, ends);
        read(&bytes, &lives)
    }

    const KILLED: End = End::Killed { unix_ms: 20_000 };

    #[test]
    fn a_replay_is_excused_by_a_kill_and_only_for_what_was_in_flight() {
        let replay = deliver(&[&[(0, 18), (5, 19)], &[(5, 21), (9, 21)]], &[KILLED]);
        assert_eq!((replay.n_duplicates, replay.problems.len()), (1, 0));
        assert_eq!(replay.files["/f"].iter().map(|r| r.offset).collect::<Vec<_>>(), [0, 5, 9]);
        let old = deliver(&[&[(0, 1), (5, 2)], &[(0, 21), (5, 21)]], &[KILLED]);
        assert_eq!((old.n_duplicates, old.problems.len()), (2, 2));
        let orderly = deliver(&[&[(0, 18), (5, 19)], &[(5, 21)]], &[End::Terminated]);
        assert_eq!((orderly.n_duplicates, orderly.problems.len()), (1, 1));
        let one_life = deliver(&[&[(0, 18), (5, 19), (0, 19)]], &[KILLED]);
        assert_eq!((one_life.n_duplicates, one_life.problems.len()), (2, 2));
    }

    #[test]
    fn a_line_may_be_cut_by_a_kill_and_nowhere_else() {
        let (mut bytes, mut lives) = output(&[&[(0, 18)], &[(5, 21)]], &[KILLED]);
        let at = usize::try_from(lives[0].output_bytes).unwrap();
        bytes.splice(at..at, *b"{\"file\":\n");
        lives[0].output_bytes += 8;
        assert_eq!(read(&bytes, &lives).problems, [""; 0]);
        lives[0].end = End::Terminated;
        assert_eq!(read(&bytes, &lives).problems.len(), 1);
    }

    #[test]
    fn a_missing_beginning_and_a_start_inside_a_line_are_seen() {
        let files = [(Path::new("/f"), b"one\ntwo\n".to_vec())];
        let problems = |offsets| deliver(&[offsets], &[]).coverage_problems(&files).len();
        assert_eq!(problems(&[(0, 1), (4, 1)]), 0);
        assert_eq!(problems(&[(4, 1)]), 1);
        assert_eq!(problems(&[(0, 1), (5, 1)]), 1);
        assert_eq!(problems(&[]), 1);
    }
}
