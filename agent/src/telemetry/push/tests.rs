//! The agent's own telemetry, as a receiver sees it.

use super::{Config, LAST_REQUESTS, Otlp, Push, delivered, is_address, scraped};
use crate::config::Interval;
use crate::model::SignalKind;
use crate::policy::Redactors;
use crate::telemetry::RECORDS;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

/// Path and body of each request, as they came.
type Requests = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A receiver that takes everything; its address and what it got.
fn receiver() -> (String, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let requests = Requests::default();
    let got = requests.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let got = got.clone();
            std::thread::spawn(move || {
                let mut stream = BufReader::new(stream.unwrap());
                while let Some(request) = request(&mut stream) {
                    got.lock().unwrap().push(request);
                    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                    stream.get_mut().write_all(answer.as_bytes()).unwrap();
                }
            });
        }
    });
    (address, requests)
}

fn request(stream: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        head.push(line.to_ascii_lowercase());
    }
    let field = |name: &str| head.iter().find_map(|line| line.strip_prefix(name));
    let length = field("content-length:").unwrap().trim().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((head[0].split(' ').nth(1).unwrap().to_owned(), body))
}

fn config(endpoint: &str) -> Config {
    let endpoint = Some(endpoint.to_owned());
    Config { otlp: Otlp { endpoint, interval: Interval::from_secs(3_600) } }
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|it| it.key == key).and_then(|it| it.value.clone());
    match found.and_then(|it| it.value) {
        Some(any_value::Value::StringValue(text)) => text,
        other => panic!("{key} is {other:?}"),
    }
}

/// One test, as the way to the spans is one for the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_gets_metrics_and_spans_that_are_made_of_constants() {
    let redactors = Arc::<Redactors>::default();
    assert!(Push::start(&Config::default(), &redactors).unwrap().is_none(), "off by default");
    let (address, requests) = receiver();
    let push = Push::start(&config(&address), &redactors).unwrap().unwrap();
    RECORDS.add(3);
    let began = SystemTime::now();
    delivered("file", SignalKind::Logs, "ok", began);
    delivered("jane.doe@example.com", SignalKind::Spans, "error", began);
    scraped("spark", "ok", began);
    push.end().await;
    delivered("file", SignalKind::Logs, "ok", began);

    let requests = std::mem::take(&mut *requests.lock().unwrap());
    let of = |path: &str| requests.iter().filter(|it| it.0 == path).map(|it| &*it.1).collect();
    let [traces]: [&[u8]; 1] = Vec::try_into(of("/v1/traces")).unwrap();
    let [metrics]: [&[u8]; 1] = Vec::try_into(of("/v1/metrics")).unwrap();

    let traces = ExportTraceServiceRequest::decode(traces).unwrap();
    let resource = traces.resource_spans[0].resource.as_ref().unwrap();
    assert_eq!(text(&resource.attributes, "service.name"), "sidelight");
    let spans: Vec<_> = traces.resource_spans.iter().flat_map(|it| &it.scope_spans).collect();
    let spans: Vec<_> = spans.iter().flat_map(|it| &it.spans).collect();
    let shown: Vec<(&str, String, bool)> = spans
        .iter()
        .map(|span| {
            let outcome = text(&span.attributes, "outcome");
            (&*span.name, outcome, span.status.as_ref().unwrap().code == 2)
        })
        .collect();
    let want = |name, outcome: &str, is_bad| (name, outcome.to_owned(), is_bad);
    assert!(shown.contains(&want("sidelight.delivery", "ok", false)), "{shown:?}");
    assert!(shown.contains(&want("sidelight.delivery", "error", true)), "{shown:?}");
    assert!(shown.contains(&want("sidelight.scrape", "ok", false)), "{shown:?}");
    assert!(!format!("{traces:?}").contains("jane.doe"));

    let metrics = ExportMetricsServiceRequest::decode(metrics).unwrap();
    let metrics: Vec<_> =
        metrics.resource_metrics.iter().flat_map(|it| &it.scope_metrics).collect();
    let metrics: Vec<_> = metrics.iter().flat_map(|it| &it.metrics).collect();
    let named = |name: &str| metrics.iter().find(|it| it.name == name);
    let records = named("sidelight_records_total").unwrap();
    assert!(matches!(&records.data, Some(Data::Sum(sum)) if sum.is_monotonic));
    let memory = named("sidelight_memory_bytes").unwrap();
    assert_eq!(memory.unit, "By");
    assert!(matches!(&memory.data, Some(Data::Gauge(_))));
    assert!(named("sidelight_redaction_failures_total").is_some());

    // A receiver that takes the connection and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let push = Push::start(&config(&address), &redactors).unwrap().unwrap();
    delivered("file", SignalKind::Logs, "ok", began);
    let began = Instant::now();
    push.end().await;
    assert!(began.elapsed() < LAST_REQUESTS + Duration::from_secs(2));
}

#[test]
fn an_address_is_one_of_http_without_a_password() {
    for good in ["http://127.0.0.1:4318", "https://otlp.example.com/otlp"] {
        assert!(is_address(good), "{good}");
    }
    for bad in ["", "127.0.0.1:4318", "grpc://a", "http://me:secret@a", "http://a?b=c", "http://"] {
        assert!(!is_address(bad), "{bad}");
    }
}
