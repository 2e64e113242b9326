//! Writes log records as JSON lines to a file or to standard output.

use crate::config::Section;
use crate::export::{ExporterConfig, ExporterDefinition};
use crate::model::SignalKind;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `file`
pub const DEFINITION: ExporterDefinition =
    ExporterDefinition { name: "file", signals: &[SignalKind::Logs], is_default: true, configure };

fn configure(section: &mut Section<'_>) -> Box<dyn ExporterConfig> {
    let config: Config = section.parse();
    let is_named = config.path.file_name().is_some();
    section.require("path", is_named, "must name a file, or `-` for standard output");
    Box::new(config)
}

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

impl ExporterConfig for Config {}
