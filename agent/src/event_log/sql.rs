//! SQL executions: how they ended, and the files that they read and wrote.

use super::events::{Amount, Text};
use super::strings::{first_line, short};
use redaction::{Redactor, Value};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Executions that run at a time; of more, the oldest are taken for ended.
const LIVE_MAX: usize = 1_000;
/// Accumulators of one execution that are watched.
const WATCHED_MAX: usize = 1_024;
const DESCRIPTION_BYTES_MAX: usize = 128;
const ERROR_BYTES_MAX: usize = 512;

/// All SQL executions of a run.
#[derive(Debug, Default, PartialEq)]
pub struct Sql {
    live: BTreeMap<u64, Execution>,
    /// Executions that ended well, or that were told to have ended by a Spark before 3.4.
    pub n_succeeded: u64,
    /// Executions that failed.
    pub n_failed: u64,
    /// Plans that were changed while they ran.
    pub n_adapted: u64,
    /// Executions that were given up for the limit.
    pub n_dropped: u64,
    /// Files of all executions.
    pub files: Files,
    /// The executions that had most small files: read, and written.
    pub worst_read: Option<FileUse>,
    /// As [`worst_read`](Self::worst_read).
    pub worst_written: Option<FileUse>,
    /// When an execution failed last, and why.
    pub last_failure: Option<(u64, Value)>,
}

/// Files that were read and written. Bytes are what the driver counted.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Files {
    /// Files read.
    pub n_read: u64,
    /// Their bytes.
    pub read_bytes: u64,
    /// Files written.
    pub n_written: u64,
    /// Their bytes.
    pub written_bytes: u64,
}

/// Files of one execution, in one direction.
#[derive(Debug, Clone, PartialEq)]
pub struct FileUse {
    /// Number of the execution.
    pub execution: u64,
    /// What it is, as Spark describes it.
    pub description: Option<Value>,
    /// Number of files.
    pub n_files: u64,
    /// Bytes of all.
    pub bytes: u64,
}

#[derive(Debug, Default, PartialEq)]
struct Execution {
    description: Option<Value>,
    watched: BTreeMap<u64, Watched>,
    files: Files,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Watched {
    FilesRead,
    BytesRead,
    FilesWritten,
    BytesWritten,
}

impl Watched {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "number of files read" => Self::FilesRead,
            "size of files read" => Self::BytesRead,
            "number of written files" => Self::FilesWritten,
            "written output" => Self::BytesWritten,
            _ => return None,
        })
    }
}

impl Sql {
    pub(super) fn started(&mut self, event: &SqlStart<'_>, redactor: &Redactor) {
        if self.live.len() >= LIVE_MAX {
            self.live.pop_first();
            self.n_dropped += 1;
        }
        let description = event.description.as_deref().filter(|it| !it.is_empty());
        let description = description.map(|it| first_line(redactor, it, DESCRIPTION_BYTES_MAX));
        let mut execution = Execution { description, ..Execution::default() };
        execution.watch(event.plan);
        self.live.insert(event.id, execution);
    }

    pub(super) fn adapted(&mut self, event: &SqlAdapted<'_>) {
        self.n_adapted += u64::from(event.plan.is_some());
        if let Some(execution) = self.live.get_mut(&event.id) {
            execution.watch(event.plan);
            execution.watch(event.metrics);
        }
    }

    pub(super) fn counted(&mut self, event: &DriverAccumulators) {
        let Some(execution) = self.live.get_mut(&event.id) else { return };
        let files = &mut execution.files;
        for (accumulator, Amount(amount)) in &event.updates {
            let sum = match execution.watched.get(accumulator) {
                Some(Watched::FilesRead) => &mut files.n_read,
                Some(Watched::BytesRead) => &mut files.read_bytes,
                Some(Watched::FilesWritten) => &mut files.n_written,
                Some(Watched::BytesWritten) => &mut files.written_bytes,
                None => continue,
            };
            *sum = sum.saturating_add(*amount);
        }
    }

