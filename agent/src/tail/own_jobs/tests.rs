//! Lines of two jobs in the log of one TaskManager.

use super::{JOBS_MAX, OwnJobs};
use crate::config;
use crate::identity::Identity;
use crate::model::{Engine, FileId, LogBatch, Position, Resource};
use crate::parse::ParseContext;
use crate::scrape::Job;
use crate::tail::batch::{BatchLimits, Chunk, OpenBatch};
use redaction::{Redactor, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const ONE: &str = "1071759026494a862b45ea336b348bc1";
const TWO: &str = "7a655273339babc924085718c74d7c33";

/// One part: job, its name and trace, the bodies, and how far it settles.
type Part = (Option<String>, Option<String>, Option<String>, Vec<String>, u64);

fn job(id: &'static str, name: &'static str) -> Job {
    Job {
        engine: Engine::Flink,
        job_id: Value::literal(id),
        job_name: Value::literal(name),
        attempt: None,
        run_id: Value::literal(id),
        user_id: None,
        start_unix_ms: 0,
        end_unix_ms: None,
        seen_unix_ms: 0,
        properties: BTreeMap::new(),
    }
}

/// What becomes of a file of `file` with these lines, each of which is a record.
fn parts(file: Resource, given: &config::Job, jobs: Vec<Job>, lines: &[String]) -> Vec<Part> {
    let redactor = Arc::new(Redactor::new());
    let identity = Identity::new(redactor.clone(), given, &BTreeMap::new(), "");
    let (_keep, jobs) = watch::channel(Arc::new(jobs));
    let mut own_jobs = OwnJobs::new(Arc::new(identity), jobs);
    let limits = BatchLimits {
        bytes_max: 1 << 20,
        records_max: 1_000,
        age_max: Duration::ZERO,
        open_bytes_max: 1 << 20,
    };
    let bytes = lines.concat().into_bytes();
    let mut starts = vec![0];
    starts.extend(lines.iter().scan(0, |end, line| {
        *end += line.len() as u32;
        Some(*end)
    }));
    let chunk = Chunk {
        bytes: &bytes,
        starts: &starts[..lines.len()],
        origin: &crate::tail::stream::Origin::at(100),
        framed: None,
        is_all: true,
        cuts: &[],
        observed_unix_ns: 1,
        now: std::time::Instant::now(),
    };
    let (mut parts, mut covered, mut offsets) = (Vec::new(), 100, Vec::new());
    let mut take = |logs: LogBatch, position: Position| {
        let text = |value: &Option<Value>| value.as_deref().map(str::to_owned);
        let body = |range| String::from_utf8_lossy(logs.text.get(range)).into_owned();
        let covers = logs.covers.unwrap();
        assert_eq!(covers.from, covered, "coverage goes on without a gap");
        covered = covers.to;
        offsets.extend(logs.records.iter().map(|record| record.offset));
        let resource = &logs.resource;
        parts.push((
            text(&resource.job_id),
            text(&resource.job_name),
            text(&resource.trace_id),
            logs.records.iter().map(|record| body(&record.body)).collect(),
            position.offset,
        ));
        Ok(())
    };
    let mut emit = |logs, position| own_jobs.hand_over(logs, position, &mut take);
    let mut batch = OpenBatch::new(Arc::new(file), redactor, 100, Vec::new());
    let mut context = ParseContext::new(jiff::tz::TimeZone::UTC);
    batch.add(chunk, FileId(1), &mut context, limits, &mut emit).unwrap();
    batch.seal(FileId(1), &mut emit).unwrap();
    assert_eq!(covered, 100 + bytes.len() as u64);
    offsets.sort_unstable();
    let wanted: Vec<u64> = starts[..lines.len()].iter().map(|at| 100 + u64::from(*at)).collect();
    assert_eq!(offsets, wanted, "every record once, with its own offset");
    parts
}

fn ecs(job: &str, message: &str) -> String {
    format!(
        "{{\"@timestamp\":\"2026-11-22T07:10:05.311Z\",\"log.level\":\"INFO\",\"message\":\"{message}\",\"flink-job-id\":\"{job}\"}}\n"
    )
}

/// As configs/log4j has it for Flink 2.
fn json(job: &str, message: &str) -> String {
    format!(
        "{{\"ts\":\"2026-11-22T07:10:05.311Z\",\"level\":\"INFO\",\"msg\":\"{message}\",\"context\":{{\"flink-job-id\":\"{job}\"}}}}\n"
    )
}

/// As configs/log4j has it for Flink 1.
fn plain(job: &str, message: &str) -> String {
    format!("2026-11-22T07:10:05.311Z INFO  [main] com.acme.Job [{job}] - {message}\n")
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn each_record_bears_its_own_job_in_every_layout_and_what_names_none_bears_none() {
    for line in [ecs, json, plain] {
        let lines = [
            line(ONE, "a of one@example.com \\u0041"),
            line(TWO, "b"),
            line("", "registered"),
            line(ONE, "c"),
        ];
        let jobs = vec![job(ONE, "orders"), job(TWO, "users")];
        let parts = parts(Resource::default(), &config::Job::default(), jobs, &lines);
        let end = 100 + lines.concat().len() as u64;
        let a = parts[0].3[0].clone();
        assert!(a.starts_with("a of [EMAIL]"), "{a}");
        assert_eq!(
            parts,
            [
                (some(ONE), some("orders"), some(ONE), vec![a, "c".to_owned()], 0),
                (some(TWO), some("users"), some(TWO), vec!["b".to_owned()], 0),
                (None, None, None, vec!["registered".to_owned()], end),
            ],
            "only the last part settles the bytes of all"
        );
    }
}

#[test]
fn a_job_that_no_jobmanager_has_told_yet_is_borne_without_a_name() {
    let parts = parts(Resource::default(), &config::Job::default(), vec![], &[plain(ONE, "a")]);
    let end = 100 + plain(ONE, "a").len() as u64;
    assert_eq!(parts, [(some(ONE), None, some(ONE), vec!["a".to_owned()], end)]);
}

#[test]
fn records_of_the_job_that_the_file_has_stay_together_with_the_others() {
    let file = Resource { job_id: Some(Value::literal(ONE)), ..Resource::default() };
    let lines = [plain(ONE, "a"), plain("", "b")];
    let parts = parts(file, &config::Job::default(), vec![job(ONE, "orders")], &lines);
    assert_eq!(parts.len(), 1);
    assert_eq!((&parts[0].0, parts[0].3.len()), (&some(ONE), 2));
}

#[test]
fn the_word_of_the_operator_goes_before_that_of_the_log() {
    let given = config::Job { job_id: some("mine"), ..config::Job::default() };
    let file = Resource { job_id: Some(Value::literal("mine")), ..Resource::default() };
    let parts = parts(file, &given, vec![], &[plain(ONE, "a")]);
    assert_eq!(parts[0].0, some("mine"));
}

#[test]
fn jobs_over_the_limit_are_borne_by_none_of_their_records() {
    let lines: Vec<String> =
        (1..=JOBS_MAX + 3).map(|number| plain(&format!("{number:032x}"), "a")).collect();
    let parts = parts(Resource::default(), &config::Job::default(), vec![], &lines);
    assert_eq!(parts.len(), JOBS_MAX + 1);
    assert_eq!(parts.last().unwrap().3.len(), 3);
}
