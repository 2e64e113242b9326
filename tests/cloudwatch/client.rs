//! Calls written by hand, so that they can also be wrong.

use super::wire::basic_time;
use serde_json::Value;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(60);

/// A request in the making.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    address: String,
    service: String,
    method: String,
    path: String,
    now_ms: i64,
    access_key_id: Option<String>,
    token: Option<String>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null when it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The name of the error, without a namespace; empty when there is none.
    pub(crate) fn error(&self) -> String {
        let value = self.json();
        let name = value["__type"].as_str().unwrap_or_default();
        name.rsplit('#').next().unwrap_or_default().to_owned()
    }
}

impl Call {
    fn new(url: &str, service: &str) -> Self {
        Self {
            address: url.trim_start_matches("http://").to_owned(),
            service: service.to_owned(),
            method: "POST".to_owned(),
            path: "/".to_owned(),
            now_ms: jiff::Timestamp::now().as_millisecond(),
            access_key_id: Some("AKIDEXAMPLE".to_owned()),
            token: None,
            headers: Vec::new(),
            body: b"{}".to_vec(),
        }
    }

    /// A call of CloudWatch Logs.
    pub(crate) fn json(url: &str, operation: &str) -> Self {
        Self::new(url, "logs")
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", &format!("Logs_20140328.{operation}"))
    }

    /// A call of STS.
    pub(crate) fn form(url: &str, fields: &str) -> Self {
        Self::new(url, "sts")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(fields.as_bytes())
    }

    /// Sets a header, or replaces it.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(key, _)| key != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn method(self, method: &str) -> Self {
        Self { method: method.to_owned(), ..self }
    }

    pub(crate) fn path(self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    pub(crate) fn body(self, body: &[u8]) -> Self {
        Self { body: body.to_vec(), ..self }
    }

    /// The time of the signature.
    pub(crate) fn at(self, now_ms: i64) -> Self {
        Self { now_ms, ..self }
    }

    pub(crate) fn signed_by(self, access_key_id: &str, token: Option<&str>) -> Self {
        let token = token.map(ToOwned::to_owned);
        Self { access_key_id: Some(access_key_id.to_owned()), token, ..self }
    }

    pub(crate) fn unsigned(self) -> Self {
        Self { access_key_id: None, ..self }
    }

    /// Sends it, and panics when there is no answer.
    #[track_caller]
    pub(crate) fn send(&self) -> Answer {
        self.try_send(TIMEOUT).unwrap()
    }

    /// Sends it on a connection of its own, and waits so long for each part of the answer.
    pub(crate) fn try_send(&self, timeout: Duration) -> Result<Answer> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.write_all(self.head().as_bytes())?;
        // A server that refuses the head may close before it has read the body.
        let _ = stream.write_all(&self.body);
        read_answer(&mut stream)
    }

    fn head(&self) -> String {
        let time = basic_time(self.now_ms);
        let mut headers = self.headers.clone();
        let mut add_missing = |name: &str, value: &str| {
            if !headers.iter().any(|(key, _)| key == name) {
                headers.push((name.to_owned(), value.to_owned()));
            }
        };
        add_missing("x-amz-date", &time);
        let mut signed = "host;x-amz-date".to_owned();
        if let Some(token) = &self.token {
            add_missing("x-amz-security-token", token);
            signed.push_str(";x-amz-security-token");
        }
        if let Some(key) = &self.access_key_id {
            let scope = format!("{}/us-east-1/{}/aws4_request", &time[..8], self.service);
            let signature = "0".repeat(64);
            let authorization = format!(
                "AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={signed}, \
                 Signature={signature}"
            );
            add_missing("authorization", &authorization);
        }
        let Self { method, path, address, body, .. } = self;
        let length = body.len();
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
             content-length: {length}\r\n"
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        head
    }
}

/// Reads as much as the head promises. The end of the connection would be too late: moto's server
/// waits for the client's end first when it has not read the whole body.
fn read_answer(stream: &mut TcpStream) -> Result<Answer> {
    let no_answer = || Error::new(ErrorKind::UnexpectedEof, "no whole answer");
    let mut raw = Vec::new();
    let mut part = [0; 16 << 10];
    let mut head_bytes = None;
    loop {
        let n_read = stream.read(&mut part)?;
        raw.extend_from_slice(&part[..n_read]);
        head_bytes = head_bytes.or_else(|| memchr::memmem::find(&raw, b"\r\n\r\n"));
        if let Some(head_bytes) = head_bytes {
            let head = String::from_utf8_lossy(&raw[..head_bytes]);
            let mut answer = parse_head(&head).ok_or_else(no_answer)?;
            let length = answer.header("content-length").and_then(|n| n.parse().ok());
            let body = &raw[head_bytes + 4..];
            if length.is_some_and(|length: usize| body.len() >= length) {
                answer.body = String::from_utf8_lossy(body).into_owned();
                return Ok(answer);
            }
        }
        if n_read == 0 {
            return Err(no_answer());
        }
    }
}

fn parse_head(head: &str) -> Option<Answer> {
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let pairs = lines.filter_map(|line| line.split_once(':'));
    let headers = pairs.map(|(key, value)| (key.to_ascii_lowercase(), value.trim().to_owned()));
    Some(Answer { status, headers: headers.collect(), body: String::new() })
}
