//! What the tests of the fake share: one group, one stream, a clock that stands, plain calls.

use super::client::{Answer, Call};
use super::fake::{Event, Fake, Rules};
use serde_json::{Value, json};

/// 2026-11-18T14:26:40Z.
pub(crate) const NOW_MS: i64 = 1_795_012_000_000;
pub(crate) const GROUP: &str = "/sidelight/spark";
pub(crate) const STREAM: &str = "driver";

/// A fake with a group and a stream, at `NOW_MS`.
pub(crate) fn fake() -> Fake {
    with(Rules::default())
}

/// The same with other rules.
pub(crate) fn with(rules: Rules) -> Fake {
    let fake = Fake::start(rules);
    fake.freeze_clock(NOW_MS);
    fake.create(GROUP, STREAM);
    fake
}

/// A signed call with this body.
pub(crate) fn call(fake: &Fake, operation: &str, body: &Value) -> Call {
    Call::json(&fake.url(), operation).at(NOW_MS).body(body.to_string().as_bytes())
}

pub(crate) fn ask(fake: &Fake, operation: &str, body: &Value) -> Answer {
    call(fake, operation, body).send()
}

/// The body of `PutLogEvents` to the group and stream that exist.
pub(crate) fn put_body(events: &[(i64, &str)]) -> Value {
    let event =
        |(time_ms, message): &(i64, &str)| json!({ "timestamp": time_ms, "message": message });
    json!({
        "logGroupName": GROUP,
        "logStreamName": STREAM,
        "logEvents": events.iter().map(event).collect::<Vec<_>>(),
    })
}

pub(crate) fn put(fake: &Fake, events: &[(i64, &str)]) -> Answer {
    ask(fake, "PutLogEvents", &put_body(events))
}

/// Messages that the fake has taken.
pub(crate) fn messages(fake: &Fake) -> Vec<String> {
    let text = |event: Event| event.message;
    fake.events(GROUP, STREAM).into_iter().map(text).collect()
}

/// The call is done and breaks no rule.
#[track_caller]
pub(crate) fn keeps(fake: &Fake, answer: &Answer) {
    assert_eq!((answer.status, answer.error()), (200, String::new()), "{}", answer.body);
    assert_eq!(fake.violations(), [""; 0]);
}

/// The call is refused with this error and these words, and it is a violation.
#[track_caller]
pub(crate) fn breaks(fake: &Fake, answer: &Answer, error: &str, words: &str) {
    refuses(answer, error, words);
    let violations = fake.violations();
    assert!(violations.iter().any(|v| v.contains(words)), "{words} is not in {violations:?}");
}

/// The call is refused with this error and these words.
#[track_caller]
pub(crate) fn refuses(answer: &Answer, error: &str, words: &str) {
    assert_eq!((answer.status, answer.error().as_str()), (400, error), "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/x-amz-json-1.1"));
    assert!(answer.header("x-amzn-requestid").is_some_and(|id| !id.is_empty()));
    let message = answer.json()["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains(words), "{words} is not in {message}");
}
