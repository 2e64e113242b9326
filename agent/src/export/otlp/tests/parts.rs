//! Batches that are longer than a request, and what a receiver says of them.

use super::samples::batch;
use crate::export::delivered::Delivered;
use crate::export::otlp::config::Temporality;
use crate::export::otlp::config::{Compression, Config, Histograms, Protocol, Secret, SignalName};
use crate::export::otlp::environment::Variables;
use crate::export::otlp::exchange::Exchange;
use crate::export::otlp::metrics::MetricEncoder;
use crate::export::otlp::part_sender::{MetricSender, Parts, SpanSender};
use crate::export::otlp::resource::Given;
use crate::export::otlp::route::Route;
use crate::model::{Span, SpanBatch, SpanStatus};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use redaction::{Redactor, Value};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Answers over HTTP with these codes, one each, and says what it has taken.
struct Receiver {
    url: String,
    taken: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Receiver {
    fn start(codes: &'static [u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let taken: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let shared = taken.clone();
        std::thread::spawn(move || {
            for code in codes {
                let (stream, _) = listener.accept().unwrap();
                let (mut reader, mut length, mut token) =
                    (BufReader::new(stream), 0, String::new());
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    match line.trim().split_once(": ") {
                        Some(("content-length", value)) => length = value.parse().unwrap(),
                        Some(("authorization", value)) => value.clone_into(&mut token),
                        Some(_) => {}
                        None if line.trim().is_empty() => break,
                        None => {}
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                if *code == 200 {
                    shared.lock().unwrap().push(body);
                }
                let said = format!("nobody knows {token}");
                let answer = format!(
                    "HTTP/1.1 {code} Said\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{said}",
                    said.len()
                );
                reader.into_inner().write_all(answer.as_bytes()).unwrap();
            }
        });
        Self { url, taken }
    }

    /// A sender whose requests hold `bytes_max` bytes.
    fn parts(&self, signal: SignalName, bytes_max: usize) -> Parts {
        let config = Config {
            endpoint: Some(self.url.clone()),
            protocol: Some(Protocol::Http),
            compression: Some(Compression::None),
            headers: [("authorization".to_owned(), Secret("Bearer Plain Horse".to_owned()))].into(),
            ..Config::default()
        };
        let route = Route::of(&config, signal, &Variables::new(&|_| None)).unwrap();
        let time = Duration::from_secs(20);
        let exchange = Exchange::new(route, time, Arc::new(Redactor::new()));
        Parts { exchange, bytes_max }
    }

    fn taken<M: Message + Default>(&self) -> Vec<M> {
        self.taken.lock().unwrap().iter().map(|body| M::decode(&**body).unwrap()).collect()
    }
}

#[tokio::test]
async fn issue_6_metrics_that_were_taken_are_not_sent_again_with_the_rest() {
    let receiver = Receiver::start(&[200, 503, 200, 200]);
    let delivered = Arc::new(Mutex::new(Delivered::new(0, 100)));
    let (delta, explicit) = (Temporality::Delta, Histograms::Explicit);
    let encoder = MetricEncoder::new(Given::default(), delta, explicit, delivered);
    // One metric in each request.
    let mut sender = MetricSender::new(receiver.parts(SignalName::Metrics, 1), encoder);
    let batch = batch(2_000, 4.0, &[0.5]);
    let failure = sender.deliver(&batch).await.unwrap_err();
    assert!(failure.reason.starts_with("HTTP 503: nobody knows [HEADER]"), "{}", failure.reason);
    sender.deliver(&batch).await.unwrap();
    let requests: Vec<ExportMetricsServiceRequest> = receiver.taken();
    let names: Vec<&str> = requests
        .iter()
        .flat_map(|it| &it.resource_metrics[0].scope_metrics[0].metrics)
        .map(|metric| metric.name.as_str())
        .collect();
    assert_eq!(names, ["t_total", "h_bytes", "d_seconds"]);
}

#[tokio::test]
async fn issue_6_spans_that_were_taken_are_not_sent_again_with_the_rest() {
    let receiver = Receiver::start(&[200, 503, 200, 200]);
    let given = Given::default();
    let mut sender = SpanSender::new(receiver.parts(SignalName::Traces, 1), given);
    let span = |id| Span {
        trace_id: [1; 16],
        span_id: [id; 8],
        parent_span_id: None,
        name: Value::literal("stage"),
        start_unix_ns: 1,
        end_unix_ns: 2,
        attributes: vec![],
        status: SpanStatus::Unset,
    };
    let batch = SpanBatch { resource: Arc::default(), spans: (1..4).map(span).collect() };
    assert!(sender.deliver(&batch).await.is_err());
    sender.deliver(&batch).await.unwrap();
    let requests: Vec<ExportTraceServiceRequest> = receiver.taken();
    let ids: Vec<u8> = requests
        .iter()
        .flat_map(|it| &it.resource_spans[0].scope_spans[0].spans)
        .map(|span| span.span_id[0])
        .collect();
    assert_eq!(ids, [1, 2, 3]);
}
