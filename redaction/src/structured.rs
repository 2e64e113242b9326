//! Structured logs of real Spark and Flink runs stay structured.

use serde_json::Value;

use crate::{Redactor, Text};

/// Lines of Spark 4 structured logs, Flink ECS logs and a Spark event log.
const CAPTURES: &str = include_str!("../../tests/fixtures/redaction/structured.jsonl");

/// Secrets planted into every string value; what stands between the marks must be gone.
const PLANTED: &[&str] = &[
    "mail «jane.doe@example.net» now",
    "«4111 1111 1111 1111»",
    "password=«hunter2\"x»",
    "{\"token\":\"«abc\\\"def»\"}",
    "https://«u:p@ss»@db.example.com/x",
    "Authorization: Bearer «q0Zx8L2m-1k»\nHost: x",
    "«-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nQg==\n-----END PRIVATE KEY-----»",
    "C:\\new\\t\n«123-45-6789»\tx \\",
    "from «203.0.113.7»:5000",
];

fn redact(raw: &str) -> String {
    let mut text = Text::default();
    Redactor::new().redact_chunk(raw.as_bytes(), &mut text);
    String::from_utf8(text.as_bytes().to_vec()).unwrap()
}

/// Number of objects, arrays and strings, and the keys: what redaction of values must not change.
fn shape(value: &Value, keys: &mut Vec<String>) -> usize {
    match value {
        Value::Object(map) => {
            keys.extend(map.keys().cloned());
            map.values().map(|v| shape(v, keys)).sum::<usize>() + 1
        }
        Value::Array(values) => values.iter().map(|v| shape(v, keys)).sum::<usize>() + 1,
        _ => 1,
    }
}

fn plant(value: &mut Value, secret: &str) {
    match value {
        Value::Object(map) => map.values_mut().for_each(|v| plant(v, secret)),
        Value::Array(values) => values.iter_mut().for_each(|v| plant(v, secret)),
        Value::String(text) => *text = format!("{text} {secret} {text}"),
        _ => {}
    }
}

#[track_caller]
fn check_shape(before: &Value, line: &str) {
    let redacted = redact(line);
    let after: Value =
        serde_json::from_str(&redacted).unwrap_or_else(|e| panic!("{e}: {redacted}"));
    let (mut keys_before, mut keys_after) = (Vec::new(), Vec::new());
    assert_eq!(shape(before, &mut keys_before), shape(&after, &mut keys_after), "{redacted}");
    assert_eq!(keys_before, keys_after);
}

#[test]
fn real_records_keep_their_shape_and_lose_their_secrets() {
    for line in CAPTURES.lines() {
        check_shape(&serde_json::from_str(line).unwrap(), line);
    }
    let redacted = redact(CAPTURES);
    for secret in ["jane.doe", "4111", "123-45-6789", "203.0.113.", "AKIA"] {
        assert!(CAPTURES.contains(secret) && !redacted.contains(secret), "{secret}");
    }
}

#[test]
fn planted_secrets_leave_every_string_of_a_record() {
    for sample in PLANTED {
        let (before, marked) = sample.split_once('«').unwrap();
        let (secret, after) = marked.split_once('»').unwrap();
        for line in CAPTURES.lines() {
            let mut record: Value = serde_json::from_str(line).unwrap();
            plant(&mut record, &format!("{before}{secret}{after}"));
            let planted = record.to_string();
            check_shape(&record, &planted);
            // The same record as a string inside another one: escapes twice as deep.
            let outer = serde_json::json!({ "msg": planted });
            check_shape(&outer, &outer.to_string());
            let redacted = redact(&planted);
            let escaped = serde_json::to_string(secret).unwrap();
            assert!(!redacted.contains(escaped.trim_matches('"')), "{secret}: {redacted}");
        }
    }
}

#[test]
fn bare_numbers_become_strings_so_that_the_record_parses() {
    let line =
        r#"{"pan":4111111111111111,"token" : 123456 ,"n":1,"a":[1],"last":5500000000000004}"#;
    let want = r#"{"pan":"[CREDIT_CARD]","token" : "[KEY_VALUE_SECRET]" ,"n":1,"a":[1],"last":"[CREDIT_CARD]"}"#;
    assert_eq!(redact(line), want);
    assert_eq!(redact(want), want);
}
