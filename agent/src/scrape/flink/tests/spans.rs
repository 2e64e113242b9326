//! Spans: one tree for each job, each span once, the same spans from an agent that starts anew.

use super::recording::{Recording, id, phases};
use super::{Harness, manager_of};
use crate::model::{AttributeValue, Span, SpanStatus};
use crate::scrape::Scraped;
use crate::trace::{SpanId, hex};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const MS: u64 = 1_000_000;

fn spans(out: Scraped) -> Vec<Span> {
    out.spans.into_iter().flat_map(|batch| batch.spans).collect()
}

fn attribute<'a>(span: &'a Span, name: &str) -> Option<&'a AttributeValue> {
    span.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
}

fn text<'a>(span: &'a Span, name: &str) -> Option<&'a str> {
    match attribute(span, name)? {
        AttributeValue::Text(text) => Some(text),
        other => panic!("{name} is {other:?}"),
    }
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| &*span.name == name).collect()
}

/// All spans of a recorded cluster from phase `first` on, from two rounds for each phase.
async fn play(version: &str, first: usize) -> Vec<Span> {
    let manager = manager_of(Recording::empty()).await;
    let mut harness = Harness::new(&[&manager]);
    harness.scrape().await;
    let mut all = Vec::new();
    for phase in phases(version).into_iter().skip(first) {
        manager.say(move |path| phase.answer(path));
        for _ in 0..2 {
            all.extend(spans(harness.scrape().await));
        }
    }
    all
}

/// Id and answer of every job in every phase, below `/jobs/ID` and `path`.
fn answers(version: &str, path: &str) -> Vec<(String, Value)> {
    let of_job = |(key, answer): (String, Value)| {
        let id = key.strip_prefix("/jobs/")?.strip_suffix(path)?;
        (id.len() == 32).then(|| (id.to_owned(), answer))
    };
    phases(version).into_iter().flat_map(|phase| phase.answers).filter_map(of_job).collect()
}

#[tokio::test]
async fn a_recorded_cluster_is_a_tree_for_each_job_with_every_checkpoint_and_restart_once() {
    for version in ["1.20.5", "2.3.0"] {
        let spans = play(version, 0).await;
        let ids: BTreeSet<SpanId> = spans.iter().map(|span| span.span_id).collect();
        assert_eq!(ids.len(), spans.len(), "no span is sent twice");
        let mut checkpoints = BTreeMap::new();
        for (job, answer) in answers(version, "/checkpoints") {
            for it in answer["history"].as_array().unwrap() {
                if it["status"] != "IN_PROGRESS" {
                    checkpoints.insert((job.clone(), it["id"].as_u64()), it.clone());
                }
            }
        }
        let is_savepoint = |it: &&Value| it["is_savepoint"] == true;
        let n_savepoints = checkpoints.values().filter(is_savepoint).count();
        assert_eq!(named(&spans, "flink.savepoint").len(), n_savepoints);
        let n_checkpoints = checkpoints.len() - n_savepoints;
        assert_eq!(named(&spans, "flink.checkpoint").len(), n_checkpoints);
        let restarts = answers(version, "")
            .into_iter()
            .map(|(job, it)| (job, it["timestamps"]["RESTARTING"].as_u64()));
        let restarts: BTreeSet<_> = restarts.filter(|(_, at)| *at > Some(0)).collect();
        assert_eq!(named(&spans, "flink.restart").len(), restarts.len());
        let ended = named(&spans, "flink.job");
        assert_eq!(ended.len(), 2, "one failed and one was cancelled");
        for span in &spans {
            let job_id = text(span, "flink.job.id").unwrap();
            assert_eq!(hex(&span.trace_id), job_id);
            let is_run = &*span.name == "flink.job";
            assert_eq!(span.parent_span_id.is_none(), is_run);
            let root = ended.iter().find(|root| root.trace_id == span.trace_id);
            if let (Some(root), false) = (root, is_run) {
                assert_eq!(span.parent_span_id, Some(root.span_id));
                let is_within = root.start_unix_ns <= span.start_unix_ns
                    && span.end_unix_ns <= root.end_unix_ns;
                assert!(is_within, "{span:?} of {root:?}");
            }
        }
    }
}

