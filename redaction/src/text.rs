//! Redacted bytes and strings, and how offsets moved while they were redacted.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::spans::offset;

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
#[derive(Debug, Default, Clone)]
pub struct Text {
    bytes: Vec<u8>,
    edits: Vec<Edit>,
    drops: Vec<u32>,
}

impl Text {
    /// Forgets all bytes and edits; keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.edits.clear();
        self.drops.clear();
    }

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

    /// Offsets into the chunk of the last append whose records must not leave, ascending.
    #[must_use]
    pub fn drops(&self) -> &[u32] {
        &self.drops
    }

    /// Maps offsets into the chunk of the last append to offsets into this text, in place.
    ///
    /// `appended` is what that append returned and `raw` ascends. An offset inside a replaced
    /// range maps to the end of its placeholder, so no two records share a placeholder's bytes.
    /// One pass over offsets and edits together.
    pub fn map_offsets(&self, appended: &Range<u32>, raw: &mut [u32]) {
        let mut edits = self.edits.iter().peekable();
        // An offset of 0 is `raw_base`, which stands at `text_base`.
        let (mut raw_base, mut text_base) = (0, appended.start);
        for at in raw {
            while let Some(edit) = edits.next_if(|edit| edit.raw.start < *at) {
                (raw_base, text_base) = (edit.raw.end, edit.text.end);
            }
            *at = text_base + at.saturating_sub(raw_base);
        }
    }

    /// Appends bytes that a redactor gave out and that were kept since. Only for who has made sure
    /// that they are those, and that its rules were the ones of today; all else must be redacted.
    pub fn restore(&mut self, redacted: &[u8]) -> Range<u32> {
        self.begin();
        let start = offset(self.bytes.len());
        self.bytes.extend_from_slice(redacted);
        start..offset(self.bytes.len())
    }

    /// Starts an append: edits tell of the last one only.
    pub(crate) fn begin(&mut self) {
        self.edits.clear();
        self.drops.clear();
    }

    /// Says that the record around `raw` must not leave.
    pub(crate) fn drop_record(&mut self, raw: &Range<usize>) {
        self.drops.push(offset(raw.start));
    }

    /// Appends bytes that hold no finding.
    pub(crate) fn copy(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends the placeholder of `raw`.
    pub(crate) fn replace(&mut self, raw: &Range<usize>, placeholder: &[u8]) {
        let start = offset(self.bytes.len());
        self.bytes.extend_from_slice(placeholder);
        self.edits.push(Edit {
            raw: offset(raw.start)..offset(raw.end),
            text: start..offset(self.bytes.len()),
        });
    }
}

/// A short redacted string that is cheap to clone: a label value or an attribute.
///
/// Made by [`Redactor::value`](crate::Redactor::value), from a literal in the source code, from a
/// number, or from what was one of them before: none of them can carry PII.
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

    /// A string that a redactor gave out and that was kept since: as [`Text::restore`].
    #[must_use]
    pub fn restore(redacted: &[u8]) -> Self {
        Self::from_redacted(redacted)
    }

    pub(crate) fn from_redacted(bytes: &[u8]) -> Self {
        Self(Arc::from(String::from_utf8_lossy(bytes)))
    }

    /// An identifier made from a hash, such as a trace id, in lower-case hex.
    #[must_use]
    pub fn hex(bytes: &[u8]) -> Self {
        let digits = b"0123456789abcdef";
        let hex = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let text: String = hex.map(|digit| char::from(digits[usize::from(digit)])).collect();
        Self(Arc::from(text))
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
