//! Twice 32 bytes an instruction, for processors with AVX2.
#![allow(unsafe_code, reason = "decision 4: the one folder where vector code may be")]

use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm256_and_si256, _mm256_broadcastsi128_si256,
    _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_or_si256,
    _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16,
    _mm256_sub_epi8,
};

use super::{Scan, Window};
use crate::literals::{Buckets, KEY_BYTES};
use crate::shapes::{self, LANE_BYTES, N_LANES};

/// Bytes of one vector.
const VECTOR_BYTES: usize = 32;

/// See [`Path::step`](super::Path::step). Called only after the features were detected.
pub(super) fn step(buckets: &Buckets, window: &Window, n_lanes: usize, scan: &mut Scan) {
    // SAFETY: `Path::available` offers this path only on processors with these features.
    unsafe { step_with_features(buckets, window, n_lanes, scan) }
}

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn step_with_features(buckets: &Buckets, window: &Window, n_lanes: usize, scan: &mut Scan) {
    scan.classes.advance();
    let tables = Tables::new(buckets);
    for lane in 1..N_LANES {
        if lane <= n_lanes {
            classify(window, lane, scan);
            let at = (lane - 1) * LANE_BYTES;
            scan.found.literals.0[lane] =
                join(tables.candidates(window, at), tables.candidates(window, at + VECTOR_BYTES));
        } else {
            scan.classes.clear(lane);
            scan.found.literals.0[lane] = 0;
        }
    }
    shapes::find(&scan.classes, &mut scan.found);
}

fn join(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// The 32 bytes of `window` from `at` on.
#[inline]
#[target_feature(enable = "avx2")]
fn load(window: &Window, at: usize) -> __m256i {
    let bytes = &window[at..at + VECTOR_BYTES];
    // SAFETY: the slice has 32 bytes, and the load asks for no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn classify(window: &Window, lane: usize, scan: &mut Scan) {
    let at = (lane - 1) * LANE_BYTES;
    let bytes = [load(window, at), load(window, at + VECTOR_BYTES)];
    let splat = |byte: u8| _mm256_set1_epi8(byte.cast_signed());
    let mask = |of: [__m256i; 2]| {
        let [low, high] = of.map(|v| _mm256_movemask_epi8(v).cast_unsigned());
        join(low, high)
    };
    let is = |byte: u8| mask(bytes.map(|v| _mm256_cmpeq_epi8(v, splat(byte))));
    let within = |bytes: [__m256i; 2], first: u8, n: u8| {
        mask(bytes.map(|v| {
            let distance = _mm256_sub_epi8(v, splat(first));
            // There is no unsigned comparison: what is below `n` is its own minimum.
            _mm256_cmpeq_epi8(_mm256_min_epu8(distance, splat(n - 1)), distance)
        }))
    };
    let folded = bytes.map(|v| _mm256_or_si256(v, splat(0x20)));
    let classes = &mut scan.classes;
    classes.digit.0[lane] = within(bytes, b'0', 10);
    classes.upper.0[lane] = within(bytes, b'A', 26);
    classes.letter.0[lane] = within(folded, b'a', 26);
    classes.hex_letter.0[lane] = within(folded, b'a', 6);
    classes.word_mark.0[lane] = mask(bytes) | is(b'_');
    classes.at.0[lane] = is(b'@');
    classes.plus.0[lane] = is(b'+');
    classes.dot.0[lane] = is(b'.');
    classes.colon.0[lane] = is(b':');
    classes.hyphen.0[lane] = is(b'-');
    classes.space.0[lane] = is(b' ');
    classes.close.0[lane] = is(b')');
    classes.backslash.0[lane] = is(b'\\');
}

/// The look-up tables as vectors.
struct Tables([[[__m256i; 2]; KEY_BYTES]; 2]);

impl Tables {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new(buckets: &Buckets) -> Self {
        let table = |half: &[u8; 16]| {
            // SAFETY: the array has 16 bytes, and the load asks for no alignment.
            let half = unsafe { _mm_loadu_si128(half.as_ptr().cast::<__m128i>()) };
            _mm256_broadcastsi128_si256(half)
        };
        Self(
            buckets
                .halves
                .each_ref()
                .map(|bank| bank.each_ref().map(|[low, high]| [table(low), table(high)])),
        )
    }

    /// One bit for each of the 32 places from `at` on where some bucket has all four bytes.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn candidates(&self, window: &Window, at: usize) -> u32 {
        let low_half = _mm256_set1_epi8(15);
        let mut banks = [_mm256_set1_epi8(-1); 2];
        for place in 0..KEY_BYTES {
            let bytes = _mm256_or_si256(load(window, at + place), _mm256_set1_epi8(0x20));
            let low = _mm256_and_si256(bytes, low_half);
            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), low_half);
            for (bank, tables) in banks.iter_mut().zip(&self.0) {
                let [lows, highs] = tables[place];
                let set = _mm256_and_si256(
                    _mm256_shuffle_epi8(lows, low),
                    _mm256_shuffle_epi8(highs, high),
                );
                *bank = _mm256_and_si256(*bank, set);
            }
        }
        let none = _mm256_cmpeq_epi8(_mm256_or_si256(banks[0], banks[1]), _mm256_setzero_si256());
        !_mm256_movemask_epi8(none).cast_unsigned()
    }
}
