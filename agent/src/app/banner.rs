//! The few lines that the agent prints when it starts: what it watches, where it sends, where its
//! state is.

use crate::config::Config;
use crate::export::{ExporterDefinition, ExporterSection, spool};
use crate::model::SignalKind;
use crate::tail::discover::Finder;
use std::net::SocketAddr;
use std::path::Path;

/// Prints the lines to standard error, as standard output may carry records.
pub(super) fn print(config: &Config, admin: SocketAddr, finder: &mut Finder) {
    let redactor = config.redaction.base();
    finder.scan(std::time::Instant::now());
    let n_files = finder.found().len();
    // Paths and globs are free text of the operator.
    let globs = redactor.value(&config.tail.include.join(", "));
    let state_dir = redactor.value(&config.state_dir.to_string_lossy());
    let scrapers: Vec<&str> = config.scrapers.iter().map(|(it, _)| it.name).collect();
    let exporters: Vec<&str> = config.exporters.iter().map(|(it, _)| it.name).collect();
    if globs.is_empty() {
        tracing::warn!("logs     none: give --logs GLOB or set tail.include");
    } else {
        tracing::info!("logs     {globs} ({n_files} files now)");
    }
    tracing::info!("scrapes  {}", or_nothing(&scrapers));
    tracing::info!("sends to {}", or_nothing(&exporters));
    for (definition, section) in &config.exporters {
        if let Some(told) = section.exporter.describe() {
            tracing::info!("sends to {}: {told}", definition.name);
        }
    }
    let profile = config.redaction.policy().profile.name();
    let (n_types, hash) = (redactor.counts().len(), redactor.rules_hash());
    tracing::info!("redacts  profile {profile}, {n_types} types, rules {hash}");
    for rule in redactor.slow_rules() {
        // A rule's name is one of capitals, digits and `_`: the redactor took it for a type.
        tracing::warn!(
            rule,
            "no text that this rule finds has a fixed part, so it is tried everywhere"
        );
    }
    tracing::info!("state in {state_dir}");
    tracing::info!("metrics  http://{admin}/metrics");
    for (exporter, bytes) in spool::orphans(&config.state_dir, &exporters) {
        let exporter = redactor.value(&exporter);
        tracing::warn!(
            bytes,
            "the spool of [exporters.{exporter}] is not empty, and that is not in the config: add it \
             to have the records delivered, or remove its folder in the state folder"
        );
    }
    let wants_metrics = |(definition, section): &(&ExporterDefinition, ExporterSection)| {
        section.signals(definition).any(|signal| signal == SignalKind::Metrics)
    };
    let has_metrics = !scrapers.is_empty();
    if has_metrics && !config.exporters.iter().any(wants_metrics) {
        tracing::warn!(
            "metrics of jobs go nowhere: add [exporters.prometheus] or [exporters.cloudwatch_metrics]"
        );
    } else if has_metrics && !exporters.contains(&"prometheus") {
        tracing::info!("metrics of jobs are not on /metrics: add [exporters.prometheus]");
    }
    for glob in &config.tail.include {
        if Path::new(glob).is_dir() {
            let glob = redactor.value(glob);
            tracing::warn!(%glob, "this is a folder; write {glob}/** to read the files in it");
        }
    }
}

fn or_nothing(names: &[&str]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
