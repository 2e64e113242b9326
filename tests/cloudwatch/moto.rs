//! moto: what the wire format is in the eyes of somebody else.

use super::client::{Answer, Call};
use super::fake::{Event, Fake, Rules};
use super::read_back::read_all;
use crate::harness::http::free_port;
use crate::harness::process::Process;
use crate::harness::scratch::Scratch;
use crate::harness::{peers, report, wait};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

/// A start on a busy machine, which compiles its Python the first time.
const START_TIME_MAX: Duration = Duration::from_secs(120);
/// Events of one page when a stream is read back.
const PAGE: i64 = 10_000;

/// A `moto_server` of this test alone. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Moto {
    _process: Process,
    port: u16,
}

impl Moto {
    /// Starts it on a free port and waits until it answers; its output goes to the folder.
    pub(crate) fn start(scratch: &Scratch) -> Self {
        let port = free_port();
        let mut command = Command::new(peers::moto_server());
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let (stdout, stderr) = (scratch.join("moto.out"), scratch.join("moto.err"));
        let mut process = Process::start("moto", &command, &stdout, &stderr);
        wait::until("moto answers", START_TIME_MAX, || {
            let ended = process.exit_status();
            assert!(ended.is_none(), "moto ended: {:?}", std::fs::read_to_string(&stderr));
            crate::harness::http::get(port, "/moto-api/").ok()
        });
        Self { _process: process, port }
    }

