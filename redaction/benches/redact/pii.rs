//! Log lines with one piece of PII or one secret, made up and valid to the check digit.

use std::io::Write;

use crate::corpus::{Clock, Random};

const DIGITS: &[u8] = b"0123456789";
const HEX: &[u8] = b"0123456789abcdef";
const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const UPPER_DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const LOWER_DIGITS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const BASE62: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const N_KINDS: u64 = 18;

/// Appends one record with PII of a kind chosen at random; that of a key block has several lines.
pub(crate) fn line(random: &mut Random, now: &Clock, raw: &mut Vec<u8>) {
    let (spark, flink, row) = (now.spark(), now.flink(), random.below(100_000));
    let message = match random.below(N_KINDS) {
        0 => format!("INFO OrdersJob: processed order {row} for {} in partition 7", email(random)),
        1 => format!("WARN Payments: rejected record {row}, pan={} amount=19.99", card(random)),
        2 => format!("INFO OrdersJob: applicant ssn {} row {row}", ssn(random)),
        3 => format!(
            "INFO BlockManagerMasterEndpoint: Registering block manager {}:{}",
            ipv4(random),
            30_000 + row % 9999
        ),
        4 => format!("DEBUG Gateway: peer [{}]:9092 connected, {row} in flight", ipv6(random)),
        5 => format!("INFO Devices: reading {row} from sensor {} ok", mac(random)),
        6 => format!("INFO Payouts: transfer {row} to {} booked", iban(random)),
        7 => format!("INFO Notify: sms {row} to {} queued", phone(random)),
        8 => format!(
            "DEBUG S3AFileSystem: using access key id {}{} for bucket lake-prod",
            random.pick(&["AKIA", "ASIA"]),
            random.text(UPPER_DIGITS, 16)
        ),
        9 => format!("DEBUG Session: refreshed {} for user {row}", jwt(random)),
        10 => format!(
            "INFO Deploy: cloning with {}{} into /tmp/job-{row}",
            random.pick(&["ghp_", "gho_", "ghs_"]),
            random.text(BASE62, 36)
        ),
        11 => format!(
            "WARN Alerts: posting with xoxb-{}-{}-{} failed",
            random.text(DIGITS, 12),
            random.text(DIGITS, 13),
            random.text(BASE62, 24)
        ),
        12 => format!(
            "DEBUG Geo: GET /maps/api/geocode with AIza{} row {row}",
            random.text(BASE62, 35)
        ),
        13 => format!(
            "INFO JDBCRelation: opening postgresql://etl_{}:{}@db.prod.corp:5432/sales",
            row % 9,
            random.text(BASE62, 14)
        ),
        14 => format!(
            "DEBUG SparkConf: {}={}",
            random.pick(&[
                "spark.hadoop.fs.s3a.secret.key",
                "spark.ssl.keyPassword",
                "db.password"
            ]),
            random.text(BASE62, 24)
        ),
        15 => format!(
            "DEBUG HttpClient: >> Authorization: {} {}",
            random.pick(&["Bearer", "Basic"]),
            random.text(BASE62, 40)
        ),
        16 => return key_block(random, &spark, raw),
        _ => presigned(random),
    };
    let written = if row.is_multiple_of(2) {
        writeln!(raw, "{spark} {message}")
    } else {
        let (level, rest) = message.split_once(' ').unwrap_or(("INFO", &message));
        writeln!(raw, "{flink} {level:5} com.acme.orders.OrdersJob                  [] - {rest}")
    };
    written.expect("a Vec takes every byte");
}

fn email(random: &mut Random) -> String {
    let (name, tag) =
        (random.pick(&["jane.doe", "m.mueller", "li_wei", "o.okafor"]), random.below(9999));
    format!("{name}{tag}@{}", random.pick(&["example.com", "mail.example.co.uk", "example.org"]))
}

