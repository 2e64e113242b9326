//! 64 bytes an instruction, for processors with AVX-512BW.
#![allow(unsafe_code, reason = "decision 4: the one folder where vector code may be")]

use std::arch::x86_64::{
    __m128i, __m512i, _mm_cvtsi32_si128, _mm_loadu_si128, _mm512_alignr_epi64, _mm512_and_si512,
    _mm512_andnot_si512, _mm512_broadcast_i32x4, _mm512_cmpeq_epi8_mask, _mm512_cmplt_epu8_mask,
    _mm512_loadu_si512, _mm512_mask_blend_epi8, _mm512_movepi8_mask, _mm512_or_si512,
    _mm512_set1_epi8, _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_sll_epi64,
    _mm512_srl_epi64, _mm512_storeu_si512, _mm512_sub_epi8, _mm512_test_epi8_mask,
    _mm512_test_epi64_mask,
};

use super::{Scan, Window, find_shapes};
use crate::buckets::{Buckets, N_BANKS, PLACES};
use crate::shapes::{Class, LANE_BYTES, Lanes, Mask};

/// See [`Path::step`](super::Path::step). Called only after the features were detected.
pub(super) fn step(buckets: &Buckets, window: &Window, n_lanes: usize, scan: &mut Scan) {
    // SAFETY: `Path::available` offers this path only on processors with these features.
    unsafe { step_with_features(buckets, window, n_lanes, scan) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,bmi1,bmi2,lzcnt,popcnt")]
fn step_with_features(buckets: &Buckets, window: &Window, n_lanes: usize, scan: &mut Scan) {
    scan.advance_classes(n_lanes);
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
    find_shapes::<Vector>(scan.loaded_classes(), scan);
}

/// The 64 bytes of `window` from `at` on.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn load(window: &Window, at: usize) -> __m512i {
    let bytes = &window[at..at + LANE_BYTES];
    // SAFETY: the slice has 64 bytes, and the load asks for no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn classify(window: &Window, lane: usize, scan: &mut Scan) {
    let bytes = load(window, (lane - 1) * LANE_BYTES);
    let splat = |byte: u8| _mm512_set1_epi8(byte.cast_signed());
    let is = |byte: u8| _mm512_cmpeq_epi8_mask(bytes, splat(byte));
    let within = |bytes: __m512i, first: u8, n: u8| {
        _mm512_cmplt_epu8_mask(_mm512_sub_epi8(bytes, splat(first)), splat(n))
    };
    let folded = _mm512_or_si512(bytes, splat(0x20));
    let mut set = |class, mask| scan.classes.set(class, lane, mask);
    set(Class::Digit, within(bytes, b'0', 10));
    set(Class::Upper, within(bytes, b'A', 26));
    set(Class::Letter, within(folded, b'a', 26));
    set(Class::HexLetter, within(folded, b'a', 6));
    set(Class::WordMark, _mm512_movepi8_mask(bytes) | is(b'_'));
    set(Class::At, is(b'@'));
    set(Class::Plus, is(b'+'));
    set(Class::Dot, is(b'.'));
    set(Class::Colon, is(b':'));
    set(Class::Hyphen, is(b'-'));
    set(Class::Space, is(b' '));
    set(Class::Close, is(b')'));
    set(Class::Backslash, is(b'\\'));
    set(Class::Percent, is(b'%'));
    let digits = within(bytes, b'0', 2) | is(b'3');
    set(Class::LongWordFirst, digits | within(bytes, b'A', 2) | is(b'S') | is(b'b'));
}

/// The look-up tables in registers.
struct Tables([[[__m512i; 2]; PLACES]; N_BANKS]);

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

    /// One bit for each of the 64 places from `at` on where some bucket has all five bytes; first the
    /// buckets of what is found anywhere.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn candidates(&self, window: &Window, at: usize) -> [u64; 2] {
        let low_half = _mm512_set1_epi8(15);
        let mut banks = [_mm512_set1_epi8(-1); N_BANKS];
        for place in 0..PLACES {
            let bytes = load(window, at + place);
            let index = _mm512_and_si512(bytes, low_half);
            let is_high = _mm512_test_epi8_mask(bytes, _mm512_set1_epi8(16));
            for (bank, tables) in banks.iter_mut().zip(&self.0) {
                let [low, high] = tables[place].map(|table| _mm512_shuffle_epi8(table, index));
                *bank = _mm512_and_si512(*bank, _mm512_mask_blend_epi8(is_high, low, high));
            }
        }
        let [anywhere, prefixes, more_prefixes] = banks;
        let prefixes = _mm512_or_si512(prefixes, more_prefixes);
        [anywhere, prefixes].map(|any| _mm512_test_epi8_mask(any, any))
    }
}

/// The masks of a group in one register.
#[derive(Clone, Copy)]
pub(super) struct Vector(pub(super) __m512i);

// `#[inline(always)]` brings the methods into `step_with_features`, where the instructions are
// allowed; a trait's method cannot ask for features itself.
impl Mask for Vector {
    #[inline(always)]
    fn load(lanes: &Lanes) -> Self {
        // SAFETY: eight lanes are 64 bytes; only `step_with_features` makes a `Vector`.
        Self(unsafe { _mm512_loadu_si512(lanes.0.as_ptr().cast()) })
    }

    #[inline(always)]
    fn store(self, lanes: &mut Lanes) {
        // SAFETY: eight lanes are 64 bytes; only `step_with_features` makes a `Vector`.
        unsafe { _mm512_storeu_si512(lanes.0.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        // SAFETY: only `step_with_features` makes a `Vector`, and it has the features.
        Self(unsafe { _mm512_and_si512(self.0, other.0) })
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        // SAFETY: as in `and`.
        Self(unsafe { _mm512_or_si512(self.0, other.0) })
    }

    #[inline(always)]
    fn without(self, other: Self) -> Self {
        // SAFETY: as in `and`.
        Self(unsafe { _mm512_andnot_si512(other.0, self.0) })
    }

    #[inline(always)]
    fn back(self, n: u32) -> Self {
        // SAFETY: as in `and`.
        Self(unsafe {
            let before = _mm512_alignr_epi64::<7>(self.0, _mm512_setzero_si512());
            let (up, down) = (_mm_cvtsi32_si128(n as i32), _mm_cvtsi32_si128(64 - n as i32));
            _mm512_or_si512(_mm512_sll_epi64(self.0, up), _mm512_srl_epi64(before, down))
        })
    }
    #[inline(always)]
    fn used_lanes(self) -> u8 {
        // SAFETY: as in `and`.
        unsafe { _mm512_test_epi64_mask(self.0, self.0) }
    }
}
