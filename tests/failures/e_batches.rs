//! E: what goes into one request, and in which order requests go.

use super::e_bed::{Cloud, LIMIT, STREAM, now_ms};
use crate::cloudwatch::fault::Fault;
use crate::harness::report::say;
use crate::harness::wait;
use std::time::Duration;

const DAY_MS: i64 = 24 * 3_600_000;

#[test]
fn e3_the_smallest_lines_and_those_of_four_byte_characters_break_no_limit() {
    let mut cloud = Cloud::new();
    // Held up for a while, so that lines come together that fill requests to the brim.
    cloud.lane = "request_timeout = \"60s\"".to_owned();
    let held = Fault::delay(Duration::from_secs(3)).on("PutLogEvents").times(1);
    cloud.fake.set_fault(held);
    let now_ms = now_ms();
    cloud.write_lines("small.log", &vec![(now_ms, &b"x"[..]); 25_000]);
    let wide = "\u{1F600}".repeat(500);
    cloud.write_lines("wide.log", &vec![(now_ms, wide.as_bytes()); 1_500]);
    cloud.start();
    cloud.finish(0);
    let puts = cloud.requests("PutLogEvents");
    assert!(puts.iter().all(|it| it.outcome == "ok" || it.outcome == "ResourceNotFoundException"));
    assert!(puts.iter().any(|it| it.bytes > 1_040_000), "{puts:?}");
}

#[test]
fn e4_requests_are_full_under_load() {
    const FULL_BYTES: usize = 1_048_576 * 95 / 100;
    let mut cloud = Cloud::new();
    // A service that is slower than the agent, also than one of a debug build, and text that such
    // an agent is quick with.
    cloud.lane = "request_timeout = \"600s\"".to_owned();
    cloud.fake.create(&Cloud::group("a.log"), STREAM);
    let held = Fault::delay(Duration::from_secs(6)).on("PutLogEvents").times(1);
    cloud.fake.set_fault(held);
    cloud.fake.set_fault(Fault::delay(Duration::from_millis(500)).on("PutLogEvents"));
    let (now_ms, text) = (now_ms(), "~".repeat(960));
    cloud.write_lines("a.log", &vec![(now_ms, text.as_bytes()); 10_000]);
    cloud.start();
    cloud.finish(0);
    let bytes: Vec<usize> = cloud.requests("PutLogEvents").iter().map(|it| it.bytes).collect();
    let full: usize = bytes.iter().filter(|bytes| **bytes >= FULL_BYTES).sum();
    let share = full as f64 / bytes.iter().sum::<usize>() as f64;
    say(&format!("e4: {share:.2} of all bytes in requests at least 95 % full, of {}", bytes.len()));
    // What is left over of each delivery is a request of its own.
    assert!(share > 0.6, "{bytes:?}");
}

#[test]
fn e5_a_line_of_a_megabyte_comes_in_parts_that_are_whole_text() {
    let mut cloud = Cloud::new();
    let whole: Vec<String> =
        (0..4).map(|n| format!("{}{}", "a".repeat(n), "\u{20AC}".repeat(340_000))).collect();
    let lines: Vec<(i64, &[u8])> = whole.iter().map(|text| (now_ms(), text.as_bytes())).collect();
    cloud.write_lines("a.log", &lines);
    cloud.start();
    cloud.finish(0);
    let bodies: Vec<String> = cloud
        .messages("a.log")
        .iter()
        .map(|message| message["body"].as_str().unwrap().to_owned())
        .collect();
    assert!(bodies.len() > 4, "{} parts", bodies.len());
    let text = bodies.concat();
    for line in &whole {
        assert!(text.contains(line.as_str()), "a line of {} bytes is not whole", line.len());
    }
    assert!(!text.contains('\u{FFFD}'));
}

#[test]
fn e6_bytes_that_are_no_text_stand_in_no_lines_way() {
    let mut cloud = Cloud::new();
    let now_ms = now_ms();
    let rests: [&[u8]; 8] = [
        b"ends in a backslash \\",
        b"\xff\xfe\x80 not UTF-8",
        b"half a character \xe2\x82",
        b"NUL \0 and ESC \x1b[31m",
        b"quotes \" and \\u0000 and \\ud800",
        "a surrogate's twin \u{1F600}\u{FFFF}".as_bytes(),
        b"{\"json\":\"{\\\"in\\\":1}\"}",
        b"a carriage return \r in it",
    ];
    let lines: Vec<(i64, &[u8])> = rests.iter().cycle().take(400).map(|it| (now_ms, *it)).collect();
    cloud.write_lines("a.log", &lines);
    cloud.start();
    cloud.finish(0);
    // Each is JSON, or this fails.
    let messages = cloud.messages("a.log");
    let has = |text: &str| {
        messages.iter().filter(|it| it["body"].as_str().unwrap().contains(text)).count()
    };
    assert_eq!(has("backslash \\"), 50);
    assert_eq!(has("\u{FFFD}"), 100, "what is no text is marked");
}

#[test]
fn members_that_are_left_out_are_in_no_event() {
    let mut cloud = Cloud::new();
    cloud.exporter.push_str("omit = [\"file\", \"offset\"]\n");
    cloud.write_lines("a.log", &[(now_ms(), b"one"), (now_ms(), b"two")]);
    cloud.start();
    let two = || Some(cloud.messages("a.log")).filter(|messages| messages.len() == 2);
    let messages = wait::within(LIMIT, two).expect("two events");
    cloud.stop();
    for message in messages {
        let names: Vec<&String> = message.as_object().unwrap().keys().collect();
        assert!(!names.iter().any(|name| ["file", "file_id", "offset"].contains(&name.as_str())));
        assert!(message.get("host").is_some(), "{names:?}");
    }
}

