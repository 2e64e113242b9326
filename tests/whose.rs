//! Whose a record is: what is known of a job is not forgotten with a file.

use crate::harness::bed::{Bed, LIMIT};
use crate::harness::wait;
use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

const JOB_ID: &str = "app-20261127110000-0007";

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn line(text: &str) -> String {
    format!("26/11/27 11:00:00 INFO TaskSetManager: {text}\n")
}

/// What a driver says first.
fn driver_head() -> String {
    let said = [
        "Running Spark version 3.5.9",
        "Submitted application: nightly-orders",
        "Connected to Spark cluster with app ID app-20261127110000-0007",
    ];
    said.map(line).concat()
}

/// The first record whose body ends with `text`.
fn record(bed: &Bed, text: &str) -> Value {
    wait::until(&format!("a record that ends with {text}"), LIMIT, || {
        let output = fs::read_to_string(bed.output()).unwrap_or_default();
        // The last line may not be whole yet.
        let records = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut found = records.filter(|record| record["body"].as_str().unwrap().ends_with(text));
        found.next()
    })
}

/// Waits long enough for the id of a job that nothing ever tells; a test that needs it all fails.
fn start_patient(bed: &mut Bed) {
    let mut command = bed.command();
    command.env("SIDELIGHT_TAIL__IDENTITY_WAIT", "10m");
    bed.start_with(&command);
}

#[test]
fn what_goes_on_with_a_rotated_log_is_of_the_same_job() {
    let mut bed = Bed::new(&["driver.log"]);
    let log = bed.log("driver.log");
    append(&log, &driver_head());
    start_patient(&mut bed);
    record(&bed, JOB_ID);
    for generation in 0..3 {
        let archive = bed.log(&format!("driver.log.{generation}"));
        if generation == 1 {
            fs::copy(&log, &archive).unwrap();
            fs::write(&log, "").unwrap();
        } else {
            fs::rename(&log, &archive).unwrap();
        }
        append(&log, &line(&format!("goes on after {generation}")));
        let record = record(&bed, &format!("goes on after {generation}"));
        assert_eq!(record["job_id"], JOB_ID, "{record}");
        assert_eq!(record["job_name"], "nightly-orders", "{record}");
        assert_eq!(record["component"], "driver", "{record}");
        assert!(record["trace_id"].is_string(), "{record}");
    }
    bed.stop();
}

#[test]
fn a_process_that_has_just_started_is_not_of_the_job_before() {
    let mut bed = Bed::new(&["driver.log"]);
    let log = bed.log("driver.log");
    append(&log, &driver_head());
    let mut command = bed.command();
    command.env("SIDELIGHT_TAIL__IDENTITY_WAIT", "3s");
    bed.start_with(&command);
    record(&bed, JOB_ID);
    fs::rename(&log, bed.log("driver.log.1")).unwrap();
    append(&log, &line("Running Spark version 3.5.9"));
    let started = record(&bed, "Running Spark version 3.5.9");
    assert_eq!(started["job_id"], JOB_ID, "the first one, of the job before");
    append(&log, &line("another run"));
    let record = record(&bed, "another run");
    assert_eq!(record["job_id"], Value::Null, "{record}");
    bed.stop();
}

#[test]
fn an_executor_has_the_name_that_its_driver_tells() {
    let mut bed = Bed::new(&["*.log"]);
    append(&bed.log("driver.log"), &driver_head());
    let executor = [
        "26/11/27 11:00:00 INFO CoarseGrainedExecutorBackend: Started daemon with process name: 1@w\n",
        "26/11/27 11:00:00 INFO Executor: Starting executor ID 3 on host worker1\n",
        "26/11/27 11:00:00 INFO Executor: Created dirs for app-20261127110000-0007\n",
    ];
    append(&bed.log("executor.log"), &executor.concat());
    start_patient(&mut bed);
    let record = record(&bed, "on host worker1");
    assert_eq!(record["executor_id"], "3", "{record}");
    assert_eq!(record["job_name"], "nightly-orders", "{record}");
    bed.stop();
}

#[test]
fn what_is_copied_and_truncated_before_its_job_is_known_is_read_from_the_copy() {
    let mut bed = Bed::new(&["app.log"]);
    let log = bed.log("app.log");
    let mut command = bed.command();
    command.env("SIDELIGHT_TAIL__IDENTITY_WAIT", "4s");
    bed.start_with(&command);
    append(&log, &(0..100).map(|n| line(&format!("first {n}."))).collect::<String>());
    bed.wait_for_metric("sidelight_files", "waiting", |n| n == 1.0);
    bed.wait_for_metric("sidelight_lag_bytes", "", |n| n > 0.0);
    fs::copy(&log, bed.log("app.log.1")).unwrap();
    fs::write(&log, "").unwrap();
    bed.wait_for_metric("sidelight_files_replaced_total", "truncated", |n| n == 1.0);
    append(&log, &line("second"));
    record(&bed, "second");
    for n in [0, 50, 99] {
        record(&bed, &format!("first {n}."));
    }
    assert_eq!(bed.metric("sidelight_lost_bytes_total", "truncated"), 0.0);
    bed.stop();
    assert_eq!(bed.bodies().len(), 101);
    assert!(bed.own_log().contains("app.log"), "{}", bed.own_log());
}
