//! A real standalone Flink: a JobManager and a TaskManager, with Flink's own Prometheus reporter. That
//! one listens on every address and cannot be told otherwise, so that all of it belongs into a network
//! namespace of its own, see [`in_own_network`].

use super::process::Process;
use super::report::say;
use super::scratch::{Scratch, fixture};
use super::{http, peers, wait};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// JVMs start within seconds, but not on a machine that is busy compiling.
pub(crate) const START_LIMIT: Duration = Duration::from_secs(180);
/// Ports of the namespace, which nobody else uses.
pub(crate) const REST_PORT: u16 = 8081;
const REPORTER_PORTS: [u16; 2] = [9249, 9250];

/// Set in the process that runs within the namespace.
const INSIDE: &str = "SIDELIGHT_TEST_NETWORK";

/// Runs this test, by its whole name, again in a network namespace that has nothing but loopback.
/// True in the process that shall do the work; none when this machine does not allow it.
pub(crate) fn in_own_network(test: &str) -> Option<bool> {
    if std::env::var_os(INSIDE).is_some() {
        return Some(true);
    }
    let may = Command::new("unshare").args(["-n", "ip", "link", "set", "lo", "up"]).status();
    if !may.is_ok_and(|status| status.success()) {
        return None;
    }
    let own = std::env::current_exe().unwrap();
    let status = Command::new("unshare")
        .args(["-n", "sh", "-c", r#"ip link set lo up && exec "$0" "$@""#])
        .arg(own)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "own")
        .status()
        .unwrap();
    assert!(status.success(), "{test} failed in its namespace");
    Some(false)
}

/// One cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    home: PathBuf,
    folder: PathBuf,
    manager: Process,
    workers: Vec<Process>,
}

