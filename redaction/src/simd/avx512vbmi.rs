//! 64 bytes an instruction, looked up in tables of 64 and 128 bytes, for processors with AVX-512
//! VBMI, VBMI2 and GFNI: far fewer instructions than [`avx512`](super::avx512), and fewer false
//! candidates.
#![allow(unsafe_code, reason = "decision 4: the one folder where vector code may be")]

mod short;

use std::arch::x86_64::{
    __m512i, _mm512_and_si512, _mm512_gf2p8affine_epi64_epi8, _mm512_loadu_si512,
    _mm512_mask_blend_epi8, _mm512_movepi8_mask, _mm512_or_si512, _mm512_permutex2var_epi8,
    _mm512_permutexvar_epi8, _mm512_set1_epi8, _mm512_set1_epi64, _mm512_setzero_si512,
    _mm512_shuffle_i64x2, _mm512_test_epi8_mask, _mm512_unpackhi_epi64, _mm512_unpacklo_epi64,
};

use super::avx512::{Vector, load};
use super::{Scan, Window, find_shapes};
use crate::buckets::{Buckets, N_BANKS, PLACES};
use crate::shapes::{Classes, LANE_BYTES, Mask, N_CLASSES, N_LANES, classes_of};

/// See [`Path::step`](super::Path::step). Called only after the features were detected.
pub(super) fn step(buckets: &Buckets, window: &Window, n_lanes: usize, scan: &mut Scan) {
    // SAFETY: `Path::available` offers this path only on processors with these features.
    unsafe { step_with_features(buckets, window, n_lanes, scan) }
}

#[target_feature(
    enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vbmi2,gfni,bmi1,bmi2,lzcnt,popcnt"
)]
fn step_with_features(buckets: &Buckets, window: &Window, n_lanes: usize, scan: &mut Scan) {
    let tables = Tables::new(buckets);
    for lane in 1..=n_lanes {
        let [anywhere, prefixes] = tables.candidates(window, (lane - 1) * LANE_BYTES);
        scan.anywhere.0[lane] = anywhere;
        scan.prefixes.0[lane] = prefixes;
    }
    let none = _mm512_setzero_si512();
    let is_start = std::mem::take(&mut scan.is_start);
    if is_start && n_lanes < short::N_LANES {
        let [first, others] = classify::<{ short::N_LANES }>(window, [none; 2]);
        find_shapes::<short::Vector>(by_class(first, others, short::Vector::new), scan);
        return;
    }
    let [first, others] = &scan.last_lane;
    let before = if is_start { [none; 2] } else { [Vector::load(first).0, Vector::load(others).0] };
    let [first, others] = classify::<N_LANES>(window, before);
    for (last, lanes) in scan.last_lane.iter_mut().zip([first, others]) {
        Vector(lanes[N_LANES - 1]).store(last);
    }
    find_shapes::<Vector>(by_class(first, others, Vector), scan);
}

/// The masks of each class, from those of each lane: of the lower eight classes and of the others.
#[inline(always)]
fn by_class<M: Copy>(
    first: [__m512i; N_LANES],
    others: [__m512i; N_LANES],
    vector: fn(__m512i) -> M,
) -> Classes<M> {
    // SAFETY: called from `step_with_features` only.
    let (first, others) = unsafe { (transposed(first), transposed(others)) };
    let mut masks = [vector(first[0]); N_CLASSES];
    for (class, mask) in masks.iter_mut().enumerate() {
        *mask = vector(if class < 8 { first[class] } else { others[class - 8] });
    }
    Classes(masks)
}

/// Classes by byte, of which the look-up takes the lower seven bits: first the lower eight classes, then
/// the others.
static CLASSES: [[[u8; 64]; 2]; 2] = {
    let mut tables = [[[0; 64]; 2]; 2];
    let mut byte = 0;
    while byte < 128 {
        let [first, others] = classes_of(byte as u8).to_le_bytes();
        tables[0][byte / 64][byte % 64] = first;
        tables[1][byte / 64][byte % 64] = others;
        byte += 1;
    }
    tables
};

