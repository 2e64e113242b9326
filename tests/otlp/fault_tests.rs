//! Receivers that misbehave: nothing is lost, and nothing that was taken comes twice.

use super::bed::{Bed, LIMIT, distinct};
use super::receiver::{Answer, Receiver};
use super::recorded_ui;
use super::wire::Request;
use crate::harness::wait;
use std::time::Duration;

const PROTOCOLS: [bool; 2] = [true, false];

#[test]
fn records_arrive_once_in_order_and_over_one_connection_with_every_compression() {
    for is_grpc in PROTOCOLS {
        for compression in ["none", "gzip", "zstd"] {
            let receiver = Receiver::start(is_grpc);
            let mut bed = Bed::before(&receiver);
            bed.exporter +=
                &format!("compression = {compression:?}\nheaders = {{ x-key = \"${{KEY}}\" }}\n");
            bed.environment.insert("KEY".to_owned(), "hunter2".to_owned());
            bed.start();
            for _ in 0..5 {
                bed.write("a.log", 2_000);
                bed.write("b.log", 10);
            }
            bed.wait_for(&receiver, 10_050);
            bed.stop();
            bed.expect_all(&receiver);
            assert_eq!(receiver.n_connections(), 1, "{compression}");
            let name = if is_grpc { "grpc-encoding" } else { "content-encoding" };
            let want = (compression != "none").then_some(compression);
            for seen in receiver.seen() {
                assert_eq!(seen.headers.get("x-key").unwrap(), "hunter2");
                let encoding = seen.headers.get(name).map(|it| it.to_str().unwrap());
                assert_eq!(encoding, want);
                assert!(seen.headers["user-agent"].to_str().unwrap().starts_with("sidelight/"));
            }
            assert!(!bed.log().contains("hunter2"));
        }
    }
}

#[test]
fn partial_success_is_counted_and_never_sent_again() {
    for is_grpc in PROTOCOLS {
        let receiver = Receiver::start(is_grpc);
        receiver.say(&[
            Answer::TakePart(3, "too old, says bob@example.com"),
            Answer::TakePart(0, "slow"),
        ]);
        let mut bed = Bed::before(&receiver);
        bed.start();
        bed.write("a.log", 10);
        bed.wait_for(&receiver, 10);
        bed.write("a.log", 10);
        bed.wait_for(&receiver, 20);
        bed.wait_for_metric("sidelight_otlp_rejected_total", "signal=\"logs\"", |n| n == 3.0);
        assert!(bed.log().contains("too old, says [EMAIL]"), "{}", bed.log());
        bed.stop();
        bed.expect_all(&receiver);
    }
}

#[test]
fn a_receiver_that_names_a_time_is_left_alone_until_then() {
    for (is_grpc, answer) in
        [(false, Answer::Fail(429, Some(2))), (true, Answer::Fail(1008, Some(2)))]
    {
        let receiver = Receiver::start(is_grpc);
        receiver.say(&[answer]);
        let mut bed = Bed::before(&receiver);
        bed.start();
        bed.write("a.log", 10);
        bed.wait_for(&receiver, 10);
        let seen = receiver.seen();
        let pause = seen[1].at - seen[0].at;
        assert!(pause >= Duration::from_millis(1_950), "{pause:?}");
        bed.stop();
        bed.expect_all(&receiver);
    }
}

#[test]
fn a_storm_of_errors_and_cut_connections_loses_nothing() {
    for is_grpc in PROTOCOLS {
        let receiver = Receiver::start(is_grpc);
        let codes: &[u16] = if is_grpc {
            &[1014, 1008, 1004, 1001, 1010, 1015]
        } else {
            &[503, 502, 504, 429, 503]
        };
        for code in codes {
            receiver.say(&[Answer::Fail(*code, None), Answer::Take, Answer::Fail(*code, None)]);
        }
        let mut bed = Bed::before(&receiver);
        bed.start();
        for _ in 0..20 {
            bed.write("a.log", 100);
            bed.write("b.log", 50);
        }
        bed.wait_for(&receiver, 3_000);
        bed.stop();
        bed.expect_all(&receiver);

        receiver.say(&[Answer::TakeAndCut, Answer::Take, Answer::TakeAndCut]);
        bed.start();
        bed.write("a.log", 100);
        bed.wait_for(&receiver, 3_100);
        bed.write("a.log", 100);
        bed.wait_for(&receiver, 3_200);
        bed.stop();
        bed.expect_stored(&receiver);
    }
}

