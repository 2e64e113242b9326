//! E: metadata of instances that is slow, FIPS hosts, and outages that burn no CPU.

use super::e_bed::{Cloud, LIMIT};
use crate::harness::report::say;
use crate::harness::wait;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Calls `answer` with the first line and the stream of each connection, each in its own thread.
pub(super) fn listen(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || {
                let mut stream = stream;
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let Some(Ok(first)) = lines.next() else { return };
                while lines.next().and_then(Result::ok).is_some_and(|line| !line.is_empty()) {}
                answer(&first, &mut stream);
            });
        }
    });
    address
}

/// The metadata service of an instance with a role, which answers the first `n_slow` requests after
/// three seconds.
fn imds(n_slow: usize) -> (String, Arc<AtomicUsize>) {
    let n_asked = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&n_asked);
    let address = listen(move |first, stream| {
        if asked.fetch_add(1, Ordering::AcqRel) < n_slow {
            std::thread::sleep(Duration::from_secs(3));
        }
        let path = first.split(' ').nth(1).unwrap_or_default();
        let (status, body) = match path {
            "/latest/api/token" => (200, "metadata-token".to_owned()),
            "/latest/meta-data/iam/security-credentials/" => (200, "role".to_owned()),
            "/latest/meta-data/iam/security-credentials/role" => (200, credentials()),
            _ => (404, String::new()),
        };
        let length = body.len();
        let _ = write!(
            stream,
            "HTTP/1.1 {status} It\r\nx-aws-ec2-metadata-token-ttl-seconds: 21600\r\n\
             content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
    });
    (format!("http://{address}"), n_asked)
}

fn credentials() -> String {
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(6);
    format!(
        r#"{{"Code":"Success","LastUpdated":"2026-01-01T00:00:00Z","Type":"AWS-HMAC",
            "AccessKeyId":"ASIAIMDS","SecretAccessKey":"secret","Token":"imds-token",
            "Expiration":"{}"}}"#,
        end.strftime("%Y-%m-%dT%H:%M:%SZ")
    )
}

#[test]
fn e22_slow_metadata_of_an_instance_delays_and_loses_nothing() {
    let (url, n_asked) = imds(3);
    let mut cloud = Cloud::new();
    cloud.fake.add_session("ASIAIMDS", Some("imds-token"));
    let is_key = |key: &str| key.starts_with("AWS_ACCESS") || key.starts_with("AWS_SECRET");
    cloud.environment.retain(|key, _| !is_key(key) && key != "AWS_EC2_METADATA_DISABLED");
    cloud.set("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url);
    cloud.write("a.log", 100);
    let since = Instant::now();
    cloud.start();
    cloud.until_all_done();
    let (took, n_asked) = (since.elapsed(), n_asked.load(Ordering::Acquire));
    say(&format!("e22: {took:?} with {n_asked} requests for metadata"));
    cloud.finish(0);
}

/// The host that the agent wants to reach through a proxy, with this environment.
fn host_asked(environment: &[(&str, &str)]) -> String {
    let (sender, hosts) = std::sync::mpsc::channel();
    let proxy = listen(move |first, stream| {
        let _ = sender.send(first.to_owned());
        let _ = stream.write_all(b"HTTP/1.1 502 No\r\ncontent-length: 0\r\n\r\n");
    });
    let mut cloud = Cloud::new();
    cloud.endpoint_url = None;
    cloud.set("HTTPS_PROXY", &format!("http://{proxy}"));
    for (key, value) in environment {
        cloud.set(key, value);
    }
    cloud.write("a.log", 1);
    cloud.start();
    let first = hosts.recv_timeout(LIMIT).unwrap();
    cloud.stop();
    first.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn e24_fips_and_dual_stack_of_the_environment_choose_the_host() {
    assert_eq!(host_asked(&[]), "logs.us-east-1.amazonaws.com:443");
    let fips = ("AWS_USE_FIPS_ENDPOINT", "true");
    assert_eq!(host_asked(&[fips]), "logs-fips.us-east-1.amazonaws.com:443");
    let dual = ("AWS_USE_DUALSTACK_ENDPOINT", "true");
    assert_eq!(host_asked(&[dual]), "logs.us-east-1.api.aws:443");
}

#[test]
fn e24_nothing_of_ours_uses_md5() {
    // The SDK of S3 brings it for a header that we never ask for; tests/s3 looks for that on the wire.
    let lock = include_str!("../../Cargo.lock");
    let users = lock.split("[[package]]").filter(|package| package.contains("\n \"md"));
    let name = |package: &str| package.split('"').nth(1).unwrap_or_default().to_owned();
    let has_md5 = |package: &&str| ["\"md-5\"", "\"md5\""].iter().any(|it| package.contains(it));
    let users: Vec<String> = users.filter(has_md5).map(name).collect();
    assert_eq!(users, ["aws-smithy-checksums"]);
}

#[test]
fn e20_an_outage_burns_no_cpu_and_ends_by_itself() {
    let mut cloud = Cloud::new();
    cloud.start();
    cloud.write("a.log", 100);
    cloud.until_all_done();
    cloud.fake.stop();
    cloud.write("a.log", 100);
    cloud.wait_for_metric("sidelight_circuit_open", "cloudwatch_logs", |n| n == 1.0);
    let (since, before) = (Instant::now(), cloud.cpu_seconds());
    wait::until("two seconds of outage", LIMIT, || {
        (since.elapsed() > Duration::from_secs(2)).then_some(())
    });
    let (cpu, elapsed) = (cloud.cpu_seconds() - before, since.elapsed().as_secs_f64());
    say(&format!("e20: {cpu:.2} s of CPU in {elapsed:.2} s of outage"));
    assert!(cpu < elapsed / 4.0, "{cpu} s of CPU in {elapsed} s");
    cloud.fake.resume();
    cloud.finish(0);
}
