//! The literals of all detectors as one search: four bytes of each, in buckets for vector
//! instructions, and a table that tells which literal those bytes belong to.
//!
//! The vector code tells where four bytes may be those of a literal (see [`Buckets`]). With so many
//! literals it is often wrong, so [`Literals::at`] decides.

/// Bytes of a literal that are searched for; a literal of three leaves the last one open.
pub(crate) const KEY_BYTES: usize = 4;
/// Bytes that the buckets tell; a shorter literal leaves the last ones open.
pub(crate) const PLACES: usize = 5;
/// Fewest bytes of a literal: shorter ones would be found everywhere.
pub(crate) const LITERAL_BYTES_MIN: usize = 3;
/// Slots of the table of keys: a power of two, far more than there are literals.
const N_SLOTS: usize = 1 << 14;
/// Slots whose keys are looked through together.
const SLOTS_PER_GROUP: usize = 8;

/// What the vector code looks up: for each of five bytes, the buckets that have a literal with that
/// byte there. Of a byte only the lower five bits count, so letters are told apart in any case, and digits
/// and marks are taken for some of them. Eight buckets hold what is found anywhere, sixteen what is found
/// where a word begins.
#[derive(Debug, Clone)]
pub(crate) struct Buckets {
    /// `[0: anywhere, 1 and 2: where a word begins][place][bit 4 of the byte][its lower four bits]`.
    pub(crate) halves: [Halves; N_BANKS],
    /// The same by the lower six bits of a byte, for processors that look up 64 bytes at once.
    pub(crate) wholes: [[[u8; 64]; PLACES]; N_BANKS],
}

/// Banks of eight buckets.
pub(crate) const N_BANKS: usize = 3;

/// Eight buckets.
pub(crate) type Halves = [[[u8; 16]; 2]; PLACES];

/// A literal and who wants it.
#[derive(Debug)]
struct Literal {
    /// Lower case.
    bytes: Box<[u8]>,
    /// Where the searched bytes begin in it.
    key_at: usize,
    /// Counted over the banks of its table.
    bucket: usize,
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
    /// Keys, ascending by slot, and indices into `literals`; keys of three bytes end with a zero.
    keys: Vec<(u32, u16)>,
    /// Where the keys of each group of slots begin in `keys`, and after the last where they end.
    firsts: Vec<u16>,
}

impl Literals {
    /// Builds the search from pairs of literal and owner. Costs some milliseconds.
    pub(crate) fn new(anywhere: &[(Vec<u8>, u8)], prefixes: &[(Vec<u8>, u8)]) -> Self {
        let mut buckets = Buckets {
            halves: [[[[0; 16]; 2]; PLACES]; N_BANKS],
            wholes: [[[0; 64]; PLACES]; N_BANKS],
        };
        let (first, others) = buckets.halves.split_at_mut(1);
        let anywhere = Table::new(anywhere, first, |bytes| 0..=bytes.len().saturating_sub(PLACES));
        let prefixes = Table::new(prefixes, others, |_| 0..=0);
        let keyed = anywhere.literals.iter().map(|literal| (0, literal));
        for (base, literal) in keyed.chain(prefixes.literals.iter().map(|literal| (8, literal))) {
            let bucket = base + literal.bucket;
            let bit = 1 << (bucket % 8);
            for (place, table) in buckets.wholes[bucket / 8].iter_mut().enumerate() {
                match literal.bytes.get(literal.key_at + place) {
                    // Letters in either case; other bytes have one.
                    Some(byte) => [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()]
                        .iter()
                        .for_each(|byte| table[usize::from(byte & 63)] |= bit),
                    None => table.iter_mut().for_each(|set| *set |= bit),
                }
            }
        }
        Self { buckets, anywhere, prefixes }
    }
}

