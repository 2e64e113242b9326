//! IP_ADDRESS: IPv4 in dotted decimal and IPv6. A port, a path, a prefix length or brackets around
//! it stay.

mod v6;

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::haystack::Haystack;
use crate::lexis::{backward, forward, has_before, unicode_escape_end, word_after, word_before};
use crate::shapes::Shape;
use crate::spans::Found;

/// Dotted numbers this long are none of four; they are looked at in part.
const ADDRESS_BYTES_MAX: usize = 32;

/// How far a run that is longer than any address is looked through at once.
const RUN_BYTES_MAX: usize = 4096;

/// Finds addresses of the Internet Protocol.
#[derive(Debug)]
pub(crate) struct IpAddress;

impl Detector for IpAddress {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "IP_ADDRESS",
            family: Family::Network,
            confidence: Confidence::High,
            validator: "octets, or groups",
            shapes: &[Shape::DottedQuad, Shape::Colons],
            positive: &[
                "Registered executor (spark-client://Executor) («203.0.113.42»:55087) with ID 1",
                "Connecting to vm/«10.0.0.1»:7077, retry on «127.0.0.1»",
                r#"{"msg":"peers:\n«10.0.0.2»\n«10.0.0.3»","host":"«10.0.0.4»"}"#,
                "hadoop «10.3.4.0» spark://«3.3.4.0»:7077 to spark/«10.0.0.1»",
                "Bind «0.0.0.0». Range «10.0.0.1»-«10.0.0.9», net «192.168.0.0»/16",
                "tm_«10.0.0.5»:41234-1a2b and Some(executor_«10.0.0.5»_driver)",
                "pool BP-929597290-«192.168.1.1»-1418021432511:blk_1073741825_1001",
                "24/02/13 18:25:47 INFO NetUtil: peer «2001:db8:fe08::dff:16» up, [«::1»]:7077, «fe80::5%eth0».",
                r#"{"bind":"«0:0:0:0:0:0:0:0»","to":"/«fd00:1:2:3:4:5:6:7»:8081","v4":"\n«::ffff:10.0.0.1»"}"#,
            ],
            negative: &[
                "versions 1.2.3 and 1.2.3.4.5 and 2.10.1.0-amzn-0 and v1.2.3.4 and 1.2.3.4-315",
                "jackson-databind-2.13.4.2.jar in spark-3.5.1.2",
                "built with hadoop 3.3.4.0 and Hive/3.1.3.1, Spark 3.5.1.2 of release 1.2.3.4",
                "256.1.1.1 1.2.3.400 01.2.3.4 1..2.3.4 10.0.0.1.nip.io text192.168.1.1",
                r#"openjdk version "11.0.20.1" 2023-08-24, version 17.0.8.1, 17/11.0.20.1+9-LTS"#,
                "at Foo::bar, std::vector, a::b, dead::beef, f64::NAN, 1 :: 2 :: Nil, `x[::2]`, ::, user::1234",
                "24-02-13 12:34:56:789 ratings 1::1193::5::978300760 hex 00:1a:2b:3c:4d:5e:6f:70 fe80::1text",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        if raw[anchor.start] == b':' {
            match v6::Run::around(raw, anchor.start) {
                v6::Run::Long(end) => found.looked_until(end),
                v6::Run::Short(run) => found.extend(v6::find(raw, run, anchor.start)),
            }
            return;
        }
        let is_address = |b: u8| b.is_ascii_digit() || b == b'.';
        let begin = anchor.start.saturating_sub(ADDRESS_BYTES_MAX);
        let start = backward(raw, anchor.start, begin, is_address);
        if start == begin && begin > 0 {
            let end = forward(raw, anchor.start, anchor.start + RUN_BYTES_MAX, is_address);
            return found.looked_until(end);
        }
        let end = forward(raw, anchor.start, anchor.start + ADDRESS_BYTES_MAX, is_address);
        let start = unicode_escape_end(raw, start).min(end);
        let start = forward(raw, start, end, |b| b == b'.');
        let end = backward(raw, end, start, |b| b == b'.');
        if is_ipv4(&raw[start..end]) && stands_alone(raw, &(start..end)) {
            found.push(start..end);
        }
    }
}

