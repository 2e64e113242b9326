//! 64 bytes an instruction, looked up in tables of 64 bytes, for processors with AVX-512 VBMI and
//! VBMI2: half the instructions of [`avx512`](super::avx512), and fewer false candidates.
#![allow(unsafe_code, reason = "decision 4: the one folder where vector code may be")]

use std::arch::x86_64::{
    __m512i, _mm512_and_si512, _mm512_loadu_si512, _mm512_or_si512, _mm512_permutexvar_epi8,
    _mm512_set1_epi8, _mm512_test_epi8_mask,
};

use super::avx512::{Vector, classify, load};
use super::{Scan, Window, find_shapes};
use crate::literals::{Buckets, N_BANKS, PLACES};
use crate::shapes::LANE_BYTES;

/// See [`Path::step`](super::Path::step). Called only after the features were detected.
pub(super) fn step(buckets: &Buckets, window: &Window, n_lanes: usize, scan: &mut Scan) {
    // SAFETY: `Path::available` offers this path only on processors with these features.
    unsafe { step_with_features(buckets, window, n_lanes, scan) }
}

#[target_feature(
    enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vbmi2,bmi1,bmi2,lzcnt,popcnt"
)]
fn step_with_features(buckets: &Buckets, window: &Window, n_lanes: usize, scan: &mut Scan) {
    for lane in 1..=n_lanes {
        classify(window, lane, scan);
    }
    // Between the masks' being stored and their being loaded, so that the loads need not wait.
    let tables = Tables::new(buckets);
    for lane in 1..=n_lanes {
        let [anywhere, prefixes] = tables.candidates(window, (lane - 1) * LANE_BYTES);
        scan.anywhere.0[lane] = anywhere;
        scan.prefixes.0[lane] = prefixes;
    }
    find_shapes::<Vector>(scan);
}

/// The look-up tables in registers.
struct Tables([[__m512i; PLACES]; N_BANKS]);

impl Tables {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn new(buckets: &Buckets) -> Self {
        let table = |whole: &[u8; 64]| {
            // SAFETY: the array has 64 bytes, and the load asks for no alignment.
            unsafe { _mm512_loadu_si512(whole.as_ptr().cast()) }
        };
        Self(buckets.wholes.each_ref().map(|bank| bank.each_ref().map(table)))
    }

    /// One bit for each of the 64 places from `at` on where some bucket has all five bytes; first the
    /// buckets of what is found anywhere.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn candidates(&self, window: &Window, at: usize) -> [u64; 2] {
        let mut banks = [_mm512_set1_epi8(-1); N_BANKS];
        for place in 0..PLACES {
            // The instruction takes the lower six bits of each byte.
            let bytes = load(window, at + place);
            for (bank, tables) in banks.iter_mut().zip(&self.0) {
                *bank = _mm512_and_si512(*bank, _mm512_permutexvar_epi8(bytes, tables[place]));
            }
        }
        let [anywhere, prefixes, more_prefixes] = banks;
        let prefixes = _mm512_or_si512(prefixes, more_prefixes);
        [anywhere, prefixes].map(|any| _mm512_test_epi8_mask(any, any))
    }
}
