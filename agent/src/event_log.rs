//! Spark's event logs: bytes in, the state of a run out, in bounded memory.
//!
//! [`EventLog`] takes unpacked bytes however they arrive, [`decode::Decoder`] takes compression off, and
//! [`source`] finds the files of a log and reads them. Spark's driver writes an event a line and
//! flushes it, so the whole prefix of a log can be read while the application runs; a last line
//! without an end waits.

pub mod decode;
mod digest;
mod events;
mod executors;
mod failures;
pub mod follow;
mod jobs;
mod lines;
mod run;
pub mod source;
mod sql;
mod stages;
mod streams;
mod strings;
#[cfg(test)]
mod tests;
mod totals;

pub use digest::Quantiles;
pub use executors::Executors;
pub use failures::{Exception, Failures};
pub use jobs::{Job, Jobs};
pub use lines::LINE_BYTES_MAX;
pub use run::Run;
pub use sql::{FileUse, Files, Sql};
pub use stages::{Slowest, Stage, StageKey, Stages};
pub use streams::{Stream, Streams};
pub use totals::Totals;

use events::{
    AnyEvent, ExecutorAdded, ExecutorMetricsUpdate, ExecutorRemoved, LogStart, StageChanged,
    StageExecutorMetrics, TaskEnd, TaskStart,
};
use lines::Lines;
use memchr::memchr;
use redaction::Redactor;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Begins each line that Spark writes.
const START: &[u8] = b"{\"Event\":\"";
const SQL: &str = "org.apache.spark.sql.execution.ui.";
const STREAMING: &str = "org.apache.spark.sql.streaming.StreamingQueryListener$";

/// One log, as far as it was read.
#[derive(Debug)]
pub struct EventLog {
    redactor: Arc<Redactor>,
    lines: Lines,
    run: Run,
    tally: Tally,
}

/// What was read, and what of it was not understood.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Bytes, unpacked.
    pub n_bytes: u64,
    /// Lines with an event, also of kinds that are not used.
    pub n_events: u64,
    /// Events of kinds that are not used.
    pub n_unused_events: u64,
    /// Lines that are no event, or one in which something is not as it should be.
    pub n_broken_lines: u64,
    /// Lines that are longer than [`LINE_BYTES_MAX`].
    pub n_too_long_lines: u64,
}

impl EventLog {
    /// A log of which nothing was read.
    #[must_use]
    pub fn new(redactor: Arc<Redactor>) -> Self {
        let (lines, run, tally) = (Lines::default(), Run::default(), Tally::default());
        Self { redactor, lines, run, tally }
    }

    /// Takes the next bytes, cut anywhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        let Self { redactor, lines, run, tally } = self;
        tally.n_bytes += bytes.len() as u64;
        lines.feed(bytes, |line| take(line, run, tally, redactor));
        tally.n_too_long_lines = lines.n_too_long();
    }

    /// Takes a last line without an end as a line, unless it is half an event.
    pub fn finish(&mut self) {
        let Self { redactor, lines, run, tally } = self;
        lines.finish(|line| {
            if serde_json::from_slice::<AnyEvent<'_>>(line).is_ok() {
                take(line, run, tally, redactor);
            }
        });
    }

    /// The run so far.
    #[must_use]
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The run so far, to take what has changed since it was taken last.
    pub fn run_mut(&mut self) -> &mut Run {
        &mut self.run
    }

    /// What was read so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }
}

fn take(line: &[u8], run: &mut Run, tally: &mut Tally, redactor: &Redactor) {
    if line.iter().all(u8::is_ascii_whitespace) {
        return;
    }
    let applied = match name_of(line) {
        Some(name) => apply(name, line, run, redactor),
        // Not as Spark writes it, but perhaps as somebody's tool does.
        None => serde_json::from_slice::<AnyEvent<'_>>(line)
            .and_then(|event| apply(&event.name, line, run, redactor)),
    };
    match applied {
        Ok(is_used) => {
            tally.n_events += 1;
            tally.n_unused_events += u64::from(!is_used);
        }
        Err(_) => tally.n_broken_lines += 1,
    }
}

/// The name of an event, without a look at the rest of its line.
fn name_of(line: &[u8]) -> Option<&str> {
    let rest = line.strip_prefix(START)?;
    let name = &rest[..memchr(b'"', rest)?];
    std::str::from_utf8(name).ok().filter(|name| !name.contains('\\'))
}

fn parse<'a, T: Deserialize<'a>>(line: &'a [u8]) -> serde_json::Result<T> {
    serde_json::from_slice(line)
}

