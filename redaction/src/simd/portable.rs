//! The masks, byte by byte: the path of other processors, and what the fast paths are held to.

use super::{Scan, Window, find_shapes};
use crate::buckets::{Buckets, Halves};
use crate::shapes::{LANE_BYTES, Lanes, Mask, N_CLASSES, N_LANES, classes_of};

pub(super) fn step(buckets: &Buckets, window: &Window, n_lanes: usize, scan: &mut Scan) {
    scan.advance_classes(n_lanes);
    for lane in 1..=n_lanes {
        let at = (lane - 1) * LANE_BYTES;
        let bytes = &window[at..at + LANE_BYTES];
        for class in 0..N_CLASSES {
            let bit = |(i, byte): (_, &u8)| u64::from(classes_of(*byte) >> class & 1) << i;
            scan.classes.0[class].0[lane] = bytes.iter().enumerate().map(bit).sum();
        }
        let candidates = |banks: &[Halves]| {
            (0..LANE_BYTES)
                .filter(|i| banks.iter().any(|bank| is_candidate(bank, &window[at + i..])))
                .map(|i| 1 << i)
                .sum()
        };
        scan.anywhere.0[lane] = candidates(&buckets.halves[..1]);
        scan.prefixes.0[lane] = candidates(&buckets.halves[1..]);
    }
    find_shapes::<Lanes>(scan.loaded_classes(), scan);
}

impl Mask for Lanes {
    fn load(lanes: &Lanes) -> Self {
        *lanes
    }

    fn store(self, lanes: &mut Lanes) {
        *lanes = self;
    }

    fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] & other.0[i]))
    }

    fn or(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] | other.0[i]))
    }

    fn without(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] & !other.0[i]))
    }

    fn back(self, n: u32) -> Self {
        let before = |lane: usize| lane.checked_sub(1).map_or(0, |lane| self.0[lane]);
        Self(std::array::from_fn(|i| self.0[i] << n | before(i) >> (64 - n)))
    }

    fn used_lanes(self) -> u8 {
        (0..N_LANES).map(|lane| u8::from(self.0[lane] != 0) << lane).sum()
    }
}

/// True when some bucket has a literal for each of the bytes.
fn is_candidate(halves: &Halves, bytes: &[u8]) -> bool {
    let places = halves.iter().zip(bytes);
    places.fold(u8::MAX, |set, (sets, byte)| {
        set & sets[usize::from(byte >> 4 & 1)][usize::from(byte & 15)]
    }) != 0
}
