//! Tests of the encoder as a whole: what CloudWatch has after the events arrived.

mod laws;
mod limits;
mod recorded;
mod recorded_flink;
mod validator;

use super::table::{Fold, Row, Unit};
use super::{Encoder, Prepared, Scope, Settings};
use crate::model::metric::Histogram;
use crate::model::{Kind, MetricBatch, MetricDescriptor, Sample, SampleValue};
use crate::scrape::spark::metrics::{application, job, stage};
use crate::telemetry::OwnMetric;
use redaction::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use validator::{Extracted, Root, extract};

/// When the agent began to watch.
const WATCHED_SINCE: u64 = 1_700_000_000_000;

fn settings() -> Settings {
    Settings::new("Sidelight", Some(Scope::Cluster(Value::literal("etl-1")))).unwrap()
}

fn encoder() -> Encoder {
    Encoder::new(settings(), WATCHED_SINCE)
}

/// A batch of a job that started under our eyes, `second` seconds after that.
fn batch(second: u64, samples: Vec<Sample>) -> MetricBatch {
    let label = |name, value| (name, Value::literal(value));
    MetricBatch {
        resource: Arc::default(),
        labels: vec![label("engine", "spark"), label("job_name", "orders"), label("slot", "0")],
        created_unix_ms: WATCHED_SINCE,
        time_unix_ms: WATCHED_SINCE + second * 1_000,
        samples,
    }
}

fn sample(
    descriptor: &'static MetricDescriptor,
    labels: &[(&'static str, &'static str)],
    value: f64,
) -> Sample {
    let labels = labels.iter().map(|(name, value)| (*name, Value::literal(value)));
    Sample::number(descriptor, labels.collect(), value)
}

fn histogram(
    descriptor: &'static MetricDescriptor,
    labels: &[(&'static str, &'static str)],
    histogram: &Histogram,
) -> Sample {
    let value = SampleValue::Histogram(Arc::new(histogram.clone()));
    Sample { value, ..sample(descriptor, labels, 0.0) }
}

fn prepare(encoder: &mut Encoder, batch: &MetricBatch) -> Prepared {
    encoder.prepare(batch, batch.time_unix_ms)
}

/// What CloudWatch has after all events of `prepared`.
fn metrics(prepared: &Prepared) -> Vec<Extracted> {
    let metrics: Vec<Extracted> = prepared.events.iter().flat_map(|event| extract(event)).collect();
    assert!(metrics.iter().all(|metric| metric.time_unix_ms == prepared.time_unix_ms));
    metrics
}

/// Prepares and delivers a batch.
fn deliver(encoder: &mut Encoder, batch: &MetricBatch) -> Vec<Extracted> {
    let prepared = prepare(encoder, batch);
    let metrics = metrics(&prepared);
    encoder.commit(prepared, batch.time_unix_ms);
    metrics
}

/// Name, extra dimension and sum of each metric.
fn shown(metrics: &[Extracted]) -> Vec<String> {
    let show = |metric: &Extracted| {
        let others = ["cluster", "job_name"];
        let extra = metric.dimensions.iter().filter(|(name, _)| !others.contains(&name.as_str()));
        let extra: String = extra.map(|(name, value)| format!("{{{name}={value}}}")).collect();
        format!("{}{extra} {}", metric.name, metric.sum())
    };
    metrics.iter().map(show).collect()
}

#[test]
fn an_event_is_what_the_documentation_of_the_format_shows() {
    let ids = [("app_id", "app-1"), ("run_id", "r \"1\""), ("user_id", ""), ("slot", "9")];
    let samples = vec![
        sample(&job::JOB_RUN_INFO, &ids, 1.0),
        sample(&application::APP_CORES, &[], 8.0),
        sample(&application::APP_SLOTS, &[("state", "idle")], 2.0),
        sample(&job::JOB_PROGRESS, &[], 0.25),
    ];
    let prepared = prepare(&mut encoder(), &batch(1, samples));
    let want = concat!(
        r#"{"_aws":{"Timestamp":1700000001000,"CloudWatchMetrics":[{"Namespace":"Sidelight","#,
        r#""Dimensions":[["cluster","job_name"]],"Metrics":[{"Name":"job_progress_ratio","#,
        r#""Unit":"None"},{"Name":"spark_app_cores_granted","Unit":"Count"}]},"#,
        r#"{"Namespace":"Sidelight","Dimensions":[["cluster","job_name","state"]],"#,
        r#""Metrics":[{"Name":"spark_app_slots","Unit":"Count"}]}]},"#,
        r#""cluster":"etl-1","job_name":"orders","state":"idle","engine":"spark","slot":"0","#,
        r#""app_id":"app-1","run_id":"r \"1\"","job_progress_ratio":0.25,"#,
        r#""spark_app_cores_granted":8,"spark_app_slots":2}"#,
    );
    let events: Vec<&str> =
        prepared.events.iter().map(|event| std::str::from_utf8(event).unwrap()).collect();
    assert_eq!(events, [want]);
    extract(want.as_bytes());
}

