//! dashboards/cloudwatch: widgets, alarms and queries name what the agent sends, as it sends it.

use super::examples::run_checker_with;
use super::shipped;
use crate::cloudwatch::moto::Moto;
use crate::harness::peers;
use crate::harness::report::say;
use crate::harness::scratch::Scratch;
use crate::tidy::keys_of_a_full_record;
use serde_json::Value;
use sidelight::export::cloudwatch_metrics::table::{AGENT, Row, TABLE};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// Columns of a dashboard.
const COLUMNS: u64 = 24;
/// Values of the third dimension that widgets and alarms may name.
const VALUES: [(&str, &[&str]); 5] = [
    ("outcome", &["succeeded", "failed", "killed", "unknown", "completed"]),
    ("state", &["busy", "idle", "active", "dead", "excluded"]),
    ("medium", &["memory", "disk"]),
    ("kind", &["event_time", "processing"]),
    ("reason", &[]),
];
/// What the events of metrics have beside dimensions and metrics: labels and ids of the run.
const PROPERTIES: [&str; 7] =
    ["engine", "slot", "app_id", "run_id", "user_id", "engine_version", "agent_version"];

/// The template with every parameter filled in that stands in a text.
fn template() -> String {
    let text = fs::read_to_string(shipped("../dashboards/cloudwatch/sidelight.yaml")).unwrap();
    let mut text = text.replace("${!", "$PROP{");
    for (name, value) in [
        ("Namespace", "Sidelight"),
        ("ScopeName", "environment"),
        ("ScopeValue", "prod"),
        ("MetricsLogGroup", "/sidelight/metrics"),
        ("AWS::Region", "eu-west-1"),
    ] {
        text = text.replace(&format!("${{{name}}}"), value);
    }
    text
}

/// The body of each dashboard.
fn dashboards(template: &str) -> Vec<Value> {
    let bodies = template.split("Fn::Sub: |\n").skip(1).map(|rest| {
        let lines = rest.lines().take_while(|line| line.starts_with("     "));
        serde_json::from_str(&lines.collect::<String>()).unwrap()
    });
    bodies.collect()
}

/// Resources that stand on one line, by their type.
fn resources(template: &str, kind: &str) -> Vec<Value> {
    let resources = template.lines().filter_map(|line| {
        let (_, json) = line.strip_prefix(' ')?.split_once(": ")?;
        serde_json::from_str::<Value>(json).ok()
    });
    resources.filter(|it| it["Type"] == kind).collect()
}

/// A metric that something asks for, with the names and known values of its dimensions.
#[derive(Debug, Default)]
struct Asked {
    namespace: String,
    name: String,
    dimensions: BTreeSet<String>,
    values: Vec<(String, String)>,
}

impl Asked {
    /// Panics unless the agent sends it.
    #[track_caller]
    fn check(&self) {
        if self.namespace == "AWS/Logs" {
            assert!(self.name.starts_with("EMF") && self.dimensions.contains("LogGroupName"));
            return;
        }
        assert_eq!(self.namespace, "Sidelight", "{self:?}");
        let mut dimensions = vec!["environment"];
        let row = if let Some(row) = row(TABLE, &self.name) {
            dimensions.extend(["job_name"].into_iter().chain(row.dimension));
            row
        } else {
            row(&AGENT, &self.name).unwrap_or_else(|| panic!("nobody sends {self:?}"))
        };
        let sent: BTreeSet<String> = dimensions.into_iter().map(str::to_owned).collect();
        assert_eq!(self.dimensions, sent, "{}", row.name);
        for (dimension, value) in &self.values {
            let known = match dimension.as_str() {
                "environment" => &["prod"][..],
                "job_name" => &["__job__"][..],
                other => VALUES.iter().find(|(name, _)| *name == other).unwrap().1,
            };
            assert!(known.contains(&value.as_str()), "{self:?}");
        }
    }

    fn set(&mut self, dimension: &str, value: &str) {
        self.dimensions.insert(dimension.to_owned());
        self.values.push((dimension.to_owned(), value.to_owned()));
    }
}

fn row<'a>(table: &'a [Row], name: &str) -> Option<&'a Row> {
    table.iter().find(|row| row.name == name)
}