    pub(super) fn ended(&mut self, event: &SqlEnd<'_>, redactor: &Redactor) {
        match event.error.as_deref().filter(|it| !it.is_empty()) {
            None => self.n_succeeded += 1,
            Some(error) => {
                self.n_failed += 1;
                self.last_failure = Some((event.time.0, short(redactor, error, ERROR_BYTES_MAX)));
            }
        }
        let Some(execution) = self.live.remove(&event.id) else { return };
        let files = execution.files;
        let all = &mut self.files;
        for (sum, more) in [
            (&mut all.n_read, files.n_read),
            (&mut all.read_bytes, files.read_bytes),
            (&mut all.n_written, files.n_written),
            (&mut all.written_bytes, files.written_bytes),
        ] {
            *sum = sum.saturating_add(more);
        }
        let worst = [
            (&mut self.worst_read, files.n_read, files.read_bytes),
            (&mut self.worst_written, files.n_written, files.written_bytes),
        ];
        for (worst, n_files, bytes) in worst {
            let file_use = FileUse {
                execution: event.id,
                description: execution.description.clone(),
                n_files,
                bytes,
            };
            if worst.as_ref().is_none_or(|worst| worst.surplus() < file_use.surplus()) {
                *worst = Some(file_use);
            }
        }
    }
}

impl FileUse {
    /// Mean size of a file; none without files.
    #[must_use]
    pub fn mean_bytes(&self) -> Option<u64> {
        self.bytes.checked_div(self.n_files)
    }

    /// Files beyond those that would hold as much in 128 MiB each.
    fn surplus(&self) -> u64 {
        self.n_files.saturating_sub(self.bytes / (128 << 20))
    }
}

impl Execution {
    /// Remembers which accumulators count files. Looks for metrics as they are written: quotes
    /// inside of a text are escaped, so nothing else looks like one.
    fn watch(&mut self, plan: Option<&RawValue>) {
        const START: &[u8] = b"{\"name\":\"";
        let Some(plan) = plan.map(RawValue::get) else { return };
        for at in memchr::memmem::find_iter(plan.as_bytes(), START) {
            let mut metrics = serde_json::Deserializer::from_str(&plan[at..]).into_iter();
            let Some(Ok(PlanMetric { name, accumulator })) = metrics.next() else { continue };
            if self.watched.len() < WATCHED_MAX
                && let Some(watched) = Watched::of(&name)
            {
                self.watched.insert(accumulator, watched);
            }
        }
    }
}

/// The plan is left as it stands: it may be nested deeper than a stack is.
#[derive(Debug, Deserialize)]
pub(super) struct SqlStart<'a> {
    #[serde(rename = "executionId")]
    pub(super) id: u64,
    #[serde(borrow)]
    pub(super) description: Option<Text<'a>>,
    #[serde(rename = "sparkPlanInfo", borrow)]
    pub(super) plan: Option<&'a RawValue>,
}

/// Both `SparkListenerSQLAdaptiveExecutionUpdate` and `SparkListenerSQLAdaptiveSQLMetricUpdates`.
#[derive(Debug, Deserialize)]
pub(super) struct SqlAdapted<'a> {
    #[serde(rename = "executionId")]
    pub(super) id: u64,
    #[serde(rename = "sparkPlanInfo", borrow)]
    pub(super) plan: Option<&'a RawValue>,
    #[serde(rename = "sqlPlanMetrics", borrow)]
    pub(super) metrics: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PlanMetric<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(rename = "accumulatorId")]
    pub(super) accumulator: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct SqlEnd<'a> {
    #[serde(rename = "executionId")]
    pub(super) id: u64,
    #[serde(default)]
    pub(super) time: Amount,
    /// From Spark 3.4 on; empty when all went well.
    #[serde(rename = "errorMessage", borrow)]
    pub(super) error: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct DriverAccumulators {
    #[serde(rename = "executionId")]
    pub(super) id: u64,
    #[serde(rename = "accumUpdates", default)]
    pub(super) updates: Vec<(u64, Amount)>,
}
