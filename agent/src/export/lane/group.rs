//! Several batches at a time, for exporters whose requests hold records of more than one.

use super::{Head, Lane, Sent};
use crate::export::{Answer, ExportError};
use crate::model::{Batch, LogBatch};
use crate::telemetry::{self, push};
use redaction::Value;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::timeout;

impl Lane {
    /// What is sent together with `head`, it included; nothing when it is sent alone.
    pub(super) fn together(&mut self, head: &Head) -> Vec<Arc<Batch>> {
        let is_whole = head.live.is_some() && head.is_untouched();
        if self.n_together == 1 || !is_whole || self.circuit.is_open() {
            return Vec::new();
        }
        self.intake.first(self.n_together)
    }

    /// Sends them, and settles those that are delivered.
    pub(super) async fn send_group(&mut self, group: &[Arc<Batch>]) -> Sent {
        let (began, began_at) = (tokio::time::Instant::now(), SystemTime::now());
        let signals: Vec<_> = group.iter().map(|batch| &batch.signal).collect();
        let export = timeout(self.request_timeout, self.exporter.export_all(&signals));
        let answers = self.status.unless_cut_off(export).await;
        let outcome = match &answers {
            None => "stopped",
            Some(Ok(answers)) => {
                let mut outcomes = answers.iter().map(super::outcome);
                outcomes.find(|outcome| *outcome != "ok").unwrap_or("ok")
            }
            Some(Err(_)) => "timeout",
        };
        push::delivered(self.name, group[0].signal.kind(), outcome, began_at);
        let answers = match answers {
            None => return Sent::CutOff,
            Some(Ok(answers)) => answers,
            Some(Err(elapsed)) => {
                self.n_together = 1;
                telemetry::EXPORTS.add(self.name, "timeout", 1);
                return self.failed(None, &elapsed);
            }
        };
        let failure = self.take_all(group, answers).await;
        match failure {
            Some(sent) => {
                self.n_together = 1;
                sent
            }
            None => {
                self.group_after(began.elapsed());
                Sent::Group
            }
        }
    }

    /// Settles what is delivered or put aside; what became of the first that is neither.
    async fn take_all(&mut self, group: &[Arc<Batch>], answers: Vec<Answer>) -> Option<Sent> {
        let (mut is_done, mut failed, mut failure) = (vec![false; group.len()], None, None);
        let mut parked: BTreeMap<String, (Value, Duration, Vec<usize>)> = BTreeMap::new();
        for (index, answer) in answers.into_iter().enumerate() {
            match answer {
                Ok(_) => match self.take(&group[index].signal, answer).await {
                    None => is_done[index] = true,
                    sent => failure = sent,
                },
                Err(ExportError::Parked { target, reason, retry_after }) => {
                    let none = (reason, retry_after, Vec::new());
                    parked.entry(target).or_insert(none).2.push(index);
                }
                // It is the first of the next call.
                Err(ExportError::Unfinished) => {}
                // What works must not hide what does not: that comes last.
                Err(_) => failed = failed.or(Some((index, answer))),
            }
        }
        for (target, (reason, retry_after, indices)) in parked {
            let logs = |index: &usize| group[*index].signal.logs().cloned();
            let batches: Vec<LogBatch> = indices.iter().filter_map(logs).collect();
            let n_safe = self.park(batches, &target, &reason, retry_after).await;
            indices[..n_safe].iter().for_each(|index| is_done[*index] = true);
            if let Some(index) = indices.get(n_safe) {
                let source = reason.to_string().into();
                let retry_after = Some(self.until_room(retry_after));
                let error = ExportError::Transient { source, retry_after };
                failed = failed.or(Some((*index, Err(error))));
            }
        }
        if let Some((index, answer)) = failed {
            failure = self.take(&group[index].signal, answer).await.or(failure);
        }
        // Positions of a file settle in order.
        let (mut settled, mut waiting) = (Vec::new(), HashSet::new());
        for (batch, is_done) in group.iter().zip(is_done) {
            if is_done && !waiting.contains(&batch.file()) {
                settled.push(batch.clone());
            } else {
                waiting.insert(batch.file());
            }
        }
        self.intake.settle_some(&settled).await;
        failure
    }

    /// Decides how many batches go together next: as many as take a fraction of the time that a
    /// delivery has, so that a slow destination never runs out of it.
    pub(super) fn group_after(&mut self, elapsed: Duration) {
        let batches_max = self.exporter.batches_max();
        if elapsed < self.request_timeout / 16 {
            self.n_together = (self.n_together * 2).min(batches_max);
        } else if elapsed > self.request_timeout / 4 {
            self.n_together = (self.n_together / 2).max(1);
        }
    }
}
