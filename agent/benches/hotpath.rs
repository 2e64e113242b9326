//! Speed of the hot path's pure part: split, parse, encode. Megabytes of log per CPU second.
//!
//! `SIDELIGHT_CAPTURES` names a folder with log files, plain or `.zst` (needs the `zstd` command);
//! without it, deterministic lines are made. Each figure is the median of 9 passes over one file in
//! memory, measured as the thread's CPU time, so that a busy machine does not distort it.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use redaction::{Redactor, Text};
use sidelight::encode::JsonEncoder;
use sidelight::model::{Engine, LogBatch, LogRecord, Resource};
use sidelight::parse::{self, ParseContext, split::Splitter};
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

const PASSES: usize = 9;
/// Bytes that one read adds to the buffer, as the tail thread reads them.
const CHUNK_BYTES: usize = 256 << 10;

/// How far a pass goes; each step includes the ones before it.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Step {
    Split,
    Parse,
    Encode,
}

fn main() {
    for (name, log) in logs() {
        let megabytes = log.len() as f64 / 1e6;
        println!("{name}: {megabytes:.1} MB");
        for (label, step) in [
            ("split", Step::Split),
            ("split, parse", Step::Parse),
            ("split, parse, encode", Step::Encode),
        ] {
            let mut seconds: Vec<f64> = Vec::new();
            let mut count = 0;
            for _ in 0..PASSES {
                let before = cpu_seconds();
                count = black_box(pass(black_box(&log), step));
                seconds.push(cpu_seconds() - before);
            }
            seconds.sort_by(f64::total_cmp);
            let median = seconds[PASSES / 2];
            let nanos = median * 1e9 / count.max(1) as f64;
            println!(
                "  {label:<21} {:>6.0} MB per CPU second, {nanos:.0} ns a record, {count} records",
                megabytes / median
            );
        }
    }
}

/// Runs the hot path over `log` chunk by chunk; gives the number of records.
fn pass(log: &[u8], step: Step) -> usize {
    let redactor = Redactor::new();
    let mut context = ParseContext::new(&redactor, jiff::tz::TimeZone::UTC);
    let mut encoder = JsonEncoder::default();
    let resource = Arc::new(resource(&redactor));
    let (mut starts, mut out) = (Vec::new(), Vec::new());
    let mut splitter = Splitter::default();
    let (mut count, mut begin, mut end) = (0, 0, 0);
    while end < log.len() {
        end = log.len().min(end + CHUNK_BYTES);
        splitter.advance(&log[begin..end], &mut starts);
        let Some(open) = starts.last().copied().filter(|open| *open > 0) else { continue };
        count += starts.len() - 1;
        if step >= Step::Parse {
            let mut text = Text::default();
            redactor.redact_chunk(&log[begin..begin + open as usize], &mut text);
            let mut records: Vec<LogRecord> = Vec::with_capacity(starts.len());
            for pair in starts.windows(2) {
                let offset = begin as u64 + u64::from(pair[0]);
                let range = pair[0]..pair[1];
                records.push(parse::record(&mut text, range, offset, offset, &mut context));
            }
            let batch = LogBatch { resource: Arc::clone(&resource), text, records };
            if step >= Step::Encode {
                out.clear();
                for record in &batch.records {
                    encoder.encode(&batch, record, &mut out);
                }
            }
            black_box((&batch, &out));
        }
        splitter.consumed(open as usize);
        begin += open as usize;
        starts.clear();
        starts.push(0);
    }
    count + usize::from(!starts.is_empty())
}

fn resource(redactor: &Redactor) -> Resource {
    let value = |raw: &str| Some(redactor.value(raw));
    Resource {
        job_id: value("app-20261122063935-0000"),
        job_name: value("nightly-orders-etl"),
        run_id: value("app-20261122063935-0000/1"),
        user_id: value("etl"),
        run_context: value("prod"),
        source_data_path: value("s3://lake/orders"),
        engine: Some(Engine::Spark),
        component: value("driver"),
        executor_id: value("driver"),
        trace_id: value("4bf92f3577b34da6a3ce929d0e0e4736"),
        trace_id_origin: value("derived"),
        file: value("/var/log/spark/driver.log"),
        host: value("node-17"),
    }
}

/// CPU time of this thread. Source: proc(5), `/proc/[pid]/schedstat`, first field, nanoseconds.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has schedstat");
    let nanos = text.split(' ').next().and_then(|field| field.parse::<f64>().ok());
    nanos.expect("the first field is a number") / 1e9
}

fn logs() -> Vec<(String, Vec<u8>)> {
    let Ok(folder) = std::env::var("SIDELIGHT_CAPTURES") else {
        println!("SIDELIGHT_CAPTURES is not set: made-up lines instead of captures");
        return vec![("synthetic log4j".to_owned(), synthetic())];
    };
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .expect("SIDELIGHT_CAPTURES is a readable folder")
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