#[test]
fn e8_shuffled_times_are_sorted_and_lines_of_one_time_keep_their_order() {
    let mut cloud = Cloud::new();
    let now_ms = now_ms();
    let times_ms: Vec<i64> = (0..1_000).map(|n| now_ms - (n * 7_919 % 50) * 1_000).collect();
    cloud.write_at("a.log", &times_ms);
    cloud.start();
    cloud.finish(0);
    let events = cloud.fake.events(&Cloud::group("a.log"), STREAM);
    assert!(cloud.requests("PutLogEvents").len() < 10, "all in a few requests");
    for pair in events.windows(2).filter(|pair| pair[0].timestamp_ms == pair[1].timestamp_ms) {
        let number = |at: usize| {
            let rest = pair[at].message.split_once("a.log:").unwrap().1;
            rest.split_once('=').unwrap().0.parse::<u32>().unwrap()
        };
        assert!(number(0) < number(1), "{} before {}", number(0), number(1));
    }
    for event in &events {
        let rest = event.message.split_once("a.log:").unwrap().1;
        let number: usize = rest.split_once('=').unwrap().0.parse().unwrap();
        assert_eq!(event.timestamp_ms, times_ms[number], "line {number} has another time");
    }
}

#[test]
fn e9_a_backlog_of_thirteen_days_is_cut_by_the_day() {
    let mut cloud = Cloud::new();
    let now_ms = now_ms();
    let times_ms: Vec<i64> = (0..1_040).map(|n| now_ms - 13 * DAY_MS + n * DAY_MS / 80).collect();
    cloud.write_at("a.log", &times_ms);
    cloud.write("a.log", 10);
    cloud.start();
    cloud.finish(0);
    let events = cloud.fake.events(&Cloud::group("a.log"), STREAM);
    assert!(events.is_sorted_by_key(|event| event.timestamp_ms), "the oldest go first");
}

#[test]
fn e10_after_a_failure_in_the_middle_of_days_nothing_that_was_taken_is_sent_again() {
    let mut cloud = Cloud::new();
    cloud.fake.create(&Cloud::group("a.log"), STREAM);
    cloud.fake.set_fault(Fault::delay(Duration::from_millis(400)).on("PutLogEvents"));
    let now_ms = now_ms();
    let times_ms: Vec<i64> = (0..300).map(|n| now_ms - (3 - n / 100) * DAY_MS).collect();
    cloud.write_at("a.log", &times_ms);
    cloud.start();
    wait::until("the first day is taken", LIMIT, || {
        (!cloud.requests("PutLogEvents").is_empty()).then_some(())
    });
    cloud.fake.set_fault(Fault::server_error(500).on("PutLogEvents"));
    cloud.wait_for_metric("sidelight_circuit_open", "cloudwatch_logs", |n| n == 1.0);
    cloud.fake.clear_faults();
    cloud.finish(0);
    let events = cloud.fake.events(&Cloud::group("a.log"), STREAM);
    assert!(events.is_sorted_by_key(|event| event.timestamp_ms), "the oldest go first");
    let puts = cloud.requests("PutLogEvents");
    assert!(puts.iter().any(|it| it.outcome == "InternalFailure"), "nothing failed");
}

#[test]
fn e11_events_outside_of_what_is_taken_are_counted_and_kept() {
    let mut cloud = Cloud::new();
    cloud.write_at("a.log", &vec![now_ms() - 20 * DAY_MS; 40]);
    cloud.write_at("b.log", &vec![now_ms() + DAY_MS; 30]);
    cloud.start();
    cloud.until_all_done();
    let events = "sidelight_cloudwatch_events_total";
    cloud.wait_for_metric(events, "result=\"too_old\"", |n| n == 40.0);
    cloud.wait_for_metric(events, "result=\"too_new\"", |n| n == 30.0);
    let fates = cloud.finish_with_letters(0);
    assert!(fates.values().all(|fate| fate.dead.len() == 1));
}

#[test]
fn e12_errors_of_sequence_tokens_and_throttling_stop_nothing() {
    let mut cloud = Cloud::new();
    for code in ["InvalidSequenceTokenException", "DataAlreadyAcceptedException"] {
        let message = "The given sequenceToken is invalid. The next expected sequenceToken is: 49";
        cloud.fake.set_fault(Fault::error(400, code, message).on("PutLogEvents").times(1));
    }
    cloud.fake.set_fault(Fault::throttle().on("PutLogEvents").times(3));
    cloud.start();
    for _ in 0..3 {
        cloud.write("a.log", 100);
        cloud.until_all_done();
    }
    cloud.finish(0);
    assert!(cloud.requests("DescribeLogStreams").is_empty(), "nobody asks for tokens");
}

#[test]
fn e28_empty_lines_make_no_empty_event() {
    let mut cloud = Cloud::new();
    let path = cloud.scratch.join("logs/a.log");
    cloud.write("a.log", 1);
    let mut file = std::fs::File::options().append(true).open(path).unwrap();
    std::io::Write::write_all(&mut file, b"\n\r\n\0\n \n\n").unwrap();
    std::fs::write(cloud.scratch.join("logs/b.log"), b"\n\n\r\n\0\0\n\n").unwrap();
    cloud.write("a.log", 1);
    cloud.start();
    cloud.wait_for_metric("sidelight_cloudwatch_events_total", "result=\"empty\"", |n| n >= 1.0);
    cloud.finish(0);
    let messages = [cloud.messages("a.log"), cloud.messages("b.log")].concat();
    let bodies: Vec<&str> = messages.iter().map(|it| it["body"].as_str().unwrap()).collect();
    assert!(bodies.len() == 2 && bodies.iter().all(|body| body.contains("line")), "{bodies:?}");
}
