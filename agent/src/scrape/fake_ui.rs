//! A scripted HTTP server on loopback, for tests of scrapers.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What the server answers to one request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// 200 `application/json`.
    Json(String),
    /// Any status with any content type.
    Other(u16, &'static str, &'static str),
    /// Nothing, for ever.
    Hang,
}

type Script = Box<dyn FnMut(&str) -> Reply + Send>;

/// A running server; it ends with this value.
pub(crate) struct FakeUi {
    port: u16,
    state: Arc<Mutex<State>>,
    server: tokio::task::JoinHandle<()>,
}

struct State {
    script: Script,
    requests: Vec<String>,
    n_connections: usize,
}

impl Drop for FakeUi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl FakeUi {
    /// Starts a server that answers a path with query as `script` says.
    pub(crate) async fn start(script: impl FnMut(&str) -> Reply + Send + 'static) -> Self {
        Self::start_on(0, script).await
    }

    /// Starts it on a port that another one has just left.
    pub(crate) async fn start_on(
        port: u16,
        script: impl FnMut(&str) -> Reply + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = State { script: Box::new(script), requests: Vec::new(), n_connections: 0 };
        let state = Arc::new(Mutex::new(state));
        let server = tokio::spawn(serve(listener, Arc::clone(&state)));
        Self { port, state, server }
    }

    /// Stops listening and closes every connection.
    pub(crate) async fn stop(mut self) {
        self.server.abort();
        let _ = (&mut self.server).await;
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Answers as `script` says from now on.
    pub(crate) fn say(&self, script: impl FnMut(&str) -> Reply + Send + 'static) {
        self.state.lock().unwrap().script = Box::new(script);
    }

    /// Paths that were asked for since the last call.
    pub(crate) fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }

    /// Connections that were made so far.
    pub(crate) fn n_connections(&self) -> usize {
        self.state.lock().unwrap().n_connections
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        state.lock().unwrap().n_connections += 1;
        let state = Arc::clone(&state);
        let service = service_fn(move |request| answer(request, Arc::clone(&state)));
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().to_string();
    let reply = {
        let mut state = state.lock().unwrap();
        let reply = (state.script)(&path);
        state.requests.push(path);
        reply
    };
    let (status, content_type, body) = match reply {
        Reply::Json(body) => (200, "application/json", Bytes::from(body)),
        Reply::Other(status, content_type, body) => (status, content_type, Bytes::from(body)),
        Reply::Hang => std::future::pending().await,
    };
    let response = Response::builder().status(status).header(CONTENT_TYPE, content_type);
    Ok(response.body(Full::new(body)).unwrap())
}
