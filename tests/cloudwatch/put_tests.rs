//! Each rule of `PutLogEvents`: a call that just keeps it and one that just breaks it.

use super::fake::{Fake, Rules};
use super::limits::{AGE_MS_MAX, AHEAD_MS_MAX, DAY_MS, MESSAGE_BYTES_MAX, SPAN_MS};
use super::rig::{
    GROUP, NOW_MS, STREAM, ask, breaks, call, fake, keeps, messages, put, put_body, refuses, with,
};
use serde_json::{Value, json};

const INVALID: &str = "InvalidParameterException";

/// `kept` is taken, `broken` is refused with these words, and takes nothing.
#[track_caller]
fn check(kept: &[(i64, &str)], broken: &[(i64, &str)], words: &str) {
    let fake = fake();
    keeps(&fake, &put(&fake, kept));
    assert_eq!(messages(&fake).len(), kept.len());
    breaks(&fake, &put(&fake, broken), INVALID, words);
    assert_eq!(messages(&fake).len(), kept.len());
}

#[test]
fn a_batch_has_one_to_ten_thousand_events() {
    let events = vec![(NOW_MS, "a"); 10_001];
    check(&events[..10_000], &events, "less than or equal to 10000");
    check(&events[..1], &[], "greater than or equal to 1");
}

#[test]
fn a_batch_is_one_mebibyte_with_26_bytes_for_each_event() {
    // 1,048,576 = 2 * (524,262 + 26).
    let half = "x".repeat(524_262);
    let more = "x".repeat(524_263);
    let words = "Upload too large: 1048577 bytes exceeds limit of 1048576";
    check(&[(NOW_MS, &half), (NOW_MS, &half)], &[(NOW_MS, &half), (NOW_MS, &more)], words);
}

#[test]
fn bytes_are_those_of_utf8_and_not_those_of_json() {
    // Three bytes of UTF-8 each: 2 * (524,262 + 26) again, and 6 characters escaped in JSON.
    let half = "\u{20ac}".repeat(524_262 / 3);
    let more = format!("{half}x");
    check(&[(NOW_MS, &half), (NOW_MS, &half)], &[(NOW_MS, &half), (NOW_MS, &more)], "Upload");
    let escaped = "\u{1}".repeat(524_262);
    let more = "\u{1}".repeat(524_263);
    check(&[(NOW_MS, &escaped), (NOW_MS, &escaped)], &[(NOW_MS, &half), (NOW_MS, &more)], "Upload");
}

#[test]
fn one_event_has_a_limit_of_its_own() {
    let kept = "x".repeat(MESSAGE_BYTES_MAX);
    let broken = "x".repeat(MESSAGE_BYTES_MAX + 1);
    check(&[(NOW_MS, &kept)], &[(NOW_MS, &broken)], "Log event too large: 1048573 bytes exceeds");
    let fake = with(Rules { message_bytes_max: 10, ..Rules::default() });
    keeps(&fake, &put(&fake, &[(NOW_MS, "0123456789")]));
    breaks(&fake, &put(&fake, &[(NOW_MS, "0123456789a")]), INVALID, "limit of 36");
}

#[test]
fn no_message_is_empty() {
    let words = "logEvents.2.member.message";
    check(&[(NOW_MS, "a"), (NOW_MS, " ")], &[(NOW_MS, "a"), (NOW_MS, "")], words);
}

#[test]
fn events_are_in_the_order_of_time() {
    let kept = [(NOW_MS, "a"), (NOW_MS, "b"), (NOW_MS + 1, "c")];
    check(&kept, &[(NOW_MS + 1, "a"), (NOW_MS, "b")], "chronological order");
}

#[test]
fn valid_events_lie_less_than_a_day_apart() {
    let first = NOW_MS - SPAN_MS;
    check(&[(first + 1, "a"), (NOW_MS, "b")], &[(first, "a"), (NOW_MS, "b")], "24 hours");
    // What is refused for its age alone does not count for the span.
    let fake = fake();
    keeps(&fake, &put(&fake, &[(1, "old"), (NOW_MS, "a"), (NOW_MS + SPAN_MS, "new")]));
    assert_eq!(messages(&fake), ["a"]);
}

#[test]
fn a_time_is_not_negative_and_not_missing() {
    let fake = fake();
    keeps(&fake, &put(&fake, &[(0, "a")]));
    breaks(&fake, &put(&fake, &[(-1, "a")]), INVALID, "logEvents.1.member.timestamp");
    for (key, event) in
        [("timestamp", json!({ "message": "a" })), ("message", json!({ "timestamp": NOW_MS }))]
    {
        let mut body = put_body(&[]);
        body["logEvents"] = json!([event]);
        let words = format!("logEvents.1.member.{key}' failed to satisfy constraint: Member must");
        breaks(&fake, &ask(&fake, "PutLogEvents", &body), INVALID, &words);
    }
}

