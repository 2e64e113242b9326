//! Timestamps: finds them at the start of a line, turns them into Unix nanoseconds, writes RFC 3339.
//!
//! Formats: `yy/MM/dd HH:mm:ss` (Spark), `yyyy-MM-dd HH:mm:ss` with `-` or `/` in the date and a
//! blank, `T` or `-` before the time; then an optional fraction and an optional zone.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use std::ops::Range;

const NANOS: u64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// No zone of today changes its offset at another minute than a quarter of an hour.
const ZONE_WINDOW_SECONDS: i64 = 900;
/// Digits that a fraction of a second may have.
const FRACTION_DIGITS_MAX: usize = 9;

/// Where a timestamp stands at the start of a line. Says nothing about whether such a day exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Date and time to the second, as offsets into the line.
    pub second: Range<usize>,
    /// Fraction of the second, in nanoseconds.
    pub nanos: u32,
    /// Offset from UTC in seconds, when the timestamp states one.
    pub utc_offset_s: Option<i32>,
    /// First byte after the timestamp and its brackets.
    pub end: usize,
}

/// True when `line` starts with date and time of one of the known layouts. Looks at 20 bytes.
#[must_use]
pub fn starts_with_timestamp(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"[").unwrap_or(line);
    second_len(line).is_some()
}

