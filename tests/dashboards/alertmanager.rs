//! Alertmanager with the config that is shipped, which posts to a receiver of ours.

use super::files::folder;
use crate::harness::process::Process;
use crate::harness::report::say;
use crate::harness::scratch::Scratch;
use crate::harness::{http, peers, wait};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn alertmanager_takes_the_config_that_is_shipped() {
    if !peers::are_wanted() {
        return say("amtool: skipped; tests/run starts real peers");
    }
    let mut amtool = Command::new(peers::prometheus_tool("amtool"));
    let config = folder().join("alertmanager/alertmanager.yml");
    let output = amtool.arg("check-config").arg(&config).output().expect("amtool starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (labels, receiver) in [
        (["severity=page", "owner=job-team"], "pages"),
        (["severity=page", "owner=security"], "security"),
        (["severity=ticket", "owner=cost"], "tickets"),
        (["severity=info", "owner=job-team"], "quiet"),
    ] {
        let mut amtool = Command::new(peers::prometheus_tool("amtool"));
        amtool.args(["config", "routes", "test", "--config.file"]).arg(&config).args(labels);
        let output = amtool.output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), receiver, "{labels:?}");
    }
}

#[test]
fn a_message_in_slack_has_job_run_reason_and_links() {
    if !peers::are_wanted() {
        return say("Alertmanager: skipped; tests/run starts real peers");
    }
    let scratch = Scratch::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let slack = listener.local_addr().unwrap();
    let (sender, messages) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if sender.send(body(stream)).is_err() {
                return;
            }
        }
    });
    let (port, _process) = start(&scratch, &format!("http://{slack}/"));
    post(port, &json!([alert("JobFailed", "nightly-orders failed", "ended with failure")]));
    let said: Value = messages.recv_timeout(LIMIT).expect("a message comes");
    let message = &said["attachments"][0];
    assert_eq!(said["channel"], "#data-on-call");
    assert_eq!(message["title"], "[FIRING] page: nightly-orders failed");
    assert_eq!(message["title_link"], "https://runbooks.example.com/JobFailed.md");
    let text = message["text"].as_str().unwrap();
    for wanted in [
        "ended with failure",
        "Job: nightly-orders",
        "Run: r-7",
        "Application: application_1_0007",
        "/d/sidelight-spark-job?var-job_name=nightly-orders",
        "What to do: https://runbooks.example.com/JobFailed.md",
        "Query: http://prometheus.example.com/graph",
        "Owner: job-team",
    ] {
        assert!(text.contains(wanted), "{wanted} is not in {text}");
    }
}

/// Starts it with the shipped files, only the places changed that are marked to be changed.
fn start(scratch: &Scratch, slack_url: &str) -> (u16, Process) {
    let port = http::free_port();
    for name in ["alertmanager.yml", "sidelight.tmpl"] {
        let text = std::fs::read_to_string(folder().join("alertmanager").join(name)).unwrap();
        let url_file = scratch.join("slack-url");
        let text = text.replace("/etc/alertmanager/slack-url", &url_file.display().to_string());
        let text = text.replace("group_wait: 30s", "group_wait: 0s");
        // Nobody is there for mail.
        let text = text.replace("mail.example.com:587", "127.0.0.1:9");
        std::fs::write(scratch.join(name), text).unwrap();
    }
    std::fs::write(scratch.join("slack-url"), slack_url).unwrap();
    let mut command = Command::new(peers::prometheus_tool("prometheus-alertmanager"));
    command
        .arg(format!("--config.file={}", scratch.join("alertmanager.yml").display()))
        .arg(format!("--storage.path={}", scratch.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=");
    let (out, err) = (scratch.join("stdout"), scratch.join("stderr"));
    let process = Process::start("alertmanager", &command, &out, &err);
    wait::until("Alertmanager is ready", LIMIT, || {
        http::get(port, "/-/ready").ok().filter(|answer| answer.status == 200)
    });
    (port, process)
}

fn alert(name: &str, summary: &str, description: &str) -> Value {
    json!({
        "labels": {"alertname": name, "severity": "page", "owner": "job-team", "product": "sidelight",
            "engine": "spark", "job_name": "nightly-orders", "slot": "0", "run_id": "r-7",
            "app_id": "application_1_0007"},
        "annotations": {"summary": summary, "description": description,
            "runbook_url": format!("https://runbooks.example.com/{name}.md")},
        "generatorURL": "http://prometheus.example.com/graph",
    })
}

fn post(port: u16, alerts: &Value) {
    let (mut stream, text) = (TcpStream::connect(("127.0.0.1", port)).unwrap(), alerts.to_string());
    write!(
        stream,
        "POST /api/v2/alerts HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// Reads one request with JSON in it, and answers as Slack does.
fn body(mut stream: TcpStream) -> Value {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let n_read = stream.read(&mut buffer).unwrap();
        request.extend_from_slice(&buffer[..n_read]);
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((_, body)) = text.split_once("\r\n\r\n")
            && let Ok(body) = serde_json::from_str(body)
        {
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
            return body;
        }
        assert!(n_read > 0, "the request ended early: {text}");
    }
}
