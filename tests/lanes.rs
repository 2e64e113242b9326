//! Destinations that do not take records, seen from outside: the real binary, pipes and disks.

use crate::harness::process::Process;
use crate::harness::report::say;
use crate::harness::scratch::Scratch;
use crate::harness::{agent, http, wait};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

/// The agent over `logs/` of a scratch folder, which writes to a pipe.
struct Node {
    scratch: Scratch,
    port: u16,
    lives: usize,
    process: Option<Process>,
    /// Lines of `[exporters.file.lane]`.
    lane: &'static str,
    /// `exporters.file.path`
    output: PathBuf,
}

impl Node {
    fn new(lane: &'static str) -> Self {
        let scratch = Scratch::new();
        fs::create_dir(scratch.join("logs")).unwrap();
        fs::create_dir(scratch.join("state")).unwrap();
        let output = scratch.join("pipe");
        let made = Command::new("mkfifo").arg(&output).status().unwrap();
        assert!(made.success());
        Self { scratch, port: http::free_port(), lives: 0, process: None, lane, output }
    }

    fn state(&self) -> PathBuf {
        self.scratch.join("state")
    }

    fn append(&self, name: &str, numbers: std::ops::Range<usize>) {
        let path = self.scratch.join("logs").join(name);
        let mut file = File::options().create(true).append(true).open(path).unwrap();
        let line =
            |n| format!("25/11/22 06:26:22 INFO Writer: {name} number {n} jane.doe@example.com\n");
        file.write_all(numbers.map(line).collect::<String>().as_bytes()).unwrap();
    }

    fn command(&self, output: &Path, arguments: &[&str]) -> Command {
        let path = self.scratch.join("sidelight.toml");
        let text = format!(
            "state_dir = {:?}\n[admin]\nlisten = \"127.0.0.1:{}\"\n[tail]\ninclude = [{:?}]\n\
             read_from = \"beginning\"\npoll_interval = \"10ms\"\nidentity_wait = \"0\"\n\
             [batch]\nage_max = \"50ms\"\nbytes_max = \"64KiB\"\n[scrapers]\n\
             [exporters.file]\npath = {output:?}\n[exporters.file.lane]\n{}\n[exporters.prometheus]\n",
            self.state(),
            self.port,
            self.scratch.join("logs/*.log"),
            self.lane,
        );
        fs::write(&path, text).unwrap();
        let mut command = Command::new(agent::binary());
        command.args(["run", "-c"]).arg(path).args(arguments);
        command
    }

    fn start(&mut self) {
        self.lives += 1;
        let path = |stream| self.scratch.join(&format!("agent-{}.{stream}", self.lives));
        let command = self.command(&self.output, &[]);
        self.process = Some(Process::start("sidelight", &command, &path("out"), &path("err")));
        wait::until("the agent answers", LIMIT, || http::get(self.port, "/livez").ok());
    }

    fn once(&self, output: &Path, arguments: &[&str]) -> Output {
        let arguments = [&["--once"], arguments].concat();
        self.command(output, &arguments).output().unwrap()
    }

    fn kill(&mut self) {
        self.process.take().unwrap().kill();
    }

    fn stop(&mut self) {
        let (status, took) = self.process.take().unwrap().terminate(LIMIT);
        assert_eq!(status.code(), Some(0));
        assert!(took < agent::STOP_LIMIT, "{took:?}");
    }

    fn log(&self) -> String {
        let path = self.scratch.join(&format!("agent-{}.err", self.lives));
        fs::read_to_string(path).unwrap()
    }

    fn metric(&self, name: &str) -> Option<f64> {
        let page = http::get(self.port, "/metrics").ok()?.body;
        let line = page.lines().find(|line| line.starts_with(name))?;
        line.rsplit_once(' ')?.1.parse().ok()
    }

