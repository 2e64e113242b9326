//! What is put aside for targets that take nothing, beside all the rest.

use super::bed::Bed;
use super::{Config, small};
use crate::config::Interval;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// A bed whose lane has put `n_records` aside for each of these targets, which take them from now on.
async fn with_parked(targets: &[u64], n_records: u64, config: &Config) -> Bed {
    let mut bed = Bed::new();
    bed.destination(|it| it.denied = targets.iter().copied().collect());
    bed.start(config);
    for target in targets {
        let first = target * 1_000;
        bed.send(first..first + n_records).await;
    }
    let n_parked = targets.len() * n_records as usize;
    bed.until_settled(n_parked).await;
    assert_eq!(bed.status().stored_records(), n_parked as u64);
    bed.destination(|it| it.denied.clear());
    bed
}

#[tokio::test(start_paused = true)]
async fn what_goes_out_late_lets_what_is_new_pass() {
    let mut bed = with_parked(&[1, 2], 100, &Config::default()).await;
    bed.destination(|it| it.delay = Duration::from_secs(1));
    bed.until_delivered(1).await;
    for offset in 0..20 {
        let before = Instant::now();
        bed.send(offset..offset + 1).await;
        bed.until_has(offset).await;
        assert!(before.elapsed() < Duration::from_secs(3), "{offset}: {:?}", before.elapsed());
    }
    assert!(bed.status().stored_records() > 100, "the rest of it is not out yet");
    bed.until_delivered(220).await;
    let mut delivered = bed.delivered();
    assert!(delivered.len() == 220 && bed.end().await.stored_records() == 0);
    delivered.retain(|offset| offset / 1_000 == 1);
    assert_eq!(delivered, (1_000..1_100).collect::<Vec<_>>(), "in order");
    let folders = std::fs::read_dir(bed.state_dir().join("spool/file/parked")).unwrap();
    assert_eq!(folders.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_hangs_does_not_stop_the_queue() {
    let mut bed = with_parked(&[1, 2, 3], 5, &Config::default()).await;
    bed.destination(|it| it.hangs = true);
    let n_calls = bed.n_calls();
    while bed.n_calls() == n_calls {
        sleep(Duration::from_millis(10)).await;
    }
    let before = Instant::now();
    bed.send(0..50).await;
    assert!(before.elapsed() < Duration::from_millis(100), "{:?}", before.elapsed());
    bed.destination(|it| it.hangs = false);
    bed.until_delivered(65).await;
    bed.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_costs_one_try_and_not_one_for_each_target() {
    let config = Config { request_timeout: Interval::from_secs(3), ..Config::default() };
    let mut bed = with_parked(&[1, 2, 3, 4, 5], 5, &config).await;
    let n_calls = bed.n_calls();
    bed.destination(|it| (it.is_down, it.retry_after) = (true, Some(Duration::from_secs(90))));
    sleep(Duration::from_secs(80)).await;
    assert_eq!(bed.n_calls(), n_calls + 1);
    // Then it is not what is put aside alone that is tried.
    bed.destination(|it| it.denied = [1, 2, 3, 4, 5].into());
    bed.send(0..10).await;
    bed.destination(|it| it.is_down = false);
    bed.until_delivered(10).await;
    bed.destination(|it| it.denied.clear());
    bed.until_delivered(35).await;
    bed.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_works_again_makes_room_for_what_still_does_not() {
    let mut bed = Bed::new();
    bed.destination(|it| it.denied = [1, 2].into());
    bed.start(&small(16_000));
    let status = bed.status();
    // Until there is no room any more, and a batch of the second target is first.
    bed.send_batch(1_000..1_100).await;
    bed.until_settled(1).await;
    for offset in 2_000..2_400 {
        let n_parked = status.stored_records();
        bed.send(offset..offset + 1).await;
        sleep(Duration::from_millis(100)).await;
        if status.spool.batches() > 0 {
            assert_eq!(status.stored_records(), n_parked + 1);
            break;
        }
    }
    assert_eq!(status.spool.batches(), 1, "one did not find a place");
    bed.send(0..3).await;
    sleep(Duration::from_secs(120)).await;
    assert_eq!((bed.delivered().len(), status.spool.batches()), (0, 4));
    bed.destination(|it| it.denied = [2].into());
    let before = Instant::now();
    bed.until_delivered(103).await;
    assert!(before.elapsed() < Duration::from_secs(30), "{:?}", before.elapsed());
    bed.destination(|it| it.denied.clear());
    bed.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_found_a_place_is_not_delivered_with_the_rest_of_its_group_again() {
    let mut bed = Bed::new();
    bed.start(&small(16_000));
    // What works goes in larger and larger groups.
    bed.send(0..50).await;
    bed.until_delivered(50).await;
    bed.destination(|it| it.denied = [1].into());
    let sent = timeout(Duration::from_secs(60), bed.send(1_000..1_500)).await;
    assert!(sent.is_err() && bed.n_groups() > 10, "in groups, until there is no room");
    bed.destination(|it| it.denied.clear());
    bed.send_rest(1_500).await;
    bed.until_delivered(550).await;
    sleep(Duration::from_secs(600)).await;
    bed.end().await;
    let mut delivered = bed.delivered();
    delivered.sort_unstable();
    assert_eq!(delivered, (0..50).chain(1_000..1_500).collect::<Vec<_>>());
}
