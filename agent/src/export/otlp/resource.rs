//! What a batch says of who wrote it: attributes of an OTLP resource.
//!
//! Names are those of OpenTelemetry's semantic conventions; what they have no name for stands under
//! `spark.`, `flink.`, `yarn.` and `sidelight.`. What the operator says in `OTEL_RESOURCE_ATTRIBUTES`
//! and `OTEL_SERVICE_NAME` goes before what the agent finds out.

use super::environment::pairs;
use crate::model::{Engine, MetricBatch, Resource};
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource as OtlpResource;
use redaction::{Redactor, Value};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Version of the conventions whose names are used.
pub(super) const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.40.0";

/// Where an agent says that it is, by variable: those of the downward API as Kubernetes' own
/// documentation calls them.
const VARIABLES: [(&str, &str); 4] = [
    ("POD_NAME", "k8s.pod.name"),
    ("POD_NAMESPACE", "k8s.namespace.name"),
    ("POD_UID", "k8s.pod.uid"),
    (NODE, "k8s.node.name"),
];
const NODE: &str = "NODE_NAME";
/// Where AWS says in which region a process is, first the one that goes first.
const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];
/// Where each node of an EMR cluster says which cluster that is.
const EMR_JOB_FLOW: &str = "/mnt/var/lib/info/job-flow.json";
/// It has some hundred bytes.
const EMR_JOB_FLOW_BYTES_MAX: u64 = 1 << 20;

/// What is the same for all that this agent sends.
#[derive(Debug, Clone, Default)]
pub(super) struct Given {
    /// Of the operator: these win.
    said: Vec<(String, String)>,
    /// Of the pod in which the agent runs.
    pod: Vec<(String, String)>,
    /// Of the account and the cluster.
    cloud: Vec<(String, String)>,
    /// Which process this is: in Kubernetes its pod, of which a node has many.
    host: Option<String>,
    /// The node of Kubernetes, where one is named: also what a DaemonSet reads was written there.
    node: Option<String>,
}

