//! Speed of the hot path: tail, split, redact, parse, batch, encode. Megabytes of log per CPU second.
//!
//! `SIDELIGHT_TEST_CAPTURES` names a folder with log files, plain or `.zst` (needs the `zstd` command);
//! without it, deterministic lines are made. Each figure is the median of 9 runs of the real tail
//! thread over a file, measured as that thread's CPU time, so that a busy machine does not distort
//! it. `cat` and `wc -l` read the same file in the same run, as the floor.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use redaction::{Redactor, Text};
use sidelight::config;
use sidelight::encode::JsonEncoder;
use sidelight::identity::Identity;
use sidelight::model::{LogBatch, Position};
use sidelight::parse::split::Splitter;
use sidelight::policy::Redactors;
use sidelight::tail::batch::BatchLimits;
use sidelight::tail::discover::Finder;
use sidelight::tail::{self, Start, Stop, Tail};
use std::collections::BTreeMap;
use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

const PASSES: usize = 9;
/// Bytes that the tail thread hands to the redactor at a time, about.
const CHUNK_BYTES: usize = 256 << 10;
/// `cat` and `wc` are measured in ticks of 10 ms, so they read the file this often.
const FLOOR_REPEATS: usize = 20;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (index, (name, log)) in logs().into_iter().enumerate() {
        let megabytes = log.len() as f64 / 1e6;
        let path = folder.path().join(format!("{index}.log"));
        std::fs::write(&path, &log).expect("the temporary folder takes the log");
        println!("{name}: {megabytes:.1} MB");
        for program in [&["cat"][..], &["wc", "-l"]] {
            report(&program.join(" "), megabytes, floor_seconds(program, &path), 0);
        }
        let redactors = Arc::new(Redactors::default());
        let steps: [(&str, &dyn Fn() -> usize); 4] = [
            ("read, split into records, discard", &|| split(&path)),
            ("redact", &|| redact(redactors.base(), &log)),
            ("tail, redact, parse, batch", &|| follow(&redactors, &path, false)),
            ("tail, redact, parse, batch, encode", &|| follow(&redactors, &path, true)),
        ];
        for (label, step) in steps {
            let mut count = 0;
            let mut seconds: Vec<f64> = (0..PASSES)
                .map(|_| {
                    let before = cpu_seconds();
                    count = black_box(step());
                    cpu_seconds() - before
                })
                .collect();
            seconds.sort_by(f64::total_cmp);
            report(label, megabytes, seconds[PASSES / 2], count);
        }
    }
}

fn report(label: &str, megabytes: f64, seconds: f64, n_records: usize) {
    let speed = megabytes / seconds;
    let per_record = match n_records {
        0 => String::new(),
        n => format!(", {:.0} ns a record, {n} records", seconds * 1e9 / n as f64),
    };
    println!("  {label:<35} {speed:>7.0} MB per CPU second{per_record}");
}

/// Reads as the tail thread does and finds the records; gives their number.
fn split(path: &Path) -> usize {
    let mut file = File::open(path).expect("the log was just written");
    let (mut splitter, mut starts, mut buffer) = (Splitter::default(), Vec::new(), Vec::new());
    let mut count = 0;
    loop {
        let read = file.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut buffer);
        if read.expect("the log is readable") == 0 {
            return count + starts.len();
        }
        splitter.advance(&buffer, &mut starts);
        // The open record stays.
        let open = starts.last().map_or(0, |start| *start as usize);
        count += starts.len().saturating_sub(1);
        buffer.drain(..black_box(open));
        starts.clear();
        starts.push(0);
        splitter.consumed(open);
    }
}

fn redact(redactor: &Redactor, log: &[u8]) -> usize {
    let mut text = Text::default();
    for chunk in log.chunks(CHUNK_BYTES) {
        text.clear();
        redactor.redact_chunk(chunk, &mut text);
        black_box(&text);
    }
    0
}

