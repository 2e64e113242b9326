//! Ends an agent so that one with another config goes on where it was, in the same process.

use super::{App, LAST_BATCH, LAST_STEPS, LAST_WRITE, StartError, finder, join_until};
use crate::admin::Admin;
use crate::config::Config;
use crate::export;
use crate::health::Phase;
use crate::scrape;
use std::fs::File;
use std::time::Duration;
use tokio::time::Instant;

/// What the old agent may take. Nothing is read meanwhile, so a destination that is stuck is not
/// waited for as long as at the end; what it has not got is read again.
const HAND_OVER: Duration = Duration::from_secs(5);

/// What the next agent takes over.
#[derive(Debug)]
pub struct HandedOver {
    /// The admin port: who connects is not refused, but waits for the next agent.
    pub admin: Admin,
    /// The named pipes that were read, to be kept until the next agent reads them: a pipe without a
    /// reader loses what is in it, and kills its writer.
    pub pipes: Vec<File>,
}

impl App {
    /// Finds out whether an agent with this config would start, as far as that is possible while
    /// another one runs. Changes nothing.
    ///
    /// # Errors
    /// The first part that cannot be made.
    pub fn prove(config: &Config) -> Result<(), StartError> {
        finder(config)?;
        let redactor = config.redaction.base();
        let shared = export::Shared::new(redactor.clone());
        for (_, section) in &config.exporters {
            section.exporter.build(&shared)?;
        }
        let given = scrape::Given::new(&config.job, redactor);
        let shared = scrape::Shared { redactor: redactor.clone(), given };
        for (_, section) in &config.scrapers {
            section.build(&shared)?;
        }
        Ok(())
    }

    /// Ends everything but the admin port, after a last read: the next agent reads on where the
    /// checkpoint says that this one was. `config` is that of this agent.
    pub async fn hand_over(mut self, config: &Config) -> HandedOver {
        let end = Instant::now() + HAND_OVER;
        self.health.set_phase(Phase::Draining);
        // The next agent asks again at once.
        self.scrapers.iter().for_each(tokio::task::JoinHandle::abort);
        let pipes = tokio::task::block_in_place(|| pipes(config));
        // What was read of a pipe or of a deleted file cannot be read again, so all of it goes out.
        self.stop.drain();
        self.end_lanes(end - LAST_STEPS).await;
        // The state folder is free only when nobody uses it any more.
        let _ = join_until(Instant::now() + LAST_BATCH, &mut self.log_lanes).await;
        let write = (Instant::now() + LAST_WRITE).max(end);
        let written = tokio::time::timeout_at(write, &mut self.checkpointer).await;
        if !matches!(written, Ok(Ok(true))) {
            tracing::warn!("the last checkpoint was not written: records may be sent again");
            self.checkpointer.abort();
            let _ = tokio::time::timeout(LAST_WRITE, &mut self.checkpointer).await;
        }
        self.heartbeat.abort();
        tokio::task::block_in_place(|| self.admin.shutdown());
        HandedOver { admin: self.admin_socket, pipes }
    }
}

/// The named pipes that are read, opened once more.
fn pipes(config: &Config) -> Vec<File> {
    let Ok(mut finder) = finder(config) else { return Vec::new() };
    finder.scan(std::time::Instant::now());
    let open = |path| File::options().read(true).write(true).open(path).ok();
    finder.pipes().iter().filter_map(open).collect()
}
