//! What the demo prints: some of the records, then a summary read from `/metrics`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Records shown in full would fill the terminal.
const SHOWN_MAX: usize = 14;

/// Characters of a body that are shown: a stack trace would hide the fields behind it.
const BODY_CHARS_MAX: usize = 160;

/// Follows the records and shows the telling ones.
pub(super) struct Shown {
    path: PathBuf,
    read: u64,
    n_shown: usize,
    /// Placeholders and exceptions that were shown already.
    seen: BTreeSet<String>,
}

impl Shown {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), read: 0, n_shown: 0, seen: BTreeSet::new() }
    }

    /// Prints new records that show something that none before did: a kind of PII, an exception, a
    /// task.
    pub(super) fn print_new(&mut self) -> io::Result<()> {
        let Ok(mut file) = File::open(&self.path) else { return Ok(()) };
        file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        bytes.truncate(memchr::memrchr(b'\n', &bytes).map_or(0, |newline| newline + 1));
        self.read += bytes.len() as u64;
        for line in String::from_utf8_lossy(&bytes).lines() {
            let before = self.seen.len();
            self.seen.extend(marks(line));
            if self.seen.len() > before && self.n_shown < SHOWN_MAX {
                self.n_shown += 1;
                say(&format!("{}\n", shortened(line)));
            }
        }
        Ok(())
    }

    pub(super) fn print_summary(&self, page: &str, metrics: SocketAddr) {
        let samples = samples(page);
        let sum = |name: &str, label: &str| -> f64 {
            let wanted =
                samples.iter().filter(|(series, _)| is_of(series, name) && series.contains(label));
            wanted.map(|(_, value)| value).sum()
        };
        let worst = samples
            .iter()
            .filter(|(series, _)| is_of(series, "spark_stage_skew_ratio"))
            .map(|(_, value)| *value)
            .fold(0.0, f64::max);
        say("summary");
        say(&format!("  records       {}", sum("sidelight_records_total", "")));
        for (series, value) in &samples {
            let is_counted = is_of(series, "sidelight_redactions_total") && *value > 0.0;
            let kind = series.split_once("type=\"").and_then(|(_, it)| it.split_once('"'));
            if let (true, Some((kind, _))) = (is_counted, kind) {
                say(&format!("  redacted      {kind:<20} {value}"));
            }
        }
        say(&format!("  failed tasks  {}", sum("spark_app_tasks_total", "outcome=\"failed\"")));
        say(&format!("  worst skew    {worst:.1} times the median task"));
        say(&format!("  metrics       http://{metrics}/metrics ({} series)", samples.len()));
    }
}

fn is_of(series: &str, name: &str) -> bool {
    series.split('{').next() == Some(name)
}

/// The record with the end of a long body left out.
fn shortened(line: &str) -> String {
    let Some((before, rest)) = line.split_once("\"body\":\"") else { return line.to_owned() };
    let Some(end) = rest.find("\",\"") else { return line.to_owned() };
    let body: String = rest[..end].chars().take(BODY_CHARS_MAX).collect();
    let dots = if body.len() < end { " …" } else { "" };
    format!("{before}\"body\":\"{body}{dots}{}", &rest[end..])
}

/// What makes a record worth showing.
fn marks(line: &str) -> Vec<String> {
    let placeholders = line.split('[').skip(1).filter_map(|rest| {
        let name = rest.split(']').next()?;
        let is_name =
            name.len() > 2 && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        is_name.then(|| name.to_owned())
    });
    let mut marks: Vec<String> = placeholders.collect();
    for key in ["exception_type", "severity"] {
        let value =
            line.split_once(&format!("\"{key}\":\"")).and_then(|(_, rest)| rest.split('"').next());
        marks.extend(value.map(|value| format!("{key} {value}")));
    }
    if line.contains("\"task_id\":") {
        marks.push("task".to_owned());
    }
    marks
}

/// Series and values of a page in the Prometheus text format.
fn samples(page: &str) -> BTreeMap<&str, f64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(series, value)| Some((series, value.parse().ok()?)))
        .collect()
}

/// The page that Prometheus would get.
pub(super) async fn fetch(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: demo\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned()))
}

/// Talks to the person who looks on; when nobody does any more, the demo goes on to its end.
pub(super) fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}
