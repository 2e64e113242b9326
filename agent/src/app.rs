//! Wires the parts, runs them, and drains them in order. Reads as a list.

mod banner;
mod hand_over;

pub use hand_over::HandedOver;

use crate::admin::{Admin, AdminError, AdminHandle, AdminState};
use crate::checkpoint::{self, Checkpoint, Event, LoadError, Store};
use crate::config::{Config, Interval};
use crate::export::lane::{Lane, Status, Stores};
use crate::export::{self, BuildError};
use crate::health::{self, Health, Phase};
use crate::identity::{Identity, POD_LABELS_FILE};
use crate::model::{Batch, LogBatch, Position, SignalKind};
use crate::scrape;
use crate::scrape::timer::{self, Queues};
use crate::tail::batch::{Abandoned, BatchLimits};
use crate::tail::discover::{Finder, GlobError};
use crate::tail::{self, Start, Stop, Tail};
use jiff::tz::TimeZone;
use redaction::Redactor;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Positions and file news on their way to the checkpointer.
const CHECKPOINT_QUEUE: usize = 256;

/// One permit of the memory budget.
const BUDGET_UNIT: usize = 1024;

/// Batches that one look at a file may make.
const BATCHES_AT_ONCE: usize = 4;

/// Time between two looks whether a spool is drained.
const SPOOL_LOOK: Duration = Duration::from_millis(20);

/// Part of the grace period that is kept for the last checkpoint and the admin server.
const LAST_STEPS: Duration = Duration::from_secs(1);

/// What a batch may take that is on its way when the time is over. With the last write it is within
/// [`LAST_STEPS`].
const LAST_BATCH: Duration = Duration::from_millis(300);

/// What the last checkpoint may take at the end of the grace period. Before that it has the rest.
const LAST_WRITE: Duration = Duration::from_millis(500);

/// How a run differs from the config.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Read to the end of every file, then end.
    pub is_once: bool,
    /// End when nothing came for this long.
    pub exit_when_idle: Option<Duration>,
    /// Variables of the environment that identity looks at.
    pub environment: BTreeMap<String, String>,
}

/// Why the agent did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] LoadError),
    /// The admin address cannot be used.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// An exporter or scraper cannot be made from its section.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A spool or dead letters cannot be read.
    #[error(transparent)]
    Stores(#[from] export::spool::OpenError),
    /// A glob is not one.
    #[error(transparent)]
    Glob(#[from] GlobError),
    /// A thread cannot be made.
    #[error("a thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// What is left undone after the drain.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Drained {
    /// True when every record that was read is delivered or on the disk, and checkpointed.
    pub is_complete: bool,
    /// What each exporter of logs has not got.
    pub undelivered: Vec<Undelivered>,
}

/// What an exporter has not got of what was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// Its name in the config.
    pub exporter: &'static str,
    /// Records in its spool, which the next start delivers.
    pub spooled_records: u64,
    /// Records that became dead letters in this run.
    pub dead_letters: u64,
    /// Records that were given up in this run: the lane is not required.
    pub dropped_records: u64,
}

impl Undelivered {
    /// True when it has got everything.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.spooled_records + self.dead_letters + self.dropped_records == 0
    }
}

impl Drained {
    /// True when every record that was read has reached its destinations.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        self.is_complete && self.undelivered.iter().all(Undelivered::is_nothing)
    }
}

