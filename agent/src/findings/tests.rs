//! Each check on a run that has it, and on one that nearly has it.

use super::{Known, SPARK, Severity, Thresholds, find};
use crate::event_log::EventLog;
use std::sync::Arc;

const SQL: &str = "org.apache.spark.sql.execution.ui.SparkListener";

/// What is found after `lines`, as `id severity`.
fn found(lines: &[String]) -> Vec<(&'static str, Severity)> {
    let mut log = EventLog::new(Arc::default());
    log.feed(lines.join("\n").as_bytes());
    log.finish();
    assert_eq!(log.tally().n_broken_lines, 0);
    let findings = find(SPARK, log.run(), Known::All, &Thresholds::default());
    findings.iter().map(|finding| (finding.id, finding.severity)).collect()
}

#[track_caller]
fn check(lines: &[String], want: &[(&str, Severity)]) {
    assert_eq!(found(lines), want);
}

fn event(name: &str, rest: &str) -> String {
    format!(r#"{{"Event":"{name}",{rest}}}"#)
}

/// A task of stage 1 that took `ms`, with these metrics.
fn task(ms: u64, metrics: &str) -> String {
    ended(ms, r#"{"Reason":"Success"}"#, metrics)
}

fn ended(ms: u64, reason: &str, metrics: &str) -> String {
    event(
        "SparkListenerTaskEnd",
        &format!(
            r#""Stage ID":1,"Task End Reason":{reason},"Task Info":{{"Task ID":1,"Launch Time":0,"Finish Time":{ms}}},"Task Metrics":{{{metrics}}}"#
        ),
    )
}

fn tasks(durations_ms: &[u64]) -> Vec<String> {
    durations_ms.iter().map(|ms| task(*ms, "")).collect()
}

#[test]
fn unequal_tasks_are_skew_from_the_ratio_on_and_a_warning_above_the_next() {
    check(&tasks(&[2_000, 2_000, 2_000, 6_600]), &[("skew", Severity::Info)]);
    check(&tasks(&[600, 600, 600, 6_600]), &[("skew", Severity::Warning)]);
    check(&tasks(&[2_000, 2_000, 2_000, 6_000]), &[]);
    check(&tasks(&[400, 400, 400, 4_900]), &[]);
    check(&tasks(&[600, 600, 6_600]), &[]);
    let read = |mebibytes: u64| {
        task(9, &format!(r#""Shuffle Read Metrics":{{"Local Bytes Read":{}}}"#, mebibytes << 20))
    };
    check(&[read(20), read(20), read(20), read(101)], &[("skew", Severity::Info)]);
    check(&[read(20), read(20), read(20), read(99)], &[]);
}

#[test]
fn a_slow_task_with_no_more_to_read_is_a_straggler() {
    let read = |ms, bytes| task(ms, &format!(r#""Input Metrics":{{"Bytes Read":{bytes}}}"#));
    let even = [read(5_000, 7), read(5_000, 7), read(5_000, 7), read(61_000, 8)];
    check(&even, &[("straggler", Severity::Warning)]);
    let uneven = [read(5_000, 7), read(5_000, 7), read(5_000, 7), read(61_000, 80)];
    check(&uneven, &[("skew", Severity::Warning)]);
}

#[test]
fn spill_counts_against_what_was_read() {
    let spilled = |read: u64| {
        let spilled = 128 << 20;
        let read = format!(r#""Input Metrics":{{"Bytes Read":{read}}}"#);
        [task(9, &format!(r#""Disk Bytes Spilled":{spilled},{read}"#))]
    };
    check(&spilled(200 << 20), &[("spill", Severity::Warning)]);
    check(&spilled(300 << 20), &[]);
    check(&[task(9, r#""Disk Bytes Spilled":1000"#)], &[]);
}

#[test]
fn garbage_collection_counts_against_the_run_time() {
    let gc = |ms| [task(9, &format!(r#""Executor Run Time":200000,"JVM GC Time":{ms}"#))];
    check(&gc(19_000), &[]);
    check(&gc(21_000), &[("gc", Severity::Warning)]);
    check(&gc(41_000), &[("gc", Severity::Critical)]);
    check(&[task(9, r#""Executor Run Time":2000,"JVM GC Time":900"#)], &[]);
}

#[test]
fn failed_tasks_are_worse_the_more_they_are() {
    let lost = || ended(9, r#"{"Reason":"ExecutorLostFailure"}"#, "");
    let mut run = vec![task(9, ""); 17];
    run.push(lost());
    check(&run, &[("failed_tasks", Severity::Info)]);
    run.extend([lost(), lost()]);
    check(&run, &[("failed_tasks", Severity::Warning)]);
    run.extend(vec![lost(); 5]);
    check(&run, &[("failed_tasks", Severity::Critical)]);
}

#[test]
fn lost_executors_are_told_by_reason_and_idle_ones_are_not_lost() {
    let removed = |reason: &str| {
        let rest = format!(r#""Timestamp":1,"Executor ID":"1","Removed Reason":"{reason}""#);
        event("SparkListenerExecutorRemoved", &rest)
    };
    check(&[removed("Executor killed by driver.")], &[]);
    check(&[removed("Command exited with code 137")], &[("executors_lost", Severity::Info)]);
    check(&[removed("OOMKilled")], &[("executors_lost", Severity::Warning)]);
    let many = vec![removed("worker lost"); 4];
    check(&many, &[("executors_lost", Severity::Warning)]);
}

#[test]
fn cores_without_tasks_are_idle_in_a_run_that_is_long_enough() {
    let run = |end_ms: u64, busy_ms| {
        [
            event("SparkListenerApplicationStart", r#""App Name":"a","Timestamp":0"#),
            event(
                "SparkListenerExecutorAdded",
                r#""Timestamp":0,"Executor ID":"1","Executor Info":{"Total Cores":2}"#,
            ),
            task(busy_ms, ""),
            event("SparkListenerApplicationEnd", &format!(r#""Timestamp":{end_ms}"#)),
        ]
    };
    check(&run(400_000, 300_000), &[("idle_cores", Severity::Warning)]);
    check(&run(400_000, 399_999), &[("idle_cores", Severity::Warning)]);
    check(&run(299_999, 1_000), &[]);
    let mut busy = run(400_000, 300_000).to_vec();
    busy.push(task(200_000, ""));
    check(&busy, &[]);
}

#[test]
fn memory_is_short_or_wasted_when_the_log_tells() {
    let run = |peak: u64| {
        [
            event(
                "SparkListenerEnvironmentUpdate",
                r#""Spark Properties":{"spark.executor.memory":"10g"}"#,
            ),
            event(
                "SparkListenerStageExecutorMetrics",
                &format!(r#""Executor ID":"1","Executor Metrics":{{"JVMHeapMemory":{peak}}}"#),
            ),
        ]
    };
    check(&run((10 << 30) - 1), &[("memory", Severity::Warning)]);
    check(&run(8 << 30), &[]);
    check(&run(3 << 30), &[("memory", Severity::Info)]);
    check(&run(0), &[]);
}

#[test]
fn many_small_files_are_told_by_direction() {
    let run = |names: [&str; 2], n_files: u64, bytes: u64| {
        let [files, size] = names;
        let plan = format!(
            r#"{{"metrics":[{{"name":"{files}","accumulatorId":1}},{{"name":"{size}","accumulatorId":2}}]}}"#
        );
        let start = format!(r#""executionId":1,"description":"q","sparkPlanInfo":{plan}"#);
        let updates = format!(r#""executionId":1,"accumUpdates":[[1,{n_files}],[2,{bytes}]]"#);
        [
            event(&format!("{SQL}SQLExecutionStart"), &start),
            event(&format!("{SQL}DriverAccumUpdates"), &updates),
            event(&format!("{SQL}SQLExecutionEnd"), r#""executionId":1,"time":1"#),
        ]
    };
    let (read, written) = (
        ["number of files read", "size of files read"],
        ["number of written files", "written output"],
    );
    check(&run(read, 100, 1_000), &[("small_files_read", Severity::Warning)]);
    check(&run(written, 100, 1_000), &[("small_files_written", Severity::Warning)]);
    check(&run(read, 99, 1_000), &[]);
    check(&run(read, 100, 100 * (4 << 20)), &[]);
}

#[test]
fn a_finding_has_numbers_a_sentence_and_settings_and_the_worst_comes_first() {
    let mut lines = tasks(&[2_000, 2_000, 2_000, 6_600]);
    lines.push(task(9, r#""Executor Run Time":20000,"JVM GC Time":15000"#));
    let mut log = EventLog::new(Arc::default());
    log.feed(lines.join("\n").as_bytes());
    log.finish();
    let findings = find(SPARK, log.run(), Known::All, &Thresholds::default());
    assert_eq!(findings.iter().map(|it| it.id).collect::<Vec<_>>(), ["gc", "skew"]);
    let skew = &findings[1];
    assert_eq!((skew.stage_id, skew.evidence["max"]), (Some(1), 6_600.0));
    assert!(
        skew.sentence.contains("took 6.6 s, 3.3 times the median of 2.0 s"),
        "{}",
        skew.sentence
    );
    assert_eq!(skew.settings["spark.sql.adaptive.enabled"], "true");
}