fn is_ipv4(text: &[u8]) -> bool {
    let mut n_parts = 0;
    for part in text.split(|b| *b == b'.') {
        n_parts += 1;
        let value =
            part.iter().take(3).fold(0, |sum, d| sum * 10 + u32::from(d.wrapping_sub(b'0')));
        let has_leading_zero = part.len() > 1 && part[0] == b'0';
        let is_octet = matches!(part.len(), 1..=3)
            && part.iter().all(u8::is_ascii_digit)
            && value < 256
            && !has_leading_zero;
        if n_parts > 4 || !is_octet {
            return false;
        }
    }
    n_parts == 4
}

/// False inside names, versions and longer dotted numbers.
fn stands_alone(raw: &[u8], range: &Range<usize>) -> bool {
    let (start, end) = (range.start, range.end);
    let digit_at = |i: usize| raw.get(i).is_some_and(u8::is_ascii_digit);
    let after_hyphen = start > 0 && raw[start - 1] == b'-';
    let number_before = after_hyphen && start > 1 && digit_at(start - 2);
    let name_before = after_hyphen && start > 1 && raw[start - 2].is_ascii_alphabetic();
    // Flink's `tm_10.0.0.5:41234-1a2b` and Spark's `executor_10.0.0.5_driver` hold addresses.
    let in_word = word_before(raw, start) && raw[start - 1] != b'_';
    let joined = match raw.get(end) {
        Some(b'.') => word_after(raw, end + 1),
        Some(b'_') => false,
        Some(b'+') => true,
        // `10.0.0.1-10.0.0.9` is a range and `10.0.0.1-1418021432511` names a block pool;
        // `3.1.4.0-315` and `1.2.3.4-SNAPSHOT` are versions.
        Some(b'-') => {
            let digits = forward(raw, end + 1, end + 12, |b| b.is_ascii_digit()) - end - 1;
            let is_range = (1..=3).contains(&digits) && raw.get(end + 1 + digits) == Some(&b'.');
            word_after(raw, end + 1) && !number_before && !is_range && digits < 10
        }
        _ => word_after(raw, end),
    };
    // What has a port is no version.
    let has_port = raw.get(end) == Some(&b':') && digit_at(end + 1);
    !joined && !name_before && !in_word && (has_port || !follows_version_word(raw, start))
}

/// Products whose versions are written behind their name.
const PRODUCTS: &[&[u8]] = &[
    b"hadoop",
    b"hive",
    b"hbase",
    b"spark",
    b"flink",
    b"kafka",
    b"zookeeper",
    b"hdp",
    b"cdh",
    b"cdp",
    b"mapr",
    b"java",
    b"jre",
    b"jdk",
    b"tez",
    b"release",
];

fn follows_version_word(raw: &[u8], start: usize) -> bool {
    // Of the versions of these the first number has one digit, of most addresses it has more.
    let is_small = raw.get(start + 1) == Some(&b'.');
    let name_end = start.saturating_sub(1);
    let is_named = is_small && matches!(raw.get(name_end), Some(b' ' | b'/')) && {
        let begin = name_end.saturating_sub(12);
        let name = backward(raw, name_end, begin, |b| b.is_ascii_alphanumeric());
        PRODUCTS.iter().any(|product| raw[name..name_end].eq_ignore_ascii_case(product))
    };
    if is_named {
        return true;
    }
    let is_joint = |b: u8| matches!(b, b' ' | b'"' | b'\\' | b'=' | b':' | b'\'');
    has_before(raw, backward(raw, start, start.saturating_sub(6), is_joint), b"version")
}

#[cfg(test)]
mod tests {
    use super::is_ipv4;

    #[test]
    fn every_octet_from_0_to_255_and_no_other_number_is_valid() {
        for octet in 0..2000 {
            for (place, text) in
                [format!("{octet}.0.0.0"), format!("10.0.0.{octet}")].iter().enumerate()
            {
                assert_eq!(is_ipv4(text.as_bytes()), octet < 256, "{text} {place}");
            }
        }
    }
}
