//! C: descriptors, memory, and files that come in numbers.

use crate::harness::bed::Bed;
use crate::harness::report::say;
use crate::harness::wait;
use crate::harness::writer::{Pump, Writer, line};
use std::fs::{self, File};
use std::io::Write;
use std::time::Duration;

#[test]
fn c2_descriptors_and_memory_come_back_when_files_go() {
    let mut bed = Bed::new(&["*.log"]);
    bed.start();
    let n_before = bed.descriptors().len();
    for n in 0..500 {
        Writer::open(&format!("w{n}"), &bed.log(&format!("{n}.log"))).write(4);
    }
    for n in 0..500 {
        bed.wait_for(&format!("w{n}"), 4);
    }
    let n_most = bed.descriptors().len();
    for n in 0..500 {
        fs::remove_file(bed.log(&format!("{n}.log"))).unwrap();
    }
    let mut n_after = n_most;
    wait::within(Duration::from_secs(20), || {
        n_after = bed.descriptors().len();
        (n_after <= n_before + 4).then_some(())
    });
    let rss_mib = bed.rss_mib();
    bed.stop();
    say(&format!("c2: descriptors {n_before}, {n_most}, {n_after}; {rss_mib} MiB at the end"));
    assert!(n_after <= n_before + 4, "{n_after} descriptors are open, {n_before} at the start");
    assert!(rss_mib < 64, "{rss_mib} MiB");
}

#[test]
fn c4_more_files_than_descriptors_are_all_read() {
    const FILES: usize = 300;
    let mut bed = Bed::new(&["*.log"]);
    for n in 0..FILES {
        Writer::open(&format!("w{n}"), &bed.log(&format!("{n}.log"))).write(3);
    }
    let command = bed.command();
    let mut limited = std::process::Command::new("prlimit");
    limited.args(["--nofile=64", "--"]).arg(command.get_program()).args(command.get_args());
    bed.start_with(&limited);
    for n in 0..FILES {
        bed.wait_for(&format!("w{n}"), 3);
    }
    bed.stop();
    for n in 0..FILES {
        bed.expect_all(&format!("w{n}"), 3);
    }
    bed.expect_no_duplicates();
}