/// Finds the timestamp that `line` starts with.
#[must_use]
pub fn stamp(line: &[u8]) -> Option<Stamp> {
    let bracket = usize::from(line.first() == Some(&b'['));
    let second = bracket..bracket + second_len(&line[bracket..])?;
    let mut end = second.end;
    let mut nanos = 0;
    if let Some(b'.' | b',') = line.get(end) {
        let digits = line[end + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > FRACTION_DIGITS_MAX {
            return None;
        }
        nanos = line[end + 1..][..digits].iter().fold(0, |sum, digit| sum * 10 + number(*digit));
        nanos *= 10_u32.pow((FRACTION_DIGITS_MAX - digits) as u32);
        end += 1 + digits;
    }
    let (utc_offset_s, zone_len) = utc_offset(&line[end..]);
    end += zone_len;
    if bracket == 1 {
        if line.get(end) != Some(&b']') {
            return None;
        }
        end += 1;
    }
    Some(Stamp { second, nanos, utc_offset_s, end })
}

/// Length of `yy/MM/dd HH:mm:ss` (17) or `yyyy-MM-dd HH:mm:ss` (19) at the start of `line`.
fn second_len(line: &[u8]) -> Option<usize> {
    if !line.first()?.is_ascii_digit() {
        return None;
    }
    let short = line.first_chunk::<17>()?;
    if short[2] == b'/' {
        return has_shape(short, b"99/99/99 99:99:99").then_some(17);
    }
    let long = line.first_chunk::<19>()?;
    let separators = (long[4], long[7], long[10]);
    let is_date =
        matches!(separators, (b'-', b'-', b' ' | b'T' | b'-') | (b'/', b'/', b' ' | b'-'));
    (is_date && has_shape(long, b"9999*99*99*99:99:99")).then_some(19)
}

/// True when `text` has a digit wherever `shape` has `9`, anything at `*`, else the same byte.
/// Without branches, so that the compiler compares many bytes at once.
fn has_shape<const N: usize>(text: &[u8; N], shape: &[u8; N]) -> bool {
    let mut is_same = true;
    for (byte, expected) in text.iter().zip(shape) {
        let (low, span) = match expected {
            b'9' => (b'0', 9),
            b'*' => (0, u8::MAX),
            other => (*other, 0),
        };
        is_same &= byte.wrapping_sub(low) <= span;
    }
    is_same
}

/// Reads `Z`, `+hh`, `+hhmm` or `+hh:mm`, with an optional blank before a sign; second is its length.
fn utc_offset(rest: &[u8]) -> (Option<i32>, usize) {
    let blank = usize::from(rest.first() == Some(&b' '));
    let sign = match rest.get(blank) {
        Some(b'Z') if blank == 0 => return (Some(0), 1),
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return (None, 0),
    };
    let digits = &rest[blank + 1..];
    let pair = |at: usize| match digits.get(at..at + 2) {
        Some([a, b]) if a.is_ascii_digit() && b.is_ascii_digit() => {
            Some((number(*a) * 10 + number(*b)) as i32)
        }
        _ => None,
    };
    let Some(hours) = pair(0) else { return (None, 0) };
    let colon = usize::from(digits.get(2) == Some(&b':'));
    let (minutes, len) = match pair(2 + colon) {
        Some(minutes) => (minutes, 4 + colon),
        None => (0, 2),
    };
    if hours > 18 || minutes > 59 {
        return (None, 0);
    }
    (Some(sign * (hours * 3600 + minutes * 60)), blank + 1 + len)
}

fn number(digit: u8) -> u32 {
    u32::from(digit - b'0')
}

/// Turns stamps into Unix time. Remembers the last second and the last offset of the zone, so that
/// the usual record costs one comparison and one addition.
#[derive(Debug)]
pub struct Clock {
    zone: TimeZone,
    /// Text of the last date and time: 17 or 19 bytes.
    last_text: [u8; 19],
    /// The same as seconds since 1970 on the clock on the wall; none for a date that does not exist.
    last_civil_s: Option<i64>,
    /// Quarter of an hour, on the clock on the wall, that `window_offset_s` holds for.
    window: i64,
    window_offset_s: i64,
}

impl Clock {
    /// `zone` is the zone of timestamps that state none.
    #[must_use]
    pub fn new(zone: TimeZone) -> Self {
        let window = i64::MIN;
        Self { zone, last_text: [0; 19], last_civil_s: None, window, window_offset_s: 0 }
    }

    /// Unix nanoseconds of `stamp`, which was found in `line`; none for a date that does not exist
    /// or lies before 1970. In the hour that a clock change skips or repeats, the offset before the
    /// change holds.
    pub fn unix_ns(&mut self, line: &[u8], stamp: &Stamp) -> Option<u64> {
        let text = &line[stamp.second.clone()];
        // No text of one layout starts a text of the other, so the length need not be kept.
        if self.last_text[..text.len()] != *text {
            self.last_text[..text.len()].copy_from_slice(text);
            self.last_civil_s = civil_seconds(text);
        }
        let civil_s = self.last_civil_s?;
        let offset_s = match stamp.utc_offset_s {
            Some(offset_s) => i64::from(offset_s),
            None => self.offset_s(civil_s),
        };
        let unix_s = u64::try_from(civil_s - offset_s).ok()?;
        unix_s.checked_mul(NANOS)?.checked_add(u64::from(stamp.nanos))
    }

    fn offset_s(&mut self, civil_s: i64) -> i64 {
        let window = civil_s.div_euclid(ZONE_WINDOW_SECONDS);
        if window != self.window {
            self.window = window;
            self.window_offset_s = zone_offset_s(&self.zone, civil_s);
        }
        self.window_offset_s
    }
}

fn zone_offset_s(zone: &TimeZone, civil_s: i64) -> i64 {
    let Ok(instant) = jiff::Timestamp::from_second(civil_s) else { return 0 };
    let civil: DateTime = TimeZone::UTC.to_datetime(instant);
    let offset = match zone.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } => before,
    };
    i64::from(offset.seconds())
}

/// Seconds since 1970-01-01 00:00:00 on the same clock; `text` has the shape `second_len` checked.
fn civil_seconds(text: &[u8]) -> Option<i64> {
    let pair = |at: usize| i64::from(number(text[at]) * 10 + number(text[at + 1]));
    // Spark writes two digits of the year; no Spark log is older than 2000.
    let (year, at) =
        if text.len() == 17 { (2000 + pair(0), 3) } else { (pair(0) * 100 + pair(2), 5) };
    let (month, day, hour) = (pair(at), pair(at + 3), pair(at + 6));
    let (minute, second) = (pair(at + 9), pair(at + 12));
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(is_leap),
        _ => return None,
    };
    if day == 0 || day > days || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(days_from_civil(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second)
}

