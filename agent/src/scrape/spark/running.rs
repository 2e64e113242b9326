//! Stages as REST shows them while they run: findings, and the task that everybody waits for.
//!
//! Spark's quantiles are over finished tasks, so the slow one of a skewed stage is not in them: of stages
//! that run for a while the task that runs longest is asked for.

use super::metrics::stage::{STAGE_STRAGGLER_AGE, STAGE_STRAGGLER_RATIO};
use super::metrics::{MILLISECONDS, push_number};
use super::rest::{self, Stage, StageStatus, Task};
use super::skew::quantile;
use crate::event_log::{self, Quantiles, Run, Slowest, Totals};
use crate::findings::{self, Finding, Known, Thresholds};
use crate::model::Sample;
use redaction::Redactor;
use std::collections::BTreeMap;

/// Stages of which the slowest task is asked for in one round.
const STAGES_MAX: usize = 5;
/// Stages that run for less are not asked for it.
const AGE_MIN_MS: u64 = 10_000;

/// The task of each stage attempt that runs longest.
pub(super) type Slow = BTreeMap<(u32, u32), Task>;

/// The stages whose slowest task is worth a request at `unix_ms`: some tasks have ended, few run, and
/// these for long.
pub(super) fn worth_a_look(active: &[Stage], unix_ms: u64) -> Vec<(u32, u32)> {
    let is_old = |stage: &&Stage| {
        let start = stage.submission_time.0.unwrap_or(unix_ms);
        unix_ms.saturating_sub(start) >= AGE_MIN_MS
    };
    let has_both = |stage: &&Stage| {
        stage.num_active_tasks.0.is_some_and(|n| n > 0)
            && stage.num_complete_tasks.0.is_some_and(|n| n > 0)
    };
    let mut stages: Vec<&Stage> = active.iter().filter(is_old).filter(has_both).collect();
    stages.sort_by_key(|stage| stage.submission_time.0);
    stages.iter().take(STAGES_MAX).map(|stage| (stage.stage_id, stage.attempt_id)).collect()
}

/// What is wrong with `stages`, which run or have just ended.
pub(super) fn find(
    stages: &[Stage],
    slow: &Slow,
    unix_ms: u64,
    thresholds: &Thresholds,
    redactor: &Redactor,
) -> Vec<Finding> {
    let mut run = Run::default();
    let begun = stages.iter().filter(|stage| {
        matches!(stage.status, StageStatus::Active | StageStatus::Complete | StageStatus::Failed)
    });
    for stage in begun {
        let key = (stage.stage_id, stage.attempt_id);
        run.stages.insert(key, stage_of(stage, slow.get(&key), unix_ms, redactor));
    }
    findings::find(findings::SPARK, &run, Known::Stages, thresholds)
}

fn age_ms(task: &Task, unix_ms: u64) -> u64 {
    task.launch_time.0.map_or(0, |start| unix_ms.saturating_sub(start))
}

fn stage_of(
    stage: &Stage,
    slow: Option<&Task>,
    unix_ms: u64,
    redactor: &Redactor,
) -> event_log::Stage {
    let number = |number: rest::Number| number.0.unwrap_or(0);
    let n_done = number(stage.num_complete_tasks);
    let at = |values: &[f64], share| {
        let distributions = stage.task_metrics_distributions.as_ref()?;
        Some(quantile(distributions, values, share)? as u64)
    };
    let spread = |values: Option<&Vec<f64>>| {
        let values = values.map(Vec::as_slice).unwrap_or_default();
        let all = (at(values, 0.5), at(values, 0.95), at(values, 1.0));
        let (Some(median), Some(p95), Some(max)) = all else { return Quantiles::default() };
        Quantiles { n_values: n_done, min: 0, median, p95, max }
    };
    let all = stage.task_metrics_distributions.as_ref();
    let mut durations = spread(all.map(|it| &it.duration));
    let mut slowest = None;
    if let Some(task) = slow {
        let duration_ms = age_ms(task, unix_ms);
        if duration_ms > durations.max {
            durations.max = duration_ms;
            durations.n_values += u64::from(durations.n_values > 0);
            let (task_id, index) = (task.task_id, task.index);
            slowest = Some(Slowest { task_id, index, duration_ms, read_bytes: 0 });
        }
    }
    let name = stage.name.as_deref().unwrap_or_default();
    event_log::Stage::of_spreads(
        super::bounded(name, redactor),
        Totals {
            n_tasks_succeeded: n_done,
            disk_spilled_bytes: number(stage.disk_bytes_spilled),
            memory_spilled_bytes: number(stage.memory_bytes_spilled),
            input_bytes: number(stage.input_bytes),
            shuffle_remote_read_bytes: number(stage.shuffle_remote_bytes_read),
            shuffle_local_read_bytes: number(stage.shuffle_local_bytes_read),
            shuffle_write_bytes: number(stage.shuffle_write_bytes),
            peak_execution_memory_bytes: number(stage.peak_execution_memory),
            ..Totals::default()
        },
        slowest,
        [
            durations,
            spread(all.map(|it| &it.shuffle_read_metrics.read_bytes)),
            spread(all.map(|it| &it.input_metrics.bytes_read)),
        ],
    )
}

