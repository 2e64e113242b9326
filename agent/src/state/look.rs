//! What reads the checkpoint only.

use super::{Answer, StateError};
use crate::checkpoint::{CURRENT, Entry, Generation, PREVIOUS, Problem};
use crate::model::FileId;
use crate::tail::fingerprint::{Digest, Inode};
use jiff::Timestamp;
use serde::Serialize;
use std::fmt::{self, Write};
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// What is at the path of an entry now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Presence {
    /// The file.
    There,
    /// A shorter file than was delivered.
    Overwritten,
    /// Nothing, or another file.
    Gone,
    /// Whatever is there: the agent had read the file to its end when it went away.
    Ended,
}

impl Presence {
    /// Of a file, with its length.
    pub(super) fn of(entry: &Entry) -> (Self, Option<u64>) {
        let now = fs::metadata(&entry.path);
        // The device changes on network file systems.
        let now = now.ok().filter(|now| Inode::of(now).inode == entry.inode.inode);
        let presence = match &now {
            _ if entry.is_ended => Self::Ended,
            None => Self::Gone,
            Some(now) if now.len() < entry.offset && !is_compressed(entry) => Self::Overwritten,
            Some(_) => Self::There,
        };
        (presence, now.map(|now| now.len()).filter(|_| presence != Self::Ended))
    }
}

impl fmt::Display for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::There => "there",
            Self::Overwritten => "overwritten",
            Self::Gone => "gone",
            Self::Ended => "ended",
        })
    }
}

/// Its offsets count bytes of text, not of the file.
pub(super) fn is_compressed(entry: &Entry) -> bool {
    entry.archive.is_some() || entry.path.extension().is_some_and(|ending| ending == "gz")
}

#[derive(Serialize)]
struct Row<'a> {
    id: String,
    path: &'a Path,
    state: Presence,
    offset: u64,
    size_bytes: Option<u64>,
    /// Bytes not delivered yet; unknown for compressed files that are not read to their end.
    lag_bytes: Option<u64>,
    job_id: Option<&'a str>,
    job_name: Option<&'a str>,
    age_seconds: u64,
}

impl<'a> Row<'a> {
    fn new(id: FileId, entry: &'a Entry, now_unix_s: u64) -> Self {
        let (state, size_bytes) = Presence::of(entry);
        let text_bytes = match entry.archive {
            Some(archive) => Some(archive.text_bytes),
            None => size_bytes.filter(|_| !is_compressed(entry)),
        };
        Self {
            id: hex(id),
            path: &entry.path,
            state,
            offset: entry.offset,
            size_bytes,
            lag_bytes: text_bytes.map(|text_bytes| text_bytes.saturating_sub(entry.offset)),
            job_id: entry.job_id.as_deref(),
            job_name: entry.job_name.as_deref(),
            age_seconds: now_unix_s.saturating_sub(entry.seen_unix_s),
        }
    }
}

/// The id as `file_id` of records has it.
pub(super) fn hex(id: FileId) -> String {
    format!("{:016x}", id.0)
}

/// All files, for people or programs.
pub(super) fn list(entries: &[(FileId, Entry)], as_json: bool, now_unix_s: u64) -> String {
    let rows = entries.iter().map(|(id, entry)| Row::new(*id, entry, now_unix_s));
    if as_json {
        let rows: Vec<Row<'_>> = rows.collect();
        return serde_json::to_string(&rows).expect("rows are plain data");
    }
    let mut text = format!(
        "{:16}  {:>12}  {:>12}  {:>12}  {:>6}  {:11}  {:24}  PATH\n",
        "ID", "OFFSET", "SIZE", "LAG", "AGE", "STATE", "JOB"
    );
    for row in rows {
        let _ = writeln!(
            text,
            "{}  {:>12}  {:>12}  {:>12}  {:>6}  {:11}  {:24}  {}",
            row.id,
            row.offset,
            number(row.size_bytes),
            number(row.lag_bytes),
            age(row.age_seconds),
            row.state,
            row.job_id.unwrap_or("-").escape_debug(),
            visible(row.path),
        );
    }
    text
}

