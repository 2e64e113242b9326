//! The demo, as a newcomer runs it.

use crate::harness::{agent, planted};
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn the_demo_shows_a_job_and_nothing_that_was_planted_in_it_and_ends_by_itself() {
    let start = Instant::now();
    let output = Command::new(agent::binary()).arg("demo").output().unwrap();
    let took = start.elapsed();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(took < Duration::from_secs(20), "{took:?}");
    let secrets = planted::all();
    assert_eq!(planted::leaks(&secrets, said.as_bytes(), "the demo"), [""; 0]);
    assert_eq!(planted::leaks(&secrets, &output.stderr, "the demo's log"), [""; 0]);
    // Independent of the agent: the recording itself says how many tasks failed.
    let failed = n_failed_tasks();
    assert!(failed > 0);
    for wanted in [
        format!("failed tasks  {failed}"),
        "[CREDIT_CARD]".to_owned(),
        "worst skew".to_owned(),
        "/metrics".to_owned(),
    ] {
        assert!(said.contains(&wanted), "{wanted} is not in {said}");
    }
}

/// Failed tasks that the UI reported at the end of the recorded run.
fn n_failed_tasks() -> u64 {
    let path = crate::harness::scratch::fixture("demo/rest.json");
    let answers: Vec<serde_json::Value> =
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let is_jobs = |answer: &&serde_json::Value| answer["path"].as_str().unwrap().ends_with("/jobs");
    let last = answers.iter().rev().find(is_jobs).unwrap();
    let jobs = last["body"].as_array().unwrap();
    jobs.iter().map(|job| job["numFailedTasks"].as_u64().unwrap()).sum()
}
