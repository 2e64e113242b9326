//! Histograms with our bounds as base-2 exponential ones.
//!
//! All observations of a bucket count at one place of it, which never changes: so no count of a
//! cumulative histogram ever falls. Count and sum are exact; a quantile is off by no more than the
//! bucket is wide, as before.

use crate::model::metric::Histogram;
use opentelemetry_proto::tonic::metrics::v1::ExponentialHistogramDataPoint;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;

/// Most buckets, as the SDKs of OpenTelemetry have them.
const BUCKETS_MAX: i32 = 160;
/// Finest scale, as the SDKs have it.
const SCALE_MAX: i32 = 20;
/// Coarsest scale that the specification knows.
const SCALE_MIN: i32 = -10;

/// The histogram without attributes and times.
pub(super) fn point(histogram: &Histogram) -> ExponentialHistogramDataPoint {
    let places: Vec<f64> =
        (0..histogram.counts.len()).map(|it| place(histogram.bounds, it)).collect();
    let scale = scale(&places);
    let mut point = ExponentialHistogramDataPoint {
        count: histogram.count(),
        sum: Some(histogram.sum),
        scale,
        ..ExponentialHistogramDataPoint::default()
    };
    let mut filled: Vec<(i32, u64)> = Vec::new();
    for (place, count) in places.iter().zip(&histogram.counts) {
        if *count == 0 {
        } else if *place > 0.0 {
            filled.push((index(*place, scale), *count));
        } else {
            point.zero_count += count;
        }
    }
    if let (Some((first, _)), Some((last, _))) = (filled.first().copied(), filled.last().copied()) {
        // Both lie within BUCKETS_MAX of each other.
        let mut bucket_counts = vec![0; (last - first) as usize + 1];
        for (index, count) in filled {
            bucket_counts[(index - first) as usize] += count;
        }
        point.positive = Some(Buckets { offset: first, bucket_counts });
    }
    point
}

/// Where the observations of a bucket are taken to be: the geometric middle, half the bound of the
/// first one, twice that of the last.
fn place(bounds: &[f64], bucket: usize) -> f64 {
    let upper = bounds.get(bucket).copied();
    let lower = bucket.checked_sub(1).and_then(|before| bounds.get(before)).copied();
    match (lower, upper) {
        (Some(lower), Some(upper)) if lower > 0.0 => (lower * upper).sqrt(),
        (_, Some(upper)) => upper / 2.0,
        (Some(lower), None) => lower * 2.0,
        (None, None) => 0.0,
    }
}

/// The finest scale at which all places lie in few enough buckets.
fn scale(places: &[f64]) -> i32 {
    let positive = || places.iter().copied().filter(|place| *place > 0.0);
    let (least, most) = (positive().fold(f64::MAX, f64::min), positive().fold(0.0, f64::max));
    let fits =
        |scale: &i32| most == 0.0 || index(most, *scale) - index(least, *scale) < BUCKETS_MAX;
    (SCALE_MIN..=SCALE_MAX).rev().find(fits).unwrap_or(SCALE_MIN)
}

/// The bucket of a positive number: those above `2^(index / 2^scale)` up to the next.
fn index(value: f64, scale: i32) -> i32 {
    // Clamped by the conversion; at the scales that are chosen it is small.
    (value.log2() * f64::from(scale).exp2()).ceil() as i32 - 1
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS_MAX, index, place, point};
    use crate::model::metric::Histogram;
    use proptest::prelude::{prop, proptest};

    const BOUNDS: &[f64] = &[0.0, 0.1, 1.0, 10.0, 3600.0];

    #[test]
    fn an_index_is_that_of_the_specification() {
        // Scale 0: (1, 2] is 0, (2, 4] is 1, (0.5, 1] is -1.
        for (value, want) in [(1.5, 0), (2.0, 0), (2.1, 1), (4.0, 1), (1.0, -1)] {
            assert_eq!(index(value, 0), want, "{value}");
        }
        assert_eq!(index(1.5, 1), 1);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_count_ever_falls(
            before in prop::collection::vec(-1.0..10_000.0, 0..40),
            after in prop::collection::vec(0.0..10_000.0, 0..40),
        ) {
            let mut histogram = Histogram::new(BOUNDS);
            before.iter().for_each(|it| histogram.observe(*it));
            let one = point(&histogram);
            after.iter().for_each(|it| histogram.observe(*it));
            let two = point(&histogram);
            for (point, n) in [(&one, before.len()), (&two, before.len() + after.len())] {
                let counts = point.positive.as_ref().map(|it| it.bucket_counts.clone());
                let counts = counts.unwrap_or_default();
                assert!(counts.len() <= BUCKETS_MAX as usize);
                let total = counts.iter().sum::<u64>() + point.zero_count;
                assert_eq!((total, point.count), (n as u64, n as u64));
            }
            assert_eq!(one.scale, two.scale);
            assert!(one.zero_count <= two.zero_count);
            for bucket in 0..=BOUNDS.len() {
                let at = index(place(BOUNDS, bucket).max(0.01), one.scale);
                let count = |point: &opentelemetry_proto::tonic::metrics::v1::ExponentialHistogramDataPoint| {
                    let buckets = point.positive.clone().unwrap_or_default();
                    let at = usize::try_from(at - buckets.offset).ok();
                    at.and_then(|at| buckets.bucket_counts.get(at).copied()).unwrap_or(0)
                };
                assert!(count(&one) <= count(&two), "{bucket}");
            }
        }
    }
}
