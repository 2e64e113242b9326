//! Durations and sizes as people write them: `250ms`, `10s`, `5m`, `1h`, `16MiB`, `512KiB`, `4096`.

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde::{Serialize, Serializer};
use std::fmt;
use std::time::Duration;

/// A duration written as `250ms`, `10s`, `5m`, `1h` or `0`; at most a year, `8760h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval(pub Duration);

/// A size in bytes written as `16MiB`, `512KiB`, `1GiB` or a plain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

const TIME_UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
const SIZE_UNITS: [(&str, u64); 4] =
    [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)];

/// Longest duration: a year. Adding one to any point in time cannot overflow.
const MS_MAX: u64 = 365 * 24 * 3_600_000;

impl Interval {
    /// A whole number of milliseconds.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// A whole number of seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Reads what a person wrote; none when it is no duration.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "0" {
            return Some(Self(Duration::ZERO));
        }
        number_with_unit(text, &TIME_UNITS).filter(|ms| *ms <= MS_MAX).map(Self::from_millis)
    }
}

impl Bytes {
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().or_else(|| number_with_unit(text, &SIZE_UNITS)).map(Self)
    }
}

fn number_with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let factor = units.iter().find(|(name, _)| *name == unit.trim_start())?.1;
    number.parse::<u64>().ok()?.checked_mul(factor)
}

struct IntervalVisitor;

impl Visitor<'_> for IntervalVisitor {
    type Value = Interval;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration in quotes such as \"250ms\", \"10s\" or \"5m\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Interval, E> {
        Interval::parse(text).ok_or_else(|| {
            E::custom(format!(
                "{text:?} is not a duration; write for example \"250ms\", \"10s\" or \"5m\""
            ))
        })
    }
}

struct BytesVisitor;

impl Visitor<'_> for BytesVisitor {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size such as \"16MiB\" or 4096")
    }

    fn visit_i64<E: Error>(self, bytes: i64) -> Result<Bytes, E> {
        u64::try_from(bytes).map(Bytes).map_err(|_| {
            E::invalid_value(Unexpected::Signed(bytes), &"a size such as \"16MiB\" or 4096")
        })
    }

    fn visit_u64<E: Error>(self, bytes: u64) -> Result<Bytes, E> {
        Ok(Bytes(bytes))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Bytes, E> {
        Bytes::parse(text).ok_or_else(|| {
            E::custom(format!("{text:?} is not a size; write for example \"16MiB\" or 4096"))
        })
    }
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(IntervalVisitor)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BytesVisitor)
    }
}

impl Serialize for Interval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ms = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let text = match ms {
            0 => "0".to_owned(),
            ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
            ms if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
            ms if ms % 1_000 == 0 => format!("{}s", ms / 1_000),
            ms => format!("{ms}ms"),
        };
        serializer.serialize_str(&text)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = match self.0 {
            b if b > 0 && b % (1 << 30) == 0 => format!("{}GiB", b >> 30),
            b if b > 0 && b % (1 << 20) == 0 => format!("{}MiB", b >> 20),
            b if b > 0 && b % (1 << 10) == 0 => format!("{}KiB", b >> 10),
            b => format!("{b}B"),
        };
        serializer.serialize_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Interval};
    use std::time::Duration;

    #[test]
    fn durations_need_a_unit_and_sizes_do_not() {
        assert_eq!(Interval::parse("250ms"), Some(Interval(Duration::from_millis(250))));
        assert_eq!(Interval::parse("5m"), Some(Interval(Duration::from_secs(300))));
        assert_eq!(Interval::parse("10"), None);
        assert_eq!(Interval::parse("99999999999999999999h"), None);
        assert_eq!(Interval::parse("s"), None);
        assert_eq!(Interval::parse("8760h"), Some(Interval(Duration::from_secs(365 * 86_400))));
        assert_eq!(Interval::parse("8761h"), None);
        assert_eq!(Bytes::parse("4096"), Some(Bytes(4096)));
        assert_eq!(Bytes::parse("16 MiB"), Some(Bytes(16 << 20)));
        assert_eq!(Bytes::parse("16 mb"), None);
    }
}
