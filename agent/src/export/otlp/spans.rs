//! Spans as OTLP messages.

use super::resource::{Given, SCHEMA_URL, attribute, scope};
use crate::model::{AttributeValue, Span, SpanBatch, SpanStatus};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as OtlpSpan, Status};
use prost::Message;

/// Appends spans of a batch to a message.
pub(super) fn encode(batch: &SpanBatch, spans: &[Span], given: &Given, out: &mut Vec<u8>) {
    let scope_spans = ScopeSpans {
        scope: Some(scope()),
        spans: spans.iter().map(span).collect(),
        schema_url: SCHEMA_URL.to_owned(),
    };
    let resource_spans = ResourceSpans {
        resource: Some(given.of_logs(&batch.resource)),
        scope_spans: vec![scope_spans],
        schema_url: SCHEMA_URL.to_owned(),
    };
    let request = ExportTraceServiceRequest { resource_spans: vec![resource_spans] };
    out.reserve(request.encoded_len());
    request.encode_raw(out);
}

fn span(span: &Span) -> OtlpSpan {
    let value = |value: &AttributeValue| match value {
        AttributeValue::Text(text) => AnyKind::StringValue(text.to_string()),
        AttributeValue::Integer(number) => AnyKind::IntValue(*number),
        AttributeValue::Float(number) => AnyKind::DoubleValue(*number),
    };
    OtlpSpan {
        trace_id: span.trace_id.to_vec(),
        span_id: span.span_id.to_vec(),
        parent_span_id: span.parent_span_id.map(|id| id.to_vec()).unwrap_or_default(),
        name: span.name.to_string(),
        kind: SpanKind::Internal.into(),
        start_time_unix_nano: span.start_unix_ns,
        end_time_unix_nano: span.end_unix_ns,
        attributes: span.attributes.iter().map(|(key, it)| attribute(key, value(it))).collect(),
        status: status(&span.status),
        ..OtlpSpan::default()
    }
}

fn status(status: &SpanStatus) -> Option<Status> {
    let (code, message) = match status {
        SpanStatus::Unset => return None,
        SpanStatus::Ok => (StatusCode::Ok, String::new()),
        SpanStatus::Error(reason) => (StatusCode::Error, reason.to_string()),
    };
    Some(Status { code: code.into(), message })
}
