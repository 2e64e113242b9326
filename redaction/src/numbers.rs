//! Measures numbers that are printed in groups, and finds which part of one a rule asks for.
//!
//! Knows nothing of what a number may mean.

use std::collections::HashMap;
use std::ops::Range;

use crate::lexis::{backward, forward, unicode_escape_end};

/// Groups that are looked at around one place; longer lists are looked at piece by piece.
const GROUPS_MAX: usize = 24;
/// Most groups of one pattern.
const PATTERN_GROUPS_MAX: usize = 8;
/// Most digits of one group of a pattern.
const GROUP_DIGITS_MAX: usize = 31;
/// How far back from the place where a shape fired its number is looked for.
const BACK_BYTES_MAX: usize = 64;

/// Hashes a pattern with one multiplication: the standard hash costs more than the rest of a look-up.
#[derive(Debug, Default, Clone)]
struct PatternHasher(u64);

impl std::hash::Hasher for PatternHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte) ^ self.0);
        }
    }
    fn write_u64(&mut self, key: u64) {
        // Fibonacci hashing, folded so that both ends of the word depend on all of the key.
        let product = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = product ^ product >> 32;
    }
}

/// Which detectors want a number of which groups.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    /// Of numbers without groups, by their digits.
    plain: [Vec<u8>; GROUP_DIGITS_MAX + 1],
    grouped: HashMap<u64, Vec<u8>, std::hash::BuildHasherDefault<PatternHasher>>,
    /// Bit `n`: some pattern begins with a group of `n` digits.
    first_groups: u32,
    groups_max: usize,
}

impl Patterns {
    pub(crate) fn add(&mut self, pattern: &[u8], owner: u8) {
        assert!((1..=PATTERN_GROUPS_MAX).contains(&pattern.len()), "{pattern:?} has 1 to 8 groups");
        assert!(pattern.iter().all(|n| (1..=GROUP_DIGITS_MAX).contains(&usize::from(*n))));
        self.first_groups |= 1 << pattern[0];
        self.groups_max = self.groups_max.max(pattern.len());
        let owners = match pattern {
            [n_digits] => &mut self.plain[usize::from(*n_digits)],
            groups => {
                let mut key = 0;
                for n in groups {
                    key = append(key, usize::from(*n));
                    // Beginnings of patterns stand in the table, too, so that others are seen to be none.
                    self.grouped.entry(key).or_default();
                }
                self.grouped.entry(key).or_default()
            }
        };
        if !owners.contains(&owner) {
            owners.push(owner);
        }
    }

    /// Calls `ask` with the owners of each number around `at` that some pattern fits, the number, and
    /// whether it is plain, without groups; returns what was looked at. The search for the next number may begin at its end.
    ///
    /// Groups divided by dots and hyphens are one number. Of groups divided by single spaces any
    /// part may be one, and the longest pattern at each group is taken when `ask` returns true.
    pub(crate) fn visit(
        &self,
        raw: &[u8],
        at: usize,
        begin: usize,
        mut ask: impl FnMut(&[u8], Range<usize>, bool) -> bool,
    ) -> Range<usize> {
        let begin = begin.max(at.saturating_sub(BACK_BYTES_MAX));
        let is_digit = |b: u8| b.is_ascii_digit();
        let start = backward(raw, at, begin, is_digit);
        let end = forward(raw, at, at + GROUPS_MAX * GROUP_DIGITS_MAX, is_digit);
        // The digits of `\u0022` belong to no number.
        let start = unicode_escape_end(raw, start).min(end);
        let joins = |divider: usize, digit: usize| match raw.get(divider) {
            Some(byte @ (b'.' | b'-' | b' ')) if raw.get(digit).is_some_and(u8::is_ascii_digit) => {
                Some(*byte)
            }
            _ => None,
        };
        let before = start.checked_sub(2).and_then(|digit| joins(digit + 1, digit));
        let divider = match (before, joins(end, end + 1)) {
            // Dots and hyphens bind stronger than spaces.
            (Some(b' '), Some(after)) => after,
            (Some(divider), _) | (None, Some(divider)) => divider,
            (None, None) => {
                let owners = self.plain.get(end - start).filter(|owners| !owners.is_empty());
                if let Some(owners) = owners {
                    ask(owners, start..end, true);
                }
                return start..end;
            }
        };
        if divider == b' ' {
            self.visit_list(raw, at, begin, &mut ask)
        } else {
            self.visit_token(raw, at, begin, &mut ask)
        }
    }

