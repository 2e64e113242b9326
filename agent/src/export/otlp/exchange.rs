//! One request and its answer, as gRPC or as HTTP.
//!
//! Of gRPC only what OTLP needs is here: one message each way, in a frame of five bytes and the
//! message, and a status behind it. So both protocols share connections, TLS, proxies and compression,
//! and a message is compressed once, at a level of our choice, on a thread that may be busy.

use super::cleaner::Cleaner;
use super::config::{Compression, Protocol};
use super::connection::{Client, Connection};
use super::failure::{Class, Failure, Status};
use super::route::Route;
use crate::telemetry::{self, RateLimit};
use flate2::write::GzEncoder;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Method, Request, Response};
use prost::Message;
use redaction::Redactor;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// What stands before a message of gRPC: whether it is compressed, and its length.
pub(super) const FRAME: usize = 5;
/// Most bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// From here on compressing takes long enough to be done elsewhere.
const INLINE_BYTES_MAX: usize = 32 << 10;
/// Fast. With zlib, a Spark driver's log becomes a ninth of its size at level 1, and a twelfth at level 6
/// for 2.6 times the CPU time.
const GZIP_LEVEL: u32 = 1;
const ZSTD_LEVEL: i32 = 1;

static PARTIAL: RateLimit = RateLimit::new();
static ADVICE: RateLimit = RateLimit::new();

/// A whole answer.
#[derive(Debug)]
pub(super) struct Reply<'r> {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) trailers: Option<HeaderMap>,
    /// Who was asked.
    pub(super) endpoint: &'r str,
}

impl Reply<'_> {
    fn content_type(&self) -> &str {
        let value = self.headers.get("content-type").and_then(|it| it.to_str().ok());
        value.unwrap_or_default()
    }

    pub(super) fn is_protobuf(&self) -> bool {
        self.content_type().starts_with("application/x-protobuf")
    }
}

/// What all services of OTLP answer: the three messages differ in their names alone.
#[derive(Clone, PartialEq, Message)]
struct Taken {
    #[prost(message, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    n_rejected: i64,
    #[prost(string, tag = "2")]
    message: String,
}

/// Sends the messages of one signal.
#[derive(Debug)]
pub(super) struct Exchange {
    route: Arc<Route>,
    connection: Connection,
    time: Duration,
    cleaner: Cleaner,
    user_agent: HeaderValue,
}

impl Exchange {
    /// Nothing is connected yet. `time` is for one request.
    pub(super) fn new(route: Route, time: Duration, redactor: Arc<Redactor>) -> Self {
        let time = route.timeout.map_or(time, |allowed| allowed.min(time));
        let connection = Connection::new(route.protocol);
        let cleaner = Cleaner::new(&route, redactor);
        let user_agent = concat!("sidelight/", env!("CARGO_PKG_VERSION"));
        let user_agent = HeaderValue::from_static(user_agent);
        Self { route: Arc::new(route), connection, time, cleaner, user_agent }
    }

    /// What one request may take.
    pub(super) fn time(&self) -> Duration {
        self.time
    }

    /// For what is told of its requests.
    pub(super) fn cleaner(&self) -> &Cleaner {
        &self.cleaner
    }

    /// Sends a message, which begins behind [`FRAME`] bytes of `framed`. Ok means that the receiver
    /// has answered for all of it: what it says to have rejected is counted. `within` is what is left of
    /// the time of its batch.
    pub(super) async fn send(&mut self, framed: Vec<u8>, within: Duration) -> Result<(), Failure> {
        let signal = self.route.signal.label();
        let n_bytes = (framed.len() - FRAME) as u64;
        let result = self.try_send(framed, self.time.min(within)).await;
        let outcome = match &result {
            Ok(()) => "ok",
            Err(failure) => match failure.class {
                Class::Transient => "transient",
                Class::Denied => "denied",
                Class::TooLarge => "too_large",
                Class::Refused => "refused",
            },
        };
        telemetry::OTLP_REQUESTS.add(signal, outcome, 1);
        if result.is_ok() {
            telemetry::OTLP_BYTES.add(signal, n_bytes);
        }
        result
    }

