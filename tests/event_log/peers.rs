//! Recorded logs of longer runs, where `SIDELIGHT_TEST_CAPTURES` names a folder that has them.

use super::{differences, read};
use crate::harness::report::say;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A log, its files, and what the History Server said of it, where that was recorded for this run.
const LOGS: [(&str, &[&str], &str); 3] = [
    (
        "large/spark35-eventlog-plain.jsonl",
        &["large/spark35-eventlog-plain.jsonl"],
        "spark35/history-server",
    ),
    (
        "large/spark35-rolling-zstd-eventlog",
        &["large/spark35-rolling-zstd-eventlog/events_1_local-1795329177046.zstd"],
        "",
    ),
    ("spark4/eventlog", &["spark4/eventlog/events_1_app-20261122064438-0000.zstd"], ""),
];

/// Fields of the History Server that are sums over tasks, and ours.
const FIELDS: [(&str, &str); 17] = [
    ("numCompleteTasks", "n_tasks_succeeded"),
    ("numFailedTasks", "n_tasks_failed"),
    ("numKilledTasks", "n_tasks_killed"),
    ("executorRunTime", "run_ms"),
    ("executorCpuTime", "cpu_ns"),
    ("jvmGcTime", "gc_ms"),
    ("executorDeserializeTime", "deserialize_ms"),
    ("resultSize", "result_bytes"),
    ("memoryBytesSpilled", "memory_spilled_bytes"),
    ("diskBytesSpilled", "disk_spilled_bytes"),
    ("inputBytes", "input_bytes"),
    ("inputRecords", "input_records"),
    ("outputBytes", "output_bytes"),
    ("shuffleLocalBytesRead", "shuffle_local_read_bytes"),
    ("shuffleReadRecords", "shuffle_read_records"),
    ("shuffleWriteBytes", "shuffle_write_bytes"),
    ("shuffleRemoteReqsDuration", "shuffle_remote_requests_ms"),
];

#[test]
fn sums_of_long_runs_are_those_of_the_script_and_of_the_history_server() {
    let Some(captures) = std::env::var_os("SIDELIGHT_TEST_CAPTURES").map(PathBuf::from) else {
        say("long event logs: skipped; SIDELIGHT_TEST_CAPTURES names no folder that has them");
        return;
    };
    for (log, files, server) in LOGS {
        let path = captures.join(log);
        if !path.exists() {
            say(&format!("{log}: skipped; it is not in SIDELIGHT_TEST_CAPTURES"));
            continue;
        }
        let reading = read(&path);
        let files: Vec<_> = files.iter().map(|file| captures.join(file)).collect();
        assert_eq!(differences(&reading, &files), Vec::<String>::new(), "{log}");
        assert_eq!(reading.tally().n_broken_lines, 0, "{log}");
        if !server.is_empty() {
            let n_stages = compare(&reading, &captures.join(server));
            say(&format!("{log}: {n_stages} stages are as the History Server has them"));
        }
    }
}

/// Holds the stages to those that the History Server lists; gives their number.
fn compare(reading: &super::Reading, server: &Path) -> usize {
    let mut n_compared = 0;
    for file in ["stages.json", "stages_withSummaries_true.json"] {
        let text = std::fs::read_to_string(server.join(file)).unwrap();
        let stages: Vec<Value> = serde_json::from_str(&text).unwrap();
        for listed in stages.iter().filter(|stage| stage["status"] != "SKIPPED") {
            let number = |field: &str| u32::try_from(listed[field].as_u64().unwrap()).unwrap();
            let key = (number("stageId"), number("attemptId"));
            let stage = reading.run().stages.get(key);
            let stage = stage.unwrap_or_else(|| panic!("stage {key:?} is missing"));
            let totals = serde_json::to_value(&stage.totals).unwrap();
            for (theirs, ours) in FIELDS {
                assert_eq!(totals[ours], listed[theirs], "{theirs} of stage {key:?}");
            }
            n_compared += 1;
            let distributions = &listed["taskMetricsDistributions"];
            // Quantiles are 0, 0.25, 0.5, 0.75 and 1.
            let Some(durations) = distributions["duration"].as_array() else { continue };
            let (got, want) = (stage.durations(), |at: usize| durations[at].as_f64().unwrap());
            assert!((got.median as f64 - want(2)).abs() <= want(2) / 64.0, "stage {key:?}");
            assert_eq!((got.min as f64, got.max as f64), (want(0), want(4)), "stage {key:?}");
        }
    }
    n_compared
}
