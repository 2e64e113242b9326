//! Counters that never go down, made from values that vanish: the UI evicts old stages and jobs,
//! executors die, attempts are repeated. Knows nothing of what the values mean.

use std::collections::BTreeMap;

/// Intervals that a set of closed keys may have. Keys are dense, so one job needs a handful.
const INTERVALS_MAX: usize = 1024;

/// Closed keys whose values may be set right by another source; of more, the oldest keep theirs.
const SETTLED_MAX: usize = 4096;

/// Sums the last value of every key, for `N` counters at once.
///
/// A key is *open* while its values may change. [`Ledger::close`] keeps its last values in the sum
/// and forgets the rest; a closed key never counts again, however often the API repeats it.
#[derive(Debug)]
pub(super) struct Ledger<const N: usize> {
    open: BTreeMap<u64, [Option<u64>; N]>,
    open_max: usize,
    closed: KeySet,
    /// Keys that were closed, as long as another source may know better.
    settled: BTreeMap<u64, Settled<N>>,
    /// Exact sums of the last values of all keys, open and closed.
    sums: [Option<u64>; N],
    /// Highest sums so far. A value that dips (Spark takes back metrics of a task that failed)
    /// must not look like a restart of the counter, and must not count twice when it recovers.
    totals: [Option<u64>; N],
}

/// The last values of a closed key.
#[derive(Debug)]
struct Settled<const N: usize> {
    values: [Option<u64>; N],
    /// They are those that happened to be seen last.
    is_given_up: bool,
}

impl<const N: usize> Ledger<N> {
    /// An empty ledger that holds `open_max` open keys at most.
    pub(super) fn new(open_max: usize) -> Self {
        Self {
            open: BTreeMap::new(),
            open_max,
            closed: KeySet::default(),
            settled: BTreeMap::new(),
            sums: [None; N],
            totals: [None; N],
        }
    }

    /// Takes the present values of `key`; an absent value keeps the one before.
    ///
    /// False if there was no room for a new key. Values of a closed key are ignored.
    pub(super) fn record(&mut self, key: u64, values: [Option<u64>; N]) -> bool {
        if self.closed.contains(key) {
            return true;
        }
        if !self.open.contains_key(&key) && self.open.len() >= self.open_max {
            return false;
        }
        let mut last = self.open.remove(&key).unwrap_or([None; N]);
        self.replace(&mut last, values);
        self.open.insert(key, last);
        true
    }

    /// As [`record`](Self::record), where two sources tell of the same key: of both the larger value
    /// counts, as either may be behind.
    pub(super) fn raise(&mut self, key: u64, values: [Option<u64>; N]) -> bool {
        let last = self.open.get(&key).copied().unwrap_or([None; N]);
        self.record(key, std::array::from_fn(|index| values[index].max(last[index])))
    }

    /// Closes `key` with the values of the source that has the last word, also when another source has
    /// closed it or given it up. True when nobody knew its end before.
    pub(super) fn revise(&mut self, key: u64, values: [Option<u64>; N]) -> bool {
        if self.closed.insert(key) {
            let mut last = self.open.remove(&key).unwrap_or([None; N]);
            self.replace(&mut last, values);
            return true;
        }
        let Some(Settled { values: mut last, is_given_up }) = self.settled.remove(&key) else {
            return false;
        };
        self.replace(&mut last, values);
        is_given_up
    }

    /// Brings `values` in the place of `last` into the sums.
    fn replace(&mut self, last: &mut [Option<u64>; N], values: [Option<u64>; N]) {
        for (index, value) in values.into_iter().enumerate() {
            let Some(value) = value else { continue };
            let before = last[index].replace(value).unwrap_or(0);
            let sum = self.sums[index].unwrap_or(0).saturating_sub(before).saturating_add(value);
            self.sums[index] = Some(sum);
            self.totals[index] = self.totals[index].max(Some(sum));
        }
    }

    /// Fixes the last values of `key`, unless they are [revised](Self::revise). True when it was not
    /// closed before.
    pub(super) fn close(&mut self, key: u64) -> bool {
        self.settle(key, false)
    }

    /// As [`close`](Self::close), of a key that is gone before its last values were seen.
    pub(super) fn give_up(&mut self, key: u64) -> bool {
        self.settle(key, true)
    }

