//! Counters that never go down, made from sums over subtasks that start anew: a vertex restarts as a
//! whole or in part, a JobManager begins at 0. Knows nothing of what the values mean.

/// How a value that fell is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fall {
    /// Some parts of the sum began anew: what they did before stays counted. Only for sums that say
    /// that they are complete.
    Restart,
    /// A part of the sum is missing for a while: it will be back.
    Gap,
}

/// `N` counters.
#[derive(Debug, Clone)]
pub(super) struct Tally<const N: usize> {
    /// What stands before the present values.
    offsets: [u64; N],
    last: [Option<u64>; N],
    totals: [Option<u64>; N],
}

impl<const N: usize> Default for Tally<N> {
    fn default() -> Self {
        Self { offsets: [0; N], last: [None; N], totals: [None; N] }
    }
}

impl<const N: usize> Tally<N> {
    /// Everything that is summed began anew: the next values come on top of the totals.
    pub(super) fn restart(&mut self) {
        self.last = [None; N];
        for (offset, total) in self.offsets.iter_mut().zip(self.totals) {
            *offset = total.unwrap_or(0);
        }
    }

    /// Takes the present value of counter `index`; an absent one changes nothing.
    pub(super) fn record(&mut self, index: usize, value: Option<u64>, fall: Fall) {
        let Some(value) = value else { return };
        if let (Some(last), Fall::Restart) = (self.last[index], fall)
            && value < last
        {
            let gone = last - value;
            self.offsets[index] = self.offsets[index].saturating_add(gone);
        }
        self.last[index] = Some(value);
        let sum = self.offsets[index].saturating_add(value);
        self.totals[index] = self.totals[index].max(Some(sum));
    }

    /// Counter `index`; none until there was a value for it.
    pub(super) fn total(&self, index: usize) -> Option<u64> {
        self.totals[index]
    }
}

#[cfg(test)]
mod tests {
    use super::{Fall, Tally};
    use proptest::prelude::{any, proptest};

    #[test]
    fn a_restart_of_all_parts_adds_what_comes_after_it() {
        let mut tally = Tally::<1>::default();
        for (value, total) in [(100, 100), (150, 150)] {
            tally.record(0, Some(value), Fall::Restart);
            assert_eq!(tally.total(0), Some(total));
        }
        tally.restart();
        assert_eq!(tally.total(0), Some(150));
        tally.record(0, Some(200), Fall::Restart);
        assert_eq!(tally.total(0), Some(350), "a new attempt may be ahead of the old one already");
    }

    #[test]
    fn a_restart_of_one_part_keeps_what_it_did() {
        let mut tally = Tally::<1>::default();
        for (value, total) in [(100, 100), (55, 100), (60, 105)] {
            tally.record(0, Some(value), Fall::Restart);
            assert_eq!(tally.total(0), Some(total));
        }
    }

    #[test]
    fn a_part_that_is_missing_for_a_while_is_not_counted_twice() {
        let mut tally = Tally::<1>::default();
        for (value, total) in [(Some(100), 100), (Some(60), 100), (None, 100), (Some(110), 110)] {
            tally.record(0, value, Fall::Gap);
            assert_eq!(tally.total(0), Some(total));
        }
        assert_eq!(Tally::<1>::default().total(0), None, "absent is not zero");
    }

    proptest! {
        #[test]
        fn no_total_ever_falls(steps in proptest::collection::vec(any::<(u8, u16)>(), 0..100)) {
            let mut tally = Tally::<1>::default();
            let mut before = None;
            for (kind, value) in steps {
                match kind % 4 {
                    0 => tally.restart(),
                    1 => tally.record(0, None, Fall::Gap),
                    2 => tally.record(0, Some(u64::from(value)), Fall::Gap),
                    _ => tally.record(0, Some(u64::from(value)), Fall::Restart),
                }
                assert!(tally.total(0) >= before);
                before = tally.total(0);
            }
        }
    }
}
