//! The masks, byte by byte: the path of other processors, and what the fast paths are held to.

use super::{Scan, Window};
use crate::literals::{Buckets, KEY_BYTES};
use crate::shapes::{self, LANE_BYTES, N_LANES};

pub(super) fn step(buckets: &Buckets, window: &Window, n_lanes: usize, scan: &mut Scan) {
    scan.classes.advance();
    for lane in 1..N_LANES {
        let at = (lane - 1) * LANE_BYTES;
        let bytes = if lane <= n_lanes { &window[at..at + LANE_BYTES] } else { &[] };
        let mask = |accept: fn(&u8) -> bool| {
            bytes.iter().enumerate().fold(0, |mask, (i, b)| mask | u64::from(accept(b)) << i)
        };
        let classes = &mut scan.classes;
        classes.digit.0[lane] = mask(u8::is_ascii_digit);
        classes.upper.0[lane] = mask(u8::is_ascii_uppercase);
        classes.letter.0[lane] = mask(u8::is_ascii_alphabetic);
        classes.hex_letter.0[lane] = mask(|b| matches!(b | 0x20, b'a'..=b'f'));
        classes.word_mark.0[lane] = mask(|b| *b == b'_' || *b >= 0x80);
        classes.at.0[lane] = mask(|b| *b == b'@');
        classes.plus.0[lane] = mask(|b| *b == b'+');
        classes.dot.0[lane] = mask(|b| *b == b'.');
        classes.colon.0[lane] = mask(|b| *b == b':');
        classes.hyphen.0[lane] = mask(|b| *b == b'-');
        classes.space.0[lane] = mask(|b| *b == b' ');
        classes.close.0[lane] = mask(|b| *b == b')');
        classes.backslash.0[lane] = mask(|b| *b == b'\\');
        let literals = (0..bytes.len())
            .filter(|i| is_candidate(buckets, &window[at + i..at + i + KEY_BYTES]))
            .fold(0, |mask, i| mask | 1 << i);
        scan.found.literals.0[lane] = literals;
    }
    shapes::find(&scan.classes, &mut scan.found);
}

/// True when some bucket has a literal for each of the bytes.
fn is_candidate(buckets: &Buckets, bytes: &[u8]) -> bool {
    buckets.halves.iter().any(|bank| {
        let places = bank.iter().zip(bytes);
        places.fold(u8::MAX, |set, ([low, high], byte)| {
            let byte = byte | 0x20;
            set & low[usize::from(byte & 15)] & high[usize::from(byte >> 4)]
        }) != 0
    })
}
