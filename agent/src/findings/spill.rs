//! Tasks wrote to disk what did not fit into memory.

use super::{
    Check, Found, Known, Severity, Thresholds, mebibytes, memory_property, size, worst_stage,
};
use crate::event_log::Run;
use std::collections::BTreeMap;

/// `spill`
pub(super) const CHECK: Check<Run> = Check { id: "spill", needs: Known::Stages, look };

fn look(run: &Run, thresholds: &Thresholds) -> Option<Found> {
    let worst = worst_stage(run, |stage| {
        let totals = &stage.totals;
        let spilled = totals.disk_spilled_bytes;
        let read = totals.input_bytes.saturating_add(totals.shuffle_read_bytes());
        let is_much = spilled as f64 > thresholds.spill_ratio * read as f64;
        let is_worth_it = spilled > 0 && spilled >= thresholds.spill_bytes_min.0;
        (is_worth_it && is_much).then_some((spilled as f64, read))
    })?;
    let (totals, read) = (&worst.stage.totals, worst.what);
    let sentence = format!(
        "In {} tasks spilled {} to disk ({} in memory) and read {}.{}",
        worst.name(),
        size(totals.disk_spilled_bytes),
        size(totals.memory_spilled_bytes),
        size(read),
        worst.others()
    );
    let property = memory_property(run);
    let more_memory = mebibytes(run.executors.heap_bytes_max() as f64 * 2.0);
    Some(Found {
        severity: Severity::Warning,
        stage: Some(worst.key),
        n_places: worst.n_places,
        evidence: BTreeMap::from([
            ("disk_spilled_bytes", totals.disk_spilled_bytes as f64),
            ("memory_spilled_bytes", totals.memory_spilled_bytes as f64),
            ("read_bytes", read as f64),
            ("tasks", totals.n_tasks() as f64),
        ]),
        sentence,
        advice: "Give each task less to do with more partitions, or more memory.".to_owned(),
        settings: BTreeMap::from([
            (
                "spark.sql.shuffle.partitions",
                worst.stage.n_tasks.max(1).saturating_mul(2).to_string(),
            ),
            (property, more_memory),
        ]),
    })
}
