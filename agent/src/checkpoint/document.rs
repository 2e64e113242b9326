//! The bytes of a generation: JSON that a person can read, with a version and a checksum.

use super::Entry;
use crate::model::FileId;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};

/// Layout that this agent writes, and the only one that it reads.
pub(super) const VERSION: u32 = 1;

/// Why bytes are no generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// No bytes at all: the power failed before the disk had them.
    #[error("it is empty")]
    Empty,
    /// Torn, overwritten, or another program's file.
    #[error("it is not a whole checkpoint")]
    Torn,
    /// Whole, but not as it was written.
    #[error("its checksum is wrong")]
    Checksum,
    /// In a layout that comes after [`VERSION`].
    #[error("a newer sidelight wrote it, as version {0}; this one reads version {VERSION}")]
    Newer(u32),
    /// In a layout that never was.
    #[error("it says version {0}, which no sidelight wrote")]
    Unknown(u32),
}

#[derive(Deserialize)]
struct Document<'a> {
    version: u32,
    /// CRC-32 of `files` as it stands in the file, so that a torn write is seen.
    crc32: u32,
    #[serde(borrow)]
    files: &'a serde_json::value::RawValue,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Deserialize)]
struct Row {
    id: u64,
    #[serde(flatten)]
    entry: Entry,
}

#[derive(Serialize)]
struct RowRef<'a> {
    id: u64,
    #[serde(flatten)]
    entry: &'a Entry,
}

/// Writes a generation. Nothing is copied: there may be very many entries.
///
/// # Errors
/// When `out` does not take it.
pub(super) fn encode<'a>(
    entries: impl Iterator<Item = (FileId, &'a Entry)>,
    out: &mut impl Write,
) -> io::Result<()> {
    write!(out, r#"{{"version":{VERSION},"files":"#)?;
    let mut hashed = Hashed { out, hasher: crc32fast::Hasher::new() };
    hashed.write_all(b"[")?;
    for (index, (id, entry)) in entries.enumerate() {
        if index > 0 {
            hashed.write_all(b",\n")?;
        }
        serde_json::to_writer(&mut hashed, &RowRef { id: id.0, entry })?;
    }
    hashed.write_all(b"]")?;
    let crc32 = hashed.hasher.finalize();
    write!(out, ",\"crc32\":{crc32}}}")
}

/// Reads the bytes of a generation.
///
/// # Errors
/// When they are not one, whole and of this version.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<(FileId, Entry)>, Damage> {
    if bytes.is_empty() {
        return Err(Damage::Empty);
    }
    // Of another version only this field is known.
    match serde_json::from_slice(bytes).map_err(|_| Damage::Torn)? {
        Version { version: VERSION } => {}
        Version { version } if version > VERSION => return Err(Damage::Newer(version)),
        Version { version } => return Err(Damage::Unknown(version)),
    }
    let document: Document<'_> = serde_json::from_slice(bytes).map_err(|_| Damage::Torn)?;
    debug_assert_eq!(document.version, VERSION, "it was looked at before");
    let files = document.files.get();
    if crc32fast::hash(files.as_bytes()) != document.crc32 {
        return Err(Damage::Checksum);
    }
    let rows: Vec<Row> = serde_json::from_str(files).map_err(|_| Damage::Torn)?;
    Ok(rows.into_iter().map(|row| (FileId(row.id), row.entry)).collect())
}

/// Passes bytes on and hashes them.
struct Hashed<'a, W> {
    out: &'a mut W,
    hasher: crc32fast::Hasher,
}

impl<W: Write> Write for Hashed<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n_written = self.out.write(bytes)?;
        self.hasher.update(&bytes[..n_written]);
        Ok(n_written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::{Damage, VERSION, decode};

    /// A file of version 1 as it was written once. Never changed: agents in the field have such.
    const VERSION_1: &str = r#"{"version":1,"crc32":747239630,"files":[{"id":3,"path":"/var/log/a.log","inode":{"device":1,"inode":18446744073709551615},"head":{"bytes":4,"hash":14636983137036331521},"offset":7,"frontier":{"bytes":7,"hash":1},"job_id":"app-1","seen_unix_s":1000},{"id":4,"path":"/var/log/a.log.1.gz","inode":{"device":1,"inode":9},"head":{"bytes":4,"hash":5},"offset":70,"frontier":{"bytes":7,"hash":1},"seen_unix_s":1000,"archive":{"file_bytes":30,"text_bytes":70},"is_ended":true}]}"#;

    #[test]
    fn what_an_older_agent_wrote_is_read() {
        let entries = decode(VERSION_1.as_bytes()).unwrap();
        assert_eq!((VERSION, entries.len()), (1, 2));
        let (id, entry) = &entries[0];
        assert_eq!((id.0, entry.offset, entry.inode.inode), (3, 7, u64::MAX));
        assert_eq!(entry.job_id.as_deref(), Some("app-1"));
        let (_, entry) = &entries[1];
        assert!(entry.is_ended && entry.archive.is_some_and(|archive| archive.text_bytes == 70));
    }

    #[test]
    fn each_kind_of_damage_is_told() {
        let with = |from: &str, to: &str| decode(VERSION_1.replace(from, to).as_bytes());
        assert_eq!(decode(b""), Err(Damage::Empty));
        assert_eq!(decode(b"\0\0\0"), Err(Damage::Torn));
        assert_eq!(decode(b"{\"version\":1}"), Err(Damage::Torn));
        assert_eq!(with("\"offset\":7,", "\"offset\":8,"), Err(Damage::Checksum));
        assert_eq!(with("\"version\":1", "\"version\":2"), Err(Damage::Newer(2)));
        assert_eq!(with("\"version\":1", "\"version\":0"), Err(Damage::Unknown(0)));
    }
}
