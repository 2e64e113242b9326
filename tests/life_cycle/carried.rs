//! What a reload carries over that no checkpoint has: open files without a name, half lines, inputs
//! that cannot be read twice.

use super::reload::reload;
use crate::harness::agent;
use crate::harness::bed::{Bed, LIMIT};
use crate::harness::writer::{Pump, Writer};
use crate::harness::{http, wait};
use std::fs::{self, File};
use std::io::Write;
use std::process::{Command, Stdio};

/// Another config that makes no difference for what is read.
fn change(bed: &Bed) {
    let number = bed.metric("sidelight_config_reloads_total", "outcome=\"applied\"");
    bed.edit_config(|text| {
        let (before, after) = text.split_once("age_max = \"").unwrap();
        format!(
            "{before}age_max = \"{}ms{}",
            101 + number as u64,
            &after[after.find('"').unwrap()..]
        )
    });
}

#[test]
fn a_deleted_file_that_is_still_written_is_read_on() {
    let mut bed = Bed::new(&["app.log"]);
    let pump = Pump::start(Writer::open("w", &bed.log("app.log")), 1_000);
    bed.start();
    bed.wait_for("w", 100);
    fs::remove_file(bed.log("app.log")).unwrap();
    for _ in 0..3 {
        let n_written = pump.n_written();
        bed.wait_for("w", n_written + 300);
        change(&bed);
        reload(&mut bed, "applied");
    }
    let n_lines = pump.stop();
    bed.wait_for("w", n_lines);
    bed.stop();
    bed.expect_all("w", n_lines);
    bed.expect_no_duplicates();
}

#[test]
fn half_lines_of_files_and_pipes_are_not_cut_where_a_secret_is() {
    let mut bed = Bed::new(&["app.log", "app.pipe"]);
    let pipe = bed.log("app.pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut file = File::create(bed.log("app.log")).unwrap();
    bed.start();
    let mut pipe = File::options().write(true).open(pipe).unwrap();
    for (output, name) in [(&mut file, "file"), (&mut pipe, "pipe")] {
        let line = format!("26/11/22 06:26:22 INFO Writer: {name} one\n");
        output.write_all(line.as_bytes()).unwrap();
        bed.wait_for_metric("sidelight_records_total", "", |n| n >= 1.0);
        let half = format!("26/11/22 06:26:22 INFO Writer: {name} jane.d");
        output.write_all(half.as_bytes()).unwrap();
    }
    let half_lines = "26/11/22 06:26:22 INFO Writer: file jane.d".len() * 2;
    let lines = "26/11/22 06:26:22 INFO Writer: file one\n".len() * 2;
    bed.wait_for_metric("sidelight_read_bytes_total", "", |n| n as usize == half_lines + lines);
    for _ in 0..2 {
        change(&bed);
        reload(&mut bed, "applied");
    }
    for output in [&mut file, &mut pipe] {
        output.write_all(b"oe@example.com came\n").unwrap();
    }
    bed.wait_for_text("file [EMAIL] came");
    bed.wait_for_text("pipe [EMAIL] came");
    bed.stop();
    let mut bodies = bed.bodies();
    bodies.sort();
    assert_eq!(bodies, ["file [EMAIL] came", "file one", "pipe [EMAIL] came", "pipe one"]);
}

#[test]
fn standard_input_is_read_on_and_ends_the_agent_when_it_ends() {
    let bed = Bed::new(&[]);
    let _ = bed.command();
    let config = bed.scratch.join("sidelight.toml");
    bed.edit_config(|text| text.replace("include = []", "include = [\"-\"]"));
    let mut command = Command::new(agent::binary());
    command.arg("run").arg("-c").arg(&config).stdin(Stdio::piped());
    let mut process = command.stderr(Stdio::null()).spawn().unwrap();
    let mut input = process.stdin.take().unwrap();
    let pid = process.id().to_string();
    wait::until("it answers", LIMIT, || http::get(bed.port(), "/livez").ok());
    let body = |n: usize| format!("number {n}");
    for n in 0..200 {
        writeln!(input, "26/11/22 06:26:22 INFO Writer: {}", body(n)).unwrap();
        if n % 50 == 20 {
            // Half of the next line is in the buffer when it happens.
            write!(input, "26/11/22 06:26:22 INFO Writer: num").unwrap();
            bed.wait_for_metric("sidelight_records_total", "", |count| count > n as f64);
            let before = bed.metric("sidelight_config_reloads_total", "outcome=\"applied\"");
            change(&bed);
            assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
            bed.wait_for_metric("sidelight_config_reloads_total", "outcome=\"applied\"", |count| {
                count > before
            });
            writeln!(input, "ber {n} and a half").unwrap();
        }
    }
    drop(input);
    let status = wait::until("it ends", LIMIT, || process.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
    let mut wanted: Vec<String> = Vec::new();
    for n in 0..200 {
        wanted.push(body(n));
        if n % 50 == 20 {
            wanted.push(format!("number {n} and a half"));
        }
    }
    assert_eq!(bed.bodies(), wanted);
}

#[test]
fn a_file_that_is_not_wanted_any_more_is_left_at_once_and_read_on_when_it_is() {
    let mut bed = Bed::new(&["*.log"]);
    let mut writer = Writer::open("w", &bed.log("app.log"));
    let mut other = Writer::open("x", &bed.log("other.log"));
    writer.write(10);
    other.write(10);
    bed.start();
    bed.wait_for("w", 9);
    bed.wait_for("x", 9);
    let (all, one) = (format!("[{:?}]", bed.log("*.log")), format!("[{:?}]", bed.log("app.log")));
    for round in 1..=3 {
        bed.edit_config(|text| text.replace(&all, &one));
        reload(&mut bed, "applied");
        writer.write(10);
        other.write(10);
        bed.wait_for("w", round * 20 - 1);
        let other_lines = bed.tally.n_distinct("x");
        assert!(other_lines <= round * 20 - 10, "{other_lines} of round {round}");
        bed.edit_config(|text| text.replace(&one, &all));
        reload(&mut bed, "applied");
        writer.write(10);
        other.write(10);
        bed.wait_for("w", round * 20 + 9);
        bed.wait_for("x", round * 20 + 9);
    }
    bed.stop();
    bed.expect_all("w", 70);
    bed.expect_all("x", 70);
    bed.expect_no_duplicates();
}

#[test]
fn files_that_a_new_glob_finds_begin_where_the_config_says() {
    let mut bed = Bed::new(&["app.log"]);
    let mut writer = Writer::open("w", &bed.log("app.log"));
    let mut other = Writer::open("x", &bed.log("other.log"));
    other.write(10);
    let _ = bed.command();
    let command = bed.command();
    bed.edit_config(|text| text.replace("\"beginning\"", "\"end\""));
    bed.start_with(&command);
    writer.write(10);
    bed.wait_for("w", 9);
    let (one, all) = (format!("[{:?}]", bed.log("app.log")), format!("[{:?}]", bed.log("*.log")));
    bed.edit_config(|text| text.replace(&one, &all));
    reload(&mut bed, "applied");
    bed.wait_for_metric("sidelight_files", "state=\"active\"", |n| n == 2.0);
    other.write(10);
    Writer::open("new", &bed.log("new.log")).write(10);
    bed.wait_for("new", 9);
    wait::until("the last line of the other", LIMIT, || {
        fs::read_to_string(bed.output()).unwrap().contains("line =x:19=").then_some(())
    });
    bed.stop();
    bed.expect_all("new", 10);
    assert_eq!(bed.tally.n_distinct("x"), 10, "what it held before is not wanted");
}
