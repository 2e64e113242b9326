//! What a path and the first bytes of a log file tell of its job.

use crate::checkpoint::Entry;
use crate::model::{Engine, Resource};
use crate::scrape::spark::derived_name;
use memchr::memmem;
use redaction::{Redactor, Value};
use std::collections::HashMap;
use std::path::Path;

/// Bytes of a file that are searched. Spark names its application within the first 40 lines.
pub const HEAD_BYTES: usize = 64 << 10;

/// Longest application name that is taken from a log.
const NAME_BYTES_MAX: usize = 256;

/// Kind of process that writes a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    /// Spark driver.
    Driver,
    /// Spark executor.
    Executor,
    /// Master of a Spark standalone cluster.
    Master,
    /// Worker of a Spark standalone cluster.
    Worker,
    /// Spark History Server.
    History,
    /// Flink JobManager.
    JobManager,
    /// Flink TaskManager.
    TaskManager,
}

impl Component {
    /// As it stands in records.
    #[must_use]
    pub fn value(self) -> Value {
        Value::literal(match self {
            Self::Driver => "driver",
            Self::Executor => "executor",
            Self::Master => "master",
            Self::Worker => "worker",
            Self::History => "history",
            Self::JobManager => "jobmanager",
            Self::TaskManager => "taskmanager",
        })
    }

    /// True for processes that serve many jobs.
    #[must_use]
    pub fn is_daemon(self) -> bool {
        matches!(self, Self::Master | Self::Worker | Self::History)
    }

    fn engine(self) -> Engine {
        match self {
            Self::JobManager | Self::TaskManager => Engine::Flink,
            _ => Engine::Spark,
        }
    }
}

/// Marks in file names. The first that fits wins.
const NAME_MARKS: [(&str, Component); 11] = [
    ("deploy.master.Master", Component::Master),
    ("deploy.worker.Worker", Component::Worker),
    ("history.HistoryServer", Component::History),
    ("-taskexecutor-", Component::TaskManager),
    ("-kubernetes-taskmanager-", Component::TaskManager),
    ("-yarn-taskmanager-", Component::TaskManager),
    ("-kubernetes-session-", Component::JobManager),
    ("-kubernetes-application-", Component::JobManager),
    ("-standalonesession-", Component::JobManager),
    ("-standalonejob-", Component::JobManager),
    ("-jobmanager-", Component::JobManager),
];

/// Marks in the first bytes of a log. The first to stand there wins: a driver's log names executors
/// later, and an executor of Spark 4 says the version too, but after its own name.
const HEAD_MARKS: [(&str, Component); 8] = [
    ("Starting Spark master at", Component::Master),
    ("Starting Spark worker ", Component::Worker),
    ("HistoryServer", Component::History),
    ("Running Spark version", Component::Driver),
    ("CoarseGrainedExecutorBackend", Component::Executor),
    ("runtime.taskexecutor.TaskManagerRunner", Component::TaskManager),
    ("runtime.entrypoint.ClusterEntrypoint", Component::JobManager),
    ("Submitted application:", Component::Driver),
];

/// What processes say when they start: Spark's driver, executors and daemons, a standalone worker of
/// the executor that it launches, and Flink's processes.
const START_MARKS: [&[u8]; 4] = [
    b"Running Spark version ",
    b"Started daemon with process name",
    b"Executor Command: ",
    b" OS current user: ",
];

/// What Spark's JVM says last.
const LAST_WORDS: &[u8] = b"Shutdown hook called";

/// Findings in one file.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Ids and names.
    pub resource: Resource,
    /// Kind of process.
    pub component: Option<Component>,
    /// True when the log says that its process has ended: nobody will answer for it any more.
    pub is_over: bool,
    /// True when the log says that its process has just started.
    pub is_start: bool,
    /// True when it was not found in this file.
    pub is_adopted: bool,
}

impl Evidence {
    /// True for the log of a process that serves many jobs.
    #[must_use]
    pub fn is_daemon(&self) -> bool {
        self.component.is_some_and(Component::is_daemon)
    }

