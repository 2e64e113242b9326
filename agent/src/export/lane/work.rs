//! Which records of a batch are still to be delivered: halves a refused batch until what is refused
//! is alone.

use std::ops::Range;

/// Refusals within one batch after which nothing is halved any more: a destination that takes
/// nothing must not be asked twice for every record.
const REFUSALS_MAX: usize = 256;

/// Ranges of records, each sent as one, in order.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    /// The next one is the last.
    ranges: Vec<Range<usize>>,
    n_refusals: usize,
}

impl Work {
    /// All records of a batch at once.
    pub(crate) fn new(n_records: usize) -> Self {
        Self { ranges: std::iter::once(0..n_records).collect(), n_refusals: 0 }
    }

    /// What to send next; none when all is done.
    pub(crate) fn next(&self) -> Option<Range<usize>> {
        self.ranges.last().cloned()
    }

    /// The next range is delivered, or its records are kept elsewhere.
    pub(crate) fn pass(&mut self) {
        self.ranges.pop();
    }

    /// The next range was refused. True when it is halved, else it is to be given up as it is.
    pub(crate) fn halve(&mut self) -> bool {
        self.n_refusals += 1;
        self.n_refusals <= REFUSALS_MAX && self.split()
    }

    /// Halves the next range, which is too long to be sent. False when it is one record.
    pub(crate) fn split(&mut self) -> bool {
        let Some(range) = self.next().filter(|range| range.len() > 1) else { return false };
        let middle = range.start + range.len() / 2;
        self.ranges.pop();
        self.ranges.extend([middle..range.end, range.start..middle]);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{REFUSALS_MAX, Work};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Sends to a destination that refuses whatever holds poison: delivered, given up, requests.
    fn run(n_records: usize, poison: &BTreeSet<usize>) -> (Vec<usize>, Vec<usize>, usize) {
        let (mut work, mut delivered, mut given_up) = (Work::new(n_records), vec![], vec![]);
        let mut n_requests = 0;
        while let Some(range) = work.next() {
            n_requests += 1;
            if !range.clone().any(|record| poison.contains(&record)) {
                delivered.extend(range);
                work.pass();
            } else if !work.halve() {
                given_up.extend(range);
                work.pass();
            }
        }
        (delivered, given_up, n_requests)
    }

    proptest! {
        #[test]
        fn exactly_the_poison_is_given_up_and_the_order_of_the_rest_is_kept(
            n_records in 1..3000_usize,
            poison in prop::collection::btree_set(0..3000_usize, 0..12),
        ) {
            let poison: BTreeSet<usize> = poison.into_iter().filter(|it| *it < n_records).collect();
            let (delivered, given_up, n_requests) = run(n_records, &poison);
            let good: Vec<usize> = (0..n_records).filter(|it| !poison.contains(it)).collect();
            prop_assert_eq!(delivered, good);
            prop_assert_eq!(given_up, poison.iter().copied().collect::<Vec<_>>());
            prop_assert!(n_requests <= 1 + poison.len() * 2 * 13);
        }
    }

    #[test]
    fn a_destination_that_refuses_everything_is_not_asked_for_every_record() {
        let (delivered, given_up, n_requests) = run(5_000, &(0..5_000).collect());
        assert_eq!((delivered.len(), given_up), (0, (0..5_000).collect()));
        assert!(n_requests <= 2 * REFUSALS_MAX + 16, "{n_requests}");
    }
}
