//! Whether a destination works, and when to ask it again.

use crate::export::{PAUSE_MIN, pause};
use crate::model::SignalKind;
use crate::telemetry;
use std::time::Duration;
use tokio::time::Instant;

/// Longest pause of our own choice: so long the end of an outage may stay unseen.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Longest pause that a destination may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// Open from the first failed delivery to the next one that works.
#[derive(Debug)]
pub(super) struct Circuit {
    name: &'static str,
    signal: SignalKind,
    failures: u32,
    retry_at: Option<Instant>,
}

impl Circuit {
    pub(super) fn new(name: &'static str, signal: SignalKind) -> Self {
        telemetry::CIRCUIT_OPEN.set(name, signal.as_str(), 0.0);
        Self { name, signal, failures: 0, retry_at: None }
    }

    pub(super) fn is_open(&self) -> bool {
        self.failures > 0
    }

    /// When the destination may be asked again; none when it may be now.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Notes a failure; true when it is the first one.
    pub(super) fn failed(&mut self, retry_after: Option<Duration>) -> bool {
        let pause = match retry_after {
            // One that asks for no pause at all gets one: what failed is stored in it.
            Some(asked) => asked.clamp(PAUSE_MIN, RETRY_AFTER_MAX),
            None => pause(self.failures, PAUSE_MAX),
        };
        self.retry_at = Some(Instant::now() + pause);
        self.failures = self.failures.saturating_add(1);
        telemetry::CIRCUIT_OPEN.set(self.name, self.signal.as_str(), 1.0);
        self.failures == 1
    }

    /// Notes that the destination answers; returns the failures before.
    pub(super) fn succeeded(&mut self) -> u32 {
        self.retry_at = None;
        let failures = std::mem::take(&mut self.failures);
        if failures > 0 {
            telemetry::CIRCUIT_OPEN.set(self.name, self.signal.as_str(), 0.0);
        }
        failures
    }
}

#[cfg(test)]
mod tests {
    use super::{Circuit, PAUSE_MIN, RETRY_AFTER_MAX, SignalKind};
    use std::time::Duration;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_destination_that_names_a_time_is_left_alone_for_it_within_reason() {
        let mut circuit = Circuit::new("file", SignalKind::Logs);
        let now = Instant::now();
        assert!(circuit.failed(Some(Duration::from_secs(70))));
        assert_eq!(circuit.retry_at(), Some(now + Duration::from_secs(70)));
        assert!(!circuit.failed(Some(Duration::from_secs(1 << 40))));
        assert_eq!(circuit.retry_at(), Some(now + RETRY_AFTER_MAX));
        circuit.failed(Some(Duration::ZERO));
        assert_eq!(circuit.retry_at(), Some(now + PAUSE_MIN));
        assert_eq!(circuit.succeeded(), 3);
        assert!(!circuit.is_open() && circuit.retry_at().is_none());
    }
}