    /// Waits until as many records went to the spool in this life.
    fn until_spooled(&self, n_records: usize) {
        let name = "sidelight_spooled_records_total{exporter=\"file\"}";
        wait::until("records are in the spool", LIMIT, || {
            self.metric(name).filter(|number| *number >= n_records as f64)
        });
    }

    fn readiness(&self) -> String {
        http::get(self.port, "/readyz").map_or_else(|_| String::new(), |answer| answer.body)
    }

    /// Waits until all that was read is settled, and that is on the disk.
    fn until_checkpointed(&self, name: &str) {
        let length = fs::metadata(self.scratch.join("logs").join(name)).unwrap().len();
        let offset = format!("\"offset\":{length},");
        wait::until("the checkpoint is at the end of the file", LIMIT, || {
            let checkpoint = fs::read_to_string(self.state().join("checkpoint.json")).ok()?;
            checkpoint.contains(&offset).then_some(())
        });
    }

    /// Reads the pipe from now on.
    fn read(&self) -> Reader {
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let (pipe, sink) = (self.output.clone(), lines.clone());
        std::thread::spawn(move || {
            // Opened for writing too, so that it does not end between two lives of the agent.
            let file = File::options().read(true).write(true).open(pipe).unwrap();
            for line in BufReader::new(file).lines() {
                sink.lock().unwrap().push(line.unwrap());
            }
        });
        Reader { lines }
    }
}

/// The other end of the pipe.
struct Reader {
    lines: Arc<Mutex<Vec<String>>>,
}

impl Reader {
    fn records(&self) -> Vec<Value> {
        let lines = self.lines.lock().unwrap();
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits for every number of every file; fails where the order within a file is broken, but
    /// that `n_repeats_max` records may come again.
    fn until_all(&self, files: &[(&str, usize)], n_repeats_max: usize) {
        let n_records: usize = files.iter().map(|(_, n)| n).sum();
        wait::until("every line is there", LIMIT, || {
            let distinct: BTreeSet<String> = self.records().iter().map(place).collect();
            (distinct.len() >= n_records).then_some(())
        });
        let records = self.records();
        let n_repeats = records.len() - n_records;
        assert!(n_repeats <= n_repeats_max, "{n_repeats} records came again");
        for (name, n) in files {
            let mut seen = BTreeSet::new();
            let of_file = records.iter().filter(|it| it["file"].as_str().unwrap().ends_with(name));
            let bodies: Vec<&str> = of_file
                .filter(|record| seen.insert(place(record)))
                .map(|record| record["body"].as_str().unwrap())
                .collect();
            let want: Vec<String> =
                (0..*n).map(|number| format!("{name} number {number} [EMAIL]")).collect();
            assert!(bodies == want, "{name}: {} of {n} in order", bodies.len());
        }
    }
}

fn place(record: &Value) -> String {
    format!("{} {}", record["file_id"], record["offset"])
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}

/// Nobody else may read it, and there is no secret in it.
fn check_privacy(folder: &Path) {
    for path in files_below(folder) {
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let want = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, want, "{}", path.display());
        if path.is_file() {
            let bytes = fs::read(&path).unwrap();
            assert!(memchr::memmem::find(&bytes, b"jane.doe").is_none(), "{}", path.display());
        }
    }
}

