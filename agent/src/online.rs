//! `sidelight check --online`: asks every destination whether all will work, and writes nothing there.

use crate::config::Config;
use crate::export::{Finding, Shared};
use crate::identity;
use std::fmt::Write;

/// What the destinations say, a line each, and whether all will work.
pub async fn check(config: &Config) -> (String, bool) {
    let mut shared = Shared::new(config.redaction.clone(), &config.state_dir);
    shared.given = identity::given_of_every_job(&config.job, config.redaction.base());
    let (mut text, mut is_good) = (String::new(), true);
    for (definition, section) in &config.exporters {
        for finding in section.exporter.probe(&section.lane, &shared).await {
            is_good &= !matches!(finding, Finding::Bad(_));
            let (word, told) = match finding {
                Finding::Good(told) => ("ok", told),
                Finding::Doubt(told) => ("note", told),
                Finding::Bad(told) => ("FAILED", told),
            };
            // A write to a string does not fail.
            let _ = writeln!(text, "{}: {word}: {told}", definition.name);
        }
    }
    if text.is_empty() {
        text.push_str("no destination that can be asked\n");
    }
    text.pop();
    (text, is_good)
}
