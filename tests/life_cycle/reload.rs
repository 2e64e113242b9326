//! SIGHUP: a new config without a new process.

use crate::harness::agent;
use crate::harness::bed::{Bed, LIMIT};
use crate::harness::process::Process;
use crate::harness::writer::{Pump, Writer};
use crate::harness::{http, wait};
use std::fs::{self, File};
use std::io::Write;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Sends SIGHUP and waits for what becomes of it.
#[track_caller]
pub(super) fn reload(bed: &mut Bed, outcome: &str) {
    let name = "sidelight_config_reloads_total";
    let label = format!("outcome=\"{outcome}\"");
    let before = bed.metric(name, &label);
    bed.process().send("HUP");
    bed.wait_for_metric(name, &label, |n| n > before);
}

/// Asks `/livez` all the time; the longest time without an answer.
struct Probe {
    is_over: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Duration>,
}

impl Probe {
    fn start(port: u16) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let stop = is_over.clone();
        let thread = std::thread::spawn(move || {
            let (mut longest, mut answered) = (Duration::ZERO, Instant::now());
            while !stop.load(Ordering::Acquire) {
                if http::get(port, "/livez").is_ok_and(|answer| answer.status == 200) {
                    longest = longest.max(answered.elapsed());
                    answered = Instant::now();
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            longest.max(answered.elapsed())
        });
        Self { is_over, thread }
    }

    fn longest_silence(self) -> Duration {
        self.is_over.store(true, Ordering::Release);
        self.thread.join().unwrap()
    }
}

#[test]
fn under_load_every_line_comes_once_and_in_order_over_changes_of_redaction_and_of_files() {
    let mut bed = Bed::new(&["app.log"]);
    let pump = Pump::start(Writer::open("w", &bed.log("app.log")), 2_000);
    let other = Pump::start(Writer::open("x", &bed.log("other.log")), 2_000);
    bed.start();
    bed.wait_for("w", 1_000);
    let probe = Probe::start(bed.port());
    let before = bed.metric("sidelight_records_total", "");
    let include = format!("include = [{:?}]", bed.log("app.log"));
    let both = format!("include = [{:?}]", bed.log("*.log"));
    bed.edit_config(|text| text.replace(&include, &both));
    reload(&mut bed, "applied");
    bed.wait_for("x", 1_000);
    for round in 1..=5 {
        bed.edit_config(|text| format!("{text}[redaction.types]\nEMAIL = \"keep\"\n"));
        reload(&mut bed, "applied");
        bed.edit_config(|text| text.split("[redaction.types]").next().unwrap().to_owned());
        reload(&mut bed, "applied");
        fs::rename(bed.log("app.log"), bed.log(&format!("app.{round}.old"))).unwrap();
        pump.reopen();
        let n_written = pump.n_written();
        bed.wait_for("w", n_written);
    }
    assert!(bed.metric("sidelight_records_total", "") > before);
    let silence = probe.longest_silence();
    let (n_lines, n_others) = (pump.stop(), other.stop());
    bed.wait_for("w", n_lines);
    bed.wait_for("x", n_others);
    bed.stop();
    for (writer, n_lines) in [("w", n_lines), ("x", n_others)] {
        bed.expect_all(writer, n_lines);
    }
    bed.expect_no_duplicates();
    assert!(silence < Duration::from_secs(1), "/livez was away for {silence:?}");
    assert!(!bed.own_log().contains("ERROR"), "{}", bed.own_log());
}

#[test]
fn a_new_redaction_holds_for_what_is_written_after_it_and_counts_go_on() {
    let mut bed = Bed::new(&["app.log"]);
    let mut file = File::create(bed.log("app.log")).unwrap();
    bed.start();
    file.write_all(b"26/11/22 06:26:22 INFO Writer: one jane@example.com\n").unwrap();
    file.write_all(b"26/11/22 06:26:22 INFO Writer: two\n").unwrap();
    bed.wait_for_text("one [EMAIL]");
    bed.edit_config(|text| format!("{text}[redaction.types]\nEMAIL = \"keep\"\n"));
    reload(&mut bed, "applied");
    assert_eq!(
        bed.metric("sidelight_redactions_total", "type=\"EMAIL\",strategy=\"mask\"")
            .max(bed.metric("sidelight_redactions_total", "strategy=\"mask\",type=\"EMAIL\"")),
        1.0
    );
    file.write_all(b"26/11/22 06:26:22 INFO Writer: three jane@example.com\n").unwrap();
    bed.wait_for_text("three jane@example.com");
    bed.stop();
    assert_eq!(bed.bodies().len(), 3);
}

#[test]
fn a_dictionary_that_changed_is_a_change_of_the_config() {
    let mut bed = Bed::new(&["app.log"]);
    let mut file = File::create(bed.log("app.log")).unwrap();
    let terms = bed.scratch.join("terms");
    fs::write(&terms, "bluebird\n").unwrap();
    let command = bed.command();
    let rule = format!("[[redaction.rules]]\nname = \"PROJECT\"\ndictionary = {terms:?}\n");
    bed.edit_config(|text| format!("{text}{rule}"));
    bed.start_with(&command);
    reload(&mut bed, "unchanged");
    fs::write(&terms, "redstart\n").unwrap();
    reload(&mut bed, "applied");
    file.write_all(b"26/11/22 06:26:22 INFO Writer: bluebird and redstart\n").unwrap();
    bed.wait_for_text("bluebird and [PROJECT]");
    bed.stop();
}

#[test]
fn a_wrong_config_is_refused_with_all_its_problems_and_the_old_one_goes_on() {
    let mut bed = Bed::new(&["app.log"]);
    let mut writer = Writer::open("w", &bed.log("app.log"));
    bed.start();
    let good = fs::read_to_string(bed.scratch.join("sidelight.toml")).unwrap();
    bed.edit_config(|text| text.replace("read_from = \"beginning\"", "read_from = 7\ncolour = 1"));
    reload(&mut bed, "refused");
    let log = bed.own_log();
    for word in ["tail.read_from", "tail.colour", "the old one goes on"] {
        assert!(log.contains(word), "{word} is not in {log}");
    }
    bed.edit_config(|_| good.replace("state\"", "state-2\""));
    reload(&mut bed, "refused");
    assert!(bed.own_log().contains("needs a restart"), "{}", bed.own_log());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let old = format!("127.0.0.1:{}", bed.port());
    bed.edit_config(|_| good.replace(&old, &address));
    reload(&mut bed, "refused");
    assert!(bed.own_log().contains("cannot listen on"), "{}", bed.own_log());
    writer.write(100);
    bed.wait_for("w", 99);
    bed.edit_config(|_| good.clone());
    reload(&mut bed, "unchanged");
    bed.stop();
    bed.expect_all("w", 100);
    bed.expect_no_duplicates();
}

#[test]
fn a_config_that_does_not_start_gives_way_to_the_old_one() {
    let mut bed = Bed::new(&["app.log"]);
    let mut writer = Writer::open("w", &bed.log("app.log"));
    bed.start();
    writer.write(100);
    bed.wait_for("w", 99);
    // Only a new agent opens these, as the old one does not spool.
    let segment = bed.scratch.join("state/spool/file/000000000001.segment");
    fs::create_dir_all(&segment).unwrap();
    bed.edit_config(|text| text.replace("age_max = \"100ms\"", "age_max = \"200ms\""));
    bed.process().send("HUP");
    wait::until("the new config does not start", LIMIT, || {
        bed.own_log().contains("the new config does not start").then_some(())
    });
    fs::remove_dir(&segment).unwrap();
    bed.wait_for_metric("sidelight_config_reloads_total", "failed", |n| n == 1.0);
    writer.write(100);
    bed.wait_for("w", 199);
    bed.stop();
    bed.expect_all("w", 200);
    bed.expect_no_duplicates();
}

#[test]
fn the_admin_server_can_move() {
    let mut bed = Bed::new(&["app.log"]);
    let mut writer = Writer::open("w", &bed.log("app.log"));
    bed.start();
    let (old, new) = (bed.port(), http::free_port());
    bed.edit_config(|text| text.replace(&format!(":{old}"), &format!(":{new}")));
    bed.process().send("HUP");
    wait::until("the new address answers", LIMIT, || {
        http::get(new, "/readyz").ok().filter(|answer| answer.status == 200)
    });
    wait::until("the old one is free", LIMIT, || {
        std::net::TcpListener::bind(("127.0.0.1", old)).ok()
    });
    writer.write(10);
    bed.wait_for("w", 9);
    bed.stop();
}

#[test]
fn a_signal_to_end_in_the_middle_of_a_reload_is_not_lost() {
    let mut bed = Bed::new(&["app.log"]);
    let mut writer = Writer::open("w", &bed.log("app.log"));
    // Not what is delivered within a time is looked at: a busy disk may take seconds for a sync.
    let mut command = bed.command();
    command.env("SIDELIGHT_SHUTDOWN__GRACE", "30s");
    bed.start_with(&command);
    for _ in 0..3 {
        writer.write(5_000);
        bed.edit_config(|text| format!("{text}# \n").replace("100ms", "1100ms"));
        bed.process().send("HUP");
    }
    let (status, _) = bed.process().terminate(LIMIT);
    assert_eq!(status.code(), Some(0), "{}", bed.own_log());
    bed.end();
    bed.expect_all("w", 15_000);
    bed.expect_no_duplicates();
}

#[test]
fn a_reload_while_the_destination_is_stuck_loses_nothing_and_answers_probes() {
    let mut bed = Bed::new(&["app.log"]);
    Writer::open("w", &bed.log("app.log")).write(10_000);
    let pipe = bed.scratch.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let command = bed.command();
    let output = bed.output();
    let (output, pipe) = (output.to_str().unwrap(), pipe.to_str().unwrap());
    bed.edit_config(|text| text.replace(output, pipe));
    bed.start_with(&command);
    bed.wait_for_metric("sidelight_records_total", "", |n| n > 0.0);
    let probe = Probe::start(bed.port());
    bed.edit_config(|text| text.replace(pipe, output));
    reload(&mut bed, "applied");
    bed.wait_for("w", 9_999);
    let silence = probe.longest_silence();
    bed.stop();
    bed.expect_all("w", 10_000);
    assert!(silence < Duration::from_secs(1), "/livez was away for {silence:?}");
}

#[test]
fn a_named_pipe_keeps_its_reader() {
    let mut bed = Bed::new(&["app.pipe"]);
    let pipe = bed.log("app.pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    bed.start();
    let pump = Pump::start(Writer::open("w", &pipe), 1_000);
    for age in ["101ms", "102ms", "103ms"] {
        let n_written = pump.n_written();
        bed.wait_for("w", n_written + 300);
        bed.edit_config(|text| {
            let (before, after) = text.split_once("age_max = \"").unwrap();
            format!("{before}age_max = \"{age}{}", &after[after.find('"').unwrap()..])
        });
        reload(&mut bed, "applied");
    }
    let n_lines = pump.stop();
    bed.wait_for("w", n_lines - 1);
    bed.stop();
    bed.expect_all("w", n_lines);
    bed.expect_no_duplicates();
}

#[test]
fn without_a_config_file_nothing_changes_and_the_agent_says_so() {
    let mut bed = Bed::new(&["app.log"]);
    let mut writer = Writer::open("w", &bed.log("app.log"));
    let mut command = Command::new(agent::binary());
    command.arg("run").arg("--logs").arg(bed.log("app.log"));
    command.arg("--listen").arg(format!("127.0.0.1:{}", bed.port()));
    command.env("HOME", bed.scratch.join("home")).env_remove("XDG_STATE_HOME");
    command.env("SIDELIGHT_EXPORTERS__FILE__PATH", bed.output());
    command.env("SIDELIGHT_TAIL__IDENTITY_WAIT", "0");
    command.env("SIDELIGHT_STATE_DIR", bed.scratch.join("state"));
    bed.start_with(&command);
    writer.write(10);
    bed.wait_for("w", 9);
    reload(&mut bed, "unchanged");
    assert!(bed.own_log().contains("the config is unchanged"), "{}", bed.own_log());
    writer.write(10);
    bed.stop();
    bed.expect_all("w", 20);
}

#[test]
fn a_config_from_standard_input_cannot_be_read_again() {
    let bed = Bed::new(&["app.log"]);
    let _ = bed.command();
    let config = bed.scratch.join("sidelight.toml");
    let mut command = Command::new("sh");
    command.arg("-c").arg("exec \"$0\" run -c - <\"$1\"").arg(agent::binary()).arg(&config);
    let log = bed.scratch.join("stderr");
    let mut process = Process::start("sidelight", &command, &bed.scratch.join("stdout"), &log);
    let said = |what: &str| fs::read_to_string(&log).unwrap().contains(what).then_some(());
    wait::until("it answers", LIMIT, || http::get(bed.port(), "/livez").ok());
    process.send("HUP");
    wait::until("it says why", LIMIT, || said("standard input cannot be read twice"));
    let (status, _) = process.terminate(LIMIT);
    assert_eq!(status.code(), Some(0));
}