/// The searches of an expression: `SEARCH('{"NAMESPACE",dimension,…} MetricName="…" …', …)`.
fn searched(text: &str) -> Vec<Asked> {
    let searches = text.split('{').skip(1).map(|rest| {
        let (schema, rest) = rest.split_once("} ").unwrap();
        let mut schema = schema.split(',');
        let namespace = schema.next().unwrap().trim_matches('"').to_owned();
        let mut asked = Asked { namespace, ..Asked::default() };
        asked.dimensions = schema.map(str::to_owned).collect();
        for term in rest.split('\'').next().unwrap().split_whitespace() {
            let (key, value) = term.split_once('=').unwrap();
            match (key, value.trim_matches('"')) {
                ("MetricName", name) => asked.name = name.to_owned(),
                (dimension, value) => {
                    assert!(asked.dimensions.contains(dimension), "{text}");
                    asked.set(dimension, value);
                }
            }
        }
        asked
    });
    searches.collect()
}

/// The query of an alarm: `SELECT STAT(name) FROM SCHEMA("NAMESPACE", …) WHERE … GROUP BY …`.
fn selected(text: &str) -> Asked {
    let part = |from: &str, to: &str| {
        let rest = text.split_once(from).unwrap_or_else(|| panic!("{text}")).1;
        rest.split_once(to).unwrap_or_else(|| panic!("{text}")).0.to_owned()
    };
    let schema = part("FROM SCHEMA(", ")");
    let mut schema = schema.split(", ");
    let namespace = schema.next().unwrap().trim_matches('"').to_owned();
    let dimensions = schema.map(str::to_owned).collect();
    let mut asked = Asked { namespace, name: part("(", ")"), dimensions, values: Vec::new() };
    for term in part("WHERE ", " GROUP BY job_name").split(" AND ") {
        let (dimension, value) = term.split_once(" = ").unwrap();
        asked.set(dimension, value.trim_matches('\''));
    }
    asked
}