/// Runs the tail thread's own loop over the file, in this thread; gives the number of records.
fn follow(redactors: &Arc<Redactors>, path: &Path, is_encoded: bool) -> usize {
    let config = tail::Config {
        include: vec![path.display().to_string()],
        read_from: tail::ReadFrom::Beginning,
        identity_wait: config::Interval::from_millis(0),
        ..tail::Config::default()
    };
    let (events, _positions) = mpsc::channel(1024);
    let (_jobs, jobs) = watch::channel(Arc::default());
    let limits = config::Batch::default();
    let start = Start {
        finder: Finder::new(&config.include, &[], Vec::new()).expect("a path is a glob"),
        config,
        limits: BatchLimits {
            bytes_max: usize::try_from(limits.bytes_max.0).expect("the default is small"),
            records_max: limits.records_max,
            age_max: limits.age_max.0,
            open_bytes_max: usize::MAX,
        },
        redactors: redactors.clone(),
        identity: Arc::new(Identity::new(
            redactors.base().clone(),
            &config::Job::default(),
            &BTreeMap::new(),
            "",
        )),
        jobs,
        events,
        entries: Vec::new(),
        exit_when_idle: Some(Duration::ZERO),
    };
    let stop = Stop::new().expect("a descriptor is left");
    let mut encoder = JsonEncoder::default();
    let (mut out, mut count) = (Vec::new(), 0);
    let mut emit = |logs: LogBatch, position: Position| {
        count += logs.records.len();
        if is_encoded {
            out.clear();
            for record in &logs.records {
                encoder.encode(&logs, record, &mut out);
            }
        }
        black_box((&logs, &out, position));
        Ok(())
    };
    let tail = Tail::new(start, std::time::Instant::now());
    Box::new(tail).run(jiff::tz::TimeZone::UTC, &stop, &mut emit, &|| true);
    count
}

/// CPU seconds of `program` for one pass over the file.
fn floor_seconds(program: &[&str], path: &Path) -> f64 {
    let before = children_seconds();
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).args(std::iter::repeat_n(path, FLOOR_REPEATS));
    command.stdout(std::process::Stdio::null());
    assert!(command.status().is_ok_and(|status| status.success()), "{program:?} runs");
    (children_seconds() - before) / FLOOR_REPEATS as f64
}

/// CPU time of children that ended. Source: proc(5), `/proc/[pid]/stat`, `cutime` and `cstime`, the
/// 14th and 15th field after the name, in ticks of 10 ms.
fn children_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").expect("Linux has stat");
    let (_, fields) = text.rsplit_once(')').expect("the name stands in parentheses");
    let ticks = fields.split_whitespace().skip(13).take(2);
    ticks.map(|field| field.parse::<f64>().expect("ticks are a number")).sum::<f64>() / 100.0
}

/// CPU time of this thread. Source: proc(5), `/proc/[pid]/schedstat`, first field, nanoseconds.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has schedstat");
    let nanos = text.split(' ').next().and_then(|field| field.parse::<f64>().ok());
    nanos.expect("the first field is a number") / 1e9
}

fn logs() -> Vec<(String, Vec<u8>)> {
    let Ok(folder) = std::env::var("SIDELIGHT_TEST_CAPTURES") else {
        println!("SIDELIGHT_TEST_CAPTURES is not set: made-up lines instead of captures");
        return vec![("synthetic log4j".to_owned(), synthetic())];
    };
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .expect("SIDELIGHT_TEST_CAPTURES is a readable folder")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.to_string_lossy();
            name.ends_with(".log") || name.ends_with(".log.zst")
        })
        .collect();
    paths.sort();
    paths.iter().map(|path| (path.display().to_string(), load(path))).collect()
}

fn load(path: &Path) -> Vec<u8> {
    if path.extension().is_some_and(|extension| extension == "zst") {
        let output = Command::new("zstd").arg("-dcq").arg(path).output();
        return output.expect("the zstd command is installed").stdout;
    }
    std::fs::read(path).expect("the capture is readable")
}

/// 32 MB of Spark's default pattern, every hundredth record with a stack trace.
fn synthetic() -> Vec<u8> {
    let mut log = Vec::new();
    let mut number = 0_u64;
    while log.len() < 32 << 20 {
        number += 1;
        let (minute, second) = (number / 3000 % 60, number / 50 % 60);
        let task = number % 977;
        log.extend_from_slice(
            format!(
                "26/11/22 06:{minute:02}:{second:02} INFO TaskSetManager: Finished task {task}.0 in \
                 stage 41.0 (TID {number}) in 57 ms on 10.0.0.7 (executor 3) ({task}/977)\n"
            )
            .as_bytes(),
        );
        if number.is_multiple_of(100) {
            log.extend_from_slice(b"26/11/22 06:59:59 ERROR Executor: Exception in task 1.0\n");
            log.extend_from_slice(b"java.lang.IllegalStateException: lost\n");
            for frame in 0..40 {
                log.extend_from_slice(
                    format!("\tat com.acme.Job.run(Job.java:{frame})\n").as_bytes(),
                );
            }
        }
    }
    log
}
