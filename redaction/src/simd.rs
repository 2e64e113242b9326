//! Which bytes belong to which class, and where literals may begin, for 448 bytes at a time.
//!
//! The one place with `unsafe` (decision 4). Each path gives the same masks as [`portable`], which
//! the tests and the fuzz target hold it to; the best one that the processor has is taken at
//! start-up.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512vbmi;
mod portable;

use crate::buckets::Buckets;
use crate::shapes::{
    self, Classes, GROUP_BYTES, LANE_BYTES, Lanes, Mask, N_CLASSES, N_LANES, N_SHAPES,
};

/// A group and the bytes after it that a literal may reach into.
pub(crate) type Window = [u8; GROUP_BYTES + LANE_BYTES];

/// What one scan remembers from group to group, and where the shapes of the last group are.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    classes: Classes<Lanes>,
    /// For the path that keeps `classes` in registers: the masks of the last lane, one a class.
    last_lane: [Lanes; 2],
    /// Nothing came before: `last_lane` is of another text. Not cleared, as what was just stored in parts
    /// can not be loaded as a whole without waiting.
    is_start: bool,
    shapes: [Lanes; N_SHAPES],
    /// For each shape, bit `n` tells whether it is in lane `n`.
    used_lanes: [u8; N_SHAPES],
    /// Bit `n`: the shape with index `n` is in some lane.
    used_shapes: u32,
    /// Where the four bytes of a literal may begin, and of one that begins a word.
    anywhere: Lanes,
    prefixes: Lanes,
    name_starts: Lanes,
    /// For `anywhere` and `prefixes`, bit `n` tells whether lane `n` has any.
    used_literals: [u8; 2],
}

impl Scan {
    /// Forgets what came before the next group.
    pub(crate) fn restart(&mut self) {
        self.classes.clear(N_LANES - 1);
        self.is_start = true;
    }

    /// Makes room for the classes of the next group, of which `n_lanes` hold text: for the paths that
    /// store them.
    #[inline(always)]
    fn advance_classes(&mut self, n_lanes: usize) {
        self.classes.advance();
        for lane in n_lanes + 1..N_LANES {
            self.classes.clear(lane);
        }
    }

    /// The masks of classes in the registers of a path.
    #[inline(always)]
    fn loaded_classes<M: Mask>(&self) -> Classes<M> {
        // A loop, as closures of the library would not be compiled with the instructions of this path.
        let mut masks = [M::load(&self.classes.0[0]); N_CLASSES];
        for (mask, lanes) in masks.iter_mut().zip(&self.classes.0) {
            *mask = M::load(lanes);
        }
        Classes(masks)
    }

    /// Calls `visit` with each place of the last group where a shape of the set `wanted` is: index in
    /// [`Shape::ALL`] and offset in the group. One shape after the other, each from the first place
    /// to the last.
    ///
    /// [`Shape::ALL`]: crate::Shape
    #[inline]
    pub(crate) fn each_shape(&self, wanted: u32, mut visit: impl FnMut(usize, usize)) {
        let mut used = self.used_shapes & wanted;
        while used != 0 {
            let index = used.trailing_zeros() as usize;
            used &= used - 1;
            each_place(&self.shapes[index], self.used_lanes[index], |at| visit(index, at));
        }
    }

    /// Where parts of names begin in the 64 bytes before `at`, an offset in the last group: bit 63 is the byte
    /// before it. `at` is less than [`GROUP_BYTES`].
    #[inline]
    pub(crate) fn name_starts_before(&self, at: usize) -> u64 {
        let (lane, bit) = (at / LANE_BYTES + 1, at % LANE_BYTES);
        let own = self.name_starts.0[lane];
        let before = self.name_starts.0[lane - 1];
        if bit == 0 { before } else { own << (LANE_BYTES - bit) | before >> bit }
    }

    /// Calls `visit` with each offset in the last group where the bytes of a literal may begin that
    /// is found anywhere.
    #[inline]
    pub(crate) fn each_literal(&self, visit: impl FnMut(usize)) {
        each_place(&self.anywhere, self.used_literals[0], visit);
    }

    /// Calls `visit` with each offset in the last group where the bytes of a prefix may begin.
    #[inline]
    pub(crate) fn each_prefix(&self, visit: impl FnMut(usize)) {
        each_place(&self.prefixes, self.used_literals[1], visit);
    }
}

/// Computes the masks of shapes and prefixes from those of classes. Inlined into each path, whose
/// vectors it then uses.
#[inline(always)]
fn find_shapes<M: Mask>(classes: Classes<M>, scan: &mut Scan) {
    shapes::name_starts(&classes).store(&mut scan.name_starts);
    let starts = shapes::word_starts(&classes);
    let prefixes = M::load(&scan.prefixes).and(starts);
    prefixes.store(&mut scan.prefixes);
    scan.used_literals = [M::load(&scan.anywhere).used_lanes(), prefixes.used_lanes()];
    let shapes = shapes::find(&classes);
    scan.used_shapes = 0;
    for (index, mask) in shapes.into_iter().enumerate() {
        scan.used_lanes[index] = mask.used_lanes();
        // Lane 0 was visited with the group before.
        scan.used_shapes |= u32::from(scan.used_lanes[index] > 1) << index;
        mask.store(&mut scan.shapes[index]);
    }
}

#[inline(always)]
fn each_place(mask: &Lanes, used_lanes: u8, mut visit: impl FnMut(usize)) {
    let mut lanes = used_lanes & !1;
    while lanes != 0 {
        let lane = lanes.trailing_zeros() as usize;
        lanes &= lanes - 1;
        each_bit(mask.0[lane], lane, &mut visit);
    }
}

#[inline(always)]
fn each_bit(mut mask: u64, lane: usize, mut visit: impl FnMut(usize)) {
    while mask != 0 {
        visit((lane - 1) * LANE_BYTES + mask.trailing_zeros() as usize);
        mask &= mask - 1;
    }
}

/// A way to compute masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Path {
    #[cfg(target_arch = "x86_64")]
    Avx512Vbmi,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Path {
    /// Every path that this processor can take, the fastest first.
    pub(crate) fn available() -> Vec<Self> {
        let mut paths = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let has_bits = is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("lzcnt")
                && is_x86_feature_detected!("popcnt");
            let has_avx512 = has_bits
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq");
            let has_vbmi = is_x86_feature_detected!("avx512vbmi")
                && is_x86_feature_detected!("avx512vbmi2")
                && is_x86_feature_detected!("gfni");
            if has_avx512 && has_vbmi {
                paths.push(Self::Avx512Vbmi);
            }
            if has_avx512 {
                paths.push(Self::Avx512);
            }
            if has_bits && is_x86_feature_detected!("avx2") {
                paths.push(Self::Avx2);
            }
        }
        paths.push(Self::Portable);
        paths
    }

    /// Fills `scan` from the next group of a text. Bytes behind `n_bytes` are no text, and zero.
    #[inline]
    pub(crate) fn step(self, buckets: &Buckets, window: &Window, n_bytes: usize, scan: &mut Scan) {
        let n_lanes = n_bytes.div_ceil(LANE_BYTES);
        for lane in n_lanes + 1..N_LANES {
            (scan.anywhere.0[lane], scan.prefixes.0[lane]) = (0, 0);
        }
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vbmi => avx512vbmi::step(buckets, window, n_lanes, scan),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::step(buckets, window, n_lanes, scan),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::step(buckets, window, n_lanes, scan),
            Self::Portable => portable::step(buckets, window, n_lanes, scan),
        }
    }
}