impl Given {
    /// Reads the environment; `ignore` hears what is wrong in it.
    pub(super) fn new(
        variable: &dyn Fn(&str) -> Option<String>,
        ignore: &mut dyn FnMut(String),
    ) -> Self {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let attributes = variable("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        let mut said = pairs(&attributes).unwrap_or_else(|| {
            ignore("OTEL_RESOURCE_ATTRIBUTES: must be like name=value,other=value".to_owned());
            Vec::new()
        });
        if let Some(name) = variable("OTEL_SERVICE_NAME") {
            said.retain(|(key, _)| key != "service.name");
            said.push(("service.name".to_owned(), name.trim().to_owned()));
        }
        let pod = VARIABLES
            .into_iter()
            .filter_map(|(name, key)| Some((key.to_owned(), variable(name)?)))
            .collect();
        let region = REGIONS.into_iter().find_map(variable);
        let cloud = cloud(region, emr_cluster(Path::new(EMR_JOB_FLOW)));
        Self { said, pod, cloud, host: crate::identity::host(), node: variable(NODE) }
    }

    /// The same without what `redactor` finds.
    pub(super) fn redacted(&self, redactor: &Redactor) -> Self {
        let pairs = |pairs: &[(String, String)]| {
            let redacted = |(key, value): &(String, String)| {
                (redactor.value(key).to_string(), redactor.value(value).to_string())
            };
            pairs.iter().map(redacted).collect()
        };
        Self {
            said: pairs(&self.said),
            pod: pairs(&self.pod),
            cloud: pairs(&self.cloud),
            host: self.host.as_deref().map(|host| redactor.value(host).to_string()),
            node: self.node.as_deref().map(|node| redactor.value(node).to_string()),
        }
    }

    /// Of log records of one file.
    pub(super) fn of_logs(&self, resource: &Resource) -> OtlpResource {
        let mut attributes = Attributes::default();
        self.add_operator(&mut attributes);
        let engine = resource.engine;
        let name = resource.job_name.as_deref().filter(|name| !name.is_empty());
        attributes.add_service(name, engine.map(Engine::as_str));
        attributes.add("service.instance.id", instance(resource).as_deref());
        attributes.add("host.name", self.node.as_deref().or(resource.host.as_deref()));
        self.add_cloud(&mut attributes);
        let path = resource.file.as_deref().unwrap_or_default();
        let pod = pod_of_path(path);
        if pod.is_empty() {
            self.add_pod(&mut attributes);
        }
        pod.iter().for_each(|(key, value)| attributes.add(key, Some(value)));
        let job_id = resource.job_id.as_deref();
        attributes.add("sidelight.job_id", job_id);
        match engine {
            Some(Engine::Spark) => {
                attributes.add("spark.app.id", job_id);
                attributes.add("spark.executor.id", resource.executor_id.as_deref());
            }
            Some(Engine::Flink) => attributes.add("flink.job.id", job_id),
            None => attributes.add("sidelight.executor_id", resource.executor_id.as_deref()),
        }
        attributes.add("yarn.application.id", job_id.filter(|id| id.starts_with("application_")));
        attributes.add("yarn.container.id", yarn_container(path));
        attributes.add("sidelight.engine", engine.map(Engine::as_str));
        attributes.add("sidelight.job_name", resource.job_name.as_deref());
        attributes.add("sidelight.run_id", resource.run_id.as_deref());
        attributes.add("sidelight.user_id", resource.user_id.as_deref());
        attributes.add("sidelight.run_context", resource.run_context.as_deref());
        attributes.add("sidelight.source_data_path", resource.source_data_path.as_deref());
        attributes.add("sidelight.component", resource.component.as_deref());
        attributes.add("sidelight.trace_id_origin", resource.trace_id_origin.as_deref());
        attributes.add("log.file.path", resource.file.as_deref());
        attributes.add("sidelight.file_id", resource.file_id.as_deref());
        attributes.into_resource()
    }

    /// Of samples of one job. Nothing in it differs between two runs of the job, so that series go
    /// on: which run it is says `job_run_info`.
    pub(super) fn of_metrics(&self, batch: &MetricBatch) -> OtlpResource {
        let mut attributes = Attributes::default();
        let label = |name: &str| {
            let found = batch.labels.iter().find(|(label, _)| *label == name);
            found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
        };
        self.add_operator(&mut attributes);
        attributes.add_service(label("job_name"), label("engine"));
        let host = self.host.as_deref();
        let instance = match (host, label("slot")) {
            (Some(host), Some(slot)) => Some(format!("{host}/{slot}")),
            (host, slot) => host.or(slot).map(str::to_owned),
        };
        attributes.add("service.instance.id", instance.as_deref());
        attributes.add("host.name", self.node.as_deref().or(host));
        self.add_cloud(&mut attributes);
        self.add_pod(&mut attributes);
        attributes.add("sidelight.engine", label("engine"));
        attributes.into_resource()
    }

    fn add_operator(&self, attributes: &mut Attributes) {
        self.said.iter().for_each(|(key, value)| attributes.add(key, Some(value)));
    }

    fn add_cloud(&self, attributes: &mut Attributes) {
        self.cloud.iter().for_each(|(key, value)| attributes.add(key, Some(value)));
    }

    fn add_pod(&self, attributes: &mut Attributes) {
        self.pod.iter().for_each(|(key, value)| attributes.add(key, Some(value)));
    }
}