#[test]
fn c9_no_file_waits_for_a_busy_one() {
    let mut bed = Bed::new(&["*.log"]);
    for n in 0..100 {
        Writer::open(&format!("w{n}"), &bed.log(&format!("{n}.log"))).write(1);
    }
    let busy = Pump::start(Writer::open("busy", &bed.log("busy.log")), 4_000);
    bed.start();
    for n in 0..100 {
        bed.wait_for(&format!("w{n}"), 1);
    }
    let mut late = Writer::open("late", &bed.log("50.log"));
    let since = std::time::Instant::now();
    late.write(1);
    bed.wait_for("late", 1);
    let took = since.elapsed();
    let n_lines = busy.stop();
    bed.wait_for("busy", n_lines);
    bed.stop();
    say(&format!("c9: a line beside a busy file took {took:?}"));
    // A second of a batch and one of a line that waits for its continuation.
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn c12_one_endless_line_costs_no_memory_and_nothing_else() {
    let mut bed = Bed::new(&["app.log"]);
    let mut file = File::create(bed.log("app.log")).unwrap();
    file.write_all(line("w", 0).as_bytes()).unwrap();
    bed.start();
    bed.wait_for("w", 1);
    let piece = "0123456789abcdef".repeat(64 << 10);
    let mut most_mib = 0;
    for _ in 0..6 {
        file.write_all(piece.as_bytes()).unwrap();
        most_mib = most_mib.max(bed.rss_mib());
    }
    file.write_all(b"\n").unwrap();
    file.write_all((1..50).map(|n| line("w", n)).collect::<String>().as_bytes()).unwrap();
    bed.wait_for("w", 50);
    most_mib = most_mib.max(bed.rss_mib());
    let n_cut = bed.metric("sidelight_records_truncated_total", "");
    bed.stop();
    bed.expect_all("w", 50);
    say(&format!("c12: {n_cut} cuts, {most_mib} MiB"));
    assert!(n_cut >= 5.0 && most_mib < 64, "{n_cut} cuts, {most_mib} MiB");
    let n_bytes: usize =
        bed.bodies().iter().filter(|it| it.contains("cdef0123")).map(String::len).sum();
    assert_eq!(n_bytes, 6 << 20, "the rest of the line is delivered too");
}

#[test]
fn c13_a_long_line_that_is_written_slowly_is_one_record() {
    let mut bed = Bed::new(&["app.log"]);
    let mut file = File::create(bed.log("app.log")).unwrap();
    file.write_all(b"26/11/22 06:26:22 INFO Writer: long ").unwrap();
    bed.start();
    let piece = "0123456789abcdef".repeat(900 / 16 * 1024 / 60);
    for _ in 0..60 {
        file.write_all(piece.as_bytes()).unwrap();
        file.flush().unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    file.write_all(format!("\n{}", line("w", 0)).as_bytes()).unwrap();
    bed.wait_for("w", 1);
    bed.stop();
    let long: Vec<usize> =
        bed.bodies().iter().filter(|it| it.contains("long")).map(String::len).collect();
    assert_eq!(long, [piece.len() * 60 + "long ".len()]);
}

#[test]
fn c16_metrics_do_not_grow_with_the_files() {
    let mut bed = Bed::new(&["*.log"]);
    bed.start();
    let n_lines = |bed: &Bed| bed.metric("sidelight_series", "") as usize;
    let before = n_lines(&bed);
    for n in 0..300 {
        Writer::open(&format!("w{n}"), &bed.log(&format!("{n}.log"))).write(1);
    }
    for n in 0..300 {
        bed.wait_for(&format!("w{n}"), 1);
    }
    assert_eq!(n_lines(&bed), before);
    bed.stop();
}

#[test]
fn d6_a_full_disk_pauses_and_what_was_not_written_comes_later() {
    let mut bed = Bed::new(&["app.log"]);
    let mut writer = Writer::open("w", &bed.log("app.log"));
    writer.write(100);
    let link = bed.scratch.join("link");
    std::os::unix::fs::symlink("/dev/full", &link).unwrap();
    let mut command = bed.command();
    command.env("SIDELIGHT_EXPORTERS__FILE__PATH", &link);
    bed.start_with(&command);
    super::wait_for_metric(&bed, "sidelight_exports_total", "error", |n| n >= 2.0);
    writer.write(5_000);
    std::os::unix::fs::symlink(bed.output(), bed.scratch.join("next")).unwrap();
    fs::rename(bed.scratch.join("next"), &link).unwrap();
    bed.wait_for("w", 5_100);
    bed.stop();
    bed.expect_all("w", 5_100);
    bed.expect_no_duplicates();
}

/// A bed with that many files of three lines, all of which came.
fn with_idle_files(n_files: usize) -> Bed {
    let mut bed = Bed::new(&["*.log"]);
    for n in 0..n_files {
        Writer::open(&format!("w{n}"), &bed.log(&format!("{n}.log"))).write(3);
    }
    let mut command = bed.command();
    command.env("SIDELIGHT_TAIL__POLL_INTERVAL", "250ms");
    bed.start_with(&command);
    for n in 0..n_files {
        bed.wait_for(&format!("w{n}"), 3);
    }
    bed
}

#[test]
fn c8_idle_files_hold_no_descriptor_each() {
    let mut bed = with_idle_files(1_000);
    let n_open = wait::within(Duration::from_secs(20), || {
        let n_open = bed.descriptors().len();
        (n_open < 200).then_some(n_open)
    });
    let (n_now, rss_mib) = (bed.descriptors().len(), bed.rss_mib());
    bed.stop();
    say(&format!("c8: {n_now} descriptors, {rss_mib} MiB"));
    assert!(n_open.is_some(), "{n_now} descriptors for 1000 idle files");
}

#[test]
fn c10_an_idle_file_costs_one_system_call_a_scan() {
    const SECONDS: u64 = 5;
    let mut bed = with_idle_files(20);
    let is_asleep = || (!bed.descriptors().iter().any(|it| it.ends_with(".log"))).then_some(());
    wait::until("the files have no descriptors", Duration::from_secs(30), is_asleep);
    let calls = bed.scratch.join("calls");
    let id = bed.process().id().to_string();
    let status = std::process::Command::new("timeout")
        .args([&SECONDS.to_string(), "strace", "-f", "-y", "-o"])
        .arg(&calls)
        .args(["-e", "trace=file,desc", "-p", &id])
        .stderr(std::process::Stdio::null())
        .status();
    assert!(status.is_ok(), "timeout and strace: {status:?}; run tests/setup");
    bed.stop();
    let calls = fs::read_to_string(calls).unwrap();
    let n_calls = calls.lines().filter(|line| line.contains("/7.log")).count();
    // The agent scans twice a second.
    let n_scans = 2 * SECONDS as usize;
    assert!(n_calls <= n_scans + 2, "{n_calls} calls for an idle file in {n_scans} scans");
}

#[test]
fn c11_finished_files_are_not_read_again() {
    let mut bed = with_idle_files(50);
    let n_bytes: u64 =
        (0..50).map(|n| fs::metadata(bed.log(&format!("{n}.log"))).unwrap().len()).sum();
    std::thread::sleep(2 * super::SCAN);
    let n_read = bed.metric("sidelight_read_bytes_total", "");
    bed.stop();
    assert_eq!(n_read, n_bytes as f64);
    bed.expect_no_duplicates();
}
