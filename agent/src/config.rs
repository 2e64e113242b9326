//! The config file: one strict TOML file, environment on top, every problem reported in one pass.
//!
//! [`Config::parse`] reads nothing but the files that the text names for it: a key, dictionaries. This file knows the sections; a component's section belongs to the
//! component, which is found by its name in [`EXPORTERS`] or [`SCRAPERS`].

pub mod check;
mod environment;
mod interpolate;
mod load;
mod problem;
mod report;
mod section;
mod sections;
mod source;
mod suggest;
mod tree;
pub mod units;

#[cfg(test)]
mod tests;

pub use environment::{Environment, environment};
pub(crate) use load::read_named;
pub use problem::{Place, Problem, Problems};
pub use section::Section;
pub use sections::{Admin, Batch, Job, Level, Limits, Log, Shutdown};
pub(crate) use suggest::closest;
pub use units::{Bytes, Interval};

use crate::export::{EXPORTERS, ExporterDefinition, ExporterSection};
use crate::findings::Thresholds;
use crate::model::SignalKind;
use crate::policy::{self, Redactors};
use crate::scrape::pricing;
use crate::scrape::{SCRAPERS, ScraperConfig, ScraperDefinition};
use crate::tail;
use crate::telemetry;
use report::Report;
use serde::{Deserialize, Serialize};
use source::{NOWHERE, Sources};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Everything that can be configured, checked.
#[derive(Debug)]
pub struct Config {
    /// Directory of checkpoints. Default `/var/lib/sidelight`.
    pub state_dir: PathBuf,
    /// The agent's own HTTP server.
    pub admin: Admin,
    /// What the operator knows of the job.
    pub job: Job,
    /// Which files are read, and how.
    pub tail: tail::Config,
    /// What is looked for in what is read, and what becomes of it.
    pub redaction: Arc<Redactors>,
    /// When a batch is sealed.
    pub batch: Batch,
    /// Memory and queues.
    pub limits: Limits,
    /// How the agent ends.
    pub shutdown: Shutdown,
    /// From where on something is a finding.
    pub findings: Thresholds,
    /// What executors cost.
    pub pricing: pricing::Config,
    /// The agent's own log.
    pub log: Log,
    /// Where the agent's own metrics and traces are pushed to.
    pub telemetry: telemetry::push::Config,
    /// Scrapers that run, in the order of their registry.
    pub scrapers: Vec<(&'static ScraperDefinition, Box<dyn ScraperConfig>)>,
    /// Exporters that run, in the order of their registry. At least one takes logs.
    pub exporters: Vec<(&'static ExporterDefinition, ExporterSection)>,
    settings: toml::Table,
}

/// Keys that stand above all sections.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Top {
    state_dir: PathBuf,
}

impl Default for Top {
    fn default() -> Self {
        Self { state_dir: PathBuf::from("/var/lib/sidelight") }
    }
}

impl Config {
    /// Makes a config from the text of a file and the environment. `name` is the file's name in
    /// messages. Fails with everything that is wrong.
    pub fn parse(name: &str, text: &str, environment: &Environment) -> Result<Self, Problems> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut report = Report::default();
        let mut sources = Sources::new(text);
        let (document, syntax) = DeTable::parse_recoverable(text);
        let document = document.into_inner();
        let resolved = interpolate::resolve(&document, text, environment, &mut report);
        let mut from_environment: BTreeSet<usize> = resolved.keys().copied().collect();

        let mut tree = document;
        tree::change_strings(&mut tree, &mut |value| {
            if let Some(text) = resolved.get(&value.span().start) {
                *value.get_mut() = DeValue::String(Cow::Borrowed(text));
            }
            false
        });
        let exporters = EXPORTERS.iter().filter(|exporter| exporter.is_default);
        add_defaults(&mut tree, "exporters", exporters.map(|exporter| exporter.name));
        let scrapers = SCRAPERS.iter().filter(|scraper| scraper.is_default);
        add_defaults(&mut tree, "scrapers", scrapers.map(|scraper| scraper.name));
        environment::apply(
            &mut tree,
            environment,
            &mut sources,
            &mut from_environment,
            &mut report,
        );

