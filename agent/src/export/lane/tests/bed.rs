//! A lane with a scripted destination, a state folder and a checkpointer that remembers.

use super::super::{Config, Lane, Status, Stores};
use crate::checkpoint::Event;
use crate::export::{Answer, BoxFuture, ExportError, Exporter, Refused};
use crate::health::Health;
use crate::model::{Batch, FileId, LogBatch, LogRecord, Position, Resource, Signal};
use crate::tail::fingerprint::Digest;
use redaction::{Redactor, Text, Value};
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

pub(super) const N_PERMITS: usize = 1_000;
const LIMIT: Duration = Duration::from_secs(3_600);

/// What the destination does, and what it has.
#[derive(Debug, Default)]
pub(super) struct Destination {
    pub(super) is_down: bool,
    pub(super) hangs: bool,
    /// Of ten calls so many fail, by no pattern.
    pub(super) fails_of_ten: u64,
    pub(super) retry_after: Option<Duration>,
    /// Time that each call takes.
    pub(super) delay: Duration,
    /// Offsets of records that it refuses for good.
    pub(super) poison: BTreeSet<u64>,
    /// Targets that take nothing; a target has a thousand offsets.
    pub(super) denied: BTreeSet<u64>,
    /// It takes what stands in one batch with a poison.
    pub(super) takes_rest: bool,
    /// Of several batches it leaves the last for the next call.
    pub(super) leaves_last: bool,
    n_calls: u64,
    n_groups: u64,
    delivered: Vec<u64>,
}

struct Fake(Arc<Mutex<Destination>>);

impl Exporter for Fake {
    fn export<'a>(&'a mut self, signal: &'a Signal) -> BoxFuture<'a, Answer> {
        let Signal::Logs(logs) = signal else { panic!("only logs were sent") };
        let (hangs, delay) = {
            let it = self.0.lock().unwrap();
            (it.hangs, it.delay)
        };
        Box::pin(async move {
            sleep(delay).await;
            if hangs {
                self.0.lock().unwrap().n_calls += 1;
                std::future::pending::<()>().await;
            }
            let mut it = self.0.lock().unwrap();
            it.n_calls += 1;
            if it.is_down || it.n_calls * 7_919 % 10 < it.fails_of_ten {
                let retry_after = it.retry_after;
                return Err(ExportError::Transient { source: "down".into(), retry_after });
            }
            let offsets: Vec<u64> = logs.records.iter().map(|record| record.offset).collect();
            if let Some(target) = offsets.first().map(|offset| offset / 1_000)
                && it.denied.contains(&target)
            {
                return Err(ExportError::Parked {
                    target: target.to_string(),
                    reason: Value::literal("denied"),
                    retry_after: Duration::from_secs(10),
                });
            }
            if it.takes_rest {
                let (bad, good): (Vec<_>, Vec<_>) =
                    (0..).zip(offsets).partition(|(_, offset)| it.poison.contains(offset));
                it.delivered.extend(good.into_iter().map(|(_, offset)| offset));
                let reason = Value::literal("bad record");
                let refused = |(record, _)| Refused { record, reason: reason.clone() };
                return Ok(bad.into_iter().map(refused).collect());
            }
            if offsets.iter().any(|offset| it.poison.contains(offset)) {
                return Err(ExportError::Rejected { reason: Value::literal("bad record") });
            }
            it.delivered.extend(offsets);
            Ok(Vec::new())
        })
    }

    fn export_all<'a>(&'a mut self, signals: &'a [&'a Signal]) -> BoxFuture<'a, Vec<Answer>> {
        Box::pin(async move {
            self.0.lock().unwrap().n_groups += 1;
            let mut answers = Vec::new();
            let leaves_last = self.0.lock().unwrap().leaves_last && signals.len() > 1;
            for signal in &signals[..signals.len() - usize::from(leaves_last)] {
                answers.push(self.export(signal).await);
                // What one target does not take does not keep others from theirs.
                let last = answers.last();
                if !matches!(last, Some(Ok(_) | Err(ExportError::Parked { .. }))) {
                    return answers;
                }
            }
            answers.extend(leaves_last.then_some(Err(ExportError::Unfinished)));
            answers
        })
    }

    fn batches_max(&self) -> usize {
        8
    }
}

