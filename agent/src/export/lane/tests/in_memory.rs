//! Lanes of spans, which have no disk behind them.

use super::super::Lane;
use crate::export::{Answer, BoxFuture, ExportError, Exporter};
use crate::model::{Batch, Signal, SignalKind, Span, SpanBatch, SpanStatus};
use redaction::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// Takes spans but while it is down, and refuses one for good.
#[derive(Debug, Default)]
struct Destination {
    is_down: bool,
    poison: Option<u64>,
    delivered: Vec<u64>,
}

struct Fake(Arc<Mutex<Destination>>);

impl Exporter for Fake {
    fn export<'a>(&'a mut self, signal: &'a Signal) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let Signal::Spans(batch) = signal else { panic!("only spans were sent") };
            let mut it = self.0.lock().unwrap();
            if it.is_down {
                return Err(ExportError::Transient { source: "down".into(), retry_after: None });
            }
            let numbers: Vec<u64> = batch.spans.iter().map(|span| span.start_unix_ns).collect();
            if it.poison.is_some_and(|poison| numbers.contains(&poison)) {
                return Err(ExportError::Rejected { reason: Value::literal("bad") });
            }
            it.delivered.extend(numbers);
            Ok(Vec::new())
        })
    }
}

fn batch(number: u64) -> Arc<Batch> {
    let span = Span {
        trace_id: [1; 16],
        span_id: [1; 8],
        parent_span_id: None,
        name: Value::literal("work"),
        start_unix_ns: number,
        end_unix_ns: number,
        status: SpanStatus::Ok,
        attributes: Vec::new(),
    };
    Batch::spans(SpanBatch { resource: Arc::default(), spans: vec![span] })
}

fn lane(
    destination: Destination,
    n_batches: u64,
) -> (Lane, mpsc::Sender<Arc<Batch>>, Arc<Mutex<Destination>>) {
    let destination = Arc::new(Mutex::new(destination));
    let (queue, batches) = mpsc::channel(64);
    let exporter = Box::new(Fake(destination.clone()));
    let timeout = Duration::from_secs(10);
    let lane = Lane::in_memory(("file", SignalKind::Spans), exporter, batches, timeout);
    (0..n_batches).for_each(|number| queue.try_send(batch(number)).unwrap());
    (lane, queue, destination)
}

#[tokio::test(start_paused = true)]
async fn spans_wait_for_a_destination_that_is_down_and_arrive_in_order() {
    let (lane, queue, destination) = lane(Destination { is_down: true, ..<_>::default() }, 20);
    let running = tokio::spawn(lane.run());
    sleep(Duration::from_secs(600)).await;
    assert!(destination.lock().unwrap().delivered.is_empty());
    destination.lock().unwrap().is_down = false;
    drop(queue);
    assert!(running.await.unwrap().is_empty());
    assert_eq!(destination.lock().unwrap().delivered, (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_is_stopped_hands_its_spans_over_to_the_next_one() {
    let (lane, queue, _) = self::lane(Destination { is_down: true, ..<_>::default() }, 20);
    let status = lane.status();
    let running = tokio::spawn(lane.run());
    sleep(Duration::from_secs(60)).await;
    status.stop();
    let left = running.await.unwrap();
    assert_eq!((left.len(), status.unsent(), queue.is_closed()), (20, 20, true));
    let (next, queue, destination) = self::lane(Destination::default(), 0);
    drop(queue);
    assert!(next.with_first(left).run().await.is_empty());
    assert_eq!(destination.lock().unwrap().delivered, (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn spans_that_are_refused_for_good_are_counted_and_hold_up_no_others() {
    let (lane, queue, destination) = lane(Destination { poison: Some(3), ..<_>::default() }, 6);
    let status = lane.status();
    drop(queue);
    assert!(lane.run().await.is_empty());
    assert_eq!(destination.lock().unwrap().delivered, [0, 1, 2, 4, 5]);
    assert_eq!((status.dropped(), status.unsent()), (1, 0));
}
