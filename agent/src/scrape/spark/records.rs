//! What is said of one application as log records: each finding once, and the summary of its run.

use super::metrics::job::JOB_FINDINGS;
use crate::findings::{self, Finding};
use crate::model::{LogBatch, LogRecord, Resource, Sample, Severity};
use crate::run_summary::{Outcome, RunSummary};
use redaction::{Redactor, Text, Value};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Logger of the record of a finding.
const FINDING: &[u8] = b"sidelight.finding";
/// Logger of the record of a run.
const RUN_SUMMARY: &[u8] = b"sidelight.run_summary";
const NS_PER_MS: u64 = 1_000_000;

/// See the head of the file. There are as many findings as there are checks.
#[derive(Debug)]
pub(super) struct Records {
    redactor: Arc<Redactor>,
    /// Findings so far, with the worst that each was.
    found: BTreeMap<&'static str, findings::Severity>,
    has_summary: bool,
    text: Text,
    waiting: Vec<LogRecord>,
}

impl Records {
    /// Nothing was said yet.
    pub(super) fn new(redactor: Arc<Redactor>) -> Self {
        let (found, text, waiting) = (BTreeMap::new(), Text::default(), Vec::new());
        Self { redactor, found, has_summary: false, text, waiting }
    }

    /// Says what was not found yet, or not to be so bad.
    pub(super) fn find(&mut self, findings: &[Finding], unix_ms: u64) {
        for finding in findings {
            let before = self.found.insert(finding.id, finding.severity);
            if let Some(before) = before.filter(|before| *before >= finding.severity) {
                self.found.insert(finding.id, before);
                continue;
            }
            let severity = match finding.severity {
                findings::Severity::Info => Severity::Info,
                findings::Severity::Warning => Severity::Warn,
                findings::Severity::Critical => Severity::Error,
            };
            let record = LogRecord {
                severity,
                stage_id: finding.stage_id,
                stage_attempt: finding.stage_attempt.unwrap_or(0),
                ..LogRecord::default()
            };
            self.add(FINDING, finding, record, unix_ms);
        }
    }

    /// Says how the run was, once.
    pub(super) fn summarize(&mut self, mut summary: RunSummary, end_unix_ms: u64) {
        if std::mem::replace(&mut self.has_summary, true) {
            return;
        }
        if summary.outcome == Outcome::Running {
            // Its driver died without a word.
            summary.outcome = Outcome::Unknown;
        }
        let is_failed = summary.outcome == Outcome::Failed;
        let severity = if is_failed { Severity::Error } else { Severity::Info };
        let record = LogRecord { severity, ..LogRecord::default() };
        self.add(RUN_SUMMARY, &summary, record, end_unix_ms);
    }

    /// Its texts are redacted; as all bytes of a record they pass the redactor once more.
    fn add(&mut self, logger: &[u8], what: &impl Serialize, record: LogRecord, unix_ms: u64) {
        let Ok(json) = serde_json::to_vec(what) else { return };
        let body = self.redactor.redact_chunk(&json, &mut self.text);
        if !self.text.drops().is_empty() {
            return;
        }
        let logger = self.redactor.redact_chunk(logger, &mut self.text);
        let unix_ns = unix_ms.saturating_mul(NS_PER_MS);
        let observed_unix_ns = crate::clock::unix_ms().saturating_mul(NS_PER_MS);
        let time_unix_ns = Some(unix_ns);
        self.waiting.push(LogRecord { body, logger, time_unix_ns, observed_unix_ns, ..record });
    }

    /// What was said since the last call.
    pub(super) fn take(&mut self, resource: &Arc<Resource>) -> Option<LogBatch> {
        if self.waiting.is_empty() {
            return None;
        }
        let (text, records) = (std::mem::take(&mut self.text), std::mem::take(&mut self.waiting));
        Some(LogBatch { resource: resource.clone(), text, records, covers: None })
    }

    /// Adds `job_findings`.
    pub(super) fn push(&self, samples: &mut Vec<Sample>) {
        for (finding, severity) in &self.found {
            let labels = vec![
                ("finding", Value::literal(finding)),
                ("severity", Value::literal(severity.as_str())),
            ];
            samples.push(Sample::number(&JOB_FINDINGS, labels, 1.0));
        }
    }
}
