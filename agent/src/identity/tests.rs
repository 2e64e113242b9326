//! Who goes before whom, and what is derived.

use super::{Identity, Written};
use crate::config;
use crate::model::{Engine, Resource};
use crate::scrape::Job;
use redaction::{Redactor, Value};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const APP: &str = "app-20261122063935-0000";
const LABELS: &str = "spark-app-selector=\"app-20261122063935-0000\"\nspark-app-name=\"pod-name\"\n\
                      spark-role=\"executor\"\nspark-exec-id=\"7\"\n";

fn job(id: &'static str, start_unix_ms: u64) -> Job {
    Job {
        engine: Engine::Spark,
        job_id: Value::literal(id),
        job_name: Value::literal("rest-name"),
        attempt: None,
        run_id: Value::literal("rest-run"),
        user_id: Some(Value::literal("rest-user")),
        start_unix_ms,
        end_unix_ms: None,
        seen_unix_ms: 1_000,
        properties: BTreeMap::from([
            ("spark.sidelight.run_context", Value::literal("rest-context")),
            (
                "spark.openlineage.rootParentRunId",
                Value::literal("01020304-0506-0708-090a-0b0c0d0e0f10"),
            ),
        ]),
    }
}

/// What the operator gave, the environment, the pod's labels, the head of the log, and the jobs.
struct Sources<'a> {
    given: config::Job,
    environment: &'a [(&'a str, &'a str)],
    labels: &'a str,
    path: &'a str,
    head: &'a str,
    jobs: &'a [Job],
}

impl Default for Sources<'_> {
    fn default() -> Self {
        let given = config::Job::default();
        Self { given, environment: &[], labels: "", path: "/logs/driver.log", head: "", jobs: &[] }
    }
}

impl Sources<'_> {
    fn resource(&self) -> Resource {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment = self.environment.iter().map(own).collect();
        let redactor = Arc::new(Redactor::new());
        let identity = Identity::new(redactor, &self.given, &environment, self.labels);
        let path = Path::new(self.path);
        let evidence = identity.evidence(path, self.head.as_bytes());
        let written = Written { since_unix_ms: 900, until_unix_ms: 1_000 };
        identity.resource(path, &evidence, self.jobs, written)
    }
}

fn texts<const N: usize>(values: [&Option<Value>; N]) -> [Option<&str>; N] {
    values.map(|value| value.as_deref())
}

#[test]
fn the_operator_goes_before_kubernetes_and_both_before_rest() {
    let mut sources = Sources { jobs: &[job(APP, 500)], ..Sources::default() };
    let names = |it: &Resource| {
        let found = texts([&it.job_name, &it.run_context, &it.user_id]);
        found.map(|text| text.map(str::to_owned))
    };
    let want = |texts: [&str; 3]| texts.map(|text| Some(text.to_owned()));
    let rest = sources.resource();
    assert_eq!(names(&rest), want(["rest-name", "rest-context", "rest-user"]));
    sources.environment = &[("POD_NAMESPACE", "team-a"), ("SPARK_USER", "pod-user")];
    sources.labels = LABELS;
    let pod = sources.resource();
    assert_eq!(names(&pod), want(["pod-name", "team-a", "pod-user"]));
    assert_eq!(texts([&pod.component, &pod.executor_id]), [Some("executor"), Some("7")]);
    sources.given.job_name = Some("given-name".to_owned());
    sources.given.run_context = Some("prod".to_owned());
    let given = sources.resource();
    assert_eq!(names(&given), want(["given-name", "prod", "pod-user"]));
}

#[test]
fn a_name_in_the_log_is_only_used_while_nobody_knows_a_stable_one() {
    let head = "INFO SparkContext: Submitted application: nightly-2026-11-22\n\
                INFO Executor: application id app-20261122063935-0000\n";
    let mut sources = Sources { head, ..Sources::default() };
    let alone = sources.resource();
    assert_eq!(texts([&alone.job_id, &alone.job_name]), [Some(APP), Some("nightly")]);
    let jobs = [job(APP, 500)];
    sources.jobs = &jobs;
    let known = sources.resource();
    assert_eq!(texts([&known.job_id, &known.job_name]), [Some(APP), Some("rest-name")]);
}

#[test]
fn a_log_without_ids_belongs_to_the_only_job_that_can_have_written_it() {
    let check = |jobs: &[Job], want: Option<&str>| {
        let found = Sources { jobs, ..Sources::default() }.resource();
        assert_eq!(found.job_id.as_deref(), want);
    };
    check(&[job(APP, 500)], Some(APP));
    check(&[job(APP, 1_001)], None);
    check(&[job(APP, 500), job("local-1795329177046", 600)], None);
    check(&[job(APP, 1_001), job("local-1795329177046", 600)], Some("local-1795329177046"));
    // The file came into being after that run had ended.
    check(&[Job { end_unix_ms: Some(899), ..job(APP, 500) }], None);
    check(&[Job { end_unix_ms: Some(950), ..job(APP, 500) }], Some(APP));
    // Nobody has heard of that run since the file came into being: another may write it.
    check(&[Job { seen_unix_ms: 899, ..job(APP, 500) }], None);
}

