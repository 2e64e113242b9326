//! IPv6 in text (RFC 4291, RFC 5952), with an IPv4 tail and a zone (RFC 4007).
//!
//! `::` also stands in code and in keys: `Foo::bar`, `a::b`, `user::1234`, `x[::2]`. So besides the
//! grammar an address needs something that those lack, see [`is_likely`].

use std::ops::Range;

use super::{RUN_BYTES_MAX, is_ipv4};
use crate::lexis::{backward, forward, word_after, word_before};

/// Most bytes of an address without its zone: `ffff:` six times and an IPv4 address.
const ADDRESS_BYTES_MAX: usize = 45;
/// Longest zone; names of interfaces have 15 bytes on Linux.
const ZONE_BYTES_MAX: usize = 24;
/// Groups of an address.
const N_GROUPS: usize = 8;

/// What the text of an address is made of.
#[derive(Debug, Clone, Copy, Default)]
struct Parts {
    n_groups: usize,
    /// Groups that are one or more zeros.
    n_zero: usize,
    /// Hexadecimal digits of all groups.
    n_digits: usize,
    longest: usize,
    shortest: usize,
    has_letter: bool,
    has_decimal: bool,
    is_compressed: bool,
    has_ipv4: bool,
}

/// A run of what addresses are made of.
pub(super) enum Run {
    /// So long that nothing in it is an address; ends here, or is looked at again from here on.
    Long(usize),
    /// May be one.
    Short(Range<usize>),
}

impl Run {
    /// The run around the colon at `anchor`.
    pub(super) fn around(raw: &[u8], anchor: usize) -> Self {
        let is_address = |b: u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
        let begin = anchor.saturating_sub(ADDRESS_BYTES_MAX);
        let start = backward(raw, anchor, begin, is_address);
        // The end of a name may stand before an address, `source:fe80::1`.
        let limit = start + 2 * ADDRESS_BYTES_MAX;
        let end = forward(raw, anchor, limit, is_address);
        if start == begin && begin > 0 || end == limit {
            return Self::Long(forward(raw, end, anchor + RUN_BYTES_MAX, is_address));
        }
        Self::Short(start..end)
    }
}

/// The address in a short run around the colon at `anchor`.
pub(super) fn find(raw: &[u8], run: Range<usize>, anchor: usize) -> Option<Range<usize>> {
    let Range { mut start, end } = run;
    let mut end = backward(raw, end, anchor, |b| b == b'.');
    // What follows a single colon is text: `2001:db8::1: timeout`.
    if raw[start..end].ends_with(b":") && !raw[start..end].ends_with(b"::") {
        end -= 1;
    }
    // `source:fe80::1`: the colon, and letters before it, belong to the key.
    if is_in_name(raw, start) || is_single_colon(raw, start) {
        start = raw[start..anchor].iter().position(|b| *b == b':').map(|i| start + i + 1)?;
        if raw[start] == b':' {
            return None;
        }
    }
    end = end.max(start);
    let end = without_port(raw, start..end);
    let parts = parse(&raw[start..end])?;
    if !is_likely(raw, &(start..end), parts) {
        return None;
    }
    let range = start..zone_end(raw, end);
    stands_alone(raw, &range, parts).then_some(range)
}

fn is_single_colon(raw: &[u8], at: usize) -> bool {
    raw.get(at) == Some(&b':') && raw.get(at + 1) != Some(&b':')
}

/// Takes off the port that Java prints behind eight groups: `/0:0:0:0:0:0:0:1:50010`.
fn without_port(raw: &[u8], range: Range<usize>) -> usize {
    let text = &raw[range.clone()];
    let n_colons = text.iter().filter(|b| **b == b':').count();
    let last = text.iter().rposition(|b| *b == b':').map_or(range.end, |i| range.start + i);
    let is_printed = range.start > 0 && raw[range.start - 1] == b'/';
    let is_port =
        n_colons == N_GROUPS && raw[last..range.end].iter().skip(1).all(u8::is_ascii_digit);
    if is_printed && is_port { last } else { range.end }
}