fn card(random: &mut Random) -> String {
    let brand = random.pick(&["4", "51", "55", "2223", "6011"]);
    let body = format!("{brand}{}", random.text(DIGITS, 15 - brand.len() as u64));
    let sum: u32 = (0..).zip(body.bytes().rev()).map(|(place, byte)| luhn_part(place, byte)).sum();
    let number = format!("{body}{}", (10 - sum % 10) % 10);
    match random.below(3) {
        0 => number,
        1 => [&number[..4], &number[4..8], &number[8..12], &number[12..]].join(" "),
        _ => [&number[..4], &number[4..8], &number[8..12], &number[12..]].join("-"),
    }
}

/// What a digit adds to the check sum when the check digit is still missing.
fn luhn_part(place: u32, byte: u8) -> u32 {
    let digit = u32::from(byte - b'0');
    if place.is_multiple_of(2) { digit * 2 % 10 + digit / 5 } else { digit }
}

fn ssn(random: &mut Random) -> String {
    let (area, group) = (random.below(600) + 1, random.below(99) + 1);
    format!("{area:03}-{group:02}-{:04}", random.below(9999) + 1)
}

fn ipv4(random: &mut Random) -> String {
    let mut octet = || random.below(255) + 1;
    format!("{}.{}.{}.{}", octet(), octet(), octet(), octet())
}

fn ipv6(random: &mut Random) -> String {
    let mut group = || random.below(0xFFFF) + 1;
    let (a, b, c, d) = (group(), group(), group(), group());
    if a.is_multiple_of(2) {
        format!("2001:db8:{b:x}::{c:x}:{d:x}")
    } else {
        format!("2001:db8:{a:x}:{b:x}:{c:x}:{d:x}:{:x}:{:x}", group(), group())
    }
}

fn mac(random: &mut Random) -> String {
    let parts: Vec<String> = (0..6).map(|_| random.text(HEX, 2)).collect();
    parts.join(random.pick(&[":", "-"]))
}

/// ISO 13616: the number with the country behind it, letters as two digits, is 1 modulo 97.
fn iban(random: &mut Random) -> String {
    let (country, bank, n_digits) = match random.below(3) {
        0 => ("DE", String::new(), 18),
        1 => ("GB", random.text(UPPER, 4), 14),
        _ => ("NL", random.text(UPPER, 4), 10),
    };
    let account = bank + &random.text(DIGITS, n_digits);
    let rest = format!("{account}{country}00").bytes().fold(0, |rest: u32, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    });
    let number = format!("{country}{:02}{account}", 98 - rest);
    if random.below(2) == 0 {
        return number;
    }
    let groups: Vec<&str> =
        (0..number.len()).step_by(4).map(|at| &number[at..number.len().min(at + 4)]).collect();
    groups.join(" ")
}

fn phone(random: &mut Random) -> String {
    match random.below(3) {
        0 => format!("+4915{}", random.text(DIGITS, 9)),
        1 => format!("+1 415 555 {:04}", random.below(10_000)),
        _ => format!("+44 20 7946 {:04}", random.below(10_000)),
    }
}

fn jwt(random: &mut Random) -> String {
    let (n_payload, n_signature) = (60 + random.below(120), 43);
    let payload = random.text(BASE62, n_payload);
    format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIi{payload}.{}", random.text(BASE62, n_signature))
}

fn presigned(random: &mut Random) -> String {
    let key = random.text(LOWER_DIGITS, 12);
    if random.below(2) == 0 {
        format!(
            "DEBUG Http: GET https://lake.s3.amazonaws.com/{key}?X-Amz-Date=20261122T070000Z\
             &X-Amz-Expires=900&X-Amz-Signature={}",
            random.text(HEX, 64)
        )
    } else {
        let signature = random.text(BASE62, 42);
        format!(
            "DEBUG Http: GET https://acme.blob.core.windows.net/c/{key}?sv=2024-11-04&sig={signature}%3D"
        )
    }
}

fn key_block(random: &mut Random, time: &str, raw: &mut Vec<u8>) {
    let mut block =
        format!("{time} WARN Vault: unexpected reply\n-----BEGIN RSA PRIVATE KEY-----\n");
    for _ in 0..12 {
        block += &random.text(BASE62, 64);
        block.push('\n');
    }
    writeln!(raw, "{block}{}==\n-----END RSA PRIVATE KEY-----", random.text(BASE62, 22))
        .expect("a Vec takes every byte");
}
