//! Turns new observations of a histogram into values with counts.

use crate::model::metric::Histogram;

/// One value for each bucket that holds something, with the number of observations.
///
/// A bucket only says that its observations lie between two bounds. Upper bounds would make every
/// average too high, midpoints could be off by the width of a bucket. The histogram knows its sum,
/// so all buckets use the same place between their bounds, the one that makes the sum right. Then
/// Sum and Average in CloudWatch are exact, a single observation is itself, and a percentile never
/// leaves the bucket it falls into. The bucket without an upper bound takes what the others leave.
pub(super) fn points(new: &Histogram) -> Vec<(f64, u64)> {
    let buckets: Vec<(f64, f64, u64)> = new
        .counts
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0)
        .map(|(idx, count)| {
            let lower = match idx.checked_sub(1) {
                Some(before) => new.bounds.get(before).copied().unwrap_or_default(),
                None => new.bounds.first().map_or(0.0, |bound| bound.min(0.0)),
            };
            (lower, new.bounds.get(idx).copied().unwrap_or(lower), *count)
        })
        .collect();
    let total = |place: f64| -> f64 {
        let sums = buckets.iter().map(|(lower, upper, n)| at(*lower, *upper, place) * *n as f64);
        sums.sum()
    };
    let n_open = new.counts.get(new.bounds.len()).copied().unwrap_or(0);
    // Above its lower bound, where `total` has it.
    let open_excess = (new.sum - total(0.5)) / n_open as f64;
    let has_far_values = n_open > 0 && open_excess > 0.0 && open_excess.is_finite();
    let (least, most) = (total(0.0), total(1.0));
    let place = (new.sum - least) / (most - least);
    let place = if has_far_values || place.is_nan() { 0.5 } else { place.clamp(0.0, 1.0) };
    let mut points: Vec<(f64, u64)> =
        buckets.iter().map(|(lower, upper, n)| (at(*lower, *upper, place), *n)).collect();
    if has_far_values && let Some((value, _)) = points.last_mut() {
        *value += open_excess;
    }
    points
}

/// The point between two bounds.
fn at(lower: f64, upper: f64, place: f64) -> f64 {
    lower + (upper - lower) * place
}

#[cfg(test)]
mod tests {
    use super::points;
    use crate::model::metric::Histogram;
    use proptest::prelude::{prop, proptest};

    const BOUNDS: &[f64] = &[1.0, 10.0, 100.0];

    fn observed(values: &[f64]) -> Histogram {
        let mut histogram = Histogram::new(BOUNDS);
        values.iter().for_each(|value| histogram.observe(*value));
        histogram
    }

    #[test]
    fn a_single_observation_is_itself_in_every_bucket() {
        for value in [0.25, 1.0, 5.5, 10.0, 55.0, 250.0] {
            assert_eq!(points(&observed(&[value])), [(value, 1)]);
        }
    }

    #[test]
    fn nothing_new_is_no_value_and_a_histogram_without_bounds_is_its_average() {
        assert_eq!(points(&observed(&[])), []);
        let mut all_open = Histogram::new(&[]);
        all_open.observe(3.0);
        all_open.observe(5.0);
        assert_eq!(points(&all_open), [(4.0, 2)]);
    }

    #[test]
    fn a_sum_that_is_no_number_gives_midpoints() {
        let histogram = Histogram { sum: f64::NAN, ..observed(&[5.0, 50.0, 500.0]) };
        assert_eq!(points(&histogram), [(5.5, 1), (55.0, 1), (100.0, 1)]);
    }

    proptest! {
        #[test]
        fn count_and_sum_are_exact_and_no_value_leaves_its_bucket(
            values in prop::collection::vec(0.0..300.0_f64, 1..40)
        ) {
            let histogram = observed(&values);
            let points = points(&histogram);
            let sum: f64 = points.iter().map(|(value, n)| value * *n as f64).sum();
            assert!((sum - histogram.sum).abs() < 1e-6, "{sum} {}", histogram.sum);
            assert_eq!(points.iter().map(|(_, n)| n).sum::<u64>(), values.len() as u64);
            let filled: Vec<usize> = (0..4).filter(|idx| histogram.counts[*idx] > 0).collect();
            for ((value, _), idx) in points.iter().zip(filled) {
                let lower = if idx == 0 { 0.0 } else { BOUNDS[idx - 1] };
                let upper = BOUNDS.get(idx).copied().unwrap_or(f64::INFINITY);
                assert!((lower..=upper).contains(value), "{value} in bucket {idx}");
            }
        }
    }
}
