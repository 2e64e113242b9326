//! Programs of others that judge what is shipped.

use super::files::{Query, folder, rule_files};
use crate::harness::peers;
use crate::harness::report::say;
use crate::harness::scratch::Scratch;
use serde_json::json;
use std::process::{Child, Command, Stdio};

/// `generate.py --check` has nothing to say.
pub(super) fn generator_is_content() {
    let output = Command::new("python3")
        .arg(folder().join("generate.py"))
        .arg("--check")
        .output()
        .expect("python3 starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// A query as Prometheus gets it: the variables of Grafana have values.
pub(super) fn filled_in(expr: &str) -> String {
    [
        ("$__rate_interval", "1m"),
        ("$__range", "1h"),
        ("$core_hour", "0.05"),
        ("$gib_hour", "0.006"),
        ("$engine", ".+"),
        ("$job_name", ".+"),
        ("$slot", ".+"),
        ("$cluster", ".+"),
        ("$instance", ".+"),
        ("$job", ".+"),
    ]
    .into_iter()
    .fold(expr.to_owned(), |expr, (variable, value)| expr.replace(variable, value))
}

/// `promtool check rules` takes all of them as rules, and the files of rules themselves.
pub(super) fn promtool_takes(queries: &[Query]) {
    if !peers::are_wanted() {
        return say("promtool: skipped; tests/run starts real peers");
    }
    let scratch = Scratch::new();
    let rules: Vec<_> = queries
        .iter()
        .enumerate()
        .map(|(index, query)| {
            let labels = json!({"number": index.to_string(), "place": query.place});
            json!({"record": "a:b", "labels": labels, "expr": filled_in(&query.expr)})
        })
        .collect();
    let path = scratch.join("rules.yml");
    // JSON is YAML.
    let document = json!({"groups": [{"name": "all", "rules": rules}]});
    std::fs::write(&path, document.to_string()).unwrap();
    let mut promtool = Command::new(peers::prometheus_tool("promtool"));
    promtool.args(["check", "rules"]).arg(&path).args(rule_files());
    check(promtool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
}

/// `promtool test rules`, one process for each file of tests.
pub(super) fn promtool_runs_tests() {
    if !peers::are_wanted() {
        return say("promtool: skipped; tests/run starts real peers");
    }
    let tests = std::fs::read_dir(folder().join("prometheus/tests")).unwrap();
    let running: Vec<Child> = tests
        .map(|entry| {
            let mut promtool = Command::new(peers::prometheus_tool("promtool"));
            promtool.args(["test", "rules"]).arg(entry.unwrap().path());
            promtool.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    assert!(running.len() > 3, "the tests were found");
    running.into_iter().for_each(check);
}

#[track_caller]
fn check(program: Child) {
    let output = program.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}
