//! The checkpoint with as many files as it may hold: `cargo bench --bench checkpoint`.
//!
//! All files are gone, as after months of short jobs. The folder is a temporary one, on whatever
//! disk `TMPDIR` names.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints and may panic")]

use sidelight::checkpoint::{CURRENT, Checkpoint, ENTRIES_MAX, Entry, Event, Store};
use sidelight::model::{FileId, Position};
use sidelight::tail::fingerprint::{Digest, Inode};
use std::hint::black_box;
use std::time::{Duration, Instant};

const NOW_UNIX_S: u64 = 1_800_000_000;

/// Entries expire after two weeks.
const MONTH_S: u64 = 30 * 24 * 3600;

const N_EVENTS: u64 = 1_000_000;

fn entry(number: u64) -> Box<Entry> {
    let (application, executor) = (number / 20, number % 20);
    let job_id = format!("app-20260101000000-{application:04}");
    Box::new(Entry {
        path: format!("/var/log/spark/work/{job_id}/{executor}/stderr").into(),
        inode: Inode { device: 64_768, inode: 1_000_000 + number },
        head: Digest::of(&number.to_le_bytes()),
        offset: number * 1_000,
        frontier: Digest::of(job_id.as_bytes()),
        job_id: Some(job_id),
        job_name: Some("nightly-orders".to_owned()),
        seen_unix_s: NOW_UNIX_S,
        archive: None,
        is_ended: false,
    })
}

fn memory(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

fn measure<T>(what: &str, mut work: impl FnMut() -> T) -> T {
    let began = Instant::now();
    let done = work();
    let took = began.elapsed();
    let (now, peak) = (memory("VmRSS"), memory("VmHWM"));
    println!("{what:44} {took:>10.1?}   memory now {now:4} MiB, most {peak:4} MiB");
    done
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(folder.path(), NOW_UNIX_S).unwrap();
    let mut checkpoint = Checkpoint::default();
    let n_entries = ENTRIES_MAX as u64;
    println!("{n_entries} files");
    measure("hear of them", || {
        for number in 0..n_entries {
            let now_unix_s = NOW_UNIX_S + number / 1_000;
            checkpoint.apply(Event::Tracked(FileId(number), entry(number)), now_unix_s);
        }
    });
    measure("write", || store.write(checkpoint.entries()).unwrap());
    measure("write again", || store.write(checkpoint.entries()).unwrap());
    let bytes = std::fs::metadata(folder.path().join(CURRENT)).unwrap().len();
    println!("{:44} {:>6} MiB", "size of the file", bytes >> 20);
    drop(store);

    let mut settled = 0;
    let took = measure("1,000,000 positions settle", || {
        let began = Instant::now();
        for number in 0..N_EVENTS {
            settled += 1;
            let file = FileId(number.wrapping_mul(0x9e37_79b9) % n_entries);
            let offset = n_entries * 1_000 + settled;
            let position = Position { file, offset, frontier: Digest::default() };
            checkpoint.apply(Event::Settled(position), NOW_UNIX_S + 1_000 + number / 10_000);
        }
        began.elapsed()
    });
    println!("{:44} {:>10.1?}", "  each", took / N_EVENTS as u32);
    let n_new = 100_000;
    let took: Duration = measure("100,000 new files while it is full", || {
        let began = Instant::now();
        for number in n_entries..n_entries + n_new {
            let event = Event::Tracked(FileId(number), entry(number));
            checkpoint.apply(event, NOW_UNIX_S + 2_000);
        }
        began.elapsed()
    });
    println!("{:44} {:>10.1?}", "  each", took / n_new as u32);
    drop(checkpoint);

    let loaded = measure("start: load all", || Store::open(folder.path(), NOW_UNIX_S).unwrap().1);
    assert_eq!(loaded.entries.len(), ENTRIES_MAX);
    let checkpoint = measure("take them over", || Checkpoint::new(loaded.entries.clone()));
    black_box(checkpoint);
    drop(loaded);
    let loaded = measure("start a month later: load, look, expire all", || {
        Store::open(folder.path(), NOW_UNIX_S + MONTH_S).unwrap().1
    });
    assert!(loaded.entries.is_empty());
}