/// Days since 1970-01-01 in the Gregorian calendar.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The reverse of [`days_from_civil`] for days from 1970 on: year, month, day.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// Appends `unix_ns` as `2026-11-22T07:08:15.098000000Z`: 30 bytes, for every `u64`.
pub fn write_rfc3339_nanos(unix_ns: u64, out: &mut Vec<u8>) {
    Rfc3339::default().write(unix_ns, out);
}

/// Writes timestamps and remembers the last one: neighbours mostly differ in the fraction only.
#[derive(Debug)]
pub struct Rfc3339 {
    unix_ns: u64,
    text: [u8; 30],
}

impl Default for Rfc3339 {
    fn default() -> Self {
        Self { unix_ns: 0, text: *b"1970-01-01T00:00:00.000000000Z" }
    }
}

impl Rfc3339 {
    /// Appends what [`write_rfc3339_nanos`] appends.
    pub fn write(&mut self, unix_ns: u64, out: &mut Vec<u8>) {
        if unix_ns != self.unix_ns {
            if unix_ns / NANOS != self.unix_ns / NANOS {
                self.set_second(unix_ns / NANOS);
            }
            self.unix_ns = unix_ns;
            let nanos = (unix_ns % NANOS) as u32;
            // Three groups that do not wait for each other.
            for (group, at) in
                [(nanos / 1_000_000, 20), (nanos / 1000 % 1000, 23), (nanos % 1000, 26)]
            {
                self.text[at] = b'0' + (group / 100) as u8;
                self.set_pair(at + 1, u64::from(group % 100));
            }
        }
        out.extend_from_slice(&self.text);
    }

    fn set_second(&mut self, unix_s: u64) {
        let (year, month, day) = civil_from_days(unix_s / SECONDS_PER_DAY as u64);
        let second_of_day = unix_s % SECONDS_PER_DAY as u64;
        self.set_pair(0, year / 100);
        self.set_pair(2, year % 100);
        self.set_pair(5, month);
        self.set_pair(8, day);
        self.set_pair(11, second_of_day / 3600);
        self.set_pair(14, second_of_day / 60 % 60);
        self.set_pair(17, second_of_day % 60);
    }

    fn set_pair(&mut self, at: usize, value: u64) {
        self.text[at] = b'0' + (value / 10) as u8;
        self.text[at + 1] = b'0' + (value % 10) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, stamp, starts_with_timestamp, write_rfc3339_nanos};
    use jiff::tz::{Offset, TimeZone};
    use proptest::prelude::{ProptestConfig, proptest};

    /// Parses `line` in `zone` and writes the time back in UTC.
    #[track_caller]
    fn check(zone: &TimeZone, line: &str, want: Option<&str>) {
        let bytes = line.as_bytes();
        assert_eq!(starts_with_timestamp(bytes), stamp(bytes).is_some(), "{line}");
        let mut clock = Clock::new(zone.clone());
        let unix_ns = stamp(bytes).and_then(|stamp| clock.unix_ns(bytes, &stamp));
        let mut text = Vec::new();
        if let Some(unix_ns) = unix_ns {
            write_rfc3339_nanos(unix_ns, &mut text);
        }
        assert_eq!(String::from_utf8(text).unwrap(), want.unwrap_or_default(), "{line}");
    }

