//! Reads text as a person would who sees through its encoding: `%40` and `\u0040` as `@`, full-width
//! digits as digits, and nothing where a character has no width.

use std::ops::Range;

/// Stands in the search for literals for a detector: a line that must be read through its encoding.
pub(crate) const OWNER: u8 = u8::MAX;

/// What tells, besides [`Shape::Encoded`](crate::Shape::Encoded), that a line is encoded where it
/// matters: the characters that values are made of or divided by. Text that is only foreign has none
/// of them.
pub(crate) const SIGNS: &[&[u8]] = &[
    "０".as_bytes(),
    "１".as_bytes(),
    "２".as_bytes(),
    "３".as_bytes(),
    "４".as_bytes(),
    "５".as_bytes(),
    "６".as_bytes(),
    "７".as_bytes(),
    "８".as_bytes(),
    "９".as_bytes(),
    "－".as_bytes(),
    "．".as_bytes(),
    "＠".as_bytes(),
    "\u{200b}".as_bytes(),
    "\u{200c}".as_bytes(),
    "\u{200d}".as_bytes(),
    "\u{2060}".as_bytes(),
    "\u{feff}".as_bytes(),
];

/// A line read through its encoding.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    pub(crate) text: Vec<u8>,
    /// For each byte of `text` where it is written in the line.
    written: Vec<Range<u32>>,
}

impl Folded {
    /// Reads `line`, whose offsets fit in 32 bits.
    pub(crate) fn read(&mut self, line: &[u8]) {
        self.text.clear();
        self.written.clear();
        let mut at = 0;
        while at < line.len() {
            let (byte, len) = unit(&line[at..]);
            if let Some(byte) = byte {
                self.text.push(byte);
                self.written.push(at as u32..(at + len) as u32);
            }
            at += len;
        }
    }

    /// Where the bytes of `range`, which is not empty, are written in the line.
    pub(crate) fn written(&self, range: &Range<usize>) -> Range<usize> {
        self.written[range.start].start as usize..self.written[range.end - 1].end as usize
    }
}

/// What the text begins with, none if it shows as nothing, and in how many bytes it is written.
fn unit(text: &[u8]) -> (Option<u8>, usize) {
    match text {
        [b'%', high, low, ..] => match printable(*high, *low) {
            Some(byte) => (Some(byte), 3),
            None => (Some(b'%'), 1),
        },
        [b'\\', b'u', b'0', b'0', high, low, ..] => match printable(*high, *low) {
            Some(byte) => (Some(byte), 6),
            None => (Some(b'\\'), 1),
        },
        // U+200B to U+200D, U+2060, U+FEFF.
        [0xe2, 0x80, 0x8b..=0x8d, ..] | [0xe2, 0x81, 0xa0, ..] | [0xef, 0xbb, 0xbf, ..] => {
            (None, 3)
        }
        // U+FF01 to U+FF5E are ASCII in full width.
        [0xef, 0xbc, low @ 0x81..=0xbf, ..] => (Some(low - 0x81 + b'!'), 3),
        [0xef, 0xbd, low @ 0x80..=0x9e, ..] => (Some(low - 0x80 + b'`'), 3),
        _ => (Some(text[0]), 1),
    }
}

/// The byte that two hexadecimal digits stand for, if it is printable ASCII.
fn printable(high: u8, low: u8) -> Option<u8> {
    let digit = |byte| char::from(byte).to_digit(16);
    let byte = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
    (b' '..=b'~').contains(&byte).then_some(byte)
}

#[cfg(test)]
mod tests {
    use super::Folded;
    use crate::{Redactor, Text};

    #[test]
    fn encodings_are_read_and_places_kept() {
        let mut folded = Folded::default();
        folded.read("a%40\\u0062％３\u{200b}\\n%0a%4é".as_bytes());
        assert_eq!(folded.text, "a@b%3\\n%0a%4é".as_bytes());
        assert_eq!((folded.written(&(0..1)), folded.written(&(1..3))), (0..1, 1..10));
        assert_eq!((folded.written(&(3..5)), folded.written(&(5..6))), (10..16, 19..20));
    }

    #[test]
    fn what_is_encoded_is_hidden_with_its_encoding() {
        let check = |raw: &str, want: &str| {
            let mut text = Text::default();
            Redactor::new().redact_chunk(format!("x\n{raw}\ny").as_bytes(), &mut text);
            assert_eq!(String::from_utf8_lossy(text.as_bytes()), format!("x\n{want}\ny"));
        };
        check("to jane%2Edoe%40example%2Ecom now", "to [EMAIL] now");
        check(r"to jane\u002edoe\u0040example.com now", "to [EMAIL] now");
        check("card ４１１１１１１１１１１１１１１１ ok", "card [CREDIT_CARD] ok");
        check("card 4111%201111%201111%201111&x", "card [CREDIT_CARD]&x");
        check("mail jane\u{200b}.doe@exam\u{200b}ple.com x", "mail [EMAIL] x");
        check("ssn 123\u{200b}-45-6789 x", "ssn [US_SSN] x");
        check(
            "u?q=user%20password%20%3D%20hunter2",
            "u?q=user%20password%20%3D%20[KEY_VALUE_SECRET]",
        );
        check("（全角）：，text 100%25 sure %zz", "（全角）：，text 100%25 sure %zz");
    }
}
