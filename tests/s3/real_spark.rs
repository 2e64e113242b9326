//! A real Spark application: all of its logs on S3, and through rotel in oteltest, line by line, with a
//! kill of the agent in the middle.

use super::bed::Archive;
use crate::harness::bed::LIMIT;
use crate::harness::report::say;
use crate::harness::scratch::Scratch;
use crate::harness::spark::{self, Cluster, Logging, Version};
use crate::harness::{http, peers, wait};
use crate::otlp::real::{Record, Relay, Sink};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs;

/// Records by file and offset, which name each for good.
type Records = BTreeMap<(String, u64), Map<String, Value>>;

/// Those of whole JSON lines, but for when they were read; and how many came twice.
fn records(lines: &[u8]) -> (Records, usize) {
    let (mut all, mut n_repeated) = (Records::new(), 0);
    for line in lines.split(|byte| *byte == b'\n') {
        // A kill tears a line of the file exporter.
        let Ok(Value::Object(mut record)) = serde_json::from_slice(line) else { continue };
        record.remove("observed_timestamp");
        let id = record["file_id"].as_str().unwrap().to_owned();
        let place = (id, record["offset"].as_u64().unwrap());
        n_repeated += usize::from(all.insert(place, record).is_some());
    }
    (all, n_repeated)
}

fn place(record: &Record) -> (String, u64) {
    let uid = record.attributes["log.record.uid"].as_str().unwrap();
    let (id, offset) = uid.split_once(':').unwrap();
    (id.to_owned(), offset.parse().unwrap())
}

#[test]
fn a_spark_run_is_on_s3_and_behind_a_relay_line_by_line() {
    if !peers::are_wanted() {
        return;
    }
    let _turn = spark::take_turn();
    let scratch = Scratch::new();
    let globs = ["logs/driver.std*", "executors/app-*/*/std*"];
    let globs = globs.map(|glob| scratch.join(glob).display().to_string());
    let globs: Vec<&str> = globs.iter().map(String::as_str).collect();
    let Some(mut archive) = Archive::new(&globs) else { return };
    archive.set("object_bytes", "\"64KiB\"");
    archive.set("object_age", "\"2s\"");
    let sink = Sink::start(&scratch);
    let relay = Relay::start(&scratch, &sink);
    archive.more = format!(
        "[exporters.otlp]\nendpoint = \"http://127.0.0.1:{}\"\nsignals = [\"logs\"]\n",
        relay.grpc_port
    );
    let version = Version { environment: "spark35", logging: Logging::MdcPattern };
    let cluster = Cluster::start(version, &scratch);
    archive.start();
    let mut application = cluster.submit(&scratch, http::free_port());
    application.wait_for_phase("skew");
    archive.bed.kill();
    archive.start();
    application.wait_for_phase("ready");
    application.stop();
    cluster.stop();
    archive.wait_until_settled();
    archive.bed.stop();

    let (written, _) = records(&fs::read(archive.bed.output()).unwrap());
    let folder = archive.download("restored");
    let (restored, n_repeated) = records(&archive.unpack(&folder));
    say(&format!("s3: {} records of a Spark run", written.len()));
    assert!(written.len() > 500, "{}", written.len());
    assert_eq!(n_repeated, 0, "records that are archived twice");
    assert!(restored == written, "{} are archived, {} written", restored.len(), written.len());
    let (code, told) = archive.verify_bucket();
    assert_eq!(code, 0, "{told}");
    wait::until("all has arrived behind the relay", LIMIT, || {
        let arrived: BTreeMap<_, _> =
            sink.records().into_iter().map(|it| (place(&it), it)).collect();
        (arrived.len() >= written.len()).then_some(())
    });
    for record in sink.records() {
        let want = written.get(&place(&record)).expect("nobody has written it");
        assert_eq!(record.record["body"].get("stringValue"), want.get("body"));
        assert_eq!(record.resource.get("sidelight.job_id"), want.get("job_id"));
    }
}