#[test]
fn every_member_is_there_and_of_its_kind() {
    let fake = fake();
    for member in ["logGroupName", "logStreamName", "logEvents"] {
        let mut body = put_body(&[(NOW_MS, "a")]);
        body.as_object_mut().unwrap().remove(member);
        breaks(&fake, &ask(&fake, "PutLogEvents", &body), INVALID, member);
    }
    for (member, value) in
        [("logGroupName", json!(1)), ("logEvents", json!({})), ("entity", json!("x"))]
    {
        let mut body = put_body(&[(NOW_MS, "a")]);
        body[member] = value;
        let answer = ask(&fake, "PutLogEvents", &body);
        breaks(&fake, &answer, "SerializationException", "invalid type");
    }
    let text = put_body(&[(NOW_MS, "a")]).to_string().replace(&NOW_MS.to_string(), "1.5");
    let answer = call(&fake, "PutLogEvents", &json!({})).body(text.as_bytes()).send();
    breaks(&fake, &answer, "SerializationException", "floating point");
}

#[test]
fn the_body_is_json_in_utf8() {
    let fake = fake();
    let send = |body: &[u8]| call(&fake, "PutLogEvents", &json!({})).body(body).send();
    let text = put_body(&[(NOW_MS, "@")]).to_string();
    keeps(&fake, &send(text.as_bytes()));
    let latin: Vec<u8> = text.bytes().map(|b| if b == b'@' { 0xe9 } else { b }).collect();
    breaks(&fake, &send(&latin), "SerializationException", "not UTF-8");
    breaks(&fake, &send(&text.as_bytes()[1..]), "SerializationException", "the body");
    // A backslash that truncation left behind, and half of a surrogate pair.
    let cut = text.replace('@', "\\");
    breaks(&fake, &send(cut.as_bytes()), "SerializationException", "the body");
    let half = text.replace('@', "\\ud83d");
    breaks(&fake, &send(half.as_bytes()), "SerializationException", "the body");
    assert_eq!(messages(&fake), ["@"]);
}

#[test]
fn names_are_checked_before_they_are_looked_up() {
    let fake = fake();
    let put_to = |group: &str, stream: &str| {
        let mut body = put_body(&[(NOW_MS, "a")]);
        (body["logGroupName"], body["logStreamName"]) = (json!(group), json!(stream));
        ask(&fake, "PutLogEvents", &body)
    };
    refuses(&put_to("/other", STREAM), "ResourceNotFoundException", "log group does not exist");
    refuses(&put_to(GROUP, "other"), "ResourceNotFoundException", "log stream does not exist");
    keeps(&fake, &put_to(GROUP, STREAM));
    breaks(&fake, &put_to("a b", STREAM), INVALID, "logGroupName");
    breaks(&fake, &put_to(GROUP, "a:b"), INVALID, "logStreamName");
    breaks(&fake, &put_to(GROUP, "a*b"), INVALID, "[^:*]*");
}

#[test]
fn a_broken_batch_to_an_unknown_group_is_still_a_violation() {
    let fake = fake();
    let mut body = put_body(&[(NOW_MS, "b"), (NOW_MS - 1, "a")]);
    body["logGroupName"] = json!("/other");
    breaks_quietly(&fake, &body);
}

fn breaks_quietly(fake: &Fake, body: &Value) {
    refuses(&ask(fake, "PutLogEvents", body), "ResourceNotFoundException", "log group");
    let violations = fake.violations();
    assert_eq!(violations.len(), 1, "{violations:?}");
    assert!(violations[0].starts_with("PutLogEvents /other/driver: "), "{violations:?}");
    assert!(violations[0].contains("chronological"), "{violations:?}");
}

/// Events at these times: the info of the answer, and how many were taken.
#[track_caller]
fn check_rejections(retention_days: Option<i64>, times_ms: &[i64], info: &Value, taken: &[i64]) {
    let fake = fake();
    if let Some(days) = retention_days {
        let body = json!({ "logGroupName": GROUP, "retentionInDays": days });
        keeps(&fake, &ask(&fake, "PutRetentionPolicy", &body));
    }
    let events: Vec<(i64, &str)> = times_ms.iter().map(|time_ms| (*time_ms, "a")).collect();
    let answer = put(&fake, &events);
    keeps(&fake, &answer);
    assert_eq!(&answer.json()["rejectedLogEventsInfo"], info);
    let stored: Vec<i64> =
        fake.events(GROUP, STREAM).into_iter().map(|event| event.timestamp_ms).collect();
    assert_eq!(stored, taken);
}

#[test]
fn events_of_the_wrong_age_are_refused_one_by_one() {
    let oldest = NOW_MS - AGE_MS_MAX;
    let newest = NOW_MS + AHEAD_MS_MAX;
    let none = Value::Null;
    check_rejections(None, &[oldest], &none, &[oldest]);
    // The end is exclusive: the first event is gone, the second is not.
    let info = json!({ "tooOldLogEventEndIndex": 1 });
    check_rejections(None, &[oldest - 1, oldest], &info, &[oldest]);
    check_rejections(None, &[NOW_MS, newest], &none, &[NOW_MS, newest]);
    // The start is inclusive.
    let info = json!({ "tooNewLogEventStartIndex": 1 });
    check_rejections(None, &[newest, newest + 1], &info, &[newest]);
    // E1: three too old and two too new, the rest is taken.
    let times = [1, 2, 3, NOW_MS, NOW_MS, newest + 1, newest + 2];
    let info = json!({ "tooOldLogEventEndIndex": 3, "tooNewLogEventStartIndex": 5 });
    check_rejections(None, &times, &info, &[NOW_MS, NOW_MS]);
    check_rejections(None, &[1, 2], &json!({ "tooOldLogEventEndIndex": 2 }), &[]);
    let info = json!({ "tooNewLogEventStartIndex": 0 });
    check_rejections(None, &[newest + 1], &info, &[]);
}