#[test]
fn the_name_that_a_log_states_decides_between_jobs() {
    let other = Job { job_name: Value::literal("nightly"), ..job("local-1795329177046", 600) };
    let head = "INFO SparkContext: Submitted application: nightly_20261122\n";
    let found = Sources { head, jobs: &[job(APP, 500), other], ..Sources::default() }.resource();
    assert_eq!(found.job_id.as_deref(), Some("local-1795329177046"));
}

#[test]
fn trace_ids_come_from_the_caller_then_from_lineage_then_from_the_run() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let jobs = [job(APP, 500)];
    let check = |sources: Sources<'_>, origin: &str, trace_id: Option<&str>| {
        let found = sources.resource();
        assert_eq!(found.trace_id_origin.as_deref(), Some(origin));
        assert!(trace_id.is_none() || found.trace_id.as_deref() == trace_id, "{found:?}");
        found.trace_id
    };
    let environment = &[("TRACEPARENT", parent)];
    let called = Sources { environment, jobs: &jobs, ..Sources::default() };
    check(called, "traceparent", Some("4bf92f3577b34da6a3ce929d0e0e4736"));
    let lineage = Sources { jobs: &jobs, ..Sources::default() };
    check(lineage, "openlineage", Some("0102030405060708090a0b0c0d0e0f10"));
    // Driver and executor know only the application, and still agree.
    let driver = Sources { head: "app-20261122063935-0000", ..Sources::default() };
    let path = "/var/worker/app-20261122063935-0000/1/stderr";
    let executor = Sources { path, ..Sources::default() };
    assert_eq!(check(driver, "derived", None), check(executor, "derived", None));
}

#[test]
fn a_worker_that_serves_many_jobs_belongs_to_none() {
    let path = "/logs/spark-etl-org.apache.spark.deploy.worker.Worker-1-host.out";
    let head = "Launch command: CoarseGrainedExecutorBackend --app-id app-20261122063935-0000";
    let jobs = [job(APP, 500)];
    let found = Sources { path, head, jobs: &jobs, ..Sources::default() }.resource();
    assert_eq!(texts([&found.job_id, &found.component]), [None, Some("worker")]);
}

#[test]
fn everything_that_is_given_is_redacted() {
    let given = config::Job {
        source_data_path: Some("s3://etl:hunter2secret@lake/orders".to_owned()),
        user_id: Some("jane.doe@example.com".to_owned()),
        ..config::Job::default()
    };
    let path = "/logs/jane.doe@example.com/driver.log";
    let environment = &[("SPARK_APPLICATION_ID", APP), ("POD_NAME", "pod-203.0.113.42")];
    let found =
        format!("{:?}", Sources { given, path, environment, ..Sources::default() }.resource());
    for secret in ["hunter2secret", "jane.doe"] {
        assert!(!found.contains(secret), "{found}");
    }
    assert!(found.contains(APP) && found.contains("[EMAIL]"), "{found}");
}

#[test]
fn the_last_lines_of_a_job_keep_its_run_when_nobody_answers_for_it_any_more() {
    let jobs = [job(APP, 0)];
    let head = "Connected to Spark cluster with app ID app-20261122063935-0000";
    let known = Sources { head, jobs: &jobs, ..Sources::default() }.resource();
    let rotated = Sources { head, path: "/logs/driver.log.1", ..Sources::default() }.resource();
    assert_ne!(rotated.run_id, known.run_id, "REST knew better");
    let mut kept = rotated.clone();
    kept.keep(&known, &[]);
    assert_eq!(kept, Resource { file: rotated.file.clone(), ..known.clone() });
    let mut other = Resource { job_id: Some(Value::literal("app-2")), ..rotated };
    other.keep(&known, &[]);
    assert_eq!(other.job_id.as_deref(), Some("app-2"));
}

#[test]
fn a_log_in_the_folder_of_a_pod_is_of_that_pod_and_not_of_the_agents_own() {
    let uid = "0a1b2c3d-0000-4000-8000-0123456789ab";
    let of = |folder: &str, given: config::Job| {
        let path = format!("/var/log/pods/{folder}/spark-kubernetes-driver/0.log");
        let environment = [("POD_NAMESPACE", "sidelight"), ("NODE_NAME", "node-1")];
        let sources =
            Sources { given, environment: &environment, path: &path, ..Sources::default() };
        let resource = sources.resource();
        let text = |value: &Option<Value>| value.as_ref().unwrap().to_string();
        (text(&resource.host), text(&resource.run_context))
    };
    let pair = |host: &str, context: &str| (host.to_owned(), context.to_owned());
    let job = config::Job::default;
    assert_eq!(of(&format!("etl_orders-driver_{uid}"), job()), pair("orders-driver", "etl"));
    let given = config::Job { run_context: Some("prod".to_owned()), ..job() };
    assert_eq!(of(&format!("etl_orders-driver_{uid}"), given), pair("orders-driver", "prod"));
    for other in ["etl_orders-driver".to_owned(), format!("a_b_c_{uid}"), "a_b_c".to_owned()] {
        assert_eq!(of(&other, job()), pair("node-1", "sidelight"), "{other}");
    }
}
