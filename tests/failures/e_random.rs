//! E: lines that nobody would write, at times that nobody would set, through an agent whose CloudWatch
//! fails now and then: every rule is kept, and every line is accounted for.

use super::e_bed::{Cloud, STREAM, now_ms};
use crate::cloudwatch::fault::Fault;
use crate::harness::report::say;
use std::collections::BTreeMap;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Numbers that are the same for the same seed (splitmix64).
struct Random(u64);

impl Random {
    /// The next one below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }

    fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap()
    }

    /// A time of a line, and whether CloudWatch takes it.
    fn time(&mut self, now_ms: i64) -> (i64, bool) {
        let jitter = i64::try_from(self.below(60_000)).unwrap();
        match self.below(12) {
            0 => (now_ms - 3 * DAY_MS - jitter, true),
            1 => (now_ms - 13 * DAY_MS - jitter, true),
            2 => (now_ms - 15 * DAY_MS - jitter, false),
            3 => (now_ms + 3 * HOUR_MS + jitter, false),
            4 => (now_ms + HOUR_MS + jitter, true),
            5 => (now_ms - i64::try_from(self.below(40)).unwrap() * HOUR_MS, true),
            _ => (now_ms - jitter, true),
        }
    }

    /// The text of a line.
    fn text(&mut self) -> Vec<u8> {
        const PIECES: [&[u8]; 14] = [
            b"a",
            b"\xff",
            b"\xe2\x82",
            b"\r",
            b"\0",
            b"\\",
            b"\"",
            b"\t\x01\x7f",
            b"\x1b[31m",
            "\u{1F600}".as_bytes(),
            "\u{20AC}".as_bytes(),
            "\u{FFFF}".as_bytes(),
            b"{}",
            b" line ",
        ];
        match self.below(40) {
            0..5 => Vec::new(),
            5..10 => vec![b'x'],
            // One in a while is longer than an event may be, as it is or once it is escaped.
            10 if self.below(8) == 0 => PIECES[self.index(PIECES.len())].repeat(200_000),
            _ => {
                let n_pieces = self.below(200);
                (0..n_pieces).flat_map(|_| PIECES[self.index(PIECES.len())].to_vec()).collect()
            }
        }
    }
}

#[test]
fn e_random_lines_at_random_times_keep_every_rule_and_are_all_accounted_for() {
    for seed in 1..=3 {
        let mut random = Random(seed);
        let mut cloud = Cloud::new();
        cloud.fake.set_fault(Fault::throttle().ratio(0.1, seed));
        cloud.fake.set_fault(Fault::server_error(503).ratio(0.05, seed + 10));
        let mut are_valid = BTreeMap::new();
        let mut write = |cloud: &mut Cloud, random: &mut Random, n_lines: usize| {
            for file in 0..4 {
                let (name, now_ms) = (format!("{file}.log"), now_ms());
                for _ in 0..n_lines {
                    let ((time_ms, is_valid), text) = (random.time(now_ms), random.text());
                    let mark = cloud.write_lines(&name, &[(time_ms, &text)]);
                    are_valid.insert(mark, is_valid);
                }
            }
        };
        write(&mut cloud, &mut random, 1_000);
        cloud.start();
        write(&mut cloud, &mut random, 200);
        let fates = cloud.finish(0);
        for (mark, is_valid) in &are_valid {
            let fate = &fates[mark];
            let is_right =
                (fate.n_accepted, fate.dead.len()) == if *is_valid { (1, 0) } else { (0, 1) };
            assert!(is_right, "seed {seed}: {mark} is valid: {is_valid}, and {fate:?}");
        }
        let n_parts = check_parts(&cloud);
        let n_bytes: usize = cloud.requests("PutLogEvents").iter().map(|it| it.bytes).sum();
        say(&format!("e_random: {} lines, {n_bytes} bytes, {n_parts} parts", are_valid.len()));
    }
}

/// Every record that came in parts has all of them; how many there are.
fn check_parts(cloud: &Cloud) -> usize {
    let mut parts: BTreeMap<(String, u64, usize), Vec<usize>> = BTreeMap::new();
    for file in 0..4 {
        let name = format!("{file}.log");
        for event in cloud.fake.events(&Cloud::group(&name), STREAM) {
            let message: serde_json::Value = serde_json::from_str(&event.message).unwrap();
            let Some(part) = message["part"].as_str() else { continue };
            let (number, of) = part.split_once('/').unwrap();
            let offset = message["offset"].as_u64().unwrap();
            let key = (name.clone(), offset, of.parse().unwrap());
            parts.entry(key).or_default().push(number.parse().unwrap());
        }
    }
    for ((name, offset, of), numbers) in &parts {
        let wanted: Vec<usize> = (1..=*of).collect();
        assert_eq!(*numbers, wanted, "{name} at {offset}");
    }
    parts.values().map(Vec::len).sum()
}
