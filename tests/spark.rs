//! A whole Spark application beside the agent, on Spark 3.5 and on Spark 4: one long run each,
//! with a SIGTERM and a SIGKILL of the agent in the middle, judged at the end.

use crate::cloudwatch::fake::Event;
use crate::cloudwatch::moto::Moto;
use crate::dashboards::real::{self, Beside};
use crate::harness::agent::{Agent, STOP_LIMIT};
use crate::harness::content::{self, Source};
use crate::harness::metrics::{self, Prometheus};
use crate::harness::oracle::{self, Delivery};
use crate::harness::planted::{self, Planted};
use crate::harness::report::{Report, say};
use crate::harness::scratch::Scratch;
use crate::harness::spark::{self, Application, Cluster, Logging, Version, rest_totals};
use crate::harness::{events, http, peers, wait};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the agent has to bring its numbers in line with the UI: a few scrapes.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(60);

/// Series of one application and those of the agent itself stay below this, whatever it does.
const SERIES_MAX: usize = 450;

#[test]
fn spark_35_with_mdc_pattern_is_observed_without_loss_or_leak() {
    observe(Version { environment: "spark35", logging: Logging::MdcPattern });
}

#[test]
fn spark_4_with_structured_logs_is_observed_without_loss_or_leak() {
    observe(Version { environment: "spark4", logging: Logging::StructuredJson });
}

/// What stands beside the agent in one run, and what is known about it.
struct Run {
    scratch: Scratch,
    ui_port: u16,
    planted: Vec<Planted>,
    report: Report,
    start: Instant,
}

fn observe(version: Version) {
    if !peers::are_wanted() {
        say(&format!("{}: skipped; tests/run starts real peers", version.environment));
        return;
    }
    let _turn = spark::take_turn();
    let mut run = Run {
        scratch: Scratch::new(),
        ui_port: http::free_port(),
        planted: planted::all(),
        report: Report::new(version.environment),
        start: Instant::now(),
    };
    let cluster = Cluster::start(version, &run.scratch);
    run.stage("cluster is up");
    let moto = Moto::start(&run.scratch);
    let mut agent = run.start_agent(&moto);
    let prometheus = Prometheus::start(&run.scratch, agent.port);
    let mut application = cluster.submit(&run.scratch, run.ui_port);
    application.wait_for_phase("skew");
    agent.wait_for_record("SEQ driver", CATCH_UP_LIMIT);
    run.stage("application is in its first shuffle, its first records are out");
    run.stop_in_time(&mut agent, "SIGTERM in the middle ends with 0 in time");
    agent.start_again();
    application.wait_for_phase("sql");
    agent.kill();
    agent.start_again();
    run.stage("agent was stopped, started, killed and started");
    application.wait_for_phase("ready");
    run.stage("application is done");
    run.check_numbers(&agent, &prometheus, &application);
    let (job_id, n_sequence) = application.summary();
    application.stop();
    cluster.stop();
    run.stage("Spark is down");
    run.stop_in_time(&mut agent, "SIGTERM at the end ends with 0 in time");
    run.check_output(&agent, &job_id, n_sequence);
    run.check_cloudwatch(&agent, &moto, &job_id);
    run.stage("output is judged");
    run.report.finish();
}

impl Run {
    fn stage(&self, name: &str) {
        say(&format!("{:>6.1} s: {name}", self.start.elapsed().as_secs_f64()));
    }

    fn start_agent(&self, moto: &Moto) -> Agent {
        let include = ["logs/driver.std*", "executors/app-*/*/std*"]
            .map(|glob| format!("\"{}\"", self.scratch.join(glob).display()))
            .join(", ");
        let kind = "url_userinfo_in_source_path";
        let source_path = self.planted.iter().find(|p| p.kind == kind).unwrap();
        let tail = format!("include = [{include}]");
        Agent::start(&self.scratch, &tail, self.ui_port, &source_path.text, &moto.url())
    }

    fn stop_in_time(&mut self, agent: &mut Agent, check: &str) {
        let (status, took) = agent.terminate();
        let outcome = format!("{status} after {:.1} s", took.as_secs_f64());
        say(&format!("        agent stopped: {outcome}"));
        self.report.check_that(check, status.code() == Some(0) && took <= STOP_LIMIT, &outcome);
    }

