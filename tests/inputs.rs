//! What is read besides plain files: logs of containers, standard input, named pipes.

use crate::harness::agent;
use crate::tail::{Node, append, lines, numbers};
use serde_json::Value;
use std::fs::{self, File};
use std::process::Command;

#[test]
fn lines_of_a_container_are_joined_also_over_a_rotation() {
    let mut node = Node::new();
    let frame = |stream: &str, tag: &str, text: &str| {
        format!("2026-11-26T06:26:22.123456789Z {stream} {tag} {text}\n")
    };
    let log = node.log("0.log");
    append(&log, &frame("stderr", "F", "26/11/26 06:26:22 INFO Job: starts"));
    node.start();
    node.wait_for(1);
    append(&log, &frame("stdout", "P", "mail to bob@exam"));
    append(&log, &frame("stderr", "F", "26/11/26 06:26:23 INFO Job: goes on"));
    node.wait_for(2);
    // As the kubelet does.
    fs::rename(&log, node.log("0.log.20261126-062624")).unwrap();
    append(&log, &frame("stdout", "F", "ple.com, and more"));
    append(&log, &frame("stderr", "F", "26/11/26 06:26:25 INFO Job: ends"));
    node.wait_for(4);
    node.stop();
    let mut bodies = node.bodies();
    bodies.sort();
    assert_eq!(bodies, ["ends", "goes on", "mail to [EMAIL], and more", "starts"]);
}

#[test]
fn standard_input_is_read_to_its_end_and_a_named_pipe_for_ever() {
    let mut node = Node::new();
    let input = node.log("input.txt");
    append(&input, &lines(0..5_000));
    let state = node.log("state-of-stdin");
    let arguments = ["run", "--logs", "-", "--listen", "127.0.0.1:0", "--state-dir"];
    let output = Command::new(agent::binary())
        .args(arguments)
        .arg(&state)
        .stdin(File::open(&input).unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let records = String::from_utf8(output.stdout).unwrap();
    let body = |line: &str| {
        let record: Value = serde_json::from_str(line).unwrap();
        record["body"].as_str().unwrap().to_owned()
    };
    assert!(records.lines().map(body).eq(numbers(0..5_000)));

    let pipe = node.log("app.log");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    node.start();
    for begin in [0, 100] {
        // Each writer comes and goes.
        append(&pipe, &lines(begin..begin + 100));
        node.wait_for(begin + 100);
    }
    node.stop();
    assert_eq!(node.bodies(), numbers(0..200));
}

#[test]
fn reading_what_is_there_takes_archives_and_all_generations() {
    let node = Node::new();
    append(&node.log("app.log.1"), &lines(0..5_000));
    let status = Command::new("gzip").arg(node.log("app.log.1")).status().unwrap();
    assert!(status.success());
    append(&node.log("app-1.log"), &lines(5_000..5_010));
    std::thread::sleep(std::time::Duration::from_millis(20));
    append(&node.log("app.log"), &lines(5_010..5_020));
    let archives = node.log("*.gz");
    let command =
        node.command(&["--once", "--logs", archives.to_str().unwrap()], "[scrapers]").output();
    assert_eq!(command.unwrap().status.code(), Some(0));
    let mut bodies = node.bodies();
    bodies.sort_by_key(|body| body["number ".len()..].parse::<usize>().unwrap());
    assert_eq!(bodies, numbers(0..5_020));
}
