//! Samples as OTLP messages.
//!
//! Names are those of `/metrics`, `_total`, units and all, and units are in UCUM. A receiver that makes
//! Prometheus names of them adds a suffix only where it is missing, so what comes out is the same name
//! again, whichever way it translates; dashboards and alerts fit both. (A share has unit `1`, of which
//! `_ratio` is made, which our names end in; what has no unit has the empty one, of which nothing is.)

use super::config::{Histograms, Temporality};
use super::exponential;
use super::resource::{Given, SCHEMA_URL, scope, text};
use crate::clock;
use crate::export::delivered::{self, Delivered, JobKey, SeriesKey};
use crate::model::metric::Histogram as Buckets;
use crate::model::{Kind, MetricBatch, MetricDescriptor, Sample, SampleValue};
use crate::scrape::spark::metrics::job::{JOB_RUN_DURATION, JOB_RUNS};
use crate::telemetry::OTLP_SERIES_DROPPED;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource as OtlpResource;
use prost::Message;
use redaction::Value;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the agent itself counts, from 0, whenever the job of the batch began.
const COUNTED_HERE: [&MetricDescriptor; 2] = [&JOB_RUNS, &JOB_RUN_DURATION];
/// Jobs and series of counters whose delivered totals are remembered.
const TRACKED_MAX: usize = 20_000;

/// Turns batches into messages.
///
/// With delta temporality, a counter says what was added since the last request that arrived: what a
/// lost one would have said is in the next. What was stored although the answer got lost counts twice.
#[derive(Debug)]
pub(super) struct MetricEncoder {
    given: Given,
    temporality: Temporality,
    histograms: Histograms,
    /// Also that of the exporter of the config before.
    delivered: Arc<Mutex<Delivered>>,
}

/// The metrics of one batch, and what follows from their delivery.
#[derive(Debug)]
pub(super) struct Prepared {
    resource: OtlpResource,
    pub(super) metrics: Vec<Metric>,
    /// For each metric, the series and totals that it holds.
    totals: Vec<Vec<(SeriesKey, SampleValue)>>,
    job: JobKey,
    time_unix_ms: u64,
    n_samples: usize,
}

/// What is delivered when the agent begins: nothing. Counters of jobs that started since then count from
/// 0, those of older jobs from the first value that is seen.
pub(super) fn nothing_delivered() -> Arc<Mutex<Delivered>> {
    Arc::new(Mutex::new(Delivered::new(clock::unix_ms(), TRACKED_MAX)))
}

/// It is whole whatever panicked: the process ends then.
fn lock(delivered: &Mutex<Delivered>) -> MutexGuard<'_, Delivered> {
    delivered.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Prepared {
    /// True when these are the metrics of `batch`.
    pub(super) fn is_of(&self, batch: &MetricBatch) -> bool {
        (self.time_unix_ms, self.n_samples) == (batch.time_unix_ms, batch.samples.len())
            && self.job == JobKey::of(batch)
    }

    /// Appends some of the metrics to a message.
    pub(super) fn encode(&self, range: std::ops::Range<usize>, out: &mut Vec<u8>) {
        let scope_metrics = ScopeMetrics {
            scope: Some(scope()),
            metrics: self.metrics[range].to_vec(),
            schema_url: SCHEMA_URL.to_owned(),
        };
        let resource_metrics = ResourceMetrics {
            resource: Some(self.resource.clone()),
            scope_metrics: vec![scope_metrics],
            schema_url: SCHEMA_URL.to_owned(),
        };
        let request = ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] };
        out.reserve(request.encoded_len());
        request.encode_raw(out);
    }
}

impl MetricEncoder {
    /// Goes on from what is `delivered`.
    pub(super) fn new(
        given: Given,
        temporality: Temporality,
        histograms: Histograms,
        delivered: Arc<Mutex<Delivered>>,
    ) -> Self {
        Self { given, temporality, histograms, delivered }
    }

