//! Real lines of every format, through splitter and parser.

use super::split::Splitter;
use super::{ParseContext, record, time::write_rfc3339_nanos};
use crate::model::LogRecord;
use redaction::{Redactor, Text};
use std::fmt::Write;

/// Splits `log` as if it were a whole file; `[start, start, ..., length]`.
fn starts(log: &[u8]) -> Vec<u32> {
    let mut starts = Vec::new();
    Splitter::default().finish(log, &mut starts);
    starts.push(log.len() as u32);
    starts
}

/// The redacted bytes of `log`, and where its records start in them.
pub(super) fn redact(redactor: &Redactor, log: &[u8]) -> (Text, Vec<u32>) {
    let mut text = Text::default();
    let redacted = redactor.redact_chunk(log, &mut text);
    let mut starts = starts(log);
    text.map_offsets(&redacted, &mut starts);
    (text, starts)
}

/// Parses every record of `log` in UTC.
pub(super) fn parse(log: &[u8]) -> (Text, Vec<LogRecord>) {
    let redactor = Redactor::new();
    let mut context = ParseContext::new(jiff::tz::TimeZone::UTC);
    let (mut text, starts) = redact(&redactor, log);
    let parse = |pair: &[u32]| {
        let (range, offset) = (pair[0]..pair[1], u64::from(pair[0]));
        record(&mut text, range, offset, 0, &redactor, &mut context).expect("nothing is dropped")
    };
    let records = starts.windows(2).map(parse).collect();
    (text, records)
}

/// One line a record: time, severity, logger, thread, exception, task, lines and start of the body.
fn summary(log: &[u8]) -> String {
    let (text, records) = parse(log);
    let mut summary = String::new();
    for record in &records {
        let field = |range| match String::from_utf8_lossy(text.get(range)) {
            empty if empty.is_empty() => "-".to_owned(),
            field => field.into_owned(),
        };
        let mut time = Vec::new();
        record.time_unix_ns.inspect(|unix_ns| write_rfc3339_nanos(*unix_ns, &mut time));
        let time = time.get(11..23).map_or("-", |time| std::str::from_utf8(time).unwrap());
        let severity = record.severity.as_str();
        let task = record.task_id.map_or("-".to_owned(), |task| {
            format!("{}.{}/{task}", record.stage_id.unwrap(), record.stage_attempt)
        });
        let body = field(&record.body);
        let start: String = body.lines().next().unwrap_or_default().chars().take(30).collect();
        let (logger, thread) = (field(&record.logger), field(&record.thread));
        let exception = field(&record.exception_type);
        let lines = body.lines().count();
        writeln!(
            summary,
            "{time} {severity} | {logger} | {thread} | {exception} | {task} | {lines} | {start}"
        )
        .unwrap();
    }
    summary
}

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/fixtures/logs/", $name)).as_slice()
    };
}

#[track_caller]
fn check(log: &[u8], want: &str) {
    assert_eq!(summary(log), want);
}

