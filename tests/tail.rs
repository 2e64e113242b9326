//! Log files of every kind and fate, read by the real binary.

use crate::harness::process::Process;
use crate::harness::scratch::Scratch;
use crate::harness::{agent, http, wait};
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

/// The agent over `logs/` of a scratch folder.
pub(crate) struct Node {
    scratch: Scratch,
    port: u16,
    lives: usize,
    process: Option<Process>,
    /// A variable that overrides the config.
    variable: (&'static str, &'static str),
}

impl Node {
    pub(crate) fn new() -> Self {
        let scratch = Scratch::new();
        fs::create_dir(scratch.join("logs")).unwrap();
        Self { scratch, port: http::free_port(), lives: 0, process: None, variable: ("TERM", "") }
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.scratch.join("logs").join(name)
    }

    pub(crate) fn config(&self, more: &str) -> PathBuf {
        let path = self.scratch.join("sidelight.toml");
        let text = format!(
            "state_dir = {:?}\n[admin]\nlisten = \"127.0.0.1:{}\"\n[tail]\ninclude = [{:?}]\n\
             read_from = \"beginning\"\npoll_interval = \"10ms\"\nidentity_wait = \"0\"\n{more}\n\
             [exporters.file]\npath = {:?}\n[exporters.prometheus]\n",
            self.scratch.join("state"),
            self.port,
            self.log("*.log"),
            self.scratch.join("records.jsonl"),
        );
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn command(&self, arguments: &[&str], more: &str) -> Command {
        let mut command = Command::new(agent::binary());
        command.arg("run").arg("-c").arg(self.config(more)).args(arguments);
        command.env(self.variable.0, self.variable.1);
        command
    }

    pub(crate) fn start(&mut self) {
        let more = "[scrapers]";
        self.lives += 1;
        let path = |stream| self.scratch.join(&format!("agent-{}.{stream}", self.lives));
        let command = self.command(&[], more);
        self.process = Some(Process::start("sidelight", &command, &path("out"), &path("err")));
        wait::until("the agent is ready", LIMIT, || {
            http::get(self.port, "/readyz").ok().filter(|answer| answer.status == 200)
        });
    }

    /// Reads everything that is there in one go; returns the agent's own log.
    pub(crate) fn once(&mut self, more: &str) -> String {
        let output = self.command(&["--once"], &format!("{more}\n[scrapers]")).output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{log}");
        log
    }

    pub(crate) fn stop(&mut self) {
        let (status, took) = self.process.take().unwrap().terminate(LIMIT);
        assert_eq!(status.code(), Some(0));
        assert!(took < agent::STOP_LIMIT, "{took:?}");
    }

    pub(crate) fn kill(&mut self) {
        self.process.take().unwrap().kill();
    }

    pub(crate) fn records(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.scratch.join("records.jsonl")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn bodies(&self) -> Vec<String> {
        let body = |record: &Value| record["body"].as_str().unwrap_or("").to_owned();
        self.records().iter().map(body).collect()
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, n_records: usize) {
        let what = format!("{n_records} records, of which came {}", self.records().len());
        wait::until(&what, LIMIT, || (self.records().len() >= n_records).then_some(()));
    }
}

pub(crate) fn line(n: usize) -> String {
    format!("25/11/22 06:26:22 INFO Writer: number {n}\n")
}

pub(crate) fn lines(range: std::ops::Range<usize>) -> String {
    range.map(line).collect()
}

pub(crate) fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("number {n}")).collect()
}

