//! What an answer other than success means for what was sent.
//!
//! The OTLP specification names what may be sent again. Three things are decided otherwise here:
//! RESOURCE_EXHAUSTED is sent again also without `RetryInfo`, as receivers that are full for a moment
//! rarely add it; an answer about size means that less at a time may be taken; and what a person will
//! mend (a token, a path) costs no records.

use super::cleaner::Cleaner;
use super::exchange::Reply;
use crate::export::ExportError;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hyper::header::HeaderMap;
use prost::Message;
use redaction::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Pause before a receiver is asked again that denies access: somebody has to change something.
const DENIED_PAUSE: Duration = Duration::from_secs(30);

/// What is to be done about a failed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Try again.
    Transient,
    /// Try again later: nothing goes there until somebody changes something.
    Denied,
    /// Send less at a time.
    TooLarge,
    /// It will never be taken.
    Refused,
}

/// A failed request.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) class: Class,
    /// What the receiver or the connection said, redacted.
    pub(super) reason: Value,
    /// When the receiver asked to be asked again.
    pub(super) retry_after: Option<Duration>,
}

impl Failure {
    /// One that this agent found itself.
    pub(super) fn own(class: Class, reason: &str, cleaner: &Cleaner) -> Self {
        Self { class, reason: cleaner.text(reason), retry_after: None }
    }

    /// Of a gRPC status that is not OK.
    pub(super) fn of_grpc(reply: &Reply<'_>, status: &Status, cleaner: &Cleaner) -> Self {
        let Status { code, message, .. } = status;
        let class = class_of_grpc(*code, message);
        let name = CODES.get(*code as usize).copied().unwrap_or("unknown code");
        let hint = hint(class, reply.endpoint);
        Self {
            class,
            reason: cleaner.text(&format!("gRPC {name}: {message}{hint}")),
            retry_after: status.retry_after.or_else(|| retry_after(&reply.headers)),
        }
    }

    /// Of an HTTP status that is not success.
    pub(super) fn of_http(reply: &Reply<'_>, cleaner: &Cleaner) -> Self {
        let class = class_of_http(reply.status);
        // By the specification it is a google.rpc.Status; proxies answer with text.
        let is_status = reply.is_protobuf();
        let status = if is_status { RpcStatus::decode(&*reply.body).ok() } else { None };
        let said = match &status {
            Some(status) => status.message.clone(),
            None => String::from_utf8_lossy(&reply.body).into_owned(),
        };
        let asked = status.as_ref().and_then(RpcStatus::retry_after);
        let told = format!("HTTP {}: {said}{}", reply.status, hint(class, reply.endpoint));
        Self {
            class,
            reason: cleaner.text(&told),
            retry_after: retry_after(&reply.headers).or(asked),
        }
    }
}

impl From<Failure> for ExportError {
    fn from(failure: Failure) -> Self {
        let Failure { class, reason, retry_after } = failure;
        if matches!(class, Class::Refused | Class::TooLarge) {
            return Self::Rejected { reason };
        }
        let denied = (class == Class::Denied).then_some(DENIED_PAUSE);
        Self::Transient { source: reason.to_string().into(), retry_after: retry_after.or(denied) }
    }
}

/// What to change, where a person has to.
fn hint(class: Class, endpoint: &str) -> String {
    if class == Class::Denied {
        format!(
            "; nothing is lost and it is tried again: check `endpoint` {endpoint}, `protocol`, \
             `headers` and certificates"
        )
    } else {
        String::new()
    }
}

fn class_of_grpc(code: u32, message: &str) -> Class {
    match code {
        // RESOURCE_EXHAUSTED or OUT_OF_RANGE, by the library.
        8 | 11 if is_about_size(message) => Class::TooLarge,
        // CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED, OUT_OF_RANGE, UNAVAILABLE,
        // DATA_LOSS
        1 | 4 | 8 | 10 | 11 | 14 | 15 => Class::Transient,
        // PERMISSION_DENIED, UNIMPLEMENTED (nobody serves that path), UNAUTHENTICATED
        7 | 12 | 16 => Class::Denied,
        _ => Class::Refused,
    }
}

/// What gRPC libraries say of a message over their limit: Go and C++, Rust, Java.
fn is_about_size(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["larger than max", "length too large", "exceeds maximum"].iter().any(|it| message.contains(it))
}

fn class_of_http(status: u16) -> Class {
    match status {
        408 | 429 | 502 | 503 | 504 => Class::Transient,
        413 => Class::TooLarge,
        // Redirections too: a POST is not sent elsewhere, with its token, because somebody says so.
        // 402, 415 and 501: an account, a compression or a path that somebody has to set right; nothing
        // is wrong with the records.
        300..=399 | 401..=405 | 407 | 415 | 501 => Class::Denied,
        _ => Class::Refused,
    }
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("retry-after")?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let wait = u64::try_from(at.as_second()).ok()?.saturating_sub(now.as_secs());
    Some(Duration::from_secs(wait))
}