    #[test]
    fn every_layout_gives_the_time_it_states() {
        let utc = TimeZone::UTC;
        for (line, want) in [
            ("26/11/22 06:39:27.967 INFO", "2026-11-22T06:39:27.967000000Z"),
            ("26/11/22 06:44:55 INFO", "2026-11-22T06:44:55.000000000Z"),
            ("2026-11-22 07:02:58,498 INFO", "2026-11-22T07:02:58.498000000Z"),
            ("2026-11-22T07:02:58.123456789Z", "2026-11-22T07:02:58.123456789Z"),
            ("2026-11-22T07:02:58+02:00 x", "2026-11-22T05:02:58.000000000Z"),
            ("2026-11-22 07:02:58.5 -0330 x", "2026-11-22T10:32:58.500000000Z"),
            ("2026-11-22 07:02:58 +01 x", "2026-11-22T06:02:58.000000000Z"),
            ("[2026-11-22 07:02:58,498] INFO", "2026-11-22T07:02:58.498000000Z"),
            ("2026/11/22-07:01:58.392557 7ffb", "2026-11-22T07:01:58.392557000Z"),
            ("2024-02-29 00:00:00", "2024-02-29T00:00:00.000000000Z"),
            ("00/01/01 00:00:00", "2000-01-01T00:00:00.000000000Z"),
        ] {
            check(&utc, line, Some(want));
        }
    }

    #[test]
    fn dates_that_do_not_exist_and_other_text_have_no_time() {
        for line in
            ["2026-02-29 00:00:00", "26/13/01 00:00:00", "26/11/22 24:00:00", "1969-12-31 00:00:00"]
        {
            assert!(starts_with_timestamp(line.as_bytes()), "{line}");
            check(&TimeZone::UTC, line, None);
        }
        for line in [
            "",
            "26/11/22",
            "26/11/22 06:39",
            "2026-11-22|07:02:58",
            "aa/bb/cc 06:39:27",
            "26-11-22 06:39:27",
        ] {
            assert!(!starts_with_timestamp(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn clock_changes_keep_the_offset_before_them() {
        let Ok(paris) = TimeZone::get("Europe/Paris") else {
            let fixed = TimeZone::fixed(Offset::constant(2));
            return check(&fixed, "2026-07-01 12:00:00", Some("2026-07-01T10:00:00.000000000Z"));
        };
        check(&paris, "2026-07-01 12:00:00", Some("2026-07-01T10:00:00.000000000Z"));
        check(&paris, "2026-01-01 12:00:00", Some("2026-01-01T11:00:00.000000000Z"));
        // Skipped: 02:00 to 03:00 on 29 March. Repeated: 02:00 to 03:00 on 25 October.
        check(&paris, "2026-03-29 02:30:00", Some("2026-03-29T01:30:00.000000000Z"));
        check(&paris, "2026-10-25 02:30:00", Some("2026-10-25T00:30:00.000000000Z"));
        check(&paris, "2026-10-25 03:00:00", Some("2026-10-25T02:00:00.000000000Z"));
    }

    #[test]
    fn the_remembered_second_does_not_leak_into_a_shorter_layout() {
        let mut clock = Clock::new(TimeZone::UTC);
        let mut at = |line: &str| clock.unix_ns(line.as_bytes(), &stamp(line.as_bytes()).unwrap());
        let long = at("2026-11-22 06:39:27").unwrap();
        assert_eq!(at("26/11/22 06:39:27"), Some(long));
        assert_eq!(at("26/11/22 06:39:28"), Some(long + 1_000_000_000));
        assert_eq!(at("2026-11-22 06:39:27"), Some(long));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn writing_then_parsing_gives_the_same_time(unix_ns: u64) {
            let mut text = Vec::new();
            write_rfc3339_nanos(unix_ns, &mut text);
            let stamp = stamp(&text).unwrap();
            assert_eq!(Clock::new(TimeZone::UTC).unix_ns(&text, &stamp), Some(unix_ns));
            // An independent implementation agrees.
            let instant = jiff::Timestamp::from_nanosecond(i128::from(unix_ns)).unwrap();
            assert_eq!(String::from_utf8(text).unwrap(), format!("{instant:.9}"));
        }
    }
}