pub(crate) fn append(path: &PathBuf, text: &str) {
    let mut file = File::options().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn rename_rotation_loses_nothing_and_drains_the_old_file() {
    let mut node = Node::new();
    let (log, rotated) = (node.log("app.log"), node.log("app.1"));
    append(&log, &lines(0..100));
    node.start();
    node.wait_for(100);
    let mut writer = File::options().append(true).open(&log).unwrap();
    fs::rename(&log, &rotated).unwrap();
    writer.write_all(lines(100..200).as_bytes()).unwrap();
    append(&log, &lines(200..300));
    node.wait_for(300);
    writer.write_all(lines(300..310).as_bytes()).unwrap();
    node.wait_for(310);
    node.stop();
    let mut bodies = node.bodies();
    bodies.sort_by_key(|body| body["number ".len()..].parse::<usize>().unwrap());
    assert_eq!(bodies, numbers(0..310));
}

#[test]
fn a_file_rotated_while_no_agent_ran_is_finished_first() {
    let mut node = Node::new();
    let log = node.log("app.log");
    append(&log, &lines(0..50));
    node.start();
    node.wait_for(50);
    node.stop();
    append(&log, &lines(50..60));
    fs::rename(&log, node.log("app.log.1")).unwrap();
    append(&log, &lines(60..70));
    node.start();
    node.wait_for(70);
    node.stop();
    let mut bodies = node.bodies();
    bodies.sort();
    let mut want = numbers(0..70);
    want.sort();
    assert_eq!(bodies, want);
}

#[test]
fn a_truncated_file_is_read_again_from_its_beginning() {
    let mut node = Node::new();
    let log = node.log("app.log");
    append(&log, &lines(0..100));
    node.start();
    node.wait_for(100);
    File::options().write(true).open(&log).unwrap().set_len(0).unwrap();
    append(&log, &lines(100..110));
    node.wait_for(110);
    node.stop();
    assert_eq!(node.bodies(), numbers(0..110));
    assert_eq!(node.records()[100]["offset"], 0);
}

#[test]
fn restarts_and_kills_lose_nothing_and_an_orderly_stop_repeats_nothing() {
    let mut node = Node::new();
    let log = node.log("app.log");
    let mut n_written = 0;
    for round in 0..6 {
        append(&log, &lines(n_written..n_written + 500));
        n_written += 500;
        node.start();
        node.wait_for(n_written - 300);
        let n_before = node.records().len();
        if round % 2 == 0 {
            node.stop();
            assert!(node.records().len() >= n_before);
        } else {
            node.kill();
        }
    }
    node.start();
    let last = format!("number {}", n_written - 1);
    wait::until("the last line", LIMIT, || node.bodies().contains(&last).then_some(()));
    node.stop();
    // What a kill repeats names the same place of the file, so a reader can drop it.
    let mut records: Vec<(u64, String)> = node
        .records()
        .iter()
        .map(|record| {
            let body = record["body"].as_str().unwrap().to_owned();
            (record["offset"].as_u64().unwrap(), body)
        })
        .collect();
    records.sort();
    records.dedup();
    let bodies: Vec<String> = records.into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies, numbers(0..n_written));
}

#[test]
fn long_lines_bad_bytes_and_half_lines_are_delivered() {
    let mut node = Node::new();
    let log = node.log("app.log");
    let long = "x".repeat(5 << 20);
    let mut bytes = line(0).into_bytes();
    bytes.extend(format!("25/11/22 06:26:22 INFO Writer: {long}\n").bytes());
    bytes.extend(b"25/11/22 06:26:22 INFO Writer: bad \xff\xfe bytes\n");
    bytes.extend(b"25/11/22 06:26:22 INFO Writer: nul \0 byte\r\n");
    bytes.extend(b"25/11/22 06:26:22 INFO Writer: no newline");
    fs::write(&log, bytes).unwrap();
    let quiet = std::time::SystemTime::now() - Duration::from_secs(10);
    fs::File::options().append(true).open(&log).unwrap().set_modified(quiet).unwrap();
    node.once("");
    let records = node.records();
    let (cut, whole): (Vec<&Value>, Vec<&Value>) =
        records.iter().partition(|record| record["truncated"] == true);
    let rejoined: String = cut.iter().map(|record| record["body"].as_str().unwrap()).collect();
    assert!(rejoined == long, "{} bytes of {} came", rejoined.len(), long.len());
    assert!(cut.iter().all(|record| record["body"].as_str().unwrap().len() <= 1 << 20));
    let bodies: Vec<&str> = whole.iter().map(|record| record["body"].as_str().unwrap()).collect();
    assert_eq!(bodies, ["number 0", "bad \u{fffd}\u{fffd} bytes", "nul \0 byte", "no newline"]);
}

