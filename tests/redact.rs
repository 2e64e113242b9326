//! The policy of a config, in the filter and in the agent.

use crate::harness::scratch::Scratch;
use crate::harness::{agent, http, process::Process, wait};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

const POLICY: &str = "[redaction]
keep_internal_ips = true
pseudonym_key_env = 'PSEUDONYM_KEY'
[redaction.types]
EMAIL = 'pseudonym'
US_SSN = 'drop_record'
[[redaction.rules]]
name = 'ORDER_ID'
regex = 'ORD-\\d{6}'
[[redaction.sources]]
files = ['**/audit/*.log']
keep_internal_ips = false
types = { EMAIL = 'partial', ORDER = 'mask' }
";

/// [`POLICY`] without its mistake.
fn policy() -> String {
    POLICY.replace(", ORDER = 'mask'", "")
}

/// The agent's binary with the key of pseudonyms.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(agent::binary());
    command.args(arguments).env("PSEUDONYM_KEY", "0123456789abcdef");
    command
}

/// Runs the filter over `input`.
fn redact(arguments: &[&str], input: &str) -> Output {
    let mut command = command(&["redact"]);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that refuses its arguments reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

const RAW: &str = "ORD-123456 from 10.0.0.1 and 8.8.8.8\nto joe@example.com\nssn 536-22-8145\n\
                   password=hunter2x card 4111111111111111\n";

#[test]
fn the_filter_does_what_the_config_says() {
    let scratch = Scratch::new();
    let config = scratch.join("c.toml");
    fs::write(&config, policy()).unwrap();
    let config = config.to_str().unwrap();
    let output = redact(&["-c", config, "--stats"], RAW);
    // printf 'EMAIL\0joe@example.com' | openssl dgst -sha256 -hmac 0123456789abcdef
    let want = "[ORDER_ID] from 10.0.0.1 and [IP_ADDRESS]\nto [EMAIL:k1:577e0a7d0658316ce35698e1]\n\
                [DROPPED]\npassword=[KEY_VALUE_SECRET] card [CREDIT_CARD]\n";
    assert_eq!(text(output.stdout), want);
    let stats = text(output.stderr);
    let row = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let rows: Vec<_> = stats.lines().skip(1).map(row).collect();
    for want in
        [["EMAIL", "pseudonym", "1"], ["ORDER_ID", "mask", "1"], ["IP_ADDRESS", "mask", "1"]]
    {
        assert!(rows.iter().any(|row| *row == want), "{want:?} is not in {stats}");
    }

    let output = redact(&["-c", config, "--profile", "pci"], RAW);
    let want = "[ORDER_ID] from 10.0.0.1 and 8.8.8.8\nto [EMAIL:k1:577e0a7d0658316ce35698e1]\n\
                [DROPPED]\npassword=[KEY_VALUE_SECRET] card [CREDIT_CARD]\n";
    assert_eq!(text(output.stdout), want, "types that are named stay, others go with the profile");
    let output = redact(&["--profile", "secrets"], RAW);
    assert_eq!(text(output.stdout), RAW.replace("hunter2x", "[KEY_VALUE_SECRET]"));

    let output = redact(&["-c", config, "--report"], RAW);
    let rows: Vec<Value> =
        text(output.stdout).lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    let dropped =
        serde_json::json!({"line": 3, "entities": [{"type": "DROPPED", "start": 0, "end": 15}]});
    assert_eq!(rows[2], dropped);

    // A file has the redactor that the agent would read it with.
    let audit = scratch.join("audit");
    fs::create_dir(&audit).unwrap();
    fs::write(audit.join("a.log"), "10.0.0.1 joe@example.com\n").unwrap();
    let output = redact(&["-c", config, audit.join("a.log").to_str().unwrap()], "");
    assert_eq!(text(output.stdout), "[IP_ADDRESS] [EMAIL:**.com]\n");
}

#[test]
fn what_is_wrong_is_told_and_nothing_is_let_through() {
    let scratch = Scratch::new();
    let config = scratch.join("c.toml");
    fs::write(&config, POLICY).unwrap();
    let output = redact(&["-c", config.to_str().unwrap()], RAW);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(78), b"".as_slice()));
    let said = text(output.stderr);
    assert!(
        said.contains("c.toml:13:30: redaction.sources.types.ORDER: no type of redaction"),
        "{said}"
    );

    fs::write(&config, policy()).unwrap();
    let mut command = command(&["redact", "-c", config.to_str().unwrap()]);
    let output = command.env_remove("PSEUDONYM_KEY").stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(text(output.stderr).contains("the variable that it names is not set"));
    for arguments in [["-c", "-"], ["--profile", "hipaa"]] {
        assert_eq!(redact(&arguments, RAW).status.code(), Some(64), "{arguments:?}");
    }
}

