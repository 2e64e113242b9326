//! The wall clock as numbers. What can take a time as an argument does not come here.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the epoch, now.
#[must_use]
pub fn unix_ms() -> u64 {
    to_unix_ms(SystemTime::now())
}

/// Nanoseconds since the epoch, now.
#[must_use]
pub fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// A time as milliseconds since the epoch; 0 for one before it.
#[must_use]
pub fn to_unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
