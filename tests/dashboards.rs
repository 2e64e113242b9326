//! Dashboards as they are shipped: what they ask for is what the agent emits, and Grafana and Prometheus
//! take them.

mod alertmanager;
mod files;
mod labels;
mod lint;
mod query;
pub(crate) mod real;
mod tools;

use files::{Query, dashboards, panels, queries, recorded};
use labels::Metrics;
use std::collections::BTreeSet;

/// Names that stand behind no metric of the agent: Prometheus makes them.
const OF_PROMETHEUS: [&str; 2] = ["up", "ALERTS"];

#[test]
fn every_metric_and_label_that_is_asked_for_is_one_that_the_agent_emits() {
    let metrics = Metrics::of_the_agent();
    let queries = queries();
    assert!(queries.len() > 200, "{} queries were found", queries.len());
    let problems: Vec<String> =
        queries.iter().flat_map(|query| problems_of(query, &metrics)).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// What of one query the agent does not emit.
fn problems_of(query: &Query, metrics: &Metrics) -> Vec<String> {
    let read = query::read(&query.expr);
    let mut problems = Vec::new();
    let mut known: BTreeSet<&str> = ["job", "instance"].into();
    let mut is_open = false;
    for used in &read.metrics {
        if OF_PROMETHEUS.contains(&used.name.as_str()) || recorded().contains(&used.name) {
            is_open = true;
            continue;
        }
        let Some(labels) = metrics.labels(&used.name) else {
            problems.push(format!("{}: no metric {}", query.place, used.name));
            continue;
        };
        for label in &used.labels {
            if !labels.contains(label.as_str()) && label != "job" && label != "instance" {
                problems.push(format!("{}: {} has no label {label}", query.place, used.name));
            }
        }
        known.extend(labels);
    }
    for label in &read.grouping {
        if !is_open && !known.contains(label.as_str()) {
            problems.push(format!("{}: nothing in it has the label {label}", query.place));
        }
    }
    if read.metrics.is_empty() {
        problems.push(format!("{}: asks for no metric", query.place));
    }
    problems
}

#[test]
fn a_wrong_name_or_label_is_told() {
    let metrics = Metrics::of_the_agent();
    let check = |expr: &str| {
        let query = Query { place: String::new(), expr: expr.to_owned() };
        problems_of(&query, &metrics).len()
    };
    assert_eq!(check(r#"sum by (state) (spark_app_slots{job_name=~"$job_name",state="busy"})"#), 0);
    assert_eq!(check("rate(spark_stage_duration_seconds_bucket[5m])"), 0);
    assert_eq!(check("spark_app_slot"), 1);
    assert_eq!(check(r#"spark_app_slots{status="busy"}"#), 1);
    assert_eq!(check("sum by (executor) (spark_app_slots)"), 1);
    assert_eq!(check("vector(0)"), 1);
}

#[test]
fn every_dashboard_keeps_the_rules_of_the_linter() {
    let metrics = Metrics::of_the_agent();
    let dashboards = dashboards();
    assert_eq!(dashboards.len(), 7);
    let mut problems = Vec::new();
    for (name, dashboard) in &dashboards {
        problems.extend(lint::problems(name, dashboard, &metrics));
        assert!(panels(dashboard).count() > 10, "{name} has panels");
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn generated_files_are_what_the_tables_say() {
    tools::generator_is_content();
}

#[test]
fn prometheus_takes_every_query_of_every_panel_and_rule() {
    tools::promtool_takes(&queries());
}

#[test]
fn every_alert_fires_when_it_should_and_only_then() {
    tools::promtool_runs_tests();
}

#[test]
fn every_alert_has_its_page_and_its_four_tests() {
    let mut n_alerts = 0;
    for path in files::rule_files() {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().replace("alerts-", "");
        for alert in text.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
            n_alerts += 1;
            let page = files::folder().join(format!("runbooks/{alert}.md"));
            assert!(page.is_file(), "{}", page.display());
            let tests = files::folder().join("prometheus/tests").join(&*name);
            let tests = std::fs::read_to_string(&tests).unwrap();
            for scene in ["fires", "silent", "missing", "agent starts anew"] {
                assert!(tests.contains(&format!("name: \"{alert}: {scene}\"")), "{alert}: {scene}");
            }
        }
    }
    assert!(n_alerts > 40, "{n_alerts} alerts");
}

#[test]
fn grafanas_own_types_take_every_dashboard() {
    tools::types_take_dashboards();
}
