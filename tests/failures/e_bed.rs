//! The agent over a folder of logs, with a CloudWatch of our own behind it: what the tests of E stand
//! on. Every line carries its file and a number, and what became of it is counted on both sides.

use crate::cloudwatch::fake::{Event, Fake, Request, Rules};
use crate::harness::process::Process;
use crate::harness::scratch::Scratch;
use crate::harness::{agent, http, metrics, wait};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Only tests that fail wait so long.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// The stream of every group.
pub(super) const STREAM: &str = "log";

/// The agent, its files and its CloudWatch.
#[derive(Debug)]
pub(super) struct Cloud {
    pub(super) fake: Fake,
    pub(super) scratch: Scratch,
    /// Template of the group: one for each file unless it is changed.
    pub(super) group: String,
    /// Template of the stream.
    pub(super) stream: String,
    /// More lines of `[exporters.cloudwatch_logs]`.
    pub(super) exporter: String,
    /// Lines of `[exporters.cloudwatch_logs.lane]`.
    pub(super) lane: String,
    /// More lines of `[tail]`.
    pub(super) tail: String,
    /// More sections.
    pub(super) sections: String,
    /// Without `endpoint_url` when it is none.
    pub(super) endpoint_url: Option<String>,
    /// What the agent finds in its environment.
    pub(super) environment: BTreeMap<String, String>,
    port: u16,
    n_lives: usize,
    process: Option<Process>,
    /// Lines by file.
    written: BTreeMap<String, u64>,
    /// Events that were taken by groups that were deleted since.
    gone: Vec<Event>,
}

/// What became of a line.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Fate {
    /// Events with it that CloudWatch took.
    pub(super) n_accepted: usize,
    /// Why it is a dead letter, each time.
    pub(super) dead: Vec<String>,
}

