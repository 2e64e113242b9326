//! BTC_ADDRESS: Bitcoin addresses of the main network, proved by their check sums: Base58Check with
//! double SHA-256 (version 0 and 5, begins with `1` or `3`), and Bech32 or Bech32m (BIP 173 and
//! BIP 350, begins with `bc1`).

use std::ops::Range;

use sha2::{Digest, Sha256};

use super::{Confidence, Detector, Family, Rule};
use crate::haystack::Haystack;
use crate::long_word::{long_word, may_begin_with};
use crate::shapes::Shape;
use crate::spans::Found;

/// Most bytes of an address: `bc1`, the version, 40 bytes of five bits each, and the check sum.
const ADDRESS_BYTES_MAX: usize = 74;
/// Bytes that Base58Check encodes: the version, a hash of 20 and a check sum of 4.
const PAYLOAD_BYTES: usize = 25;
const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const BECH32: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
/// What the check sum of Bech32 comes to (BIP 173), for witness version 0.
const BECH32_SUM: u32 = 1;
/// What the check sum of Bech32m comes to (BIP 350), for later versions.
const BECH32M_SUM: u32 = 0x2bc8_30a3;

/// Finds Bitcoin addresses.
#[derive(Debug)]
pub(crate) struct BtcAddress;

impl Detector for BtcAddress {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "BTC_ADDRESS",
            family: Family::Financial,
            confidence: Confidence::Certain,
            validator: "Base58Check, Bech32 or Bech32m",
            shapes: &[Shape::LongWord],
            positive: &[
                "24/03/21 14:54:10 INFO LedgerJob: payout to «1BoatSLRHtKNngkdXEeobR76b53LETtpyT» done",
                r#"{"to":"«3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy»","refund":"\n«bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq»"}"#,
                "bitcoin:«BC1QAR0SRRR7XFKVY5L643LYDNW9RE59GTZZWF5MDQ»?amount=1",
                r"\u0022«bc1p5d7rjq7g6rdk2yhzks9smlaqtedr4dekq08ge8ztwac72sfr9rusxg3297»\u0022",
            ],
            negative: &[
                "to 1BoatSLRHtKNngkdXEeobR76b53LETtpyU 3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLz",
                "to 1BoatSLRHtKNngkdXEeobR76b53LETtpyTx bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdp",
                "BC1QAR0SRRR7XFKVY5L643LYDNW9RE59GTZZwf5mdq job 1f3c5e7a9b1d2f4a6c8e1b3d5f7a9c1e",
                "hash 3a7bd3e2360a3d29eea436fcfb7e44c735d117c42d1c1835420b6b9942dd4f1b",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        if !may_begin_with(raw, anchor.start, b"13bB") {
            return found.never();
        }
        let Some(range) = long_word(raw, anchor.start, ADDRESS_BYTES_MAX) else { return };
        let text = &raw[range.clone()];
        let is_address = match text.first() {
            Some(b'1' | b'3') => is_base58_check(text),
            Some(b'b' | b'B') => is_segwit(text),
            _ => false,
        };
        if is_address {
            found.push(range);
        }
    }
}

fn is_base58_check(text: &[u8]) -> bool {
    // Hashes in hexadecimal have no capitals; of two billion addresses one has none.
    if !text.iter().any(u8::is_ascii_uppercase) {
        return false;
    }
    let Some(payload) = base58(text) else { return false };
    let (body, check) = payload.split_at(PAYLOAD_BYTES - 4);
    // Each zero byte in front is written as a `1` of its own, so an address has one spelling.
    let is_canonical = text.iter().take_while(|b| **b == b'1').count()
        == payload.iter().take_while(|b| **b == 0).count();
    matches!(body[0], 0 | 5)
        && is_canonical
        && Sha256::digest(Sha256::digest(body)).as_slice().starts_with(check)
}

/// The number that `text` writes to the base 58, if it has 25 bytes or less.
fn base58(text: &[u8]) -> Option<[u8; PAYLOAD_BYTES]> {
    if !(26..=35).contains(&text.len()) {
        return None;
    }
    let mut number = [0; PAYLOAD_BYTES];
    for byte in text {
        let digit = BASE58.iter().position(|known| known == byte)?;
        let mut carry = digit as u32;
        for place in number.iter_mut().rev() {
            carry += u32::from(*place) * 58;
            *place = (carry & 0xff) as u8;
            carry >>= 8;
        }
        if carry > 0 {
            return None;
        }
    }
    Some(number)
}

