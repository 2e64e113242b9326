//! Receivers and relays that others wrote: oteltest behind grpcio, and rotel.

use crate::harness::process::Process;
use crate::harness::scratch::Scratch;
use crate::harness::{http, peers, wait};
use serde_json::Value;
use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// What starts within a second on a machine that is not busy.
const LIMIT: Duration = Duration::from_secs(60);

/// `tests/otlp/sink.py`
#[derive(Debug)]
pub(crate) struct Sink {
    pub(crate) grpc_port: u16,
    pub(crate) http_port: u16,
    file: PathBuf,
    _process: Process,
}

impl Sink {
    /// Starts it and waits until it takes requests.
    pub(crate) fn start(scratch: &Scratch) -> Self {
        let (grpc_port, http_port) = (http::free_port(), http::free_port());
        let file = scratch.join("sink.jsonl");
        let (out, err) = (scratch.join("sink.out"), scratch.join("sink.err"));
        let mut command = Command::new(peers::otlp_program("python"));
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/otlp/sink.py"));
        command.arg(&file).arg(grpc_port.to_string()).arg(http_port.to_string());
        let mut process = Process::start("the OTLP sink", &command, &out, &err);
        wait::until("the sink is ready", LIMIT, || {
            if let Some(status) = process.exit_status() {
                panic!("it ended with {status}: {}", fs::read_to_string(&err).unwrap());
            }
            fs::read_to_string(&out).unwrap_or_default().contains("ready").then_some(())
        });
        Self { grpc_port, http_port, file, _process: process }
    }

    /// All requests of one signal so far.
    pub(crate) fn requests(&self, signal: &str) -> Vec<Value> {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        let whole = &text[..text.rfind('\n').map_or(0, |newline| newline + 1)];
        let parsed = whole.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        parsed.filter(|request| request["signal"] == signal).collect()
    }

    /// All log records so far, each with the attributes of its resource.
    pub(crate) fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for request in self.requests("logs") {
            for resource in list(&request["body"]["resourceLogs"]) {
                let of_resource = attributes(&resource["resource"]);
                for scope in list(&resource["scopeLogs"]) {
                    records.extend(list(&scope["logRecords"]).iter().map(|record| Record {
                        resource: of_resource.clone(),
                        attributes: attributes(record),
                        record: record.clone(),
                    }));
                }
            }
        }
        records
    }
}

/// One log record as the sink has it.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) resource: serde_json::Map<String, Value>,
    pub(crate) attributes: serde_json::Map<String, Value>,
    pub(crate) record: Value,
}

/// rotel, which takes OTLP and sends OTLP.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) grpc_port: u16,
    pub(crate) http_port: u16,
    _process: Process,
}

impl Relay {
    /// Starts it in front of a sink.
    pub(crate) fn start(scratch: &Scratch, sink: &Sink) -> Self {
        let (grpc_port, http_port) = (http::free_port(), http::free_port());
        let mut command = Command::new(peers::rotel());
        command.arg("start");
        command.args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc_port}")]);
        command.args(["--otlp-http-endpoint", &format!("127.0.0.1:{http_port}")]);
        command.args(["--exporter", "otlp", "--otlp-exporter-protocol", "grpc"]);
        let endpoint = format!("http://127.0.0.1:{}", sink.grpc_port);
        command.args(["--otlp-exporter-endpoint", &endpoint, "--batch-timeout", "200ms"]);
        let (out, err) = (scratch.join("rotel.out"), scratch.join("rotel.err"));
        let mut process = Process::start("rotel", &command, &out, &err);
        wait::until("rotel is ready", LIMIT, || {
            if let Some(status) = process.exit_status() {
                panic!("it ended with {status}: {}", fs::read_to_string(&err).unwrap());
            }
            TcpStream::connect(("127.0.0.1", grpc_port)).ok()
        });
        Self { grpc_port, http_port, _process: process }
    }
}

/// The elements of a list that may be missing.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Attributes as one object; numbers are texts in the JSON of protocol buffers, and become numbers.
pub(crate) fn attributes(holder: &Value) -> serde_json::Map<String, Value> {
    let one = |it: &Value| {
        let value = it["value"].as_object().unwrap().iter().next().unwrap();
        let value = match (value.0.as_str(), value.1) {
            ("intValue", Value::String(text)) => text.parse::<i64>().unwrap().into(),
            (_, value) => value.clone(),
        };
        (it["key"].as_str().unwrap().to_owned(), value)
    };
    list(&holder["attributes"]).iter().map(one).collect()
}
