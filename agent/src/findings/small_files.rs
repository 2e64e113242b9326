//! A query read or wrote very many small files.

use super::{Check, Found, Known, Severity, Thresholds, size};
use crate::event_log::{FileUse, Run};
use redaction::Value;
use std::collections::BTreeMap;

/// `small_files_read`
pub(super) const READ: Check<Run> =
    Check { id: "small_files_read", needs: Known::SoFar, look: look_at_read };
/// `small_files_written`
pub(super) const WRITTEN: Check<Run> =
    Check { id: "small_files_written", needs: Known::SoFar, look: look_at_written };

fn look_at_read(run: &Run, thresholds: &Thresholds) -> Option<Found> {
    let mut found = look(run.sql.worst_read.as_ref()?, "read", thresholds)?;
    found.advice = "Compact the input: each file costs a request and a part of a task.".to_owned();
    Some(found)
}

fn look_at_written(run: &Run, thresholds: &Thresholds) -> Option<Found> {
    let mut found = look(run.sql.worst_written.as_ref()?, "wrote", thresholds)?;
    found.advice =
        "Write with fewer tasks: repartition by the columns of the output's partitions, \
                    or let Spark join small ones."
            .to_owned();
    found.settings.insert("spark.sql.adaptive.coalescePartitions.enabled", "true".to_owned());
    found.settings.insert("spark.sql.adaptive.advisoryPartitionSizeInBytes", "128m".to_owned());
    Some(found)
}

fn look(files: &FileUse, verb: &str, thresholds: &Thresholds) -> Option<Found> {
    let mean_bytes = files.mean_bytes()?;
    if files.n_files < thresholds.small_files_min || mean_bytes >= thresholds.small_file_bytes.0 {
        return None;
    }
    let description = files.description.as_ref().map(Value::as_str).unwrap_or_default();
    Some(Found {
        severity: Severity::Warning,
        stage: None,
        n_places: 1,
        evidence: BTreeMap::from([
            ("files", files.n_files as f64),
            ("bytes", files.bytes as f64),
            ("mean_bytes", mean_bytes as f64),
            ("sql_execution_id", files.execution as f64),
        ]),
        sentence: format!(
            "SQL execution {} ({description}) {verb} {} files of {} on average.",
            files.execution,
            files.n_files,
            size(mean_bytes)
        ),
        advice: String::new(),
        settings: BTreeMap::new(),
    })
}
