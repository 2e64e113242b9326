//! Limits, patterns and errors of the fake against the model of the service that AWS publishes.

use super::limits;
use super::put::Rejections;
use crate::harness::{peers, report};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::fs::File;

/// The model; none when peers are not wanted.
fn model() -> Option<Value> {
    if !peers::are_wanted() {
        report::say("the model of CloudWatch Logs: skipped, tests/run asks for peers");
        return None;
    }
    let file = GzDecoder::new(File::open(peers::logs_model()).unwrap());
    Some(serde_json::from_reader(file).unwrap())
}

/// Lengths, range, pattern and kind of a shape, as far as the model gives them.
#[track_caller]
fn check_shape(model: &Value, name: &str, wanted: &Value) {
    let shape = model["shapes"][name].as_object().unwrap_or_else(|| panic!("no shape {name}"));
    let mut known = serde_json::Map::new();
    for key in ["min", "max", "pattern", "enum"] {
        if let Some(value) = shape.get(key) {
            known.insert(key.to_owned(), value.clone());
        }
    }
    assert_eq!(&Value::Object(known), wanted, "{name}");
}

#[test]
fn limits_are_those_of_the_model() {
    let Some(model) = model() else { return };
    let group =
        json!({ "min": 1, "max": limits::NAME_CHARS_MAX, "pattern": limits::GROUP_PATTERN });
    let stream =
        json!({ "min": 1, "max": limits::NAME_CHARS_MAX, "pattern": limits::STREAM_PATTERN });
    let tag_key =
        json!({ "min": 1, "max": limits::TAG_KEY_CHARS_MAX, "pattern": limits::TAG_KEY_PATTERN });
    let tag_value =
        json!({ "max": limits::TAG_VALUE_CHARS_MAX, "pattern": limits::TAG_VALUE_PATTERN });
    let keys = limits::ENTITY_KEY_ATTRIBUTES;
    for (shape, wanted) in [
        ("LogGroupName", group),
        ("LogStreamName", stream),
        ("InputLogEvents", json!({ "min": 1, "max": limits::EVENTS_MAX })),
        ("EventMessage", json!({ "min": 1 })),
        ("Timestamp", json!({ "min": 0 })),
        ("KmsKeyId", json!({ "max": limits::KMS_KEY_CHARS_MAX })),
        ("Tags", json!({ "min": 1, "max": limits::TAGS_MAX })),
        ("TagKey", tag_key),
        ("TagValue", tag_value),
        ("LogGroupClass", json!({ "enum": limits::CLASSES })),
        ("DescribeLimit", json!({ "min": 1, "max": limits::DESCRIBE_MAX })),
        ("EventsLimit", json!({ "min": 1, "max": limits::PAGE_EVENTS_MAX })),
        ("EntityKeyAttributes", json!({ "min": keys.start(), "max": keys.end() })),
        (
            "EntityKeyAttributesKey",
            json!({ "min": 1, "max": limits::ENTITY_KEY_ATTRIBUTE_CHARS_MAX }),
        ),
        ("EntityKeyAttributesValue", json!({ "min": 1, "max": limits::ENTITY_VALUE_CHARS_MAX })),
        ("EntityAttributes", json!({ "min": 0, "max": limits::ENTITY_ATTRIBUTES_MAX })),
        ("EntityAttributesKey", json!({ "min": 1, "max": limits::ENTITY_ATTRIBUTE_CHARS_MAX })),
        ("EntityAttributesValue", json!({ "min": 1, "max": limits::ENTITY_VALUE_CHARS_MAX })),
        ("EntityRejectionErrorType", json!({ "enum": limits::ENTITY_REJECTIONS })),
    ] {
        check_shape(&model, shape, &wanted);
    }
    let required = &model["shapes"]["InputLogEvent"]["required"];
    assert_eq!(required, &json!(["timestamp", "message"]));
    let required = &model["shapes"]["PutLogEventsRequest"]["required"];
    assert_eq!(required, &json!(["logGroupName", "logStreamName", "logEvents"]));
}

/// Whether a character belongs to a class such as `[^:*]` or `[\-A-Z]`, one of the model's patterns.
fn is_in_class(pattern: &str, wanted: char) -> bool {
    let class = pattern.strip_prefix('[').and_then(|rest| rest.rsplit_once(']')).unwrap().0;
    let (is_negated, class) = class.strip_prefix('^').map_or((false, class), |rest| (true, rest));
    let mut members = class.chars().peekable();
    let mut is_found = false;
    while let Some(first) = members.next() {
        let first = if first == '\\' { members.next().unwrap() } else { first };
        let is_range = members.next_if_eq(&'-').is_some();
        let last = if is_range { members.next().unwrap() } else { first };
        is_found |= (first..=last).contains(&wanted);
    }
    is_found != is_negated
}

#[test]
fn names_are_what_the_patterns_of_the_model_match() {
    let Some(model) = model() else { return };
    let pattern = |shape: &str| model["shapes"][shape]["pattern"].as_str().unwrap();
    let (group, stream) = (pattern("LogGroupName"), pattern("LogStreamName"));
    for letter in (0..0x3000).filter_map(char::from_u32) {
        let name = format!("a{letter}b");
        let is_group = limits::group_problem(&name).is_none();
        assert_eq!(is_group, is_in_class(group, letter), "{name:?}");
        let is_stream = limits::stream_problem(&name).is_none();
        assert_eq!(is_stream, is_in_class(stream, letter), "{name:?}");
    }
}

