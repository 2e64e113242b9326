//! Finds out who writes a log file: the operator's word, Kubernetes, the path, the engine's REST
//! API, and at last the log itself, in this order.

mod evidence;

pub use evidence::{Component, Evidence, HEAD_BYTES};

use crate::config;
use crate::model::{Engine, Resource};
use crate::scrape::Job;
use crate::trace::{self, SpanId};
use redaction::{Redactor, Value};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// File in which Kubernetes' downward API puts the labels of the pod (`fieldRef: metadata.labels`).
pub const POD_LABELS_FILE: &str = "/etc/podinfo/labels";

/// When a file was written, milliseconds since the epoch: it guards against giving the log of one
/// run to the application of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// When the file came into being, or was truncated.
    pub since_unix_ms: u64,
    /// When it was last written.
    pub until_unix_ms: u64,
}

impl Written {
    /// A driver's last lines come after its UI has gone.
    const LATE_MS: u64 = 60_000;

    fn can_be_of(self, job: &Job) -> bool {
        let has_ended = |end: u64| {
            self.since_unix_ms > end || self.until_unix_ms > end.saturating_add(Self::LATE_MS)
        };
        // A run that ends is noticed some rounds later; the next run may write by then.
        let is_confirmed = self.since_unix_ms <= job.seen_unix_ms;
        is_confirmed
            && self.until_unix_ms >= job.start_unix_ms
            && !job.end_unix_ms.is_some_and(has_ended)
    }
}

/// What `[job]` says.
#[must_use]
pub fn given_of_every_job(given: &config::Job, redactor: &Redactor) -> Resource {
    let value = |text: &Option<String>| text.as_deref().map(|text| redactor.value(text));
    Resource {
        job_id: value(&given.job_id),
        job_name: value(&given.job_name),
        run_id: value(&given.run_id),
        user_id: value(&given.user_id),
        run_context: value(&given.run_context),
        source_data_path: value(&given.source_data_path),
        ..Resource::default()
    }
}

/// Resolves files to resources. What is known at start stands in `base`.
#[derive(Debug)]
pub struct Identity {
    redactor: Arc<Redactor>,
    base: Resource,
    /// What Kubernetes and the environment say; the operator's word goes before it.
    surroundings: Resource,
    /// What the agent was started within, when it says so.
    parent_span_id: Option<SpanId>,
}

impl Identity {
    /// Reads the operator's word, the environment and the pod's labels, and redacts all of it.
    #[must_use]
    pub fn new(
        redactor: Arc<Redactor>,
        given: &config::Job,
        environment: &BTreeMap<String, String>,
        pod_labels: &str,
    ) -> Self {
        let mut base = given_of_every_job(given, &redactor);
        let parent = environment.get("TRACEPARENT").and_then(|text| trace::parse_traceparent(text));
        if let Some((trace_id, _)) = &parent {
            base.trace_id = Some(Value::hex(trace_id));
            base.trace_id_origin = Some(Value::literal("traceparent"));
        }
        let surroundings = surroundings(&redactor, environment, pod_labels);
        let parent_span_id = parent.map(|(_, span_id)| span_id);
        Self { redactor, base, surroundings, parent_span_id }
    }

    /// What the path and the first bytes of a file tell. The bytes are only searched for ids of a
    /// fixed shape; the application's name goes through the redactor.
    #[must_use]
    pub fn evidence(&self, path: &Path, head: &[u8]) -> Evidence {
        Evidence::find(&self.redactor, path, head)
    }

    /// Who a job is that a scraper sees: the same run in the same trace as its logs say. Which process
    /// or host is left open.
    #[must_use]
    pub fn job(&self, job: &Job) -> Resource {
        let mut resource = self.base.clone();
        fill(&mut resource, &self.surroundings);
        (resource.component, resource.executor_id, resource.host) = (None, None, None);
        resource.engine = Some(job.engine);
        // As for logs, the word of the operator and of Kubernetes goes before that of REST.
        let is_named = resource.job_id.as_ref().is_none_or(|id| *id == job.job_id);
        if is_named {
            self.fill_from_job(&mut resource, job);
        }
        complete(&mut resource, job.attempt.as_deref().filter(|_| is_named));
        resource
    }

