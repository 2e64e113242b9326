//! What Flink's REST API answers about checkpoints, as far as it is read; as in `rest.rs`.

use super::rest::{List, Number, Real};
use serde::Deserialize;
use std::collections::BTreeMap;

/// `/jobs/:id/checkpoints`
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Checkpoints {
    pub(super) counts: CheckpointCounts,
    pub(super) summary: CheckpointSummary,
    pub(super) latest: LatestCheckpoints,
    /// Newest first.
    pub(super) history: List<Checkpoint>,
}

/// Counts since the job began under this JobManager.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct CheckpointCounts {
    pub(super) restored: Number,
    pub(super) in_progress: Number,
    pub(super) completed: Number,
    pub(super) failed: Number,
}

/// Statistics over the last checkpoints.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct CheckpointSummary {
    pub(super) end_to_end_duration: Quantiles,
}

/// Milliseconds.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Quantiles {
    pub(super) p50: Real,
    pub(super) p90: Real,
    pub(super) p95: Real,
    pub(super) p99: Real,
    pub(super) p999: Real,
}

/// The last checkpoint of each outcome.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct LatestCheckpoints {
    pub(super) completed: Option<Checkpoint>,
}

/// Status of a checkpoint.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum CheckpointStatus {
    InProgress,
    Completed,
    Failed,
    #[default]
    #[serde(other)]
    Other,
}

/// One checkpoint.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Checkpoint {
    pub(super) id: Number,
    pub(super) status: CheckpointStatus,
    pub(super) is_savepoint: bool,
    pub(super) trigger_timestamp: Number,
    pub(super) latest_ack_timestamp: Number,
    pub(super) failure_timestamp: Number,
    pub(super) checkpoint_type: Option<String>,
    pub(super) end_to_end_duration: Number,
    pub(super) state_size: Number,
    pub(super) checkpointed_size: Number,
    pub(super) processed_data: Number,
    pub(super) persisted_data: Number,
    pub(super) num_subtasks: Number,
    pub(super) num_acknowledged_subtasks: Number,
    pub(super) external_path: Option<String>,
    pub(super) failure_message: Option<String>,
}

/// `/jobs/:id/checkpoints/config`
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct CheckpointConfig {
    pub(super) mode: Option<String>,
    pub(super) interval: Number,
    pub(super) state_backend: Option<String>,
    pub(super) unaligned_checkpoints: Option<bool>,
}

/// `/jobs/:id/checkpoints/details/:checkpoint`
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct CheckpointDetails {
    /// By id of their vertex.
    pub(super) tasks: BTreeMap<String, TaskCheckpoint>,
}

/// What one vertex did for a checkpoint.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct TaskCheckpoint {
    pub(super) end_to_end_duration: Number,
    pub(super) num_subtasks: Number,
    pub(super) num_acknowledged_subtasks: Number,
}

/// `/jobs/:id/checkpoints/details/:checkpoint/subtasks/:vertex`
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct SubtaskCheckpoints {
    pub(super) subtasks: List<SubtaskCheckpoint>,
}

/// What one subtask did for a checkpoint; durations are milliseconds, and absent until it has
/// acknowledged.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct SubtaskCheckpoint {
    pub(super) index: Number,
    pub(super) end_to_end_duration: Number,
    /// Until the first barrier reached it.
    pub(super) start_delay: Number,
    pub(super) checkpoint: Work,
    pub(super) alignment: Alignment,
    pub(super) state_size: Number,
}

/// The parts of the work of one subtask.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Work {
    pub(super) sync: Number,
    #[serde(rename = "async")]
    pub(super) background: Number,
}

/// How one subtask waited for barriers.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Alignment {
    pub(super) duration: Number,
}
