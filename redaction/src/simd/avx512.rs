//! 64 bytes an instruction, for processors with AVX-512BW.
#![allow(unsafe_code, reason = "decision 4: the one folder where vector code may be")]

use std::arch::x86_64::{
    __m128i, __m512i, _mm_loadu_si128, _mm512_and_si512, _mm512_broadcast_i32x4,
    _mm512_cmpeq_epi8_mask, _mm512_cmplt_epu8_mask, _mm512_loadu_si512, _mm512_movepi8_mask,
    _mm512_or_si512, _mm512_set1_epi8, _mm512_shuffle_epi8, _mm512_srli_epi16, _mm512_sub_epi8,
    _mm512_test_epi8_mask,
};

use super::{Scan, Window};
use crate::literals::{Buckets, KEY_BYTES};
use crate::shapes::{self, LANE_BYTES, N_LANES};

/// See [`Path::step`](super::Path::step). Called only after the features were detected.
pub(super) fn step(buckets: &Buckets, window: &Window, n_lanes: usize, scan: &mut Scan) {
    // SAFETY: `Path::available` offers this path only on processors with these features.
    unsafe { step_with_features(buckets, window, n_lanes, scan) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,bmi1,bmi2,lzcnt,popcnt")]
fn step_with_features(buckets: &Buckets, window: &Window, n_lanes: usize, scan: &mut Scan) {
    scan.classes.advance();
    let tables = Tables::new(buckets);
    for lane in 1..N_LANES {
        if lane <= n_lanes {
            classify(window, lane, scan);
            scan.found.literals.0[lane] = tables.candidates(window, (lane - 1) * LANE_BYTES);
        } else {
            scan.classes.clear(lane);
            scan.found.literals.0[lane] = 0;
        }
    }
    shapes::find(&scan.classes, &mut scan.found);
}

/// The 64 bytes of `window` from `at` on.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn load(window: &Window, at: usize) -> __m512i {
    let bytes = &window[at..at + LANE_BYTES];
    // SAFETY: the slice has 64 bytes, and the load asks for no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn classify(window: &Window, lane: usize, scan: &mut Scan) {
    let bytes = load(window, (lane - 1) * LANE_BYTES);
    let splat = |byte: u8| _mm512_set1_epi8(byte.cast_signed());
    let is = |byte: u8| _mm512_cmpeq_epi8_mask(bytes, splat(byte));
    let within = |bytes: __m512i, first: u8, n: u8| {
        _mm512_cmplt_epu8_mask(_mm512_sub_epi8(bytes, splat(first)), splat(n))
    };
    let folded = _mm512_or_si512(bytes, splat(0x20));
    let classes = &mut scan.classes;
    classes.digit.0[lane] = within(bytes, b'0', 10);
    classes.upper.0[lane] = within(bytes, b'A', 26);
    classes.letter.0[lane] = within(folded, b'a', 26);
    classes.hex_letter.0[lane] = within(folded, b'a', 6);
    classes.word_mark.0[lane] = _mm512_movepi8_mask(bytes) | is(b'_');
    classes.at.0[lane] = is(b'@');
    classes.plus.0[lane] = is(b'+');
    classes.dot.0[lane] = is(b'.');
    classes.colon.0[lane] = is(b':');
    classes.hyphen.0[lane] = is(b'-');
    classes.space.0[lane] = is(b' ');
    classes.close.0[lane] = is(b')');
    classes.backslash.0[lane] = is(b'\\');
}

/// The look-up tables in registers.
struct Tables([[[__m512i; 2]; KEY_BYTES]; 2]);

impl Tables {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn new(buckets: &Buckets) -> Self {
        let table = |half: &[u8; 16]| {
            // SAFETY: the array has 16 bytes, and the load asks for no alignment.
            let half = unsafe { _mm_loadu_si128(half.as_ptr().cast::<__m128i>()) };
            _mm512_broadcast_i32x4(half)
        };
        Self(
            buckets
                .halves
                .each_ref()
                .map(|bank| bank.each_ref().map(|[low, high]| [table(low), table(high)])),
        )
    }

    /// One bit for each of the 64 places from `at` on where some bucket has all four bytes.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn candidates(&self, window: &Window, at: usize) -> u64 {
        let low_half = _mm512_set1_epi8(15);
        let mut banks = [_mm512_set1_epi8(-1); 2];
        for place in 0..KEY_BYTES {
            let bytes = _mm512_or_si512(load(window, at + place), _mm512_set1_epi8(0x20));
            let low = _mm512_and_si512(bytes, low_half);
            let high = _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), low_half);
            for (bank, tables) in banks.iter_mut().zip(&self.0) {
                let [lows, highs] = tables[place];
                let set = _mm512_and_si512(
                    _mm512_shuffle_epi8(lows, low),
                    _mm512_shuffle_epi8(highs, high),
                );
                *bank = _mm512_and_si512(*bank, set);
            }
        }
        let any = _mm512_or_si512(banks[0], banks[1]);
        _mm512_test_epi8_mask(any, any)
    }
}
