//! The agent over a folder of logs, with a receiver behind it.

use super::receiver::Receiver;
use super::wire::Record;
use crate::harness::process::Process;
use crate::harness::scratch::Scratch;
use crate::harness::{agent, http, metrics, wait};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

/// Only tests that fail wait so long.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// The agent and its files.
#[derive(Debug)]
pub(super) struct Bed {
    pub(super) scratch: Scratch,
    /// Lines of `[exporters.otlp]`.
    pub(super) exporter: String,
    /// Lines of `[exporters.otlp.lane]`.
    pub(super) lane: String,
    /// More sections.
    pub(super) sections: String,
    /// `tail.identity_wait`
    pub(super) identity_wait: &'static str,
    /// Variables of the agent.
    pub(super) environment: BTreeMap<String, String>,
    port: u16,
    n_lives: usize,
    process: Option<Process>,
    n_written: BTreeMap<String, u64>,
}

impl Bed {
    /// A bed whose agent will send to `receiver`.
    pub(super) fn before(receiver: &Receiver) -> Self {
        Self::new(&format!(
            "endpoint = {:?}\nprotocol = {:?}\n",
            receiver.url(),
            receiver.protocol()
        ))
    }

    /// A bed with these lines of `[exporters.otlp]`.
    pub(super) fn new(exporter: &str) -> Self {
        let scratch = Scratch::new();
        fs::create_dir(scratch.join("logs")).unwrap();
        Self {
            scratch,
            exporter: exporter.to_owned(),
            lane: "request_timeout = \"2s\"\n".to_owned(),
            sections: "[scrapers]\n".to_owned(),
            identity_wait: "0",
            environment: BTreeMap::new(),
            port: http::free_port(),
            n_lives: 0,
            process: None,
            n_written: BTreeMap::new(),
        }
    }

    /// Writes the next lines of a file.
    pub(super) fn write(&mut self, name: &str, n_lines: u64) {
        let next = self.n_written.entry(name.to_owned()).or_default();
        let lines = (*next..*next + n_lines).map(|n| {
            format!("26/11/22 06:26:22 INFO Writer: {name} number {n} for jane.doe@example.com\n")
        });
        *next += n_lines;
        let text: String = lines.collect();
        self.append(name, &text);
    }

    /// Writes any text.
    pub(super) fn append(&self, name: &str, text: &str) {
        let path = self.scratch.join("logs").join(name);
        let mut file = File::options().create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// A file that this bed makes.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// The command with these arguments behind `-c FILE`.
    fn command(&self, verb: &str, arguments: &[&str]) -> Command {
        let path = self.scratch.join("sidelight.toml");
        let text = format!(
            "state_dir = {:?}\n[admin]\nlisten = \"127.0.0.1:{}\"\n[tail]\ninclude = [{:?}]\n\
             read_from = \"beginning\"\npoll_interval = \"10ms\"\nidentity_wait = {:?}\n\
             [batch]\nage_max = \"50ms\"\n{}[exporters.prometheus]\n[exporters.otlp]\n{}\
             [exporters.otlp.lane]\n{}",
            self.scratch.join("state"),
            self.port,
            self.scratch.join("logs/*.log"),
            self.identity_wait,
            self.sections,
            self.exporter,
            self.lane,
        );
        fs::write(&path, text).unwrap();
        let mut command = Command::new(agent::binary());
        command.arg(verb).arg("-c").arg(path).args(arguments);
        command.envs(&self.environment);
        command
    }

    /// Starts a life and waits until it is ready.
    pub(super) fn start(&mut self) {
        self.n_lives += 1;
        let path = |stream| self.scratch.join(&format!("agent-{}.{stream}", self.n_lives));
        let command = self.command("run", &[]);
        let mut process = Process::start("sidelight", &command, &path("out"), &path("err"));
        wait::until("the agent is ready", LIMIT, || {
            if let Some(status) = process.exit_status() {
                panic!("it ended with {status}:\n{}", self.log());
            }
            http::get(self.port, "/readyz").ok().filter(|answer| answer.status == 200)
        });
        self.process = Some(process);
    }

    /// Reads all that is there, delivers it and ends.
    pub(super) fn once(&self) -> Output {
        self.command("run", &["--once"]).output().unwrap()
    }

    /// `sidelight check --online`.
    pub(super) fn check_online(&self) -> Output {
        self.command("check", &["--online"]).output().unwrap()
    }

    /// Ends the life by SIGTERM.
    #[track_caller]
    pub(super) fn stop(&mut self) {
        let (status, took) = self.process.take().unwrap().terminate(LIMIT);
        assert_eq!(status.code(), Some(0), "{}", self.log());
        assert!(took < agent::STOP_LIMIT * 2, "the stop took {took:?}");
    }

    /// What the agent of this life wrote on standard error.
    pub(super) fn log(&self) -> String {
        let path = self.scratch.join(&format!("agent-{}.err", self.n_lives));
        fs::read_to_string(path).unwrap_or_default()
    }

    /// The body of `/metrics`.
    pub(super) fn page(&self) -> String {
        http::get(self.port, "/metrics").unwrap().body
    }

    /// Sum of the series of `name` whose labels hold `label`; 0 when there is none.
    pub(super) fn metric(&self, name: &str, label: &str) -> f64 {
        metrics::sum(&metrics::parse(&self.page()), name, label).unwrap_or(0.0)
    }

    /// Waits until a metric holds what is wanted.
    #[track_caller]
    pub(super) fn wait_for_metric(&self, name: &str, label: &str, holds: impl Fn(f64) -> bool) {
        wait::until(&format!("{name} with {label}"), LIMIT, || {
            holds(self.metric(name, label)).then_some(())
        });
    }

    /// Waits until the receiver has as many different records.
    #[track_caller]
    pub(super) fn wait_for(&self, receiver: &Receiver, n_records: usize) {
        let is_there =
            wait::within(LIMIT, || (distinct(&receiver.stored()) >= n_records).then_some(()));
        if is_there.is_none() {
            panic!("{} of {n_records} records came\n{}", distinct(&receiver.stored()), self.log());
        }
    }

    /// Fails unless exactly the lines that were written came, in the order of each file, redacted, and
    /// what the receiver took came once.
    #[track_caller]
    pub(super) fn expect_all(&self, receiver: &Receiver) {
        self.expect_stored(receiver);
        let told = receiver.acknowledged();
        assert_eq!(distinct(&told), told.len(), "taken twice\n{}", self.log());
        receiver.expect_no_violations();
    }

    /// The same when an answer got lost: what was stored may come again.
    #[track_caller]
    pub(super) fn expect_stored(&self, receiver: &Receiver) {
        let mut seen = BTreeSet::new();
        let stored = receiver.stored();
        let first = stored.iter().filter(|record| seen.insert(record.uid.as_str()));
        let bodies: Vec<&str> = first.map(|record| record.body.as_str()).collect();
        for (name, n_lines) in &self.n_written {
            let of_file = bodies.iter().filter(|body| body.starts_with(name.as_str()));
            let want: Vec<String> =
                (0..*n_lines).map(|n| format!("{name} number {n} for [EMAIL]")).collect();
            let came: Vec<&str> = of_file.copied().collect();
            assert_eq!(came, want, "{name}\n{}", self.log());
        }
        receiver.expect_no_violations();
    }
}

/// Number of different records.
pub(super) fn distinct(records: &[Record]) -> usize {
    records.iter().map(|record| record.uid.as_str()).collect::<BTreeSet<_>>().len()
}
