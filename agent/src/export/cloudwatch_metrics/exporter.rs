//! `[exporters.cloudwatch_metrics]`, and the way of its events into a log group.

use super::super::cloudwatch::failure::{Class, Failure};
use super::super::cloudwatch::request::{Full, Message, Origin, Request};
use super::super::cloudwatch::section::Keys;
use super::super::cloudwatch::service::{Deadline, Format, Service};
use super::super::cloudwatch::target::{GroupSettings, Target};
use super::{Encoder, Scope, Settings};
use crate::clock::unix_ms;
use crate::config::Section;
use crate::export::{
    Answer, BoxFuture, BuildError, ExportError, Exporter, ExporterConfig, ExporterDefinition,
    Finding, Shared, lane,
};
use crate::model::{MetricBatch, Resource, Signal, SignalKind};
use crate::telemetry;
use redaction::Redactor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// `cloudwatch_metrics`
pub const DEFINITION: ExporterDefinition = ExporterDefinition {
    name: "cloudwatch_metrics",
    signals: &[SignalKind::Metrics],
    is_default: false,
    configure,
};

/// Pause before a group that takes nothing is asked again.
const DENIED_PAUSE: Duration = Duration::from_secs(30);

/// Where metrics go, and under which names they are found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Namespace of the metrics. Default `Sidelight`.
    pub namespace: String,
    /// Log group whose events CloudWatch makes metrics of. Default `/sidelight/metrics`.
    pub group: String,
    /// Log stream. Default `{host}`.
    pub stream: String,
    /// Value of the dimension `cluster`; not with `environment`.
    pub cluster: Option<String>,
    /// Value of the dimension `environment`; not with `cluster`.
    pub environment: Option<String>,
    /// AWS region. Else: what the environment, the profile or the instance says.
    pub region: Option<String>,
    /// Other address of the service: a VPC endpoint. Else that of the region.
    pub endpoint_url: Option<String>,
    /// Days after which CloudWatch deletes the events; metrics stay. Unset: as the group is.
    pub retention_days: Option<i32>,
    /// ARN of the KMS key of a group that is made.
    pub kms_key_id: Option<String>,
    /// Tags of a group that is made.
    pub tags: BTreeMap<String, String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            namespace: "Sidelight".to_owned(),
            group: "/sidelight/metrics".to_owned(),
            stream: "{host}".to_owned(),
            cluster: None,
            environment: None,
            region: None,
            endpoint_url: None,
            retention_days: None,
            kms_key_id: None,
            tags: BTreeMap::new(),
        }
    }
}

fn configure(section: &mut Section<'_>) -> Box<dyn ExporterConfig> {
    let config: Config = section.parse();
    config.keys().check(section);
    if let Err(error) = Settings::new(&config.namespace, None) {
        section.report_at(&["namespace"], error.to_string());
    }
    let scope = config.scope(&Redactor::new());
    if let Err(error) = Settings::new("Sidelight", scope) {
        let key = if config.cluster.is_some() { "cluster" } else { "environment" };
        section.report_at(&[key], error.to_string());
    }
    let is_one = config.cluster.is_none() || config.environment.is_none();
    section.require("environment", is_one, "does not go with cluster: there is one such dimension");
    Box::new(config)
}

impl Config {
    fn scope(&self, redactor: &Redactor) -> Option<Scope> {
        let cluster = self.cluster.as_deref().map(|it| Scope::Cluster(redactor.value(it)));
        let environment = || Some(Scope::Environment(redactor.value(self.environment.as_deref()?)));
        cluster.or_else(environment)
    }

    fn keys(&self) -> Keys<'_> {
        Keys {
            section: "exporters.cloudwatch_metrics",
            group: &self.group,
            stream: &self.stream,
            region: self.region.as_deref(),
            endpoint_url: self.endpoint_url.as_deref(),
            concurrency: (1, 1),
            settings: GroupSettings {
                retention_days: self.retention_days,
                kms_key_id: self.kms_key_id.clone(),
                // CloudWatch makes metrics of no other.
                class: None,
                tags: self.tags.clone(),
            },
        }
    }
}

/// What group and stream are named after.
fn here(shared: &Shared) -> Resource {
    let host = crate::identity::host().map(|host| shared.redactor.value(&host));
    Resource { host, ..Resource::default() }
}

