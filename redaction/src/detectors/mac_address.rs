//! MAC_ADDRESS: EUI-48 (IEEE 802) as `hh:hh:hh:hh:hh:hh`, `hh-hh-hh-hh-hh-hh` or, as Cisco prints it,
//! `hhhh.hhhh.hhhh`.
//!
//! All zeros and all ones stay: they stand for no device and for every device.

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::context::follows_word;
use crate::haystack::Haystack;
use crate::lexis::{word_after, word_before};
use crate::shapes::Shape;
use crate::spans::Found;

/// Words before an address of digits alone, which may be a time.
const CONTEXT: &[&str] = &["mac", "hwaddr", "ether", "bssid", "device", "nic"];
/// Bytes of six pairs and five dividers.
const PAIRS_BYTES: usize = 17;
/// Bytes of three groups of four and two dots.
const DOTTED_BYTES: usize = 14;

/// Finds hardware addresses of network cards.
#[derive(Debug)]
pub(crate) struct MacAddress;

impl Detector for MacAddress {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "MAC_ADDRESS",
            family: Family::Network,
            confidence: Confidence::High,
            validator: "EUI-48 that is no part of a longer chain",
            shapes: &[Shape::Pairs],
            positive: &[
                "24/01/13 15:24:41 INFO DeviceJob: device «02:1a:8d:22:7e:8f» online",
                r#"{"mac":"«02-5C-1F-84-A9-C1»","peers":["\n«06:09:6e:f1:ce:0d»","«02:00:00:00:00:07»"]}"#,
                "mac:«aa:bb:cc:dd:ee:0f», switch port «0050.56ab.cd01».",
                "link/ether «52:54:00:12:34:56» brd ff:ff:ff:ff:ff:ff mac=«12-34-56-78-90-12»",
            ],
            negative: &[
                "SHA1 Fingerprint=8f:43:28:8a:d2:72:f3:10:3b:6f:b1:42:84:85:ea:30:14:c0:bc:fe",
                "any 00:00:00:00:00:00 and ff-ff-ff-ff-ff-ff and FF:FF:FF:FF:FF:FF",
                "dump 24-01-13-15-24-41.log and backup-2024-01-13-15-24-41 and 1:2:3:4:5:6",
                "guid 00:1a:8d:22:7e:8f:00 x02:5c:1f:84:a9:c1 02:5c:1f:84:a9:c1f 0a:fc:1e:84:a8:zz",
                "v1234.5678.9012 at 1234.5678.9012 in dead.beef.cafe 0.12ab.34cd.56ef 12ab.34cd.56ef.7 [*1F0C.0020.0002]",
                "part-00000-1608-6779-8dae-3233918b41c9 12-ab-34-cd-56-ef-78 a-12-ab-34-cd-56-ef",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        let divider = raw[anchor.start];
        let n_bytes = if divider == b'.' { DOTTED_BYTES } else { PAIRS_BYTES };
        let group = if divider == b'.' { 4 } else { 2 };
        let Some(start) = (anchor.end + group).checked_sub(n_bytes) else { return };
        let range = start..start + n_bytes;
        let Some(text) = raw.get(range.clone()) else { return };
        if !is_address(text, group, divider) || is_filler(text) {
            return found.never();
        }
        if stands_alone(raw, &range, group, divider)
            && (is_unlike_numbers(text) || divider == b':' || follows_word(raw, start, CONTEXT))
        {
            found.push(range);
        }
    }
}

fn is_address(text: &[u8], group: usize, divider: u8) -> bool {
    text.chunks(group + 1).all(|chunk| {
        chunk[..group].iter().all(u8::is_ascii_hexdigit)
            && chunk.get(group).is_none_or(|b| *b == divider)
    })
}

/// True for what no date and no name of a package looks like: digits and letters of hexadecimals.
fn is_unlike_numbers(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_alphabetic) && text.iter().any(u8::is_ascii_digit)
}

fn is_filler(text: &[u8]) -> bool {
    let mut digits = text.iter().filter(|b| b.is_ascii_hexdigit());
    digits.clone().all(|b| *b == b'0') || digits.all(|b| b.eq_ignore_ascii_case(&b'f'))
}

/// False inside words and inside chains of more groups, such as fingerprints of keys.
fn stands_alone(raw: &[u8], range: &Range<usize>, group: usize, divider: u8) -> bool {
    let is_hex = |at: usize| raw.get(at).is_some_and(u8::is_ascii_hexdigit);
    let is_divider = |at: usize| raw.get(at) == Some(&divider);
    // `mac:aa:...` has a key before it, `7f:aa:...` another pair.
    let goes_back = range.start > 0 && is_divider(range.start - 1) && {
        let before = range.start - 1;
        let is_group = before >= group && (before - group..before).all(is_hex);
        divider != b':' || is_group && !word_before(raw, before - group)
    };
    // `[*1F0C.0020.0002]` is a key of the Unicode Collation Algorithm.
    let is_key =
        divider == b'.' && range.start > 0 && matches!(raw[range.start - 1], b'*' | b'-' | b'/');
    let goes_on = is_divider(range.end) && is_hex(range.end + 1);
    !goes_back
        && !goes_on
        && !is_key
        && !word_before(raw, range.start)
        && !word_after(raw, range.end)
}

#[cfg(test)]
mod tests {
    use super::{is_address, is_filler, is_unlike_numbers};

    #[test]
    fn every_pair_of_hexadecimals_and_no_other_pair_is_valid() {
        let is_hex = |byte: u8| byte.is_ascii_hexdigit();
        for high in 0..=u8::MAX {
            for low in 0..=u8::MAX {
                let mut text = *b"00:1a:2b:3c:4d:5e";
                (text[6], text[7]) = (high, low);
                assert_eq!(is_address(&text, 2, b':'), is_hex(high) && is_hex(low));
            }
        }
        assert!(!is_address(b"00:1a-2b:3c:4d:5e", 2, b':'));
    }

    #[test]
    fn fillers_and_times_are_told_from_addresses() {
        assert!(is_filler(b"00:00:00:00:00:00") && is_filler(b"fF-ff-ff-ff-ff-ff"));
        assert!(!is_filler(b"00:00:00:00:00:01") && !is_filler(b"f0:0f:ff:00:00:ff"));
        assert!(is_unlike_numbers(b"1a2b.3c4d.5e6f") && !is_unlike_numbers(b"feed.dead.beef"));
    }
}
