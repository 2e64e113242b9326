//! Lanes of samples, which keep nothing on the disk.

use super::super::{Lane, Status};
use crate::export::{Answer, BoxFuture, ExportError, Exporter};
use crate::model::{Batch, Kind, MetricBatch, MetricDescriptor, Sample, Signal, SignalKind};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

static UP: MetricDescriptor =
    MetricDescriptor { name: "up", unit: "", kind: Kind::Gauge, help: "h", source: "test" };

/// Time and number of samples of each batch that came, and whether it takes any.
#[derive(Debug, Default)]
struct Destination {
    is_down: bool,
    delivered: Vec<(u64, usize)>,
}

struct Fake(Arc<Mutex<Destination>>);

impl Exporter for Fake {
    fn export<'a>(&'a mut self, signal: &'a Signal) -> BoxFuture<'a, Answer> {
        let Signal::Metrics(batch) = signal else { panic!("only samples were sent") };
        Box::pin(async move {
            let mut it = self.0.lock().unwrap();
            if it.is_down {
                return Err(ExportError::Transient { source: "down".into(), retry_after: None });
            }
            it.delivered.push((batch.time_unix_ms, batch.samples.len()));
            Ok(Vec::new())
        })
    }
}

struct Bed {
    destination: Arc<Mutex<Destination>>,
    queue: mpsc::Sender<Arc<Batch>>,
    lane: JoinHandle<Vec<Arc<Batch>>>,
    status: Arc<Status>,
}

impl Bed {
    fn start() -> Self {
        let destination = Arc::<Mutex<Destination>>::default();
        let (queue, batches) = mpsc::channel(4);
        let exporter = Box::new(Fake(destination.clone()));
        let of = ("prometheus", SignalKind::Metrics);
        let lane = Lane::in_memory(of, exporter, batches, Duration::from_secs(10));
        let status = lane.status();
        Self { destination, queue, lane: tokio::spawn(lane.run()), status }
    }

    async fn send(&self, time_unix_ms: u64, n_samples: usize) {
        let samples = vec![Sample::number(&UP, vec![], 1.0); n_samples];
        let (resource, labels) = (Arc::default(), vec![]);
        let batch = MetricBatch { resource, labels, created_unix_ms: 0, time_unix_ms, samples };
        self.queue.send(Batch::metrics(batch)).await.unwrap();
    }

    fn set_down(&self, is_down: bool) {
        self.destination.lock().unwrap().is_down = is_down;
    }

    async fn until_delivered(&self, n_batches: usize) {
        let all = async {
            while self.delivered().len() < n_batches {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(3_600), all).await.expect("all is delivered");
    }

    fn delivered(&self) -> Vec<(u64, usize)> {
        self.destination.lock().unwrap().delivered.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_without_samples_is_delivered_as_it_takes_series_away() {
    let bed = Bed::start();
    bed.send(1, 2).await;
    bed.send(2, 0).await;
    bed.send(3, 1).await;
    bed.until_delivered(3).await;
    assert_eq!(bed.delivered(), [(1, 2), (2, 0), (3, 1)]);
    drop(bed.queue);
    bed.lane.await.unwrap();
    assert!(bed.status.is_settled());
}

#[tokio::test(start_paused = true)]
async fn what_was_not_delivered_comes_again_and_an_outage_costs_the_oldest() {
    let bed = Bed::start();
    bed.set_down(true);
    for time in 0..10 {
        bed.send(time, 1).await;
    }
    sleep(Duration::from_secs(60)).await;
    bed.set_down(false);
    bed.until_delivered(10).await;
    assert_eq!(bed.delivered()[0], (0, 1));
    bed.set_down(true);
    for time in 10..200 {
        bed.send(time, 2).await;
    }
    sleep(Duration::from_secs(60)).await;
    bed.set_down(false);
    bed.send(200, 2).await;
    let last = async {
        while bed.delivered().last() != Some(&(200, 2)) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(3_600), last).await.expect("the last one is delivered");
    let times: Vec<u64> = bed.delivered()[10..].iter().map(|(time, _)| *time).collect();
    assert!((50..=70).contains(&times.len()), "{}", times.len());
    let first = 201 - times.len() as u64;
    assert_eq!(times, (first..=200).collect::<Vec<_>>(), "the newest are kept");
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_is_stopped_hands_its_samples_over_and_says_how_many() {
    let bed = Bed::start();
    bed.set_down(true);
    for time in 0..5 {
        bed.send(time, 2).await;
    }
    sleep(Duration::from_secs(1)).await;
    bed.status.stop();
    assert_eq!(bed.lane.await.unwrap().len(), 5);
    assert_eq!(bed.status.unsent(), 10);
}
