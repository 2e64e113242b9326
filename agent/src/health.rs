//! Whether the agent lives and whether it is ready. Shared by all parts that can say why not.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time between two ticks of the event loop.
const TICK: Duration = Duration::from_secs(1);
/// Silence of the event loop after which the agent counts as dead. Long, because a container
/// without CPU share is slow, not dead, and a restart would make that worse.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Where the agent is in its life.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Config is read; parts are being started.
    #[default]
    Starting,
    /// All parts run.
    Ready,
    /// A signal came; what was read is being delivered.
    Draining,
}

/// What `/livez` and `/readyz` answer.
#[derive(Debug, Default)]
pub struct Health {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    phase: Phase,
    degraded: BTreeSet<String>,
    /// Last tick of the event loop; none before [`heartbeat`] first ran.
    ticked: Option<Instant>,
}

impl Health {
    /// Moves on to `phase`. From [`Phase::Draining`] there is no way back.
    pub fn set_phase(&self, phase: Phase) {
        let mut inner = self.lock();
        // A part that finishes its start late must not make a draining agent ready again.
        if inner.phase != Phase::Draining {
            inner.phase = phase;
        }
    }

    /// Says that something is out of order, by `reason`, or in order again. While one reason holds,
    /// `/readyz` answers 503 and names it. Reasons are of the agent's own making: no text of a log.
    /// True when that is new.
    pub fn set_degraded(&self, reason: &str, is_degraded: bool) -> bool {
        let mut inner = self.lock();
        if is_degraded {
            inner.degraded.insert(reason.to_owned())
        } else {
            inner.degraded.remove(reason)
        }
    }

    /// True while the event loop ticks.
    pub(crate) fn is_alive(&self, now: Instant) -> bool {
        // A slow start is not a dead loop, so silence counts from the first tick on.
        let ticked = self.lock().ticked;
        ticked.is_none_or(|ticked| now.saturating_duration_since(ticked) <= SILENCE_MAX)
    }

    /// Why the agent is not ready; empty when it is.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let inner = self.lock();
        let phase = match inner.phase {
            Phase::Starting => Some("starting"),
            Phase::Ready => None,
            Phase::Draining => Some("draining"),
        };
        phase.map(str::to_owned).into_iter().chain(inner.degraded.iter().cloned()).collect()
    }

    fn tick(&self, now: Instant) {
        self.lock().ticked = Some(now);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ticks for as long as the event loop that it is spawned on turns; `/livez` answers 503 when it
/// stops. Runs until it is aborted.
pub async fn heartbeat(health: Arc<Health>) {
    loop {
        health.tick(tokio::time::Instant::now().into_std());
        tokio::time::sleep(TICK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::{Health, Phase, SILENCE_MAX, heartbeat};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    #[test]
    fn readiness_names_every_reason_and_draining_is_final() {
        let health = Health::default();
        assert_eq!(health.reasons(), ["starting"]);
        health.set_phase(Phase::Ready);
        assert!(health.reasons().is_empty());
        health.set_degraded("spool_full", true);
        health.set_degraded("checkpoint_failed", true);
        assert_eq!(health.reasons(), ["checkpoint_failed", "spool_full"]);
        health.set_degraded("spool_full", false);
        health.set_phase(Phase::Draining);
        health.set_phase(Phase::Ready);
        assert_eq!(health.reasons(), ["draining", "checkpoint_failed"]);
    }

    #[test]
    fn an_event_loop_that_stopped_ticking_is_dead_and_one_that_never_ticked_is_starting() {
        let (health, start) = (Health::default(), Instant::now());
        assert!(health.is_alive(start + SILENCE_MAX * 2));
        health.tick(start);
        assert!(health.is_alive(start + SILENCE_MAX));
        assert!(!health.is_alive(start + SILENCE_MAX + Duration::from_secs(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_heartbeat_keeps_the_agent_alive_until_the_loop_stops() {
        let health = Arc::new(Health::default());
        let is_alive = || health.is_alive(tokio::time::Instant::now().into_std());
        let pulse = tokio::spawn(heartbeat(Arc::clone(&health)));
        tokio::time::sleep(SILENCE_MAX * 3).await;
        assert!(is_alive());
        pulse.abort();
        tokio::time::sleep(SILENCE_MAX + Duration::from_secs(2)).await;
        assert!(!is_alive());
    }
}
