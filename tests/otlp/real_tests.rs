//! What a receiver of others gets is what the agent writes as JSON, fact by fact.

use super::bed::{Bed, LIMIT};
use super::real::{Record, Relay, Sink, attributes, list};
use super::recorded_ui;
use crate::harness::metrics::{self, Series};
use crate::harness::report::say;
use crate::harness::scratch::Scratch;
use crate::harness::{peers, wait};
use base64::Engine;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

const DRIVER_LOG: &str = include_str!("../fixtures/demo/driver.log");

/// Where a fact of the JSON stands: on the record, or on its resource.
const FACTS: [(&str, &str); 19] = [
    ("logger", "log.logger"),
    ("thread", "thread.name"),
    ("exception_type", "exception.type"),
    ("stage_id", "spark.stage.id"),
    ("task_id", "spark.task.id"),
    ("offset", "sidelight.offset"),
    ("truncated", "sidelight.truncated"),
    ("trace_id_origin", "sidelight.trace_id_origin"),
    ("job_id", "sidelight.job_id"),
    ("job_name", "sidelight.job_name"),
    ("run_id", "sidelight.run_id"),
    ("user_id", "sidelight.user_id"),
    ("run_context", "sidelight.run_context"),
    ("source_data_path", "sidelight.source_data_path"),
    ("engine", "sidelight.engine"),
    ("component", "sidelight.component"),
    ("file", "log.file.path"),
    ("file_id", "sidelight.file_id"),
    ("host", "host.name"),
];

/// A record of the sink as the JSON of the agent has it.
fn as_json(it: &Record) -> Map<String, Value> {
    let record = &it.record;
    let mut json = Map::new();
    let time = |key: &str| {
        let ns: i128 = record[key].as_str()?.parse().ok()?;
        let time = jiff::Timestamp::from_nanosecond(ns).unwrap();
        Some(json!(format!("{time:.9}")))
    };
    let id = |key: &str| {
        let bytes =
            base64::engine::general_purpose::STANDARD.decode(record[key].as_str()?).unwrap();
        Some(json!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
    };
    let pairs = [
        ("timestamp", time("timeUnixNano")),
        ("observed_timestamp", time("observedTimeUnixNano")),
        ("severity", record.get("severityText").cloned()),
        ("body", record["body"].get("stringValue").cloned()),
        ("trace_id", id("traceId")),
        ("span_id", id("spanId")),
        ("executor_id", it.resource.get("spark.executor.id").cloned()),
    ];
    json.extend(pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    for (fact, attribute) in FACTS {
        let value = it.attributes.get(attribute).or_else(|| it.resource.get(attribute));
        json.extend(value.map(|value| (fact.to_owned(), value.clone())));
    }
    json
}

/// The same log through the agent to `endpoint` and to a file; whether both say the same.
fn compare(scratch: &Scratch, sink: &Sink, port: u16, protocol: &str, compression: &str) {
    let mut bed = Bed::new(&format!(
        "endpoint = \"http://127.0.0.1:{port}\"\nprotocol = {protocol:?}\ncompression = {compression:?}\n"
    ));
    let file = bed.path("records.jsonl");
    bed.sections = format!(
        "[job]\njob_name = \"orders\"\nuser_id = \"etl\"\nrun_context = \"prod\"\n\
         source_data_path = \"s3://in\"\n[scrapers]\n[exporters.file]\npath = {file:?}\n"
    );
    bed.append("driver.log", DRIVER_LOG);
    bed.append(
        "driver.log",
        "{\"ts\":\"2026-11-22T06:45:27.123Z\",\"level\":\"WARN\",\"msg\":\"own trace\",\"context\":\
         {\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\",\"span_id\":\"b7ad6b7169203331\"}}\n",
    );
    let n_before = sink.records().len();
    let output = bed.once();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let mut want: BTreeMap<u64, Map<String, Value>> = BTreeMap::new();
    for line in fs::read_to_string(&file).unwrap().lines() {
        let record: Map<String, Value> = serde_json::from_str(line).unwrap();
        want.insert(record["offset"].as_u64().unwrap(), record);
    }
    let came = wait::within(LIMIT, || {
        let records = sink.records().split_off(n_before);
        (records.len() >= want.len()).then_some(records)
    });
    let came = came.unwrap_or_else(|| panic!("{:?}", fs::read_to_string(scratch.join("sink.err"))));
    assert_eq!(came.len(), want.len(), "each record once");
    let with_exception = came.iter().filter(|it| it.attributes.contains_key("exception.message"));
    assert!(with_exception.count() > 3);
    for it in &came {
        let json = as_json(it);
        assert_eq!(Some(&json), want.get(&json["offset"].as_u64().unwrap()));
        assert_eq!(it.resource["service.name"], "orders");
    }
    let via = sink.requests("logs").pop().unwrap();
    let scope = &via["body"]["resourceLogs"][0]["scopeLogs"][0];
    assert_eq!(scope["scope"]["name"], "sidelight");
    assert!(
        scope["schemaUrl"].as_str().unwrap().starts_with("https://opentelemetry.io/schemas/1.")
    );
}

#[test]
fn a_receiver_of_others_gets_every_fact_of_every_record() {
    if !peers::are_wanted() {
        return say("OTLP: skipped; tests/run starts real receivers");
    }
    let scratch = Scratch::new();
    let sink = Sink::start(&scratch);
    for compression in ["none", "gzip"] {
        compare(&scratch, &sink, sink.grpc_port, "grpc", compression);
        compare(&scratch, &sink, sink.http_port, "http/protobuf", compression);
    }
}

#[test]
fn a_relay_of_others_passes_every_fact_on() {
    if !peers::are_wanted() {
        return say("OTLP: skipped; tests/run starts real receivers");
    }
    let scratch = Scratch::new();
    let sink = Sink::start(&scratch);
    let relay = Relay::start(&scratch, &sink);
    compare(&scratch, &sink, relay.grpc_port, "grpc", "gzip");
    compare(&scratch, &sink, relay.http_port, "http/protobuf", "gzip");
}

/// A number to as many digits as Python's JSON and serde's agree on.
fn shown(number: f64) -> String {
    format!("{number:.9e}")
}

/// Series of the recorded job on `/metrics`, by name and labels.
fn of_page(page: &str) -> BTreeMap<String, String> {
    let of_job = |it: &Series| it.labels.contains("engine=\"spark\"");
    let series = metrics::parse(page).into_iter().filter(of_job);
    series
        .map(|it| {
            let mut labels: Vec<&str> = it.labels.split("\",").collect();
            labels.iter_mut().for_each(|label| *label = label.trim_end_matches('"'));
            labels.sort_unstable();
            (format!("{} {}", it.name, labels.join(" ")).replace('"', ""), shown(it.value))
        })
        .collect()
}

/// The same of one request of the sink: as Prometheus would write it.
fn of_request(request: &Value) -> BTreeMap<String, String> {
    let mut series = BTreeMap::new();
    let scopes =
        list(&request["body"]["resourceMetrics"]).iter().flat_map(|it| list(&it["scopeMetrics"]));
    for metric in scopes.flat_map(|it| list(&it["metrics"])) {
        let name = metric["name"].as_str().unwrap();
        let points = |kind: &str| list(&metric[kind]["dataPoints"]).to_vec();
        let mut add = |suffix: &str, point: &Value, more: Option<String>, value: f64| {
            let labels = attributes(point).into_iter();
            let labels = labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap()));
            let mut labels: Vec<String> = labels.chain(more).collect();
            labels.sort_unstable();
            series.insert(format!("{name}{suffix} {}", labels.join(" ")), shown(value));
        };
        for point in points("sum").iter().chain(&points("gauge")) {
            add("", point, None, point["asDouble"].as_f64().unwrap());
        }
        for point in points("histogram") {
            let number = |value: &Value| value.as_str().unwrap().parse::<f64>().unwrap();
            add("_count", &point, None, number(&point["count"]));
            add("_sum", &point, None, point["sum"].as_f64().unwrap());
            let mut below = 0.0;
            let bounds = list(&point["explicitBounds"])
                .iter()
                .map(|it| format!("{:?}", it.as_f64().unwrap()));
            for (le, count) in bounds.chain(["+Inf".to_owned()]).zip(list(&point["bucketCounts"])) {
                below += number(count);
                add("_bucket", &point, Some(format!("le={le}")), below);
            }
        }
    }
    series
}

