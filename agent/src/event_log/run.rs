//! One run of an application, as far as its log tells.

use super::events::{
    ApplicationEnd, ApplicationStart, BlockManagerAdded, EnvironmentUpdate, Properties, TaskEnd,
    Text,
};
use super::executors::Executors;
use super::failures::Failures;
use super::jobs::Jobs;
use super::sql::Sql;
use super::stages::Stages;
use super::streams::Streams;
use super::strings::short;
use super::totals::Totals;
use redaction::{Redactor, Value};
use std::collections::BTreeMap;

const NAME_BYTES_MAX: usize = 256;

/// What is known of a run. All texts are redacted.
#[derive(Debug, Default, PartialEq)]
pub struct Run {
    /// Version of Spark.
    pub spark_version: Option<Value>,
    /// Application id.
    pub app_id: Option<Value>,
    /// Attempt of the application, where there are several.
    pub attempt: Option<Value>,
    /// Name of the application.
    pub app_name: Option<Value>,
    /// The part of the name that all runs share.
    pub job_name: Option<Value>,
    /// Who runs it.
    pub user: Option<Value>,
    /// Where it runs.
    pub master: Option<Value>,
    /// Properties of Spark that may be read, by name.
    pub properties: BTreeMap<&'static str, Value>,
    /// Version of Java.
    pub java_version: Option<Value>,
    /// Version of Scala.
    pub scala_version: Option<Value>,
    /// When the application started.
    pub started_ms: Option<u64>,
    /// When the application ended; none while it runs, or when it died.
    pub ended_ms: Option<u64>,
    /// Exit code of the driver; Spark 4.0 and later tell.
    pub exit_code: Option<i64>,
    /// The latest time that any event states.
    pub last_ms: u64,
    /// Cores that one task takes.
    pub task_cpus: u64,
    /// Most memory that one block manager has for storage and execution.
    pub storage_memory_bytes_max: u64,
    /// Jobs.
    pub jobs: Jobs,
    /// Stage attempts.
    pub stages: Stages,
    /// Executors.
    pub executors: Executors,
    /// SQL executions.
    pub sql: Sql,
    /// Streaming queries.
    pub streams: Streams,
    /// Failed tasks.
    pub failures: Failures,
    /// Sums over all tasks, also of stages that are forgotten.
    pub totals: Totals,
}

impl Run {
    /// When it ended, or until when its log tells.
    #[must_use]
    pub fn until_ms(&self) -> u64 {
        self.ended_ms.unwrap_or(0).max(self.last_ms)
    }

    /// How long it took, as far as its log tells.
    #[must_use]
    pub fn duration_ms(&self) -> Option<u64> {
        self.started_ms.map(|start| self.ended_ms.unwrap_or(self.last_ms).saturating_sub(start))
    }

    /// Seconds of cores that executors had.
    #[must_use]
    pub fn core_seconds(&self) -> f64 {
        self.executors.core_seconds(self.until_ms())
    }

    /// Share of [`core_seconds`](Self::core_seconds) in which no task ran; none without executors.
    #[must_use]
    pub fn idle_core_ratio(&self) -> Option<f64> {
        let core_seconds = self.core_seconds();
        let cpus = self.task_cpus.max(1);
        let busy_seconds = self.totals.duration_ms.saturating_mul(cpus) as f64 / 1e3;
        (core_seconds > 0.0).then(|| (1.0 - busy_seconds / core_seconds).clamp(0.0, 1.0))
    }

    pub(super) fn saw_time(&mut self, time_ms: u64) {
        self.last_ms = self.last_ms.max(time_ms);
    }

    pub(super) fn application_started(
        &mut self,
        event: &ApplicationStart<'_>,
        redactor: &Redactor,
    ) {
        let short = |text: &str| short(redactor, text, NAME_BYTES_MAX);
        self.app_name = Some(short(&event.name));
        self.job_name = Some(crate::scrape::spark::derived_name(&event.name, redactor));
        self.app_id = event.id.as_deref().map(short);
        self.user = event.user.as_deref().map(short);
        self.attempt = event.attempt.as_deref().map(short);
        self.started_ms = Some(event.time.0);
    }

    pub(super) fn application_ended(&mut self, event: &ApplicationEnd) {
        self.ended_ms = Some(event.time.0);
        self.exit_code = event.exit_code;
    }

    pub(super) fn configured(
        &mut self,
        event: &EnvironmentUpdate<'_>,
        redactor: &Redactor,
    ) -> serde_json::Result<()> {
        let spark: Properties<'_> = serde_json::from_str(event.spark.get())?;
        let all: BTreeMap<Text<'_>, Text<'_>> =
            serde_json::from_str(event.spark.get()).unwrap_or_default();
        self.properties = all
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .filter_map(|(name, value)| {
                let name = crate::scrape::spark::allowed_property(name)?;
                Some((name, short(redactor, value, NAME_BYTES_MAX)))
            })
            .collect();
        let version = |text: &Option<Text<'_>>| {
            text.as_deref().map(|text| short(redactor, text, NAME_BYTES_MAX))
        };
        if let Some(jvm) = &event.jvm {
            self.java_version = version(&jvm.java);
            self.scala_version = version(&jvm.scala);
        }
        self.master = spark.master.as_deref().map(|it| short(redactor, it, NAME_BYTES_MAX));
        let cpus = spark.task_cpus.as_deref().and_then(|text| text.parse().ok());
        self.task_cpus = cpus.unwrap_or(1);
        self.executors.configure(&spark);
        Ok(())
    }

    pub(super) fn block_manager_added(&mut self, event: &BlockManagerAdded) {
        self.storage_memory_bytes_max = self.storage_memory_bytes_max.max(event.memory.0);
        self.saw_time(event.time.0);
    }

    pub(super) fn task_ended(&mut self, event: &TaskEnd<'_>, redactor: &Redactor) {
        let totals = Totals::of_task(event);
        self.totals.add(&totals);
        self.stages.task_ended(event, &totals);
        self.failures.add(&event.reason, redactor);
        self.saw_time(event.info.finished.0);
    }
}