    async fn try_send(&mut self, framed: Vec<u8>, time: Duration) -> Result<(), Failure> {
        let failed = |class, told: &str, cleaner: &Cleaner| Failure::own(class, told, cleaner);
        let client = self.connection.client(&self.route, &self.cleaner).await;
        let client = client.map_err(|told| failed(Class::Transient, &told, &self.cleaner))?;
        let body = self.body(framed).await;
        let body = body.map_err(|told| failed(Class::Transient, &told, &self.cleaner))?;
        let request = self.request(body, time);
        // Dropped in the middle, or out of time: nobody knows what the connection is good for.
        self.connection.begin();
        let endpoint = &self.route.endpoint;
        let asked = timeout(time, ask(&client, request, endpoint)).await;
        let reply = match asked {
            Ok(Ok(reply)) => reply,
            Ok(Err(told)) => {
                self.connection.end();
                return Err(failed(Class::Transient, &told, &self.cleaner));
            }
            Err(_) => {
                let told = format!("{endpoint} did not answer within {time:?}");
                return Err(failed(Class::Transient, &told, &self.cleaner));
            }
        };
        self.connection.end();
        match self.route.protocol {
            Protocol::Grpc => self.read_grpc(&reply),
            Protocol::Http => self.read_http(&reply),
        }
    }

    /// What is sent: compressed, and in a frame where there is one.
    async fn body(&self, framed: Vec<u8>) -> Result<Bytes, String> {
        let compression = self.route.compression;
        let is_long = framed.len() > INLINE_BYTES_MAX && compression != Compression::None;
        let pack = move || pack(framed, compression);
        let packed = if is_long {
            tokio::task::spawn_blocking(pack).await.map_err(|error| error.to_string())?
        } else {
            pack()
        };
        let packed = packed.map_err(|error| format!("compression failed: {error}"))?;
        let bytes = Bytes::from(packed);
        Ok(if self.route.protocol == Protocol::Http { bytes.slice(FRAME..) } else { bytes })
    }

    fn request(&self, body: Bytes, time: Duration) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.route.uri.clone();
        let headers = request.headers_mut();
        headers.insert("user-agent", self.user_agent.clone());
        let encoding = match self.route.compression {
            Compression::None => None,
            Compression::Gzip => Some(HeaderValue::from_static("gzip")),
            Compression::Zstd => Some(HeaderValue::from_static("zstd")),
        };
        let (kind, encoding_name) = match self.route.protocol {
            Protocol::Grpc => ("application/grpc", "grpc-encoding"),
            Protocol::Http => ("application/x-protobuf", "content-encoding"),
        };
        headers.insert("content-type", HeaderValue::from_static(kind));
        if let Some(encoding) = encoding {
            headers.insert(encoding_name, encoding);
        }
        if self.route.protocol == Protocol::Grpc {
            headers.insert("te", HeaderValue::from_static("trailers"));
            let ms = format!("{}m", time.as_millis());
            if let Ok(ms) = HeaderValue::try_from(ms) {
                headers.insert("grpc-timeout", ms);
            }
        }
        for (name, value) in &self.route.headers {
            headers.append(name.clone(), value.clone());
        }
        request
    }

    fn read_grpc(&self, reply: &Reply<'_>) -> Result<(), Failure> {
        let in_trailers = reply.trailers.as_ref().and_then(Status::read);
        let status = in_trailers.or_else(|| Status::read(&reply.headers));
        let is_grpc = reply.content_type().starts_with("application/grpc");
        let status = match status {
            Some(status) => status,
            None if reply.status == 200 && is_grpc => {
                // The stream ended before the status: nobody knows what was taken.
                let told = "the answer ends without a gRPC status";
                return Err(Failure::own(Class::Transient, told, &self.cleaner));
            }
            None if reply.status == 200 => return Err(self.foreign(reply)),
            // A proxy or a gateway answers.
            None => return Err(Failure::of_http(reply, &self.cleaner)),
        };
        if status.code != 0 {
            return Err(Failure::of_grpc(reply, &status, &self.cleaner));
        }
        if let Some(message) = reply.body.get(FRAME..).filter(|_| reply.body[0] == 0) {
            self.note_partial(message);
        }
        Ok(())
    }

    fn read_http(&self, reply: &Reply<'_>) -> Result<(), Failure> {
        if !(200..300).contains(&reply.status) {
            return Err(Failure::of_http(reply, &self.cleaner));
        }
        // A page of a proxy that answers 200 to everything is no receipt.
        let kind = reply.content_type();
        if kind.starts_with("text/html") && !reply.body.is_empty() {
            return Err(self.foreign(reply));
        }
        if reply.is_protobuf() {
            self.note_partial(&reply.body);
        }
        Ok(())
    }

    fn foreign(&self, reply: &Reply<'_>) -> Failure {
        let told = format!(
            "{} answers with {:?} and not as an OTLP receiver does; check `endpoint` and `protocol`",
            reply.endpoint,
            reply.content_type()
        );
        Failure::own(Class::Denied, &told, &self.cleaner)
    }

    /// Counts what the receiver took the request without. Which records those are it does not say,
    /// so nothing is sent again (OTLP specification, "Partial Success").
    fn note_partial(&self, message: &[u8]) {
        let Ok(Taken { partial_success: Some(partial) }) = Taken::decode(message) else { return };
        let signal = self.route.signal.label();
        let n_rejected = u64::try_from(partial.n_rejected).unwrap_or_default();
        if n_rejected == 0 && partial.message.is_empty() {
            return;
        }
        let reason = self.cleaner.text(&partial.message);
        if n_rejected == 0 {
            // A warning of the receiver; nothing is missing.
            if let Some(n_suppressed) = ADVICE.admit() {
                tracing::info!(signal, %reason, n_suppressed, "the receiver says");
            }
            return;
        }
        telemetry::OTLP_REJECTED.add(signal, n_rejected);
        if let Some(n_suppressed) = PARTIAL.admit() {
            let what = "the receiver took a request in part; what it rejected is not sent again";
            tracing::warn!(signal, rejected = n_rejected, %reason, n_suppressed, "{what}");
        }
    }
}

