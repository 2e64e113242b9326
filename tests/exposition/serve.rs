//! The admin server over a real socket, and `promtool` on what it serves.

use super::batch;
use super::reader::read;
use sidelight::admin::{Admin, AdminHandle, AdminState};
use sidelight::export::prometheus::{self, SeriesTable};
use sidelight::export::{ExporterConfig, Shared};
use sidelight::health::{Health, Phase};
use sidelight::model::Signal;
use sidelight::policy::Redactors;
use sidelight::telemetry;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

struct Server {
    address: SocketAddr,
    health: Arc<Health>,
    handle: AdminHandle,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn serve(table: Arc<SeriesTable>) -> Server {
    let admin = Admin::bind(loopback()).unwrap();
    let address = admin.local_addr();
    let redactors = Arc::new(Redactors::default());
    let _ = redactors.base().value("a@example.com b@example.com c@example.com");
    let health = Arc::new(Health::default());
    let state = Arc::new(AdminState::new(table, redactors, health.clone()));
    let handle = admin.serve(state).unwrap();
    Server { address, health, handle }
}

fn empty() -> Server {
    serve(Arc::new(SeriesTable::new(100)))
}

fn ask(address: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        // The server closes without reading the rest of a request that is too large.
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

fn get(address: SocketAddr, path: &str, accept: &str) -> Answer {
    ask(address, &format!("GET {path} HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\n\r\n"))
}

/// Touches every own metric, so that each one is on the page.
fn report_everything() {
    telemetry::LOST_BYTES.add("deleted", 0);
    telemetry::LAG_BYTES.set(0.0);
    telemetry::EXPORTS.add("file", "ok", 1);
    telemetry::EXPORT_RECORDS.add("file", "logs", 1);
    telemetry::QUEUE_BATCHES.set("file", "logs", 0.0);
    telemetry::CHECKPOINT_TIME.set(1_763_800_000.0);
    telemetry::SCRAPES.add("spark", "ok", 1);
    telemetry::SCRAPE_SECONDS.add_seconds("spark", 0.25);
    telemetry::SCRAPE_BYTES.add("spark", 4096);
    telemetry::SCRAPE_BUSY_RATIO.set("spark", 0.001);
    telemetry::SOURCE_DEGRADED.set("spark", "slow", 0.0);
}

#[tokio::test]
async fn a_scrape_gets_the_same_series_in_both_formats_and_promtool_has_no_complaint() {
    report_everything();
    let shared = Shared::new(Arc::default(), std::path::Path::new("unused"));
    let mut exporter = prometheus::Config::default()
        .build(&sidelight::export::lane::Config::default(), &shared)
        .unwrap();
    let table = shared.series();
    let rows: Vec<_> = (0..6).map(|idx| (idx, "a \"b\" \\c\nd é".to_owned(), 2.5)).collect();
    for job_name in ["nightly-orders", "clicks"] {
        exporter.export(&Signal::Metrics(batch(job_name, &rows))).await.unwrap();
    }
    let server = serve(table);

    let text = get(server.address, "/metrics", "*/*");
    assert!(text.head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"));
    let open =
        get(server.address, "/metrics", "application/openmetrics-text;version=1.0.0,*/*;q=0.1");
    let open_type = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(open.head.contains(open_type), "{}", open.head);
    server.handle.shutdown();

    let (in_text, in_open) = (read(&text.body, false), read(&open.body, true));
    let names: Vec<_> = in_text.series.keys().collect();
    assert_eq!(names, in_open.series.keys().collect::<Vec<_>>());
    let redactions = (
        "sidelight_redactions_total".to_owned(),
        labels(&[("type", "EMAIL"), ("strategy", "mask")]),
    );
    assert_eq!(in_text.series[&redactions], "3.0");
    let failed = in_text.series.keys().filter(|(name, _)| name == "spark_app_jobs_total").count();
    assert_eq!(failed, 2, "one series per job");
    lint(&text.body);
}

fn labels(labels: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn lint(page: &str) {
    let mut command = Command::new(crate::harness::peers::prometheus_tool("promtool"));
    command.args(["check", "metrics"]).stdin(Stdio::piped());
    let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut promtool = match spawned {
        Ok(promtool) => promtool,
        Err(error) if error.kind() == ErrorKind::NotFound && std::env::var_os("CI").is_none() => {
            println!("not checked: promtool is not installed (Debian package prometheus)");
            return;
        }
        Err(error) => panic!("promtool does not run: {error}"),
    };
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let complaints = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && complaints.is_empty(), "{}", show(&complaints));
}

fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn readiness_follows_the_phase_and_says_why_not() {
    let Server { address, health, handle } = empty();
    let check = |status: u16, body: &str| {
        let answer = get(address, "/readyz", "*/*");
        assert_eq!((answer.status, answer.body.trim_end()), (status, body));
    };
    check(503, r#"{"ready":false,"reasons":["starting"]}"#);
    health.set_phase(Phase::Ready);
    check(200, r#"{"ready":true,"reasons":[]}"#);
    health.set_degraded("checkpoint_failed", true);
    check(503, r#"{"ready":false,"reasons":["checkpoint_failed"]}"#);
    health.set_degraded("checkpoint_failed", false);
    health.set_phase(Phase::Draining);
    check(503, r#"{"ready":false,"reasons":["draining"]}"#);
    assert_eq!(get(address, "/livez", "*/*").status, 200);
    handle.shutdown();
}

#[test]
fn other_paths_and_methods_are_refused_with_what_there_is() {
    let Server { address, handle, .. } = empty();
    let missing = get(address, "/", "*/*");
    assert_eq!(missing.status, 404);
    assert!(missing.body.contains("/metrics\n/livez\n/readyz\n"), "{}", missing.body);
    let posted = ask(address, "POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(posted.status, 405);
    assert!(posted.head.contains("allow: get, head"), "{}", posted.head);
    let head = ask(address, "HEAD /metrics HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert!(head.head.contains("content-type: text/plain; version=0.0.4"), "{}", head.head);
    handle.shutdown();
}

#[test]
fn a_request_that_is_too_large_or_garbage_is_refused_and_the_server_goes_on() {
    let Server { address, handle, .. } = empty();
    let long = "x".repeat(17 << 10);
    let large = ask(address, &format!("GET / HTTP/1.1\r\nhost: x\r\nlong: {long}"));
    assert_eq!(large.status, 431);
    let many = "a: b\r\n".repeat(65);
    assert_eq!(ask(address, &format!("GET / HTTP/1.1\r\n{many}\r\n")).status, 431);
    assert_eq!(ask(address, "\u{1}\u{2}\u{3}\r\n\r\n").status, 400);
    assert_eq!(get(address, "/livez", "*/*").status, 200);
    handle.shutdown();
}

#[test]
fn more_clients_than_places_wait_until_one_leaves() {
    let Server { address, handle, .. } = empty();
    let mut idle: Vec<TcpStream> = (0..64).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut waiting = TcpStream::connect(address).unwrap();
    waiting.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    waiting.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(waiting.read(&mut [0]).is_err(), "no place is free yet");
    waiting.set_read_timeout(None).unwrap();
    idle.pop();
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    handle.shutdown();
    assert!(TcpStream::connect(address).is_err(), "nobody listens after the shutdown");
}

#[test]
fn a_taken_port_is_an_error_that_names_address_and_key() {
    let first = Admin::bind(loopback()).unwrap();
    let error = Admin::bind(first.local_addr()).unwrap_err().to_string();
    assert!(error.contains(&first.local_addr().to_string()), "{error}");
    assert!(error.contains("change admin.listen"), "{error}");
}
