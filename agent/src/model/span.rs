//! Spans: pieces of a job's work with a beginning and an end. Everything in them is redacted.

use super::Resource;
use crate::trace::{SpanId, TraceId};
use redaction::Value;
use std::sync::Arc;

/// A number or a text about one span.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeValue {
    /// Redacted text.
    Text(Value),
    /// Counts, bytes, ids.
    Integer(i64),
    /// Measures, such as seconds.
    Float(f64),
}

/// How the work of a span ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SpanStatus {
    /// The source does not say.
    #[default]
    Unset,
    /// It succeeded.
    Ok,
    /// It failed, with the reason; empty when none is known.
    Error(Value),
}

/// One piece of work that has ended: nothing is said of work that goes on. It is internal work of
/// the job; no request leaves or enters with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// The trace of the run.
    pub trace_id: TraceId,
    /// Derived (decision 12): the same work has the same id whenever it is sent.
    pub span_id: SpanId,
    /// The work that this is a part of; none for a run that nobody else has begun a trace for.
    pub parent_span_id: Option<SpanId>,
    /// What kind of work: a name for all spans that differ by number only.
    pub name: Value,
    /// Beginning, nanoseconds since the epoch.
    pub start_unix_ns: u64,
    /// End, nanoseconds since the epoch; not before the beginning.
    pub end_unix_ns: u64,
    /// How it ended.
    pub status: SpanStatus,
    /// More about it, by names such as `spark.stage.id`.
    pub attributes: Vec<(&'static str, AttributeValue)>,
}

/// Spans of one job that travel together.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanBatch {
    /// Whose work it is.
    pub resource: Arc<Resource>,
    /// The spans, in no order.
    pub spans: Vec<Span>,
}
