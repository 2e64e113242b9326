//! The bytes that are searched, and how placeholders in them are told from text.

use std::ops::{Deref, Range};

use crate::lexis::{forward, work};

/// Longest name of a type.
pub(crate) const NAME_BYTES_MAX: usize = 48;
/// Characters that a partial mask leaves.
pub(crate) const PARTIAL_CHARS: usize = 4;
/// Bytes of a pseudonym: 96 bits.
pub(crate) const PSEUDONYM_BYTES: usize = 12;
/// Longest name of a key of pseudonyms.
pub(crate) const KEY_ID_BYTES_MAX: usize = 16;
/// Longest part of a placeholder behind its name: a pseudonym with its key's name.
const PAYLOAD_BYTES_MAX: usize = 96;
/// Longest placeholder: `[`, name, `:`, payload, `]`.
const PLACEHOLDER_BYTES_MAX: usize = NAME_BYTES_MAX + PAYLOAD_BYTES_MAX + 8;
/// Placeholders that stand for no type: of records that the engine gave up on, and of dropped ones.
pub const FAILED: &str = "REDACTION_FAILED";
/// See [`FAILED`].
pub(crate) const DROPPED: &str = "DROPPED";

/// Names that stand in placeholders: `[NAME]` and `[NAME:payload]`. In slots of few, as one is looked
/// up for nearly every placeholder that is searched again.
#[derive(Debug)]
pub struct Names(Box<[Vec<Box<str>>; NAME_SLOTS]>);

/// Slots of names: more than there are types.
const NAME_SLOTS: usize = 256;

impl Names {
    pub(crate) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut slots = Box::new([const { Vec::new() }; NAME_SLOTS]);
        for name in names.chain([FAILED, DROPPED]) {
            slots[slot(name.as_bytes())].push(name.into());
        }
        Self(slots)
    }

    fn has(&self, name: &[u8]) -> bool {
        self.0[slot(name)].iter().any(|known| known.as_bytes() == name)
    }
}

fn slot(name: &[u8]) -> usize {
    let [first, last] = [name.first(), name.last()].map(|byte| usize::from(*byte.unwrap_or(&0)));
    (name.len() * 67 + first * 31 + last * 7) % NAME_SLOTS
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
                let is_ours = is_partial_or_pseudonym(&self.bytes[name_end + 1..end]);
                (is_ours && self.bytes.get(end) == Some(&b']')).then_some(end)?
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

/// True for `**1111` and `k1:3f0a...`, and nothing else: what merely looks like a placeholder, such
/// as `[IBAN:DE89370400440532013000]`, is text.
fn is_partial_or_pseudonym(payload: &[u8]) -> bool {
    if let Some(shown) = payload.strip_prefix(b"**") {
        return shown.len() == PARTIAL_CHARS && !shown.contains(&b':');
    }
    let Some(colon) = memchr::memchr(b':', payload) else { return false };
    let (id, hex) = (&payload[..colon], &payload[colon + 1..]);
    (1..=KEY_ID_BYTES_MAX).contains(&id.len())
        && id.iter().all(u8::is_ascii_alphanumeric)
        && hex.len() == 2 * PSEUDONYM_BYTES
        && hex.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b))
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
        let raw = Haystack::new(b"a [EMAIL:**1234] [EMAIL", &names);
        for at in 3..16 {
            assert_eq!(raw.placeholder_around(at), Some(2..16), "{at}");
        }
        for at in [0, 1, 2, 16, 17, 18, 23, 99] {
            assert_eq!(raw.placeholder_around(at), None, "{at}");
        }
    }

    #[test]
    fn only_names_of_types_are_placeholders() {
        let names = Names::new(["EMAIL"].into_iter());
        let is = |text: &str| {
            Haystack::new(text.as_bytes(), &names).begins_in_placeholder(&(0..text.len()))
        };
        for text in
            ["[EMAIL]", "[EMAIL:k1:577e0a7d0658316ce35698e1]", "[EMAIL:**.com]", "[DROPPED]"]
        {
            assert!(is(text), "{text}");
        }
        for text in [
            "[HUNTER]",
            "[EMAIL:hunter2]",
            "[EMAIL:k1:0f3a]",
            "[EMAIL:**hunter2]",
            "[EMAIL",
            "[EMAIL:a b]",
            "[EMAIL:\"]",
            "[EMAIL:]x",
            "EMAIL]",
            "[]",
        ] {
            assert!(!is(text), "{text}");
        }
    }

    #[test]
    fn what_begins_within_a_placeholder_was_redacted_before() {
        let names = Names::new(["SECRET"].into_iter());
        let raw = Haystack::new(b"x [SECRET:**ab12] cd", &names);
        let begins = |range| raw.begins_in_placeholder(&range);
        assert!(begins(10..14) && begins(3..18) && begins(2..17));
        assert!(!begins(2..18) && !begins(0..5) && !begins(17..20));
    }
}
