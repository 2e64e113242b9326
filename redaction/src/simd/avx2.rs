//! Twice 32 bytes an instruction, for processors with AVX2.
#![allow(unsafe_code, reason = "decision 4: the one folder where vector code may be")]

use std::arch::x86_64::{
    __m128i, __m256i, _mm_cvtsi32_si128, _mm_loadu_si128, _mm256_and_si256, _mm256_andnot_si256,
    _mm256_blend_epi32, _mm256_blendv_epi8, _mm256_broadcastsi128_si256, _mm256_castsi256_pd,
    _mm256_cmpeq_epi8, _mm256_cmpeq_epi64, _mm256_loadu_si256, _mm256_min_epu8,
    _mm256_movemask_epi8, _mm256_movemask_pd, _mm256_or_si256, _mm256_permute4x64_epi64,
    _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_sll_epi64,
    _mm256_slli_epi16, _mm256_srl_epi64, _mm256_storeu_si256, _mm256_sub_epi8,
};

use super::{Scan, Window, find_shapes};
use crate::buckets::{Buckets, N_BANKS, PLACES};
use crate::shapes::{Class, LANE_BYTES, Lanes, Mask};

/// Bytes of one vector.
const VECTOR_BYTES: usize = 32;

/// See [`Path::step`](super::Path::step). Called only after the features were detected.
pub(super) fn step(buckets: &Buckets, window: &Window, n_lanes: usize, scan: &mut Scan) {
    // SAFETY: `Path::available` offers this path only on processors with these features.
    unsafe { step_with_features(buckets, window, n_lanes, scan) }
}

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn step_with_features(buckets: &Buckets, window: &Window, n_lanes: usize, scan: &mut Scan) {
    scan.advance_classes(n_lanes);
    for lane in 1..=n_lanes {
        classify(window, lane, scan);
    }
    // Between the masks' being stored and their being loaded, so that the loads need not wait.
    let tables = Tables::new(buckets);
    for lane in 1..=n_lanes {
        let at = (lane - 1) * LANE_BYTES;
        let low = tables.candidates(window, at);
        let high = tables.candidates(window, at + VECTOR_BYTES);
        scan.anywhere.0[lane] = join(low[0], high[0]);
        scan.prefixes.0[lane] = join(low[1], high[1]);
    }
    find_shapes::<Vectors>(scan.loaded_classes(), scan);
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
    let mut set = |class, mask| scan.classes.set(class, lane, mask);
    set(Class::Digit, within(bytes, b'0', 10));
    set(Class::Upper, within(bytes, b'A', 26));
    set(Class::Letter, within(folded, b'a', 26));
    set(Class::HexLetter, within(folded, b'a', 6));
    set(Class::WordMark, mask(bytes) | is(b'_'));
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

/// The look-up tables as vectors.
struct Tables([[[__m256i; 2]; PLACES]; N_BANKS]);

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

    /// One bit for each of the 32 places from `at` on where some bucket has all five bytes; first the
    /// buckets of what is found anywhere.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn candidates(&self, window: &Window, at: usize) -> [u32; 2] {
        let low_half = _mm256_set1_epi8(15);
        let mut banks = [_mm256_set1_epi8(-1); N_BANKS];
        for place in 0..PLACES {
            let bytes = load(window, at + place);
            let index = _mm256_and_si256(bytes, low_half);
            // Bit 4 of each byte becomes its sign, which the blend goes by.
            let is_high = _mm256_slli_epi16::<3>(bytes);
            for (bank, tables) in banks.iter_mut().zip(&self.0) {
                let [low, high] = tables[place].map(|table| _mm256_shuffle_epi8(table, index));
                *bank = _mm256_and_si256(*bank, _mm256_blendv_epi8(low, high, is_high));
            }
        }
        let [anywhere, prefixes, more_prefixes] = banks;
        let prefixes = _mm256_or_si256(prefixes, more_prefixes);
        [anywhere, prefixes].map(|any| {
            let none = _mm256_cmpeq_epi8(any, _mm256_setzero_si256());
            !_mm256_movemask_epi8(none).cast_unsigned()
        })
    }
}

/// The masks of a group in two registers.
#[derive(Clone, Copy)]
struct Vectors([__m256i; 2]);

// `#[inline(always)]` brings the methods into `step_with_features`, where the instructions are
// allowed; a trait's method cannot ask for features itself.
impl Vectors {
    #[inline(always)]
    fn with(self, other: Self, join: impl Fn(__m256i, __m256i) -> __m256i) -> Self {
        Self([join(self.0[0], other.0[0]), join(self.0[1], other.0[1])])
    }
}

impl Mask for Vectors {
    #[inline(always)]
    fn load(lanes: &Lanes) -> Self {
        let (low, high) = lanes.0.split_at(4);
        // SAFETY: four lanes are 32 bytes; only `step_with_features` makes a `Vectors`.
        Self([low, high].map(|half| unsafe { _mm256_loadu_si256(half.as_ptr().cast()) }))
    }

    #[inline(always)]
    fn store(self, lanes: &mut Lanes) {
        let (low, high) = lanes.0.split_at_mut(4);
        // SAFETY: four lanes are 32 bytes; only `step_with_features` makes a `Vectors`.
        unsafe {
            _mm256_storeu_si256(low.as_mut_ptr().cast(), self.0[0]);
            _mm256_storeu_si256(high.as_mut_ptr().cast(), self.0[1]);
        }
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        // SAFETY: only `step_with_features` makes a `Vectors`, and it has the features.
        self.with(other, |a, b| unsafe { _mm256_and_si256(a, b) })
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        // SAFETY: as in `and`.
        self.with(other, |a, b| unsafe { _mm256_or_si256(a, b) })
    }

    #[inline(always)]
    fn without(self, other: Self) -> Self {
        // SAFETY: as in `and`.
        self.with(other, |a, b| unsafe { _mm256_andnot_si256(b, a) })
    }

    #[inline(always)]
    fn back(self, n: u32) -> Self {
        // SAFETY: as in `and`.
        unsafe {
            // Each lane becomes the one before it: 3 0 1 2 of either half, then the first is
            // replaced by zero or by the last of the lower half.
            let [low, high] = self.0.map(|half| _mm256_permute4x64_epi64::<0b10_01_00_11>(half));
            let before = Self([
                _mm256_blend_epi32::<0b11>(low, _mm256_setzero_si256()),
                _mm256_blend_epi32::<0b11>(high, low),
            ]);
            let (up, down) = (_mm_cvtsi32_si128(n as i32), _mm_cvtsi32_si128(64 - n as i32));
            self.with(before, |own, before| {
                _mm256_or_si256(_mm256_sll_epi64(own, up), _mm256_srl_epi64(before, down))
            })
        }
    }
    #[inline(always)]
    fn used_lanes(self) -> u8 {
        // SAFETY: as in `and`.
        let [low, high] = self.0.map(|half| unsafe {
            let unused = _mm256_cmpeq_epi64(half, _mm256_setzero_si256());
            _mm256_movemask_pd(_mm256_castsi256_pd(unused)) as u8
        });
        !(low | high << 4)
    }
}
