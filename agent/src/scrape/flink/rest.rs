//! What Flink's REST API answers, as far as it is read. These types live for one round at most: their
//! strings are not redacted yet, so none of them is kept, logged or shown (they have no `Debug`).
//!
//! Every field may be missing: classes differ between Flink 1.16 and 2.3.

pub(super) use crate::scrape::spark::rest::{List, Number};
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// A finite number of any sign, as JSON or as the text that Flink makes of it.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub(super) struct Real(pub(super) Option<f64>);

impl Real {
    /// The number, unless it is one of those below 0 with which Flink says "not known".
    pub(super) fn known(self) -> Option<f64> {
        self.0.filter(|number| *number >= 0.0)
    }
}

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Lenient)
    }
}

/// Takes whatever stands there: a field of a strange type must not cost the other fields.
struct Lenient;

impl<'de> Visitor<'de> for Lenient {
    type Value = Real;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Real, E> {
        Ok(Real(Some(value as f64)))
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Real, E> {
        Ok(Real(Some(value as f64)))
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Real, E> {
        Ok(Real(value.is_finite().then_some(value)))
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<Real, E> {
        Ok(Real(value.parse().ok().filter(|number: &f64| number.is_finite())))
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<Real, E> {
        Ok(Real(None))
    }
    fn visit_unit<E: Error>(self) -> Result<Real, E> {
        Ok(Real(None))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Real, A::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Real(None))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Real, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Real(None))
    }
}

/// `/overview`. Only Flink names its version like this.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Overview {
    pub(super) flink_version: String,
    #[serde(default)]
    pub(super) taskmanagers: Number,
    #[serde(default)]
    pub(super) taskmanagers_blocked: Number,
    #[serde(default)]
    pub(super) slots_total: Number,
    #[serde(default)]
    pub(super) slots_available: Number,
}

/// State of a job.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum JobState {
    Initializing,
    Created,
    Running,
    Failing,
    Failed,
    Cancelling,
    Canceled,
    Finished,
    Restarting,
    Suspended,
    Reconciling,
    #[default]
    #[serde(other)]
    Other,
}

impl JobState {
    pub(super) const ALL: [Self; 12] = [
        Self::Initializing,
        Self::Created,
        Self::Running,
        Self::Failing,
        Self::Failed,
        Self::Cancelling,
        Self::Canceled,
        Self::Finished,
        Self::Restarting,
        Self::Suspended,
        Self::Reconciling,
        Self::Other,
    ];

    /// Value of the label `state` of Flink's own metrics.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Initializing => "initializing",
            Self::Created => "created",
            Self::Running => "running",
            Self::Failing => "failing",
            Self::Failed => "failed",
            Self::Cancelling => "cancelling",
            Self::Canceled => "canceled",
            Self::Finished => "finished",
            Self::Restarting => "restarting",
            Self::Suspended => "suspended",
            Self::Reconciling => "reconciling",
            Self::Other => "other",
        }
    }

    /// Value of the label `state` of `job_run_state`.
    pub(super) fn as_run_state(self) -> &'static str {
        match self {
            Self::Initializing | Self::Created | Self::Reconciling => "starting",
            Self::Running => "running",
            Self::Restarting | Self::Failing | Self::Suspended => "restarting",
            Self::Finished => "succeeded",
            Self::Failed => "failed",
            Self::Canceled | Self::Cancelling => "killed",
            Self::Other => "unknown",
        }
    }

    /// True when the job will not run any more. A suspended one goes on under another leader.
    pub(super) fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Canceled)
    }
}

/// `/jobs/overview`
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct JobsOverview {
    pub(super) jobs: List<ListedJob>,
}

/// One job of `/jobs/overview`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct ListedJob {
    pub(super) jid: String,
    pub(super) name: String,
    pub(super) state: JobState,
    pub(super) start_time: Number,
    pub(super) end_time: Number,
    pub(super) tasks: BTreeMap<TaskState, Number>,
}

/// State of tasks, and `total`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TaskState {
    Total,
    Created,
    Scheduled,
    Deploying,
    Initializing,
    Running,
    Finished,
    Canceling,
    Canceled,
    Failed,
    Reconciling,
    #[serde(other)]
    Other,
}

impl TaskState {
    /// Value of the label `status`; none for what is no state.
    pub(super) fn as_str(self) -> Option<&'static str> {
        Some(match self {
            Self::Total | Self::Other => return None,
            Self::Created => "created",
            Self::Scheduled => "scheduled",
            Self::Deploying => "deploying",
            Self::Initializing => "initializing",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Canceling => "canceling",
            Self::Canceled => "canceled",
            Self::Failed => "failed",
            Self::Reconciling => "reconciling",
        })
    }
}

/// `/jobs/:id`. The plan is not read: it holds the user's expressions and no number.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct JobDetails {
    pub(super) state: JobState,
    pub(super) start_time: Number,
    pub(super) end_time: Number,
    /// The clock of the JobManager.
    pub(super) now: Number,
    pub(super) timestamps: Timestamps,
    pub(super) vertices: List<Vertex>,
    #[serde(rename = "schedulerType")]
    pub(super) scheduler_type: Option<String>,
}

