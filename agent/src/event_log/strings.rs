//! Texts of events that are kept: redacted where they enter, and short.

use redaction::{Redactor, Value};

/// What is read of a text at most: the beginning of a plan or of a trace.
const RAW_BYTES_MAX: usize = 64 << 10;

/// `raw`, redacted, with at most `bytes_max` bytes.
///
/// It is redacted before it is cut: half of a secret would not be recognised.
pub(super) fn short(redactor: &Redactor, raw: &str, bytes_max: usize) -> Value {
    let raw = &raw[..raw.floor_char_boundary(RAW_BYTES_MAX)];
    let value = redactor.value(raw);
    if value.len() <= bytes_max {
        return value;
    }
    redactor.value(&value[..value.floor_char_boundary(bytes_max)])
}

/// The first line of `raw` that is not empty, as [`short`].
pub(super) fn first_line(redactor: &Redactor, raw: &str, bytes_max: usize) -> Value {
    let line = raw.lines().find(|line| !line.trim().is_empty()).unwrap_or("");
    short(redactor, line, bytes_max)
}

/// A size as Spark's properties have it: `4g`, `512m`, a plain number in MiB.
pub(super) fn memory_bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim_end_matches("ib").trim_end_matches('b') {
        "k" => 10,
        "" if unit == "b" => 0,
        "" | "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
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