        let mut root =
            Root { tree, from_environment: &from_environment, environment, report: &mut report };
        let mut config = Self::from_root(&mut root);
        config.relate(&mut report);
        config.settings = std::mem::take(&mut report.settings);
        report.into_problems(name, &sources, &syntax).map_or(Ok(config), Err)
    }

    /// The whole config as a table, defaults filled in. Holds secrets: never print a value of it
    /// that is not known to be harmless.
    #[must_use]
    pub fn settings(&self) -> &toml::Table {
        &self.settings
    }

    fn from_root(root: &mut Root<'_>) -> Self {
        Self {
            admin: root.section("admin").parse(),
            job: Job::configure(&mut root.section("job")),
            tail: tail::Config::configure(&mut root.section("tail")),
            redaction: Arc::new(policy::configure(&mut root.section("redaction"))),
            batch: Batch::configure(&mut root.section("batch")),
            limits: Limits::configure(&mut root.section("limits")),
            shutdown: Shutdown::configure(&mut root.section("shutdown")),
            findings: Thresholds::configure(&mut root.section("findings")),
            pricing: pricing::Config::configure(&mut root.section("pricing")),
            log: root.section("log").parse(),
            telemetry: telemetry::push::Config::configure(&mut root.section("telemetry")),
            scrapers: root.components(
                "scrapers",
                SCRAPERS,
                |it| it.name,
                |it, section| (it.configure)(section),
            ),
            exporters: root.components(
                "exporters",
                EXPORTERS,
                |it| it.name,
                ExporterDefinition::configure_all,
            ),
            // Last: what no section has claimed is unknown.
            state_dir: root.top().state_dir,
            settings: toml::Table::new(),
        }
    }

    /// Laws that hold between keys of different sections.
    fn relate(&self, report: &mut Report) {
        report.require(&["state_dir"], self.state_dir.is_absolute(), || {
            "must be an absolute path".to_owned()
        });
        // A batch is sealed by the record that fills it, and redaction comes before: the tail
        // thread would wait for ever for a budget that can never hold its batch.
        let batch_bytes_max = self.batch.bytes_max.0.saturating_add(self.tail.record_bytes_max.0);
        let keys = ["limits.memory_bytes_max", "batch.bytes_max", "tail.record_bytes_max"];
        report.require(&keys, batch_bytes_max <= self.limits.memory_bytes_max.0, || {
            format!(
                "limits.memory_bytes_max ({} bytes) must hold batch.bytes_max and \
                 tail.record_bytes_max together ({batch_bytes_max} bytes)",
                self.limits.memory_bytes_max.0
            )
        });
        for (exporter, section) in &self.exporters {
            // Else there could be a batch that never fits.
            let spool_bytes_max = section.lane.spool_bytes_max.0;
            let is_enough =
                spool_bytes_max == 0 || spool_bytes_max >= self.limits.memory_bytes_max.0;
            let key = format!("exporters.{}.lane.spool_bytes_max", exporter.name);
            report.require(&[&key, "limits.memory_bytes_max"], is_enough, || {
                "must be 0 or at least limits.memory_bytes_max".to_owned()
            });
        }
        // The tail leaves this file alone, but not those that a rotation makes of it.
        for (exporter, section) in &self.exporters {
            let Some(output) = section.exporter.output() else { continue };
            let globs = |patterns: &[String]| -> bool {
                let matches = |glob: globset::Glob| glob.compile_matcher().is_match(output);
                patterns.iter().filter_map(|pattern| tail::glob(pattern).ok()).any(matches)
            };
            let is_read = globs(&self.tail.include) && !globs(&self.tail.exclude);
            let key = format!("exporters.{}.path", exporter.name);
            report.require(&[&key, "tail.include"], !is_read, || {
                "tail.include matches this file; add it to tail.exclude".to_owned()
            });
        }
        let wants_logs = |(definition, section): &(&ExporterDefinition, ExporterSection)| {
            section.signals(definition).any(|signal| signal == SignalKind::Logs)
        };
        let takes_logs = self.exporters.iter().any(wants_logs);
        report.require(&["exporters"], takes_logs, || {
            let names = EXPORTERS.iter().filter(|it| it.signals.contains(&SignalKind::Logs));
            let names: Vec<String> = names.map(|it| format!("[exporters.{}]", it.name)).collect();
            format!("no exporter takes logs; add {}", names.join(" or "))
        });
    }
}