/// Sends one request and reads the whole answer, or tells what went wrong.
async fn ask<'r>(
    client: &Client,
    request: Request<Full<Bytes>>,
    endpoint: &'r str,
) -> Result<Reply<'r>, String> {
    let told = |error: &dyn std::error::Error| format!("{endpoint}: {}", chain(error));
    let response: Response<Incoming> =
        client.request(request).await.map_err(|error| told(&error))?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| told(&*error))?;
    Ok(Reply {
        status: head.status.as_u16(),
        headers: head.headers,
        trailers: body.trailers().cloned(),
        body: body.to_bytes(),
        endpoint,
    })
}

/// An error and what caused it: the last one says what to change.
fn chain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut at = error.source();
    while let Some(source) = at {
        let next = source.to_string();
        if !told.contains(&next) {
            told = format!("{told}: {next}");
        }
        at = source.source();
    }
    told
}

/// Compresses what is behind the frame, and fills in the frame.
fn pack(mut framed: Vec<u8>, compression: Compression) -> std::io::Result<Vec<u8>> {
    let message = &framed[FRAME..];
    let mut packed = match compression {
        Compression::None => std::mem::take(&mut framed),
        Compression::Gzip => {
            let mut out = Vec::with_capacity(FRAME + message.len() / 4);
            out.extend_from_slice(&[0; FRAME]);
            let mut encoder = GzEncoder::new(out, flate2::Compression::new(GZIP_LEVEL));
            encoder.write_all(message)?;
            encoder.finish()?
        }
        Compression::Zstd => {
            let mut out = Vec::with_capacity(FRAME + message.len() / 4);
            out.extend_from_slice(&[0; FRAME]);
            let mut encoder = zstd::Encoder::new(out, ZSTD_LEVEL)?;
            encoder.write_all(message)?;
            encoder.finish()?
        }
    };
    packed[0] = u8::from(compression != Compression::None);
    // No request is as long as that: request_bytes_max.
    let length = u32::try_from(packed.len() - FRAME).unwrap_or(u32::MAX);
    packed[1..FRAME].copy_from_slice(&length.to_be_bytes());
    Ok(packed)
}
