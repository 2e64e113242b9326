//! The spread of many values in little memory.

use serde::Serialize;

/// Each power of two is divided into so many buckets, so a quantile is off by less than a 64th.
const STEPS: u64 = 64;

/// Values with their number, in buckets. Knows nothing of which value came when.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Digest {
    /// Bucket and number, ascending. Values below 128 have a bucket each; there are 3,776 at most.
    buckets: Vec<(u16, u32)>,
    n_values: u64,
    min: u64,
    max: u64,
}

/// What is left of a digest that is not added to any more.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// Number of values.
    pub n_values: u64,
    /// Smallest, exactly.
    pub min: u64,
    /// Median, off by less than a 64th.
    pub median: u64,
    /// 95th percentile, off by less than a 64th.
    pub p95: u64,
    /// Largest, exactly.
    pub max: u64,
}

impl Quantiles {
    /// Largest over median; none without a median.
    #[must_use]
    pub fn skew(&self) -> Option<f64> {
        (self.median > 0).then(|| self.max as f64 / self.median as f64)
    }
}

impl Digest {
    /// Takes one value in.
    pub(super) fn add(&mut self, value: u64) {
        (self.min, self.max) = match self.n_values {
            0 => (value, value),
            _ => (self.min.min(value), self.max.max(value)),
        };
        self.n_values += 1;
        let bucket = bucket_of(value);
        match self.buckets.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(at) => self.buckets[at].1 = self.buckets[at].1.saturating_add(1),
            Err(at) => self.buckets.insert(at, (bucket, 1)),
        }
    }

    /// Where the values lie.
    pub(super) fn quantiles(&self) -> Quantiles {
        Quantiles {
            n_values: self.n_values,
            min: self.min,
            median: self.quantile(0.5),
            p95: self.quantile(0.95),
            max: self.max,
        }
    }

    /// As Spark has it: of `n` sorted values the one at `share` times `n`.
    fn quantile(&self, share: f64) -> u64 {
        let mut rank = (self.n_values as f64 * share) as u64;
        for (bucket, n) in &self.buckets {
            match rank.checked_sub(u64::from(*n)) {
                Some(rest) => rank = rest,
                None => return middle_of(*bucket).clamp(self.min, self.max),
            }
        }
        self.max
    }
}

fn bucket_of(value: u64) -> u16 {
    let shift = u64::from(58_u32.saturating_sub(value.leading_zeros()).saturating_sub(1));
    u16::try_from(shift * STEPS + (value >> shift)).expect("57 * 64 + 127 fits")
}

fn middle_of(bucket: u16) -> u64 {
    let bucket = u64::from(bucket);
    let shift = (bucket / STEPS).saturating_sub(1);
    ((bucket - shift * STEPS) << shift) + ((1 << shift) >> 1)
}

#[cfg(test)]
mod tests {
    use super::{Digest, bucket_of, middle_of};
    use proptest::prelude::{any, prop, proptest};

    proptest! {
        #[test]
        fn quantiles_are_off_by_less_than_a_64th(values in prop::collection::vec(any::<u64>(), 1..200), shift in 0_u32..60) {
            let mut sorted: Vec<u64> = values.iter().map(|value| value >> shift).collect();
            let mut digest = Digest::default();
            sorted.iter().for_each(|value| digest.add(*value));
            sorted.sort_unstable();
            let quantiles = digest.quantiles();
            assert_eq!((quantiles.min, quantiles.max), (sorted[0], sorted[sorted.len() - 1]));
            for (share, got) in [(0.5, quantiles.median), (0.95, quantiles.p95)] {
                let want = sorted[(sorted.len() as f64 * share) as usize];
                assert!(got.abs_diff(want) <= want / 64, "{got} is not {want}");
            }
        }

        #[test]
        fn buckets_ascend_and_hold_their_middle(value in any::<u64>()) {
            assert_eq!(bucket_of(middle_of(bucket_of(value))), bucket_of(value));
            assert!(bucket_of(value) <= bucket_of(value.saturating_add(1)));
        }
    }

    #[test]
    fn small_values_are_exact() {
        let mut digest = Digest::default();
        (0..100).for_each(|value| digest.add(value));
        assert_eq!((digest.quantiles().median, digest.quantiles().p95), (50, 95));
    }
}