#[test]
fn spark_default_pattern_keeps_python_and_java_traces_whole() {
    check(
        fixture!("spark35-driver.log"),
        "\
06:32:53.000 INFO | SparkContext | - | - | - | 1 | Running Spark version 3.5.9
06:32:53.000 INFO | SparkContext | - | - | - | 1 | OS info Linux, 6.18.44-fc-v669
06:32:53.000 INFO | SparkContext | - | - | - | 1 | Java version 17.0.15
06:32:53.000 WARN | NativeCodeLoader | - | - | - | 1 | Unable to load native-hadoop l
06:32:54.000 INFO | ResourceUtils | - | - | - | 1 | ==============================
06:33:27.000 ERROR | Executor | - | org.apache.spark.api.python.PythonException | 10.0/33 | 47 | Exception in task 1.0 in stage
06:33:27.000 INFO | TaskSetManager | - | - | 10.0/35 | 1 | Starting task 3.0 in stage 10.
06:33:27.000 WARN | TaskSetManager | - | org.apache.spark.api.python.PythonException | 10.0/33 | 2 | Lost task 1.0 in stage 10.0 (T
06:33:56.000 ERROR | OrderEnricher | - | - | - | 1 | query failed for user [EMAIL]:
06:33:56.000 INFO | SparkContext | - | - | - | 1 | Starting job: count at /srv/an
06:33:56.000 INFO | DAGScheduler | - | - | - | 1 | Got job 17 (count at /srv/anal
06:33:56.000 INFO | DAGScheduler | - | - | - | 1 | Final stage: ResultStage 32 (c
06:33:56.000 INFO | DAGScheduler | - | - | - | 1 | Parents of final stage: List()
",
    );
}

#[test]
fn executor_stderr_with_thread_and_task_name_gives_the_task_of_every_line() {
    check(
        fixture!("spark35-executor-mdc.stderr"),
        "\
-  | - | - | - | - | 1 | Spark Executor Command: \"/usr/
-  | - | - | - | - | 1 | ==============================
06:39:50.643 INFO | CoarseGrainedExecutorBackend | main | - | - | 1 | Started daemon with process na
06:39:50.662 INFO | SignalUtils | main | - | - | 1 | Registering signal handler for
06:39:50.663 INFO | SignalUtils | main | - | - | 1 | Registering signal handler for
06:39:50.666 INFO | SignalUtils | main | - | - | 1 | Registering signal handler for
06:39:54.340 WARN | NativeCodeLoader | main | - | - | 1 | Unable to load native-hadoop l
06:40:53.569 ERROR | Executor | Executor task launch worker for task 1.0 in stage 11.0 (TID 41) | org.apache.spark.api.python.PythonException | 11.0/41 | 51 | Exception in task 1.0 in stage
06:40:53.819 INFO | CoarseGrainedExecutorBackend | dispatcher-Executor | - | - | 1 | Got assigned task 42
06:40:53.850 INFO | Executor | Executor task launch worker for task 1.1 in stage 11.0 (TID 42) | - | 11.0/42 | 1 | Running task 1.1 in stage 11.0
06:40:54.798 ERROR | Executor | Executor task launch worker for task 1.1 in stage 11.0 (TID 42) | org.apache.spark.api.python.PythonException | 11.0/42 | 2 | Exception in task 1.1 in stage
06:41:52.331 INFO | MapOutputTrackerWorker | Executor task launch worker for task 0.0 in stage 21.0 (TID 64) | - | 21.0/64 | 1 | Got the map output locations
06:41:52.333 INFO | ShuffleBlockFetcherIterator | Executor task launch worker for task 0.0 in stage 21.0 (TID 64) | - | 21.0/64 | 1 | Getting 4 (2.3 MiB) non-empty 
",
    );
}

#[test]
fn suppressed_and_circular_causes_stay_with_their_header() {
    check(
        fixture!("spark4-circular-mdc.log"),
        "\
06:52:06.121 ERROR | TaskSetManager | task-result-getter-0 | - | - | 1 | Task 0 in stage 29.0 failed 4 
06:52:06.124 ERROR | FileFormatWriter | ResultQueryStageExecution-2 | org.apache.spark.SparkException | - | 113 | Aborting job 9688d181-6b8a-450
06:52:06.177 INFO | DAGScheduler | Thread-4 | - | - | 1 | Asked to cleanup jobs for quer
06:52:06.939 INFO | SparkContext | shutdown-hook-0 | - | - | 1 | Invoking stop() from shutdown 
06:52:06.939 INFO | SparkContext | shutdown-hook-0 | - | - | 1 | SparkContext is stopping with 
",
    );
}

#[test]
fn executor_stderr_mixes_launch_line_plain_lines_and_json() {
    check(
        fixture!("spark4-executor-mixed.stderr"),
        "\
-  | - | - | - | - | 1 | Spark Executor Command: \"/usr/
-  | - | - | - | - | 1 | ==============================
- WARN | - | - | - | - | 1 | Using incubator modules: jdk.i
-  | - | - | - | - | 1 | Using Spark's default log4j pr
06:44:55.000 INFO | CoarseGrainedExecutorBackend | - | - | - | 1 | Started daemon with process na
06:44:55.000 INFO | SignalUtils | - | - | - | 1 | Registering signal handler for
06:44:55.000 INFO | SignalUtils | - | - | - | 1 | Registering signal handler for
06:45:06.343 INFO | Executor | - | - | 0.0/0 | 1 | Running task 0.0 in stage 0.0 
06:45:07.228 INFO | TorrentBroadcast | - | - | 0.0/0 | 1 | Started reading broadcast vari
06:45:08.254 INFO | TransportClientFactory | - | - | 0.0/0 | 1 | Successfully created connectio
06:45:38.604 ERROR | Executor | - | org.apache.spark.api.python.PythonException | 10.0/33 | 37 | Exception in task 1.0 in stage
06:47:39.677 ERROR | CoarseGrainedExecutorBackend | - | - | - | 1 | RECEIVED SIGNAL TERM
-  | - | - | - | - | 1 | end\"}
",
    );
}

#[test]
fn structured_driver_log_and_pyspark_logger_are_read() {
    check(
        fixture!("spark4-driver-structured.jsonl"),
        "\
- WARN | - | - | - | - | 1 | Using incubator modules: jdk.i
-  | - | - | - | - | 1 | Using Spark's default log4j pr
06:44:30.043 INFO | SparkContext | - | - | - | 1 | Running Spark version 4.3.0
06:44:30.116 INFO | SparkContext | - | - | - | 1 | OS info Linux, 6.18.44-fc-v669
06:59:13.864 ERROR | SQLQueryContextLogger | - | Py4JJavaError | - | 81 | [TABLE_OR_VIEW_NOT_FOUND] The 
",
    );
}

#[test]
fn flink_headers_with_an_empty_message_take_the_lines_below() {
    check(
        fixture!("flink120-taskmanager.log"),
        "\
07:03:18.369 INFO | org.apache.flink.runtime.taskexecutor.TaskManagerRunner | - | - | - | 1 | ------------------------------
07:03:18.372 INFO | org.apache.flink.runtime.taskexecutor.TaskManagerRunner | - | - | - | 1 |  Preconfiguration: 
07:03:18.372 INFO | org.apache.flink.runtime.taskexecutor.TaskManagerRunner | - | - | - | 9 | 
07:03:33.819 WARN | org.apache.flink.runtime.taskmanager.Task | - | java.lang.RuntimeException | - | 27 | Source: orders-source -> enric
07:03:33.818 WARN | org.apache.flink.runtime.taskmanager.Task | - | java.lang.RuntimeException | - | 3 | Source: orders-source -> enric
",
    );
    check(fixture!("flink120.out").split_at(17).0, "-  | - | - | - | - | 1 | 2> window-count=5\n");
}

#[test]
fn flink_ecs_layout_is_read() {
    check(
        fixture!("flink2-ecs.jsonl"),
        "\
07:09:45.901 INFO | org.apache.flink.runtime.taskexecutor.TaskManagerRunner | main | - | - | 1 | ------------------------------
07:09:45.906 INFO | org.apache.flink.runtime.taskexecutor.TaskManagerRunner | main | - | - | 1 |  Preconfiguration: 
07:09:45.906 INFO | org.apache.flink.runtime.taskexecutor.TaskManagerRunner | main | - | - | 54 | 
07:10:18.157 WARN | org.apache.flink.runtime.taskmanager.Task | Source: orders-source -> enrich -> blackhole: Writer (1/2)#0 | java.lang.RuntimeException | - | 27 | Source: orders-source -> enric
",
    );
}
