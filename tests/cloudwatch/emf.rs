//! The rules of the embedded metric format. The service takes an event that breaks them and makes
//! no metric of it, so here they are violations and no refusals.

use super::limits::{AGE_MS_MAX, AHEAD_MS_MAX};
use super::put::InputLogEvent;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub(crate) const FORMAT: &str = "json/emf";
const METRICS_MAX: usize = 100;
const VALUES_MAX: usize = 100;
const DIMENSIONS_MAX: usize = 30;
const DIMENSION_NAME_CHARS_MAX: usize = 250;
const DIMENSION_VALUE_CHARS_MAX: usize = 1024;
const METRIC_NAME_CHARS_MAX: usize = 1024;
const NAMESPACE_CHARS_MAX: usize = 256;
/// 2^53 - 1: beyond it doubles have no unit place.
const VALUE_MAX: f64 = 9_007_199_254_740_991.0;
/// Values of `Unit`.
const UNITS: [&str; 27] = [
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
    "None",
];

/// What is wrong with a batch that has this format header.
pub(crate) fn batch_problems(format: &str, events: &[InputLogEvent], now_ms: i64) -> Vec<String> {
    if format != FORMAT {
        return vec![format!("EMF: the header x-amzn-logs-format is {format}, not {FORMAT}")];
    }
    let problems = events.iter().flat_map(|event| problems(event.message(), now_ms));
    problems.map(|problem| format!("EMF: {problem}")).collect()
}

/// What is wrong with one message.
pub(crate) fn problems(message: &str, now_ms: i64) -> Vec<String> {
    let root: Map<String, Value> = match serde_json::from_str(message) {
        Ok(root) => root,
        Err(error) => return vec![format!("it is not one JSON object: {error}")],
    };
    let Some(about) = root.get("_aws").and_then(Value::as_object) else {
        return vec!["there is no object _aws".to_owned()];
    };
    let mut found = Vec::new();
    match about.get("Timestamp").and_then(Value::as_i64) {
        None => found.push("_aws.Timestamp is no integer".to_owned()),
        Some(time_ms) if !(now_ms - AGE_MS_MAX..=now_ms + AHEAD_MS_MAX).contains(&time_ms) => {
            found.push(format!("_aws.Timestamp {time_ms} is too old or too new"));
        }
        Some(_) => {}
    }
    let Some(directives) = about.get("CloudWatchMetrics").and_then(Value::as_array) else {
        found.push("_aws.CloudWatchMetrics is no array".to_owned());
        return found;
    };
    if directives.is_empty() {
        found.push("_aws.CloudWatchMetrics is empty".to_owned());
    }
    // One metric has one resolution in the whole event.
    let mut resolutions = BTreeMap::new();
    for directive in directives {
        check_namespace(&directive["Namespace"], &mut found);
        check_dimensions(&directive["Dimensions"], &root, &mut found);
        check_metrics(&directive["Metrics"], &root, &mut resolutions, &mut found);
    }
    found
}

fn check_namespace(namespace: &Value, found: &mut Vec<String>) {
    let name = namespace.as_str().unwrap_or_default();
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._#:/-".contains(c);
    if name.is_empty() || name.len() > NAMESPACE_CHARS_MAX || !name.chars().all(is_allowed) {
        found.push(format!("the namespace {namespace} is not 1 to 256 of [a-zA-Z0-9._#:/-]"));
    }
    if name.starts_with("AWS/") {
        found.push(format!("the namespace {name} belongs to AWS"));
    }
}

fn check_dimensions(sets: &Value, root: &Map<String, Value>, found: &mut Vec<String>) {
    let sets = sets.as_array().map(Vec::as_slice).unwrap_or_default();
    if sets.is_empty() {
        found.push("Dimensions is no array with a set".to_owned());
    }
    for set in sets {
        let Some(names) = set.as_array() else {
            found.push(format!("the dimension set {set} is no array"));
            continue;
        };
        if names.len() > DIMENSIONS_MAX {
            found.push(format!("{} dimensions in one set, 30 at most", names.len()));
        }
        for name in names {
            let name = name.as_str().unwrap_or_default();
            found.extend(dimension_problem(name, root.get(name)));
        }
    }
}

