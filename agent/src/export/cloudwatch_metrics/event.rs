//! Writes metrics as events in the embedded metric format, each within every limit of CloudWatch.

use super::Settings;
use super::table::Unit;
use crate::encode::write_escaped;
use redaction::Value;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Metrics that one event defines.
const METRICS_MAX: usize = 100;
/// Values of one metric in one event.
pub(super) const VALUES_MAX: usize = 100;
/// Longest event; CloudWatch takes 48,000 bytes more.
const EVENT_BYTES_MAX: usize = 1_000_000;
/// Properties of an event.
const PROPERTIES_MAX: usize = 16;
/// Longest value of a property. Escaped, and with its name, it is 7 times as long at most.
const PROPERTY_BYTES_MAX: usize = 1024;
/// A metric with its name twice, and 100 values of 25 and counts of 20 digits.
const METRIC_BYTES_MAX: usize = 5_500;
/// A dimension: its escaped value, and a directive with its name, the namespace and other names.
const DIMENSION_BYTES_MAX: usize = 3_000;
/// What there is once: namespace, scope and job name, both escaped.
const HEAD_BYTES_MAX: usize = 8_192;
const _: () = assert!(
    METRICS_MAX * (METRIC_BYTES_MAX + DIMENSION_BYTES_MAX)
        + PROPERTIES_MAX * 7 * PROPERTY_BYTES_MAX
        + HEAD_BYTES_MAX
        < EVENT_BYTES_MAX,
    "no event can be too long, so its length need not be watched"
);

/// One metric of one event.
#[derive(Debug)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) unit: Unit,
    /// Name and value of the dimension beside the job.
    pub(super) dimension: Option<(&'static str, String)>,
    pub(super) values: Values,
}

/// What a metric says.
#[derive(Debug)]
pub(super) enum Values {
    /// One value.
    One(f64),
    /// Values with how often each was seen, [`VALUES_MAX`] at most.
    Many(Vec<(f64, u64)>),
}

/// What all events of a batch have in common.
#[derive(Debug)]
pub(super) struct Common<'a> {
    settings: &'a Settings,
    time_unix_ms: u64,
    /// None for the agent itself.
    job_name: Option<&'a str>,
    properties: Vec<(&'static str, &'a Value)>,
}

impl<'a> Common<'a> {
    /// Also returns how many properties are left out because they are too long or too many.
    pub(super) fn new(
        settings: &'a Settings,
        time_unix_ms: u64,
        job_name: Option<&'a str>,
        candidates: impl Iterator<Item = &'a (&'static str, Value)>,
    ) -> (Self, usize) {
        let mut properties: Vec<(&'static str, &Value)> = Vec::new();
        let mut n_dropped = 0;
        for (name, value) in candidates {
            let is_known = properties.iter().any(|(known, _)| known == name);
            if is_known || value.is_empty() || *name == "job_name" {
                continue;
            }
            if value.len() > PROPERTY_BYTES_MAX || properties.len() == PROPERTIES_MAX {
                n_dropped += 1;
            } else {
                properties.push((name, value));
            }
        }
        (Self { settings, time_unix_ms, job_name, properties }, n_dropped)
    }
}

/// Spreads metrics over as few events as their dimensions and the limits allow: the n-th values of
/// all dimensions share one, each dimension with a directive of its own.
pub(super) fn write_all(metrics: Vec<Metric>, common: &Common<'_>) -> Vec<Vec<u8>> {
    let mut events: Vec<Event> = Vec::new();
    for metric in metrics {
        let metric = Encoded::new(metric);
        match events.iter_mut().find(|event| event.takes(&metric)) {
            Some(event) => event.add(metric),
            None => {
                let mut event = Event::default();
                event.add(metric);
                events.push(event);
            }
        }
    }
    events.iter().map(|event| event.write(common)).collect()
}

