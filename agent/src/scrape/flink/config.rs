//! `[scrapers.flink]`.

use super::{FlinkScraper, SetupError};
use crate::config::{Interval, Section};
use crate::export::BuildError;
use crate::scrape::http::access::AccessFiles;
use crate::scrape::http::{Client, Limits};
use crate::scrape::{Scraper, ScraperConfig, Shared};
use crate::tls;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Most vertices with series of their own.
const VERTICES_MAX: usize = 256;
/// Most further metrics.
const METRICS_MAX: usize = 50;

/// `[scrapers.flink]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Base URLs of JobManagers, such as `http://127.0.0.1:8081`; several of one cluster are those of
    /// its leaders. Empty: port 8081 of this host is asked.
    pub urls: Vec<String>,
    /// Time between two rounds. Default `10s`, at least `1s`; never shorter than the cluster's own
    /// `metrics.fetcher.update-interval`. It doubles by itself while the JobManager is slow.
    pub interval: Interval,
    /// How long the last samples of a job stay after it ended. Default `5m`; `0` takes them away at
    /// once. It should be longer than two scrapes of `/metrics`.
    pub linger: Interval,
    /// Vertices of a job that are read one by one, a request each, and have series of their own; the
    /// counters of all others are added up as `__other__`. Default 20, from 0 to 256.
    pub vertices_max: usize,
    /// Further metrics of vertices, by how their names end, such as
    /// `rocksdb_estimate-live-data-size`. Default none.
    pub metrics: Vec<String>,
    /// PEM file with the authorities that `https` trusts. Default: those of the system.
    pub ca_file: Option<PathBuf>,
    /// PEM file with the certificate that the agent shows, for mutual TLS. Default none.
    pub certificate_file: Option<PathBuf>,
    /// PEM file with its private key.
    pub key_file: Option<PathBuf>,
    /// Name for basic authentication. Default none.
    pub username: Option<String>,
    /// File with its password. All files are read again when they change.
    pub password_file: Option<PathBuf>,
    /// File with a bearer token. Default none.
    pub token_file: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            interval: Interval::from_secs(10),
            linger: Interval::from_secs(300),
            vertices_max: 20,
            metrics: Vec::new(),
            ca_file: None,
            certificate_file: None,
            key_file: None,
            username: None,
            password_file: None,
            token_file: None,
        }
    }
}

impl Config {
    /// The files that say who the agent is and whom it trusts.
    pub(super) fn files(&self) -> AccessFiles {
        AccessFiles {
            tls: tls::Files {
                ca: self.ca_file.clone(),
                certificate: self.certificate_file.clone(),
                key: self.key_file.clone(),
            },
            username: self.username.clone(),
            password: self.password_file.clone(),
            token: self.token_file.clone(),
        }
    }
}

impl ScraperConfig for Config {
    fn build(&self, shared: &Shared) -> Result<Box<dyn Scraper>, BuildError> {
        let scraper = FlinkScraper::new(self, shared);
        let failed =
            |error: SetupError| BuildError { section: "scrapers.flink", reason: error.to_string() };
        Ok(Box::new(scraper.map_err(failed)?))
    }
}

pub(super) fn configure(section: &mut Section<'_>) -> Box<dyn ScraperConfig> {
    for (key, file) in [("password", "password_file"), ("token", "token_file")] {
        section.refuse(
            key,
            &format!(
                "a secret never stands in a config: put it into a file and name that with `{file}`"
            ),
        );
    }
    let config: Config = section.parse();
    let interval_s = config.interval.0.as_secs();
    section.require("interval", (1..=3_600).contains(&interval_s), "must be from 1s to 1h");
    let is_in_range = config.vertices_max <= VERTICES_MAX;
    section.require("vertices_max", is_in_range, "must be from 0 to 256");
    let is_few = config.metrics.len() <= METRICS_MAX;
    section.require("metrics", is_few, "must be 50 names at most");
    let has_secret = config.password_file.is_some() || config.token_file.is_some();
    section.require_each("urls", &config.urls, |url| {
        match Client::with_tls(url, Limits::default()) {
            Err(error) => Some(error.to_string().replace(":4040", ":8081")),
            Ok(client) if has_secret && !client.is_tls() && !is_loopback(client.host()) => {
                Some("must begin with https://, as a password or token is sent to it".to_owned())
            }
            Ok(_) => None,
        }
    });
    section.require_each("metrics", &config.metrics, |name| {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b',';
        let is_name = (1..=128).contains(&name.len()) && name.bytes().all(is_plain);
        (!is_name).then(|| "must be the end of a metric's name: 1 to 128 characters".to_owned())
    });
    let both = |one: bool, two: bool| one == two;
    let has_key = both(config.certificate_file.is_some(), config.key_file.is_some());
    section.require("certificate_file", has_key, "needs `key_file`, and that needs it");
    let has_password = both(config.username.is_some(), config.password_file.is_some());
    section.require("username", has_password, "needs `password_file`, and that needs it");
    let is_one = config.token_file.is_none() || config.password_file.is_none();
    section.require("token_file", is_one, "there is a `password_file` too; keep one of them");
    let has_files = has_secret || config.ca_file.is_some() || config.certificate_file.is_some();
    let is_named = !has_files || !config.urls.is_empty();
    section.require("urls", is_named, "must name whom certificates, passwords and tokens are for");
    Box::new(config)
}

/// True for what does not leave this host.
fn is_loopback(host: &str) -> bool {
    host == "localhost" || host == "[::1]" || host.starts_with("127.")
}
