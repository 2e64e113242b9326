//! The few lines that the agent prints when it starts: what it watches, where it sends, where its
//! state is.

use crate::config::Config;
use crate::tail::discover::Finder;
use redaction::Redactor;
use std::net::SocketAddr;
use std::path::Path;

/// Prints the lines to standard error, as standard output may carry records.
pub(super) fn print(
    config: &Config,
    admin: SocketAddr,
    n_known: usize,
    finder: &Finder,
    redactor: &Redactor,
) {
    let n_files = finder.find().len();
    let watch = match config.tail.include.as_slice() {
        [] => "no log files: give --logs GLOB or set tail.include".to_owned(),
        globs => format!("{} ({n_files} files now, {n_known} known)", globs.join(", ")),
    };
    let scrapers: Vec<&str> = config.scrapers.iter().map(|(it, _)| it.name).collect();
    let exporters: Vec<&str> = config.exporters.iter().map(|(it, _)| it.name).collect();
    // Paths and globs are free text of the operator.
    say("logs    ", &redactor.value(&watch));
    say("scrapes ", &or_nothing(&scrapers));
    say("sends to", &or_nothing(&exporters));
    say("state in", &redactor.value(&config.state_dir.to_string_lossy()));
    say("metrics ", &format!("http://{admin}/metrics"));
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

fn say(what: &str, text: &str) {
    tracing::info!("{what} {text}");
}
