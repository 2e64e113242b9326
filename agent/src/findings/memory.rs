//! Executors have much more memory than they use, or hardly enough.

use super::{Check, Found, Known, Severity, Thresholds, mebibytes, memory_property, size};
use crate::event_log::Run;
use std::collections::BTreeMap;

/// `memory`
pub(super) const CHECK: Check<Run> = Check { id: "memory", needs: Known::All, look };

/// What stays above the peak.
const HEADROOM: f64 = 1.2;
/// Below it there is nothing to save.
const HEAP_BYTES_MIN: f64 = 1_073_741_824.0;

fn look(run: &Run, thresholds: &Thresholds) -> Option<Found> {
    // Only logs with spark.eventLog.logStageExecutorMetrics tell.
    let peak_bytes = run.executors.peak_heap_bytes?;
    let heap_bytes = run.executors.heap_bytes_max();
    let ratio = peak_bytes as f64 / heap_bytes.max(1) as f64;
    let wanted = peak_bytes as f64 * HEADROOM;
    let (severity, advice) = if ratio > thresholds.memory_ratio_high {
        (Severity::Warning, "Give executors more memory before one dies of it.")
    } else if ratio < thresholds.memory_ratio_low && heap_bytes as f64 > HEAP_BYTES_MIN {
        (Severity::Info, "Give executors less memory, and pay for less.")
    } else {
        return None;
    };
    Some(Found {
        severity,
        stage: None,
        n_places: 1,
        evidence: BTreeMap::from([
            ("ratio", ratio),
            ("peak_heap_bytes", peak_bytes as f64),
            ("heap_bytes", heap_bytes as f64),
        ]),
        sentence: format!(
            "Executors used at most {} of {} heap, {:.0} %.",
            size(peak_bytes),
            size(heap_bytes),
            ratio * 100.0
        ),
        advice: advice.to_owned(),
        settings: BTreeMap::from([(memory_property(run), mebibytes(wanted.max(HEAP_BYTES_MIN)))]),
    })
}