/// A metric, half written.
#[derive(Debug)]
struct Encoded {
    name: &'static str,
    dimension: Option<(&'static str, String)>,
    /// `{"Name":…}`
    definition: String,
    /// `,"name":…`
    member: String,
}

impl Encoded {
    fn new(metric: Metric) -> Self {
        let name = metric.name;
        let definition = format!(r#"{{"Name":"{name}","Unit":"{}"}}"#, metric.unit.as_str());
        let mut member = format!(r#","{name}":"#);
        match &metric.values {
            Values::One(value) => write_number(&mut member, *value),
            Values::Many(values) => {
                member.push_str(r#"{"Values":"#);
                write_array(&mut member, values, |out, (value, _)| write_number(out, *value));
                member.push_str(r#","Counts":"#);
                write_array(&mut member, values, |out, (_, count)| {
                    let _ = write!(out, "{count}");
                });
                member.push('}');
            }
        }
        Self { name, dimension: metric.dimension, definition, member }
    }
}

#[derive(Debug, Default)]
struct Event {
    metrics: Vec<Encoded>,
    names: BTreeSet<&'static str>,
}

impl Event {
    /// A member of the event has one value, be it a dimension or a metric.
    fn takes(&self, new: &Encoded) -> bool {
        let fits = |held: &Encoded| match (&held.dimension, &new.dimension) {
            (Some((held, value)), Some((name, new_value))) => held != name || value == new_value,
            _ => true,
        };
        self.metrics.len() < METRICS_MAX
            && !self.names.contains(new.name)
            && self.metrics.iter().all(fits)
    }

    fn add(&mut self, metric: Encoded) {
        self.names.insert(metric.name);
        self.metrics.push(metric);
    }

    /// The dimensions beside the job, once each; `None` for metrics that have no other.
    fn dimensions(&self) -> Vec<Option<&(&'static str, String)>> {
        let all: BTreeSet<_> =
            self.metrics.iter().map(|metric| metric.dimension.as_ref()).collect();
        all.into_iter().collect()
    }

    fn write(&self, common: &Common<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        let time = common.time_unix_ms;
        out.extend_from_slice(format!(r#"{{"_aws":{{"Timestamp":{time},"#).as_bytes());
        out.extend_from_slice(br#""CloudWatchMetrics":["#);
        let dimensions = self.dimensions();
        for (idx, dimension) in dimensions.iter().enumerate() {
            if idx > 0 {
                out.push(b',');
            }
            self.write_directive(*dimension, common, &mut out);
        }
        out.extend_from_slice(b"]}");
        let mut taken: BTreeSet<&str> = self.names.clone();
        let mut member = |name: &'static str, value: &str| {
            if taken.insert(name) {
                out.extend_from_slice(format!(r#","{name}":""#).as_bytes());
                write_escaped(value.as_bytes(), &mut out);
                out.push(b'"');
            }
        };
        if let Some((name, value)) = &common.settings.scope {
            member(name, value);
        }
        if let Some(job_name) = common.job_name {
            member("job_name", job_name);
        }
        for (name, value) in dimensions.into_iter().flatten() {
            member(name, value);
        }
        for (name, value) in &common.properties {
            member(name, value);
        }
        for metric in &self.metrics {
            out.extend_from_slice(metric.member.as_bytes());
        }
        out.push(b'}');
        assert!(out.len() <= EVENT_BYTES_MAX, "the limits bound the length of an event");
        out
    }

    fn write_directive(
        &self,
        dimension: Option<&(&'static str, String)>,
        common: &Common<'_>,
        out: &mut Vec<u8>,
    ) {
        let settings = common.settings;
        let scope = settings.scope.as_ref().map(|(name, _)| *name);
        let names = scope
            .into_iter()
            .chain(common.job_name.map(|_| "job_name"))
            .chain(dimension.map(|(name, _)| *name));
        let names: Vec<String> = names.map(|name| format!(r#""{name}""#)).collect();
        let of_dimension = self.metrics.iter().filter(|it| it.dimension.as_ref() == dimension);
        let definitions: Vec<&str> = of_dimension.map(|it| it.definition.as_str()).collect();
        let (namespace, names) = (&settings.namespace, names.join(","));
        let definitions = definitions.join(",");
        let directive = format!(
            r#"{{"Namespace":"{namespace}","Dimensions":[[{names}]],"Metrics":[{definitions}]}}"#
        );
        out.extend_from_slice(directive.as_bytes());
    }
}

fn write_array<T>(out: &mut String, items: &[T], write_item: impl Fn(&mut String, &T)) {
    out.push('[');
    for (idx, item) in items.iter().enumerate() {
        if idx > 0 {
            out.push(',');
        }
        write_item(out, item);
    }
    out.push(']');
}

/// Writes a finite number, whole ones in digits, the rest in the shortest form that reads back.
fn write_number(out: &mut String, number: f64) {
    assert!(number.is_finite(), "JSON has no word for infinity");
    // Writing to a string cannot fail.
    let _ = if number.fract() == 0.0 && number.abs() < 1e17 {
        write!(out, "{}", number as i64)
    } else {
        write!(out, "{number:?}")
    };
}