#[test]
fn a_folder_and_an_unreadable_file_are_told_and_the_rest_is_read() {
    let node = Node::new();
    append(&node.log("good.log"), &line(0));
    fs::create_dir(node.log("folder.log")).unwrap();
    std::os::unix::fs::symlink("nowhere", node.log("dangling.log")).unwrap();
    let secret = node.log("secret.log");
    append(&secret, &line(1));
    fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    let closed = node.log("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let folder = node.log("folder.log");
    let within = closed.join("*.log");
    let globs = ["--logs", folder.to_str().unwrap(), "--logs", within.to_str().unwrap()];
    let command = node.command(&[&["--once"], &globs[..]].concat(), "[scrapers]");
    let output = as_nobody(&command, &node.scratch).output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{log}");
    assert_eq!(node.bodies(), ["number 0"]);
    assert!(log.contains("secret.log") && log.contains("may not be read"), "{log}");
    assert_eq!(log.matches("may not be listed").count(), usize::from(is_root()), "{log}");
    assert!(log.contains("folder.log/** to read the files in it"), "{log}");
}

/// Root may list and read everything; its folders are closed to the user whom it becomes.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// The same command as a user who may read only what everybody may: root may read everything.
fn as_nobody(command: &Command, scratch: &Scratch) -> Command {
    use std::os::unix::fs::PermissionsExt;
    let binary = scratch.join("sidelight");
    fs::copy(command.get_program(), &binary).unwrap();
    let mut other = if is_root() { Command::new("setpriv") } else { Command::new(&binary) };
    if is_root() {
        let folder = scratch.join("");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        other.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(&binary);
    }
    other.args(command.get_args());
    other
}

#[test]
fn a_path_with_pii_is_stored_nowhere_and_its_file_is_still_known_again() {
    let mut node = Node::new();
    let log = node.log("jane.doe@example.com.log");
    append(&log, &lines(0..3));
    node.once("");
    append(&log, &lines(3..5));
    node.once("");
    assert_eq!(node.bodies(), numbers(0..5));
    let files = [node.scratch.join("state/checkpoint.json"), node.scratch.join("records.jsonl")];
    for text in files.map(|path| fs::read_to_string(path).unwrap()) {
        assert!(text.contains("[EMAIL]") && !text.contains("jane.doe"), "{text}");
    }
}

#[test]
fn a_second_agent_on_the_same_state_folder_is_refused() {
    let mut node = Node::new();
    node.start();
    let mut command = node.command(&["--listen", "127.0.0.1:0"], "[scrapers]");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("in use by another sidelight"), "{log}");
    node.stop();
}

#[test]
fn a_wrong_config_ends_with_78_and_names_every_mistake() {
    let scratch = Scratch::new();
    let path = scratch.join("bad.toml");
    fs::write(&path, "state_dri = \"/x\"\n[tail]\npoll_interval = \"fast\"\n[exporters.kafka]\n")
        .unwrap();
    for command in [vec!["run", "-c"], vec!["check"]] {
        let output = Command::new(agent::binary()).args(&command).arg(&path).output().unwrap();
        assert_eq!(output.status.code(), Some(78), "{command:?}");
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        for wanted in ["bad.toml:1:1", "did you mean `state_dir`", "bad.toml:3:17", "kafka"] {
            assert!(said.contains(wanted), "{wanted} is not in {said}");
        }
    }
}

#[test]
fn what_was_written_while_no_agent_ran_is_read_also_when_reading_began_at_the_end() {
    let mut node = Node::new();
    let log = node.log("app.log");
    append(&log, &lines(0..3));
    node.variable = ("SIDELIGHT_TAIL__READ_FROM", "end");
    node.once("");
    append(&log, &lines(3..5));
    node.once("");
    assert_eq!(node.bodies(), numbers(3..5));
}

#[test]
fn two_names_of_one_file_are_read_once_also_while_they_wait_for_their_job() {
    let mut node = Node::new();
    let log = node.log("b.log");
    append(&log, &line(0));
    node.variable = ("SIDELIGHT_TAIL__IDENTITY_WAIT", "2s");
    node.start();
    for link in ["a.log", "c.log"] {
        std::os::unix::fs::symlink("b.log", node.log(link)).unwrap();
    }
    node.wait_for(1);
    append(&log, &line(1));
    node.wait_for(2);
    node.stop();
    assert_eq!(node.bodies(), numbers(0..2));
}

/// A pipe whose reader is gone.
fn broken_pipe() -> std::process::Stdio {
    let (_, writer) = std::io::pipe().unwrap();
    writer.into()
}

#[test]
fn a_reader_that_goes_away_costs_neither_the_agent_nor_the_truth() {
    let node = Node::new();
    append(&node.log("app.log"), &lines(0..100));
    let mut command = node.command(&["--once"], "[scrapers]");
    let status = command.stderr(broken_pipe()).status().unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(node.bodies(), numbers(0..100), "its own log has no reader");

    append(&node.log("app.log"), &lines(100..200));
    let mut command = node.command(&["--once", "--strict-exit"], "[scrapers]");
    command.env("SIDELIGHT_EXPORTERS__FILE__PATH", "-");
    let output = command.stdout(broken_pipe()).output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(69), "{log}");
    assert!(log.contains("ended before everything was delivered"), "{log}");
}

#[test]
fn the_agent_does_not_read_its_own_output() {
    let node = Node::new();
    append(&node.log("app.log"), &lines(0..10));
    let output = node.log("output.log");
    append(&output, "what an earlier run wrote\n");
    let mut command = node.command(&["--once"], "[scrapers]");
    command.env("SIDELIGHT_EXPORTERS__FILE__PATH", "-");
    command.stdout(File::options().append(true).open(&output).unwrap());
    assert_eq!(command.output().unwrap().status.code(), Some(0));
    assert_eq!(fs::read_to_string(&output).unwrap().lines().count(), 1 + 10);
}

