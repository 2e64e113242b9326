//! UIs that hang, answer HTML or fail: told clearly, counted, and no log line suffers.

use crate::harness::process::Process;
use crate::harness::scratch::Scratch;
use crate::harness::{agent, http, wait};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

/// A UI that answers every request with `answer`, or with nothing at all while it is empty.
fn ui(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if !answer.is_empty() {
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(answer.as_bytes());
            }
            held.push(stream);
            // The test makes a handful of connections.
            held.truncate(100);
        }
    });
    port
}

#[track_caller]
fn check(answer: &'static str, outcome: &str, message: &str) {
    let scratch = Scratch::new();
    let (log, records) = (scratch.join("driver.log"), scratch.join("records.jsonl"));
    std::fs::write(&log, "25/11/22 06:26:22 INFO SparkContext: one\n").unwrap();
    let port = http::free_port();
    let config = scratch.join("sidelight.toml");
    let text = format!(
        "state_dir = {:?}\n[admin]\nlisten = \"127.0.0.1:{port}\"\n[tail]\ninclude = [{log:?}]\n\
         identity_wait = \"1s\"\n[scrapers.spark]\nurls = [\"http://127.0.0.1:{}\"]\n\
         interval = \"1s\"\n[exporters.file]\npath = {records:?}\n[exporters.prometheus]\n",
        scratch.join("state"),
        ui(answer),
    );
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new(agent::binary());
    command.arg("run").arg("-c").arg(&config);
    let said = scratch.join("agent.stderr");
    let mut process = Process::start("sidelight", &command, &scratch.join("agent.stdout"), &said);
    wait::until("the record", LIMIT, || {
        std::fs::read_to_string(&records).ok().filter(|text| text.contains("\"one\"")).map(|_| ())
    });
    if !outcome.is_empty() {
        let series = format!("sidelight_scrapes_total{{outcome=\"{outcome}\",source=\"spark\"}}");
        wait::until(&series, LIMIT, || {
            let page = http::get(port, "/metrics").ok()?.body;
            let line = page.lines().find(|line| line.starts_with(&series))?;
            (!line.ends_with(" 0")).then_some(())
        });
    }
    let (status, took) = process.terminate(LIMIT);
    assert_eq!(status.code(), Some(0));
    assert!(took <= agent::STOP_LIMIT, "{took:?}");
    let said = std::fs::read_to_string(said).unwrap();
    assert!(said.contains(message), "{message} is not in {said}");
    assert!(!said.contains("body text"), "an answer stands in the agent's log: {said}");
}

#[test]
fn html_with_status_200_is_no_answer() {
    check(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 22\r\n\r\n<html>body text</html>",
        "html",
        "answered without json; is this the ui of a running application?",
    );
}

#[test]
fn a_failing_ui_is_told_with_its_status() {
    check(
        "HTTP/1.1 500 Oops\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nbody text",
        "http_5xx",
        "status 500",
    );
}

#[test]
fn a_hanging_ui_holds_up_neither_logs_nor_the_end() {
    check("", "", "the last scrape took too long");
}