    /// The endpoint of every service.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Forgets everything.
    pub(crate) fn reset(&self) {
        let answer = Call::json(&self.url(), "").path("/moto-api/reset").send();
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// Names of all streams of a group; none when there is no group.
    pub(crate) fn streams(&self, group: &str) -> Vec<String> {
        let (mut names, mut token) = (Vec::new(), Value::Null);
        loop {
            let mut body = json!({ "logGroupName": group });
            if token.is_string() {
                body["nextToken"] = token;
            }
            let answer = ask(&self.url(), "DescribeLogStreams", &body);
            if answer.status != 200 {
                return names;
            }
            let page = answer.json();
            let streams = page["logStreams"].as_array().cloned().unwrap_or_default();
            let name = |it: &Value| it["logStreamName"].as_str().map(str::to_owned);
            names.extend(streams.iter().filter_map(name));
            token = page["nextToken"].clone();
            if !token.is_string() {
                return names;
            }
        }
    }

    /// Events of a stream in the order of time, all pages of them.
    pub(crate) fn events(&self, group: &str, stream: &str) -> Vec<Event> {
        read_all(&Call::json(&self.url(), "GetLogEvents"), group, stream, PAGE)
    }
}

/// The present time: moto has no other clock.
fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

fn ask(url: &str, operation: &str, body: &Value) -> Answer {
    Call::json(url, operation).body(body.to_string().as_bytes()).send()
}

/// Both destinations, with the group `g` and its stream `s` in each.
fn both() -> Option<(Scratch, Moto, Fake)> {
    if !peers::are_wanted() {
        report::say("moto: skipped, tests/run asks for peers");
        return None;
    }
    let scratch = Scratch::new();
    let moto = Moto::start(&scratch);
    let fake = Fake::start(Rules::default());
    for url in [moto.url(), fake.url()] {
        let group = ask(&url, "CreateLogGroup", &json!({ "logGroupName": "g" }));
        assert_eq!(group.status, 200, "{}", group.body);
        let body = json!({ "logGroupName": "g", "logStreamName": "s" });
        let stream = ask(&url, "CreateLogStream", &body);
        assert_eq!(stream.status, 200, "{}", stream.body);
    }
    Some((scratch, moto, fake))
}

fn put_body(group: &str, stream: &str, events: &[(i64, &str)]) -> Value {
    let event =
        |(time_ms, message): &(i64, &str)| json!({ "timestamp": time_ms, "message": message });
    let events: Vec<Value> = events.iter().map(event).collect();
    json!({ "logGroupName": group, "logStreamName": stream, "logEvents": events })
}

#[test]
fn moto_and_the_fake_give_back_the_same_events() {
    let Some((_scratch, moto, fake)) = both() else { return };
    let now_ms = now_ms();
    let odd = "tab\t quote\" backslash\\ \u{1} caf\u{e9} \u{1f600} \u{fffd} line\nline";
    let batches = [
        vec![(now_ms, "c"), (now_ms + 1, odd)],
        vec![(now_ms - 2_000, "a"), (now_ms - 2_000, "b"), (now_ms + 3_600_000, "ahead")],
        vec![(1, "too old"), (now_ms, "d"), (now_ms + 10_000_000, "too new")],
    ];
    for batch in &batches {
        for url in [moto.url(), fake.url()] {
            let answer = ask(&url, "PutLogEvents", &put_body("g", "s", batch));
            assert_eq!(answer.status, 200, "{}", answer.body);
            let has_rejections = answer.json()["rejectedLogEventsInfo"].is_object();
            // Their index of old events differs: moto's is inclusive, the model's exclusive.
            assert_eq!(has_rejections, batch.len() == 3 && batch[0].0 == 1, "{}", answer.body);
        }
    }
    let events = moto.events("g", "s");
    let messages: Vec<&str> = events.iter().map(|event| event.message.as_str()).collect();
    assert_eq!(messages, ["a", "b", "c", "d", odd, "ahead"]);
    for limit in [1, 4, PAGE] {
        for url in [moto.url(), fake.url()] {
            let call = Call::json(&url, "GetLogEvents");
            assert_eq!(read_all(&call, "g", "s", limit), events, "{limit}");
        }
    }
    assert_eq!(fake.violations(), [""; 0]);
    moto.reset();
    let body = json!({ "logGroupName": "g", "logStreamName": "s" });
    assert_eq!(ask(&moto.url(), "GetLogEvents", &body).error(), "ResourceNotFoundException");
}

#[test]
fn what_moto_refuses_the_fake_refuses_with_the_same_error() {
    let Some((_scratch, moto, fake)) = both() else { return };
    let now_ms = now_ms();
    let events = [(now_ms, "a")];
    let names =
        |group: &str, stream: &str| json!({ "logGroupName": group, "logStreamName": stream });
    let mut paged = names("g", "s");
    paged["nextToken"] = json!("x");
    let long = "n".repeat(513);
    let cases = [
        ("PutLogEvents", put_body("other", "s", &events), "ResourceNotFoundException"),
        ("PutLogEvents", put_body("g", "other", &events), "ResourceNotFoundException"),
        (
            "PutLogEvents",
            put_body("g", "s", &[(now_ms, "b"), (now_ms - 1, "a")]),
            "InvalidParameterException",
        ),
        ("CreateLogGroup", names("g", ""), "ResourceAlreadyExistsException"),
        ("CreateLogGroup", names(&long, ""), "InvalidParameterException"),
        ("CreateLogStream", names("g", "s"), "ResourceAlreadyExistsException"),
        ("CreateLogStream", names("other", "s"), "ResourceNotFoundException"),
        (
            "PutRetentionPolicy",
            json!({ "logGroupName": "other", "retentionInDays": 7 }),
            "ResourceNotFoundException",
        ),
        ("DescribeLogGroups", json!({ "limit": 51 }), "InvalidParameterException"),
        ("DescribeLogStreams", names("other", ""), "ResourceNotFoundException"),
        ("GetLogEvents", names("other", "s"), "ResourceNotFoundException"),
        ("GetLogEvents", names("g", "other"), "ResourceNotFoundException"),
        ("GetLogEvents", paged, "InvalidParameterException"),
    ];
    for (operation, mut body, error) in cases {
        if body["logStreamName"] == "" {
            body.as_object_mut().unwrap().remove("logStreamName");
        }
        for (name, url) in [("moto", moto.url()), ("the fake", fake.url())] {
            let answer = ask(&url, operation, &body);
            let shown = format!("{name}: {operation} {body}: {}", answer.body);
            assert_eq!((answer.status, answer.error().as_str()), (400, error), "{shown}");
        }
    }
    assert_eq!(fake.events("g", "s"), moto.events("g", "s"));
    assert!(fake.events("g", "s").is_empty(), "neither has taken anything");
}
