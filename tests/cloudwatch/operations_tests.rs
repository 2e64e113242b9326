//! Groups, streams, retention, keys, tags and reading back: rules kept and broken.

use super::fake::{Fake, Rules};
use super::limits::RETENTION_DAYS;
use super::read_back::read_all;
use super::rig::{
    GROUP, NOW_MS, STREAM, ask, breaks, call, fake, keeps, put, put_body, refuses, with,
};
use serde_json::{Value, json};
use std::time::Duration;

const INVALID: &str = "InvalidParameterException";
const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/sidelight";

fn create_group(fake: &Fake, name: &str) -> super::client::Answer {
    ask(fake, "CreateLogGroup", &json!({ "logGroupName": name }))
}

fn create_stream(fake: &Fake, name: &str) -> super::client::Answer {
    let body = json!({ "logGroupName": GROUP, "logStreamName": name });
    ask(fake, "CreateLogStream", &body)
}

#[test]
fn the_name_of_a_group_has_a_pattern_and_a_length() {
    let fake = fake();
    for name in ["a", "aws", "/aws/emr.x_y-z#1", &"n".repeat(512)] {
        keeps(&fake, &create_group(&fake, name));
    }
    for (name, words) in [
        ("", "greater than or equal to 1"),
        (&*"n".repeat(513), "less than or equal to 512"),
        ("a:b", "pattern"),
        ("a b", "pattern"),
        ("caf\u{e9}", "pattern"),
        ("aws/emr", "can't start with aws/"),
    ] {
        breaks(&fake, &create_group(&fake, name), INVALID, words);
    }
    assert_eq!(fake.groups().len(), 5);
}

#[test]
fn the_name_of_a_stream_has_a_pattern_and_a_length() {
    let fake = fake();
    for name in ["a", "executor 1/caf\u{e9}#?", &"\u{20ac}".repeat(512)] {
        keeps(&fake, &create_stream(&fake, name));
    }
    // Two UTF-16 units each, as Java counts.
    keeps(&fake, &create_stream(&fake, &"\u{1f600}".repeat(256)));
    for (name, words) in [
        ("", "greater than or equal to 1"),
        (&*"n".repeat(513), "less than or equal to 512"),
        (&*"\u{1f600}".repeat(257), "less than or equal to 512"),
        ("a:b", "pattern"),
        ("a*b", "pattern"),
    ] {
        breaks(&fake, &create_stream(&fake, name), INVALID, words);
    }
    assert_eq!(fake.streams(GROUP).len(), 5);
}

#[test]
fn what_exists_is_not_created_twice_and_what_is_missing_is_named() {
    let fake = fake();
    let exists = "ResourceAlreadyExistsException";
    refuses(&create_group(&fake, GROUP), exists, "log group already exists");
    refuses(&create_stream(&fake, STREAM), exists, "log stream already exists");
    fake.delete(GROUP);
    let missing = "ResourceNotFoundException";
    refuses(&create_stream(&fake, STREAM), missing, "log group");
    refuses(&put(&fake, &[(NOW_MS, "a")]), missing, "log group");
    let body = json!({ "logGroupName": GROUP, "retentionInDays": 1, "kmsKeyId": KEY });
    for operation in ["PutRetentionPolicy", "AssociateKmsKey", "DescribeLogStreams"] {
        refuses(&ask(&fake, operation, &body), missing, "log group");
    }
    assert_eq!(fake.violations(), [""; 0], "all of it is normal life");
    keeps(&fake, &create_group(&fake, GROUP));
    refuses(&put(&fake, &[(NOW_MS, "a")]), missing, "log stream");
}

#[test]
fn a_group_is_created_with_class_key_and_tags() {
    let fake = fake();
    let body = json!({
        "logGroupName": "full",
        "logGroupClass": "INFREQUENT_ACCESS",
        "kmsKeyId": KEY,
        "tags": { "team": "data", "empty": "" },
        "deletionProtectionEnabled": true,
    });
    keeps(&fake, &ask(&fake, "CreateLogGroup", &body));
    let groups = fake.groups();
    let group = groups.iter().find(|group| group.name == "full").unwrap();
    assert_eq!(group.class, "INFREQUENT_ACCESS");
    assert_eq!(group.kms_key.as_deref(), Some(KEY));
    assert_eq!(group.tags["team"], "data");
    assert!(group.is_protected);
    assert_eq!(group.retention_days, None);
    assert_eq!(groups[0].class, "STANDARD");
}

