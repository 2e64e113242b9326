//! How a sidecar lives beside its main container, played with real processes: a native one, which is told
//! to end, and plain ones, which see it. Settings are those of the shipped manifests.

use super::shipped;
use crate::harness::bed::LIMIT;
use crate::harness::process::Process;
use crate::harness::scratch::Scratch;
use crate::harness::{agent, http, wait};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Lines that a main container writes in its life.
const N_LINES: usize = 400;

/// A pod: a folder of its own for every volume.
struct Pod {
    scratch: Scratch,
    port: u16,
}

impl Pod {
    fn new() -> Self {
        let pod = Self { scratch: Scratch::new(), port: http::free_port() };
        fs::create_dir(pod.logs()).unwrap();
        pod
    }

    fn logs(&self) -> PathBuf {
        self.scratch.join("logs")
    }

    /// The sidecar, with the shipped config and these variables of its manifest.
    fn start_sidecar(&self, variables: &[(String, String)]) -> Process {
        let mut command = Command::new(agent::binary());
        command.args(["run", "-c"]).arg(shipped("kubernetes/base/sidelight.toml"));
        command.envs(variables.iter().cloned());
        command
            .env("SIDELIGHT_ADMIN__LISTEN", format!("127.0.0.1:{}", self.port))
            .env("SIDELIGHT_STATE_DIR", self.scratch.join("state"))
            .env("SIDELIGHT_TAIL__INCLUDE", self.logs().join("*.log*"))
            .env("SIDELIGHT_TAIL__IDENTITY_WAIT", "1s")
            .env("SPARK_APPLICATION_ID", "spark-0123456789abcdef")
            .env("SPARK_EXECUTOR_ID", "7")
            .env("POD_NAME", "orders-exec-7")
            .env("POD_NAMESPACE", "etl");
        let sidecar =
            Process::start("sidelight", &command, &self.records(), &self.scratch.join("log"));
        wait::until("the sidecar answers /livez", LIMIT, || {
            http::get(self.port, "/livez").ok().filter(|answer| answer.status == 200)
        });
        sidecar
    }

    /// The main container: beside `hook`, a shell command, it writes its lines, rolls its log, and ends.
    fn run_main(&self, hook: &str) {
        let script = format!(
            r#"{hook}
            cd "$0"
            for i in $(seq {N_LINES}); do
              echo "26/11/27 10:00:00 INFO Job: SEQ main $i" >>spark.log
              [ "$i" != 150 ] || mv spark.log spark.log.1
              sleep 0.01
            done
            kill $!  # what the end of its first process does in a container
            "#
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]).arg(self.logs());
        let path = |stream| self.scratch.join(&format!("main.{stream}"));
        let mut main = Process::start("main", &command, &path("out"), &path("err"));
        main.wait(LIMIT);
    }

    fn records(&self) -> PathBuf {
        self.scratch.join("records.jsonl")
    }

    /// Each line was delivered once, with what the pod knows of itself.
    #[track_caller]
    fn expect_all(&self) {
        let text = fs::read_to_string(self.records()).unwrap();
        let records: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let bodies: Vec<&str> = records.iter().map(|it| it["body"].as_str().unwrap()).collect();
        let wanted: Vec<String> = (1..=N_LINES).map(|i| format!("SEQ main {i}")).collect();
        assert_eq!(bodies, wanted);
        for record in &records {
            let told = ["job_id", "executor_id", "host", "run_context"].map(|key| &record[key]);
            assert_eq!(told, ["spark-0123456789abcdef", "7", "orders-exec-7", "etl"]);
        }
    }
}

/// The variables `SIDELIGHT_SHUTDOWN__*` of a manifest, with these waits instead of its own.
fn ending(manifest: &str, pod: &Pod) -> Vec<(String, String)> {
    let text = fs::read_to_string(shipped(manifest)).unwrap();
    let given = text.lines().filter_map(|line| {
        let (name, value) = line.split_once("name: ")?.1.split_once(", value: ")?;
        let value = value.trim_end_matches(" }");
        name.starts_with("SIDELIGHT_SHUTDOWN__").then(|| (name.to_owned(), value.to_owned()))
    });
    let mut variables: Vec<_> = given.collect();
    assert_eq!(variables.len(), 3, "{manifest}");
    for (name, value) in &mut variables {
        *value = match name.rsplit_once("__").unwrap().1 {
            "HEARTBEAT_FILE" => {
                let file = value.rsplit_once('/').unwrap().1;
                pod.logs().join(file).to_str().unwrap().to_owned()
            }
            "HEARTBEAT_STALE_AFTER" => "3s".to_owned(),
            "HEARTBEAT_INITIAL_WAIT" => "2s".to_owned(),
            other => panic!("{manifest}: {other}"),
        };
    }
    variables
}

/// What the shipped manifest makes the main container do, a second instead of five apart.
fn hook(pod: &Pod) -> String {
    let text =
        fs::read_to_string(shipped("kubernetes/spark/podtemplate-executor-plain-sidecar.yaml"));
    let text = text.unwrap();
    let command = text.lines().find(|line| line.contains("while touch")).unwrap();
    let script = command.split_once("\"-c\", \"").unwrap().1.trim_end_matches("\"]");
    script.replace("/var/log/spark", pod.logs().to_str().unwrap()).replace("sleep 5", "sleep 1")
}

#[test]
fn a_native_sidecar_delivers_everything_after_its_main_container_has_ended() {
    let pod = Pod::new();
    let mut sidecar = pod.start_sidecar(&[]);
    // Something that can be killed at the end.
    pod.run_main("sleep 60 &");
    let (status, time) = sidecar.terminate(LIMIT);
    assert_eq!(status.code(), Some(0));
    assert!(time < agent::STOP_LIMIT, "a native sidecar may get little time: {time:?}");
    pod.expect_all();
}

#[test]
fn a_plain_sidecar_ends_by_itself_after_its_main_container() {
    let pod = Pod::new();
    let manifest = "kubernetes/spark/podtemplate-executor-plain-sidecar.yaml";
    let mut sidecar = pod.start_sidecar(&ending(manifest, &pod));
    pod.run_main(&hook(&pod));
    assert_eq!(sidecar.wait(LIMIT).code(), Some(0));
    pod.expect_all();
}

#[test]
fn the_sidecar_of_emr_on_eks_ends_with_the_heartbeat_of_emr() {
    let pod = Pod::new();
    let variables = ending("kubernetes/emr-on-eks/podtemplate-executor.yaml", &pod);
    let mut sidecar = pod.start_sidecar(&variables);
    // As EMR's own images do, every other second.
    let heartbeat = pod.logs().join("main-container-terminated");
    pod.run_main(&format!("while touch {}; do sleep 2; done &", heartbeat.display()));
    assert_eq!(sidecar.wait(LIMIT).code(), Some(0));
    pod.expect_all();
}

#[test]
fn the_sidecar_of_emr_on_eks_ends_with_0_where_there_is_no_heartbeat() {
    let pod = Pod::new();
    let variables = ending("kubernetes/emr-on-eks/podtemplate-driver.yaml", &pod);
    assert_eq!(pod.start_sidecar(&variables).wait(LIMIT).code(), Some(0));
}
