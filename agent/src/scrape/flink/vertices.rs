//! All vertices of one job: which of them are read one by one, and what they come to together.

use super::metrics::job::{JOB_HEADROOM, JOB_LAG_RECORDS, JOB_LAG_SECONDS, JOB_PARALLELISM};
use super::metrics::{OTHER, push};
use super::query::Round;
use super::rest;
use super::vertex::{Vertex, push_work};
use super::wanted::{Numbers, Wanted};
use crate::model::{MetricDescriptor, Sample};
use crate::scrape::http::HttpError;
use crate::scrape::meter::{Cut, Meter};
use crate::scrape::spark::bounded;
use crate::scrape::spark::metrics::MILLISECONDS;
use crate::scrape::spark::metrics::job::{
    JOB_READ_BYTES, JOB_RECORDS_READ, JOB_RECORDS_WRITTEN, JOB_WRITTEN_BYTES,
};
use redaction::{Redactor, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Vertices of one job whose counters are kept, those that share a label included.
const VERTICES_MAX: usize = 256;

/// What the user says about vertices.
#[derive(Debug)]
pub(super) struct Choice {
    /// Vertices of a job with series of their own.
    pub(super) vertices_max: usize,
    /// Endings of further metrics.
    pub(super) metrics: Vec<String>,
    /// The same as labels.
    pub(super) labels: Vec<Value>,
}

/// See the head of the file.
#[derive(Debug)]
pub(super) struct Vertices {
    choice: Arc<Choice>,
    list: Vec<Vertex>,
    labels: BTreeSet<Value>,
    parallelism: Option<u64>,
    headroom: Option<f64>,
    /// The time of the round before.
    before_unix_ms: Option<u64>,
}

impl Vertices {
    /// No vertices yet.
    pub(super) fn new(choice: Arc<Choice>) -> Self {
        Self {
            choice,
            list: Vec::new(),
            labels: BTreeSet::new(),
            parallelism: None,
            headroom: None,
            before_unix_ms: None,
        }
    }

    /// Takes what `/jobs/:id` says at `now`.
    pub(super) fn record(
        &mut self,
        seen: &[rest::Vertex],
        now: u64,
        redactor: &Redactor,
        meter: &mut Meter,
    ) {
        let before = self.before_unix_ms.replace(now);
        for vertex in seen {
            let known = self.list.iter().position(|it| it.id == vertex.id);
            let index = match known {
                Some(index) => index,
                None if self.list.len() < VERTICES_MAX && super::is_id(&vertex.id) => {
                    let label = self.new_label(&vertex.name, redactor);
                    self.list.push(Vertex::new(&vertex.id, label));
                    self.list.len() - 1
                }
                None => {
                    meter.cut(Cut::Entry, 1);
                    continue;
                }
            };
            self.list[index].record(vertex, now, before);
        }
        meter.cut(Cut::Entry, self.list.len().saturating_sub(self.choice.vertices_max) as u64);
        let parallelism = |vertex: &rest::Vertex| vertex.parallelism.0;
        self.parallelism = seen.iter().filter_map(parallelism).max();
        let headroom = seen.iter().filter_map(|vertex| {
            let most = vertex.max_parallelism.0.filter(|most| *most > 0)?;
            Some(1.0 - parallelism(vertex)? as f64 / most as f64)
        });
        self.headroom = headroom.reduce(f64::min);
    }

    /// Vertices may have one name, series not.
    fn new_label(&mut self, name: &str, redactor: &Redactor) -> Value {
        let plain = bounded(name, redactor);
        let mut label = plain.clone();
        let mut number = 2;
        while !self.labels.insert(label.clone()) {
            label = redactor.value(&format!("{plain} ({number})"));
            number += 1;
        }
        label
    }

    /// Reads the metrics of each vertex that has series of its own. Those of a vertex that cannot be
    /// read are missing, and no others.
    pub(super) async fn read(
        &mut self,
        base: &str,
        with_splits: bool,
        round: &mut Round<'_>,
    ) -> Result<(), HttpError> {
        let now = self.before_unix_ms.unwrap_or_default();
        for vertex in self.list.iter_mut().take(self.choice.vertices_max) {
            vertex.read(base, &self.choice.metrics, now, round).await?;
            if with_splits {
                vertex.read_splits(base, round).await?;
            }
        }
        Ok(())
    }

    /// Ids and names, in the order of the stream.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.list.iter().map(|vertex| (vertex.id.as_str(), &vertex.label))
    }

    /// Forgets what is only true for the moment.
    pub(super) fn forget_present(&mut self) {
        for vertex in &mut self.list {
            vertex.forget_present();
        }
    }

    /// Adds the samples.
    pub(super) fn push(&self, samples: &mut Vec<Sample>) {
        push(&JOB_PARALLELISM, &[], self.parallelism.map(|n| n as f64), samples);
        push(&JOB_HEADROOM, &[], self.headroom, samples);
        let n_own = self.choice.vertices_max.min(self.list.len());
        let (own, others) = self.list.split_at(n_own);
        for vertex in own {
            vertex.push(&self.choice.labels, samples);
        }
        let mut totals = [None; 9];
        for vertex in others {
            vertex.add_work(&mut totals);
        }
        push_work(&Value::literal(OTHER), &totals, samples);
        self.push_engine_neutral(samples);
    }

    fn push_engine_neutral(&self, samples: &mut Vec<Sample>) {
        let counters: [(&'static MetricDescriptor, usize); 4] = [
            (&JOB_RECORDS_READ, 2),
            (&JOB_READ_BYTES, 3),
            (&JOB_RECORDS_WRITTEN, 5),
            (&JOB_WRITTEN_BYTES, 4),
        ];
        for (descriptor, index) in counters {
            let totals = self.list.iter().filter_map(|vertex| vertex.operators.total(index));
            let total = totals.reduce(u64::saturating_add);
            push(descriptor, &[], total.map(|total| total as f64), samples);
        }
        let worst = |wanted: Wanted, read: fn(&Numbers) -> Option<f64>| {
            let numbers = self.list.iter().filter_map(move |vertex| vertex.numbers.get(&wanted));
            numbers.filter_map(read)
        };
        let seconds = |ms: f64| ms / MILLISECONDS;
        let emitted = worst(Wanted::EmitLag, |numbers| numbers.max).map(seconds);
        let watermarks = self.list.iter().filter_map(Vertex::watermark_lag);
        let event_time = watermarks.chain(emitted).reduce(f64::max);
        let fetched = worst(Wanted::FetchLag, |numbers| numbers.max).map(seconds).reduce(f64::max);
        push(&JOB_LAG_SECONDS, &[("kind", "event_time")], event_time, samples);
        push(&JOB_LAG_SECONDS, &[("kind", "processing")], fetched, samples);
        let pending = worst(Wanted::Pending, |numbers| numbers.sum).reduce(|one, two| one + two);
        push(&JOB_LAG_RECORDS, &[], pending, samples);
    }
}