/// How long the slowest of the running tasks runs, and how many medians of its stage that is.
pub(super) fn samples(stages: &[Stage], slow: &Slow, unix_ms: u64) -> Vec<Sample> {
    let (mut age, mut ratio) = (None, None);
    for stage in stages {
        let Some(task) = slow.get(&(stage.stage_id, stage.attempt_id)) else { continue };
        let task_ms = age_ms(task, unix_ms);
        age = age.max(Some(task_ms));
        let distributions = stage.task_metrics_distributions.as_ref();
        let median = distributions.and_then(|it| quantile(it, &it.duration, 0.5));
        if let Some(median) = median.filter(|median| *median > 0.0) {
            let this = task_ms as f64 / median;
            ratio = Some(ratio.map_or(this, |most: f64| most.max(this)));
        }
    }
    let mut samples = Vec::new();
    let age = age.map(|ms| ms as f64 / MILLISECONDS);
    push_number(&STAGE_STRAGGLER_AGE, age, &mut samples);
    push_number(&STAGE_STRAGGLER_RATIO, ratio, &mut samples);
    samples
}

#[cfg(test)]
mod tests {
    use super::{Slow, find, samples, worth_a_look};
    use crate::findings::Thresholds;
    use crate::scrape::spark::rest::Stage;
    use redaction::Redactor;

    const NOW: u64 = 1_000_000;

    fn stage(age_ms: u64, n_done: u64, n_running: u64) -> Stage {
        let start = jiff::Timestamp::from_millisecond((NOW - age_ms) as i64).unwrap();
        let start = start.strftime("%Y-%m-%dT%H:%M:%S.%3fGMT").to_string();
        serde_json::from_value(serde_json::json!({
            "status": "ACTIVE", "stageId": 3, "attemptId": 0, "name": "count at joe@example.com",
            "numTasks": n_done + n_running, "numCompleteTasks": n_done, "numActiveTasks": n_running,
            "submissionTime": start,
            "taskMetricsDistributions": {
                "quantiles": [0.5, 0.95, 1.0], "duration": [400.0, 500.0, 600.0],
            },
        }))
        .unwrap()
    }

    fn slow(age_ms: u64) -> Slow {
        let launched = jiff::Timestamp::from_millisecond((NOW - age_ms) as i64).unwrap();
        let launched = launched.strftime("%Y-%m-%dT%H:%M:%S.%3fGMT").to_string();
        let task = serde_json::json!({"taskId": 77, "index": 2, "launchTime": launched});
        Slow::from([((3, 0), serde_json::from_value(task).unwrap())])
    }

    #[test]
    fn a_task_that_runs_on_while_the_others_are_done_is_skew_before_it_ends() {
        let found = |age_ms| {
            let stages = [stage(age_ms, 7, 1)];
            find(&stages, &slow(age_ms), NOW, &Thresholds::default(), &Redactor::new())
        };
        assert_eq!(found(4_000), [], "five seconds are the least");
        let finding = &found(12_000)[0];
        assert_eq!((finding.id, finding.stage_id), ("skew", Some(3)));
        assert_eq!(finding.evidence["ratio"], 30.0);
        assert!(finding.sentence.contains("12.0 s") && finding.sentence.contains("[EMAIL]"));
        // Ten times the median for a minute, with even input: its host, not its data.
        let finding = &found(61_000)[0];
        assert_eq!((finding.id, finding.evidence["task_id"]), ("straggler", 77.0));
        let samples = samples(&[stage(61_000, 7, 1)], &slow(61_000), NOW);
        let shown: Vec<_> = samples.iter().map(|it| (it.descriptor.name, &it.value)).collect();
        use crate::model::SampleValue::Number;
        let (age, ratio) = (Number(61.0), Number(152.5));
        assert_eq!(
            shown,
            [("spark_stage_straggler_age_seconds", &age), ("spark_stage_straggler_ratio", &ratio)]
        );
    }

    #[test]
    fn only_stages_that_run_for_a_while_and_have_finished_tasks_cost_a_request() {
        assert_eq!(worth_a_look(&[stage(12_000, 7, 1)], NOW), [(3, 0)]);
        assert_eq!(worth_a_look(&[stage(9_000, 7, 1)], NOW), []);
        assert_eq!(worth_a_look(&[stage(12_000, 0, 8)], NOW), []);
        let many: Vec<Stage> = (0..9).map(|n| stage(20_000 + n, 1, 1)).collect();
        assert_eq!(worth_a_look(&many, NOW).len(), 5);
    }
}
