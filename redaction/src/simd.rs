//! Which bytes belong to which class, and where literals may begin, for 448 bytes at a time.
//!
//! The one place with `unsafe` (decision 4). Each path gives the same masks as [`portable`], which
//! the tests and the fuzz target hold it to; the best one that the processor has is taken at
//! start-up.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use crate::literals::Buckets;
use crate::shapes::{Classes, Found, GROUP_BYTES, LANE_BYTES, N_LANES};

/// A group and the bytes after it that a literal may reach into.
pub(crate) type Window = [u8; GROUP_BYTES + LANE_BYTES];

/// What one scan remembers from group to group.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    classes: Classes,
    pub(crate) found: Found,
}

impl Scan {
    /// Forgets what came before the next group.
    pub(crate) fn restart(&mut self) {
        self.classes.clear(N_LANES - 1);
    }
}

/// A way to compute masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Path {
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
            if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512f") {
                paths.push(Self::Avx512);
            }
            if is_x86_feature_detected!("avx2") {
                paths.push(Self::Avx2);
            }
        }
        paths.push(Self::Portable);
        paths
    }

    /// Fills `scan.found` from the next group of a text. Bytes behind `n_bytes` are no text, and
    /// zero.
    #[inline]
    pub(crate) fn step(self, buckets: &Buckets, window: &Window, n_bytes: usize, scan: &mut Scan) {
        let n_lanes = n_bytes.div_ceil(LANE_BYTES);
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::step(buckets, window, n_lanes, scan),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::step(buckets, window, n_lanes, scan),
            Self::Portable => portable::step(buckets, window, n_lanes, scan),
        }
    }
}
