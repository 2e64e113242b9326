//! The rules of `PutLogEvents`. Knows nothing of groups that exist, nor of HTTP.

use super::limits::{
    AGE_MS_MAX, AHEAD_MS_MAX, BATCH_BYTES_MAX, DAY_MS, EVENT_OVERHEAD_BYTES, EVENTS_MAX, SPAN_MS,
    constraint_problem, group_problem, stream_problem,
};
use super::wire::null_problem;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The body of the call. The sequence token is ignored, as by the service.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PutLogEvents {
    pub(crate) log_group_name: Option<String>,
    pub(crate) log_stream_name: Option<String>,
    pub(crate) log_events: Option<Vec<InputLogEvent>>,
    pub(crate) entity: Option<Entity>,
}

/// One event.
#[derive(Debug, Deserialize)]
pub(crate) struct InputLogEvent {
    pub(crate) timestamp: Option<i64>,
    pub(crate) message: Option<String>,
}

/// What the events belong to.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entity {
    pub(crate) key_attributes: Option<BTreeMap<String, String>>,
    pub(crate) attributes: Option<BTreeMap<String, String>>,
}

/// Broken rules, by the point at which the service looks at them.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    /// Constraints of the model: looked at before anything else.
    pub(crate) constraints: Vec<String>,
    /// Rules of the batch: looked at when group and stream are known.
    pub(crate) batch: Vec<String>,
}

/// Events that are refused while the others are taken. All three count from the sorted front.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rejections {
    /// Events before this one are too old.
    pub(crate) too_old_end: Option<usize>,
    /// Events before this one are older than the group keeps them.
    pub(crate) expired_end: Option<usize>,
    /// This event and those after it are too new.
    pub(crate) too_new_start: Option<usize>,
}

impl Rejections {
    /// Events `from..to` of `n_events` are taken.
    pub(crate) fn accepted(&self, n_events: usize) -> std::ops::Range<usize> {
        let to = self.too_new_start.unwrap_or(n_events).min(n_events);
        let from = self.too_old_end.unwrap_or(0).max(self.expired_end.unwrap_or(0));
        from.min(to)..to
    }

    /// `rejectedLogEventsInfo`; none when nothing is refused.
    pub(crate) fn json(&self) -> Option<Value> {
        let mut info = serde_json::Map::new();
        let members = [
            ("tooNewLogEventStartIndex", self.too_new_start),
            ("tooOldLogEventEndIndex", self.too_old_end),
            ("expiredLogEventEndIndex", self.expired_end),
        ];
        for (name, idx) in members {
            if let Some(idx) = idx {
                info.insert(name.to_owned(), json!(idx));
            }
        }
        (!info.is_empty()).then_some(Value::Object(info))
    }
}

impl PutLogEvents {
    pub(crate) fn group(&self) -> &str {
        self.log_group_name.as_deref().unwrap_or_default()
    }

    pub(crate) fn stream(&self) -> &str {
        self.log_stream_name.as_deref().unwrap_or_default()
    }

    pub(crate) fn events(&self) -> &[InputLogEvent] {
        self.log_events.as_deref().unwrap_or_default()
    }

    /// What counts for the limit of a batch.
    pub(crate) fn bytes(&self) -> usize {
        self.events().iter().map(|event| event.message().len() + EVENT_OVERHEAD_BYTES).sum()
    }

    /// Every rule that this call breaks.
    pub(crate) fn problems(&self, now_ms: i64, message_bytes_max: usize) -> Problems {
        let mut problems = Problems::default();
        let names = [
            ("logGroupName", &self.log_group_name, group_problem as fn(&str) -> Option<String>),
            ("logStreamName", &self.log_stream_name, stream_problem),
        ];
        for (member, name, problem) in names {
            match name {
                Some(name) => problems.constraints.extend(problem(name)),
                None => problems.constraints.push(null_problem(member)),
            }
        }
        problems.constraints.extend(self.events_problem());
        if let Some(entity) = &self.entity {
            problems.constraints.extend(entity.problems());
        }
        self.add_batch_problems(now_ms, message_bytes_max, &mut problems.batch);
        problems
    }

