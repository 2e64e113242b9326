//! Wires the parts, runs them, and drains them in order. Reads as a list.

mod banner;
mod core;
mod hand_over;
mod lanes;
mod own_metrics;
mod tail_thread;

pub use core::Core;

use crate::admin::{AdminError, AdminHandle, AdminState};
use crate::checkpoint::{Event, LoadError};
use crate::config::{Config, Interval};
use crate::export::{self, BuildError};
use crate::health::{self, Health, Phase};
use crate::identity::{Identity, POD_LABELS_FILE};
use crate::model::SignalKind;
use crate::scrape::pricing::Prices;
use crate::scrape::timer::{self, End, Outlets, Running};
use crate::scrape::{self, Job, ScraperConfig, ScraperDefinition};
use crate::tail::batch::BatchLimits;
use crate::tail::discover::{Finder, GlobError};
use crate::tail::{self, Start, Tail};
use crate::telemetry::push::{Push, PushError};
use jiff::tz::TimeZone;
use lanes::Lanes;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tail_thread::{Left, TailThread};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

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
    /// The agent's own telemetry cannot be pushed.
    #[error(transparent)]
    Push(#[from] PushError),
    /// A thread cannot be made.
    #[error("a thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// What is left undone after the drain.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Drained {
    /// True when every record that was read is delivered or on the disk, and checkpointed.
    pub is_complete: bool,
    /// What each exporter has not got. Of samples only the last ones count: older ones go stale.
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
    /// Records and spans that were given up in this run, as the lane is not required or has no spool,
    /// and samples that it still had at the end.
    pub dropped_records: u64,
    /// What its destination said last, if it does not work and says why.
    pub reason: Option<String>,
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
    core: Core,
    tail: TailThread,
    end_scrapers: watch::Sender<End>,
    scrapers: Vec<JoinHandle<Option<Running>>>,
    own_metrics: JoinHandle<()>,
    log_lanes: Lanes,
    metric_lanes: Lanes,
    span_lanes: Lanes,
    admin: AdminHandle,
    heartbeat: JoinHandle<()>,
    health: Arc<Health>,
    push: Option<Push>,
    grace: Duration,
}

/// An agent that could be made and does not run yet.
struct Prepared {
    finder: Finder,
    identity: Arc<Identity>,
    lanes: lanes::Prepared,
    scrapers: Vec<Running>,
    tail: tail_thread::Idle,
    admin: AdminHandle,
    health: Arc<Health>,
    push: Option<Push>,
}

impl Prepared {
    /// Makes everything that may fail.
    fn new(config: &Config, options: &Options, core: &Core) -> Result<Self, StartError> {
        let mut finder = finder(config)?;
        banner::print(config, core.admin.local_addr(), &mut finder);
        let mut shared = export::Shared::new(config.redaction.clone(), &config.state_dir)
            .going_on(core.carried.clone());
        let health = Arc::new(Health::default());
        shared.health = health.clone();
        let lanes = lanes::prepare(config, &shared, &health)?;
        let identity = identity(config, &options.environment);
        let shared_scrape = shared_scrape(config, identity.clone());
        let build = |(definition, section): &(&ScraperDefinition, Box<dyn ScraperConfig>)| {
            Ok(Running::new(definition.name, section.build(&shared_scrape)?))
        };
        let scrapers = config.scrapers.iter().map(build).collect::<Result<_, StartError>>()?;
        let tail = tail_thread::Idle::spawn()?;
        let state = AdminState::new(shared.series(), config.redaction.clone(), health.clone());
        let admin = core.admin.try_clone()?.serve(Arc::new(state))?;
        // Last: it would go on where something after it failed.
        let push = Push::start(&config.telemetry, &config.redaction)?;
        Ok(Self { finder, identity, lanes, scrapers, tail, admin, health, push })
    }
}

impl App {
    /// Starts everything. Must be called on a multi-threaded tokio runtime.
    ///
    /// # Errors
    /// When the state folder, the admin address or a component cannot be used; nothing runs then.
    pub fn start(config: &Config, options: &Options) -> Result<Self, StartError> {
        Self::start_on(Core::open(config)?, config, options).map_err(|failed| failed.0)
    }

