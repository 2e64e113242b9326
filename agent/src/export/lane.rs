//! A lane: one exporter, one bounded queue, one batch at a time, retried until it is delivered.
//!
//! As a lane is sequential, positions of one file settle in the order of the file. While its
//! destination is down the queue fills and the tail thread waits: the bytes stay in the log file,
//! which is the cheapest buffer there is.

use super::{ExportError, Exporter};
use crate::model::Batch;
use crate::telemetry;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// First pause after a failed delivery; it doubles with every further failure.
const BACKOFF_MIN: Duration = Duration::from_millis(100);

/// Longest pause between two tries.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Delivers everything that comes through `queue` until its senders are gone.
///
/// Returns false when the destination was gone before that.
pub async fn run(
    name: &'static str,
    mut exporter: Box<dyn Exporter>,
    mut queue: mpsc::Receiver<Arc<Batch>>,
) -> bool {
    while let Some(batch) = queue.recv().await {
        telemetry::QUEUE_BATCHES.set(name, queue.len() as f64);
        // A batch whose records were all dropped only settles its position, in its turn.
        if !batch.signal.is_empty() && !deliver(name, exporter.as_mut(), &batch).await {
            return false;
        }
        batch.settle().await;
    }
    true
}

/// Tries until the destination has the batch; false when there is no destination any more. When
/// that happens, or the task is aborted, the batch stays unsettled and behind the checkpoint.
async fn deliver(name: &'static str, exporter: &mut dyn Exporter, batch: &Batch) -> bool {
    let mut failures = 0;
    loop {
        match exporter.export(&batch.signal).await {
            Ok(()) => {
                telemetry::EXPORTS.add(name, "ok", 1);
                telemetry::EXPORT_RECORDS.add(name, batch.signal.len() as u64);
                if failures > 0 {
                    tracing::info!(exporter = name, failures, "destination works again");
                }
                return true;
            }
            Err(ExportError::Gone) => {
                tracing::warn!(exporter = name, "destination is gone for good; ending");
                return false;
            }
            Err(ExportError::Transient { source, retry_after }) => {
                telemetry::EXPORTS.add(name, "error", 1);
                // One line when it breaks and one an outage later says more than one per try.
                if failures == 0 {
                    tracing::warn!(exporter = name, error = %source, "delivery failed; trying again");
                }
                let pause = retry_after.unwrap_or_else(|| backoff(failures, random_ratio()));
                failures += 1;
                tokio::time::sleep(pause.min(BACKOFF_MAX)).await;
            }
        }
    }
}

/// Full jitter: anything between nothing and the doubled pause, so that agents do not march in step.
fn backoff(failures: u32, ratio: f64) -> Duration {
    let ceiling = BACKOFF_MIN.saturating_mul(1 << failures.min(16)).min(BACKOFF_MAX);
    ceiling.mul_f64(ratio).max(BACKOFF_MIN / 10)
}

/// A number from 0 to 1. The hasher's random keys are random enough for jitter.
fn random_ratio() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(()) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::{BACKOFF_MAX, backoff, run};
    use crate::checkpoint::Event;
    use crate::export::{BoxFuture, ExportError, Exporter};
    use crate::model::{Batch, FileId, LogBatch, LogRecord, Position, Signal};
    use crate::tail::fingerprint::Digest;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;
    use tokio::sync::{Semaphore, mpsc};

    /// Fails `failures` times before each success and remembers what it delivered.
    struct Flaky {
        failures: u32,
        left: u32,
        delivered: Arc<Mutex<Vec<u64>>>,
    }

    impl Exporter for Flaky {
        fn export<'a>(&'a mut self, signal: &'a Signal) -> BoxFuture<'a, Result<(), ExportError>> {
            Box::pin(async move {
                if self.left > 0 {
                    self.left -= 1;
                    return Err(ExportError::Transient {
                        source: "down".into(),
                        retry_after: None,
                    });
                }
                self.left = self.failures;
                let Signal::Logs(logs) = signal else { panic!("only logs were sent") };
                self.delivered.lock().unwrap().push(logs.records[0].offset);
                Ok(())
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn batches_are_delivered_in_order_however_often_the_destination_fails() {
        let delivered = Arc::new(Mutex::new(Vec::new()));
        let (settled, mut events) = mpsc::channel(16);
        let (queue, batches) = mpsc::channel(2);
        let exporter = Flaky { failures: 7, left: 7, delivered: delivered.clone() };
        let lane = tokio::spawn(run("file", Box::new(exporter), batches));
        let budget = Arc::new(Semaphore::new(10));
        for offset in 0..5 {
            // One whose records were all dropped settles in its turn, and nobody gets it.
            let n_records = usize::from(offset != 2);
            let records = vec![LogRecord { offset, ..LogRecord::default() }; n_records];
            let logs = LogBatch { resource: Arc::default(), text: Default::default(), records };
            let position =
                Position { file: FileId(1), offset: offset + 1, frontier: Digest::default() };
            let permit = budget.clone().acquire_owned().await.unwrap();
            queue.send(Batch::logs(logs, position, 1, settled.clone(), permit)).await.unwrap();
        }
        drop((queue, settled));
        assert!(lane.await.unwrap());
        assert_eq!(*delivered.lock().unwrap(), [0, 1, 3, 4]);
        let mut offsets = Vec::new();
        while let Some(Event::Settled(position)) = events.recv().await {
            offsets.push(position.offset);
        }
        assert_eq!(offsets, [1, 2, 3, 4, 5]);
        assert_eq!(budget.available_permits(), 10, "delivered batches give their memory back");
    }

    #[test]
    fn pauses_grow_to_the_maximum_and_never_to_nothing() {
        assert!(backoff(0, 1.0) <= Duration::from_millis(100));
        assert_eq!(backoff(40, 1.0), BACKOFF_MAX);
        assert!(backoff(3, 0.0) > Duration::ZERO);
    }
}