/// The metrics of a widget: searches, and arrays in which `.` stands for what stood there before.
fn of_widget(properties: &Value) -> Vec<Asked> {
    let (mut all, mut before) = (Vec::new(), Vec::<String>::new());
    let (mut identities, mut expressions) = (BTreeSet::new(), Vec::new());
    for metric in properties["metrics"].as_array().unwrap() {
        let parts = metric.as_array().unwrap();
        let options = parts.iter().find(|it| it.is_object()).unwrap_or(&Value::Null);
        identities.extend(options["id"].as_str().map(str::to_owned));
        if let Some(expression) = options["expression"].as_str() {
            expressions.push(expression.to_owned());
            if expression.contains("SEARCH") {
                all.extend(searched(expression));
            }
            continue;
        }
        let has_statistic = options["stat"].is_string() || properties["stat"].is_string();
        assert!(has_statistic, "{metric} would be an average");
        let names = parts.iter().filter_map(Value::as_str).enumerate();
        before = names
            .map(|(index, name)| if name == "." { before[index].clone() } else { name.to_owned() })
            .collect();
        let mut asked =
            Asked { namespace: before[0].clone(), name: before[1].clone(), ..Asked::default() };
        before[2..].chunks(2).for_each(|pair| asked.set(&pair[0], &pair[1]));
        all.push(asked);
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for expression in expressions.iter().filter(|it| !it.contains("SEARCH")) {
        let words = expression.split(|c| !is_word(c)).filter(|word| word.starts_with('m'));
        for word in words {
            assert!(identities.contains(word), "{expression} has no {word}");
        }
    }
    all
}

#[test]
fn every_metric_of_a_widget_or_alarm_is_one_that_the_agent_sends_with_those_dimensions() {
    let template = template();
    let mut asked = Vec::new();
    let dashboards = dashboards(&template);
    assert_eq!(dashboards.len(), 4);
    for dashboard in &dashboards {
        for widget in dashboard["widgets"].as_array().unwrap() {
            if widget["type"] == "metric" {
                asked.extend(of_widget(&widget["properties"]));
            }
        }
        for variable in dashboard["variables"].as_array().unwrap() {
            asked.extend(searched(variable["search"].as_str().unwrap()));
        }
    }
    let alarms = resources(&template, "AWS::CloudWatch::Alarm");
    assert!(alarms.len() >= 8, "{}", alarms.len());
    for query in alarms.iter().flat_map(|it| it["Properties"]["Metrics"].as_array().unwrap()) {
        if let Some(text) = query["Expression"]["Fn::Sub"].as_str() {
            asked.push(selected(text));
        } else if query["MetricStat"].is_object() {
            let metric = &query["MetricStat"]["Metric"];
            assert_eq!(metric["Dimensions"][0]["Name"]["Ref"], "ScopeName");
            let mut agents = Asked { namespace: "Sidelight".to_owned(), ..Asked::default() };
            agents.name = metric["MetricName"].as_str().unwrap().to_owned();
            agents.set("environment", "prod");
            asked.push(agents);
        }
    }
    asked.iter().for_each(Asked::check);
    let shown: BTreeSet<&str> = asked.iter().map(|it| it.name.as_str()).collect();
    let sent = TABLE.iter().chain(AGENT.iter());
    // One that nobody looks at costs as much as the others.
    let unseen: Vec<&str> = sent.map(|row| row.name).filter(|name| !shown.contains(name)).collect();
    assert_eq!(unseen, UNSEEN, "{} metrics are asked for", asked.len());
    say(&format!(
        "CloudWatch: {} metrics of widgets and alarms are those that are sent",
        asked.len()
    ));
}

/// Sent for alarms of one's own.
const UNSEEN: [&str; 3] = [
    "spark_app_job_duration_seconds",
    "spark_stage_shuffle_fetch_wait_seconds_total",
    "spark_app_executor_memory_byte_seconds_total",
];

#[test]
fn dashboards_have_the_structure_that_cloudwatch_documents() {
    for dashboard in dashboards(&template()) {
        let widgets = dashboard["widgets"].as_array().unwrap();
        assert!((1..=20).contains(&widgets.len()), "{} widgets", widgets.len());
        let mut taken = BTreeSet::new();
        for widget in widgets {
            let number = |key: &str| widget[key].as_u64().unwrap();
            let (x, y, width, height) =
                (number("x"), number("y"), number("width"), number("height"));
            assert!(x + width <= COLUMNS && width > 0 && height > 0, "{widget}");
            let places = (x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y)));
            assert!(places.into_iter().all(|place| taken.insert(place)), "two overlap: {widget}");
            let properties = &widget["properties"];
            let needs: &[&str] = match widget["type"].as_str().unwrap() {
                "metric" => &["title", "region", "metrics"],
                "log" => &["title", "region", "query", "view"],
                "alarm" => &["title", "alarms"],
                "text" => &["markdown"],
                other => panic!("{other} is no widget"),
            };
            assert!(needs.iter().all(|key| !properties[key].is_null()), "{widget}");
            let source = properties["query"].as_str().unwrap_or("SOURCE ");
            assert!(source.starts_with("SOURCE "), "{source}");
        }
        for variable in dashboard["variables"].as_array().unwrap() {
            let pattern = variable["pattern"].as_str().unwrap();
            assert!(dashboard["widgets"].to_string().contains(pattern), "{pattern} is used");
        }
    }
}

#[test]
fn queries_of_logs_name_fields_that_records_and_events_have() {
    let template = template();
    let mut n_fields = 0;
    let records: BTreeSet<String> =
        keys_of_a_full_record(&redaction::Redactor::new()).into_iter().collect();
    let dimensions = TABLE.iter().filter_map(|row| row.dimension).chain(["job_name"]);
    let events = TABLE.iter().map(|row| row.name).chain(dimensions).chain(PROPERTIES);
    let events: BTreeSet<String> = events.map(str::to_owned).collect();
    let mut queries: Vec<(String, bool)> = resources(&template, "AWS::Logs::QueryDefinition")
        .iter()
        .map(|it| &it["Properties"])
        .map(|it| (it["QueryString"].as_str().unwrap().to_owned(), it["LogGroupNames"].is_array()))
        .collect();
    for dashboard in dashboards(&template) {
        for widget in dashboard["widgets"].as_array().unwrap() {
            if let Some(query) = widget["properties"]["query"].as_str() {
                let (source, query) = query.split_once(" | ").unwrap();
                let group = source.trim_start_matches("SOURCE '").trim_end_matches('\'');
                let is_of_metrics = group == "/sidelight/metrics";
                let of_job = ["/sidelight/spark/__job__", "/sidelight/flink/__job__"];
                assert!(is_of_metrics || of_job.contains(&group), "{group}");
                queries.push((query.to_owned(), is_of_metrics));
            }
        }
    }
    for (query, is_of_metrics) in &queries {
        let known = if *is_of_metrics { &events } else { &records };
        for field in fields(query) {
            assert!(known.contains(&field), "{query}: nobody writes {field}");
            n_fields += 1;
        }
    }
    assert!(queries.len() >= 10 && n_fields >= 30, "{n_fields} fields of {}", queries.len());
}

