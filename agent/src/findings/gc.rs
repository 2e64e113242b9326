//! Tasks waited for garbage collection.

use super::{Check, Found, Known, Severity, Thresholds, mebibytes, memory_property, ms, time};
use crate::event_log::Run;
use std::collections::BTreeMap;

/// `gc`
pub(super) const CHECK: Check<Run> = Check { id: "gc", needs: Known::SoFar, look };

fn look(run: &Run, thresholds: &Thresholds) -> Option<Found> {
    let (gc_ms, run_ms) = (run.totals.gc_ms, run.totals.run_ms);
    let ratio = gc_ms as f64 / run_ms.max(1) as f64;
    if ratio < thresholds.gc_ratio || gc_ms < ms(thresholds.gc_duration_min) || gc_ms == 0 {
        return None;
    }
    let is_critical = ratio >= thresholds.gc_ratio_critical;
    Some(Found {
        severity: if is_critical { Severity::Critical } else { Severity::Warning },
        stage: None,
        n_places: 1,
        evidence: BTreeMap::from([
            ("ratio", ratio),
            ("gc_seconds", gc_ms as f64 / 1e3),
            ("run_seconds", run_ms as f64 / 1e3),
        ]),
        sentence: format!(
            "Garbage collection took {}, {:.0} % of the run time of all tasks.",
            time(gc_ms),
            ratio * 100.0
        ),
        advice: "Give executors more memory or fewer cores, and cache less.".to_owned(),
        settings: BTreeMap::from([(
            memory_property(run),
            mebibytes(run.executors.heap_bytes_max() as f64 * 1.5),
        )]),
    })
}
