//! GET JSON over HTTP/1.1 with limits on time and size. Knows nothing of Spark or Flink.
//! It follows no redirect, and no byte of an answer ever stands in an error.

pub mod access;
#[cfg(test)]
mod tests;

use crate::scrape::meter::{Meter, Outcome};
use access::Access;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

/// Largest body that is read, in bytes. `/stages` of 1,000 stages is about 3.5 MB.
pub const RESPONSE_BYTES_MAX: usize = 8 << 20;
/// A larger body, in bytes, is parsed on the blocking pool: 64 KiB take about half a millisecond.
const INLINE_PARSE_BYTES_MAX: usize = 64 << 10;

/// Limits of one client.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Time for a connection to be made.
    pub connect: Duration,
    /// Time for the first answer. The first call makes Spark load its REST classes, which took
    /// more than 5 s on a busy machine.
    pub first_response: Duration,
    /// Time for every later answer, body included.
    pub response: Duration,
    /// Largest body in bytes.
    pub response_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            first_response: Duration::from_secs(20),
            response: Duration::from_secs(10),
            response_bytes_max: RESPONSE_BYTES_MAX,
        }
    }
}

/// Why a base URL cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// TLS is not offered: a driver's UI on the same host or pod network speaks plain HTTP.
    #[error("must begin with http://, as https is not supported here")]
    Https,
    /// Not `http://host[:port][/path]`.
    #[error("must look like http://host:4040")]
    Malformed,
}

/// Why a request brought nothing, one variant per decision of a scraper.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Nothing listens there: the application ended, or has not started.
    #[error("no connection to {host}:{port}")]
    Gone {
        /// Host of the client.
        host: String,
        /// Port of the client.
        port: u16,
    },
    /// TLS failed: the certificates of one side do not fit the other; only another config helps.
    #[error("tls with {host}:{port} failed: {reason}")]
    Tls {
        /// Host of the client.
        host: String,
        /// Port of the client.
        port: u16,
        /// What rustls says; it holds nothing that was sent.
        reason: String,
    },
    /// The target is busy or hangs; worth a longer pause.
    #[error("no complete answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The connection broke during the request; the next round may work.
    #[error("the connection broke during the request")]
    Broken,
    /// A proxy or filter wants to send us elsewhere; only another URL helps.
    #[error("status {0}: redirects are not followed; give the url of the ui itself")]
    Redirected(StatusCode),
    /// The thing asked for does not exist, or no more.
    #[error("status 404")]
    NotFound,
    /// Any other 4xx.
    #[error("status {0}")]
    ClientError(StatusCode),
    /// 5xx.
    #[error("status {0}")]
    ServerError(StatusCode),
    /// 200, but no JSON: not this API. Spark 3.5 answers unknown paths with its HTML page.
    #[error("answered without json; is this the ui of a running application?")]
    Html,
    /// The body is over the limit; ask for less.
    #[error("answer of more than {0} bytes")]
    TooLarge(usize),
    /// JSON that is cut short or of another shape.
    #[error("answer is not the expected json, at line {line} column {column}")]
    Parse {
        /// Line of the body, from 1.
        line: usize,
        /// Column of the line, from 1.
        column: usize,
    },
}

impl HttpError {
    /// True when the target as a whole does not answer, so that more requests make no sense now.
    #[must_use]
    pub fn concerns_target(&self) -> bool {
        matches!(self, Self::Gone { .. } | Self::Tls { .. } | Self::Timeout(_) | Self::Broken)
    }

    /// How the request is counted.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Gone { .. } => Outcome::Gone,
            Self::Tls { .. } => Outcome::Tls,
            Self::Timeout(_) => Outcome::Timeout,
            Self::Broken => Outcome::Broken,
            Self::Redirected(_) => Outcome::Redirected,
            Self::NotFound | Self::ClientError(_) => Outcome::ClientError,
            Self::ServerError(_) => Outcome::ServerError,
            Self::Html => Outcome::Html,
            Self::TooLarge(_) => Outcome::TooLarge,
            Self::Parse { .. } => Outcome::Parse,
        }
    }
}

/// One UI and the connection that is kept to it.
#[derive(Debug)]
pub struct Client {
    host: String,
    port: u16,
    /// Path of the base URL without its trailing slash.
    prefix: String,
    limits: Limits,
    is_tls: bool,
    access: Access,
    connection: Option<Connection>,
    has_answered: bool,
}