#[test]
fn a_group_with_a_wrong_class_key_or_tag_is_not_created() {
    let fake = fake();
    let tags = |n: usize| -> Value {
        Value::Object((0..n).map(|i| (format!("t{i}"), json!("v"))).collect())
    };
    for (idx, (key, value)) in [
        ("tags", tags(50)),
        ("tags", json!({ "k".repeat(128): "v".repeat(256) })),
        ("logGroupClass", json!("ESSENTIALS")),
        ("logGroupClass", json!("DELIVERY")),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({ "logGroupName": format!("kept-{idx}"), key: value });
        keeps(&fake, &ask(&fake, "CreateLogGroup", &body));
    }
    for (key, value, words) in [
        ("tags", tags(51), "between 1 and 50"),
        ("tags", tags(0), "between 1 and 50"),
        ("tags", json!({ "k".repeat(129): "v" }), "equal to 128"),
        ("tags", json!({ "k": "v".repeat(257) }), "equal to 256"),
        ("tags", json!({ "a*b": "v" }), "tags.key"),
        ("tags", json!({ "k": "a*b" }), "tags.value"),
        ("logGroupClass", json!("CHEAP"), "enum value set"),
        ("kmsKeyId", json!("k".repeat(257)), "equal to 256"),
    ] {
        let body = json!({ "logGroupName": "broken", key: value });
        breaks(&fake, &ask(&fake, "CreateLogGroup", &body), INVALID, words);
    }
    let body = json!({ "logGroupName": "broken", "kmsKeyId": "disabled" });
    refuses(&ask(&fake, "CreateLogGroup", &body), INVALID, "KMS key");
    assert_eq!(fake.groups().len(), 5);
}

#[test]
fn retention_is_one_of_the_documented_days() {
    let fake = fake();
    let set = |days: i64| {
        let body = json!({ "logGroupName": GROUP, "retentionInDays": days });
        ask(&fake, "PutRetentionPolicy", &body)
    };
    for days in RETENTION_DAYS {
        keeps(&fake, &set(days));
        assert_eq!(fake.groups()[0].retention_days, Some(days));
    }
    for days in [-1, 0, 2, 15, 3654] {
        breaks(&fake, &set(days), INVALID, "retentionInDays");
    }
    let body = json!({ "logGroupName": "delivery", "logGroupClass": "DELIVERY" });
    assert_eq!(ask(&fake, "CreateLogGroup", &body).status, 200);
    let body = json!({ "logGroupName": "delivery", "retentionInDays": 7 });
    breaks(&fake, &ask(&fake, "PutRetentionPolicy", &body), INVALID, "DELIVERY");
}

#[test]
fn a_key_is_associated_when_it_exists() {
    let fake = fake();
    let arn = format!("arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}");
    for (key, value) in [("logGroupName", GROUP), ("resourceIdentifier", arn.as_str())] {
        let body = json!({ key: value, "kmsKeyId": KEY });
        keeps(&fake, &ask(&fake, "AssociateKmsKey", &body));
    }
    assert_eq!(fake.groups()[0].kms_key.as_deref(), Some(KEY));
    let body = json!({ "logGroupName": GROUP, "kmsKeyId": "disabled" });
    refuses(&ask(&fake, "AssociateKmsKey", &body), INVALID, "KMS key");
    let body = json!({ "logGroupName": GROUP, "resourceIdentifier": arn, "kmsKeyId": KEY });
    breaks(&fake, &ask(&fake, "AssociateKmsKey", &body), INVALID, "either");
}