    /// The metrics of a batch, in the order in which their names come first.
    pub(super) fn prepare(&mut self, batch: &MetricBatch, now_unix_ms: u64) -> Prepared {
        let job = JobKey::of(batch);
        if batch.samples.is_empty() {
            lock(&self.delivered).finish(&job);
        } else if self.temporality == Temporality::Delta {
            lock(&self.delivered).see(&job, now_unix_ms);
        }
        let mut prepared = Prepared {
            resource: self.given.of_metrics(batch),
            metrics: Vec::new(),
            totals: Vec::new(),
            job,
            time_unix_ms: batch.time_unix_ms,
            n_samples: batch.samples.len(),
        };
        let mut names: Vec<&'static str> = Vec::new();
        for sample in &batch.samples {
            let name = sample.descriptor.name;
            let index = names.iter().position(|it| *it == name).unwrap_or_else(|| {
                names.push(name);
                prepared.metrics.push(self.metric(sample.descriptor));
                prepared.totals.push(Vec::new());
                names.len() - 1
            });
            self.add(batch, sample, index, &mut prepared, now_unix_ms);
        }
        prepared
    }

    /// Takes note that the metrics in `range` were delivered.
    pub(super) fn commit(&mut self, prepared: &mut Prepared, range: std::ops::Range<usize>) {
        let totals = prepared.totals[range].iter_mut().flat_map(std::mem::take).collect();
        lock(&self.delivered).raise(&prepared.job, prepared.time_unix_ms, totals);
    }

    /// A metric without points.
    fn metric(&self, descriptor: &'static MetricDescriptor) -> Metric {
        let temporality = match self.temporality {
            Temporality::Cumulative => AggregationTemporality::Cumulative,
            Temporality::Delta => AggregationTemporality::Delta,
        };
        let aggregation_temporality = temporality.into();
        let data_points = Vec::new();
        let data = match descriptor.kind {
            Kind::Counter => {
                Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic: true })
            }
            Kind::Gauge | Kind::Info | Kind::StateSet => Data::Gauge(Gauge { data_points }),
            Kind::Histogram if self.histograms == Histograms::Exponential => {
                let data_points = Vec::new();
                let histogram = ExponentialHistogram { data_points, aggregation_temporality };
                Data::ExponentialHistogram(histogram)
            }
            Kind::Histogram => {
                Data::Histogram(Histogram { data_points: Vec::new(), aggregation_temporality })
            }
        };
        Metric {
            name: descriptor.name.to_owned(),
            description: descriptor.help.to_owned(),
            unit: unit(descriptor.unit).to_owned(),
            data: Some(data),
            ..Metric::default()
        }
    }

    /// Adds the point of one sample.
    fn add(
        &mut self,
        batch: &MetricBatch,
        sample: &Sample,
        index: usize,
        prepared: &mut Prepared,
        now_unix_ms: u64,
    ) {
        let kind = sample.descriptor.kind;
        let is_added_up = matches!(kind, Kind::Counter | Kind::Histogram);
        let time_unix_nano = nanoseconds(batch.time_unix_ms);
        let (value, start_unix_ms) = match (is_added_up, self.temporality) {
            (false, _) => (sample.value.clone(), 0),
            (true, Temporality::Cumulative) => (sample.value.clone(), batch.created_unix_ms),
            (true, Temporality::Delta) => {
                let series = (sample.descriptor.name, delivered::sorted(&sample.labels));
                let (job, mut delivered) = (&prepared.job, lock(&self.delivered));
                let is_counted_here = COUNTED_HERE.iter().any(|it| it.name == series.0);
                let total =
                    delivered.total(job, &series, &sample.value, is_counted_here, now_unix_ms);
                let Some(total) = total else {
                    OTLP_SERIES_DROPPED.add(1);
                    return;
                };
                let added = added(&sample.value, total);
                // Of this series: a part of the batch before may have been refused.
                let since = delivered.since_unix_ms(job, &series);
                prepared.totals[index].push((series, sample.value.clone()));
                (added, since.unwrap_or(batch.created_unix_ms))
            }
        };
        let attributes = attributes(batch, sample);
        let start_time_unix_nano = nanoseconds(start_unix_ms.min(batch.time_unix_ms));
        match (&mut prepared.metrics[index].data, value) {
            (Some(Data::Gauge(Gauge { data_points })), SampleValue::Number(number))
            | (Some(Data::Sum(Sum { data_points, .. })), SampleValue::Number(number)) => {
                data_points.push(NumberDataPoint {
                    attributes,
                    start_time_unix_nano,
                    time_unix_nano,
                    value: Some(number_data_point::Value::AsDouble(number)),
                    ..NumberDataPoint::default()
                });
            }
            (Some(Data::Histogram(histogram)), SampleValue::Histogram(buckets)) => {
                histogram.data_points.push(HistogramDataPoint {
                    attributes,
                    start_time_unix_nano,
                    time_unix_nano,
                    count: buckets.count(),
                    sum: Some(buckets.sum),
                    bucket_counts: buckets.counts.clone(),
                    explicit_bounds: buckets.bounds.to_vec(),
                    ..HistogramDataPoint::default()
                });
            }
            (Some(Data::ExponentialHistogram(histogram)), SampleValue::Histogram(buckets)) => {
                let mut point = exponential::point(&buckets);
                (point.attributes, point.time_unix_nano) = (attributes, time_unix_nano);
                point.start_time_unix_nano = start_time_unix_nano;
                histogram.data_points.push(point);
            }
            _ => panic!("a histogram, and nothing else, has buckets"),
        }
    }
}

