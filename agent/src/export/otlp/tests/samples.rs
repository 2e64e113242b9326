//! Samples, as totals and as what was added.

use crate::export::delivered::Delivered;
use crate::export::otlp::config::{Histograms, Temporality};
use crate::export::otlp::metrics::{MetricEncoder, Prepared};
use crate::export::otlp::resource::Given;
use crate::model::metric::Histogram;
use crate::model::{Kind, MetricBatch, MetricDescriptor, Sample, SampleValue};
use crate::scrape::spark::metrics::job::JOB_RUNS;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{NumberDataPoint, number_data_point};
use prost::Message;
use redaction::Value;
use std::sync::{Arc, Mutex};

static TASKS: MetricDescriptor =
    MetricDescriptor { name: "t_total", unit: "", kind: Kind::Counter, help: "h", source: "s" };
static HEAP: MetricDescriptor =
    MetricDescriptor { name: "h_bytes", unit: "bytes", kind: Kind::Gauge, help: "h", source: "s" };
static TIME: MetricDescriptor = MetricDescriptor {
    name: "d_seconds",
    unit: "seconds",
    kind: Kind::Histogram,
    help: "h",
    source: "s",
};

const CREATED: u64 = 1_000;

pub(super) fn batch(time_unix_ms: u64, tasks: f64, observed: &[f64]) -> MetricBatch {
    let mut histogram = Histogram::new(&[1.0, 10.0]);
    observed.iter().for_each(|it| histogram.observe(*it));
    let outcome = |name| vec![("outcome", Value::literal(name))];
    MetricBatch {
        resource: Arc::default(),
        labels: vec![("engine", Value::literal("spark")), ("job_name", Value::literal("orders"))],
        created_unix_ms: CREATED,
        time_unix_ms,
        samples: vec![
            Sample::number(&TASKS, outcome("ok"), tasks),
            Sample::number(&HEAP, vec![], 5.0),
            Sample::number(&TASKS, outcome("failed"), 1.0),
            Sample {
                descriptor: &TIME,
                labels: vec![],
                value: SampleValue::Histogram(Arc::new(histogram)),
            },
        ],
    }
}

fn encoder(temporality: Temporality, histograms: Histograms) -> MetricEncoder {
    MetricEncoder::new(Given::default(), temporality, histograms, delivered(0))
}

/// Nothing, to an agent that began then.
fn delivered(watched_since_unix_ms: u64) -> Arc<Mutex<Delivered>> {
    Arc::new(Mutex::new(Delivered::new(watched_since_unix_ms, 100)))
}

/// As it comes out at the other end.
fn decoded(prepared: &Prepared) -> ExportMetricsServiceRequest {
    let mut message = Vec::new();
    prepared.encode(0..prepared.metrics.len(), &mut message);
    ExportMetricsServiceRequest::decode(&*message).unwrap()
}

fn number(point: &NumberDataPoint) -> f64 {
    let Some(number_data_point::Value::AsDouble(number)) = point.value else { panic!("{point:?}") };
    number
}

/// Values of `t_total` and count and sum of `d_seconds`, and the start of the latter in milliseconds.
fn told(prepared: &Prepared) -> (Vec<f64>, (u64, f64), u64) {
    let request = decoded(prepared);
    let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
    let Some(Data::Sum(sum)) = &metrics[0].data else { panic!("{:?}", metrics[0]) };
    assert!(sum.is_monotonic);
    let (count, total, start) = match &metrics[2].data {
        Some(Data::Histogram(it)) => {
            let point = &it.data_points[0];
            (point.count, point.sum.unwrap(), point.start_time_unix_nano)
        }
        Some(Data::ExponentialHistogram(it)) => {
            let point = &it.data_points[0];
            (point.count, point.sum.unwrap(), point.start_time_unix_nano)
        }
        other => panic!("{other:?}"),
    };
    (sum.data_points.iter().map(number).collect(), (count, total), start / 1_000_000)
}

#[test]
fn totals_begin_with_their_job_and_points_carry_every_label() {
    for (histograms, is_explicit) in
        [(Histograms::Explicit, true), (Histograms::Exponential, false)]
    {
        let mut encoder = encoder(Temporality::Cumulative, histograms);
        for (time, tasks, observed) in [(2_000, 4.0, &[0.5][..]), (3_000, 6.0, &[0.5, 20.0])] {
            let mut prepared = encoder.prepare(&batch(time, tasks, observed), time);
            let sum: f64 = observed.iter().sum();
            assert_eq!(told(&prepared), (vec![tasks, 1.0], (observed.len() as u64, sum), CREATED));
            let request = decoded(&prepared);
            let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
            let names: Vec<&str> = metrics.iter().map(|it| it.name.as_str()).collect();
            assert_eq!(names, ["t_total", "h_bytes", "d_seconds"]);
            assert_eq!((metrics[1].unit.as_str(), metrics[2].unit.as_str()), ("By", "s"));
            assert_eq!(matches!(metrics[2].data, Some(Data::Histogram(_))), is_explicit);
            let Some(Data::Gauge(gauge)) = &metrics[1].data else { panic!("{:?}", metrics[1]) };
            assert_eq!(
                (number(&gauge.data_points[0]), gauge.data_points[0].start_time_unix_nano),
                (5.0, 0)
            );
            assert_eq!(gauge.data_points[0].time_unix_nano, time * 1_000_000);
            let Some(Data::Sum(sum)) = &metrics[0].data else { panic!("{:?}", metrics[0]) };
            let labels: Vec<&str> =
                sum.data_points[0].attributes.iter().map(|it| it.key.as_str()).collect();
            assert_eq!(labels, ["engine", "job_name", "outcome"]);
            let n_metrics = prepared.metrics.len();
            encoder.commit(&mut prepared, 0..n_metrics);
        }
    }
}

