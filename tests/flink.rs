//! A whole Flink cluster beside the agent, 1.20 and 2: two jobs, a killed TaskManager and a cancelled
//! job, compared with REST and with Flink's own Prometheus reporter.

use crate::dashboards::real::{self, Beside};
use crate::harness::agent::binary;
use crate::harness::flink::{Cluster, REST_PORT, START_LIMIT, in_own_network};
use crate::harness::metrics::Prometheus;
use crate::harness::process::Process;
use crate::harness::report::{Report, say};
use crate::harness::scratch::Scratch;
use crate::harness::{http, peers, spark, wait};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long the agent has to bring its numbers in line: a few rounds.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(90);
/// Series of two jobs, the cluster and the agent itself stay below this.
const SERIES_MAX: usize = 900;

#[test]
fn flink_1_20_is_observed_over_a_killed_taskmanager() {
    observe("flink120", "flink::flink_1_20_is_observed_over_a_killed_taskmanager");
}

#[test]
fn flink_2_is_observed_over_a_killed_taskmanager() {
    observe("flink2", "flink::flink_2_is_observed_over_a_killed_taskmanager");
}

fn observe(environment: &str, test: &str) {
    if !peers::are_wanted() {
        say(&format!("{environment}: skipped; tests/run starts real peers"));
        return;
    }
    let _turn = spark::take_turn();
    match in_own_network(test) {
        None => say(&format!("{environment}: skipped; needs root for a network namespace")),
        Some(false) => {}
        Some(true) => Run::new(environment).whole(),
    }
}

/// The agent, its last counters, and what was found wrong.
struct Run {
    scratch: Scratch,
    cluster: Cluster,
    agent: Process,
    port: u16,
    prometheus: Option<Prometheus>,
    counters: BTreeMap<String, f64>,
    fallen: Vec<String>,
    report: Report,
    start: Instant,
}

impl Run {
    fn new(environment: &str) -> Self {
        let (scratch, start) = (Scratch::new(), Instant::now());
        let cluster = Cluster::start(environment, &scratch);
        let port = http::free_port();
        let agent = start_agent(&scratch, &cluster, port);
        let prometheus = Some(Prometheus::start(&scratch, port));
        let (counters, fallen) = (BTreeMap::new(), Vec::new());
        let report = Report::new(environment);
        Self { scratch, cluster, agent, port, prometheus, counters, fallen, report, start }
    }