/// What a query of Logs Insights reads: no texts, numbers, words of the language, or names it gives.
fn fields(query: &str) -> Vec<String> {
    const WORDS: &str = "filter fields stats sort limit by as in and or not asc desc bin count latest \
         ispresent 5m";
    let outside: String = query.split('"').step_by(2).collect::<Vec<_>>().join(" ");
    let words = outside.split(|c: char| !(c.is_ascii_alphanumeric() || "_@".contains(c)));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let given: Vec<&str> =
        words.windows(2).filter(|pair| pair[0] == "as").map(|pair| pair[1]).collect();
    let is_field = |word: &&str| {
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
        !is_number
            && !word.starts_with('@')
            && !given.contains(word)
            && !WORDS.split_whitespace().any(|it| it == *word)
    };
    words.iter().copied().filter(is_field).map(str::to_owned).collect()
}

#[test]
fn the_page_lists_every_metric_with_unit_and_dimension() {
    let page = fs::read_to_string(shipped("../dashboards/cloudwatch/README.md")).unwrap();
    let listed: BTreeSet<String> = page
        .lines()
        .map(|line| line.split('|').map(str::trim).take(4).collect::<Vec<_>>())
        .filter(|cells| cells.get(3).is_some_and(|it| it.starts_with("scope")))
        .map(|cells| cells.join("|"))
        .collect();
    let list = |rows: &[Row], others: &str| -> Vec<String> {
        let line = |row: &Row| {
            let extra = row.dimension.map(|it| format!(", `{it}`")).unwrap_or_default();
            format!("|`{}`|{}|{others}{extra}", row.name, row.unit.as_str())
        };
        rows.iter().map(line).collect()
    };
    let sent: Vec<String> = [list(TABLE, "scope, `job_name`"), list(&AGENT, "scope")].concat();
    let missing: Vec<&String> = sent.iter().filter(|line| !listed.contains(*line)).collect();
    assert!(missing.is_empty() && listed.len() == sent.len(), "{missing:#?}");
}

#[test]
fn a_stack_of_the_template_has_alarms_dashboards_topic_and_key() {
    if !peers::are_wanted() {
        say("stack: skipped; tests/run has moto and cfn-lint");
        return;
    }
    let scratch = Scratch::new();
    let moto = Moto::start(&scratch);
    let (folder, url) = (shipped("../dashboards/cloudwatch"), moto.url());
    run_checker_with(&peers::moto_python(), "cloudwatch.py", &[folder.as_os_str(), url.as_ref()]);
    moto.reset();
    deploy_as_the_page_says(&url);
}

/// The command of the page, with a key that is there: moto makes none with tags.
fn deploy_as_the_page_says(url: &str) {
    if Command::new("aws").arg("--version").output().is_err() {
        say("the command of dashboards/cloudwatch/README.md: skipped where there is no aws");
        return;
    }
    let page = fs::read_to_string(shipped("../dashboards/cloudwatch/README.md")).unwrap();
    let command = page.split("```sh\n").nth(1).unwrap().split("\n```").next().unwrap();
    let key = "KmsKeyArn=arn:aws:kms:eu-west-1:123456789012:key/1";
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &format!("{command} {key}")])
        .current_dir(shipped(".."))
        .envs([("AWS_ENDPOINT_URL", url), ("AWS_DEFAULT_REGION", "eu-west-1")])
        .envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")])
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&told));
}
