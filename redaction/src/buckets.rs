//! Which literals share a bucket of the vector search: the choice decides how often it is wrong.
//!
//! A bucket takes any mixture of the bytes of its literals for one of them, so what matters is how
//! often such mixtures stand in logs. That is counted in [`TYPICAL`], not computed from frequencies
//! of bytes: the endings and short words of a language make mixtures far likelier than these say.

use std::ops::RangeInclusive;
use std::sync::LazyLock;

use crate::lexis::is_hump;

/// Bytes that the buckets tell; a shorter literal leaves the last ones open.
pub(crate) const PLACES: usize = 5;
/// Banks of eight buckets.
pub(crate) const N_BANKS: usize = 3;
/// Eight buckets: `[place][bit 4 of the byte][its lower four bits]`.
pub(crate) type Halves = [[[u8; 16]; 2]; PLACES];

/// What the vector code looks up: for each of five bytes, the buckets that have a literal with that
/// byte there. The first bank holds what is found anywhere, the others what is found where a word
/// begins.
#[derive(Debug, Clone)]
pub(crate) struct Buckets {
    /// Of a byte only the lower five bits count, so letters are told apart in any case, and digits and marks
    /// are taken for some of them.
    pub(crate) halves: [Halves; N_BANKS],
    /// The same by the lower six bits of a byte, for processors that look up 64 bytes at once.
    pub(crate) wholes: [[[u8; 64]; PLACES]; N_BANKS],
}

/// Lines as Spark, Flink, Hadoop and the JVM write them.
static TYPICAL: &[u8] = include_bytes!("typical.log");

/// Where in [`TYPICAL`] a byte stands: bit `n` of a set is the `n`-th window of five bytes.
struct Sample {
    n_words: usize,
    /// `[place][lower six bits of the byte]`.
    sets: [[Vec<u64>; 64]; PLACES],
}

/// The windows of a bucket's literals.
struct Bucket {
    sets: [Vec<u64>; PLACES],
    cost: f64,
}

impl Buckets {
    pub(crate) fn new() -> Self {
        Self { halves: [[[[0; 16]; 2]; PLACES]; N_BANKS], wholes: [[[0; 64]; PLACES]; N_BANKS] }
    }

    fn put(&mut self, bucket: usize, place: usize, byte: Option<u8>) {
        let bit = 1 << (bucket % 8);
        let halves = &mut self.halves[bucket / 8][place];
        let whole = &mut self.wholes[bucket / 8][place];
        let Some(byte) = byte else {
            halves.as_flattened_mut().iter_mut().chain(whole).for_each(|set| *set |= bit);
            return;
        };
        for byte in cases(byte) {
            halves[usize::from(byte >> 4 & 1)][usize::from(byte & 15)] |= bit;
            whole[usize::from(byte & 63)] |= bit;
        }
    }
}

/// Letters stand in either case; other bytes have one.
fn cases(byte: u8) -> [u8; 2] {
    [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()]
}

impl Sample {
    fn new(is_at_words: bool) -> Self {
        let is_start = |at: usize| {
            let is_word = |at: usize| TYPICAL[at].is_ascii_alphanumeric();
            at == 0 || is_word(at) && !is_word(at - 1) || is_hump(TYPICAL[at - 1], TYPICAL[at])
        };
        let windows = TYPICAL.windows(PLACES).enumerate();
        let windows: Vec<_> = windows.filter(|(at, _)| !is_at_words || is_start(*at)).collect();
        let n_words = windows.len().div_ceil(64);
        let mut sets = [const { [const { Vec::new() }; 64] }; PLACES];
        sets.as_flattened_mut().iter_mut().for_each(|set| set.resize(n_words, 0));
        for (n, (_, window)) in windows.into_iter().enumerate() {
            for (place, byte) in window.iter().enumerate() {
                sets[place][usize::from(byte & 63)][n / 64] |= 1 << (n % 64);
            }
        }
        Self { n_words, sets }
    }

    /// Windows that `bucket` takes for a literal, with one more of them; and how many it would take
    /// if bytes stood in any order, which tells what other logs may bring.
    fn cost_with(&self, bucket: &Bucket, literal: &[u8]) -> f64 {
        let n_windows = (self.n_words * 64) as f64;
        let (mut both, mut expected) = (vec![u64::MAX; self.n_words], n_windows);
        for (place, set) in bucket.sets.iter().enumerate() {
            let Some(byte) = literal.get(place) else { break };
            let [lower, upper] = cases(*byte).map(|byte| &self.sets[place][usize::from(byte & 63)]);
            let mut n_here = 0;
            for (n, word) in both.iter_mut().enumerate() {
                let here = set[n] | lower[n] | upper[n];
                n_here += here.count_ones();
                *word &= here;
            }
            // No byte is so rare that no log has it.
            expected *= f64::from(n_here + 1) / n_windows;
        }
        f64::from(both.iter().map(|word| word.count_ones()).sum::<u32>()) + expected
    }

    fn add(&self, bucket: &mut Bucket, literal: &[u8]) {
        for (place, set) in bucket.sets.iter_mut().enumerate() {
            let Some(byte) = literal.get(place) else {
                set.fill(u64::MAX);
                continue;
            };
            for byte in cases(*byte) {
                let more = &self.sets[place][usize::from(byte & 63)];
                set.iter_mut().zip(more).for_each(|(word, more)| *word |= more);
            }
        }
    }
}

/// Gives each literal (lower case) one of the buckets of `banks` so that logs hold few bytes that look
/// like one; fills `buckets`, and returns where the searched bytes of each literal begin.
///
/// `places` are those of a literal where the searched bytes may begin.
pub(crate) fn assign(
    literals: &[&[u8]],
    is_at_words: bool,
    banks: std::ops::Range<usize>,
    places: impl Fn(&[u8]) -> RangeInclusive<usize>,
    buckets: &mut Buckets,
) -> Vec<usize> {
    static SAMPLES: LazyLock<[Sample; 2]> = LazyLock::new(|| [false, true].map(Sample::new));
    let sample = &SAMPLES[usize::from(is_at_words)];
    let empty = |_| {
        let sets = std::array::from_fn(|_| vec![0; sample.n_words]);
        Bucket { sets, cost: 0.0 }
    };
    let mut filled: Vec<Bucket> = (0..banks.len() * 8).map(empty).collect();
    let mut chosen = vec![0; literals.len()];
    // The short ones first: they leave the least choice.
    let mut order: Vec<usize> = (0..literals.len()).collect();
    order.sort_by_key(|index| (literals[*index].len().min(PLACES), literals[*index]));
    for index in order {
        let literal = literals[index];
        let choices = places(literal).flat_map(|at| (0..filled.len()).map(move |n| (at, n)));
        let choices = choices
            .map(|(at, n): (usize, usize)| (sample.cost_with(&filled[n], &literal[at..]), at, n));
        let (cost, at, n) = choices
            .min_by(|a, b| (a.0 - filled[a.2].cost).total_cmp(&(b.0 - filled[b.2].cost)))
            .expect("there are buckets");
        sample.add(&mut filled[n], &literal[at..]);
        filled[n].cost = cost;
        let bucket = banks.start * 8 + n;
        for place in 0..PLACES {
            buckets.put(bucket, place, literal.get(at + place).copied());
        }
        chosen[index] = at;
    }
    chosen
}
