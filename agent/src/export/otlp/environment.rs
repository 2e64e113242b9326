//! What the variables `OTEL_EXPORTER_OTLP_*` say, where the config does not.
//!
//! A variable for one signal goes before the one for all, and one that is empty is none (OpenTelemetry
//! specification, "OTLP exporter configuration options").

use super::config::{Compression, Histograms, Protocol, SignalName, Temporality};
use super::route::Problem;
use std::cell::RefCell;
use std::time::Duration;

const PREFIX: &str = "OTEL_EXPORTER_OTLP_";

/// The environment, by name.
pub(super) struct Variables<'e> {
    get: &'e dyn Fn(&str) -> Option<String>,
    ignored: RefCell<Vec<String>>,
}

/// A value and the variable that it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) value: String,
}

impl Found {
    /// What is wrong with it. The value itself may be a secret.
    fn wrong(&self, key: &'static str, law: &str) -> Problem {
        Problem { key, what: format!("{}: {law}", self.name) }
    }
}

impl<'e> Variables<'e> {
    pub(super) fn new(get: &'e dyn Fn(&str) -> Option<String>) -> Self {
        Self { get, ignored: RefCell::default() }
    }

    /// What a variable says, or nothing when it cannot be used: they are of whoever set up the host for
    /// all its programs, and none of them stops the agent.
    pub(super) fn or_ignored<T>(&self, found: Result<T, Problem>) -> Option<T> {
        found.map_err(|problem| self.ignore(problem.what)).ok()
    }

    pub(super) fn ignore(&self, what: String) {
        let mut ignored = self.ignored.borrow_mut();
        // What is wrong for all signals is told once.
        if !ignored.contains(&what) {
            ignored.push(what);
        }
    }

    /// What is wrong with which variables that are not used.
    pub(super) fn ignored(self) -> Vec<String> {
        self.ignored.into_inner()
    }

    fn one(&self, name: String) -> Option<Found> {
        let value = (self.get)(&name)?.trim().to_owned();
        (!value.is_empty()).then_some(Found { name, value })
    }

    /// The variable that ends in `name`, for one signal.
    pub(super) fn of_signal(&self, signal: SignalName, name: &str) -> Option<Found> {
        let signal = signal.as_str().to_ascii_uppercase();
        self.one(format!("{PREFIX}{signal}_{name}"))
    }

    /// The variable that ends in `name`, for one signal or else for all.
    pub(super) fn find(&self, signal: SignalName, name: &str) -> Option<Found> {
        self.of_signal(signal, name).or_else(|| self.of_all(name))
    }

    /// The variable that ends in `name`, for all signals.
    pub(super) fn of_all(&self, name: &str) -> Option<Found> {
        self.one(format!("{PREFIX}{name}"))
    }

    pub(super) fn protocol(&self, signal: SignalName) -> Result<Option<Protocol>, Problem> {
        let Some(found) = self.find(signal, "PROTOCOL") else { return Ok(None) };
        match found.value.as_str() {
            "grpc" => Ok(Some(Protocol::Grpc)),
            "http/protobuf" => Ok(Some(Protocol::Http)),
            _ => Err(found.wrong("protocol", "must be grpc or http/protobuf")),
        }
    }

    pub(super) fn compression(&self, signal: SignalName) -> Result<Option<Compression>, Problem> {
        let Some(found) = self.find(signal, "COMPRESSION") else { return Ok(None) };
        match found.value.as_str() {
            "none" => Ok(Some(Compression::None)),
            "gzip" => Ok(Some(Compression::Gzip)),
            "zstd" => Ok(Some(Compression::Zstd)),
            _ => Err(found.wrong("compression", "must be none, gzip or zstd")),
        }
    }

    pub(super) fn timeout(&self, signal: SignalName) -> Result<Option<Duration>, Problem> {
        let Some(found) = self.find(signal, "TIMEOUT") else { return Ok(None) };
        let ms = found.value.parse().ok().filter(|ms| (100..=600_000).contains(ms));
        let law = "must be a number of milliseconds from 100 to 600000";
        ms.map(|ms| Some(Duration::from_millis(ms))).ok_or_else(|| found.wrong("endpoint", law))
    }

    /// Names and values as the variable has them: `a=b,c=d`, percent-encoded.
    pub(super) fn headers(&self, signal: SignalName) -> Result<Vec<(String, String)>, Problem> {
        let Some(found) = self.find(signal, "HEADERS") else { return Ok(Vec::new()) };
        pairs(&found.value)
            .ok_or_else(|| found.wrong("headers", "must be like name=value,other=value"))
    }

    pub(super) fn temporality(&self) -> Result<Temporality, Problem> {
        let found = self.of_all("METRICS_TEMPORALITY_PREFERENCE");
        let Some(found) = found else { return Ok(Temporality::Cumulative) };
        match found.value.to_ascii_lowercase().as_str() {
            "cumulative" => Ok(Temporality::Cumulative),
            // All counters of ours are of the kind that is delta with both.
            "delta" | "lowmemory" => Ok(Temporality::Delta),
            _ => Err(found.wrong("temporality", "must be cumulative, delta or lowmemory")),
        }
    }

    pub(super) fn histograms(&self) -> Result<Histograms, Problem> {
        let found = self.of_all("METRICS_DEFAULT_HISTOGRAM_AGGREGATION");
        let Some(found) = found else { return Ok(Histograms::Explicit) };
        match found.value.to_ascii_lowercase().as_str() {
            "explicit_bucket_histogram" => Ok(Histograms::Explicit),
            "base2_exponential_bucket_histogram" => Ok(Histograms::Exponential),
            _ => Err(found.wrong(
                "histograms",
                "must be explicit_bucket_histogram or base2_exponential_bucket_histogram",
            )),
        }
    }
}

/// Reads `a=b,c=d`, percent-encoded; none when it is something else.
pub(super) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=')?;
            let (name, value) = (decode(name.trim())?, decode(value.trim())?);
            (!name.is_empty()).then_some((name, value))
        })
        .collect()
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

/// Reads what [`pairs`] reads of percent-encoded text; what is wrong with it stays as it is, as in
/// the messages of servers.
pub(super) fn decode_loosely(text: &str) -> String {
    decode(text).unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{decode_loosely, pairs};

    #[test]
    fn pairs_are_decoded_and_anything_else_is_none() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            pairs(" a = b%20c , x-key=1=2%3D,"),
            Some(vec![pair("a", "b c"), pair("x-key", "1=2=")])
        );
        assert_eq!(pairs(""), Some(vec![]));
        for wrong in ["a", "=b", "a=%", "a=%zz", "a=%ff"] {
            assert_eq!(pairs(wrong), None, "{wrong}");
        }
        assert_eq!(decode_loosely("50%"), "50%");
    }
}
