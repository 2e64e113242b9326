//! A receiver of OTLP of our own, over gRPC and HTTP, with TLS or without, that does what a test says.

use super::wire::{Record, Request, unpack};
use crate::harness::{http as plain, wait};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;
use tokio::task::{JoinHandle, JoinSet};

/// What becomes of a request.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// All is taken.
    Take,
    /// All but so many items, and a message.
    TakePart(i64, &'static str),
    /// An HTTP status, or a gRPC code as `1000 + code`, with a time to come again in seconds.
    Fail(u16, Option<u64>),
    /// Taken, and the connection is cut before the answer.
    TakeAndCut,
    /// Nothing for ever.
    Hang,
    /// A status that says that the request is too long, if it is longer than so many bytes.
    TakeUpTo(usize),
    /// A code that says that it is never taken, if a body holds the text.
    RefuseText(&'static str),
}

/// A request and what became of it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) request: Request,
    pub(crate) headers: HeaderMap,
    /// Before compression.
    pub(crate) bytes: usize,
    pub(crate) at: Instant,
    /// The client was told that all of it is taken.
    pub(crate) is_acknowledged: bool,
    /// It is stored, told or not.
    pub(crate) is_stored: bool,
}

#[derive(Debug, Default)]
struct State {
    /// For the next requests.
    script: VecDeque<Answer>,
    /// For all after them.
    rule: Option<Answer>,
    seen: Vec<Seen>,
    n_connections: usize,
    /// Requests that break the protocol.
    violations: Vec<String>,
}

/// See the head of the file. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Receiver {
    runtime: Option<Runtime>,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
    state: Arc<Mutex<State>>,
    tls: Option<Arc<rustls::ServerConfig>>,
    is_grpc: bool,
}

impl Receiver {
    /// Listens on a free port, without TLS.
    pub(crate) fn start(is_grpc: bool) -> Self {
        Self::with_tls(is_grpc, None)
    }

    /// Listens on a free port.
    pub(crate) fn with_tls(is_grpc: bool, tls: Option<rustls::ServerConfig>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("otlp-receiver")
            .enable_all()
            .build()
            .unwrap();
        let tls = tls.map(|mut tls| {
            tls.alpn_protocols = vec![if is_grpc { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
            Arc::new(tls)
        });
        let mut receiver = Self {
            runtime: Some(runtime),
            address: (Ipv4Addr::LOCALHOST, plain::free_port()).into(),
            accepting: None,
            state: Arc::default(),
            tls,
            is_grpc,
        };
        receiver.resume();
        receiver
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://localhost:{}", self.address.port())
    }

    pub(crate) fn protocol(&self) -> &'static str {
        if self.is_grpc { "grpc" } else { "http/protobuf" }
    }

    /// Cuts every connection and refuses new ones, as a process that is killed.
    pub(crate) fn stop(&mut self) {
        let accepting = self.accepting.take().expect("it runs");
        accepting.abort();
        wait::until("the receiver stops", Duration::from_secs(10), || {
            accepting.is_finished().then_some(())
        });
    }

    /// Listens again on the same port.
    pub(crate) fn resume(&mut self) {
        let runtime = self.runtime.as_ref().unwrap();
        let listener = {
            let _inside = runtime.enter();
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            socket.bind(self.address).unwrap();
            socket.listen(64).unwrap()
        };
        let (state, tls, is_grpc) = (self.state.clone(), self.tls.clone(), self.is_grpc);
        self.accepting = Some(runtime.spawn(accept(listener, state, tls, is_grpc)));
    }

    /// What becomes of the next requests that are not empty.
    pub(crate) fn say(&self, answers: &[Answer]) {
        self.state().script.extend(answers.iter().cloned());
    }

    /// What becomes of all others.
    pub(crate) fn rule(&self, answer: Option<Answer>) {
        self.state().rule = answer;
    }

    /// Every request so far that was not empty.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    /// Connections so far.
    pub(crate) fn n_connections(&self) -> usize {
        self.state().n_connections
    }

    /// Records that are stored, in the order in which they came.
    pub(crate) fn stored(&self) -> Vec<Record> {
        let state = self.state();
        let stored = state.seen.iter().filter(|it| it.is_stored);
        stored.flat_map(|it| it.request.records()).collect()
    }

    /// Records for which the client was told that they are taken.
    pub(crate) fn acknowledged(&self) -> Vec<Record> {
        let state = self.state();
        let told = state.seen.iter().filter(|it| it.is_acknowledged);
        told.flat_map(|it| it.request.records()).collect()
    }

    /// Fails when a request broke the protocol.
    #[track_caller]
    pub(crate) fn expect_no_violations(&self) {
        assert_eq!(self.state().violations, [""; 0]);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(
    listener: TcpListener,
    state: Arc<Mutex<State>>,
    tls: Option<Arc<rustls::ServerConfig>>,
    is_grpc: bool,
) {
    // Aborting this task drops the set, which cuts its connections.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            Ok((stream, _)) = listener.accept() => {
                let (state, tls) = (state.clone(), tls.clone());
                connections.spawn(async move {
                    state.lock().unwrap().n_connections += 1;
                    match tls {
                        None => serve(stream, state, is_grpc).await,
                        Some(tls) => {
                            let acceptor = tokio_rustls::TlsAcceptor::from(tls);
                            let Ok(stream) = acceptor.accept(stream).await else { return };
                            serve(stream, state, is_grpc).await;
                        }
                    }
                });
            }
        }
    }
}

