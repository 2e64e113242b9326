//! Reads the Prometheus text format, runs Prometheus and promtool.

use super::process::Process;
use super::scratch::Scratch;
use super::{http, peers, wait};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One sample line.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    /// What stands between the braces.
    pub(crate) labels: String,
    pub(crate) value: f64,
}

/// Every sample of a body in the text format.
pub(crate) fn parse(body: &str) -> Vec<Series> {
    let samples = body.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    samples.filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Series> {
    let (key, value) = match line.rfind('}') {
        Some(end) => (&line[..end], line[end + 1..].trim()),
        None => line.split_once(' ')?,
    };
    let (name, labels) = key.split_once('{').unwrap_or((key, ""));
    let value = value.split(' ').next()?.parse().ok()?;
    Some(Series { name: name.to_owned(), labels: labels.to_owned(), value })
}

/// Sum of the series of `name` whose labels hold `label`, such as `outcome="failed"`; an empty
/// label takes all. None when there is no such series: absent is not zero.
pub(crate) fn sum(series: &[Series], name: &str, label: &str) -> Option<f64> {
    let mut found = series.iter().filter(|s| s.name == name && s.labels.contains(label)).peekable();
    found.peek()?;
    Some(found.map(|s| s.value).sum())
}

/// Series name and label of each total of [`super::spark::rest_totals`].
const TOTALS: &[(&str, &str, &str)] = &[
    ("tasks succeeded", "spark_app_tasks_total", "outcome=\"succeeded\""),
    ("tasks failed", "spark_app_tasks_total", "outcome=\"failed\""),
    ("jobs succeeded", "spark_app_jobs_total", "outcome=\"succeeded\""),
    ("jobs failed", "spark_app_jobs_total", "outcome=\"failed\""),
    ("tasks failed", "job_task_failures_total", ""),
    ("tasks failed by job", "spark_app_tasks_total", "outcome=\"failed\""),
    ("tasks killed", "spark_app_tasks_total", "outcome=\"killed\""),
    ("tasks skipped", "spark_app_tasks_total", "outcome=\"skipped\""),
    ("stages succeeded", "spark_app_stages_total", "outcome=\"succeeded\""),
    ("stages skipped", "spark_app_stages_total", "outcome=\"skipped\""),
    ("stages failed", "spark_app_stages_total", "outcome=\"failed\""),
    ("input bytes", "spark_stage_input_bytes_total", ""),
    ("input records", "spark_stage_input_records_total", ""),
    ("input bytes", "job_read_bytes_total", ""),
    ("input records", "job_records_read_total", ""),
    ("output bytes", "spark_stage_output_bytes_total", ""),
    ("output records", "spark_stage_output_records_total", ""),
    ("output bytes", "job_written_bytes_total", ""),
    ("output records", "job_records_written_total", ""),
    ("shuffle read bytes", "spark_stage_shuffle_read_bytes_total", ""),
    ("shuffle read records", "spark_stage_shuffle_read_records_total", ""),
    ("shuffle write bytes", "spark_stage_shuffle_write_bytes_total", ""),
    ("shuffle write records", "spark_stage_shuffle_write_records_total", ""),
    ("spilled bytes", "spark_stage_spilled_bytes_total", ""),
];

/// Where `/metrics` differs from what REST reports; equal means to the unit.
pub(crate) fn differences(body: &str, rest: &[(&'static str, u64)]) -> Vec<String> {
    let series = parse(body);
    let mut problems = Vec::new();
    for (what, want) in rest {
        let mapped: Vec<_> = TOTALS.iter().filter(|(total, ..)| total == what).collect();
        assert!(!mapped.is_empty(), "{what} has no series");
        for (_, name, label) in mapped {
            let got = sum(&series, name, label);
            // A total that never was above zero need not have a series.
            if got.unwrap_or(0.0) != *want as f64 {
                problems.push(format!("{what}: REST {want}, {name}{{{label}}} {got:?}"));
            }
        }
    }
    problems
}

/// What `promtool check metrics` has against `body`.
pub(crate) fn promtool_problems(body: &str) -> Vec<String> {
    let mut child = Command::new(peers::prometheus_tool("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("promtool does not start ({error}); run tests/setup"));
    child.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let mut problems: Vec<String> =
        String::from_utf8_lossy(&said).lines().map(str::to_owned).collect();
    if !output.status.success() {
        problems.push(format!("promtool ended with {}", output.status));
    }
    problems
}

/// A real Prometheus that scrapes one target each second.
#[derive(Debug)]
pub(crate) struct Prometheus {
    port: u16,
    data: PathBuf,
    _process: Process,
}

impl Prometheus {
    /// Starts it and waits until it is ready.
    pub(crate) fn start(scratch: &Scratch, target_port: u16) -> Self {
        let folder = scratch.join("prometheus");
        fs::create_dir_all(&folder).unwrap();
        let config = folder.join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: sidelight\n  \
             static_configs: [{{targets: ['127.0.0.1:{target_port}']}}]\n"
        );
        fs::write(&config, text).unwrap();
        let port = http::free_port();
        let mut command = Command::new(peers::prometheus_tool("prometheus"));
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let log = |stream| folder.join(stream);
        let process = Process::start("prometheus", &command, &log("stdout"), &log("stderr"));
        wait::until("Prometheus is ready", Duration::from_secs(30), || {
            http::get(port, "/-/ready").ok().filter(|answer| answer.status == 200)
        });
        Self { port, data: folder.join("data"), _process: process }
    }

    /// Copies what it has seen to the folder that `SIDELIGHT_TEST_SERIES` names, if it names one:
    /// pictures are made of it.
    pub(crate) fn keep(&self) {
        let Some(folder) = std::env::var_os("SIDELIGHT_TEST_SERIES") else { return };
        let status = Command::new("cp").arg("-a").arg(&self.data).arg(folder).status();
        assert!(status.is_ok_and(|status| status.success()), "the series are copied");
    }

    /// How many series a query had over the last minutes; none when it is refused.
    pub(crate) fn n_series(&self, query: &str) -> Option<usize> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let (query, start) = (http::encode(query), now - 300);
        let path = format!("/api/v1/query_range?query={query}&start={start}&end={now}&step=5");
        let answer = http::get_json(self.port, &path)?;
        Some(answer["data"]["result"].as_array()?.len())
    }

    /// The sum of an instant query; none when it has no result.
    pub(crate) fn query(&self, query: &str) -> Option<f64> {
        let path = format!("/api/v1/query?query={}", http::encode(query));
        let answer = http::get_json(self.port, &path)?;
        let results = answer["data"]["result"].as_array().filter(|results| !results.is_empty())?;
        results.iter().map(|r| r["value"][1].as_str()?.parse::<f64>().ok()).sum()
    }
}
