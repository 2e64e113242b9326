//! Lanes over destinations that fail in every way, on paused time.

mod bed;
mod endings;
mod groups;
mod in_memory;
mod parked;
mod samples;

use super::Config;
use crate::config::{Bytes, Interval};
use bed::{Bed, N_PERMITS};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

fn small(spool_bytes_max: u64) -> Config {
    Config { spool_bytes_max: Bytes(spool_bytes_max), ..Config::default() }
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_works_costs_no_file() {
    let mut bed = Bed::new();
    bed.start(&Config::default());
    bed.send(0..20).await;
    bed.end().await;
    assert_eq!(bed.delivered(), (0..20).collect::<Vec<_>>());
    assert_eq!(bed.settled(), (0..20).collect::<Vec<_>>());
    assert!(!bed.state_dir().join("spool").exists());
    assert_eq!(bed.budget.available_permits(), N_PERMITS);
}

#[tokio::test(start_paused = true)]
async fn the_order_is_kept_over_an_outage_and_restarts_within_it() {
    let mut bed = Bed::new();
    bed.start(&Config::default());
    bed.send(0..5).await;
    bed.until_delivered(5).await;
    bed.destination(|it| it.is_down = true);
    bed.send(5..30).await;
    bed.kill().await;
    bed.start(&Config::default());
    bed.send(30..40).await;
    bed.kill().await;
    bed.start(&Config::default());
    bed.send(40..50).await;
    bed.until_settled(50).await;
    bed.destination(|it| it.is_down = false);
    bed.until_delivered(20).await;
    bed.send(50..60).await;
    bed.until_delivered(60).await;
    bed.end().await;
    assert_eq!(bed.delivered(), (0..60).collect::<Vec<_>>());
    assert_eq!(bed.settled(), (0..60).collect::<Vec<_>>(), "settled when safe, in order");
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_flaps_gets_everything_once_and_in_order() {
    let mut bed = Bed::new();
    bed.destination(|it| it.fails_of_ten = 6);
    bed.start(&Config::default());
    bed.send(0..200).await;
    bed.until_delivered(200).await;
    bed.end().await;
    assert_eq!(bed.delivered(), (0..200).collect::<Vec<_>>());
    assert_eq!(bed.settled().len(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_hangs_takes_batches_off_its_queue_after_one_request_timeout() {
    let mut bed = Bed::new();
    bed.destination(|it| it.hangs = true);
    let config = Config { request_timeout: Interval::from_secs(3), ..Config::default() };
    bed.start(&config);
    let before = Instant::now();
    bed.send(0..10).await;
    // A queue of four and one under way fill up; the rest waits for the timeout, and no longer.
    assert!(before.elapsed() <= Duration::from_millis(3_100), "{:?}", before.elapsed());
    for n in 1..50 {
        let before = Instant::now();
        bed.send(n * 10..n * 10 + 10).await;
        assert!(before.elapsed() < Duration::from_millis(100), "round {n}: {:?}", before.elapsed());
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(bed.budget.available_permits(), N_PERMITS, "what is on the disk is not in memory");
    bed.destination(|it| it.hangs = false);
    bed.until_delivered(500).await;
    bed.end().await;
    assert_eq!(bed.delivered(), (0..500).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_dead_destination_delays_another_one_by_no_more_than_one_request_timeout() {
    let (mut dead, mut other) = (Bed::new(), Bed::new());
    dead.destination(|it| it.hangs = true);
    let config = Config { request_timeout: Interval::from_secs(3), ..Config::default() };
    dead.start(&config);
    other.start(&config);
    let mut longest = Duration::ZERO;
    // Ten minutes, a batch every half second.
    for offset in 0..1_200 {
        let before = Instant::now();
        dead.send_to_both(&other, offset).await;
        other.until_delivered(offset as usize + 1).await;
        longest = longest.max(before.elapsed());
        sleep(Duration::from_millis(500)).await;
    }
    assert!(longest <= Duration::from_millis(3_100), "{longest:?}");
    assert!(dead.delivered().is_empty() && dead.settled().len() == 1_200);
    dead.destination(|it| it.hangs = false);
    dead.until_delivered(1_200).await;
    dead.end().await;
    other.end().await;
    assert_eq!(dead.delivered(), (0..1_200).collect::<Vec<_>>());
    assert_eq!(other.delivered(), dead.delivered());
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_names_a_time_is_not_asked_before() {
    let mut bed = Bed::new();
    bed.destination(|it| {
        it.is_down = true;
        it.retry_after = Some(Duration::from_secs(90));
    });
    bed.start(&Config::default());
    bed.send(0..8).await;
    bed.until_settled(8).await;
    sleep(Duration::from_secs(89)).await;
    assert_eq!(bed.n_calls(), 1);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(bed.n_calls(), 2);
    bed.destination(|it| it.is_down = false);
    bed.until_delivered(8).await;
    bed.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_full_spool_stops_the_queue_of_a_required_lane_until_there_is_room() {
    let mut bed = Bed::new();
    bed.destination(|it| it.is_down = true);
    bed.start(&small(40_000));
    let sent = timeout(Duration::from_secs(60), bed.send(0..1_000)).await;
    assert!(sent.is_err(), "the queue is full");
    assert_eq!(bed.health.reasons(), ["starting", "spool_full:file"]);
    let n_settled = bed.settled().len();
    assert!((50..500).contains(&n_settled), "{n_settled}");
    bed.destination(|it| it.is_down = false);
    bed.send_rest(1_000).await;
    bed.until_delivered(1_000).await;
    assert_eq!(bed.health.reasons(), ["starting"]);
    bed.end().await;
    assert_eq!(bed.delivered(), (0..1_000).collect::<Vec<_>>());
    assert_eq!(bed.settled(), bed.delivered());
}

#[tokio::test(start_paused = true)]
async fn a_full_spool_takes_more_as_soon_as_a_part_of_it_is_delivered() {
    let mut bed = Bed::new();
    bed.destination(|it| it.is_down = true);
    bed.start(&small(40_000));
    let _ = timeout(Duration::from_secs(60), bed.send(0..1_000)).await;
    let n_full = bed.settled().len();
    bed.destination(|it| {
        it.is_down = false;
        it.delay = Duration::from_secs(1);
    });
    bed.until_delivered(n_full / 3).await;
    assert!(bed.settled().len() > n_full, "the queue moves on");
    assert!(bed.status().spool.batches() > 20, "while the spool is far from empty");
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_is_not_required_drops_the_newest_when_its_spool_is_full_and_counts() {
    for (spool_bytes_max, least) in [(40_000, 50), (0, 0)] {
        let mut bed = Bed::new();
        bed.destination(|it| it.is_down = true);
        bed.start(&Config { required: false, ..small(spool_bytes_max) });
        bed.send(0..1_000).await;
        bed.until_settled(1_000).await;
        let dropped = bed.status().dropped();
        bed.destination(|it| it.is_down = false);
        sleep(Duration::from_secs(60)).await;
        bed.send(1_000..1_010).await;
        bed.end().await;
        let delivered = bed.delivered();
        assert_eq!(delivered.len() as u64 + dropped, 1_010);
        assert!(delivered.is_sorted() && delivered.len() >= least + 10, "{}", delivered.len());
        let oldest: Vec<u64> = (0..delivered.len() as u64 - 10).collect();
        assert_eq!(delivered[..oldest.len()], oldest, "the newest are dropped");
        assert!(bed.health.reasons() == ["starting"], "nobody has to act");
    }
}

#[tokio::test(start_paused = true)]
async fn a_required_lane_without_a_spool_waits_and_loses_nothing() {
    let mut bed = Bed::new();
    bed.destination(|it| it.is_down = true);
    bed.start(&small(0));
    let sent = timeout(Duration::from_secs(60), bed.send(0..20)).await;
    assert!(sent.is_err());
    assert!(bed.settled().is_empty());
    bed.destination(|it| it.is_down = false);
    bed.send_rest(20).await;
    bed.end().await;
    assert_eq!(bed.delivered(), (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_takes_nothing_stops_the_lane_says_so_and_is_tried_again() {
    let mut bed = Bed::new();
    bed.destination(|it| it.is_down = true);
    let in_its_place = bed.state_dir().join("spool");
    std::fs::write(&in_its_place, "no folder").unwrap();
    bed.start(&Config::default());
    let sent = timeout(Duration::from_secs(60), bed.send(0..20)).await;
    assert!(sent.is_err());
    assert_eq!(bed.health.reasons(), ["starting", "spool_failed:file"]);
    assert!(bed.settled().is_empty());
    std::fs::remove_file(in_its_place).unwrap();
    bed.send_rest(20).await;
    bed.until_settled(20).await;
    assert_eq!(bed.health.reasons(), ["starting"]);
    bed.destination(|it| it.is_down = false);
    bed.until_delivered(20).await;
    bed.end().await;
    assert_eq!(bed.delivered(), (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_takes_nothing_does_not_keep_a_destination_that_is_back_from_its_records() {
    let mut bed = Bed::new();
    bed.destination(|it| it.is_down = true);
    std::fs::write(bed.state_dir().join("spool"), "no folder").unwrap();
    bed.start(&Config::default());
    let _ = timeout(Duration::from_secs(60), bed.send(0..20)).await;
    bed.destination(|it| it.is_down = false);
    bed.send_rest(20).await;
    bed.end().await;
    assert_eq!(bed.delivered(), (0..20).collect::<Vec<_>>());
    assert_eq!(bed.settled(), bed.delivered());
    assert_eq!(bed.health.reasons(), ["starting"]);
}
