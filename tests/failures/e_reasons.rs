//! E: what the operator is told when nothing works: once, at once, and with what to change.

use super::e_bed::{Cloud, LIMIT};
use crate::harness::wait;
use std::process::Command;

/// A cloud whose agent finds no credentials anywhere.
fn without_credentials() -> Cloud {
    let mut cloud = Cloud::new();
    let is_key = |key: &str| key.starts_with("AWS_ACCESS") || key.starts_with("AWS_SECRET");
    cloud.environment.retain(|key, _| !is_key(key));
    cloud
}

/// What `check --online` says of CloudWatch, a line each, and whether all is well.
fn check(cloud: &Cloud) -> (Vec<String>, bool) {
    let run = cloud.command();
    let mut check = Command::new(run.get_program());
    check.args(["check", "--online", "-c"]).args(run.get_args().last()).envs(&cloud.environment);
    let told = check.output().unwrap();
    let said = String::from_utf8_lossy(&[told.stdout, told.stderr].concat()).into_owned();
    let of_cloudwatch = |line: &&str| line.starts_with("cloudwatch_logs: ");
    let lines = said.lines().filter(of_cloudwatch).map(str::to_owned).collect();
    (lines, told.status.success())
}

#[test]
fn missing_credentials_are_told_once_with_where_they_were_looked_for() {
    let mut cloud = without_credentials();
    let only_line = |cloud: &Cloud| {
        let (lines, is_good) = check(cloud);
        assert!(!is_good && lines.len() == 1, "{lines:#?}");
        lines.into_iter().next().unwrap()
    };
    cloud.set("AWS_PROFILE", "nosuch");
    let line = only_line(&cloud);
    for part in ["FAILED: no AWS credentials found", "profile nosuch", "web identity"] {
        assert!(line.contains(part), "{line}");
    }
    cloud.set("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
    let line = only_line(&cloud);
    assert!(line.contains("AWS_SECRET_ACCESS_KEY is not"), "{line}");
    assert_eq!(cloud.fake.n_requests(), 0);
}

#[test]
fn a_short_run_without_credentials_says_why_nothing_is_delivered() {
    let mut cloud = without_credentials();
    cloud.write("a.log", 3);
    let run = cloud.command();
    let mut once = Command::new(run.get_program());
    once.args(run.get_args()).args(["--once", "--strict-exit"]).envs(&cloud.environment);
    let told = once.output().unwrap();
    let log = String::from_utf8_lossy(&told.stderr).into_owned();
    assert_eq!(told.status.code(), Some(69), "{log}");
    for wanted in ["a request failed", "not delivered: "] {
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(wanted)).collect();
        assert!(lines.len() == 1 && lines[0].contains("no AWS credentials found"), "{log}");
    }
    let config = cloud.scratch.join("sidelight.toml").display().to_string();
    assert!(log.contains(&format!("`sidelight dlq ls -c {config}`")), "{log}");
    let banner = "sends to cloudwatch_logs: region us-east-1, endpoint ";
    let line = log.lines().find(|line| line.contains(banner)).unwrap_or(&log);
    assert!(line.contains(&cloud.fake.url()) && line.contains("/e/{file_name}"), "{line}");
}

#[test]
fn an_endpoint_that_does_not_answer_is_named_as_it_was_configured_but_for_its_password() {
    let mut cloud = Cloud::new();
    cloud.fake.stop();
    let url = cloud.fake.url();
    cloud.endpoint_url = Some(url.replace("http://", "http://me:hunter2@"));
    cloud.write("a.log", 1);
    cloud.start();
    let log = wait::until("the failure is told", LIMIT, || {
        Some(cloud.own_log()).filter(|log| log.contains("a request failed"))
    });
    let line = log.lines().find(|line| line.contains("a request failed")).unwrap();
    assert!(line.contains(&format!("{url}: ")), "{line}");
    cloud.stop();
    assert!(!cloud.own_log().contains("hunter2"), "{}", cloud.own_log());
}

#[test]
fn a_region_that_does_not_exist_is_named_with_the_host_that_does_not_resolve() {
    let mut cloud = Cloud::new();
    cloud.endpoint_url = None;
    cloud.exporter = "region = \"eu-wst-1\"\n".to_owned();
    let (lines, is_good) = check(&cloud);
    let line = lines.iter().find(|line| line.contains("FAILED")).unwrap();
    assert!(!is_good, "{lines:#?}");
    for part in ["https://logs.eu-wst-1.amazonaws.com: ", "does not resolve", "region eu-wst-1"] {
        assert!(line.contains(part), "{line}");
    }
    assert!(!line.contains("environment") && !line.contains("endpoint_url"), "{line}");
}

#[test]
fn an_endpoint_without_a_scheme_is_refused_at_load() {
    let mut cloud = Cloud::new();
    cloud.endpoint_url = None;
    cloud.set("AWS_ENDPOINT_URL", "localhost:4566");
    let mut run = cloud.command();
    run.envs(&cloud.environment);
    let told = run.output().unwrap();
    let said = String::from_utf8_lossy(&told.stderr).into_owned();
    assert_eq!(told.status.code(), Some(78), "{said}");
    assert!(
        said.contains("AWS_ENDPOINT_URL of the environment must begin with https://"),
        "{said}"
    );
}

#[test]
fn a_group_of_another_class_than_configured_is_a_note() {
    let mut cloud = Cloud::new();
    cloud.group = "/e/{job_name}".to_owned();
    cloud.sections = "[job]\njob_name = \"nightly\"\n".to_owned();
    cloud.exporter += "log_class = \"infrequent_access\"\n";
    cloud.fake.create("/e/nightly", "s");
    let (lines, is_good) = check(&cloud);
    let is_told = |part: &str| lines.iter().any(|line| line.contains(part));
    assert!(is_good && is_told("logs:PutLogEvents is allowed on /e/nightly"), "{lines:#?}");
    assert!(is_told("note: log group /e/nightly is there, class STANDARD, and not INFREQUENT"));
}

#[test]
fn a_group_that_nobody_will_use_is_not_asked_about() {
    let mut cloud = Cloud::new();
    cloud.group = "/jt/{job_name}".to_owned();
    let (lines, is_good) = check(&cloud);
    assert!(is_good, "{lines:#?}");
    assert!(
        lines.iter().any(|line| line.contains("known once a job runs") && line.contains("/jt/"))
    );
    assert!(cloud.requests("PutLogEvents").is_empty());
    cloud.fake.create("/jt/nightly", "s");
    let (lines, _) = check(&cloud);
    let is_told = |part: &str| lines.iter().any(|line| line.contains(part));
    assert!(is_told("logs:PutLogEvents is allowed on /jt/nightly"), "{lines:#?}");
}
