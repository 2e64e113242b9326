//! Throughput of redaction on log files, in MB per second of CPU time, beside a plain copy and a
//! byte-class scan of the same bytes in the same run.
//!
//! `cargo bench -p sidelight-redaction -- FILE...`; without files it makes text of its own.
#![allow(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use redaction::{DETECTORS, Redactor, Text};

/// What the tail thread reads at once.
const CHUNK_BYTES: usize = 256 << 10;
const N_RUNS: usize = 9;

fn main() {
    let paths: Vec<_> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let mut inputs: Vec<(String, Vec<u8>)> = paths
        .into_iter()
        .map(|path| (path.clone(), std::fs::read(path).expect("the file is readable")))
        .collect();
    if inputs.is_empty() {
        inputs.push(("log4j lines, 2 % with PII".to_owned(), made_up()));
    }
    for unit in ["@", "4", "4111 ", "password=a ", "1.1.1.1.", "eyJ", "://", "-----BEGIN\n"] {
        inputs.push((format!("hostile: {unit:?}"), unit.repeat((1 << 20) / unit.len()).into()));
    }
    let redactor = Redactor::new();
    println!("MB/s of CPU time, median of {N_RUNS}; chunks of {} KiB", CHUNK_BYTES >> 10);
    for (name, raw) in &inputs {
        let mut text = Text::default();
        let redact = measure(raw, |chunk| {
            text.clear();
            redactor.redact_chunk(black_box(chunk), &mut text);
            black_box(text.as_bytes());
        });
        let mut copy = Vec::with_capacity(2 * CHUNK_BYTES);
        let memcpy = measure(raw, |chunk| {
            copy.clear();
            copy.extend_from_slice(black_box(chunk));
            black_box(&copy);
        });
        let classes = measure(raw, |chunk| {
            let is_hit = |b: &&u8| b.is_ascii_digit() || matches!(b, b'@' | b'.' | b'-' | b':');
            black_box(black_box(chunk).iter().filter(is_hit).count());
        });
        println!("redact {redact:6.0}  byte classes {classes:6.0}  memcpy {memcpy:6.0}  {name}");
    }
    println!("{:?}", redactor.counts());
}

/// Megabytes per CPU second of `step` over the line-aligned chunks of `raw`.
fn measure(raw: &[u8], mut step: impl FnMut(&[u8])) -> f64 {
    // The scheduler counts in ticks of some milliseconds, so short work is repeated.
    let mut pass = || {
        let mut rest = raw;
        while !rest.is_empty() {
            let limit = rest.len().min(CHUNK_BYTES);
            let end = memchr::memrchr(b'\n', &rest[..limit]).map_or(limit, |i| i + 1);
            step(&rest[..end]);
            rest = &rest[end..];
        }
    };
    let start = Instant::now();
    let mut n_passes = 0;
    while start.elapsed() < Duration::from_millis(100) {
        pass();
        n_passes += 1;
    }
    let mut times: Vec<Duration> = (0..N_RUNS)
        .map(|_| {
            let before = cpu_time();
            (0..n_passes).for_each(|_| pass());
            cpu_time().saturating_sub(before)
        })
        .collect();
    times.sort_unstable();
    (raw.len() * n_passes) as f64 / 1e6 / times[N_RUNS / 2].as_secs_f64().max(1e-9)
}

/// CPU time of the main thread, from the scheduler (nanoseconds; first field).
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanoseconds = stat.split(' ').next().and_then(|field| field.parse().ok());
    Duration::from_nanos(nanoseconds.expect("a number"))
}

/// 32 MB of log4j lines, one in fifty with a sample of a detector.
fn made_up() -> Vec<u8> {
    let mut raw = Vec::new();
    let samples: Vec<_> = DETECTORS.iter().flat_map(|d| d.rule().positive).collect();
    for n in 0_usize.. {
        let line = format!(
            "25/11/22 06:26:22 INFO TaskSetManager: Starting task {n}.0 in stage {}.0 (TID {n}) \
             (vm, executor {}, partition {n}, PROCESS_LOCAL, {} bytes)\n",
            n / 100,
            n % 8,
            n * 37
        );
        raw.extend_from_slice(line.as_bytes());
        if n % 50 == 0 {
            let sample = samples[n / 50 % samples.len()].replace(['«', '»'], "");
            raw.extend_from_slice(sample.as_bytes());
            raw.push(b'\n');
        }
        if raw.len() > 32 << 20 {
            return raw;
        }
    }
    raw
}