/// A gRPC status as it stands in headers or trailers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) code: u32,
    pub(super) message: String,
    pub(super) retry_after: Option<Duration>,
}

impl Status {
    /// Reads it; none where there is none.
    pub(super) fn read(headers: &HeaderMap) -> Option<Self> {
        let code = headers.get("grpc-status")?.to_str().ok()?.parse().unwrap_or(2);
        let message = headers.get("grpc-message").map_or("", |it| it.to_str().unwrap_or_default());
        let details = headers.get("grpc-status-details-bin").and_then(|details| {
            let details = details.as_bytes();
            let decoded = STANDARD_NO_PAD.decode(details).or_else(|_| STANDARD.decode(details));
            RpcStatus::decode(&*decoded.ok()?).ok()
        });
        Some(Self {
            code,
            message: super::environment::decode_loosely(message),
            retry_after: details.as_ref().and_then(RpcStatus::retry_after),
        })
    }
}

const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// `google.rpc.Status`
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`
#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

impl RpcStatus {
    fn retry_after(&self) -> Option<Duration> {
        let info = self.details.iter().find(|any| any.type_url.ends_with("/google.rpc.RetryInfo"));
        let delay = RetryInfo::decode(&*info?.value).ok()?.retry_delay?;
        let seconds = u64::try_from(delay.seconds).ok()?;
        Some(Duration::new(
            seconds,
            u32::try_from(delay.nanos).unwrap_or_default().min(999_999_999),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Any, Class, Delay, RetryInfo, RpcStatus, Status, class_of_grpc, class_of_http, retry_after,
    };
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD_NO_PAD;
    use hyper::header::HeaderMap;
    use prost::Message;
    use std::time::{Duration, SystemTime};

    #[test]
    fn every_code_of_grpc_has_its_class() {
        for code in [1, 4, 8, 10, 11, 14, 15] {
            assert_eq!(class_of_grpc(code, "busy"), Class::Transient, "{code}");
        }
        for code in [7, 12, 16] {
            assert_eq!(class_of_grpc(code, ""), Class::Denied, "{code}");
        }
        for code in [2, 3, 5, 6, 9, 13, 99] {
            assert_eq!(class_of_grpc(code, "larger than max"), Class::Refused, "{code}");
        }
        for (code, told) in [
            (8, "grpc: received message larger than max (5000000 vs. 4194304)"),
            (8, "gRPC message exceeds maximum size 4194304: 5000000"),
            (11, "Error, decoded message length too large: found 5000000 bytes, the limit is: 1"),
        ] {
            assert_eq!(class_of_grpc(code, told), Class::TooLarge, "{told}");
        }
    }

    #[test]
    fn every_status_of_http_has_its_class() {
        for status in [408, 429, 502, 503, 504] {
            assert_eq!(class_of_http(status), Class::Transient, "{status}");
        }
        for status in [301, 307, 401, 402, 403, 404, 405, 407, 415, 501] {
            assert_eq!(class_of_http(status), Class::Denied, "{status}");
        }
        for status in [400, 422, 500] {
            assert_eq!(class_of_http(status), Class::Refused, "{status}");
        }
        assert_eq!(class_of_http(413), Class::TooLarge);
    }

    #[test]
    fn a_time_to_come_again_is_seconds_or_a_date() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", value.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(of("7"), Some(Duration::from_secs(7)));
        assert_eq!(of("Fri, 31 Dec 1999 23:59:59 GMT"), Some(Duration::ZERO));
        let later = jiff::Timestamp::try_from(SystemTime::now() + Duration::from_secs(60)).unwrap();
        let date = jiff::fmt::rfc2822::to_string(&later.to_zoned(jiff::tz::TimeZone::UTC)).unwrap();
        assert!((58..=60).contains(&of(&date).unwrap().as_secs()), "{date}");
        assert_eq!(of("soon"), None);
    }

    #[test]
    fn a_status_is_read_with_its_details() {
        let info = RetryInfo { retry_delay: Some(Delay { seconds: 2, nanos: 500_000_000 }) };
        let any = Any {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
            value: info.encode_to_vec(),
        };
        let details = RpcStatus { message: String::new(), details: vec![any] };
        let mut headers = HeaderMap::new();
        assert_eq!(Status::read(&headers), None);
        headers.insert("grpc-status", "8".parse().unwrap());
        headers.insert("grpc-message", "come%20later".parse().unwrap());
        let encoded = STANDARD_NO_PAD.encode(details.encode_to_vec());
        headers.insert("grpc-status-details-bin", encoded.parse().unwrap());
        let status = Status::read(&headers).unwrap();
        assert_eq!((status.code, status.message.as_str()), (8, "come later"));
        assert_eq!(status.retry_after, Some(Duration::from_millis(2500)));
        headers.insert("grpc-status-details-bin", "?".parse().unwrap());
        assert_eq!(Status::read(&headers).unwrap().retry_after, None);
    }
}
