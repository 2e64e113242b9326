//! Spans: one tree for each run, each span once, the same spans from an agent that starts anew.

use super::recording::{Recording, phases};
use super::{Harness, shared};
use crate::config::Interval;
use crate::identity::Written;
use crate::model::{AttributeValue, Span, SpanStatus};
use crate::scrape::fake_ui::FakeUi;
use crate::scrape::http::Limits;
use crate::scrape::meter::Cut;
use crate::scrape::spark::Config;
use crate::scrape::{Given, Scraped};
use crate::trace::{self, Run, SpanId};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const MS: u64 = 1_000_000;

fn spans(out: Scraped) -> Vec<Span> {
    out.spans.into_iter().flat_map(|batch| batch.spans).collect()
}

fn attribute<'a>(span: &'a Span, name: &str) -> Option<&'a AttributeValue> {
    span.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
}

fn integer(span: &Span, name: &str) -> Option<i64> {
    match attribute(span, name)? {
        AttributeValue::Integer(number) => Some(*number),
        other => panic!("{name} is {other:?}"),
    }
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| &*span.name == name).collect()
}

/// All spans of a recorded run, from two rounds for each phase.
async fn play(file: &str) -> (Vec<Span>, Recording) {
    let phases = phases(file);
    let first = phases[0].clone();
    let ui = FakeUi::start(move |path| first.answer(path)).await;
    let mut harness = Harness::new(&[&ui]);
    let mut all = Vec::new();
    for phase in &phases {
        let phase = phase.clone();
        ui.say(move |path| phase.answer(path));
        for _ in 0..2 {
            all.extend(spans(harness.scrape().await));
        }
    }
    (all, phases.last().unwrap().clone())
}

/// Spans of an application that has these jobs and stages, from three rounds.
async fn scrape(rest: Recording, shared: &super::Shared) -> (Vec<Span>, Harness) {
    let ui = FakeUi::start(move |path| rest.answer(path)).await;
    let config = Config { urls: vec![ui.url()], ..Config::default() };
    let mut harness = Harness::with_shared(&config, shared, Limits::default());
    let mut all = Vec::new();
    for _ in 0..3 {
        all.extend(spans(harness.scrape().await));
    }
    (all, harness)
}

fn time(second: u64) -> String {
    format!("2026-11-22T06:40:{second:02}.000GMT")
}

fn stage(id: u64, attempt: u64, status: &str) -> serde_json::Value {
    json!({"status": status, "stageId": id, "attemptId": attempt, "numActiveTasks": 0,
        "numTasks": 4, "submissionTime": time(id), "completionTime": time(id + 1)})
}

fn job(id: u64, stages: &[u64], status: &str) -> serde_json::Value {
    json!({"jobId": id, "status": status, "stageIds": stages, "numFailedStages": 0,
        "numCompletedStages": stages.len(), "numSkippedStages": 0, "numTasks": 8,
        "submissionTime": time(0), "completionTime": time(59)})
}

#[tokio::test]
async fn a_recorded_run_is_one_tree_with_every_piece_of_work_once() {
    let (spans, rest) = play("spark4-cluster.json").await;
    let by_id: BTreeMap<SpanId, &Span> = spans.iter().map(|span| (span.span_id, span)).collect();
    assert_eq!(by_id.len(), spans.len(), "no span is sent twice");
    assert_eq!(named(&spans, "spark.application").len(), 1);
    assert_eq!(named(&spans, "spark.job").len(), rest.jobs.len());
    let n_stages = rest.stages_with("COMPLETE") + rest.stages_with("FAILED");
    assert_eq!(named(&spans, "spark.stage").len() as f64, n_stages);
    let root = named(&spans, "spark.application")[0];
    assert_eq!(root.trace_id, trace::run_trace_id(&rest.app_id, ""));
    assert_eq!((root.parent_span_id, &root.status), (None, &SpanStatus::Ok));
    // startTimeEpoch and endTimeEpoch of the recording.
    assert_eq!(root.start_unix_ns, 1_795_330_583_928 * MS);
    assert_eq!(root.end_unix_ns, 1_795_330_785_083 * MS);
    for span in spans.iter().filter(|span| span.span_id != root.span_id) {
        let parent = by_id[&span.parent_span_id.unwrap()];
        let want = if &*span.name == "spark.job" { "spark.application" } else { "spark.job" };
        assert_eq!(&*parent.name, want);
        assert_eq!(span.trace_id, root.trace_id);
        assert!(parent.start_unix_ns <= span.start_unix_ns, "{span:?}");
        assert!(span.end_unix_ns <= parent.end_unix_ns, "{span:?}");
    }
}

#[tokio::test]
async fn an_agent_that_starts_anew_makes_the_same_spans() {
    let (before, _) = play("spark35-local.json").await;
    let (after, _) = play("spark35-local.json").await;
    assert!(!before.is_empty());
    assert_eq!(before, after);
}

