//! The agent's own log: lines on standard error, and a brake for repeated warnings.

use std::io::IsTerminal;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Registry, reload};

/// Least time between two lines of one [`RateLimit`], milliseconds.
const REPEAT_MS: u64 = 60_000;

/// A log level that does not exist was asked for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{level:?} is not a log level; use error, warn, info, debug, trace or off")]
pub struct LogLevelError {
    level: String,
}

/// Reads the level of the agent's own log. No text means `info`.
pub fn log_level(text: Option<&str>) -> Result<LevelFilter, LogLevelError> {
    match text.map(str::trim) {
        None | Some("") => Ok(LevelFilter::INFO),
        Some(level) => level.parse().map_err(|_| LogLevelError { level: level.to_owned() }),
    }
}

/// Changes the level of the log that runs.
static LEVEL: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Starts the agent's own log on standard error. A second call changes its level.
///
/// Only events of our own crates pass: those of libraries may carry URLs or bodies that nobody
/// redacted.
pub fn start_log(level: LevelFilter) {
    super::process::start_unix_ms();
    let targets = Targets::new().with_target("sidelight", level).with_target("redaction", level);
    if let Some(running) = LEVEL.get() {
        // It fails only when the log is gone, which it never is.
        let _ = running.reload(targets);
        return;
    }
    let is_colored = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let (targets, handle) = reload::Layer::new(targets);
    let lines = tracing_subscriber::fmt::layer()
        .with_target(false)
        .with_writer(std::io::stderr)
        // It would be told on standard error too, and a reader that went away must not end us.
        .log_internal_errors(false)
        .with_ansi(is_colored);
    let subscriber = tracing_subscriber::registry().with(targets).with(lines);
    // It fails when a subscriber is installed already, as in tests.
    if tracing::subscriber::set_global_default(subscriber).is_ok() {
        let _ = LEVEL.set(handle);
    }
}

/// Lets one repeated warning through per minute and counts those it held back.
///
/// ```
/// # use sidelight::telemetry::RateLimit;
/// static UNREADABLE: RateLimit = RateLimit::new();
/// if let Some(n_suppressed) = UNREADABLE.admit() {
///     tracing::warn!(n_suppressed, "log file is unreadable");
/// }
/// ```
#[derive(Debug)]
pub struct RateLimit {
    /// Time from which the next line may pass, in milliseconds of [`elapsed_ms`].
    open_from_ms: AtomicU64,
    suppressed: AtomicU64,
}

impl RateLimit {
    /// A limit that lets its first line through.
    #[must_use]
    pub const fn new() -> Self {
        Self { open_from_ms: AtomicU64::new(0), suppressed: AtomicU64::new(0) }
    }

    /// How many lines were held back since the last one, when a line may be written now.
    pub fn admit(&self) -> Option<u64> {
        self.admit_at(elapsed_ms())
    }

    fn admit_at(&self, now_ms: u64) -> Option<u64> {
        let open_from_ms = self.open_from_ms.load(Ordering::Relaxed);
        let next_ms = now_ms + REPEAT_MS;
        // Of the threads that come at the same time, the one that moves the mark writes the line.
        let is_open = now_ms >= open_from_ms
            && self
                .open_from_ms
                .compare_exchange(open_from_ms, next_ms, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_open {
            Some(self.suppressed.swap(0, Ordering::Relaxed))
        } else {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        Self::new()
    }
}

fn elapsed_ms() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::{REPEAT_MS, RateLimit, log_level};
    use tracing_subscriber::filter::LevelFilter;

    #[test]
    fn a_repeated_warning_passes_once_a_minute_and_says_what_was_held_back() {
        let limit = RateLimit::new();
        assert_eq!(limit.admit_at(0), Some(0));
        assert_eq!(limit.admit_at(1), None);
        assert_eq!(limit.admit_at(REPEAT_MS - 1), None);
        assert_eq!(limit.admit_at(REPEAT_MS), Some(2));
        assert_eq!(limit.admit_at(REPEAT_MS), None);
    }

    #[test]
    fn a_log_level_is_a_word_and_anything_else_names_the_choices() {
        assert_eq!(log_level(None), Ok(LevelFilter::INFO));
        assert_eq!(log_level(Some("debug")), Ok(LevelFilter::DEBUG));
        assert_eq!(log_level(Some("WARN ")), Ok(LevelFilter::WARN));
        let error = log_level(Some("loud")).expect_err("not a level").to_string();
        assert!(error.contains("\"loud\"") && error.contains("error, warn, info"), "{error}");
    }
}
