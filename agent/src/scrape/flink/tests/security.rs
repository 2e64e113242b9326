//! TLS, mutual TLS, passwords and tokens, against a server that asks for them.

use super::recording::Recording;
use super::{Config, Harness, cluster, shared};
use crate::scrape::ScrapeError;
use crate::scrape::fake_ui::Reply;
use crate::scrape::flink::FlinkScraper;
use crate::scrape::http::Limits;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// An authority, a server and a client that it has signed, made by openssl.
struct Authority(TempDir);

impl Authority {
    fn new() -> Self {
        let authority = Self(tempfile::tempdir().unwrap());
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        authority.run(&format!("req -x509 {key} -days 2 -subj /CN=ca -keyout ca.key -out ca.pem"));
        fs::write(authority.path("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
        for name in ["server", "client"] {
            authority
                .run(&format!("req {key} -subj /CN={name} -keyout {name}.key -out {name}.csr"));
            authority.run(&format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
                 -extfile names -out {name}.pem"
            ));
        }
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        let output = command.args(arguments.split_whitespace()).current_dir(self.0.path()).output();
        let output = output.expect("openssl is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn acceptor(&self, wants_client: bool) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("ca.pem")).unwrap()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
        let builder = if wants_client {
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let chain = vec![CertificateDer::from_pem_file(self.path("server.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(self.path("server.key")).unwrap();
        TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()))
    }
}

/// A JobManager behind TLS that wants `Authorization` to be as it says.
struct Guarded {
    port: u16,
    wanted: Arc<Mutex<Option<&'static str>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Guarded {
    async fn start(acceptor: TlsAcceptor, wanted: Option<&'static str>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let wanted = Arc::new(Mutex::new(wanted));
        let shown = wanted.clone();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(stream) = acceptor.accept(stream).await else { continue };
                let shown = shown.clone();
                let service = service_fn(move |request| {
                    let wanted = *shown.lock().unwrap();
                    async move { answer(&request, wanted) }
                });
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { port, wanted, server }
    }

    fn scraper(&self, config: Config) -> FlinkScraper {
        let urls = vec![format!("https://127.0.0.1:{}", self.port)];
        FlinkScraper::with_limits(&Config { urls, ..config }, &shared(), Limits::default()).unwrap()
    }

    fn harness(&self, config: Config) -> Harness {
        Harness { scraper: self.scraper(config), start: tokio::time::Instant::now(), now_s: 0 }
    }
}

fn answer(
    request: &Request<Incoming>,
    wanted: Option<&str>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    assert_eq!(request.method(), "GET");
    let shown = request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap());
    let (status, body) = match Recording::empty().answer(&request.uri().to_string()) {
        _ if wanted.is_some() && wanted != shown => (401, String::new()),
        Reply::Json(body) => (200, body),
        _ => (404, String::new()),
    };
    let response = Response::builder().status(status).header(CONTENT_TYPE, "application/json");
    Ok(response.body(Full::new(Bytes::from(body))).unwrap())
}

fn failure(result: &Result<(), ScrapeError>) -> String {
    match result {
        Err(ScrapeError::Failed(what)) => what.clone(),
        other => panic!("expected a failure, found {other:?}"),
    }
}

#[tokio::test]
async fn only_an_authority_that_is_known_is_trusted() {
    let (own, other) = (Authority::new(), Authority::new());
    let manager = Guarded::start(own.acceptor(false), None).await;
    let ca_file = Some(own.path("ca.pem"));
    let out = manager.harness(Config { ca_file, ..Config::default() }).scrape().await;
    assert!(!cluster(&out).samples.is_empty());
    let ca_file = Some(other.path("ca.pem"));
    let (_, result) = manager.harness(Config { ca_file, ..Config::default() }).round().await;
    assert!(failure(&result).contains("certificate"), "{result:?}");
}

#[tokio::test]
async fn mutual_tls_shows_the_certificate_of_the_agent() {
    let own = Authority::new();
    let manager = Guarded::start(own.acceptor(true), None).await;
    let ca_file = Some(own.path("ca.pem"));
    let config = Config { ca_file, ..Config::default() };
    let (_, result) = manager.harness(config.clone()).round().await;
    assert!(result.is_err(), "without one it is not let in");
    let (certificate_file, key_file) = (Some(own.path("client.pem")), Some(own.path("client.key")));
    manager.harness(Config { certificate_file, key_file, ..config }).scrape().await;
}

#[tokio::test]
async fn a_token_is_sent_and_read_again_when_its_file_changes() {
    let own = Authority::new();
    let manager = Guarded::start(own.acceptor(false), Some("Bearer first")).await;
    let token = own.path("token");
    fs::write(&token, "first\n").unwrap();
    let (ca_file, token_file) = (Some(own.path("ca.pem")), Some(token.clone()));
    let mut harness = manager.harness(Config { ca_file, token_file, ..Config::default() });
    harness.scrape().await;
    *manager.wanted.lock().unwrap() = Some("Bearer the-second");
    let (_, result) = harness.round().await;
    assert!(failure(&result).ends_with("status 401 Unauthorized"), "{result:?}");
    fs::write(&token, "the-second\n").unwrap();
    harness.scrape().await;
    fs::remove_file(&token).unwrap();
    let (_, result) = harness.round().await;
    let told = failure(&result);
    assert!(told.contains("token_file") && !told.contains("second"), "{told}");
}

#[tokio::test]
async fn a_password_is_sent_as_basic_authentication() {
    let own = Authority::new();
    let manager = Guarded::start(own.acceptor(false), Some("Basic YWdlbnQ6aHVudGVyMg==")).await;
    let password = own.path("password");
    fs::write(&password, "hunter2").unwrap();
    let config = Config {
        ca_file: Some(own.path("ca.pem")),
        username: Some("agent".to_owned()),
        password_file: Some(password),
        ..Config::default()
    };
    let mut harness = manager.harness(config);
    harness.scrape().await;
    assert!(!format!("{:?}", harness.scraper).contains("hunter2"));
}

#[test]
fn a_file_that_cannot_be_used_ends_the_start_with_its_name() {
    let config = Config {
        urls: vec!["https://127.0.0.1:1".to_owned()],
        ca_file: Some(Path::new("/nowhere/ca.pem").to_owned()),
        ..Config::default()
    };
    let error = FlinkScraper::with_limits(&config, &shared(), Limits::default()).unwrap_err();
    assert!(error.to_string().starts_with("ca_file /nowhere/ca.pem cannot be used"), "{error}");
}
