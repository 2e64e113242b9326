//! What no redactor can beat: looking at every byte once, and copying every byte once.

use crate::measure::{CHUNK_BYTES, chunks, cpu_seconds, rate};

/// Bytes looked at in one step; a few vector registers on every machine.
const BLOCK_BYTES: usize = 64;
/// Blocks after which the counters, one byte each, could overflow.
const BLOCKS_MAX: usize = 255;

/// Megabytes a second of a byte-class scan.
pub(crate) fn class_scan_rate(raw: &[u8]) -> f64 {
    let pass = || {
        for chunk in chunks(raw) {
            std::hint::black_box(count_class(std::hint::black_box(chunk)));
        }
    };
    rate(raw.len(), cpu_seconds(pass))
}

/// Megabytes a second of copying chunks into one buffer.
pub(crate) fn copy_rate(raw: &[u8]) -> f64 {
    let mut copy = Vec::with_capacity(CHUNK_BYTES);
    let pass = || {
        for chunk in chunks(raw) {
            copy.clear();
            copy.extend_from_slice(std::hint::black_box(chunk));
            std::hint::black_box(&copy);
        }
    };
    rate(raw.len(), cpu_seconds(pass))
}

/// How many bytes are digits or one of `-.:@`. Written to be compiled to vector instructions.
fn count_class(chunk: &[u8]) -> u64 {
    let mut total = 0;
    for part in chunk.chunks(BLOCK_BYTES * BLOCKS_MAX) {
        let (blocks, rest) = part.as_chunks::<BLOCK_BYTES>();
        let mut counters = [0_u8; BLOCK_BYTES];
        for block in blocks {
            for (counter, byte) in counters.iter_mut().zip(block) {
                *counter = counter.wrapping_add(u8::from(is_in_class(*byte)));
            }
        }
        total += counters.iter().map(|n| u64::from(*n)).sum::<u64>();
        total += rest.iter().filter(|byte| is_in_class(**byte)).count() as u64;
    }
    total
}

fn is_in_class(byte: u8) -> bool {
    // `-` to `:` is one range but for the slash, which takes fewer instructions than five tests.
    (byte.wrapping_sub(b'-') <= b':' - b'-') & (byte != b'/') | (byte == b'@')
}