#[tokio::test]
async fn numbers_and_reasons_are_those_of_rest_and_redacted() {
    let mut rest = Recording::idle("app-1", "orders");
    let mut failed = stage(3, 1, "FAILED");
    for (key, value) in [
        ("numFailedTasks", json!(4)),
        ("inputBytes", json!(1_024)),
        ("shuffleRemoteBytesRead", json!(5)),
        ("shuffleLocalBytesRead", json!(6)),
        ("executorRunTime", json!(2_500)),
        ("executorCpuTime", json!(1_500_000_000)),
        ("name", json!("count at orders.py:7")),
        ("description", json!("mail jane.doe@example.com ".repeat(40))),
        ("failureReason", json!("password=hunter2 ".to_owned() + &"at Frame\n".repeat(1_000))),
    ] {
        failed[key] = value;
    }
    rest.add_stage(failed);
    rest.jobs.insert(7, job(7, &[3], "FAILED"));
    let (spans, harness) = scrape(rest, &shared(Given::default(), &[])).await;
    let [stage] = named(&spans, "spark.stage")[..] else { panic!("{spans:?}") };
    let SpanStatus::Error(reason) = &stage.status else { panic!("{stage:?}") };
    assert!(reason.len() <= 1_024 && reason.contains("at Frame"), "{reason}");
    for (name, number) in [
        ("spark.stage.id", Some(3)),
        ("spark.stage.attempt", Some(1)),
        ("spark.job.id", Some(7)),
        ("spark.stage.tasks", Some(4)),
        ("spark.stage.failed_tasks", Some(4)),
        ("spark.stage.input_bytes", Some(1_024)),
        ("spark.stage.shuffle_read_bytes", Some(11)),
        ("spark.stage.output_bytes", None),
    ] {
        assert_eq!(integer(stage, name), number, "{name}");
    }
    let seconds = |name| attribute(stage, name).cloned();
    assert_eq!(seconds("spark.stage.executor_run_seconds"), Some(AttributeValue::Float(2.5)));
    assert_eq!(seconds("spark.stage.executor_cpu_seconds"), Some(AttributeValue::Float(1.5)));
    let Some(AttributeValue::Text(description)) = attribute(stage, "spark.stage.description")
    else {
        panic!("{stage:?}")
    };
    assert!(description.len() <= 256 && description.starts_with("mail [EMAIL]"), "{description}");
    let [job] = named(&spans, "spark.job")[..] else { panic!("{spans:?}") };
    assert!(matches!(job.status, SpanStatus::Error(_)));
    let shown = format!("{spans:?} {:?}", harness.scraper);
    assert!(!shown.contains("jane.doe") && !shown.contains("hunter2"));
}

#[tokio::test]
async fn work_that_goes_on_or_never_began_is_no_span() {
    let mut rest = Recording::idle("app-1", "orders");
    rest.add_stage(stage(0, 0, "ACTIVE"));
    rest.add_stage(stage(1, 0, "SKIPPED"));
    rest.add_stage(json!({"status": "FAILED", "stageId": 2, "attemptId": 0, "numActiveTasks": 0,
        "completionTime": time(3)}));
    rest.jobs.insert(0, job(0, &[0, 1, 2], "RUNNING"));
    let (spans, _) = scrape(rest, &shared(Given::default(), &[])).await;
    assert_eq!(spans, []);
}

#[tokio::test]
async fn a_stage_hangs_below_the_job_that_made_it() {
    let mut rest = Recording::idle("app-1", "orders");
    rest.add_stage(stage(0, 0, "COMPLETE"));
    rest.add_stage(stage(0, 1, "COMPLETE"));
    rest.add_stage(stage(5, 0, "ACTIVE"));
    rest.jobs.insert(1, job(1, &[0], "SUCCEEDED"));
    rest.jobs.insert(2, job(2, &[0, 5], "RUNNING"));
    let (spans, _) = scrape(rest, &shared(Given::default(), &[])).await;
    let jobs = named(&spans, "spark.job");
    assert_eq!(jobs.len(), 1);
    let parents: BTreeSet<_> =
        named(&spans, "spark.stage").iter().map(|span| span.parent_span_id).collect();
    assert_eq!(parents, BTreeSet::from([Some(jobs[0].span_id)]));
    assert_eq!(named(&spans, "spark.stage").len(), 2, "one for each attempt");
}

#[tokio::test]
async fn a_late_agent_hangs_a_repeated_stage_where_an_early_one_did() {
    let mut rest = Recording::idle("app-1", "orders");
    rest.add_stage(stage(0, 0, "COMPLETE"));
    rest.jobs.insert(1, job(1, &[0], "SUCCEEDED"));
    let before = rest.clone();
    let ui = FakeUi::start(move |path| before.answer(path)).await;
    let mut early = Harness::new(&[&ui]);
    let mut live = spans(early.scrape().await);
    // The output of stage 0 was lost, so a later job has it made again.
    rest.add_stage(stage(0, 1, "COMPLETE"));
    let mut second = job(2, &[0], "SUCCEEDED");
    second["numFailedStages"] = json!(1);
    rest.jobs.insert(2, second);
    ui.say(move |path| rest.answer(path));
    live.extend(spans(early.scrape().await));
    let mut late = spans(Harness::new(&[&ui]).scrape().await);
    live.sort_by_key(|span| span.span_id);
    late.sort_by_key(|span| span.span_id);
    assert_eq!(live.len(), 4);
    assert_eq!(live, late);
}

