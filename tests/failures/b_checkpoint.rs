//! B: what a checkpoint must survive, and what it may never claim.

use crate::harness::bed::Bed;
use crate::harness::report::say;
use crate::harness::writer::{Pump, Writer, line};
use std::fs;
use std::io::Write;

/// A bed that has delivered 100 lines, twice a generation of its checkpoint.
fn delivered() -> (Bed, Writer) {
    let mut bed = Bed::new(&["*.log"]);
    let mut writer = Writer::open("w", &bed.log("app.log"));
    for _ in 0..2 {
        writer.write(50);
        bed.once();
    }
    bed.expect_no_duplicates();
    (bed, writer)
}

/// What power loss and full disks leave of a file.
fn damages(whole: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut torn = whole[..whole.len() / 2].to_vec();
    torn.resize(whole.len(), 0);
    let mut flipped = whole.to_vec();
    flipped[whole.len() / 2] ^= 0x20;
    vec![
        ("empty", Vec::new()),
        ("NULs", vec![0; whole.len()]),
        ("half", whole[..whole.len() / 2].to_vec()),
        ("half, then NULs", torn),
        ("one bit", flipped),
        ("text", b"garbage\n".to_vec()),
    ]
}

#[test]
fn b1_a_damaged_checkpoint_falls_back_and_loses_nothing() {
    let (mut bed, mut writer) = delivered();
    for path in bed.state_files() {
        let whole = fs::read(&path).unwrap();
        for (what, damaged) in damages(&whole) {
            fs::write(&path, damaged).unwrap();
            writer.write(5);
            bed.start();
            let counted = bed.metric("sidelight_checkpoint_recovered_total", "");
            bed.wait_for("w", writer.next);
            bed.stop();
            say(&format!("b1: {} {what}: recovered {counted}", path.display()));
        }
    }
    bed.expect_all("w", writer.next);
}

#[test]
fn b4_no_damage_of_all_files_at_once_stops_the_agent() {
    let (mut bed, mut writer) = delivered();
    let n_damages = damages(b"xx").len();
    for index in 0..n_damages {
        for path in bed.state_files() {
            let whole = fs::read(&path).unwrap();
            fs::write(&path, &damages(if whole.is_empty() { b"xx" } else { &whole })[index].1)
                .unwrap();
        }
        writer.write(5);
        bed.once();
        bed.expect_all("w", writer.next);
    }
}

#[test]
fn b5_an_empty_temporary_file_of_a_killed_agent_is_nothing() {
    let (mut bed, mut writer) = delivered();
    fs::write(bed.scratch.join("state/checkpoint.tmp"), "").unwrap();
    writer.write(5);
    bed.once();
    bed.expect_all("w", 105);
    bed.expect_no_duplicates();
    fs::remove_file(bed.log("app.log")).unwrap();
}

#[test]
fn b7_a_dead_destination_and_a_kill_lose_nothing() {
    let mut bed = Bed::new(&["app.log"]);
    let mut writer = Writer::open("w", &bed.log("app.log"));
    writer.write(500);
    for _ in 0..3 {
        let mut command = bed.command();
        // Every write fails: the disk is full.
        command.env("SIDELIGHT_EXPORTERS__FILE__PATH", "/dev/full");
        bed.start_with(&command);
        writer.write(4_000);
        super::wait_for_metric(&bed, "sidelight_exports_total", "error", |n| n >= 1.0);
        bed.kill();
    }
    bed.start();
    bed.wait_for("w", writer.next);
    bed.stop();
    // What went to the spool in the second before a kill may be read and spooled once more.
    bed.expect_all("w", writer.next);
}

#[test]
fn b8_kills_under_load_lose_nothing_and_repeat_what_was_in_flight() {
    let mut bed = Bed::new(&["app.log"]);
    let pump = Pump::start(Writer::open("w", &bed.log("app.log")), 2_000);
    for _ in 0..12 {
        bed.start();
        let n_before = bed.tally.n_distinct("w");
        bed.wait_for("w", n_before + 500);
        // The first one is written before anything is delivered.
        super::wait_for_metric(&bed, "sidelight_checkpoints_total", "", |n| n >= 2.0);
        bed.kill();
    }
    let n_lines = pump.stop();
    bed.start();
    bed.wait_for("w", n_lines);
    bed.stop();
    bed.expect_all("w", n_lines);
    let n_twice = bed.tally.n_duplicates();
    say(&format!("b8: {n_lines} lines, 12 kills, {n_twice} lines twice"));
    // Two seconds of a batch and one of the checkpoint.
    assert!(n_twice < 12 * 3 * 2_000, "{n_twice} lines came twice");
}

