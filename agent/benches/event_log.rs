//! Speed and memory of the reader of event logs, on a gigabyte.
//!
//! `SIDELIGHT_EVENT_LOG` names a plain event log, else a small recorded one is taken. It is repeated with
//! other stage numbers each time, so that the state grows as that of a long run does. Speed is
//! megabytes of JSON per CPU second of this thread, memory the most that the process ever had.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use redaction::Redactor;
use sidelight::event_log::EventLog;
use std::hint::black_box;
use std::sync::Arc;

const TOTAL_BYTES: u64 = 1_000_000_000;
const CHUNK_BYTES: usize = 256 << 10;
const STAGE: &[u8] = b"\"Stage ID\":";

fn main() {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/spark/eventlog.jsonl");
    let path = std::env::var("SIDELIGHT_EVENT_LOG").unwrap_or_else(|_| fixture.to_owned());
    let original = std::fs::read(&path).expect("SIDELIGHT_EVENT_LOG is a readable file");
    let (mut log, mut copy) = (EventLog::new(Arc::new(Redactor::new())), Vec::new());
    let mut seconds = 0.0;
    for repeat in 0.. {
        if log.tally().n_bytes >= TOTAL_BYTES {
            break;
        }
        renumber(&original, repeat * 1_000, &mut copy);
        let before = cpu_seconds();
        for chunk in copy.chunks(CHUNK_BYTES) {
            log.feed(black_box(chunk));
        }
        seconds += cpu_seconds() - before;
    }
    let (tally, stages) = (log.tally(), &log.run().stages);
    assert_eq!(tally.n_broken_lines, 0, "every event is read");
    let megabytes = tally.n_bytes as f64 / 1e6;
    println!("{path}: {megabytes:.0} MB, {} events", tally.n_events);
    println!("  {:>7.0} MB per CPU second", megabytes / seconds);
    println!("  {:>7.1} MiB at most, the copy of the log included", peak_mebibytes());
    println!("  {:>7} stages kept, {} forgotten", stages.iter().count(), stages.n_forgotten());
}

/// Adds `offset` to every stage number of `original`.
fn renumber(original: &[u8], offset: u32, copy: &mut Vec<u8>) {
    copy.clear();
    let mut done = 0;
    for at in memchr::memmem::find_iter(original, STAGE) {
        let start = at + STAGE.len();
        let digits = original[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = std::str::from_utf8(&original[start..start + digits]).expect("digits");
        // Spark numbers no stage with -1.
        let Ok(number) = number.parse::<u32>() else { continue };
        copy.extend_from_slice(&original[done..start]);
        copy.extend_from_slice((number + offset).to_string().as_bytes());
        done = start + digits;
    }
    copy.extend_from_slice(&original[done..]);
}

/// CPU time of this thread. Source: proc(5), `/proc/[pid]/schedstat`, first field, nanoseconds.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has schedstat");
    let nanos = text.split(' ').next().and_then(|field| field.parse::<f64>().ok());
    nanos.expect("the first field is a number") / 1e9
}

/// Most resident memory so far. Source: proc(5), `/proc/[pid]/status`, `VmHWM`, KiB.
fn peak_mebibytes() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux has status");
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    number.expect("VmHWM is a number") / 1024.0
}