#[test]
fn tags_are_added_to_the_arn_without_its_star() {
    let fake = fake();
    let arn = format!("arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}");
    let tag = |arn: &str, key: &str| {
        ask(&fake, "TagResource", &json!({ "resourceArn": arn, "tags": { key: "v" } }))
    };
    for i in 0..50 {
        keeps(&fake, &tag(&arn, &format!("t{i}")));
    }
    keeps(&fake, &tag(&arn, "t0"));
    refuses(&tag(&arn, "t50"), "TooManyTagsException", "50");
    assert_eq!(fake.groups()[0].tags.len(), 50, "a refused tag is not kept");
    breaks(&fake, &tag(&format!("{arn}:*"), "t"), INVALID, "resourceArn");
    let other = arn.replace("us-east-1", "eu-west-1");
    breaks(&fake, &tag(&other, "t"), INVALID, "resourceArn");
    refuses(&tag(&format!("{arn}2"), "t"), "ResourceNotFoundException", "log group");
}

#[test]
fn groups_and_streams_are_described_in_pages() {
    let fake = fake();
    for i in 0..60 {
        fake.create(&format!("group-{i:02}"), "s");
        fake.create(GROUP, &format!("stream-{i:02}"));
    }
    let all = |operation: &str, list: &str, mut body: Value| {
        let mut pages = Vec::new();
        loop {
            let answer = ask(&fake, operation, &body).json();
            let page = answer[list].as_array().unwrap().clone();
            pages.push(page);
            match answer["nextToken"].as_str() {
                Some(token) => body["nextToken"] = json!(token),
                None => return pages,
            }
        }
    };
    let sizes = |pages: &[Vec<Value>]| pages.iter().map(Vec::len).collect::<Vec<_>>();
    let pages = all("DescribeLogGroups", "logGroups", json!({ "logGroupNamePrefix": "group-" }));
    assert_eq!(sizes(&pages), [50, 10]);
    let body = json!({ "logGroupNamePattern": "GROUP-0", "limit": 4 });
    assert_eq!(sizes(&all("DescribeLogGroups", "logGroups", body)), [4, 4, 2]);
    let body = json!({ "logGroupName": GROUP, "logStreamNamePrefix": "stream-" });
    let pages = all("DescribeLogStreams", "logStreams", body);
    assert_eq!(sizes(&pages), [50, 10]);
    assert_eq!(pages[0][0]["logStreamName"], "stream-00");
    for limit in [0, 51] {
        let answer = ask(&fake, "DescribeLogGroups", &json!({ "limit": limit }));
        breaks(&fake, &answer, INVALID, "limit");
    }
    let body = json!({ "logGroupNamePattern": "a", "logGroupNamePrefix": "b" });
    breaks(&fake, &ask(&fake, "DescribeLogGroups", &body), INVALID, "either");
}

#[test]
fn a_description_shows_what_was_set() {
    let fake = fake();
    let body = json!({ "logGroupName": GROUP, "retentionInDays": 7 });
    keeps(&fake, &ask(&fake, "PutRetentionPolicy", &body));
    keeps(&fake, &put(&fake, &[(NOW_MS - 5, "a"), (NOW_MS, "b")]));
    let answer = ask(&fake, "DescribeLogGroups", &json!({ "logGroupNamePrefix": GROUP })).json();
    let arn = format!("arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}");
    let group = &answer["logGroups"][0];
    assert_eq!(group["retentionInDays"], 7);
    assert_eq!(group["logGroupClass"], "STANDARD");
    assert_eq!(group["logGroupArn"], json!(arn));
    assert_eq!(group["arn"], json!(format!("{arn}:*")));
    assert_eq!(group["kmsKeyId"], Value::Null);
    let answer = ask(&fake, "DescribeLogStreams", &json!({ "logGroupName": GROUP })).json();
    let stream = &answer["logStreams"][0];
    assert_eq!(stream["firstEventTimestamp"], json!(NOW_MS - 5));
    assert_eq!(stream["lastEventTimestamp"], json!(NOW_MS));
}

#[test]
fn operations_with_a_quota_are_throttled_beyond_it() {
    let fake = fake();
    for i in 0..50 {
        keeps(&fake, &create_stream(&fake, &format!("s{i}")));
    }
    let throttled = "ThrottlingException";
    refuses(&create_stream(&fake, "late"), throttled, "Rate exceeded");
    let describe = || ask(&fake, "DescribeLogStreams", &json!({ "logGroupName": GROUP }));
    for _ in 0..25 {
        keeps(&fake, &describe());
    }
    refuses(&describe(), throttled, "Rate exceeded");
    fake.freeze_clock(NOW_MS + 1000);
    keeps(&fake, &create_stream(&fake, "late"));
    keeps(&fake, &describe());
}