#[test]
fn a_counter_is_sent_as_growth_and_what_did_not_arrive_comes_with_the_next_batch() {
    let mut encoder = encoder();
    let at = |second, total| batch(second, vec![sample(&job::JOB_READ_BYTES, &[], total)]);
    assert_eq!(shown(&deliver(&mut encoder, &at(1, 5.0))), ["job_read_bytes_total 5"]);
    let lost = prepare(&mut encoder, &at(2, 7.0));
    assert_eq!(shown(&metrics(&lost)), ["job_read_bytes_total 2"]);
    assert_eq!(shown(&deliver(&mut encoder, &at(3, 11.0))), ["job_read_bytes_total 6"]);
    assert_eq!(shown(&deliver(&mut encoder, &at(4, 11.0))), ["job_read_bytes_total 0"]);
    assert_eq!(prepare(&mut encoder, &at(2, 7.0)).dropped(), &BTreeMap::new());
    assert_eq!(shown(&deliver(&mut encoder, &at(2, 7.0))), ["job_read_bytes_total 0"], "late");
    assert_eq!(shown(&deliver(&mut encoder, &at(5, 12.0))), ["job_read_bytes_total 1"]);
}

#[test]
fn a_job_older_than_the_agent_counts_from_its_first_batch_even_if_that_did_not_arrive() {
    let mut encoder = encoder();
    let at = |second, total| MetricBatch {
        resource: Arc::default(),
        created_unix_ms: WATCHED_SINCE - 1,
        ..batch(second, vec![sample(&job::JOB_READ_BYTES, &[], total)])
    };
    let lost = prepare(&mut encoder, &at(1, 1_000.0));
    assert_eq!(shown(&metrics(&lost)), ["job_read_bytes_total 0"]);
    assert_eq!(shown(&deliver(&mut encoder, &at(2, 1_005.0))), ["job_read_bytes_total 5"]);
}

#[test]
fn the_end_of_a_run_that_began_before_the_agent_counts() {
    let mut encoder = encoder();
    let mut durations = Histogram::new(&[60.0, 600.0]);
    durations.observe(90.5);
    let failed = &[("outcome", "failed")];
    let samples = vec![
        sample(&job::JOB_RUNS, failed, 1.0),
        histogram(&job::JOB_RUN_DURATION, failed, &durations),
    ];
    let mut history = MetricBatch { created_unix_ms: 1, ..batch(1, samples) };
    history.labels.pop();
    let metrics = deliver(&mut encoder, &history);
    let want =
        ["job_run_duration_seconds{outcome=failed} 90.5", "job_runs_total{outcome=failed} 1"];
    assert_eq!(shown(&metrics), want);
}

#[test]
fn other_labels_are_summed_or_the_largest_wins_and_only_the_present_state_is_sent() {
    let samples = vec![
        sample(&stage::SHUFFLE_READ_BYTES, &[("source", "local")], 3.0),
        sample(&stage::SHUFFLE_READ_BYTES, &[("source", "remote")], 4.0),
        sample(&application::EXECUTOR_HEAP_PEAK_RATIO, &[("stat", "min")], 0.25),
        sample(&application::EXECUTOR_HEAP_PEAK_RATIO, &[("stat", "max")], 0.5),
        sample(&job::JOB_RUN_STATE, &[("state", "running")], 0.0),
        sample(&job::JOB_RUN_STATE, &[("state", "failed")], 1.0),
        sample(&application::APP_EXECUTORS_REMOVED, &[("reason", "idle")], 0.0),
        sample(&application::APP_EXECUTORS_REMOVED, &[("reason", "oom")], 2.0),
        sample(&job::JOB_TASK_FAILURES, &[], 0.0),
        sample(&application::APP_JOBS, &[("state", "running")], 1.0),
    ];
    let want = [
        "job_task_failures_total 0",
        "spark_executor_heap_peak_ratio 0.5",
        "spark_stage_shuffle_read_bytes_total 7",
        "spark_app_executors_removed_total{reason=oom} 2",
        "job_run_state{state=failed} 1",
    ];
    assert_eq!(shown(&deliver(&mut encoder(), &batch(1, samples))), want);
}

#[test]
fn histograms_are_merged_over_other_labels_with_each_value_once() {
    let observed = |values: &[f64]| {
        let mut all = Histogram::new(&[1.0, 10.0]);
        values.iter().for_each(|value| all.observe(*value));
        all
    };
    let samples = vec![
        histogram(&stage::STAGE_DURATION, &[("pool", "a")], &observed(&[5.0])),
        histogram(&stage::STAGE_DURATION, &[("pool", "b")], &observed(&[5.0])),
        histogram(&stage::STAGE_DURATION, &[("pool", "c")], &observed(&[0.5, 30.0])),
        histogram(&application::APP_JOB_DURATION, &[], &observed(&[])),
    ];
    let metrics = deliver(&mut encoder(), &batch(1, samples));
    assert_eq!(metrics.len(), 1, "no observations, no metric");
    assert_eq!(metrics[0].values, [(0.5, 1), (5.0, 2), (30.0, 1)]);
}

