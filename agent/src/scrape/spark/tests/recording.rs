//! Plays a recorded run: the same requests bring the answers that Spark gave.

use crate::scrape::fake_ui::Reply;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a UI shows of one application at one time.
#[derive(Debug, Clone)]
pub(super) struct Recording {
    pub(super) app_id: String,
    pub(super) version: Value,
    pub(super) environment: Value,
    pub(super) applications: Value,
    pub(super) executors: Value,
    pub(super) jobs: BTreeMap<u64, Value>,
    /// By stage id and attempt.
    pub(super) stages: BTreeMap<(u64, u64), Value>,
}

/// Every phase of a recorded file, in order.
pub(super) fn phases(file: &str) -> Vec<Recording> {
    let path = format!("{}/../tests/fixtures/spark/{file}", env!("CARGO_MANIFEST_DIR"));
    let document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut recording = Recording {
        app_id: document["app_id"].as_str().unwrap().to_owned(),
        version: document["version"].clone(),
        environment: document["environment"].clone(),
        applications: Value::Null,
        executors: Value::Null,
        jobs: BTreeMap::new(),
        stages: BTreeMap::new(),
    };
    let mut phases = Vec::new();
    for phase in document["phases"].as_array().unwrap() {
        recording.applications = phase["applications"].clone();
        recording.executors = phase["allexecutors"].clone();
        for job in phase["jobs"].as_array().unwrap() {
            recording.jobs.insert(job["jobId"].as_u64().unwrap(), job.clone());
        }
        for stage in phase["stages"].as_array().unwrap() {
            recording.add_stage(stage.clone());
        }
        phases.push(recording.clone());
    }
    phases
}

impl Recording {
    /// An application that has done nothing yet.
    pub(super) fn idle(app_id: &str, name: &str) -> Self {
        let attempt = json!({"startTime": "2026-11-22T06:32:53.318GMT", "sparkUser": "etl"});
        Self {
            app_id: app_id.to_owned(),
            version: json!({"spark": "4.3.0"}),
            environment: json!({"sparkProperties": []}),
            applications: json!([{"id": app_id, "name": name, "attempts": [attempt]}]),
            executors: json!([]),
            jobs: BTreeMap::new(),
            stages: BTreeMap::new(),
        }
    }

    /// Adds or replaces a stage attempt.
    pub(super) fn add_stage(&mut self, stage: Value) {
        let key = (stage["stageId"].as_u64().unwrap(), stage["attemptId"].as_u64().unwrap());
        self.stages.insert(key, stage);
    }

    /// The sum of one field over all stage attempts: what the counters must come to.
    pub(super) fn stage_sum(&self, field: &str) -> f64 {
        self.stages.values().map(|stage| stage[field].as_f64().unwrap_or(0.0)).sum()
    }

    /// Number of stage attempts with a status.
    pub(super) fn stages_with(&self, status: &str) -> f64 {
        self.stages.values().filter(|stage| stage["status"] == status).count() as f64
    }

    /// The answer to one request, given as path and query.
    pub(super) fn answer(&self, path: &str) -> Reply {
        let list = |values: Vec<&Value>| Reply::Json(json!(values).to_string());
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let rest = match path {
            "/api/v1/version" => return Reply::Json(self.version.to_string()),
            "/api/v1/applications" => return Reply::Json(self.applications.to_string()),
            _ => path.strip_prefix(&format!("/api/v1/applications/{}/", self.app_id)),
        };
        let Some(rest) = rest else { return Reply::Other(404, "text/plain", "unknown app: nope") };
        match rest {
            "environment" => Reply::Json(self.environment.to_string()),
            "allexecutors" => Reply::Json(self.executors.to_string()),
            // Newest first, as Spark lists them.
            "jobs" => list(self.jobs.values().rev().collect()),
            "stages" => {
                let is_active = |stage: &&Value| {
                    !query.contains("status=active") || stage["status"] == "ACTIVE"
                };
                list(self.stages.values().rev().filter(is_active).collect())
            }
            _ => {
                let id = rest.strip_prefix("stages/").and_then(|id| id.parse::<u64>().ok());
                let of = |(stage, _): &(u64, u64)| Some(*stage) == id;
                let attempts = self.stages.iter().filter(|(key, _)| of(key));
                match attempts.map(|(_, stage)| stage).collect::<Vec<_>>() {
                    none if none.is_empty() => Reply::Other(404, "text/plain", "unknown stage: 7"),
                    attempts => list(attempts),
                }
            }
        }
    }
}
