//! F: how lives begin and end.

use crate::harness::bed::Bed;
use crate::harness::writer::Writer;
use std::fs::{self, File};
use std::io::Write;
use std::time::Duration;

#[test]
fn f3_a_stop_while_the_destination_is_dead_is_in_time_and_loses_nothing() {
    let mut bed = Bed::new(&["app.log"]);
    let mut writer = Writer::open("w", &bed.log("app.log"));
    writer.write(30_000);
    let mut command = bed.command();
    command.env("SIDELIGHT_EXPORTERS__FILE__PATH", "/dev/full").arg("--strict-exit");
    bed.start_with(&command);
    super::wait_for_metric(&bed, "sidelight_exports_total", "error", |n| n >= 1.0);
    let (status, took) = bed.process().terminate(Duration::from_secs(30));
    assert_eq!(status.code(), Some(69), "{}", bed.own_log());
    assert!(took < Duration::from_secs(7), "the stop took {took:?}, the grace is 5 s");
    bed.once();
    bed.expect_all("w", 30_000);
    bed.expect_no_duplicates();
}

#[test]
fn f4_a_batch_that_is_not_full_is_delivered_at_the_stop() {
    let mut bed = Bed::new(&["app.log"]);
    Writer::open("w", &bed.log("app.log")).write(3);
    let mut command = bed.command();
    command.env("SIDELIGHT_BATCH__AGE_MAX", "1h");
    bed.start_with(&command);
    super::wait_for_metric(&bed, "sidelight_records_total", "", |n| n >= 2.0);
    bed.stop();
    bed.expect_all("w", 3);
}

#[test]
fn f7_lines_after_a_kill_come_with_the_next_start() {
    let mut bed = Bed::new(&["app.log"]);
    let mut writer = Writer::open("w", &bed.log("app.log"));
    bed.start();
    writer.write(100);
    bed.wait_for("w", 50);
    writer.write(100);
    bed.kill();
    writer.write(100);
    bed.start();
    bed.wait_for("w", 300);
    bed.stop();
    bed.expect_all("w", 300);
}

/// A trace of 500 lines.
fn trace(name: &str) -> Vec<String> {
    let head = format!(
        "26/11/22 06:26:22 ERROR Executor: trace {name}\njava.lang.IllegalStateException: lost\n"
    );
    let frames = (0..498).map(|n| format!("\tat com.acme.{name}.run({name}.java:{n})\n"));
    std::iter::once(head).chain(frames).collect()
}

#[test]
fn f9_traces_written_with_pauses_into_two_files_are_one_record_each() {
    let mut bed = Bed::new(&["*.log"]);
    bed.start();
    let names = ["left", "right"];
    let mut files = names.map(|name| File::create(bed.log(&format!("{name}.log"))).unwrap());
    let traces = names.map(trace);
    for part in 0..10 {
        for (file, lines) in files.iter_mut().zip(&traces) {
            let end = ((part + 1) * 50).min(lines.len());
            file.write_all(lines[part * 50..end].concat().as_bytes()).unwrap();
        }
        // The longest pause is longer than a batch may be old.
        std::thread::sleep(Duration::from_millis(if part == 4 { 2_000 } else { 150 }));
    }
    for file in &mut files {
        file.write_all(b"26/11/22 06:26:23 INFO Executor: the end\n").unwrap();
    }
    bed.wait_for_text("trace right");
    bed.stop();
    for (name, lines) in names.iter().zip(&traces) {
        let bodies: Vec<String> = bed
            .bodies()
            .into_iter()
            .filter(|body| body.contains(&format!("com.acme.{name}")))
            .collect();
        assert_eq!(bodies.len(), 1, "the trace of {name} is one record");
        assert_eq!(bodies[0].matches("\tat ").count(), 498, "{name}");
        assert_eq!(lines.len(), 499);
    }
}

#[test]
fn f11_a_healthy_run_logs_no_error() {
    let mut bed = Bed::new(&["app.log"]);
    let mut writer = Writer::open("w", &bed.log("app.log"));
    bed.start();
    for round in 1..=3 {
        writer.write(100);
        bed.wait_for("w", round * 100);
        fs::rename(bed.log("app.log"), bed.log(&format!("app.log.{round}"))).unwrap();
        writer.reopen();
    }
    bed.stop();
    let log = bed.own_log();
    assert!(!log.contains("ERROR") && !log.contains("WARN"), "{log}");
}