impl Table {
    /// Fills the table and its buckets. `places` are those of a literal where the searched bytes
    /// may begin.
    fn new(
        pairs: &[(Vec<u8>, u8)],
        banks: &mut [Halves],
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
                    literals.push(Literal {
                        bytes: bytes.into(),
                        key_at: 0,
                        bucket: 0,
                        owners: vec![*owner],
                    });
                }
            }
        }
        // Alike ones after each other, so that they share buckets.
        literals.sort_by(|a, b| a.bytes.cmp(&b.bytes));
        let mut costs = vec![0.0; banks.len() * 8];
        for literal in &mut literals {
            (literal.key_at, literal.bucket) =
                insert(banks, &mut costs, &literal.bytes, places(&literal.bytes));
        }
        let mut filter = Box::new([0; N_SLOTS / 64]);
        let mut keys = Vec::new();
        for (index, literal) in (0u16..).zip(&literals) {
            let mut bytes = folded(&literal.bytes, literal.key_at);
            bytes.truncate(KEY_BYTES);
            let key = key(&bytes);
            let slot = slot(key);
            filter[slot / 64] |= 1 << (slot % 64);
            keys.push((key, index));
        }
        keys.sort_by_key(|(key, _)| slot(*key));
        let first = |group| keys.partition_point(|(key, _)| slot(*key) / SLOTS_PER_GROUP < group);
        let firsts = (0..=N_SLOTS / SLOTS_PER_GROUP).map(|group| first(group) as u16).collect();
        Self { literals, filter, keys, firsts }
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

    fn compare(
        &self,
        raw: &[u8],
        at: usize,
        keys: [u32; 2],
        mut hit: impl FnMut(u8, std::ops::Range<usize>),
    ) {
        for key in keys {
            let group = slot(key) / SLOTS_PER_GROUP;
            let range = usize::from(self.firsts[group])..usize::from(self.firsts[group + 1]);
            for (_, index) in self.keys[range].iter().filter(|(known, _)| *known == key) {
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
}

#[inline]
fn slot(key: u32) -> usize {
    (key.wrapping_mul(0x9e37_79b1) >> 18) as usize % N_SLOTS
}

/// The searched bytes as the vector code sees them: bit 5 set, which folds the case of letters.
fn folded(literal: &[u8], at: usize) -> Vec<u8> {
    literal[at..].iter().take(PLACES).map(|b| b | 0x20).collect()
}

fn key(folded: &[u8]) -> u32 {
    folded.iter().rev().fold(0, |key, byte| key << 8 | u32::from(*byte))
}

/// Bytes of logs from the most to the least frequent, case folded; counted in Spark and Flink logs.
const FREQUENT: &[u8] = b" e1raotscn\"0.idl2:mup,346-gf7k/b8*{}h=5yvx9j)(`w|zq$#;~>+<%!?'&";

/// How often a byte with these lower five bits stands in logs, roughly, as a share of all.
fn frequency(bits: usize) -> f64 {
    static FREQUENCIES: std::sync::LazyLock<[f64; 32]> = std::sync::LazyLock::new(|| {
        let mut shares = [0.001; 32];
        for (rank, byte) in FREQUENT.iter().enumerate() {
            shares[usize::from(byte & 31)] += 0.3 / (rank as f64 + 3.0);
        }
        shares
    });
    FREQUENCIES[bits]
}

/// How often a search for the literal looks closer, roughly, as a share of all bytes.
pub(crate) fn search_cost(literal: &str) -> f64 {
    let places = 0..=literal.len().saturating_sub(KEY_BYTES);
    let cost = |at| {
        let bytes = folded(literal.as_bytes(), at).into_iter();
        bytes.map(|byte| frequency(usize::from(byte & 31))).product::<f64>()
    };
    places.map(cost).fold(1.0, f64::min)
}

/// Puts four bytes of `literal` where they add the fewest false hits; returns where they begin, and
/// the bucket.
fn insert(
    banks: &mut [Halves],
    costs: &mut [f64],
    literal: &[u8],
    places: std::ops::RangeInclusive<usize>,
) -> (usize, usize) {
    let n_buckets = banks.len() * 8;
    let choices = places.flat_map(|at| (0..n_buckets).map(move |bucket| (at, bucket)));
    let cost_with = |at: usize, bucket: usize| {
        let mut trial = banks[bucket / 8];
        put(&mut trial, bucket % 8, &folded(literal, at));
        false_hits(&trial, bucket % 8)
    };
    let (cost, at, bucket) = choices
        .map(|(at, bucket)| (cost_with(at, bucket), at, bucket))
        .min_by(|a, b| (a.0 - costs[a.2]).total_cmp(&(b.0 - costs[b.2])))
        .expect("there are buckets");
    put(&mut banks[bucket / 8], bucket % 8, &folded(literal, at));
    costs[bucket] = cost;
    (at, bucket)
}

fn put(halves: &mut Halves, bucket: usize, key: &[u8]) {
    let bit = 1 << bucket;
    for (place, [low, high]) in halves.iter_mut().enumerate() {
        match key.get(place) {
            Some(byte) if byte & 16 == 0 => low[usize::from(byte & 15)] |= bit,
            Some(byte) => high[usize::from(byte & 15)] |= bit,
            None => low.iter_mut().chain(high).for_each(|set| *set |= bit),
        }
    }
}

/// Share of all places of a log that `bucket` takes for a literal.
fn false_hits(halves: &Halves, bucket: usize) -> f64 {
    let bit = 1 << bucket;
    let share = |[low, high]: &[[u8; 16]; 2]| {
        let sets = low.iter().chain(high).enumerate();
        sets.filter(|(_, set)| **set & bit != 0).map(|(byte, _)| frequency(byte)).sum::<f64>()
    };
    halves.iter().map(share).product()
}
