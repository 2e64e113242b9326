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
const N_BUCKETS: usize = 8;
/// Slots of the table of keys: a power of two, far more than there are literals.
const N_SLOTS: usize = 4096;

/// What the vector code looks up: for each of four bytes and each half of it, the buckets that have
/// a literal with that half there. Eight buckets hold what is found anywhere, eight what is found
/// where a word begins.
#[derive(Debug, Clone)]
pub(crate) struct Buckets {
    /// `[0: anywhere, 1: where a word begins][place][0: low half, 1: high half][value of the half]`.
    pub(crate) halves: [Halves; 2],
}

/// Eight buckets.
type Halves = [[[u8; 16]; 2]; KEY_BYTES];

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
    /// Found anywhere.
    pub(crate) anywhere: Table,
    /// Found where a word begins.
    pub(crate) prefixes: Table,
}

/// Tells which literals four bytes belong to.
#[derive(Debug)]
pub(crate) struct Table {
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
    /// Builds the search from pairs of literal and owner. Costs some milliseconds.
    pub(crate) fn new(anywhere: &[(Vec<u8>, u8)], prefixes: &[(Vec<u8>, u8)]) -> Self {
        let mut buckets = Buckets { halves: [[[[0; 16]; 2]; KEY_BYTES]; 2] };
        let [first, second] = &mut buckets.halves;
        let anywhere =
            Table::new(anywhere, first, |bytes| 0..=bytes.len().saturating_sub(KEY_BYTES));
        let prefixes = Table::new(prefixes, second, |_| 0..=0);
        Self { buckets, anywhere, prefixes }
    }
}

impl Table {
    /// Fills the table and eight buckets. `places` are those of a literal where the searched bytes
    /// may begin.
    fn new(
        pairs: &[(Vec<u8>, u8)],
        halves: &mut Halves,
        places: impl Fn(&[u8]) -> std::ops::RangeInclusive<usize>,
    ) -> Self {
        let mut literals: Vec<Literal> = Vec::new();
        for (text, owner) in pairs {
            let bytes = text.to_ascii_lowercase();
            assert!(bytes.len() >= LITERAL_BYTES_MIN, "literal {text:?} is too short");
            match literals.iter_mut().find(|known| *known.bytes == *bytes) {
                Some(known) if known.owners.contains(owner) => {}
                Some(known) => known.owners.push(*owner),
                None => {
                    literals.push(Literal { bytes: bytes.into(), key_at: 0, owners: vec![*owner] });
                }
            }
        }
        // Alike ones after each other, so that they share buckets.
        literals.sort_by(|a, b| a.bytes.cmp(&b.bytes));
        let mut costs = [0.0; N_BUCKETS];
        for literal in &mut literals {
            literal.key_at = insert(halves, &mut costs, &literal.bytes, places(&literal.bytes));
        }
        let mut filter = Box::new([0; N_SLOTS / 64]);
        let mut by_key: HashMap<u32, Vec<u16>, _> = HashMap::default();
        for (index, literal) in (0u16..).zip(&literals) {
            let key = key(&folded(&literal.bytes, literal.key_at));
            let slot = slot(key);
            filter[slot / 64] |= 1 << (slot % 64);
            by_key.entry(key).or_default().push(index);
        }
        Self { literals, filter, by_key }
    }

    /// Calls `hit` with owner and place of each literal whose searched bytes are at `at` of `raw`.
    /// `window` begins with the four bytes at `at`, and zeros behind the end.
    #[inline]
    pub(crate) fn at(
        &self,
        raw: &[u8],
        at: usize,
        window: [u8; KEY_BYTES],
        hit: impl FnMut(u8, std::ops::Range<usize>),
    ) {
        let four = u32::from_le_bytes(window) | 0x2020_2020;
        let three = four & 0x00ff_ffff;
        // Nearly every candidate is none, so this is decided without a branch in between.
        let has = |key: u32| self.filter[slot(key) / 64] >> (slot(key) % 64) & 1;
        if has(three) | has(four) != 0 {
            self.compare(raw, at, [three, four], hit);
        }
    }

    #[cold]
    fn compare(
        &self,
        raw: &[u8],
        at: usize,
        keys: [u32; 2],
        mut hit: impl FnMut(u8, std::ops::Range<usize>),
    ) {
        for index in keys.iter().filter_map(|key| self.by_key.get(key)).flatten() {
            let literal = &self.literals[usize::from(*index)];
            let Some(start) = at.checked_sub(literal.key_at) else { continue };
            let range = start..start + literal.bytes.len();
            let text = raw.get(range.clone());
            if text.is_some_and(|text| text.eq_ignore_ascii_case(&literal.bytes)) {
                literal.owners.iter().for_each(|owner| hit(*owner, range.clone()));
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

fn key(folded: &[u8]) -> u32 {
    folded.iter().rev().fold(0, |key, byte| key << 8 | u32::from(*byte))
}

/// Bytes of logs from the most to the least frequent, case folded; counted in Spark and Flink logs.
const FREQUENT: &[u8] = b" e1raotscn\"0.idl2:mup,346-gf7k/b8*{}h=5yvx9j)(`w|zq$#;~>+<%!?'&";

/// How often a byte stands in logs, roughly, as a share of all.
fn frequency(byte: u8) -> f64 {
    static FREQUENCIES: std::sync::LazyLock<[f64; 256]> = std::sync::LazyLock::new(|| {
        std::array::from_fn(|byte| {
            let rank = FREQUENT.iter().position(|b| usize::from(*b) == byte);
            0.3 / (rank.unwrap_or(FREQUENT.len()) as f64 + 3.0)
        })
    });
    FREQUENCIES[usize::from(byte)]
}

/// How often a search for the literal looks closer, roughly, as a share of all bytes.
pub(crate) fn search_cost(literal: &str) -> f64 {
    let places = 0..=literal.len().saturating_sub(KEY_BYTES);
    let cost = |at| folded(literal.as_bytes(), at).into_iter().map(frequency).product::<f64>();
    places.map(cost).fold(1.0, f64::min)
}

/// Puts four bytes of `literal` where they add the fewest false hits; returns where they begin.
fn insert(
    halves: &mut Halves,
    costs: &mut [f64; N_BUCKETS],
    literal: &[u8],
    places: std::ops::RangeInclusive<usize>,
) -> usize {
    let choices = places.flat_map(|at| (0..N_BUCKETS).map(move |bucket| (at, bucket)));
    let cost_with = |at: usize, bucket: usize| {
        let mut trial = *halves;
        put(&mut trial, bucket, &folded(literal, at));
        false_hits(&trial, bucket)
    };
    let (cost, at, bucket) = choices
        .map(|(at, bucket)| (cost_with(at, bucket), at, bucket))
        .min_by(|a, b| (a.0 - costs[a.2]).total_cmp(&(b.0 - costs[b.2])))
        .expect("there are buckets");
    put(halves, bucket, &folded(literal, at));
    costs[bucket] = cost;
    at
}

fn put(halves: &mut Halves, bucket: usize, key: &[u8]) {
    let bit = 1 << bucket;
    for (place, [low, high]) in halves.iter_mut().enumerate() {
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
fn false_hits(halves: &Halves, bucket: usize) -> f64 {
    let bit = 1 << bucket;
    let share = |[low, high]: &[[u8; 16]; 2]| {
        let is_in =
            |byte: &u8| low[usize::from(byte & 15)] & high[usize::from(byte >> 4)] & bit != 0;
        (0..=u8::MAX).filter(|b| b & 0x20 != 0).filter(is_in).map(frequency).sum::<f64>()
    };
    halves.iter().map(share).product()
}
