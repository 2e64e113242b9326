//! The checkpoint as users meet it: `sidelight state`, damage, and a disk that takes nothing.

use crate::harness::process::Process;
use crate::harness::report::say;
use crate::harness::scratch::Scratch;
use crate::harness::{agent, http, wait};
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

/// The agent over one log file.
struct Node {
    scratch: Scratch,
    port: u16,
}

impl Node {
    fn new() -> Self {
        let node = Self { scratch: Scratch::new(), port: http::free_port() };
        let text = format!(
            "state_dir = {:?}\n[admin]\nlisten = \"127.0.0.1:{}\"\n[tail]\ninclude = [{:?}]\n\
             read_from = \"beginning\"\npoll_interval = \"10ms\"\nidentity_wait = \"0\"\n\
             [scrapers]\n[exporters.file]\npath = {:?}\n",
            node.state(""),
            node.port,
            node.log(),
            node.records(),
        );
        fs::write(node.scratch.join("sidelight.toml"), text).unwrap();
        node
    }

    fn log(&self) -> PathBuf {
        self.scratch.join("app.log")
    }

    fn records(&self) -> PathBuf {
        self.scratch.join("records.jsonl")
    }

    fn state(&self, name: &str) -> PathBuf {
        self.scratch.join("state").join(name)
    }

    /// Lines `first..=last`, all of the same length.
    fn append(&self, first: usize, last: usize) {
        let mut file = File::options().create(true).append(true).open(self.log()).unwrap();
        for number in first..=last {
            writeln!(file, "2026-01-01 00:00:00 INFO line {number:04}").unwrap();
        }
    }

    fn line_bytes() -> u64 {
        "2026-01-01 00:00:00 INFO line 0000\n".len() as u64
    }

    fn command(&self, program: &str, before: &[&str], arguments: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(before).args(arguments).arg("-c").arg(self.scratch.join("sidelight.toml"));
        command.output().unwrap()
    }

