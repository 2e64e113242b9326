//! One application: reads its part of the REST API and keeps what it counted.

use super::executors::Executors;
use super::identity::{bounded, named, properties};
use super::jobs::Jobs;
use super::logs::{Report, SILENCE_MAX};
use super::metrics::MILLISECONDS;
use super::metrics::application::APP_INFO;
use super::metrics::job::{JOB_FINAL_SNAPSHOT, JOB_RUN_INFO, JOB_RUN_START};
use super::peaks::spark_bytes;
use super::records::Records;
use super::rest;
use super::running;
use super::spans::Spans;
use super::stages::Stages;
use crate::findings::Thresholds;
use crate::identity::Identity;
use crate::model::{Engine, LogBatch, MetricBatch, Resource, Sample, SpanBatch};
use crate::run_summary::RunSummary;
use crate::scrape::http::{Client, HttpError};
use crate::scrape::meter::{Cut, Meter};
use crate::scrape::runs::{Ended, Moment, Outcome, Run, push_state};
use crate::scrape::{Given, Job};
use redaction::{Redactor, Value};
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Stages that are read one by one in one round. If more wait, one request for all stages is
/// cheaper: a stage with summaries is about 5 kB, one without 3 kB.
const STAGE_REQUESTS_MAX: usize = 64;
/// Quantiles over tasks that the skew metrics need.
const SUMMARIES: &str = "withSummaries=true&quantiles=0.5,0.95,1.0";
/// How long the end of its log is waited for once the UI is gone. Spark stops the UI first.
const LOG_END_WAIT: Duration = Duration::from_secs(30);

/// One run of an application.
#[derive(Debug)]
pub(super) struct Application {
    /// What the job table shows of it.
    pub(super) job: Job,
    /// Number among the live runs of the same name.
    pub(super) slot: u64,
    /// Set once its UI is gone or it said that it completed.
    pub(super) ended: Option<Ended>,
    run_labels: Vec<(&'static str, Value)>,
    info_labels: Vec<(&'static str, Value)>,
    resource: Arc<Resource>,
    redactor: Arc<Redactor>,
    thresholds: Thresholds,
    spans: Spans,
    records: Records,
    /// How its run is so far, as its log tells.
    summary: Option<Box<RunSummary>>,
    /// What REST said last of stages that run.
    running: Vec<Sample>,
    stages: Stages,
    jobs: Jobs,
    executors: Executors,
    /// What its event log says, if one is read.
    log: Option<LogState>,
    /// Since when its UI does not answer; none while it does, or never did.
    ui_gone: Option<Instant>,
    /// Its UI has answered.
    has_ui: bool,
    /// True once the list of all stages was over the size limit.
    is_list_too_large: bool,
}

/// How far an event log tells of an application.
#[derive(Debug, Clone, Copy)]
struct LogState {
    /// Nothing more is to come: when the run ended, and how.
    end: Option<(u64, Outcome)>,
    /// When it grew last.
    grown: Instant,
}

/// What a new application is made from, besides its own answers.
pub(super) struct Context<'a> {
    pub(super) redactor: &'a Arc<Redactor>,
    pub(super) identity: &'a Identity,
    /// What the operator said.
    pub(super) given: &'a Given,
    /// From where on something is a finding.
    pub(super) thresholds: &'a Thresholds,
    /// Version of the engine.
    pub(super) version: &'a Value,
    pub(super) unix_ms: u64,
}

impl Run for Application {
    fn job(&self) -> &Job {
        &self.job
    }

    fn slot(&self) -> u64 {
        self.slot
    }

    fn ended(&self) -> Option<Ended> {
        self.ended
    }

