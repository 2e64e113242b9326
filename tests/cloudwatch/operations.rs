//! The operations of CloudWatch Logs on what the fake remembers.

use super::limits::{
    CLASSES, CREATE_STREAM_PER_SECOND, DESCRIBE_MAX, DESCRIBE_STREAMS_PER_SECOND,
    KMS_KEY_CHARS_MAX, RETENTION_DAYS, TAGS_MAX, constraint_problem, group_problem, length_problem,
    stream_problem, tag_problem,
};
use super::put::{InputLogEvent, PutLogEvents, Rejections};
use super::read_back;
use super::state::{Event, Group, GroupState, State};
use super::wire::{Refusal, null_problem, optional, optional_integer, required, unreadable};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The body of a call.
#[derive(Debug)]
pub(crate) enum Call {
    Put(PutLogEvents),
    /// Any other operation.
    Other(Value),
}

impl Call {
    /// Reads the body; what does not have the shape of the model is refused.
    pub(crate) fn parse(operation: &str, body: &[u8]) -> Result<Self, Refusal> {
        if let Err(error) = std::str::from_utf8(body) {
            return Err(unreadable(&format!("the body is not UTF-8: {error}")));
        }
        let because = |error: serde_json::Error| unreadable(&format!("the body: {error}"));
        if operation == "PutLogEvents" {
            return serde_json::from_slice(body).map(Call::Put).map_err(because);
        }
        let body: Value = serde_json::from_slice(body).map_err(because)?;
        if body.is_object() {
            Ok(Call::Other(body))
        } else {
            Err(unreadable("the body is not an object"))
        }
    }

    /// Group and stream that it is about; empty where it names none.
    pub(crate) fn names(&self) -> (&str, &str) {
        match self {
            Call::Put(put) => (put.group(), put.stream()),
            Call::Other(body) => {
                let text = |key: &str| body[key].as_str().unwrap_or_default();
                let group = text("logGroupName");
                let of_arn = || text("resourceArn").split(":log-group:").nth(1).unwrap_or_default();
                (if group.is_empty() { of_arn() } else { group }, text("logStreamName"))
            }
        }
    }
}

/// What the events of one call meet beside the rules.
#[derive(Debug, Default)]
pub(crate) struct Forced {
    /// Events refused at the front and at the end: too old, expired, too new.
    pub(crate) reject: Option<(usize, usize, usize)>,
    /// Reason to refuse the entity.
    pub(crate) entity: Option<String>,
}

/// Does the call and gives the body of the answer.
pub(crate) fn answer(
    operation: &str,
    call: Call,
    forced: &Forced,
    state: &mut State,
) -> Result<Value, Refusal> {
    let body = match call {
        Call::Put(put) => return put_log_events(put, forced, state),
        Call::Other(body) => body,
    };
    match operation {
        "CreateLogGroup" => create_log_group(&body, state),
        "CreateLogStream" => create_log_stream(&body, state),
        "PutRetentionPolicy" => put_retention_policy(&body, state),
        "TagResource" => tag_resource(&body, state),
        "AssociateKmsKey" => associate_kms_key(&body, state),
        "DescribeLogGroups" => describe_log_groups(&body, state),
        "DescribeLogStreams" => describe_log_streams(&body, state),
        "GetLogEvents" => read_back::get_log_events(&body, state),
        other => {
            let rule = format!("the fake does not know the operation {other}");
            Err(Refusal::broken("UnknownOperationException", &rule))
        }
    }
}

