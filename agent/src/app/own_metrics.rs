//! Hands the agent's own metrics to the exporters that send them beside those of jobs.

use crate::config::Config;
use crate::model::Batch;
use crate::policy::Redactors;
use crate::scrape::timer::{End, Queues};
use crate::telemetry;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Time between two batches: the shortest period over which CloudWatch adds up.
const INTERVAL: Duration = Duration::from_secs(60);

/// The queues of exporters that want them.
pub(super) fn queues(config: &Config, queues: &Queues) -> Queues {
    let wants = |name: &str| {
        let mut exporters = config.exporters.iter();
        exporters.any(|(it, section)| it.name == name && section.exporter.wants_own_metrics())
    };
    queues.iter().filter(|(name, _)| wants(name)).cloned().collect()
}

/// Hands on a batch now, one a minute, and a last one when the agent ends.
pub(super) async fn run(queues: Queues, redactors: Arc<Redactors>, mut end: watch::Receiver<End>) {
    while !queues.is_empty() {
        let is_last = *end.borrow_and_update() == End::AfterLastRound;
        let redactors = redactors.clone();
        // It reads files of /proc.
        let read = tokio::task::spawn_blocking(move || telemetry::own_batch(&redactors)).await;
        let Ok(batch) = read.map(Batch::metrics) else { return };
        for (exporter, queue) in &queues {
            if queue.try_send(batch.clone()).is_err() {
                telemetry::METRIC_BATCHES_DROPPED.add(exporter, 1);
            }
        }
        if is_last {
            return;
        }
        let told = tokio::time::timeout(INTERVAL, end.wait_for(|end| *end != End::Never)).await;
        match told.map(|end| end.map(|end| *end)) {
            Err(_) | Ok(Ok(End::AfterLastRound)) => {}
            // The next config goes on, or nobody does.
            Ok(_) => return,
        }
    }
}