    fn resource(&self) -> &Arc<Resource> {
        &self.resource
    }
}

/// Labels of `spark_app_info`.
fn info_labels(
    environment: &rest::Environment,
    properties: &BTreeMap<&'static str, Value>,
    context: &Context<'_>,
) -> Vec<(&'static str, Value)> {
    let label = |text: &Option<String>| Some(bounded(text.as_deref()?, context.redactor));
    present([
        ("spark_version", Some(context.version.clone())),
        ("master", properties.get("spark.master").cloned()),
        ("deploy_mode", properties.get("spark.submit.deployMode").cloned()),
        ("scala", label(&environment.runtime.scala_version)),
        ("java", label(&environment.runtime.java_version)),
    ])
}

impl Application {
    /// A run that was just seen for the first time. Its slot is set by the caller.
    pub(super) fn new(
        listed: &rest::Application,
        attempt: &rest::Attempt,
        environment: &rest::Environment,
        context: &Context<'_>,
    ) -> Self {
        let redactor = context.redactor;
        let label = |text: &Option<String>| text.as_deref().map(|text| bounded(text, redactor));
        let properties = properties(environment, redactor);
        let given = |name: &str| properties.get(name).cloned();
        let job_name = context.given.job_name.clone().or_else(|| given("spark.sidelight.job_name"));
        let app_id = bounded(&listed.id, redactor);
        let attempt_id = label(&attempt.attempt_id);
        let run_id = context.given.run_id.clone().or_else(|| given("spark.sidelight.run_id"));
        let run_id = run_id.unwrap_or_else(|| match &attempt_id {
            Some(attempt) => bounded(&format!("{app_id}-{attempt}"), redactor),
            None => app_id.clone(),
        });
        let user_id = context.given.user_id.clone().or_else(|| given("spark.sidelight.user_id"));
        let user_id = user_id.or_else(|| label(&attempt.spark_user));
        let memory = environment.resource_profiles.iter().filter_map(|profile| {
            Some((profile.id.0?, profile.executor_resources.memory.amount.0?))
        });
        let heap_max = given("spark.executor.memory").and_then(|size| spark_bytes(&size));
        let run_labels = [
            ("app_id", Some(app_id.clone())),
            ("run_id", Some(run_id.clone())),
            ("user_id", user_id.clone()),
            ("attempt", attempt_id.clone()),
            ("engine_version", Some(context.version.clone())),
            ("agent_version", Some(Value::literal(env!("CARGO_PKG_VERSION")))),
        ];
        let job = Job {
            engine: Engine::Spark,
            job_id: app_id,
            job_name: job_name.unwrap_or_else(|| named(&listed.name, redactor)),
            attempt: attempt_id,
            run_id,
            user_id,
            start_unix_ms: attempt.start_time.0.unwrap_or(context.unix_ms),
            end_unix_ms: None,
            seen_unix_ms: context.unix_ms,
            properties,
        };
        let info_labels = info_labels(environment, &job.properties, context);
        let resource = Arc::new(context.identity.job(&job));
        let spans = Spans::new(
            resource.clone(),
            context.identity.parent_span_id(),
            job.job_id.clone(),
            redactor.clone(),
        );
        Self {
            job,
            slot: 0,
            ended: None,
            run_labels: present(run_labels),
            info_labels,
            resource,
            redactor: redactor.clone(),
            thresholds: context.thresholds.clone(),
            spans,
            records: Records::new(redactor.clone()),
            summary: None,
            running: Vec::new(),
            stages: Stages::new(),
            jobs: Jobs::new(),
            executors: Executors::new(memory.collect(), heap_max),
            log: None,
            ui_gone: None,
            has_ui: false,
            is_list_too_large: false,
        }
    }

    /// Takes what its event log says. Both sources feed the same ledgers, stage by stage, and of what
    /// has ended the log has the last word.
    pub(super) fn read_log(&mut self, report: Report, now: Moment, meter: &mut Meter) {
        let is_alone = !self.has_ui || self.ui_gone.is_some();
        self.spans.add_owners(&report.jobs);
        for ended in self.jobs.record_log(&report.jobs, is_alone, meter) {
            self.spans.job(ended, meter);
        }
        let spans = &mut self.spans;
        self.stages.record_log(&report.stages, meter, |ended, meter| spans.stage(ended, meter));
        self.executors.record_log(report.executors, is_alone);
        self.records.find(&report.findings, now.unix_ms);
        self.summary = report.summary.or(self.summary.take());
        let seen_unix_ms = report.end.map_or(now.unix_ms, |_| report.until_unix_ms);
        self.job.seen_unix_ms = self.job.seen_unix_ms.max(seen_unix_ms);
        self.log = Some(LogState { end: report.end, grown: now.instant });
    }