    /// The span that the agent was started within, in the trace of its environment.
    #[must_use]
    pub fn parent_span_id(&self) -> Option<SpanId> {
        self.parent_span_id
    }

    /// Merges what is known of a file.
    #[must_use]
    pub fn resource(
        &self,
        path: &Path,
        evidence: &Evidence,
        jobs: &[Job],
        written: Written,
    ) -> Resource {
        let mut resource = self.base.clone();
        if let Some(pod) = &evidence.resource.host {
            // An agent that reads the logs of a whole node is itself no part of what they are about.
            resource.host = Some(pod.clone());
            resource.run_context = resource.run_context.or(evidence.resource.run_context.clone());
        }
        fill(&mut resource, &self.surroundings);
        fill(&mut resource, &evidence.resource);
        resource.file = Some(self.redactor.value(&path.to_string_lossy()));
        if evidence.is_daemon() && self.base.job_id.is_none() {
            // Masters and workers serve many jobs; the ids in their logs are not their own.
            (resource.job_id, resource.job_name) = (None, self.base.job_name.clone());
            return resource;
        }
        let job = match &resource.job_id {
            Some(id) => jobs.iter().find(|job| job.job_id == *id),
            None => self.only_job(evidence, jobs, written),
        };
        if let Some(job) = job {
            self.fill_from_job(&mut resource, job);
        }
        complete(&mut resource, job.and_then(|job| job.attempt.as_deref()));
        resource
    }

    /// Who wrote a record that bears the id of its own job, in the file of `resource`: a TaskManager
    /// serves several. None when the operator has named the job.
    #[must_use]
    pub fn own_job(&self, resource: &Resource, job_id: &Value, jobs: &[Job]) -> Option<Resource> {
        if self.base.job_id.is_some() {
            return None;
        }
        let mut own = resource.clone();
        (own.job_id, own.run_id) = (Some(job_id.clone()), self.base.run_id.clone());
        own.user_id = self.base.user_id.clone().or_else(|| self.surroundings.user_id.clone());
        own.job_name = self.base.job_name.clone().or_else(|| self.surroundings.job_name.clone());
        own.engine = Some(Engine::Flink);
        (own.trace_id, own.trace_id_origin) =
            (self.base.trace_id.clone(), self.base.trace_id_origin.clone());
        if let Some(job) = jobs.iter().find(|job| job.job_id == *job_id) {
            self.fill_from_job(&mut own, job);
        }
        complete(&mut own, None);
        Some(own)
    }

    /// The one job that a file without any id can belong to. The name that the log states decides
    /// between several, unless the operator has renamed them all.
    fn only_job<'j>(
        &self,
        evidence: &Evidence,
        jobs: &'j [Job],
        written: Written,
    ) -> Option<&'j Job> {
        let name = evidence.resource.job_name.as_ref().filter(|_| self.base.job_name.is_none());
        let engine = evidence.resource.engine;
        let mut candidates = jobs.iter().filter(|job| {
            written.can_be_of(job)
                && name.is_none_or(|name| *name == job.job_name)
                && engine.is_none_or(|engine| engine == job.engine)
        });
        let first = candidates.next()?;
        candidates.next().is_none().then_some(first)
    }

    fn fill_from_job(&self, resource: &mut Resource, job: &Job) {
        let property = |key| job.properties.get(key).cloned();
        let known = Resource {
            job_id: Some(job.job_id.clone()),
            job_name: Some(job.job_name.clone()),
            run_id: Some(job.run_id.clone()),
            user_id: job.user_id.clone(),
            run_context: property("spark.sidelight.run_context"),
            source_data_path: property("spark.sidelight.source_data_path"),
            engine: Some(job.engine),
            ..Resource::default()
        };
        // The scraper's name is the stable one; a name found in the log is the raw one.
        if self.base.job_name.is_none() && self.surroundings.job_name.is_none() {
            resource.job_name = None;
        }
        fill(resource, &known);
        let root = property("spark.openlineage.rootParentRunId")
            .or_else(|| property("spark.openlineage.parentRunId"));
        if let (None, Some(trace_id)) = (&resource.trace_id, root.as_deref().and_then(uuid_bytes)) {
            resource.trace_id = Some(Value::hex(&trace_id));
            resource.trace_id_origin = Some(Value::literal("openlineage"));
        }
    }
}

