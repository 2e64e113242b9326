//! log4j2's RollingFile, run by a JVM with the jars that Spark brings.

use crate::harness::bed::Bed;
use crate::harness::process::Process;
use crate::harness::report::say;
use crate::harness::{peers, wait};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// One appender; `%FOLDER%` stands for the folder of the logs.
const APPENDER: &str = "rootLogger.level = info
rootLogger.appenderRef.rolling.ref = rolling
appender.rolling.type = RollingFile
appender.rolling.name = rolling
appender.rolling.fileName = %FOLDER%/app.log
appender.rolling.layout.type = PatternLayout
appender.rolling.layout.pattern = %d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n
appender.rolling.policies.type = Policies
appender.rolling.strategy.type = DefaultRolloverStrategy
appender.rolling.strategy.max = 60
";

const BY_SIZE: &str = "appender.rolling.policies.size.type = SizeBasedTriggeringPolicy
appender.rolling.policies.size.size = 40KB
";

const EACH_SECOND: &str = "appender.rolling.policies.cron.type = CronTriggeringPolicy
appender.rolling.policies.cron.schedule = * * * * * ?
";

/// The newest rotated file is number 1, and all others are renamed.
const RENAME_CHAIN: &str = "appender.rolling.strategy.fileIndex = min
appender.rolling.filePattern = %FOLDER%/app.log.%i
";

const TO_GZIP: &str = "appender.rolling.strategy.fileIndex = nomax
appender.rolling.filePattern = %FOLDER%/app-%i.log.gz
";

/// A JVM that logs beside a bed.
struct Jvm {
    bed: Bed,
    environment: &'static str,
    settings: String,
    n_lives: usize,
}

impl Jvm {
    /// None, after saying so, when real peers are not wanted.
    fn new(name: &str, globs: &[&str], settings: &[&str]) -> Option<Self> {
        if !peers::are_wanted() {
            say(&format!("log4j2 {name}: skipped; tests/run starts real peers"));
            return None;
        }
        let settings = settings.concat();
        Some(Self { bed: Bed::new(globs), environment: "spark35", settings, n_lives: 0 })
    }

    /// Starts a JVM that logs lines `first..first + count`, `burst` at a time.
    fn start(&mut self, first: u64, count: u64, burst: u64, pause_ms: u64) -> Process {
        self.n_lives += 1;
        let config = self.bed.scratch.join("log4j2.properties");
        let folder = self.bed.log("");
        let folder = folder.to_string_lossy();
        let text = [APPENDER, &self.settings].concat();
        fs::write(&config, text.replace("%FOLDER%", folder.trim_end_matches('/'))).unwrap();
        let source =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/rotators/Log4jWriter.java");
        let mut command = Command::new("java");
        command.arg("-cp").arg(peers::log4j(self.environment));
        command.arg(format!("-Dlog4j2.configurationFile={}", config.display()));
        command.args(["-Xmx128m", "-XX:+UseSerialGC"]).arg(source).arg("w");
        command.args([first, count, burst, pause_ms].map(|number| number.to_string()));
        let log = |stream| self.bed.scratch.join(&format!("java-{}.{stream}", self.n_lives));
        Process::start("java", &command, &log("stdout"), &log("stderr"))
    }

    /// Logs to the end.
    fn log(&mut self, first: u64, count: u64, burst: u64, pause_ms: u64) {
        let status = self.start(first, count, burst, pause_ms).wait(LIMIT);
        let said = self.bed.scratch.join(&format!("java-{}.stderr", self.n_lives));
        assert!(status.success(), "{}", fs::read_to_string(said).unwrap());
    }

    /// Number of files that log4j rotated.
    fn n_rotated(&self) -> usize {
        fs::read_dir(self.bed.log("")).unwrap().count() - 1
    }

    #[track_caller]
    fn finish(mut self, n_lines: u64, n_rotated_min: usize) {
        let n_rotated = self.n_rotated();
        assert!(n_rotated >= n_rotated_min, "log4j rotated {n_rotated} times only");
        self.bed.wait_for("w", n_lines);
        self.bed.stop();
        self.bed.expect_all("w", n_lines);
        self.bed.expect_no_duplicates();
    }
}

