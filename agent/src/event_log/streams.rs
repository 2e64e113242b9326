//! Queries of Structured Streaming, from their progress events.

use super::events::{Amount, Text};
use super::strings::{first_line, short};
use redaction::{Redactor, Value};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Runs of queries that are kept; the progress of more is counted and left out.
const QUERIES_MAX: usize = 256;
const NAME_BYTES_MAX: usize = 128;
const EXCEPTION_BYTES_MAX: usize = 512;

/// All runs of streaming queries, by the id of their run.
#[derive(Debug, Default, PartialEq)]
pub struct Streams {
    by_run: BTreeMap<Value, Stream>,
    n_dropped: u64,
}

/// One run of a query.
#[derive(Debug, Default, PartialEq)]
pub struct Stream {
    /// Its name, if it was given one.
    pub name: Option<Value>,
    /// Batches that told of their progress.
    pub n_batches: u64,
    /// Rows read.
    pub input_rows: u64,
    /// Time of all batches.
    pub batch_ms: u64,
    /// Time of the longest batch.
    pub batch_ms_max: u64,
    /// Rows of state after the last batch; none without state.
    pub state_rows: Option<u64>,
    /// Memory of state after the last batch; none without state.
    pub state_memory_bytes: Option<u64>,
    /// Rows that came later than the watermark.
    pub late_rows_dropped: u64,
    /// Why it ended, if it failed.
    pub exception: Option<Value>,
}

impl Streams {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Stream> {
        self.by_run.values()
    }

    /// Events about queries that are not kept, for the limit.
    #[must_use]
    pub fn n_dropped(&self) -> u64 {
        self.n_dropped
    }

    pub(super) fn started(&mut self, event: &StreamStarted<'_>, redactor: &Redactor) {
        self.update(&event.run, event.name.as_deref(), redactor, |_| {});
    }

    pub(super) fn progressed(&mut self, event: &StreamProgressed<'_>, redactor: &Redactor) {
        let progress = &event.progress;
        let sum = |amounts: &mut dyn Iterator<Item = Amount>| {
            amounts.fold(0, |sum: u64, amount| sum.saturating_add(amount.0))
        };
        let states = &progress.states;
        self.update(&progress.run, progress.name.as_deref(), redactor, |stream| {
            let rows = sum(&mut progress.sources.iter().map(|source| source.rows));
            let late = sum(&mut states.iter().map(|state| state.dropped_rows));
            stream.n_batches += 1;
            stream.input_rows = stream.input_rows.saturating_add(rows);
            stream.batch_ms = stream.batch_ms.saturating_add(progress.batch_ms.0);
            stream.batch_ms_max = stream.batch_ms_max.max(progress.batch_ms.0);
            stream.late_rows_dropped = stream.late_rows_dropped.saturating_add(late);
            if !states.is_empty() {
                stream.state_rows = Some(sum(&mut states.iter().map(|state| state.rows)));
                let memory = sum(&mut states.iter().map(|state| state.memory_bytes));
                stream.state_memory_bytes = Some(memory);
            }
        });
    }

    pub(super) fn ended(&mut self, event: &StreamEnded<'_>, redactor: &Redactor) {
        self.update(&event.run, None, redactor, |stream| {
            let exception = event.exception.as_deref();
            stream.exception = exception.map(|it| first_line(redactor, it, EXCEPTION_BYTES_MAX));
        });
    }

    fn update(
        &mut self,
        run: &str,
        name: Option<&str>,
        redactor: &Redactor,
        change: impl FnOnce(&mut Stream),
    ) {
        let run = short(redactor, run, NAME_BYTES_MAX);
        if self.by_run.len() >= QUERIES_MAX && !self.by_run.contains_key(&run) {
            self.n_dropped += 1;
            return;
        }
        let stream = self.by_run.entry(run).or_default();
        if let Some(name) = name
            && stream.name.is_none()
        {
            stream.name = Some(short(redactor, name, NAME_BYTES_MAX));
        }
        change(stream);
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct StreamStarted<'a> {
    #[serde(rename = "runId", borrow)]
    pub(super) run: Text<'a>,
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct StreamEnded<'a> {
    #[serde(rename = "runId", borrow)]
    pub(super) run: Text<'a>,
    #[serde(borrow)]
    pub(super) exception: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct StreamProgressed<'a> {
    #[serde(borrow)]
    pub(super) progress: Progress<'a>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Progress<'a> {
    #[serde(rename = "runId", borrow)]
    pub(super) run: Text<'a>,
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
    #[serde(rename = "batchDuration", default)]
    pub(super) batch_ms: Amount,
    #[serde(default)]
    pub(super) sources: Vec<StreamSource>,
    #[serde(rename = "stateOperators", default)]
    pub(super) states: Vec<StreamState>,
}

#[derive(Debug, Deserialize)]
pub(super) struct StreamSource {
    #[serde(rename = "numInputRows", default)]
    pub(super) rows: Amount,
}

#[derive(Debug, Deserialize)]
pub(super) struct StreamState {
    #[serde(rename = "numRowsTotal", default)]
    pub(super) rows: Amount,
    #[serde(rename = "memoryUsedBytes", default)]
    pub(super) memory_bytes: Amount,
    #[serde(rename = "numRowsDroppedByWatermark", default)]
    pub(super) dropped_rows: Amount,
}