impl Resource {
    /// Keeps what is `known` of the same file when its application has ended and nobody answers for
    /// it any more: its last lines belong to the same run and trace as those before.
    pub fn keep(&mut self, known: &Self, jobs: &[Job]) {
        let Some(job_id) = &known.job_id else { return };
        let is_other = self.job_id.as_ref().is_some_and(|id| id != job_id);
        if !is_other && !jobs.iter().any(|job| job.job_id == *job_id) {
            let file = self.file.take();
            *self = Self { file, ..known.clone() };
        }
    }
}

/// Derives what follows from the job id: run id and trace id.
fn complete(resource: &mut Resource, attempt: Option<&str>) {
    let Some(job_id) = resource.job_id.clone() else { return };
    if resource.run_id.is_none() {
        resource.run_id = Some(job_id.clone());
    }
    if resource.trace_id.is_none() {
        // A job id of Flink is one already, unless it is that of all zeros.
        let is_flink = resource.engine == Some(Engine::Flink);
        let (id, origin) = match trace::parse_id(job_id.as_bytes()).filter(|_| is_flink) {
            Some(id) => (id, "flink"),
            None => (trace::run_trace_id(&job_id, attempt.unwrap_or_default()), "derived"),
        };
        resource.trace_id = Some(Value::hex(&id));
        resource.trace_id_origin = Some(Value::literal(origin));
    }
}

/// Puts in what `resource` does not have yet.
fn fill(resource: &mut Resource, known: &Resource) {
    let pairs = [
        (&mut resource.job_id, &known.job_id),
        (&mut resource.job_name, &known.job_name),
        (&mut resource.run_id, &known.run_id),
        (&mut resource.user_id, &known.user_id),
        (&mut resource.run_context, &known.run_context),
        (&mut resource.source_data_path, &known.source_data_path),
        (&mut resource.component, &known.component),
        (&mut resource.executor_id, &known.executor_id),
        (&mut resource.trace_id, &known.trace_id),
        (&mut resource.trace_id_origin, &known.trace_id_origin),
        (&mut resource.file, &known.file),
        (&mut resource.file_id, &known.file_id),
        (&mut resource.host, &known.host),
    ];
    for (field, value) in pairs {
        if field.is_none() {
            field.clone_from(value);
        }
    }
    resource.engine = resource.engine.or(known.engine);
}

/// What Spark's and Kubernetes' own variables and the pod's labels say.
fn surroundings(
    redactor: &Redactor,
    environment: &BTreeMap<String, String>,
    pod_labels: &str,
) -> Resource {
    let labels = parse_labels(pod_labels);
    let variable = |name: &str| environment.get(name).filter(|text| !text.is_empty()).cloned();
    let label = |name: &str| labels.get(name).cloned();
    let value = |text: Option<String>| text.map(|text| redactor.value(&text));
    let role = label("spark-role");
    Resource {
        job_id: value(variable("SPARK_APPLICATION_ID").or_else(|| label("spark-app-selector"))),
        job_name: value(label("spark-app-name")),
        run_context: value(variable("POD_NAMESPACE")),
        user_id: value(variable("SPARK_USER")),
        executor_id: value(variable("SPARK_EXECUTOR_ID").or_else(|| label("spark-exec-id"))),
        component: match role.as_deref() {
            Some("driver") => Some(Component::Driver.value()),
            Some("executor") => Some(Component::Executor.value()),
            _ => None,
        },
        host: value(host_of(variable)),
        ..Resource::default()
    }
}

/// `key="value"` a line, as the downward API writes labels.
fn parse_labels(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().trim_matches('"').to_owned()))
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

/// Where this agent runs: the pod, the node, or the name of the host.
#[must_use]
pub fn host() -> Option<String> {
    host_of(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

fn host_of(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    variable("POD_NAME").or_else(|| variable("NODE_NAME")).or_else(host_name)
}

fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// The 16 bytes of a UUID, which make a trace id.
fn uuid_bytes(uuid: &str) -> Option<[u8; 16]> {
    let digits: String = uuid.chars().filter(|c| *c != '-').collect();
    let is_hex = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u128::from_str_radix(&digits, 16).ok().filter(|number| is_hex && *number != 0)?;
    Some(number.to_be_bytes())
}

#[cfg(test)]
mod tests;
