//! One task took much longer than the others, though it had no more to read.

use super::{Check, Found, Known, Severity, Thresholds, ms, time, worst_stage};
use crate::event_log::{Quantiles, Run, Stage};
use std::collections::BTreeMap;

/// `straggler`
pub(super) const CHECK: Check<Run> = Check { id: "straggler", needs: Known::Stages, look };

fn look(run: &Run, thresholds: &Thresholds) -> Option<Found> {
    let worst = worst_stage(run, |stage| {
        let durations = stage.durations();
        let lost_ms = durations.max.saturating_sub(durations.median);
        is_one(stage, thresholds).then_some((lost_ms as f64, durations))
    })?;
    let (durations, slowest) = (worst.what, worst.stage.slowest?);
    let sentence = format!(
        "In {} task {} (TID {}) took {}, the median {}, though it read no more.{}",
        worst.name(),
        slowest.index,
        slowest.task_id,
        time(durations.max),
        time(durations.median),
        worst.others()
    );
    Some(Found {
        severity: Severity::Warning,
        stage: Some(worst.key),
        n_places: worst.n_places,
        evidence: BTreeMap::from([
            ("ratio", durations.skew()?),
            ("max", durations.max as f64),
            ("median", durations.median as f64),
            ("task_id", slowest.task_id as f64),
        ]),
        sentence,
        advice: "Look at the host and the log of that task; let Spark start slow tasks again \
                 elsewhere."
            .to_owned(),
        settings: BTreeMap::from([("spark.speculation", "true".to_owned())]),
    })
}

/// True when a task of `stage` is slow for no reason that its input gives.
pub(super) fn is_one(stage: &Stage, thresholds: &Thresholds) -> bool {
    let durations = stage.durations();
    let is_even =
        |quantiles: Quantiles| quantiles.skew().is_none_or(|it| it < thresholds.skew_ratio);
    durations.n_values >= thresholds.skew_tasks_min
        && durations.max >= ms(thresholds.straggler_duration_min)
        && durations.skew().is_some_and(|ratio| ratio >= thresholds.straggler_ratio)
        && is_even(stage.shuffle_reads())
        && is_even(stage.inputs())
}
