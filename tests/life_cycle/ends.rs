//! Signals and files that end the agent.

use crate::harness::bed::{Bed, LIMIT};
use crate::harness::wait;
use crate::harness::writer::Writer;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A bed whose agent runs with these variables over a file that has ten lines.
fn bed(variables: &[(&str, &str)]) -> (Bed, Writer) {
    let mut bed = Bed::new(&["app.log"]);
    let mut writer = Writer::open("w", &bed.log("app.log"));
    writer.write(10);
    let mut command = bed.command();
    command.envs(variables.iter().copied());
    bed.start_with(&command);
    (bed, writer)
}

/// Waits for an end by itself, which must be an orderly one that says `reason` in one line.
#[track_caller]
fn expect_end(bed: &mut Bed, reason: &str, n_lines: u64) {
    let status = bed.process().wait(LIMIT);
    let log = bed.own_log();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(log.matches(": draining").count(), 1, "{log}");
    assert!(log.contains(&format!("{reason}: draining")), "{log}");
    bed.tally.read(&bed.output());
    bed.expect_all("w", n_lines);
    bed.expect_no_duplicates();
}

#[test]
fn a_job_that_no_longer_touches_its_heartbeat_ends_the_agent_after_its_last_line() {
    for is_removed in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let heartbeat = folder.path().join("heartbeat");
        let (mut bed, mut writer) = bed(&[
            ("SIDELIGHT_SHUTDOWN__HEARTBEAT_FILE", heartbeat.to_str().unwrap()),
            ("SIDELIGHT_SHUTDOWN__HEARTBEAT_STALE_AFTER", "2s"),
            // Nothing leaves before the drain.
            ("SIDELIGHT_BATCH__AGE_MAX", "1h"),
        ]);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(4) {
            fs::write(&heartbeat, "").unwrap();
            writer.write(1);
            std::thread::sleep(Duration::from_millis(200));
            assert_eq!(bed.process().exit_status(), None, "{}", bed.own_log());
        }
        if is_removed {
            fs::remove_file(&heartbeat).unwrap();
        }
        let n_lines = writer.next;
        expect_end(&mut bed, "shutdown.heartbeat_file was not touched for 2s", n_lines);
    }
}

#[test]
fn a_heartbeat_that_never_appears_ends_the_agent_with_0() {
    let (mut bed, _) = bed(&[
        ("SIDELIGHT_SHUTDOWN__HEARTBEAT_FILE", "/proc/none/heartbeat"),
        ("SIDELIGHT_SHUTDOWN__HEARTBEAT_INITIAL_WAIT", "1s"),
    ]);
    expect_end(&mut bed, "shutdown.heartbeat_file did not appear within 1s", 10);
}

#[test]
fn a_heartbeat_of_a_clock_that_jumps_does_not_end_the_agent() {
    let folder = tempfile::tempdir().unwrap();
    let heartbeat = folder.path().join("heartbeat");
    let (mut bed, _) = bed(&[
        ("SIDELIGHT_SHUTDOWN__HEARTBEAT_FILE", heartbeat.to_str().unwrap()),
        ("SIDELIGHT_SHUTDOWN__HEARTBEAT_STALE_AFTER", "2s"),
    ]);
    let start = Instant::now();
    for year in (1980..2040).step_by(7).cycle() {
        let mut touch = Command::new("touch");
        touch.arg("-d").arg(format!("{year}-01-01")).arg(&heartbeat);
        assert!(touch.status().unwrap().success());
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(bed.process().exit_status(), None, "{}", bed.own_log());
        if start.elapsed() > Duration::from_secs(4) {
            break;
        }
    }
    expect_end(&mut bed, "shutdown.heartbeat_file was not touched for 2s", 10);
}

#[test]
fn a_watched_file_ends_the_agent_after_what_was_written_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let done = folder.path().join("done");
    let (mut bed, mut writer) = bed(&[("SIDELIGHT_SHUTDOWN__WATCH_FILE", done.to_str().unwrap())]);
    bed.wait_for("w", 9);
    writer.write(500);
    fs::write(&done, "").unwrap();
    expect_end(&mut bed, "shutdown.watch_file is there", 510);
}

#[test]
fn the_config_can_end_an_idle_agent_too() {
    let (mut bed, _) = bed(&[("SIDELIGHT_SHUTDOWN__IDLE", "1s")]);
    expect_end(&mut bed, "nothing more to read", 10);
}

#[test]
fn sigint_and_sigterm_deliver_what_was_written_just_before_them() {
    for signal in ["INT", "TERM"] {
        let (mut bed, mut writer) = bed(&[
            ("SIDELIGHT_BATCH__AGE_MAX", "1h"),
            // A build without optimisation on a busy machine.
            ("SIDELIGHT_SHUTDOWN__GRACE", "40s"),
        ]);
        bed.wait_for_metric("sidelight_files", "active", |n| n == 1.0);
        writer.write(20_000);
        bed.process().send(signal);
        expect_end(&mut bed, &format!("SIG{signal}"), 20_010);
    }
}