#[test]
fn f12_a_steady_writer_with_rotation_loses_nothing() {
    let mut bed = Bed::new(&["app.log"]);
    let pump = crate::harness::writer::Pump::start(Writer::open("w", &bed.log("app.log")), 1_000);
    bed.start();
    for round in 1..=6 {
        bed.wait_for("w", round * 1_500);
        fs::rename(bed.log("app.log"), bed.log(&format!("app.log.{round}"))).unwrap();
        pump.reopen();
    }
    let n_lines = pump.stop();
    bed.wait_for("w", n_lines);
    bed.stop();
    bed.expect_all("w", n_lines);
    bed.expect_no_duplicates();
}

#[test]
fn f13_a_last_line_without_newline_comes_at_the_stop() {
    let mut bed = Bed::new(&["app.log"]);
    let mut file = File::create(bed.log("app.log")).unwrap();
    file.write_all(b"26/11/22 06:26:22 INFO Writer: the last word").unwrap();
    super::age(&bed.log("app.log"));
    bed.start();
    super::wait_for_metric(&bed, "sidelight_files", "active", |n| n == 1.0);
    bed.stop();
    assert_eq!(bed.bodies(), ["the last word"]);
}

#[test]
fn f13_a_line_that_is_being_written_at_the_stop_comes_whole_after_it() {
    let mut bed = Bed::new(&["app.log"]);
    let mut file = File::create(bed.log("app.log")).unwrap();
    file.write_all(b"26/11/22 06:26:22 INFO Writer: mail to ").unwrap();
    bed.start();
    super::wait_for_metric(&bed, "sidelight_read_bytes_total", "", |n| n > 0.0);
    bed.stop();
    assert_eq!(bed.bodies(), ["mail to "], "there may be no next start");
    file.write_all(b"alice@example.com\n").unwrap();
    bed.once();
    assert_eq!(bed.bodies(), ["mail to ", "mail to [EMAIL]"], "half a secret is not recognised");
}

#[test]
fn f13_a_last_line_without_newline_comes_when_its_file_is_deleted() {
    let mut bed = Bed::new(&["app.log"]);
    let log = bed.log("app.log");
    fs::write(&log, "26/11/22 06:26:22 INFO Writer: the last word").unwrap();
    bed.start();
    super::wait_for_metric(&bed, "sidelight_files", "active", |n| n == 1.0);
    fs::remove_file(&log).unwrap();
    bed.wait_for_text("the last word");
    bed.stop();
    assert_eq!(bed.bodies(), ["the last word"]);
}

#[test]
fn f6_an_agent_that_ends_with_its_job_has_delivered_everything() {
    let mut bed = Bed::new(&["app.log"]);
    let mut writer = Writer::open("w", &bed.log("app.log"));
    let mut command = bed.command();
    command.args(["--exit-when-idle", "3s"]);
    bed.start_with(&command);
    writer.write(100);
    bed.wait_for("w", 90);
    writer.write(100);
    let status = bed.process().wait(Duration::from_secs(30));
    assert_eq!(status.code(), Some(0), "{}", bed.own_log());
    bed.tally.read(&bed.output());
    bed.expect_all("w", 200);
    bed.expect_no_duplicates();
}

#[test]
fn f7_lives_of_two_seconds_deliver_the_last_line_of_a_rotated_file() {
    let mut bed = Bed::new(&["app.log*"]);
    let mut writer = Writer::open("w", &bed.log("app.log"));
    writer.write(100);
    fs::rename(bed.log("app.log"), bed.log("app.log.1")).unwrap();
    for _ in 0..6 {
        let mut command = bed.command();
        command.env("SIDELIGHT_BATCH__AGE_MAX", "1s");
        // All lines but the last travel at once.
        command.env("SIDELIGHT_BATCH__RECORDS_MAX", "99");
        bed.start_with(&command);
        std::thread::sleep(Duration::from_millis(1_700));
        bed.kill();
    }
    bed.expect_all("w", 100);
}
