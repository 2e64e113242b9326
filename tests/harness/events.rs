//! Events of CloudWatch beside the records that the file exporter wrote.

use crate::cloudwatch::emf;
use crate::cloudwatch::fake::Event;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

type Record = Map<String, Value>;

/// What of the events is not in the records, or the other way round. Either may hold a record twice,
/// as the agent was killed.
pub(crate) fn differences(output: &[u8], events: &[Event]) -> Vec<String> {
    let (mut wanted, mut got, mut problems) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for line in output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        // A line that a kill cut is not there.
        let Ok(mut record) = serde_json::from_slice::<Record>(line) else { continue };
        let time = record.remove("timestamp");
        record.remove("observed_timestamp");
        record.entry("body").or_insert("".into());
        let says_nothing = record["body"].as_str().is_some_and(|body| body.trim().is_empty());
        if says_nothing && !record.contains_key("logger") && !record.contains_key("severity") {
            // Nobody pays for blank lines.
            continue;
        }
        wanted.insert(key(&record), (record, time));
    }
    for event in events {
        match serde_json::from_str::<Record>(&event.message) {
            Ok(record) => _ = got.insert(key(&record), (record, event.timestamp_ms)),
            Err(error) => problems.push(format!("{error}: {}", event.message)),
        }
    }
    for (key, (record, time)) in &wanted {
        let Some((sent, time_ms)) = got.get(key) else {
            problems.push(format!("{key:?} is not in CloudWatch"));
            continue;
        };
        if sent != record {
            problems.push(format!("{key:?} is {sent:?} and not {record:?}"));
        }
        let stated = time
            .as_ref()
            .and_then(Value::as_str)
            .map(|time| time.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_millisecond));
        if stated.is_some_and(|stated| stated != *time_ms) {
            problems.push(format!("{key:?} has time {time_ms} and not {time:?}"));
        }
    }
    problems.extend(
        got.keys()
            .filter(|key| !wanted.contains_key(*key))
            .map(|key| format!("{key:?} is in CloudWatch and nowhere else")),
    );
    problems
}

/// What names a record for good.
fn key(record: &Record) -> (String, u64) {
    let file = record.get("file_id").and_then(Value::as_str).unwrap_or_default();
    (file.to_owned(), record.get("offset").and_then(Value::as_u64).unwrap_or_default())
}

/// What CloudWatch would make no metric of.
pub(crate) fn emf_problems(events: &[Event]) -> Vec<String> {
    if events.is_empty() {
        return vec!["there are none".to_owned()];
    }
    let now_ms = jiff::Timestamp::now().as_millisecond();
    events.iter().flat_map(|event| emf::problems(&event.message, now_ms)).collect()
}