#[test]
fn a_batch_that_comes_again_adds_only_what_changed() {
    let mut encoder = encoder();
    let at_end = |read, failed| {
        let samples = vec![
            sample(&job::JOB_READ_BYTES, &[], read),
            sample(&job::JOB_TASK_FAILURES, &[], 1.0),
            sample(&application::APP_CORES, &[], 8.0),
            sample(&job::JOB_RUN_STATE, &[("state", "running")], 1.0 - failed),
            sample(&job::JOB_RUN_STATE, &[("state", "failed")], failed),
        ];
        batch(9, samples)
    };
    assert_eq!(deliver(&mut encoder, &at_end(5.0, 0.0)).len(), 4);
    let again = shown(&deliver(&mut encoder, &at_end(6.0, 1.0)));
    assert_eq!(again, ["job_read_bytes_total 1", "job_run_state{state=failed} 1"]);
}

#[test]
fn the_estimate_counts_names_with_their_dimensions_once_they_were_delivered() {
    let mut encoder = encoder();
    let samples = |second| {
        let samples = vec![
            sample(&application::APP_CORES, &[], 8.0),
            sample(&application::APP_SLOTS, &[("state", "idle")], 2.0),
            sample(&application::APP_SLOTS, &[("state", "busy")], 6.0),
        ];
        batch(second, samples)
    };
    let lost = prepare(&mut encoder, &samples(1));
    assert_eq!(encoder.n_billed(WATCHED_SINCE), 0);
    encoder.commit(lost, WATCHED_SINCE);
    deliver(&mut encoder, &samples(2));
    assert_eq!(encoder.n_billed(WATCHED_SINCE), 3);
    assert!(crate::telemetry::CLOUDWATCH_METRICS_ESTIMATE.get().is_some());
}

#[test]
fn the_agent_itself_is_of_no_job_and_all_agents_of_a_scope_share_their_metrics() {
    let own = |second, lost: f64| {
        let of_this_one = [("exporter", "file"), ("signal", "logs")];
        let samples = vec![
            sample(&crate::telemetry::MEMORY, &[], 4096.0),
            sample(crate::telemetry::CIRCUIT_OPEN.descriptor(), &of_this_one, 1.0),
            sample(crate::telemetry::LOST_BYTES.descriptor(), &[("reason", "deleted")], lost),
            sample(crate::telemetry::LOST_BYTES.descriptor(), &[("reason", "truncated")], 2.0),
            sample(crate::telemetry::CHECKPOINTS.descriptor(), &[], 9.0),
        ];
        MetricBatch { labels: vec![], ..batch(second, samples) }
    };
    let mut encoder = encoder();
    let first = deliver(&mut encoder, &own(1, 0.0));
    let want =
        ["sidelight_circuit_open 1", "sidelight_lost_bytes_total 2", "sidelight_memory_bytes 4096"];
    assert_eq!(shown(&first), want);
    let scope = BTreeMap::from([("cluster".to_owned(), "etl-1".to_owned())]);
    assert!(first.iter().all(|metric| metric.dimensions == scope));
    assert_eq!(encoder.n_billed(WATCHED_SINCE + 1_000), 3);
    assert_eq!(shown(&deliver(&mut encoder, &own(61, 5.0)))[1], "sidelight_lost_bytes_total 5");
    let settings = Settings::new("Sidelight", None).unwrap();
    let mut bare = Encoder::new(settings, WATCHED_SINCE);
    let prepared = prepare(&mut bare, &own(1, 0.0));
    let event = std::str::from_utf8(&prepared.events[0]).unwrap();
    assert!(event.contains(r#""Dimensions":[[]]"#), "{event}");
    assert!(metrics(&prepared).iter().all(|metric| metric.dimensions.is_empty()));
}

#[test]
fn times_are_sent_as_how_long_ago_they_are() {
    let started = (WATCHED_SINCE / 1_000) as f64 + 10.0;
    let at = |second| batch(second, vec![sample(&job::JOB_RUN_START, &[], started)]);
    let mut encoder = encoder();
    assert_eq!(shown(&deliver(&mut encoder, &at(70))), ["job_run_age_seconds 60"]);
    assert_eq!(shown(&deliver(&mut encoder, &at(9))), ["job_run_age_seconds 0"], "clocks differ");
}

/// A metric of its own for tests, with its line of the table.
fn leak_row(name: String, kind: Kind, dimension: Option<&'static str>) -> Row {
    let (unit, help, source) = ("", "h", "test");
    let name: &'static str = Box::leak(name.into_boxed_str());
    let metric = Box::leak(Box::new(MetricDescriptor { name, unit, kind, help, source }));
    Row {
        metric,
        name,
        unit: Unit::Count,
        dimension,
        fold: Fold::of(kind),
        is_counted_by_agent: false,
    }
}
