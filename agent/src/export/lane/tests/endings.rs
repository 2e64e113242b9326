//! Refused records, and how lanes end.

use super::bed::Bed;
use super::small;
use crate::export::lane::Config;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Sends batches of 50 with poison in them, with and without an outage before.
async fn check_poison(poison: BTreeSet<u64>, is_down_first: bool, config: &Config) {
    let mut bed = Bed::new();
    bed.destination(|it| {
        it.poison = poison.clone();
        it.is_down = is_down_first;
    });
    bed.start(config);
    for n in 0..4 {
        bed.send_batch(n * 50..n * 50 + 50).await;
    }
    sleep(Duration::from_secs(1)).await;
    bed.destination(|it| it.is_down = false);
    bed.until_delivered(200 - poison.len()).await;
    let status = bed.end().await;
    let good: Vec<u64> = (0..200).filter(|it| !poison.contains(it)).collect();
    assert_eq!(bed.delivered(), good);
    assert_eq!(bed.letters(), poison.iter().copied().collect::<Vec<_>>());
    assert_eq!(status.dead_letters(), poison.len() as u64);
    assert_eq!(bed.settled(), [49, 99, 149, 199]);
    assert_eq!((status.spool.batches(), status.is_settled()), (0, true));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn exactly_the_refused_records_become_dead_letters(
        poison in prop::collection::btree_set(0..200_u64, 0..9),
        is_down_first: bool,
        // One that all fit in, none, and one that a single batch fits in.
        spool_bytes_max in prop::sample::select(vec![256 << 20, 0, 7_000]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time().start_paused(true).build().unwrap();
        runtime.block_on(check_poison(poison, is_down_first, &small(spool_bytes_max)));
    }
}

#[tokio::test(start_paused = true)]
async fn refused_records_wait_for_a_disk_that_takes_them() {
    let mut bed = Bed::new();
    bed.destination(|it| it.poison = BTreeSet::from([3]));
    let in_its_place = bed.state_dir().join("dead_letters");
    std::fs::write(&in_its_place, "no folder").unwrap();
    bed.start(&Config::default());
    bed.send(0..10).await;
    sleep(Duration::from_secs(10)).await;
    assert_eq!(bed.delivered(), [0, 1, 2], "none is passed over");
    assert_eq!(bed.health.reasons(), ["starting", "dead_letters_failed:file"]);
    std::fs::remove_file(in_its_place).unwrap();
    bed.until_delivered(9).await;
    bed.end().await;
    assert_eq!(bed.letters(), [3]);
    assert_eq!(bed.health.reasons(), ["starting"]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_went_out_in_parts_does_not_begin_anew_for_a_disk_that_takes_no_letter() {
    let mut bed = Bed::new();
    bed.destination(|it| it.poison = BTreeSet::from([3]));
    let in_its_place = bed.state_dir().join("dead_letters");
    std::fs::write(&in_its_place, "no folder").unwrap();
    bed.start(&small(0));
    bed.send_batch(0..10).await;
    sleep(Duration::from_secs(10)).await;
    std::fs::remove_file(in_its_place).unwrap();
    bed.until_delivered(9).await;
    bed.end().await;
    assert_eq!(bed.delivered(), [0, 1, 2, 4, 5, 6, 7, 8, 9]);
    assert_eq!(bed.letters(), [3]);
}

#[tokio::test(start_paused = true)]
async fn the_last_tries_count_from_the_last_one_that_worked() {
    let mut bed = Bed::new();
    bed.destination(|it| it.is_down = true);
    bed.start(&Config::default());
    bed.send(0..50).await;
    bed.until_settled(50).await;
    // Three of ten fail, never more than three one after the other.
    bed.destination(|it| {
        it.is_down = false;
        it.fails_of_ten = 3;
    });
    let status = bed.end().await;
    assert_eq!(status.spool.batches(), 0);
    assert_eq!(bed.delivered(), (0..50).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_ends_in_an_outage_leaves_everything_on_the_disk() {
    let mut bed = Bed::new();
    bed.destination(|it| it.is_down = true);
    bed.start(&Config::default());
    bed.send(0..30).await;
    let before = Instant::now();
    let status = bed.end().await;
    assert!(before.elapsed() < Duration::from_secs(2), "{:?}", before.elapsed());
    assert!(status.is_settled());
    assert_eq!((status.spool.records(), bed.settled().len()), (30, 30));
    // The next life goes on, and one that finds a working destination ends with an empty spool.
    bed.destination(|it| it.is_down = false);
    bed.start(&Config::default());
    bed.send(30..35).await;
    let status = bed.end().await;
    assert_eq!(bed.delivered(), (0..35).collect::<Vec<_>>());
    assert_eq!(status.spool.batches(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_fails_once_gets_the_rest_before_the_end() {
    let mut bed = Bed::new();
    bed.destination(|it| it.is_down = true);
    bed.start(&Config::default());
    bed.send(0..3).await;
    bed.until_settled(3).await;
    bed.destination(|it| it.is_down = false);
    let status = bed.end().await;
    assert_eq!(bed.delivered(), [0, 1, 2]);
    assert_eq!(status.spool.batches(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_was_told_to_keep_no_spool_any_more_empties_the_one_it_has() {
    let mut bed = Bed::new();
    bed.destination(|it| it.is_down = true);
    bed.start(&Config::default());
    bed.send(0..5).await;
    bed.end().await;
    bed.destination(|it| it.is_down = false);
    bed.start(&small(0));
    bed.send(5..8).await;
    bed.end().await;
    assert_eq!(bed.delivered(), (0..8).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_is_stopped_while_its_spool_drains_repeats_nothing() {
    let mut bed = Bed::new();
    bed.destination(|it| it.is_down = true);
    bed.start(&Config::default());
    bed.send(0..50).await;
    bed.end().await;
    bed.destination(|it| {
        it.is_down = false;
        it.delay = Duration::from_secs(1);
    });
    for n_delivered in [5, 10] {
        bed.start(&Config::default());
        let status = bed.status();
        bed.until_delivered(n_delivered - 1).await;
        // What is almost there is waited for.
        sleep(Duration::from_millis(900)).await;
        status.stop();
        bed.end().await;
        assert_eq!(bed.delivered().len(), n_delivered);
    }
    bed.start(&Config::default());
    bed.end().await;
    assert_eq!(bed.delivered(), (0..50).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_is_stopped_without_a_spool_hands_everything_over_to_the_next_one() {
    for is_required in [true, false] {
        let mut bed = Bed::new();
        let config = Config { required: is_required, ..small(0) };
        bed.start(&config);
        bed.send(0..2).await;
        bed.until_settled(2).await;
        bed.destination(|it| it.hangs = true);
        bed.send(2..7).await;
        let handed_back = bed.stop().await;
        assert_eq!(handed_back.len(), 5, "one that was being sent, and four of the queue");
        assert_eq!((bed.delivered().len(), bed.settled().len()), (2, 2));
        bed.destination(|it| it.hangs = false);
        bed.start_with(&config, handed_back);
        bed.send(7..12).await;
        let status = bed.end().await;
        assert_eq!(bed.delivered(), (0..12).collect::<Vec<_>>());
        assert_eq!(bed.settled(), bed.delivered());
        assert!(status.is_settled() && status.dropped() == 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_is_stopped_puts_everything_into_its_spool_at_once() {
    let mut bed = Bed::new();
    bed.destination(|it| it.hangs = true);
    bed.start(&Config::default());
    bed.send(0..5).await;
    assert!(bed.settled().is_empty(), "the circuit is closed, so nothing is stored");
    let status = bed.status();
    assert!(bed.stop().await.is_empty());
    assert_eq!((status.spool.records(), bed.settled().len()), (5, 5));
    assert!(!status.is_settled(), "more could have come");
    // So does one that waits between two tries, and one that waits for something to come.
    bed.destination(|it| {
        it.hangs = false;
        it.is_down = true;
        it.retry_after = Some(Duration::from_secs(300));
    });
    for n in 1..3 {
        bed.start(&Config::default());
        bed.send(n * 5..n * 5 + 5).await;
        assert!(bed.stop().await.is_empty());
        bed.until_settled(n as usize * 5 + 5).await;
    }
    bed.destination(|it| it.is_down = false);
    bed.start(&Config::default());
    bed.until_delivered(15).await;
    assert!(bed.stop().await.is_empty());
    assert_eq!(bed.delivered(), (0..15).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_is_stopped_hands_back_what_its_full_spool_does_not_take() {
    let mut bed = Bed::new();
    bed.destination(|it| it.hangs = true);
    bed.start(&small(4_000));
    let _ = timeout(Duration::from_secs(60), bed.send(0..100)).await;
    let n_sent = bed.n_sent();
    let n_stored = bed.settled().len();
    let handed_back = bed.stop().await;
    assert_eq!(handed_back.len() + n_stored, n_sent as usize);
    bed.destination(|it| it.hangs = false);
    bed.start_with(&small(4_000), handed_back);
    bed.send_rest(100).await;
    bed.end().await;
    assert_eq!(bed.delivered(), (0..100).collect::<Vec<_>>());
    assert_eq!(bed.settled(), bed.delivered());
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_another_one_follows_waits_for_what_it_is_sending() {
    let mut bed = Bed::new();
    bed.destination(|it| it.delay = Duration::from_secs(1));
    bed.start(&small(0));
    bed.send(0..3).await;
    sleep(Duration::from_millis(100)).await;
    let handed_back = bed.hand_over().await;
    assert_eq!(
        (bed.delivered(), handed_back.len()),
        (vec![0], 2),
        "what is confirmed is not repeated"
    );
    // Not for one that hangs.
    bed.destination(|it| it.hangs = true);
    bed.start_with(&small(0), handed_back);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(bed.hand_over().await.len(), 2);
}
