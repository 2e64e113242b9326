//! `/var/log/pods` as kubelet keeps it: a fake of its rotation, step by step.
//!
//! Modelled on kubelet's container log manager: older rotated files are compressed through a `.tmp`,
//! then `0.log` is renamed to `0.log.<time>`, which stays plain until the next rotation, and the
//! runtime opens `0.log` anew. `/var/log/containers` holds symbolic links to the files.

use crate::harness::bed::{Bed, run};
use crate::harness::writer::Writer;
use std::fs;
use std::path::PathBuf;

/// Rotated files that are kept, as `containerLogMaxFiles` of 5 keeps them.
const ROTATED_MAX: usize = 4;

const FOLDER: &str = "pods/default_orders-1_0a1b2c/driver";

struct Pod {
    bed: Bed,
    writer: Writer,
    n_rotations: usize,
}

impl Pod {
    fn new(globs: &[&str]) -> Self {
        let bed = Bed::new(globs);
        fs::create_dir_all(bed.log(FOLDER)).unwrap();
        fs::create_dir(bed.log("containers")).unwrap();
        let log = bed.log(FOLDER).join("0.log");
        let writer = Writer::open("w", &log);
        let link = bed.log("containers/orders-1_default_driver-4d5e6f.log");
        std::os::unix::fs::symlink(&log, link).unwrap();
        Self { bed, writer, n_rotations: 0 }
    }

    fn rotate(&mut self) {
        let folder = self.bed.log(FOLDER);
        let rotated = |path: &PathBuf| path.to_string_lossy().contains("0.log.");
        let mut old: Vec<PathBuf> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        old.retain(rotated);
        old.sort();
        for path in old.drain(..old.len().saturating_sub(ROTATED_MAX - 1)) {
            fs::remove_file(path).unwrap();
        }
        for path in old.iter().filter(|path| path.extension().is_some_and(|end| end != "gz")) {
            let script = r#"gzip -c "$0" >"$0.tmp" && mv "$0.tmp" "$0.gz" && rm "$0""#;
            run("sh", &["-c", script, path.to_str().unwrap()], &folder);
        }
        let name = format!("0.log.20260101-{:06}", self.n_rotations);
        fs::rename(folder.join("0.log"), folder.join(name)).unwrap();
        self.n_rotations += 1;
        self.writer.reopen();
    }

    #[track_caller]
    fn finish(mut self) {
        let n_lines = self.writer.next;
        self.bed.wait_for("w", n_lines);
        self.bed.stop();
        self.bed.expect_all("w", n_lines);
        self.bed.expect_no_duplicates();
    }
}

/// The log, the log with its rotated files, and the links.
const LOG: &[&str] = &["pods/*/*/*.log"];
const STAR: &[&str] = &["pods/*/*/*"];
const LINKS: &[&str] = &["containers/*.log"];
const BOTH: &[&str] = &["containers/*.log", "pods/*/*/*.log"];

fn check_while_reading(globs: &[&str]) {
    let mut pod = Pod::new(globs);
    pod.bed.start();
    for _ in 0..8 {
        pod.writer.write(100);
        pod.bed.wait_for("w", pod.writer.next - 10);
        // The last lines of a file are not read yet when it is renamed.
        pod.writer.write(300);
        pod.rotate();
    }
    pod.writer.write(100);
    pod.finish();
}

/// The first file is read in part and becomes a `.gz`; the others nobody has seen.
fn check_while_stopped(globs: &[&str]) {
    let mut pod = Pod::new(globs);
    pod.writer.write(200);
    pod.bed.start();
    pod.bed.wait_for("w", 200);
    pod.bed.stop();
    for _ in 0..3 {
        pod.writer.write(300);
        pod.rotate();
    }
    pod.writer.write(100);
    pod.bed.start();
    pod.finish();
}

#[test]
fn rotation_while_reading_the_log_loses_and_repeats_nothing() {
    check_while_reading(LOG);
}

#[test]
fn rotation_while_reading_the_log_and_its_rotated_files_loses_and_repeats_nothing() {
    check_while_reading(STAR);
}

#[test]
fn rotation_while_reading_through_links_loses_and_repeats_nothing() {
    check_while_reading(LINKS);
    check_while_reading(BOTH);
}

#[test]
fn rotation_while_stopped_loses_and_repeats_nothing() {
    check_while_stopped(STAR);
}

#[test]
fn rotation_while_stopped_loses_nothing_when_only_the_log_is_named() {
    check_while_stopped(LOG);
}

#[test]
#[ignore = "issue 4: files beside the target of a link are not looked for, and compressed ones not read"]
fn rotation_while_stopped_loses_nothing_when_only_the_link_is_named() {
    check_while_stopped(LINKS);
}