    fn visit_token(
        &self,
        raw: &[u8],
        at: usize,
        begin: usize,
        ask: &mut impl FnMut(&[u8], Range<usize>, bool) -> bool,
    ) -> Range<usize> {
        let is_token = |b: u8| b.is_ascii_digit() || is_divider(b);
        let start = backward(raw, at, begin, is_token);
        let end = forward(raw, at, start + GROUPS_MAX * GROUP_DIGITS_MAX, is_token);
        let start = unicode_escape_end(raw, start).min(end);
        let mut groups = Groups::default();
        groups.read(raw, start..end, is_divider);
        if groups.len > 0 {
            self.ask_from(&groups, 0, true, ask);
        }
        start..end.max(at + 1)
    }

    fn visit_list(
        &self,
        raw: &[u8],
        at: usize,
        begin: usize,
        ask: &mut impl FnMut(&[u8], Range<usize>, bool) -> bool,
    ) -> Range<usize> {
        let is_list = |b: u8| b.is_ascii_digit() || b == b' ';
        let start = backward(raw, at, begin, is_list);
        let end = forward(raw, at, start + GROUPS_MAX * (GROUP_DIGITS_MAX + 1), is_list);
        let start = unicode_escape_end(raw, start).min(end);
        // A last group with dots or hyphens behind it is a number of its own.
        let is_token = raw.get(end).is_some_and(|b| is_divider(*b))
            && raw.get(end + 1).is_some_and(u8::is_ascii_digit);
        let end = if is_token { backward(raw, end, at, |b| b.is_ascii_digit()) } else { end };
        let mut groups = Groups::default();
        groups.read(raw, start..end, |b| b == b' ');
        let mut index = 0;
        while index < groups.len {
            let group = groups.ranges[index].start;
            if groups.is_cut && group > at && index + PATTERN_GROUPS_MAX > groups.len {
                return start..group;
            }
            index += self.ask_from(&groups, index, false, ask).max(1);
        }
        start..end.max(at + 1)
    }

    /// Asks for the longest pattern first that begins at group `index`; returns its groups.
    fn ask_from(
        &self,
        groups: &Groups,
        index: usize,
        is_whole: bool,
        ask: &mut impl FnMut(&[u8], Range<usize>, bool) -> bool,
    ) -> usize {
        if self.first_groups >> groups.digits(index).min(GROUP_DIGITS_MAX) & 1 == 0 {
            return 0;
        }
        let limit = groups.len.min(index + self.groups_max);
        let mut fits: [Option<&[u8]>; PATTERN_GROUPS_MAX] = [None; PATTERN_GROUPS_MAX];
        let mut key = 0;
        for group in index..limit {
            key = append(key, groups.digits(group).min(GROUP_DIGITS_MAX + 1));
            let owners = if group == index {
                self.plain.get(groups.digits(index))
            } else {
                let Some(owners) = self.grouped.get(&key) else { break };
                Some(owners)
            };
            fits[group - index] = owners.map(Vec::as_slice).filter(|owners| !owners.is_empty());
            let is_joined = groups.ranges.get(group + 1).is_some_and(|next| {
                group + 1 < groups.len && next.start == groups.ranges[group].end + 1
            });
            if !is_joined {
                break;
            }
        }
        for (n, owners) in fits.iter().enumerate().rev() {
            let Some(owners) = owners else { continue };
            let is_all = index == 0 && n + 1 == groups.len && !groups.is_cut;
            let range = groups.ranges[index].start..groups.ranges[index + n].end;
            if (is_all || !is_whole) && ask(owners, range, n == 0) {
                return n + 1;
            }
        }
        0
    }
}