#[test]
fn a_rotated_file_is_finished_however_often_the_agent_starts_before_it_can() {
    let mut node = Node::new();
    let log = node.log("app.log");
    append(&log, &lines(0..50));
    node.once("");
    append(&log, &lines(50..60));
    fs::rename(&log, node.log("app.log.1")).unwrap();
    append(&log, &lines(60..70));
    // Nothing can be delivered in this life.
    node.variable = ("SIDELIGHT_EXPORTERS__FILE__PATH", "/dev/null/none");
    node.once("[shutdown]\ngrace = \"200ms\"");
    node.variable = ("TERM", "");
    node.once("");
    let mut bodies = node.bodies();
    bodies.sort_by_key(|body| body["number ".len()..].parse::<usize>().unwrap());
    assert_eq!(bodies, numbers(0..70));
}

#[test]
fn many_open_batches_do_not_outgrow_the_memory_of_the_agent() {
    let mut node = Node::new();
    node.variable = ("SIDELIGHT_BATCH__AGE_MAX", "1h");
    let long = format!("{} {}\n", line(0).trim_end(), "x".repeat(1000));
    for n in 0..32 {
        append(&node.log(&format!("{n}.log")), &long.repeat(300));
    }
    node.start();
    // No batch is full or old, but together they are more than half of `limits.memory_bytes_max`. A debug
    // build reads 10 MB until then.
    wait::until("a batch makes room", LIMIT * 4, || (!node.records().is_empty()).then_some(()));
    node.stop();
    // What a slow machine did not read within the grace period.
    node.once("");
    assert_eq!(node.records().len(), 32 * 300);
}

#[test]
fn a_file_that_is_rotated_or_deleted_while_it_waits_for_its_job_is_read() {
    let mut node = Node::new();
    node.variable = ("SIDELIGHT_TAIL__IDENTITY_WAIT", "1h");
    let log = node.log("app.log");
    node.start();
    for round in 0..3 {
        append(&log, &lines(round * 10..round * 10 + 10));
        let waiting = || {
            let page = http::get(node.port, "/metrics").ok()?.body;
            page.contains("sidelight_files{state=\"waiting\"} 1").then_some(())
        };
        wait::until("the file waits", LIMIT, waiting);
        if round < 2 {
            fs::rename(&log, node.log(&format!("app.{round}"))).unwrap();
        } else {
            fs::remove_file(&log).unwrap();
        }
        node.wait_for(round * 10 + 10);
    }
    node.stop();
    assert_eq!(node.bodies(), numbers(0..30));
    let records = node.records();
    let mut places: Vec<String> = records
        .iter()
        .map(|record| format!("{} {}", record["file_id"], record["offset"]))
        .collect();
    places.sort();
    places.dedup();
    assert_eq!(places.len(), 30, "file_id and offset name a record for good");
}

#[test]
fn another_run_in_a_truncated_file_has_its_own_job() {
    let mut node = Node::new();
    let log = node.log("driver.log");
    let run = |id: &str| {
        format!(
            "25/11/22 06:26:22 INFO SparkContext: Running Spark version 4.3.0\n\
                 25/11/22 06:26:22 INFO Executor: Starting {id}\n"
        )
    };
    node.variable = ("SIDELIGHT_TAIL__IDENTITY_WAIT", "1h");
    append(&log, &run("local-1795329177046"));
    node.start();
    node.wait_for(2);
    // As `2>driver.log` of the next spark-submit does.
    File::create(&log).unwrap();
    wait::until("the truncation is seen", LIMIT, || {
        let page = http::get(node.port, "/metrics").ok()?.body;
        page.contains("sidelight_files_replaced_total{reason=\"truncated\"} 1").then_some(())
    });
    append(&log, &run("local-1795329177047"));
    node.wait_for(4);
    node.stop();
    let ids: Vec<String> = node.records().iter().map(|it| it["job_id"].to_string()).collect();
    let [old, new] = ["\"local-1795329177046\"", "\"local-1795329177047\""];
    assert_eq!(ids, [old, old, new, new]);
}

#[test]
fn the_log_of_a_run_that_has_ended_waits_for_nobody() {
    let mut node = Node::new();
    node.variable = ("SIDELIGHT_TAIL__IDENTITY_WAIT", "1h");
    let log = node.log("driver.log");
    node.start();
    append(&log, &lines(0..3));
    append(&log, "25/11/22 06:26:22 INFO ShutdownHookManager: Shutdown hook called\n");
    node.wait_for(4);
    node.stop();
}
