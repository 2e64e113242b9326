//! What lines of a log tell of a job, as counters: events by a fixed list, exceptions by class.
//!
//! The tail thread counts a batch when it hands it over; a scraper reads the counters. A record that is
//! neither a warning nor worse, and is of none of the loggers that tell events at level info, costs a
//! look at its severity and at the end of its logger's name.

use crate::model::{LogBatch, LogRecord, Severity};
use crate::parse::exception::class_len;
use aho_corasick::AhoCorasick;
use memchr::memmem;
use redaction::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

/// Jobs and components that are counted; all others are not, which is told.
const SOURCES_MAX: usize = 512;
/// Pairs of exception and cause of one job and component; all others are counted together.
const EXCEPTIONS_MAX: usize = 20;
/// How far into a record an event is looked for.
const HEAD_BYTES_MAX: usize = 1_024;
/// How far from the end of a record its first cause is looked for.
const TRACE_BYTES_MAX: usize = 64 << 10;
/// Longest name of a class.
const CLASS_BYTES_MAX: usize = 128;
/// Label of all that is over a limit.
const OTHER: &str = "__other__";

/// An event, by what a line of any level from warning on says.
const EVENTS: [(&str, &str); 22] = [
    ("expired before completing", "checkpoint_expired"),
    ("Decline checkpoint", "checkpoint_declined"),
    ("checkpoint was declined", "checkpoint_declined"),
    ("Failed to trigger or complete checkpoint", "checkpoint_failed"),
    ("leadership", "leader_lost"),
    ("no longer reachable", "executor_lost"),
    ("Lost executor", "executor_lost"),
    ("Container killed", "container_killed_memory"),
    ("exceeding memory limits", "container_killed_memory"),
    ("Lost task", "task_lost"),
    ("FetchFailed", "fetch_failed"),
    ("times; aborting job", "stage_aborted"),
    ("GC overhead limit exceeded", "gc_overhead"),
    ("OutOfMemoryError", "oom"),
    ("No space left on device", "disk_full"),
    ("Slow Down", "s3_throttle"),
    ("SlowDown", "s3_throttle"),
    ("ExpiredToken", "auth_expired"),
    ("could not bind on port", "ui_port_shift"),
    ("Dropping event from queue", "listener_drop"),
    ("decommission", "spot_decommission"),
    ("Decommission", "spot_decommission"),
];
/// All words of [`EVENTS`] in one search, as warnings may be many.
static WORDS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasick::new(EVENTS.map(|(words, _)| words)).expect("the words are searched")
});
/// The same for lines of level info: how the name of their logger ends, what they say.
const INFO_EVENTS: [(&str, &str, &str); 7] = [
    ("CheckpointCoordinator", "Completed checkpoint", "checkpoint_completed"),
    ("CheckpointCoordinator", "expired before completing", "checkpoint_expired"),
    ("CheckpointCoordinator", "Decline checkpoint", "checkpoint_declined"),
    ("ExecutionGraph", "switched from state RUNNING to RESTARTING", "job_restart"),
    ("JobMaster", "no longer reachable", "executor_lost"),
    ("LeadershipRunner", "revoked leadership", "leader_lost"),
    ("DAGScheduler", "FetchFailed", "fetch_failed"),
];

/// Whose log it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// `spark`, `flink`
    pub engine: &'static str,
    /// Stable name of the job.
    pub job_name: Value,
    /// `driver`, `taskmanager`, ...; `other` when nobody knows.
    pub component: Value,
}

/// What was counted of one source since the agent began.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// By event.
    pub events: BTreeMap<&'static str, u64>,
    /// By class of the outermost exception and of its first cause, without their packages.
    pub exceptions: BTreeMap<(Value, Value), u64>,
}

/// Records over the limit of sources.
static UNCOUNTED: AtomicU64 = AtomicU64::new(0);
static TABLE: Mutex<BTreeMap<Source, Counts>> = Mutex::new(BTreeMap::new());

/// Counts what `logs` tells. Records of a job without a name are not counted.
pub fn count(logs: &LogBatch) {
    let resource = &logs.resource;
    let (Some(engine), Some(job_name)) = (resource.engine, &resource.job_name) else { return };
    let mut found = logs.records.iter().filter(|record| is_wanted(logs, record)).peekable();
    if found.peek().is_none() {
        return;
    }
    let source = Source {
        engine: engine.as_str(),
        job_name: job_name.clone(),
        component: resource.component.clone().unwrap_or_else(|| Value::literal("other")),
    };
    let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    if !table.contains_key(&source) && table.len() >= SOURCES_MAX {
        UNCOUNTED.fetch_add(found.count() as u64, Ordering::Relaxed);
        return;
    }
    let counts = table.entry(source).or_default();
    for record in found {
        counts.add(logs, record);
    }
}