#[test]
fn what_the_model_says_in_words_is_what_the_fake_does() {
    let Some(model) = model() else { return };
    let words = |value: &Value| {
        let html = value.as_str().unwrap().to_owned();
        let mut text = String::new();
        let mut is_tag = false;
        for c in html.chars() {
            is_tag = c == '<' || (is_tag && c != '>');
            if !is_tag && c != '>' {
                text.push(c);
            }
        }
        text
    };
    let days = words(&model["shapes"]["Days"]["documentation"]);
    let list = days.split("Possible values are: ").nth(1).unwrap().split('.').next().unwrap();
    let days: Vec<i64> =
        list.replace("and ", "").split(", ").map(|day| day.trim().parse().unwrap()).collect();
    assert_eq!(days, limits::RETENTION_DAYS);
    let put = words(&model["operations"]["PutLogEvents"]["documentation"]);
    for rule in [
        "The sequence token is now ignored",
        "You can use parallel PutLogEvents actions on the same log stream.",
        "The maximum batch size is 1,048,576 bytes. This size is calculated as the sum of all \
         event messages in UTF-8, plus 26 bytes for each log event.",
        "Events more than 2 hours in the future are rejected while processing remaining valid",
        "Events older than 14 days or preceding the log group's retention period are rejected",
        "in a chronological order. Otherwise, the operation fails.",
        "Each log event can be no larger than 1 MB.",
        "The maximum number of log events in a batch is 10,000.",
        "For valid events (within 14 days in the past to 2 hours in future), the time span in a \
         single batch cannot exceed 24 hours. Otherwise, the operation fails.",
    ] {
        assert!(put.contains(rule), "the model no longer says: {rule}\nbut: {put}");
    }
    assert_eq!((limits::BATCH_BYTES_MAX, limits::EVENT_OVERHEAD_BYTES), (1_048_576, 26));
    let create = words(&model["operations"]["CreateLogGroup"]["documentation"]);
    assert!(create.contains("can't start with the string aws/"), "{create}");
    let stream = words(&model["operations"]["CreateLogStream"]["documentation"]);
    assert!(stream.contains("limit of 50 TPS"), "{stream}");
    assert_eq!(limits::CREATE_STREAM_PER_SECOND, 50);
}

#[test]
fn rejections_have_the_members_of_the_model() {
    let Some(model) = model() else { return };
    let all = Rejections { too_old_end: Some(1), expired_end: Some(2), too_new_start: Some(3) };
    let info = all.json().unwrap();
    let members = model["shapes"]["RejectedLogEventsInfo"]["members"].as_object().unwrap();
    let mut wanted: Vec<&String> = members.keys().collect();
    let mut known: Vec<&String> = info.as_object().unwrap().keys().collect();
    wanted.sort();
    known.sort();
    assert_eq!(known, wanted);
    let says = |member: &str, word: &str| {
        let text = members[member]["documentation"].as_str().unwrap();
        assert!(text.contains(word), "{member}: {text}");
    };
    says("tooNewLogEventStartIndex", "inclusive");
    says("tooOldLogEventEndIndex", "exclusive");
    let answer = model["shapes"]["PutLogEventsResponse"]["members"].as_object().unwrap();
    assert!(answer.contains_key("rejectedLogEventsInfo"));
    assert!(answer.contains_key("rejectedEntityInfo"));
}

#[test]
fn errors_are_those_that_the_model_knows() {
    let Some(model) = model() else { return };
    for (operation, errors) in [
        (
            "PutLogEvents",
            &[
                "InvalidParameterException",
                "ResourceNotFoundException",
                "ServiceUnavailableException",
                "UnrecognizedClientException",
            ][..],
        ),
        (
            "CreateLogGroup",
            &[
                "InvalidParameterException",
                "ResourceAlreadyExistsException",
                "LimitExceededException",
                "OperationAbortedException",
            ],
        ),
        (
            "CreateLogStream",
            &[
                "InvalidParameterException",
                "ResourceAlreadyExistsException",
                "ResourceNotFoundException",
            ],
        ),
        ("PutRetentionPolicy", &["InvalidParameterException", "ResourceNotFoundException"]),
        (
            "TagResource",
            &["InvalidParameterException", "ResourceNotFoundException", "TooManyTagsException"],
        ),
        ("AssociateKmsKey", &["InvalidParameterException", "ResourceNotFoundException"]),
        ("DescribeLogGroups", &["InvalidParameterException"]),
        ("DescribeLogStreams", &["InvalidParameterException", "ResourceNotFoundException"]),
        ("GetLogEvents", &["InvalidParameterException", "ResourceNotFoundException"]),
    ] {
        let known = model["operations"][operation]["errors"].as_array().unwrap();
        for error in errors {
            let is_known = known.iter().any(|known| known["shape"] == *error);
            assert!(is_known, "{operation} has no {error} in the model");
        }
    }
    for error in ["ThrottlingException", "AccessDeniedException"] {
        assert_eq!(model["shapes"][error]["exception"], true, "{error}");
    }
    assert_eq!(model["metadata"]["targetPrefix"], "Logs_20140328");
    assert_eq!(model["metadata"]["jsonVersion"], "1.1");
}
