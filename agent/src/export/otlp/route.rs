//! Where one signal goes: address, headers, compression, certificates.

use super::config::{Compression, Config, Protocol, SignalName};
use super::environment::Variables;
use crate::tls::Files;
use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};
use rustls::ClientConfig;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Headers that the protocol itself sets.
const RESERVED: [&str; 9] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Something that cannot be used, and the key of the config that would say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) key: &'static str,
    pub(super) what: String,
}

/// See the head of the file.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) signal: SignalName,
    pub(super) protocol: Protocol,
    /// With the path of the signal.
    pub(super) uri: Uri,
    /// What the user knows it by: without the path that is added.
    pub(super) endpoint: String,
    pub(super) compression: Compression,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) files: Files,
    /// What the environment allows for one request.
    pub(super) timeout: Option<Duration>,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No header: its value is a secret.
        f.debug_struct("Route").field("uri", &self.uri).finish_non_exhaustive()
    }
}

impl Route {
    /// Brings config and environment together.
    pub(super) fn of(
        config: &Config,
        signal: SignalName,
        variables: &Variables<'_>,
    ) -> Result<Self, Problem> {
        let said = |found| variables.or_ignored(found).flatten();
        let protocol = config.protocol.or_else(|| said(variables.protocol(signal)));
        let protocol = protocol.unwrap_or(Protocol::Grpc);
        let compression = || variables.or_ignored(variables.compression(signal)).flatten();
        let compression = config.compression.or_else(compression).unwrap_or(Compression::Gzip);
        let (uri, endpoint) = match &config.endpoint {
            Some(endpoint) => {
                let uri = address(endpoint, signal, protocol, false).map_err(|law| Problem {
                    key: "endpoint",
                    what: format!("the address: {law}"),
                })?;
                (uri, endpoint.clone())
            }
            None => address_of_variables(signal, protocol, variables),
        };
        let files = files(config, signal, variables, uri.scheme_str() == Some("https"))?;
        let timeout = variables.or_ignored(variables.timeout(signal)).flatten();
        let headers = if config.headers.is_empty() {
            let given = variables.headers(signal).and_then(headers);
            variables.or_ignored(given).unwrap_or_default()
        } else {
            let given = config.headers.iter();
            headers(given.map(|(name, value)| (name.clone(), value.0.clone())).collect())?
        };
        Ok(Self { signal, protocol, uri, endpoint, compression, headers, files, timeout })
    }

    /// What TLS needs, read anew; none for plain connections.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub(super) fn tls(&self) -> Result<Option<ClientConfig>, String> {
        if self.uri.scheme_str() == Some("https") { self.files.load().map(Some) } else { Ok(None) }
    }
}

/// The URL of a request and the address as the variables have it, or that of a collector beside the job.
fn address_of_variables(
    signal: SignalName,
    protocol: Protocol,
    variables: &Variables<'_>,
) -> (Uri, String) {
    let of_signal = variables.of_signal(signal, "ENDPOINT").map(|found| (found, true));
    let of_all = || variables.of_all("ENDPOINT").map(|found| (found, false));
    if let Some((found, is_whole)) = of_signal.or_else(of_all) {
        match address(&found.value, signal, protocol, is_whole) {
            Ok(uri) => return (uri, found.value),
            Err(law) => variables.ignore(format!("{}: {law}", found.name)),
        }
    }
    let port = if protocol == Protocol::Grpc { 4317 } else { 4318 };
    let endpoint = format!("http://localhost:{port}");
    let uri = address(&endpoint, signal, protocol, false).unwrap_or_default();
    (uri, endpoint)
}

/// The URL of a request, or what is wrong with the address.
fn address(
    endpoint: &str,
    signal: SignalName,
    protocol: Protocol,
    is_whole: bool,
) -> Result<Uri, &'static str> {
    let law = "must be like https://otlp.example.com:4317 or http://localhost:4318";
    let uri: Uri = endpoint.parse().map_err(|_| law)?;
    let authority = uri.authority().ok_or(law)?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.query().is_some() {
        return Err(law);
    }
    if authority.as_str().contains('@') {
        return Err("must not hold a user or password; use headers");
    }
    let base = uri.path().trim_end_matches('/');
    let path = match (protocol, signal) {
        (Protocol::Http, _) if is_whole => uri.path().to_owned(),
        (Protocol::Http, signal) => format!("{base}/v1/{}", signal.as_str()),
        (Protocol::Grpc, SignalName::Logs) => service(base, "logs", "Logs"),
        (Protocol::Grpc, SignalName::Metrics) => service(base, "metrics", "Metrics"),
        (Protocol::Grpc, SignalName::Traces) => service(base, "trace", "Trace"),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path.parse().map_err(|_| law)?);
    Uri::from_parts(parts).map_err(|_| law)
}

fn service(base: &str, package: &str, name: &str) -> String {
    format!("{base}/opentelemetry.proto.collector.{package}.v1.{name}Service/Export")
}

fn files(
    config: &Config,
    signal: SignalName,
    variables: &Variables<'_>,
    is_https: bool,
) -> Result<Files, Problem> {
    let given = [&config.ca_file, &config.certificate_file, &config.key_file];
    let is_given = given.iter().any(|file| file.is_some());
    let pick = |given: &Option<PathBuf>, name| {
        let found = || variables.find(signal, name).map(|found| PathBuf::from(found.value));
        given.clone().or_else(|| if is_https { found() } else { None })
    };
    let files = Files {
        ca: pick(&config.ca_file, "CERTIFICATE"),
        certificate: pick(&config.certificate_file, "CLIENT_CERTIFICATE"),
        key: pick(&config.key_file, "CLIENT_KEY"),
    };
    let problem = |key, what: &str| Err(Problem { key, what: what.to_owned() });
    if is_given && !is_https {
        let key = if config.ca_file.is_some() { "ca_file" } else { "certificate_file" };
        return problem(key, "is for an endpoint that begins with https://");
    }
    if files.certificate.is_some() != files.key.is_some() && !is_given {
        let both = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and _CLIENT_KEY are to be set together";
        variables.ignore(both.to_owned());
        return Ok(Files { certificate: None, key: None, ..files });
    }
    match (&files.certificate, &files.key) {
        (Some(_), None) => problem("certificate_file", "needs key_file"),
        (None, Some(_)) => problem("key_file", "needs certificate_file"),
        _ => Ok(files),
    }
}

fn headers(given: Vec<(String, String)>) -> Result<Vec<(HeaderName, HeaderValue)>, Problem> {
    let mut headers = Vec::new();
    for (raw_name, raw_value) in given {
        // Names are no secrets, but something else may stand where a name should.
        let wrong =
            |law: &str| Problem { key: "headers", what: format!("the header {raw_name:?} {law}") };
        let name = HeaderName::from_bytes(raw_name.as_bytes());
        let name = name.map_err(|_| Problem {
            key: "headers",
            what: "the name of a header has letters, digits and `-` only".to_owned(),
        })?;
        if RESERVED.contains(&name.as_str()) || name.as_str().starts_with("grpc-") {
            return Err(wrong("is set by the protocol"));
        }
        let value = HeaderValue::from_str(&raw_value);
        let mut value = value.map_err(|_| wrong("has a value that is not one line of text"))?;
        // Neither logged by a library nor kept in a table of HTTP/2.
        value.set_sensitive(true);
        headers.push((name, value));
    }
    Ok(headers)
}
