//! Pushes the agent's own metrics and traces over OTLP, when `[telemetry.otlp]` says where to.
//!
//! What is pushed is made of constants and numbers: the metrics of the agent on `/metrics`, and a span
//! for each round of a scraper and for each delivery. No byte of a log, of an answer or of an error
//! gets here.

mod client;
mod metrics;
#[cfg(test)]
mod tests;

use super::metric::{Family, Family2, OwnMetric, descriptor};
use super::{EXPORTER_NAMES, SOURCE_NAMES};
use crate::config::{Interval, Section};
use crate::model::{FileId, Kind, SignalKind};
use crate::policy::Redactors;
use client::Client;
use hyper::Uri;
use opentelemetry::trace::{Span, SpanKind, Status, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{
    MetricExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider, SpanData,
};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use tokio::runtime::Handle;

/// What one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Spans that wait for the next request; what comes while there are so many is lost.
const SPANS_MAX: usize = 2048;
/// What the last requests may take when the agent ends.
const LAST_REQUESTS: Duration = Duration::from_millis(500);

const SIGNALS: [&str; 3] = ["metrics", "traces", "other"];
const OUTCOMES: [&str; 3] = ["ok", "error", "other"];
const SPAN_STATES: [&str; 4] = ["made", "sent", "failed", "other"];

/// Requests to the receiver, by signal and outcome.
pub static PUSHES: Family2<3, 3> = Family2::new(
    descriptor(
        Kind::Counter,
        "sidelight_telemetry_requests_total",
        "",
        "Requests to telemetry.otlp.endpoint, by signal and outcome.",
    ),
    ["signal", "outcome"],
    &SIGNALS,
    &OUTCOMES,
);
/// Spans of the agent itself.
pub static OWN_SPANS: Family<4> = Family::new(
    descriptor(
        Kind::Counter,
        "sidelight_telemetry_spans_total",
        "",
        "Spans of the agent's own work that were made, and what of them was sent and failed to be sent.",
    ),
    "state",
    &SPAN_STATES,
);

pub(super) static ALL: [&dyn OwnMetric; 2] = [&PUSHES, &OWN_SPANS];

/// `[telemetry]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the agent's own telemetry is pushed to.
    pub otlp: Otlp,
}

/// `[telemetry.otlp]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Otlp {
    /// Address of a receiver of OTLP over HTTP, such as `http://127.0.0.1:4318`. Without it nothing is
    /// pushed.
    pub endpoint: Option<String>,
    /// Time between two requests with metrics. Default `60s`; from `1s` to `1h`.
    pub interval: Interval,
}

impl Default for Otlp {
    fn default() -> Self {
        Self { endpoint: None, interval: Interval::from_secs(60) }
    }
}

impl Config {
    pub(crate) fn configure(section: &mut Section<'_>) -> Self {
        let config: Self = section.parse();
        let interval_s = config.otlp.interval.0.as_secs();
        section.require(
            "otlp.interval",
            (1..=3_600).contains(&interval_s),
            "must be from 1s to 1h",
        );
        let is_address = config.otlp.endpoint.as_deref().is_none_or(is_address);
        let law = "must be like http://127.0.0.1:4318 or https://otlp.example.com";
        section.require("otlp.endpoint", is_address, law);
        config
    }
}

fn is_address(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let is_plain = |it: &hyper::http::uri::Authority| !it.as_str().contains('@');
    matches!(uri.scheme_str(), Some("http" | "https"))
        && uri.authority().is_some_and(is_plain)
        && uri.query().is_none()
}

/// Why nothing can be pushed.
#[derive(Debug, thiserror::Error)]
#[error("[telemetry.otlp] cannot be used: {0}")]
pub struct PushError(String);

/// Where spans go to while somebody pushes them.
static TRACER: RwLock<Option<SdkTracer>> = RwLock::new(None);

/// See the head of the file. It works on threads of its own until it is ended.
#[derive(Debug)]
pub struct Push {
    spans: SdkTracerProvider,
    metrics: SdkMeterProvider,
}

