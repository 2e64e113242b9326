//! A: files that are renamed, deleted, compressed or linked anew.

use super::SCAN;
use crate::harness::bed::{Bed, LIMIT, run};
use crate::harness::sink::Sink;
use crate::harness::wait;
use crate::harness::writer::{Pump, Writer};
use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

#[test]
fn a4_a_long_chain_of_renames_keeps_one_entry_a_file() {
    let mut bed = Bed::new(&["app.log*"]);
    let log = bed.log("app.log");
    let mut writer = Writer::open("w", &log);
    bed.start();
    for _ in 0..40 {
        writer.write(20);
        bed.wait_for("w", writer.next - 10);
        for n in (1..20).rev() {
            let _ = fs::rename(
                bed.log(&format!("app.log.{n}")),
                bed.log(&format!("app.log.{}", n + 1)),
            );
        }
        fs::rename(&log, bed.log("app.log.1")).unwrap();
        writer.reopen();
    }
    writer.write(20);
    bed.wait_for("w", writer.next);
    bed.stop();
    bed.expect_all("w", writer.next);
    bed.expect_no_duplicates();
    let n_live = fs::read_dir(bed.log("")).unwrap().count();
    let largest = bed.state_files().iter().map(|path| fs::metadata(path).unwrap().len()).max();
    // An entry takes less than 1 KiB.
    assert!(largest.unwrap() < (n_live as u64 + 25) << 10, "{n_live} files, state {largest:?} B");
}

#[test]
fn a5_renamed_compressed_deleted_and_made_again_within_milliseconds() {
    let mut bed = Bed::new(&["app.log"]);
    let log = bed.log("app.log");
    let mut writer = Writer::open("w", &log);
    bed.start();
    let script = "mv app.log app.log.1 && gzip app.log.1 && rm app.log.1.gz";
    for _ in 0..10 {
        writer.write(200);
        bed.wait_for("w", writer.next - 199);
        writer.write(200);
        run("sh", &["-c", script], &bed.log(""));
        writer.reopen();
    }
    writer.write(10);
    bed.wait_for("w", writer.next);
    bed.stop();
    bed.expect_all("w", writer.next);
    bed.expect_no_duplicates();
}

#[test]
fn a10_three_rotations_after_a_kill_lose_nothing_also_when_only_the_log_is_named() {
    let mut bed = Bed::new(&["app.log"]);
    let log = bed.log("app.log");
    let mut writer = Writer::open("w", &log);
    writer.write(400);
    bed.start();
    bed.wait_for("w", 400);
    bed.kill();
    for round in 0..3 {
        writer.write(300);
        for n in (1..=round).rev() {
            fs::rename(bed.log(&format!("app.log.{n}")), bed.log(&format!("app.log.{}", n + 1)))
                .unwrap();
        }
        fs::rename(&log, bed.log("app.log.1")).unwrap();
        writer.reopen();
    }
    writer.write(100);
    bed.start();
    bed.wait_for("w", writer.next);
    bed.stop();
    bed.expect_all("w", writer.next);
}

#[test]
fn a11_a_logger_that_goes_round_in_three_files_loses_nothing() {
    let mut bed = Bed::new(&["log*"]);
    let mut next = 0;
    let write = |path: &std::path::Path, next: &mut u64| {
        let mut writer = Writer::open("w", path);
        writer.next = *next;
        writer.write(30);
        *next = writer.next;
    };
    for name in ["log", "log1", "log2"] {
        write(&bed.log(name), &mut next);
    }
    bed.start();
    for turn in 1..=15 {
        bed.wait_for("w", next);
        fs::rename(bed.log("log"), bed.log("log3")).unwrap();
        fs::rename(bed.log("log1"), bed.log("log")).unwrap();
        fs::rename(bed.log("log2"), bed.log("log1")).unwrap();
        fs::rename(bed.log("log3"), bed.log("log2")).unwrap();
        // The oldest file is written anew.
        fs::File::create(bed.log("log")).unwrap();
        // What becomes of one that nobody sees is a8.
        let name = "sidelight_files_replaced_total";
        super::wait_for_metric(&bed, name, "truncated", |n| n == f64::from(turn));
        write(&bed.log("log"), &mut next);
    }
    bed.wait_for("w", next);
    bed.stop();
    bed.expect_all("w", next);
    bed.expect_no_duplicates();
}

