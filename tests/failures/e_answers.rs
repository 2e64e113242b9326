//! E: answers of CloudWatch that other agents misread.

use super::e_bed::{Cloud, now_ms};
use crate::cloudwatch::fault::Fault;
use crate::harness::report::say;
use std::time::Duration;

const REQUESTS: &str = "sidelight_cloudwatch_requests_total";
const EVENTS: &str = "sidelight_cloudwatch_events_total";
const HOUR_MS: i64 = 3_600_000;

#[test]
fn e1_rejected_events_are_counted_by_reason_and_kept_as_dead_letters() {
    let mut cloud = Cloud::new();
    let now_ms = now_ms();
    let mut times_ms = vec![now_ms - 15 * 24 * HOUR_MS; 3];
    times_ms.extend([now_ms; 5]);
    times_ms.extend([now_ms + 3 * HOUR_MS; 2]);
    cloud.write_at("a.log", &times_ms);
    cloud.start();
    cloud.until_all_done();
    for (result, n) in [("too_old", 3.0), ("too_new", 2.0), ("accepted", 5.0)] {
        cloud.wait_for_metric(EVENTS, &format!("result=\"{result}\""), |it| it == n);
    }
    let fates = cloud.finish_with_letters(0);
    for (number, (word, n_accepted)) in [("older than 14 days", 0); 3]
        .into_iter()
        .chain([("", 1); 5])
        .chain([("2 hours", 0); 2])
        .enumerate()
    {
        let fate = &fates[&format!("a.log:{number}")];
        assert_eq!(fate.n_accepted, n_accepted, "{number}: {fate:?}");
        assert!(fate.dead.iter().all(|reason| reason.contains(word)), "{number}: {fate:?}");
    }
}

#[test]
fn e1_dead_letters_that_find_no_place_repeat_nothing() {
    let mut cloud = Cloud::new();
    std::fs::create_dir(cloud.scratch.join("state")).unwrap();
    let in_its_place = cloud.scratch.join("state/dead_letters");
    std::fs::write(&in_its_place, "no folder").unwrap();
    let now_ms = now_ms();
    cloud.write_at("a.log", &[now_ms - 15 * 24 * HOUR_MS, now_ms, now_ms, now_ms]);
    cloud.start();
    // Each try is an answer with what was refused.
    let answers = "exporter=\"cloudwatch_logs\",outcome=\"ok\"";
    cloud.wait_for_metric("sidelight_exports_total", answers, |n| n >= 4.0);
    std::fs::remove_file(in_its_place).unwrap();
    let fates = cloud.finish_with_letters(0);
    let n_accepted: usize = fates.values().map(|fate| fate.n_accepted).sum();
    assert_eq!(n_accepted, 3);
}

#[test]
fn e1_all_three_kinds_of_rejection_in_one_request_hit_the_right_lines() {
    let mut cloud = Cloud::new();
    cloud.fake.create(&Cloud::group("a.log"), super::e_bed::STREAM);
    cloud.fake.set_fault(Fault::reject(3, 1, 2).on("PutLogEvents").times(1));
    // In the file the newest come first, so that indices in the answer are not those in the file.
    let now_ms = now_ms();
    let mut times_ms: Vec<i64> = (0..10).map(|n| now_ms - 1_000 * n).collect();
    // The last line waits for what may belong to it, and goes in another request.
    times_ms.push(now_ms);
    cloud.write_at("a.log", &times_ms);
    cloud.start();
    let fates = cloud.finish_with_letters(0);
    let reasons =
        ["2 hours", "2 hours", "", "", "", "", "retention", "14 days", "14 days", "14 days"];
    for (number, reason) in reasons.iter().enumerate() {
        let fate = &fates[&format!("a.log:{number}")];
        assert_eq!(fate.n_accepted, usize::from(reason.is_empty()), "{number}: {fate:?}");
        assert!(fate.dead.iter().all(|it| it.contains(reason)), "{number}: {fate:?}");
    }
}

#[test]
fn e2_throttling_slows_the_agent_down_and_loses_nothing() {
    let mut cloud = Cloud::new();
    let names: Vec<String> = (0..8).map(|n| format!("{n}.log")).collect();
    cloud.fake.set_fault(Fault::throttle().on("PutLogEvents").ratio(0.5, 42));
    cloud.start();
    for _ in 0..10 {
        for name in &names {
            cloud.write(name, 50);
        }
        cloud.until_all_done();
    }
    let puts = cloud.requests("PutLogEvents");
    let n_throttled = puts.iter().filter(|it| it.outcome == "ThrottlingException").count();
    say(&format!("e2: {n_throttled} of {} requests throttled", puts.len()));
    assert!(
        n_throttled >= 20 && n_throttled < puts.len() * 2 / 3,
        "{n_throttled} of {}",
        puts.len()
    );
    cloud.wait_for_metric(REQUESTS, "outcome=\"throttled\"", |n| n >= 20.0);
    // Now nothing passes: what is asked for is less and less, one at a time in the end.
    cloud.fake.clear_faults();
    cloud.fake.set_fault(Fault::throttle().on("PutLogEvents"));
    for name in &names {
        cloud.write(name, 50);
    }
    cloud.wait_for_metric("sidelight_cloudwatch_concurrency", "", |n| n == 1.0);
    cloud.wait_for_metric("sidelight_circuit_open", "cloudwatch_logs", |n| n == 1.0);
    let puts = cloud.requests("PutLogEvents");
    let last = puts.last().unwrap().after;
    let recent = puts.iter().filter(|it| it.after + Duration::from_secs(1) > last).count();
    assert!(recent < 40, "{recent} requests within a second");
    cloud.fake.clear_faults();
    cloud.finish(0);
}

#[test]
fn e7_one_poisoned_line_is_found_and_the_others_are_delivered() {
    let mut cloud = Cloud::new();
    cloud.fake.set_fault(Fault::poison("no such parameter"));
    let now_ms = now_ms();
    let text = |n: i64| if n == 321 { "no such parameter" } else { "fine" };
    let lines: Vec<(i64, &[u8])> = (0..1_000).map(|n| (now_ms + n, text(n).as_bytes())).collect();
    cloud.write_lines("a.log", &lines);
    cloud.write("b.log", 100);
    cloud.start();
    let fates = cloud.finish_with_letters(0);
    let dead: Vec<_> = fates.iter().filter(|(_, fate)| !fate.dead.is_empty()).collect();
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!(dead[0].0, "a.log:321");
    assert!(dead[0].1.dead[0].contains("InvalidParameterException"), "{dead:?}");
    // Halved ten times, not asked for each line.
    let n_refused = cloud.requests("PutLogEvents").iter().filter(|it| it.outcome != "ok").count();
    assert!(n_refused < 25, "{n_refused} refusals");
}

#[test]
fn e13_an_empty_answer_is_no_success_and_repeats_one_request_at_most() {
    for is_stored in [false, true] {
        let mut cloud = Cloud::new();
        cloud.fake.create(&Cloud::group("a.log"), super::e_bed::STREAM);
        cloud.fake.set_fault(Fault::empty_ok(is_stored).on("PutLogEvents").times(2));
        cloud.write("a.log", 100);
        cloud.start();
        let n_repeats_max = if is_stored { 200 } else { 0 };
        cloud.finish(n_repeats_max);
        let puts = cloud.requests("PutLogEvents");
        let is_empty = |it: &&crate::cloudwatch::fake::Request| it.outcome == "empty";
        assert_eq!(puts.iter().filter(is_empty).count(), 2, "{puts:?}");
    }
}
