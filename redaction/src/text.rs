//! Redacted bytes and strings, and how offsets moved while they were redacted.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// One replacement made by the last `redact_chunk`.
///
/// `raw` is the replaced part of the chunk, `text` where its placeholder stands in the [`Text`].
/// Edits are sorted and do not overlap; bytes between them are equal in both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Replaced bytes, as offsets into the chunk that was redacted.
    pub raw: Range<u32>,
    /// The placeholder, as offsets into the text.
    pub text: Range<u32>,
}

/// Append-only bytes, all of which went through a [`Redactor`](crate::Redactor).
#[derive(Debug, Default)]
pub struct Text {
    bytes: Vec<u8>,
    edits: Vec<Edit>,
}

impl Text {
    /// Bytes of `range`, which came from a call on this text.
    #[must_use]
    pub fn get(&self, range: &Range<u32>) -> &[u8] {
        &self.bytes[range.start as usize..range.end as usize]
    }

    /// All bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// True when nothing was appended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Replacements made by the last append.
    #[must_use]
    pub fn edits(&self) -> &[Edit] {
        &self.edits
    }

    /// Appends `raw` with each `(range, placeholder)` of `spans` (sorted, disjoint) replaced.
    pub(crate) fn append(&mut self, raw: &[u8], spans: &[(Range<u32>, &str)]) -> Range<u32> {
        let start = position(self.bytes.len());
        self.edits.clear();
        let mut copied = 0;
        for (range, placeholder) in spans {
            self.bytes.extend_from_slice(&raw[copied..range.start as usize]);
            let at = position(self.bytes.len());
            self.bytes.extend_from_slice(placeholder.as_bytes());
            self.edits.push(Edit { raw: range.clone(), text: at..position(self.bytes.len()) });
            copied = range.end as usize;
        }
        self.bytes.extend_from_slice(&raw[copied..]);
        start..position(self.bytes.len())
    }
}

fn position(len: usize) -> u32 {
    u32::try_from(len).expect("callers seal a batch long before 4 GiB")
}

/// A short redacted string that is cheap to clone: a label value or an attribute.
///
/// Made by [`Redactor::value`](crate::Redactor::value), from a literal in the source code, or from
/// a number: none of them can carry PII.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(Arc<str>);

impl Value {
    /// A string that stands in the source code.
    #[must_use]
    pub fn literal(text: &'static str) -> Self {
        Self(Arc::from(text))
    }

    /// A number in decimal.
    #[must_use]
    pub fn number(number: u64) -> Self {
        Self(Arc::from(number.to_string()))
    }

    pub(crate) fn from_redacted(bytes: &[u8]) -> Self {
        Self(Arc::from(String::from_utf8_lossy(bytes)))
    }

    /// The string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Value {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}
