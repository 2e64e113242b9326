//! What a request says, as the receiver of our own reads it.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;
use std::io::Read;

/// One request.
#[derive(Debug, Clone)]
pub(crate) enum Request {
    Logs(ExportLogsServiceRequest),
    Metrics,
    Traces,
}

/// A log record, as far as tests look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// File and offset.
    pub(crate) uid: String,
    pub(crate) body: String,
}

impl Request {
    /// Reads a request by its path; none for a path or bytes of something else.
    pub(crate) fn read(path: &str, bytes: &[u8]) -> Option<Self> {
        let ends = |http: &str, grpc: &str| {
            path.ends_with(http) || path.ends_with(&format!(".v1.{grpc}Service/Export"))
        };
        if ends("/v1/logs", "Logs") {
            return ExportLogsServiceRequest::decode(bytes).ok().map(Self::Logs);
        }
        if ends("/v1/metrics", "Metrics") {
            return ExportMetricsServiceRequest::decode(bytes).ok().map(|_| Self::Metrics);
        }
        if ends("/v1/traces", "Trace") {
            return ExportTraceServiceRequest::decode(bytes).ok().map(|_| Self::Traces);
        }
        None
    }

    /// Its log records, in order.
    pub(crate) fn records(&self) -> Vec<Record> {
        let Self::Logs(logs) = self else { return Vec::new() };
        let scopes = logs.resource_logs.iter().flat_map(|it| &it.scope_logs);
        let records = scopes.flat_map(|it| &it.log_records);
        let record = |it: &opentelemetry_proto::tonic::logs::v1::LogRecord| Record {
            uid: text(&it.attributes, "log.record.uid").unwrap_or_default(),
            body: match it.body.as_ref().and_then(|body| body.value.clone()) {
                Some(Value::StringValue(body)) => body,
                _ => String::new(),
            },
        };
        records.map(record).collect()
    }
}

/// An attribute that is a text.
pub(crate) fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let value = attributes.iter().find(|it| it.key == key)?.value.clone()?.value?;
    if let Value::StringValue(text) = value { Some(text) } else { None }
}

/// Undoes a compression by its name.
pub(crate) fn unpack(bytes: &[u8], encoding: &str) -> Vec<u8> {
    let mut out = Vec::new();
    match encoding {
        "gzip" => {
            flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).unwrap();
        }
        "zstd" => out = zstd::decode_all(bytes).unwrap(),
        "" | "identity" => out.extend_from_slice(bytes),
        other => panic!("a compression named {other}"),
    }
    out
}