    /// [`start`](Self::start), with what an agent with another config has handed over. Where the
    /// state folder is does not change.
    ///
    /// # Errors
    /// When a component cannot be used; nothing has changed then.
    pub fn start_on(
        mut core: Core,
        config: &Config,
        options: &Options,
    ) -> Result<Self, Box<(StartError, Core)>> {
        let prepared = match Prepared::new(config, options, &core) {
            Ok(prepared) => prepared,
            Err(error) => return Err(Box::new((error, core))),
        };
        let mut left = std::mem::take(&mut core.left);
        let mut left_of = |kind| -> Vec<Left> {
            left.extract_if(.., |(_, batch)| batch.signal.kind() == kind).collect()
        };
        let (queues, log_lanes) = prepared.lanes.logs.run(left_of(SignalKind::Logs));
        let (metrics, metric_lanes) = prepared.lanes.metrics.run(left_of(SignalKind::Metrics));
        let (spans, span_lanes) = prepared.lanes.spans.run(left_of(SignalKind::Spans));
        let prices = Prices::new(&config.pricing, config.redaction.base()).map(Arc::new);
        let outlets = Outlets { logs: queues.clone(), metrics, spans, prices };
        let (end_scrapers, told) = watch::channel(End::Never);
        let wanting = own_metrics::queues(config, &outlets.metrics);
        let own_metrics =
            tokio::spawn(own_metrics::run(wanting, config.redaction.clone(), told.clone()));
        let (jobs, seen_jobs) = core.jobs.clone();
        let names: Vec<_> = prepared.scrapers.iter().map(|it| it.name).collect();
        jobs.keep(&names);
        let mut inherited = std::mem::take(&mut core.scrapers);
        let scrapers = prepared.scrapers.into_iter().map(|new| {
            let same = inherited.iter().position(|it| it.name == new.name);
            let scraper = same.map_or(new, |index| inherited.swap_remove(index));
            tokio::spawn(timer::run(scraper, jobs.clone(), outlets.clone(), told.clone()))
        });
        let scrapers = scrapers.collect();

        let found = (prepared.finder, prepared.identity);
        let start = tail_start(config, options, found, seen_jobs, &mut core);
        let zone = tail::time_zone(&config.tail.timezone).unwrap_or(TimeZone::UTC);
        let now = std::time::Instant::now();
        let tail = match core.tail.take() {
            Some(tail) => tail.renew(start, now),
            None => Box::new(Tail::new(start, now).after(core.former.take())),
        };
        // The other half is for the open batches of the files.
        let sealed_bytes_max = config.limits.memory_bytes_max.0 / 2;
        let events = core.events.clone();
        let tail = prepared.tail.begin(tail, zone, sealed_bytes_max, queues, events);
        prepared.health.set_phase(Phase::Ready);
        Ok(Self {
            core,
            tail,
            end_scrapers,
            scrapers,
            own_metrics,
            log_lanes,
            metric_lanes,
            span_lanes,
            admin: prepared.admin,
            heartbeat: tokio::spawn(health::heartbeat(prepared.health.clone())),
            health: prepared.health,
            push: prepared.push,
            grace: config.shutdown.grace.0,
        })
    }

