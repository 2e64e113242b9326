//! The REST API of a Spark driver's UI.

use crate::config::Interval;
use serde::{Deserialize, Serialize};

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