/// What is known of the cloud, from its region and the id of an EMR cluster.
fn cloud(region: Option<String>, cluster: Option<String>) -> Vec<(String, String)> {
    let is_aws = region.is_some() || cluster.is_some();
    let pair = |key: &str, value: Option<String>| Some((key.to_owned(), value?));
    [
        pair("cloud.provider", is_aws.then(|| "aws".to_owned())),
        pair("cloud.platform", cluster.as_ref().map(|_| "aws_ec2".to_owned())),
        pair("cloud.region", region),
        pair("emr.cluster.id", cluster),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The cluster that a node of EMR is of.
fn emr_cluster(path: &Path) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct JobFlow {
        #[serde(rename = "jobFlowId")]
        id: String,
    }
    let mut json = Vec::new();
    File::open(path).ok()?.take(EMR_JOB_FLOW_BYTES_MAX).read_to_end(&mut json).ok()?;
    let flow: JobFlow = serde_json::from_slice(&json).ok()?;
    let is_id = flow.id.strip_prefix("j-")?.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (is_id && flow.id.len() <= 64).then_some(flow.id)
}

/// The scope of everything that is sent.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "sidelight".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

/// Attributes, none twice: the first one stays.
#[derive(Debug, Default)]
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn add(&mut self, key: &str, value: Option<&str>) {
        let Some(value) = value.filter(|value| !value.is_empty()) else { return };
        if self.0.iter().all(|it| it.key != key) {
            self.0.push(text(key, value.to_owned()));
        }
    }

    fn add_service(&mut self, name: Option<&str>, engine: Option<&str>) {
        // As the conventions say of a service whose name is not known.
        let unknown =
            || engine.map_or("unknown_service".to_owned(), |it| format!("unknown_service:{it}"));
        let name = name.map_or_else(unknown, str::to_owned);
        self.add("service.name", Some(&name));
    }

    fn into_resource(self) -> OtlpResource {
        OtlpResource { attributes: self.0, ..OtlpResource::default() }
    }
}

/// The process that wrote, by a name that stays the same over restarts of the agent.
fn instance(resource: &Resource) -> Option<String> {
    let process = resource.executor_id.as_ref().or(resource.component.as_ref());
    let host = resource.host.as_ref();
    match (&resource.job_id, process) {
        (Some(job), Some(process)) => Some(format!("{job}/{process}")),
        (Some(job), None) => {
            Some(host.map_or_else(|| job.to_string(), |host| format!("{job}/{host}")))
        }
        (None, Some(process)) => {
            Some(host.map_or_else(|| process.to_string(), |host| format!("{host}/{process}")))
        }
        (None, None) => host.map(Value::to_string),
    }
}

/// What a path of the kubelet says of the pod that wrote the file:
/// `/var/log/pods/NAMESPACE_POD_UID/CONTAINER/0.log`, `/var/log/containers/POD_NAMESPACE_CONTAINER-ID.log`.
fn pod_of_path(path: &str) -> Vec<(&'static str, String)> {
    let rest = |folder| path.split_once(folder).map(|(_, rest)| rest);
    let three = |text: &str| -> Option<[String; 3]> {
        let mut parts = text.split('_').map(str::to_owned);
        let three = [parts.next()?, parts.next()?, parts.next()?];
        (parts.next().is_none() && three.iter().all(|part| !part.is_empty())).then_some(three)
    };
    if let Some((folder, file)) = rest("/log/pods/").and_then(|rest| rest.split_once('/'))
        && let (Some([namespace, pod, uid]), Some((container, _))) =
            (three(folder), file.split_once('/'))
    {
        return vec![
            ("k8s.pod.name", pod),
            ("k8s.namespace.name", namespace),
            ("k8s.pod.uid", uid),
            ("k8s.container.name", container.to_owned()),
        ];
    }
    let file = rest("/log/containers/").and_then(|file| file.strip_suffix(".log"));
    if let Some([pod, namespace, last]) = file.and_then(three)
        && let Some((container, id)) = last.rsplit_once('-')
    {
        return vec![
            ("k8s.pod.name", pod),
            ("k8s.namespace.name", namespace),
            ("k8s.container.name", container.to_owned()),
            ("container.id", id.to_owned()),
        ];
    }
    Vec::new()
}

/// `container_…` in a path below YARN's log folders.
fn yarn_container(path: &str) -> Option<&str> {
    let is_id = |part: &&str| {
        part.strip_prefix("container_").is_some_and(|rest| {
            !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit() || b == b'_' || b == b'e')
        })
    };
    path.split('/').find(is_id)
}

/// An attribute with a text.
pub(super) fn text(key: &str, value: String) -> KeyValue {
    attribute(key, AnyKind::StringValue(value))
}