    /// Where `/metrics` is.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.core.admin.local_addr()
    }

    /// Waits until the tail has ended by itself: `--once`, `--exit-when-idle`, or a destination
    /// that is gone for good; and until what earlier runs left in a spool is delivered, as long as
    /// its destination takes it. May be dropped and called again.
    pub async fn ended(&mut self) {
        self.tail.ended().await;
        while self.log_lanes.are_draining() {
            tokio::time::sleep(SPOOL_LOOK).await;
        }
    }

    /// Ends everything in order within the grace period: scrapers after a last scrape, the tail
    /// after a last read, lanes when their queues are empty, the checkpointer after its last write.
    pub async fn drain(mut self) -> Drained {
        let end = Instant::now() + self.grace;
        let deadline = Instant::now() + self.grace.saturating_sub(LAST_STEPS).max(self.grace / 2);
        self.health.set_phase(Phase::Draining);
        self.end_scrapers.send_replace(End::AfterLastRound);
        self.tail.drain();
        let scraped = join_until(deadline, &mut self.scrapers).await.is_some();
        self.scrapers.iter().for_each(JoinHandle::abort);
        let _ = tokio::time::timeout_at(deadline, &mut self.own_metrics).await;
        self.own_metrics.abort();
        let _ = self.log_lanes.join_until(deadline).await;
        self.log_lanes.stop();
        for lanes in [&mut self.span_lanes, &mut self.metric_lanes] {
            let _ = lanes.join_until(deadline).await;
            lanes.stop();
        }
        let last = Instant::now() + LAST_BATCH;
        for lanes in [&mut self.log_lanes, &mut self.span_lanes, &mut self.metric_lanes] {
            let _ = lanes.join_until(last).await;
        }
        self.tail.abandon();
        for lanes in [&mut self.log_lanes, &mut self.span_lanes, &mut self.metric_lanes] {
            lanes.abort(last).await;
        }
        let mut undelivered = self.given_up();
        for lanes in [&self.span_lanes, &self.metric_lanes] {
            add(&mut undelivered, &lanes.unsent());
        }
        let is_settled = self.log_lanes.are_settled();
        // Once the lanes are gone, the tail thread cannot wait for anything any more. The last write is
        // long with very many files.
        let Core { admin, events, mut checkpointer, .. } = self.core;
        let write = (Instant::now() + LAST_WRITE).max(end - LAST_WRITE.min(self.grace));
        let last = async {
            let _ = events.send(Event::Last).await;
            drop(events);
            (&mut checkpointer).await
        };
        let (written, ()) = tokio::join!(tokio::time::timeout_at(write, last), end_push(self.push));
        let is_written = match written {
            Ok(written) => written.unwrap_or(false),
            Err(_) => false,
        };
        self.heartbeat.abort();
        drop(admin);
        self.admin.shutdown();
        Drained { is_complete: scraped && is_settled && is_written, undelivered }
    }

    /// What the exporters have not got, also of what was read under earlier configs.
    fn given_up(&self) -> Vec<Undelivered> {
        let mut all = self.log_lanes.undelivered();
        add(&mut all, &self.span_lanes.undelivered());
        add(&mut all, &self.core.given_up);
        all
    }
}

/// Pushes the last of the agent's own telemetry.
async fn end_push(push: Option<Push>) {
    if let Some(push) = push {
        push.end().await;
    }
}

/// Adds what is given up for good elsewhere.
fn add(undelivered: &mut Vec<Undelivered>, given_up: &[Undelivered]) {
    for more in given_up {
        match undelivered.iter_mut().find(|it| it.exporter == more.exporter) {
            Some(all) => {
                all.dead_letters += more.dead_letters;
                all.dropped_records += more.dropped_records;
                all.reason = all.reason.take().or(more.reason.clone());
            }
            None => undelivered.push(more.clone()),
        }
    }
}

fn tail_start(
    config: &Config,
    options: &Options,
    (finder, identity): (Finder, Arc<Identity>),
    jobs: watch::Receiver<Arc<Vec<Job>>>,
    core: &mut Core,
) -> Start {
    let mut tail = config.tail.clone();
    if options.is_once {
        // What is complete has no job that could still come up.
        tail.identity_wait = Interval::from_millis(0);
    }
    let idle = options.exit_when_idle.or(config.shutdown.idle.map(|idle| idle.0));
    Start {
        limits: batch_limits(config),
        finder,
        identity,
        jobs,
        events: core.events.clone(),
        entries: std::mem::take(&mut core.entries),
        exit_when_idle: if options.is_once { Some(Duration::ZERO) } else { idle },
        redactors: config.redaction.clone(),
        config: tail,
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

/// What scrapers are made with.
fn shared_scrape(config: &Config, identity: Arc<Identity>) -> scrape::Shared {
    let redactor = config.redaction.base().clone();
    let given = scrape::Given::new(&config.job, &redactor);
    scrape::Shared { redactor, given, identity, findings: config.findings.clone() }
}

fn identity(config: &Config, environment: &BTreeMap<String, String>) -> Arc<Identity> {
    let pod_labels = std::fs::read_to_string(POD_LABELS_FILE).unwrap_or_default();
    let redactor = config.redaction.base().clone();
    Arc::new(Identity::new(redactor, &config.job, environment, &pod_labels))
}