#[test]
fn samples_and_spans_of_a_recorded_job_arrive_under_the_names_of_the_page_and_in_one_trace() {
    if !peers::are_wanted() {
        return say("OTLP: skipped; tests/run starts real receivers");
    }
    let scratch = Scratch::new();
    let sink = Sink::start(&scratch);
    let ui_port = recorded_ui::start();
    for (port, protocol) in [(sink.grpc_port, "grpc"), (sink.http_port, "http/protobuf")] {
        let n_before = [sink.requests("metrics").len(), sink.requests("traces").len()];
        let n_records = sink.records().len();
        let mut bed =
            Bed::new(&format!("endpoint = \"http://127.0.0.1:{port}\"\nprotocol = {protocol:?}\n"));
        bed.sections = format!(
            "[scrapers.spark]\nurls = [\"http://127.0.0.1:{ui_port}\"]\ninterval = \"1s\"\n"
        );
        bed.identity_wait = "30s";
        bed.append("driver.log", DRIVER_LOG);
        bed.start();
        let mut difference = String::new();
        let is_same = wait::within(LIMIT, || {
            let page = of_page(&bed.page());
            let request = sink.requests("metrics").split_off(n_before[0]).pop()?;
            let came = of_request(&request);
            let only =
                |one: &BTreeMap<String, String>, other: &BTreeMap<String, String>| -> Vec<String> {
                    let differ = one.iter().filter(|(key, value)| other.get(*key) != Some(*value));
                    differ.map(|(key, value)| format!("{key} {value}")).collect()
                };
            difference = format!(
                "page {:#?}
receiver {:#?}",
                only(&page, &came),
                only(&came, &page)
            );
            (came.len() > 50 && page == came).then_some(())
        });
        assert!(is_same.is_some(), "{difference}");
        let spans = wait::until("spans", LIMIT, || {
            let requests = sink.requests("traces").split_off(n_before[1]);
            let resources = requests.iter().flat_map(|it| list(&it["body"]["resourceSpans"]));
            let scopes = resources.flat_map(|it| list(&it["scopeSpans"]));
            let spans: Vec<Value> = scopes.flat_map(|it| list(&it["spans"])).cloned().collect();
            (!spans.is_empty()).then_some(spans)
        });
        let records = wait::until("records", LIMIT, || {
            let records = sink.records().split_off(n_records);
            (records.len() > 100).then_some(records)
        });
        bed.stop();
        let ids = |key: &str| -> BTreeSet<String> {
            spans.iter().map(|span| span[key].as_str().unwrap().to_owned()).collect()
        };
        let traces = ids("traceId");
        assert_eq!(traces.len(), 1);
        let of_stages = records.iter().filter(|it| it.attributes.contains_key("spark.stage.id"));
        let mut n_of_stages = 0;
        for it in of_stages {
            n_of_stages += 1;
            assert!(traces.contains(it.record["traceId"].as_str().unwrap()));
            assert!(ids("spanId").contains(it.record["spanId"].as_str().unwrap()));
        }
        assert!(n_of_stages > 10, "{n_of_stages}");
    }
}
