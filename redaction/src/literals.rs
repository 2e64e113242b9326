//! The literals of all detectors as one search: four bytes of each, in buckets for vector
//! instructions, and a table that tells which literal those bytes belong to.
//!
//! The vector code tells where five bytes may be those of a literal (see [`Buckets`]). With so many
//! literals it is sometimes wrong, so [`Table::at`] decides.

use crate::buckets::{self, Buckets, N_BANKS, PLACES};

/// Bytes of a literal that are searched for; a literal of three leaves the last one open.
pub(crate) const KEY_BYTES: usize = 4;
/// Fewest bytes of a literal: shorter ones would be found everywhere.
pub(crate) const LITERAL_BYTES_MIN: usize = 3;
/// Slots of the table of keys: a power of two, far more than there are literals.
const N_SLOTS: usize = 1 << 14;
/// Slots whose keys are looked through together.
const SLOTS_PER_GROUP: usize = 8;

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
    /// Keys, ascending by slot, and indices into `literals`; keys of three bytes end with a zero.
    keys: Vec<(u32, u16)>,
    /// Where the keys of each group of slots begin in `keys`, and after the last where they end.
    firsts: Vec<u16>,
}

impl Literals {
    /// Builds the search from pairs of literal and owner. Costs some milliseconds.
    pub(crate) fn new(anywhere: &[(Vec<u8>, u8)], prefixes: &[(Vec<u8>, u8)]) -> Self {
        let mut buckets = Buckets::new();
        let last_key = |bytes: &[u8]| 0..=bytes.len().saturating_sub(PLACES);
        let anywhere = Table::new(anywhere, |literals| {
            buckets::assign(literals, false, 0..1, last_key, &mut buckets)
        });
        let prefixes = Table::new(prefixes, |literals| {
            buckets::assign(literals, true, 1..N_BANKS, |_| 0..=0, &mut buckets)
        });
        Self { buckets, anywhere, prefixes }
    }
}

impl Table {
    /// Fills the table from pairs of literal and owner. `assign` tells where the searched bytes of each
    /// literal begin.
    fn new(pairs: &[(Vec<u8>, u8)], assign: impl FnOnce(&[&[u8]]) -> Vec<usize>) -> Self {
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
                        owners: vec![*owner],
                    });
                }
            }
        }
        let key_places = assign(&literals.iter().map(|literal| &*literal.bytes).collect::<Vec<_>>());
        for (literal, at) in literals.iter_mut().zip(key_places) {
            literal.key_at = at;
        }
        let mut filter = Box::new([0; N_SLOTS / 64]);
        let mut keys = Vec::new();
        for (index, literal) in (0u16..).zip(&literals) {
            let key = key(&folded(&literal.bytes, literal.key_at));
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
    literal[at..].iter().take(KEY_BYTES).map(|b| b | 0x20).collect()
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
