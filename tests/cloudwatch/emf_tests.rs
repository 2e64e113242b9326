//! Each rule of the embedded metric format: an event that just keeps it, and one that breaks it.

use super::emf::problems;
use super::fake::Fake;
use super::limits::{AGE_MS_MAX, AHEAD_MS_MAX};
use super::rig::{NOW_MS, call, fake, messages, put_body};
use serde_json::{Map, Value, json};

/// An event with one metric `m` and one dimension `d`.
fn event() -> Value {
    json!({
        "_aws": {
            "Timestamp": NOW_MS,
            "CloudWatchMetrics": [{
                "Namespace": "Sidelight",
                "Dimensions": [["d"]],
                "Metrics": [{ "Name": "m", "Unit": "Count", "StorageResolution": 60 }],
            }],
        },
        "d": "one",
        "m": 1,
        "job_id": "a property",
    })
}

#[track_caller]
fn keeps(event: &Value) {
    assert_eq!(problems(&event.to_string(), NOW_MS), [""; 0]);
}

#[track_caller]
fn breaks(event: &Value, words: &str) {
    let found = problems(&event.to_string(), NOW_MS);
    assert!(found.iter().any(|problem| problem.contains(words)), "{words} not in {found:?}");
}

/// An event with `value` at a JSON pointer.
fn with(pointer: &str, value: Value) -> Value {
    let mut event = event();
    match event.pointer_mut(pointer) {
        Some(place) => *place = value,
        None => event[pointer.trim_start_matches('/')] = value,
    }
    event
}

/// An event without the member of the object at a JSON pointer.
fn without(pointer: &str, member: &str) -> Value {
    let mut event = event();
    event.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(member).unwrap();
    event
}

const DIRECTIVE: &str = "/_aws/CloudWatchMetrics/0";
const NAMESPACE: &str = "/_aws/CloudWatchMetrics/0/Namespace";
const DIMENSIONS: &str = "/_aws/CloudWatchMetrics/0/Dimensions";
const METRICS: &str = "/_aws/CloudWatchMetrics/0/Metrics";
const METRIC: &str = "/_aws/CloudWatchMetrics/0/Metrics/0";

#[test]
fn an_event_is_one_object_with_its_description() {
    keeps(&event());
    for text in ["", "plain", "[]", &format!("INFO {}", event()), &format!("{} x", event())] {
        let found = problems(text, NOW_MS);
        assert!(found[0].contains("one JSON object"), "{text}: {found:?}");
    }
    breaks(&without("", "_aws"), "_aws");
    breaks(&without("/_aws", "CloudWatchMetrics"), "CloudWatchMetrics is no array");
    breaks(&with("/_aws/CloudWatchMetrics", json!([])), "CloudWatchMetrics is empty");
    breaks(&without(DIRECTIVE, "Namespace"), "namespace");
    breaks(&without(DIRECTIVE, "Dimensions"), "Dimensions");
    breaks(&without(DIRECTIVE, "Metrics"), "0 metrics");
}

#[test]
fn the_time_is_a_recent_integer() {
    for time_ms in [NOW_MS - AGE_MS_MAX, NOW_MS + AHEAD_MS_MAX] {
        keeps(&with("/_aws/Timestamp", json!(time_ms)));
    }
    for time_ms in [NOW_MS - AGE_MS_MAX - 1, NOW_MS + AHEAD_MS_MAX + 1] {
        breaks(&with("/_aws/Timestamp", json!(time_ms)), "too old or too new");
    }
    breaks(&with("/_aws/Timestamp", json!(1.5)), "no integer");
    breaks(&without("/_aws", "Timestamp"), "no integer");
}

#[test]
fn a_namespace_has_a_pattern_and_a_length() {
    for name in ["a".repeat(256), "My.App_1/x:y#z-".to_owned()] {
        keeps(&with(NAMESPACE, json!(name)));
    }
    for name in [String::new(), "a".repeat(257), "a b".to_owned()] {
        breaks(&with(NAMESPACE, json!(name)), "1 to 256");
    }
    breaks(&with(NAMESPACE, json!("AWS/Spark")), "belongs to AWS");
}

/// An event whose only dimension has this name and value.
fn with_dimension(name: &str, value: Value) -> Value {
    let mut event = with(DIMENSIONS, json!([[name]]));
    event[name] = value;
    event
}

#[test]
fn a_dimension_has_a_short_name_and_a_string() {
    keeps(&with_dimension(&"n".repeat(250), json!("v".repeat(1024))));
    keeps(&with(DIMENSIONS, json!([[]])));
    for name in ["", " ", ":a", "caf\u{e9}", "a\tb", &"n".repeat(251)] {
        breaks(&with_dimension(name, json!("v")), "dimension name");
    }
    for value in ["", " ", "caf\u{e9}", "a\nb", &"v".repeat(1025)] {
        breaks(&with_dimension("d", json!(value)), "1 to 1024 ASCII");
    }
    breaks(&with_dimension("d", json!(1)), "is no string");
    breaks(&without("", "d"), "d has no value");
    breaks(&with(DIMENSIONS, json!([])), "no array with a set");
    breaks(&with(DIMENSIONS, json!(["d"])), "is no array");
}