/// Everything of one file.
pub(super) fn show(id: FileId, entry: &Entry, now_unix_s: u64) -> String {
    let row = Row::new(id, entry, now_unix_s);
    let name = |name: Option<&str>| name.unwrap_or("unknown").escape_debug().to_string();
    let Inode { device, inode } = entry.inode;
    let archive = entry.archive.map_or_else(String::new, |archive| {
        let (file_bytes, text_bytes) = (archive.file_bytes, archive.text_bytes);
        format!("compressed    {file_bytes} bytes with {text_bytes} bytes of text\n")
    });
    let (head, frontier) = matches(entry);
    format!(
        "id            {}\npath          {}\nstate         {}\noffset        {}\nsize          {}\n\
         lag           {}\n{archive}job id        {}\njob name      {}\n\
         last heard of {} ago ({})\ndevice        {device}\ninode         {inode}\n\
         head          {} bytes, hash {:016x}: {head}\n\
         frontier      {} bytes before the offset, hash {:016x}: {frontier}\n",
        row.id,
        visible(row.path),
        row.state,
        row.offset,
        number(row.size_bytes),
        number(row.lag_bytes),
        name(row.job_id),
        name(row.job_name),
        age(row.age_seconds),
        time(i64::try_from(entry.seen_unix_s).unwrap_or(i64::MAX)),
        entry.head.bytes,
        entry.head.hash,
        entry.frontier.bytes,
        entry.frontier.hash,
    )
}

/// Whether head and frontier are still those of the file at the path.
fn matches(entry: &Entry) -> (String, String) {
    if is_compressed(entry) {
        let unknown = "not compared, as the file is compressed".to_owned();
        return (unknown.clone(), unknown);
    }
    let is_file = fs::metadata(&entry.path).and_then(|now| match now.is_file() {
        true => File::open(&entry.path),
        false => Err(io::Error::other("not a file")),
    });
    let say = |held: io::Result<bool>| match held {
        Ok(true) => "the same on the disk".to_owned(),
        Ok(false) => "DIFFERENT on the disk".to_owned(),
        Err(error) => format!("not compared: {error}"),
    };
    match is_file {
        Ok(file) => (say(entry.head.holds_at(&file, 0)), say(frontier_holds(entry, &file))),
        Err(error) => {
            let unknown = format!("not compared: {error}");
            (unknown.clone(), unknown)
        }
    }
}

fn frontier_holds(entry: &Entry, file: &File) -> io::Result<bool> {
    let Digest { bytes, .. } = entry.frontier;
    let from = entry.offset.saturating_sub(bytes);
    Ok(bytes == 0 || entry.frontier.holds_at(file, from)?)
}

/// Whether both generations are whole.
pub(super) fn verify(folder: &Path) -> Result<Answer, StateError> {
    let generations = [CURRENT, PREVIOUS].map(|name| (name, Generation::read(folder, name)));
    if generations.iter().all(|(_, read)| matches!(read, Err(Problem::Missing))) {
        return Err(StateError::NoState { folder: folder.to_owned() });
    }
    let mut text = String::new();
    for (name, read) in &generations {
        let _ = match read {
            Ok(generation) => {
                let since = SystemTime::now().duration_since(generation.written);
                writeln!(
                    text,
                    "{name}: whole, version {}, {} files, {} bytes, written {} ago",
                    generation.version,
                    generation.entries.len(),
                    generation.bytes,
                    age(since.unwrap_or_default().as_secs()),
                )
            }
            Err(problem) => writeln!(text, "{name}: not usable: {problem}"),
        };
    }
    let [(_, current), (_, previous)] = &generations;
    let next = match (current, previous) {
        (Ok(_), _) => format!("the next start goes on from {CURRENT}"),
        (Err(Problem::Unreadable(_)), _) => "an agent of this user cannot start".to_owned(),
        (Err(_), Ok(_)) => format!("the next start falls back to {PREVIOUS}"),
        (Err(_), Err(_)) => "the next start takes all files for new ones".to_owned(),
    };
    text.push_str(&next);
    Ok(Answer { text, is_good: current.is_ok() })
}

fn number(number: Option<u64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

/// A path cannot do anything to a terminal.
fn visible(path: &Path) -> String {
    let text = path.to_string_lossy();
    match text.chars().any(char::is_control) {
        true => format!("{text:?}"),
        false => text.into_owned(),
    }
}

/// A time span in its largest unit.
fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn time(unix_s: i64) -> String {
    Timestamp::from_second(unix_s).map_or_else(|_| "never".to_owned(), |at| at.to_string())
}
