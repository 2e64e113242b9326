//! `[exporters.otlp]`

use super::environment::Variables;
use super::route::{Problem, Route};
use super::{Otlp, Settings, metrics, probe, resource};
use crate::config::{Bytes, Section};
use crate::export::{BoxFuture, BuildError, Exporter, ExporterConfig, Finding, Shared, lane};
use crate::model::SignalKind;
use crate::telemetry::RateLimit;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Least size of a request: below it, splitting costs more than it helps.
pub(super) const REQUEST_BYTES_MIN: usize = 64 << 10;
const REQUEST_BYTES_MOST: u64 = 64 << 20;

/// There is an exporter for each signal, and they share the environment.
static IGNORED: RateLimit = RateLimit::new();

/// Where records, samples and spans go, and how. What is not said here the variables
/// `OTEL_EXPORTER_OTLP_*` may say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address of the receiver, for all signals. Without it and without a variable:
    /// `http://localhost:4317`, with `http/protobuf` `http://localhost:4318`.
    pub endpoint: Option<String>,
    /// Default `grpc`.
    pub protocol: Option<Protocol>,
    /// What is sent. Default all.
    pub signals: Vec<SignalName>,
    /// Default `gzip`.
    pub compression: Option<Compression>,
    /// Headers of every request, such as a token.
    pub headers: BTreeMap<String, Secret>,
    /// PEM file with the certificates that sign the receiver's. Without it: those of the system.
    pub ca_file: Option<PathBuf>,
    /// PEM file with the certificate that the agent shows, for mutual TLS; with `key_file`.
    pub certificate_file: Option<PathBuf>,
    /// PEM file with its private key.
    pub key_file: Option<PathBuf>,
    /// Whether counters go as totals or as what was added. Default `cumulative`.
    pub temporality: Option<Temporality>,
    /// Whether histograms keep their bounds. Default `explicit`.
    pub histograms: Option<Histograms>,
    /// Bytes of a request before compression, at most. Default `4MiB`; from `64KiB` to `64MiB`.
    pub request_bytes_max: Bytes,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: None,
            protocol: None,
            signals: SignalName::ALL.to_vec(),
            compression: None,
            headers: BTreeMap::new(),
            ca_file: None,
            certificate_file: None,
            key_file: None,
            temporality: None,
            histograms: None,
            request_bytes_max: Bytes(4 << 20),
        }
    }
}

/// How messages travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// HTTP/2.
    #[serde(rename = "grpc")]
    Grpc,
    /// A POST each.
    #[serde(rename = "http/protobuf")]
    Http,
}

/// One kind of telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignalName {
    /// Log records.
    Logs,
    /// Samples.
    Metrics,
    /// Spans.
    Traces,
}

impl SignalName {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Logs, Self::Metrics, Self::Traces];

    /// Of a kind of batch.
    #[must_use]
    pub fn of(kind: SignalKind) -> Self {
        match kind {
            SignalKind::Logs => Self::Logs,
            SignalKind::Metrics => Self::Metrics,
            SignalKind::Spans => Self::Traces,
        }
    }

    /// Value of the label `signal`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Logs => SignalKind::Logs,
            Self::Metrics => SignalKind::Metrics,
            Self::Traces => SignalKind::Spans,
        }
        .as_str()
    }

    /// As in paths and in the config.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Metrics => "metrics",
            Self::Traces => "traces",
        }
    }
}

/// How a request is made smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    None,
    /// Every receiver knows it.
    Gzip,
    /// Smaller and faster than gzip; not every receiver knows it.
    Zstd,
}

/// What the numbers of a counter mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Temporality {
    /// Totals since the job began.
    Cumulative,
    /// What was added since the last request that arrived.
    Delta,
}

/// How distributions are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Histograms {
    /// With the bounds that they have on `/metrics`.
    Explicit,
    /// Base 2, computed from those.
    Exponential,
}

/// Text that is never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// The section, and where each signal goes once the environment has said its part.
#[derive(Debug)]
struct Checked {
    config: Config,
    routes: Routes,
    temporality: Temporality,
    histograms: Histograms,
    /// What the environment says of all telemetry of this agent.
    given: resource::Given,
    /// What is wrong with variables that are not used.
    ignored: Vec<String>,
}

/// Where each signal goes that is sent.
pub(super) type Routes = BTreeMap<SignalName, Route>;

/// Makes the config of the exporter.
pub(super) fn configure(section: &mut Section<'_>) -> Box<dyn ExporterConfig> {
    let config: Config = section.parse();
    let bytes_max = config.request_bytes_max.0;
    let is_size = (REQUEST_BYTES_MIN as u64..=REQUEST_BYTES_MOST).contains(&bytes_max);
    section.require("request_bytes_max", is_size, "must be from 64KiB to 64MiB");
    section.require("signals", !config.signals.is_empty(), "must name at least one signal");
    let mut problems = Vec::new();
    let variable = |name: &str| section.variable(name)?.to_str().map(str::to_owned);
    let variables = Variables::new(&variable);
    let mut routes = BTreeMap::new();
    for signal in &config.signals {
        match Route::of(&config, *signal, &variables) {
            Ok(route) => {
                routes.insert(*signal, route);
            }
            Err(problem) => problems.push(problem),
        }
    }
    let temporality = || variables.or_ignored(variables.temporality());
    let temporality = config.temporality.or_else(temporality).unwrap_or(Temporality::Cumulative);
    let histograms = || variables.or_ignored(variables.histograms());
    let histograms = config.histograms.or_else(histograms).unwrap_or(Histograms::Explicit);
    let given = resource::Given::new(&variable, &mut |what| variables.ignore(what));
    let ignored = variables.ignored();
    // What is wrong for all signals is told once.
    problems.dedup();
    for Problem { key, what } in problems {
        section.report_at(&[key], what);
    }
    Box::new(Checked { config, routes, temporality, histograms, given, ignored })
}

impl ExporterConfig for Checked {
    fn wants(&self, kind: SignalKind) -> bool {
        self.config.signals.contains(&SignalName::of(kind))
    }

    fn build(&self, lane: &lane::Config, shared: &Shared) -> Result<Box<dyn Exporter>, BuildError> {
        if let Some(n_suppressed) = IGNORED.admit() {
            for reason in &self.ignored {
                tracing::warn!(%reason, n_suppressed, "a variable of the environment is ignored");
            }
        }
        for route in self.routes.values() {
            route.tls().map_err(|reason| BuildError { section: "exporters.otlp", reason })?;
        }
        let settings = Settings {
            request_bytes_max: usize::try_from(self.config.request_bytes_max.0)
                .unwrap_or(usize::MAX),
            request_timeout: lane.request_timeout.0,
            temporality: self.temporality,
            histograms: self.histograms,
            given: self.given.redacted(&shared.redactor),
        };
        // What receivers have of every counter, they have also after a change of the config.
        let delivered = shared.carried.otlp_metrics.get_or_init(metrics::nothing_delivered).clone();
        Ok(Box::new(Otlp::new(&self.routes, settings, &shared.redactor, delivered)))
    }

    fn probe<'a>(
        &'a self,
        lane: &'a lane::Config,
        shared: &'a Shared,
    ) -> BoxFuture<'a, Vec<Finding>> {
        let time = lane.request_timeout.0;
        Box::pin(probe::ask(&self.routes, time, shared.redactor.clone()))
    }
}
