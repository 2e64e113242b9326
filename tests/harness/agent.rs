//! The agent under test, beside one application.

use super::process::Process;
use super::scratch::Scratch;
use super::{http, wait};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A stop must be over within this, drain included.
pub(crate) const STOP_LIMIT: Duration = Duration::from_secs(5);

/// The binary: the one of this build unless `SIDELIGHT_TEST_BINARY` names another.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("SIDELIGHT_TEST_BINARY")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_sidelight")), PathBuf::from)
}

/// How one life of the agent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// By SIGTERM: everything that was read is delivered.
    Terminated,
    /// By SIGKILL at this time, milliseconds since the epoch.
    Killed {
        /// When.
        unix_ms: u64,
    },
}

/// The end of one life, and how long the output was then.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    /// How it ended.
    pub(crate) end: End,
    /// Bytes of the output file at that moment.
    pub(crate) output_bytes: u64,
}

/// The agent's files, the process that runs now, and the lives before it.
#[derive(Debug)]
pub(crate) struct Agent {
    folder: PathBuf,
    config: PathBuf,
    /// Port of `/metrics`, the same in every life.
    pub(crate) port: u16,
    process: Option<Process>,
    /// Ended lives, oldest first.
    pub(crate) lives: Vec<Life>,
}

impl Agent {
    /// Writes the configuration and starts the first life.
    pub(crate) fn start(
        scratch: &Scratch,
        tail: &str,
        ui_port: u16,
        source_path: &str,
        cloudwatch_url: &str,
    ) -> Self {
        let folder = scratch.join("agent");
        std::fs::create_dir_all(&folder).unwrap();
        let config = folder.with_extension("toml");
        let text = format!(
            r#"state_dir = "{state}"
[job]
job_name = "nightly-orders"
run_context = "test"
source_data_path = "{source_path}"
[tail]
{tail}
read_from = "beginning"
identity_wait = "90s"
[scrapers.spark]
urls = ["http://127.0.0.1:{ui_port}"]
interval = "2s"
[exporters.file]
path = "{records}"
[exporters.prometheus]
[exporters.cloudwatch_logs]
region = "us-east-1"
endpoint_url = "{cloudwatch_url}"
[exporters.cloudwatch_metrics]
region = "us-east-1"
endpoint_url = "{cloudwatch_url}"
environment = "test"
"#,
            state = folder.join("state").display(),
            records = folder.join("records.jsonl").display(),
        );
        std::fs::write(&config, text).unwrap();
        let mut agent =
            Self { folder, config, port: http::free_port(), process: None, lives: Vec::new() };
        agent.start_again();
        agent
    }

    /// Starts the next life with the same configuration and state.
    pub(crate) fn start_again(&mut self) {
        assert!(self.process.is_none(), "one life at a time");
        let mut command = Command::new(binary());
        command.arg("run").arg("-c").arg(&self.config);
        command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "secret");
        command.env("SIDELIGHT_ADMIN__LISTEN", format!("127.0.0.1:{}", self.port));
        let log = |stream| self.folder.join(format!("agent-{}.{stream}", self.lives.len() + 1));
        let mut process = Process::start("sidelight", &command, &log("stdout"), &log("stderr"));
        wait::until("the agent answers /livez", Duration::from_secs(20), || {
            if let Some(status) = process.exit_status() {
                let stderr = std::fs::read_to_string(log("stderr")).unwrap_or_default();
                panic!("the agent ended at once with {status}:\n{stderr}");
            }
            http::get(self.port, "/livez").ok().filter(|answer| answer.status == 200)
        });
        self.process = Some(process);
    }

    /// Ends this life by SIGTERM; returns its status and how long it took.
    pub(crate) fn terminate(&mut self) -> (ExitStatus, Duration) {
        // Longer than allowed, so that a slow stop is measured and not only missed.
        let outcome = self.process.take().unwrap().terminate(STOP_LIMIT * 6);
        self.end_life(End::Terminated);
        outcome
    }

    /// Ends this life by SIGKILL.
    pub(crate) fn kill(&mut self) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        self.process.take().unwrap().kill();
        self.end_life(End::Killed { unix_ms: u64::try_from(since.as_millis()).unwrap() });
    }

    fn end_life(&mut self, end: End) {
        let output_bytes = std::fs::metadata(self.records()).map_or(0, |file| file.len());
        self.lives.push(Life { end, output_bytes });
    }

    /// The body of `/metrics`; none while it does not answer.
    pub(crate) fn metrics(&self) -> Option<String> {
        let answer = http::get(self.port, "/metrics").ok()?;
        (answer.status == 200).then_some(answer.body)
    }

    /// The file with the records.
    pub(crate) fn records(&self) -> PathBuf {
        self.folder.join("records.jsonl")
    }

    /// Waits until a record with `text` is out.
    pub(crate) fn wait_for_record(&self, text: &str, limit: Duration) {
        wait::until(&format!("a record with {text}"), limit, || {
            let output = std::fs::read(self.records()).unwrap_or_default();
            memchr::memmem::find(&output, text.as_bytes()).map(|_| ())
        });
    }

    /// Everything the agent writes: records, its own log, checkpoints.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}
