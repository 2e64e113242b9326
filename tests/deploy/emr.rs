//! The bootstrap action of EMR in a folder instead of a node, with stubs of what the node has, and then the
//! installed agent over containers of YARN that come, roll and vanish.

use super::shipped;
use crate::harness::bed::LIMIT;
use crate::harness::process::Process;
use crate::harness::scratch::{Scratch, fixture};
use crate::harness::{agent, http, wait};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Programs of a node, each of which writes down how it was called. `aws` copies from a folder.
const STUBS: [(&str, &str); 5] = [
    ("sudo", r#"exec "$@""#),
    ("chown", "exit 0"),
    (
        "useradd",
        r#"[ "$1" = --root ] && echo "sidelight:x:990:990::/:/sbin/nologin" >>"$2/etc/passwd""#,
    ),
    ("systemctl", r#"[ "$1" = --version ] && echo "systemd $SYSTEMD_VERSION (x)"; exit 0"#),
    (
        "aws",
        r#"[ "$1 $2 $3" = "s3 cp --only-show-errors" ] && cp "$BUCKET/${4#s3://bucket/}" "$5""#,
    ),
];

/// A node and a bucket.
struct Node {
    scratch: Scratch,
    sha256: String,
}

impl Node {
    /// A node on which nothing is installed yet.
    fn new() -> Self {
        let scratch = Scratch::new();
        for folder in ["root/etc", "root/mnt/var/lib/info", "bin", "bucket"] {
            fs::create_dir_all(scratch.join(folder)).unwrap();
        }
        fs::write(scratch.join("root/etc/passwd"), "").unwrap();
        for (name, script) in STUBS {
            let calls = scratch.join("calls");
            let text = format!("#!/bin/sh\necho {name} \"$*\" >>{}\n{script}\n", calls.display());
            executable(&scratch.join("bin").join(name), &text);
        }
        let sha256 = artifact(&scratch);
        let node = Self { scratch, sha256 };
        node.info("instance.json", r#"{ "isMaster" : false, "isRunningNameNode" : false }"#);
        node.info("job-flow.json", "{\n  \"jobFlowId\" : \"j-2AXXXXXXGAPLF\",\n  \"x\" : 1 }");
        node
    }

    fn info(&self, name: &str, text: &str) {
        fs::write(self.path("mnt/var/lib/info").join(name), text).unwrap();
    }

    /// A path on the node.
    fn path(&self, name: &str) -> PathBuf {
        self.scratch.join("root").join(name)
    }

    fn bootstrap(&self, arguments: &[&str]) -> Output {
        self.bootstrap_on("252", arguments)
    }

    fn bootstrap_on(&self, systemd: &str, arguments: &[&str]) -> Output {
        let start = Instant::now();
        let old = std::env::var("PATH").unwrap();
        let output = Command::new(shipped("emr/bootstrap.sh"))
            .args(arguments)
            .env("PATH", format!("{}:{old}", self.scratch.join("bin").display()))
            .env("INSTALL_ROOT", self.scratch.join("root"))
            .env("BUCKET", self.scratch.join("bucket"))
            .env("SYSTEMD_VERSION", systemd)
            .output()
            .unwrap();
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "a bootstrap action holds up the cluster"
        );
        output
    }

    /// Arguments of a good call.
    fn good(&self) -> [&str; 4] {
        ["--artifact", "s3://bucket/sidelight.tar.gz", "--sha256", &self.sha256]
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.scratch.join("calls")).unwrap_or_default()
    }

    fn environment(&self) -> String {
        fs::read_to_string(self.path("etc/sidelight/environment")).unwrap()
    }
}

fn executable(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Packs what configs/packaging/build packs, the program being a script that calls the one of this build.
/// Returns the SHA-256 of it.
fn artifact(scratch: &Scratch) -> String {
    let tree = scratch.join("sidelight-0.1.0-x86_64-linux");
    for folder in ["usr/bin", "usr/lib/systemd/system", "usr/share/sidelight/emr", "etc/sidelight"]
    {
        fs::create_dir_all(tree.join(folder)).unwrap();
    }
    let program = format!("#!/bin/sh\nexec {} \"$@\"\n", agent::binary().display());
    executable(&tree.join("usr/bin/sidelight"), &program);
    for (source, target) in [
        ("packaging/install.sh", "install.sh"),
        ("packaging/sidelight.service", "usr/lib/systemd/system/sidelight.service"),
        ("packaging/sidelight.toml", "etc/sidelight/sidelight.toml"),
    ] {
        fs::copy(shipped(source), tree.join(target)).unwrap();
    }
    for entry in fs::read_dir(shipped("emr")).unwrap().map(|entry| entry.unwrap().path()) {
        let target = tree.join("usr/share/sidelight/emr").join(entry.file_name().unwrap());
        fs::copy(&entry, target).unwrap();
    }
    let packed = scratch.join("bucket/sidelight.tar.gz");
    let mut tar = Command::new("tar");
    tar.arg("-czf").arg(&packed).arg("-C").arg(scratch.join("")).arg(tree.file_name().unwrap());
    assert!(tar.status().unwrap().success(), "tar");
    let sum = Command::new("sha256sum").arg(&packed).output().unwrap();
    String::from_utf8(sum.stdout).unwrap()[..64].to_owned()
}

#[test]
fn a_node_is_installed_enabled_and_knows_its_cluster_and_its_role() {
    for (instance, node_type) in [
        (r#"{"isMaster":true}"#, "primary"),
        ("{\n \"isMaster\" : false\n}", "worker"),
        ("not json", "worker"),
    ] {
        let node = Node::new();
        node.info("instance.json", instance);
        // The second run finds what the first one left.
        for _ in 0..2 {
            let output = node.bootstrap(&[&node.good()[..], &["--strict"]].concat());
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let wanted = format!("EMR_CLUSTER_ID=j-2AXXXXXXGAPLF\nEMR_NODE_TYPE={node_type}\n");
        assert_eq!(node.environment(), wanted);
        let shutdown = "mnt/var/lib/instance-controller/public/shutdown-actions/sidelight.sh";
        for (path, mode) in [
            ("usr/bin/sidelight", 0o755),
            ("etc/sidelight/sidelight.toml", 0o644),
            ("etc/systemd/system/sidelight.service.d/emr.conf", 0o644),
            ("usr/lib/systemd/system/sidelight.service", 0o644),
            (shutdown, 0o755),
        ] {
            let found = fs::metadata(node.path(path)).unwrap_or_else(|_| panic!("{path} is there"));
            assert_eq!(found.permissions().mode() & 0o777, mode, "{path}");
        }
        let users = fs::read_to_string(node.path("etc/passwd")).unwrap();
        assert_eq!(users.matches("sidelight:").count(), 1);
        let calls = node.calls();
        for call in ["daemon-reload", "enable sidelight", "restart --no-block sidelight"] {
            assert!(calls.contains(&format!("\nsystemctl {call}\n")), "{calls}");
        }
    }
}

#[test]
fn a_node_that_says_nothing_of_itself_is_installed_all_the_same() {
    let node = Node::new();
    fs::remove_dir_all(node.path("mnt/var/lib/info")).unwrap();
    assert!(node.bootstrap(&[&node.good()[..], &["--strict"]].concat()).status.success());
    assert_eq!(node.environment(), "EMR_CLUSTER_ID=\nEMR_NODE_TYPE=worker\n");
}

#[test]
fn an_old_systemd_gets_what_it_knows() {
    for (systemd, is_old) in [("219", true), ("252", false)] {
        let node = Node::new();
        assert!(
            node.bootstrap_on(systemd, &[&node.good()[..], &["--strict"]].concat())
                .status
                .success()
        );
        let unit = node.path("etc/systemd/system/sidelight.service.d/emr.conf");
        let text = fs::read_to_string(unit).unwrap();
        assert_eq!(text.contains("MemoryLimit="), is_old, "{text}");
        assert_eq!(text.contains("AmbientCapabilities="), !is_old, "{text}");
    }
}

#[test]
fn whatever_goes_wrong_the_node_lives_unless_strict_and_nothing_is_half_installed() {
    let node = Node::new();
    let good = node.good().map(str::to_owned);
    let bad_config = shipped("emr/sidelight.toml");
    let text = fs::read_to_string(bad_config).unwrap().replace("timezone", "time_zone");
    fs::write(node.scratch.join("bucket/bad.toml"), text).unwrap();
    let wrong_sum = "0".repeat(64);
    let with = |changes: &[(usize, &str)], more: &[&str]| -> Vec<String> {
        let mut all = good.to_vec();
        changes.iter().for_each(|(at, value)| (*value).clone_into(&mut all[*at]));
        all.extend(more.iter().map(|&it| it.to_owned()));
        all
    };
    for (what, arguments) in [
        ("another sum", with(&[(3, wrong_sum.as_str())], &[])),
        ("no such object", with(&[(1, "s3://bucket/none.tar.gz")], &[])),
        ("not an archive", with(&[(1, "s3://bucket/bad.toml")], &[])),
        ("a wrong config", with(&[], &["--config", "s3://bucket/bad.toml"])),
        ("no such config", with(&[], &["--config", "s3://bucket/none.toml"])),
        ("an unknown argument", with(&[], &["--what"])),
        ("no value", with(&[], &["--config"])),
        ("no arguments", Vec::new()),
    ] {
        let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        // First, as an argument without a value is last.
        for (code, more) in [(0, None), (1, Some("--strict"))] {
            if let Some(more) = more {
                arguments.insert(0, more);
            }
            let output = node.bootstrap(&arguments);
            let told = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{what}: {told}");
            assert!(told.contains("runs without Sidelight"), "{what}: {told}");
            assert!(!node.path("usr/bin/sidelight").exists(), "{what}");
        }
    }
    assert!(!node.calls().contains("systemctl"), "{}", node.calls());
}

/// Beside containers of YARN, with the config that was installed, but for its destination.
#[test]
fn the_installed_agent_reads_containers_that_come_roll_and_vanish() {
    let node = Node::new();
    let config = fs::read_to_string(shipped("emr/sidelight.toml")).unwrap();
    let head = config.split("[exporters.cloudwatch_logs]").next().unwrap();
    // On the node these are absolute; here they are of its folder.
    let logs = format!("\"{}/var/log/", node.path("").display().to_string().trim_end_matches('/'));
    let config = head.replace("\"/var/log/", &logs) + "[exporters.file]\npath = \"-\"\n";
    fs::write(node.scratch.join("bucket/mine.toml"), config).unwrap();
    let more = ["--config", "s3://bucket/mine.toml", "--strict"];
    let output = node.bootstrap(&[&node.good()[..], &more].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let port = http::free_port();
    let mut command = Command::new(node.path("usr/bin/sidelight"));
    command.args(["run", "-c"]).arg(node.path("etc/sidelight/sidelight.toml"));
    // As EnvironmentFile= of the unit does.
    for line in node.environment().lines() {
        let (name, value) = line.split_once('=').unwrap();
        command.env(name, value);
    }
    command
        .env("SIDELIGHT_STATE_DIR", node.path("var/lib/sidelight"))
        .env("SIDELIGHT_ADMIN__LISTEN", format!("127.0.0.1:{port}"));
    let records = node.scratch.join("records.jsonl");
    let mut process = Process::start("sidelight", &command, &records, &node.scratch.join("log"));
    wait::until("the agent answers", LIMIT, || http::get(port, "/livez").ok());

    let head = fs::read_to_string(fixture("logs/spark35-executor-mdc.stderr")).unwrap();
    // The folder of YARN is not there before the applications are installed.
    let application = "application_1700000000000_0007";
    let mut n_written = 0;
    for attempt in 1..=3 {
        let container = format!("container_1700000000000_0007_01_{attempt:06}");
        let folder = node.path("var/log/hadoop-yarn/containers").join(application).join(container);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("prelaunch.out"), "Setting up env variables\n").unwrap();
        fs::write(folder.join("stderr"), &head).unwrap();
        for part in 0..2 {
            let mut text = String::new();
            for _ in 0..200 {
                n_written += 1;
                text += &format!("26/11/27 10:00:00 INFO Job: SEQ yarn {n_written}\n");
            }
            let mut file =
                fs::File::options().append(true).create(true).open(folder.join("stderr")).unwrap();
            std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
            if part == 0 {
                fs::rename(folder.join("stderr"), folder.join("stderr.1")).unwrap();
            }
        }
        // Seen, though perhaps not read yet, when YARN takes the folder away.
        wait::until("the container was seen", LIMIT, || {
            let text = fs::read_to_string(&records).unwrap();
            text.contains(&format!("SEQ yarn {n_written}\"")).then_some(())
        });
        fs::remove_dir_all(&folder).unwrap();
    }
    assert_eq!(process.terminate(LIMIT).0.code(), Some(0));
    let text = fs::read_to_string(&records).unwrap();
    let mut numbers = Vec::new();
    for line in text.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(record["job_id"], application, "{record}");
        assert_eq!(record["run_context"], "j-2AXXXXXXGAPLF", "{record}");
        assert!(!record["file"].as_str().unwrap().contains("prelaunch"), "{record}");
        if let Some(number) = record["body"].as_str().unwrap().strip_prefix("SEQ yarn ") {
            numbers.push(number.parse::<u32>().unwrap());
            assert!(record["file"].as_str().unwrap().contains("/container_17"), "{record}");
        }
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=n_written).collect::<Vec<_>>());
}
