//! Debian's logrotate, called as its timer calls it, over and over.

use crate::harness::bed::{Bed, run};
use crate::harness::peers;
use crate::harness::report::say;
use crate::harness::writer::{Pump, Writer, line};
use std::fs;
use std::path::Path;

const LINES_PER_SECOND: u64 = 2_000;
const ROTATIONS: u64 = 6;

/// logrotate over `app.log` of a bed.
struct Rotator {
    bed: Bed,
    options: &'static str,
}

impl Rotator {
    /// None, after saying so, when real peers are not wanted.
    fn new(name: &str, globs: &[&str], options: &'static str) -> Option<Self> {
        if !peers::are_wanted() {
            say(&format!("{name}: skipped; tests/run starts real peers"));
            return None;
        }
        Some(Self { bed: Bed::new(globs), options })
    }

    /// One forced rotation. Twenty generations are kept, so that nothing is deleted.
    fn rotate(&self) {
        let config = self.bed.scratch.join("logrotate.conf");
        let log = self.bed.log("app.log");
        let text = format!("{} {{\n  rotate 20\n  {}\n}}\n", log.display(), self.options);
        fs::write(&config, text).unwrap();
        let state = self.bed.scratch.join("logrotate.state");
        let [config, state] = [&config, &state].map(|path| path.to_str().unwrap());
        run("/usr/sbin/logrotate", &["-f", "-s", state, config], Path::new("/"));
    }

    fn start_writer(&self) -> Pump {
        Pump::start(Writer::open("w", &self.bed.log("app.log")), LINES_PER_SECOND)
    }

    /// Rotates while the agent reads. The writer opens the new file when `is_reopening`.
    fn rotate_while_reading(&mut self, is_reopening: bool) -> u64 {
        let pump = self.start_writer();
        self.bed.start();
        for round in 1..=ROTATIONS {
            // The agent is somewhere in the file: there are lines before and behind it.
            self.bed.wait_for("w", round * 300);
            self.rotate();
            if is_reopening {
                pump.reopen();
            }
        }
        pump.stop()
    }

    /// Rotates three times while no agent runs: `.1` and older files hold what nobody has read.
    fn rotate_while_stopped(&mut self) -> u64 {
        let mut writer = Writer::open("w", &self.bed.log("app.log"));
        writer.write(500);
        self.bed.start();
        self.bed.wait_for("w", 500);
        self.bed.stop();
        for _ in 0..3 {
            writer.write(400);
            self.rotate();
            writer.reopen();
        }
        writer.write(300);
        self.bed.start();
        writer.next
    }

    #[track_caller]
    fn finish(mut self, n_lines: u64) {
        self.bed.wait_for("w", n_lines);
        self.bed.stop();
        self.bed.expect_all("w", n_lines);
        self.bed.expect_no_duplicates();
    }
}

#[test]
fn create_and_a_writer_that_reopens_lose_nothing() {
    for globs in [&["app.log"][..], &["app.log*"]] {
        let Some(mut rotator) = Rotator::new("logrotate create", globs, "create") else { return };
        let n_lines = rotator.rotate_while_reading(true);
        rotator.finish(n_lines);
    }
}

#[test]
fn create_and_compress_while_reading_lose_nothing() {
    let options = "create\n  compress\n  delaycompress";
    for globs in [&["app.log"][..], &["app.log*"]] {
        let Some(mut rotator) = Rotator::new("logrotate compress", globs, options) else { return };
        let n_lines = rotator.rotate_while_reading(true);
        rotator.finish(n_lines);
    }
}

#[test]
fn compress_at_once_while_reading_loses_nothing() {
    // As the writer reopens before its file is compressed and deleted (sharedscripts, postrotate).
    let options = "create\n  compress";
    let Some(mut rotator) = Rotator::new("logrotate compress", &["app.log*"], options) else {
        return;
    };
    let mut writer = Writer::open("w", &rotator.bed.log("app.log"));
    rotator.bed.start();
    for round in 0..ROTATIONS {
        writer.write(700);
        rotator.bed.wait_for("w", round * 700 + 1);
        rotator.rotate();
        writer.reopen();
    }
    rotator.finish(ROTATIONS * 700);
}

#[test]
fn several_rotations_while_stopped_lose_nothing() {
    for globs in [&["app.log"][..], &["app.log*"]] {
        let Some(mut rotator) = Rotator::new("logrotate stopped", globs, "create") else { return };
        let n_lines = rotator.rotate_while_stopped();
        rotator.finish(n_lines);
    }
}

#[test]
fn several_rotations_with_compression_while_stopped_lose_nothing() {
    for options in ["create\n  compress", "create\n  compress\n  delaycompress"] {
        for globs in [&["app.log"][..], &["app.log*"]] {
            let Some(mut rotator) = Rotator::new("logrotate gz", globs, options) else { return };
            let n_lines = rotator.rotate_while_stopped();
            rotator.finish(n_lines);
        }
    }
}

#[test]
fn copytruncate_loses_only_what_is_counted() {
    for globs in [&["app.log"][..], &["app.log*"]] {
        let Some(mut rotator) = Rotator::new("logrotate copytruncate", globs, "copytruncate")
        else {
            return;
        };
        let n_lines = rotator.rotate_while_reading(false);
        let last = line("w", n_lines - 1);
        rotator.bed.wait_for_text(&last[last.find("line =").unwrap()..last.len() - 1]);
        let counted = rotator.bed.metric("sidelight_lost_bytes_total", "truncated");
        rotator.bed.stop();
        let missing = rotator.bed.tally.missing("w", n_lines);
        let lost: usize = missing.iter().map(|n| line("w", *n).len()).sum();
        say(&format!("copytruncate, {globs:?}: {lost} bytes lost, {counted} counted"));
        assert!(lost as f64 <= counted, "{lost} bytes were lost, {counted} were counted");
        rotator.bed.expect_no_duplicates();
    }
}