#[test]
fn kills_in_an_outage_lose_nothing_and_keep_the_order_of_each_file() {
    let mut node = Node::new("request_timeout = \"200ms\"");
    let mut n_written = 0;
    for _ in 0..3 {
        for name in ["a.log", "b.log"] {
            node.append(name, n_written..n_written + 2_000);
        }
        n_written += 2_000;
        node.start();
        node.until_spooled(100);
        wait::until("the circuit is open", LIMIT, || {
            node.metric("sidelight_circuit_open{exporter=\"file\",signal=\"logs\"}")
                .filter(|open| *open == 1.0)
        });
        // Before that a file has no number that lasts.
        wait::until("a checkpoint after the first", LIMIT, || {
            node.metric("sidelight_checkpoints_total").filter(|n| *n >= 2.0)
        });
        node.kill();
        check_privacy(&node.state().join("spool"));
    }
    node.start();
    assert!(node.log().contains("what is in the spool goes out first"), "{}", node.log());
    let reader = node.read();
    node.append("a.log", n_written..n_written + 10);
    // What was not checkpointed at each of three kills: all that had been written, at most.
    reader.until_all(&[("a.log", n_written + 10), ("b.log", n_written)], 4_000 + 8_000 + 12_000);
    wait::until("the spool is empty", LIMIT, || {
        node.metric("sidelight_spool_batches{exporter=\"file\"}").filter(|n| *n == 0.0)
    });
    assert_eq!(node.metric("sidelight_circuit_open{exporter=\"file\",signal=\"logs\"}"), Some(0.0));
    node.stop();
}

#[test]
fn kills_while_the_spool_drains_repeat_no_more_than_what_was_on_its_way() {
    let mut node = Node::new("request_timeout = \"200ms\"");
    // A file where the folder of the output should be.
    let folder = node.scratch.join("output");
    fs::write(&folder, "").unwrap();
    node.output = folder.join("records.jsonl");
    node.append("a.log", 0..30_000);
    node.start();
    node.until_checkpointed("a.log");
    fs::remove_file(&folder).unwrap();
    let output = node.output.clone();
    let whole_lines = |n_least: usize| {
        let text = fs::read_to_string(&output).unwrap_or_default();
        let lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        (lines.len() >= n_least).then_some(lines)
    };
    let mut n_lines = 0;
    for _ in 0..3 {
        let lines = wait::until("some of it drains", LIMIT, || whole_lines(n_lines + 1_000));
        n_lines = lines.len();
        node.process.take().unwrap().kill();
        node.start();
    }
    let last = "number 29999 ";
    let lines = wait::until("the rest drains", LIMIT, || {
        whole_lines(30_000).filter(|lines| lines.last().is_some_and(|line| line.contains(last)))
    });
    node.stop();
    let reader = Reader { lines: Arc::new(Mutex::new(lines)) };
    let n_batch = 64 * 1024 / 60;
    reader.until_all(&[("a.log", 30_000)], 3 * n_batch);
}

#[test]
fn an_orderly_stop_in_an_outage_repeats_nothing() {
    let mut node = Node::new("request_timeout = \"200ms\"");
    for life in 0..3 {
        node.append("a.log", life * 500..life * 500 + 500);
        node.start();
        node.until_spooled(100);
        node.stop();
        let log = node.log();
        assert!(log.contains("not delivered") && log.contains("spooled_records="), "{log}");
    }
    node.start();
    let reader = node.read();
    reader.until_all(&[("a.log", 1_500)], 0);
    node.append("a.log", 1_500..1_600);
    reader.until_all(&[("a.log", 1_600)], 0);
    node.stop();
    assert!(node.log().contains("everything that was read is delivered"));
}

#[test]
fn a_reader_that_comes_and_goes_gets_whole_lines_only() {
    let mut node = Node::new("request_timeout = \"200ms\"");
    node.append("a.log", 0..5_000);
    node.start();
    node.until_spooled(1_000);
    // Takes a little and goes in the middle of a line.
    let mut file = File::open(&node.output).unwrap();
    let mut some = vec![0; 100_001];
    std::io::Read::read_exact(&mut file, &mut some).unwrap();
    drop(file);
    wait::until("the agent saw it go", LIMIT, || {
        node.metric("sidelight_exports_total{exporter=\"file\",outcome=\"error\"}")
            .filter(|n| *n >= 1.0)
    });
    let reader = node.read();
    let last = wait::until("the rest comes", LIMIT, || {
        let records = reader.records();
        let last = records.last()?["body"].as_str()?.to_owned();
        (last == "a.log number 4999 [EMAIL]").then_some(records)
    });
    // What lay in the pipe went with the first reader; from the batch it broke off in, all is there.
    assert!(last.len() > 4_000 && place(&last[0]) != place(&last[1]));
    node.stop();
}

