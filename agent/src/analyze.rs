//! `sidelight analyze`: what event logs say about finished runs.

mod text;

use crate::event_log::Tally;
use crate::event_log::source::{self, Reading, SourceError};
use crate::findings::{self, Known, Thresholds};
use crate::run_summary::{Redacted, RunSummary};
use redaction::Redactor;
use serde::Serialize;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How the answer looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a run, on a line of its own.
    Json,
}

/// What came of an analysis.
#[derive(Debug, Default)]
pub struct Analysis {
    /// Paths that gave no log.
    pub problems: Vec<SourceError>,
    /// Logs that could not be read to their end, or in which lines were broken.
    pub n_damaged: usize,
    /// Runs that were reported.
    pub n_runs: usize,
}

/// One run, as it is reported.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What happened, and what is wrong with it.
    #[serde(flatten)]
    pub summary: RunSummary,
    /// How well its log could be read.
    pub source: SourceReport,
}

/// How well a log could be read.
#[derive(Debug, Serialize)]
pub struct SourceReport {
    /// The file or folder.
    pub path: Redacted,
    /// What was read.
    #[serde(flatten)]
    pub tally: Tally,
    /// Stages of which only the sums are left, for the limit.
    pub n_forgotten_stages: u64,
    /// Other things that limits cut off: executors, queries, classes of exceptions.
    pub n_dropped: u64,
    /// Why it could not be read to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damage: Option<Redacted>,
}

impl Report {
    /// Makes the report of a log at `path`.
    #[must_use]
    pub fn new(
        path: &Path,
        reading: &Reading,
        thresholds: &Thresholds,
        redactor: &Redactor,
    ) -> Self {
        let run = reading.run();
        let found = findings::find(findings::SPARK, run, Known::All, thresholds);
        let redacted = |text: &str| Redacted(redactor.value(text));
        let dropped = [
            run.jobs.n_dropped,
            run.sql.n_dropped,
            run.streams.n_dropped(),
            run.executors.n_unmeasured(),
            run.failures.n_other_classes,
        ];
        Self {
            summary: RunSummary::of_spark(run, found, reading.is_in_progress),
            source: SourceReport {
                path: redacted(&path.display().to_string()),
                tally: reading.tally(),
                n_forgotten_stages: run.stages.n_forgotten(),
                n_dropped: dropped.into_iter().fold(0, u64::saturating_add),
                damage: reading.damage.as_ref().map(|damage| redacted(&damage.to_string())),
            },
        }
    }

    /// True when something of the log is missing in the summary.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        let tally = &self.source.tally;
        self.source.damage.is_some() || tally.n_broken_lines + tally.n_too_long_lines > 0
    }
}

/// Reads all logs at `paths`, one after the other, and writes a report of each as soon as it is read.
///
/// # Errors
/// When the output takes no more.
pub fn run(
    paths: &[PathBuf],
    format: Format,
    thresholds: &Thresholds,
    redactor: &Arc<Redactor>,
    out: &mut dyn Write,
) -> io::Result<Analysis> {
    let mut analysis = Analysis::default();
    for path in paths {
        let logs = match source::find(path) {
            Ok(logs) => logs,
            Err(problem) => {
                analysis.problems.push(problem);
                continue;
            }
        };
        for log in logs {
            let reading = log.read(redactor.clone());
            let report = Report::new(&log.path, &reading, thresholds, redactor);
            match format {
                Format::Text => out.write_all(text::write(&report).as_bytes())?,
                Format::Json => {
                    serde_json::to_writer(&mut *out, &report)?;
                    out.write_all(b"\n")?;
                }
            }
            analysis.n_damaged += usize::from(report.is_damaged());
            analysis.n_runs += 1;
        }
    }
    Ok(analysis)
}