    /// Everything about numbers, while the application still answers.
    fn check_numbers(&mut self, agent: &Agent, prometheus: &Prometheus, app: &Application) {
        let (job_id, _) = app.summary();
        let mut problems = vec!["/metrics never answered".to_owned()];
        wait::within(CATCH_UP_LIMIT, || {
            let rest = rest_totals(self.ui_port, &job_id)?;
            problems = metrics::differences(&agent.metrics()?, &rest);
            problems.is_empty().then_some(())
        });
        self.report.check("numbers equal those of the UI", &problems);
        let rest = rest_totals(self.ui_port, &job_id).unwrap();
        say(&format!("        the UI reports {rest:?}"));
        let body = agent.metrics().unwrap_or_default();
        self.report.check(
            "nothing planted is in /metrics",
            &planted::leaks(&self.planted, body.as_bytes(), "/metrics"),
        );
        self.report.check("promtool is content", &metrics::promtool_problems(&body));
        let n_series = metrics::parse(&body).len();
        say(&format!("        series of one application: {n_series}"));
        let is_bounded = (1..SERIES_MAX).contains(&n_series);
        self.report.check_that("series are bounded", is_bounded, &format!("{n_series} series"));
        self.check_prometheus(prometheus, &job_id, &rest);
        // What Spark 4 lacks of it is not listed yet.
        if self.report.test == "spark35" {
            self.report.check("labels are those of the table", &real::unknown_labels(&body));
            self.report.check("every panel has series", &real::problems(prometheus, Beside::Spark));
        }
        prometheus.keep();
    }

    fn check_prometheus(&mut self, prometheus: &Prometheus, id: &str, rest: &[(&str, u64)]) {
        let failed = rest.iter().find(|(what, _)| *what == "tasks failed").unwrap().1 as f64;
        let expected = [
            ("up{job=\"sidelight\"}".to_owned(), 1.0),
            ("sum(spark_app_tasks_total{outcome=\"failed\"})".to_owned(), failed),
            (format!("sum(job_run_info{{app_id=\"{id}\"}})"), 1.0),
        ];
        let mut problems = Vec::new();
        for (query, want) in expected {
            let mut got = None;
            wait::within(Duration::from_secs(20), || {
                got = prometheus.query(&query);
                (got == Some(want)).then_some(())
            });
            if got != Some(want) {
                problems.push(format!("{query} is {got:?}, not {want}"));
            }
        }
        self.report.check("Prometheus has the series with their values", &problems);
    }

    /// Everything about records and files, after the last byte was written.
    fn check_output(&mut self, agent: &Agent, job_id: &str, n_sequence: u64) {
        let paths = log_files(&self.scratch);
        let files: Vec<(&Path, Vec<u8>)> =
            paths.iter().map(|path| (path.as_path(), std::fs::read(path).unwrap())).collect();
        let output = std::fs::read(agent.records()).unwrap_or_default();
        let delivery = oracle::read(&output, &agent.lives);
        let n_records: usize = delivery.files.values().map(Vec::len).sum();
        let n_bytes: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
        let n_again = delivery.n_duplicates;
        let n_files = files.len();
        say(&format!("        {n_records} records, {n_again} twice, {n_files} files, {n_bytes} B"));
        self.report.check("records come once and in order", &delivery.problems);
        self.report
            .check("records cover every byte of every file", &delivery.coverage_problems(&files));
        let leaks = planted::leaks_under(&self.planted, agent.folder());
        self.report.check("nothing planted is in what the agent writes", &leaks);
        self.check_content(&delivery, &files);
        self.check_sequences(&delivery, &files, n_sequence);
        self.report.check("records carry their context", &context_problems(&delivery, job_id));
    }

