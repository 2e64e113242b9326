//! Records as messages of CloudWatch events: one JSON object each, in parts where it is too long.

use super::request::MESSAGE_BYTES_MAX;
use crate::encode::{JsonEncoder, write_escaped};
use crate::model::{LogBatch, LogRecord};
use crate::telemetry;
use std::ops::Range;

/// What `,"part":"1000/1000"` takes at most.
const PART_BYTES: usize = 32;
/// A part holds at least so much of the body; less only when the rest of the record is so long.
const PART_ROOM_MIN: usize = 100_000;

/// Makes messages; keeps its memory.
#[derive(Debug, Default)]
pub struct Messages {
    encoder: JsonEncoder,
    text: Vec<u8>,
    /// Where the messages end in it.
    ends: Vec<usize>,
}

/// What an encoder writes in front of the body.
const HEAD: &[u8] = b"{\"body\":\"";

impl Messages {
    /// The message of `record`, or its messages: each is whole JSON, holds a part of the body cut
    /// between characters, and says which part it is (`"part":"1/3"`). None when what is around the
    /// body is too long already.
    pub fn of(
        &mut self,
        logs: &LogBatch,
        record: &LogRecord,
    ) -> Option<impl ExactSizeIterator<Item = &[u8]>> {
        self.text.clear();
        self.ends.clear();
        self.encoder.encode_untimed(logs, record, &mut self.text);
        if self.text.len() <= MESSAGE_BYTES_MAX {
            self.ends.push(self.text.len());
        } else {
            self.split(logs, record)?;
        }
        let (text, ends) = (self.text.as_slice(), self.ends.as_slice());
        let start = |index: usize| index.checked_sub(1).map_or(0, |before| ends[before]);
        Some((0..ends.len()).map(move |index| &text[start(index)..ends[index]]))
    }

    fn split(&mut self, logs: &LogBatch, record: &LogRecord) -> Option<()> {
        telemetry::CLOUDWATCH_SPLIT_RECORDS.add(1);
        let mut around = Vec::new();
        let bodiless = LogRecord { body: 0..0, ..record.clone() };
        self.encoder.encode_untimed(logs, &bodiless, &mut around);
        let room = MESSAGE_BYTES_MAX.checked_sub(around.len() + PART_BYTES)?;
        if room < PART_ROOM_MIN {
            return None;
        }
        let mut body = Vec::new();
        write_escaped(logs.text.get(&record.body), &mut body);
        let parts = cut(&body, room);
        self.text.clear();
        for (index, part) in parts.iter().enumerate() {
            self.text.extend_from_slice(HEAD);
            self.text.extend_from_slice(&body[part.clone()]);
            let number = format!("\",\"part\":\"{}/{}", index + 1, parts.len());
            self.text.extend_from_slice(number.as_bytes());
            self.text.extend_from_slice(&around[HEAD.len()..]);
            self.ends.push(self.text.len());
        }
        Some(())
    }
}

/// Cuts the contents of a JSON string into parts of at most `room` bytes, between characters and
/// between escapes.
fn cut(escaped: &[u8], room: usize) -> Vec<Range<usize>> {
    let (mut parts, mut start, mut at) = (Vec::new(), 0, 0);
    while at < escaped.len() {
        let next = at + unit_bytes(&escaped[at..]);
        if next - start > room {
            parts.push(start..at);
            start = at;
        }
        at = next;
    }
    parts.push(start..escaped.len());
    parts
}

/// Bytes of the escape or the character at the beginning of `text`.
fn unit_bytes(text: &[u8]) -> usize {
    let bytes = match text {
        [b'\\', b'u', ..] => 6,
        [b'\\', ..] => 2,
        [byte, ..] if byte.leading_ones() >= 2 => byte.leading_ones() as usize,
        _ => 1,
    };
    bytes.min(text.len())
}

#[cfg(test)]
mod tests {
    use super::{MESSAGE_BYTES_MAX, Messages, cut};
    use crate::model::{LogBatch, LogRecord};
    use proptest::prelude::*;
    use redaction::{Redactor, Text};
    use std::sync::Arc;

    fn messages(raw: &[u8]) -> Vec<serde_json::Value> {
        let mut text = Text::default();
        let body = Redactor::new().redact_chunk(raw, &mut text);
        let records = vec![LogRecord { body, offset: 7, ..LogRecord::default() }];
        let logs = LogBatch { resource: Arc::default(), text, records };
        let mut messages = Messages::default();
        let found = messages.of(&logs, &logs.records[0]).unwrap();
        let json = |message: &[u8]| {
            assert!(message.len() <= MESSAGE_BYTES_MAX);
            serde_json::from_slice(message).unwrap()
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
            let mut escaped = Vec::new();
            crate::encode::write_escaped(text.as_bytes(), &mut escaped);
            let mut whole = String::new();
            for part in cut(&escaped, room) {
                prop_assert!(part.len() <= room);
                let json = [b"\"", &escaped[part], b"\""].concat();
                whole += &serde_json::from_slice::<String>(&json).unwrap();
            }
            prop_assert_eq!(whole, text);
        }
    }
}