async fn serve<S>(stream: S, state: Arc<Mutex<State>>, is_grpc: bool)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let cut = Arc::new(tokio::sync::Notify::new());
    let told = cut.clone();
    let service = service_fn(move |request| answer(request, state.clone(), cut.clone(), is_grpc));
    let io = TokioIo::new(stream);
    let connection = async {
        if is_grpc {
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let _ = builder.serve_connection(io, service).await;
        } else {
            let builder = hyper::server::conn::http1::Builder::new();
            let _ = builder.serve_connection(io, service).await;
        }
    };
    tokio::select! {
        () = connection => {}
        () = told.notified() => {}
    }
}

type Body = http_body_util::combinators::BoxBody<Bytes, Infallible>;
type Response = hyper::Response<Body>;

async fn answer(
    request: hyper::Request<Incoming>,
    state: Arc<Mutex<State>>,
    cut: Arc<tokio::sync::Notify>,
    is_grpc: bool,
) -> Result<Response, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let (message, problem) = read(&head.headers, &body, is_grpc);
    let (answer, seen) = {
        let mut state = state.lock().unwrap();
        if let Some(problem) = problem {
            state.violations.push(problem);
        }
        let Some(request) = Request::read(head.uri.path(), &message) else {
            state.violations.push(format!("no request to {}", head.uri.path()));
            return Ok(if is_grpc { grpc(12, None, None) } else { http(404, None, vec![]) });
        };
        let answer = if message.is_empty() {
            Answer::Take
        } else {
            let next = state.script.pop_front();
            next.or_else(|| state.rule.clone()).unwrap_or(Answer::Take)
        };
        let bodies = || request.records().into_iter().map(|record| record.body);
        // A rule becomes what it says of this request.
        let answer = match answer {
            Answer::TakeUpTo(bytes) if message.len() <= bytes => Answer::Take,
            Answer::TakeUpTo(_) if is_grpc => Answer::Fail(2000, None),
            Answer::TakeUpTo(_) => Answer::Fail(413, None),
            Answer::RefuseText(text) if bodies().any(|body| body.contains(text)) => {
                Answer::Fail(if is_grpc { 1003 } else { 400 }, None)
            }
            Answer::RefuseText(_) => Answer::Take,
            answer => answer,
        };
        let is_acknowledged = matches!(answer, Answer::Take | Answer::TakePart(..));
        let seen = Seen {
            request,
            headers: head.headers.clone(),
            bytes: message.len(),
            at: Instant::now(),
            is_acknowledged,
            is_stored: is_acknowledged || matches!(answer, Answer::TakeAndCut),
        };
        (answer, (!message.is_empty()).then_some(seen))
    };
    state.lock().unwrap().seen.extend(seen);
    Ok(match answer {
        Answer::Take => taken(is_grpc, vec![]),
        Answer::TakePart(n_rejected, told) => taken(is_grpc, partial(n_rejected, told)),
        Answer::Fail(2000, _) => {
            let told = "grpc: received message larger than max (5 vs. 4)";
            grpc(8, Some(told), None)
        }
        Answer::Fail(code @ 1000.., retry) => grpc(code - 1000, None, retry),
        Answer::Fail(status, retry) => http(status, retry, b"<html>no</html>".to_vec()),
        Answer::TakeAndCut => {
            cut.notify_one();
            std::future::pending().await
        }
        _ => std::future::pending().await,
    })
}

