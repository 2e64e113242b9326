//! Takes the compression of Spark's event logs off, however the bytes arrive.
//!
//! Told by the first bytes, as names lie. Zstandard logs have a frame for each flush, LZ4 and Snappy
//! ones the block formats of lz4-java and snappy-java, which no other tool writes.

use std::io;
use zstd::stream::raw::{DParameter, Decoder as Zstd, InBuffer, Operation, OutBuffer};

/// Most that one block or window may need; more would be a flaw of the file, or somebody's trick.
const BLOCK_BYTES_MAX: usize = 8 << 20;
/// The same for Zstandard, as a power of two: the windows of levels up to 19.
const WINDOW_LOG_MAX: u32 = 23;
const OUTPUT_BYTES: usize = 128 << 10;

const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const LZ4: &[u8] = b"LZ4Block";
const SNAPPY: &[u8] = b"\x82SNAPPY\0";
const LZF: &[u8] = b"ZV";
const GZIP: &[u8] = &[0x1f, 0x8b];
/// Magic, method, length here, length unpacked, checksum.
const LZ4_HEADER_BYTES: usize = 21;
const LZ4_METHOD_RAW: u8 = 0x10;
const LZ4_METHOD_PACKED: u8 = 0x20;
/// Magic, version, least version of a reader.
const SNAPPY_HEADER_BYTES: usize = 16;

/// Why bytes cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A compression that is not read.
    #[error(
        "{0} compression is not read; unpack it, or set spark.eventLog.compression.codec to zstd"
    )]
    Unsupported(&'static str),
    /// Not what the compression wants to see.
    #[error("damaged {codec} data: {reason}")]
    Damaged {
        /// The compression.
        codec: &'static str,
        /// What is wrong.
        reason: String,
    },
}

/// Unpacks one file. After an error it takes nothing more.
#[derive(Default)]
pub struct Decoder {
    codec: Option<Codec>,
    /// Input that is less than a header or a block.
    held: Vec<u8>,
    output: Vec<u8>,
}

enum Codec {
    Plain,
    /// With whether the last frame is whole.
    Zstd(Box<Zstd<'static>>, bool),
    Lz4,
    Snappy,
}

impl Decoder {
    /// Hands on what `bytes` unpack to.
    ///
    /// # Errors
    /// When the file is damaged or in a format that is not read. What was handed on before is right.
    pub fn feed(&mut self, bytes: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<(), DecodeError> {
        if matches!(self.codec, Some(Codec::Plain)) {
            each(bytes);
            return Ok(());
        }
        self.held.extend_from_slice(bytes);
        if self.codec.is_none() && !self.held.is_empty() {
            self.codec = Codec::of(&self.held)?;
        }
        let n_used = match &mut self.codec {
            None => return Ok(()),
            Some(Codec::Plain) => {
                each(&self.held);
                self.held.len()
            }
            Some(Codec::Zstd(zstd, is_whole)) => {
                unpack_frames(zstd, is_whole, &self.held, &mut self.output, each)?;
                self.held.len()
            }
            Some(Codec::Lz4) => blocks(&self.held, &mut self.output, lz4_block, each)?,
            Some(Codec::Snappy) => blocks(&self.held, &mut self.output, snappy_block, each)?,
        };
        self.held.drain(..n_used);
        Ok(())
    }

    /// True when the bytes so far end between two blocks, as those of a finished log do.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let is_open = matches!(self.codec, Some(Codec::Zstd(_, false)));
        self.held.is_empty() && !is_open
    }
}

impl Codec {
    /// None while the first bytes may yet become anything.
    fn of(head: &[u8]) -> Result<Option<Self>, DecodeError> {
        for magic in [ZSTD, LZ4, SNAPPY] {
            if head.len() < magic.len() && magic.starts_with(head) {
                return Ok(None);
            }
        }
        if head.starts_with(ZSTD) {
            let failed = |error: io::Error| damaged("zstd", &error.to_string());
            let mut zstd = Zstd::new().map_err(failed)?;
            zstd.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)).map_err(failed)?;
            return Ok(Some(Self::Zstd(Box::new(zstd), true)));
        }
        Ok(Some(match head {
            _ if head.starts_with(LZ4) => Self::Lz4,
            _ if head.starts_with(SNAPPY) => Self::Snappy,
            _ if head.starts_with(LZF) => return Err(DecodeError::Unsupported("LZF")),
            _ if head.starts_with(GZIP) => return Err(DecodeError::Unsupported("gzip")),
            _ => Self::Plain,
        }))
    }
}

fn damaged(codec: &'static str, reason: &str) -> DecodeError {
    DecodeError::Damaged { codec, reason: reason.to_owned() }
}

