//! Kills in the middle of everything, and a bucket that takes nothing.

use super::bed::{Archive, objects};
use super::door::Rule;
use crate::harness::bed::LIMIT;
use crate::harness::tally::Tally;
use crate::harness::wait;
use crate::harness::writer::{Pump, Writer};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// Fails unless the archive is complete and has exactly the first `n_lines` lines of writer `w`, once.
#[track_caller]
pub(super) fn check_complete(archive: &Archive, n_lines: u64) {
    let folder = archive.download("restored");
    let mut tally = Tally::default();
    tally.add(&archive.unpack(&folder));
    let problems = tally.problems("w", n_lines);
    assert!(problems.is_empty(), "{problems:?}\n{}", archive.bed.own_log());
    assert_eq!(tally.n_duplicates(), 0, "lines that are archived twice");
    let (code, told) = archive.verify(&folder);
    assert_eq!(code, 0, "{told}");
    assert_eq!(archive.n_open_uploads(), 0, "parts that cost money for ever");
    let md5 = archive.door.heads().into_iter().find(|head| head.to_lowercase().contains("md5"));
    assert_eq!(md5, None, "MD5 is not there under FIPS");
}

/// Lines of writer `w` that hardly compress: an object of them has several parts.
fn write_dense(path: &Path, n_lines: u64) {
    let mut file = fs::File::create(path).unwrap();
    let mut state = 1_u64;
    for number in 0..n_lines {
        let mut line = format!("26/11/22 06:26:22 INFO Writer: line =w:{number}= ");
        for _ in 0..4_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            line.push(char::from(b'a' + (state >> 33) as u8 % 26));
        }
        line.push('\n');
        file.write_all(line.as_bytes()).unwrap();
    }
}

#[test]
fn kills_within_multipart_uploads_lose_and_leave_nothing() {
    const N_LINES: u64 = 2_600;
    let Some(mut archive) = Archive::new(&["app.log"]) else { return };
    write_dense(&archive.bed.log("app.log"), N_LINES);
    archive.door.set(Rule::Hold("partNumber=2"));
    archive.start();
    let n_bytes = fs::metadata(archive.bed.log("app.log")).unwrap().len();
    archive.wait_until_read(n_bytes);
    // The end of the agent closes the object.
    archive.bed.process().send("TERM");
    for life in 0..4 {
        let door = archive.door.clone();
        wait::until("the second part comes", LIMIT, || (door.n_held() > 0).then_some(()));
        archive.bed.kill();
        archive.door.set(Rule::Hold("partNumber=2"));
        assert_eq!(archive.n_open_uploads(), 1, "in life {life}");
        if life < 3 {
            archive.start();
        }
    }
    assert!(!archive.download("before").exists(), "nothing is there before all of it is");
    archive.door.set(Rule::Pass);
    archive.start();
    archive.bed.wait_for_metric("sidelight_s3_objects_total", "", |n| n == 1.0);
    archive.bed.stop();
    check_complete(&archive, N_LINES);
    let size = fs::metadata(&objects(&archive.bed.scratch.join("restored"))[0]).unwrap().len();
    assert!(size > 5 << 20, "{size} bytes are one part");
}

#[test]
fn kills_at_any_moment_archive_every_line_once() {
    let Some(mut archive) = Archive::new(&["app.log"]) else { return };
    archive.set("object_bytes", "\"64KiB\"");
    archive.set("object_age", "\"1s\"");
    let pump = Pump::start(Writer::open("w", &archive.bed.log("app.log")), 200);
    for _ in 0..5 {
        archive.start();
        let since = Instant::now();
        wait::until("a life is over", LIMIT, || {
            (since.elapsed() > Duration::from_millis(1_700)).then_some(())
        });
        archive.bed.kill();
    }
    let n_lines = pump.stop();
    archive.start();
    archive.bed.wait_for("w", n_lines);
    archive.wait_until_settled();
    archive.bed.stop();
    check_complete(&archive, n_lines);
    assert!(objects(&archive.bed.scratch.join("restored")).len() > 2);
}

#[test]
fn an_outage_stages_and_a_full_staging_area_spools_and_nothing_is_lost() {
    const N_LINES: u64 = 34_000;
    let Some(mut archive) = Archive::new(&["app.log"]) else { return };
    archive.set("staging_bytes_max", "\"4MiB\"");
    archive.door.set(Rule::Refuse);
    let mut writer = Writer::open("w", &archive.bed.log("app.log"));
    writer.write(N_LINES);
    archive.start();
    archive.bed.wait_for_metric("sidelight_s3_staging_full_total", "", |n| n > 0.0);
    archive.bed.wait_for_metric("sidelight_s3_uploads_total", "error", |n| n > 1.0);
    archive.bed.wait_for_metric("sidelight_spooled_records_total", "\"s3\"", |n| n > 0.0);
    // What is staged and spooled survives a restart, and goes first.
    archive.bed.kill();
    archive.start();
    archive.door.set(Rule::Pass);
    archive.bed.wait_for("w", N_LINES);
    archive.wait_until_settled();
    archive.bed.wait_for_metric("sidelight_spool_batches", "\"s3\"", |n| n == 0.0);
    archive.bed.stop();
    check_complete(&archive, N_LINES);
}