    fn whole(mut self) {
        self.stage("cluster and agent are up");
        let jar = self.cluster.compile();
        let window = self.cluster.submit(&jar, "window", 400);
        self.stage("first job is submitted");
        self.check_logs(&window);
        let slow = self.cluster.submit(&jar, "slow", 2_000);
        self.stage("second job is submitted");
        self.check_numbers(&window);
        self.check_pressure();
        self.stage("numbers are compared");
        self.check_kill(&window);
        self.stage("a TaskManager was killed and replaced");
        let prometheus = self.prometheus.take().unwrap();
        // What Flink 1.20 lacks of it is not listed yet.
        if self.report.test == "flink2" {
            let labels = real::unknown_labels(&self.body());
            self.report.check("labels are those of the table", &labels);
            self.report
                .check("every panel has series", &real::problems(&prometheus, Beside::Flink));
        }
        prometheus.keep();
        self.cluster.cancel(&slow);
        let killed = [r#"job_name="orders-slow""#, r#"state="killed""#];
        self.wait_for("the cancelled job is killed", "job_run_state", &killed, |n| n == 1.0);
        let fallen = std::mem::take(&mut self.fallen);
        self.report.check("no counter ever fell", &fallen);
        let n_series = self.body().lines().filter(|line| !line.starts_with('#')).count();
        let what = format!("{n_series} series");
        self.report.check_that("series are few", n_series < SERIES_MAX, &what);
        say(&format!("        {what}"));
        let (status, _) = self.agent.terminate(Duration::from_secs(20));
        self.report.check_that("the agent ends with 0", status.success(), &status.to_string());
        self.check_leaks();
        self.cluster.stop();
        self.report.finish();
    }

    fn stage(&self, name: &str) {
        say(&format!("{:>6.1} s: {name}", self.start.elapsed().as_secs_f64()));
    }

    /// `/metrics`; notes counters that fell.
    fn body(&mut self) -> String {
        let body = http::get(self.port, "/metrics").map(|answer| answer.body).unwrap_or_default();
        for line in
            body.lines().filter(|line| line.starts_with("flink_") || line.starts_with("job_"))
        {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let name = series.split('{').next().unwrap_or_default();
            let Ok(value) = value.parse::<f64>() else { continue };
            if name.ends_with("_total") {
                let before = self.counters.insert(series.to_owned(), value).unwrap_or(value);
                if value < before {
                    self.fallen.push(format!("{series} from {before} to {value}"));
                }
            }
        }
        body
    }

    /// Waits until the series of `name` with all `labels` are as wanted, and returns their sum.
    fn wait_for(
        &mut self,
        what: &str,
        name: &str,
        labels: &[&str],
        is_it: impl Fn(f64) -> bool,
    ) -> f64 {
        let mut last = None;
        let found = wait::within(CATCH_UP_LIMIT, || {
            last = value(&self.body(), name, labels);
            last.filter(|value| is_it(*value))
        });
        self.report.check_that(what, found.is_some(), &format!("{name} {labels:?} is {last:?}"));
        found.or(last).unwrap_or(f64::NAN)
    }

    /// A counter of the agent lies between what the other side says before and after.
    fn check_between(
        &mut self,
        what: &str,
        (name, labels): (&str, &[&str]),
        truth: impl Fn(&Self) -> Option<f64>,
    ) {
        let before = wait::until(what, CATCH_UP_LIMIT, || truth(self).filter(|n| *n > 0.0));
        let found = self.wait_for(&format!("{what}: caught up"), name, labels, |n| n >= before);
        let after = truth(self).unwrap_or(f64::NAN);
        let holds = found <= after;
        self.report.check_that(what, holds, &format!("{found}, but {after} at most"));
        say(&format!("        {what}: {before} <= {found} <= {after}"));
    }

    fn check_numbers(&mut self, window: &str) {
        let running = [r#"job_name="orders-window""#, r#"state="running""#];
        self.wait_for("the job runs", "flink_job_state", &running, |n| n == 1.0);
        let path = format!("/jobs/{window}");
        let vertex = |json: &Value, index: usize, field: &str| {
            json["vertices"][index]["metrics"][field].as_f64()
        };
        let job = r#"job_name="orders-window""#;
        let read = ("flink_vertex_records_total", &[job, r#"direction="in""#, "count-per-key"][..]);
        self.check_between("records as REST has them", read, |_| {
            vertex(&http::get_json(REST_PORT, &path)?, 1, "read-records")
        });
        let written = ("flink_vertex_bytes_total", &[job, r#"direction="out""#, "Source"][..]);
        self.check_between("bytes as REST has them", written, |_| {
            vertex(&http::get_json(REST_PORT, &path)?, 0, "write-bytes")
        });
        let busy = ("flink_vertex_time_seconds_total", &[job, r#"state="busy""#, "Source"][..]);
        self.check_between("busy time as REST has it", busy, |_| {
            Some(vertex(&http::get_json(REST_PORT, &path)?, 0, "accumulated-busy-time")? / 1e3)
        });
        let completed = ("flink_checkpoints_total", &[job, r#"outcome="completed""#][..]);
        let checkpoints = format!("{path}/checkpoints");
        self.check_between("checkpoints as REST has them", completed, |_| {
            http::get_json(REST_PORT, &checkpoints)?["counts"]["completed"].as_f64()
        });
        for (what, name, labels, reported) in [
            (
                "late records as the reporter has them",
                "flink_vertex_late_records_dropped_total",
                &[job][..],
                "flink_taskmanager_job_task_operator_numLateRecordsDropped",
            ),
            (
                "records of the source as the reporter has them",
                "job_records_read_total",
                &[job][..],
                "flink_taskmanager_job_task_operator_numRecordsOut",
            ),
        ] {
            let of_source = r#"operator_name="Source:_orders_source""#;
            let is_source = name.starts_with("job_");
            self.check_between(what, (name, labels), |run| {
                // It writes `_` for what Prometheus once did not take in names.
                let labels =
                    [r#"job_name="orders_window""#, if is_source { of_source } else { "" }];
                value(&run.cluster.reported(), reported, &labels)
            });
        }
        let size =
            self.wait_for("state has a size", "flink_checkpoint_size_bytes", &[job], |n| n > 0.0);
        say(&format!("        sizes of the last checkpoint add up to {size}"));
        self.check_present(job);
    }

    /// What every job of this kind must have, in ranges that hold for it.
    fn check_present(&mut self, job: &str) {
        for (name, label, range) in [
            ("flink_job_uptime_seconds", "", 1.0..1e4),
            ("flink_job_parallelism", "", 2.0..2.5),
            ("flink_checkpoint_age_seconds", "", 0.0..60.0),
            ("flink_checkpoint_interval_utilization_ratio", "", 0.0..10.0),
            ("flink_checkpoint_duration_seconds_count", "", 1.0..1e4),
            ("flink_vertex_watermark_lag_seconds", r#"stat="max""#, 0.5..120.0),
            ("flink_vertex_skew_ratio", r#"dimension="records"&vertex="count-per-key"#, 1.3..2.01),
            ("flink_task_mailbox_latency_seconds", "count-per-key", 0.0..60.0),
            ("flink_task_initialization_seconds", "count-per-key", 0.0..600.0),
            ("flink_source_emit_lag_seconds", r#"stat="max""#, 0.0..120.0),
            ("flink_source_idle_seconds", "", 0.0..120.0),
            ("flink_source_splits_unassigned", "", 0.0..1.0),
            ("job_lag_seconds", r#"kind="event_time""#, 0.5..120.0),
        ] {
            let labels: Vec<&str> = std::iter::once(job).chain(label.split('&')).collect();
            self.wait_for(&format!("{name} is there"), name, &labels, |n| range.contains(&n));
        }
        for (name, label) in [
            ("flink_jm_heap_bytes", r#"kind="used""#),
            ("flink_jm_metaspace_ratio", ""),
            ("flink_tm_heap_bytes", r#"stat="sum""#),
            ("flink_tm_managed_bytes", r#"kind="limit""#),
            ("flink_tm_threads", ""),
            ("flink_taskmanagers", ""),
            ("flink_slots", r#"state="used""#),
        ] {
            self.wait_for(&format!("{name} is there"), name, &[label], |n| n > 0.0);
        }
        let age = ("flink_taskmanager_heartbeat_age_seconds", r#"stat="max""#);
        self.wait_for("heartbeats are young", age.0, &[age.1], |n| (0.0..60.0).contains(&n));
    }

    fn check_pressure(&mut self) {
        let source = [r#"job_name="orders-slow""#, r#"stat="max""#, r#"vertex="Source"#];
        let name = "flink_vertex_backpressured_ratio";
        self.wait_for("the source waits for the slow one", name, &source, |n| n > 0.5);
        let slow = [r#"job_name="orders-slow""#, r#"stat="max""#, r#"vertex="enrich"#];
        self.wait_for("the slow one is busy", "flink_vertex_busy_ratio", &slow, |n| n > 0.5);
    }

    fn check_kill(&mut self, window: &str) {
        let job = r#"job_name="orders-window""#;
        let read = [job, r#"direction="in""#, "count-per-key"];
        let before = value(&self.body(), "flink_vertex_records_total", &read).unwrap_or(f64::NAN);
        let path = format!("/jobs/{window}");
        let start = http::get_json(REST_PORT, &path).unwrap()["vertices"][1]["start-time"].as_u64();
        self.cluster.kill_worker();
        self.cluster.start_worker();
        self.wait_for("the restart is counted", "flink_job_restarts_total", &[job], |n| n >= 1.0);
        let rest = wait::until("the job runs again", START_LIMIT, || {
            self.body();
            let json = http::get_json(REST_PORT, &path)?;
            let read = json["vertices"][1]["metrics"]["read-records"].as_f64()?;
            // REST may answer with the graph of some seconds ago.
            let is_new = json["vertices"][1]["start-time"].as_u64() > start;
            (is_new && json["state"] == "RUNNING" && read > 500.0).then_some(read)
        });
        let name = "flink_vertex_records_total";
        let after = self.wait_for("records go on", name, &read, |n| n >= before + rest);
        say(&format!(
            "        {before} records before, {rest} of the new attempt, {after} counted"
        ));
        let lost = [job, "exception=", "Exception"];
        self.wait_for("the exception is counted", "flink_job_exceptions_total", &lost, |n| {
            n >= 1.0
        });
        let restored = "flink_checkpoints_restored_total";
        self.wait_for("state was restored", restored, &[job], |n| n >= 1.0);
    }

    fn records(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.scratch.join("records.jsonl")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// With one job in the cluster, lines of both processes are its own, in the trace of its id.
    fn check_logs(&mut self, job_id: &str) {
        for component in ["jobmanager", "taskmanager"] {
            let is_it = |record: &Value| {
                record["component"] == component
                    && record["engine"] == "flink"
                    && record["job_id"] == job_id
                    && record["job_name"] == "orders-window"
                    && record["trace_id"] == job_id
                    && record["trace_id_origin"] == "flink"
            };
            let found =
                wait::within(CATCH_UP_LIMIT, || self.records().iter().any(is_it).then_some(()));
            let seen = self.records().into_iter().find(|it| it["component"] == component);
            let what = format!("lines of the {component} bear the job");
            self.report.check_that(&what, found.is_some(), &format!("{seen:?}"));
        }
    }

    fn check_leaks(&mut self) {
        let text = std::fs::read_to_string(self.scratch.join("records.jsonl")).unwrap();
        let planted = ["jane.doe@example.com", "415-555-0134", "123-45-6789", "@example.com"];
        let leaked: Vec<String> =
            planted.iter().filter(|it| text.contains(*it)).map(|it| (*it).to_owned()).collect();
        self.report.check("nothing planted is in a record", &leaked);
        self.report.check_that(
            "the planted lines are there",
            text.contains("[EMAIL]"),
            "no [EMAIL]",
        );
    }
}

fn start_agent(scratch: &Scratch, cluster: &Cluster, port: u16) -> Process {
    let config: PathBuf = scratch.join("agent.toml");
    let text = format!(
        r#"state_dir = "{state}"
[tail]
include = ["{logs}/*.log", "{logs}/*.out"]
read_from = "beginning"
identity_wait = "90s"
[scrapers.flink]
interval = "1s"
[exporters.file]
path = "{records}"
[exporters.prometheus]
"#,
        state = scratch.join("state").display(),
        logs = cluster.logs().display(),
        records = scratch.join("records.jsonl").display(),
    );
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new(binary());
    command.arg("run").arg("-c").arg(&config);
    command.env("SIDELIGHT_ADMIN__LISTEN", format!("127.0.0.1:{port}"));
    let out = |stream| scratch.join(&format!("agent.{stream}"));
    let agent = Process::start("sidelight", &command, &out("stdout"), &out("stderr"));
    wait::until("the agent answers", START_LIMIT, || http::get(port, "/livez").ok());
    agent
}

/// Sum of the series of `name` whose labels hold all of `labels`; none when there is none.
fn value(body: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let is_it = |line: &&str| {
        let is_named = line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        is_named && labels.iter().all(|label| line.contains(label))
    };
    let values =
        body.lines().filter(is_it).filter_map(|line| line.rsplit(' ').next()?.parse().ok());
    values.reduce(|one: f64, two: f64| one + two)
}
