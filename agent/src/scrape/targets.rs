//! The UIs that are asked: configured ones, or those found on this host.

use crate::scrape::http::{Client, Limits, UrlError};
use redaction::Value;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Time for a connection on this host; a port that nobody listens on refuses at once.
const PROBE_TIMEOUT: Duration = Duration::from_millis(200);
/// Rounds between two searches while some UI answers.
const SEARCH_ROUNDS: u32 = 6;
/// Rounds without a connection after which the applications of a UI have ended. One may be an
/// accept queue that was full.
const MISSES_MAX: u32 = 2;
/// Failed rounds of a UI that may be starting.
const STARTING_FAILURES_MAX: u32 = 5;
/// Most rounds that a UI which fails is left alone, so that it does not stall the others.
const PAUSE_ROUNDS_MAX: u32 = 3;

/// One UI.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) client: Client,
    /// Version of the engine, once it was asked.
    pub(super) version: Option<Value>,
    /// Applications that it listed last.
    pub(super) app_ids: BTreeSet<Value>,
    misses: u32,
    failures: u32,
    pause: u32,
}

impl Target {
    fn new(client: Client) -> Self {
        let app_ids = BTreeSet::new();
        Self { client, version: None, app_ids, misses: 0, failures: 0, pause: 0 }
    }

    /// True when this round shall ask it.
    pub(super) fn is_due(&mut self) -> bool {
        let is_due = self.pause == 0;
        self.pause = self.pause.saturating_sub(1);
        is_due
    }

    /// Notes a round that brought everything.
    pub(super) fn note_answer(&mut self) {
        (self.misses, self.failures) = (0, 0);
    }

    /// Notes a round that failed with a connection: the UI is there, and pauses.
    pub(super) fn note_failure(&mut self) {
        self.misses = 0;
        self.pause = self.failures.min(PAUSE_ROUNDS_MAX);
        self.failures = self.failures.saturating_add(1);
    }

    /// True for a port that may be the UI of a driver which is starting: it has not answered yet, nor
    /// failed for long.
    pub(super) fn is_starting(&self) -> bool {
        self.version.is_none() && self.failures <= STARTING_FAILURES_MAX
    }

    /// Notes a round without a connection. True when the UI counts as gone.
    pub(super) fn note_miss(&mut self) -> bool {
        self.misses = self.misses.saturating_add(1);
        self.misses >= MISSES_MAX
    }

    /// Forgets what the UI said; the port may go to another application, of another version.
    pub(super) fn reset(&mut self) {
        self.version = None;
        self.app_ids.clear();
    }
}

/// All UIs.
#[derive(Debug)]
pub(super) struct Targets {
    pub(super) list: Vec<Target>,
    ports: Vec<u16>,
    limits: Limits,
    rounds_to_search: u32,
}

impl Targets {
    /// The UIs at `urls`; if there are none, those that will be found on `ports` of this host.
    /// `make` makes the client of a URL.
    ///
    /// The error names the index of the bad URL.
    pub(super) fn new(
        urls: &[String],
        ports: impl Iterator<Item = u16>,
        limits: Limits,
        make: fn(&str, Limits) -> Result<Client, UrlError>,
    ) -> Result<Self, (usize, UrlError)> {
        let mut list = Vec::new();
        for (index, url) in urls.iter().enumerate() {
            let client = make(url, limits).map_err(|error| (index, error))?;
            list.push(Target::new(client));
        }
        let ports = if urls.is_empty() { ports.collect() } else { Vec::new() };
        Ok(Self { list, ports, limits, rounds_to_search: 0 })
    }

    /// Searches `ports` of this host instead of the usual ones.
    #[cfg(test)]
    pub(super) fn search_only(&mut self, ports: Vec<u16>) {
        self.ports = ports;
    }

    /// True when UIs are searched, and dropped when they are gone.
    pub(super) fn is_searching(&self) -> bool {
        !self.ports.is_empty()
    }

    /// Looks for UIs that are not known yet, if it is time.
    pub(super) async fn search(&mut self) {
        if !self.list.is_empty() && self.rounds_to_search > 0 {
            self.rounds_to_search -= 1;
            return;
        }
        self.rounds_to_search = SEARCH_ROUNDS;
        for port in &self.ports {
            if self.list.iter().any(|target| target.client.port() == *port) {
                continue;
            }
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
            let probe = timeout(PROBE_TIMEOUT, TcpStream::connect(address)).await;
            if !matches!(probe, Ok(Ok(_))) {
                continue;
            }
            if let Ok(client) = Client::new(&format!("http://{address}"), self.limits) {
                self.list.push(Target::new(client));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Targets;
    use crate::scrape::http::{Client, Limits, UrlError};

    #[test]
    fn the_first_bad_url_is_named() {
        let urls = ["http://127.0.0.1:4040".to_owned(), "https://driver:4440".to_owned()];
        let error = Targets::new(&urls, 4040..=4055, Limits::default(), Client::new).unwrap_err();
        assert_eq!(error, (1, UrlError::Https));
    }

    #[test]
    fn a_ui_that_keeps_failing_is_asked_less_often() {
        let urls = ["http://127.0.0.1:4040".to_owned()];
        let mut targets = Targets::new(&urls, 4040..=4055, Limits::default(), Client::new).unwrap();
        let target = &mut targets.list[0];
        let mut asked = Vec::new();
        for round in 0..16 {
            if target.is_due() {
                asked.push(round);
                target.note_failure();
            }
        }
        assert_eq!(asked, [0, 1, 3, 6, 10, 14]);
        target.note_answer();
        target.note_failure();
        assert_eq!(target.pause, 0, "one failure alone makes no pause");
    }

    #[test]
    fn two_rounds_without_a_connection_in_a_row_are_the_end() {
        let urls = ["http://127.0.0.1:4040".to_owned()];
        let mut targets = Targets::new(&urls, 4040..=4055, Limits::default(), Client::new).unwrap();
        let target = &mut targets.list[0];
        assert!(!target.note_miss());
        target.note_answer();
        assert!(!target.note_miss());
        assert!(target.note_miss());
    }
}
