//! The public rules of grafana/dashboard-linter, by their names there, and some of our own.

use super::files::{exprs, panels};
use super::labels::Metrics;
use super::query;
use serde_json::Value;

/// Rules that a panel breaks with a reason: dashboard, panel, rule.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    // The mean over all runs that an agent knows; a window would miss the run that began the counter.
    ("fleet", "Jobs", "target-counter-agg"),
    // All clusters of Flink: their series have no name of a job.
    ("emr-yarn", "Flink slots", "target-choice"),
    ("emr-yarn", "TaskManagers", "target-choice"),
];
/// Windows besides `$__rate_interval`, which is for lines: what is shown, and spans of their own.
const WINDOWS: [&str; 4] = ["$__rate_interval", "$__range", "1d", "1h"];
/// Functions that make of a counter something to look at; `last_over_time` is only compared.
const OF_COUNTERS: [&str; 3] = ["rate", "increase", "last_over_time"];
/// A variable of one of these is in every query: by it the series of a page are chosen.
const CHOOSERS: [&str; 3] = ["job_name=~", "instance=~", "cluster=~"];

/// What is wrong with a dashboard.
pub(super) fn problems(name: &str, dashboard: &Value, metrics: &Metrics) -> Vec<String> {
    let mut problems = Vec::new();
    let mut check = |rule: &str, place: &str, is_kept: bool| {
        if !is_kept && !EXCEPTIONS.contains(&(name, place, rule)) {
            problems.push(format!("{name}: {place}: {rule}"));
        }
    };
    check("uneditable-dashboard", "", dashboard["editable"] == false);
    check("uid", "", dashboard["uid"] == format!("sidelight-{name}"));
    check("id", "", dashboard["id"].is_null());
    check("description", "", has_text(&dashboard["description"]));
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let source = variables.iter().find(|it| it["name"] == "datasource");
    let is_source =
        source.is_some_and(|it| it["type"] == "datasource" && it["query"] == "prometheus");
    check("template-datasource", "", is_source);
    for variable in variables.iter().filter(|it| it["type"] == "query") {
        let place = variable["name"].as_str().unwrap();
        check("template-on-time-change-reload", place, variable["refresh"] == 2);
        let definition = variable["definition"].as_str().unwrap();
        check("template-label-promql", place, is_label_values(definition, metrics));
        check("template-all", place, variable["allValue"] == ".+");
        check("template-datasource", place, variable["datasource"]["uid"] == "${datasource}");
    }
    let mut places = Vec::new();
    for panel in panels(dashboard) {
        let place = panel["title"].as_str().unwrap_or_default();
        check(
            "panel-title-description",
            place,
            !place.is_empty() && has_text(&panel["description"]),
        );
        places.push((panel["gridPos"].clone(), place));
        if panel["type"] == "text" {
            continue;
        }
        let uid = panel["datasource"]["uid"].as_str().unwrap_or_default();
        check("panel-datasource", place, uid == "${datasource}" || uid == "${logs}");
        check("panel-units", place, has_text(&panel["fieldConfig"]["defaults"]["unit"]));
        check("panel-no-targets", place, !panel["targets"].as_array().unwrap().is_empty());
        let targets = panel["targets"].as_array().unwrap();
        let is_line = panel["type"] == "timeseries";
        for target in targets {
            check("legend", place, !is_line || has_text(&target["legendFormat"]));
            check(
                "target-datasource",
                place,
                target["datasource"]["uid"] == panel["datasource"]["uid"],
            );
        }
        for expr in exprs(panel) {
            check_query(expr, metrics, &mut |rule, is_kept| check(rule, place, is_kept));
        }
    }
    for (index, (one, place)) in places.iter().enumerate() {
        check("overlap", place, !places[index + 1..].iter().any(|(other, _)| overlap(one, other)));
    }
    problems
}

fn has_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

fn check_query(expr: &str, metrics: &Metrics, check: &mut dyn FnMut(&str, bool)) {
    check("target-choice", CHOOSERS.iter().any(|chooser| expr.contains(chooser)));
    for used in query::read(expr).metrics {
        let function = used.function.as_deref().unwrap_or_default();
        let is_counter = metrics.is_counter(&used.name);
        check("target-counter-agg", !is_counter || OF_COUNTERS.contains(&function));
        check("target-counter-agg", is_counter || !["rate", "increase"].contains(&function));
        let window = used.window.as_deref();
        check("target-rate-interval", window.is_none_or(|it| WINDOWS.contains(&it)));
    }
}

/// `label_values(metric{...}, label)` of a metric and a label that the agent has.
fn is_label_values(definition: &str, metrics: &Metrics) -> bool {
    let inside = definition.strip_prefix("label_values(").and_then(|it| it.strip_suffix(')'));
    let Some((selector, label)) = inside.and_then(|it| it.rsplit_once(", ")) else { return false };
    let read = query::read(selector);
    let [used] = read.metrics.as_slice() else { return false };
    let Some(labels) = metrics.labels(&used.name) else { return false };
    let is_known = |it: &str| labels.contains(it) || it == "job" || it == "instance";
    is_known(label) && used.labels.iter().all(|it| is_known(it))
}

fn overlap(one: &Value, other: &Value) -> bool {
    let side = |at: &Value, start: &str, length: &str| {
        let start = at[start].as_u64().unwrap();
        start..start + at[length].as_u64().unwrap()
    };
    ["xw", "yh"].into_iter().all(|axis| {
        let (start, length) = axis.split_at(1);
        let (one, other) = (side(one, start, length), side(other, start, length));
        one.start < other.end && other.start < one.end
    })
}

#[test]
fn the_linter_finds_what_its_rules_are_about() {
    let metrics = Metrics::of_the_agent();
    let (name, good) = super::dashboards().into_iter().find(|it| it.0 == "agent").unwrap();
    assert_eq!(problems(&name, &good, &metrics), [""; 0]);
    let broken = |change: &dyn Fn(&mut Value)| {
        let mut dashboard = good.clone();
        change(&mut dashboard);
        problems(&name, &dashboard, &metrics)
    };
    // Panel 0 is a row, the next ones are single numbers of the agents.
    type Break<'b> = &'b dyn Fn(&mut Value);
    let cases: [(&str, Break<'_>); 7] = [
        ("uneditable-dashboard", &|it| it["editable"] = true.into()),
        ("panel-title-description", &|it| it["panels"][1]["description"] = "".into()),
        ("panel-units", &|it| it["panels"][1]["fieldConfig"]["defaults"]["unit"] = Value::Null),
        ("target-counter-agg", &|it| {
            it["panels"][1]["targets"][0]["expr"] =
                "sidelight_records_total{instance=~\"x\"}".into();
        }),
        ("target-rate-interval", &|it| {
            let expr = "rate(sidelight_records_total{instance=~\"x\"}[3m])";
            it["panels"][1]["targets"][0]["expr"] = expr.into();
        }),
        ("panel-datasource", &|it| it["panels"][1]["datasource"]["uid"] = "prom".into()),
        ("overlap", &|it| it["panels"][2]["gridPos"] = it["panels"][1]["gridPos"].clone()),
    ];
    for (rule, change) in cases {
        let found = broken(change);
        assert!(found.iter().any(|it| it.ends_with(rule)), "{rule}: {found:?}");
    }
}