/// Now, in milliseconds.
pub(super) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A time as it stands at the beginning of a line.
pub(super) fn stamp(time_ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(time_ms).unwrap();
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

impl Cloud {
    /// Nothing runs yet but the fake. Each file has a group of its own.
    pub(super) fn new() -> Self {
        Self::with(Rules::default())
    }

    /// The same over a fake with other rules.
    pub(super) fn with(rules: Rules) -> Self {
        let (fake, scratch) = (Fake::start(rules), Scratch::new());
        fs::create_dir(scratch.join("logs")).unwrap();
        let nowhere = scratch.join("nowhere").display().to_string();
        let environment = [
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_CONFIG_FILE", &nowhere),
            ("AWS_SHARED_CREDENTIALS_FILE", &nowhere),
        ];
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        Self {
            group: "/e/{file_name}".to_owned(),
            stream: STREAM.to_owned(),
            exporter: "region = \"us-east-1\"\n".to_owned(),
            lane: "request_timeout = \"2s\"\n".to_owned(),
            tail: String::new(),
            sections: String::new(),
            endpoint_url: Some(fake.url()),
            environment: environment.map(owned).into(),
            port: http::free_port(),
            n_lives: 0,
            process: None,
            written: BTreeMap::new(),
            gone: Vec::new(),
            fake,
            scratch,
        }
    }

    /// Sets a variable of the agent's environment.
    pub(super) fn set(&mut self, key: &str, value: &str) {
        self.environment.insert(key.to_owned(), value.to_owned());
    }

    /// The group of a file.
    pub(super) fn group(name: &str) -> String {
        format!("/e/{name}")
    }

    /// Writes the next lines of a file, as of now.
    pub(super) fn write(&mut self, name: &str, n_lines: u64) {
        let now_ms = now_ms();
        self.write_at(name, &vec![now_ms; usize::try_from(n_lines).unwrap()]);
    }

    /// Writes the next lines of a file, with these times.
    pub(super) fn write_at(&mut self, name: &str, times_ms: &[i64]) {
        let lines: Vec<(i64, &[u8])> = times_ms
            .iter()
            .map(|time_ms| (*time_ms, &b"finished task 0.0 in stage 41.0 in 57 ms"[..]))
            .collect();
        self.write_lines(name, &lines);
    }

    /// Writes the next lines of a file, with these times and texts; the mark of the last one.
    pub(super) fn write_lines(&mut self, name: &str, lines: &[(i64, &[u8])]) -> String {
        let number = self.written.entry(name.to_owned()).or_default();
        let (mut text, mut mark) = (Vec::new(), String::new());
        for (time_ms, rest) in lines {
            mark = format!("{name}:{number}");
            let head = format!("{} INFO Writer: line ={mark}= ", stamp(*time_ms));
            text.extend_from_slice(head.as_bytes());
            text.extend_from_slice(rest);
            text.push(b'\n');
            *number += 1;
        }
        let path = self.scratch.join("logs").join(name);
        let mut file = File::options().create(true).append(true).open(path).unwrap();
        file.write_all(&text).unwrap();
        mark
    }

    /// Lines written so far.
    pub(super) fn n_written(&self) -> u64 {
        self.written.values().sum()
    }

    /// The command of the next life.
    pub(super) fn command(&self) -> Command {
        let endpoint = self.endpoint_url.as_ref().map(|url| format!("endpoint_url = {url:?}\n"));
        let text = format!(
            "state_dir = {:?}\n[admin]\nlisten = \"127.0.0.1:{}\"\n[tail]\ninclude = [{:?}]\n\
             read_from = \"beginning\"\npoll_interval = \"10ms\"\nidentity_wait = \"0\"\n{}\
             [batch]\nage_max = \"50ms\"\n[scrapers]\n[exporters.prometheus]\n\
             [exporters.cloudwatch_logs]\ngroup = {:?}\nstream = {:?}\n{}{}\
             [exporters.cloudwatch_logs.lane]\n{}\n{}",
            self.scratch.join("state"),
            self.port,
            self.scratch.join("logs/*.log"),
            self.tail,
            self.group,
            self.stream,
            endpoint.unwrap_or_default(),
            self.exporter,
            self.lane,
            self.sections,
        );
        let path = self.scratch.join("sidelight.toml");
        fs::write(&path, text).unwrap();
        let mut command = Command::new(agent::binary());
        command.args(["run", "-c"]).arg(path).envs(&self.environment);
        command
    }

    /// Starts a life and waits until it answers.
    #[track_caller]
    pub(super) fn start(&mut self) {
        assert!(self.process.is_none(), "one life at a time");
        self.n_lives += 1;
        let path = |stream| self.scratch.join(&format!("agent-{}.{stream}", self.n_lives));
        let command = self.command();
        let mut process = Process::start("sidelight", &command, &path("stdout"), &path("stderr"));
        wait::until("the agent answers", LIMIT, || {
            if let Some(status) = process.exit_status() {
                panic!("it ended with {status}:\n{}", self.own_log());
            }
            http::get(self.port, "/livez").ok()
        });
        self.process = Some(process);
    }

    /// Takes up the config as it is now, in the same process.
    #[track_caller]
    pub(super) fn reload(&mut self) {
        let (name, outcome) = ("sidelight_config_reloads_total", "outcome=\"applied\"");
        let before = self.metric(name, outcome);
        let _ = self.command();
        self.process.as_mut().unwrap().send("HUP");
        self.wait_for_metric(name, outcome, |n| n > before);
    }

    /// Ends the life by SIGTERM, which must end in time and with 0.
    #[track_caller]
    pub(super) fn stop(&mut self) {
        let (status, took) = self.process.take().unwrap().terminate(LIMIT);
        assert_eq!(status.code(), Some(0), "{}", self.own_log());
        assert!(took < agent::STOP_LIMIT * 2, "the stop took {took:?}");
    }

    /// CPU time of this life, from `/proc/PID/stat`.
    pub(super) fn cpu_seconds(&self) -> f64 {
        let id = self.process.as_ref().unwrap().id();
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let ticks = fields.split(' ').skip(11).take(2).map(|it| it.parse::<f64>().unwrap());
        // A tick is 10 ms on every Linux of today.
        ticks.sum::<f64>() / 100.0
    }

    /// What the agent of this life, or the last, wrote on standard error.
    pub(super) fn own_log(&self) -> String {
        let path = self.scratch.join(&format!("agent-{}.stderr", self.n_lives));
        fs::read_to_string(path).unwrap_or_default()
    }

    /// The answer of `/readyz`.
    pub(super) fn readiness(&self) -> String {
        http::get(self.port, "/readyz").map_or_else(|_| String::new(), |answer| answer.body)
    }

    /// Sum of the series of `name` whose labels hold `label`; 0 when there is none.
    pub(super) fn metric(&self, name: &str, label: &str) -> f64 {
        let Ok(page) = http::get(self.port, "/metrics") else { return 0.0 };
        metrics::sum(&metrics::parse(&page.body), name, label).unwrap_or(0.0)
    }

    /// Waits until a metric holds what is wanted.
    #[track_caller]
    pub(super) fn wait_for_metric(&self, name: &str, label: &str, holds: impl Fn(f64) -> bool) {
        let is_there = wait::within(LIMIT, || holds(self.metric(name, label)).then_some(()));
        assert!(is_there.is_some(), "{name} with {label}\n{}", self.own_log());
    }

    /// Calls of `operation` so far.
    pub(super) fn requests(&self, operation: &str) -> Vec<Request> {
        let is_it = |request: &Request| request.operation == operation;
        self.fake.requests().into_iter().filter(is_it).collect()
    }

    /// Deletes the group of a file; what it had taken still counts.
    pub(super) fn delete_group(&mut self, name: &str) {
        self.gone.extend(self.fake.events(&Self::group(name), STREAM));
        self.fake.delete(&Self::group(name));
    }

    /// Texts of all events of a file's group.
    pub(super) fn messages(&self, name: &str) -> Vec<serde_json::Value> {
        let events = self.fake.events(&Self::group(name), STREAM);
        events.iter().map(|event| serde_json::from_str(&event.message).unwrap()).collect()
    }

    /// Every dead letter.
    pub(super) fn dead_letters(&self) -> Vec<serde_json::Value> {
        let folder = self.scratch.join("state/dead_letters/cloudwatch_logs");
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = files.map(|file| file.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
        paths.sort();
        let text: String = paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        // One may be on its way to the disk.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// What became of each line so far, by its mark, such as `a.log:7`.
    pub(super) fn fates(&self) -> BTreeMap<String, Fate> {
        let mut fates: BTreeMap<String, Fate> = BTreeMap::new();
        let groups = self.fake.groups().into_iter();
        let events = groups.flat_map(|group| {
            let streams = self.fake.streams(&group.name).into_iter();
            let events = streams.map(|stream| self.fake.events(&group.name, &stream));
            events.flatten().collect::<Vec<_>>()
        });
        for event in events.chain(self.gone.iter().cloned()) {
            if let Some(mark) = mark(&event.message) {
                fates.entry(mark.to_owned()).or_default().n_accepted += 1;
            }
        }
        for letter in self.dead_letters() {
            let reason = letter["reason"].as_str().unwrap_or_default().to_owned();
            let mark =
                mark(letter["record"]["body"].as_str().unwrap_or_default()).map(str::to_owned);
            fates.entry(mark.unwrap_or_default()).or_default().dead.push(reason);
        }
        fates
    }

    /// Waits until every line of this file is taken or a dead letter.
    #[track_caller]
    pub(super) fn until_done(&self, name: &str) {
        let n_lines = usize::try_from(self.written[name]).unwrap();
        let prefix = format!("{name}:");
        self.until(&format!("lines of {name}"), n_lines, |mark| mark.starts_with(&prefix));
    }

    /// Waits until every line is taken or a dead letter.
    #[track_caller]
    pub(super) fn until_all_done(&self) {
        self.until("all lines", usize::try_from(self.n_written()).unwrap(), |_| true);
    }

    #[track_caller]
    fn until(&self, what: &str, n_lines: usize, is_one: impl Fn(&str) -> bool) {
        let mut n_done = 0;
        let are_done = wait::within(LIMIT, || {
            n_done = self.fates().keys().filter(|mark| is_one(mark)).count();
            (n_done >= n_lines).then_some(())
        });
        if are_done.is_none() {
            panic!("{what}: {n_done} of {n_lines}\n{}", self.own_log());
        }
    }

    /// The same as [`finish_with_letters`](Self::finish_with_letters), where every line must have been
    /// taken.
    #[track_caller]
    pub(super) fn finish(&mut self, n_repeats_max: usize) -> BTreeMap<String, Fate> {
        let fates = self.finish_with_letters(n_repeats_max);
        let dead = fates.iter().find(|(_, fate)| !fate.dead.is_empty());
        assert!(dead.is_none(), "{dead:?}\n{}", self.own_log());
        fates
    }

    /// Waits for every line, ends the life, and fails unless each is accounted for once, but that
    /// `n_repeats_max` events may have come again; and unless no rule was broken.
    #[track_caller]
    pub(super) fn finish_with_letters(&mut self, n_repeats_max: usize) -> BTreeMap<String, Fate> {
        self.until_all_done();
        self.stop();
        let (violations, fates) = (self.fake.violations(), self.fates());
        assert!(violations.is_empty(), "{violations:#?}\n{}", self.own_log());
        let mut n_repeats = 0;
        for (mark, fate) in &fates {
            let (name, number) = mark.rsplit_once(':').unwrap_or((mark, ""));
            let is_written = number.parse().is_ok_and(|number: u64| number < self.written[name]);
            assert!(is_written, "{mark} was not written");
            n_repeats += fate.n_accepted + fate.dead.len() - 1;
        }
        assert_eq!(fates.len() as u64, self.n_written(), "{}", self.own_log());
        assert!(n_repeats <= n_repeats_max, "{n_repeats} repeats\n{}", self.own_log());
        fates
    }
}

/// The mark of a line: what stands between `line =` and `=`.
pub(super) fn mark(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("line =")?;
    rest.split_once('=').map(|(mark, _)| mark)
}