impl Cluster {
    /// Starts both and waits until the TaskManager is registered.
    pub(crate) fn start(environment: &str, scratch: &Scratch) -> Self {
        let (home, folder) = (peers::flink(environment), scratch.join("flink"));
        for name in ["conf", "log", "checkpoints", "tmp"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        for entry in fs::read_dir(home.join("conf")).unwrap().map(|entry| entry.unwrap().path()) {
            fs::copy(&entry, folder.join("conf").join(entry.file_name().unwrap())).unwrap();
        }
        fs::write(folder.join("conf/config.yaml"), config(&home, &folder)).unwrap();
        let mut command = command(&home, &folder, "jobmanager.sh");
        command.args(["start-foreground", "127.0.0.1", &REST_PORT.to_string()]);
        let out = |stream| folder.join(format!("jobmanager.{stream}"));
        let manager = Process::start("jobmanager", &command, &out("stdout"), &out("stderr"));
        let mut cluster = Self { home, folder, manager, workers: Vec::new() };
        cluster.start_worker();
        cluster
    }

    /// Starts a TaskManager and waits until it is registered.
    pub(crate) fn start_worker(&mut self) {
        let mut command = command(&self.home, &self.folder, "taskmanager.sh");
        command.arg("start-foreground");
        let name = format!("taskmanager-{}", self.workers.len());
        let out = |stream| self.folder.join(format!("{name}.{stream}"));
        self.workers.push(Process::start(&name, &command, &out("stdout"), &out("stderr")));
        wait::until("a TaskManager is registered", START_LIMIT, || {
            let overview = http::get_json(REST_PORT, "/overview")?;
            (overview["slots-total"].as_u64()? >= 8).then_some(())
        });
    }

    /// Ends the TaskManager by SIGKILL.
    pub(crate) fn kill_worker(&mut self) {
        self.workers.last_mut().unwrap().kill();
    }

    /// Where both write their logs.
    pub(crate) fn logs(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Compiles tests/fixtures/flink/OrdersJob.java.
    pub(crate) fn compile(&self) -> PathBuf {
        let classes = self.folder.join("classes");
        fs::create_dir_all(&classes).unwrap();
        let libraries = format!("{}/*", self.home.join("lib").display());
        let source = fixture("flink/OrdersJob.java");
        let mut javac = Command::new("javac");
        javac.args(["-proc:none", "-nowarn", "-cp", &libraries, "-d"]).arg(&classes).arg(source);
        assert!(javac.status().unwrap().success(), "javac");
        let jar = self.folder.join("orders.jar");
        let mut pack = Command::new("jar");
        pack.arg("cf").arg(&jar).arg("-C").arg(&classes).arg(".");
        assert!(pack.status().unwrap().success(), "jar");
        jar
    }

    /// Submits the job in `mode` and returns its id.
    pub(crate) fn submit(&self, jar: &Path, mode: &str, rate: u32) -> String {
        let mut flink = command(&self.home, &self.folder, "flink");
        flink.args(["run", "-d", "-c", "OrdersJob"]).arg(jar).arg(mode).arg(rate.to_string());
        let output = flink.output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let id = told.split("JobID ").nth(1).map(|rest| rest.trim().chars().take(32).collect());
        id.unwrap_or_else(|| {
            panic!("no job: {told}{}", String::from_utf8_lossy(&output.stderr));
        })
    }

    /// Cancels a job, which the agent itself has no way to.
    pub(crate) fn cancel(&self, id: &str) {
        let mut stream = TcpStream::connect(("127.0.0.1", REST_PORT)).unwrap();
        write!(
            stream,
            "PATCH /jobs/{id}?mode=cancel HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
             Content-Length: 0\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        assert!(answer.contains("202"), "{answer}");
    }

    /// What Flink's own reporters say now, of both processes.
    pub(crate) fn reported(&self) -> String {
        let bodies = REPORTER_PORTS.iter().filter_map(|port| http::get(*port, "/metrics").ok());
        bodies.map(|answer| answer.body).collect()
    }

    /// Stops everything.
    pub(crate) fn stop(mut self) {
        for worker in &mut self.workers {
            if worker.exit_status().is_none() {
                worker.terminate(START_LIMIT);
            }
        }
        self.manager.terminate(START_LIMIT);
        say("        Flink is down");
    }
}

fn command(home: &Path, folder: &Path, script: &str) -> Command {
    let mut command = Command::new(home.join("bin").join(script));
    command
        .env("FLINK_HOME", home)
        .env("FLINK_CONF_DIR", folder.join("conf"))
        .env("FLINK_LOG_DIR", folder.join("log"))
        .env("FLINK_PID_DIR", folder);
    command
}

/// Flink 1.20 and 2 read the same file. The options of the JVM are those that the release comes with.
fn config(home: &Path, folder: &Path) -> String {
    let shipped = fs::read_to_string(home.join("conf/config.yaml")).unwrap();
    let options = shipped.lines().find_map(|line| line.trim().strip_prefix("all: ")).unwrap();
    let folder = folder.display();
    format!(
        r#"env: {{java: {{opts: {{all: "{options}"}}}}}}
jobmanager: {{bind-host: 127.0.0.1, rpc: {{address: 127.0.0.1, port: 6123}}, memory: {{process: {{size: 1024m}}}}}}
taskmanager: {{bind-host: 127.0.0.1, host: 127.0.0.1, numberOfTaskSlots: 8, memory: {{process: {{size: 1728m}}}}}}
rest: {{address: 127.0.0.1, bind-address: 127.0.0.1, port: {REST_PORT}}}
heartbeat: {{interval: 2000, timeout: 10000}}
io: {{tmp: {{dirs: "{folder}/tmp"}}}}
state: {{backend: {{type: rocksdb, incremental: true}}, checkpoints: {{dir: "file://{folder}/checkpoints"}}}}
execution: {{checkpointing: {{dir: "file://{folder}/checkpoints", interval: 3s, incremental: true}}}}
restart-strategy: {{type: fixed-delay, fixed-delay: {{attempts: 100, delay: 1s}}}}
metrics:
  reporters: prom
  reporter: {{prom: {{factory: {{class: org.apache.flink.metrics.prometheus.PrometheusReporterFactory}}, port: 9249-9250}}}}
  fetcher: {{update-interval: 1000}}
"#
    )
}
