//! Who asks: reads the `Authorization` header of SigV4. The signature itself is not computed.

use super::state::State;
use super::wire::{Refusal, basic_time, parse_basic_time};
use hyper::HeaderMap;

/// A clock that is off by more is refused.
const SKEW_MS_MAX: i64 = 5 * 60_000;

/// Credentials that the fake knows.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) access_key_id: String,
    pub(crate) token: Option<String>,
    pub(crate) expires_ms: i64,
}

impl Session {
    /// Credentials that do not expire by themselves.
    pub(crate) fn fixed(access_key_id: &str, token: Option<String>) -> Self {
        Self { access_key_id: access_key_id.to_owned(), token, expires_ms: i64::MAX }
    }
}

/// The parts of an `Authorization` header.
struct Signature<'a> {
    access_key_id: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    signed_headers: &'a str,
}

/// The access key of a request that is signed as it must be.
pub(crate) fn check(headers: &HeaderMap, service: &str, state: &State) -> Result<String, Refusal> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(authorization) = text("authorization") else {
        return Err(Refusal::broken(
            "UnrecognizedClientException",
            "The request has no Authorization header.",
        ));
    };
    let incomplete = |why: &str| Refusal::broken("IncompleteSignatureException", why);
    let signature = parse(authorization)
        .ok_or_else(|| incomplete("The Authorization header is not one of SigV4."))?;
    let time = text("x-amz-date").ok_or_else(|| incomplete("There is no x-amz-date header."))?;
    let time_ms =
        parse_basic_time(time).ok_or_else(|| incomplete("x-amz-date is not a basic ISO time."))?;
    let names: Vec<&str> = signature.signed_headers.split(';').collect();
    let is_signed = |name: &&str| names.contains(name);
    let wanted = ["host", "x-amz-date", "x-amz-security-token"];
    let mut wanted = wanted.iter().filter(|name| headers.contains_key(**name));
    if !wanted.all(is_signed) || names.iter().any(|name| !headers.contains_key(*name)) {
        return Err(incomplete("SignedHeaders does not fit the headers."));
    }
    let scope = (signature.date, signature.region, signature.service);
    if scope != (&time[..8], state.rules.region.as_str(), service) {
        let rule = "Credential should be scoped to the date, the region and the service.";
        return Err(Refusal::broken("InvalidSignatureException", rule));
    }
    check_clock(time, time_ms, state.now_ms())?;
    check_session(signature.access_key_id, text("x-amz-security-token"), state)?;
    Ok(signature.access_key_id.to_owned())
}

fn check_clock(time: &str, time_ms: i64, now_ms: i64) -> Result<(), Refusal> {
    if (time_ms - now_ms).abs() <= SKEW_MS_MAX {
        return Ok(());
    }
    let now = basic_time(now_ms);
    let message = if time_ms < now_ms {
        let limit = basic_time(now_ms - SKEW_MS_MAX);
        format!("Signature expired: {time} is now earlier than {limit} ({now} - 5 min.)")
    } else {
        let limit = basic_time(now_ms + SKEW_MS_MAX);
        format!("Signature not yet current: {time} is still later than {limit} ({now} + 5 min.)")
    };
    Err(Refusal::new("InvalidSignatureException", &message))
}

fn check_session(key: &str, token: Option<&str>, state: &State) -> Result<(), Refusal> {
    let unknown = "The security token included in the request is invalid.";
    let session = state.sessions.iter().find(|session| session.access_key_id == key);
    let Some(session) = session.filter(|session| session.token.as_deref() == token) else {
        return Err(Refusal::new("UnrecognizedClientException", unknown));
    };
    if session.expires_ms <= state.now_ms() {
        let message = "The security token included in the request is expired";
        return Err(Refusal::new("ExpiredTokenException", message));
    }
    Ok(())
}

fn parse(authorization: &str) -> Option<Signature<'_>> {
    let fields = authorization.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let field = |name: &str| {
        fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
    };
    let signature = field("Signature")?;
    if signature.len() != 64 || !signature.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut scope = field("Credential")?.split('/');
    let (access_key_id, date) = (scope.next()?, scope.next()?);
    let (region, service) = (scope.next()?, scope.next()?);
    if scope.next() != Some("aws4_request") || scope.next().is_some() {
        return None;
    }
    let signed_headers = field("SignedHeaders")?;
    Some(Signature { access_key_id, date, region, service, signed_headers })
}