/// The running agent.
#[derive(Debug)]
pub struct App {
    stop: Arc<Stop>,
    stop_scrapers: watch::Sender<bool>,
    scrapers: Vec<JoinHandle<()>>,
    tail_ended: oneshot::Receiver<()>,
    has_tail_ended: bool,
    log_lanes: Vec<JoinHandle<Vec<Arc<Batch>>>>,
    metric_lanes: Vec<JoinHandle<Vec<Arc<Batch>>>>,
    statuses: Vec<(&'static str, Arc<Status>)>,
    checkpointer: JoinHandle<bool>,
    admin: AdminHandle,
    admin_socket: Admin,
    heartbeat: JoinHandle<()>,
    health: Arc<Health>,
    grace: Duration,
}

/// The lanes of one kind of signal.
#[derive(Default)]
struct Lanes {
    queues: Queues,
    tasks: Vec<JoinHandle<Vec<Arc<Batch>>>>,
    statuses: Vec<(&'static str, Arc<Status>)>,
}

impl Lanes {
    fn add(
        &mut self,
        name: &'static str,
        queue_batches_max: usize,
        lane: impl FnOnce(mpsc::Receiver<Arc<Batch>>) -> Lane,
    ) {
        let (queue, batches) = mpsc::channel(queue_batches_max);
        let lane = lane(batches);
        self.queues.push((name, queue));
        self.statuses.push((name, lane.status()));
        self.tasks.push(tokio::spawn(lane.run()));
    }
}

/// One lane per exporter and signal.
fn start_lanes(
    config: &Config,
    shared: &export::Shared,
    health: &Arc<Health>,
) -> Result<(Lanes, Lanes), StartError> {
    let (mut logs, mut metrics) = (Lanes::default(), Lanes::default());
    let queue_batches_max = config.limits.queue_batches_max;
    for (definition, section) in &config.exporters {
        let name = definition.name;
        for signal in definition.signals {
            let exporter = section.exporter.build(shared)?;
            match signal {
                SignalKind::Metrics => metrics
                    .add(name, queue_batches_max, |queue| Lane::metrics(name, exporter, queue)),
                SignalKind::Logs => {
                    let stores = Stores::open(&config.state_dir, name, &section.lane)?;
                    stores.say_what_is_left(name);
                    let shared = (config.redaction.clone(), health.clone());
                    logs.add(name, queue_batches_max, |queue| {
                        Lane::logs(name, exporter, queue, &section.lane, stores, shared)
                    });
                }
            }
        }
    }
    Ok((logs, metrics))
}

impl App {
    /// Starts everything. Must be called on a multi-threaded tokio runtime.
    ///
    /// # Errors
    /// When the state folder, the admin address or a component cannot be used; nothing runs then.
    pub fn start(config: &Config, options: &Options) -> Result<Self, StartError> {
        Self::start_at(config, options, || Admin::bind(config.admin.listen))
    }

    /// [`start`](Self::start), with an admin address that is held already.
    ///
    /// # Errors
    /// As there.
    pub fn start_at(
        config: &Config,
        options: &Options,
        admin: impl FnOnce() -> Result<Admin, AdminError>,
    ) -> Result<Self, StartError> {
        let (redactors, redactor) = (config.redaction.clone(), config.redaction.base().clone());
        let mut finder = finder(config)?;
        let (store, loaded) = Store::open(&config.state_dir, checkpoint::unix_seconds())?;
        let admin_socket = admin()?;
        banner::print(config, admin_socket.local_addr(), &mut finder);

        let shared = export::Shared::new(redactor.clone());
        let health = Arc::new(Health::default());
        let (log_lanes, metric_lanes) = start_lanes(config, &shared, &health)?;
        let (events, positions) = mpsc::channel(CHECKPOINT_QUEUE);
        let checkpoint = Checkpoint::new(loaded.entries.clone());
        let checkpointer = tokio::spawn(checkpoint::run(positions, checkpoint, store));
        let (jobs, seen_jobs) = timer::JobTable::new();
        let (stop_scrapers, stopped) = watch::channel(false);
        let given = scrape::Given::new(&config.job, &redactor);
        let shared_scrape = scrape::Shared { redactor: redactor.clone(), given };
        let mut scrapers = Vec::new();
        for (definition, section) in &config.scrapers {
            let scraper = section.build(&shared_scrape)?;
            let queues = metric_lanes.queues.clone();
            let task = timer::run(definition.name, scraper, jobs.clone(), queues, stopped.clone());
            scrapers.push(tokio::spawn(task));
        }

        let zone = tail::time_zone(&config.tail.timezone).unwrap_or(TimeZone::UTC);
        let mut tail = config.tail.clone();
        if options.is_once {
            // What is complete has no job that could still come up.
            tail.identity_wait = Interval::from_millis(0);
        }
        let idle = options.exit_when_idle.or(config.shutdown.idle.map(|idle| idle.0));
        let exit_when_idle = if options.is_once { Some(Duration::ZERO) } else { idle };
        let start = Start {
            limits: batch_limits(config),
            finder,
            identity: identity(config, redactor.clone(), options),
            jobs: seen_jobs,
            events: events.clone(),
            entries: loaded.entries,
            exit_when_idle,
            redactors: redactors.clone(),
            config: tail,
        };
        // The other half is for the open batches of the files.
        let sealed_bytes_max = config.limits.memory_bytes_max.0 / 2;
        let budget_units = u32::try_from(sealed_bytes_max / BUDGET_UNIT as u64).unwrap_or(u32::MAX);
        let emitter = Emitter {
            runtime: Handle::current(),
            budget: Arc::new(Semaphore::new(budget_units as usize)),
            budget_units,
            queues: log_lanes.queues,
            events,
        };
        let stop = Arc::new(Stop::new()?);
        let tail_ended = spawn_tail(start, zone, stop.clone(), emitter)?;
        let state = Arc::new(AdminState::new(shared.series(), redactors, health.clone()));
        let admin = admin_socket.try_clone()?.serve(state)?;
        health.set_phase(Phase::Ready);
        Ok(Self {
            stop,
            stop_scrapers,
            scrapers,
            tail_ended,
            has_tail_ended: false,
            statuses: log_lanes.statuses,
            log_lanes: log_lanes.tasks,
            metric_lanes: metric_lanes.tasks,
            checkpointer,
            admin,
            admin_socket,
            heartbeat: tokio::spawn(health::heartbeat(health.clone())),
            health,
            grace: config.shutdown.grace.0,
        })
    }

