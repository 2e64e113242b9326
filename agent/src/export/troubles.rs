//! Why exporters do not deliver, in the words of their destination: told at once, as a lane tells it
//! when its time for a delivery is over, and kept for the last lines of the log.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Between two lines about one exporter.
const PAUSE: Duration = Duration::from_secs(60);

/// What is the matter with each exporter.
#[derive(Debug, Default)]
pub struct Troubles(Mutex<BTreeMap<&'static str, Trouble>>);

#[derive(Debug, Default)]
struct Trouble {
    /// None: it works.
    reason: Option<String>,
    told: Option<Instant>,
}

impl Troubles {
    /// Keeps why a request failed that is tried again, and tells it, once a minute at most. The
    /// reason must be redacted.
    pub fn note(&self, exporter: &'static str, reason: &dyn Display) {
        let (mut all, now) = (self.lock(), Instant::now());
        let trouble = all.entry(exporter).or_default();
        trouble.reason = Some(reason.to_string());
        if trouble.told.is_none_or(|told| now - told >= PAUSE) {
            trouble.told = Some(now);
            tracing::warn!(exporter, error = %reason, "a request failed; trying again");
        }
    }

    /// What is the matter until there is an answer, unless something else is known to be.
    pub fn begin(&self, exporter: &'static str, reason: &'static str) {
        self.lock().entry(exporter).or_default().reason.get_or_insert(reason.to_owned());
    }

    /// The destination works.
    pub fn end(&self, exporter: &'static str) {
        if let Some(trouble) = self.lock().get_mut(exporter) {
            trouble.reason = None;
        }
    }

    /// What is the matter with an exporter; none when it works, or does not tell.
    #[must_use]
    pub fn of(&self, exporter: &str) -> Option<String> {
        self.lock().get(exporter)?.reason.clone()
    }

    /// It is whole whatever panicked: the process ends then.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Trouble>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Troubles;

    #[test]
    fn the_last_reason_stands_until_the_destination_works() {
        let troubles = Troubles::default();
        troubles.begin("file", "no answer");
        assert_eq!(troubles.of("file").as_deref(), Some("no answer"));
        troubles.note("file", &"full");
        troubles.begin("file", "no answer");
        assert_eq!(troubles.of("file").as_deref(), Some("full"));
        assert_eq!(troubles.of("prometheus"), None);
        troubles.end("file");
        assert_eq!(troubles.of("file"), None);
    }
}
