//! Reads what `dashboards/` ships.

use serde_json::Value;
use std::path::{Path, PathBuf};

/// One query of a panel, and where it stands.
#[derive(Debug)]
pub(super) struct Query {
    /// Dashboard and panel, for messages.
    pub(super) place: String,
    /// As it is written, with the variables of Grafana.
    pub(super) expr: String,
}

/// The folder `dashboards/`.
pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards")
}

/// Every dashboard by the name of its file.
pub(super) fn dashboards() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder().join("grafana")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "json") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read(&path).unwrap();
            found.push((name, serde_json::from_slice(&text).unwrap()));
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

/// The panels of a dashboard, without rows.
pub(super) fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row")
}

/// What a panel asks Prometheus for.
pub(super) fn exprs(panel: &Value) -> impl Iterator<Item = &str> {
    let targets = panel["targets"].as_array().into_iter().flatten();
    let asked = targets.filter(|target| target["datasource"]["type"] == "prometheus");
    asked.map(|target| target["expr"].as_str().unwrap())
}

/// Every query of every panel, annotation and rule.
pub(super) fn queries() -> Vec<Query> {
    let mut found = rules();
    for (name, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            let place = format!("{name}: {}", panel["title"].as_str().unwrap());
            found.extend(
                exprs(panel).map(|expr| Query { place: place.clone(), expr: expr.to_owned() }),
            );
        }
        let annotations = dashboard["annotations"]["list"].as_array().unwrap();
        for expr in annotations.iter().filter_map(|it| it["expr"].as_str()) {
            let place = format!("{name}: annotations");
            found.push(Query { place, expr: expr.to_owned() });
        }
    }
    found
}

/// The files of rules.
pub(super) fn rule_files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder().join("prometheus")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|it| it == "yml")).collect()
}

/// The names that recording rules give.
pub(super) fn recorded() -> Vec<String> {
    let text = std::fs::read_to_string(folder().join("prometheus/recording.yml")).unwrap();
    let names = text.lines().filter_map(|line| line.trim().strip_prefix("- record: "));
    names.map(|name| name.trim_matches('"').to_owned()).collect()
}

/// The queries of rules: as the generator writes them, `expr: |-` with the query in the next line.
fn rules() -> Vec<Query> {
    let mut found = Vec::new();
    for path in rule_files() {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut name = "";
        let mut lines = text.lines().map(str::trim);
        while let Some(line) = lines.next() {
            if let Some((_, of_rule)) =
                line.split_once("- alert: ").or_else(|| line.split_once("- record: "))
            {
                name = of_rule;
            }
            if line == "expr: |-" {
                let place = format!("{}: {name}", path.file_name().unwrap().to_string_lossy());
                found.push(Query { place, expr: lines.next().unwrap().to_owned() });
            }
        }
    }
    assert!(found.len() > 50, "{} rules were found", found.len());
    found
}