    /// Where `/metrics` is.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_socket.local_addr()
    }

    /// Waits until the tail has ended by itself: `--once`, `--exit-when-idle`, or a destination
    /// that is gone for good; and until what earlier runs left in a spool is delivered, as long as
    /// its destination takes it. May be dropped and called again.
    pub async fn ended(&mut self) {
        if !self.has_tail_ended {
            let _ = (&mut self.tail_ended).await;
            self.has_tail_ended = true;
        }
        while self.statuses.iter().any(|(_, status)| status.is_draining()) {
            tokio::time::sleep(SPOOL_LOOK).await;
        }
    }

    /// Ends everything in order within the grace period: scrapers after a last scrape, the tail
    /// after a last read, lanes when their queues are empty, the checkpointer after its last write.
    pub async fn drain(mut self) -> Drained {
        let end = Instant::now() + self.grace;
        let deadline = Instant::now() + self.grace.saturating_sub(LAST_STEPS).max(self.grace / 2);
        self.health.set_phase(Phase::Draining);
        self.stop_scrapers.send_replace(true);
        self.stop.drain();
        let scraped = join_until(deadline, &mut self.scrapers).await.is_some();
        self.end_lanes(deadline).await;
        for scraper in &self.scrapers {
            scraper.abort();
        }
        // Once the lanes are gone, the tail thread cannot wait for anything any more; the
        // checkpointer ends after it, unless a write to a stuck pipe still holds a batch.
        // That write is long with very many files.
        let write = (Instant::now() + LAST_WRITE).max(end - LAST_WRITE.min(self.grace));
        let is_written = match tokio::time::timeout_at(write, &mut self.checkpointer).await {
            Ok(written) => written.unwrap_or(false),
            Err(_) => false,
        };
        self.heartbeat.abort();
        drop(self.admin_socket);
        self.admin.shutdown();
        let is_settled = self.statuses.iter().all(|(_, status)| status.is_settled());
        let undelivered = self.statuses.iter().map(|(name, status)| Undelivered {
            exporter: name,
            spooled_records: status.spool.records(),
            dead_letters: status.dead_letters(),
            dropped_records: status.dropped(),
        });
        Drained {
            is_complete: scraped && is_settled && is_written,
            undelivered: undelivered.collect(),
        }
    }