#[test]
fn a_set_has_thirty_dimensions_at_most() {
    let event = |n: usize| {
        let names: Vec<String> = (0..n).map(|i| format!("d{i}")).collect();
        let mut event = with(DIMENSIONS, json!([names]));
        for name in names {
            event[name] = json!("v");
        }
        event
    };
    keeps(&event(30));
    breaks(&event(31), "31 dimensions");
}

#[test]
fn a_directive_has_a_hundred_metrics_at_most() {
    let event = |n: usize| {
        let metrics: Vec<Value> = (0..n).map(|i| json!({ "Name": format!("m{i}") })).collect();
        let mut event = with(METRICS, json!(metrics));
        for i in 0..n {
            event[format!("m{i}")] = json!(i);
        }
        event
    };
    keeps(&event(100));
    breaks(&event(101), "101 metrics");
}

#[test]
fn a_metric_has_a_name_a_known_unit_and_one_resolution() {
    let long = "m".repeat(1024);
    let mut named = with(METRIC, json!({ "Name": long }));
    named[long] = json!(1);
    keeps(&named);
    for name in ["", " ", &"m".repeat(1025)] {
        breaks(&with(METRIC, json!({ "Name": name })), "1 to 1024 characters");
    }
    for unit in ["Bytes/Second", "None"] {
        keeps(&with(METRIC, json!({ "Name": "m", "Unit": unit })));
    }
    breaks(&with(METRIC, json!({ "Name": "m", "Unit": "By" })), "unit");
    breaks(&with(METRIC, json!({ "Name": "m", "Unit": 1 })), "unit");
    keeps(&with(METRIC, json!({ "Name": "m", "StorageResolution": 1 })));
    breaks(&with(METRIC, json!({ "Name": "m", "StorageResolution": 5 })), "neither 1 nor 60");
    let two = json!([{ "Name": "m" }, { "Name": "m", "StorageResolution": 60 }]);
    keeps(&with(METRICS, two));
    let two = json!([{ "Name": "m", "StorageResolution": 1 }, { "Name": "m" }]);
    breaks(&with(METRICS, two), "two resolutions");
    breaks(&with(METRIC, json!({ "Name": "absent" })), "absent has no value");
}

#[test]
fn a_value_is_a_number_or_a_hundred_of_them() {
    for value in [json!(0), json!(-1.5), json!(9_007_199_254_740_991_i64), json!(vec![1; 100])] {
        keeps(&with("/m", value));
    }
    for value in [json!("1"), json!(null), json!(9_007_199_254_740_993_i64), json!([1, "2"])] {
        breaks(&with("/m", value), "no number within 2^53");
    }
    breaks(&with("/m", json!(vec![1; 101])), "101 values");
    breaks(&with("/m", json!([])), "0 values");
    // Not JSON at all.
    let text = event().to_string().replace("\"m\":1", "\"m\":NaN");
    assert!(problems(&text, NOW_MS)[0].contains("one JSON object"));
}

#[test]
fn a_histogram_has_as_many_counts_as_values_and_a_hundred_at_most() {
    let histogram = |values: usize, counts: usize| {
        let values: Vec<usize> = (0..values).collect();
        json!({ "Values": values, "Counts": vec![1; counts], "Min": 0, "Max": 9, "Sum": 9 })
    };
    keeps(&with("/m", histogram(100, 100)));
    breaks(&with("/m", histogram(101, 101)), "101 values");
    breaks(&with("/m", histogram(2, 1)), "one count for each value");
    breaks(&with("/m", json!({ "Values": [1] })), "lacks Values or Counts");
    let mut wrong = histogram(1, 1);
    wrong["Max"] = json!("x");
    breaks(&with("/m", wrong), "Max of the histogram");
}

fn put(fake: &Fake, format: &str, messages: &[&str]) -> u16 {
    let events: Vec<(i64, &str)> = messages.iter().map(|message| (NOW_MS, *message)).collect();
    let call = call(fake, "PutLogEvents", &put_body(&events));
    call.header("x-amzn-logs-format", format).send().status
}

#[test]
fn a_batch_with_the_header_is_checked_and_still_taken() {
    let fake = fake();
    let event = event().to_string();
    assert_eq!(put(&fake, "json/emf", &[&event, &event]), 200);
    assert_eq!(fake.violations(), [""; 0]);
    assert_eq!(fake.requests()[0].logs_format.as_deref(), Some("json/emf"));
    assert_eq!(put(&fake, "json/emf", &[&event, "plain"]), 200);
    assert_eq!(messages(&fake).len(), 4, "the service makes no metric of it and says nothing");
    let violations = fake.violations();
    assert_eq!(violations.len(), 1, "{violations:?}");
    assert!(violations[0].contains("EMF: it is not one JSON object"), "{violations:?}");
    assert_eq!(put(&fake, "emf", &[&event]), 200);
    assert!(fake.violations()[1].contains("not json/emf"));
    let plain: Map<String, Value> = Map::new();
    assert_eq!(super::rig::put(&fake, &[(NOW_MS, &Value::Object(plain).to_string())]).status, 200);
    assert_eq!(fake.violations().len(), 2, "without the header anything goes");
}