#[tokio::test]
async fn times_and_reasons_are_those_that_flink_tells() {
    let spans = play("2.3.0", 0).await;
    let restart = named(&spans, "flink.restart")
        .into_iter()
        .find(|span| span.start_unix_ns == 1_795_331_121_873 * MS);
    let restart = restart.unwrap();
    assert_eq!(restart.end_unix_ns, 1_795_331_122_964 * MS);
    assert_eq!(text(restart, "exception.type"), Some("java.lang.RuntimeException"));
    let task = "Source: orders-source -> enrich -> blackhole: Writer (1/2) - execution #0";
    assert_eq!(text(restart, "flink.restart.task"), Some(task));
    assert_eq!(restart.status, SpanStatus::Ok);
    let failed = named(&spans, "flink.checkpoint")
        .into_iter()
        .find(|span| span.start_unix_ns == 1_795_331_143_538 * MS);
    let failed = failed.unwrap();
    assert_eq!(failed.end_unix_ns, 1_795_331_172_085 * MS);
    let reason = "Checkpoint Coordinator is suspending.";
    assert!(matches!(&failed.status, SpanStatus::Error(why) if &**why == reason));
    assert_eq!(
        attribute(failed, "flink.checkpoint.acknowledged_subtasks"),
        Some(&AttributeValue::Integer(6))
    );
    let is_doomed = |span: &&&Span| hex(&span.trace_id) == "10d5894e1c7bf602630da6b5f81bb80c";
    let jobs = named(&spans, "flink.job");
    let doomed = jobs.iter().find(is_doomed).unwrap();
    assert_eq!(
        (doomed.start_unix_ns, doomed.end_unix_ns),
        (1_795_331_125_762 * MS, 1_795_331_138_123 * MS)
    );
    let class = "org.apache.flink.runtime.JobException";
    assert!(matches!(&doomed.status, SpanStatus::Error(why) if &**why == class));
    let shown = format!("{spans:?}");
    assert!(!shown.contains("@example"), "stack traces and their data are not read");
}

#[tokio::test]
async fn an_agent_that_starts_anew_makes_the_same_spans() {
    let first: BTreeMap<SpanId, Span> =
        play("1.20.5", 0).await.into_iter().map(|span| (span.span_id, span)).collect();
    let again = play("1.20.5", 2).await;
    assert!(again.len() > 20, "{}", again.len());
    // Of jobs that went on, some are of a later time only.
    let both = again.iter().filter_map(|span| Some((first.get(&span.span_id)?, span)));
    let both: Vec<(&Span, &Span)> = both.collect();
    assert!(both.len() > 20, "{}", both.len());
    assert!(both.iter().all(|(before, span)| before == span));
}

fn checkpoint(id: u64, status: &str, ms: u64) -> Value {
    json!({"id": id, "status": status, "trigger_timestamp": Harness::EPOCH_MS + id * 60_000,
        "end_to_end_duration": ms, "num_subtasks": 2, "num_acknowledged_subtasks": 2})
}

fn recording_with(history: &[Value]) -> (Recording, String) {
    let (job, start) = (id('a'), Harness::EPOCH_MS);
    let mut recording = Recording::empty();
    recording.add_job(&job, "orders", "RUNNING", start);
    let vertices = ["b", "c"].map(|digit| json!({"id": digit.repeat(32), "name": digit}));
    recording.set_vertices(&job, start + 60_000, json!(vertices));
    let base = format!("/jobs/{job}/checkpoints");
    recording.set(&base, json!({"history": history}));
    recording.set(&format!("{base}/config"), json!({"interval": 60_000}));
    (recording, base)
}

#[tokio::test]
async fn of_a_long_checkpoint_the_slowest_subtask_is_told_and_no_other_is_asked_for() {
    let (mut recording, base) =
        recording_with(&[checkpoint(3, "COMPLETED", 200), checkpoint(2, "COMPLETED", 45_000)]);
    let task = |ms: u64| json!({"end_to_end_duration": ms, "num_subtasks": 2, "num_acknowledged_subtasks": 2});
    let tasks = json!({"tasks": {"b".repeat(32): task(900), "c".repeat(32): task(45_000)}});
    recording.set(&format!("{base}/details/2"), tasks);
    let subtask = |index: u64, ms: u64| {
        json!({"index": index, "status": "completed", "start_delay": 11,
        "end_to_end_duration": ms, "checkpoint": {"sync": 5, "async": 7}, "alignment": {"duration": 40_000}})
    };
    let subtasks = json!({"subtasks": [subtask(0, 30), subtask(1, 45_000)]});
    recording.set(&format!("{base}/details/2/subtasks/{}", "c".repeat(32)), subtasks);
    let manager = manager_of(recording).await;
    let mut harness = Harness::new(&[&manager]);
    let spans_1 = spans(harness.scrape().await);
    let by_id = |id: i64| {
        let is_it = |span: &&Span| {
            attribute(span, "flink.checkpoint.id") == Some(&AttributeValue::Integer(id))
        };
        spans_1.iter().find(is_it).unwrap()
    };
    // The vertices are known before their checkpoints are read.
    assert_eq!(text(by_id(2), "flink.checkpoint.slowest.vertex"), Some("c"));
    for (name, value) in [
        ("flink.checkpoint.slowest.subtask", AttributeValue::Integer(1)),
        ("flink.checkpoint.slowest.seconds", AttributeValue::Float(45.0)),
        ("flink.checkpoint.slowest.alignment_seconds", AttributeValue::Float(40.0)),
        ("flink.checkpoint.slowest.async_seconds", AttributeValue::Float(0.007)),
    ] {
        assert_eq!(attribute(by_id(2), name), Some(&value), "{name}");
    }
    assert_eq!(text(by_id(3), "flink.checkpoint.slowest.vertex"), None);
    assert_eq!(spans(harness.scrape().await), []);
    let asked = manager.take_requests();
    let n_details = asked.iter().filter(|path| path.contains("/details/")).count();
    assert_eq!(n_details, 2, "{asked:?}");
}