/// Brings the event into the state; false when its kind is not used.
fn apply(name: &str, line: &[u8], run: &mut Run, redactor: &Redactor) -> serde_json::Result<bool> {
    match name {
        "SparkListenerTaskStart" => {
            let event: TaskStart = parse(line)?;
            run.stages.task_started(&event);
            run.saw_time(event.info.launched.0);
        }
        "SparkListenerTaskEnd" => run.task_ended(&parse::<TaskEnd<'_>>(line)?, redactor),
        "SparkListenerStageSubmitted" => {
            let StageChanged { info } = parse(line)?;
            run.jobs.stage_submitted(info.id);
            run.stages.submitted(&info, redactor);
            run.saw_time(info.submitted.unwrap_or_default().0);
        }
        "SparkListenerStageCompleted" => {
            let StageChanged { info } = parse(line)?;
            run.stages.completed(&info, redactor);
            run.saw_time(info.completed.unwrap_or_default().0);
        }
        "SparkListenerStageExecutorMetrics" => {
            let event: StageExecutorMetrics<'_> = parse(line)?;
            run.executors.measured(&event.executor, &event.metrics);
        }
        "SparkListenerExecutorMetricsUpdate" => {
            let event: ExecutorMetricsUpdate<'_> = parse(line)?;
            for update in &event.updates {
                run.executors.measured(&event.executor, &update.metrics);
            }
        }
        _ => return apply_rarer(name, line, run, redactor),
    }
    Ok(true)
}

fn apply_rarer(
    name: &str,
    line: &[u8],
    run: &mut Run,
    redactor: &Redactor,
) -> serde_json::Result<bool> {
    match name {
        "SparkListenerLogStart" => {
            let version = parse::<LogStart<'_>>(line)?.version;
            run.spark_version = Some(strings::short(redactor, &version, 64));
        }
        "SparkListenerApplicationStart" => run.application_started(&parse(line)?, redactor),
        "SparkListenerApplicationEnd" => run.application_ended(&parse(line)?),
        "SparkListenerEnvironmentUpdate" => run.configured(&parse(line)?, redactor)?,
        "SparkListenerResourceProfileAdded" => run.executors.profile_added(&parse(line)?),
        "SparkListenerBlockManagerAdded" => run.block_manager_added(&parse(line)?),
        "SparkListenerJobStart" => {
            let event = parse(line)?;
            run.jobs.started(&event, redactor);
            run.saw_time(event.time.0);
        }
        "SparkListenerJobEnd" => {
            let event = parse(line)?;
            run.jobs.ended(&event, redactor);
            run.saw_time(event.time.0);
        }
        "SparkListenerExecutorAdded" => {
            let event: ExecutorAdded<'_> = parse(line)?;
            run.executors.added(&event, redactor);
            run.saw_time(event.time.0);
        }
        "SparkListenerExecutorRemoved" => {
            let event: ExecutorRemoved<'_> = parse(line)?;
            run.executors.removed(&event, redactor);
            run.saw_time(event.time.0);
        }
        _ => {
            if let Some(name) = name.strip_prefix(SQL) {
                return apply_sql(name, line, run, redactor);
            }
            return match name.strip_prefix(STREAMING) {
                Some(name) => apply_stream(name, line, run, redactor),
                None => Ok(false),
            };
        }
    }
    Ok(true)
}

fn apply_sql(
    name: &str,
    line: &[u8],
    run: &mut Run,
    redactor: &Redactor,
) -> serde_json::Result<bool> {
    match name {
        "SparkListenerSQLExecutionStart" => run.sql.started(&parse(line)?, redactor),
        "SparkListenerSQLAdaptiveExecutionUpdate" | "SparkListenerSQLAdaptiveSQLMetricUpdates" => {
            run.sql.adapted(&parse(line)?);
        }
        "SparkListenerDriverAccumUpdates" => run.sql.counted(&parse(line)?),
        "SparkListenerSQLExecutionEnd" => {
            let event: sql::SqlEnd<'_> = parse(line)?;
            run.sql.ended(&event, redactor);
            run.saw_time(event.time.0);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn apply_stream(
    name: &str,
    line: &[u8],
    run: &mut Run,
    redactor: &Redactor,
) -> serde_json::Result<bool> {
    match name {
        "QueryStartedEvent" => run.streams.started(&parse(line)?, redactor),
        "QueryProgressEvent" => run.streams.progressed(&parse(line)?, redactor),
        "QueryTerminatedEvent" => run.streams.ended(&parse(line)?, redactor),
        _ => return Ok(false),
    }
    Ok(true)
}
