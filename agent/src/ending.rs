//! When a sidecar ends by itself: its job no longer touches a heartbeat file, or a file says that
//! the job is done.

use crate::config::Shutdown;
use crate::telemetry::RateLimit;
use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Time between two looks at the files.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// No look counts for more time than this. Where the agent stood still for longer, so did the job:
/// a machine that slept, or a container that was frozen.
const STEP_MAX: Duration = Duration::from_secs(2);

/// Why the agent ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The heartbeat file is there no longer, or its time did not change for this long.
    Stale(Duration),
    /// The heartbeat file did not appear within this time.
    Absent(Duration),
    /// The watched file is there.
    Done,
}

impl fmt::Display for Reason {
    // Without the paths: they are free text of the operator.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale(time) => {
                write!(f, "shutdown.heartbeat_file was not touched for {}s", time.as_secs_f64())
            }
            Self::Absent(time) => {
                write!(f, "shutdown.heartbeat_file did not appear within {}s", time.as_secs_f64())
            }
            Self::Done => f.write_str("shutdown.watch_file is there"),
        }
    }
}

/// Looks at the files of `[shutdown]`.
#[derive(Debug)]
pub struct Ending {
    config: Shutdown,
    last_look: Instant,
    /// Time of the last write, as the file system tells it. Only whether it changes counts: it is
    /// the clock of another machine, or of one that was set anew.
    touched: Option<SystemTime>,
    /// Time since the start or since `touched` changed.
    silence: Duration,
}

impl Ending {
    /// Time counts from now on.
    #[must_use]
    pub fn new(config: &Shutdown) -> Self {
        Self {
            config: config.clone(),
            last_look: Instant::now(),
            touched: None,
            silence: Duration::ZERO,
        }
    }

    /// Waits until the agent shall end; for ever when nothing is configured. May be dropped and
    /// called again: no time is lost.
    pub async fn due(&mut self) -> Reason {
        if self.config.heartbeat_file.is_none() && self.config.watch_file.is_none() {
            return std::future::pending().await;
        }
        loop {
            let touched = modified(self.config.heartbeat_file.clone()).await;
            let done = modified(self.config.watch_file.clone()).await;
            if let Some(reason) = self.judge(touched, done.is_some(), Instant::now()) {
                return reason;
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    fn judge(
        &mut self,
        touched: Option<SystemTime>,
        is_done: bool,
        now: Instant,
    ) -> Option<Reason> {
        self.silence += now.duration_since(self.last_look).min(STEP_MAX);
        self.last_look = now;
        if is_done {
            return Some(Reason::Done);
        }
        self.config.heartbeat_file.as_ref()?;
        if touched.is_some() && touched != self.touched {
            (self.touched, self.silence) = (touched, Duration::ZERO);
        }
        let (limit, reason): (_, fn(Duration) -> Reason) = match self.touched {
            Some(_) => (self.config.heartbeat_stale_after.0, Reason::Stale),
            None => (self.config.heartbeat_initial_wait.0, Reason::Absent),
        };
        (self.silence >= limit).then(|| reason(limit))
    }
}

/// Time of the last write to the file; none when there is no file. A file system that hangs holds up
/// nothing but this.
async fn modified(path: Option<PathBuf>) -> Option<SystemTime> {
    static UNREADABLE: RateLimit = RateLimit::new();
    let look =
        tokio::task::spawn_blocking(move || Some(path?.metadata().and_then(|it| it.modified())));
    match look.await.ok()?? {
        Ok(modified) => Some(modified),
        Err(error) => {
            if error.kind() != ErrorKind::NotFound
                && let Some(n_suppressed) = UNREADABLE.admit()
            {
                tracing::warn!(%error, n_suppressed, "a file of [shutdown] cannot be looked at");
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Ending, LOOK_INTERVAL, Reason, STEP_MAX};
    use crate::config::{Interval, Shutdown};
    use std::time::{Duration, SystemTime};
    use tokio::time::Instant;

    const STALE: Duration = Duration::from_secs(10);
    const WAIT: Duration = Duration::from_secs(30);

    struct Clock {
        ending: Ending,
        now: Instant,
    }

    impl Clock {
        fn new() -> Self {
            let config = Shutdown {
                heartbeat_file: Some("/heartbeat".into()),
                heartbeat_stale_after: Interval(STALE),
                heartbeat_initial_wait: Interval(WAIT),
                ..Shutdown::default()
            };
            let ending = Ending::new(&config);
            Self { now: ending.last_look, ending }
        }

        /// Looks for as long as nothing is due, at most for `limit`; why it ends, and after what.
        fn look(
            &mut self,
            limit: Duration,
            touched: impl Fn(Duration) -> Option<SystemTime>,
        ) -> (Option<Reason>, Duration) {
            let start = self.now;
            while self.now - start < limit {
                self.now += LOOK_INTERVAL;
                let touched = touched(self.now - start);
                if let Some(reason) = self.ending.judge(touched, false, self.now) {
                    return (Some(reason), self.now - start);
                }
            }
            (None, self.now - start)
        }
    }

    fn second(n: u64) -> Option<SystemTime> {
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(n))
    }

    #[test]
    fn a_heartbeat_that_stops_or_whose_file_goes_ends_the_agent_and_one_that_beats_does_not() {
        for last in [second(3_600), None] {
            let mut clock = Clock::new();
            // Whatever time it shows: only that it changes counts.
            let beat = |at: Duration| second(3_600 - at.as_secs() / 8 * 8);
            assert_eq!(clock.look(WAIT * 10, beat).0, None);
            let (reason, after) = clock.look(WAIT * 10, |_| last);
            assert_eq!(reason, Some(Reason::Stale(STALE)));
            assert!(after >= STALE - Duration::from_secs(8) && after <= STALE + LOOK_INTERVAL);
        }
    }

    #[test]
    fn a_heartbeat_that_never_appears_ends_the_agent_after_the_initial_wait() {
        let (reason, after) = Clock::new().look(WAIT * 2, |_| None);
        assert_eq!((reason, after), (Some(Reason::Absent(WAIT)), WAIT));
        // An old file that was there before counts from the first look at it.
        let (reason, after) = Clock::new().look(WAIT * 2, |_| second(1));
        assert_eq!((reason, after), (Some(Reason::Stale(STALE)), STALE + LOOK_INTERVAL));
    }

    #[test]
    fn a_machine_that_slept_for_an_hour_does_not_end_the_agent() {
        let mut clock = Clock::new();
        assert_eq!(clock.look(STALE / 2, |_| second(1)).0, None);
        clock.now += Duration::from_secs(3_600);
        assert_eq!(clock.look(STALE / 2 - STEP_MAX, |_| second(1)).0, None);
        assert_eq!(clock.look(WAIT, |_| second(1)).0, Some(Reason::Stale(STALE)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_watched_file_ends_the_agent_when_it_appears() {
        let folder = tempfile::tempdir().unwrap();
        let watch_file = Some(folder.path().join("done"));
        let mut ending = Ending::new(&Shutdown { watch_file, ..Shutdown::default() });
        let early = tokio::time::timeout(WAIT, ending.due()).await;
        assert!(early.is_err());
        std::fs::write(folder.path().join("done"), "").unwrap();
        assert_eq!(ending.due().await, Reason::Done);
    }
}
