//! Reads one object to its end: hash, records, and of which files they are.

use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};

/// Longest line; what is longer is no record of ours.
const LINE_BYTES_MAX: u64 = 256 << 20;

/// What is in an object.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) sha256: String,
    pub(super) compressed_bytes: u64,
    pub(super) records: u64,
    pub(super) bytes: u64,
    /// By `file_id`.
    pub(super) files: BTreeMap<String, Lines>,
    /// What is wrong with its bytes.
    pub(super) error: Option<String>,
}

/// Lines of one file in it.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Lines {
    pub(super) records: u64,
    pub(super) offsets: Option<(u64, u64)>,
}

/// What of a line is looked at. The whole of it is parsed.
#[derive(Deserialize)]
struct Line<'l> {
    #[serde(borrow, default)]
    file_id: Cow<'l, str>,
    offset: u64,
}

/// Reads `body`, whose key tells how it is compressed.
///
/// # Errors
/// When it does not come to its end: that says nothing of the object.
pub(super) fn read(key: &str, body: Box<dyn Read + '_>) -> io::Result<Found> {
    let mut found = Found::default();
    let mut hashed = Hashed { body, hash: Sha256::new(), n_bytes: 0, failed: None };
    let unpacked = if key.ends_with(".gz") {
        lines(flate2::read::MultiGzDecoder::new(&mut hashed), &mut found)
    } else {
        zstd::Decoder::new(&mut hashed).and_then(|unpacked| lines(unpacked, &mut found))
    };
    found.error = unpacked.err().map(|error| error.to_string());
    if hashed.failed.is_none() {
        // For the hash of the whole.
        io::copy(&mut hashed, &mut io::sink())?;
    }
    if let Some(error) = hashed.failed {
        return Err(error);
    }
    found.compressed_bytes = hashed.n_bytes;
    found.sha256 = hashed.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(found)
}

fn lines(unpacked: impl Read, found: &mut Found) -> io::Result<()> {
    let mut unpacked = BufReader::with_capacity(256 << 10, unpacked);
    let mut line = Vec::new();
    loop {
        line.clear();
        let n_bytes = (&mut unpacked).take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if n_bytes == 0 {
            return Ok(());
        }
        found.records += 1;
        found.bytes += n_bytes as u64;
        if line.last() != Some(&b'\n') {
            return Err(invalid(found.records, "has no end"));
        }
        let parsed: Line<'_> = serde_json::from_slice(&line)
            .map_err(|error| invalid(found.records, &format!("is no record: {error}")))?;
        if !found.files.contains_key(&*parsed.file_id) {
            found.files.insert(parsed.file_id.to_string(), Lines::default());
        }
        if let Some(file) = found.files.get_mut(&*parsed.file_id) {
            let (low, high) = file.offsets.unwrap_or((parsed.offset, parsed.offset));
            file.offsets = Some((low.min(parsed.offset), high.max(parsed.offset)));
            file.records += 1;
        }
    }
}

fn invalid(line: u64, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("line {line} {what}"))
}

/// Hashes what goes through.
struct Hashed<'b> {
    body: Box<dyn Read + 'b>,
    hash: Sha256,
    n_bytes: u64,
    /// Why nothing more came.
    failed: Option<io::Error>,
}

impl Read for Hashed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_bytes = self.body.read(buffer).inspect_err(|error| {
            self.failed = Some(io::Error::new(error.kind(), error.to_string()));
        })?;
        self.hash.update(&buffer[..n_bytes]);
        self.n_bytes += n_bytes as u64;
        Ok(n_bytes)
    }
}
