//! E: credentials, clocks and endpoints.

use super::e_bed::{Cloud, LIMIT};
use crate::cloudwatch::fake::Rules;
use crate::harness::report::say;
use crate::harness::wait;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// An agent with a web identity file instead of keys, as IRSA gives it; and that file.
fn irsa(rules: Rules) -> (Cloud, PathBuf) {
    let mut cloud = Cloud::with(rules);
    let file = cloud.scratch.join("token");
    fs::write(&file, "token-0").unwrap();
    cloud
        .environment
        .retain(|key, _| !key.starts_with("AWS_ACCESS") && !key.starts_with("AWS_SECRET"));
    cloud.set("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/logs");
    cloud.set("AWS_WEB_IDENTITY_TOKEN_FILE", &file.display().to_string());
    cloud.set("AWS_REGION", "us-east-1");
    let url = cloud.fake.url();
    cloud.set("AWS_ENDPOINT_URL_STS", &url);
    (cloud, file)
}

#[test]
fn e21_ten_rotations_of_credentials_under_load_lose_nothing() {
    let rules = Rules { web_identity_token: Some("token-0".to_owned()), ..Rules::default() };
    let (mut cloud, file) = irsa(rules);
    cloud.write("a.log", 10);
    cloud.start();
    cloud.until_all_done();
    for round in 1..=10 {
        for name in ["a.log", "b.log", "c.log"] {
            cloud.write(name, 200);
        }
        // The file first, as Kubernetes does it: a new one under the same name.
        let (token, new) = (format!("token-{round}"), cloud.scratch.join("new"));
        fs::write(&new, &token).unwrap();
        fs::rename(&new, &file).unwrap();
        cloud.fake.set_web_identity_token(&token);
        cloud.fake.expire_sessions();
        for name in ["a.log", "b.log", "c.log"] {
            cloud.write(name, 200);
        }
        wait::until("new credentials are taken", LIMIT, || {
            (cloud.requests("AssumeRoleWithWebIdentity").len() > round).then_some(())
        });
    }
    cloud.finish(0);
    let (assumed, puts) =
        (cloud.requests("AssumeRoleWithWebIdentity"), cloud.requests("PutLogEvents"));
    let n_expired = puts.iter().filter(|it| it.outcome == "ExpiredTokenException").count();
    say(&format!("e21: {} roles assumed, {n_expired} requests with expired ones", assumed.len()));
    // At most one each of what may be under way at the time.
    assert!(n_expired <= 10 * 4, "{n_expired} requests with expired credentials");
}

#[test]
fn e21_credentials_are_taken_anew_before_they_expire() {
    let rules = Rules { session_lifetime: Duration::from_secs(3), ..Rules::default() };
    let (mut cloud, _file) = irsa(rules);
    cloud.start();
    wait::until("three are taken", LIMIT, || {
        cloud.write("a.log", 10);
        cloud.until_all_done();
        let puts = cloud.requests("PutLogEvents");
        let mut keys: Vec<String> = puts.into_iter().map(|it| it.access_key_id).collect();
        keys.sort();
        keys.dedup();
        (keys.len() >= 3).then_some(())
    });
    cloud.finish(0);
    let requests = cloud.fake.requests();
    assert!(requests.iter().all(|it| it.outcome != "ExpiredTokenException"));
}

#[test]
fn e23_a_pod_with_a_role_starts_without_the_metadata_of_its_node() {
    // Takes connections and says nothing, like packets that are dropped behind one hop.
    let imds = TcpListener::bind("127.0.0.1:0").unwrap();
    imds.set_nonblocking(true).unwrap();
    let (mut cloud, _file) = irsa(Rules::default());
    cloud.exporter.clear();
    cloud.environment.remove("AWS_EC2_METADATA_DISABLED");
    let address = format!("http://{}", imds.local_addr().unwrap());
    cloud.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", &address);
    cloud.write("a.log", 10);
    let since = Instant::now();
    cloud.start();
    cloud.until_all_done();
    let took = since.elapsed();
    say(&format!("e23: the first lines are out after {took:?}"));
    assert!(took < Duration::from_secs(3), "it took {took:?}");
    assert!(imds.accept().is_err(), "the metadata service was asked");
    cloud.finish(0);
}