#[test]
fn a_receiver_that_is_killed_gets_everything_when_it_is_back_also_from_the_next_agent() {
    for is_grpc in PROTOCOLS {
        let mut receiver = Receiver::start(is_grpc);
        let mut bed = Bed::before(&receiver);
        bed.start();
        bed.write("a.log", 500);
        bed.wait_for(&receiver, 500);
        receiver.stop();
        bed.write("a.log", 500);
        let spooled = "sidelight_spooled_records_total";
        bed.wait_for_metric(spooled, "exporter=\"otlp\"", |n| n >= 500.0);
        bed.stop();
        bed.start();
        bed.write("a.log", 500);
        receiver.resume();
        bed.wait_for(&receiver, 1_500);
        bed.stop();
        bed.expect_all(&receiver);
    }
}

#[test]
fn a_receiver_that_hangs_costs_one_request_timeout_and_its_connection() {
    for is_grpc in PROTOCOLS {
        let receiver = Receiver::start(is_grpc);
        receiver.say(&[Answer::Hang]);
        let mut bed = Bed::before(&receiver);
        bed.lane = "request_timeout = \"1s\"\n".to_owned();
        bed.start();
        bed.write("a.log", 10);
        bed.wait_for(&receiver, 10);
        assert_eq!(receiver.n_connections(), 2, "a connection that hangs is not used again");
        bed.stop();
        bed.expect_all(&receiver);
    }
}

#[test]
fn requests_that_are_too_long_are_split_and_no_record_is_lost_or_out_of_order() {
    for is_grpc in PROTOCOLS {
        // By our own limit, and by that of the receiver which nobody has told us.
        for (own, limit) in [("64KiB", usize::MAX), ("4MiB", 100_000)] {
            let receiver = Receiver::start(is_grpc);
            receiver.rule(Some(Answer::TakeUpTo(limit)));
            let mut bed = Bed::before(&receiver);
            bed.exporter += &format!("request_bytes_max = {own:?}\n");
            bed.write("a.log", 6_000);
            bed.start();
            bed.wait_for(&receiver, 6_000);
            bed.write("a.log", 3_000);
            bed.wait_for(&receiver, 9_000);
            bed.stop();
            bed.expect_all(&receiver);
            let longest =
                receiver.seen().iter().filter(|it| it.is_acknowledged).map(|it| it.bytes).max();
            assert!(longest.unwrap() <= limit.min(4 << 20), "{longest:?}");
            if own == "64KiB" {
                assert!(receiver.seen().iter().all(|it| it.bytes <= 64 << 10));
            }
        }
    }
}

#[test]
fn what_is_taken_of_a_long_batch_is_not_sent_again_when_the_rest_fails() {
    for is_grpc in PROTOCOLS {
        let receiver = Receiver::start(is_grpc);
        let fail = Answer::Fail(if is_grpc { 1014 } else { 503 }, None);
        let script = [Answer::Take, Answer::Take, fail.clone(), Answer::Take, fail, Answer::Hang];
        receiver.say(&script);
        let mut bed = Bed::before(&receiver);
        bed.exporter += "request_bytes_max = \"64KiB\"\n";
        bed.write("a.log", 5_000);
        bed.start();
        bed.wait_for(&receiver, 5_000);
        bed.stop();
        bed.expect_all(&receiver);
    }
}

