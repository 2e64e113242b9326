//! E: metrics in the embedded format, beside logs, and the same logs in the eyes of moto.

use super::e_bed::{Cloud, LIMIT, STREAM, mark, now_ms};
use super::e_network::listen;
use crate::cloudwatch::fault::Fault;
use crate::cloudwatch::moto::Moto;
use crate::harness::report::say;
use crate::harness::scratch::{Scratch, fixture};
use crate::harness::{peers, wait};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The UI of a Spark job: the last answers of a recording. After `n_rounds` the job is gone.
fn spark_ui(n_rounds: usize) -> String {
    let n_asked = AtomicUsize::new(0);
    let text = std::fs::read_to_string(fixture("demo/rest.json")).unwrap();
    let recording: Vec<Value> = serde_json::from_str(&text).unwrap();
    let path =
        |answer: &Value| answer["path"].as_str().unwrap().split('?').next().map(str::to_owned);
    let answers: BTreeMap<String, Value> =
        recording.into_iter().map(|answer| (path(&answer).unwrap(), answer)).collect();
    listen(move |first, stream| {
        let asked = first.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap();
        let answer = answers.get(asked);
        let status = answer.map_or(404, |answer| answer["status"].as_u64().unwrap());
        let mut body = answer.map(|answer| answer["body"].to_string()).unwrap_or_default();
        if asked == "/api/v1/applications" && n_asked.fetch_add(1, Ordering::AcqRel) >= n_rounds {
            body = "[]".to_owned();
        }
        let length = body.len();
        let head = "content-type: application/json\r\nconnection: close";
        let _ = write!(
            stream,
            "HTTP/1.1 {status} It\r\n{head}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
    })
}

#[test]
fn e26_e27_metrics_of_a_job_pass_the_validator_and_stand_in_no_lines_way() {
    let mut cloud = Cloud::new();
    cloud.sections = format!(
        "[job]\njob_name = \"nightly\"\n[scrapers.spark]\nurls = [\"http://{}\"]\ninterval = \"1s\"\n\
         [pricing]\nvcpu_hour = 0.05\nmemory_gib_hour = 0.005\n\
         [exporters.cloudwatch_metrics]\nregion = \"us-east-1\"\nendpoint_url = {:?}\n\
         group = \"/e/metrics\"\nstream = {STREAM:?}\n",
        spark_ui(usize::MAX),
        cloud.fake.url(),
    );
    cloud.write("a.log", 100);
    cloud.start();
    let events = wait::until("metrics come", LIMIT, || {
        Some(cloud.fake.events("/e/metrics", STREAM)).filter(|events| events.len() >= 2)
    });
    cloud.finish(0);
    let puts = cloud.requests("PutLogEvents");
    for put in &puts {
        let wanted = (put.group == "/e/metrics").then(|| "json/emf".to_owned());
        assert_eq!(put.logs_format, wanted, "{put:?}");
    }
    let (mut n_metrics, mut n_of_agent, mut n_priced) = (0, 0, 0);
    for event in &events {
        let event: Value = serde_json::from_str(&event.message).unwrap();
        if event["sidelight_memory_bytes"].is_number() {
            n_of_agent += 1;
            assert!(event["job_name"].is_null(), "the agent is of no job: {event}");
            continue;
        }
        for directive in event["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
            n_metrics += directive["Metrics"].as_array().unwrap().len();
        }
        n_priced += usize::from(event["job_cost_estimate"].as_f64().is_some_and(|it| it > 0.0));
        assert_eq!(event["job_name"], "nightly", "{event}");
    }
    say(&format!("e26: {n_metrics} metrics in {} events", events.len()));
    assert!(n_metrics >= 10, "{n_metrics} metrics");
    assert!(n_of_agent >= 1, "the agent says that it is there");
    assert!(n_priced >= 1, "the run has a cost by the prices of [pricing]");
}

/// A cloud with metrics of a recorded job, a round every two seconds. The job is over soon.
fn metrics_cloud() -> Cloud {
    let mut cloud = Cloud::new();
    cloud.sections = format!(
        "[job]\njob_name = \"nightly\"\n[scrapers.spark]\nurls = [\"http://{}\"]\n\
         interval = \"2s\"\n[exporters.cloudwatch_metrics]\nregion = \"us-east-1\"\nendpoint_url = {:?}\n\
         group = \"/e/metrics\"\nstream = {STREAM:?}\n",
        spark_ui(2),
        cloud.fake.url(),
    );
    cloud
}

/// Events of metrics so far, each as JSON.
fn metric_events(cloud: &Cloud) -> Vec<Value> {
    let events = cloud.fake.events("/e/metrics", STREAM);
    events.iter().map(|event| serde_json::from_str(&event.message).unwrap()).collect()
}

#[test]
fn at_a_stop_metrics_have_as_long_as_logs() {
    let mut cloud = metrics_cloud();
    cloud.start();
    wait::until("the job is over", LIMIT, || {
        (total(&cloud, "job_runs_total") >= 1.0).then_some(())
    });
    // The last round brings two batches, which take a second each.
    let slow = Fault::delay(Duration::from_secs(1)).on("PutLogEvents").in_group("/e/metrics");
    cloud.fake.set_fault(slow);
    let n_before = cloud.requests("PutLogEvents").len();
    cloud.stop();
    let n_last = cloud.requests("PutLogEvents").len() - n_before;
    assert!(n_last >= 2, "{n_last} requests\n{}", cloud.own_log());
    assert!(cloud.own_log().contains("everything that was read is delivered"));
}

/// Sum of a metric over all events.
fn total(cloud: &Cloud, name: &str) -> f64 {
    let has_it = |event: &Value| event.get(name).and_then(Value::as_f64);
    metric_events(cloud).iter().filter_map(has_it).sum()
}

#[test]
fn a_reload_sends_no_total_again() {
    let mut cloud = metrics_cloud();
    cloud.start();
    for cluster in ["etl-1", "etl-2", "etl-3"] {
        wait::until("the run is counted", LIMIT, || {
            (total(&cloud, "job_runs_total") >= 1.0).then_some(())
        });
        let old = cloud.sections.split("cluster = ").next().unwrap().to_owned();
        cloud.sections = format!("{old}cluster = {cluster:?}\n");
        cloud.reload();
        let n_events = metric_events(&cloud).len();
        let is_more = || (metric_events(&cloud).len() >= n_events + 4).then_some(());
        wait::until("metrics go on", LIMIT, is_more);
    }
    cloud.stop();
    assert_eq!(total(&cloud, "job_runs_total"), 1.0);
}

#[test]
fn what_a_200_rejects_of_metrics_comes_with_the_next_batch() {
    let mut cloud = metrics_cloud();
    let old = Fault::reject(100, 0, 0).on("PutLogEvents").in_group("/e/metrics").times(6);
    cloud.fake.set_fault(old);
    cloud.start();
    wait::until("metrics come", LIMIT, || (metric_events(&cloud).len() >= 6).then_some(()));
    cloud.stop();
    assert_eq!(total(&cloud, "job_runs_total"), 1.0);
}

#[test]
fn e_every_line_is_read_back_from_moto() {
    if !peers::are_wanted() {
        return say("moto: skipped, tests/run asks for peers");
    }
    let scratch = Scratch::new();
    let moto = Moto::start(&scratch);
    let mut cloud = Cloud::new();
    cloud.endpoint_url = Some(moto.url());
    // moto takes its time in the first request.
    cloud.lane.clear();
    cloud.write("a.log", 2_000);
    cloud.write_lines("a.log", &vec![(now_ms(), "\u{20AC}\\\" \u{1F600}".as_bytes()); 100]);
    cloud.start();
    let events = wait::until("moto has every line", LIMIT, || {
        cloud.wait_for_metric("sidelight_cloudwatch_events_total", "accepted", |n| n >= 2_100.0);
        let events = moto.events(&Cloud::group("a.log"), STREAM);
        (events.len() >= 2_100).then_some(events)
    });
    cloud.stop();
    let mut marks: Vec<&str> = events.iter().filter_map(|event| mark(&event.message)).collect();
    marks.sort_unstable();
    marks.dedup();
    assert_eq!((events.len(), marks.len()), (2_100, 2_100), "once each");
}

#[test]
fn the_series_of_a_job_that_is_over_leave_the_page_after_the_linger_time() {
    let mut cloud = Cloud::new();
    let ui = spark_ui(2);
    let spark = format!("urls = [\"http://{ui}\"]\ninterval = \"1s\"\nlinger = \"2s\"\n");
    cloud.sections = format!("[job]\njob_name = \"nightly\"\n[scrapers.spark]\n{spark}");
    cloud.start();
    let shown = || cloud.metric("spark_app_tasks_total", "nightly");
    wait::until("the series of the job come", LIMIT, || (shown() > 0.0).then_some(()));
    wait::until("the series of the job go", LIMIT, || (shown() == 0.0).then_some(()));
    let n_runs = cloud.metric("job_runs_total", "nightly");
    assert_eq!(n_runs, 1.0, "what is counted over runs stays");
    cloud.stop();
}
