//! Executors died or were taken away.

use super::{Check, Found, Known, Severity, Thresholds};
use crate::event_log::Run;
use std::collections::BTreeMap;

/// `executors_lost`
pub(super) const CHECK: Check<Run> = Check { id: "executors_lost", needs: Known::SoFar, look };

/// Executors that left because nobody needed them are not lost.
const WANTED: &str = "idle";
const OUT_OF_MEMORY: &str = "oom";

fn look(run: &Run, thresholds: &Thresholds) -> Option<Found> {
    let removed = &run.executors.removed;
    let lost: Vec<_> = removed.iter().filter(|(reason, _)| **reason != WANTED).collect();
    let n_lost = lost.iter().fold(0, |sum: u64, (_, n)| sum.saturating_add(**n));
    if n_lost == 0 {
        return None;
    }
    let is_memory = removed.contains_key(OUT_OF_MEMORY);
    let is_warning = is_memory || n_lost >= thresholds.executors_lost_min;
    let reasons: Vec<String> = lost.iter().map(|(reason, n)| format!("{n} {reason}")).collect();
    let mut evidence: BTreeMap<_, _> =
        lost.iter().map(|(reason, n)| (**reason, **n as f64)).collect();
    evidence.insert("executors_lost", n_lost as f64);
    evidence.insert("executors_added", run.executors.n_added as f64);
    let mut settings = BTreeMap::new();
    if is_memory {
        settings.insert("spark.executor.memoryOverheadFactor", "0.2".to_owned());
    } else if removed.contains_key("preempted") || removed.contains_key("decommission") {
        settings.insert("spark.decommission.enabled", "true".to_owned());
        settings.insert("spark.storage.decommission.shuffleBlocks.enabled", "true".to_owned());
    }
    Some(Found {
        severity: if is_warning { Severity::Warning } else { Severity::Info },
        stage: None,
        n_places: n_lost,
        evidence,
        sentence: format!(
            "{n_lost} of {} executors were lost: {}.",
            run.executors.n_added,
            reasons.join(", ")
        ),
        advice: "What they had computed for shuffles is computed again. Look at their logs; exit \
                 code 137 is SIGKILL, mostly for want of memory outside of the heap."
            .to_owned(),
        settings,
    })
}
