//! `GetLogEvents`: as far as a test needs it, and how a test reads a stream with it.

use super::client::Call;
use super::limits::{EVENT_OVERHEAD_BYTES, PAGE_EVENTS_MAX, constraint_problem, stream_problem};
use super::operations::{find, group_name};
use super::state::{Event, State};
use super::wire::{Refusal, optional, optional_integer, required};
use serde_json::{Value, json};

/// Bytes of one page.
const PAGE_BYTES_MAX: usize = 1 << 20;

/// One page of a stream in the order of time; tokens are the index of the next event.
pub(crate) fn get_log_events(body: &Value, state: &mut State) -> Result<Value, Refusal> {
    let (group, name) = (group_name(body)?, required(body, "logStreamName")?);
    if let Some(problem) = stream_problem(name) {
        return Err(Refusal::invalid(&problem));
    }
    let limit = optional_integer(body, "limit")?.unwrap_or(PAGE_EVENTS_MAX);
    if !(1..=PAGE_EVENTS_MAX).contains(&limit) {
        let constraint = format!("Member must have value between 1 and {PAGE_EVENTS_MAX}");
        let problem = constraint_problem("limit", &limit.to_string(), &constraint);
        return Err(Refusal::invalid(&problem));
    }
    let limit = usize::try_from(limit).expect("it is positive");
    let from_ms = optional_integer(body, "startTime")?.unwrap_or(0);
    let to_ms = optional_integer(body, "endTime")?.unwrap_or(i64::MAX);
    let stream = find(group, state)?.streams.get(name).ok_or_else(Refusal::no_stream)?;
    let is_wanted = |event: &Event| (from_ms..to_ms).contains(&event.timestamp_ms);
    let mut events: Vec<&(Event, i64)> =
        stream.events.iter().filter(|(event, _)| is_wanted(event)).collect();
    // Stable: events of the same millisecond stay in the order of their arrival.
    events.sort_by_key(|(event, _)| event.timestamp_ms);
    let from_head = body["startFromHead"] == true;
    let token = optional(body, "nextToken")?;
    let is_forward = token.map_or(from_head, |token| token.starts_with('f'));
    let (start, end) = match token {
        Some(token) => bounds(token, limit, events.len())?,
        None if from_head => (0, limit),
        None => (events.len().saturating_sub(limit), events.len()),
    };
    let mut bytes = 0;
    let fits = |(event, _): &&&(Event, i64)| {
        bytes += event.message.len() + EVENT_OVERHEAD_BYTES;
        // Pages that go backwards are not cut here: the cut would be at their wrong end.
        bytes <= PAGE_BYTES_MAX || !is_forward
    };
    let end = end.min(events.len());
    let page: Vec<Value> = events[start.min(end)..end].iter().take_while(fits).map(shown).collect();
    let next = start + page.len();
    Ok(json!({
        "events": page,
        "nextForwardToken": format!("f/{next:056}"),
        "nextBackwardToken": format!("b/{start:056}"),
    }))
}

fn bounds(token: &str, limit: usize, n_events: usize) -> Result<(usize, usize), Refusal> {
    let invalid = || Refusal::invalid("The specified nextToken is invalid.");
    let (direction, idx) = token.split_once('/').ok_or_else(invalid)?;
    let idx: usize = idx.parse().map_err(|_| invalid())?;
    match direction {
        "f" if idx <= n_events => Ok((idx, idx + limit)),
        "b" if idx <= n_events => Ok((idx.saturating_sub(limit), idx)),
        _ => Err(invalid()),
    }
}

fn shown((event, ingested_ms): &&(Event, i64)) -> Value {
    json!({
        "timestamp": event.timestamp_ms,
        "message": event.message,
        "ingestionTime": ingested_ms,
    })
}

/// Every event of a stream in the order of time, from the fake or from moto: the call `call`, with
/// pages of `limit` events, until the token stays the same.
#[track_caller]
pub(crate) fn read_all(call: &Call, group: &str, stream: &str, limit: i64) -> Vec<Event> {
    let mut body = json!({
        "logGroupName": group,
        "logStreamName": stream,
        "limit": limit,
        "startFromHead": true,
    });
    let mut events = Vec::new();
    loop {
        let answer = call.clone().body(body.to_string().as_bytes()).send();
        assert_eq!(answer.status, 200, "{}", answer.body);
        let page = answer.json();
        for event in page["events"].as_array().unwrap() {
            let timestamp_ms = event["timestamp"].as_i64().unwrap();
            let message = event["message"].as_str().unwrap().to_owned();
            events.push(Event { timestamp_ms, message });
        }
        if page["nextForwardToken"] == body["nextToken"] {
            return events;
        }
        body["nextToken"] = page["nextForwardToken"].clone();
    }
}
