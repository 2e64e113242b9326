//! Spark's own rotation of the logs of executors, by the worker of a standalone cluster.

use crate::harness::bed::Bed;
use crate::harness::process::Process;
use crate::harness::report::say;
use crate::harness::spark::{self, Cluster, Logging, Version};
use crate::harness::{peers, wait};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);
const PARTITIONS: u64 = 4;
const LINES: u64 = 4_000;

/// Between two hundreds of lines. A file has ten of them, and is found within a second.
const PAUSE_MS: u64 = 130;

/// Only warnings, so that log4j does not write into the lines of the Python workers.
const LOG4J: &str = "rootLogger.level = warn
rootLogger.appenderRef.stdout.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n%ex
";

#[test]
fn rolling_executor_logs_lose_nothing() {
    roll(false, PAUSE_MS);
}

#[test]
fn rolling_executor_logs_with_compression_lose_and_repeat_nothing() {
    roll(true, PAUSE_MS);
}

#[test]
fn rolling_executor_logs_with_compression_faster_than_the_agent_looks_lose_nothing() {
    roll(true, 40);
}

fn roll(is_compressed: bool, pause_ms: u64) {
    if !peers::are_wanted() {
        say("rolling executor logs: skipped; tests/run starts real peers");
        return;
    }
    let _turn = spark::take_turn();
    let mut bed = Bed::new(&[]);
    let executors = bed.scratch.join("executors");
    bed.watch(&executors.join("app-*/*/std*"));
    let configuration = bed.scratch.join("conf");
    fs::create_dir_all(&configuration).unwrap();
    fs::write(configuration.join("log4j2.properties"), LOG4J).unwrap();
    // 80 KiB is the least that Spark takes.
    let rolling = format!(
        "spark.executor.logs.rolling.strategy size\n\
         spark.executor.logs.rolling.maxSize 81920\n\
         spark.executor.logs.rolling.maxRetainedFiles 100\n\
         spark.executor.logs.rolling.enableCompression {is_compressed}\n"
    );
    fs::write(configuration.join("spark-defaults.conf"), rolling).unwrap();
    let version = Version { environment: "spark35", logging: Logging::AsConfigured };
    let cluster = Cluster::start(version, &bed.scratch);
    bed.start();
    let mut command = cluster.spark_submit();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/rotators/spark_rolling.py");
    command.arg(script).args([PARTITIONS, LINES, pause_ms].map(|number| number.to_string()));
    command.current_dir(bed.scratch.join(""));
    let log = |stream| bed.scratch.join(&format!("driver.{stream}"));
    let status =
        Process::start("spark-submit", &command, &log("stdout"), &log("stderr")).wait(LIMIT);
    assert!(status.success(), "{}", fs::read_to_string(log("stderr")).unwrap());
    cluster.stop();
    let mut rotated = log_files(&executors);
    rotated.retain(|path| path.to_string_lossy().contains("/stderr--"));
    let n_gzip =
        rotated.iter().filter(|path| path.extension().is_some_and(|it| it == "gz")).count();
    say(&format!("Spark rotated {} files, {n_gzip} of them to gzip", rotated.len()));
    assert_eq!(n_gzip > 0, is_compressed, "{rotated:?}");
    judge(bed, &executors);
}

/// Compares by the marks of lines that are whole: Spark rotates in the middle of a line, and its
/// executors repeat lines when they are stopped, so the files are the truth and not the numbers.
fn judge(mut bed: Bed, executors: &Path) {
    let mut written = BTreeMap::new();
    let files = log_files(executors);
    for path in &files {
        count_marks(&plain(path), &mut written);
    }
    let n_written: usize = written.values().sum();
    assert!(n_written as u64 > PARTITIONS * LINES * 9 / 10, "{n_written} lines are in the files");
    let mut delivered = BTreeMap::new();
    // The last record of each file may wait for the stop.
    wait::within(LIMIT, || {
        delivered = BTreeMap::new();
        count_marks(&fs::read(bed.output()).unwrap_or_default(), &mut delivered);
        (delivered.values().sum::<usize>() + 2 * files.len() >= n_written).then_some(())
    });
    bed.stop();
    delivered = BTreeMap::new();
    count_marks(&fs::read(bed.output()).unwrap(), &mut delivered);
    let differs = |mark: &&String| written.get(*mark) != delivered.get(*mark);
    let marks: BTreeSet<&String> = written.keys().chain(delivered.keys()).collect();
    let different: Vec<_> = marks.into_iter().filter(differs).collect();
    let n_delivered: usize = delivered.values().sum();
    say(&format!("{n_written} whole lines in {} files, {n_delivered} delivered", files.len()));
    assert!(
        different.is_empty(),
        "lost or repeated: {} such as {:?}",
        different.len(),
        different[0]
    );
}

/// How often each `line =writer:number=` is there.
fn count_marks(text: &[u8], counts: &mut BTreeMap<String, usize>) {
    for at in memchr::memmem::find_iter(text, b"line =") {
        let mark = &text[at + 6..];
        let end = mark.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b':');
        if let Some(end) = end.filter(|end| mark[*end] == b'=') {
            *counts.entry(String::from_utf8_lossy(&mark[..end]).into_owned()).or_default() += 1;
        }
    }
}

/// Text of a file, also of a compressed one.
fn plain(path: &Path) -> Vec<u8> {
    if path.extension().is_some_and(|end| end == "gz") {
        return Command::new("gzip").arg("-dc").arg(path).output().unwrap().stdout;
    }
    fs::read(path).unwrap()
}

/// Everything that executors wrote.
fn log_files(executors: &Path) -> Vec<PathBuf> {
    let children = |folder: PathBuf| -> Vec<PathBuf> {
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    let folders = children(executors.to_owned()).into_iter().flat_map(children);
    folders.flat_map(children).collect()
}
