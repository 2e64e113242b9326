//! What the config and the environment come to, and what is said of mistakes.

use crate::config::{Config, Environment};

fn parse(lines: &str, variables: &[(&str, &str)]) -> Result<String, String> {
    let variables: Environment =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    let text = format!("[exporters.otlp]\n{lines}\n");
    match Config::parse("c.toml", &text, &variables) {
        Ok(config) => Ok(format!("{:?}", config.exporters)),
        Err(problems) => Err(problems.to_string()),
    }
}

/// The config is good, and its routes are these.
#[track_caller]
fn check(lines: &str, variables: &[(&str, &str)], routes: &[&str]) {
    let shown = parse(lines, variables).unwrap_or_else(|problems| panic!("{problems}"));
    for route in routes {
        assert!(shown.contains(&format!("Route {{ uri: {route}, ..")), "{route} is not in {shown}");
    }
}

/// The config is bad, and says so.
#[track_caller]
fn wrong(lines: &str, variables: &[(&str, &str)], told: &str) {
    let problems = parse(lines, variables).expect_err(lines);
    assert!(problems.contains(told), "{told} is not in {problems}");
    assert!(problems.ends_with("1 problem"), "{problems}");
}

const LOGS: &str = "opentelemetry.proto.collector.logs.v1.LogsService/Export";

#[test]
fn addresses_are_made_as_the_specification_says() {
    check("", &[], &[&format!("http://localhost:4317/{LOGS}")]);
    check("protocol = 'http/protobuf'", &[], &["http://localhost:4318/v1/logs"]);
    check(
        "endpoint = 'https://o.example.com/otlp/'\nprotocol = 'http/protobuf'",
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://other:1")],
        &["https://o.example.com/otlp/v1/metrics", "https://o.example.com/otlp/v1/traces"],
    );
    check(
        "",
        &[
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4318"),
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://logs:1/as/it/is"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
        ],
        &[
            "http://logs:1/as/it/is",
            "http://all:4318/v1/metrics",
            "http://all:4318/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        ],
    );
}

#[test]
fn mistakes_name_their_key_or_their_variable() {
    wrong("endpoint = 'collector:4317'", &[], "exporters.otlp.endpoint");
    wrong("endpoint = 'https://me:pw@o.example.com'", &[], "must not hold a user or password");
    wrong("protocol = 'http/json'", &[], "exporters.otlp.protocol");
    let problems = parse("signals = []", &[]).unwrap_err();
    assert!(problems.contains("exporters.otlp.signals: must name at least one"), "{problems}");
    wrong("signals = ['metrics']", &[], "no exporter takes logs");
    wrong("request_bytes_max = '1KiB'", &[], "must be from 64KiB to 64MiB");
    wrong("endpoint = 'https://o:1'\ncertificate_file = 'c.pem'", &[], "needs key_file");
    wrong("ca_file = 'c.pem'", &[], "is for an endpoint that begins with https://");
    wrong("headers = { te = 'x' }", &[], "the header \"te\" is set by the protocol");
    wrong("headers = { 'a b' = 'x' }", &[], "the name of a header");
}

#[test]
fn a_variable_that_cannot_be_used_is_told_and_ignored() {
    let ignored = |name: &str, value: &str, told: &str| {
        let shown = parse("", &[(name, value)]).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(shown.contains(&format!("{name}: {told}")), "{name}: {told} is not in {shown}");
        assert!(shown.contains(&format!("Route {{ uri: http://localhost:4317/{LOGS}")), "{shown}");
        assert!(!shown.contains("hunter2"), "it may be a secret");
    };
    for (name, value, told) in [
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "lz4", "must be none, gzip or zstd"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "must be a number of milliseconds"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2", "must be like name=value"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "must be grpc or http/protobuf"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317", "must be like https://"),
        ("OTEL_RESOURCE_ATTRIBUTES", "hunter2", "must be like name=value"),
    ] {
        ignored(name, value, told);
    }
    let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    ignored(name, "sometimes", "must be cumulative, delta or lowmemory");
    let given = parse("temporality = 'delta'\nhistograms = 'exponential'", &[(name, "sometimes")]);
    assert!(!given.unwrap().contains("PREFERENCE"), "nobody asked it");
}

#[test]
fn no_header_is_ever_shown() {
    let shown = parse("headers = { authorization = 'hunter2' }", &[]).unwrap();
    assert!(shown.contains("authorization") && !shown.contains("hunter2"), "{shown}");
    let shown = parse("", &[("OTEL_EXPORTER_OTLP_HEADERS", "a=hunter2%07")]).unwrap();
    assert!(shown.contains("one line of text") && !shown.contains("hunter2"), "{shown}");
    for lines in [
        "headers = { authorization = \"hunter2\\u0007\" }",
        "headers = { authorization = 7, x = 'hunter2' }",
    ] {
        let problems = parse(lines, &[]).unwrap_err();
        assert!(!problems.contains("hunter2"), "{problems}");
    }
}