#[test]
fn an_account_has_a_limit_of_groups() {
    let fake = with(Rules { groups_max: 2, ..Rules::default() });
    keeps(&fake, &create_group(&fake, "second"));
    refuses(&create_group(&fake, "third"), "LimitExceededException", "limit");
}

#[test]
fn events_are_read_back_in_the_order_of_time_in_pages() {
    let fake = fake();
    keeps(&fake, &put(&fake, &[(NOW_MS, "c"), (NOW_MS, "d")]));
    keeps(&fake, &put(&fake, &[(NOW_MS - 2, "a"), (NOW_MS - 1, "b"), (NOW_MS, "e")]));
    let text = |limit: i64| -> String {
        let call = call(&fake, "GetLogEvents", &json!({}));
        read_all(&call, GROUP, STREAM, limit).into_iter().map(|event| event.message).collect()
    };
    for limit in [1, 2, 3, 5, 10_000] {
        assert_eq!(text(limit), "abcde", "{limit}");
    }
    let stored: String = fake.events(GROUP, STREAM).into_iter().map(|e| e.message).collect();
    assert_eq!(stored, "cdabe", "the order of arrival");
    let mut body = json!({ "logGroupName": GROUP, "logStreamName": STREAM, "limit": 2 });
    let messages = |body: &Value| -> String {
        let answer = ask(&fake, "GetLogEvents", body).json();
        answer["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["message"].as_str().unwrap())
            .collect()
    };
    assert_eq!(messages(&body), "de", "the end, where no start is given");
    body["startTime"] = json!(NOW_MS - 1);
    body["endTime"] = json!(NOW_MS);
    assert_eq!(messages(&body), "b");
    body["limit"] = json!(10_001);
    breaks(&fake, &ask(&fake, "GetLogEvents", &body), INVALID, "limit");
}

#[test]
fn a_page_has_a_mebibyte_at_most() {
    let fake = fake();
    let long = "x".repeat(600_000);
    keeps(&fake, &put(&fake, &[(NOW_MS, &long)]));
    keeps(&fake, &put(&fake, &[(NOW_MS, &long)]));
    let body = json!({ "logGroupName": GROUP, "logStreamName": STREAM, "startFromHead": true });
    let answer = ask(&fake, "GetLogEvents", &body).json();
    assert_eq!(answer["events"].as_array().unwrap().len(), 1);
    let call = call(&fake, "GetLogEvents", &json!({}));
    assert_eq!(read_all(&call, GROUP, STREAM, 10_000).len(), 2);
}

#[test]
fn a_request_that_is_no_call_of_the_service_is_refused() {
    let fake = fake();
    let body = put_body(&[(NOW_MS, "a")]);
    let unknown = "UnknownOperationException";
    breaks(&fake, &ask(&fake, "DropLogEvents", &body), unknown, "DropLogEvents");
    let put = || call(&fake, "PutLogEvents", &body);
    breaks(&fake, &put().header("x-amz-target", "PutLogEvents").send(), unknown, "x-amz-target");
    breaks(&fake, &put().method("PUT").send(), unknown, "POST");
    let wrong = put().header("content-type", "application/json").send();
    breaks(&fake, &wrong, "SerializationException", "content type");
    let list = call(&fake, "CreateLogGroup", &json!([])).send();
    breaks(&fake, &list, "SerializationException", "not an object");
    // The server closes before the client has written all of it, so there may be no answer.
    let _ = put().body(&vec![b' '; (8 << 20) + 1]).try_send(Duration::from_secs(60));
    let violations = fake.violations();
    assert!(violations.last().unwrap().contains("larger than any batch"), "{violations:?}");
    assert!(fake.events(GROUP, STREAM).is_empty());
    assert!(fake.requests().iter().all(|request| request.outcome != "ok"));
}