    fn events_problem(&self) -> Option<String> {
        let Some(events) = &self.log_events else { return Some(null_problem("logEvents")) };
        let n_events = events.len();
        let length = |constraint: &str| {
            Some(constraint_problem("logEvents", &format!("{n_events} events"), constraint))
        };
        match n_events {
            0 => return length("Member must have length greater than or equal to 1"),
            1..=EVENTS_MAX => {}
            _ => return length("Member must have length less than or equal to 10000"),
        }
        for (idx, event) in events.iter().enumerate() {
            let member = |name: &str| format!("logEvents.{}.member.{name}", idx + 1);
            match (event.timestamp, event.message.as_deref()) {
                (None, _) => return Some(null_problem(&member("timestamp"))),
                (_, None) => return Some(null_problem(&member("message"))),
                (Some(time), _) if time < 0 => {
                    let constraint = "Member must have value greater than or equal to 0";
                    let (member, value) = (member("timestamp"), time.to_string());
                    return Some(constraint_problem(&member, &value, constraint));
                }
                (_, Some("")) => {
                    let constraint = "Member must have length greater than or equal to 1";
                    return Some(constraint_problem(&member("message"), "", constraint));
                }
                _ => {}
            }
        }
        None
    }

    fn add_batch_problems(&self, now_ms: i64, message_bytes_max: usize, found: &mut Vec<String>) {
        let longest = self.events().iter().map(|event| event.message().len()).max().unwrap_or(0);
        if longest > message_bytes_max {
            let n_bytes = longest + EVENT_OVERHEAD_BYTES;
            let limit = message_bytes_max + EVENT_OVERHEAD_BYTES;
            found.push(format!("Log event too large: {n_bytes} bytes exceeds limit of {limit}"));
        }
        let bytes = self.bytes();
        if bytes > BATCH_BYTES_MAX {
            let limit = BATCH_BYTES_MAX;
            found.push(format!("Upload too large: {bytes} bytes exceeds limit of {limit}"));
        }
        if !self.events().is_sorted_by_key(InputLogEvent::time_ms) {
            let rule =
                "Log events in a single PutLogEvents request must be in chronological order.";
            found.push(rule.to_owned());
        }
        let valid = now_ms - AGE_MS_MAX..=now_ms + AHEAD_MS_MAX;
        let times = || self.events().iter().map(InputLogEvent::time_ms);
        let valid_times = || times().filter(|time_ms| valid.contains(time_ms));
        if let (Some(first), Some(last)) = (valid_times().min(), valid_times().max())
            && last - first >= SPAN_MS
        {
            let rule = "The batch of log events in a single PutLogEvents request cannot span more \
                        than 24 hours.";
            found.push(rule.to_owned());
        }
    }

    /// Which events are refused for their age. The events are in order.
    pub(crate) fn rejections(&self, now_ms: i64, retention_days: Option<i64>) -> Rejections {
        let before =
            |limit_ms: i64| self.events().partition_point(|event| event.time_ms() < limit_ms);
        let n_events = self.events().len();
        let too_new = before(now_ms + AHEAD_MS_MAX + 1);
        let expired = retention_days.map(|days| before(now_ms - days * DAY_MS));
        let too_old = before(now_ms - AGE_MS_MAX);
        Rejections {
            too_old_end: (too_old > 0).then_some(too_old),
            // What is too old for anyone is not named a second time.
            expired_end: expired.filter(|expired| *expired > too_old),
            too_new_start: (too_new < n_events).then_some(too_new),
        }
    }
}

impl InputLogEvent {
    pub(crate) fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }

    pub(crate) fn time_ms(&self) -> i64 {
        self.timestamp.unwrap_or_default()
    }
}
