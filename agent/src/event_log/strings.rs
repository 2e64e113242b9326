//! Texts of events that are kept: redacted where they enter, and short.

use crate::scrape::spark::{bounded_to, spark_bytes};
use redaction::{Redactor, Value};

/// What is read of a text at most: the beginning of a plan or of a trace.
const RAW_BYTES_MAX: usize = 64 << 10;

/// `raw`, redacted, with at most `bytes_max` bytes.
///
/// It is redacted before it is cut: half of a secret would not be recognised.
pub(super) fn short(redactor: &Redactor, raw: &str, bytes_max: usize) -> Value {
    bounded_to(&raw[..raw.floor_char_boundary(RAW_BYTES_MAX)], bytes_max, redactor)
}

/// The first line of `raw` that is not empty, as [`short`].
pub(super) fn first_line(redactor: &Redactor, raw: &str, bytes_max: usize) -> Value {
    let line = raw.lines().find(|line| !line.trim().is_empty()).unwrap_or("");
    short(redactor, line, bytes_max)
}

/// A size as Spark's properties have it, and as people write it: `4g`, `512m`, `2GiB`, a plain number in
/// MiB.
pub(super) fn memory_bytes(text: &str) -> Option<u64> {
    spark_bytes(&text.to_ascii_lowercase().replace("ib", "b"))
}

#[cfg(test)]
mod tests {
    use super::memory_bytes;

    #[test]
    fn sizes_are_read_as_spark_reads_them() {
        let cases =
            [("4g", 4 << 30), ("512m", 512 << 20), ("1024", 1 << 30), ("7b", 7), ("2GiB", 2 << 30)];
        for (text, want) in cases {
            assert_eq!(memory_bytes(text), Some(want), "{text}");
        }
        assert_eq!(memory_bytes("all of it"), None);
        assert_eq!(memory_bytes("99999999999999999g"), None);
    }
}