#[test]
fn b9_a_half_line_at_the_stop_is_not_lost() {
    let mut bed = Bed::new(&["app.log"]);
    let log = bed.log("app.log");
    let mut file = fs::File::create(&log).unwrap();
    let (first, second) = (line("w", 0), line("w", 1));
    let half = second.find("finished").unwrap();
    file.write_all(first.as_bytes()).unwrap();
    file.write_all(&second.as_bytes()[..half]).unwrap();
    bed.start();
    super::wait_for_metric(&bed, "sidelight_read_bytes_total", "", |n| n > first.len() as f64);
    bed.stop();
    file.write_all(&second.as_bytes()[half..]).unwrap();
    file.write_all(line("w", 2).as_bytes()).unwrap();
    bed.start();
    bed.wait_for("w", 3);
    bed.stop();
    bed.expect_all("w", 3);
    // It came as it was, as there may be no next start, and whole after it.
    assert_eq!(bed.tally.n_duplicates(), 1, "{}", bed.own_log());
    let text = bed.bodies().concat();
    assert_eq!(text.matches("finished task 1.0").count(), 1, "{text}");
    let is_whole = |body: &String| body.contains("=w:1=") && body.contains("finished task 1.0");
    assert!(bed.bodies().iter().any(is_whole), "{text}");
}

#[test]
fn b9_a_whole_line_is_not_held_back_by_a_half_line() {
    let mut bed = Bed::new(&["app.log"]);
    let text = [line("w", 0), "26/11/22 06:26:22 INFO Wri".to_owned()].concat();
    fs::write(bed.log("app.log"), text).unwrap();
    bed.start();
    bed.wait_for("w", 1);
    bed.stop();
}

#[test]
fn b10_a_half_line_that_was_sent_before_a_kill_is_covered_once() {
    let mut bed = Bed::new(&["app.log"]);
    let log = bed.log("app.log");
    fs::write(&log, "ABC").unwrap();
    // Nobody goes on with a line that was left alone for a while.
    super::age(&log);
    bed.start();
    bed.stop();
    bed.start();
    bed.kill();
    fs::File::options().append(true).open(&log).unwrap().write_all(b"DEF\n").unwrap();
    bed.start();
    bed.wait_for_text("DEF");
    bed.stop();
    let bodies = bed.bodies();
    assert_eq!(bodies.concat(), "ABCDEF", "{bodies:?}");
}

#[test]
fn b11_overlapping_globs_and_five_restarts_repeat_nothing() {
    let mut bed = Bed::new(&["*.log", "app*", "app.log"]);
    let mut writer = Writer::open("w", &bed.log("app.log"));
    for _ in 0..5 {
        writer.write(100);
        bed.start();
        bed.wait_for("w", writer.next);
        bed.stop();
    }
    bed.expect_all("w", 500);
    bed.expect_no_duplicates();
}

#[test]
fn b12_orderly_stops_under_load_repeat_nothing() {
    let mut bed = Bed::new(&["app.log"]);
    let pump = Pump::start(Writer::open("w", &bed.log("app.log")), 2_000);
    for _ in 0..6 {
        bed.start();
        let n_before = bed.tally.n_distinct("w");
        bed.wait_for("w", n_before + 300);
        bed.stop();
    }
    let n_lines = pump.stop();
    bed.start();
    bed.wait_for("w", n_lines);
    bed.stop();
    bed.expect_all("w", n_lines);
    bed.expect_no_duplicates();
}

#[test]
fn b13_a_reload_to_a_dead_destination_and_back_loses_nothing() {
    let mut bed = Bed::new(&["app.log"]);
    let mut writer = Writer::open("w", &bed.log("app.log"));
    bed.start();
    let (name, output) = ("sidelight_config_reloads_total", bed.output());
    let (good, dead) = (format!("path = {output:?}"), "path = \"/dev/full\"");
    for (n, (from, to)) in [(&*good, dead), (dead, &*good)].into_iter().enumerate() {
        bed.edit_config(|text| text.replace(from, to));
        bed.process().send("HUP");
        bed.wait_for_metric(name, "outcome=\"applied\"", |applied| applied == (n + 1) as f64);
        writer.write(500);
        if n == 0 {
            bed.wait_for_metric("sidelight_exports_total", "outcome=\"error\"", |n| n > 0.0);
        }
    }
    bed.wait_for("w", 1_000);
    bed.stop();
    bed.expect_all("w", 1_000);
    bed.expect_no_duplicates();
}