    /// The end that its log states.
    pub(super) fn log_end(&self) -> Option<(u64, Outcome)> {
        self.log?.end
    }

    /// Notes that its UI is gone. True when that is its end: no log is read that will tell more.
    pub(super) fn lose_ui(&mut self, now: Instant) -> bool {
        let since = *self.ui_gone.get_or_insert(now);
        let is_waited_for = self.log.is_some_and(|log| log.end.is_none());
        !is_waited_for || now.saturating_duration_since(since) >= LOG_END_WAIT
    }

    /// True when it has not ended, and nobody answers for it: its UI is gone, or it never had one and
    /// nothing was written to its log for long.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        let is_log_silent =
            |log: LogState| !self.has_ui && now.saturating_duration_since(log.grown) >= SILENCE_MAX;
        self.is_live() && (self.ui_gone.is_some() || self.log.is_some_and(is_log_silent))
    }

    /// Reads jobs, stages and executors below `base`, the path of this application.
    ///
    /// The first error that concerns the whole UI ends the round; what was read stays counted.
    pub(super) async fn read(
        &mut self,
        base: &str,
        client: &mut Client,
        meter: &mut Meter,
        unix_ms: u64,
    ) -> Result<(), HttpError> {
        let jobs: rest::List<rest::Job> = client.get(&format!("{base}/jobs"), meter).await?;
        (self.has_ui, self.ui_gone) = (true, None);
        let path = format!("{base}/stages?status=active&{SUMMARIES}");
        let active: rest::List<rest::Stage> = client.get(&path, meter).await?;
        self.jobs.record(&jobs, meter);
        self.spans.set_owners(&jobs);
        self.record_stages(&active, unix_ms, meter);
        self.look_at_running(base, &active, client, meter, unix_ms).await?;
        let active = active.iter().map(|stage| stage.stage_id).collect();
        let rereads = !self.is_list_too_large;
        let unread = self.jobs.unread(&jobs, &active, &self.stages, rereads);
        let mut read = BTreeSet::new();
        let stages = self.read_stages(base, &unread, &mut read, client, meter, unix_ms).await;
        if let Err(error) = &stages
            && error.concerns_target()
        {
            return stages;
        }
        for ended in self.jobs.close(&jobs, &self.stages, &read, !self.is_list_too_large) {
            self.spans.job(ended, meter);
        }
        let executors: rest::List<rest::Executor> =
            client.get(&format!("{base}/allexecutors"), meter).await?;
        self.executors.record(executors.0, unix_ms, meter);
        self.job.seen_unix_ms = unix_ms;
        stages
    }

    /// Looks for what is wrong with stages while they run.
    async fn look_at_running(
        &mut self,
        base: &str,
        active: &[rest::Stage],
        client: &mut Client,
        meter: &mut Meter,
        unix_ms: u64,
    ) -> Result<(), HttpError> {
        let mut slow = running::Slow::new();
        for (stage, attempt) in running::worth_a_look(active, unix_ms) {
            let query = "taskList?status=running&sortBy=-runtime&length=1";
            let path = format!("{base}/stages/{stage}/{attempt}/{query}");
            match client.get::<rest::List<rest::Task>>(&path, meter).await {
                Ok(tasks) => slow.extend(tasks.0.into_iter().map(|task| ((stage, attempt), task))),
                Err(error) if error.concerns_target() => return Err(error),
                // It has just ended.
                Err(_) => {}
            }
        }
        self.find(active, &slow, unix_ms);
        self.running = running::samples(active, &slow, unix_ms);
        Ok(())
    }