/// When the job last came into a state; 0 when it never was in it.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "UPPERCASE")]
pub(super) struct Timestamps {
    pub(super) running: Number,
    pub(super) restarting: Number,
}

/// One vertex of `/jobs/:id`: a chain of operators.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Vertex {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) parallelism: Number,
    #[serde(rename = "maxParallelism")]
    pub(super) max_parallelism: Number,
    /// Of the first of its present subtasks.
    pub(super) start_time: Number,
    pub(super) end_time: Number,
    pub(super) metrics: InputOutput,
}

/// What the subtasks of a vertex did since they began, together.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct InputOutput {
    pub(super) read_bytes: Number,
    pub(super) read_bytes_complete: bool,
    pub(super) write_bytes: Number,
    pub(super) write_bytes_complete: bool,
    pub(super) read_records: Number,
    pub(super) read_records_complete: bool,
    pub(super) write_records: Number,
    pub(super) write_records_complete: bool,
    pub(super) accumulated_busy_time: Number,
    pub(super) accumulated_idle_time: Number,
    pub(super) accumulated_backpressured_time: Number,
}

/// One metric of a process or a job; without a value in a list of names.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Metric {
    pub(super) id: String,
    pub(super) value: Real,
}

/// One metric of several processes or subtasks, in numbers about all of them.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Aggregate {
    pub(super) id: String,
    pub(super) min: Real,
    pub(super) max: Real,
    pub(super) avg: Real,
    pub(super) sum: Real,
}

/// `/taskmanagers`
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct TaskManagers {
    pub(super) taskmanagers: List<TaskManager>,
}

/// One of `/taskmanagers`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct TaskManager {
    /// The time of the last heartbeat, whatever its name says.
    pub(super) time_since_last_heartbeat: Number,
}

/// One entry of `/jobmanager/config`; other values than the one that is needed are dropped at once.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Setting {
    pub(super) key: String,
    pub(super) value: Option<String>,
}

/// `/jobs/:id/exceptions`. Stack traces are not read: they hold user data and no number.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Exceptions {
    pub(super) exception_history: ExceptionHistory,
}

/// Failures of a job, newest first.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ExceptionHistory {
    pub(super) entries: List<Exception>,
}

/// One failure.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Exception {
    pub(super) exception_name: String,
    pub(super) timestamp: Number,
    /// The task that failed, with its subtask and attempt; none when the job failed as a whole.
    pub(super) task_name: Option<String>,
    /// What the cluster's failure enrichers say; Flink 1.18 and later.
    pub(super) failure_labels: BTreeMap<String, String>,
}

/// `/jobs/:id/rescales/summary`, Flink 2.3 and later with the adaptive scheduler.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Rescales {
    pub(super) rescales_counts: RescaleCounts,
    pub(super) rescales_duration_stats_in_millis: RescaleDurations,
}

/// Rescales by how they ended.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct RescaleCounts {
    pub(super) completed: Number,
    pub(super) failed: Number,
    pub(super) ignored: Number,
}

/// Milliseconds.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct RescaleDurations {
    pub(super) min: Real,
    pub(super) max: Real,
    pub(super) avg: Real,
}

/// `/jobs/:id/rescales/history`, as above.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Rescale {
    pub(super) rescale_uuid: String,
    pub(super) start_timestamp_in_millis: Number,
    pub(super) end_timestamp_in_millis: Number,
    pub(super) terminal_state: Option<String>,
    pub(super) trigger_cause: Option<String>,
    pub(super) terminated_reason: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::{Aggregate, JobState, ListedJob, Metric, Number, Real, TaskState};

    #[test]
    fn numbers_may_be_texts_and_what_is_no_number_is_absent() {
        let text = r#"[{"id":"uptime","value":"56533"},{"id":"x","value":"NaN"},{"id":"y"},
            {"id":"path","value":"file:/tmp/chk-17"},{"id":"z","value":{"a":[1]}}]"#;
        let metrics: Vec<Metric> = serde_json::from_str(text).unwrap();
        let values: Vec<Option<f64>> = metrics.iter().map(|metric| metric.value.0).collect();
        assert_eq!(values, [Some(56_533.0), None, None, None, None]);
        let text = r#"{"id":"w","min":-9.223372036854775808E18,"max":1.0,"avg":"NaN","skew":1}"#;
        let aggregate: Aggregate = serde_json::from_str(text).unwrap();
        assert_eq!(aggregate.min.known(), None, "the not-yet value of a watermark");
        assert_eq!((aggregate.max, aggregate.avg), (Real(Some(1.0)), Real(None)));
    }

    #[test]
    fn a_state_that_nobody_knows_is_other() {
        let text =
            r#"{"jid":"a","state":"DREAMING","end-time":-1,"tasks":{"total":4,"pausing":1}}"#;
        let job: ListedJob = serde_json::from_str(text).unwrap();
        assert_eq!((job.state, job.end_time), (JobState::Other, Number(None)));
        assert!(job.tasks.keys().all(|state| state.as_str().is_none()));
        assert!(job.tasks.contains_key(&TaskState::Other));
    }
}
