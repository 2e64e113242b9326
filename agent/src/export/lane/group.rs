//! Several batches at a time, for exporters whose requests hold records of more than one.

use super::{Head, Lane, Sent};
use crate::model::Batch;
use crate::telemetry;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

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
        let began = tokio::time::Instant::now();
        let signals: Vec<_> = group.iter().map(|batch| &batch.signal).collect();
        let export = timeout(self.request_timeout, self.exporter.export_all(&signals));
        let status = self.status.clone();
        let answers = tokio::select! {
            biased;
            answers = export => answers,
            () = async { status.stopped().await; sleep(super::CUT_OFF).await } => {
                return Sent::CutOff;
            }
        };
        let answers = match answers {
            Ok(answers) => answers,
            Err(elapsed) => {
                self.n_together = 1;
                telemetry::EXPORTS.add(self.name, "timeout", 1);
                return self.failed(None, &elapsed);
            }
        };
        let (mut delivered, mut failure) = (Vec::new(), None);
        let (mut failed, mut waiting) = (None, HashSet::new());
        for (batch, answer) in group.iter().zip(answers) {
            // Positions of a file settle in order.
            if waiting.contains(&batch.file()) {
                continue;
            }
            if answer.is_err() {
                waiting.insert(batch.file());
                // What works must not hide what does not: that comes last.
                failed = failed.or(Some((batch, answer)));
            } else if let Some(sent) = self.take(&batch.signal, answer).await {
                waiting.insert(batch.file());
                failure = Some(sent);
            } else {
                delivered.push(batch.clone());
            }
        }
        if let Some((batch, answer)) = failed {
            failure = self.take(&batch.signal, answer).await.or(failure);
        }
        self.intake.settle_some(&delivered).await;
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
