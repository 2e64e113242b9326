//! The agent over a folder of logs: what the beds of rotators and failures stand on.

use super::process::Process;
use super::scratch::Scratch;
use super::tally::Tally;
use super::{agent, http, metrics, wait};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// For everything that takes the agent a second or two on a machine that is not busy. Only tests
/// that fail wait so long.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The agent over `logs/` of a scratch folder, one life after the other.
#[derive(Debug)]
pub(crate) struct Bed {
    /// Everything of this bed.
    pub(crate) scratch: Scratch,
    /// Lines of the output so far.
    pub(crate) tally: Tally,
    /// Globs, relative to `logs/`.
    globs: Vec<String>,
    port: u16,
    n_lives: usize,
    process: Option<Process>,
}

impl Bed {
    /// A bed whose agent does not run yet and will read `globs`, relative to `logs/`.
    pub(crate) fn new(globs: &[&str]) -> Self {
        let scratch = Scratch::new();
        fs::create_dir(scratch.join("logs")).unwrap();
        Self {
            scratch,
            tally: Tally::default(),
            globs: globs.iter().map(|&glob| glob.to_owned()).collect(),
            port: http::free_port(),
            n_lives: 0,
            process: None,
        }
    }

    /// Reads this glob, too.
    pub(crate) fn watch(&mut self, glob: &Path) {
        self.globs.push(glob.to_string_lossy().into_owned());
    }