/// A bed whose destination takes nothing until it is told to; 2 MiB later reading waits.
fn with_paused_sink(bed: &mut Bed) -> Sink {
    let sink = Sink::new(&bed.scratch.join("sink"));
    let mut command = bed.command();
    command.env("SIDELIGHT_EXPORTERS__FILE__PATH", sink.path());
    command.env("SIDELIGHT_LIMITS__MEMORY_BYTES_MAX", "2MiB");
    bed.start_with(&command);
    sink
}

#[test]
fn a12_a_deleted_file_with_unread_bytes_waits_for_a_paused_destination() {
    let mut bed = Bed::new(&["app.log"]);
    let log = bed.log("app.log");
    let mut writer = Writer::open("w", &log);
    writer.write(10);
    let mut sink = with_paused_sink(&mut bed);
    super::wait_for_metric(&bed, "sidelight_files", "active", |n| n == 1.0);
    writer.write(30_000);
    fs::rename(&log, bed.log("rotated")).unwrap();
    writer.reopen();
    writer.write(10);
    std::thread::sleep(SCAN);
    fs::remove_file(bed.log("rotated")).unwrap();
    sink.pour_into(&bed.output());
    bed.wait_for("w", writer.next);
    bed.stop();
    bed.expect_all("w", writer.next);
    bed.expect_no_duplicates();
}

#[test]
fn a13_many_files_that_rotate_under_load_lose_nothing() {
    let mut bed = Bed::new(&["*.log"]);
    let pumps: Vec<Pump> = (0..30)
        .map(|n| Pump::start(Writer::open(&format!("w{n}"), &bed.log(&format!("{n}.log"))), 100))
        .collect();
    bed.start();
    for round in 1..=3 {
        for (n, pump) in pumps.iter().enumerate() {
            wait::until("lines", LIMIT, || (pump.n_written() >= round * 120).then_some(()));
            let log = bed.log(&format!("{n}.log"));
            fs::rename(&log, bed.log(&format!("{n}.log.{round}"))).unwrap();
            pump.reopen();
        }
    }
    let written: Vec<u64> = pumps.into_iter().map(Pump::stop).collect();
    for (n, n_lines) in written.iter().enumerate() {
        bed.wait_for(&format!("w{n}"), *n_lines);
    }
    bed.stop();
    for (n, n_lines) in written.iter().enumerate() {
        bed.expect_all(&format!("w{n}"), *n_lines);
    }
    bed.expect_no_duplicates();
}

#[test]
fn a14_files_that_come_and_go_while_the_destination_takes_nothing_are_read() {
    let mut bed = Bed::new(&["*.log"]);
    let mut writer = Writer::open("w", &bed.log("busy.log"));
    writer.write(40_000);
    let mut sink = with_paused_sink(&mut bed);
    // Queue, memory budget and pipe are full when reading stands still.
    let mut before = 0.0;
    wait::until("reading waits", LIMIT, || {
        std::thread::sleep(SCAN);
        let n_records = bed.metric("sidelight_records_total", "");
        (n_records > 0.0 && n_records == std::mem::replace(&mut before, n_records)).then_some(())
    });
    for n in 0..50 {
        Writer::open(&format!("s{n}"), &bed.log(&format!("s{n}.log"))).write(5);
    }
    std::thread::sleep(2 * SCAN);
    for n in 0..50 {
        fs::remove_file(bed.log(&format!("s{n}.log"))).unwrap();
    }
    sink.pour_into(&bed.output());
    bed.wait_for("w", 40_000);
    for n in 0..50 {
        bed.wait_for(&format!("s{n}"), 5);
    }
    bed.stop();
    bed.expect_no_duplicates();
}

#[test]
fn a15_a_link_to_a_file_that_is_set_anew_is_followed() {
    let mut bed = Bed::new(&["current.log"]);
    let link = bed.log("current.log");
    let mut old = Writer::open("old", &bed.scratch.join("run-1.log"));
    symlink(bed.scratch.join("run-1.log"), &link).unwrap();
    old.write(100);
    bed.start();
    bed.wait_for("old", 100);
    let mut new = Writer::open("new", &bed.scratch.join("run-2.log"));
    new.write(100);
    symlink(bed.scratch.join("run-2.log"), bed.log("next")).unwrap();
    fs::rename(bed.log("next"), &link).unwrap();
    old.write(100);
    bed.wait_for("new", 100);
    bed.wait_for("old", 200);
    bed.stop();
    bed.expect_all("old", 200);
    bed.expect_all("new", 100);
    bed.expect_no_duplicates();
}