    /// True when the file itself says whose it is.
    #[must_use]
    pub fn names_job(&self) -> bool {
        self.resource.job_id.is_some() && !self.is_daemon() && !self.is_adopted
    }

    /// Takes over what the other output of the same process tells, if this one tells nothing.
    pub fn adopt(&mut self, sibling: Option<&Self>) {
        let is_nameless = self.resource.job_id.is_none() && self.component.is_none();
        if let (true, Some(sibling)) = (is_nameless || self.is_adopted, sibling) {
            *self = Self { is_adopted: true, ..sibling.clone() };
        }
    }

    /// What is known of the process whose log was rotated.
    #[must_use]
    pub fn of(before: &Resource) -> Self {
        let resource = Resource {
            job_id: before.job_id.clone(),
            job_name: before.job_name.clone(),
            engine: before.engine,
            component: before.component.clone(),
            executor_id: before.executor_id.clone(),
            ..Resource::default()
        };
        Self { resource, ..Self::default() }
    }

    /// Takes over what is known of the log that this one goes on with.
    pub fn inherit(&mut self, before: &Self) {
        *self = Self { is_over: self.is_over, is_adopted: true, ..before.clone() };
    }

    /// True when it tells the id of its job, and no name.
    #[must_use]
    pub fn is_nameless_job(&self) -> bool {
        self.resource.job_id.is_some() && self.resource.job_name.is_none()
    }

    /// Takes the name of its job from the log of another process.
    pub fn learn_name(&mut self, job_names: &HashMap<Value, Value>) {
        if let (Some(job_id), None) = (&self.resource.job_id, &self.resource.job_name) {
            self.resource.job_name = job_names.get(job_id).cloned();
        }
    }

    /// Takes over what an earlier run knew of this file.
    pub fn remember(&mut self, redactor: &Redactor, entry: &Entry) {
        let value = |text: &Option<String>| text.as_deref().map(|text| redactor.value(text));
        self.resource.job_id = value(&entry.job_id);
        self.resource.job_name = value(&entry.job_name);
    }

    /// Searches `path` and the first bytes of the file.
    #[must_use]
    pub fn find(redactor: &Redactor, path: &Path, head: &[u8]) -> Self {
        let text = path.to_string_lossy();
        let head = &head[..head.len().min(HEAD_BYTES)];
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let by_name = NAME_MARKS.iter().find(|(mark, _)| name.contains(mark));
        let by_head = || {
            let place = |(mark, _): &&(&str, Component)| memmem::find(head, mark.as_bytes());
            HEAD_MARKS.iter().filter(|mark| place(mark).is_some()).min_by_key(place)
        };
        let mut component = by_name.or_else(by_head).map(|(_, component)| *component);

        let in_path = application_id(text.as_bytes());
        let standalone = in_path.and_then(|id| executor_in_path(&text, id));
        if standalone.is_some() {
            component = Some(Component::Executor);
        }
        let executor_id = match component {
            Some(Component::Driver) => Some("driver"),
            Some(Component::Executor) => standalone.or_else(|| executor_in_head(head)),
            _ => None,
        };
        let id = in_path.map(str::to_owned).or_else(|| container_application(text.as_bytes()));
        let id = id.or_else(|| application_id(head).map(str::to_owned));
        // An application of YARN may be a cluster of Flink, whose jobs have ids of their own.
        let is_flink = component.is_some_and(|it| it.engine() == Engine::Flink);
        let id = id.filter(|_| !is_flink);
        let engine = component.map(Component::engine).or(id.as_ref().map(|_| Engine::Spark));
        let (namespace, pod) = pod_in_path(path).unzip();
        let resource = Resource {
            run_context: namespace.map(|it| redactor.value(it)),
            host: pod.map(|it| redactor.value(it)),
            job_id: id.map(|id| redactor.value(&id)),
            job_name: application_name(head).map(|name| derived_name(&name, redactor)),
            engine,
            component: component.map(Component::value),
            executor_id: executor_id.map(|id| redactor.value(id)),
            ..Resource::default()
        };
        let is_over = memmem::find(head, LAST_WORDS).is_some();
        let is_start = START_MARKS.iter().any(|mark| memmem::find(head, mark).is_some());
        Self { resource, component, is_over, is_start, is_adopted: false }
    }
}