    /// Port of the admin server, the same in every life.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A path in `logs/`.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.scratch.join("logs").join(name)
    }

    /// The file with the records.
    pub(crate) fn output(&self) -> PathBuf {
        self.scratch.join("records.jsonl")
    }

    /// Files of the state folder but for the lock.
    pub(crate) fn state_files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.scratch.join("state")).unwrap();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.is_file() && !path.ends_with("lock"));
        files.sort();
        files
    }

    /// The command of the next life.
    pub(crate) fn command(&self) -> Command {
        let globs: Vec<PathBuf> = self.globs.iter().map(|glob| self.log(glob)).collect();
        let text = format!(
            "state_dir = {:?}\n[admin]\nlisten = \"127.0.0.1:{}\"\n[tail]\ninclude = {globs:?}\n\
             read_from = \"beginning\"\npoll_interval = \"10ms\"\nidentity_wait = \"0\"\n\
             [batch]\nage_max = \"100ms\"\n[scrapers]\n[exporters.file]\npath = {:?}\n[exporters.prometheus]\n",
            self.scratch.join("state"),
            self.port,
            self.output(),
        );
        let path = self.scratch.join("sidelight.toml");
        fs::write(&path, text).unwrap();
        let mut command = Command::new(agent::binary());
        command.arg("run").arg("-c").arg(path);
        command
    }

    /// Changes the config that [`command`](Self::command) wrote.
    pub(crate) fn edit_config(&self, change: impl FnOnce(&str) -> String) {
        let path = self.scratch.join("sidelight.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, change(&text)).unwrap();
    }

    /// Starts a life and waits until it is ready.
    pub(crate) fn start(&mut self) {
        self.start_with(&self.command());
    }

    /// Starts a life with a command that was changed.
    pub(crate) fn start_with(&mut self, command: &Command) {
        assert!(self.process.is_none(), "one life at a time");
        self.n_lives += 1;
        let path = |stream| self.scratch.join(&format!("agent-{}.{stream}", self.n_lives));
        let stderr = path("stderr");
        let mut process = Process::start("sidelight", command, &path("stdout"), &stderr);
        wait::until("the agent is ready", LIMIT, || {
            if let Some(status) = process.exit_status() {
                panic!("it ended with {status}:\n{}", fs::read_to_string(&stderr).unwrap());
            }
            http::get(self.port, "/readyz").ok().filter(|answer| answer.status == 200)
        });
        self.process = Some(process);
    }

    /// Ends the life by SIGTERM, which must end in time and with 0.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        let (status, took) = self.process.take().unwrap().terminate(LIMIT);
        assert_eq!(status.code(), Some(0), "{}", self.own_log());
        assert!(took < agent::STOP_LIMIT * 2, "the stop took {took:?}");
        self.tally.read(&self.output());
    }

    /// Lets go of a life that has ended.
    pub(crate) fn end(&mut self) {
        self.process.take().unwrap().wait(LIMIT);
        self.tally.read(&self.output());
    }

    /// Ends the life by SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.take().unwrap().kill();
        self.tally.read(&self.output());
    }

    /// The process of this life.
    pub(crate) fn process(&mut self) -> &mut Process {
        self.process.as_mut().unwrap()
    }

    /// Descriptors that the agent holds, as `/proc` shows them.
    pub(crate) fn descriptors(&mut self) -> Vec<String> {
        let folder = format!("/proc/{}/fd", self.process().id());
        let links = fs::read_dir(folder).unwrap().flatten();
        let target = |entry: fs::DirEntry| fs::read_link(entry.path()).ok();
        links.filter_map(target).map(|path| path.to_string_lossy().into_owned()).collect()
    }

    /// Memory of the agent in MiB, from `/proc/PID/status`.
    pub(crate) fn rss_mib(&mut self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process().id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
    }

    /// Reads everything that is there in a life of its own.
    #[track_caller]
    pub(crate) fn once(&mut self) {
        let output = self.command().arg("--once").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        self.tally.read(&self.output());
    }

    /// What the agent of this life, or the last, wrote on standard error.
    pub(crate) fn own_log(&self) -> String {
        let path = self.scratch.join(&format!("agent-{}.stderr", self.n_lives));
        fs::read_to_string(path).unwrap_or_default()
    }

    /// Sum of the series of `name` whose labels hold `label`; 0 when there is none.
    pub(crate) fn metric(&self, name: &str, label: &str) -> f64 {
        let page = http::get(self.port, "/metrics").unwrap().body;
        metrics::sum(&metrics::parse(&page), name, label).unwrap_or(0.0)
    }

    /// Waits until a metric holds what is wanted.
    #[track_caller]
    pub(crate) fn wait_for_metric(&self, name: &str, label: &str, holds: impl Fn(f64) -> bool) {
        wait::until(&format!("{name} with {label}"), LIMIT, || {
            holds(self.metric(name, label)).then_some(())
        });
    }

    /// Waits until that many lines of `writer` came.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, writer: &str, n_lines: u64) {
        let output = self.output();
        let tally = &mut self.tally;
        let is_here = wait::within(LIMIT, || {
            tally.read(&output);
            (tally.n_distinct(writer) >= n_lines).then_some(())
        });
        if is_here.is_none() {
            let (came, log) = (self.tally.n_distinct(writer), self.own_log());
            let problems = self.tally.problems(writer, n_lines);
            panic!("{came} of {n_lines} lines of {writer} came: {problems:?}\n{log}");
        }
    }

    /// Fails unless exactly the lines below `n_lines` of `writer` came, in order within each file.
    #[track_caller]
    pub(crate) fn expect_all(&self, writer: &str, n_lines: u64) {
        let problems = self.tally.problems(writer, n_lines);
        assert!(problems.is_empty(), "{}\n{}", problems.join("\n"), self.own_log());
    }

    /// Fails when a line came twice.
    #[track_caller]
    pub(crate) fn expect_no_duplicates(&self) {
        assert_eq!(self.tally.n_duplicates(), 0, "lines that came twice\n{}", self.own_log());
    }

    /// The `body` of every record, in the order they came.
    pub(crate) fn bodies(&self) -> Vec<String> {
        let text = fs::read_to_string(self.output()).unwrap_or_default();
        let body = |line: &str| {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            record["body"].as_str().unwrap_or_default().to_owned()
        };
        text.lines().map(body).collect()
    }

    /// Waits until a record holds `text`.
    #[track_caller]
    pub(crate) fn wait_for_text(&self, text: &str) {
        wait::until(&format!("a record with {text}"), LIMIT, || {
            let output = fs::read(self.output()).unwrap_or_default();
            memchr::memmem::find(&output, text.as_bytes()).map(|_| ())
        });
    }
}

/// Runs a command of the machine, which must succeed.
#[track_caller]
pub(crate) fn run(program: &str, arguments: &[&str], folder: &Path) {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; run tests/setup"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
}
