//! HTTP for the exporters of the OpenTelemetry SDK, which work on threads without a runtime.

use super::PUSHES;
use crate::tls::Files;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{HttpClient, HttpError};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// Path of requests with spans.
pub(super) const TRACES: &str = "/v1/traces";
/// Path of requests with metrics.
pub(super) const METRICS: &str = "/v1/metrics";

/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// See the head of the file.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
    request_timeout: Duration,
}

impl Client {
    /// A client for `endpoint` whose requests run on `runtime`. It trusts whom the system trusts.
    pub(super) fn new(
        endpoint: &str,
        runtime: Handle,
        request_timeout: Duration,
    ) -> Result<Self, HttpError> {
        // A small image may have no certificates, and without https needs none.
        let tls = if endpoint.starts_with("https:") {
            Files::default().load()?
        } else {
            ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_root_certificates(RootCertStore::empty())
                .with_no_client_auth()
        };
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        let http = legacy::Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { http, runtime, request_timeout })
    }
}

impl HttpClient for Client {
    fn send_bytes<'me, 'sent>(
        &'me self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'sent>>
    where
        'me: 'sent,
        Self: 'sent,
    {
        let signal = if request.uri().path().ends_with(TRACES) { "traces" } else { "metrics" };
        let http = self.http.clone();
        let limit = self.request_timeout;
        let answer = self.runtime.spawn(async move {
            let exchange = async {
                let response = http.request(request.map(Full::new)).await?;
                let (head, body) = response.into_parts();
                let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
                Ok::<_, HttpError>(Response::from_parts(head, body))
            };
            timeout(limit, exchange).await?
        });
        Box::pin(async move {
            let answer = answer.await.unwrap_or_else(|ending| Err(ending.into()));
            let is_good = answer.as_ref().is_ok_and(|answer| answer.status().is_success());
            PUSHES.add(signal, if is_good { "ok" } else { "error" }, 1);
            answer
        })
    }
}
