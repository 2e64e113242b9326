//! How many metrics CloudWatch bills for: each name with each combination of dimension values.

use std::collections::HashMap;

/// CloudWatch bills by the hour in which a metric had a value.
const BILLED_MS: u64 = 3_600_000;
/// Metrics that are told apart: 3,000 USD a month.
const METRICS_MAX: usize = 10_000;

/// One billed metric; namespace and scope are the same for all of one agent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Billed {
    pub(super) name: &'static str,
    /// None for the agent itself.
    pub(super) job_name: Option<String>,
    /// Value of the extra dimension, whose name follows from the metric's.
    pub(super) dimension: Option<String>,
}

/// The metrics that were sent in the last hour.
#[derive(Debug, Default)]
pub(super) struct Estimate {
    sent_unix_ms: HashMap<Billed, u64>,
}

impl Estimate {
    /// Takes note of a metric that was sent. False if there was no room for it.
    pub(super) fn record(&mut self, billed: Billed, now_unix_ms: u64) -> bool {
        if let Some(sent) = self.sent_unix_ms.get_mut(&billed) {
            *sent = now_unix_ms;
            return true;
        }
        let is_full = self.sent_unix_ms.len() >= METRICS_MAX;
        if !is_full {
            self.sent_unix_ms.insert(billed, now_unix_ms);
        }
        !is_full
    }

    /// Number of metrics that were sent in the hour before `now_unix_ms`.
    pub(super) fn count(&mut self, now_unix_ms: u64) -> usize {
        self.sent_unix_ms.retain(|_, sent| now_unix_ms.saturating_sub(*sent) < BILLED_MS);
        self.sent_unix_ms.len()
    }
}

#[cfg(test)]
mod tests {
    use super::{BILLED_MS, Billed, Estimate, METRICS_MAX};

    fn billed(job: usize) -> Billed {
        Billed { name: "a", job_name: Some(job.to_string()), dimension: None }
    }

    #[test]
    fn a_metric_counts_once_for_an_hour_after_it_was_last_sent() {
        let mut estimate = Estimate::default();
        let with_dimension = Billed { dimension: Some("x".to_owned()), ..billed(1) };
        for it in [billed(1), billed(2), with_dimension, billed(2)] {
            assert!(estimate.record(it, 0));
        }
        assert_eq!(estimate.count(10), 3);
        estimate.record(billed(1), 10);
        assert_eq!(estimate.count(BILLED_MS - 1), 3);
        assert_eq!(estimate.count(BILLED_MS), 1);
        assert_eq!(estimate.count(BILLED_MS + 10), 0);
    }

    #[test]
    fn what_is_over_the_bound_is_told_and_known_metrics_stay() {
        let mut estimate = Estimate::default();
        assert!((0..METRICS_MAX).all(|job| estimate.record(billed(job), 0)));
        assert!(!estimate.record(billed(METRICS_MAX), 0));
        assert!(estimate.record(billed(0), 1));
        assert_eq!(estimate.count(1), METRICS_MAX);
        assert_eq!(estimate.count(BILLED_MS), 1);
        assert!(estimate.record(billed(METRICS_MAX), BILLED_MS), "there is room again");
    }
}
