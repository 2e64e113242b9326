//! Bytes of a segment: a header, then frames, each with length, checksum, sequence and payload.
//!
//! Numbers are little-endian. The checksum of a frame begins with a random number that stands in the
//! header, so neither a text that looks like a frame nor an old block of the disk is taken for one.

use std::io::{Error, ErrorKind, Result};

const MAGIC: &[u8; 8] = b"sidespol";
const VERSION: u32 = 1;

/// Magic, version, salt, checksum of those.
pub(in crate::export) const HEADER_BYTES: usize = 24;
/// Length of the payload, checksum, sequence, number of records.
pub(in crate::export) const HEAD_BYTES: usize = 20;
/// No spool ever gets so far; what says so is no frame.
pub(in crate::export) const SEQUENCE_MAX: u64 = 1 << 48;

/// A frame whose checksum is right.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::export) struct Frame<'a> {
    pub(in crate::export) sequence: u64,
    pub(in crate::export) n_records: u32,
    pub(in crate::export) payload: &'a [u8],
    /// Offset behind it in the segment.
    pub(in crate::export) end: usize,
}

/// What a frame says of itself before its payload; may be wrong.
#[derive(Debug, Clone, Copy)]
pub(in crate::export) struct Head {
    pub(in crate::export) payload_bytes: u32,
    checksum: u32,
    pub(in crate::export) sequence: u64,
    pub(in crate::export) n_records: u32,
}

impl Head {
    pub(in crate::export) fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            payload_bytes: u32::from_le_bytes(array(bytes, 0)?),
            checksum: u32::from_le_bytes(array(bytes, 4)?),
            sequence: u64::from_le_bytes(array(bytes, 8)?),
            n_records: u32::from_le_bytes(array(bytes, 16)?),
        })
    }

    fn checksum_of(&self, salt: u64, payload: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&salt.to_le_bytes());
        hasher.update(&self.payload_bytes.to_le_bytes());
        hasher.update(&self.sequence.to_le_bytes());
        hasher.update(&self.n_records.to_le_bytes());
        hasher.update(payload);
        hasher.finalize()
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// The first bytes of a segment.
pub(in crate::export) fn header(salt: u64) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..20].copy_from_slice(&salt.to_le_bytes());
    let checksum = crc32fast::hash(&header[..20]);
    header[20..].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// The salt of a segment that begins with `bytes`; none when that is no header of this version.
pub(in crate::export) fn salt(bytes: &[u8]) -> Option<u64> {
    let salt = u64::from_le_bytes(array(bytes, 12)?);
    (bytes.get(..HEADER_BYTES)? == header(salt)).then_some(salt)
}

/// Replaces `out` by a frame whose payload `write` appends.
///
/// # Errors
/// When the payload is longer than a frame can say.
pub(in crate::export) fn write_frame(
    out: &mut Vec<u8>,
    salt: u64,
    sequence: u64,
    n_records: usize,
    write: impl FnOnce(&mut Vec<u8>),
) -> Result<()> {
    out.clear();
    out.resize(HEAD_BYTES, 0);
    write(out);
    let too_long = |_| Error::new(ErrorKind::InvalidInput, "a batch is longer than 4 GiB");
    let payload_bytes = u32::try_from(out.len() - HEAD_BYTES).map_err(too_long)?;
    let n_records = u32::try_from(n_records).map_err(too_long)?;
    let mut head = Head { payload_bytes, checksum: 0, sequence, n_records };
    head.checksum = head.checksum_of(salt, &out[HEAD_BYTES..]);
    out[0..4].copy_from_slice(&head.payload_bytes.to_le_bytes());
    out[4..8].copy_from_slice(&head.checksum.to_le_bytes());
    out[8..16].copy_from_slice(&head.sequence.to_le_bytes());
    out[16..20].copy_from_slice(&head.n_records.to_le_bytes());
    Ok(())
}

/// The frame at `at`; none when what stands there is none, or not whole.
pub(in crate::export) fn frame_at(segment: &[u8], at: usize, salt: u64) -> Option<Frame<'_>> {
    let head = Head::parse(segment.get(at..)?)?;
    let start = at + HEAD_BYTES;
    let end = start.checked_add(head.payload_bytes as usize)?;
    let payload = segment.get(start..end)?;
    let is_whole = head.checksum_of(salt, payload) == head.checksum;
    let Head { sequence, n_records, .. } = head;
    is_whole.then_some(Frame { sequence, n_records, payload, end })
}

/// The first whole frame from byte `at` on. Looks at every byte, as behind damage no length can be
/// trusted.
pub(in crate::export) fn find_frame(segment: &[u8], at: usize, salt: u64) -> Option<Frame<'_>> {
    (at..segment.len()).find_map(|at| {
        let head = Head::parse(&segment[at..])?;
        (head.sequence < SEQUENCE_MAX).then(|| frame_at(segment, at, salt)).flatten()
    })
}

/// All whole frames of a segment, whatever stands between them.
pub(in crate::export) fn frames(segment: &[u8], salt: u64) -> impl Iterator<Item = Frame<'_>> {
    let mut at = HEADER_BYTES;
    std::iter::from_fn(move || {
        let frame = frame_at(segment, at, salt).or_else(|| find_frame(segment, at + 1, salt))?;
        at = frame.end;
        Some(frame)
    })
}