#[test]
fn e25_the_endpoint_of_the_environment_is_taken_that_of_the_service_first() {
    let mut cloud = Cloud::new();
    cloud.endpoint_url = None;
    cloud.set("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    cloud.set("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", &cloud.fake.url());
    cloud.write("a.log", 100);
    cloud.start();
    cloud.finish(0);
}

#[test]
fn e25_a_server_that_speaks_no_tls_is_named_with_a_hint() {
    let mut cloud = Cloud::new();
    let plain = cloud.fake.url().replace("127.0.0.1", "localhost");
    cloud.endpoint_url = Some(plain.replace("http://", "https://"));
    cloud.write("a.log", 100);
    let host = plain.trim_start_matches("http://").to_owned();
    // `check --online` finds it before anything runs.
    let run = cloud.command();
    let mut check = std::process::Command::new(run.get_program());
    check.args(["check", "--online", "-c"]).args(run.get_args().last()).envs(&cloud.environment);
    let told = check.output().unwrap();
    let said = String::from_utf8_lossy(&[told.stdout, told.stderr].concat()).into_owned();
    assert!(!told.status.success(), "{said}");
    let line = said.lines().find(|line| line.contains("FAILED")).unwrap_or(&said);
    assert!(
        line.contains(&host) && line.contains("TLS") && line.contains("endpoint_url"),
        "{line}"
    );
    cloud.start();
    let log = wait::until("the failure is told", LIMIT, || {
        Some(cloud.own_log()).filter(|log| log.contains("delivery failed"))
    });
    let line = log.lines().find(|line| line.contains("delivery failed")).unwrap();
    assert!(
        line.contains(&host) && line.contains("TLS") && line.contains("endpoint_url"),
        "{line}"
    );
    cloud.stop();
    cloud.endpoint_url = Some(plain);
    cloud.start();
    cloud.finish(0);
}

#[test]
fn e25_a_page_of_a_proxy_is_no_answer_of_aws() {
    for status in [200, 403, 502] {
        let mut cloud = Cloud::new();
        cloud.lane = "request_timeout = \"500ms\"".to_owned();
        cloud.fake.set_fault(crate::cloudwatch::fault::Fault::html(status));
        cloud.write("a.log", 100);
        cloud.start();
        let log = wait::until("the failure is told", LIMIT, || {
            Some(cloud.own_log()).filter(|log| log.contains("delivery failed"))
        });
        let line = log.lines().find(|line| line.contains("delivery failed")).unwrap();
        assert!(line.contains("proxy") && line.contains("endpoint_url"), "{status}: {line}");
        cloud.fake.clear_faults();
        cloud.finish(0);
    }
}

#[test]
fn e29_a_clock_that_is_twenty_minutes_off_is_corrected() {
    for minutes in [20, -20] {
        let mut cloud = Cloud::new();
        cloud.fake.set_clock_offset(minutes * 60_000);
        // The first request is alone: its answer tells the time to all others.
        cloud.write("a.log", 100);
        cloud.start();
        cloud.until_all_done();
        for _ in 0..3 {
            cloud.write("a.log", 100);
            cloud.write("b.log", 100);
            cloud.until_all_done();
        }
        cloud.finish(0);
        let requests = cloud.fake.requests();
        let n_skewed =
            requests.iter().filter(|it| it.outcome == "InvalidSignatureException").count();
        say(&format!("e29: {n_skewed} of {} requests had the wrong time", requests.len()));
        assert_eq!(n_skewed, 1, "of {}", requests.len());
    }
}
