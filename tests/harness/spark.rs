//! A real standalone Spark: master, worker and one application, all on 127.0.0.1.

use super::process::Process;
use super::scratch::{Scratch, fixture};
use super::{http, peers, wait};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// JVMs start within seconds, but not on a machine that is busy compiling.
const START_LIMIT: Duration = Duration::from_secs(120);

/// The stacks of two clusters together would need more cores than a test machine has.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Waits until no other test runs a cluster.
pub(crate) fn take_turn() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The beginning of a `spark-submit` without a cluster, on 127.0.0.1, in the folder of `scratch`.
pub(crate) fn submit_local(environment: &str, master: &str, scratch: &Scratch) -> Command {
    let spark = peers::spark(environment);
    let mut command = Command::new(spark.home.join("bin/spark-submit"));
    command
        .env("SPARK_HOME", &spark.home)
        .env("SPARK_LOCAL_IP", "127.0.0.1")
        .env("PYSPARK_PYTHON", &spark.python)
        .args(["--master", master, "--driver-memory", "768m"])
        .args(["--conf", "spark.driver.host=127.0.0.1"])
        .args(["--conf", "spark.driver.bindAddress=127.0.0.1"])
        .current_dir(scratch.join(""));
    command
}

/// Log4j configuration of the driver and the executors.
const MDC_PATTERN: &str = "rootLogger.level = info
rootLogger.appenderRef.stdout.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yy/MM/dd HH:mm:ss.SSS} %p [%t] %c{1} [%X{mdc.taskName}]: %m%n%ex
";

/// What the driver and the executors write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logging {
    /// A pattern with milliseconds, thread and task name.
    MdcPattern,
    /// `spark.log.structuredLogging.enabled`: JSON, after some plain lines.
    StructuredJson,
    /// What `conf/log4j2.properties` says, which the test wrote before.
    AsConfigured,
}

/// One Spark to test against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Version {
    /// Virtual environment under the peers.
    pub(crate) environment: &'static str,
    /// How it logs.
    pub(crate) logging: Logging,
}

/// A master and a worker with two cores.
#[derive(Debug)]
pub(crate) struct Cluster {
    master: Process,
    worker: Process,
    url: String,
    setup: Setup,
}

/// What every Spark process of a cluster shares.
#[derive(Debug)]
struct Setup {
    version: Version,
    spark: peers::SparkInstallation,
    configuration: PathBuf,
}

impl Setup {
    fn command(&self, script: &str) -> Command {
        let mut command = Command::new(self.spark.home.join("bin").join(script));
        command
            .env("SPARK_HOME", &self.spark.home)
            .env("SPARK_LOCAL_IP", "127.0.0.1")
            .env("SPARK_CONF_DIR", &self.configuration)
            .env("SPARK_DAEMON_MEMORY", "512m")
            .env("PYSPARK_PYTHON", &self.spark.python);
        command
    }
}

impl Cluster {
    /// Starts both and waits until the master knows the worker.
    pub(crate) fn start(version: Version, scratch: &Scratch) -> Self {
        let configuration = scratch.join("conf");
        fs::create_dir_all(&configuration).unwrap();
        if version.logging == Logging::MdcPattern {
            fs::write(configuration.join("log4j2.properties"), MDC_PATTERN).unwrap();
        }
        let setup = Setup { version, spark: peers::spark(version.environment), configuration };
        let (port, ui, worker_ui) = (http::free_port(), http::free_port(), http::free_port());
        let url = format!("spark://127.0.0.1:{port}");
        let daemon = |name: &str, class: &str, arguments: &[&str]| {
            let mut command = setup.command("spark-class");
            command.arg(format!("org.apache.spark.deploy.{class}")).args(arguments);
            let log = |stream| scratch.join(&format!("{name}.{stream}"));
            Process::start(name, &command, &log("stdout"), &log("stderr"))
        };
        let (port, ui_port) = (port.to_string(), ui.to_string());
        let worker_ui = worker_ui.to_string();
        let executors = scratch.join("executors");
        let master_arguments = ["--host", "127.0.0.1", "--port", &port, "--webui-port", &ui_port];
        let master = daemon("master", "master.Master", &master_arguments);
        wait::until("the master answers", START_LIMIT, || http::get_json(ui, "/json/"));
        let worker_arguments = [
            "--host",
            "127.0.0.1",
            "--webui-port",
            &worker_ui,
            "-c",
            "2",
            "-m",
            "3g",
            "-d",
            executors.to_str().unwrap(),
            &url,
        ];
        let worker = daemon("worker", "worker.Worker", &worker_arguments);
        wait::until("the worker is registered", START_LIMIT, || {
            let state = http::get_json(ui, "/json/")?;
            (state["aliveworkers"].as_u64()? == 1).then_some(())
        });
        Self { master, worker, url, setup }
    }

