//! Groups of digits as telephone numbers are printed: `+44 (0)20 7946 0018`, `030/901820`.

use std::ops::Range;

use crate::lexis::forward;

/// Most groups of one number: `+33 6 12 34 56 78` has six.
const GROUPS_MAX: usize = 8;
/// One digit more than a number may have (ITU-T E.164).
const GROUP_DIGITS_MAX: usize = 16;

/// Digits in a row.
#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    pub(super) digits: Range<usize>,
    /// Behind the digits, and behind the parenthesis that closes around them.
    pub(super) end: usize,
    /// What stands before, 0 for nothing.
    pub(super) divider: u8,
    pub(super) is_in_parentheses: bool,
}

/// Groups that follow each other, each behind one divider at most.
#[derive(Debug, Default)]
pub(super) struct Number {
    groups: [Group; GROUPS_MAX],
    len: usize,
    /// What stands between the last group and digits that belong to it.
    rest: Option<u8>,
}

impl Number {
    /// Reads the groups from `at` on.
    pub(super) fn read(raw: &[u8], at: usize) -> Self {
        let mut number = Self::default();
        let Some(first) = group(raw, at, 0) else { return number };
        number.groups[0] = first;
        number.len = 1;
        while let Some(next) = number.next(raw) {
            if number.len == GROUPS_MAX {
                number.rest = Some(next.divider);
                break;
            }
            number.groups[number.len] = next;
            number.len += 1;
        }
        number
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The first `n` groups, or all.
    pub(super) fn first(&self, n: usize) -> &[Group] {
        &self.groups[..n.min(self.len)]
    }

    /// What divides the first `n` groups from the next one.
    pub(super) fn divider_after(&self, n: usize) -> Option<u8> {
        if n == self.len { self.rest } else { self.groups.get(n).map(|group| group.divider) }
    }

    fn next(&self, raw: &[u8]) -> Option<Group> {
        let last = &self.groups[self.len - 1];
        match raw.get(last.end)? {
            divider @ (b' ' | b'-' | b'.' | b'/') => group(raw, last.end + 1, *divider),
            b'(' => group(raw, last.end, 0),
            _ if last.is_in_parentheses => group(raw, last.end, 0),
            _ => None,
        }
    }
}

fn group(raw: &[u8], at: usize, divider: u8) -> Option<Group> {
    let is_in_parentheses = raw.get(at) == Some(&b'(');
    let start = at + usize::from(is_in_parentheses);
    let end = forward(raw, start, start + GROUP_DIGITS_MAX, |b| b.is_ascii_digit());
    let is_closed = !is_in_parentheses || raw.get(end) == Some(&b')');
    (end > start && is_closed).then(|| Group {
        digits: start..end,
        end: end + usize::from(is_in_parentheses),
        divider,
        is_in_parentheses,
    })
}

#[cfg(test)]
mod tests {
    use super::Number;

    #[track_caller]
    fn check(text: &str, want: &[&str]) {
        let number = Number::read(text.as_bytes(), 0);
        let groups: Vec<_> = number.first(99).iter().map(|g| &text[g.digits.clone()]).collect();
        assert_eq!(groups, want, "{text}");
    }

    #[test]
    fn groups_are_divided_by_one_byte_or_by_parentheses() {
        check("44 (0)20 7946 0018 x", &["44", "0", "20", "7946", "0018"]);
        check("(415)555-0147", &["415", "555", "0147"]);
        check("030/901820.", &["030", "901820"]);
        check("12  34", &["12"]);
        check("12 -34", &["12"]);
        check("12 (34", &["12"]);
        check("x", &[]);
        check("1 2 3 4 5 6 7 8 9", &["1", "2", "3", "4", "5", "6", "7", "8"]);
    }

    #[test]
    fn what_is_cut_off_is_known_by_its_divider() {
        let number = Number::read(b"12-34 56", 0);
        let dividers: Vec<_> = (1..4).map(|n| number.divider_after(n)).collect();
        assert_eq!(dividers, [Some(b'-'), Some(b' '), None]);
        assert_eq!(Number::read(b"1 2 3 4 5 6 7 8-9", 0).divider_after(8), Some(b'-'));
    }
}