impl Push {
    /// Begins to push; none when the config names no receiver. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// When the environment says something of OTLP that cannot be used, or there are no certificates.
    pub fn start(config: &Config, redactors: &Arc<Redactors>) -> Result<Option<Self>, PushError> {
        let Some(endpoint) = &config.otlp.endpoint else { return Ok(None) };
        let endpoint = endpoint.trim_end_matches('/');
        let failed = |error: &dyn std::error::Error| PushError(error.to_string());
        let client = Client::new(endpoint, Handle::current(), REQUEST_TIMEOUT)
            .map_err(|error| failed(&*error))?;
        let spans = SpanExporter::builder()
            .with_http()
            .with_http_client(client.clone())
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(REQUEST_TIMEOUT)
            .with_endpoint(format!("{endpoint}{}", client::TRACES))
            .build()
            .map_err(|error| failed(&error))?;
        let metrics = MetricExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(REQUEST_TIMEOUT)
            .with_endpoint(format!("{endpoint}{}", client::METRICS))
            .build()
            .map_err(|error| failed(&error))?;
        let resource = resource(redactors);
        let limits = BatchConfigBuilder::default().with_max_queue_size(SPANS_MAX).build();
        let spans = BatchSpanProcessor::builder(Counted(spans)).with_batch_config(limits).build();
        let spans = SdkTracerProvider::builder()
            .with_span_processor(spans)
            .with_resource(resource.clone())
            .build();
        let reader = PeriodicReader::builder(metrics).with_interval(config.otlp.interval.0).build();
        let metrics =
            SdkMeterProvider::builder().with_reader(reader).with_resource(resource).build();
        metrics::observe(&metrics, redactors);
        *tracer() = Some(spans.tracer("sidelight"));
        Ok(Some(Self { spans, metrics }))
    }

    /// Pushes what there is, and ends.
    pub async fn end(self) {
        *tracer() = None;
        let Self { spans, metrics } = self;
        // They wait for their threads. One that hangs is left alone.
        let end = tokio::task::spawn_blocking(move || {
            let _ = spans.shutdown_with_timeout(LAST_REQUESTS);
            let _ = metrics.shutdown_with_timeout(LAST_REQUESTS);
        });
        let _ = tokio::time::timeout(LAST_REQUESTS, end).await;
    }
}

fn tracer() -> std::sync::RwLockWriteGuard<'static, Option<SdkTracer>> {
    TRACER.write().unwrap_or_else(PoisonError::into_inner)
}

/// The agent as OTLP names it.
fn resource(redactors: &Redactors) -> Resource {
    let instance = format!("{:016x}", FileId::random().0);
    let mut resource = Resource::builder_empty()
        .with_service_name("sidelight")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", instance));
    if let Some(host) = crate::identity::host() {
        let host = redactors.base().value(&host).to_string();
        resource = resource.with_attribute(KeyValue::new("host.name", host));
    }
    resource.build()
}

/// A delivery that began at `began` is over.
pub fn delivered(exporter: &str, signal: SignalKind, outcome: &'static str, began: SystemTime) {
    let attributes = [
        KeyValue::new("exporter", known(&EXPORTER_NAMES, exporter)),
        KeyValue::new("signal", signal.as_str()),
        KeyValue::new("outcome", outcome),
    ];
    add("sidelight.delivery", attributes, outcome == "ok", began);
}

/// A round of a scraper that began at `began` is over.
pub fn scraped(source: &str, outcome: &'static str, began: SystemTime) {
    let attributes =
        [KeyValue::new("source", known(&SOURCE_NAMES, source)), KeyValue::new("outcome", outcome)];
    add("sidelight.scrape", attributes, outcome != "error", began);
}

/// The entry of a list that is equal; a text of another origin stays here.
fn known(names: &'static [&'static str], name: &str) -> &'static str {
    names.iter().find(|it| **it == name).copied().unwrap_or(super::metric::OTHER)
}

fn add<const N: usize>(
    name: &'static str,
    attributes: [KeyValue; N],
    is_good: bool,
    began: SystemTime,
) {
    let tracer = TRACER.read().unwrap_or_else(PoisonError::into_inner);
    let Some(tracer) = &*tracer else { return };
    let status = if is_good { Status::Ok } else { Status::error("") };
    let builder = tracer
        .span_builder(name)
        .with_kind(SpanKind::Client)
        .with_start_time(began)
        .with_attributes(attributes);
    let mut span = tracer.build_with_context(builder, &Context::new());
    span.set_status(status);
    span.end();
    OWN_SPANS.add("made", 1);
}

/// Counts what becomes of spans.
#[derive(Debug)]
struct Counted(SpanExporter);

impl opentelemetry_sdk::trace::SpanExporter for Counted {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let n_spans = batch.len() as u64;
        let result = self.0.export(batch).await;
        OWN_SPANS.add(if result.is_ok() { "sent" } else { "failed" }, n_spans);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}
