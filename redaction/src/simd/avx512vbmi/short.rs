//! Formulas of shapes on half a vector, for texts of up to 192 bytes: half the work for most lines.
#![allow(unsafe_code, reason = "decision 4: the one folder where vector code may be")]

use std::arch::x86_64::{
    __m256i, __m512i, _mm256_alignr_epi64, _mm256_and_si256, _mm256_andnot_si256,
    _mm256_loadu_si256, _mm256_or_si256, _mm256_set1_epi64x, _mm256_setzero_si256,
    _mm256_shldv_epi64, _mm256_storeu_si256, _mm256_test_epi64_mask, _mm512_castsi512_si256,
};

use crate::shapes::{Lanes, Mask};

/// Lanes of a [`Vector`]; the first one is empty, as nothing comes before such a text.
pub(super) const N_LANES: usize = 4;

/// The first four masks of a group.
#[derive(Clone, Copy)]
pub(super) struct Vector(__m256i);

impl Vector {
    #[inline(always)]
    pub(super) fn new(lanes: __m512i) -> Self {
        // SAFETY: only `step_with_features` makes a `Vector`, and it has the features.
        Self(unsafe { _mm512_castsi512_si256(lanes) })
    }
}

// As in `avx512`: inlined where the instructions are allowed.
impl Mask for Vector {
    #[inline(always)]
    fn load(lanes: &Lanes) -> Self {
        // SAFETY: as in `new`; the lanes are 64 bytes.
        Self(unsafe { _mm256_loadu_si256(lanes.0.as_ptr().cast()) })
    }

    #[inline(always)]
    fn store(self, lanes: &mut Lanes) {
        // SAFETY: as in `new`; the lanes are 64 bytes. Nobody looks at lanes that `used_lanes` has not.
        unsafe { _mm256_storeu_si256(lanes.0.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        // SAFETY: as in `new`.
        Self(unsafe { _mm256_and_si256(self.0, other.0) })
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        // SAFETY: as in `new`.
        Self(unsafe { _mm256_or_si256(self.0, other.0) })
    }

    #[inline(always)]
    fn without(self, other: Self) -> Self {
        // SAFETY: as in `new`.
        Self(unsafe { _mm256_andnot_si256(other.0, self.0) })
    }

    #[inline(always)]
    fn back(self, n: u32) -> Self {
        // SAFETY: as in `new`.
        Self(unsafe {
            let before = _mm256_alignr_epi64::<3>(self.0, _mm256_setzero_si256());
            _mm256_shldv_epi64(self.0, before, _mm256_set1_epi64x(i64::from(n)))
        })
    }

    #[inline(always)]
    fn used_lanes(self) -> u8 {
        // SAFETY: as in `new`.
        unsafe { _mm256_test_epi64_mask(self.0, self.0) }
    }
}
