//! Spark's own rotation of the logs of executors, by the worker of a standalone cluster.

use crate::harness::bed::Bed;
use crate::harness::process::Process;
use crate::harness::report::say;
use crate::harness::spark::{self, Cluster, Logging, Version};
use crate::harness::{peers, wait};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);
const PARTITIONS: u64 = 4;
const LINES: u64 = 4_000;

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
    roll(false);
}

#[test]
fn rolling_executor_logs_with_compression_lose_and_repeat_nothing() {
    roll(true);
}

fn roll(is_compressed: bool) {
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
    command.arg(script).args([PARTITIONS.to_string(), LINES.to_string()]);
    command.current_dir(bed.scratch.join(""));
    let log = |stream| bed.scratch.join(&format!("driver.{stream}"));
    let status =
        Process::start("spark-submit", &command, &log("stdout"), &log("stderr")).wait(LIMIT);
    assert!(status.success(), "{}", fs::read_to_string(log("stderr")).unwrap());
    cluster.stop();
    let rotated = wait::until("files are rotated", LIMIT, || {
        let rotated = rotated(&executors);
        (!rotated.is_empty()).then_some(rotated)
    });
    let n_gzip =
        rotated.iter().filter(|path| path.extension().is_some_and(|it| it == "gz")).count();
    say(&format!("Spark rotated {} files, {n_gzip} of them to gzip", rotated.len()));
    assert_eq!(n_gzip > 0, is_compressed, "{rotated:?}");
    for partition in 0..PARTITIONS {
        bed.wait_for(&format!("p{partition}"), LINES);
    }
    bed.stop();
    for partition in 0..PARTITIONS {
        bed.expect_all(&format!("p{partition}"), LINES);
    }
    bed.expect_no_duplicates();
}

/// Files that were stderr of an executor.
fn rotated(executors: &Path) -> Vec<PathBuf> {
    let children = |folder: PathBuf| -> Vec<PathBuf> {
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    let folders = children(executors.to_owned()).into_iter().flat_map(children);
    let files = folders.flat_map(children);
    files.filter(|path| path.to_string_lossy().contains("/stderr--")).collect()
}