fn dimension_problem(name: &str, value: Option<&Value>) -> Option<String> {
    let is_fine = |text: &str, max: usize| {
        text.is_ascii()
            && !text.bytes().any(|byte| byte.is_ascii_control())
            && !text.trim().is_empty()
            && text.len() <= max
    };
    if !is_fine(name, DIMENSION_NAME_CHARS_MAX) || name.starts_with(':') {
        return Some(format!("the dimension name {name:?} is not 1 to 250 ASCII characters"));
    }
    let Some(value) = value else { return Some(format!("the dimension {name} has no value")) };
    let Some(text) = value.as_str() else {
        return Some(format!("the value of the dimension {name} is no string"));
    };
    let problem = format!("the value of the dimension {name} is not 1 to 1024 ASCII characters");
    (!is_fine(text, DIMENSION_VALUE_CHARS_MAX)).then_some(problem)
}

fn check_metrics<'a>(
    metrics: &'a Value,
    root: &Map<String, Value>,
    resolutions: &mut BTreeMap<&'a str, i64>,
    found: &mut Vec<String>,
) {
    let metrics = metrics.as_array().map(Vec::as_slice).unwrap_or_default();
    if metrics.is_empty() || metrics.len() > METRICS_MAX {
        found.push(format!("{} metrics in one directive, not 1 to 100", metrics.len()));
    }
    for metric in metrics {
        let name = metric["Name"].as_str().unwrap_or_default();
        if name.trim().is_empty() || name.chars().count() > METRIC_NAME_CHARS_MAX {
            found.push(format!("the metric name {name:?} is not 1 to 1024 characters"));
            continue;
        }
        let unit = &metric["Unit"];
        if !unit.is_null() && !unit.as_str().is_some_and(|unit| UNITS.contains(&unit)) {
            found.push(format!("the unit {unit} of {name} is unknown"));
        }
        let resolution = metric.get("StorageResolution").map_or(Some(60), Value::as_i64);
        let resolution = resolution.unwrap_or_default();
        if !matches!(resolution, 1 | 60) {
            found.push(format!("the resolution of {name} is neither 1 nor 60"));
        }
        if *resolutions.entry(name).or_insert(resolution) != resolution {
            found.push(format!("{name} has two resolutions in one event"));
        }
        match root.get(name) {
            None => found.push(format!("the metric {name} has no value")),
            Some(value) => found.extend(value_problem(name, value)),
        }
    }
}

fn value_problem(name: &str, value: &Value) -> Option<String> {
    let check_all = |values: &[Value]| {
        if values.is_empty() || values.len() > VALUES_MAX {
            return Some(format!("{name} has {} values, not 1 to 100", values.len()));
        }
        let is_wrong = values.iter().any(|value| !is_number(value));
        is_wrong.then(|| format!("{name} has a value that is no number within 2^53"))
    };
    match value {
        Value::Array(values) => check_all(values),
        Value::Object(histogram) => {
            let part = |key: &str| histogram.get(key).and_then(Value::as_array);
            let (Some(values), Some(counts)) = (part("Values"), part("Counts")) else {
                return Some(format!("the histogram {name} lacks Values or Counts"));
            };
            if values.len() != counts.len() {
                return Some(format!("the histogram {name} has not one count for each value"));
            }
            for key in ["Max", "Min", "Count", "Sum"] {
                if histogram.get(key).is_some_and(|value| !is_number(value)) {
                    return Some(format!("{key} of the histogram {name} is no number"));
                }
            }
            check_all(values).or_else(|| check_all(counts))
        }
        value => check_all(std::slice::from_ref(value)),
    }
}

fn is_number(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number.is_finite() && number.abs() <= VALUE_MAX)
}
