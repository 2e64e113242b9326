//! Records as messages of CloudWatch events: one JSON object each, in parts where it is too long.

use super::request::{MESSAGE_BYTES_MAX, Message};
use crate::encode::{JsonEncoder, Omitted, write_escaped_twice};
use crate::model::{LogBatch, LogRecord};
use crate::telemetry;
use std::ops::Range;

/// What `,"part":"1000/1000"` takes at most.
const PART_BYTES: usize = 32;
/// A part holds at least so much of the body; less only when the rest of the record is so long.
const PART_ROOM_MIN: usize = 100_000;

/// What the encoder writes in front of the body.
const HEAD: &[u8] = br#"{\"body\":\""#;

/// Makes messages; keeps its memory.
#[derive(Debug, Default)]
pub struct Messages {
    encoder: JsonEncoder,
    text: Vec<u8>,
    /// Where the messages end in it, and their lengths.
    ends: Vec<(usize, usize)>,
}

impl Messages {
    /// Makes messages that leave members out.
    #[must_use]
    pub fn without(omitted: Omitted) -> Self {
        Self { encoder: JsonEncoder::without(omitted), ..Self::default() }
    }

    /// The message of `record`, or its messages: each is whole JSON, holds a part of the body cut
    /// between characters, and says which part it is (`"part":"1/3"`). None when what is around the
    /// body is too long already.
    pub fn of(
        &mut self,
        logs: &LogBatch,
        record: &LogRecord,
    ) -> Option<impl ExactSizeIterator<Item = Message<'_>>> {
        self.text.clear();
        self.ends.clear();
        let bytes = self.encoder.encode_nested(logs, record, &mut self.text);
        if bytes <= MESSAGE_BYTES_MAX {
            self.ends.push((self.text.len(), bytes));
        } else {
            self.split(logs, record)?;
        }
        let (text, ends) = (self.text.as_slice(), self.ends.as_slice());
        let start = |index: usize| index.checked_sub(1).map_or(0, |before| ends[before].0);
        let message = move |index: usize| {
            let (end, bytes) = ends[index];
            Message { nested: &text[start(index)..end], bytes }
        };
        Some((0..ends.len()).map(message))
    }

    fn split(&mut self, logs: &LogBatch, record: &LogRecord) -> Option<()> {
        telemetry::CLOUDWATCH_SPLIT_RECORDS.add(1);
        let mut around = Vec::new();
        let bodiless = LogRecord { body: 0..0, ..record.clone() };
        let around_bytes = self.encoder.encode_nested(logs, &bodiless, &mut around);
        let room = MESSAGE_BYTES_MAX.checked_sub(around_bytes + PART_BYTES)?;
        if room < PART_ROOM_MIN {
            return None;
        }
        let mut body = Vec::new();
        write_escaped_twice(logs.text.get(&record.body), &mut body);
        let parts = cut(&body, room);
        self.text.clear();
        for (index, (part, part_bytes)) in parts.iter().enumerate() {
            self.text.extend_from_slice(HEAD);
            self.text.extend_from_slice(&body[part.clone()]);
            let number = format!("{}/{}", index + 1, parts.len());
            self.text.extend_from_slice(br#"\",\"part\":\""#);
            self.text.extend_from_slice(number.as_bytes());
            self.text.extend_from_slice(&around[HEAD.len()..]);
            let number_bytes = br#"","part":""#.len() + number.len();
            self.ends.push((self.text.len(), around_bytes + part_bytes + number_bytes));
        }
        Some(())
    }
}

/// Cuts what stands in two strings into parts of at most `room` bytes in the inner one, between
/// characters and between escapes; with the bytes of each in the inner one.
fn cut(nested: &[u8], room: usize) -> Vec<(Range<usize>, usize)> {
    let (mut parts, mut start, mut at, mut part_bytes) = (Vec::new(), 0, 0, 0);
    while at < nested.len() {
        let (bytes, inner_bytes) = unit(&nested[at..]);
        if part_bytes + inner_bytes > room {
            parts.push((start..at, part_bytes));
            (start, part_bytes) = (at, 0);
        }
        part_bytes += inner_bytes;
        at += bytes;
    }
    parts.push((start..nested.len(), part_bytes));
    parts
}

/// Bytes of the escape or the character at the beginning of `nested`, and what they are in the inner
/// string.
fn unit(nested: &[u8]) -> (usize, usize) {
    match nested {
        [b'\\', b'\\', b'u', ..] => (7, 6),
        [b'\\', b'\\', b'\\', ..] => (4, 2),
        [b'\\', ..] => (3, 2),
        [byte, ..] if byte.leading_ones() >= 2 => {
            let bytes = (byte.leading_ones() as usize).min(nested.len());
            (bytes, bytes)
        }
        _ => (1, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::{MESSAGE_BYTES_MAX, Message, Messages, cut};
    use crate::model::{LogBatch, LogRecord};
    use proptest::prelude::*;
    use redaction::{Redactor, Text};
    use std::sync::Arc;

    fn messages(raw: &[u8]) -> Vec<serde_json::Value> {
        let mut text = Text::default();
        let body = Redactor::new().redact_chunk(raw, &mut text);
        let records = vec![LogRecord { body, offset: 7, ..LogRecord::default() }];
        let logs = LogBatch { resource: Arc::default(), text, records, covers: None };
        let mut messages = Messages::default();
        let found = messages.of(&logs, &logs.records[0]).unwrap();
        let json = |message: Message<'_>| {
            let whole: String =
                serde_json::from_slice(&[b"\"", message.nested, b"\""].concat()).unwrap();
            assert_eq!(whole.len(), message.bytes);
            assert!(whole.len() <= MESSAGE_BYTES_MAX);
            serde_json::from_str(&whole).unwrap()
        };
        found.map(json).collect()
    }

    #[test]
    fn a_long_record_is_sent_in_parts_at_every_alignment_of_its_characters() {
        // E5: cut inside a character, it grew when it was encoded again.
        for before in 0..8 {
            let raw = ["a".repeat(before), "€\n\u{1}\"".repeat(300_000)].concat();
            let parts = messages(raw.as_bytes());
            assert!(parts.len() > 1);
            let whole: String = parts.iter().map(|part| part["body"].as_str().unwrap()).collect();
            assert_eq!(whole, raw);
            for (index, part) in parts.iter().enumerate() {
                assert_eq!(part["part"], format!("{}/{}", index + 1, parts.len()));
                assert_eq!(part["offset"], 7);
            }
        }
        assert_eq!(messages(b"short").len(), 1);
        assert!(messages(b"short")[0].get("part").is_none());
    }

    proptest! {
        #[test]
        fn parts_are_whole_and_in_order(text in ".{0,200}", room in 6..40_usize) {
            let mut nested = Vec::new();
            crate::encode::write_escaped_twice(text.as_bytes(), &mut nested);
            let mut whole = String::new();
            for (part, part_bytes) in cut(&nested, room) {
                let outer = [b"\"", &nested[part], b"\""].concat();
                let inner: String = serde_json::from_slice(&outer).unwrap();
                prop_assert!(inner.len() <= room && inner.len() == part_bytes);
                whole += &serde_json::from_str::<String>(&format!("\"{inner}\"")).unwrap();
            }
            prop_assert_eq!(whole, text);
        }
    }
}