/// An attribute with a number.
pub(super) fn number(key: &str, value: u64) -> KeyValue {
    attribute(key, AnyKind::IntValue(i64::try_from(value).unwrap_or(i64::MAX)))
}

/// An attribute.
pub(super) fn attribute(key: &str, value: AnyKind) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Given, cloud, emr_cluster, instance, pod_of_path, yarn_container};
    use crate::model::{Engine, MetricBatch, Resource};
    use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
    use opentelemetry_proto::tonic::resource::v1::Resource as OtlpResource;
    use redaction::Redactor;
    use std::collections::BTreeMap;

    fn shown(resource: &OtlpResource) -> BTreeMap<String, String> {
        let one = |it: &opentelemetry_proto::tonic::common::v1::KeyValue| {
            let value = it.value.clone().unwrap().value.unwrap();
            let AnyKind::StringValue(text) = value else { panic!("{value:?}") };
            (it.key.clone(), text)
        };
        assert_eq!(resource.attributes.len(), resource.attributes.iter().map(one).count());
        resource.attributes.iter().map(one).collect()
    }

    fn given(variables: &[(&str, &str)]) -> Given {
        let get = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Given::new(&get, &mut |what| panic!("{what}"))
    }

    fn resource() -> Resource {
        let value = |raw: &str| Some(Redactor::new().value(raw));
        Resource {
            job_id: value("application_1_0002"),
            job_name: value("orders"),
            engine: Some(Engine::Spark),
            executor_id: value("3"),
            file: value("/var/log/pods/etl_orders-exec-3_0f/spark/0.log"),
            host: value("node-1"),
            ..Resource::default()
        }
    }

    #[test]
    fn a_resource_has_the_names_of_the_conventions_and_each_once() {
        let all = shown(&given(&[("POD_NAME", "agent-x")]).of_logs(&resource()));
        for (key, want) in [
            ("service.name", "orders"),
            ("service.instance.id", "application_1_0002/3"),
            ("host.name", "node-1"),
            ("k8s.pod.name", "orders-exec-3"),
            ("k8s.namespace.name", "etl"),
            ("k8s.pod.uid", "0f"),
            ("k8s.container.name", "spark"),
            ("spark.app.id", "application_1_0002"),
            ("spark.executor.id", "3"),
            ("yarn.application.id", "application_1_0002"),
            ("log.file.path", "/var/log/pods/etl_orders-exec-3_0f/spark/0.log"),
        ] {
            assert_eq!(all.get(key).map(String::as_str), Some(want), "{key}");
        }
        assert!(!all.contains_key("sidelight.user_id"), "what is not known is absent");
    }

    #[test]
    fn what_the_operator_says_wins_and_the_pod_of_the_agent_comes_last() {
        let given = given(&[
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,cloud.region=eu%2Dwest-1,host.name=h"),
            ("OTEL_SERVICE_NAME", "nightly"),
            ("POD_NAME", "driver-1"),
            ("NODE_NAME", ""),
        ]);
        let plain = Resource { file: None, ..resource() };
        let all = shown(&given.of_logs(&plain));
        for (key, want) in [
            ("service.name", "nightly"),
            ("cloud.region", "eu-west-1"),
            ("host.name", "h"),
            ("k8s.pod.name", "driver-1"),
            ("sidelight.job_name", "orders"),
        ] {
            assert_eq!(all.get(key).map(String::as_str), Some(want), "{key}");
        }
        assert!(!all.contains_key("k8s.node.name"));
        let mut ignored = Vec::new();
        let given = Given::new(&|_: &str| Some("a".to_owned()), &mut |what| ignored.push(what));
        assert_eq!(shown(&given.of_logs(&plain))["service.name"], "a", "the rest is used");
        assert!(ignored[0].starts_with("OTEL_RESOURCE_ATTRIBUTES: "), "`a` is no attribute");
    }

    #[test]
    fn what_a_daemon_set_reads_was_written_on_its_node() {
        let given = given(&[("POD_NAME", "agent-x"), ("NODE_NAME", "ip-10-0-0-7")]);
        let value = |raw: &str| Some(Redactor::new().value(raw));
        let all = shown(&given.of_logs(&Resource { host: value("agent-x"), ..resource() }));
        assert_eq!(all["host.name"], "ip-10-0-0-7");
        assert_eq!(all["k8s.pod.name"], "orders-exec-3");
        let batch = MetricBatch {
            resource: std::sync::Arc::default(),
            labels: vec![],
            created_unix_ms: 0,
            time_unix_ms: 0,
            samples: vec![],
        };
        assert_eq!(shown(&given.of_metrics(&batch))["host.name"], "ip-10-0-0-7");
    }

    #[test]
    fn the_cloud_is_that_of_the_region_and_of_the_emr_cluster() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("job-flow.json");
        assert_eq!(emr_cluster(&path), None);
        std::fs::write(&path, r#"{"jobFlowId":"j-2AXXXXXXGAPLF","instanceCount":3}"#).unwrap();
        assert_eq!(emr_cluster(&path).as_deref(), Some("j-2AXXXXXXGAPLF"));
        let told = |region: Option<&str>, cluster: Option<&str>| {
            let all = cloud(region.map(str::to_owned), cluster.map(str::to_owned));
            all.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(told(None, None), "");
        assert_eq!(told(Some("eu-west-1"), None), "cloud.provider=aws cloud.region=eu-west-1");
        assert_eq!(
            told(None, Some("j-2A")),
            "cloud.provider=aws cloud.platform=aws_ec2 emr.cluster.id=j-2A"
        );
        std::fs::write(&path, r#"{"jobFlowId":"jane.doe@example.com"}"#).unwrap();
        assert_eq!(emr_cluster(&path), None);
    }

    #[test]
    fn a_job_without_a_name_is_an_unknown_service_of_its_engine() {
        let unknown = Resource { engine: Some(Engine::Spark), ..Resource::default() };
        let all = shown(&Given::default().of_logs(&unknown));
        assert_eq!(all["service.name"], "unknown_service:spark");
        assert_eq!(
            shown(&Given::default().of_logs(&Resource::default()))["service.name"],
            "unknown_service"
        );
        assert_eq!(instance(&Resource::default()), None);
    }

    #[test]
    fn samples_have_a_resource_that_no_run_changes() {
        let value = |raw: &str| Redactor::new().value(raw);
        let batch = |created_unix_ms| MetricBatch {
            resource: std::sync::Arc::default(),
            labels: vec![
                ("engine", value("spark")),
                ("job_name", value("orders")),
                ("slot", value("0")),
            ],
            created_unix_ms,
            time_unix_ms: 9,
            samples: vec![],
        };
        let given = Given { host: Some("h".to_owned()), ..Given::default() };
        assert_eq!(given.of_metrics(&batch(1)), given.of_metrics(&batch(2)));
        let all = shown(&given.of_metrics(&batch(1)));
        assert_eq!(
            (all["service.name"].as_str(), all["service.instance.id"].as_str()),
            ("orders", "h/0")
        );
    }

    #[test]
    fn values_pass_the_redactor() {
        let given = given(&[("OTEL_RESOURCE_ATTRIBUTES", "owner=jane.doe@example.com")]);
        let all = shown(&given.redacted(&Redactor::new()).of_logs(&Resource::default()));
        assert_eq!(all["owner"], "[EMAIL]");
    }

    #[test]
    fn paths_of_pods_and_containers_are_read_and_others_are_not() {
        assert_eq!(pod_of_path("/var/log/containers/p_ns_spark-0a1b.log")[3].1, "0a1b");
        for path in ["/var/log/pods/a_b/c/0.log", "/var/log/pods/a_b_c/0.log", "/var/log/x.log", ""]
        {
            assert_eq!(pod_of_path(path), [], "{path}");
        }
        let path = "/var/log/hadoop-yarn/application_1_2/container_e01_1_2_01_000003/stderr";
        assert_eq!(yarn_container(path), Some("container_e01_1_2_01_000003"));
        assert_eq!(yarn_container("/data/container_of_things/x"), None);
    }
}