fn put_log_events(
    mut put: PutLogEvents,
    forced: &Forced,
    state: &mut State,
) -> Result<Value, Refusal> {
    let now_ms = state.now_ms();
    let problems = put.problems(now_ms, state.rules.message_bytes_max);
    let all: Vec<String> = problems.constraints.iter().chain(&problems.batch).cloned().collect();
    let refuse = |refusal: Refusal| Err(Refusal { broken: all.clone(), ..refusal });
    if let Some(first) = problems.constraints.first() {
        return refuse(Refusal::invalid(first));
    }
    let Some(group) = state.groups.get(put.group()) else { return refuse(Refusal::no_group()) };
    if !group.streams.contains_key(put.stream()) {
        return refuse(Refusal::no_stream());
    }
    if let Some(first) = problems.batch.first() {
        return refuse(Refusal::invalid(first));
    }
    let mut rejections = put.rejections(now_ms, group.group.retention_days);
    if let Some(counts) = forced.reject {
        force(&mut rejections, counts, put.events().len());
    }
    let entity = put.entity.as_ref();
    let rejected = entity.and_then(|entity| entity.rejection(&group.group.class));
    let rejected = forced.entity.clone().or(rejected.map(ToOwned::to_owned));
    let mut answer = Map::new();
    if let Some(info) = rejections.json() {
        answer.insert("rejectedLogEventsInfo".to_owned(), info);
    }
    if let Some(reason) = rejected {
        answer.insert("rejectedEntityInfo".to_owned(), json!({ "errorType": reason }));
    }
    let accepted = rejections.accepted(put.events().len());
    let size = |event: &InputLogEvent| event.message().len() + size_of::<(Event, i64)>();
    let bytes: usize = put.events()[accepted.clone()].iter().map(size).sum();
    if state.stored_bytes + bytes > state.rules.stored_bytes_max {
        let rule = "fake: it holds as many events as Rules::stored_bytes_max allows";
        return Err(Refusal {
            status: 503,
            ..Refusal::broken("ServiceUnavailableException", rule)
        });
    }
    state.stored_bytes += bytes;
    let events = put.log_events.take().unwrap_or_default();
    let stream = state.stream(put.group(), put.stream()).expect("it was found above");
    stream.ingested_ms = Some(now_ms);
    for event in events.into_iter().take(accepted.end).skip(accepted.start) {
        let timestamp_ms = event.time_ms();
        let message = event.message.unwrap_or_default();
        stream.events.push((Event { timestamp_ms, message }, now_ms));
    }
    Ok(Value::Object(answer))
}

/// Refuses at least so many events as `counts` says.
fn force(rejections: &mut Rejections, counts: (usize, usize, usize), n_events: usize) {
    let (too_old, expired, too_new) = counts;
    let too_old = too_old.min(n_events);
    let expired_end = (too_old + expired).min(n_events);
    if too_old > 0 {
        rejections.too_old_end = rejections.too_old_end.max(Some(too_old));
    }
    if expired > 0 {
        rejections.expired_end = rejections.expired_end.max(Some(expired_end));
    }
    if too_new > 0 {
        let start = n_events.saturating_sub(too_new);
        rejections.too_new_start =
            Some(rejections.too_new_start.map_or(start, |now| now.min(start)));
    }
}

fn create_log_group(body: &Value, state: &mut State) -> Result<Value, Refusal> {
    let name = group_name(body)?;
    if name.starts_with("aws/") {
        return Err(Refusal::invalid("Log group names can't start with aws/"));
    }
    let class = optional(body, "logGroupClass")?.unwrap_or("STANDARD");
    if !CLASSES.contains(&class) {
        let constraint = format!("Member must satisfy enum value set: [{}]", CLASSES.join(", "));
        return Err(Refusal::invalid(&constraint_problem("logGroupClass", class, &constraint)));
    }
    let kms_key = optional(body, "kmsKeyId")?.map(|key| kms_key(key, state)).transpose()?;
    let tags = if body["tags"].is_null() { BTreeMap::new() } else { tags(body)? };
    let is_protected = match &body["deletionProtectionEnabled"] {
        Value::Null => false,
        Value::Bool(is_protected) => *is_protected,
        _ => return Err(unreadable("deletionProtectionEnabled is not a boolean")),
    };
    if state.groups.contains_key(name) {
        return Err(Refusal::exists("log group"));
    }
    if state.groups.len() >= state.rules.groups_max {
        return Err(Refusal::new("LimitExceededException", "Resource limit exceeded."));
    }
    // This class keeps its events for one day, always.
    let retention_days = (class == "DELIVERY").then_some(1);
    let class = class.to_owned();
    let group = state.plain_group(name);
    state.add_group(Group { class, kms_key, tags, is_protected, retention_days, ..group });
    Ok(json!({}))
}

fn create_log_stream(body: &Value, state: &mut State) -> Result<Value, Refusal> {
    let group = group_name(body)?;
    let stream = required(body, "logStreamName")?;
    stream_problem(stream).map_or(Ok(()), |problem| Err(Refusal::invalid(&problem)))?;
    if !state.is_within_rate("CreateLogStream", CREATE_STREAM_PER_SECOND) {
        return Err(Refusal::throttled());
    }
    find(group, state)?;
    if state.add_stream(group, stream) { Ok(json!({})) } else { Err(Refusal::exists("log stream")) }
}