#[tokio::test]
async fn work_that_is_read_again_is_not_sent_again() {
    let mut rest = Recording::idle("app-1", "orders");
    rest.add_stage(stage(0, 0, "COMPLETE"));
    rest.add_stage(stage(1, 0, "ACTIVE"));
    rest.jobs.insert(0, job(0, &[0, 1], "RUNNING"));
    rest.jobs.get_mut(&0).unwrap()["numCompletedStages"] = json!(1);
    let begun = rest.clone();
    let ui = FakeUi::start(move |path| begun.answer(path)).await;
    let mut harness = Harness::new(&[&ui]);
    let mut all = spans(harness.scrape().await);
    assert_eq!(all.len(), 1, "the stage that is over, while its job runs");
    // A job with a failed stage has all its stages read once more when it ends.
    rest.add_stage(stage(1, 0, "FAILED"));
    rest.add_stage(stage(1, 1, "COMPLETE"));
    rest.jobs.insert(0, job(0, &[0, 1], "SUCCEEDED"));
    rest.jobs.get_mut(&0).unwrap()["numFailedStages"] = json!(1);
    let base = "/api/v1/applications/app-1/stages/0?";
    ui.take_requests();
    ui.say(move |path| rest.answer(path));
    all.extend(spans(harness.scrape().await));
    assert!(ui.take_requests().iter().any(|path| path.starts_with(base)));
    all.extend(spans(harness.scrape().await));
    let ids: BTreeSet<SpanId> = all.iter().map(|span| span.span_id).collect();
    assert_eq!((all.len(), ids.len()), (4, 4));
}

#[tokio::test]
async fn logs_and_spans_meet_in_the_trace_that_the_environment_names() {
    let parent = ("TRACEPARENT", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    for environment in [&[][..], &[parent]] {
        let mut rest = Recording::idle("app-20261122063935-0000", "orders");
        rest.add_stage(stage(3, 1, "COMPLETE"));
        rest.jobs.insert(0, job(0, &[3], "SUCCEEDED"));
        rest.applications[0]["attempts"][0]["attemptId"] = json!("2");
        let mut ended = rest.clone();
        ended.applications[0]["attempts"][0]["completed"] = json!(true);
        ended.applications[0]["attempts"][0]["endTime"] = json!(time(59));
        let ui = FakeUi::start(move |path| rest.answer(path)).await;
        // It is gone at once, but not without its last span.
        let linger = Interval::from_secs(0);
        let config = Config { urls: vec![ui.url()], linger, ..Config::default() };
        let shared = shared(Given::default(), environment);
        let mut harness = Harness::with_shared(&config, &shared, Limits::default());
        let out = harness.scrape().await;
        let (jobs, mut spans) = (out.jobs.clone(), spans(out));
        ui.say(move |path| ended.answer(path));
        spans.extend(super::spans::spans(harness.scrape().await));

        let path = Path::new("/logs/app-20261122063935-0000/0/stderr");
        let evidence = shared.identity.evidence(path, b"");
        let written = Written { since_unix_ms: u64::MAX, until_unix_ms: u64::MAX };
        let log = shared.identity.resource(path, &evidence, &jobs, written);
        let run = Run::of(&log).unwrap();
        let stage = named(&spans, "spark.stage")[0];
        assert_eq!(stage.trace_id, run.trace_id());
        assert_eq!(stage.span_id, run.stage_span_id(3, 1));
        let root = named(&spans, "spark.application")[0];
        assert_eq!(root.span_id, run.span_id());
        let given = trace::parse_traceparent(parent.1).unwrap();
        if environment.is_empty() {
            assert_eq!(root.parent_span_id, None);
            assert_eq!(root.trace_id, trace::run_trace_id("app-20261122063935-0000", "2"));
        } else {
            assert_eq!((root.trace_id, root.parent_span_id), (given.0, Some(given.1)));
        }
    }
}

#[tokio::test]
async fn an_agent_that_comes_late_brings_a_limited_number_of_spans_and_counts_the_rest() {
    let mut rest = Recording::idle("app-1", "orders");
    let ids: Vec<u64> = (0..5_000).collect();
    for id in &ids {
        let mut stage = stage(0, 0, "COMPLETE");
        stage["stageId"] = json!(id);
        rest.add_stage(stage);
    }
    rest.jobs.insert(0, job(0, &ids, "SUCCEEDED"));
    let (spans, harness) = scrape(rest, &shared(Given::default(), &[])).await;
    assert_eq!(spans.len(), 4_096);
    // One of them is that of the job.
    assert_eq!(harness.scraper.meter.stats().cut_of(Cut::Span), 5_001 - 4_096);
}