fn parse(text: &[u8]) -> Option<Parts> {
    let mut parts = Parts { shortest: usize::MAX, ..Parts::default() };
    let compressed = text.windows(2).position(|pair| pair == b"::");
    parts.is_compressed = compressed.is_some();
    let (head, tail) = match compressed {
        Some(at) => (&text[..at], &text[at + 2..]),
        None => (&text[..0], text),
    };
    for (side, is_last) in [(head, false), (tail, true)] {
        if side.is_empty() {
            continue;
        }
        let n_colons = side.iter().filter(|b| **b == b':').count();
        for (index, group) in side.split(|b| *b == b':').enumerate() {
            parts.add(group, is_last && index == n_colons)?;
        }
    }
    let n_most = if parts.is_compressed { N_GROUPS - 1 } else { N_GROUPS };
    let is_whole = parts.is_compressed || parts.n_groups == N_GROUPS;
    (is_whole && (1..=n_most).contains(&parts.n_groups)).then_some(parts)
}

impl Parts {
    fn add(&mut self, group: &[u8], is_last: bool) -> Option<()> {
        if is_last && group.contains(&b'.') {
            self.n_groups += 2;
            self.has_ipv4 = true;
            return is_ipv4(group).then_some(());
        }
        if !(1..=4).contains(&group.len()) || !group.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        self.n_groups += 1;
        self.n_zero += usize::from(group.iter().all(|b| *b == b'0'));
        self.n_digits += group.len();
        self.longest = self.longest.max(group.len());
        self.shortest = self.shortest.min(group.len());
        self.has_letter |= group.iter().any(u8::is_ascii_alphabetic);
        self.has_decimal |= group.iter().any(u8::is_ascii_digit);
        Some(())
    }
}

/// True when what is well formed also looks like an address.
fn is_likely(raw: &[u8], range: &Range<usize>, parts: Parts) -> bool {
    let text = &raw[range.clone()];
    let before = range.start.checked_sub(1).map(|i| raw[i]);
    // Eight pairs are a hardware address or a dump: nobody pads groups to two digits.
    let is_pairs = parts.shortest == 2 && parts.longest == 2 && parts.n_groups == N_GROUPS;
    if parts.has_ipv4 || text == b"::1" {
        return true;
    }
    if !parts.is_compressed {
        let is_printed = matches!(before, Some(b'/' | b'['));
        return !is_pairs && (is_printed || parts.n_digits >= 12 || parts.n_zero >= 3);
    }
    // `fe80::/10` is a network; `f64::` is the beginning of a path.
    if text.ends_with(b"::") && parts.n_groups == 1 {
        return parts.longest == 4 && parts.has_decimal && raw.get(range.end) == Some(&b'/');
    }
    // `c::B150` is a constant in a module of one letter.
    let is_name =
        parts.n_groups == 2 && matches!(text, [_, b':', b':', ..] | [_, _, b':', b':', ..]);
    let is_global = parts.longest == 4 && text[0] == b'2' && text.get(4) == Some(&b':');
    parts.has_decimal
        && !is_name
        && parts.n_digits >= 5
        && parts.longest >= 3
        && (parts.has_letter || parts.n_groups >= 3 || is_global)
}

/// End of the zone behind an address, or of the address.
fn zone_end(raw: &[u8], at: usize) -> usize {
    let is_zone = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if raw.get(at) != Some(&b'%') {
        return at;
    }
    let end = forward(raw, at + 1, at + 1 + ZONE_BYTES_MAX, is_zone);
    let end = backward(raw, end, at + 1, |b| !b.is_ascii_alphanumeric());
    if end > at + 1 { end } else { at }
}

/// True when what begins at `at` goes on a word. As with IPv4, `_` divides.
fn is_in_name(raw: &[u8], at: usize) -> bool {
    word_before(raw, at) && raw[at - 1] != b'_'
}

