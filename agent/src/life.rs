//! The life of the agent: it starts, runs until something ends it, and drains.

mod reload;
mod sources;

pub use sources::Sources;

use crate::app::{App, Drained, Options, StartError, Undelivered};
use crate::config::Config;
use crate::ending::Ending;
use crate::telemetry;
use std::io;
use std::pin::pin;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A signal this long after the first one is a second one. `timeout` and init systems send one stop
/// as two; a person who insists takes longer.
const INSIST_AFTER: Duration = Duration::from_millis(500);

/// An agent and its config.
struct Running {
    app: App,
    config: Config,
}

/// The signals that end the agent.
struct Stops {
    terminate: Signal,
    interrupt: Signal,
}

impl Stops {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one; its name.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Ends with the second signal of a drain. The first one may have come before it.
    async fn insisted(&mut self, is_signalled: bool) {
        if !is_signalled {
            let signal = self.next().await;
            tracing::info!("{signal}: draining already");
        }
        tokio::time::sleep(INSIST_AFTER).await;
        // What came within that time is the first one once more.
        while tokio::time::timeout(Duration::ZERO, self.next()).await.is_ok() {}
        let signal = self.next().await;
        tracing::warn!("{signal} again: ending at once");
    }
}

/// Runs the agent until a signal, a file of `[shutdown]`, or the end of what there is to read.
/// SIGHUP makes it take up a new config.
///
/// # Errors
/// When it does not start; nothing runs then.
pub async fn run(
    sources: &Sources,
    config: Config,
    options: &Options,
) -> Result<Drained, StartError> {
    let mut stops = Stops::new()?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut ending = Ending::new(&config.shutdown);
    let mut running = Running { app: App::start(&config, options)?, config };
    let mut is_signalled = false;
    loop {
        tokio::select! {
            signal = stops.next() => {
                is_signalled = true;
                tracing::info!("{signal}: draining");
            }
            reason = ending.due() => tracing::info!("{reason}: draining"),
            () = running.app.ended() => tracing::info!("nothing more to read: draining"),
            _ = hang_up.recv() => {
                let before = running.config.shutdown.clone();
                let grace = before.grace.0;
                let reload = reload::reload(running, sources, options);
                running = match until_stopped(reload, &mut stops, grace, &mut is_signalled).await {
                    Some(reloaded) => reloaded?,
                    None => return Ok(Drained::default()),
                };
                if running.config.shutdown != before {
                    ending = Ending::new(&running.config.shutdown);
                }
                if !is_signalled {
                    continue;
                }
            }
        }
        break;
    }
    let state_dir =
        running.config.redaction.base().value(&running.config.state_dir.to_string_lossy());
    let drained = tokio::select! {
        drained = running.app.drain() => drained,
        () = stops.insisted(is_signalled) => Drained::default(),
    };
    report_end(&drained, &sources.naming(&state_dir));
    Ok(drained)
}

/// Waits for a reload. A signal that ends the agent waits for it, too, for the grace period; none when
/// that is over, or a second one came.
async fn until_stopped<T>(
    reload: impl Future<Output = T>,
    stops: &mut Stops,
    grace: Duration,
    is_signalled: &mut bool,
) -> Option<T> {
    let mut reload = pin!(reload);
    tokio::select! {
        reloaded = &mut reload => return Some(reloaded),
        signal = stops.next() => tracing::info!("{signal}: draining after the reload"),
    }
    *is_signalled = true;
    tokio::select! {
        reloaded = &mut reload => Some(reloaded),
        () = stops.insisted(true) => None,
        () = tokio::time::sleep(grace) => {
            tracing::warn!("the reload does not end; ending without it");
            None
        }
    }
}

/// The last lines of the log: what was delivered, and where the rest is. `place` is what other commands
/// need to find the state folder.
fn report_end(drained: &Drained, place: &str) {
    for left in drained.undelivered.iter().filter(|left| !left.is_nothing()) {
        let Undelivered { exporter, spooled_records, dead_letters, dropped_records, reason } = left;
        tracing::warn!(
            exporter,
            spooled_records,
            dead_letters,
            dropped_records,
            reason,
            "not delivered: what is in the spool goes out at the next start, \
             `sidelight dlq ls {place}` shows dead letters, and what was dropped is lost"
        );
    }
    let lag_bytes = telemetry::LAG_BYTES.get().unwrap_or(0.0);
    let records = telemetry::RECORDS.get();
    if drained.is_delivered() {
        tracing::info!(records, "drained: everything that was read is delivered");
    } else if drained.is_complete {
        tracing::warn!(records, "drained: what is not delivered is on the disk, see above");
    } else {
        tracing::warn!(
            records,
            lag_bytes,
            "ended before everything was delivered; the rest is read again at the next start"
        );
    }
}
