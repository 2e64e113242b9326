//! Laws of the reader: any chunks, any bytes, older versions, bounded memory.

use super::decode::Decoder;
use super::{EventLog, LINE_BYTES_MAX};
use proptest::prelude::{ProptestConfig, any, prop, proptest};
use std::sync::Arc;

const LOG: &[u8] = include_bytes!("../../../tests/fixtures/spark/eventlog.jsonl");
const ZSTD: &[u8] = include_bytes!("../../../tests/fixtures/spark/eventlog.zstd");
const LZ4: &[u8] = include_bytes!("../../../tests/fixtures/spark/eventlog.lz4");
const SNAPPY: &[u8] = include_bytes!("../../../tests/fixtures/spark/eventlog.snappy");

/// The log after `bytes`, cut at `cuts`, and whether they ended between two blocks.
fn read(bytes: &[u8], cuts: &[usize]) -> (EventLog, bool) {
    let (mut log, mut decoder) = (EventLog::new(Arc::default()), Decoder::default());
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    let mut is_good = true;
    for pair in cuts.windows(2) {
        is_good &= decoder.feed(&bytes[pair[0]..pair[1]], &mut |text| log.feed(text)).is_ok();
        if !is_good {
            break;
        }
    }
    log.finish();
    (log, is_good && decoder.is_whole())
}

fn read_lines(lines: &[&str]) -> EventLog {
    read(lines.join("\n").as_bytes(), &[]).0
}

proptest! {
    // Each case reads four logs, in a build that is not optimised.
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_chunks_give_the_same_state(cuts in prop::collection::vec(any::<usize>(), 0..40)) {
        for bytes in [LOG, ZSTD, LZ4, SNAPPY] {
            let (whole, pieces) = (read(bytes, &[]), read(bytes, &cuts));
            assert!(whole.1 && pieces.1);
            assert_eq!((whole.0.run(), whole.0.tally()), (pieces.0.run(), pieces.0.tally()));
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), magic in 0_usize..5) {
        let magics: [&[u8]; 5] = [b"", &ZSTD[..4], b"LZ4Block", b"\x82SNAPPY\0", b"{\"Event\":\""];
        read(&[magics[magic], &bytes].concat(), &[]);
    }

    #[test]
    fn no_damage_panics(
        changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..30),
        which in 0_usize..4,
        keep in any::<usize>(),
    ) {
        let mut bytes = [LOG, ZSTD, LZ4, SNAPPY][which].to_vec();
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        bytes.truncate(keep % (bytes.len() + 1));
        read(&bytes, &[]);
    }

    #[test]
    fn numbers_of_any_size_are_added_up(numbers in prop::collection::vec(any::<i64>(), 6)) {
        let [stage, task, time, run, read, code] = numbers[..] else { unreachable!() };
        let stage = stage as u32;
        let line = format!(
            r#"{{"Event":"SparkListenerTaskEnd","Stage ID":{stage},"Task End Reason":{{"Reason":"Success"}},"Task Info":{{"Task ID":{},"Launch Time":{time},"Finish Time":{run}}},"Task Metrics":{{"Executor Run Time":{run},"Input Metrics":{{"Bytes Read":{read}}}}}}}"#,
            task.unsigned_abs()
        );
        let end = format!(r#"{{"Event":"SparkListenerApplicationEnd","Timestamp":{time},"ExitCode":{code}}}"#);
        let log = read_lines(&[&line, &line, &line, &end]);
        assert_eq!((log.tally().n_events, log.run().totals.n_tasks()), (4, 3));
    }
}

#[test]
fn half_a_line_waits_for_the_rest_of_it() {
    let at = LOG.len() - 10;
    let mut log = EventLog::new(Arc::default());
    log.feed(&LOG[..at]);
    assert_eq!((log.run().ended_ms, log.tally().n_broken_lines), (None, 0));
    log.feed(&LOG[at..]);
    assert!(log.run().ended_ms.is_some());
    // What nobody completes is no broken line: the driver was killed in the middle of it.
    let (cut, _) = read(&LOG[..at], &[]);
    assert_eq!((cut.run().ended_ms, cut.tally().n_broken_lines), (None, 0));
}

#[test]
fn broken_and_unknown_lines_are_counted_and_left_out() {
    let too_long = format!("{{\"Event\":\"{}\"}}", "x".repeat(LINE_BYTES_MAX));
    let log = read_lines(&[
        r#"{"Event":"SparkListenerJobStart","Job ID":0,"Submission Time":5}"#,
        r#"{"Event":"SparkListenerJobStart","Job ID":"#,
        r#"{"Event":"SparkListenerJobEnd"}"#,
        "not JSON",
        "[1,2]",
        "",
        &too_long,
        r#"{"Event":"SparkListenerUnheardOf","Job ID":0}"#,
        r#"{ "Job ID": 1, "Event": "SparkListenerJobStart" }"#,
    ]);
    let tally = log.tally();
    assert_eq!((tally.n_events, tally.n_unused_events), (3, 1));
    assert_eq!((tally.n_broken_lines, tally.n_too_long_lines), (4, 1));
    assert_eq!(log.run().jobs.n_running(), 2);
}

