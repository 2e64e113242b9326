//! Tasks failed, and their work was done again or lost.

use super::{Check, Found, Known, Severity, Thresholds, worst_stage};
use crate::event_log::Run;
use std::collections::BTreeMap;

/// `failed_tasks`
pub(super) const CHECK: Check<Run> = Check { id: "failed_tasks", needs: Known::SoFar, look };

fn look(run: &Run, thresholds: &Thresholds) -> Option<Found> {
    let worst = worst_stage(run, |stage| {
        let n_failed = stage.totals.n_tasks_failed;
        (n_failed > 0).then_some((n_failed as f64, n_failed))
    })?;
    let (n_failed, n_tasks) = (run.totals.n_tasks_failed, run.totals.n_tasks());
    let ratio = n_failed as f64 / n_tasks.max(1) as f64;
    let is_base = n_tasks >= thresholds.failed_tasks_min;
    let severity = if is_base && ratio >= thresholds.failed_tasks_ratio_critical {
        Severity::Critical
    } else if run.stages.n_failed > 0 || (is_base && ratio >= thresholds.failed_tasks_ratio) {
        Severity::Warning
    } else {
        Severity::Info
    };
    let exceptions = run.failures.exceptions();
    let why = exceptions.first().map_or_else(
        || {
            let reasons: Vec<_> = run.failures.by_reason.keys().copied().collect();
            format!("Reasons: {}.", reasons.join(", "))
        },
        |(class, exception)| {
            format!("Most often {class} ({} tasks): {}", exception.n_tasks, exception.message)
        },
    );
    Some(Found {
        severity,
        stage: Some(worst.key),
        n_places: worst.n_places,
        evidence: BTreeMap::from([
            ("ratio", ratio),
            ("failed_tasks", n_failed as f64),
            ("tasks", n_tasks as f64),
            ("failed_tasks_of_stage", worst.what as f64),
            ("failed_stages", run.stages.n_failed as f64),
        ]),
        sentence: format!(
            "{n_failed} of {n_tasks} tasks failed, {} of them in {}. {why}",
            worst.what,
            worst.name()
        ),
        advice: "Look at the exceptions; each failure repeats a task, and the fourth of one task \
                 fails its job."
            .to_owned(),
        settings: BTreeMap::new(),
    })
}
