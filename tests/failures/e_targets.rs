//! E: groups and streams that are missing, denied, throttled or made by several at a time.

use super::e_bed::{Cloud, LIMIT};
use crate::cloudwatch::fault::Fault;
use crate::harness::report::say;
use crate::harness::wait;
use std::time::{Duration, Instant};

#[test]
fn e14_a_request_that_is_stored_and_never_answered_repeats_itself_alone() {
    let mut cloud = Cloud::new();
    // The first is on its way alone while the others wait, and then go together.
    let names = ["a.log", "b.log", "c.log", "d.log", "e.log", "f.log"];
    cloud.start();
    // Quick answers: from then on several batches go together.
    for _ in 0..4 {
        cloud.write("a.log", 10);
        cloud.until_all_done();
    }
    cloud.fake.set_fault(Fault::delay(Duration::from_millis(200)).on("PutLogEvents"));
    cloud.fake.set_fault(Fault::store_then_hang().on("PutLogEvents").in_group("/e/d.log").times(2));
    for name in names {
        cloud.write(name, 500);
    }
    // What hung was stored: its lines are there before the agent knows of it.
    wait::until("what hung is acknowledged", LIMIT, || {
        let puts = cloud.requests("PutLogEvents");
        let taken = puts.iter().filter(|it| it.group == "/e/d.log" && it.outcome == "ok");
        (taken.map(|it| it.n_events).sum::<usize>() >= 500).then_some(())
    });
    let n_timeouts = cloud.metric("sidelight_exports_total", "outcome=\"timeout\"")
        + cloud.metric("sidelight_cloudwatch_requests_total", "outcome=\"error\"");
    assert!(n_timeouts >= 2.0, "{n_timeouts} time-outs were counted\n{}", cloud.own_log());
    let puts = cloud.requests("PutLogEvents");
    let hung = puts.iter().filter(|it| it.outcome.starts_with("stored"));
    let n_hung = hung.map(|it| it.n_events).sum();
    let fates = cloud.finish(n_hung);
    let n_others =
        fates.iter().filter(|(mark, it)| !mark.starts_with("d.log") && it.n_accepted > 1);
    assert_eq!(n_others.count(), 0, "lines of another stream came twice");
}

/// Rounds of a healthy group beside denied ones; how long they took.
fn healthy_rounds(cloud: &mut Cloud, n_denied: usize) -> Duration {
    let since = Instant::now();
    for _ in 0..5 {
        for n in 0..n_denied {
            cloud.write(&format!("denied-{n}.log"), 50);
        }
        cloud.write("healthy.log", 500);
        cloud.until_done("healthy.log");
    }
    since.elapsed()
}

#[test]
fn e16_ten_denied_groups_cost_a_healthy_one_nothing() {
    let mut cloud = Cloud::new();
    cloud.exporter.push_str("concurrency = 2\n");
    for n in 0..10 {
        let group = Cloud::group(&format!("denied-{n}.log"));
        cloud.fake.set_fault(Fault::access_denied().in_group(&group));
    }
    cloud.start();
    let solo = healthy_rounds(&mut cloud, 0);
    let beside = healthy_rounds(&mut cloud, 10);
    let puts = cloud.requests("PutLogEvents");
    let n_denied = puts.iter().filter(|it| it.outcome == "AccessDeniedException").count();
    say(&format!("e16: {solo:?} alone, {beside:?} beside ten denied groups, {n_denied} denials"));
    // A denied group is asked once in ten seconds, and then less and less.
    assert!(n_denied as u64 <= 10 * (2 + beside.as_secs() / 10), "{n_denied} denials");
    // The rounds are as long as the machine is busy; 90 % is what to see on an idle one.
    assert!(beside < solo * 2, "{beside:?} beside denied groups, {solo:?} alone");
    assert!(cloud.readiness().contains("parked:cloudwatch_logs"), "{}", cloud.readiness());
    let log = cloud.own_log();
    assert!(log.contains("/e/denied-3.log") && log.contains("not authorized"), "{log}");
    // Somebody grants the permission; what was put aside is delivered after a restart at once.
    cloud.fake.clear_faults();
    cloud.stop();
    cloud.start();
    // Nothing is given up for a permission.
    cloud.finish(0);
}

#[test]
fn e16_a_stream_that_may_not_be_made_costs_the_others_of_its_group_nothing() {
    let mut cloud = Cloud::new();
    (cloud.group, cloud.stream) = ("/e/shared".to_owned(), "{file_name}".to_owned());
    cloud.fake.create("/e/shared", "healthy.log");
    cloud.fake.set_fault(Fault::access_denied().on("CreateLogStream"));
    cloud.start();
    for round in 1..=3 {
        cloud.write("denied.log", 50);
        cloud.wait_for_metric("sidelight_parked_records", "", |n| n >= 49.0 * f64::from(round));
        cloud.write("healthy.log", 50);
        cloud.until_done("healthy.log");
    }
    cloud.wait_for_metric("sidelight_parked_records", "", |n| n == 150.0);
    assert!(cloud.own_log().contains("/e/shared:denied.log"), "{}", cloud.own_log());
    cloud.fake.clear_faults();
    cloud.stop();
    cloud.start();
    cloud.finish(0);
}