#[test]
fn size_policy_with_a_rename_chain_loses_nothing() {
    for globs in [&["app.log"][..], &["app*"]] {
        let Some(mut jvm) = Jvm::new("size", globs, &[BY_SIZE, RENAME_CHAIN]) else { return };
        jvm.bed.start();
        // Each file lasts longer than the agent takes to find it.
        jvm.log(0, 3_000, 100, 300);
        jvm.finish(3_000, 5);
    }
}

#[test]
fn size_policy_faster_than_the_agent_looks_loses_nothing() {
    let Some(mut jvm) = Jvm::new("burst", &["app*"], &[BY_SIZE, RENAME_CHAIN]) else { return };
    jvm.bed.start();
    jvm.log(0, 15_000, 15_000, 0);
    jvm.finish(15_000, 25);
}

#[test]
fn time_policy_loses_nothing() {
    let pattern = "appender.rolling.filePattern = %FOLDER%/app-%d{HH-mm-ss}.log\n";
    for globs in [&["app.log"][..], &["app*"]] {
        let Some(mut jvm) = Jvm::new("time", globs, &[EACH_SECOND, pattern]) else { return };
        jvm.bed.start();
        jvm.log(0, 5_000, 20, 20);
        jvm.finish(5_000, 3);
    }
}

#[test]
fn straight_to_gzip_loses_and_repeats_nothing() {
    for globs in [&["app.log"][..], &["app*"]] {
        let Some(mut jvm) = Jvm::new("gzip", globs, &[BY_SIZE, TO_GZIP]) else { return };
        jvm.bed.start();
        // Each file lasts longer than the agent takes to find it.
        jvm.log(0, 2_500, 50, 120);
        jvm.finish(2_500, 4);
    }
}

#[test]
fn straight_to_gzip_faster_than_the_agent_looks_loses_nothing() {
    let Some(mut jvm) = Jvm::new("gzip burst", &["app*"], &[BY_SIZE, TO_GZIP]) else { return };
    jvm.bed.start();
    jvm.log(0, 15_000, 15_000, 0);
    jvm.finish(15_000, 25);
}

#[test]
fn gzip_while_stopped_loses_and_repeats_nothing() {
    let Some(mut jvm) = Jvm::new("gzip stopped", &["app*"], &[BY_SIZE, TO_GZIP]) else { return };
    jvm.bed.start();
    jvm.log(0, 200, 200, 0);
    jvm.bed.wait_for("w", 200);
    jvm.bed.stop();
    jvm.log(200, 3_000, 3_000, 0);
    jvm.bed.start();
    jvm.finish(3_200, 5);
}

#[test]
fn a_restart_that_does_not_append_begins_the_file_anew() {
    let settings = [BY_SIZE, RENAME_CHAIN, "appender.rolling.append = false\n"];
    let Some(mut jvm) = Jvm::new("append=false", &["app.log"], &settings) else { return };
    jvm.bed.start();
    jvm.log(0, 100, 100, 0);
    jvm.bed.wait_for("w", 100);
    // Longer than the first run's file, so that its size alone tells nothing.
    jvm.log(100, 150, 150, 0);
    wait::until("the second run is in the file", LIMIT, || {
        let text = fs::read_to_string(jvm.bed.log("app.log")).unwrap();
        text.contains("=w:249=").then_some(())
    });
    jvm.finish(250, 0);
}

#[test]
fn flinks_rotation_at_each_start_loses_nothing() {
    // As in the log4j.properties that Flink comes with.
    let settings =
        ["appender.rolling.policies.start.type = OnStartupTriggeringPolicy\n", RENAME_CHAIN];
    for globs in [&["*.log"][..], &["app.log*"]] {
        let Some(mut jvm) = Jvm::new("at start", globs, &settings) else { return };
        jvm.bed.start();
        for life in 0..3 {
            jvm.log(life * 200, 200, 200, 0);
            jvm.bed.wait_for("w", life * 200 + 190);
        }
        jvm.finish(600, 2);
    }
}