#[test]
fn a15_a_link_to_a_folder_that_is_set_anew_is_followed() {
    let mut bed = Bed::new(&["current/*.log"]);
    let folders = ["release-1", "release-2"].map(|name| bed.scratch.join(name));
    folders.iter().for_each(|folder| fs::create_dir(folder).unwrap());
    let mut old = Writer::open("old", &folders[0].join("app.log"));
    symlink(&folders[0], bed.log("current")).unwrap();
    old.write(100);
    bed.start();
    bed.wait_for("old", 100);
    let mut new = Writer::open("new", &folders[1].join("app.log"));
    new.write(100);
    symlink(&folders[1], bed.log("next")).unwrap();
    fs::rename(bed.log("next"), bed.log("current")).unwrap();
    old.write(100);
    bed.wait_for("new", 100);
    bed.wait_for("old", 200);
    bed.stop();
    bed.expect_all("old", 200);
    bed.expect_all("new", 100);
    bed.expect_no_duplicates();
}

#[test]
fn a21_a_copy_that_a_compressor_deletes_is_let_go() {
    let mut bed = Bed::new(&["*"]);
    let copy = bed.log("app.log.1.tmp");
    bed.start();
    Writer::open("w", &copy).write(100);
    bed.wait_for("w", 100);
    fs::remove_file(&copy).unwrap();
    wait::until("no deleted file is held", Duration::from_secs(20), || {
        let is_held = |link: &String| link.contains("app.log.1.tmp");
        (!bed.descriptors().iter().any(is_held)).then_some(())
    });
    bed.stop();
    bed.expect_all("w", 100);
}

#[test]
fn a22_the_first_line_of_each_file_of_a_python_handler_comes() {
    let script = r#"
import logging, logging.handlers, sys, time
handler = logging.handlers.RotatingFileHandler(sys.argv[1], maxBytes=20000, backupCount=100)
handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
log = logging.getLogger("orders")
log.setLevel(logging.INFO)
log.addHandler(handler)
for number in range(2000):
    log.info("line =w:%d= of a job that has as many lines as a job has", number)
    time.sleep(0.002)
"#;
    let mut bed = Bed::new(&["app.log*"]);
    bed.start();
    let log = bed.log("app.log");
    run("python3", &["-c", script, log.to_str().unwrap()], &bed.log(""));
    bed.wait_for("w", 2_000);
    bed.stop();
    bed.expect_all("w", 2_000);
    bed.expect_no_duplicates();
    assert!(fs::read_dir(bed.log("")).unwrap().count() > 5, "it rotated");
}

#[test]
fn a23_rotation_is_seen_after_ten_reloads() {
    let mut bed = Bed::new(&["app.log"]);
    let log = bed.log("app.log");
    let mut writer = Writer::open("w", &log);
    bed.start();
    for round in 1..=10 {
        let age = |ms| format!("age_max = \"{ms}ms\"");
        bed.edit_config(|text| text.replace(&age(99 + round), &age(100 + round)));
        bed.process().send("HUP");
        let is_applied = |n| n == round as f64;
        bed.wait_for_metric("sidelight_config_reloads_total", "outcome=\"applied\"", is_applied);
        writer.write(20);
        bed.wait_for("w", round * 20);
    }
    fs::rename(&log, bed.log("app.log.1")).unwrap();
    writer.write(20);
    writer.reopen();
    writer.write(20);
    bed.wait_for("w", 240);
    bed.stop();
    bed.expect_all("w", 240);
    bed.expect_no_duplicates();
}

#[test]
fn a24_a_thousand_files_that_rotate_at_once_lose_nothing() {
    const FILES: usize = 1_000;
    let mut bed = Bed::new(&["*.log"]);
    let mut writers: Vec<Writer> =
        (0..FILES).map(|n| Writer::open(&format!("w{n}"), &bed.log(&format!("{n}.log")))).collect();
    writers.iter_mut().for_each(|writer| writer.write(3));
    bed.start();
    bed.wait_for(&format!("w{}", FILES - 1), 3);
    for (n, writer) in writers.iter_mut().enumerate() {
        writer.write(2);
        fs::rename(bed.log(&format!("{n}.log")), bed.log(&format!("{n}.log.1"))).unwrap();
        writer.reopen();
        writer.write(3);
    }
    for n in 0..FILES {
        bed.wait_for(&format!("w{n}"), 8);
    }
    bed.stop();
    for n in 0..FILES {
        bed.expect_all(&format!("w{n}"), 8);
    }
    bed.expect_no_duplicates();
}