    /// `spark-submit` to this cluster in client mode, without the application.
    pub(crate) fn spark_submit(&self) -> Command {
        let mut command = self.setup.command("spark-submit");
        command.args(["--master", &self.url, "--driver-memory", "1g"]);
        command.args(["--executor-cores", "1", "--executor-memory", "768m"]);
        command.args(["--conf", "spark.driver.host=127.0.0.1"]);
        command.args(["--conf", "spark.driver.bindAddress=127.0.0.1"]);
        command
    }

    /// Submits tests/fixtures/spark_app.py in client mode, its UI on `ui_port`.
    pub(crate) fn submit(&self, scratch: &Scratch, ui_port: u16) -> Application {
        let work = scratch.join("application");
        fs::create_dir_all(&work).unwrap();
        let mut command = self.spark_submit();
        let is_structured = self.setup.version.logging == Logging::StructuredJson;
        for property in [
            format!("spark.ui.port={ui_port}"),
            "spark.sql.shuffle.partitions=4".to_owned(),
            format!("spark.log.structuredLogging.enabled={is_structured}"),
        ] {
            command.args(["--conf", &property]);
        }
        command.arg(fixture("spark_app.py")).arg("--work").arg(&work).arg("--kill-executor");
        // Where the SQL warehouse goes.
        command.current_dir(&work);
        let stderr = scratch.join("logs/driver.stderr");
        let stdout = scratch.join("logs/driver.stdout");
        fs::create_dir_all(scratch.join("logs")).unwrap();
        let driver = Process::start("spark-submit", &command, &stdout, &stderr);
        Application { driver, work }
    }

    /// Stops both and with them every executor, so that no log file grows any more.
    pub(crate) fn stop(mut self) {
        self.worker.terminate(START_LIMIT);
        self.master.terminate(START_LIMIT);
    }
}

/// The running application.
#[derive(Debug)]
pub(crate) struct Application {
    driver: Process,
    work: PathBuf,
}

impl Application {
    /// Waits until the application is in `phase`.
    pub(crate) fn wait_for_phase(&mut self, phase: &str) {
        wait::until(&format!("phase {phase}"), START_LIMIT, || {
            let now = fs::read_to_string(self.work.join("phase")).unwrap_or_default();
            let ended = self.driver.exit_status();
            assert!(ended.is_none(), "the application ended in phase {now}: {ended:?}");
            (now == phase).then_some(())
        });
    }

    /// What the application says at the end: its id and the last number of `SEQ driver`.
    pub(crate) fn summary(&self) -> (String, u64) {
        let raw = fs::read_to_string(self.work.join("summary.json")).unwrap();
        let summary: serde_json::Value = serde_json::from_str(&raw).unwrap();
        let id = summary["application_id"].as_str().unwrap().to_owned();
        (id, summary["sequence"].as_u64().unwrap())
    }

    /// Lets the application end; it must end well.
    pub(crate) fn stop(mut self) {
        fs::write(self.work.join("STOP"), "").unwrap();
        let status = self.driver.wait(START_LIMIT);
        assert!(status.success(), "the application failed: {status}");
    }
}

/// Sums that the UI reports, as (name, value); each name is one that [`super::metrics`] maps.
pub(crate) fn rest_totals(ui_port: u16, application: &str) -> Option<Vec<(&'static str, u64)>> {
    let base = format!("/api/v1/applications/{application}");
    let jobs = http::get_json(ui_port, &format!("{base}/jobs"))?;
    let stages = http::get_json(ui_port, &format!("{base}/stages"))?;
    let (jobs, stages) = (jobs.as_array()?, stages.as_array()?);
    let sum = |list: &[serde_json::Value], field: &str| -> u64 {
        list.iter().map(|item| item[field].as_u64().unwrap_or(0)).sum()
    };
    let count = |list: &[serde_json::Value], status: &str| -> u64 {
        list.iter().filter(|item| item["status"] == status).count() as u64
    };
    Some(vec![
        ("tasks succeeded", sum(stages, "numCompleteTasks")),
        ("tasks failed", sum(stages, "numFailedTasks")),
        ("tasks failed by job", sum(jobs, "numFailedTasks")),
        ("tasks killed", sum(stages, "numKilledTasks")),
        ("tasks skipped", sum(jobs, "numSkippedTasks")),
        ("jobs succeeded", count(jobs, "SUCCEEDED")),
        ("jobs failed", count(jobs, "FAILED")),
        ("stages succeeded", count(stages, "COMPLETE")),
        ("stages failed", count(stages, "FAILED")),
        ("stages skipped", sum(jobs, "numSkippedStages")),
        ("input bytes", sum(stages, "inputBytes")),
        ("input records", sum(stages, "inputRecords")),
        ("output bytes", sum(stages, "outputBytes")),
        ("output records", sum(stages, "outputRecords")),
        ("shuffle read bytes", sum(stages, "shuffleReadBytes")),
        ("shuffle read records", sum(stages, "shuffleReadRecords")),
        ("shuffle write bytes", sum(stages, "shuffleWriteBytes")),
        ("shuffle write records", sum(stages, "shuffleWriteRecords")),
        ("spilled bytes", sum(stages, "memoryBytesSpilled") + sum(stages, "diskBytesSpilled")),
    ])
}