#[test]
fn what_was_added_is_told_once_whatever_fails() {
    let mut encoder = encoder(Temporality::Delta, Histograms::Explicit);
    let first = batch(2_000, 4.0, &[0.5]);
    // It does not arrive; the next try says the same.
    for _ in 0..2 {
        let prepared = encoder.prepare(&first, 2_000);
        assert_eq!(told(&prepared), (vec![4.0, 1.0], (1, 0.5), CREATED));
    }
    let mut prepared = encoder.prepare(&first, 2_000);
    encoder.commit(&mut prepared, 0..3);
    let lost = encoder.prepare(&batch(3_000, 6.0, &[0.5, 3.0]), 3_000);
    assert_eq!(told(&lost), (vec![2.0, 0.0], (1, 3.0), 2_000));
    let mut prepared = encoder.prepare(&batch(4_000, 9.0, &[0.5, 3.0, 4.0]), 4_000);
    assert_eq!(told(&prepared), (vec![5.0, 0.0], (2, 7.0), 2_000));
    // Of a batch in parts, the first one arrives: it is not told again.
    encoder.commit(&mut prepared, 0..1);
    let rest = encoder.prepare(&batch(4_000, 9.0, &[0.5, 3.0, 4.0]), 4_000);
    assert_eq!(told(&rest), (vec![0.0, 0.0], (2, 7.0), 2_000), "since what was delivered of it");
}

#[test]
fn what_happened_before_this_agent_is_not_added() {
    let explicit = Histograms::Explicit;
    let mut encoder =
        MetricEncoder::new(Given::default(), Temporality::Delta, explicit, delivered(CREATED + 1));
    // Nobody says that nothing happened since the job began.
    let first = encoder.prepare(&batch(2_000, 4.0, &[0.5]), 2_000);
    assert_eq!(told(&first), (vec![0.0, 0.0], (0, 0.0), 2_000));
    // It was lost.
    let mut prepared = encoder.prepare(&batch(2_500, 5.0, &[0.5]), 2_500);
    assert_eq!(told(&prepared), (vec![1.0, 0.0], (0, 0.0), 2_000));
    encoder.commit(&mut prepared, 0..3);
    let next = encoder.prepare(&batch(3_000, 6.0, &[0.5]), 3_000);
    assert_eq!(told(&next), (vec![1.0, 0.0], (0, 0.0), 2_500));
}

#[test]
fn what_the_agent_counts_itself_is_added_whenever_its_job_began() {
    let explicit = Histograms::Explicit;
    let mut encoder =
        MetricEncoder::new(Given::default(), Temporality::Delta, explicit, delivered(CREATED + 1));
    let samples = vec![Sample::number(&JOB_RUNS, vec![], 1.0)];
    let prepared = encoder.prepare(&MetricBatch { samples, ..batch(2_000, 0.0, &[]) }, 2_000);
    let request = decoded(&prepared);
    let metric = &request.resource_metrics[0].scope_metrics[0].metrics[0];
    let Some(Data::Sum(sum)) = &metric.data else { panic!("{metric:?}") };
    assert_eq!(number(&sum.data_points[0]), 1.0);
}

#[test]
fn issue_6_a_change_of_the_config_loses_no_growth() {
    let (delivered, explicit) = (delivered(0), Histograms::Explicit);
    let new =
        || MetricEncoder::new(Given::default(), Temporality::Delta, explicit, delivered.clone());
    let mut before = new();
    let mut prepared = before.prepare(&batch(2_000, 4.0, &[0.5]), 2_000);
    before.commit(&mut prepared, 0..3);
    // What grew since is told by the next exporter, and nothing twice.
    let after = new().prepare(&batch(3_000, 6.0, &[0.5, 3.0]), 3_000);
    assert_eq!(told(&after), (vec![2.0, 0.0], (1, 3.0), 2_000));
}

#[test]
fn a_batch_without_samples_makes_no_metric() {
    let mut encoder = encoder(Temporality::Cumulative, Histograms::Explicit);
    let empty = MetricBatch { samples: vec![], ..batch(2_000, 1.0, &[]) };
    assert!(encoder.prepare(&empty, 2_000).metrics.is_empty());
}