/// All that was counted.
#[must_use]
pub fn all() -> Vec<(Source, Counts)> {
    let table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    table.iter().map(|(source, counts)| (source.clone(), counts.clone())).collect()
}

/// Records that were not counted, as there are too many jobs.
#[must_use]
pub fn n_uncounted() -> u64 {
    UNCOUNTED.load(Ordering::Relaxed)
}

fn is_wanted(logs: &LogBatch, record: &LogRecord) -> bool {
    record.severity >= Severity::Warn
        || !record.exception_type.is_empty()
        || record.severity == Severity::Info && {
            let logger = logs.text.get(&record.logger);
            INFO_EVENTS.iter().any(|(ending, ..)| logger.ends_with(ending.as_bytes()))
        }
}

impl Counts {
    fn add(&mut self, logs: &LogBatch, record: &LogRecord) {
        let body = logs.text.get(&record.body);
        if let Some(event) = event(record.severity, logs.text.get(&record.logger), body) {
            *self.events.entry(event).or_default() += 1;
        }
        let Some(class) = simple_name(logs.text.get(&record.exception_type)) else { return };
        let cause = first_cause(body).unwrap_or_else(|| class.clone());
        let mut key = (class, cause);
        if !self.exceptions.contains_key(&key) && self.exceptions.len() >= EXCEPTIONS_MAX {
            key = (Value::literal(OTHER), Value::literal(OTHER));
        }
        *self.exceptions.entry(key).or_default() += 1;
    }
}

/// The first event of the list that a record is about.
fn event(severity: Severity, logger: &[u8], body: &[u8]) -> Option<&'static str> {
    let head = &body[..body.len().min(HEAD_BYTES_MAX)];
    if severity >= Severity::Warn {
        let told = WORDS.find_overlapping_iter(head).map(|found| found.pattern().as_usize()).min();
        return told.map(|index| EVENTS[index].1);
    }
    let is_it = |(ending, words, _): &&(&str, &str, _)| {
        logger.ends_with(ending.as_bytes()) && memmem::find(head, words.as_bytes()).is_some()
    };
    INFO_EVENTS.iter().find(is_it).map(|(.., event)| *event)
}

/// The class that the last `Caused by:` of a trace names.
fn first_cause(body: &[u8]) -> Option<Value> {
    const CAUSED_BY: &[u8] = b"Caused by: ";
    let trace = &body[body.len().saturating_sub(TRACE_BYTES_MAX)..];
    let at = memmem::rfind(trace, CAUSED_BY)? + CAUSED_BY.len();
    let line = trace.get(at..)?;
    let line = &line[..line.iter().position(|byte| *byte == b'\n').unwrap_or(line.len())];
    simple_name(&line[..class_len(line)?])
}

/// The name of a class without its package, out of redacted bytes.
fn simple_name(class: &[u8]) -> Option<Value> {
    let name = class.rsplit(|byte| *byte == b'.').next()?;
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$');
    let is_name = (1..=CLASS_BYTES_MAX).contains(&name.len()) && name.iter().all(is_part);
    is_name.then(|| Value::restore(name))
}

#[cfg(test)]
mod tests {
    use super::{Counts, EXCEPTIONS_MAX, OTHER, all, count, event, is_wanted};
    use crate::model::{Engine, LogBatch, LogRecord, Resource, Severity};
    use crate::parse;
    use redaction::{Redactor, Text, Value};
    use std::collections::BTreeMap;
    use std::sync::Arc;

    /// `lines` as the log of the job `name`.
    fn batch(name: &'static str, lines: &[String]) -> LogBatch {
        let (redactor, mut text) = (Redactor::new(), Text::default());
        let mut context = parse::ParseContext::new(jiff::tz::TimeZone::UTC);
        let mut records = Vec::new();
        for line in lines {
            let range = redactor.redact_chunk(line.as_bytes(), &mut text);
            let record = parse::record(&mut text, range, 0, 0, &redactor, &mut context);
            records.push(record.unwrap());
        }
        let resource = Resource {
            job_name: Some(Value::literal(name)),
            engine: Some(Engine::Flink),
            ..Resource::default()
        };
        LogBatch { resource: Arc::new(resource), text, records, covers: None }
    }

    fn counts(name: &str) -> Counts {
        let is_it = |(source, _): &(super::Source, Counts)| &*source.job_name == name;
        all().into_iter().find(is_it).map(|(_, counts)| counts).unwrap_or_default()
    }

