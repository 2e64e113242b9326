//! Counters of vertices over restarts in whole and in part.

use super::recording::{Recording, id};
use super::{Harness, job, manager_of, number};
use serde_json::{Value, json};

const START: u64 = 1_795_330_900_000;

fn vertex(start: u64, read: u64, is_complete: bool) -> Value {
    json!([{"id": id('b'), "name": "map", "parallelism": 2, "maxParallelism": 128,
        "start-time": start, "end-time": -1,
        "metrics": {"read-records": read, "read-records-complete": is_complete}}])
}

/// Plays rounds of (time of the JobManager, start, records, whether they are complete) in seconds, and
/// checks the counter after each.
async fn check(rounds: &[(u64, u64, u64, bool, Option<f64>)]) {
    let job_id = id('a');
    let mut recording = Recording::empty();
    recording.add_job(&job_id, "orders", "RUNNING", START);
    let manager = manager_of(recording.clone()).await;
    let mut harness = Harness::new(&[&manager]);
    for (index, (now, start, read, is_complete, wanted)) in rounds.iter().enumerate() {
        let vertices = vertex(START + start * 1_000, *read, *is_complete);
        recording.set_vertices(&job_id, START + now * 1_000, vertices);
        let answers = recording.clone();
        manager.say(move |path| answers.answer(path));
        let out = harness.scrape().await;
        let labels = [("vertex", "map"), ("direction", "in")];
        let found = number(job(&out, "orders", "0"), "flink_vertex_records_total", &labels);
        assert_eq!(found, *wanted, "round {index}");
    }
}

#[tokio::test]
async fn a_restart_as_a_whole_adds_what_comes_after_it() {
    check(&[
        (20, 10, 100, true, Some(100.0)),
        (30, 10, 200, true, Some(200.0)),
        // Began anew at 35; what the JobManager says now may still be of the attempt before.
        (40, 35, 200, true, Some(200.0)),
        (50, 35, 300, true, Some(500.0)),
        (60, 35, 350, true, Some(550.0)),
    ])
    .await;
}

#[tokio::test]
async fn a_restart_in_part_keeps_what_was_counted() {
    check(&[
        (20, 10, 100, true, Some(100.0)),
        // The first of two subtasks began anew; the second began at 11.
        (30, 11, 60, true, Some(100.0)),
        (40, 11, 90, true, Some(130.0)),
    ])
    .await;
}

#[tokio::test]
async fn what_is_not_complete_is_not_believed() {
    check(&[
        (20, 10, 0, false, None),
        (30, 10, 100, true, Some(100.0)),
        (40, 10, 50, false, Some(100.0)),
        (50, 10, 130, true, Some(130.0)),
    ])
    .await;
}

#[tokio::test]
async fn vertices_over_the_limit_are_added_up_and_not_asked_one_by_one() {
    let job_id = id('a');
    let mut recording = Recording::empty();
    recording.add_job(&job_id, "orders", "RUNNING", START);
    let vertices: Vec<Value> = (0..5_u64)
        .map(|n| {
            let mut vertex = vertex(START, 100 + n, true)[0].clone();
            vertex["id"] = id(char::from(b'1' + u8::try_from(n).unwrap())).into();
            vertex
        })
        .collect();
    recording.set_vertices(&job_id, START + 20_000, json!(vertices));
    let manager = manager_of(recording).await;
    let config = super::Config { vertices_max: 2, ..super::Config::default() };
    let mut harness = Harness::with(&[&manager], config, super::Limits::default());
    let out = harness.scrape().await;
    let batch = job(&out, "orders", "0");
    for (name, wanted) in [("map", 100.0), ("map (2)", 101.0), ("__other__", 102.0 + 103.0 + 104.0)]
    {
        let labels = [("vertex", name), ("direction", "in")];
        assert_eq!(number(batch, "flink_vertex_records_total", &labels), Some(wanted), "{name}");
    }
    let asked = manager.take_requests();
    let n_asked = asked.iter().filter(|path| path.contains("/vertices/")).count();
    assert_eq!(n_asked, 2, "{asked:?}");
}
