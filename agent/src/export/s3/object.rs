//! Makes the object of a segment: JSON lines, compressed, in parts. The same segment makes the same
//! bytes, so an object that is put again overwrites itself.

use super::frames::Frames;
use super::manifest::{FileParts, Object};
use super::partition::Partition;
use super::staging::Next;
use crate::encode::JsonEncoder;
use crate::export::spool::codec;
use crate::model::LogRecord;
use crate::policy::Redactors;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::{self, Write};
use tokio::sync::mpsc;

/// Bytes of every part but the last: the least that S3 takes, as a few of them are in memory.
pub(super) const PART_BYTES: usize = 5 << 20;
/// Of zstd: what its authors have as the default. Part of what the bytes depend on.
const ZSTD_LEVEL: i32 = 3;
/// JSON that is compressed at a time.
const LINES_BYTES: usize = 256 << 10;

/// How objects are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Zstandard.
    Zstd,
    /// For readers that know nothing newer.
    Gzip,
}

impl Compression {
    /// End of the key.
    #[must_use]
    pub(super) fn ending(self) -> &'static str {
        match self {
            Self::Zstd => "jsonl.zst",
            Self::Gzip => "jsonl.gz",
        }
    }

    /// `Content-Type`.
    #[must_use]
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Zstd => "application/zstd",
            Self::Gzip => "application/gzip",
        }
    }
}

/// What objects are like.
#[derive(Debug, Clone)]
pub(super) struct Form {
    /// Of their bytes.
    pub(super) compression: Compression,
    /// Of their folders, as the config has it.
    pub(super) folder_template: String,
}

/// What comes out of a segment, in order.
#[derive(Debug)]
pub(super) enum Piece {
    /// Key of the object below the prefix: before its first part.
    Key(String),
    /// Its bytes; all but the last have [`PART_BYTES`].
    Part(Vec<u8>),
    /// All of it was handed over. A channel that is closed without this one holds a piece of an
    /// object, which must not be put.
    End,
}

/// The object of a segment, and whose it is. There are no parts when no record is left in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Made {
    /// None when nothing whole is in the segment.
    pub(super) partition: Option<Partition>,
    /// What the manifest says.
    pub(super) object: Object,
}

/// Makes the object of a segment and hands its parts to `out`. Waits for the disk and for whoever takes
/// the parts.
///
/// # Errors
/// When the disk does not give the segment, or nobody takes the parts any more.
pub(super) fn make(
    segment: &Next,
    form: &Form,
    redactors: &Redactors,
    out: mpsc::Sender<Piece>,
) -> io::Result<Made> {
    let Next { number, path, name, bytes, .. } = segment;
    let (mut encoder, mut lines) = (JsonEncoder::default(), Vec::new());
    let mut parts = FileParts::default();
    let object = Object { number: *number, ..Object::default() };
    let mut made = Made { partition: None, object };
    let Some(mut frames) = Frames::open(path)? else {
        made.object.damaged_bytes = *bytes;
        return Ok(made);
    };
    let mut writer = Writer::new(form.compression, out)?;
    while let Some(payload) = frames.next()? {
        let Some(logs) = codec::decode(payload, redactors) else {
            made.object.damaged_bytes += payload.len() as u64;
            continue;
        };
        parts.note(&logs);
        if made.partition.is_none() {
            made.partition = Some(Partition::of(&logs.resource, &LogRecord::default()));
        }
        for record in &logs.records {
            if made.object.key.is_none() {
                let partition = Partition::of(&logs.resource, record);
                let folder = partition.folder(&form.folder_template);
                let key = format!("{folder}/{name}.{}", form.compression.ending());
                writer.parts().send(Piece::Key(key.clone()))?;
                (made.partition, made.object.key) = (Some(partition), Some(key));
            }
            encoder.encode(&logs, record, &mut lines);
            if lines.len() >= LINES_BYTES {
                made.object.bytes += lines.len() as u64;
                writer.write_all(&lines)?;
                lines.clear();
            }
        }
        made.object.records += logs.records.len() as u64;
    }
    made.object.damaged_bytes += frames.n_damaged_bytes() + bytes.saturating_sub(frames.end());
    made.object.files = parts.finish();
    if made.object.key.is_some() {
        made.object.bytes += lines.len() as u64;
        writer.write_all(&lines)?;
        (made.object.compressed_bytes, made.object.sha256) = writer.finish()?.finish()?;
    }
    Ok(made)
}

/// Bytes on their way to parts of an object.
struct Parts {
    out: mpsc::Sender<Piece>,
    buffer: Vec<u8>,
    hash: Sha256,
    n_bytes: u64,
}

impl Parts {
    fn send(&self, piece: Piece) -> io::Result<()> {
        self.out.blocking_send(piece).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn send_part(&mut self) -> io::Result<()> {
        let part = std::mem::take(&mut self.buffer);
        self.send(Piece::Part(part))
    }

    /// Hands over the last part and the end; bytes and hash of the whole.
    fn finish(mut self) -> io::Result<(u64, String)> {
        if !self.buffer.is_empty() {
            self.send_part()?;
        }
        self.send(Piece::End)?;
        let hash = self.hash.finalize();
        Ok((self.n_bytes, hash.iter().map(|byte| format!("{byte:02x}")).collect()))
    }
}

impl Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = &bytes[..bytes.len().min(PART_BYTES - self.buffer.len())];
        self.buffer.extend_from_slice(taken);
        self.hash.update(taken);
        self.n_bytes += taken.len() as u64;
        if self.buffer.len() == PART_BYTES {
            self.send_part()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Compresses.
enum Writer {
    Zstd(zstd::Encoder<'static, Parts>),
    Gzip(GzEncoder<Parts>),
}

impl Writer {
    fn new(compression: Compression, out: mpsc::Sender<Piece>) -> io::Result<Self> {
        let parts = Parts { out, buffer: Vec::new(), hash: Sha256::new(), n_bytes: 0 };
        Ok(match compression {
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(parts, ZSTD_LEVEL)?;
                // So that every tool that unpacks it sees damage.
                encoder.include_checksum(true)?;
                Self::Zstd(encoder)
            }
            // Its header has no time.
            Compression::Gzip => Self::Gzip(GzEncoder::new(parts, flate2::Compression::default())),
        })
    }

    fn parts(&self) -> &Parts {
        match self {
            Self::Zstd(encoder) => encoder.get_ref(),
            Self::Gzip(encoder) => encoder.get_ref(),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Zstd(encoder) => encoder.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<Parts> {
        match self {
            Self::Zstd(encoder) => encoder.finish(),
            Self::Gzip(encoder) => encoder.finish(),
        }
    }
}
