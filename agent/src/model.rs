//! What travels through the agent: resources, batches of one signal, positions.

pub mod log;
pub mod metric;
pub mod span;

pub use log::{BatchKey, Coverage, LogBatch, LogRecord, Severity};
pub use metric::{Kind, MetricBatch, MetricDescriptor, Sample, SampleValue};
pub use span::{AttributeValue, Span, SpanBatch, SpanStatus};

use crate::checkpoint::Event;
use crate::tail::fingerprint::Digest;
use redaction::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Processing engine that a job runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Engine {
    /// Apache Spark.
    Spark,
    /// Apache Flink.
    Flink,
}

impl Engine {
    /// Name as it stands in records and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Spark => "spark",
            Self::Flink => "flink",
        }
    }
}

/// Who produced telemetry: one job and one process of it. Everything in it is redacted.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Resource {
    /// `application_…`, `app-…`, `local-…` or `spark-…` of Spark; the job id of Flink.
    pub job_id: Option<Value>,
    /// Stable name: what the operator gave, else the application's name.
    pub job_name: Option<Value>,
    /// One execution of the job: given, else application id and attempt.
    pub run_id: Option<Value>,
    /// Who runs the job.
    pub user_id: Option<Value>,
    /// Free text of the operator, such as `prod`.
    pub run_context: Option<Value>,
    /// Where the job's input lies.
    pub source_data_path: Option<Value>,
    /// Engine, when known.
    pub engine: Option<Engine>,
    /// `driver`, `executor`, `master`, `worker`, `jobmanager`, `taskmanager`.
    pub component: Option<Value>,
    /// Executor id as Spark numbers them; `driver` for the driver.
    pub executor_id: Option<Value>,
    /// 32 lower-case hex digits.
    pub trace_id: Option<Value>,
    /// `record`, `traceparent`, `openlineage`, `derived` (decision 12).
    pub trace_id_origin: Option<Value>,
    /// Path of the log file.
    pub file: Option<Value>,
    /// Which of the files that ever had this path: 16 hex digits, the same over restarts.
    pub file_id: Option<Value>,
    /// Host name.
    pub host: Option<Value>,
}

impl Resource {
    /// The same as another policy wants it: what `redactor` finds in free text is hidden.
    #[must_use]
    pub fn redacted(&self, redactor: &redaction::Redactor) -> Self {
        let text = |value: &Option<Value>| value.as_deref().map(|text| redactor.value(text));
        Self {
            job_id: text(&self.job_id),
            job_name: text(&self.job_name),
            run_id: text(&self.run_id),
            user_id: text(&self.user_id),
            run_context: text(&self.run_context),
            source_data_path: text(&self.source_data_path),
            executor_id: text(&self.executor_id),
            file: text(&self.file),
            host: text(&self.host),
            ..self.clone()
        }
    }
}

/// Random number of a log file, kept over restarts; a re-created or truncated file gets a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u64);

impl FileId {
    /// A number that no other file has. The hasher's random keys make it.
    #[must_use]
    pub fn random() -> Self {
        use std::hash::{BuildHasher, RandomState};
        Self(RandomState::new().hash_one(std::time::SystemTime::now()))
    }
}

/// How far a file is delivered: all bytes before `offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Which file.
    pub file: FileId,
    /// Byte offset after the last record of the batch.
    pub offset: u64,
    /// Hash of the bytes just before `offset`, to know the file again after a restart.
    pub frontier: Digest,
}

/// One kind of telemetry of one resource.
#[derive(Debug)]
pub enum Signal {
    /// Log records of one file.
    Logs(LogBatch),
    /// Samples of one scrape of one job.
    Metrics(MetricBatch),
    /// Work of one job that has ended.
    Spans(SpanBatch),
}

/// What an exporter accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalKind {
    /// [`Signal::Logs`].
    Logs,
    /// [`Signal::Metrics`].
    Metrics,
    /// [`Signal::Spans`].
    Spans,
}