fn put_retention_policy(body: &Value, state: &mut State) -> Result<Value, Refusal> {
    let name = group_name(body)?;
    let days = optional_integer(body, "retentionInDays")?
        .ok_or_else(|| Refusal::invalid(&null_problem("retentionInDays")))?;
    if !RETENTION_DAYS.contains(&days) {
        let constraint = format!("Member must satisfy enum value set: {RETENTION_DAYS:?}");
        let problem = constraint_problem("retentionInDays", &days.to_string(), &constraint);
        return Err(Refusal::invalid(&problem));
    }
    let group = &mut find(name, state)?.group;
    if group.class == "DELIVERY" {
        return Err(Refusal::invalid("The retention of a DELIVERY log group cannot be changed."));
    }
    group.retention_days = Some(days);
    Ok(json!({}))
}

fn tag_resource(body: &Value, state: &mut State) -> Result<Value, Refusal> {
    let arn = required(body, "resourceArn")?;
    let tags = tags(body)?;
    let prefix = state.group_arn("");
    // The ARN ends with the name here; the `:*` of DescribeLogGroups does not belong to it.
    let name = arn.strip_prefix(&prefix).filter(|name| group_problem(name).is_none());
    let rule = format!("resourceArn is not the ARN of a log group of this account: {arn}");
    let name = name.ok_or_else(|| Refusal::invalid(&rule))?;
    let group = &mut find(name, state)?.group;
    let n_new = tags.keys().filter(|key| !group.tags.contains_key(*key)).count();
    if group.tags.len() + n_new > TAGS_MAX {
        let message = "A resource can have no more than 50 tags.";
        return Err(Refusal::new("TooManyTagsException", message));
    }
    group.tags.extend(tags);
    Ok(json!({}))
}

fn associate_kms_key(body: &Value, state: &mut State) -> Result<Value, Refusal> {
    let name = match (optional(body, "logGroupName")?, optional(body, "resourceIdentifier")?) {
        (Some(_), None) => group_name(body)?.to_owned(),
        (None, Some(arn)) => {
            let name = arn.strip_prefix(&state.group_arn("")).map(ToOwned::to_owned);
            name.ok_or_else(|| Refusal::invalid("resourceIdentifier is not a log group's ARN"))?
        }
        _ => {
            return Err(Refusal::invalid("Give either logGroupName or resourceIdentifier."));
        }
    };
    let key = kms_key(required(body, "kmsKeyId")?, state)?;
    find(&name, state)?.group.kms_key = Some(key);
    Ok(json!({}))
}

fn describe_log_groups(body: &Value, state: &mut State) -> Result<Value, Refusal> {
    let prefix = optional(body, "logGroupNamePrefix")?;
    let pattern = optional(body, "logGroupNamePattern")?.map(str::to_lowercase);
    if prefix.is_some() && pattern.is_some() {
        let rule = "Give either logGroupNamePrefix or logGroupNamePattern.";
        return Err(Refusal::invalid(rule));
    }
    let fits = |name: &str| {
        prefix.is_none_or(|prefix| name.starts_with(prefix))
            && pattern.as_ref().is_none_or(|part| name.to_lowercase().contains(part.as_str()))
    };
    let names: Vec<&String> = state.groups.keys().filter(|name| fits(name)).collect();
    let (page, next) = page(&names, body)?;
    let describe = |name: &&String| described_group(&state.groups[*name].group, state);
    let mut answer = json!({ "logGroups": page.iter().map(describe).collect::<Vec<_>>() });
    if let Some(next) = next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}

fn described_group(group: &Group, state: &State) -> Value {
    let arn = state.group_arn(&group.name);
    let mut described = json!({
        "logGroupName": group.name,
        "creationTime": group.created_ms,
        "metricFilterCount": 0,
        "arn": format!("{arn}:*"),
        "logGroupArn": arn,
        "storedBytes": 0,
        "logGroupClass": group.class,
        "deletionProtectionEnabled": group.is_protected,
    });
    if let Some(days) = group.retention_days {
        described["retentionInDays"] = json!(days);
    }
    if let Some(key) = &group.kms_key {
        described["kmsKeyId"] = json!(key);
    }
    described
}