/// The message of a request, and what is wrong with the request.
fn read(headers: &HeaderMap, body: &[u8], is_grpc: bool) -> (Vec<u8>, Option<String>) {
    let header = |name: &str| headers.get(name).map_or("", |it| it.to_str().unwrap());
    if !is_grpc {
        let kind = header("content-type");
        let problem = (kind != "application/x-protobuf").then(|| format!("content-type {kind}"));
        return (unpack(body, header("content-encoding")), problem);
    }
    let (kind, te) = (header("content-type"), header("te"));
    let is_right = kind == "application/grpc" && te == "trailers";
    let problem = (!is_right).then(|| format!("content-type {kind}, te {te}"));
    let length = u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize;
    if length != body.len() - 5 {
        return (Vec::new(), Some(format!("a frame of {length} in {} bytes", body.len())));
    }
    let encoding = if body[0] == 1 { header("grpc-encoding") } else { "" };
    (unpack(&body[5..], encoding), problem)
}

/// `partial_success { rejected = 1, error_message = 2 }` of any of the three answers.
fn partial(n_rejected: i64, told: &str) -> Vec<u8> {
    let mut inner = Vec::new();
    prost::encoding::int64::encode(1, &n_rejected, &mut inner);
    prost::encoding::string::encode(2, &told.to_owned(), &mut inner);
    let mut outer = Vec::new();
    prost::encoding::bytes::encode(1, &inner, &mut outer);
    outer
}

fn taken(is_grpc: bool, message: Vec<u8>) -> Response {
    if !is_grpc {
        return http(200, None, message);
    }
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend_from_slice(&message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let frames = [Frame::data(Bytes::from(framed)), Frame::trailers(trailers)];
    let stream = futures_util::stream::iter(frames.map(Ok::<_, Infallible>));
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(stream)));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

fn grpc(code: u16, told: Option<&'static str>, retry_s: Option<u64>) -> Response {
    let mut response = Response::new(Full::default().boxed());
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", code.into());
    headers.insert("grpc-message", HeaderValue::from_static(told.unwrap_or("as%20the test says")));
    if let Some(seconds) = retry_s {
        headers.insert("grpc-status-details-bin", retry_info(seconds).parse().unwrap());
    }
    response
}

/// `google.rpc.Status` with a `RetryInfo`, in base64.
fn retry_info(seconds: u64) -> String {
    use base64::Engine;
    let (mut delay, mut info, mut any, mut status) = (vec![], vec![], vec![], vec![]);
    prost::encoding::int64::encode(1, &i64::try_from(seconds).unwrap(), &mut delay);
    prost::encoding::bytes::encode(1, &delay, &mut info);
    let url = "type.googleapis.com/google.rpc.RetryInfo".to_owned();
    prost::encoding::string::encode(1, &url, &mut any);
    prost::encoding::bytes::encode(2, &info, &mut any);
    prost::encoding::bytes::encode(3, &any, &mut status);
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(status)
}

fn http(status: u16, retry_s: Option<u64>, body: Vec<u8>) -> Response {
    let kind = if status == 200 { "application/x-protobuf" } else { "text/html" };
    let mut response = Response::new(Full::from(body).boxed());
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap();
    response.headers_mut().insert("content-type", HeaderValue::from_static(kind));
    if let Some(seconds) = retry_s {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    response
}