/// First application id of YARN, standalone, local mode or Kubernetes.
fn application_id(text: &[u8]) -> Option<&str> {
    let shapes: [(&str, &[Part]); 4] = [
        ("application_", &[Part::Digits(10, 20), Part::Byte(b'_'), Part::Digits(4, 10)]),
        ("app-", &[Part::Digits(14, 14), Part::Byte(b'-'), Part::Digits(4, 8)]),
        ("local-", &[Part::Digits(13, 13)]),
        ("spark-", &[Part::Hex(32)]),
    ];
    let mut first: Option<(usize, usize)> = None;
    for (prefix, parts) in shapes {
        for at in memmem::find_iter(text, prefix) {
            if let Some(length) = matched(&text[at + prefix.len()..], parts) {
                if first.is_none_or(|(start, _)| at < start) {
                    first = Some((at, at + prefix.len() + length));
                }
                break;
            }
        }
    }
    first.and_then(|(start, end)| std::str::from_utf8(&text[start..end]).ok())
}

enum Part {
    Digits(usize, usize),
    Hex(usize),
    Byte(u8),
}

/// Length of the text that fits all parts and ends at the end of a word.
fn matched(text: &[u8], parts: &[Part]) -> Option<usize> {
    let mut at = 0;
    for part in parts {
        let rest = &text[at..];
        let run = |is: fn(&u8) -> bool| rest.iter().take_while(|byte| is(byte)).count();
        at += match part {
            Part::Byte(byte) => (rest.first() == Some(byte)).then_some(1)?,
            Part::Digits(least, most) => {
                let digits = run(u8::is_ascii_digit);
                (*least..=*most).contains(&digits).then_some(digits)?
            }
            Part::Hex(exactly) => {
                let digits = run(u8::is_ascii_hexdigit);
                (digits == *exactly).then_some(digits)?
            }
        };
    }
    (!text.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric())).then_some(at)
}

/// Namespace and pod of `…/pods/NAMESPACE_POD_UID/CONTAINER/0.log`, as the kubelet names its folders.
/// Neither name may hold a `_`.
fn pod_in_path(path: &Path) -> Option<(&str, &str)> {
    let mut folders = path.iter().filter_map(|it| it.to_str()).skip_while(|it| *it != "pods");
    let mut parts = folders.nth(1)?.split('_');
    let (namespace, pod, uid) = (parts.next()?, parts.next()?, parts.next()?);
    let is_uid = uid.len() >= 32 && uid.bytes().all(|it| it.is_ascii_hexdigit() || it == b'-');
    (is_uid && parts.next().is_none()).then_some((namespace, pod))
}

/// `container_[eNN_]TIMESTAMP_SEQUENCE_ATTEMPT_NUMBER` names its application too.
fn container_application(text: &[u8]) -> Option<String> {
    let at = memmem::find(text, b"container_")? + b"container_".len();
    let end =
        text[at..].iter().position(|byte| *byte == b'/').map_or(text.len(), |slash| at + slash);
    let name = std::str::from_utf8(&text[at..end]).ok()?;
    let mut parts: Vec<&str> = name.split('_').collect();
    if parts.first().is_some_and(|epoch| epoch.starts_with('e')) {
        parts.remove(0);
    }
    let is_number =
        |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    (parts.len() == 4 && parts.iter().all(is_number))
        .then(|| format!("application_{}_{}", parts[0], parts[1]))
}

/// `…/app-ID/EXECUTOR/stderr` of a standalone worker.
fn executor_in_path<'a>(path: &'a str, id: &str) -> Option<&'a str> {
    let after = path.split_once(id)?.1.strip_prefix('/')?;
    let executor = after.split('/').next()?;
    (!executor.is_empty() && executor.bytes().all(|byte| byte.is_ascii_digit())).then_some(executor)
}