fn describe_log_streams(body: &Value, state: &mut State) -> Result<Value, Refusal> {
    let group = group_name(body)?;
    if !state.is_within_rate("DescribeLogStreams", DESCRIBE_STREAMS_PER_SECOND) {
        return Err(Refusal::throttled());
    }
    let prefix = optional(body, "logStreamNamePrefix")?.unwrap_or_default();
    let arn = format!("{}:log-stream:", state.group_arn(group));
    let streams = &find(group, state)?.streams;
    let names: Vec<&String> = streams.keys().filter(|name| name.starts_with(prefix)).collect();
    let (page, next) = page(&names, body)?;
    let describe = |name: &&String| {
        let stream = &streams[*name];
        let mut described = json!({
            "logStreamName": name,
            "creationTime": stream.created_ms,
            "arn": format!("{arn}{name}"),
            "storedBytes": 0,
        });
        let times = || stream.events.iter().map(|(event, _)| event.timestamp_ms);
        if let (Some(first), Some(last)) = (times().min(), times().max()) {
            described["firstEventTimestamp"] = json!(first);
            described["lastEventTimestamp"] = json!(last);
            described["lastIngestionTime"] = json!(stream.ingested_ms);
        }
        described
    };
    let mut answer = json!({ "logStreams": page.iter().map(describe).collect::<Vec<_>>() });
    if let Some(next) = next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}

/// One page of sorted names, and the token of the next: the last name of this one.
fn page<'a>(
    names: &[&'a String],
    body: &Value,
) -> Result<(Vec<&'a String>, Option<String>), Refusal> {
    let limit = optional_integer(body, "limit")?.unwrap_or(DESCRIBE_MAX);
    if !(1..=DESCRIBE_MAX).contains(&limit) {
        let constraint = format!("Member must have value between 1 and {DESCRIBE_MAX}");
        let problem = constraint_problem("limit", &limit.to_string(), &constraint);
        return Err(Refusal::invalid(&problem));
    }
    let limit = usize::try_from(limit).expect("it is positive");
    let after = optional(body, "nextToken")?.unwrap_or_default();
    let left: Vec<&String> = names.iter().copied().filter(|n| n.as_str() > after).collect();
    let page: Vec<&String> = left.iter().copied().take(limit).collect();
    let next = (left.len() > limit).then(|| page[limit - 1].clone());
    Ok((page, next))
}

/// The group of the call, whose name must be a possible one.
pub(crate) fn group_name(body: &Value) -> Result<&str, Refusal> {
    let name = required(body, "logGroupName")?;
    group_problem(name).map_or(Ok(name), |problem| Err(Refusal::invalid(&problem)))
}

/// A group that must exist.
pub(crate) fn find<'a>(name: &str, state: &'a mut State) -> Result<&'a mut GroupState, Refusal> {
    state.groups.get_mut(name).ok_or_else(Refusal::no_group)
}

fn kms_key(key: &str, state: &State) -> Result<String, Refusal> {
    if let Some(problem) = length_problem("kmsKeyId", key, 0, KMS_KEY_CHARS_MAX) {
        return Err(Refusal::invalid(&problem));
    }
    if state.rules.kms_keys.iter().any(|known| known == key) {
        return Ok(key.to_owned());
    }
    let message = "The specified KMS key does not exist, is disabled or is not symmetric.";
    Err(Refusal::new("InvalidParameterException", message))
}

fn tags(body: &Value) -> Result<BTreeMap<String, String>, Refusal> {
    let Some(map) = body["tags"].as_object() else {
        return Err(Refusal::invalid(&null_problem("tags")));
    };
    if map.is_empty() || map.len() > TAGS_MAX {
        let constraint = format!("Member must have length between 1 and {TAGS_MAX}");
        let problem = constraint_problem("tags", &format!("{} pairs", map.len()), &constraint);
        return Err(Refusal::invalid(&problem));
    }
    let mut tags = BTreeMap::new();
    for (key, value) in map {
        let value = value.as_str().ok_or_else(|| unreadable("a tag's value is not a string"))?;
        if let Some(problem) = tag_problem(key, value) {
            return Err(Refusal::invalid(&problem));
        }
        tags.insert(key.clone(), value.to_owned());
    }
    Ok(tags)
}