    /// Reads to the end; the numbers of the lines that were delivered, and the ids of their files.
    fn once(&self) -> (Vec<usize>, Vec<String>) {
        fs::write(self.records(), "").unwrap();
        let output = self.command(agent::binary().to_str().unwrap(), &[], &["run", "--once"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let (mut numbers, mut ids) = (Vec::new(), Vec::new());
        for record in fs::read_to_string(self.records()).unwrap().lines() {
            let record: Value = serde_json::from_str(record).unwrap();
            let record = record.as_object().unwrap();
            let text = serde_json::to_string(record).unwrap();
            let (_, number) = text.split_once("line ").unwrap();
            numbers.push(number[..4].parse().unwrap());
            ids.push(record["file_id"].as_str().unwrap().to_owned());
        }
        ids.dedup();
        (numbers, ids)
    }

    /// Exit code, standard output and standard error of `sidelight state`.
    fn state_command(&self, arguments: &[&str]) -> (i32, String, String) {
        let arguments = [&["state"], arguments].concat();
        let output = self.command(agent::binary().to_str().unwrap(), &[], &arguments);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    fn list(&self) -> Value {
        let (code, out, error) = self.state_command(&["ls", "--json"]);
        assert_eq!(code, 0, "{error}");
        serde_json::from_str(&out).unwrap()
    }

    fn start(&self) -> Process {
        let mut command = Command::new(agent::binary());
        command.arg("run").arg("-c").arg(self.scratch.join("sidelight.toml"));
        let log = |stream| self.scratch.join(stream);
        let process = Process::start("sidelight", &command, &log("stdout"), &log("stderr"));
        self.wait_ready(200);
        process
    }

    fn wait_ready(&self, status: u16) -> String {
        wait::until(&format!("/readyz answers {status}"), LIMIT, || {
            let answer = http::get(self.port, "/readyz").ok()?;
            (answer.status == status).then_some(answer.body)
        })
    }

    fn wait_for_offset(&self, offset: u64) {
        wait::until("the checkpoint is written", LIMIT, || {
            (self.state("checkpoint.json").exists() && self.list()[0]["offset"] == offset)
                .then_some(())
        });
    }
}

#[test]
fn after_set_offset_the_next_start_delivers_exactly_from_there() {
    let node = Node::new();
    let line = Node::line_bytes();
    node.append(1, 100);
    let (numbers, ids) = node.once();
    assert_eq!(numbers, (1..=100).collect::<Vec<_>>());
    let path = node.log();
    let path = path.to_str().unwrap();
    for (by, first) in [(path, 91), (ids[0].as_str(), 2), (path, 1), (path, 100)] {
        let offset = (line * (first as u64 - 1)).to_string();
        let (code, out, error) = node.state_command(&["set-offset", by, &offset]);
        assert_eq!(code, 0, "{error}");
        assert!(out.contains("delivered again"), "{out}");
        let (numbers, same) = node.once();
        assert_eq!(numbers, (first..=100).collect::<Vec<_>>(), "from {offset}");
        assert_eq!(same, ids, "it is the same file");
    }
    assert_eq!(node.state_command(&["set-offset", path, "beginning"]).0, 0);
    assert_eq!(node.once().0.len(), 100);
    // To the end, over what was never read; the line that is not finished yet is not skipped.
    node.append(101, 200);
    let mut file = File::options().append(true).open(path).unwrap();
    write!(file, "2026-01-01 00:00:00 INFO line 02").unwrap();
    let (code, out, _) = node.state_command(&["set-offset", path, "end"]);
    assert!(code == 0 && out.contains(&format!("{} bytes are skipped", line * 100)), "{out}");
    writeln!(file, "01").unwrap();
    assert_eq!(node.once().0, [201]);
}

#[test]
fn an_offset_within_a_line_or_beyond_the_file_is_refused_and_changes_nothing() {
    let node = Node::new();
    let line = Node::line_bytes();
    node.append(1, 10);
    node.once();
    let before = fs::read(node.state("checkpoint.json")).unwrap();
    let path = node.log();
    let path = path.to_str().unwrap();
    let inside = (line * 3 + 5).to_string();
    let (code, _, error) = node.state_command(&["set-offset", path, &inside]);
    assert_eq!(code, 64);
    assert!(error.contains(&format!("{} and {}", line * 3, line * 4)), "{error}");
    let beyond = (line * 10 + 1).to_string();
    let (code, _, error) = node.state_command(&["set-offset", path, &beyond]);
    assert_eq!(code, 64);
    assert!(error.contains(&(line * 10).to_string()), "{error}");
    assert_eq!(node.state_command(&["set-offset", "/no/such.log", "0"]).0, 66);
    assert_eq!(node.state_command(&["set-offset", path, "-5"]).0, 64);
    assert_eq!(fs::read(node.state("checkpoint.json")).unwrap(), before);
}

#[test]
fn a_forgotten_file_is_a_new_one() {
    let node = Node::new();
    node.append(1, 10);
    let (_, ids) = node.once();
    assert!(node.once().0.is_empty(), "nothing comes twice");
    let path = node.log();
    let (code, out, _) = node.state_command(&["forget", path.to_str().unwrap()]);
    assert!(code == 0 && out.contains("forgot 1 of 1"), "{out}");
    let (numbers, new_ids) = node.once();
    assert_eq!(numbers.len(), 10);
    assert_ne!(new_ids, ids);
    // What is there is not forgotten with what is gone.
    assert!(node.state_command(&["forget", "--gone"]).1.contains("forgot 0 of 1"));
    fs::remove_file(path).unwrap();
    assert_eq!(node.list()[0]["state"], "gone");
    assert!(node.state_command(&["forget", "--gone"]).1.contains("forgot 1 of 1"));
    assert_eq!(node.list().as_array().unwrap().len(), 0);
}

#[test]
fn beside_a_running_agent_the_state_can_be_read_and_not_changed() {
    let node = Node::new();
    node.append(1, 10);
    let mut process = node.start();
    node.wait_for_offset(Node::line_bytes() * 10);
    let list = node.list();
    assert_eq!(list[0]["size_bytes"], Node::line_bytes() * 10);
    assert_eq!((&list[0]["lag_bytes"], &list[0]["state"]), (&0.into(), &"there".into()));
    let id = list[0]["id"].as_str().unwrap();
    let record = fs::read_to_string(node.records()).unwrap();
    assert!(record.contains(&format!(r#""file_id":"{id}""#)), "the id of records");
    let (code, out, _) = node.state_command(&["show", id]);
    assert_eq!(code, 0);
    assert_eq!(out.matches("the same on the disk").count(), 2, "{out}");
    assert!(node.state_command(&["ls"]).1.contains(id));
    assert_eq!(node.state_command(&["verify"]).0, 0);
    for change in [&["forget", id][..], &["forget", "--gone"], &["set-offset", id, "0"]] {
        let (code, _, error) = node.state_command(change);
        assert!(code == 69 && error.contains("an agent runs"), "{code} {error}");
    }
    process.terminate(LIMIT);
    fs::write(node.log(), "2026-01-01 00:00:00 INFO other 1\n".repeat(20)).unwrap();
    let (_, out, _) = node.state_command(&["show", id]);
    assert_eq!(out.matches("DIFFERENT on the disk").count(), 2, "{out}");
    assert_eq!(node.state_command(&["set-offset", id, "0"]).0, 64);
}

#[test]
fn verify_tells_damage_and_what_a_start_will_do_and_the_start_does_it() {
    let node = Node::new();
    let (code, _, error) = node.state_command(&["verify"]);
    assert!(code == 66 && error.contains("--state-dir"), "{code} {error}");
    assert!(!node.state("").exists(), "looking makes nothing");
    node.append(1, 10);
    node.once();
    node.append(11, 20);
    node.once();
    let (code, out, _) = node.state_command(&["verify"]);
    assert_eq!((code, out.matches("whole, version 1, 1 files").count()), (0, 2), "{out}");
    fs::write(node.state("checkpoint.json"), "").unwrap();
    let (code, out, _) = node.state_command(&["verify"]);
    assert!(code == 65 && out.contains("empty") && out.contains("falls back"), "{code} {out}");
    let numbers = node.once().0;
    assert_eq!(numbers.last(), Some(&20), "from the generation before");
    assert!(numbers.len() <= 20);
    for name in ["checkpoint.json", "checkpoint.previous.json"] {
        fs::write(node.state(name), r#"{"version":9,"more":"of it"}"#).unwrap();
    }
    let (code, out, _) = node.state_command(&["verify"]);
    assert!(code == 65 && out.contains("a newer sidelight"), "{out}");
    fs::write(node.records(), "").unwrap();
    let output = node.command(agent::binary().to_str().unwrap(), &[], &["run", "--once"]);
    assert!(output.status.success());
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("a newer sidelight") && log.contains("no checkpoint is left"), "{log}");
    let kept = fs::read_to_string(node.state("checkpoint.damaged-2")).unwrap();
    assert!(kept.contains("of it"));
    assert_eq!(node.state_command(&["verify"]).0, 0);
}

#[test]
fn a_checkpoint_that_this_user_may_not_read_is_a_clear_error_and_not_a_first_start() {
    let node = Node::new();
    node.append(1, 10);
    node.once();
    let mode = |mode| {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(node.state("checkpoint.json"), mode).unwrap();
    };
    mode(0o000);
    // Root without the right to read everything is like anybody else.
    let drop = ["--bounding-set=-dac_override,-dac_read_search", "--"];
    let is_root = fs::File::open(node.state("checkpoint.json")).is_ok();
    let binary = agent::binary();
    let binary = binary.to_str().unwrap();
    let output = match is_root {
        true => node.command("setpriv", &[&drop[..], &[binary]].concat(), &["run", "--once"]),
        false => node.command(binary, &[], &["run", "--once"]),
    };
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{error}");
    assert!(error.contains("checkpoint.json") && error.contains("chown or chmod"), "{error}");
    mode(0o600);
    assert!(node.once().0.is_empty(), "nothing was lost by that");
}

#[test]
fn a_checkpoint_that_cannot_be_written_makes_the_agent_unready_until_it_can() {
    let node = Node::new();
    node.append(1, 10);
    let mut process = node.start();
    node.wait_for_offset(Node::line_bytes() * 10);
    let in_the_way = node.state("checkpoint.previous.json");
    let _ = fs::remove_file(&in_the_way);
    fs::create_dir_all(in_the_way.join("not empty")).unwrap();
    node.append(11, 20);
    let body = node.wait_ready(503);
    assert!(body.contains("degraded: checkpoint cannot be written"), "{body}");
    assert!(!node.state("checkpoint.tmp").exists());
    assert_eq!(node.state_command(&["verify"]).0, 0, "the generation before stays");
    fs::remove_dir_all(&in_the_way).unwrap();
    node.wait_ready(200);
    node.wait_for_offset(Node::line_bytes() * 20);
    assert!(process.terminate(LIMIT).0.success());
}

/// A small disk; gone with the value.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None when this user may not mount one.
    fn mount(folder: PathBuf) -> Option<Self> {
        fs::create_dir_all(&folder).unwrap();
        let options = ["-t", "tmpfs", "-o", "size=128k", "tmpfs"];
        let mounted = Command::new("mount").args(options).arg(&folder).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn a_full_disk_costs_no_checkpoint_and_writing_goes_on_when_there_is_room() {
    let node = Node::new();
    let Some(_disk) = SmallDisk::mount(node.state("")) else {
        say("not tested: this user may not mount a small disk");
        return;
    };
    node.append(1, 10);
    let mut process = node.start();
    node.wait_for_offset(Node::line_bytes() * 10);
    let filler = node.state("filler");
    let mut file = File::create(&filler).unwrap();
    while file.write(&[7; 4096]).is_ok() {}
    node.append(11, 20);
    node.wait_ready(503);
    assert!(!node.state("checkpoint.tmp").exists());
    let (code, out, _) = node.state_command(&["verify"]);
    assert_eq!(code, 0, "{out}");
    let metrics = http::get(node.port, "/metrics").unwrap().body;
    let errors = metrics.lines().find(|line| line.starts_with("sidelight_checkpoint_errors_total"));
    assert!(errors.is_some_and(|line| !line.ends_with(" 0")), "{errors:?}");
    drop(file);
    fs::remove_file(filler).unwrap();
    node.wait_ready(200);
    node.wait_for_offset(Node::line_bytes() * 20);
    assert!(process.terminate(LIMIT).0.success());
}