    fn settle(&mut self, key: u64, is_given_up: bool) -> bool {
        let is_new = self.closed.insert(key);
        if is_new {
            let values = self.open.remove(&key).unwrap_or([None; N]);
            self.settled.insert(key, Settled { values, is_given_up });
            if self.settled.len() > SETTLED_MAX {
                self.settled.pop_first();
            }
        }
        is_new
    }

    /// True if `key` is closed, or was swallowed when the set of closed keys was full.
    pub(super) fn is_closed(&self, key: u64) -> bool {
        self.closed.contains(key)
    }

    /// Keys whose values may still change, ascending.
    pub(super) fn open_keys(&self) -> impl Iterator<Item = u64> {
        self.open.keys().copied()
    }

    /// Counter number `index`; `None` until some key had a value for it.
    pub(super) fn total(&self, index: usize) -> Option<u64> {
        self.totals[index]
    }
}

/// A set of integers that are mostly neighbours, as intervals with both ends included.
#[derive(Debug, Default)]
struct KeySet {
    ends: BTreeMap<u64, u64>,
}

impl KeySet {
    fn contains(&self, key: u64) -> bool {
        self.ends.range(..=key).next_back().is_some_and(|(_, end)| *end >= key)
    }

    /// True when `key` was not in the set.
    fn insert(&mut self, key: u64) -> bool {
        if self.contains(key) {
            return false;
        }
        let end = key.checked_add(1).and_then(|next| self.ends.remove(&next)).unwrap_or(key);
        match self.ends.range_mut(..key).next_back() {
            Some((_, before)) if *before == key - 1 => *before = end,
            _ => {
                self.ends.insert(key, end);
            }
        }
        if self.ends.len() > INTERVALS_MAX {
            self.join_nearest();
        }
        true
    }