#[tokio::test]
async fn of_a_checkpoint_that_nobody_answered_the_first_vertex_is_told() {
    let mut failed = checkpoint(4, "FAILED", 0);
    failed["failure_timestamp"] = json!(Harness::EPOCH_MS + 4 * 60_000 + 600_000);
    failed["failure_message"] = json!("Checkpoint expired before completing.");
    let (mut recording, base) = recording_with(&[failed]);
    let silent =
        json!({"end_to_end_duration": -1, "num_subtasks": 1, "num_acknowledged_subtasks": 0});
    let tasks = json!({"tasks": {"b".repeat(32): silent, "c".repeat(32): silent}});
    recording.set(&format!("{base}/details/4"), tasks);
    let subtasks = json!({"subtasks": [{"index": 0, "status": "pending_or_failed"}]});
    recording.set(&format!("{base}/details/4/subtasks/{}", "b".repeat(32)), subtasks);
    let manager = manager_of(recording).await;
    let spans = spans(Harness::new(&[&manager]).scrape().await);
    let [span] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!(span.end_unix_ns - span.start_unix_ns, 600_000 * MS);
    assert_eq!(text(span, "flink.checkpoint.slowest.vertex"), Some("b"));
    assert_eq!(
        attribute(span, "flink.checkpoint.slowest.subtask"),
        Some(&AttributeValue::Integer(0))
    );
    assert_eq!(attribute(span, "flink.checkpoint.slowest.seconds"), None, "absent is not zero");
}

#[tokio::test]
async fn a_restart_that_ends_with_the_job_is_told_and_one_that_goes_on_is_not() {
    let (job, start) = (id('a'), Harness::EPOCH_MS);
    let mut recording = Recording::empty();
    recording.add_job(&job, "orders", "RESTARTING", start);
    let path = format!("/jobs/{job}");
    let mut details = recording.answers[&path].clone();
    details["timestamps"] = json!({"RUNNING": start + 1_000, "RESTARTING": start + 3_000});
    recording.set(&path, details.clone());
    let manager = manager_of(recording.clone()).await;
    let mut harness = Harness::new(&[&manager]);
    assert_eq!(spans(harness.scrape().await), []);
    recording.add_job(&job, "orders", "CANCELED", start);
    details["state"] = json!("CANCELED");
    details["end-time"] = json!(start + 5_000);
    recording.set(&path, details);
    manager.say(move |path| recording.answer(path));
    let spans = spans(harness.scrape().await);
    let names: Vec<&str> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["flink.restart", "flink.job"]);
    assert_eq!(spans[0].end_unix_ns, (start + 5_000) * MS);
}

#[tokio::test]
async fn rescales_are_told_once_with_cause_and_reason() {
    let (job, start) = (id('a'), Harness::EPOCH_MS);
    let mut recording = Recording::empty();
    recording.add_job(&job, "orders", "RUNNING", start);
    let path = format!("/jobs/{job}");
    let mut details = recording.answers[&path].clone();
    details["schedulerType"] = json!("Adaptive");
    recording.set(&path, details);
    recording.set(&format!("{path}/rescales/summary"), json!({}));
    let rescale = |uuid: &str, end: i64, state: &str| {
        json!({"rescaleUuid": uuid, "startTimestampInMillis": start,
        "endTimestampInMillis": end, "terminalState": state, "triggerCause": "NEW_RESOURCE_AVAILABLE",
        "terminatedReason": "SUCCEEDED"})
    };
    let ended = start as i64 + 700;
    let history = json!([rescale("r-2", -1, ""), rescale("r-1", ended, "COMPLETED")]);
    recording.set(&format!("{path}/rescales/history"), history);
    let manager = manager_of(recording).await;
    let mut harness = Harness::new(&[&manager]);
    let mut all = Vec::new();
    for _ in 0..9 {
        all.extend(spans(harness.scrape().await));
    }
    let [span] = &all[..] else { panic!("{all:?}") };
    assert_eq!((&*span.name, &span.status), ("flink.rescale", &SpanStatus::Ok));
    assert_eq!(span.end_unix_ns - span.start_unix_ns, 700 * MS);
    assert_eq!(text(span, "flink.rescale.cause"), Some("NEW_RESOURCE_AVAILABLE"));
}
