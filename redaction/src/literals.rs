//! The literals of all detectors as one search: four bytes of each, in buckets for vector
//! instructions, and a table that tells which literal those bytes belong to.
//!
//! The vector code tells where four bytes may be those of a literal (see [`Buckets`]). With so many
//! literals it is often wrong, so [`Literals::at`] decides.

use std::collections::HashMap;

/// Bytes of a literal that are searched for; a literal of three leaves the last one open.
pub(crate) const KEY_BYTES: usize = 4;
/// Fewest bytes of a literal: shorter ones would be found everywhere.
pub(crate) const LITERAL_BYTES_MIN: usize = 3;
/// Buckets of one table; a literal is in one bucket.
const N_BUCKETS: usize = 16;
/// Slots of the table of keys: a power of two, far more than there are literals.
const N_SLOTS: usize = 4096;

/// What the vector code looks up: for each of four bytes and each half of it, the buckets that have
/// a literal with that half there. One bank holds eight buckets.
#[derive(Debug, Clone)]
pub(crate) struct Buckets {
    /// `[bank][place][0: low half, 1: high half][value of the half]`.
    pub(crate) halves: [[[[u8; 16]; 2]; KEY_BYTES]; 2],
}

/// A literal and who wants it.
#[derive(Debug)]
struct Literal {
    /// Lower case.
    bytes: Box<[u8]>,
    /// Where the searched bytes begin in it.
    key_at: usize,
    /// Indices of detectors.
    owners: Vec<u8>,
}

/// All literals, ready to be searched.
#[derive(Debug)]
pub(crate) struct Literals {
    pub(crate) buckets: Buckets,
    literals: Vec<Literal>,
    /// One bit a slot: whether some key has that hash. Small enough to stay in the cache.
    filter: Box<[u64; N_SLOTS / 64]>,
    /// Key to indices into `literals`; keys of three bytes end with a zero.
    by_key: HashMap<u32, Vec<u16>, std::hash::BuildHasherDefault<KeyHasher>>,
}

/// Hashes keys with one multiplication: the standard one costs more than the rest of a look-up.
#[derive(Debug, Default, Clone)]
pub(crate) struct KeyHasher(u64);

impl std::hash::Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte) ^ self.0 as u32);
        }
    }
    fn write_u32(&mut self, key: u32) {
        self.write_u64(u64::from(key));
    }
    fn write_u64(&mut self, key: u64) {
        // Fibonacci hashing, folded so that both ends of the word depend on all of the key.
        let product = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = product ^ product >> 32;
    }
}

impl Literals {
    /// Builds the search from pairs of literal and owner. Costs about a millisecond.
    pub(crate) fn new(pairs: &[(String, u8)]) -> Self {
        let mut literals: Vec<Literal> = Vec::new();
        for (text, owner) in pairs {
            let bytes = text.to_ascii_lowercase().into_bytes();
            assert!(bytes.len() >= LITERAL_BYTES_MIN, "literal {text:?} is too short");
            match literals.iter_mut().find(|known| *known.bytes == *bytes) {
                Some(known) if known.owners.contains(owner) => {}
                Some(known) => known.owners.push(*owner),
                None => {
                    let key_at = rarest_key(&bytes);
                    literals.push(Literal { bytes: bytes.into(), key_at, owners: vec![*owner] });
                }
            }
        }
        let mut filter = Box::new([0; N_SLOTS / 64]);
        let mut by_key: HashMap<u32, Vec<u16>, _> = HashMap::default();
        for (index, literal) in (0u16..).zip(&literals) {
            let key = key(folded(&literal.bytes, literal.key_at));
            let slot = slot(key);
            filter[slot / 64] |= 1 << (slot % 64);
            by_key.entry(key).or_default().push(index);
        }
        let keys: Vec<_> = literals.iter().map(|l| folded(&l.bytes, l.key_at)).collect();
        Self { buckets: Buckets::new(&keys), literals, filter, by_key }
    }