/// The sending half and the task that drives the socket; they end together.
#[derive(Debug)]
struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Client {
    /// A client for `url`, such as `http://127.0.0.1:4040`. Nothing is connected yet.
    pub fn new(url: &str, limits: Limits) -> Result<Self, UrlError> {
        let client = Self::with_tls(url, limits)?;
        if client.is_tls { Err(UrlError::Https) } else { Ok(client) }
    }

    /// The same for `https` too, which needs an [`Access`] with TLS.
    pub fn with_tls(url: &str, limits: Limits) -> Result<Self, UrlError> {
        let uri: Uri = url.parse().map_err(|_| UrlError::Malformed)?;
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(UrlError::Malformed),
        };
        let authority = uri.authority().ok_or(UrlError::Malformed)?;
        if authority.host().is_empty() || authority.as_str().contains('@') || uri.query().is_some()
        {
            return Err(UrlError::Malformed);
        }
        Ok(Self {
            host: authority.host().to_owned(),
            port: authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
            prefix: uri.path().trim_end_matches('/').to_owned(),
            limits,
            is_tls,
            access: Access::default(),
            connection: None,
            has_answered: false,
        })
    }

    /// Takes another way to show who it is; the next request makes a new connection.
    pub fn set_access(&mut self, access: Access) {
        (self.access, self.connection) = (access, None);
    }

    /// True for an `https` URL.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Host of the UI.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Port of the UI.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Asks for `path` below the base URL, and reads the answer as a `T`.
    ///
    /// The request is counted in `meter` once, whatever its outcome.
    pub async fn get<T: DeserializeOwned + Send + 'static>(
        &mut self,
        path: &str,
        meter: &mut Meter,
    ) -> Result<T, HttpError> {
        let limit =
            if self.has_answered { self.limits.response } else { self.limits.first_response };
        let start = Instant::now();
        let mut bytes = 0;
        let body = match timeout(limit, self.request(path, &mut bytes)).await {
            Ok(body) => body,
            Err(_) => Err(HttpError::Timeout(limit)),
        };
        let elapsed = start.elapsed();
        let answer = match body {
            Ok(body) => parse(body).await,
            Err(error) => {
                // What is left of a bad answer must not be taken for the next one.
                self.connection = None;
                Err(error)
            }
        };
        self.has_answered |= answer.is_ok();
        let outcome = answer.as_ref().err().map_or(Outcome::Ok, HttpError::outcome);
        meter.record(outcome, elapsed, bytes);
        answer
    }

    async fn request(&mut self, path: &str, bytes: &mut usize) -> Result<Vec<u8>, HttpError> {
        if let Some(mut connection) = self.connection.take_if(|kept| !kept.sender.is_closed()) {
            match exchange(&mut connection, &self.request_for(path)?, &self.limits, bytes).await {
                // The server may have closed an idle connection at this very moment.
                Err(HttpError::Broken) => {}
                answer => {
                    self.connection = Some(connection);
                    return answer;
                }
            }
        }
        let mut connection = self.connect().await?;
        let answer = exchange(&mut connection, &self.request_for(path)?, &self.limits, bytes).await;
        self.connection = Some(connection);
        answer
    }

    fn request_for(&self, path: &str) -> Result<Request<Empty<Bytes>>, HttpError> {
        let mut request = Request::get(format!("{}{path}", self.prefix))
            .header(HOST, format!("{}:{}", self.host, self.port))
            .header(ACCEPT, "application/json");
        if let Some(authorization) = &self.access.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        request.body(Empty::new()).map_err(|_| HttpError::NotFound)
    }

    async fn connect(&self) -> Result<Connection, HttpError> {
        let gone = || HttpError::Gone { host: self.host.clone(), port: self.port };
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let stream = timeout(self.limits.connect, TcpStream::connect((host, self.port)))
            .await
            .map_err(|_| gone())?
            .map_err(|_| gone())?;
        if !self.is_tls {
            return open(stream).await;
        }
        let tls =
            |reason: String| HttpError::Tls { host: self.host.clone(), port: self.port, reason };
        let config = self.access.tls.clone();
        let config: Arc<_> = config.ok_or_else(|| tls("it is not configured".to_owned()))?;
        let name = ServerName::try_from(host.to_owned());
        let name =
            name.map_err(|_| tls("the host is no name that a certificate may have".to_owned()))?;
        let stream = timeout(self.limits.connect, TlsConnector::from(config).connect(name, stream))
            .await
            .map_err(|_| tls("no complete handshake in time".to_owned()))?
            .map_err(|error| tls(error.to_string()))?;
        open(stream).await
    }
}

/// Begins HTTP on a connection.
async fn open(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<Connection, HttpError> {
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|_| HttpError::Broken)?;
    let driver = tokio::spawn(async move {
        // The error reaches whoever awaits the answer; here it would be said twice.
        let _ = connection.await;
    });
    Ok(Connection { sender, driver })
}

async fn exchange(
    connection: &mut Connection,
    request: &Request<Empty<Bytes>>,
    limits: &Limits,
    bytes: &mut usize,
) -> Result<Vec<u8>, HttpError> {
    connection.sender.ready().await.map_err(|_| HttpError::Broken)?;
    let response =
        connection.sender.send_request(request.clone()).await.map_err(|_| HttpError::Broken)?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Err(HttpError::NotFound),
        status if status.is_redirection() => return Err(HttpError::Redirected(status)),
        status if status.is_client_error() => return Err(HttpError::ClientError(status)),
        status => return Err(HttpError::ServerError(status)),
    }
    if !is_json(response.headers()) {
        return Err(HttpError::Html);
    }
    let mut body = response.into_body();
    let too_large = HttpError::TooLarge(limits.response_bytes_max);
    if body.size_hint().lower() > limits.response_bytes_max as u64 {
        return Err(too_large);
    }
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| HttpError::Broken)?.into_data() else { continue };
        *bytes += data.len();
        if read.len() + data.len() > limits.response_bytes_max {
            return Err(too_large);
        }
        read.extend_from_slice(&data);
    }
    Ok(read)
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.starts_with("application/json"))
}

async fn parse<T: DeserializeOwned + Send + 'static>(body: Vec<u8>) -> Result<T, HttpError> {
    let parsed = if body.len() <= INLINE_PARSE_BYTES_MAX {
        serde_json::from_slice(&body)
    } else {
        let parsing = tokio::task::spawn_blocking(move || serde_json::from_slice(&body));
        // It is cancelled only when the runtime ends.
        parsing.await.map_err(|_| HttpError::Broken)?
    };
    // The text of a serde error can quote the answer, so only its place is kept.
    parsed.map_err(|error: serde_json::Error| HttpError::Parse {
        line: error.line(),
        column: error.column(),
    })
}