/// The order of bytes that brings those of a class together, one of each word of eight.
static GATHER: [u8; 64] = {
    let mut order = [0; 64];
    let mut at = 0;
    while at < 64 {
        order[at] = (at % 8 * 8 + at / 8) as u8;
        at += 1;
    }
    order
};

/// The order of bytes that turns each word of eight round.
static TURN: [u8; 64] = {
    let mut order = [0; 64];
    let mut at = 0;
    while at < 64 {
        order[at] = (at ^ 7) as u8;
        at += 1;
    }
    order
};

/// Bytes to bits: 64 bytes become one bit matrix of eight by eight for each eight of them, a row a
/// byte and a column a class. These are transposed, and the rows of a class are brought together to one
/// mask. Returns for each lane the masks of the lower eight classes and of the others; lane 0 is
/// `before`, and those from `N_USED` on are empty.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni")]
fn classify<const N_USED: usize>(window: &Window, before: [__m512i; 2]) -> [[__m512i; N_LANES]; 2] {
    let (turn, gather) = (constant(&TURN), constant(&GATHER));
    let tables = [0, 1].map(|half| [constant(&CLASSES[half][0]), constant(&CLASSES[half][1])]);
    let beyond = classes_of(0x80).to_le_bytes().map(|bits| _mm512_set1_epi8(bits.cast_signed()));
    // The transposed matrix is this one times the matrix of the bytes. Bit 7 is multiplied with the
    // first byte, so the bytes are turned round.
    let unit = _mm512_set1_epi64(0x8040_2010_0804_0201_u64.cast_signed());
    let mut lanes = [[_mm512_setzero_si512(); N_LANES]; 2];
    (lanes[0][0], lanes[1][0]) = (before[0], before[1]);
    #[expect(clippy::needless_range_loop, reason = "library adaptors would not be compiled inline")]
    for lane in 1..N_USED {
        let bytes = _mm512_permutexvar_epi8(turn, load(window, (lane - 1) * LANE_BYTES));
        let is_beyond = _mm512_movepi8_mask(bytes);
        for half in 0..2 {
            let [low, high] = tables[half];
            let ascii = _mm512_permutex2var_epi8(low, bytes, high);
            let classes = _mm512_mask_blend_epi8(is_beyond, ascii, beyond[half]);
            let by_class = _mm512_gf2p8affine_epi64_epi8::<0>(unit, classes);
            lanes[half][lane] = _mm512_permutexvar_epi8(gather, by_class);
        }
    }
    lanes
}

#[inline(always)]
fn constant(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: called from `step_with_features` only; the array has 64 bytes.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// Rows and columns of eight by eight words, exchanged.
#[inline]
#[target_feature(enable = "avx512f")]
fn transposed(rows: [__m512i; 8]) -> [__m512i; 8] {
    let mut pairs = rows;
    for i in 0..4 {
        pairs[i] = _mm512_unpacklo_epi64(rows[2 * i], rows[2 * i + 1]);
        pairs[i + 4] = _mm512_unpackhi_epi64(rows[2 * i], rows[2 * i + 1]);
    }
    let mut columns = rows;
    for odd in 0..2 {
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| pairs[4 * odd + i]);
        let [even_ab, odd_ab] = halves(a, b);
        let [even_cd, odd_cd] = halves(c, d);
        [columns[odd], columns[odd + 4]] = halves(even_ab, even_cd);
        [columns[odd + 2], columns[odd + 6]] = halves(odd_ab, odd_cd);
    }
    columns
}

/// The even quarters of both vectors, and the odd ones.
#[inline]
#[target_feature(enable = "avx512f")]
fn halves(a: __m512i, b: __m512i) -> [__m512i; 2] {
    [_mm512_shuffle_i64x2::<0x88>(a, b), _mm512_shuffle_i64x2::<0xdd>(a, b)]
}

/// The look-up tables in registers.
struct Tables([[__m512i; PLACES]; N_BANKS]);

impl Tables {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn new(buckets: &Buckets) -> Self {
        let mut tables = [[constant(&buckets.wholes[0][0]); PLACES]; N_BANKS];
        for (tables, bank) in tables.iter_mut().zip(&buckets.wholes) {
            for (table, whole) in tables.iter_mut().zip(bank) {
                *table = constant(whole);
            }
        }
        Self(tables)
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
