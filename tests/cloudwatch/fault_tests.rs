//! What goes wrong on request goes wrong as it was asked for, and nothing else does.

use super::client::Call;
use super::fake::Fake;
use super::fault::Fault;
use super::rig::{GROUP, NOW_MS, STREAM, ask, call, fake, keeps, messages, put, put_body, refuses};
use crate::harness::wait;
use serde_json::json;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

fn outcomes(fake: &Fake) -> Vec<String> {
    fake.requests().into_iter().map(|request| request.outcome).collect()
}

#[test]
fn errors_have_the_service_s_format_and_take_nothing() {
    let fake = fake();
    for (fault, status, code) in [
        (Fault::throttle(), 400, "ThrottlingException"),
        (Fault::server_error(500), 500, "InternalFailure"),
        (Fault::server_error(503), 503, "ServiceUnavailableException"),
        (Fault::access_denied(), 400, "AccessDeniedException"),
        (Fault::limit_exceeded(), 400, "LimitExceededException"),
        (Fault::aborted(), 400, "OperationAbortedException"),
        (Fault::error(403, "RequestExpired", "late"), 403, "RequestExpired"),
    ] {
        fake.set_fault(fault.times(1));
        let answer = put(&fake, &[(NOW_MS, "a")]);
        assert_eq!((answer.status, answer.error().as_str()), (status, code));
        assert!(answer.header("x-amzn-requestid").is_some());
        assert!(answer.json()["message"].as_str().is_some_and(|text| !text.is_empty()));
    }
    assert_eq!(messages(&fake), [""; 0]);
    keeps(&fake, &put(&fake, &[(NOW_MS, "a")]));
}

#[test]
fn a_fault_hits_one_operation_of_one_group_so_many_times() {
    let fake = fake();
    fake.create("/other", STREAM);
    fake.set_fault(Fault::throttle().on("PutLogEvents").in_group("/other").times(2));
    let put_other = || {
        let mut body = put_body(&[(NOW_MS, "a")]);
        body["logGroupName"] = json!("/other");
        ask(&fake, "PutLogEvents", &body)
    };
    keeps(&fake, &put(&fake, &[(NOW_MS, "a")]));
    keeps(&fake, &ask(&fake, "DescribeLogStreams", &json!({ "logGroupName": "/other" })));
    for _ in 0..2 {
        refuses(&put_other(), "ThrottlingException", "Rate");
    }
    keeps(&fake, &put_other());
    let arn = "arn:aws:logs:us-east-1:123456789012:log-group:/other";
    fake.set_fault(Fault::access_denied().on("TagResource").in_group("/other"));
    let tag = || ask(&fake, "TagResource", &json!({ "resourceArn": arn, "tags": { "a": "b" } }));
    refuses(&tag(), "AccessDeniedException", "not authorized");
    fake.clear_faults();
    keeps(&fake, &tag());
}

#[test]
fn a_ratio_is_the_same_for_the_same_seed() {
    let run = |seed: u64| {
        let fake = fake();
        fake.set_fault(Fault::throttle().ratio(0.5, seed));
        for _ in 0..100 {
            put(&fake, &[(NOW_MS, "a")]);
        }
        outcomes(&fake)
    };
    let first = run(1);
    let n_ok = first.iter().filter(|outcome| *outcome == "ok").count();
    assert!((35..=65).contains(&n_ok), "{n_ok}");
    assert_eq!(first, run(1));
    assert_ne!(first, run(2));
}

#[test]
fn poison_refuses_the_whole_batch_that_holds_it() {
    let fake = fake();
    fake.set_fault(Fault::poison("POISON"));
    let batch = [(NOW_MS, "a"), (NOW_MS, "some POISON here"), (NOW_MS, "b")];
    refuses(&put(&fake, &batch), "InvalidParameterException", "");
    keeps(&fake, &put(&fake, &batch[..1]));
    keeps(&fake, &put(&fake, &batch[2..]));
    refuses(&put(&fake, &batch[1..2]), "InvalidParameterException", "");
    assert_eq!(messages(&fake), ["a", "b"]);
}

