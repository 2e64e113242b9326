//! Cores were there and no task ran on them.

use super::{Check, Found, Known, Severity, Thresholds, ms};
use crate::event_log::Run;
use std::collections::BTreeMap;

/// `idle_cores`
pub(super) const CHECK: Check<Run> = Check { id: "idle_cores", needs: Known::All, look };

fn look(run: &Run, thresholds: &Thresholds) -> Option<Found> {
    let (core_seconds, ratio) = (run.core_seconds(), run.idle_core_ratio()?);
    let is_long = run.duration_ms()? >= ms(thresholds.idle_cores_duration_min);
    if ratio < thresholds.idle_cores_ratio || !is_long {
        return None;
    }
    Some(Found {
        severity: Severity::Warning,
        stage: None,
        n_places: 1,
        evidence: BTreeMap::from([
            ("ratio", ratio),
            ("core_seconds", core_seconds),
            ("idle_core_seconds", core_seconds * ratio),
            ("cores_max", run.executors.cores_max as f64),
        ]),
        sentence: format!(
            "No task ran in {:.0} % of the core time: {:.1} of {:.1} core hours.",
            ratio * 100.0,
            core_seconds * ratio / 3_600.0,
            core_seconds / 3_600.0
        ),
        advice: "Use fewer cores, let Spark give back what it does not need, or make stages of \
                 few tasks wider."
            .to_owned(),
        settings: BTreeMap::from([("spark.dynamicAllocation.enabled", "true".to_owned())]),
    })
}
