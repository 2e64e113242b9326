//! HTTP/1 on one thread: bounded connections, bounded requests, bounded time.

use super::{AdminError, AdminState};
use crate::export::prometheus::Format;
use crate::telemetry::RateLimit;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Connections at the same time; more wait in the system's queue.
const CONNECTIONS_MAX: usize = 64;
/// Bytes of a request's head; 8 KiB is the least that hyper takes.
const HEAD_BYTES_MAX: usize = 16 << 10;
const HEADERS_MAX: usize = 64;
/// Time for a request's head to arrive.
const HEAD_TIME_MAX: Duration = Duration::from_secs(10);
/// Time for one connection as a whole, so that a reader who stops reading holds no place.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(30);
/// Pause after the system refused a connection, most likely for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Time that open connections have to finish at shutdown.
const SHUTDOWN_TIME_MAX: Duration = Duration::from_secs(1);
const _: () = assert!(HEAD_BYTES_MAX >= 8 << 10, "hyper panics below 8 KiB");

const TEXT: &str = "text/plain; charset=utf-8";
const PATHS: &str = "/metrics\n/livez\n/readyz\n";

/// An admin server that holds its port but does not answer yet.
#[derive(Debug)]
pub struct Admin {
    listener: std::net::TcpListener,
    address: SocketAddr,
}

impl Admin {
    /// Takes the port. Done before anything else starts, so that a conflict costs nothing.
    pub fn bind(address: SocketAddr) -> Result<Self, AdminError> {
        let listen = || {
            let listener = std::net::TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        listen().map_err(|source| AdminError::Listen { address, source })
    }

    /// The address it listens on; the port is real where 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The same socket once more: what comes while nobody answers waits, and is not refused.
    pub fn try_clone(&self) -> Result<Self, AdminError> {
        let listener = self.listener.try_clone();
        let listener = listener.map_err(|source| AdminError::Start { source })?;
        Ok(Self { listener, address: self.address })
    }

    /// Answers requests on a thread of its own until the handle is shut down or dropped.
    pub fn serve(self, state: Arc<AdminState>) -> Result<AdminHandle, AdminError> {
        let (stop, stopped) = oneshot::channel();
        let start = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let listener = {
                let _inside = runtime.enter();
                TcpListener::from_std(self.listener)?
            };
            thread::Builder::new()
                .name("admin".to_owned())
                .spawn(move || runtime.block_on(run(listener, state, stopped)))
        };
        let thread = start().map_err(|source| AdminError::Start { source })?;
        Ok(AdminHandle { stop, thread })
    }
}

/// A running admin server.
#[derive(Debug)]
pub struct AdminHandle {
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl AdminHandle {
    /// Stops listening, lets open requests finish for a second at most, and joins the thread.
    /// Blocks for that time.
    pub fn shutdown(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the admin server had panicked");
        }
    }
}

async fn run(listener: TcpListener, state: Arc<AdminState>, mut stopped: oneshot::Receiver<()>) {
    static REFUSED: RateLimit = RateLimit::new();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // The sender is only ever dropped: an error is the signal.
            _ = &mut stopped => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(answer(stream, Arc::clone(&state)));
                }
                Err(error) => {
                    if let Some(n_suppressed) = REFUSED.admit() {
                        tracing::warn!(%error, n_suppressed, "admin connection was not accepted");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    // What is still open after that is cut off when the set is dropped.
    let _ = timeout(SHUTDOWN_TIME_MAX, async { while connections.join_next().await.is_some() {} })
        .await;
}

async fn answer(stream: TcpStream, state: Arc<AdminState>) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = respond(&request, &state);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        // One request a connection: idle ones cannot use up the places, and no scrape meets a
        // connection that is just being closed.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A client that hangs up or sends garbage is its own trouble; hyper has answered it already.
    let _ = timeout(CONNECTION_TIME_MAX, connection).await;
}

fn respond(request: &Request<Incoming>, state: &AdminState) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let text = "only GET and HEAD are answered\n".to_owned();
        let mut response = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, text);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/metrics" => {
            let accept = request.headers().get_all(ACCEPT).iter();
            let accept: Vec<&str> = accept.filter_map(|value| value.to_str().ok()).collect();
            let format = Format::negotiate(&accept.join(","));
            page(StatusCode::OK, format.content_type(), state.metrics(format))
        }
        "/livez" if state.health.is_alive(Instant::now()) => {
            page(StatusCode::OK, TEXT, "alive\n".to_owned())
        }
        "/livez" => {
            let text = "the event loop does not turn any more\n".to_owned();
            page(StatusCode::SERVICE_UNAVAILABLE, TEXT, text)
        }
        "/readyz" => {
            let reasons = state.reasons();
            let is_ready = reasons.is_empty();
            let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            let body = serde_json::json!({ "ready": is_ready, "reasons": reasons });
            page(status, "application/json", format!("{body}\n"))
        }
        _ => page(StatusCode::NOT_FOUND, TEXT, format!("not found; there is:\n{PATHS}")),
    }
}

fn page(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