    /// Waits until the lanes have delivered what is in their queues; at the deadline they end all
    /// the same, after the batch that they are sending.
    async fn end_lanes(&mut self, deadline: Instant) {
        let _ = join_until(deadline, &mut self.log_lanes).await;
        self.statuses.iter().for_each(|(_, status)| status.stop());
        let _ = join_until(Instant::now() + LAST_BATCH, &mut self.log_lanes).await;
        let _ = join_until(deadline, &mut self.metric_lanes).await;
        self.stop.abandon();
        for lane in self.log_lanes.iter().chain(&self.metric_lanes) {
            lane.abort();
        }
    }
}

/// What the tasks returned, when all ended before the deadline. Tasks that ended are taken out.
async fn join_until<T>(deadline: Instant, tasks: &mut Vec<JoinHandle<T>>) -> Option<Vec<T>> {
    let mut returned = Vec::new();
    while let Some(task) = tasks.last_mut() {
        // A task that panicked has not done its work either.
        returned.push(tokio::time::timeout_at(deadline, task).await.ok()?.ok()?);
        tasks.pop();
    }
    Some(returned)
}

/// Hands sealed batches from the tail thread to every log lane.
struct Emitter {
    runtime: Handle,
    budget: Arc<Semaphore>,
    budget_units: u32,
    queues: Queues,
    events: mpsc::Sender<Event>,
}

impl Emitter {
    /// True when what the tail reads at once can be handed over without waiting.
    fn has_room(&self) -> bool {
        let n_needed = |queue: &mpsc::Sender<_>| queue.max_capacity().min(BATCHES_AT_ONCE);
        self.budget.available_permits() >= self.budget_units as usize / 8
            && self
                .queues
                .iter()
                .all(|(_, queue)| queue.is_closed() || queue.capacity() >= n_needed(queue))
    }

    fn emit(&self, logs: LogBatch, position: Position) -> Result<(), Abandoned> {
        let bytes = logs.text.len() + size_of_val(logs.records.as_slice());
        let units = u32::try_from(bytes / BUDGET_UNIT).unwrap_or(u32::MAX);
        let units = units.clamp(1, self.budget_units);
        let permit = self.runtime.block_on(self.budget.clone().acquire_many_owned(units));
        let permit = permit.map_err(|_| Abandoned)?;
        let lanes = self.queues.len() as u32;
        let batch = Batch::logs(logs, position, lanes, self.events.clone(), permit);
        for (_, queue) in &self.queues {
            queue.blocking_send(batch.clone()).map_err(|_| Abandoned)?;
        }
        Ok(())
    }
}

/// The tail has a thread of its own: reading files blocks, and tokio's threads must not.
fn spawn_tail(
    start: Start,
    zone: TimeZone,
    stop: Arc<Stop>,
    emitter: Emitter,
) -> Result<oneshot::Receiver<()>, StartError> {
    let (ended, tail_ended) = oneshot::channel();
    std::thread::Builder::new().name("tail".to_owned()).spawn(move || {
        let mut emit = |logs, position| emitter.emit(logs, position);
        Tail::new(start, std::time::Instant::now())
            .run(zone, &stop, &mut emit, &|| emitter.has_room());
        let _ = ended.send(());
    })?;
    Ok(tail_ended)
}

fn finder(config: &Config) -> Result<Finder, GlobError> {
    let outputs = config.exporters.iter().filter_map(|(_, section)| section.exporter.output());
    let own = outputs.map(Path::to_owned).chain([config.state_dir.clone()]).collect();
    Finder::new(&config.tail.include, &config.tail.exclude, own)
}

fn batch_limits(config: &Config) -> BatchLimits {
    BatchLimits {
        bytes_max: usize::try_from(config.batch.bytes_max.0).unwrap_or(usize::MAX),
        records_max: config.batch.records_max,
        age_max: config.batch.age_max.0,
        open_bytes_max: usize::try_from(config.limits.memory_bytes_max.0 / 2).unwrap_or(usize::MAX),
    }
}

fn identity(config: &Config, redactor: Arc<Redactor>, options: &Options) -> Identity {
    let pod_labels = std::fs::read_to_string(POD_LABELS_FILE).unwrap_or_default();
    Identity::new(redactor, &config.job, &options.environment, &pod_labels)
}