    /// Closes the smallest gap. Its keys count as seen: too few is better than twice.
    fn join_nearest(&mut self) {
        let gaps = self.ends.iter().zip(self.ends.iter().skip(1));
        let nearest =
            gaps.map(|((start, end), (next, next_end))| (next - end, *start, *next, *next_end));
        if let Some((_, start, next, next_end)) = nearest.min() {
            self.ends.remove(&next);
            self.ends.insert(start, next_end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{INTERVALS_MAX, KeySet, Ledger};
    use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
    use std::collections::{BTreeMap, BTreeSet};

    #[derive(Debug, Clone)]
    enum Event {
        /// A key grows by so much.
        Grow(u64, u64),
        /// The API tells the present value of every key it still lists.
        Scrape,
        /// The API forgets a key, final or not.
        Evict(u64),
        /// A key became final.
        Finish(u64),
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let key = 0..20_u64;
        let event = prop_oneof![
            4 => (key.clone(), 0..1_000_u64).prop_map(|(key, by)| Event::Grow(key, by)),
            3 => Just(Event::Scrape),
            1 => key.clone().prop_map(Event::Evict),
            1 => key.prop_map(Event::Finish),
        ];
        proptest::collection::vec(event, 0..200)
    }

    proptest! {
        #[test]
        fn the_total_never_falls_and_ends_as_the_sum_of_the_last_values_seen(events in events()) {
            let mut ledger = Ledger::<1>::new(100);
            let mut listed: BTreeMap<u64, u64> = BTreeMap::new();
            let mut last_seen: BTreeMap<u64, u64> = BTreeMap::new();
            let (mut finished, mut evicted) = (BTreeSet::new(), BTreeSet::new());
            let mut before = None;
            for event in events {
                match event {
                    // Neither a final nor an evicted key comes back, as stage attempts do not.
                    Event::Grow(key, by) if !finished.contains(&key) && !evicted.contains(&key) => {
                        *listed.entry(key).or_default() += by;
                    }
                    Event::Grow(..) => {}
                    Event::Evict(key) => {
                        evicted.insert(key);
                        listed.remove(&key);
                    }
                    Event::Finish(key) => {
                        finished.insert(key);
                    }
                    Event::Scrape => {
                        for (key, value) in &listed {
                            last_seen.insert(*key, *value);
                            assert!(ledger.record(*key, [Some(*value)]));
                            if finished.contains(key) {
                                ledger.close(*key);
                            }
                        }
                        let gone: Vec<u64> =
                            ledger.open_keys().filter(|key| !listed.contains_key(key)).collect();
                        for key in gone {
                            ledger.close(key);
                        }
                    }
                }
                assert!(ledger.total(0) >= before);
                before = ledger.total(0);
            }
            let expected = (!last_seen.is_empty()).then(|| last_seen.values().sum::<u64>());
            assert_eq!(ledger.total(0), expected);
        }

        #[test]
        fn values_that_dip_never_lower_the_total(values in proptest::collection::vec((0..5_u64, 0..100_u64), 1..100)) {
            let mut ledger = Ledger::<1>::new(100);
            let mut last = BTreeMap::new();
            let (mut before, mut peak) = (None, 0);
            for (key, value) in values {
                ledger.record(key, [Some(value)]);
                last.insert(key, value);
                peak = peak.max(last.values().sum::<u64>());
                assert!(ledger.total(0) >= before);
                before = ledger.total(0);
            }
            assert_eq!(ledger.total(0), Some(peak));
        }

        #[test]
        fn a_key_set_holds_exactly_what_was_put_in(keys in proptest::collection::vec(any::<u8>(), 0..300)) {
            let (mut set, mut model) = (KeySet::default(), BTreeSet::new());
            for key in keys {
                assert_eq!(set.insert(u64::from(key)), model.insert(key));
            }
            for key in 0..=u8::MAX {
                assert_eq!(set.contains(u64::from(key)), model.contains(&key));
            }
        }
    }

    #[test]
    fn an_absent_value_is_not_zero_and_does_not_erase_one() {
        let mut ledger = Ledger::<2>::new(10);
        ledger.record(1, [Some(5), None]);
        assert_eq!((ledger.total(0), ledger.total(1)), (Some(5), None));
        ledger.record(1, [None, Some(0)]);
        assert_eq!((ledger.total(0), ledger.total(1)), (Some(5), Some(0)));
    }

    #[test]
    fn a_full_ledger_refuses_new_keys_and_keeps_counting_the_old_ones() {
        let mut ledger = Ledger::<1>::new(1);
        assert!(ledger.record(1, [Some(1)]));
        assert!(!ledger.record(2, [Some(10)]));
        assert!(ledger.record(1, [Some(3)]));
        assert_eq!(ledger.total(0), Some(3));
        ledger.close(1);
        assert!(ledger.record(2, [Some(10)]));
        assert_eq!(ledger.total(0), Some(13));
    }

    #[test]
    fn the_source_with_the_last_word_sets_right_what_another_one_closed() {
        let mut ledger = Ledger::<2>::new(10);
        // REST has missed some tasks, and what is not in a log stays as REST had it.
        ledger.record(1, [Some(5), Some(7)]);
        ledger.close(1);
        assert!(!ledger.revise(1, [Some(8), None]));
        assert_eq!((ledger.total(0), ledger.total(1)), (Some(8), Some(7)));
        assert!(!ledger.revise(1, [Some(9), None]), "the last word is said once");
        assert_eq!(ledger.total(0), Some(8));
        ledger.record(4, [Some(0), None]);
        assert!(ledger.give_up(4) && ledger.revise(4, [Some(0), None]), "nobody knew its end");
        // One that REST never had.
        assert!(ledger.revise(2, [Some(10), None]) && ledger.is_closed(2));
        ledger.record(2, [Some(99), None]);
        assert_eq!(ledger.total(0), Some(18));
        // One that is behind in one source does not fall.
        ledger.raise(3, [Some(4), None]);
        ledger.raise(3, [Some(2), Some(1)]);
        assert_eq!((ledger.total(0), ledger.total(1)), (Some(22), Some(8)));
        // Less than what was shown is no step back.
        assert!(ledger.revise(3, [Some(1), None]));
        assert_eq!(ledger.total(0), Some(22));
    }

    #[test]
    fn a_full_key_set_swallows_the_smallest_gap_and_forgets_nothing() {
        let mut set = KeySet::default();
        set.insert(1_000_000);
        set.insert(1_000_002);
        // One interval too many.
        for key in 1..INTERVALS_MAX as u64 {
            set.insert(key * 100);
        }
        assert_eq!(set.ends.len(), INTERVALS_MAX);
        assert!(set.contains(1_000_001), "the gap of one key is closed first");
        assert!(!set.contains(150));
        assert!(set.contains(100) && set.contains(1_000_000) && set.contains(1_000_002));
        set.insert(u64::MAX);
        assert!(set.contains(u64::MAX));
    }
}
