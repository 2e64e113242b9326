//! Work of one run that has ended, as spans that wait for the end of the round. Knows nothing of any
//! engine.

use crate::model::{AttributeValue, Resource, Span, SpanBatch, SpanStatus};
use crate::scrape::meter::{Cut, Meter};
use crate::trace::{Run, SpanId};
use redaction::Value;
use std::sync::Arc;

/// Spans of one run that one round may bring: Spark's UI keeps a thousand jobs and a thousand stages
/// by default, and an agent that comes late gets them all at once.
const SPANS_MAX: usize = 4096;
/// Spans in one batch.
const BATCH_SPANS_MAX: usize = 256;
const NS_PER_MS: u64 = 1_000_000;

/// What is said of one span.
pub(super) type Attributes = Vec<(&'static str, AttributeValue)>;

/// See the head of the file.
#[derive(Debug)]
pub(super) struct EndedWork {
    resource: Arc<Resource>,
    run: Option<Run>,
    waiting: Vec<Span>,
}

impl EndedWork {
    /// Nothing of the run of `resource` has ended yet.
    pub(super) fn new(resource: Arc<Resource>) -> Self {
        Self { run: Run::of(&resource), resource, waiting: Vec::new() }
    }

    /// Derives the ids of spans; none for a run without a trace, which has no spans.
    pub(super) fn run(&self) -> Option<&Run> {
        self.run.as_ref()
    }

    /// Adds a span with its id and that of its parent, from its beginning to its end in milliseconds
    /// since the epoch. What never began or never ended is no work.
    pub(super) fn add(
        &mut self,
        name: &'static str,
        (span_id, parent_span_id): (SpanId, Option<SpanId>),
        (start, end): (Option<u64>, Option<u64>),
        status: SpanStatus,
        attributes: Attributes,
        meter: &mut Meter,
    ) {
        let (Some(start), Some(end), Some(run)) = (start, end, &self.run) else { return };
        if self.waiting.len() == SPANS_MAX {
            meter.cut(Cut::Span, 1);
            return;
        }
        let start_unix_ns = start.saturating_mul(NS_PER_MS);
        self.waiting.push(Span {
            trace_id: run.trace_id(),
            span_id,
            parent_span_id,
            name: Value::literal(name),
            start_unix_ns,
            end_unix_ns: end.saturating_mul(NS_PER_MS).max(start_unix_ns),
            status,
            attributes,
        });
    }

    /// What ended since the last call.
    pub(super) fn take(&mut self) -> Vec<SpanBatch> {
        let mut spans = std::mem::take(&mut self.waiting).into_iter().peekable();
        let mut batches = Vec::new();
        while spans.peek().is_some() {
            let spans = spans.by_ref().take(BATCH_SPANS_MAX).collect();
            batches.push(SpanBatch { resource: self.resource.clone(), spans });
        }
        batches
    }
}

/// A count, as attributes have them.
pub(super) fn integer(number: u64) -> AttributeValue {
    AttributeValue::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}