/// True for a witness program of a length that its version may have, with the version's check sum.
fn is_segwit(text: &[u8]) -> bool {
    let has_upper = text.iter().any(u8::is_ascii_uppercase);
    let has_lower = text.iter().any(u8::is_ascii_lowercase);
    if (has_upper && has_lower) || !text.get(..3).is_some_and(|p| p.eq_ignore_ascii_case(b"bc1")) {
        return false;
    }
    // The human-readable part `bc`, expanded as BIP 173 says.
    let mut sum = [3, 3, 0, 2, 3].into_iter().fold(1, step);
    let mut version = None;
    for byte in &text[3..] {
        let lower = byte.to_ascii_lowercase();
        let Some(value) = BECH32.iter().position(|known| *known == lower) else { return false };
        version = version.or(Some(value));
        sum = step(sum, value as u32);
    }
    match version {
        Some(0) => sum == BECH32_SUM && matches!(text.len(), 42 | 62),
        Some(1..=16) => sum == BECH32M_SUM && text.len() <= ADDRESS_BYTES_MAX,
        _ => false,
    }
}

/// One step of the BCH code of BIP 173.
fn step(sum: u32, value: u32) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let top = sum >> 25;
    let next = (sum & 0x01ff_ffff) << 5 ^ value;
    (0..5).filter(|i| top >> i & 1 == 1).fold(next, |sum, i| sum ^ GENERATOR[i])
}

#[cfg(test)]
mod tests {
    use super::{BASE58, BECH32, BECH32_SUM, BECH32M_SUM, is_base58_check, is_segwit};

    /// Counts the texts that differ from `good` in one place and pass.
    fn n_passing(good: &str, alphabet: &[u8], from: usize, passes: fn(&[u8]) -> bool) -> usize {
        let places = from..good.len();
        let changed = places.flat_map(|place| alphabet.iter().map(move |byte| (place, *byte)));
        changed
            .filter(|(place, byte)| {
                let mut text = good.as_bytes().to_vec();
                text[*place] = *byte;
                text != good.as_bytes() && passes(&text)
            })
            .count()
    }

    #[test]
    fn changing_any_character_breaks_the_check() {
        for good in ["1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"] {
            assert!(is_base58_check(good.as_bytes()));
            assert_eq!(n_passing(good, BASE58, 0, is_base58_check), 0, "{good}");
        }
        for good in [
            "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
            "bc1p5d7rjq7g6rdk2yhzks9smlaqtedr4dekq08ge8ztwac72sfr9rusxg3297",
        ] {
            assert!(is_segwit(good.as_bytes()) && is_segwit(good.to_uppercase().as_bytes()));
            assert_eq!(n_passing(good, BECH32, 3, is_segwit), 0, "{good}");
        }
    }

    #[test]
    fn the_shortest_address_passes_and_no_filler_does() {
        // The hash is zero, so 21 of its characters are the digit 1.
        assert!(is_base58_check(b"1111111111111111111114oLvT2"));
        for digit in BASE58 {
            for len in 0..=40 {
                assert!(!is_base58_check(&vec![*digit; len]));
            }
        }
    }

    #[test]
    fn the_check_sum_must_be_that_of_the_version() {
        for good in [
            "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
            "bc1p5d7rjq7g6rdk2yhzks9smlaqtedr4dekq08ge8ztwac72sfr9rusxg3297",
        ] {
            // The last six characters hold the sum, so this writes that of the other version.
            let mut other = good.as_bytes().to_vec();
            for (place, byte) in other.iter_mut().rev().take(6).enumerate() {
                let value = BECH32.iter().position(|known| known == byte).unwrap();
                let change = (BECH32_SUM ^ BECH32M_SUM) >> (5 * place) & 31;
                *byte = BECH32[value ^ change as usize];
            }
            assert!(!is_segwit(&other), "{good}");
            other[3] = if other[3] == b'q' { b'p' } else { b'q' };
            assert!(!is_segwit(&other), "{good}");
        }
    }
}