#[test]
fn what_an_old_version_does_not_tell_is_not_known() {
    let task = r#"{"Event":"SparkListenerTaskEnd","Stage ID":1,"Stage Attempt ID":0,"Task End Reason":{"Reason":"Success"},"Task Info":{"Task ID":1,"Launch Time":10,"Finish Time":30},"Task Metrics":{"Executor Run Time":15,"Shuffle Read Metrics":{"Remote Bytes Read":7,"Local Bytes Read":1}}}"#;
    let end = r#"{"Event":"SparkListenerApplicationEnd","Timestamp":40}"#;
    let run = read_lines(&[task, end]);
    let (run, totals) = (run.run(), &run.run().totals);
    assert_eq!((totals.shuffle_read_bytes(), totals.duration_ms), (8, 20));
    assert_eq!((totals.shuffle_remote_requests_ms, totals.shuffle_merged_fallbacks), (None, None));
    assert_eq!((run.exit_code, run.executors.peak_heap_bytes), (None, None));
}

#[test]
fn no_text_leaves_without_the_redactor() {
    let line = |event: &str, rest: &str| format!(r#"{{"Event":"{event}",{rest}}}"#);
    let mail = "joe.doe@example.com";
    let lines = [
        line(
            "SparkListenerApplicationStart",
            &format!(
                r#""App Name":"{mail}","App ID":"{mail}","Timestamp":1,"User":"{mail}","App Attempt ID":"{mail}""#
            ),
        ),
        line(
            "SparkListenerEnvironmentUpdate",
            &format!(r#""Spark Properties":{{"spark.master":"{mail}"}}"#),
        ),
        line(
            "SparkListenerStageCompleted",
            &format!(
                r#""Stage Info":{{"Stage ID":1,"Stage Name":"{mail}","Failure Reason":"{mail}"}}"#
            ),
        ),
        line(
            "SparkListenerJobEnd",
            &format!(
                r#""Job ID":1,"Job Result":{{"Result":"JobFailed","Exception":{{"Message":"{mail}"}}}}"#
            ),
        ),
        line(
            "SparkListenerTaskEnd",
            &format!(
                r#""Stage ID":1,"Task End Reason":{{"Reason":"ExceptionFailure","Class Name":"{mail}","Description":"{mail}","Full Stack Trace":"x\nCaused by: E: {mail}\n"}},"Task Info":{{"Task ID":1}}"#
            ),
        ),
        line(
            "SparkListenerExecutorAdded",
            &format!(r#""Executor ID":"{mail}","Executor Info":{{}}"#),
        ),
        line(
            "org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionStart",
            &format!(r#""executionId":1,"description":"{mail}""#),
        ),
        line(
            "org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionEnd",
            &format!(r#""executionId":1,"errorMessage":"{mail}""#),
        ),
        line(
            "org.apache.spark.sql.streaming.StreamingQueryListener$QueryStartedEvent",
            &format!(r#""runId":"{mail}","name":"{mail}""#),
        ),
        line(
            "org.apache.spark.sql.streaming.StreamingQueryListener$QueryTerminatedEvent",
            &format!(r#""runId":"{mail}","exception":"{mail}""#),
        ),
    ];
    let log = read_lines(&lines.each_ref().map(String::as_str));
    assert_eq!(log.tally().n_broken_lines, 0);
    let shown = format!("{:?}", log.run());
    assert!(shown.contains("[EMAIL]") && !shown.contains("joe.doe"), "{shown}");
}

#[test]
fn plans_nested_deeper_than_any_stack_count_their_files() {
    let metric =
        |name: &str, id| format!(r#"{{"name":"{name}","accumulatorId":{id},"metricType":"sum"}}"#);
    let metrics = [metric("number of files read", 7), metric("size of files read", 8)].join(",");
    let depth = 20_000;
    let plan = format!(
        "{}{{\"metrics\":[{metrics}],\"children\":[]}}{}",
        r#"{"nodeName":"a \"name\":\"number of files read\"","children":["#.repeat(depth),
        "]}".repeat(depth)
    );
    let sql = "org.apache.spark.sql.execution.ui.SparkListener";
    let log = read_lines(&[
        &format!(
            r#"{{"Event":"{sql}SQLExecutionStart","executionId":3,"description":"q","sparkPlanInfo":{plan}}}"#
        ),
        &format!(
            r#"{{"Event":"{sql}DriverAccumUpdates","executionId":3,"accumUpdates":[[7,200],[8,4096],[9,5]]}}"#
        ),
        &format!(
            r#"{{"Event":"{sql}SQLExecutionEnd","executionId":3,"time":9,"errorMessage":""}}"#
        ),
    ]);
    assert_eq!(log.tally().n_broken_lines, 0);
    assert_eq!((log.run().sql.files.n_read, log.run().sql.files.read_bytes), (200, 4_096));
}

#[test]
fn of_too_many_stages_the_shortest_are_forgotten_and_sums_stay() {
    let mut log = EventLog::new(Arc::default());
    for stage in 0..30_000 {
        let line = format!(
            r#"{{"Event":"SparkListenerTaskEnd","Stage ID":{stage},"Task End Reason":{{"Reason":"Success"}},"Task Info":{{"Task ID":{stage}}},"Task Metrics":{{"Executor Run Time":{stage}}}}}"#
        );
        log.feed(line.as_bytes());
        log.feed(b"\n");
    }
    let (stages, totals) = (&log.run().stages, &log.run().totals);
    let n_kept = stages.iter().count();
    assert!(n_kept <= 10_000, "{n_kept}");
    assert_eq!(stages.n_forgotten() + n_kept as u64, 30_000);
    assert!(stages.get((29_999, 0)).is_some() && stages.get((0, 0)).is_none());
    assert_eq!((totals.n_tasks_succeeded, totals.run_ms), (30_000, 29_999 * 15_000));
}
