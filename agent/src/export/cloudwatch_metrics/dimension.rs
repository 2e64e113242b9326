//! Values of dimensions as CloudWatch takes them.

use std::fmt::Write;

/// Longest value of a dimension.
const VALUE_BYTES_MAX: usize = 1024;

/// `value` as CloudWatch takes it: `None` if it is blank or too long, which makes it drop a metric.
///
/// It takes printable ASCII only. A job whose name has other characters must have metrics too, and
/// two such jobs must not become one, so those bytes are written as in a URL: `é` is `%C3%A9`.
pub(super) fn clean(value: &str) -> Option<String> {
    if value.trim().is_empty() {
        return None;
    }
    let is_printable = |byte: u8| matches!(byte, b' '..=b'~');
    let mut clean = String::with_capacity(value.len());
    for byte in value.bytes() {
        if is_printable(byte) {
            clean.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(clean, "%{byte:02X}");
        }
        if clean.len() > VALUE_BYTES_MAX {
            return None;
        }
    }
    Some(clean)
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn values_become_printable_ascii_or_nothing() {
        for (raw, want) in [
            ("nightly etl", Some("nightly etl")),
            ("café\u{7f}\n", Some("caf%C3%A9%7F%0A")),
            ("", None),
            (" \t\n", None),
            ("\u{a0}\u{3000}", None),
        ] {
            assert_eq!(clean(raw).as_deref(), want, "{raw:?}");
        }
        assert_eq!(clean(&"a".repeat(1024)), Some("a".repeat(1024)));
        assert_eq!(clean(&"a".repeat(1025)), None);
        assert_eq!(clean(&"é".repeat(171)), None, "171 times six bytes");
    }
}
