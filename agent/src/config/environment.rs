//! Variables such as `SIDELIGHT_TAIL__POLL_INTERVAL` that set a key by its path.
//!
//! They change and add keys and sections; none can take a section away.

use super::report::Report;
use super::source::Sources;
use super::tree::join;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Environment variables by name.
pub type Environment = BTreeMap<String, OsString>;

/// Most keys in a path; no key lies deeper, and a deep tree could use up the stack.
const PATH_KEYS_MAX: usize = 8;

const PREFIX: &str = "SIDELIGHT_";

/// Names that tests of this program use for themselves.
const TEST_PREFIX: &str = "SIDELIGHT_TEST_";

/// The environment of this process. A name that is not UTF-8 can set no key and is left out.
#[must_use]
pub fn environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .collect()
}

/// Name of the variable that sets the key at `path`.
pub(super) fn variable_name(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "__").to_ascii_uppercase())
}

/// Writes every variable that is meant for this config into the tree.
pub(super) fn apply<'a>(
    tree: &mut DeTable<'a>,
    environment: &'a Environment,
    sources: &mut Sources<'a>,
    from_environment: &mut BTreeSet<usize>,
    report: &mut Report,
) {
    for (name, value) in environment {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        if name.starts_with(TEST_PREFIX) || is_service_link(rest) {
            continue;
        }
        let span = sources.add_variable(name, value.len());
        from_environment.insert(span.start);
        let path = rest.to_ascii_lowercase();
        let keys: Vec<&str> = path.split("__").collect();
        match value.to_str() {
            _ if keys.len() > PATH_KEYS_MAX => {
                report.add(span, "", "no key lies as deep as this".to_owned());
            }
            None => report.add(span, &keys.join("."), "the value is not UTF-8".to_owned()),
            Some(value) => set(tree, &keys, value, &span, report),
        }
    }
}

/// Kubernetes sets `SIDELIGHT_SERVICE_HOST`, `SIDELIGHT_PORT_9779_TCP` and more in every pod of a
/// namespace that has a service named `sidelight` or `sidelight-…`; they are no keys of ours.
fn is_service_link(rest: &str) -> bool {
    let (before, port) = match rest.strip_prefix("PORT") {
        Some(port) => ("", port),
        None => rest.split_once("_PORT").unwrap_or((rest, "x")),
    };
    let is_port = port.is_empty() || port.starts_with('_') && !port.starts_with("__");
    let is_host = rest == "SERVICE_HOST" || rest.ends_with("_SERVICE_HOST");
    (is_host || is_port) && !before.contains("__")
}

fn set<'a>(
    tree: &mut DeTable<'a>,
    keys: &[&str],
    value: &'a str,
    span: &Range<usize>,
    report: &mut Report,
) {
    let Some((last, sections)) = keys.split_last() else { return };
    let mut table = tree;
    let mut path = String::new();
    for key in sections {
        path = join(&path, key);
        let key = Spanned::new(span.clone(), Cow::Owned((*key).to_owned()));
        let entry = table
            .entry(key)
            .or_insert_with(|| Spanned::new(span.clone(), DeValue::Table(DeTable::new())));
        let DeValue::Table(inner) = entry.get_mut() else {
            let what = format!("{path} is a key with a value, so nothing can stand below it");
            return report.add(span.clone(), &keys.join("."), what);
        };
        table = inner;
    }
    if table.get(*last).is_some_and(|old| old.get_ref().is_table()) {
        let what = format!(
            "this is a section; set one of its keys with {}__KEY",
            variable_name(&keys.join("."))
        );
        return report.add(span.clone(), &keys.join("."), what);
    }
    // The old entry goes first: a map keeps the place of a key that it already has.
    table.remove(*last);
    let key = Spanned::new(span.clone(), Cow::Owned((*last).to_owned()));
    table.insert(key, Spanned::new(span.clone(), DeValue::String(Cow::Borrowed(value))));
}

#[cfg(test)]
mod tests {
    use super::{is_service_link, variable_name};

    #[test]
    fn names_that_kubernetes_makes_for_services_are_left_alone() {
        for name in [
            "SERVICE_HOST",
            "SERVICE_PORT",
            "SERVICE_PORT_METRICS",
            "PORT",
            "PORT_9779_TCP",
            "PORT_9779_TCP_ADDR",
            "ADMIN_SERVICE_HOST",
            "ADMIN_PORT_80_TCP_PROTO",
            "ADMIN_PORT",
        ] {
            assert!(is_service_link(name), "{name}");
        }
        for name in [
            "STATE_DIR",
            "JOB_NAME",
            "ADMIN__LISTEN",
            "EXPORTERS__S3__PORT",
            "PORTABLE",
            "EXPORTERS__S3__PORT_MAX",
        ] {
            assert!(!is_service_link(name), "{name}");
        }
    }

    #[test]
    fn a_path_has_one_variable() {
        assert_eq!(variable_name("exporters.s3.bucket"), "SIDELIGHT_EXPORTERS__S3__BUCKET");
    }
}
