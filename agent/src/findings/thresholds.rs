//! From where on something is a finding.

use crate::config::{Bytes, Interval, Section};
use serde::{Deserialize, Serialize};

/// `[findings]`. Defaults are those of Dr. Elephant and DataFlint where those have one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    /// Tasks that a stage must have for a look at how unequal they are. Default 4, at least 2.
    pub skew_tasks_min: u64,
    /// Slowest over median task of a stage, or largest over median read. Default 3.2.
    pub skew_ratio: f64,
    /// From here on it is a warning. Default 10.
    pub skew_ratio_warning: f64,
    /// A slowest task that is shorter is not worth a look. Default `5s`.
    pub skew_duration_min: Interval,
    /// A largest read that is smaller is not worth a look. Default `100MiB`.
    pub skew_bytes_min: Bytes,
    /// Slowest over median task of a stage whose tasks read about the same. Default 10.
    pub straggler_ratio: f64,
    /// A slowest task that is shorter is not worth a look. Default `1m`.
    pub straggler_duration_min: Interval,
    /// Bytes spilled to disk over bytes read by a stage. Default 0.5.
    pub spill_ratio: f64,
    /// A spill to disk that is smaller is not worth a look. Default `100MiB`.
    pub spill_bytes_min: Bytes,
    /// Garbage collection over run time of all tasks. Default 0.1.
    pub gc_ratio: f64,
    /// From here on it is critical. Default 0.2.
    pub gc_ratio_critical: f64,
    /// Garbage collection that took less is not worth a look. Default `10s`.
    pub gc_duration_min: Interval,
    /// Files of one SQL execution. Default 100.
    pub small_files_min: u64,
    /// Files are small when their mean size is less. Default `3MiB`.
    pub small_file_bytes: Bytes,
    /// Share of core time in which no task ran. Default 0.5.
    pub idle_cores_ratio: f64,
    /// A shorter run is not worth a look. Default `5m`.
    pub idle_cores_duration_min: Interval,
    /// Largest heap in use over heap: below it, memory is wasted. Default 0.7.
    pub memory_ratio_low: f64,
    /// Largest heap in use over heap: above it, memory is short. Default 0.95.
    pub memory_ratio_high: f64,
    /// Failed over ended tasks: a warning. Any failed task is worth a word. Default 0.1.
    pub failed_tasks_ratio: f64,
    /// From here on it is critical. Default 0.3.
    pub failed_tasks_ratio_critical: f64,
    /// Fewer ended tasks are no base for a ratio. Default 20.
    pub failed_tasks_min: u64,
    /// Lost executors that are a warning. Any is worth a word, one for want of memory is a warning.
    /// Default 4.
    pub executors_lost_min: u64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            skew_tasks_min: 4,
            skew_ratio: 3.2,
            skew_ratio_warning: 10.0,
            skew_duration_min: Interval::from_secs(5),
            skew_bytes_min: Bytes(100 << 20),
            straggler_ratio: 10.0,
            straggler_duration_min: Interval::from_secs(60),
            spill_ratio: 0.5,
            spill_bytes_min: Bytes(100 << 20),
            gc_ratio: 0.1,
            gc_ratio_critical: 0.2,
            gc_duration_min: Interval::from_secs(10),
            small_files_min: 100,
            small_file_bytes: Bytes(3 << 20),
            idle_cores_ratio: 0.5,
            idle_cores_duration_min: Interval::from_secs(300),
            memory_ratio_low: 0.7,
            memory_ratio_high: 0.95,
            failed_tasks_ratio: 0.1,
            failed_tasks_ratio_critical: 0.3,
            failed_tasks_min: 20,
            executors_lost_min: 4,
        }
    }
}

impl Thresholds {
    /// Reads the section and holds it to its laws.
    pub(crate) fn configure(section: &mut Section<'_>) -> Self {
        let thresholds: Self = section.parse();
        section.require("skew_tasks_min", thresholds.skew_tasks_min >= 2, "must be at least 2");
        let above_one = [
            ("skew_ratio", thresholds.skew_ratio),
            ("skew_ratio_warning", thresholds.skew_ratio_warning),
            ("straggler_ratio", thresholds.straggler_ratio),
        ];
        for (key, ratio) in above_one {
            section.require(key, ratio >= 1.0 && ratio.is_finite(), "must be at least 1");
        }
        let shares = [
            ("gc_ratio", thresholds.gc_ratio),
            ("gc_ratio_critical", thresholds.gc_ratio_critical),
            ("idle_cores_ratio", thresholds.idle_cores_ratio),
            ("memory_ratio_low", thresholds.memory_ratio_low),
            ("memory_ratio_high", thresholds.memory_ratio_high),
            ("failed_tasks_ratio", thresholds.failed_tasks_ratio),
            ("failed_tasks_ratio_critical", thresholds.failed_tasks_ratio_critical),
        ];
        for (key, share) in shares {
            section.require(key, (0.0..=1.0).contains(&share), "must be from 0 to 1");
        }
        let is_amount = thresholds.spill_ratio >= 0.0 && thresholds.spill_ratio.is_finite();
        section.require("spill_ratio", is_amount, "must be at least 0");
        thresholds
    }
}
