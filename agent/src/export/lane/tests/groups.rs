//! Batches that are handed over together.

use super::Config;
use super::bed::Bed;
use crate::config::Interval;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn what_is_refused_within_a_batch_becomes_dead_letters_and_the_rest_is_delivered() {
    let mut bed = Bed::new();
    bed.destination(|it| (it.takes_rest, it.poison) = (true, [3, 40, 41].into()));
    bed.start(&Config::default());
    bed.send(0..20).await;
    bed.send_batch(20..60).await;
    bed.send(60..80).await;
    let status = bed.end().await;
    let good: Vec<u64> = (0..80).filter(|it| ![3, 40, 41].contains(it)).collect();
    assert_eq!(bed.delivered(), good);
    assert_eq!(bed.letters(), [3, 40, 41]);
    assert_eq!(status.dead_letters(), 3);
    assert_eq!(bed.settled().len(), 41);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_left_for_the_next_call_comes_first_in_it() {
    let mut bed = Bed::new();
    bed.destination(|it| (it.leaves_last, it.delay) = (true, Duration::from_millis(10)));
    bed.start(&Config::default());
    bed.send(0..100).await;
    bed.until_delivered(100).await;
    bed.end().await;
    // It does not make the groups smaller: in pairs there would be 50 of them.
    assert!((10..40).contains(&bed.n_groups()), "{}", bed.n_groups());
    assert_eq!(bed.delivered(), (0..100).collect::<Vec<_>>());
    assert_eq!(bed.settled(), bed.delivered());
    assert_eq!(bed.health.reasons(), ["starting"], "nothing has failed");
}

#[tokio::test(start_paused = true)]
async fn a_slow_destination_gets_fewer_batches_at_a_time_and_each_once() {
    let mut bed = Bed::new();
    bed.destination(|it| it.delay = Duration::from_millis(10));
    let config = Config { request_timeout: Interval::from_secs(3), ..Config::default() };
    bed.start(&config);
    bed.send(0..50).await;
    bed.until_delivered(50).await;
    // Eight at a time would take 6.4 s now, and never arrive.
    bed.destination(|it| it.delay = Duration::from_millis(800));
    bed.send(50..100).await;
    bed.until_delivered(100).await;
    bed.end().await;
    let mut delivered = bed.delivered();
    let n_calls = delivered.len();
    delivered.sort_unstable();
    delivered.dedup();
    assert_eq!(delivered, (0..100).collect::<Vec<_>>());
    assert!(n_calls <= 100 + 8, "one group ran out of time at most: {n_calls}");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_takes_nothing_costs_the_others_nothing_and_gets_its_records_later() {
    let mut bed = Bed::new();
    bed.destination(|it| it.denied = [1, 2].into());
    bed.start(&Config::default());
    for offset in 0..20 {
        bed.send_batch(offset..offset + 1).await;
        bed.send_batch(1_000 + offset..1_001 + offset).await;
        bed.send_batch(2_000 + offset..2_001 + offset).await;
    }
    bed.until_delivered(20).await;
    assert_eq!(bed.delivered(), (0..20).collect::<Vec<_>>());
    bed.until_settled(60).await;
    assert_eq!(bed.health.reasons(), ["starting", "parked:file"]);
    assert_eq!(bed.status().stored_records(), 40);
    // Somebody mends one, and the agent starts again.
    bed.end().await;
    bed.destination(|it| it.denied = [2].into());
    bed.start(&Config::default());
    assert_eq!(bed.status().stored_records(), 40);
    bed.send_batch(20..21).await;
    bed.until_delivered(41).await;
    assert_eq!(bed.status().stored_records(), 20);
    bed.destination(|it| it.denied = [].into());
    bed.until_delivered(61).await;
    let status = bed.end().await;
    assert_eq!(status.stored_records(), 0);
    let in_target = |target: u64| {
        let mine = bed.delivered().into_iter().filter(|offset| offset / 1_000 == target);
        mine.map(|offset| offset % 1_000).collect::<Vec<_>>()
    };
    assert_eq!(in_target(1), (0..20).collect::<Vec<_>>(), "in order");
    assert_eq!(in_target(2), (0..20).collect::<Vec<_>>(), "in order");
}

#[tokio::test(start_paused = true)]
async fn what_was_put_aside_alone_ends_an_outage() {
    let mut bed = Bed::new();
    bed.destination(|it| it.denied = [0].into());
    bed.start(&Config::default());
    bed.send_batch(0..5).await;
    bed.until_settled(1).await;
    assert_eq!(bed.status().stored_records(), 5);
    // Its next try finds everything down, and nothing else is there to be tried.
    bed.destination(|it| (it.is_down, it.denied) = (true, [].into()));
    let n_calls = bed.n_calls();
    let tries = async {
        while bed.n_calls() < n_calls + 3 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(3_600), tries).await.expect("it is tried again");
    bed.destination(|it| it.is_down = false);
    bed.until_delivered(5).await;
    assert_eq!(bed.status().stored_records(), 0);
    bed.end().await;
}
