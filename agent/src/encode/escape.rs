//! Contents of JSON strings.

/// Appends `bytes` as the contents of a JSON string: control characters, quotes and backslashes
/// escaped, invalid UTF-8 as U+FFFD in the places where `String::from_utf8_lossy` puts it.
pub fn write_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    if std::str::from_utf8(bytes).is_ok() {
        return write_escaped_ascii(bytes, out);
    }
    for chunk in bytes.utf8_chunks() {
        write_escaped_ascii(chunk.valid().as_bytes(), out);
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// The same for a string that holds JSON in which the string stands: as if what
/// [`write_escaped`] appends were escaped once more. Returns the bytes that came with the second time.
pub fn write_escaped_twice(bytes: &[u8], out: &mut Vec<u8>) -> usize {
    if std::str::from_utf8(bytes).is_ok() {
        return write_escaped_ascii_twice(bytes, out);
    }
    let mut n_added = 0;
    for chunk in bytes.utf8_chunks() {
        n_added += write_escaped_ascii_twice(chunk.valid().as_bytes(), out);
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    n_added
}

fn write_escaped_ascii_twice(bytes: &[u8], out: &mut Vec<u8>) -> usize {
    let (mut copied, mut n_added) = (0, 0);
    while let Some(at) = next_special(bytes, copied) {
        out.extend_from_slice(&bytes[copied..at]);
        let byte = bytes[at];
        let escape: &[u8] = match byte {
            b'"' => br#"\\\""#,
            b'\\' => br"\\\\",
            b'\n' => br"\\n",
            b'\t' => br"\\t",
            b'\r' => br"\\r",
            _ => &[b'\\', b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)],
        };
        out.extend_from_slice(escape);
        n_added += if matches!(byte, b'"' | b'\\') { 2 } else { 1 };
        copied = at + 1;
    }
    out.extend_from_slice(&bytes[copied..]);
    n_added
}

fn hex(digit: u8) -> u8 {
    b"0123456789abcdef"[usize::from(digit)]
}

/// Escapes the ASCII characters that JSON forbids in strings and copies the runs between them.
fn write_escaped_ascii(bytes: &[u8], out: &mut Vec<u8>) {
    let mut copied = 0;
    while let Some(at) = next_special(bytes, copied) {
        out.extend_from_slice(&bytes[copied..at]);
        let byte = bytes[at];
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\t' => b"\\t",
            b'\r' => b"\\r",
            _ => &[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)],
        };
        out.extend_from_slice(escape);
        copied = at + 1;
    }
    out.extend_from_slice(&bytes[copied..]);
}

/// Position of the next byte that needs an escape, eight bytes at a step.
fn next_special(bytes: &[u8], from: usize) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let is_special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    let mut at = from;
    let (words, _) = bytes[from..].as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        // Classic "has a byte less than n" and "has a zero byte"; the lowest hit is exact.
        let below_space = word.wrapping_sub(ONES * 0x20) & !word;
        let quote = word ^ (ONES * u64::from(b'"'));
        let quote = quote.wrapping_sub(ONES) & !quote;
        let backslash = word ^ (ONES * u64::from(b'\\'));
        let backslash = backslash.wrapping_sub(ONES) & !backslash;
        let hits = (below_space | quote | backslash) & HIGH;
        if hits != 0 {
            return Some(at + hits.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    bytes[at..].iter().position(is_special).map(|rest| at + rest)
}

#[cfg(test)]
mod tests {
    use super::{write_escaped, write_escaped_twice};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn escaping_twice_at_once_is_escaping_what_was_escaped(
            raw in any::<Vec<u8>>(),
            text in "[\"\\\\a-c\n\t\r\u{0}\u{1f}é]{0,40}",
        ) {
            for raw in [raw.as_slice(), text.as_bytes()] {
                let (mut once, mut twice, mut at_once) = (Vec::new(), Vec::new(), Vec::new());
                write_escaped(raw, &mut once);
                write_escaped(&once, &mut twice);
                let n_added = write_escaped_twice(raw, &mut at_once);
                prop_assert_eq!(&at_once, &twice);
                prop_assert_eq!(n_added, twice.len() - once.len());
            }
        }
    }
}