/// A bed whose destination is a pipe that nobody reads. It ends when there is a file `done`.
fn stuck_bed(grace: &str) -> Bed {
    let mut bed = Bed::new(&["app.log"]);
    Writer::open("w", &bed.log("app.log")).write(10_000);
    let pipe = bed.scratch.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut command = bed.command();
    command.env("SIDELIGHT_EXPORTERS__FILE__PATH", pipe).env("SIDELIGHT_SHUTDOWN__GRACE", grace);
    command.env("SIDELIGHT_SHUTDOWN__WATCH_FILE", bed.scratch.join("done"));
    bed.start_with(&command);
    bed.wait_for_metric("sidelight_records_total", "", |n| n > 0.0);
    bed
}

#[test]
fn a_stuck_destination_holds_the_end_up_for_the_grace_period_at_most() {
    let mut bed = stuck_bed("2s");
    let (status, took) = bed.process().terminate(LIMIT);
    assert_eq!(status.code(), Some(0), "{}", bed.own_log());
    assert!(took < Duration::from_secs(4), "{took:?}");
    bed.end();
    bed.once();
    bed.expect_all("w", 10_000);
}

#[test]
fn a_second_signal_ends_the_agent_at_once_and_one_sent_twice_does_not() {
    let mut bed = stuck_bed("1m");
    let start = Instant::now();
    bed.process().send("TERM");
    bed.process().send("TERM");
    wait::until("the drain begins", LIMIT, || bed.own_log().contains("draining").then_some(()));
    let early = wait::within(Duration::from_secs(2), || bed.process().exit_status());
    assert_eq!(early, None, "{}", bed.own_log());
    bed.process().send("INT");
    let status = bed.process().wait(LIMIT);
    assert_eq!(status.code(), Some(0), "{}", bed.own_log());
    assert!(start.elapsed() < Duration::from_secs(20), "{}", bed.own_log());
    assert!(bed.own_log().contains("SIGINT again: ending at once"), "{}", bed.own_log());
}

#[test]
fn the_first_signal_after_an_end_by_itself_does_not_cut_the_drain_short() {
    let mut bed = stuck_bed("10s");
    fs::write(bed.scratch.join("done"), "").unwrap();
    wait::until("the drain begins", LIMIT, || {
        bed.own_log().contains("watch_file is there: draining").then_some(())
    });
    bed.process().send("TERM");
    let pipe = bed.scratch.join("pipe");
    let reader = std::thread::spawn(move || {
        // A signal that counted as a second one would have ended the agent by then.
        std::thread::sleep(Duration::from_secs(2));
        let mut text = String::new();
        fs::File::open(pipe).unwrap().read_to_string(&mut text).unwrap();
        text
    });
    let status = bed.process().wait(LIMIT);
    let text = reader.join().unwrap();
    assert_eq!(status.code(), Some(0), "{}", bed.own_log());
    assert_eq!(text.lines().count(), 10_000, "{}", bed.own_log());
}

#[test]
fn the_jobs_last_numbers_are_asked_for_before_the_end() {
    let ui = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = ui.local_addr().unwrap().port();
    let n_requests = Arc::new(AtomicUsize::new(0));
    let counted = n_requests.clone();
    std::thread::spawn(move || {
        for stream in ui.incoming() {
            let mut stream = stream.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let mut bed = Bed::new(&["app.log"]);
    let command = bed.command();
    let section =
        format!("[scrapers.spark]\nurls = [\"http://127.0.0.1:{port}\"]\ninterval = \"1h\"\n");
    bed.edit_config(|text| text.replace("[scrapers]\n", &section));
    bed.start_with(&command);
    bed.wait_for_metric("sidelight_scrapes_total", "http_5xx", |n| n >= 1.0);
    let n_before = n_requests.load(Ordering::SeqCst);
    bed.stop();
    assert!(n_requests.load(Ordering::SeqCst) > n_before, "{}", bed.own_log());
}

#[test]
fn a_relative_path_and_a_time_without_a_heartbeat_are_told() {
    let config = "[shutdown]\nheartbeat_file = \"beat\"\nwatch_file = \"done\"\nidle = \"0\"\n";
    let (code, said) = check(config);
    assert_eq!(code, Some(78), "{said}");
    for line in ["2:18: shutdown.heartbeat_file", "3:14: shutdown.watch_file"] {
        assert!(said.contains(&format!("{line}: must be an absolute path")), "{said}");
    }
    assert!(said.contains("shutdown.idle: must be from 1s to 24h"), "{said}");
    let (code, said) = check("[shutdown]\nheartbeat_stale_after = \"10s\"\n");
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("does nothing without heartbeat_file"), "{said}");
}

fn check(config: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sidelight.toml");
    fs::write(&path, config).unwrap();
    let output = Command::new(crate::harness::agent::binary()).arg("check").arg(&path).output();
    let output = output.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}
