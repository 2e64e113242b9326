//! Where the real peers are, which `tests/setup` installs, and whether a run wants them.

use std::path::{Path, PathBuf};

/// True when `tests/run` asked for real peers. A peer that is missing then fails the test.
pub(crate) fn are_wanted() -> bool {
    std::env::var("SIDELIGHT_TEST_PEERS").is_ok_and(|peers| peers == "full")
}

/// A PySpark installation.
#[derive(Debug)]
pub(crate) struct SparkInstallation {
    /// Absolute path of the interpreter: executors start it in another folder.
    pub(crate) python: PathBuf,
    /// `SPARK_HOME`.
    pub(crate) home: PathBuf,
}

/// The PySpark in the virtual environment `name`.
#[track_caller]
pub(crate) fn spark(name: &str) -> SparkInstallation {
    let environment = folder().join(name);
    let home = std::fs::read_dir(environment.join("lib"))
        .ok()
        .and_then(|entries| {
            let mut homes = entries.flatten().map(|e| e.path().join("site-packages/pyspark"));
            homes.find(|home| home.is_dir())
        })
        .unwrap_or_else(|| panic!("no PySpark in {}; run tests/setup", environment.display()));
    SparkInstallation { python: environment.join("bin/python"), home }
}

/// `FLINK_HOME` of the PyFlink in the virtual environment `name`: its wheels hold all of Flink.
#[track_caller]
pub(crate) fn flink(name: &str) -> PathBuf {
    let environment = folder().join(name);
    let libraries = std::fs::read_dir(environment.join("lib")).into_iter().flatten().flatten();
    let mut homes = libraries.map(|entry| entry.path().join("site-packages/pyflink"));
    let home = homes.find(|home| home.is_dir());
    home.unwrap_or_else(|| panic!("no PyFlink in {}; run tests/setup", environment.display()))
}

/// The jars of log4j that this PySpark comes with, as a class path.
#[track_caller]
pub(crate) fn log4j(name: &str) -> String {
    let jars = spark(name).home.join("jars");
    let is_log4j = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("log4j-core") || name.starts_with("log4j-api")
    };
    let entries = std::fs::read_dir(&jars).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<String> =
        entries.filter(is_log4j).map(|path| path.display().to_string()).collect();
    assert_eq!(found.len(), 2, "log4j in {}", jars.display());
    found.join(":")
}

/// The program `moto_server`.
#[track_caller]
pub(crate) fn moto_server() -> PathBuf {
    moto_program("moto_server")
}

/// The interpreter that has boto3, the SDK of AWS, beside moto.
#[track_caller]
pub(crate) fn moto_python() -> PathBuf {
    moto_program("python")
}

#[track_caller]
fn moto_program(name: &str) -> PathBuf {
    let program = folder().join("moto/bin").join(name);
    assert!(program.is_file(), "no {}; run tests/setup", program.display());
    program
}

/// A program of the environment that has receivers of OTLP.
#[track_caller]
pub(crate) fn otlp_program(name: &str) -> PathBuf {
    let program = folder().join("otlp/bin").join(name);
    assert!(program.is_file(), "no {}; run tests/setup", program.display());
    program
}

/// A program of the environment that has validators of what is shipped.
#[track_caller]
pub(crate) fn deploy_program(name: &str) -> PathBuf {
    let program = folder().join("deploy/bin").join(name);
    assert!(program.is_file(), "no {}; run tests/setup", program.display());
    program
}

/// The relay rotel, as its Python package brings it.
#[track_caller]
pub(crate) fn rotel() -> PathBuf {
    let libraries = std::fs::read_dir(folder().join("otlp/lib"));
    let mut libraries = libraries.expect("no rotel; run tests/setup").flatten();
    let program = libraries.find_map(|entry| {
        let program = entry.path().join("site-packages/rotel/rotel-agent");
        program.is_file().then_some(program)
    });
    program.expect("no program in rotel; run tests/setup")
}

/// The model of CloudWatch Logs that botocore comes with: JSON, gzipped.
#[track_caller]
pub(crate) fn logs_model() -> PathBuf {
    let libraries = std::fs::read_dir(folder().join("moto/lib"));
    let mut libraries = libraries.expect("no moto; run tests/setup").flatten();
    let data = "site-packages/botocore/data/logs/2014-03-28/service-2.json.gz";
    let model = libraries.find_map(|entry| {
        let model = entry.path().join(data);
        model.is_file().then_some(model)
    });
    model.expect("no model in botocore; run tests/setup")
}

/// The folder of a program of Node that has Grafana's types and the compiler of TypeScript.
#[track_caller]
pub(crate) fn grafana_types() -> PathBuf {
    let modules = folder().join("grafana");
    assert!(modules.join("node_modules/.bin/tsc").is_file(), "no Grafana types; run tests/setup");
    modules
}

/// `prometheus`, `promtool`, `prometheus-alertmanager` or `amtool`: the unpacked one, else the one on the PATH.
pub(crate) fn prometheus_tool(name: &str) -> PathBuf {
    let unpacked = folder().join("prometheus/usr/bin").join(name);
    if unpacked.is_file() { unpacked } else { PathBuf::from(name) }
}

fn folder() -> PathBuf {
    let cache = std::env::var_os("SIDELIGHT_TEST_CACHE").map_or_else(
        || Path::new(&std::env::var_os("HOME").unwrap()).join(".cache/sidelight"),
        PathBuf::from,
    );
    cache.join("peers")
}