    /// Calls `hit` with owner and start of each literal whose searched bytes begin at `at`.
    #[inline]
    pub(crate) fn at(
        &self,
        raw: &[u8],
        at: usize,
        mut hit: impl FnMut(u8, std::ops::Range<usize>),
    ) {
        let Some(bytes) = raw.get(at..at + LITERAL_BYTES_MIN) else { return };
        let three = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]) | 0x0020_2020;
        let four = raw.get(at + 3).map(|last| three | u32::from(last | 0x20) << 24);
        for key in [Some(three), four].into_iter().flatten() {
            let slot = slot(key);
            if self.filter[slot / 64] >> (slot % 64) & 1 == 0 {
                continue;
            }
            for index in self.by_key.get(&key).into_iter().flatten() {
                let literal = &self.literals[usize::from(*index)];
                let Some(start) = at.checked_sub(literal.key_at) else { continue };
                let range = start..start + literal.bytes.len();
                if raw
                    .get(range.clone())
                    .is_some_and(|text| text.eq_ignore_ascii_case(&literal.bytes))
                {
                    literal.owners.iter().for_each(|owner| hit(*owner, range.clone()));
                }
            }
        }
    }
}

#[inline]
fn slot(key: u32) -> usize {
    (key.wrapping_mul(0x9e37_79b1) >> 20) as usize % N_SLOTS
}

/// The searched bytes as the vector code sees them: bit 5 set, which folds the case of letters.
fn folded(literal: &[u8], at: usize) -> Vec<u8> {
    literal[at..].iter().take(KEY_BYTES).map(|b| b | 0x20).collect()
}

fn key(folded: Vec<u8>) -> u32 {
    folded.iter().rev().fold(0, |key, byte| key << 8 | u32::from(*byte))
}

/// Bytes of logs from the most to the least frequent, case folded; counted in Spark and Flink logs.
const FREQUENT: &[u8] = b" e1raotscn\"0.idl2:mup,346-gf7k/b8*{}h=5yvx9j)(`w|zq$#;~>+<%!?'&";

/// How often a byte stands in logs, roughly, as a share of all.
fn frequency(byte: u8) -> f64 {
    let rank = FREQUENT.iter().position(|b| *b == byte).unwrap_or(FREQUENT.len());
    0.3 / (rank as f64 + 3.0)
}

/// Where the four rarest bytes in a row begin.
fn rarest_key(literal: &[u8]) -> usize {
    (0..=literal.len().saturating_sub(KEY_BYTES))
        .min_by(|a, b| key_frequency(literal, *a).total_cmp(&key_frequency(literal, *b)))
        .unwrap_or(0)
}

/// How often the searched bytes that begin at `at` stand in logs, roughly.
fn key_frequency(literal: &[u8], at: usize) -> f64 {
    folded(literal, at).into_iter().map(frequency).product()
}

/// How often a search for the literal looks closer, roughly, as a share of all bytes.
pub(crate) fn search_cost(literal: &str) -> f64 {
    key_frequency(literal.as_bytes(), rarest_key(literal.as_bytes()))
}

impl Buckets {
    /// Puts each key where it adds the fewest false hits.
    fn new(keys: &[Vec<u8>]) -> Self {
        let mut buckets = Self { halves: [[[[0; 16]; 2]; KEY_BYTES]; 2] };
        let mut costs = [0.0; N_BUCKETS];
        let mut keys: Vec<_> = keys.to_vec();
        keys.sort();
        keys.dedup();
        for key in &keys {
            let with = |bucket| {
                let mut trial = buckets.clone();
                trial.insert(bucket, key);
                trial.false_hits(bucket)
            };
            let (bucket, cost) = (0..N_BUCKETS)
                .map(|bucket| (bucket, with(bucket)))
                .min_by(|a, b| (a.1 - costs[a.0]).total_cmp(&(b.1 - costs[b.0])))
                .expect("there are buckets");
            buckets.insert(bucket, key);
            costs[bucket] = cost;
        }
        buckets
    }

    fn insert(&mut self, bucket: usize, key: &[u8]) {
        let bit = 1 << (bucket % 8);
        for (place, [low, high]) in self.halves[bucket / 8].iter_mut().enumerate() {
            match key.get(place) {
                Some(byte) => {
                    low[usize::from(byte & 15)] |= bit;
                    high[usize::from(byte >> 4)] |= bit;
                }
                None => low.iter_mut().chain(high).for_each(|half| *half |= bit),
            }
        }
    }

    /// Share of all places of a log that `bucket` takes for a literal.
    fn false_hits(&self, bucket: usize) -> f64 {
        let bit = 1 << (bucket % 8);
        let places = self.halves[bucket / 8].iter();
        places
            .map(|[low, high]| {
                let is_in = |byte: &u8| {
                    low[usize::from(byte & 15)] & high[usize::from(byte >> 4)] & bit != 0
                };
                (0..=u8::MAX).filter(|b| b & 0x20 != 0).filter(is_in).map(frequency).sum::<f64>()
            })
            .product()
    }
}