impl ExporterConfig for Config {
    fn build(&self, lane: &lane::Config, shared: &Shared) -> Result<Box<dyn Exporter>, BuildError> {
        let keys = self.keys();
        let ((group, stream), service) = (keys.templates()?, keys.service(lane, shared));
        let here = here(shared);
        let settings = Settings::new(&self.namespace, self.scope(&shared.redactor))
            .map_err(|error| BuildError { section: keys.section, reason: error.to_string() })?;
        let new = || Arc::new(Mutex::new(Encoder::new(settings.clone(), unix_ms())));
        let encoder = shared.carried.cloudwatch_metrics.get_or_init(new).clone();
        lock(&encoder).set_settings(settings);
        Ok(Box::new(CloudWatchMetrics {
            encoder,
            target: Target { group: group.name(&here), stream: stream.name(&here) },
            time: service.call_time(),
            service: Arc::new(service),
        }))
    }

    fn wants_own_metrics(&self) -> bool {
        true
    }

    fn describe(&self) -> Option<String> {
        Some(self.keys().describe())
    }

    fn probe<'a>(
        &'a self,
        lane: &'a lane::Config,
        shared: &'a Shared,
    ) -> BoxFuture<'a, Vec<Finding>> {
        self.keys().probe(lane, shared, here(shared), true)
    }
}

/// Sends batches of samples as events in the embedded metric format.
#[derive(Debug)]
struct CloudWatchMetrics {
    service: Arc<Service>,
    /// The one of the exporter of the config before, too.
    encoder: Arc<Mutex<Encoder>>,
    target: Target,
    /// Time for all requests of one batch.
    time: Duration,
}

impl CloudWatchMetrics {
    async fn deliver(&mut self, batch: &MetricBatch) -> Result<(), Failure> {
        let prepared = lock(&self.encoder).prepare(batch, unix_ms());
        let time_ms = i64::try_from(prepared.time_unix_ms).unwrap_or(i64::MAX);
        let deadline = Deadline { end: Instant::now() + self.time, is_made_once: false };
        let (mut request, mut nested, mut is_taken) = (Request::new(), Vec::new(), true);
        for (record, event) in prepared.events.iter().enumerate() {
            let origin = Origin { batch: 0, record };
            let message = Message::new(event, &mut nested);
            if request.add(time_ms, message, origin) == Err(Full) {
                let mut full = std::mem::replace(&mut request, Request::new());
                is_taken &= self.put(&mut full, deadline).await?;
                // It fits into an empty one: no event is longer than a request.
                let _ = request.add(time_ms, message, origin);
            }
        }
        if !request.events.is_empty() {
            is_taken &= self.put(&mut request, deadline).await?;
        }
        // Before all is taken, nothing counts as delivered: what is added up stays added up. What is
        // rejected for its time comes with the next batch, which has another one.
        if is_taken {
            lock(&self.encoder).commit(prepared, unix_ms());
        }
        Ok(())
    }

    /// True when all events are taken, and none is rejected.
    async fn put(&mut self, request: &mut Request, deadline: Deadline) -> Result<bool, Failure> {
        let format = Format::EmbeddedMetrics;
        let rejected = self.service.put(&self.target, request, format, deadline).await?;
        let mut is_taken = true;
        for index in 0..request.events.len() {
            let reason = rejected.reason(index);
            telemetry::CLOUDWATCH_EVENTS.add(reason.unwrap_or("accepted"), 1);
            is_taken &= reason.is_none();
        }
        self.service.set_retention(&self.target.group);
        Ok(is_taken)
    }

    fn error(&self, failure: Failure) -> ExportError {
        let told = format!("log group {}: {failure}", self.target.group);
        let Failure { class, reason, retry_after, .. } = failure;
        if class == Class::Refused {
            return ExportError::Rejected { reason };
        }
        let is_denied = matches!(class, Class::Denied | Class::StreamDenied);
        let denied = is_denied.then_some(DENIED_PAUSE);
        ExportError::Transient { source: told.into(), retry_after: retry_after.or(denied) }
    }
}

/// It is whole whatever panicked: the process ends then.
fn lock(encoder: &Mutex<Encoder>) -> MutexGuard<'_, Encoder> {
    encoder.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Exporter for CloudWatchMetrics {
    fn export<'a>(&'a mut self, signal: &'a Signal) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let Signal::Metrics(batch) = signal else { return Ok(Vec::new()) };
            match self.deliver(batch).await {
                Ok(()) => Ok(Vec::new()),
                Err(failure) => Err(self.error(failure)),
            }
        })
    }
}