impl SignalKind {
    /// Value of the label `signal`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Metrics => "metrics",
            Self::Spans => "spans",
        }
    }
}

impl Signal {
    /// The kind of this signal.
    #[must_use]
    pub fn kind(&self) -> SignalKind {
        match self {
            Self::Logs(_) => SignalKind::Logs,
            Self::Metrics(_) => SignalKind::Metrics,
            Self::Spans(_) => SignalKind::Spans,
        }
    }

    /// The log records, if it is those.
    #[must_use]
    pub fn logs(&self) -> Option<&LogBatch> {
        match self {
            Self::Logs(logs) => Some(logs),
            Self::Metrics(_) | Self::Spans(_) => None,
        }
    }

    /// Number of records, samples or spans.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Logs(logs) => logs.records.len(),
            Self::Metrics(metrics) => metrics.samples.len(),
            Self::Spans(spans) => spans.spans.len(),
        }
    }

    /// True for a batch without items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True for a batch that reaches no exporter. One without samples does: it takes the series of
    /// its job away.
    #[must_use]
    pub fn says_nothing(&self) -> bool {
        self.is_empty() && !matches!(self, Self::Metrics(_))
    }
}

/// A signal on its way to every lane that takes it, with what is owed when all have settled it.
#[derive(Debug)]
pub struct Batch {
    /// The telemetry itself, read-only from here on.
    pub signal: Signal,
    position: Option<Position>,
    /// Lanes that still owe an answer.
    remaining: AtomicU32,
    settled: Option<mpsc::Sender<Event>>,
    /// Share of the memory budget, returned when the last holder lets go of the batch.
    _budget: Option<OwnedSemaphorePermit>,
}

impl Batch {
    /// A batch of log records that reports `position` once `lanes` lanes have settled it.
    #[must_use]
    pub fn logs(
        logs: LogBatch,
        position: Position,
        lanes: u32,
        settled: mpsc::Sender<Event>,
        budget: Option<OwnedSemaphorePermit>,
    ) -> Arc<Self> {
        assert!(lanes > 0, "a batch of logs has at least one lane");
        Arc::new(Self {
            signal: Signal::Logs(logs),
            position: Some(position),
            remaining: AtomicU32::new(lanes),
            settled: Some(settled),
            _budget: budget,
        })
    }

    /// A batch of log records that come from no file. Nothing is owed for it.
    #[must_use]
    pub fn records(logs: LogBatch) -> Arc<Self> {
        Self::owing_nothing(Signal::Logs(logs))
    }

    /// A batch of samples. Nothing is owed for it.
    #[must_use]
    pub fn metrics(metrics: MetricBatch) -> Arc<Self> {
        Self::owing_nothing(Signal::Metrics(metrics))
    }

    /// A batch of spans. Nothing is owed for it.
    #[must_use]
    pub fn spans(spans: SpanBatch) -> Arc<Self> {
        Self::owing_nothing(Signal::Spans(spans))
    }

    fn owing_nothing(signal: Signal) -> Arc<Self> {
        Arc::new(Self {
            signal,
            position: None,
            remaining: AtomicU32::new(0),
            settled: None,
            _budget: None,
        })
    }

    /// The file that its records come from.
    #[must_use]
    pub fn file(&self) -> Option<FileId> {
        self.position.map(|position| position.file)
    }

    /// Says that one lane has delivered this batch. Called exactly once per lane.
    pub async fn settle(&self) {
        let (Some(position), Some(settled)) = (self.position, &self.settled) else { return };
        let before = self.remaining.fetch_sub(1, Ordering::AcqRel);
        assert!(before > 0, "a lane settles a batch once");
        if before == 1 {
            // The checkpointer outlives every lane; it is gone only when the process is ending.
            let _ = settled.send(Event::Settled(position)).await;
        }
    }
}
