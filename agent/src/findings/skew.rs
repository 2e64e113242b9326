//! Some tasks of a stage have much more to do than the others.

use super::{Check, Found, Known, Severity, Thresholds, ms, size, straggler, time, worst_stage};
use crate::event_log::{Quantiles, Run, Stage};
use std::collections::BTreeMap;

/// `skew`
pub(super) const CHECK: Check<Run> = Check { id: "skew", needs: Known::Stages, look };

/// Writes an amount for people.
type Show = fn(u64) -> String;

/// In what the tasks are unequal.
#[derive(Debug, Clone, Copy)]
struct Skew {
    what: &'static str,
    show: Show,
    quantiles: Quantiles,
    ratio: f64,
}

fn look(run: &Run, thresholds: &Thresholds) -> Option<Found> {
    let worst = worst_stage(run, |stage| {
        let skew = skew_of(stage, thresholds)?;
        Some((skew.ratio, skew))
    })?;
    let Skew { what, show, quantiles, ratio } = worst.what;
    let is_warning = ratio >= thresholds.skew_ratio_warning;
    let sentence = format!(
        "In {} the largest task {what} {}, {ratio:.1} times the median of {}.{}",
        worst.name(),
        show(quantiles.max),
        show(quantiles.median),
        worst.others()
    );
    Some(Found {
        severity: if is_warning { Severity::Warning } else { Severity::Info },
        stage: Some(worst.key),
        n_places: worst.n_places,
        evidence: BTreeMap::from([
            ("ratio", ratio),
            ("max", quantiles.max as f64),
            ("median", quantiles.median as f64),
            ("tasks", quantiles.n_values as f64),
        ]),
        sentence,
        advice: "Let Spark split large partitions of joins; for aggregations on one frequent key, \
                 aggregate in two steps with a salt in the key."
            .to_owned(),
        settings: BTreeMap::from([
            ("spark.sql.adaptive.enabled", "true".to_owned()),
            ("spark.sql.adaptive.skewJoin.enabled", "true".to_owned()),
        ]),
    })
}

/// What is most unequal of what is worth a look.
fn skew_of(stage: &Stage, thresholds: &Thresholds) -> Option<Skew> {
    let bytes_min = thresholds.skew_bytes_min.0;
    let mut found = Vec::new();
    let dimensions: [(_, Show, _, _); 3] = [
        ("took", time, stage.durations(), ms(thresholds.skew_duration_min)),
        ("read from shuffles", size, stage.shuffle_reads(), bytes_min),
        ("read", size, stage.inputs(), bytes_min),
    ];
    for (what, show, quantiles, least) in dimensions {
        let Some(ratio) = quantiles.skew() else { continue };
        let is_worth_it = quantiles.n_values >= thresholds.skew_tasks_min && quantiles.max >= least;
        if is_worth_it && ratio >= thresholds.skew_ratio {
            found.push(Skew { what, show, quantiles, ratio });
        }
    }
    if found.len() == 1 && found[0].what == "took" && straggler::is_one(stage, thresholds) {
        return None;
    }
    found.into_iter().max_by(|one, other| one.ratio.total_cmp(&other.ratio))
}
