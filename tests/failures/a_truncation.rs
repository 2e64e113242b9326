//! A: files that become shorter, or are written anew in place.

use crate::harness::bed::Bed;
use crate::harness::writer::{Writer, line};
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};

/// The agent looks rarely, so that truncation and new text fall between two looks.
fn start_slow(bed: &mut Bed) {
    let mut command = bed.command();
    command.env("SIDELIGHT_TAIL__POLL_INTERVAL", "3s");
    bed.start_with(&command);
}

fn lines(writer: &str, numbers: std::ops::Range<u64>) -> String {
    numbers.map(|number| line(writer, number)).collect()
}

#[test]
fn a8_truncated_to_less_between_two_looks_is_read_from_its_beginning() {
    let mut bed = Bed::new(&["app.log"]);
    let log = bed.log("app.log");
    fs::write(&log, lines("old", 0..1_000)).unwrap();
    start_slow(&mut bed);
    bed.wait_for("old", 1_000);
    fs::write(&log, lines("new", 0..500)).unwrap();
    bed.wait_for("new", 500);
    bed.stop();
    bed.expect_all("new", 500);
    bed.expect_no_duplicates();
}

#[test]
fn a8_truncated_and_longer_than_before_between_two_looks_is_read_from_its_beginning() {
    let mut bed = Bed::new(&["app.log"]);
    let log = bed.log("app.log");
    fs::write(&log, lines("old", 0..300)).unwrap();
    start_slow(&mut bed);
    bed.wait_for("old", 300);
    // Every line has the same first bytes.
    fs::write(&log, lines("new", 0..2_000)).unwrap();
    bed.wait_for("new", 2_000);
    bed.stop();
    bed.expect_all("new", 2_000);
    bed.expect_no_duplicates();
}

#[test]
fn a8_truncated_and_exactly_as_long_as_before_is_read_from_its_beginning() {
    let mut bed = Bed::new(&["app.log"]);
    let log = bed.log("app.log");
    fs::write(&log, lines("old", 0..300)).unwrap();
    start_slow(&mut bed);
    bed.wait_for("old", 300);
    fs::write(&log, lines("new", 0..300)).unwrap();
    bed.wait_for("new", 300);
    bed.stop();
    bed.expect_all("new", 300);
    bed.expect_no_duplicates();
}

#[test]
fn a17_truncated_while_stopped_is_read_from_its_beginning() {
    let mut bed = Bed::new(&["app.log"]);
    let log = bed.log("app.log");
    fs::write(&log, lines("old", 0..2_000)).unwrap();
    bed.once();
    for (n, name) in ["shorter", "longer"].into_iter().enumerate() {
        let n_lines = if n == 0 { 1_000 } else { 3_000 };
        fs::write(&log, lines(name, 0..n_lines)).unwrap();
        bed.once();
        bed.expect_all(name, n_lines);
    }
    bed.expect_all("old", 2_000);
    bed.expect_no_duplicates();
}

#[test]
fn a18_the_hole_that_a_writer_without_append_leaves_is_skipped() {
    const HOLE_BYTES: u64 = 48 << 20;
    let mut bed = Bed::new(&["app.log"]);
    let log = bed.log("app.log");
    let mut file = File::create(&log).unwrap();
    file.write_all(lines("old", 0..100).as_bytes()).unwrap();
    bed.start();
    bed.wait_for("old", 100);
    // As a writer that had written so much and does not know of the truncation.
    file.set_len(0).unwrap();
    super::wait_for_metric(&bed, "sidelight_files_replaced_total", "truncated", |n| n == 1.0);
    file.seek(SeekFrom::Start(HOLE_BYTES)).unwrap();
    file.write_all(lines("new", 0..100).as_bytes()).unwrap();
    bed.wait_for("new", 100);
    let rss_mib = bed.rss_mib();
    bed.stop();
    bed.expect_all("new", 100);
    bed.expect_no_duplicates();
    assert!(rss_mib < 64, "{rss_mib} MiB of memory after a hole of {} MiB", HOLE_BYTES >> 20);
    let is_empty = |body: &String| body.contains('\0');
    assert_eq!(bed.bodies().iter().filter(|body| is_empty(body)).count(), 0, "records of NULs");
}

#[test]
fn a8_a_file_that_is_deleted_and_made_again_is_read_from_its_beginning() {
    let mut bed = Bed::new(&["app.log"]);
    let log = bed.log("app.log");
    let mut n_reused = 0;
    bed.start();
    for round in 0..5 {
        let name = format!("w{round}");
        let mut writer = Writer::open(&name, &log);
        writer.write(100);
        bed.wait_for(&name, 100);
        let number = super::inode(&log);
        drop(writer);
        fs::remove_file(&log).unwrap();
        n_reused += u64::from(super::create_with_inode(&log, number));
    }
    bed.stop();
    for round in 0..5 {
        bed.expect_all(&format!("w{round}"), 100);
    }
    bed.expect_no_duplicates();
    // The agent holds the file, so that its number is not given again.
    assert_eq!(n_reused, 0);
}
