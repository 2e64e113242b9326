//! Plays a recorded cluster: the same requests bring the answers that Flink gave.

use crate::scrape::fake_ui::Reply;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a JobManager answers at one time, by path.
#[derive(Debug, Clone, Default)]
pub(super) struct Recording {
    pub(super) answers: BTreeMap<String, Value>,
}

/// Every phase of a recorded cluster: running; after a savepoint and a cancelled job; after its
/// TaskManager was killed.
pub(super) fn phases(version: &str) -> Vec<Recording> {
    let folder = format!("{}/../tests/fixtures/flink", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read(format!("{folder}/flink-{version}.json")).unwrap();
    let document: Value = serde_json::from_slice(&text).unwrap();
    let answers = document["phases"].as_array().unwrap().iter().map(|it| it["answers"].clone());
    answers.map(|answers| Recording { answers: serde_json::from_value(answers).unwrap() }).collect()
}

/// The id of a job that consists of one digit.
pub(super) fn id(digit: char) -> String {
    std::iter::repeat_n(digit, 32).collect()
}

impl Recording {
    /// A cluster without jobs.
    pub(super) fn empty() -> Self {
        let mut recording = Self::default();
        recording.set(
            "/overview",
            json!({"taskmanagers": 1, "slots-total": 4, "slots-available": 3,
                "flink-version": "1.20.5"}),
        );
        recording.set("/jobs/overview", json!({"jobs": []}));
        recording.set("/taskmanagers", json!({"taskmanagers": []}));
        recording.set("/jobmanager/config", json!([]));
        recording.set("/jobmanager/metrics", json!([]));
        recording.set("/taskmanagers/metrics", json!([]));
        recording
    }

    pub(super) fn set(&mut self, path: &str, answer: Value) {
        self.answers.insert(path.to_owned(), answer);
    }

    /// Adds a job without vertices that began at `start`.
    pub(super) fn add_job(&mut self, id: &str, name: &str, state: &str, start: u64) {
        let end = if matches!(state, "FINISHED" | "FAILED" | "CANCELED") {
            json!(start + 5_000)
        } else {
            json!(-1)
        };
        let job = json!({"jid": id, "name": name, "state": state, "start-time": start,
            "end-time": end, "tasks": {"running": 1, "total": 1}});
        let jobs = self.answers.get_mut("/jobs/overview").unwrap()["jobs"].as_array_mut().unwrap();
        jobs.retain(|known| known["jid"] != id);
        jobs.push(job);
        self.set(
            &format!("/jobs/{id}"),
            json!({"state": state, "start-time": start,
            "now": start + 60_000, "timestamps": {"RUNNING": start + 1_000}, "vertices": []}),
        );
    }

    /// Puts `vertex` into a job, at the time `now` of the JobManager.
    pub(super) fn set_vertices(&mut self, id: &str, now: u64, vertices: Value) {
        let details = self.answers.get_mut(&format!("/jobs/{id}")).unwrap();
        details["now"] = json!(now);
        details["vertices"] = vertices;
    }

    /// Answers as Flink does: without `get` the ids alone, with it the values that there are.
    pub(super) fn answer(&self, path: &str) -> Reply {
        let line = format!("GET {path} HTTP/1.1");
        let (plain, query) = path.split_once('?').unwrap_or((path, ""));
        let Some(answer) = self.answers.get(plain).filter(|_| line.len() < 4_096) else {
            return Reply::Other(404, "application/json", r#"{"errors":["Not found."]}"#);
        };
        if !plain.ends_with("metrics") {
            return Reply::Json(answer.to_string());
        }
        let metrics = answer.as_array().unwrap().iter();
        let listed: Vec<Value> = match query.strip_prefix("get=") {
            None => metrics.map(|metric| json!({"id": metric["id"]})).collect(),
            Some(ids) => {
                let ids: Vec<String> = ids.split(',').map(decoded).collect();
                let has_value = |metric: &&Value| metric.as_object().unwrap().len() > 1;
                let is_asked = |metric: &&Value| ids.iter().any(|id| metric["id"] == id.as_str());
                metrics.filter(has_value).filter(is_asked).cloned().collect()
            }
        };
        Reply::Json(Value::Array(listed).to_string())
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&tail[..2]).unwrap(), 16).unwrap());
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).unwrap()
}
