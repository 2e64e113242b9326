//! A server that takes everything at once and only counts: the destination of the figures.

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;

/// What stands in a body once for each event. In a message its quotes would be escaped.
const MARK: &[u8] = b"\"timestamp\":";

/// The server. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Counting {
    runtime: Option<Runtime>,
    address: SocketAddr,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU64,
    events: AtomicU64,
    bytes: AtomicU64,
}

impl Counts {
    fn json(&self) -> Value {
        let read = |count: &AtomicU64| count.load(Ordering::Acquire);
        json!({
            "requests": read(&self.requests),
            "events": read(&self.events),
            "bytes": read(&self.bytes),
        })
    }
}

impl Counting {
    /// Listens on a free port of 127.0.0.1 and answers each request after `delay`.
    pub(crate) fn start(delay: Duration) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("cloudwatch-counting")
            .enable_all()
            .build()
            .unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    // The system is out of descriptors.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                let _ = stream.set_nodelay(true);
                let counts = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = service_fn(|request| respond(request, delay, &counts));
                    let connection = TokioIo::new(stream);
                    let _ = http1::Builder::new().serve_connection(connection, service).await;
                });
            }
        });
        Self { runtime: Some(runtime), address, counts }
    }

    /// The endpoint.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// `requests`, `events` and `bytes` of bodies so far.
    pub(crate) fn counts(&self) -> Value {
        self.counts.json()
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn respond(
    request: Request<Incoming>,
    delay: Duration,
    counts: &Counts,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    if request.method() == Method::GET {
        return Ok(Response::new(Full::from(counts.json().to_string())));
    }
    let mut counter = Counter::default();
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        if let Ok(part) = frame?.into_data() {
            counter.add(&part);
        }
    }
    let n = counts.requests.fetch_add(1, Ordering::AcqRel);
    counts.events.fetch_add(counter.n_events, Ordering::AcqRel);
    counts.bytes.fetch_add(counter.n_bytes, Ordering::AcqRel);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let response = Response::builder()
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amzn-requestid", format!("{n:08x}-0000-4000-8000-{n:012x}"));
    Ok(response.body(Full::from("{}")).expect("the parts of the answer are valid"))
}

/// Counts marks in a body that comes in parts.
#[derive(Default)]
struct Counter {
    n_events: u64,
    n_bytes: u64,
    /// The end of the last part, in which a mark may have begun.
    tail: Vec<u8>,
}

impl Counter {
    fn add(&mut self, part: &[u8]) {
        self.n_bytes += part.len() as u64;
        self.n_events += count(part);
        let keep = MARK.len() - 1;
        // Both halves are shorter than a mark, so only one across the seam is found.
        self.tail.extend_from_slice(&part[..part.len().min(keep)]);
        self.n_events += count(&self.tail);
        if part.len() >= keep {
            self.tail.clear();
            self.tail.extend_from_slice(&part[part.len() - keep..]);
        } else {
            let excess = self.tail.len().saturating_sub(keep);
            self.tail.drain(..excess);
        }
    }
}

fn count(text: &[u8]) -> u64 {
    memchr::memmem::find_iter(text, MARK).count() as u64
}

#[test]
fn marks_are_counted_wherever_the_body_is_cut() {
    let body = br#"{"logEvents":[{"timestamp":1,"message":"a"},{"timestamp":2,"message":"b"}]}"#;
    for first in 0..=body.len() {
        for second in first..=body.len() {
            let mut counter = Counter::default();
            for part in [&body[..first], &body[first..second], &body[second..]] {
                counter.add(part);
            }
            assert_eq!((counter.n_events, counter.n_bytes), (2, body.len() as u64), "{first}");
        }
    }
}

#[test]
fn everything_is_taken_and_counted() {
    let server = Counting::start(Duration::from_millis(1));
    let call = |body: &str| {
        let body = body.as_bytes();
        super::client::Call::json(&server.url(), "PutLogEvents").body(body).send()
    };
    let answer = call(r#"{"logEvents":[{"timestamp":1,"message":"\"timestamp\":"}]}"#);
    assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));
    assert!(answer.header("x-amzn-requestid").is_some());
    let wanted = json!({ "requests": 1, "events": 1, "bytes": 58 });
    assert_eq!(server.counts(), wanted);
    assert_eq!(crate::harness::http::get_json(server.port(), "/"), Some(wanted));
}