    #[test]
    fn lines_of_real_clusters_are_the_events_that_they_tell() {
        let time = "2026-11-22 07:02:58,498";
        let flink = "org.apache.flink.runtime";
        for (line, want) in [
            (format!("{time} INFO  {flink}.checkpoint.CheckpointCoordinator    [] - Completed checkpoint 3 for job 1071759026494a862b45ea336b348bc1 (52 bytes, checkpointDuration=7 ms, finalizationTime=1 ms)."), Some("checkpoint_completed")),
            (format!("{time} INFO  {flink}.checkpoint.CheckpointCoordinator    [] - Triggering checkpoint 4 (type=CheckpointType{{name='Checkpoint'}}) @ 1"), None),
            (format!("{time} WARN  {flink}.checkpoint.CheckpointFailureManager [] - Failed to trigger or complete checkpoint 7 for job 1071759026494a862b45ea336b348bc1. (2 consecutive failed attempts so far)"), Some("checkpoint_failed")),
            (format!("{time} WARN  {flink}.checkpoint.CheckpointFailureManager [] - Failed to trigger or complete checkpoint 7 for job 1. (2 consecutive failed attempts so far)\norg.apache.flink.runtime.checkpoint.CheckpointException: Checkpoint expired before completing."), Some("checkpoint_expired")),
            (format!("{time} INFO  {flink}.executiongraph.ExecutionGraph       [] - Job orders (1071759026494a862b45ea336b348bc1) switched from state RUNNING to RESTARTING."), Some("job_restart")),
            (format!("{time} INFO  {flink}.executiongraph.ExecutionGraph       [] - Job orders (1071759026494a862b45ea336b348bc1) switched from state RESTARTING to RUNNING."), None),
            (format!("{time} INFO  {flink}.jobmaster.JobMaster                 [] - TaskManager with id 127.0.0.1:6122-8cc2cd is no longer reachable."), Some("executor_lost")),
            ("26/11/22 06:33:27 WARN TaskSetManager: Lost task 0.0 in stage 3.0 (TID 4): x".to_owned(), Some("task_lost")),
            ("26/11/22 06:33:27 ERROR TaskSetManager: Task 1 in stage 3.0 failed 4 times; aborting job".to_owned(), Some("stage_aborted")),
            ("26/11/22 06:33:27 ERROR TaskSchedulerImpl: Lost executor 1 on 10.0.0.7: Command exited with code 137".to_owned(), Some("executor_lost")),
            ("26/11/22 06:33:27 WARN Utils: Service 'SparkUI' could not bind on port 4040. Attempting port 4041.".to_owned(), Some("ui_port_shift")),
            ("26/11/22 06:33:27 INFO MyJob: Lost executor in the woods".to_owned(), None),
        ] {
            let logs = batch("events", std::slice::from_ref(&line));
            let record = &logs.records[0];
            let (logger, body) = (logs.text.get(&record.logger), logs.text.get(&record.body));
            assert_eq!(event(record.severity, logger, body), want, "{line}");
            assert!(want.is_none() || is_wanted(&logs, record), "{line}");
        }
    }

    #[test]
    fn exceptions_are_counted_by_class_and_first_cause() {
        let trace = "26/11/22 06:39:27 ERROR Job: failed for jane@example.com\njava.lang.RuntimeException: a\n\tat b.C.d(C.java:1)\nCaused by: java.util.concurrent.ExecutionException: b\n\tat b.C.d(C.java:2)\nCaused by: java.io.IOException: c\n\tat b.C.e(C.java:3)\n";
        let alone = "26/11/22 06:39:27 WARN Job: gone: java.io.IOException: reset\n";
        count(&batch("exceptions", &[trace.to_owned(), alone.to_owned(), alone.to_owned()]));
        let pair = |class, cause| (Value::literal(class), Value::literal(cause));
        let want = BTreeMap::from([
            (pair("RuntimeException", "IOException"), 1),
            (pair("IOException", "IOException"), 2),
        ]);
        assert_eq!(counts("exceptions").exceptions, want);
    }

    #[test]
    fn classes_over_the_limit_are_counted_together_and_quiet_records_not_at_all() {
        let quiet = "26/11/22 06:39:27 INFO Job: all is well\n".to_owned();
        count(&batch("quiet", &[quiet]));
        assert!(all().iter().all(|(source, _)| &*source.job_name != "quiet"));
        let line = |n| format!("26/11/22 06:39:27 WARN Job: gone: a.b.N{n}Exception: x\n");
        let lines: Vec<String> = (0..EXCEPTIONS_MAX + 5).map(line).collect();
        count(&batch("many", &lines));
        let exceptions = counts("many").exceptions;
        assert_eq!(exceptions.len(), EXCEPTIONS_MAX + 1);
        assert_eq!(exceptions.values().sum::<u64>(), (EXCEPTIONS_MAX + 5) as u64);
        assert_eq!(exceptions[&(Value::literal(OTHER), Value::literal(OTHER))], 5);
    }

    #[test]
    fn records_of_a_job_without_a_name_are_not_counted() {
        let mut logs = batch("nameless", &["26/11/22 06:39:27 WARN Job: Lost task\n".to_owned()]);
        logs.resource = Arc::default();
        count(&logs);
        assert!(counts("nameless").events.is_empty());
        assert_eq!(LogRecord::default().severity, Severity::Unspecified);
    }
}
