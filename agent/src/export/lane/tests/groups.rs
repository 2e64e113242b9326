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