    /// Reads the stages `unread`, and notes in `read` which of them brought an answer.
    async fn read_stages(
        &mut self,
        base: &str,
        unread: &BTreeSet<u32>,
        read: &mut BTreeSet<u32>,
        client: &mut Client,
        meter: &mut Meter,
        unix_ms: u64,
    ) -> Result<(), HttpError> {
        if unread.len() > STAGE_REQUESTS_MAX && !self.is_list_too_large {
            match client.get::<rest::List<rest::Stage>>(&format!("{base}/stages"), meter).await {
                Ok(listed) => {
                    self.record_stages(&listed, unix_ms, meter);
                    let kept: BTreeSet<u32> = listed.iter().map(|stage| stage.stage_id).collect();
                    for evicted in unread.difference(&kept) {
                        self.stages.give_up(*evicted, meter);
                    }
                    read.extend(unread);
                    return Ok(());
                }
                Err(HttpError::TooLarge(_)) => self.is_list_too_large = true,
                Err(error) => return Err(error),
            }
        }
        let mut failed = Ok(());
        for stage_id in unread.iter().take(STAGE_REQUESTS_MAX) {
            // Without `details=false` the answer holds every task of the stage.
            let path = format!("{base}/stages/{stage_id}?details=false&{SUMMARIES}");
            match client.get::<rest::List<rest::Stage>>(&path, meter).await {
                Ok(attempts) => self.record_stages(&attempts, unix_ms, meter),
                Err(HttpError::NotFound) => self.stages.give_up(*stage_id, meter),
                Err(error) if error.concerns_target() => return Err(error),
                // One stage that cannot be read must not hide all that comes after it.
                Err(error) => {
                    failed = Err(error);
                    continue;
                }
            }
            read.insert(*stage_id);
        }
        meter.cut(Cut::Request, unread.len().saturating_sub(STAGE_REQUESTS_MAX) as u64);
        failed
    }

    fn find(&mut self, stages: &[rest::Stage], slow: &running::Slow, unix_ms: u64) {
        let found = running::find(stages, slow, unix_ms, &self.thresholds, &self.redactor);
        self.records.find(&found, unix_ms);
    }

    fn record_stages(&mut self, stages: &[rest::Stage], unix_ms: u64, meter: &mut Meter) {
        self.find(stages, &running::Slow::new(), unix_ms);
        let spans = &mut self.spans;
        self.stages.record(stages, unix_ms, meter, |ended, meter| spans.stage(ended, meter));
    }

    /// Ends the run, at the time that the engine names or else at the last answer.
    pub(super) fn end(
        &mut self,
        at: Instant,
        end_unix_ms: Option<u64>,
        outcome: Outcome,
        meter: &mut Meter,
    ) {
        self.job.end_unix_ms = Some(end_unix_ms.unwrap_or(self.job.seen_unix_ms));
        self.ended = Some(Ended { at, outcome });
        self.spans.run(&self.job, outcome, meter);
        self.running.clear();
        if let (Some(summary), Some(end_unix_ms)) = (self.summary.take(), self.job.end_unix_ms) {
            self.records.summarize(*summary, end_unix_ms);
        }
    }

    /// Records about it since the last call.
    pub(super) fn take_records(&mut self) -> Option<LogBatch> {
        self.records.take(&self.resource)
    }

    /// Work that ended since the last call.
    pub(super) fn take_spans(&mut self) -> Vec<SpanBatch> {
        self.spans.take()
    }

    /// All samples as of the last answer.
    pub(super) fn batch(&mut self) -> MetricBatch {
        let mut batch = self.empty_batch(self.job.seen_unix_ms);
        let samples = &mut batch.samples;
        samples.push(Sample::number(&JOB_RUN_INFO, self.run_labels.clone(), 1.0));
        samples.push(Sample::number(&APP_INFO, self.info_labels.clone(), 1.0));
        push_state(self, "running", samples);
        let start = self.job.start_unix_ms as f64 / MILLISECONDS;
        samples.push(Sample::number(&JOB_RUN_START, Vec::new(), start));
        if self.ended.is_some() {
            let source = if self.log_end().is_some() { "eventlog" } else { "rest" };
            let labels = vec![("source", Value::literal(source))];
            samples.push(Sample::number(&JOB_FINAL_SNAPSHOT, labels, 1.0));
        }
        self.jobs.push(samples);
        self.stages.push(self.job.seen_unix_ms, samples);
        self.executors.push(samples);
        self.records.push(samples);
        samples.extend(self.running.iter().cloned());
        batch
    }
}

fn present<const N: usize>(
    labels: [(&'static str, Option<Value>); N],
) -> Vec<(&'static str, Value)> {
    labels.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}
