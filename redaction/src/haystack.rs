//! The bytes that are searched, and how placeholders in them are told from text.

use std::ops::{Deref, Range};

use crate::lexis::{forward, work};

/// Longest name of a type.
pub(crate) const NAME_BYTES_MAX: usize = 48;
/// Longest part of a placeholder behind its name: a pseudonym with its key's name.
const PAYLOAD_BYTES_MAX: usize = 96;
/// Longest placeholder: `[`, name, `:`, payload, `]`.
const PLACEHOLDER_BYTES_MAX: usize = NAME_BYTES_MAX + PAYLOAD_BYTES_MAX + 8;
/// Placeholders that stand for no type: of records that the engine gave up on, and of dropped ones.
pub(crate) const FAILED: &str = "REDACTION_FAILED";
/// See [`FAILED`].
pub(crate) const DROPPED: &str = "DROPPED";

/// Names that stand in placeholders: `[NAME]` and `[NAME:payload]`.
#[derive(Debug)]
pub struct Names(Vec<Box<str>>);

impl Names {
    pub(crate) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut names: Vec<Box<str>> = names.chain([FAILED, DROPPED]).map(Box::from).collect();
        names.sort();
        Self(names)
    }

    fn has(&self, name: &[u8]) -> bool {
        self.0.binary_search_by(|known| known.as_bytes().cmp(name)).is_ok()
    }
}

/// Bytes that are searched. Used like the slice it holds.
#[derive(Debug, Clone, Copy)]
pub struct Haystack<'a> {
    bytes: &'a [u8],
    names: &'a Names,
}

impl<'a> Haystack<'a> {
    pub(crate) fn new(bytes: &'a [u8], names: &'a Names) -> Self {
        Self { bytes, names }
    }

    /// The bytes, for longer than the haystack lives.
    pub(crate) fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// End of the placeholder that begins at `at`.
    #[must_use]
    pub fn placeholder_end(self, at: usize) -> Option<usize> {
        if self.bytes.get(at) != Some(&b'[') {
            return None;
        }
        let is_name = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
        let name_end = forward(self.bytes, at + 1, at + 2 + NAME_BYTES_MAX, is_name);
        let end = match self.bytes.get(name_end)? {
            b']' => name_end,
            b':' => {
                let limit = name_end + 2 + PAYLOAD_BYTES_MAX;
                let end = forward(self.bytes, name_end + 1, limit, is_payload);
                (self.bytes.get(end) == Some(&b']')).then_some(end)?
            }
            _ => return None,
        };
        self.names.has(&self.bytes[at + 1..name_end]).then_some(end + 1)
    }

    /// The placeholder that begins before `at` and ends behind it.
    #[must_use]
    pub fn placeholder_around(self, at: usize) -> Option<Range<usize>> {
        let begin = at.saturating_sub(PLACEHOLDER_BYTES_MAX);
        let before = self.bytes.get(begin..at)?;
        // A placeholder holds no second bracket, so the last one before is the only candidate.
        let start = begin + memchr::memrchr(b'[', before)?;
        work::add(at - start);
        let end = self.placeholder_end(start).filter(|end| *end > at)?;
        Some(start..end)
    }

    /// True when `range` is one placeholder, or begins within one: what was redacted before.
    #[must_use]
    pub fn begins_in_placeholder(self, range: &Range<usize>) -> bool {
        self.placeholder_end(range.start) == Some(range.end)
            || self.placeholder_around(range.start).is_some()
    }
}

/// True for bytes of what follows the name in a placeholder.
pub(crate) fn is_payload(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'*' | b'_' | b'-' | b'.' | b':')
}

impl Deref for Haystack<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::{Haystack, Names};

    #[test]
    fn a_place_inside_a_placeholder_knows_where_that_stands() {
        let names = Names::new(["EMAIL"].into_iter());
        let raw = Haystack::new(b"a [EMAIL:k1:0f] [EMAIL", &names);
        for at in 3..15 {
            assert_eq!(raw.placeholder_around(at), Some(2..15), "{at}");
        }
        for at in [0, 1, 2, 15, 16, 17, 22, 99] {
            assert_eq!(raw.placeholder_around(at), None, "{at}");
        }
    }

    #[test]
    fn only_names_of_types_are_placeholders() {
        let names = Names::new(["EMAIL"].into_iter());
        let is = |text: &str| {
            Haystack::new(text.as_bytes(), &names).begins_in_placeholder(&(0..text.len()))
        };
        for text in ["[EMAIL]", "[EMAIL:k1:0f3a]", "[EMAIL:**.com]", "[DROPPED]"] {
            assert!(is(text), "{text}");
        }
        for text in ["[HUNTER]", "[EMAIL", "[EMAIL:a b]", "[EMAIL:\"]", "[EMAIL:]x", "EMAIL]", "[]"]
        {
            assert!(!is(text), "{text}");
        }
    }

    #[test]
    fn what_begins_within_a_placeholder_was_redacted_before() {
        let names = Names::new(["SECRET"].into_iter());
        let raw = Haystack::new(b"x [SECRET:**ab] cd", &names);
        let begins = |range| raw.begins_in_placeholder(&range);
        assert!(begins(10..14) && begins(3..18) && begins(2..15));
        assert!(!begins(2..18) && !begins(0..5) && !begins(15..18));
    }
}