fn stands_alone(raw: &[u8], range: &Range<usize>, parts: Parts) -> bool {
    let is_joined = word_after(raw, range.end) && raw[range.end] != b'_';
    // `_type_60::FDB` is a name in any case.
    let is_member = word_before(raw, range.start) && parts.n_groups < 3;
    !is_in_name(raw, range.start) && !is_member && !is_joined
}

#[cfg(test)]
mod tests {
    use super::{Run, find, parse};

    /// What is found in `text` at any of its colons.
    fn found(text: &str) -> Option<&str> {
        let colons = text.bytes().enumerate().filter(|(_, b)| *b == b':');
        let find = |at| match Run::around(text.as_bytes(), at) {
            Run::Short(run) => find(text.as_bytes(), run, at),
            Run::Long(_) => None,
        };
        let mut ranges = colons.filter_map(|(at, _)| find(at));
        ranges.next().map(|range| &text[range])
    }

    #[test]
    fn groups_may_be_left_out_once_at_any_place() {
        let groups = ["1", "20", "3ab", "4cde", "5", "6", "7", "8"];
        for begin in 0..=8 {
            for end in begin..=8 {
                let text = format!("{}::{}", groups[..begin].join(":"), groups[end..].join(":"));
                let n_groups = begin + 8 - end;
                assert_eq!(parse(text.as_bytes()).is_some(), (1..8).contains(&n_groups), "{text}");
            }
        }
        for n in 0..12 {
            let text = vec!["ab1"; n].join(":");
            assert_eq!(parse(text.as_bytes()).is_some(), n == 8, "{text}");
            let text = format!("{}{}", "ab1:".repeat(n), "10.0.0.1");
            assert_eq!(parse(text.as_bytes()).is_some(), n == 6, "{text}");
        }
        for text in
            ["::", "1::2::3", ":1::2", "1::2:", "12345::1", "g::1", "::10.0.0", "::1.2.3.4:5"]
        {
            assert!(parse(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn addresses_are_found_in_what_is_around_them() {
        for (text, want) in [
            ("::1", "::1"),
            ("[::1]:8080", "::1"),
            ("peer fe80::1%lo0: up", "fe80::1%lo0"),
            ("host=fd12:3456::9/64,", "fd12:3456::9"),
            ("source:fe80::7", "fe80::7"),
            ("code:2400:cb00::7.", "2400:cb00::7"),
            ("/0:0:0:0:0:0:0:1:50010", "0:0:0:0:0:0:0:1"),
            ("(/0:0:0:0:0:0:0:0:8081)", "0:0:0:0:0:0:0:0"),
            ("::ffff:10.1.2.3", "::ffff:10.1.2.3"),
            ("2001:470:1f0b:12::: x", ""),
            ("net 2001:470::/32", "2001:470::"),
            ("net fe80::/10", "fe80::"),
            ("2001:470::5: timeout", "2001:470::5"),
            ("executor_2001:470::5_driver", "2001:470::5"),
            ("A1B2:0:0:C3::1.", "A1B2:0:0:C3::1"),
        ] {
            assert_eq!(found(text).unwrap_or_default(), want, "{text}");
        }
    }

    #[test]
    fn code_keys_times_and_dumps_are_no_addresses() {
        for text in
            ["::", "a::b", "dead::beef", "Foo::bar", "std::dec", "f32::abs", "f64::", "x[::2]"]
                .into_iter()
                .chain([
                    "12:34:56:789",
                    "12:34::56",
                    "user::1234",
                    "1193::5",
                    "1::2::Nil",
                    "a1::b2",
                ])
                .chain(["00:1a:2b:3c:4d:5e:6f:70", "1:2:3:4:5:6:7:8", "aa:bb:cc:dd:ee:ff", "::2"])
                .chain(["fe80::1text", "xfe80::1x", "2001::db8::1", "fd12:345::1:2:3:4:5:6:7"])
                .chain([
                    "::ffff:10.0.0",
                    "10.0.0.1::1a2b",
                    "1:2:3:4:5:6:7:8:9:a:b:c:d:e:f:0:1:2:3:4",
                ])
        {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
