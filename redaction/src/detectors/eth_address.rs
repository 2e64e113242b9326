//! ETH_ADDRESS: `0x` and 40 hexadecimal digits that stand alone, an account of Ethereum and of the
//! chains that took its format. EIP-55 hides a check in the case of letters; text that lost its case
//! names the same account, so any case is taken.

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::haystack::Haystack;
use crate::lexis::word_after;
use crate::long_word::{long_word, may_begin_with};
use crate::shapes::Shape;
use crate::spans::Found;

/// Bytes of an address, prefix included.
const ADDRESS_BYTES: usize = 42;

/// Finds Ethereum addresses.
#[derive(Debug)]
pub(crate) struct EthAddress;

impl Detector for EthAddress {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "ETH_ADDRESS",
            family: Family::Financial,
            confidence: Confidence::High,
            validator: "prefix and length",
            shapes: &[Shape::LongWord],
            positive: &[
                "24/03/21 14:54:10 INFO ChainJob: transfer from «0x52908400098527886E0F7030069857D2E4169EE7» ok",
                r#"{"wallet":"«0xde709f2102306220921060314715629080e2fb77»","memo":"\n«0x27b1fdb04752bbc536007a920d24acb045561c26»"}"#,
                r"eth=«0X8617E340B3D01FA5F11F306F4090FD50E238070D», \u0022«0xfb6916095ca1df60bb79ce92ce3ea74c37c5d359»\u0022",
            ],
            negative: &[
                "session 0x100000016fd0004, queue 0x760c4dd1a57d, null 0x0000000000000000000000000000000000000000",
                "hash 0x88df016429689c079f3b2f6ad39fa052532c56795b733da78a91ebe6a713944b sealed",
                "sha 0xde709f2102306220921060314715629080e2fb7 0xde709f2102306220921060314715629080e2fbzz",
                "de709f2102306220921060314715629080e2fb77 a0xde709f2102306220921060314715629080e2fb77",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        if !may_begin_with(raw, anchor.start, b"0") {
            return found.never();
        }
        let Some(range) = long_word(raw, anchor.start, ADDRESS_BYTES) else { return };
        if is_address(&raw[range.clone()]) && !word_after(raw, range.end) {
            found.push(range);
        }
    }
}

fn is_address(text: &[u8]) -> bool {
    let Some((b"0x" | b"0X", digits)) = text.split_at_checked(2) else { return false };
    // The zero address is where coins are burnt: nobody's.
    text.len() == ADDRESS_BYTES
        && digits.iter().all(u8::is_ascii_hexdigit)
        && digits.iter().any(|b| *b != b'0')
}

#[cfg(test)]
mod tests {
    use super::is_address;

    #[test]
    fn only_forty_hexadecimals_behind_the_prefix_are_an_address() {
        for n_digits in 0..=80 {
            let text = format!("0x{}", "a".repeat(n_digits));
            assert_eq!(is_address(text.as_bytes()), n_digits == 40, "{n_digits}");
        }
        for byte in 0..=u8::MAX {
            let mut text = [b'1'; 42];
            text[..2].copy_from_slice(b"0x");
            text[41] = byte;
            assert_eq!(is_address(&text), byte.is_ascii_hexdigit(), "{byte}");
        }
    }
}
