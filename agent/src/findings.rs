//! What is wrong with a run, as sentences with numbers and settings.
//!
//! A check looks at a run and says nothing or one finding: the worst place, and in how many it is so.
//! Adding one is one file and two lines here. Checks are made for one engine; a finding is for all.

mod executors_lost;
mod failed_tasks;
mod gc;
mod idle_cores;
mod memory;
mod skew;
mod small_files;
mod spill;
mod straggler;
#[cfg(test)]
mod tests;
mod thresholds;

pub use thresholds::Thresholds;

use crate::config::Interval;
use crate::event_log::{Run, Stage, StageKey};
use redaction::Value;
use serde::Serialize;
use std::collections::BTreeMap;

/// One way of looking at what `R` tells of a run.
#[derive(Debug)]
pub struct Check<R: 'static> {
    /// Name of its finding.
    pub id: &'static str,
    needs: Known,
    look: fn(&R, &Thresholds) -> Option<Found>,
}

/// How much is known of a run. A check holds where as much as it needs is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Known {
    /// Stages alone.
    Stages,
    /// All of its event log so far; the run goes on.
    SoFar,
    /// The whole of a run that has ended: before, idle cores may yet work, and memory may yet be used.
    All,
}

/// All checks of a Spark run.
pub static SPARK: &[Check<Run>] = &[
    skew::CHECK,
    straggler::CHECK,
    spill::CHECK,
    gc::CHECK,
    small_files::READ,
    small_files::WRITTEN,
    idle_cores::CHECK,
    memory::CHECK,
    failed_tasks::CHECK,
    executors_lost::CHECK,
];

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Costs time or money.
    Warning,
    /// Endangers the run.
    Critical,
}

impl Severity {
    /// Value of the label `severity`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What a check found.
#[derive(Debug)]
struct Found {
    severity: Severity,
    stage: Option<StageKey>,
    n_places: u64,
    evidence: BTreeMap<&'static str, f64>,
    sentence: String,
    settings: BTreeMap<&'static str, String>,
    advice: String,
}

/// Something that is wrong with a run. Its texts are made of numbers and redacted values.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Its name, the same in every run: `skew`, `spill`.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The stage where it is worst, if it is about stages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage_id: Option<u32>,
    /// The attempt of that stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage_attempt: Option<u32>,
    /// In how many places of the run it is so.
    pub n_places: u64,
    /// The numbers that it rests on.
    pub evidence: BTreeMap<&'static str, f64>,
    /// It in words.
    pub sentence: String,
    /// What may help.
    pub advice: String,
    /// Properties of the engine that may help.
    pub settings: BTreeMap<&'static str, String>,
}

/// All that those of `checks` find for which enough is `known`, the worst first.
#[must_use]
pub fn find<R>(
    checks: &[Check<R>],
    run: &R,
    known: Known,
    thresholds: &Thresholds,
) -> Vec<Finding> {
    let mut findings: Vec<Finding> = checks
        .iter()
        .filter(|check| check.needs <= known)
        .filter_map(|check| {
            let found = (check.look)(run, thresholds)?;
            Some(Finding {
                id: check.id,
                severity: found.severity,
                stage_id: found.stage.map(|(id, _)| id),
                stage_attempt: found.stage.map(|(_, attempt)| attempt),
                n_places: found.n_places,
                evidence: found.evidence,
                sentence: found.sentence,
                advice: found.advice,
                settings: found.settings,
            })
        })
        .collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

/// A stage at which something is worst.
struct Worst<'a, T> {
    key: StageKey,
    stage: &'a Stage,
    what: T,
    n_places: u64,
}

/// The stage of which `look` says most; none when it says nothing of any.
fn worst_stage<T>(run: &Run, look: impl Fn(&Stage) -> Option<(f64, T)>) -> Option<Worst<'_, T>> {
    let mut worst: Option<(f64, Worst<'_, T>)> = None;
    let mut n_places = 0;
    for (key, stage) in run.stages.iter() {
        let Some((weight, what)) = look(stage) else { continue };
        n_places += 1;
        if worst.as_ref().is_none_or(|(most, _)| weight > *most) {
            worst = Some((weight, Worst { key, stage, what, n_places: 0 }));
        }
    }
    worst.map(|(_, worst)| Worst { n_places, ..worst })
}

impl<T> Worst<'_, T> {
    /// `stage 3 (collect at job.py:7)`
    fn name(&self) -> String {
        let (id, attempt) = self.key;
        let attempt = if attempt == 0 { String::new() } else { format!(", attempt {attempt}") };
        let name = self.stage.name.as_ref().map(Value::as_str).unwrap_or_default();
        format!("stage {id}{attempt} ({name})")
    }

    /// ` This is so in 3 stages.`
    fn others(&self) -> String {
        match self.n_places {
            0 | 1 => String::new(),
            n => format!(" This is so in {n} stages."),
        }
    }
}

/// The property that gives the processes of tasks more memory.
fn memory_property(run: &Run) -> &'static str {
    if run.executors.is_local() { "spark.driver.memory" } else { "spark.executor.memory" }
}

/// A threshold in milliseconds.
fn ms(interval: Interval) -> u64 {
    u64::try_from(interval.0.as_millis()).unwrap_or(u64::MAX)
}

/// A size in whole MiB, as Spark's properties have it.
fn mebibytes(bytes: f64) -> String {
    format!("{}m", (bytes / f64::from(1 << 20)).ceil())
}

/// A size for people: `1.5 GiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut amount, mut unit) = (bytes as f64, 0);
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        (amount, unit) = (amount / 1024.0, unit + 1);
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{amount:.1} {}", UNITS[unit]) }
}

/// A time for people: `850 ms`, `12.5 s`, `3 min 20 s`, `2 h 5 min`.
#[must_use]
pub fn time(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{:.1} s", ms as f64 / 1e3),
        60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms / 1_000 % 60),
        _ => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
    }
}
