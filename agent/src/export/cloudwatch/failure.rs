//! What an error of the service means for what was sent (facts of the service model and of what users
//! of other agents report; the classes are those of every CloudWatch client that loses nothing).

use crate::aws;
use crate::export::PAUSE_MIN;
use aws_sdk_cloudwatchlogs::config::http::HttpResponse;
use aws_sdk_cloudwatchlogs::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use redaction::{Redactor, Value};
use std::error::Error;
use std::time::Duration;

/// Longest pause that the service, or what stands before it, may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// Longest text that is taken over from the SDK or the service.
const TOLD_CHARS_MAX: usize = 600;

/// What is to be done about a failed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Try again soon: the connection, a server error, a time-out, credentials that cannot be had now.
    Transient,
    /// Try again later, and send less at a time.
    Throttled,
    /// The group or the stream is not there: make it.
    Missing,
    /// It is there already: somebody else made it.
    Exists,
    /// The credentials were wrong: take new ones, once.
    Credentials,
    /// The signature was: the clock is off, which the SDK has learnt from this answer, or else the
    /// credentials are wrong.
    Signature,
    /// Something in what was sent will never be taken.
    Refused,
    /// This target takes nothing until somebody changes something: permission, key, quota.
    Denied,
    /// This stream cannot be made, while others of its group may be there.
    StreamDenied,
}

/// A failed request.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What is to be done.
    pub class: Class,
    /// What the service or the SDK said, with the error code in front, redacted.
    pub reason: Value,
    /// Who was asked, as the operator or AWS names it, when it may be to blame.
    pub asked: Option<String>,
    /// When the service asked to be asked again.
    pub retry_after: Option<Duration>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(asked) = &self.asked {
            write!(f, "{asked}: ")?;
        }
        f.write_str(&self.reason)
    }
}

impl Error for Failure {}

impl Failure {
    /// One that this agent found itself.
    #[must_use]
    pub fn own(class: Class, reason: &str, redactor: &Redactor) -> Self {
        Self { class, reason: redactor.value(reason), asked: None, retry_after: None }
    }

    /// Reads an error of the SDK.
    #[must_use]
    pub fn of<E>(error: &SdkError<E, HttpResponse>, redactor: &Redactor) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        if let Some(told) = aws::credentials::missing(error, &aws::variable) {
            return Self::own(Class::Transient, &told, redactor);
        }
        let status = error.raw_response().map(|response| response.status().as_u16());
        let code = error.code();
        let class = match (error, code) {
            (_, Some(code)) => class_of_code(code, status),
            (SdkError::ServiceError(_) | SdkError::ResponseError(_), None) => {
                class_of_status(status)
            }
            // Nothing was sent: a bug or a setting, neither of which mends itself by other records.
            _ => Class::Transient,
        };
        let message = match (code, error.message()) {
            (Some(code), Some(message)) => format!("{}: {}", plain(code), plain(message)),
            (Some(code), None) => plain(code),
            (None, _) => not_from_aws(error, status),
        };
        // A line of the log is one line.
        let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
        let retry_after = error
            .raw_response()
            .and_then(|response| asked_pause(response.headers().get("retry-after")?));
        Self { class, reason: redactor.value(&message), asked: None, retry_after }
    }
}

/// How long a header `retry-after` asks to wait, within reason. Dates are not read.
fn asked_pause(header: &str) -> Option<Duration> {
    let header = header.trim();
    let is_number = !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit());
    // What has too many digits for a number is as long as it gets.
    let seconds = is_number.then(|| header.parse().unwrap_or(u64::MAX))?;
    Some(Duration::from_secs(seconds).clamp(PAUSE_MIN, RETRY_AFTER_MAX))
}

/// What came was no answer of AWS, or nothing came at all.
fn not_from_aws<E>(error: &SdkError<E, HttpResponse>, status: Option<u16>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let context = DisplayErrorContext(error).to_string();
    // The whole chain ends in a debug form of everything, a body included.
    let told = plain(context.split(" (").next().unwrap_or_default());
    match status {
        Some(status) => format!(
            "HTTP {status} without an error code: {told}; a proxy or another service may answer \
             instead of AWS: check `endpoint_url` and the proxy"
        ),
        None if context.contains("certificate") || context.contains("InvalidContentType") => {
            format!(
                "{told}: TLS failed: {}; check `endpoint_url`, the proxy, and AWS_CA_BUNDLE",
                innermost(error)
            )
        }
        None => format!("{told}: {}", innermost(error)),
    }
}