#[test]
fn e18_twenty_agents_that_make_one_group_at_a_time_all_deliver() {
    let mut agents: Vec<Cloud> = (0..20).map(|_| Cloud::new()).collect();
    let url = agents[0].fake.url();
    let fake = &agents[0].fake;
    fake.set_fault(Fault::aborted().on("CreateLogGroup").times(10));
    fake.set_fault(Fault::delay(Duration::from_millis(400)).on("CreateLogGroup"));
    for agent in &mut agents {
        agent.endpoint_url = Some(url.clone());
        agent.group = "/e/shared".to_owned();
        agent.start();
    }
    for (n, agent) in agents.iter_mut().enumerate() {
        agent.write(&format!("{n}.log"), 50);
    }
    let are_there = wait::within(LIMIT, || (agents[0].fates().len() == 1_000).then_some(()));
    assert!(are_there.is_some(), "{} lines of 1000", agents[0].fates().len());
    agents.iter_mut().for_each(Cloud::stop);
    for agent in &agents {
        let log = agent.own_log();
        assert!(!log.contains("ERROR") && !log.contains("WARN"), "{log}");
    }
    assert!(agents[0].fates().values().all(|fate| fate.n_accepted == 1));
    assert_eq!(agents[0].fake.violations(), [""; 0]);
    let made = agents[0].requests("CreateLogGroup");
    let n_exists = made.iter().filter(|it| it.outcome.contains("AlreadyExists")).count();
    say(&format!("e18: {} tries to make the group, {n_exists} came too late", made.len()));
    assert!(n_exists > 0, "nobody raced");
}

#[test]
fn e15_a_group_that_cannot_be_made_or_is_deleted_wedges_no_other() {
    let mut cloud = Cloud::new();
    // The default, which is longer than others may wait.
    cloud.lane.clear();
    cloud.write("gone.log", 100);
    cloud.start();
    cloud.until_all_done();
    for operation in ["CreateLogGroup", "CreateLogStream"] {
        let throttle = Fault::throttle().on(operation);
        cloud.fake.set_fault(throttle.clone().in_group("/e/throttled.log"));
        cloud.fake.set_fault(throttle.in_group("/e/gone.log"));
    }
    cloud.delete_group("gone.log");
    for _ in 0..3 {
        cloud.write("gone.log", 50);
        cloud.write("throttled.log", 50);
        cloud.write("healthy.log", 50);
        let since = Instant::now();
        cloud.until_done("healthy.log");
        let took = since.elapsed();
        assert!(took < Duration::from_secs(5), "it took {took:?}\n{}", cloud.own_log());
    }
    cloud.fake.clear_faults();
    cloud.finish(0);
}

#[test]
fn e19_what_is_throttled_or_fails_while_a_group_is_made_is_tried_again() {
    let mut cloud = Cloud::new();
    cloud.exporter.push_str("retention_days = 30\n");
    cloud.fake.set_fault(Fault::throttle().on("CreateLogGroup").times(4));
    cloud.fake.set_fault(Fault::server_error(500).on("CreateLogGroup").times(1));
    cloud.fake.set_fault(Fault::server_error(503).on("CreateLogStream").times(3));
    cloud.fake.set_fault(Fault::throttle().on("PutRetentionPolicy").times(3));
    cloud.write("a.log", 100);
    cloud.start();
    cloud.until_all_done();
    wait::until("the retention is set", LIMIT, || {
        let groups = cloud.fake.groups();
        groups.iter().any(|group| group.retention_days == Some(30)).then_some(())
    });
    cloud.finish(0);
}

#[test]
fn a_group_that_is_deleted_and_made_again_has_its_retention_again() {
    let mut cloud = Cloud::new();
    cloud.exporter.push_str("retention_days = 30\n");
    cloud.start();
    for round in 0..2 {
        cloud.write("a.log", 100);
        cloud.until_all_done();
        wait::until("the retention is set", LIMIT, || {
            let groups = cloud.fake.groups();
            groups.iter().any(|group| group.retention_days == Some(30)).then_some(())
        });
        if round == 0 {
            cloud.delete_group("a.log");
        }
    }
    cloud.finish(0);
}

#[test]
fn e17_logs_flow_before_the_retention_of_120_groups_is_set() {
    let mut cloud = Cloud::new();
    cloud.exporter.push_str("retention_days = 30\n");
    cloud.fake.set_fault(Fault::throttle().on("PutRetentionPolicy").ratio(0.4, 7));
    cloud.fake.set_fault(Fault::throttle().on("DescribeLogGroups").ratio(0.4, 8));
    for n in 0..120 {
        cloud.write(&format!("{n}.log"), 5);
    }
    cloud.start();
    cloud.until_all_done();
    wait::until("every retention is set", LIMIT, || {
        let groups = cloud.fake.groups();
        let n_set = groups.iter().filter(|group| group.retention_days == Some(30)).count();
        (n_set == 120).then_some(())
    });
    let last = |operation: &str| {
        let requests = cloud.requests(operation).into_iter();
        requests.filter(|it| it.outcome == "ok").map(|it| it.after).max().unwrap()
    };
    let (logs, retention) = (last("PutLogEvents"), last("PutRetentionPolicy"));
    say(&format!("e17: all logs after {logs:?}, all retentions after {retention:?}"));
    assert!(logs < retention, "logs after {logs:?}, retentions after {retention:?}");
    cloud.finish(0);
}
