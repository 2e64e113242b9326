//! The metrics of `/metrics` as instruments of the OpenTelemetry SDK, which asks them for numbers.

use crate::model::{Kind, MetricDescriptor, Sample, SampleValue};
use crate::policy::Redactors;
use crate::telemetry::{own_descriptors, own_samples};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, MeterProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For so long what was read answers all instruments: they are asked one after the other.
const AGE_MAX: Duration = Duration::from_millis(500);

/// Makes an instrument of each metric, with its name on `/metrics`.
pub(super) fn observe(provider: &SdkMeterProvider, redactors: &Arc<Redactors>) {
    let meter = provider.meter("sidelight");
    let samples = Arc::new(Samples { redactors: redactors.clone(), last: Mutex::default() });
    for descriptor in own_descriptors() {
        let samples = samples.clone();
        let observe = move |to: &dyn AsyncInstrument<f64>| samples.report(descriptor, to);
        let (name, help, unit) = (descriptor.name, descriptor.help, ucum(descriptor.unit));
        if descriptor.kind == Kind::Counter {
            let counter = meter.f64_observable_counter(name).with_unit(unit);
            counter.with_description(help).with_callback(observe).build();
        } else {
            let gauge = meter.f64_observable_gauge(name).with_unit(unit);
            gauge.with_description(help).with_callback(observe).build();
        }
    }
}

fn ucum(unit: &'static str) -> &'static str {
    match unit {
        "seconds" => "s",
        "bytes" => "By",
        "ratio" => "1",
        other => other,
    }
}

struct Samples {
    redactors: Arc<Redactors>,
    last: Mutex<Option<(Instant, Vec<Sample>)>>,
}

impl Samples {
    fn report(&self, descriptor: &'static MetricDescriptor, to: &dyn AsyncInstrument<f64>) {
        let now = Instant::now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = last.as_ref().is_none_or(|(at, _)| now.duration_since(*at) > AGE_MAX);
        if is_old {
            *last = Some((now, own_samples(&self.redactors)));
        }
        let samples = last.iter().flat_map(|(_, samples)| samples);
        for sample in samples.filter(|sample| std::ptr::eq(sample.descriptor, descriptor)) {
            let SampleValue::Number(number) = sample.value else { continue };
            let label = |(name, value): &(&'static str, redaction::Value)| {
                KeyValue::new(*name, value.to_string())
            };
            let labels: Vec<KeyValue> = sample.labels.iter().map(label).collect();
            to.observe(number, &labels);
        }
    }
}