/// What may be said of a text of the SDK or the service: not what was sent. The SDK shows requests in
/// their debug form, and the service quotes the values that it does not take.
fn plain(text: &str) -> String {
    let unquoted = text.split_once("Value '").map(|(before, quoted)| {
        let after = quoted.rfind("' at '").map_or("", |end| &quoted[end + 1..]);
        format!("{before}Value{after}")
    });
    let text = unquoted.as_deref().unwrap_or(text);
    let end = text.find('{').unwrap_or(text.len());
    text[..end].trim_end().chars().take(TOLD_CHARS_MAX).collect()
}

/// True when there is no such host, as far as the system knows.
pub fn is_unresolved(error: &(dyn Error + 'static)) -> bool {
    innermost(error).contains("failed to lookup address")
}

fn innermost(error: &dyn Error) -> String {
    let mut at: &dyn Error = error;
    while let Some(source) = at.source() {
        at = source;
    }
    plain(&at.to_string())
}

fn class_of_code(code: &str, status: Option<u16>) -> Class {
    match code {
        "ThrottlingException"
        | "Throttling"
        | "ThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "SlowDown"
        | "BandwidthLimitExceeded" => Class::Throttled,
        "ResourceNotFoundException" => Class::Missing,
        "ResourceAlreadyExistsException" => Class::Exists,
        "ExpiredTokenException"
        | "ExpiredToken"
        | "UnrecognizedClientException"
        | "RequestExpired"
        | "InvalidClientTokenId"
        | "IncompleteSignature"
        | "MissingAuthenticationTokenException" => Class::Credentials,
        "InvalidSignatureException" | "SignatureDoesNotMatch" | "RequestTimeTooSkewed" => {
            Class::Signature
        }
        "InvalidParameterException"
        | "SerializationException"
        | "ValidationException"
        | "RequestEntityTooLargeException" => Class::Refused,
        "AccessDeniedException"
        | "AccessDenied"
        | "LimitExceededException"
        | "OptInRequired"
        | "KMSAccessDeniedException"
        | "KMSDisabledException"
        | "NotAuthorized"
        | "UnauthorizedOperation" => Class::Denied,
        // Two creators at a time.
        "OperationAbortedException" => Class::Transient,
        _ => class_of_status(status),
    }
}

fn class_of_status(status: Option<u16>) -> Class {
    match status {
        Some(429) => Class::Throttled,
        Some(413) => Class::Refused,
        _ => Class::Transient,
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, TOLD_CHARS_MAX, asked_pause, class_of_code, class_of_status, plain};
    use std::time::Duration;

    #[test]
    fn a_pause_that_is_asked_for_is_neither_endless_nor_nothing() {
        for (header, want_ms) in [
            ("7", Some(7_000)),
            (" 300 ", Some(300_000)),
            ("0", Some(100)),
            ("301", Some(300_000)),
            ("18446744073709551615", Some(300_000)),
            ("18446744073709551616", Some(300_000)),
            ("-1", None),
            ("", None),
            ("Wed, 21 Oct 2015 07:28:00 GMT", None),
        ] {
            assert_eq!(asked_pause(header), want_ms.map(Duration::from_millis), "{header}");
        }
    }

    #[test]
    fn what_may_mend_itself_is_never_given_up() {
        for code in ["InternalFailure", "ServiceUnavailableException", "NobodyKnowsThisOne"] {
            assert_eq!(class_of_code(code, Some(400)), Class::Transient, "{code}");
        }
        assert_eq!(class_of_code("ThrottlingException", Some(400)), Class::Throttled);
        assert_eq!(class_of_code("Anything", Some(429)), Class::Throttled);
        for status in [None, Some(200), Some(403), Some(500), Some(503)] {
            assert_eq!(class_of_status(status), Class::Transient, "{status:?}");
        }
        assert_eq!(class_of_status(Some(413)), Class::Refused);
    }

    #[test]
    fn what_was_sent_is_in_no_text_that_is_taken_over() {
        for (text, told) in [
            (
                "failed to apply endpoint `a` to request `Request { body: SdkBody { inner: b\"x\" } }`",
                "failed to apply endpoint `a` to request `Request",
            ),
            (
                "1 error: Value '[InputLogEvent(message=it's {at}' at 'x)]' at 'logEvents' failed",
                "1 error: Value at 'logEvents' failed",
            ),
            ("1 error: Value 'secret without an end", "1 error: Value"),
            (
                "not authorized to perform: logs:PutLogEvents",
                "not authorized to perform: logs:PutLogEvents",
            ),
        ] {
            assert_eq!(plain(text), told);
        }
        assert_eq!(plain(&"ä".repeat(10_000)).chars().count(), TOLD_CHARS_MAX);
    }
}
