//! The shipped log4j files in real Spark and Flink: each line is understood in full.

use super::shipped;
use crate::harness::process::Process;
use crate::harness::report::say;
use crate::harness::scratch::{Scratch, fixture};
use crate::harness::{agent, peers, spark, wait};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// For a JVM on a machine that is busy.
const LIMIT: Duration = Duration::from_secs(240);
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// What the agent makes of the logs in `logs`, which no process writes any more.
fn records(scratch: &Scratch, logs: &Path) -> Vec<Value> {
    let output = Command::new(agent::binary())
        .args(["run", "--once", "--listen", "127.0.0.1:0", "--logs"])
        .arg(logs.join("*.log"))
        .arg("--state-dir")
        .arg(scratch.join("state"))
        .env("SIDELIGHT_TAIL__TIMEZONE", "Asia/Tokyo") // the lines have a zone of their own
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Time, level, logger and thread of every record, and a time since `start`.
#[track_caller]
fn expect_full(records: &[Value], start: &str, n_min: usize) {
    assert!(records.len() >= n_min, "{} records", records.len());
    for record in records {
        for key in ["timestamp", "severity", "logger", "thread"] {
            assert!(record[key].is_string(), "no {key}: {record}");
        }
        let time = |key: &str| record[key].as_str().unwrap().to_owned();
        assert!(*start <= *time("timestamp"), "since {start}: {record}");
        assert!(time("timestamp") <= time("observed_timestamp"), "{record}");
    }
}

/// Now, as records state it, in seconds.
fn now() -> String {
    let date = Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%S"]).output().unwrap();
    String::from_utf8(date.stdout).unwrap().trim().to_owned()
}

fn run_spark(environment: &str, file: &str) -> Vec<Value> {
    let (_turn, start) = (spark::take_turn(), now());
    let (scratch, spark) = (Scratch::new(), peers::spark(environment));
    let (conf, logs) = (scratch.join("conf"), scratch.join("logs"));
    fs::create_dir(&conf).unwrap();
    fs::copy(shipped("log4j").join(file), conf.join("log4j2.properties")).unwrap();
    let mut command = Command::new(spark.home.join("bin/spark-submit"));
    command
        .args(["--master", "local[2]", "--conf", "spark.driver.host=127.0.0.1"])
        .args(["--conf", "spark.ui.enabled=false"])
        .arg(fixture("log4j_app.py"))
        .arg(TRACE_ID)
        .env("SPARK_HOME", &spark.home)
        .env("SPARK_CONF_DIR", &conf)
        .env("SPARK_LOG_DIR", &logs)
        .env("SPARK_LOCAL_IP", "127.0.0.1")
        .env("PYSPARK_PYTHON", &spark.python)
        .current_dir(scratch.join(""));
    let path = |stream| scratch.join(&format!("driver.{stream}"));
    let status = Process::start("spark-submit", &command, &path("out"), &path("err")).wait(LIMIT);
    let console = fs::read_to_string(path("err")).unwrap();
    assert!(status.success(), "{console}");
    assert!(console.contains("failed as planned"), "the console has all of it too: {console}");
    let records = records(&scratch, &logs);
    expect_full(&records, &start, 60);
    // Of a task, by what the thread's context says.
    let of_task = |record: &&Value| {
        record["logger"].as_str().unwrap().ends_with("executor.Executor")
            && record["body"].as_str().unwrap().starts_with("Running task")
    };
    let of_tasks: Vec<&Value> = records.iter().filter(of_task).collect();
    assert_eq!(of_tasks.len(), 2, "{environment}");
    assert!(
        of_tasks.iter().all(|it| it["task_id"].is_u64() && it["stage_id"] == 0),
        "{of_tasks:?}"
    );
    let failed: Vec<&Value> = records
        .iter()
        .filter(|it| it["exception_type"] == "org.apache.spark.api.python.PythonException")
        .collect();
    assert!(failed.iter().any(|it| it["severity"] == "ERROR"), "{environment}: {failed:?}");
    let has_trace = |it: &&Value| it["body"].as_str().unwrap().contains("ZeroDivisionError");
    assert!(failed.iter().any(has_trace), "{environment}: the stack trace is whole");
    records
}

#[test]
fn spark_3_with_the_shipped_log4j_file_is_understood_in_full() {
    if !peers::are_wanted() {
        return say("spark3-log4j2.properties: skipped; tests/run starts real peers");
    }
    run_spark("spark35", "spark3-log4j2.properties");
}

#[test]
fn spark_4_with_the_shipped_log4j_file_is_understood_in_full_and_traced() {
    if !peers::are_wanted() {
        return say("spark4-log4j2.properties: skipped; tests/run starts real peers");
    }
    let records = run_spark("spark4", "spark4-log4j2.properties");
    let traced = records.iter().filter(|it| it["trace_id"] == TRACE_ID);
    assert!(traced.clone().count() >= 2, "the trace of the job is on the lines of its tasks");
    assert!(traced.into_iter().all(|it| it["trace_id_origin"] == "record"));
}

/// A job in one JVM, as a cluster of Flink needs ports of its own.
fn run_flink(environment: &str, file: &str) {
    let (_turn, start) = (spark::take_turn(), now());
    let (scratch, home) = (Scratch::new(), peers::flink(environment));
    let (classes, logs) = (scratch.join("classes"), scratch.join("logs"));
    fs::create_dir(&classes).unwrap();
    let libraries = format!("{}/*", home.join("lib").display());
    let mut javac = Command::new("javac");
    javac.args(["-proc:none", "-nowarn", "-cp", &libraries, "-d"]).arg(&classes);
    assert!(javac.arg(fixture("flink/OrdersJob.java")).status().unwrap().success(), "javac");
    // What a JVM of this version needs, as Flink's own scripts say it.
    let config = fs::read_to_string(home.join("conf/config.yaml")).unwrap();
    let options = config.lines().find_map(|line| line.trim().strip_prefix("all: ")).unwrap();
    let log = logs.join("flink.log");
    let mut command = Command::new("java");
    command
        .args(options.split(' '))
        .arg("-Xmx700m")
        .arg(format!("-Dlog4j2.configurationFile=file:{}", shipped("log4j").join(file).display()))
        .arg(format!("-Dlog.file={}", log.display()))
        .args(["-cp", &format!("{libraries}:{}", classes.display()), "OrdersJob", "window", "50"]);
    let path = |stream| scratch.join(&format!("flink.{stream}"));
    let mut job = Process::start("flink", &command, &path("out"), &path("err"));
    wait::until("the job's own code logs", LIMIT, || {
        let text = fs::read_to_string(&log).unwrap_or_default();
        assert!(job.exit_status().is_none(), "{}", fs::read_to_string(path("err")).unwrap());
        (text.matches("opening enricher").count() >= 2).then_some(())
    });
    job.kill();
    let records = records(&scratch, &logs);
    expect_full(&records, &start, 60);
    let of_job: Vec<&Value> = records.iter().filter(|it| it["logger"] == "OrdersJob").collect();
    assert!(of_job.len() >= 2 && of_job.iter().all(|it| it["engine"] == "flink"), "{of_job:?}");
    let raw = fs::read_to_string(&log).unwrap();
    let is_id = |word: &str| word.len() == 32 && word.bytes().all(|it| it.is_ascii_hexdigit());
    let has_id = |line: &str| line.split(['[', ']', '"']).any(is_id);
    let mut lines = raw.lines().filter(|line| line.contains("opening enricher"));
    assert!(lines.all(has_id), "the id of the job is on the lines of its code");
}

#[test]
fn flink_1_with_the_shipped_log4j_file_is_understood_in_full() {
    if !peers::are_wanted() {
        return say("flink1-log4j-console.properties: skipped; tests/run starts real peers");
    }
    run_flink("flink120", "flink1-log4j-console.properties");
}

#[test]
fn flink_2_with_the_shipped_log4j_file_is_understood_in_full() {
    if !peers::are_wanted() {
        return say("flink2-log4j-console.properties: skipped; tests/run starts real peers");
    }
    run_flink("flink2", "flink2-log4j-console.properties");
}
