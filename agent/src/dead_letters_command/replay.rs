//! Sends dead letters again. What is refused again stays, with its new reason.

use super::{Error, State, Stored, read_all};
use crate::export::dead_letters;
use crate::export::lane::Work;
use crate::export::{ExportError, Exporter, Shared};
use crate::model::{LogBatch, LogRecord, Signal};
use crate::policy::Redactors;
use redaction::Text;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Most records of one batch.
const RECORDS_MAX: usize = 500;

/// What became of the letters of one exporter.
#[derive(Debug, Default)]
struct Outcome {
    n_sent: usize,
    n_refused: usize,
    /// The policy of today drops their records.
    n_dropped: usize,
    n_left: usize,
    /// Lines that are no letters; they stay.
    n_unknown: usize,
    /// What the destination said when it stopped taking anything.
    failure: Option<String>,
}

/// Lines that stay in their file.
type Kept = Vec<u8>;

/// Sends those of one exporter, or of all.
pub(super) fn run(state: &State, only: Option<&str>, out: &mut dyn Write) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::io("a runtime cannot be started"))?;
    let files = state.files(only)?;
    let mut names: Vec<&String> = files.iter().map(|(name, _)| name).collect();
    names.dedup();
    let mut result = Ok(());
    if names.is_empty() {
        writeln!(out, "no dead letters").map_err(Error::io("output"))?;
    }
    for name in names {
        let known = state.config.exporters.iter().find(|(it, _)| it.name == name);
        let Some((definition, section)) = known else {
            return Err(Error::NoExporter(name.clone()));
        };
        let shared = Shared::new(state.config.redaction.clone(), &state.config.state_dir);
        let mut sender = Sender {
            name: definition.name,
            exporter: section.exporter.build(&section.lane, &shared)?,
            request_timeout: section.lane.request_timeout.0,
            redactors: &state.config.redaction,
            outcome: Outcome::default(),
        };
        for (_, path) in files.iter().filter(|(its, _)| its == name) {
            runtime.block_on(sender.send_file(path))?;
        }
        let Outcome { n_sent, n_refused, n_dropped, n_left, n_unknown, failure } = sender.outcome;
        writeln!(
            out,
            "{name}: {n_sent} sent, {n_refused} refused again, {n_dropped} dropped by the policy of \
             redaction, {n_left} left"
        )
        .map_err(Error::io("output"))?;
        if n_unknown > 0 {
            writeln!(
                out,
                "{name}: {n_unknown} lines are no dead letters of this version; they stay"
            )
            .map_err(Error::io("output"))?;
        }
        if let Some(reason) = failure {
            result = Err(Error::NotSent { exporter: definition.name, n_left, reason });
        }
    }
    // A write that hangs must not keep the command.
    runtime.shutdown_background();
    result
}

struct Sender<'a> {
    name: &'static str,
    exporter: Box<dyn Exporter>,
    request_timeout: Duration,
    redactors: &'a Redactors,
    outcome: Outcome,
}

impl Sender<'_> {
    /// Sends the letters of one file, and leaves in it what was not taken.
    async fn send_file(&mut self, path: &Path) -> Result<(), Error> {
        let (letters, unknown) = read_all(path)?;
        self.outcome.n_unknown += unknown.len();
        let mut kept = unknown.concat();
        let mut rest = letters.as_slice();
        while !rest.is_empty() {
            let (logs, lines) = self.next_batch(&mut rest);
            if self.outcome.failure.is_some() {
                self.outcome.n_left += lines.len();
                kept.extend(lines.concat());
            } else if !lines.is_empty() {
                self.send(logs, &lines, &mut kept).await;
            }
        }
        dead_letters::replace(path, &kept).map_err(Error::io(path.display().to_string()))
    }

    /// Takes letters of one resource off the front of `rest`: their records, and their lines.
    fn next_batch<'l>(&mut self, rest: &mut &'l [Stored]) -> (LogBatch, Vec<&'l [u8]>) {
        let mut text = Text::default();
        let mut logs = LogBatch {
            resource: Arc::default(),
            text: Text::default(),
            records: vec![],
            covers: None,
        };
        let mut lines = Vec::new();
        while let Some((Stored { line, letter }, others)) = rest.split_first() {
            let restored = letter.restore(self.redactors, &mut text);
            if let Some(restored) = restored {
                let is_other = !lines.is_empty() && *logs.resource != restored.resource;
                if is_other || lines.len() >= RECORDS_MAX {
                    break;
                }
                if lines.is_empty() {
                    logs.resource = Arc::new(restored.resource);
                }
                logs.records.push(restored.record);
                lines.push(line.as_slice());
            } else {
                self.outcome.n_dropped += 1;
            }
            *rest = others;
        }
        logs.text = text;
        (logs, lines)
    }

    async fn send(&mut self, mut logs: LogBatch, lines: &[&[u8]], kept: &mut Kept) {
        let records: Vec<LogRecord> = std::mem::take(&mut logs.records);
        let mut work = Work::new(records.len());
        let mut signal = Signal::Logs(logs);
        while let Some(range) = work.next() {
            if let Signal::Logs(logs) = &mut signal {
                logs.records = records[range.clone()].to_vec();
            }
            let sent = timeout(self.request_timeout, self.exporter.export(&signal)).await;
            let failure = match sent {
                Ok(Ok(refused)) => {
                    for one in &refused {
                        let Some(logs) = signal.logs() else { break };
                        let record = logs.records.get(one.record);
                        kept.extend(dead_letters::lines(self.name, logs, record, &one.reason));
                    }
                    self.outcome.n_refused += refused.len();
                    self.outcome.n_sent += range.len() - refused.len();
                    work.pass();
                    continue;
                }
                Ok(Err(ExportError::Rejected { reason })) => {
                    if work.halve() {
                        continue;
                    }
                    if let Some(logs) = signal.logs() {
                        kept.extend(dead_letters::lines(self.name, logs, &logs.records, &reason));
                    }
                    self.outcome.n_refused += range.len();
                    work.pass();
                    continue;
                }
                Ok(Err(error)) => error.to_string(),
                Err(elapsed) => elapsed.to_string(),
            };
            self.outcome.n_left += records.len() - range.start;
            kept.extend(lines[range.start..].concat());
            // What a destination says may repeat what it was sent.
            self.outcome.failure = Some(self.redactors.base().value(&failure).to_string());
            return;
        }
    }
}
