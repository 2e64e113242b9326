//! Writes log records as JSON lines to a file or to standard output.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[exporters.file]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the records go; `-` is standard output. Default `-`.
    pub path: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Self { path: PathBuf::from("-") }
    }
}