fn unpack_frames(
    zstd: &mut Zstd<'static>,
    is_whole: &mut bool,
    bytes: &[u8],
    output: &mut Vec<u8>,
    each: &mut dyn FnMut(&[u8]),
) -> Result<(), DecodeError> {
    if bytes.is_empty() {
        return Ok(());
    }
    output.resize(OUTPUT_BYTES, 0);
    let mut input = InBuffer::around(bytes);
    loop {
        let mut unpacked = OutBuffer::around(&mut output[..]);
        // A frame that ended begins anew by itself with the next byte.
        let hint = zstd
            .run(&mut input, &mut unpacked)
            .map_err(|error| damaged("zstd", &error.to_string()))?;
        let n_bytes = unpacked.pos();
        each(&output[..n_bytes]);
        *is_whole = hint == 0;
        // A full buffer may have left something inside; after the end of a frame nothing is.
        if input.pos() == bytes.len() && (hint == 0 || n_bytes < OUTPUT_BYTES) {
            return Ok(());
        }
    }
}

/// A block that was read off the beginning of some bytes.
enum Block {
    /// More bytes are needed to tell.
    Open,
    /// So many bytes were used, and the output holds what they mean.
    Whole(usize),
}

/// Hands on the blocks that are whole; gives the number of bytes that they had.
fn blocks(
    bytes: &[u8],
    output: &mut Vec<u8>,
    unpack: fn(&[u8], &mut Vec<u8>) -> Result<Block, DecodeError>,
    each: &mut dyn FnMut(&[u8]),
) -> Result<usize, DecodeError> {
    let mut n_used = 0;
    loop {
        output.clear();
        match unpack(&bytes[n_used..], output)? {
            Block::Open => return Ok(n_used),
            Block::Whole(n_bytes) => n_used += n_bytes,
        }
        each(output);
    }
}

/// A block of lz4-java's `LZ4BlockOutputStream`. Its checksum is left alone: a line that a flipped
/// bit changed is mostly no JSON any more, and counted as that.
fn lz4_block(bytes: &[u8], output: &mut Vec<u8>) -> Result<Block, DecodeError> {
    let Some(header) = bytes.get(..LZ4_HEADER_BYTES) else { return Ok(Block::Open) };
    if !header.starts_with(LZ4) {
        return Err(damaged("lz4", "no block where one should begin"));
    }
    let (n_packed, n_unpacked) = (number_le(&header[9..13]), number_le(&header[13..17]));
    if n_packed.max(n_unpacked) > BLOCK_BYTES_MAX {
        return Err(damaged("lz4", "a block is too large"));
    }
    let end = LZ4_HEADER_BYTES + n_packed;
    let Some(packed) = bytes.get(LZ4_HEADER_BYTES..end) else { return Ok(Block::Open) };
    match header[8] & 0xf0 {
        LZ4_METHOD_RAW => output.extend_from_slice(packed),
        LZ4_METHOD_PACKED => {
            output.resize(n_unpacked, 0);
            let n_bytes = lz4_flex::block::decompress_into(packed, output)
                .map_err(|error| damaged("lz4", &error.to_string()))?;
            output.truncate(n_bytes);
        }
        _ => return Err(damaged("lz4", "a block of an unknown kind")),
    }
    Ok(Block::Whole(end))
}

/// A block of snappy-java's `SnappyOutputStream`, or the header that begins each stream.
fn snappy_block(bytes: &[u8], output: &mut Vec<u8>) -> Result<Block, DecodeError> {
    if bytes.starts_with(&SNAPPY[..4]) {
        let is_whole = bytes.len() >= SNAPPY_HEADER_BYTES;
        return Ok(if is_whole { Block::Whole(SNAPPY_HEADER_BYTES) } else { Block::Open });
    }
    let Some(header) = bytes.get(..4) else { return Ok(Block::Open) };
    let n_packed = header.iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
    if n_packed > BLOCK_BYTES_MAX {
        return Err(damaged("snappy", "a block is too large"));
    }
    let Some(packed) = bytes.get(4..4 + n_packed) else { return Ok(Block::Open) };
    let failed = |error: snap::Error| damaged("snappy", &error.to_string());
    let n_unpacked = snap::raw::decompress_len(packed).map_err(failed)?;
    if n_unpacked > BLOCK_BYTES_MAX {
        return Err(damaged("snappy", "a block is too large"));
    }
    output.resize(n_unpacked, 0);
    snap::raw::Decoder::new().decompress(packed, output).map_err(failed)?;
    Ok(Block::Whole(4 + n_packed))
}

fn number_le(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::Decoder;

    #[test]
    fn a_frame_that_unpacks_to_much_is_handed_on_at_once_and_whole() {
        let text = vec![b'x'; 3 << 20];
        let packed = zstd::stream::encode_all(&text[..], 1).unwrap();
        let (mut decoder, mut unpacked) = (Decoder::default(), Vec::new());
        let (most, end) = packed.split_at(packed.len() - 1);
        decoder.feed(most, &mut |bytes| unpacked.extend_from_slice(bytes)).unwrap();
        assert!(!decoder.is_whole());
        decoder.feed(end, &mut |bytes| unpacked.extend_from_slice(bytes)).unwrap();
        assert!(decoder.is_whole() && unpacked == text);
    }
}
