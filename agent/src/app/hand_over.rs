//! Ends an agent so that another config goes on where it was, in the same process: with the same
//! open files, the same checkpoint, the same counts, and what no destination has taken yet.

use super::tail_thread::Left;
use super::{
    App, Core, LAST_BATCH, LAST_STEPS, StartError, end_push, finder, identity, shared_scrape,
};
use crate::config::Config;
use crate::export;
use crate::health::Phase;
use crate::scrape::timer::End;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// What the old agent may take. Nothing is read meanwhile.
const HAND_OVER: Duration = Duration::from_secs(5);

impl App {
    /// Finds out whether an agent with this config would start, as far as that is possible while
    /// another one runs. Changes nothing.
    ///
    /// # Errors
    /// The first part that cannot be made.
    pub fn prove(config: &Config) -> Result<(), StartError> {
        finder(config)?;
        let shared = export::Shared::new(config.redaction.clone(), &config.state_dir);
        for (_, section) in &config.exporters {
            section.exporter.build(&section.lane, &shared)?;
        }
        let shared = shared_scrape(config, identity(config, &BTreeMap::new()));
        for (_, section) in &config.scrapers {
            section.build(&shared)?;
        }
        Ok(())
    }

    /// Ends everything but what outlives the config. Where a part does not end in time, files are
    /// read again from where all lanes have delivered them. `config` is that of this agent.
    pub async fn hand_over(mut self, config: &Config) -> Core {
        let deadline = Instant::now() + HAND_OVER - LAST_STEPS;
        self.health.set_phase(Phase::Draining);
        self.end_scrapers.send_replace(End::HandOver);
        self.tail.hand_over();
        self.log_lanes.hand_over();
        let lanes = self.log_lanes.join_until(deadline).await;
        let tail = tokio::time::timeout_at(deadline, self.tail.handed_over()).await.ok().flatten();
        let scraped = self.end_scrapers(deadline).await;
        match (lanes, tail) {
            (Some(left), Some((tail, behind))) => {
                self.core.tail = Some(tail);
                self.core.left = left.into_iter().chain(behind).collect();
            }
            _ => {
                tracing::warn!(
                    "a destination or a disk hangs: what is not delivered is read again"
                );
                self.tail.abandon();
            }
        }
        self.core.left.extend(scraped);
        let end = Instant::now() + LAST_BATCH;
        for lanes in [&mut self.log_lanes, &mut self.span_lanes, &mut self.metric_lanes] {
            lanes.abort(end).await;
        }
        self.core.given_up = self.given_up();
        if self.core.tail.is_none() {
            self.core.entries = self.core.ask_checkpoint().await;
            self.core.former = finder(config).ok();
        }
        self.heartbeat.abort();
        end_push(self.push).await;
        let admin = self.admin;
        // It joins a thread.
        let _ = tokio::task::spawn_blocking(move || admin.shutdown()).await;
        self.core
    }

    /// Ends the scrapers and then the lanes of what they bring; what has not been delivered of it.
    async fn end_scrapers(&mut self, deadline: Instant) -> Vec<Left> {
        for task in &mut self.scrapers {
            match tokio::time::timeout_at(deadline, &mut *task).await {
                Ok(scraper) => self.core.scrapers.extend(scraper.ok().flatten()),
                Err(_) => task.abort(),
            }
        }
        let _ = tokio::time::timeout_at(deadline, &mut self.own_metrics).await;
        self.own_metrics.abort();
        let mut left = Vec::new();
        for lanes in [&mut self.span_lanes, &mut self.metric_lanes] {
            lanes.hand_over();
            left.extend(lanes.join_until(deadline).await.unwrap_or_default());
        }
        left
    }
}
