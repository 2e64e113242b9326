//! Kept connections to one receiver: made when needed, and anew when certificates change.

use super::cleaner::Cleaner;
use super::config::Protocol;
use super::route::Route;
use crate::telemetry::{self, RateLimit};
use crate::tls::Seen;
use http_body_util::Full;
use hyper::Uri;
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower_service::Service;

/// Time to connect; the other side of the world answers within a second.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a connection is kept that nothing goes through.
const IDLE: Duration = Duration::from_secs(60);
/// Time between two looks at the files of certificates.
const FILE_LOOK: Duration = Duration::from_secs(1);

static FAILED_RELOAD: RateLimit = RateLimit::new();

/// Sends requests.
pub(super) type Client = legacy::Client<HttpsConnector<Dial>, Full<Bytes>>;

/// See the head of the file.
#[derive(Debug)]
pub(super) struct Connection {
    protocol: Protocol,
    client: Option<Client>,
    seen: Seen,
    looked: Option<Instant>,
    is_under_way: bool,
}

impl Connection {
    pub(super) fn new(protocol: Protocol) -> Self {
        Self { protocol, client: None, seen: Seen::new(), looked: None, is_under_way: false }
    }

    /// A request begins. Until it has ended well the connection is not trusted: a peer that is gone
    /// without a word would cost every later request its whole time.
    pub(super) fn begin(&mut self) {
        self.is_under_way = true;
    }

    /// The answer is there.
    pub(super) fn end(&mut self) {
        self.is_under_way = false;
    }

    /// What sends. Connections are made by its first request.
    ///
    /// # Errors
    /// What is wrong with the files of certificates, when there are no connections yet. Else what
    /// there is stays in use, and the next change is waited for.
    pub(super) async fn client(
        &mut self,
        route: &Arc<Route>,
        cleaner: &Cleaner,
    ) -> Result<Client, String> {
        if std::mem::take(&mut self.is_under_way) {
            self.client = None;
        }
        let now = Instant::now();
        let is_due = self.looked.is_none_or(|looked| now - looked >= FILE_LOOK);
        let mut is_changed = false;
        if is_due {
            self.looked = Some(now);
            let files = route.files.clone();
            let seen = blocking(move || Ok(files.look())).await?;
            is_changed = seen != self.seen;
            self.seen = seen;
        }
        if let (Some(client), false) = (&self.client, is_changed) {
            return Ok(client.clone());
        }
        let of = route.clone();
        match blocking(move || of.tls()).await {
            Ok(tls) => {
                if is_changed && self.client.is_some() {
                    telemetry::OTLP_CERTIFICATE_RELOADS.add(route.signal.label(), 1);
                }
                let client = make(tls, self.protocol);
                Ok(self.client.insert(client).clone())
            }
            Err(told) => {
                // A file may be half written; whoever writes it is not done yet.
                self.seen.clear();
                let told = cleaner.text(&told);
                if let Some(n_suppressed) = FAILED_RELOAD.admit() {
                    let what = "certificates cannot be read; trying again";
                    tracing::warn!(reason = %told, n_suppressed, "{what}");
                }
                self.client.clone().ok_or_else(|| told.to_string())
            }
        }
    }
}

/// Does what may wait for the disk where it holds up nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|ending| Err(ending.to_string()))
}

fn make(tls: Option<ClientConfig>, protocol: Protocol) -> Client {
    let tls = tls.unwrap_or_else(|| {
        // Never used: the address begins with http://.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring knows the default versions")
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth()
    });
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    let connector = match protocol {
        Protocol::Grpc => connector.enable_http2().wrap_connector(Dial::new()),
        Protocol::Http => connector.enable_http1().wrap_connector(Dial::new()),
    };
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .http2_only(protocol == Protocol::Grpc)
        .build(connector)
}

/// Connects, through the proxy that `HTTPS_PROXY` and `NO_PROXY` name for TLS. What is not encrypted
/// goes to the collector beside the job, and never through a proxy.
#[derive(Clone)]
pub(super) struct Dial {
    direct: HttpConnector,
    proxies: Arc<Matcher>,
}

type Dialled = Result<TokioIo<TcpStream>, Box<dyn Error + Send + Sync>>;

impl Dial {
    fn new() -> Self {
        let mut direct = HttpConnector::new();
        direct.enforce_http(false);
        direct.set_nodelay(true);
        direct.set_connect_timeout(Some(CONNECT_TIMEOUT));
        Self { direct, proxies: Arc::new(Matcher::from_env()) }
    }
}

impl Service<Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Dialled> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.direct.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let is_tls = uri.scheme_str() == Some("https");
        let proxy = if is_tls { self.proxies.intercept(&uri) } else { None };
        let Some(proxy) = proxy else {
            let dialled = self.direct.call(uri);
            return Box::pin(async { Ok(dialled.await?) });
        };
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.direct.clone());
        if let Some(auth) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(auth.clone());
        }
        let dialled = tunnel.call(uri);
        Box::pin(async { Ok(dialled.await?) })
    }
}