#[test]
fn a_line_in_a_pipe_comes_out_before_the_next_one_goes_in() {
    let mut child =
        command(&["redact"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    for number in 0..3 {
        writeln!(stdin, "{number} joe@example.com").unwrap();
        let mut line = [0; 10];
        stdout.read_exact(&mut line).unwrap();
        assert_eq!(line, format!("{number} [EMAIL]\n").as_bytes());
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn types_are_listed_for_programs_and_for_people() {
    let listed = command(&["detectors", "--json"]).output().unwrap();
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let people = text(command(&["detectors"]).output().unwrap().stdout);
    let types = listed["types"].as_array().unwrap();
    assert!(types.len() >= redaction::DETECTORS.len());
    for it in types {
        let name = it["type"].as_str().unwrap();
        assert!(people.lines().any(|line| line.split(' ').next() == Some(name)), "{name}");
        assert!(it["samples"].as_array().is_some_and(|samples| !samples.is_empty()), "{name}");
    }
    assert!(people.contains("format_preserving"), "{people}");
}

/// A log for the source of [`POLICY`], one for the base, and a config over both.
fn write_logs(scratch: &Scratch, port: u16) -> std::path::PathBuf {
    for folder in ["logs", "logs/audit"] {
        fs::create_dir(scratch.join(folder)).unwrap();
    }
    let log = |name: &str, lines: &[&str]| {
        let line = |line: &&str| format!("25/11/22 06:26:22 INFO Writer: {line}\n");
        fs::write(scratch.join(name), lines.iter().map(line).collect::<String>()).unwrap();
    };
    let lines = ["ORD-123456 10.0.0.1 joe@example.com", "ssn 536-22-8145", "last"];
    log("logs/app.log", &lines);
    log("logs/audit/a.log", &lines);
    log("logs/dropped.log", &["ssn 536-22-8145", "ssn 536-22-8145"]);
    let config = scratch.join("c.toml");
    let text = format!(
        "state_dir = {:?}\n[admin]\nlisten = '127.0.0.1:{port}'\n[tail]\ninclude = [{:?}]\n\
         read_from = 'beginning'\nidentity_wait = '0'\n[scrapers]\n[exporters.prometheus]\n\
         [exporters.file]\npath = {:?}\n{}",
        scratch.join("state"),
        scratch.join("logs/**/*.log"),
        scratch.join("records.jsonl"),
        policy(),
    );
    fs::write(&config, text).unwrap();
    config
}

/// Bodies of the records of files whose path ends so.
fn bodies(scratch: &Scratch, ending: &str) -> Vec<String> {
    let records = fs::read_to_string(scratch.join("records.jsonl")).unwrap_or_default();
    let records = records.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of_file = records.filter(|it| it["file"].as_str().unwrap().ends_with(ending));
    of_file.map(|it| it["body"].as_str().unwrap().to_owned()).collect()
}

fn run_once(config: &Path) -> String {
    let output = command(&["run", "--once", "-c", config.to_str().unwrap()]).output().unwrap();
    let log = text(output.stderr);
    assert_eq!(output.status.code(), Some(0), "{log}");
    log
}

#[test]
fn a_source_has_its_own_policy_and_dropped_records_are_not_read_again() {
    let scratch = Scratch::new();
    let config = write_logs(&scratch, 0);
    let log = run_once(&config);
    assert!(log.contains("redacts  profile all, "), "{log}");
    let check = || {
        let pseudonym = "[ORDER_ID] 10.0.0.1 [EMAIL:k1:577e0a7d0658316ce35698e1]";
        assert_eq!(bodies(&scratch, "/app.log"), [pseudonym, "last"]);
        assert_eq!(bodies(&scratch, "/a.log"), ["[ORDER_ID] [IP_ADDRESS] [EMAIL:**.com]", "last"]);
        assert_eq!(bodies(&scratch, "/dropped.log"), [""; 0]);
    };
    check();
    let settled = |name: &str| {
        let text = fs::read_to_string(scratch.join("state/checkpoint.json")).unwrap();
        let length = fs::metadata(scratch.join(name)).unwrap().len();
        assert!(
            text.contains(&format!("\"offset\":{length}")),
            "{name}: {length} is not in {text}"
        );
    };
    settled("logs/app.log");
    settled("logs/dropped.log");
    run_once(&config);
    check();
}

#[test]
fn metrics_count_findings_by_type_and_strategy_and_records_that_were_dropped() {
    let scratch = Scratch::new();
    let port = http::free_port();
    let config = write_logs(&scratch, port);
    let command = command(&["run", "-c", config.to_str().unwrap()]);
    let out = |stream| scratch.join(stream);
    let mut process = Process::start("sidelight", &command, &out("out"), &out("err"));
    let page = wait::until("all records are read", LIMIT, || {
        let page = http::get(port, "/metrics").ok()?.body;
        let dropped = "sidelight_records_dropped_total{reason=\"redaction_policy\"} 4";
        (page.contains(dropped) && page.contains("sidelight_records_total 4")).then_some(page)
    });
    for wanted in [
        "sidelight_redactions_total{strategy=\"pseudonym\",type=\"EMAIL\"} 1",
        "sidelight_redactions_total{strategy=\"partial\",type=\"EMAIL\"} 1",
        "sidelight_redactions_total{strategy=\"mask\",type=\"ORDER_ID\"} 2",
        "sidelight_redactions_total{strategy=\"mask\",type=\"IP_ADDRESS\"} 1",
        "sidelight_redaction_failures_total 0",
        "sidelight_redaction_suspects_total{kind=\"card\"} 0",
        "sidelight_redaction_rules_info{hash=\"",
    ] {
        assert!(page.contains(wanted), "{wanted} is not in {page}");
    }
    process.terminate(LIMIT);
}