#[test]
fn events_older_than_the_group_keeps_them_are_expired() {
    let oldest = NOW_MS - 3 * DAY_MS;
    check_rejections(Some(3), &[oldest], &Value::Null, &[oldest]);
    let info = json!({ "expiredLogEventEndIndex": 1 });
    check_rejections(Some(3), &[oldest - 1, oldest], &info, &[oldest]);
    let info = json!({ "tooOldLogEventEndIndex": 1, "expiredLogEventEndIndex": 2 });
    check_rejections(Some(3), &[1, oldest - 1, oldest], &info, &[oldest]);
    // A retention beyond 14 days refuses nothing more.
    let old = NOW_MS - AGE_MS_MAX;
    let info = json!({ "tooOldLogEventEndIndex": 1 });
    check_rejections(Some(30), &[old - 1, old], &info, &[old]);
    check_rejections(Some(30), &[1, old], &info, &[old]);
}

#[test]
fn a_sequence_token_is_ignored() {
    let fake = fake();
    let mut body = put_body(&[(NOW_MS, "a")]);
    body["sequenceToken"] = json!("wrong");
    keeps(&fake, &ask(&fake, "PutLogEvents", &body));
}

/// What becomes of an entity; the events are taken when the call is.
#[track_caller]
fn check_entity(entity: &Value, refused: Option<&str>) {
    let fake = fake();
    let mut body = put_body(&[(NOW_MS, "a")]);
    body["entity"] = entity.clone();
    let answer = ask(&fake, "PutLogEvents", &body);
    keeps(&fake, &answer);
    assert_eq!(answer.json()["rejectedEntityInfo"]["errorType"].as_str(), refused);
    assert_eq!(messages(&fake), ["a"]);
    assert!(fake.requests()[0].has_entity);
}

#[test]
fn an_entity_is_refused_alone() {
    let fine = json!({ "Type": "Service", "Name": "spark" });
    check_entity(&json!({ "keyAttributes": fine, "attributes": {} }), None);
    check_entity(&json!({}), Some("MissingRequiredFields"));
    let nameless = json!({ "Name": "a", "Environment": "b" });
    check_entity(&json!({ "keyAttributes": nameless }), Some("MissingRequiredFields"));
    let unknown = json!({ "Type": "Service", "Colour": "red" });
    check_entity(&json!({ "keyAttributes": unknown }), Some("InvalidKeyAttributes"));
}

#[test]
fn an_entity_within_bounds_fails_no_call() {
    let pairs = |n: usize, key_chars: usize, value_chars: usize| {
        let pair = |i: usize| (format!("{i:0key_chars$}"), json!("v".repeat(value_chars)));
        Value::Object((0..n).map(pair).collect())
    };
    let fine = json!({ "Type": "Service", "Name": "n".repeat(512) });
    let send = |fake: &Fake, keys: &Value, attributes: &Value| {
        let mut body = put_body(&[(NOW_MS, "a")]);
        body["entity"] = json!({ "keyAttributes": keys, "attributes": attributes });
        ask(fake, "PutLogEvents", &body)
    };
    let first = fake();
    keeps(&first, &send(&first, &fine, &pairs(10, 256, 512)));
    keeps(&first, &send(&first, &pairs(4, 32, 512), &json!({})));
    for (keys, attributes, words) in [
        (fine.clone(), pairs(11, 3, 1), "entity.attributes"),
        (fine.clone(), pairs(1, 257, 1), "equal to 256"),
        (fine.clone(), pairs(1, 1, 513), "equal to 512"),
        (fine.clone(), pairs(1, 1, 0), "equal to 1"),
        (pairs(1, 3, 1), json!({}), "between 2 and 4"),
        (pairs(5, 3, 1), json!({}), "between 2 and 4"),
        (pairs(2, 33, 1), json!({}), "equal to 32"),
        (pairs(2, 3, 513), json!({}), "equal to 512"),
    ] {
        let fake = fake();
        breaks(&fake, &send(&fake, &keys, &attributes), INVALID, words);
    }
}

#[test]
fn memory_for_events_has_an_end_that_shows() {
    let fake = with(Rules { stored_bytes_max: 1_000, ..Rules::default() });
    keeps(&fake, &put(&fake, &[(NOW_MS, "0123456789")]));
    let answer = put(&fake, &[(NOW_MS, &"x".repeat(1_000))]);
    assert_eq!((answer.status, answer.error().as_str()), (503, "ServiceUnavailableException"));
    assert!(fake.violations()[0].contains("stored_bytes_max"), "{:?}", fake.violations());
}