    /// What CloudWatch gives back is what the file exporter wrote, which is judged already.
    fn check_cloudwatch(&mut self, agent: &Agent, moto: &Moto, job_id: &str) {
        let output = std::fs::read(agent.records()).unwrap_or_default();
        let group = "/sidelight/spark/nightly-orders";
        let streams = moto.streams(group);
        let events: Vec<Event> =
            streams.iter().flat_map(|stream| moto.events(group, stream)).collect();
        say(&format!("        {} events in {} streams of {group}", events.len(), streams.len()));
        let executors = |stream: &&String| stream.starts_with(&format!("{job_id}/executor/"));
        let n_executors = streams.iter().filter(executors).count();
        let has_driver = streams.contains(&format!("{job_id}/driver/driver"))
            || streams.contains(&format!("{job_id}/driver"));
        let are_streams = has_driver && n_executors >= 2;
        self.report.check_that("each process has its stream", are_streams, &streams.join(", "));
        let problems = events::differences(&output, &events);
        self.report.check("CloudWatch gives back what was written", &problems);
        let text: String = events.iter().map(|event| event.message.as_str()).collect();
        let leaks = planted::leaks(&self.planted, text.as_bytes(), "CloudWatch");
        self.report.check("nothing planted is in CloudWatch", &leaks);
        let group = "/sidelight/metrics";
        let streams = moto.streams(group);
        let metrics: Vec<Event> =
            streams.iter().flat_map(|stream| moto.events(group, stream)).collect();
        self.report.check("metrics are in the embedded format", &events::emf_problems(&metrics));
        let text: String = metrics.iter().map(|event| event.message.as_str()).collect();
        let leaks = planted::leaks(&self.planted, text.as_bytes(), "CloudWatch metrics");
        self.report.check("nothing planted is in metrics of CloudWatch", &leaks);
    }

    fn check_content(&mut self, delivery: &Delivery, files: &[(&Path, Vec<u8>)]) {
        let secrets: Vec<String> = self.planted.iter().flat_map(|p| p.secrets.clone()).collect();
        let mut problems = Vec::new();
        for (path, bytes) in files {
            let records = delivery.files.get(&*path.to_string_lossy());
            let records = records.map_or(&[][..], Vec::as_slice);
            problems.extend(Source { bytes, records, secrets: &secrets }.problems());
        }
        self.report.check("records say what the files say, traces whole", &problems);
    }

    fn check_sequences(
        &mut self,
        delivery: &Delivery,
        files: &[(&Path, Vec<u8>)],
        n_sequence: u64,
    ) {
        let mut problems = Vec::new();
        let mut driver = Vec::new();
        for (path, bytes) in files {
            let written = content::sequence(&String::from_utf8_lossy(bytes));
            let records = delivery.files.get(&*path.to_string_lossy());
            let bodies = records.into_iter().flatten().map(|record| record.text("body"));
            let arrived: Vec<_> = bodies.flat_map(content::sequence).collect();
            if written != arrived {
                let (wrote, got) = (written.len(), arrived.len());
                problems.push(format!("{}: {wrote} written, {got} arrived", path.display()));
            }
            driver.extend(arrived.into_iter().filter(|(name, _)| name == "driver").map(|(_, n)| n));
        }
        if !driver.iter().copied().eq(1..=n_sequence) {
            problems.push(format!("SEQ driver is not 1..={n_sequence}: {} came", driver.len()));
        }
        self.report.check("numbered lines come in order, without gap", &problems);
    }
}

/// Standard output and error of the driver and of every executor.
fn log_files(scratch: &Scratch) -> Vec<PathBuf> {
    let children = |folder: PathBuf| -> Vec<PathBuf> {
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect()
    };
    let mut folders = vec![scratch.join("logs")];
    folders.extend(children(scratch.join("executors")).into_iter().flat_map(children));
    let files = folders.into_iter().flat_map(children);
    let is_log = |path: &PathBuf| path.extension().is_some_and(|e| e == "stdout" || e == "stderr");
    let is_executor_log = |path: &PathBuf| path.ends_with("stdout") || path.ends_with("stderr");
    files.filter(|path| is_log(path) || is_executor_log(path)).collect()
}

fn context_problems(delivery: &Delivery, job_id: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for record in delivery.files.values().flatten() {
        let mut expected = vec![
            ("job_id", job_id),
            ("job_name", "nightly-orders"),
            ("run_context", "test"),
            ("engine", "spark"),
        ];
        let mut folders = record.file.rsplit('/').skip(1);
        let executor = folders.next().unwrap_or("");
        if folders.next() == Some(job_id) {
            expected.extend([("component", "executor"), ("executor_id", executor)]);
        } else {
            expected.push(("component", "driver"));
        }
        for (field, want) in expected {
            if record.text(field) != want {
                let got = record.fields.get(field);
                problems.push(format!("{} at {}: {field}: {got:?}", record.file, record.offset));
            }
        }
        for (field, value) in &record.fields {
            if value.is_null() || value == "" {
                problems.push(format!("{} at {}: {field} is empty", record.file, record.offset));
            }
        }
    }
    problems
}