#[test]
fn a_record_that_is_never_taken_becomes_a_dead_letter_and_the_others_arrive() {
    for is_grpc in PROTOCOLS {
        for own in ["64KiB", "4MiB"] {
            let receiver = Receiver::start(is_grpc);
            receiver.rule(Some(Answer::RefuseText("poison")));
            let mut bed = Bed::before(&receiver);
            bed.exporter += &format!("request_bytes_max = {own:?}\n");
            bed.write("a.log", 700);
            bed.append("a.log", "26/11/22 06:26:22 INFO Writer: poison\n");
            bed.write("a.log", 700);
            bed.start();
            bed.wait_for(&receiver, 1_400);
            bed.wait_for_metric("sidelight_dead_letters_total", "exporter=\"otlp\"", |n| n == 1.0);
            bed.stop();
            bed.expect_all(&receiver);
        }
    }
}

#[test]
fn who_is_denied_waits_until_a_person_has_mended_it() {
    for (is_grpc, code) in [(true, 1016), (true, 1012), (false, 401), (false, 404)] {
        let receiver = Receiver::start(is_grpc);
        receiver.rule(Some(Answer::Fail(code, Some(1))));
        let mut bed = Bed::before(&receiver);
        bed.start();
        bed.write("a.log", 10);
        wait::until("it is asked again", LIMIT, || (receiver.seen().len() > 1).then_some(()));
        assert!(bed.log().contains("check `endpoint`"), "{}", bed.log());
        assert_eq!(bed.metric("sidelight_dead_letters_total", "exporter=\"otlp\""), 0.0);
        receiver.rule(None);
        bed.wait_for(&receiver, 10);
        bed.stop();
        bed.expect_all(&receiver);
    }
}

#[test]
fn a_page_that_is_no_receipt_is_none() {
    let receiver = Receiver::start(false);
    // 201 with text: what a portal answers to everything.
    receiver.rule(Some(Answer::Fail(201, None)));
    let mut bed = Bed::before(&receiver);
    bed.start();
    bed.write("a.log", 10);
    wait::until("it is told", LIMIT, || {
        bed.log().contains("not as an OTLP receiver").then_some(())
    });
    bed.stop();
    assert_eq!(distinct(&receiver.acknowledged()), 0);
}

#[test]
fn check_online_asks_and_says_what_to_change() {
    for is_grpc in PROTOCOLS {
        let mut receiver = Receiver::start(is_grpc);
        let bed = Bed::before(&receiver);
        let output = bed.check_online();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{told}");
        for signal in ["logs", "metrics", "traces"] {
            assert!(told.contains(&format!("takes {signal}")), "{told}");
        }
        receiver.stop();
        let output = bed.check_online();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!output.status.success());
        assert!(told.contains("otlp: FAILED: logs") && told.contains("refused"), "{told}");
        receiver.expect_no_violations();
    }
}

#[test]
fn samples_and_spans_wait_for_a_receiver_that_does_not_work_and_are_dropped_when_refused() {
    for is_grpc in PROTOCOLS {
        let receiver = Receiver::start(is_grpc);
        receiver.rule(Some(Answer::Fail(if is_grpc { 1014 } else { 503 }, None)));
        let ui_port = recorded_ui::start();
        let mut bed = Bed::before(&receiver);
        bed.sections = format!(
            "[scrapers.spark]\nurls = [\"http://127.0.0.1:{ui_port}\"]\ninterval = \"1s\"\n"
        );
        bed.start();
        for signal in ["metrics", "spans"] {
            let label = format!("outcome=\"transient\",signal=\"{signal}\"");
            bed.wait_for_metric("sidelight_otlp_requests_total", &label, |n| n > 0.0);
        }
        // Spans are made once, when their work has ended.
        receiver.rule(None);
        wait::until("samples and spans arrive", LIMIT, || {
            let seen = receiver.seen();
            let is_taken = |what: fn(&Request) -> bool| {
                seen.iter().any(|it| it.is_acknowledged && what(&it.request))
            };
            let metrics = is_taken(|it| matches!(it, Request::Metrics));
            (metrics && is_taken(|it| matches!(it, Request::Traces))).then_some(())
        });
        receiver.rule(Some(Answer::Fail(if is_grpc { 1003 } else { 400 }, None)));
        bed.wait_for_metric("sidelight_lane_dropped_batches_total", "rejected", |n| n > 0.0);
        assert!(bed.log().contains("refuses metrics or spans"), "{}", bed.log());
        bed.stop();
        receiver.expect_no_violations();
    }
}
