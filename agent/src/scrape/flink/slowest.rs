//! The subtask that a checkpoint waited for longest. It takes two requests, so it is only looked for
//! when a checkpoint took long, and for one checkpoint of a job a round.

use super::query::Round;
use super::rest_checkpoints::{
    Checkpoint, CheckpointDetails, SubtaskCheckpoint, SubtaskCheckpoints, TaskCheckpoint,
};
use super::vertices::Vertices;
use crate::model::AttributeValue;
use crate::scrape::http::HttpError;
use crate::scrape::meter::Cut;
use crate::scrape::spark::metrics::MILLISECONDS;
use crate::scrape::work::{Attributes, integer};
use redaction::Value;

/// A checkpoint is long when it took this long, or half of the time between two.
const LONG_MS: u64 = 30_000;

/// See the head of the file.
#[derive(Debug)]
pub(super) struct Slowest {
    checkpoint_id: u64,
    attributes: Attributes,
}

impl Slowest {
    /// Reads about the longest of those that just ended, if it was long; `base` is the path of the
    /// checkpoints of its job.
    pub(super) async fn read(
        base: &str,
        ended: &[&Checkpoint],
        interval_ms: Option<u64>,
        vertices: &Vertices,
        round: &mut Round<'_>,
    ) -> Result<Option<Self>, HttpError> {
        let long = |it: &&&Checkpoint| {
            let ms = duration_ms(it).unwrap_or(0);
            ms >= LONG_MS || interval_ms.is_some_and(|interval| ms >= interval.div_ceil(2))
        };
        let n_long = ended.iter().filter(long).count() as u64;
        let longest = ended.iter().filter(long).max_by_key(|it| duration_ms(it));
        let Some(checkpoint_id) = longest.and_then(|it| it.id.0) else { return Ok(None) };
        round.meter.cut(Cut::Request, n_long.saturating_sub(1));
        let path = format!("{base}/details/{checkpoint_id}");
        let Some(details) = round.part::<CheckpointDetails>(&path).await? else { return Ok(None) };
        let tasks =
            vertices.names().filter_map(|(id, name)| Some((id, name, details.tasks.get(id)?)));
        let Some((vertex_id, vertex, _)) = slowest(tasks, |(.., task)| waits(task)) else {
            return Ok(None);
        };
        let path = format!("{path}/subtasks/{vertex_id}");
        let answer: Option<SubtaskCheckpoints> = round.part(&path).await?;
        let Some(answer) = answer else { return Ok(None) };
        let subtask = slowest(answer.subtasks.iter(), |it| {
            (it.end_to_end_duration.0.is_none(), it.end_to_end_duration.0)
        });
        Ok(subtask.map(|subtask| Self { checkpoint_id, attributes: describe(vertex, subtask) }))
    }

    /// What is said of it at checkpoint `id`.
    pub(super) fn of(&self, id: u64) -> &[(&'static str, AttributeValue)] {
        if self.checkpoint_id == id { &self.attributes } else { &[] }
    }
}

/// From its beginning to its end, whatever the end was.
pub(super) fn duration_ms(checkpoint: &Checkpoint) -> Option<u64> {
    let failed = checkpoint.failure_timestamp.0.zip(checkpoint.trigger_timestamp.0);
    match failed {
        Some((end, start)) => Some(end.saturating_sub(start)),
        None => checkpoint.end_to_end_duration.0,
    }
}

/// Whether some of its subtasks never answered, and how long the others took.
fn waits(task: &TaskCheckpoint) -> (bool, Option<u64>) {
    let counts = task.num_subtasks.0.zip(task.num_acknowledged_subtasks.0);
    (counts.is_some_and(|(all, acknowledged)| acknowledged < all), task.end_to_end_duration.0)
}

/// The first of the slowest: where nobody answered, the first in the order of the stream held up the
/// others.
fn slowest<T, K: Ord>(items: impl Iterator<Item = T>, key: impl Fn(&T) -> (bool, K)) -> Option<T> {
    let mut slowest: Option<T> = None;
    for item in items {
        let is_slower = slowest.as_ref().is_none_or(|before| match (key(before), key(&item)) {
            ((true, _), _) => false,
            (_, (true, _)) => true,
            ((_, before), (_, now)) => now > before,
        });
        if is_slower {
            slowest = Some(item);
        }
    }
    slowest
}

fn describe(vertex: &Value, subtask: &SubtaskCheckpoint) -> Attributes {
    let mut attributes =
        vec![("flink.checkpoint.slowest.vertex", AttributeValue::Text(vertex.clone()))];
    let index = subtask.index.0.map(integer);
    attributes.extend(index.map(|index| ("flink.checkpoint.slowest.subtask", index)));
    for (name, ms) in [
        ("flink.checkpoint.slowest.seconds", subtask.end_to_end_duration),
        ("flink.checkpoint.slowest.start_delay_seconds", subtask.start_delay),
        ("flink.checkpoint.slowest.alignment_seconds", subtask.alignment.duration),
        ("flink.checkpoint.slowest.sync_seconds", subtask.checkpoint.sync),
        ("flink.checkpoint.slowest.async_seconds", subtask.checkpoint.background),
    ] {
        let seconds = ms.0.map(|ms| AttributeValue::Float(ms as f64 / MILLISECONDS));
        attributes.extend(seconds.map(|seconds| (name, seconds)));
    }
    let bytes = subtask.state_size.0.map(integer);
    attributes.extend(bytes.map(|bytes| ("flink.checkpoint.slowest.state_bytes", bytes)));
    attributes
}
