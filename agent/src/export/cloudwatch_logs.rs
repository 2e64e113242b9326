//! Delivers log records to CloudWatch Logs: a JSON object for each, in full requests.

mod config;
mod denied;
mod stream;

pub use config::Config;

use super::cloudwatch::names::Template;
use super::cloudwatch::service::{Deadline, Service};
use super::cloudwatch::target::Target;
use super::{Answer, BoxFuture, Exporter, ExporterDefinition, Refused};
use crate::encode::Omitted;
use crate::model::{BatchKey, LogBatch, Resource, Signal, SignalKind};
use denied::Denied;
use futures_util::future::join_all;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use stream::{Stream, Work};
use tokio::time::Instant;

/// `cloudwatch_logs`
pub const DEFINITION: ExporterDefinition = ExporterDefinition {
    name: "cloudwatch_logs",
    signals: &[SignalKind::Logs],
    is_default: false,
    configure: config::configure,
};

/// Batches that are handed over together: enough for more than ten full requests.
const BATCHES_MAX: usize = 16;
/// Batches whose progress is remembered after a failure.
const REMEMBERED_MAX: usize = 256;

/// What of a batch is done with, when the rest is not.
#[derive(Debug, Default, Clone)]
struct Progress {
    /// Events that were taken or refused, in the order in which they are sent.
    n_done: usize,
    refused: Vec<Refused>,
    /// It comes again only if its dead letters found no place.
    is_answered: bool,
}

/// See the head of the file.
#[derive(Debug)]
struct CloudWatchLogs {
    service: Arc<Service>,
    group: Template,
    stream: Template,
    omitted: Omitted,
    /// Time for all requests of one call.
    time: Duration,
    /// Where records of a resource go. It is held so that its address is not given to another one.
    targets: HashMap<usize, (Arc<Resource>, Target)>,
    denied: Denied,
    remembered: HashMap<BatchKey, Progress>,
}

impl CloudWatchLogs {
    fn target(&mut self, resource: &Arc<Resource>) -> Target {
        let address = Arc::as_ptr(resource).addr();
        if let Some((_, target)) = self.targets.get(&address) {
            return target.clone();
        }
        if self.targets.len() >= REMEMBERED_MAX {
            self.targets.clear();
        }
        let (group, stream) = (self.group.name(resource), self.stream.name(resource));
        let target = Target { group, stream };
        self.targets.insert(address, (resource.clone(), target.clone()));
        target
    }

    async fn deliver(&mut self, batches: &[&LogBatch]) -> Vec<Answer> {
        let end = Instant::now() + self.time;
        let mut streams: Vec<Stream<'_>> = Vec::new();
        for (index, logs) in batches.iter().enumerate() {
            let target = self.target(&logs.resource);
            let progress = self.remembered.get(&logs.key()).cloned().unwrap_or_default();
            let work = Work::new(index, logs, progress.n_done, progress.refused);
            match streams.iter_mut().find(|stream| stream.target == target) {
                Some(stream) => stream.works.push(work),
                None => streams.push(Stream::new(target, work)),
            }
        }
        let service = &self.service;
        // What is done before this future is dropped is remembered all the same.
        let remembered = &mut self.remembered;
        let mut guard = Remember { remembered, streams };
        let (denied, omitted) = (&self.denied, self.omitted);
        // More than one come together when more come than are sent: then no request goes half full.
        let may_wait = batches.len() > 1;
        let is_open = |stream: &&mut Stream<'_>| denied.now(&stream.target).is_none();
        let open = guard.streams.iter_mut().filter(is_open);
        let sent = open.map(|stream| {
            let is_made_once = denied.has(&stream.target);
            stream.send(service, omitted, Deadline { end, is_made_once }, may_wait)
        });
        join_all(sent).await;
        let streams = std::mem::take(&mut guard.streams);
        let mut answers: Vec<Option<Answer>> = batches.iter().map(|_| None).collect();
        for stream in streams {
            if stream.is_taken() {
                self.service.set_retention(&stream.target.group);
            }
            self.denied.note(&stream.target, stream.failure(), stream.is_taken());
            let left_alone = self.denied.now(&stream.target);
            for (work, answer) in stream.answers(left_alone.as_ref()) {
                let key = work.logs.key();
                answers[work.index] = Some(answer);
                guard.remembered.remove(&key);
                // What was refused may find no place among the dead letters; then all comes again.
                let is_done =
                    matches!(&answers[work.index], Some(Ok(refused)) if refused.is_empty());
                if !is_done {
                    guard.keep(key, work);
                }
            }
        }
        answers.into_iter().flatten().collect()
    }
}

/// Remembers how far streams got, also when what sends them is dropped.
struct Remember<'r, 'b> {
    remembered: &'r mut HashMap<BatchKey, Progress>,
    streams: Vec<Stream<'b>>,
}

impl Remember<'_, '_> {
    fn keep(&mut self, key: BatchKey, work: Work<'_>) {
        if work.n_done == 0 && work.refused.is_empty() {
            return;
        }
        if self.remembered.len() >= REMEMBERED_MAX {
            self.remembered.retain(|_, progress| !progress.is_answered);
        }
        if self.remembered.len() >= REMEMBERED_MAX {
            // What is forgotten arrives twice.
            self.remembered.clear();
        }
        let is_answered = work.is_done();
        let progress = Progress { n_done: work.n_done, refused: work.refused, is_answered };
        self.remembered.insert(key, progress);
    }
}

impl Drop for Remember<'_, '_> {
    fn drop(&mut self) {
        for stream in std::mem::take(&mut self.streams) {
            for work in stream.works {
                self.keep(work.logs.key(), work);
            }
        }
    }
}

impl Exporter for CloudWatchLogs {
    fn export<'a>(&'a mut self, signal: &'a Signal) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let Some(logs) = signal.logs() else { return Ok(Vec::new()) };
            self.deliver(&[logs]).await.pop().unwrap_or(Ok(Vec::new()))
        })
    }

    fn export_all<'a>(&'a mut self, signals: &'a [&'a Signal]) -> BoxFuture<'a, Vec<Answer>> {
        Box::pin(async move {
            let logs: Vec<&LogBatch> = signals.iter().filter_map(|signal| signal.logs()).collect();
            self.deliver(&logs).await
        })
    }

    fn batches_max(&self) -> usize {
        BATCHES_MAX
    }
}