#[test]
fn what_a_full_disk_does_not_take_waits_for_the_next_start_and_strict_exit_tells() {
    let node = Node::new("");
    node.append("a.log", 0..1_000);
    let failed = node.once(Path::new("/dev/full"), &["--strict-exit"]);
    let log = String::from_utf8(failed.stderr).unwrap();
    assert_eq!(failed.status.code(), Some(69), "{log}");
    assert!(log.contains("spooled_records=1000"), "{log}");
    let output = node.scratch.join("records.jsonl");
    node.append("a.log", 1_000..1_100);
    let done = node.once(&output, &["--strict-exit"]);
    let log = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(0), "{log}");
    let text = fs::read_to_string(output).unwrap();
    assert_eq!(text.lines().count(), 1_100);
    assert!(text.lines().last().unwrap().contains("number 1099"));
}

/// A file system of this size, for as long as it lives.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: &Path, size: &str) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "none"]).arg(folder);
        mount.status().is_ok_and(|it| it.success()).then(|| Self(folder.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_state_disk_stops_reading_says_so_and_goes_on_by_itself() {
    let mut node = Node::new("request_timeout = \"200ms\"");
    let Some(_disk) = SmallDisk::mount(&node.state(), "1m") else {
        return say("SKIP a_full_state_disk_stops_reading_says_so_and_goes_on_by_itself: no mount");
    };
    node.append("a.log", 0..20_000);
    node.start();
    wait::until("the agent is degraded", LIMIT, || {
        node.readiness().contains("spool_failed:file").then_some(())
    });
    assert!(node.log().contains("the spool cannot be written; reading waits"), "{}", node.log());
    assert_eq!(http::get(node.port, "/livez").unwrap().status, 200);
    let reader = node.read();
    reader.until_all(&[("a.log", 20_000)], 0);
    wait::until("the agent is ready again", LIMIT, || {
        (http::get(node.port, "/readyz").ok()?.status == 200).then_some(())
    });
    node.stop();
}

#[test]
fn dead_letters_are_listed_beside_a_running_agent_and_changed_by_none() {
    let mut node = Node::new("");
    node.start();
    let folder = node.state().join("dead_letters/file");
    fs::create_dir_all(&folder).unwrap();
    let letter = "{\"time\":\"2026-01-31T02:00:00Z\",\"reason\":\"too old for jane.doe@example.com\",\
                  \"record\":{\"body\":\"one\",\"offset\":7}}\n";
    fs::write(folder.join("000000000001.jsonl"), letter).unwrap();
    let state = node.state();
    let dlq = |arguments: &[&str]| {
        let mut command = Command::new(agent::binary());
        command.arg("dlq").args(arguments).arg("--state-dir").arg(&state);
        let output = command.output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), said)
    };
    let (code, said) = dlq(&["ls"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("file: 1 dead letters") && said.contains("too old for [EMAIL]"),
        "{said}"
    );
    let (_, said) = dlq(&["show", "file"]);
    assert!(said.contains("\"offset\":7") && !said.contains("jane"), "{said}");
    for arguments in [&["replay"][..], &["purge", "--yes"]] {
        let (code, said) = dlq(arguments);
        assert_eq!(code, Some(69), "{said}");
        assert!(said.contains("stop it first"), "{said}");
    }
    let _reader = node.read();
    node.stop();
    // Without a config they go to standard output, which the command writes to as well.
    let (code, said) = dlq(&["replay"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("\"offset\":7") && said.contains("file: 1 sent"), "{said}");
    fs::write(folder.join("000000000001.jsonl"), letter).unwrap();
    assert_eq!(dlq(&["purge"]).0, Some(64));
    assert_eq!(dlq(&["purge", "--yes"]), (Some(0), "1 dead letters deleted\n".to_owned()));
}