/// One life of the lane after the other over one state folder.
pub(super) struct Bed {
    folder: tempfile::TempDir,
    destination: Arc<Mutex<Destination>>,
    pub(super) health: Arc<Health>,
    pub(super) budget: Arc<Semaphore>,
    settled: Arc<Mutex<Vec<u64>>>,
    life: Option<Life>,
    /// Offset of the next record to send.
    next: u64,
}

struct Life {
    queue: mpsc::Sender<Arc<Batch>>,
    events: mpsc::Sender<Event>,
    lane: JoinHandle<Vec<Arc<Batch>>>,
    status: Arc<Status>,
}

impl Bed {
    pub(super) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            destination: Arc::default(),
            health: Arc::default(),
            budget: Arc::new(Semaphore::new(N_PERMITS)),
            settled: Arc::default(),
            life: None,
            next: 0,
        }
    }

    pub(super) fn state_dir(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    pub(super) fn start(&mut self, config: &Config) {
        self.start_with(config, Vec::new());
    }

    /// Starts a life with what the one before handed back.
    pub(super) fn start_with(&mut self, config: &Config, first: Vec<Arc<Batch>>) {
        let (events, mut positions) = mpsc::channel(16);
        let settled = self.settled.clone();
        tokio::spawn(async move {
            while let Some(Event::Settled(position)) = positions.recv().await {
                settled.lock().unwrap().push(position.offset - 1);
            }
        });
        let stores = Stores::open(self.folder.path(), "file", config).unwrap();
        let (queue, batches) = mpsc::channel(4);
        let exporter = Box::new(Fake(self.destination.clone()));
        let shared = (Arc::default(), self.health.clone());
        let lane = Lane::logs("file", exporter, batches, config, stores, shared);
        let lane = lane.with_first(first);
        let status = lane.status();
        self.life = Some(Life { queue, events, lane: tokio::spawn(lane.run()), status });
    }

    /// Hands a batch of one record to the lanes of both, one after the other, as the tail thread does.
    pub(super) async fn send_to_both(&mut self, other: &Self, offset: u64) {
        let life = self.life.as_ref().unwrap();
        let permit = self.budget.clone().acquire_owned().await.unwrap();
        let position =
            Position { file: FileId(1), offset: offset + 1, frontier: Digest::default() };
        let batch =
            Batch::logs(logs(offset..offset + 1), position, 2, life.events.clone(), Some(permit));
        life.queue.reserve().await.unwrap().send(batch.clone());
        let room = other.life.as_ref().unwrap().queue.reserve().await.unwrap();
        room.send(batch);
        self.next = offset + 1;
    }

    pub(super) fn status(&self) -> Arc<Status> {
        self.life.as_ref().unwrap().status.clone()
    }

    pub(super) fn destination(&self, change: impl FnOnce(&mut Destination)) {
        change(&mut self.destination.lock().unwrap());
    }

    /// Sends a batch of one record for each offset.
    pub(super) async fn send(&mut self, offsets: Range<u64>) {
        for offset in offsets {
            self.send_batch(offset..offset + 1).await;
        }
    }

    /// Goes on where a send was given up.
    pub(super) async fn send_rest(&mut self, end: u64) {
        self.send(self.next..end).await;
    }

    /// Sends these records as one batch.
    pub(super) async fn send_batch(&mut self, offsets: Range<u64>) {
        let life = self.life.as_ref().unwrap();
        let permit = self.budget.clone().acquire_owned().await.unwrap();
        let position =
            Position { file: FileId(1), offset: offsets.end, frontier: Digest::default() };
        let end = offsets.end;
        let batch = Batch::logs(logs(offsets), position, 1, life.events.clone(), Some(permit));
        let room = life.queue.reserve().await.unwrap();
        room.send(batch);
        self.next = end;
    }

    pub(super) async fn until_delivered(&self, n_records: usize) {
        let all = async {
            while self.delivered().len() < n_records {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LIMIT, all).await.expect("all is delivered");
    }

    /// Waits until the record at `offset` is delivered.
    pub(super) async fn until_has(&self, offset: u64) {
        let one = async {
            while !self.delivered().contains(&offset) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LIMIT, one).await.expect("it is delivered");
    }

    pub(super) async fn until_settled(&self, n_batches: usize) {
        let all = async {
            while self.settled().len() < n_batches {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LIMIT, all).await.expect("all is settled");
    }

    /// Ends this life in order, as the end of the tail thread does; the lane's status then.
    pub(super) async fn end(&mut self) -> Arc<Status> {
        let Life { queue, events, lane, status } = self.life.take().unwrap();
        drop((queue, events));
        timeout(LIMIT, lane).await.expect("the lane ends").unwrap();
        sleep(Duration::from_millis(10)).await;
        status
    }

    /// Stops this life while more could come; what its lane hands back. It takes half a second at most.
    pub(super) async fn stop(&mut self) -> Vec<Arc<Batch>> {
        self.status().stop();
        self.handed_back(Duration::from_millis(500)).await
    }

    /// The same when another life follows.
    pub(super) async fn hand_over(&mut self) -> Vec<Arc<Batch>> {
        self.status().hand_over();
        self.handed_back(Duration::from_millis(2_500)).await
    }

    async fn handed_back(&mut self, limit: Duration) -> Vec<Arc<Batch>> {
        let Life { queue, lane, .. } = self.life.take().unwrap();
        let handed_back = timeout(limit, lane).await;
        assert!(queue.is_closed());
        handed_back.expect("the lane ends").unwrap()
    }

    /// Ends this life as a kill does, once the lane has nothing in memory: what is in memory would
    /// be read again from the log file, which there is none of here.
    pub(super) async fn kill(&mut self) {
        self.until_settled(self.next as usize).await;
        self.life.take().unwrap().lane.abort();
    }

    pub(super) fn delivered(&self) -> Vec<u64> {
        self.destination.lock().unwrap().delivered.clone()
    }

    /// Records that were put into a queue.
    pub(super) fn n_sent(&self) -> u64 {
        self.next
    }

    pub(super) fn n_calls(&self) -> u64 {
        self.destination.lock().unwrap().n_calls
    }

    /// Calls with several batches.
    pub(super) fn n_groups(&self) -> u64 {
        self.destination.lock().unwrap().n_groups
    }

    /// Last offsets of the batches that are settled.
    pub(super) fn settled(&self) -> Vec<u64> {
        self.settled.lock().unwrap().clone()
    }

    /// Offsets of the dead letters.
    pub(super) fn letters(&self) -> Vec<u64> {
        let folder = crate::export::dead_letters::folder(Path::new(self.folder.path()), "file");
        let files = crate::export::dead_letters::files_of(&folder).unwrap();
        let text: String = files.iter().map(|it| std::fs::read_to_string(&it.1).unwrap()).collect();
        let offset = |line: &str| {
            let letter: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(letter["reason"], "bad record");
            assert_eq!(letter["record"]["body"], format!("record {}", letter["offset"]));
            letter["offset"].as_u64().unwrap()
        };
        text.lines().map(offset).collect()
    }
}

fn logs(offsets: Range<u64>) -> LogBatch {
    let (redactor, mut text) = (Redactor::new(), Text::default());
    let records = offsets
        .map(|offset| LogRecord {
            offset,
            body: redactor.redact_chunk(format!("record {offset}").as_bytes(), &mut text),
            ..LogRecord::default()
        })
        .collect();
    let file_id = Some(Value::hex(&[1; 8]));
    LogBatch {
        resource: Arc::new(Resource { file_id, ..Resource::default() }),
        text,
        records,
        covers: None,
    }
}
