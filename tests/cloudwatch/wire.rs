//! How the service speaks: errors, times, and the body of one call.

use hyper::StatusCode;
use serde_json::{Value, json};

/// Why a call is refused.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    /// HTTP status.
    pub(crate) status: u16,
    /// Name of the error.
    pub(crate) code: String,
    /// Text for a person.
    pub(crate) message: String,
    /// Rules that the caller broke; none when the refusal is part of normal life.
    pub(crate) broken: Vec<String>,
}

impl Refusal {
    /// A refusal that the caller could not avoid.
    pub(crate) fn new(code: &str, message: &str) -> Self {
        let (code, message) = (code.to_owned(), message.to_owned());
        Self { status: 400, code, message, broken: Vec::new() }
    }

    /// A refusal for a rule that the caller should have kept.
    pub(crate) fn broken(code: &str, rule: &str) -> Self {
        Self { broken: vec![rule.to_owned()], ..Self::new(code, rule) }
    }

    /// `InvalidParameterException` for a broken rule.
    pub(crate) fn invalid(rule: &str) -> Self {
        Self::broken("InvalidParameterException", rule)
    }

    pub(crate) fn no_group() -> Self {
        Self::new("ResourceNotFoundException", "The specified log group does not exist.")
    }

    pub(crate) fn no_stream() -> Self {
        Self::new("ResourceNotFoundException", "The specified log stream does not exist.")
    }

    pub(crate) fn exists(what: &str) -> Self {
        let message = format!("The specified {what} already exists");
        Self::new("ResourceAlreadyExistsException", &message)
    }

    pub(crate) fn throttled() -> Self {
        Self::new("ThrottlingException", "Rate exceeded")
    }

    /// The body of awsJson1.1.
    pub(crate) fn json(&self) -> String {
        json!({ "__type": self.code, "message": self.message }).to_string()
    }

    /// The status, 400 for one that HTTP does not know.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST)
    }
}

/// The string at `key`; a refusal when it is absent or something else.
pub(crate) fn required<'a>(body: &'a Value, key: &str) -> Result<&'a str, Refusal> {
    optional(body, key)?.ok_or_else(|| Refusal::invalid(&null_problem(key)))
}

/// The string at `key`, if there is one.
pub(crate) fn optional<'a>(body: &'a Value, key: &str) -> Result<Option<&'a str>, Refusal> {
    match &body[key] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        _ => Err(unreadable(&format!("{key} is not a string"))),
    }
}

/// The number at `key`, if there is one.
pub(crate) fn optional_integer(body: &Value, key: &str) -> Result<Option<i64>, Refusal> {
    match &body[key] {
        Value::Null => Ok(None),
        value => {
            value.as_i64().map(Some).ok_or_else(|| unreadable(&format!("{key} is not an integer")))
        }
    }
}

/// The service's words for a member that must be there.
pub(crate) fn null_problem(member: &str) -> String {
    super::limits::constraint_problem(member, "null", "Member must not be null")
}

/// A body that does not have the shape of the model.
pub(crate) fn unreadable(why: &str) -> Refusal {
    Refusal::broken("SerializationException", why)
}

/// `20261127T080000Z`, as in `x-amz-date`.
pub(crate) fn basic_time(now_ms: i64) -> String {
    formatted(now_ms, "%Y%m%dT%H%M%SZ")
}

/// The `Date` header.
pub(crate) fn http_time(now_ms: i64) -> String {
    formatted(now_ms, "%a, %d %b %Y %H:%M:%S GMT")
}

/// `2026-11-27T08:00:00Z`, as in the answers of STS.
pub(crate) fn extended_time(now_ms: i64) -> String {
    formatted(now_ms, "%Y-%m-%dT%H:%M:%SZ")
}

fn formatted(now_ms: i64, format: &str) -> String {
    jiff::Timestamp::from_millisecond(now_ms).unwrap().strftime(format).to_string()
}

/// Milliseconds of a time in the form of `x-amz-date`.
pub(crate) fn parse_basic_time(text: &str) -> Option<i64> {
    let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    let zoned = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_millisecond())
}
