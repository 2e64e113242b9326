//! Log records: ranges into one redacted text, no string of their own.

use super::Resource;
use redaction::Text;
use std::ops::Range;
use std::sync::Arc;

/// Level of a log record, with the short names of OpenTelemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Severity {
    /// No level was found.
    #[default]
    Unspecified,
    /// TRACE
    Trace,
    /// DEBUG
    Debug,
    /// INFO
    Info,
    /// WARN
    Warn,
    /// ERROR
    Error,
    /// FATAL
    Fatal,
}

impl Severity {
    /// Upper-case name; empty for [`Severity::Unspecified`].
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "",
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }

    /// Reads a level as log4j, logback, java.util.logging and Python write it.
    #[must_use]
    pub fn parse(raw: &[u8]) -> Option<Self> {
        Some(match raw {
            b"INFO" | b"info" | b"NOTICE" => Self::Info,
            b"WARN" | b"WARNING" | b"warn" | b"warning" => Self::Warn,
            b"ERROR" | b"error" | b"SEVERE" => Self::Error,
            b"DEBUG" | b"debug" | b"FINE" => Self::Debug,
            b"TRACE" | b"trace" | b"FINER" | b"FINEST" => Self::Trace,
            b"FATAL" | b"fatal" | b"CRITICAL" => Self::Fatal,
            _ => return None,
        })
    }
}

/// One record. Ranges point into the [`Text`] of its batch; an empty range means absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogRecord {
    /// Time that the record states, nanoseconds since the epoch; none when it states none.
    pub time_unix_ns: Option<u64>,
    /// Time at which the agent read it.
    pub observed_unix_ns: u64,
    /// Level.
    pub severity: Severity,
    /// Message with its stack trace.
    pub body: Range<u32>,
    /// Logger or class.
    pub logger: Range<u32>,
    /// Thread name.
    pub thread: Range<u32>,
    /// Fully qualified class of the outermost exception.
    pub exception_type: Range<u32>,
    /// Trace id that the record itself carries.
    pub trace_id: Range<u32>,
    /// Span id that the record itself carries.
    pub span_id: Range<u32>,
    /// Id of Flink's job that the record itself carries, where a process serves several. Batches that
    /// are handed over have records of one job, and their resource has its id.
    pub job_id: Range<u32>,
    /// Stage id, when the record is about one task.
    pub stage_id: Option<u32>,
    /// Attempt of that stage.
    pub stage_attempt: u32,
    /// Task id (`TID`).
    pub task_id: Option<u64>,
    /// Byte offset of the record's first byte in its file (decision 16).
    pub offset: u64,
    /// True when the record was longer than the limit and this is a part of it.
    pub is_truncated: bool,
}

/// Records of one file that travel together.
#[derive(Debug, Clone)]
pub struct LogBatch {
    /// Who wrote them.
    pub resource: Arc<Resource>,
    /// Every byte that the records point to.
    pub text: Text,
    /// The records in the order of the file.
    pub records: Vec<LogRecord>,
    /// What of the file they account for; none when nobody knows: a dead letter that is sent again, or
    /// a batch that an older version has spooled.
    pub covers: Option<Coverage>,
}

/// Bytes of a file that a batch accounts for: those of its records, and those that hold none. What the
/// batches of one file cover follows without a gap, so that a reader can prove that nothing is missing.
///
/// Of files with the frames of a container runtime, records may stand behind `to`: what waits in
/// between comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coverage {
    /// First byte.
    pub from: u64,
    /// Behind the last byte.
    pub to: u64,
    /// Records in between that a policy of redaction has dropped.
    pub n_dropped: u64,
}

/// Names a batch, also when it comes again from the spool, where its text is another one: file, first
/// and last offset, records, and when the first was read. What is taken for another one would not be
/// sent.
pub type BatchKey = (String, u64, u64, usize, u64);

impl LogBatch {
    /// The name of the batch.
    #[must_use]
    pub fn key(&self) -> BatchKey {
        let file = self.resource.file_id.as_deref().unwrap_or("").to_owned();
        let offset = |record: Option<&LogRecord>| record.map_or(0, |record| record.offset);
        let (first, last) = (self.records.first(), self.records.last());
        let read_unix_ns = first.map_or(0, |record| record.observed_unix_ns);
        (file, offset(first), offset(last), self.records.len(), read_unix_ns)
    }
}