fn append(key: u64, n_digits: usize) -> u64 {
    key << 8 | n_digits as u64
}

fn is_divider(byte: u8) -> bool {
    matches!(byte, b'.' | b'-')
}

/// Groups of digits in a row.
#[derive(Default)]
struct Groups {
    ranges: [Range<usize>; GROUPS_MAX],
    len: usize,
    /// More groups follow than are kept.
    is_cut: bool,
}

impl Groups {
    fn digits(&self, index: usize) -> usize {
        self.ranges[index].len()
    }

    /// Reads digits with dividers between; dividers at either end are not part of the number.
    fn read(&mut self, raw: &[u8], range: Range<usize>, is_divider: impl Fn(u8) -> bool) {
        (self.len, self.is_cut) = (0, false);
        let mut at = range.start;
        loop {
            at = forward(raw, at, range.end, &is_divider);
            if at >= range.end {
                return;
            }
            if self.len == GROUPS_MAX {
                self.is_cut = true;
                return;
            }
            let end = forward(raw, at, range.end, |b| !is_divider(b));
            self.ranges[self.len] = at..end;
            self.len += 1;
            at = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Patterns;

    #[track_caller]
    fn check(raw: &str, want: &[&str]) {
        let mut patterns = Patterns::default();
        for pattern in [&[16][..], &[4, 4, 4, 4], &[3, 2, 4], &[9], &[4, 4, 4, 4, 3]] {
            patterns.add(pattern, 7);
        }
        let mut got = Vec::new();
        let at = raw.find(|c: char| c.is_ascii_digit()).unwrap() + 3;
        let seen = patterns.visit(raw.as_bytes(), at, 0, |owners, range, _| {
            assert_eq!(owners, [7]);
            got.push(&raw[range]);
            true
        });
        assert!(seen.end > at && seen.end <= raw.len(), "{seen:?}");
        assert_eq!(got, want, "{raw}");
    }

    #[test]
    fn numbers_in_groups_are_found_as_a_whole() {
        check("x 4111111111111111 y", &["4111111111111111"]);
        check("x 4111-1111-1111-1111.", &["4111-1111-1111-1111"]);
        check("123-45-6789", &["123-45-6789"]);
        check("123-45-6789-1", &[]);
        check("4111-1111-1111-1111-1", &[]);
        check("1718907841998.123", &[]);
    }

    #[test]
    fn a_list_of_groups_holds_numbers_anywhere() {
        check("id 17 4111 1111 1111 1111 5 123 45 6789 x", &["4111 1111 1111 1111", "123 45 6789"]);
        check(
            "4111 1111 1111 1111 5500 0000 0000 0004",
            &["4111 1111 1111 1111", "5500 0000 0000 0004"],
        );
        check("4111 1111 1111 1111 123", &["4111 1111 1111 1111 123"]);
        check("4111  1111 1111 1111", &[]);
        check("4111111111111111 123-45-6789", &["4111111111111111"]);
    }

    #[test]
    fn lists_longer_than_the_limit_are_read_piece_by_piece() {
        let raw = "12 ".repeat(200) + "123 45 6789 " + &"12 ".repeat(200);
        let mut patterns = Patterns::default();
        patterns.add(&[3, 2, 4], 0);
        let (mut found, mut begin, mut n_visits) = (0, 0, 0);
        for at in 0..raw.len() {
            if at >= begin {
                n_visits += 1;
                let count = |_: &[u8], _, _| {
                    found += 1;
                    true
                };
                begin = patterns.visit(raw.as_bytes(), at, begin, count).end;
                assert!(begin > at || !raw.as_bytes()[at].is_ascii_digit());
            }
        }
        assert!(n_visits < 100, "{n_visits}");
        assert_eq!(found, 1);
    }
}