/// A kind of component without a section of its own gets the sections of its defaults.
fn add_defaults(
    tree: &mut DeTable<'_>,
    kind: &'static str,
    names: impl Iterator<Item = &'static str>,
) {
    if tree.contains_key(kind) {
        return;
    }
    let key = |name| Spanned::new(NOWHERE, Cow::Borrowed(name));
    let table = |table| Spanned::new(NOWHERE, DeValue::Table(table));
    let sections = names.map(|name| (key(name), table(DeTable::new()))).collect();
    tree.insert(key(kind), table(sections));
}

/// The document while its sections are taken out one by one.
struct Root<'a> {
    tree: DeTable<'a>,
    from_environment: &'a BTreeSet<usize>,
    environment: &'a Environment,
    report: &'a mut Report,
}

impl<'a> Root<'a> {
    fn section(&mut self, path: &str) -> Section<'_> {
        let entry = self.tree.remove(path);
        let (span, table) = self.expect_table(path, entry);
        self.make_section(path, span, table)
    }

    fn top(&mut self) -> Top {
        let table = std::mem::take(&mut self.tree);
        self.make_section("", NOWHERE, table).parse()
    }

    fn make_section<'s>(
        &'s mut self,
        path: &str,
        span: Range<usize>,
        table: DeTable<'s>,
    ) -> Section<'s> {
        let (path, report) = (path.to_owned(), &mut *self.report);
        let (from_environment, environment) = (self.from_environment, self.environment);
        Section { path, span, table, from_environment, environment, report }
    }

    fn expect_table(
        &mut self,
        path: &str,
        entry: Option<Spanned<DeValue<'a>>>,
    ) -> (Range<usize>, DeTable<'a>) {
        let span = entry.as_ref().map_or(NOWHERE, Spanned::span);
        let table = match entry.map(Spanned::into_inner) {
            None => DeTable::new(),
            Some(DeValue::Table(table)) => table,
            Some(other) => {
                let what = format!("expected a section [{path}], found {}", in_words(&other));
                self.report.add(span.clone(), path, what);
                DeTable::new()
            }
        };
        (span, table)
    }

    /// The components of one kind that have a section, each configured by its own definition.
    fn components<D, C>(
        &mut self,
        kind: &str,
        registry: &'static [D],
        name_of: fn(&D) -> &'static str,
        configure: fn(&D, &mut Section<'_>) -> C,
    ) -> Vec<(&'static D, C)> {
        let names: Vec<String> = registry.iter().map(|it| name_of(it).to_owned()).collect();
        let entry = self.tree.remove(kind);
        let (span, mut table) = self.expect_table(kind, entry);
        self.report.add_place(kind.to_owned(), span, false);
        self.report.add_known(names.iter().map(|name| format!("{kind}.{name}")));
        let mut configured = Vec::new();
        for definition in registry {
            let path = format!("{kind}.{}", name_of(definition));
            if let Some(entry) = table.remove(name_of(definition)) {
                let (span, section) = self.expect_table(&path, Some(entry));
                let mut section = self.make_section(&path, span, section);
                configured.push((definition, configure(definition, &mut section)));
            }
        }
        for (key, _) in table {
            let path = format!("{kind}.{}", key.get_ref());
            let what = format!("unknown {}", kind.trim_end_matches('s'));
            self.report.add_unknown(key.span(), &path, &what, names.clone());
        }
        configured
    }
}

fn in_words(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Array(_) => "a list",
        _ => value.type_str(),
    }
}