/// `"--executor-id" "3"` of the launch command, or `Starting executor ID 3 on host`.
fn executor_in_head(head: &[u8]) -> Option<&str> {
    let marks: [&[u8]; 2] = [b"--executor-id", b"Starting executor ID "];
    let mut found = marks.iter().filter_map(|mark| Some(memmem::find(head, mark)? + mark.len()));
    let rest = &head[found.next()?..];
    let start = rest.iter().take(4).position(u8::is_ascii_digit)?;
    let length = rest[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[start..start + length]).ok()
}

/// `Submitted application: NAME` of the driver.
fn application_name(head: &[u8]) -> Option<String> {
    let mark = b"Submitted application: ";
    let start = memmem::find(head, mark)? + mark.len();
    let rest = &head[start..(start + NAME_BYTES_MAX).min(head.len())];
    let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r' | b'"'))?;
    Some(String::from_utf8_lossy(&rest[..end]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::{Evidence, application_id};
    use redaction::Redactor;
    use std::path::Path;

    #[track_caller]
    fn check(path: &str, head: &str, want: [Option<&str>; 3]) {
        let found = Evidence::find(&Redactor::new(), Path::new(path), head.as_bytes()).resource;
        let found = [found.job_id, found.component, found.executor_id];
        assert_eq!(found.each_ref().map(|value| value.as_deref()), want, "{path} {head}");
    }

    #[test]
    fn paths_and_first_lines_tell_who_writes() {
        let app = "app-20261122063935-0000";
        let executor = [Some(app), Some("executor"), Some("2")];
        check(
            "/var/worker/app-20261122063935-0000/2/stderr",
            "INFO SparkContext: Running Spark version",
            executor,
        );
        let launch = "Spark Executor Command: CoarseGrainedExecutorBackend \"--executor-id\" \"2\" \
                      \"--app-id\" \"app-20261122063935-0000\"\nRunning Spark version 4.3.0";
        check("/logs/executor.log", launch, executor);
        let driver = "Running Spark version 3.5.9\nConnected to Spark cluster with app ID \
                      app-20261122063935-0000\nlaunching CoarseGrainedExecutorBackend";
        check("/logs/driver.log", driver, [Some(app), Some("driver"), Some("driver")]);
        let container =
            "/yarn/application_1700000000000_0001/container_1700000000000_0001_01_000002/stderr";
        check(container, "", [Some("application_1700000000000_0001"), None, None]);
        check(
            "/yarn/container_e17_1700000000000_0001_01_000002/stderr",
            "",
            [Some("application_1700000000000_0001"), None, None],
        );
        let worker = "/logs/spark-etl-org.apache.spark.deploy.worker.Worker-1-host.out";
        check(worker, launch, [Some(app), Some("worker"), None]);
    }

    #[test]
    fn logs_of_flink_are_known_by_name_or_head_and_have_no_id_of_yarn() {
        for (path, component) in [
            ("/opt/flink/log/flink-etl-standalonesession-0-host.log", "jobmanager"),
            ("/opt/flink/log/flink--taskexecutor-1-host.out", "taskmanager"),
            ("/opt/flink/log/flink--kubernetes-taskmanager-0-pod.log", "taskmanager"),
            ("/opt/flink/log/flink--kubernetes-application-0-pod.log", "jobmanager"),
        ] {
            check(path, "", [None, Some(component), None]);
        }
        let container = "/yarn/application_1700000000000_0001/container_1700000000000_0001_01_000002/taskmanager.log";
        let head = "INFO org.apache.flink.runtime.taskexecutor.TaskManagerRunner [] - -----";
        check(container, head, [None, Some("taskmanager"), None]);
    }

    #[test]
    fn only_whole_ids_count() {
        for text in
            ["app-2026112206393-0000", "local-123", "xapplication_1_1", "spark-0123456789abcdef0"]
        {
            assert_eq!(application_id(text.as_bytes()), None, "{text}");
        }
        let id = "spark-0123456789abcdef0123456789abcdef";
        assert_eq!(application_id(format!("a {id} b").as_bytes()), Some(id));
        assert_eq!(application_id(b"local-1795329177046.inprogress"), Some("local-1795329177046"));
    }
}
