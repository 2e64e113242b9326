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

/// JSON holds the texts of enums, not their names; data sources and variables have fields of their own.
const TYPES: &str = r"
import type { AnnotationQuery, Dashboard, Panel, RowPanel, VariableModel } from '@grafana/schema';
type Json<T> = T extends string ? `${T}` : T extends (infer U)[] ? Json<U>[]
  : T extends object ? { [K in keyof T]: Json<T[K]> } : T;
type Variable = VariableModel & { definition?: string };
type Annotation = AnnotationQuery
  & { expr?: string; titleFormat?: string; textFormat?: string; useValueForTime?: boolean };
export type Shipped = Json<Omit<Dashboard, 'templating' | 'annotations' | 'panels'> & {
  templating: { list: Variable[] };
  annotations: { list: Annotation[] };
  panels: (Panel | RowPanel)[];
}>;
";

/// The compiler of TypeScript finds nothing that is not in Grafana's types, and does find a mistake.
pub(super) fn types_take_dashboards() {
    if !peers::are_wanted() {
        return say("types of Grafana: skipped; tests/run starts real peers");
    }
    let (scratch, types) = (Scratch::new(), peers::grafana_types());
    std::os::unix::fs::symlink(types.join("node_modules"), scratch.join("node_modules")).unwrap();
    std::fs::write(scratch.join("shipped.ts"), TYPES).unwrap();
    let typed = |name: &str, dashboard: &serde_json::Value| {
        let head = "import type { Shipped } from './shipped';\nexport const it: Shipped = ";
        std::fs::write(scratch.join(&format!("{name}.ts")), format!("{head}{dashboard};\n"))
            .unwrap();
        format!("{name}.ts")
    };
    let compile = |names: &[String]| {
        let mut tsc = Command::new(types.join("node_modules/.bin/tsc"));
        tsc.args(["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022"]);
        tsc.args(["--module", "esnext", "--moduleResolution", "bundler"]);
        tsc.args(names).current_dir(scratch.join("")).output().expect("tsc starts")
    };
    let dashboards = super::dashboards();
    let names: Vec<String> = dashboards.iter().map(|(name, it)| typed(name, it)).collect();
    let output = compile(&names);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let mut wrong = dashboards[0].1.clone();
    wrong["panels"][1]["fieldConfig"]["defaults"]["thresholds"]["mode"] = "absolut".into();
    assert!(!compile(&[typed("wrong", &wrong)]).status.success(), "a mistake is found");
}