/// What `total` does not have of a value.
fn added(value: &SampleValue, total: &SampleValue) -> SampleValue {
    match value {
        SampleValue::Number(number) => SampleValue::Number(delivered::growth(*number, total)),
        SampleValue::Histogram(buckets) => {
            let new: Buckets = delivered::new_observations(buckets, total);
            SampleValue::Histogram(Arc::new(new))
        }
    }
}

/// Labels of the batch and of the sample: what tells a series from another one stands on it, as on
/// `/metrics`.
fn attributes(batch: &MetricBatch, sample: &Sample) -> Vec<KeyValue> {
    let labels = batch.labels.iter().chain(&sample.labels);
    let one = |(name, value): &(&'static str, Value)| text(name, value.to_string());
    labels.map(one).collect()
}

fn nanoseconds(unix_ms: u64) -> u64 {
    unix_ms.saturating_mul(1_000_000)
}

/// The unit in UCUM. Of one in braces no name is made.
fn unit(prometheus: &'static str) -> &'static str {
    match prometheus {
        "seconds" => "s",
        "bytes" => "By",
        "ratio" => "1",
        "byte_seconds" => "{byte_second}",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::unit;
    use crate::model::Kind;
    use crate::scrape::spark::metrics;

    /// What Prometheus and the OpenTelemetry Collector make of a name and a unit: words of the name,
    /// with the unit's word where it is missing, and `total` or `ratio` last.
    fn translated(name: &str, unit: &str, kind: Kind) -> String {
        let mut words: Vec<&str> = name.split('_').filter(|word| !word.is_empty()).collect();
        let word = match unit {
            "s" => "seconds",
            "By" => "bytes",
            "" | "1" => "",
            unit if unit.contains('{') => "",
            unit => panic!("no word for unit {unit}"),
        };
        if !word.is_empty() && !words.contains(&word) {
            words.push(word);
        }
        if kind == Kind::Counter {
            words.retain(|it| *it != "total");
            words.push("total");
        }
        if kind == Kind::Gauge && unit == "1" {
            words.retain(|it| *it != "ratio");
            words.push("ratio");
        }
        words.join("_")
    }

    #[test]
    fn every_name_comes_out_of_the_translation_as_it_went_in() {
        let mut n_names = 0;
        for metric in metrics::METRICS.iter().copied().flatten() {
            n_names += 1;
            assert_eq!(translated(metric.name, unit(metric.unit), metric.kind), metric.name);
        }
        assert!(n_names > 50, "{n_names}");
    }
}
