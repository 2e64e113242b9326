//! Event logs of real runs: what the reader makes of them, held to an independent script and to the
//! History Server, and `sidelight analyze`.

mod analyze;
mod live;
mod peers;
mod spark;

use crate::harness::scratch::fixture;
use serde_json::Value;
use sidelight::event_log::source::{self, Reading};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// Reads the one log at `path`.
#[track_caller]
fn read(path: &Path) -> Reading {
    let logs = source::find(path).unwrap();
    assert_eq!(logs.len(), 1, "{}", path.display());
    logs[0].read(Arc::default())
}

/// Differences between the stages of `reading` and the sums of the script over `files`.
fn differences(reading: &Reading, files: &[PathBuf]) -> Vec<String> {
    let mut script = Command::new("python3");
    script.arg(fixture("spark/event_log_sums.py")).args(files);
    let output = script.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let want: BTreeMap<String, BTreeMap<String, Value>> =
        serde_json::from_slice(&output.stdout).unwrap();
    assert!(!want.is_empty(), "the script found stages");
    let mut problems = Vec::new();
    for (name, sums) in &want {
        let (id, attempt) = name.split_once('.').unwrap();
        let key = (id.parse().unwrap(), attempt.parse().unwrap());
        let Some(stage) = reading.run().stages.get(key) else {
            problems.push(format!("stage {name} is missing"));
            continue;
        };
        let got = serde_json::to_value(&stage.totals).unwrap();
        for (metric, want) in sums {
            if metric == "duration" {
                let durations = stage.durations();
                let got = [durations.median, durations.p95, durations.max];
                for (got, want) in got.into_iter().zip(want.as_array().unwrap()) {
                    let want = want.as_u64().unwrap();
                    if got.abs_diff(want) > want / 64 {
                        problems.push(format!("stage {name}: quantile {got} is not {want}"));
                    }
                }
            } else if got[metric] != *want {
                problems.push(format!("stage {name}: {metric} is {}, not {want}", got[metric]));
            }
        }
    }
    problems
}

#[test]
fn sums_of_a_recorded_log_are_those_of_an_independent_script() {
    let path = fixture("spark/eventlog.jsonl");
    let reading = read(&path);
    assert_eq!(differences(&reading, &[path]), Vec::<String>::new());
    assert_eq!(reading.tally().n_broken_lines, 0);
}

#[test]
fn a_log_reads_the_same_in_every_compression_that_spark_has() {
    for (name, n_tasks) in [("lz4", 1), ("snappy", 1), ("zstd", 1)] {
        let reading = read(&fixture(&format!("spark/eventlog.{name}")));
        let (run, tally) = (reading.run(), reading.tally());
        assert!(reading.damage.is_none(), "{name}: {:?}", reading.damage);
        assert_eq!(tally.n_broken_lines, 0, "{name}");
        assert!(run.ended_ms.is_some() && run.totals.n_tasks() >= n_tasks, "{name}");
        assert_eq!((run.jobs.n_failed, run.stages.n_failed), (1, 1), "{name}");
    }
}
