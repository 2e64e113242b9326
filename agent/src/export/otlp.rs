//! Sends log records, samples and spans to any receiver of OTLP, the protocol of OpenTelemetry: over
//! gRPC or HTTP, one resource for each batch.

mod cleaner;
mod config;
mod connection;
mod environment;
mod exchange;
mod exponential;
mod failure;
mod log_sender;
mod logs;
mod metrics;
mod pace;
mod part_sender;
mod probe;
mod resource;
mod route;
mod spans;
#[cfg(test)]
mod tests;

pub use config::{Compression, Config, Histograms, Protocol, Secret, SignalName, Temporality};

use super::delivered::Delivered;
use super::{Answer, BoxFuture, ExportError, Exporter, ExporterDefinition};
use crate::model::{LogBatch, Signal, SignalKind};
use config::Routes;
use exchange::Exchange;
use failure::Failure;
use log_sender::LogSender;
use logs::LogEncoder;
use metrics::MetricEncoder;
use part_sender::{MetricSender, Parts, SpanSender};
use redaction::Redactor;
use resource::Given;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// `otlp`
pub const DEFINITION: ExporterDefinition = ExporterDefinition {
    name: "otlp",
    signals: &[SignalKind::Logs, SignalKind::Metrics, SignalKind::Spans],
    is_default: false,
    configure: config::configure,
};

/// Batches of records that are handed over together: enough for a full request of small ones.
const BATCHES_MAX: usize = 16;

/// What all signals share.
#[derive(Debug, Clone)]
struct Settings {
    request_bytes_max: usize,
    request_timeout: Duration,
    temporality: Temporality,
    histograms: Histograms,
    given: Given,
}

/// See the head of the file. A lane uses the sender of its signal, and no connection is made for the
/// others.
#[derive(Debug)]
struct Otlp {
    logs: Option<LogSender>,
    metrics: Option<MetricSender>,
    spans: Option<SpanSender>,
    is_for_logs: bool,
}

impl Otlp {
    fn new(
        routes: &Routes,
        settings: Settings,
        redactor: &Arc<Redactor>,
        delivered: Arc<Mutex<Delivered>>,
    ) -> Self {
        let bytes_max = settings.request_bytes_max;
        // What is left is for the lane to see the answer.
        let time = settings.request_timeout.mul_f64(0.9);
        let exchange = |signal| {
            let route = routes.get(&signal)?.clone();
            Some(Exchange::new(route, time, redactor.clone()))
        };
        let parts = |signal| Some(Parts { exchange: exchange(signal)?, bytes_max });
        let Settings { temporality, histograms, given, .. } = settings;
        let logs = exchange(SignalName::Logs)
            .map(|exchange| LogSender::new(exchange, LogEncoder::new(given.clone()), bytes_max));
        let spans = parts(SignalName::Traces).map(|parts| SpanSender::new(parts, given.clone()));
        let metrics = parts(SignalName::Metrics).map(|parts| {
            let encoder = MetricEncoder::new(given, temporality, histograms, delivered);
            MetricSender::new(parts, encoder)
        });
        Self { logs, metrics, spans, is_for_logs: false }
    }

    async fn deliver(&mut self, signal: &Signal) -> Answer {
        let done = |sent: Result<(), Failure>| sent.map(|()| Vec::new()).map_err(ExportError::from);
        // A lane only gets the signals that its section wants.
        match (signal, &mut self.logs, &mut self.metrics, &mut self.spans) {
            (Signal::Logs(batch), Some(logs), _, _) => {
                self.is_for_logs = true;
                logs.deliver(&[batch]).await.pop().unwrap_or(Ok(Vec::new()))
            }
            (Signal::Metrics(batch), _, Some(metrics), _) => done(metrics.deliver(batch).await),
            (Signal::Spans(batch), _, _, Some(spans)) => done(spans.deliver(batch).await),
            _ => Ok(Vec::new()),
        }
    }
}

impl Exporter for Otlp {
    fn export<'a>(&'a mut self, signal: &'a Signal) -> BoxFuture<'a, Answer> {
        Box::pin(self.deliver(signal))
    }

    fn export_all<'a>(&'a mut self, signals: &'a [&'a Signal]) -> BoxFuture<'a, Vec<Answer>> {
        Box::pin(async move {
            let of_logs = |signal: &&'a Signal| match signal {
                Signal::Logs(batch) => Some(batch),
                Signal::Metrics(_) | Signal::Spans(_) => None,
            };
            let batches: Vec<&LogBatch> = signals.iter().filter_map(of_logs).collect();
            match &mut self.logs {
                Some(logs) if batches.len() == signals.len() => logs.deliver(&batches).await,
                _ => Vec::new(),
            }
        })
    }

    fn batches_max(&self) -> usize {
        // Samples and spans come at the pace of a scraper.
        if self.is_for_logs { BATCHES_MAX } else { 1 }
    }
}