#[test]
fn parts_of_a_batch_are_refused() {
    let fake = fake();
    let batch = [(NOW_MS, "a"), (NOW_MS, "b"), (NOW_MS, "c"), (NOW_MS, "d"), (NOW_MS, "e")];
    fake.set_fault(Fault::reject(1, 1, 2).times(1));
    let mut body = put_body(&batch);
    body["logStreamName"] = json!("missing");
    refuses(&ask(&fake, "PutLogEvents", &body), "ResourceNotFoundException", "stream");
    let answer = put(&fake, &batch);
    keeps(&fake, &answer);
    let info = json!({
        "tooOldLogEventEndIndex": 1,
        "expiredLogEventEndIndex": 2,
        "tooNewLogEventStartIndex": 3,
    });
    assert_eq!(answer.json()["rejectedLogEventsInfo"], info);
    assert_eq!(messages(&fake), ["c"]);
    assert_eq!(put(&fake, &batch).json(), json!({}));
    fake.set_fault(Fault::reject(9, 0, 9));
    keeps(&fake, &put(&fake, &batch[..2]));
    assert_eq!(messages(&fake).len(), 6, "nothing of the last batch is left");
}

#[test]
fn an_entity_is_refused_where_there_is_one() {
    let fake = fake();
    fake.set_fault(Fault::reject_entity("InvalidEntity").times(1));
    assert_eq!(put(&fake, &[(NOW_MS, "a")]).json(), json!({}));
    let mut body = put_body(&[(NOW_MS, "b")]);
    body["entity"] = json!({ "keyAttributes": { "Type": "Service", "Name": "n" } });
    let answer = ask(&fake, "PutLogEvents", &body).json();
    assert_eq!(answer["rejectedEntityInfo"]["errorType"], "InvalidEntity");
    assert_eq!(ask(&fake, "PutLogEvents", &body).json(), json!({}));
    assert_eq!(messages(&fake), ["a", "b", "b"]);
}

#[test]
fn a_stored_batch_may_never_be_answered() {
    let fake = fake();
    fake.set_fault(Fault::store_then_hang().times(1));
    let put = || call(&fake, "PutLogEvents", &put_body(&[(NOW_MS, "a")]));
    let error = put().try_send(Duration::from_millis(300)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "the client gives up");
    keeps(&fake, &put().send());
    fake.set_fault(Fault::store_then_close().times(1));
    let error = put().try_send(Duration::from_secs(60)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "the connection ends");
    assert_eq!(messages(&fake), ["a", "a", "a"]);
    assert_eq!(outcomes(&fake), ["stored, not answered", "ok", "stored, closed"]);
    assert_eq!(fake.n_requests(), 3);
}

#[test]
fn what_fails_anyway_uses_up_no_fault_of_stored_batches() {
    let fake = fake();
    fake.set_fault(Fault::store_then_close().times(1));
    fake.delete(GROUP);
    let put = || call(&fake, "PutLogEvents", &put_body(&[(NOW_MS, "a")]));
    refuses(&put().send(), "ResourceNotFoundException", "group");
    fake.create(GROUP, STREAM);
    assert!(put().try_send(Duration::from_secs(60)).is_err());
}

#[test]
fn a_200_may_be_empty() {
    let fake = fake();
    for is_stored in [true, false] {
        fake.set_fault(Fault::empty_ok(is_stored).times(1));
        let answer = put(&fake, &[(NOW_MS, "a")]);
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        assert_eq!(answer.header("x-amzn-requestid"), None);
    }
    assert_eq!(messages(&fake), ["a"]);
    assert_eq!(outcomes(&fake), ["empty", "empty"]);
}

