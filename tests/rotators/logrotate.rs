//! Debian's logrotate, called as its timer calls it, over and over.

use crate::harness::bed::{Bed, LIMIT, run};
use crate::harness::report::say;
use crate::harness::writer::{Pump, Writer, line};
use crate::harness::{peers, wait};
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
    fn new(globs: &[&str], options: &'static str) -> Option<Self> {
        if !peers::are_wanted() {
            say("logrotate: skipped; tests/run starts real peers");
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
            // A new file is found within a second; real rotations are further apart.
            let n_due = round * LINES_PER_SECOND * 6 / 5;
            wait::until("lines", LIMIT, || (pump.n_written() >= n_due).then_some(()));
            self.rotate();
            if is_reopening {
                pump.reopen();
            }
        }
        // The file of the last rotation gets lines, too.
        let n_due = pump.n_written() + LINES_PER_SECOND / 10;
        wait::until("lines", LIMIT, || (pump.n_written() >= n_due).then_some(()));
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

/// Only the log itself, as most users name it, and with its rotated files.
const ONE: &[&str] = &["app.log"];
const STAR: &[&str] = &["app.log*"];

const DELAYED: &str = "create\n  compress\n  delaycompress";

fn check_while_reading(globs: &[&str], options: &'static str) {
    let Some(mut rotator) = Rotator::new(globs, options) else { return };
    let n_lines = rotator.rotate_while_reading(true);
    rotator.finish(n_lines);
}

fn check_while_stopped(globs: &[&str], options: &'static str) {
    let Some(mut rotator) = Rotator::new(globs, options) else { return };
    let n_lines = rotator.rotate_while_stopped();
    rotator.finish(n_lines);
}

#[test]
fn create_while_reading_loses_nothing() {
    check_while_reading(ONE, "create");
    check_while_reading(STAR, "create");
}

#[test]
fn delayed_compression_while_reading_loses_and_repeats_nothing() {
    check_while_reading(ONE, DELAYED);
    check_while_reading(STAR, DELAYED);
}

#[test]
fn compression_at_once_while_reading_loses_and_repeats_nothing() {
    // Nobody writes while logrotate compresses, as after its postrotate script.
    let Some(mut rotator) = Rotator::new(STAR, "create\n  compress") else { return };
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
fn rotations_while_stopped_lose_nothing() {
    check_while_stopped(STAR, "create");
}

#[test]
fn rotations_while_stopped_keep_the_order_of_the_writer() {
    let Some(mut rotator) = Rotator::new(STAR, "create") else { return };
    let n_lines = rotator.rotate_while_stopped();
    rotator.bed.wait_for("w", n_lines);
    rotator.bed.stop();
    assert_eq!(rotator.bed.tally.n_late(), 0, "lines that came after a later line");
}

#[test]
fn rotations_while_stopped_lose_nothing_when_only_the_log_is_named() {
    check_while_stopped(ONE, "create");
}

#[test]
fn delayed_compression_while_stopped_loses_nothing() {
    check_while_stopped(STAR, DELAYED);
}

#[test]
fn compression_while_stopped_loses_nothing() {
    check_while_stopped(STAR, "create\n  compress");
}

#[test]
fn compression_while_stopped_loses_nothing_when_only_the_log_is_named() {
    check_while_stopped(ONE, "create\n  compress");
    check_while_stopped(ONE, DELAYED);
}

#[test]
fn copytruncate_loses_nothing_that_the_rotator_has_copied() {
    check_copytruncate(ONE);
}

#[test]
fn copytruncate_does_not_repeat_the_copy() {
    check_copytruncate(STAR);
}

fn check_copytruncate(globs: &[&str]) {
    let Some(mut rotator) = Rotator::new(globs, "copytruncate") else { return };
    let n_lines = rotator.rotate_while_reading(false);
    let last = line("w", n_lines - 1);
    rotator.bed.wait_for_text(&last[last.find("line =").unwrap()..last.len() - 1]);
    rotator.bed.stop();
    // What came between the end of the copy and the truncation, the rotator has destroyed: no
    // reader can have it, or know of it.
    let logs = std::fs::read_dir(rotator.bed.log("app.log").parent().unwrap()).unwrap();
    let logs: String =
        logs.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    let missing = rotator.bed.tally.missing("w", n_lines);
    let is_there = |n: &&u64| logs.contains(&line("w", **n));
    let lost: Vec<&u64> = missing.iter().filter(is_there).collect();
    say(&format!("copytruncate: {} lines were destroyed by it", missing.len()));
    assert!(lost.is_empty(), "lines that are in the logs and were not delivered: {lost:?}");
    rotator.bed.expect_no_duplicates();
}
