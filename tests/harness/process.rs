//! Child processes, each in a process group of its own, none of which outlives its test.

use super::wait;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A child and its group. Dropping it kills the group, and nothing but the group.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `command` with its output in two new files.
    pub(crate) fn start(name: &str, command: &Command, stdout: &Path, stderr: &Path) -> Self {
        // The kernel kills the child when the thread of the test ends, however it ends. That is
        // for a killed test run; `drop` is the usual way.
        let mut wrapped = Command::new("setpriv");
        wrapped.args(["--pdeathsig", "KILL", "--"]);
        wrapped.arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(key, value),
                None => wrapped.env_remove(key),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            wrapped.current_dir(folder);
        }
        let child = wrapped
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(File::create(stdout).unwrap())
            .stderr(File::create(stderr).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { name: name.to_owned(), child, ended: None }
    }

    /// Number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `STOP`, to the process alone.
    pub(crate) fn send(&self, signal: &str) {
        self.signal(signal, false);
    }

    /// How it ended, if it did.
    pub(crate) fn exit_status(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none()
            && let Some(status) = self.child.try_wait().unwrap()
        {
            self.ended = Some(status);
            // What the leader left behind goes now: later its number may belong to another group.
            self.signal("KILL", true);
        }
        self.ended
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        wait::until(&what, limit, || self.exit_status())
    }

    /// Sends SIGTERM and waits; returns how it ended and how long that took.
    #[track_caller]
    pub(crate) fn terminate(&mut self, limit: Duration) -> (ExitStatus, Duration) {
        let start = Instant::now();
        self.signal("TERM", false);
        (self.wait(limit), start.elapsed())
    }

    /// Sends SIGKILL to the process alone and waits for its end.
    pub(crate) fn kill(&mut self) {
        self.signal("KILL", false);
        self.wait(Duration::from_secs(10));
    }

    fn signal(&self, signal: &str, is_for_group: bool) {
        let sign = if is_for_group { "-" } else { "" };
        let target = format!("{sign}{}", self.child.id());
        // The shell's own `kill`: the program of that name is missing on small machines. It
        // fails when the target is gone already, which is what was wanted.
        let _ = Command::new("sh")
            .args(["-c", r#"kill -s "$0" -- "$1""#, signal, &target])
            .stderr(Stdio::null())
            .status();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.signal("KILL", true);
            let _ = self.child.wait();
        }
    }
}