#[test]
fn a_proxy_may_answer_with_a_page() {
    let fake = fake();
    for status in [200, 403] {
        fake.set_fault(Fault::html(status).times(1));
        let answer = put(&fake, &[(NOW_MS, "a")]);
        assert_eq!((answer.status, answer.header("content-type")), (status, Some("text/html")));
        assert!(answer.body.starts_with("<html>"));
        assert_eq!(answer.header("x-amzn-requestid"), None);
    }
    assert_eq!(messages(&fake), [""; 0]);
}

#[test]
fn an_answer_may_be_late_and_wrong() {
    let fake = fake();
    fake.set_fault(Fault::delay(Duration::from_millis(200)).times(1));
    fake.set_fault(Fault::throttle().times(1));
    let start = Instant::now();
    refuses(&put(&fake, &[(NOW_MS, "a")]), "ThrottlingException", "Rate");
    assert!(start.elapsed() >= Duration::from_millis(200));
    keeps(&fake, &put(&fake, &[(NOW_MS, "a")]));
}

#[test]
fn open_requests_are_counted_by_stream_and_in_total() {
    let mut fake = fake();
    fake.create(GROUP, "other");
    fake.set_fault(Fault::delay(Duration::from_secs(600)));
    let other = {
        let mut body = put_body(&[(NOW_MS, "a")]);
        body["logStreamName"] = json!("other");
        body
    };
    let bodies = [put_body(&[(NOW_MS, "a")]), put_body(&[(NOW_MS, "b")]), other];
    std::thread::scope(|scope| {
        for body in &bodies {
            let call = call(&fake, "PutLogEvents", body);
            scope.spawn(move || call.try_send(Duration::from_secs(60)));
        }
        let key = |stream: &str| (GROUP.to_owned(), stream.to_owned());
        wait::until("three are open", Duration::from_secs(20), || {
            let open = fake.open_max();
            let of = |stream: &str| open.streams.get(&key(stream)).copied();
            let counts = (open.total, of(STREAM), of("other"));
            (counts == (3, Some(2), Some(1))).then_some(())
        });
        assert_eq!(fake.n_open(), 3);
        fake.stop();
    });
    fake.resume();
    assert_eq!(fake.n_open(), 0);
    fake.clear_faults();
    keeps(&fake, &put(&fake, &[(NOW_MS, "a")]));
    assert_eq!(fake.open_max().total, 3);
}

#[test]
fn a_stopped_server_refuses_connections_until_it_resumes() {
    let mut fake = fake();
    keeps(&fake, &put(&fake, &[(NOW_MS, "a")]));
    let url = fake.url();
    let send = || Call::json(&url, "DescribeLogGroups").at(NOW_MS).try_send(Duration::from_secs(9));
    for _ in 0..3 {
        fake.stop();
        assert_eq!(send().unwrap_err().kind(), ErrorKind::ConnectionRefused);
        fake.resume();
        assert_eq!(send().unwrap().status, 200);
    }
    assert_eq!(fake.url(), url);
    assert_eq!(messages(&fake), ["a"], "what it took is still there");
}

#[test]
fn a_request_is_remembered_as_it_was_seen() {
    let fake = fake();
    let body = put_body(&[(NOW_MS, "caf\u{e9}"), (NOW_MS, "b")]);
    let call = call(&fake, "PutLogEvents", &body).header("user-agent", "sidelight/0.1");
    keeps(&fake, &call.send());
    let request = fake.requests().remove(0);
    assert_eq!((request.operation.as_str(), request.group.as_str()), ("PutLogEvents", GROUP));
    assert_eq!((request.stream.as_str(), request.n_events), (STREAM, 2));
    assert_eq!((request.bytes, request.body_bytes), (5 + 1 + 52, body.to_string().len()));
    assert_eq!((request.user_agent.as_str(), request.logs_format), ("sidelight/0.1", None));
    assert!(request.after < Duration::from_secs(60) && !request.has_entity);
}
